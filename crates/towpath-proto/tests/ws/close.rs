//! The closing handshake (§5.5.1, §7).

use towpath_proto::ws::{CloseCode, Closing};

use crate::*;

fn payload(code: u16, reason: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), reason].concat()
}

#[test]
fn a_close_has_a_code_and_a_reason_or_neither_5_5_1() {
    check(&[(CLOSE, b"")], "close(- \"\")");
    check(&[(CLOSE, &payload(1000, b""))], "close(1000 \"\")");
    check(&[(CLOSE, &payload(1001, "au revoir \u{e9}".as_bytes()))], "close(1001 \"au revoir \u{e9}\")");
    let longest = "x".repeat(123);
    check(&[(CLOSE, &payload(1000, longest.as_bytes()))], &format!("close(1000 \"{longest}\")"));
    check(&[(CLOSE, &payload(1000, &[b'x'; 124]))], "1002 ws_bad_control: ControlTooLong");
    check(&[(CLOSE, b"\x03")], "1002 ws_bad_close: CloseLength");
}

#[test]
fn a_reason_is_utf8_5_5_1_t54() {
    for reason in [&b"\xFF"[..], b"a\xC3", b"\xED\xA0\x80", b"\xF4\x90\x80\x80"] {
        check(&[(CLOSE, &payload(1000, reason))], "1007 ws_bad_close: CloseReason");
    }
}

#[test]
fn only_codes_that_travel_are_taken_7_4() {
    let good = |code: u16| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    for code in 0..=u16::MAX {
        assert_eq!(CloseCode::new(code).is_some(), good(code), "{code}");
    }
    for code in [
        0, 999, 1000, 1003, 1004, 1005, 1006, 1007, 1014, 1015, 1016, 1100, 2000, 2999, 3000, 4999, 5000,
        65_535,
    ] {
        let expected = match good(code) {
            true => format!("close({code} \"\")"),
            false => "1002 ws_bad_close: CloseCode".to_owned(),
        };
        check(&[(CLOSE, &payload(code, b""))], &expected);
    }
}

#[test]
fn nothing_behind_a_close_is_read_5_5_1() {
    let end = "close(1000 \"\")";
    for frames in [(TEXT, &b"late"[..]), (PING, b""), (CLOSE, b""), (0xFF, b"not even a frame")] {
        check(&[(CLOSE, &payload(1000, b"")), frames], end);
    }
    let mut reader = Reader::new(Role::Client, WsLimits::default(), None);
    assert!(!reader.decoder.is_closed());
    reader.read(&[&frame(CLOSE, b""), &[0; 1000]]);
    assert!(reader.decoder.is_closed());
}

#[test]
fn a_close_may_come_inside_a_message_5_5_1() {
    check(&[(TEXT_FIRST, b"half"), (CLOSE, b""), (LAST, b"late")], "text <half> close(- \"\")");
}

/// What the four questions of [`Closing`] are answered with.
fn answers(closing: &Closing) -> String {
    let wanted = closing.wants_close().map(|code| code.map(CloseCode::number));
    let yes = |is: bool, word: &'static str| if is { word } else { "-" };
    let (send, receive) = (yes(closing.may_send(), "send"), yes(closing.may_receive(), "receive"));
    format!("{send} {receive} {} {wanted:?}", yes(closing.is_done(), "done"))
}

#[track_caller]
fn check_closing(events: &str, expected: &str) {
    let mut closing = Closing::default();
    for event in events.split_whitespace() {
        match event {
            "sent" => closing.handle_sent(),
            "received" => closing.handle_received(Some(CloseCode::GOING_AWAY)),
            _ => closing.handle_received(None),
        }
    }
    assert_eq!(answers(&closing), expected, "after {events:?}");
}

#[test]
fn either_side_may_begin_and_both_have_to_close_7_1() {
    check_closing("", "send receive - None");
    check_closing("sent", "- receive - None");
    check_closing("received", "- - - Some(Some(1001))");
    check_closing("empty", "- - - Some(None)");
    for done in
        ["sent received", "received sent", "empty sent", "sent received sent", "received sent received"]
    {
        check_closing(done, "- - done None");
    }
    check_closing("sent sent", "- receive - None");
}
