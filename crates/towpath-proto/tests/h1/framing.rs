//! Where a message ends: T01 to T06.

use crate::transcript::{assert_transcript, requests, verdict};

#[track_caller]
fn check(input: &str, expected: &str) {
    assert_transcript(&requests(input.as_bytes()), expected, input.as_bytes());
}

/// A POST with these header lines and this rest must end in this verdict.
#[track_caller]
fn check_post(lines: &str, rest: &str, expected: &str) {
    let input = format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n{rest}");
    let transcript = requests(input.as_bytes());
    assert_eq!(verdict(&transcript), expected, "for {input:?}:\n{transcript}");
    if expected.starts_with('4') && !transcript.starts_with("Head") {
        assert_eq!(transcript.lines().count(), 1, "nothing behind a refused head is parsed: {transcript}");
    }
}

const REFUSED: &str = "400 bad_request_framing";

#[test]
fn a_length_beside_a_coding_is_refused_t01() {
    // RFC 9112 §6.3 rule 3.
    let lengths = ["Content-Length: 5", "content-length:0", "CONTENT-LENGTH: 6 "];
    let codings = ["Transfer-Encoding: chunked", "transfer-encoding:CHUNKED", "Transfer-Encoding: chunked\t"];
    for length in lengths {
        for coding in codings {
            for between in ["\r\n", "\r\nX: y\r\n", "\r\nConnection: close\r\nX:\r\n"] {
                check_post(
                    &format!("{length}{between}{coding}"),
                    "0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n",
                    REFUSED,
                );
                check_post(
                    &format!("{coding}{between}{length}"),
                    "0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n",
                    REFUSED,
                );
            }
        }
    }
}

#[test]
fn a_length_is_one_decimal_number_t02() {
    // RFC 9110 §8.6.
    for value in [
        "+5",
        "-5",
        "0x5",
        "5, 5",
        "5,5",
        "5 5",
        "5;",
        "",
        ",",
        "5,",
        "5.0",
        "1e3",
        "five",
        "\u{0665}",
        "'5'",
        "\"5\"",
        "18446744073709551616",
        "99999999999999999999",
        "5\u{b}",
    ] {
        let transcript =
            requests(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {value}\r\n\r\n").as_bytes());
        assert!(transcript.starts_with("400 bad_"), "{value:?}: {transcript}");
    }
    check_post("Content-Length: 5\r\nContent-Length: 5", "hello", REFUSED);
    check_post("Content-Length: 5\r\nX: y\r\ncontent-length: 6", "hello", REFUSED);
    check_post("Content-Length: 18446744073709551615", "hello", "400 request_truncated");
    check_post("Content-Length: 0005", "hello", "closed");
    check_post("Content-Length: \t5 \t", "hello", "closed");
    check_post("Content-Length: 0", "", "closed");
}

#[test]
fn every_digit_string_below_2_to_the_64_is_a_length_t02() {
    for length in [0, 1, 9, 10, 4096, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
        let transcript =
            requests(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n").as_bytes());
        assert!(transcript.contains(&format!("Length({length})")), "{length}: {transcript}");
    }
}

#[test]
fn a_transfer_coding_is_the_single_word_chunked_t03() {
    // RFC 9112 §6.1 and §6.3 rule 4.
    for value in [
        "",
        "xchunked",
        "chunked1",
        "\"chunked\"",
        "'chunked'",
        "chunked;q=1",
        "chunked, chunked",
        "chunked,",
        ", chunked",
        "chunked, identity",
        "identity",
        "gzip",
        "chunke",
        "c hunked",
        "chunked chunked",
        "chunked\u{b}",
        "gzip;a, chunked",
    ] {
        let transcript =
            requests(format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {value}\r\n\r\n").as_bytes());
        assert!(transcript.starts_with("400 bad_"), "{value:?}: {transcript}");
    }
    check_post("Transfer-Encoding: gzip, chunked", "", "501 unknown_transfer_coding");
    check_post("Transfer-Encoding: identity, chunked", "", "501 unknown_transfer_coding");
    check_post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "", REFUSED);
    check_post("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", "", REFUSED);
    check_post("Transfer-Encoding: cHuNkEd", "0\r\n\r\n", "closed");
    // Another name is another field; the gateway drops names with `_` (T42).
    check_post("Transfer_Encoding: chunked", "", "closed");
}

#[test]
fn a_disguised_transfer_encoding_is_refused_t03() {
    for line in [
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        " Transfer-Encoding: chunked",
        "X: y\r\n Transfer-Encoding: chunked",
        "Transfer-Encoding\0: chunked",
        "Transfer-Encoding:\u{b}chunked",
        "X: y\rTransfer-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding",
        "\"Transfer-Encoding\": chunked",
    ] {
        let transcript =
            requests(format!("POST / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n0\r\n\r\n").as_bytes());
        assert!(transcript.starts_with("400 bad_"), "{line:?}: {transcript}");
    }
}

#[test]
fn http_1_0_has_no_transfer_coding_t03() {
    // RFC 9112 §6.1.
    check("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", REFUSED);
    check("POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: identity\r\n\r\n", REFUSED);
}

#[test]
fn a_request_never_ends_by_closing_t03() {
    // RFC 9112 §6.3 rule 7.
    check(
        "POST / HTTP/1.0\r\n\r\nbody",
        "Head POST / 1.0 @- None
         End
         400 request_truncated",
    );
    check_post("Content-Length: 6", "hello", "400 request_truncated");
    check_post("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n", "400 request_truncated");
    check("GET / HTTP/1.1\r\nHost: a\r\n", "400 request_truncated");
    check("", "closed");
}

#[test]
fn a_chunked_body_with_trailers_is_read_rfc9112_7_1() {
    check(
        "PUT /a HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n \r\nA\r\n0123456789\r\n0\r\n\
         Digest: abc\r\nX-Empty:\r\n\r\n",
        r"Head PUT /a 1.1 @b Chunked keep-alive
            Host: b
            Transfer-Encoding: chunked
          Data hello 0123456789
          Trailers
            Digest: abc
            X-Empty:
          End
          closed",
    );
}

#[test]
fn chunk_lines_and_chunk_ends_are_exact_t04() {
    let coding = "Transfer-Encoding: chunked";
    for rest in [
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r\n0\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\r\nhello\r\n",
        "5;a\nhello\r\n",
        "5 \r\nhello\r\n",
        "0x5\r\nhello\r\n",
        "+5\r\nhello\r\n",
        "-1\r\n",
        "\r\n5\r\nhello\r\n",
        "g\r\n",
        "10000000000000000\r\n",
        "00000000000000005\r\nhello\r\n",
        "5;\0\r\nhello\r\n",
        "5;a\rb\r\nhello\r\n",
    ] {
        check_post(coding, rest, REFUSED);
    }
    check_post(coding, "0\r\n\n", "400 bad_line_end");
    check_post(coding, "0\r\nX: y\n\r\n", "400 bad_line_end");
    check_post(coding, &format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(255)), "closed");
    check_post(coding, &format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(256)), REFUSED);
    check_post(coding, &"0".repeat(300), REFUSED);
}

#[test]
fn lone_lf_is_refused_t04() {
    let whole = "POST /a HTTP/1.1\r\nHost: b\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n5;e\r\nhello\r\n0\r\nT: u\r\n\r\n";
    let line_ends: Vec<usize> = whole.match_indices("\r\n").map(|(at, _)| at).collect();
    assert_eq!(line_ends.len(), 10);
    for at in line_ends {
        let planted = format!("{}{}", &whole[..at], &whole[at + 1..]);
        let transcript = requests(planted.as_bytes());
        assert!(verdict(&transcript).starts_with("400 bad_"), "LF at {at}: {transcript}");
    }
}

#[test]
fn a_trailer_that_could_frame_or_route_is_refused_t20() {
    // RFC 9110 §6.5.1.
    let coding = "Transfer-Encoding: chunked";
    for line in [
        "Content-Length: 5",
        "transfer-encoding: chunked",
        "Host: evil",
        "Connection: close",
        "Upgrade: x",
        "TE: trailers",
        "Trailer: X",
        "Expect: 100-continue",
    ] {
        check_post(coding, &format!("0\r\n{line}\r\n\r\n"), "400 bad_trailer");
    }
    for line in [" folded: x", "X : y", ": y", "X", "X: \0", "X: a\rb"] {
        check_post(coding, &format!("0\r\n{line}\r\n\r\n"), "400 bad_header");
    }
}

#[test]
fn a_trailer_that_only_the_head_may_say_is_dropped_t42() {
    check(
        "PUT / HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Forwarded-For: 1\r\nCookie: a\r\nOk: 1\r\n\r\n",
        "Head PUT / 1.1 @b Chunked keep-alive
           Host: b
           Transfer-Encoding: chunked
         Trailers
           Ok: 1
         End
         closed",
    );
    check(
        "PUT / HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nAuthorization: a\r\n\r\n",
        "Head PUT / 1.1 @b Chunked keep-alive
           Host: b
           Transfer-Encoding: chunked
         End
         closed",
    );
}

#[test]
fn expectations_are_100_continue_or_417_t05() {
    // RFC 9110 §10.1.1.
    check(
        "PUT / HTTP/1.1\r\nHost: b\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\nhi",
        "Head PUT / 1.1 @b Length(2) keep-alive continue
           Host: b
           Expect: 100-Continue
           Content-Length: 2
         Data hi
         End
         closed",
    );
    // Without content there is nothing to wait for.
    check(
        "GET / HTTP/1.1\r\nHost: b\r\nExpect: 100-continue\r\n\r\n",
        "Head GET / 1.1 @b None keep-alive
           Host: b
           Expect: 100-continue
         End
         closed",
    );
    // An HTTP/1.0 client does not know what a 100 is.
    check(
        "PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
        "Head PUT / 1.0 @- Length(2)
           Expect: 100-continue
           Content-Length: 2
         Data hi
         End
         closed",
    );
    for value in [
        "",
        "x",
        "y 100-continue",
        "100-continue, x",
        "100-continued",
        "100-continue\r\nExpect: 100-continue",
    ] {
        check_post(&format!("Expect: {value}\r\nContent-Length: 2"), "hi", "417 bad_expectation");
    }
}

#[test]
fn an_upgrade_counts_only_when_it_is_nominated_rfc9110_7_8() {
    check(
        "GET /ws HTTP/1.1\r\nHost: b\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "Head GET /ws 1.1 @b None keep-alive upgrade=websocket
           Host: b
           Connection: keep-alive, Upgrade
           Upgrade: websocket
         End
         closed",
    );
    for head in [
        "GET / HTTP/1.1\r\nHost: b\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: b\r\nConnection: upgrade\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: b\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ] {
        let transcript = requests(head.as_bytes());
        assert_eq!(verdict(&transcript), "closed");
        assert!(!transcript.contains("upgrade="), "{head:?}: {transcript}");
    }
}

#[test]
fn an_upgrade_with_content_is_refused_t06() {
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket";
    for framing in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
        check(&format!("GET / HTTP/1.1\r\nHost: a\r\n{upgrade}\r\n{framing}\r\n\r\n"), REFUSED);
    }
    check(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\nUpgrade: y\r\n\r\n",
        "400 bad_upgrade",
    );
    check("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade:\r\n\r\n", "400 bad_upgrade");
}

#[test]
fn connect_has_no_content_t20() {
    // RFC 9110 §9.3.6.
    for framing in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
        check(&format!("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n{framing}\r\n\r\n"), REFUSED);
    }
}

#[test]
fn pipelined_requests_are_told_apart_rfc9112_9_3_2() {
    check(
        "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\r\n\
         POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nGET /4 HTTP/1.1\r\nConnection: close\r\nHost: a\r\n\r\n",
        "Head GET /1 1.1 @a None keep-alive
           Host: a
         End
         Head POST /2 1.1 @a Length(3) keep-alive
           Host: a
           Content-Length: 3
         Data abc
         End
         Head POST /3 1.1 @a Chunked keep-alive
           Host: a
           Transfer-Encoding: chunked
         Data x
         End
         Head GET /4 1.1 @a None
           Connection: close
           Host: a
         End
         closed",
    );
}

#[test]
fn nothing_behind_a_refused_request_is_parsed_t01() {
    check(
        "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n",
        "Head GET /1 1.1 @a None keep-alive
           Host: a
         End
         400 bad_host",
    );
}
