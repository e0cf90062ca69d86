//! Responses: how each kind ends, and what is refused. T01 to T08 and T20 from the other side.

use towpath_proto::h1::{Event, HeadLimits, ResponseDecoder, ResponseError};
use towpath_proto::message::Method;

use crate::transcript::{assert_transcript, response, verdict};

#[track_caller]
fn check(method: Method, input: &str, expected: &str) {
    assert_transcript(&response(method, input.as_bytes()), expected, input.as_bytes());
}

#[track_caller]
fn check_get(input: &str, expected: &str) {
    check(Method::Get, input, expected);
}

#[test]
fn a_response_ends_as_its_framing_says_rfc9112_6_3() {
    check_get(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        r#"Head 200 "OK" 1.1 Length(5) keep-alive
             Content-Length: 5
           Data hello
           End
           closed"#,
    );
    check_get(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nServer-Timing: a\r\n\r\n",
        r#"Head 200 "OK" 1.1 Chunked keep-alive
             Transfer-Encoding: chunked
           Data hello
           Trailers
             Server-Timing: a
           End
           closed"#,
    );
    check_get(
        "HTTP/1.1 200 OK\r\n\r\nhello",
        r#"Head 200 "OK" 1.1 Close
           Data hello
           End
           closed"#,
    );
    check_get(
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
        r#"Head 200 "OK" 1.1 Length(6) keep-alive
             Content-Length: 6
           Data hello
           502 response_truncated"#,
    );
}

#[test]
fn some_responses_have_no_body_whatever_they_say_rfc9112_6_3() {
    for status in ["204 No Content", "304 Not Modified"] {
        let transcript = response(Method::Get, format!("HTTP/1.1 {status}\r\n\r\n").as_bytes());
        assert!(transcript.contains("None keep-alive\nEnd\nclosed"), "{transcript}");
    }
    check(
        Method::Head,
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        r#"Head 200 "OK" 1.1 None keep-alive
             Content-Length: 5
           End
           closed"#,
    );
    check(
        Method::Head,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        r#"Head 200 "OK" 1.1 None keep-alive
             Transfer-Encoding: chunked
           End
           closed"#,
    );
    check_get(
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
        r#"Head 304 "Not Modified" 1.1 None keep-alive
             Content-Length: 500
           End
           closed"#,
    );
}

#[test]
fn content_where_none_can_be_is_refused_rfc9112_6_1() {
    for status in ["204 No Content", "100 Continue", "101 Switching Protocols"] {
        for framing in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
            check_get(&format!("HTTP/1.1 {status}\r\n{framing}\r\n\r\n"), "502 bad_response_framing");
        }
    }
    check_get(
        "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        r#"Head 204 "No Content" 1.1 None keep-alive
             Content-Length: 0
           End
           closed"#,
    );
}

#[test]
fn interim_responses_precede_the_final_one_t20() {
    // RFC 9110 §15.2.
    check_get(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        r#"Interim 100 "Continue" 1.1 None keep-alive
           Interim 103 "Early Hints" 1.1 None keep-alive
             Link: </a>
           Head 200 "OK" 1.1 Length(0) keep-alive
             Content-Length: 0
           End
           closed"#,
    );
    check_get(
        "HTTP/1.1 100 Continue\r\n\r\n",
        r#"Interim 100 "Continue" 1.1 None keep-alive
           502 response_truncated"#,
    );
}

#[test]
fn what_follows_a_switch_belongs_to_the_tunnel_t06() {
    for (method, head) in [
        (Method::Get, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
        (Method::Connect, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        (Method::Connect, "HTTP/1.1 299 Odd\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ] {
        let mut decoder = ResponseDecoder::new(HeadLimits::default());
        decoder.expect(method);
        let input = format!("{head}\0\x01tunnel");
        let step = decoder.handle_input(input.as_bytes()).expect("a head");
        assert_eq!((step.consumed, step.event), (head.len(), Some(Event::Head)));
        let step = decoder.handle_input(&input.as_bytes()[head.len()..]).expect("an end");
        assert_eq!((step.consumed, step.event), (0, Some(Event::End)));
        assert!(decoder.is_complete());
    }
    // RFC 9110 §9.3.6: anything but 2xx is no tunnel.
    check(
        Method::Connect,
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
        r#"Head 403 "Forbidden" 1.1 Length(2) keep-alive
             Content-Length: 2
           Data no
           End
           closed"#,
    );
}

#[test]
fn ambiguous_response_framing_is_refused_t01() {
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length:",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
    ] {
        check_get(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n"), "502 bad_response_framing");
        // What is not sent need not be framed, but a contradiction stays one.
        check(Method::Head, &format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n"), "502 bad_response_framing");
    }
    check_get("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "502 unknown_transfer_coding");
    // RFC 9112 §6.1 (T03).
    check_get("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "502 bad_response_framing");
}

#[test]
fn a_status_line_is_exact_rfc9112_4() {
    for line in [
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 +20 OK",
        "HTTP/1.1 099 X",
        "HTTP/1.1 000 X",
        "HTTP/1.1  200 OK",
        "HTTP/1.1\t200 OK",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1 abc",
        " HTTP/1.1 200 OK",
        "http/1.1 200 OK",
        "HTTP/1.1 200\tOK",
        "HTTP/1.1 200 a\0b",
        "HTTP/1.1 200 a\u{7f}b",
        "HTTP/1.1 200 a\rb",
        "\r\nHTTP/1.1 200 OK",
        "ICY 200 OK",
        "HTTP/11 200 OK",
        "HTTP/1.1x 200 OK",
    ] {
        check_get(&format!("{line}\r\n\r\n"), "502 bad_status_line");
    }
    for version in ["HTTP/1.2", "HTTP/2.0", "HTTP/0.9"] {
        check_get(&format!("{version} 200 OK\r\n\r\n"), "502 unsupported_version");
    }
    for (line, reason) in [
        ("HTTP/1.1 200 OK", "OK"),
        ("HTTP/1.1 200 ", ""),
        ("HTTP/1.1 200", ""),
        ("HTTP/1.1 200 Not so  OK ", "Not so  OK "),
        ("HTTP/1.1 200 \u{e9}", r"\xc3\xa9"),
    ] {
        let transcript = response(Method::Get, format!("{line}\r\nContent-Length: 0\r\n\r\n").as_bytes());
        assert!(
            transcript.starts_with(&format!("Head 200 {reason:?} 1.1 Length(0)")),
            "{line:?}: {transcript}"
        );
    }
}

#[test]
fn a_connection_is_kept_only_if_both_rules_allow_it_rfc9112_9_3() {
    #[track_caller]
    fn check_kept(head: &str, expected: bool) {
        let transcript = response(Method::Get, format!("{head}\r\n\r\n").as_bytes());
        assert_eq!(
            transcript.lines().next().is_some_and(|line| line.contains("keep-alive")),
            expected,
            "{head:?}"
        );
    }
    check_kept("HTTP/1.1 200 OK\r\nContent-Length: 0", true);
    check_kept("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close", false);
    check_kept("HTTP/1.0 200 OK\r\nContent-Length: 0", false);
    check_kept("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive", true);
    check_kept("HTTP/1.1 200 OK\r\nConnection: keep-alive", false);
}

#[test]
fn lone_lf_in_a_response_is_refused_t04() {
    let whole =
        "HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n5;e\r\nhello\r\n0\r\nT: u\r\n\r\n";
    for (at, _) in whole.match_indices("\r\n") {
        let planted = format!("{}{}", &whole[..at], &whole[at + 1..]);
        let transcript = response(Method::Get, planted.as_bytes());
        assert!(verdict(&transcript).starts_with("502 bad_"), "LF at {at}: {transcript}");
    }
}

#[test]
fn odd_field_lines_in_a_response_are_refused_t08() {
    for line in
        ["X : y", " X: y", ": y", "X", "X: a\0b", "X: a\u{7f}", "X: a\rb", "X: y\r\n folded", "X\0: y"]
    {
        check_get(&format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n"), "502 bad_header");
    }
}

#[test]
fn bytes_nobody_asked_for_are_refused_t07() {
    let mut decoder = ResponseDecoder::new(HeadLimits::default());
    assert_eq!(decoder.handle_input(b"").map(|step| step.event), Ok(None));
    assert_eq!(decoder.handle_input(b"H"), Err(ResponseError::Unsolicited));
    check_get(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n",
        r#"Head 200 "OK" 1.1 Length(2) keep-alive
             Content-Length: 2
           Data ok
           End
           502 unsolicited_response"#,
    );
}

#[test]
fn a_stale_connection_is_told_from_a_broken_response() {
    let mut decoder = ResponseDecoder::new(HeadLimits::default());
    decoder.expect(Method::Get);
    assert!(!decoder.has_begun());
    assert_eq!(decoder.handle_eof(), Err(ResponseError::Truncated));
    assert!(!decoder.has_begun());
    decoder.expect(Method::Get);
    assert_eq!(decoder.handle_input(b"HTTP/1.1").map(|step| step.consumed), Ok(0));
    assert!(decoder.has_begun());
    assert_eq!(decoder.handle_eof(), Err(ResponseError::Truncated));
}

#[test]
fn limits_hold_for_responses_t14() {
    check_get(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(101)), "502 too_many_headers");
    check_get(&format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(8190)), "502 header_too_large");
    check_get(&format!("HTTP/1.1 200 {}", "x".repeat(8192)), "502 header_too_large");
}
