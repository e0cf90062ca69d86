//! Replays a fixed set of messages through both decoders, for instruction counts under callgrind.
//!
//! `cargo run --release --example codec_replay -p towpath-proto -- 10000` runs ten thousand rounds. Nothing
//! is allocated in a round, nothing depends on time or chance: two runs of one build execute the same
//! instructions.

use std::hint::black_box;

use towpath_proto::h1::{Event, HeadLimits, RequestDecoder, ResponseDecoder};
use towpath_proto::message::Method;

const ROUNDS_COUNT_DEFAULT: u64 = 10_000;

/// What a browser sends: ten fields.
const BROWSER_GET: &[u8] = b"GET /assets/app.css?v=3 HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nAccept: text/css,*/*;q=0.1\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nReferer: https://www.example.com/start\r\nCookie: session=0123456789abcdef0123456789abcdef\r\nConnection: keep-alive\r\nSec-Fetch-Dest: style\r\nPragma: no-cache\r\n\r\n";

/// What a load generator sends.
const BARE_GET: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

const POST_LENGTH: &[u8] = b"POST /api/orders HTTP/1.1\r\nHost: api.example.com\r\nContent-Type: application/json\r\nContent-Length: 27\r\nAuthorization: Bearer abcdef\r\n\r\n{\"item\":\"boat\",\"count\":  3}";

const POST_CHUNKED: &[u8] = b"POST /upload HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\nTrailer: Digest\r\n\r\n10\r\n0123456789abcdef\r\n5;x=y\r\nhello\r\n0\r\nDigest: sha-256=abc\r\n\r\n";

const NOT_CANONICAL: &[u8] =
    b"GET /a/../b//%7Euser HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n";

const REQUESTS: &[&[u8]] = &[BROWSER_GET, BARE_GET, POST_LENGTH, POST_CHUNKED, NOT_CANONICAL];

const RESPONSES: &[(Method, &[u8])] = &[
    (Method::Get, b"HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain\r\nContent-Length: 13\r\nConnection: keep-alive\r\nETag: \"abc\"\r\n\r\nHello, world!"),
    (Method::Get, b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nTransfer-Encoding: chunked\r\nCache-Control: no-store\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"),
    (Method::Post, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nLocation: /orders/1\r\nContent-Length: 0\r\n\r\n"),
    (Method::Head, b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\nAccept-Ranges: bytes\r\n\r\n"),
    (Method::Get, b"HTTP/1.1 304 Not Modified\r\nETag: \"abc\"\r\n\r\n"),
];

fn main() {
    let rounds_count =
        std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(ROUNDS_COUNT_DEFAULT);
    let mut requests = RequestDecoder::new(HeadLimits::default());
    let mut responses = ResponseDecoder::new(HeadLimits::default());
    for _ in 0..rounds_count {
        for input in REQUESTS {
            replay_request(&mut requests, input);
        }
        for (method, input) in RESPONSES {
            replay_response(&mut responses, *method, input);
        }
    }
}

fn replay_request(decoder: &mut RequestDecoder, input: &[u8]) {
    let mut unread = black_box(input);
    loop {
        let step = decoder.handle_input(unread).expect("the requests above are good");
        unread = &unread[step.consumed..];
        if black_box(step.event) == Some(Event::End) {
            break;
        }
    }
    assert!(unread.is_empty() && decoder.is_between_messages());
}

fn replay_response(decoder: &mut ResponseDecoder, method: Method, input: &[u8]) {
    decoder.expect(method);
    let mut unread = black_box(input);
    while !decoder.is_complete() {
        let step = decoder.handle_input(unread).expect("the responses above are good");
        unread = &unread[step.consumed..];
        black_box(step.event);
    }
    assert!(unread.is_empty());
}
