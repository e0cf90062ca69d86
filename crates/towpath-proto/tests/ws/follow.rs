//! Frames that are passed on: [`Follower`] against [`towpath_proto::ws::Decoder`], and on its own.

use towpath_proto::ws::{Follower, Passed};

use crate::*;

/// What a decoder refuses and a follower passes on: it does not look into data.
const CONTENT: [&str; 4] = [": Utf8", ": Inflate", ": InflateRatio", ": MessageTooLarge"];

/// Follows a wire of which a decoder says `expected`: where that ends in a fault of the framing, the follower has to
/// find the same, and no other.
#[track_caller]
pub(crate) fn check_beside_decoder(role: Role, may_compress: bool, wire: &[u8], expected: &str) {
    let fault = expected.rfind("ws_").map(|at| &expected[at..]);
    if CONTENT.iter().any(|content| expected.ends_with(content)) {
        return;
    }
    let (_, said) = follow(role, may_compress, WsLimits::default(), &[wire]);
    let found = said.rfind("ws_").map(|at| said[at..].to_owned());
    assert_eq!(found.as_deref(), fault, "{role:?}, followed");
}

/// Follows the pieces. Returns what was passed on, and in words what it was.
fn follow(role: Role, may_compress: bool, limits: WsLimits, pieces: &[&[u8]]) -> (Vec<u8>, String) {
    let mut follower = Follower::new(role, may_compress);
    let (mut held, mut passed, mut words) = (Vec::new(), Vec::new(), Vec::new());
    for piece in pieces {
        held.extend_from_slice(piece);
        loop {
            match follower.handle_input(&held, &limits) {
                Ok(pass) => {
                    words.extend(pass.event.as_ref().map(word));
                    passed.extend(held.drain(..pass.bytes));
                    if pass.bytes == 0 {
                        break;
                    }
                }
                Err(error) => {
                    words.push(word_of(error));
                    return (passed, words.join(" "));
                }
            }
        }
    }
    words.push(if follower.is_between_frames() { "between" } else { "inside" }.to_owned());
    (passed, words.join(" "))
}

fn word(passed: &Passed) -> String {
    match passed {
        Passed::MessageStart => "message".to_owned(),
        Passed::Ping(control) => format!("ping({})", control.as_bytes().escape_ascii()),
        Passed::Pong(control) => format!("pong({})", control.as_bytes().escape_ascii()),
        Passed::Close(close) => format!("close({:?})", close.code().map(|code| code.number())),
    }
}

/// Follows `hex` at once and byte by byte: what passes is `passes` bytes of it, and the same is said.
#[track_caller]
fn check(role: Role, limits: WsLimits, hex: &str, passes: usize, expected: &str) {
    let wire = bytes(hex);
    let single: Vec<&[u8]> = wire.chunks(1).collect();
    for pieces in [&[&wire[..]][..], &single] {
        let (passed, said) = follow(role, false, limits, pieces);
        assert_eq!((passed.as_slice(), said.as_str()), (&wire[..passes], expected), "{hex}");
    }
}

#[test]
fn frames_pass_as_they_came_and_their_ends_are_known_5_2() {
    let server =
        |hex: &str, passes, expected: &str| check(Role::Server, WsLimits::default(), hex, passes, expected);
    server("", 0, "between");
    server("81 85 37fa213d 7f9f4d5158", 11, "message between");
    server("81 85 37fa213d 7f9f4d", 9, "message inside");
    server("01 81 00000000 61  89 80 00000000  80 80 00000000", 19, "message ping() between");
    server("8a 82 01010101 6968", 8, "pong(hi) between");
    server("82 fe 0080 00000000", 8, "message inside");
}

#[test]
fn heads_and_control_frames_pass_whole_or_not_at_all() {
    let client =
        |hex: &str, passes, expected: &str| check(Role::Client, WsLimits::default(), hex, passes, expected);
    client("81", 0, "between");
    client("81 7e 01", 0, "between");
    client("81 01 61  89 04 61 62 63", 3, "message between");
    client("88 02 03", 0, "between");
    client("88 02 03 e9", 4, "close(Some(1001)) inside");
    client("88 00  ff ff", 4, "close(None) inside");
}

#[test]
fn of_what_breaks_a_rule_no_byte_passes_t54() {
    let server =
        |hex: &str, passes, expected: &str| check(Role::Server, WsLimits::default(), hex, passes, expected);
    server("81 01 61", 0, "1002 ws_bad_mask: MaskMissing");
    server("81 81 00000000 61  91 81 00000000 61", 7, "message 1002 ws_bad_frame: ReservedBit");
    server("82 ff 8000000000000000 00000000", 0, "1002 ws_bad_length: LengthTooLarge");
    server("88 82 00000000 03ed", 0, "1002 ws_bad_close: CloseCode");
    check(Role::Client, WsLimits::default(), "81 81 00000000 61", 0, "1002 ws_bad_mask: MaskForbidden");
}

#[test]
fn a_message_is_as_large_as_its_frames_on_the_wire_t54() {
    let limits = WsLimits { message_bytes_max: 4, ..WsLimits::default() };
    let client = |hex: &str, passes, expected: &str| check(Role::Client, limits, hex, passes, expected);
    client("82 04 00000000", 6, "message between");
    client("82 05 0000000000", 0, "1009 ws_message_too_large: MessageTooLarge");
    client("02 03 000000  80 02 0000", 5, "message 1009 ws_message_too_large: MessageTooLarge");
    client("02 03 000000  80 01 00  82 04 00000000", 14, "message message between");
}

#[test]
fn lengths_up_to_2_63_are_followed_and_nothing_wraps_t54() {
    let limits = WsLimits { frame_bytes_max: u64::MAX, message_bytes_max: u64::MAX, ..WsLimits::default() };
    let client = |hex: &str, passes, expected: &str| check(Role::Client, limits, hex, passes, expected);
    client("82 7f 7fffffffffffffff 6162", 12, "message inside");
    client("02 00  00 00", 4, "message between");
}
