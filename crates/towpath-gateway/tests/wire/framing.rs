//! T01–T04, T08: one reading of where a message ends and what its fields are.

use towpath_testkit::wire;

use crate::gateway::{Gateway, check, check_torn};
use crate::verdict::{self, outcome};

#[test]
fn length_and_coding_together_are_refused_t01() {
    verdict::check(
        Gateway::new,
        r#"
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\nTRANSFER-encoding: Chunked\r\nContent-LENGTH: 5\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\ntransfer-encoding: identity\r\n\r\nhelloGET /x HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_framing closed                   <- GET / HTTP/1.1\r\nhost: h\r\ncontent-length:\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n
        400 bad_request_framing closed                   <- POST / HTTP/1.0\r\nhost: h\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n
        "#,
    );
}

#[test]
fn the_answer_to_a_bad_head_closes_and_the_rest_is_never_parsed_t01() {
    check_torn(
        Gateway::new,
        r#"
        client> POST / HTTP/1.1
        client> host: h
        client> content-length: 5
        client> transfer-encoding: chunked
        client>
        client> 0
        client>
        client> GET /smuggled HTTP/1.1
        client> host: h
        client>
        client< HTTP/1.1 400 Bad Request
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_request_error; details="bad_request_framing"
        client< Content-Length: 37
        client< connection: close
        client<
        client< 400 Bad Request: bad_request_framing\n\
        client< (end)

        # What it sends on is read for a moment and thrown away.
        client> GET /late HTTP/1.1
        client> host: h
        client>
        wait 3s
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_request_before_the_bad_one_is_answered_t01() {
    check(
        Gateway::new,
        r#"
        client> GET /good HTTP/1.1
        client> host: h
        client>
        client> POST /bad HTTP/1.1
        client> host: h
        client> content-length: 1
        client> content-length: 1
        client>
        client> x\
        origin< (connected)
        origin< GET /good HTTP/1.1
        origin< host: h
        origin<

        origin> HTTP/1.1 200 OK
        origin> content-length: 2
        origin>
        origin> hi\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 2
        client<
        client< hiHTTP/1.1 400 Bad Request
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_request_error; details="bad_request_framing"
        client< Content-Length: 37
        client< connection: close
        client<
        client< 400 Bad Request: bad_request_framing\n\
        client< (end)
        "#,
    );
}

#[test]
fn framing_is_written_anew_t01() {
    check_torn(
        Gateway::new,
        r#"
        client> POST / HTTP/1.1
        client> Host: h
        client> CONTENT-length:    005
        client> Connection: keep-alive
        client>
        client> hello\
        origin< (connected)
        origin< POST / HTTP/1.1
        origin< host: h
        origin< Content-Length: 5
        origin<
        origin< hello\
        "#,
    );
}

#[test]
fn a_length_is_one_decimal_number_below_2_to_the_64_t02() {
    verdict::check(
        Gateway::new,
        r#"
        200 open, origin: POST /                         <- POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nhi
        200 open, origin: POST /                         <- POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n
        200 open, origin: POST /                         <- POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 0000000000000000000000002\r\n\r\nhi
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ncontent-length: +2\r\n\r\nhi
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ncontent-length: -2\r\n\r\nhi
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 0x2\r\n\r\nhi
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2, 2\r\n\r\nhi
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2,2\r\n\r\nhi
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2;\r\n\r\nhi
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2 2\r\n\r\nhi
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2.0\r\n\r\nhi
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 1e1\r\n\r\nhi
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ncontent-length: \xc2\xb2\r\n\r\nhi
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ncontent-length:\r\n\r\nhi
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nhi
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\nContent-Length: 3\r\n\r\nhi
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 18446744073709551616\r\n\r\nhi
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 99999999999999999999999999\r\n\r\nhi
        "#,
    );
}

#[test]
fn a_coding_is_chunked_once_and_nothing_else_t03() {
    verdict::check(
        Gateway::new,
        r#"
        200 open, origin: POST /                         <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n
        200 open, origin: POST /                         <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: CHUNKED\r\n\r\n0\r\n\r\n
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: identity\r\n\r\nGET /x HTTP/1.1\r\nhost: h\r\n\r\n
        501 unknown_transfer_coding closed               <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked;q=1\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: "chunked"\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding:\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_header closed                            <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_header closed                            <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_header closed                            <- POST / HTTP/1.1\r\nhost: h\r\n transfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_header closed                            <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_framing closed                   <- POST / HTTP/1.0\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nhost: h\r\n\r\n
        "#,
    );
}

#[test]
fn a_field_that_only_resembles_transfer_encoding_frames_nothing_and_is_dropped_t03() {
    verdict::check(
        Gateway::new,
        r#"
        200, 200 open, origin: GET /, GET /x             <- GET / HTTP/1.1\r\nhost: h\r\ntransfer_encoding: chunked\r\n\r\nGET /x HTTP/1.1\r\nhost: h\r\n\r\n
        "#,
    );
}

#[test]
fn a_request_body_never_ends_by_close_t03() {
    check_torn(
        Gateway::new,
        r#"
        # Without a length there is no body: what follows is the next request, and it is none.
        client> POST / HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< POST / HTTP/1.1
        origin< host: h
        origin<

        origin> HTTP/1.1 204 No Content
        origin>
        client< HTTP/1.1 204 No Content
        client< date: (now)
        client<

        client> not a request
        client>
        client< HTTP/1.1 400 Bad Request
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_request_error; details="bad_request_line"
        client< Content-Length: 34
        client< connection: close
        client<
        client< 400 Bad Request: bad_request_line\n\
        client< (end)
        "#,
    );
    check(
        Gateway::new,
        r#"
        # The end of the stream does not complete a body.
        client> POST / HTTP/1.1
        client> host: h
        client> content-length: 5
        client>
        client> hel\
        origin< (connected)
        origin< POST / HTTP/1.1
        origin< host: h
        origin< Content-Length: 5
        origin<
        origin< hel\
        client> (end)
        origin< (end)
        client< (end)
        proxy: reasons
        proxy< client_gone 1
        "#,
    );
}

#[test]
fn chunk_lines_are_read_strictly_t04() {
    verdict::check(
        Gateway::new,
        r#"
        200 open, origin: POST /                         <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2;a=b\r\nhi\r\n0;c\r\n\r\n
        200 open, origin: POST /                         <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2;(a * 200)\r\nhi\r\n0\r\n\r\n
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2;(a * 300)\r\nhi\r\n0\r\n\r\n
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2;a\nb\r\nhi\r\n0\r\n\r\n
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2 \r\nhi\r\n0\r\n\r\n
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n 2\r\nhi\r\n0\r\n\r\n
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n0x2\r\nhi\r\n0\r\n\r\n
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n+2\r\nhi\r\n0\r\n\r\n
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n-1\r\nhi\r\n0\r\n\r\n
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n\r\nhi\r\n0\r\n\r\n
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi!!0\r\n\r\n
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r0\r\n\r\n
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n10000000000000002\r\nhi\r\n0\r\n\r\n
        400 bad_request_framing closed                   <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nhi\r\n0\r\n\r\n
        "#,
    );
}

#[test]
fn lone_lf_is_refused_at_every_line_end_t04() {
    let request = wire::bytes(
        r"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\nx: y\r\n\r\n2\r\nhi\r\n0\r\nt: u\r\n\r\n",
    );
    let whole = outcome(Gateway::new(), &request, None).to_string();
    assert_eq!(whole, "200 open, origin: POST /");
    let ends: Vec<usize> = (0..request.len()).filter(|&at| request[at] == b'\r').collect();
    assert_eq!(ends.len(), 10);
    for end in ends {
        let mut planted = [&request[..end], &request[end + 1..]].concat();
        planted.extend(b"GET /x HTTP/1.1\r\nhost: h\r\n\r\n");
        for seed in [None, Some(1), Some(2)] {
            let found = outcome(Gateway::new(), &planted, seed);
            let shown = planted.escape_ascii();
            assert!(found.is_closed, "{shown}");
            let answers = found.answers();
            assert!(
                answers == ["400 bad_line_end"] || answers == ["400 bad_request_framing"],
                "{shown}: {answers:?}"
            );
            assert!(found.requests.is_empty(), "{shown}");
        }
    }
}

/// RFC 9110 §5.5 and §5.6.2, written down once more.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

#[test]
fn every_byte_at_every_place_of_a_request_field_is_passed_on_or_refused_t08() {
    for byte in 0..=255u8 {
        for (before, after, is_name) in [
            (&b""[..], &b"ame: value"[..], true),
            (b"na", b"me: value", true),
            (b"name", b": value", true),
            (b"name:", b"value", false),
            (b"name: ", b"value", false),
            (b"name: va", b"lue", false),
            (b"name: value", b"", false),
        ] {
            let field = [before, &[byte], after].concat();
            // A colon in a name ends it, and makes another name that is none or is one.
            let is_valid = match (is_name, byte) {
                (true, b':') => !before.is_empty(),
                (true, _) => is_name_byte(byte),
                (false, _) => is_value_byte(byte),
            };
            let request = [b"GET / HTTP/1.1\r\nhost: h\r\n", &field[..], b"\r\nx: y\r\n\r\n"].concat();
            let found = outcome(Gateway::new().listener(|l| l.underscore_headers = true), &request, None);
            let shown = field.escape_ascii();
            if is_valid {
                assert_eq!(found.to_string(), "200 open, origin: GET /", "{shown}");
                let is_there = found.requests[0].fields.iter().any(|(name, value)| {
                    let passed = [name.as_bytes(), b":", value].concat().to_ascii_lowercase();
                    let blanks = |byte: &u8| matches!(byte, b' ' | b'\t');
                    let sent: Vec<u8> = field.iter().copied().filter(|b| !blanks(b)).collect();
                    passed.iter().copied().filter(|b| !blanks(b)).eq(sent.to_ascii_lowercase())
                });
                assert!(is_there || byte >= 0x80, "{shown}: {:?}", found.requests[0].fields);
            } else {
                assert_eq!(found.answers().len(), 1, "{shown}");
                assert!(found.is_closed && found.requests.is_empty(), "{shown}: {found}");
                assert!(found.answers()[0].starts_with("400 bad_"), "{shown}: {found}");
            }
        }
    }
}

#[test]
fn fields_that_are_folded_empty_or_spaced_are_refused_t08() {
    verdict::check(
        Gateway::new,
        r#"
        400 bad_header closed                            <- GET / HTTP/1.1\r\nhost: h\r\na: b\r\n c\r\n\r\n
        400 bad_header closed                            <- GET / HTTP/1.1\r\nhost: h\r\na: b\r\n\tc\r\n\r\n
        400 bad_header closed                            <- GET / HTTP/1.1\r\n host: h\r\n\r\n
        400 bad_header closed                            <- GET / HTTP/1.1\r\nhost: h\r\n: b\r\n\r\n
        400 bad_header closed                            <- GET / HTTP/1.1\r\nhost: h\r\n\x20: b\r\n\r\n
        400 bad_header closed                            <- GET / HTTP/1.1\r\nhost: h\r\na : b\r\n\r\n
        400 bad_header closed                            <- GET / HTTP/1.1\r\nhost: h\r\na\r\n\r\n
        200 open, origin: GET /                          <- GET / HTTP/1.1\r\nhost: h\r\na:\r\n\r\n
        400 bad_header closed                            <- GET / HTTP/1.1\r\nhost: h\r\na: b\r\r\n\r\n
        400 bad_header closed                            <- GET / HTTP/1.1\r\nhost: h\r\na: b\0\r\n\r\n
        "#,
    );
}

#[test]
fn a_request_line_has_three_words_t08() {
    verdict::check(
        Gateway::new,
        r#"
        200 open, origin: GET /                          <- \r\nGET / HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_line closed                      <- \r\n\r\nGET / HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_line closed                      <- GET  / HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_line closed                      <- GET /  HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_line closed                      <- GET\t/ HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_line closed                      <-  GET / HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_line closed                      <- GET / HTTP/1.1 \r\nhost: h\r\n\r\n
        400 bad_request_line closed                      <- GET /\r\nhost: h\r\n\r\n
        505 unsupported_version closed                   <- GET / HTTP/2.0\r\nhost: h\r\n\r\n
        505 unsupported_version closed                   <- GET / HTTP/1.2\r\nhost: h\r\n\r\n
        400 bad_request_line closed                      <- GET / HTTP/1.10\r\nhost: h\r\n\r\n
        400 bad_request_line closed                      <- GET / http/1.1\r\nhost: h\r\n\r\n
        505 unsupported_version closed                   <- PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n
        400 bad_request_line closed                      <- G\x00T / HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_line closed                      <- \x16\x03\x01\x02\x00\x01
        200 open, origin: get /                          <- get / HTTP/1.1\r\nhost: h\r\n\r\n
        "#,
    );
}
