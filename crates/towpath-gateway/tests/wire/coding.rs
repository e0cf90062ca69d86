//! Responses that are compressed, for clients of either version.

use towpath_gateway::plan::{Compress, Route};
use towpath_proto::coding::{Coding, DecodeLimits, Decoder};
use towpath_testkit::{Seen, Stage, run};

use crate::gateway::{Gateway, check, edits};

/// Compresses bodies of any length, so that dialogues stay short.
fn compressing(route: &mut Route) {
    route.compress = Some(Compress { body_bytes_min: 0, ..Compress::default() });
}

fn compressed() -> Gateway {
    Gateway::new().h2c().route(compressing)
}

fn to_http2() -> Gateway {
    compressed().http2().endpoints(&["origin-h2"])
}

#[test]
fn a_response_is_coded_as_the_client_likes_it_rfc9110_12_5_3() {
    check(
        compressed,
        r#"
        client> GET /gzip HTTP/1.1
        client> host: h
        client> accept-encoding: gzip
        client>
        origin< (connected)
        origin< GET /gzip HTTP/1.1
        origin< host: h
        origin< accept-encoding: gzip
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-type: text/plain
        origin> content-length: 9
        origin> etag: "a"
        origin> accept-ranges: bytes
        origin> x: y
        origin>
        origin> aaaaaaaaa\
        client< HTTP/1.1 200 OK
        client< content-type: text/plain
        client< x: y
        client< date: (now)
        client< content-encoding: gzip
        client< vary: accept-encoding
        client< etag: W/"a"
        client< Transfer-Encoding: chunked
        client<
        client< 17
        client< \x1f\x8b\x08\0\0\0\0\0\0\xffKL\x84\x02\0f\xde\xb7w\t\0\0\0
        client< 0
        client<
        client> GET /br HTTP/1.1
        client> host: h
        client> accept-encoding: gzip, br
        client>
        origin< GET /br HTTP/1.1
        origin< host: h
        origin< accept-encoding: gzip, br
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-type: text/plain
        origin> transfer-encoding: chunked
        origin> vary: origin
        origin>
        origin> 9
        origin> aaaaaaaaa
        origin> 0
        origin>
        client< HTTP/1.1 200 OK
        client< content-type: text/plain
        client< vary: origin
        client< date: (now)
        client< content-encoding: br
        client< vary: accept-encoding
        client< Transfer-Encoding: chunked
        client<
        client< a
        client< \x13\x08\0\0$\xc2B\x97\0\x02
        client< 0
        client<
        client> GET /zstd HTTP/1.1
        client> host: h
        client> accept-encoding: gzip, br, zstd
        client>
        origin< GET /zstd HTTP/1.1
        origin< host: h
        origin< accept-encoding: gzip, br, zstd
        origin<
        origin> HTTP/1.1 404 Not Found
        origin> content-type: text/plain
        origin>
        origin> aaaaaaaaa\
        client< HTTP/1.1 404 Not Found
        client< content-type: text/plain
        client< date: (now)
        client< content-encoding: zstd
        client< vary: accept-encoding
        client< Transfer-Encoding: chunked
        client<
        client< 12
        client< (\xb5/\xfd\0@H\0\0aaaaaaaaa
        origin> (end)
        origin< (end)
        client< 3
        client< \x01\0\0
        client< 0
        client<
        "#,
    );
}

#[test]
fn a_client_of_http2_gets_it_coded_too() {
    check(
        compressed,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> get 1 /gzip | accept-encoding gzip
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin< (connected)
        origin< GET /gzip HTTP/1.1
        origin< host: h
        origin< accept-encoding: gzip
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-type: text/plain
        origin> content-length: 9
        origin> etag: "a"
        origin>
        origin> aaaaaaaaa\
        client-h2< HEADERS 1 | :status 200 | content-type text/plain | date (now) | content-encoding gzip | vary accept-encoding | etag W/\"a\"
        client-h2< DATA 1 END \x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xffKL\x84\x02\x00f\xde\xb7w\t\x00\x00\x00
        client-h2> get 3 /br | accept-encoding br
        origin< GET /br HTTP/1.1
        origin< host: h
        origin< accept-encoding: br
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-type: text/plain
        origin> content-length: 9
        origin>
        origin> aaaa\
        origin> aaaaa\
        client-h2< HEADERS 3 | :status 200 | content-type text/plain | date (now) | content-encoding br | vary accept-encoding
        client-h2< DATA 3 END \x13\x08\x00\x00$\xc2B\x97\x00\x02
        client-h2> get 5 /zstd | accept-encoding zstd
        origin< GET /zstd HTTP/1.1
        origin< host: h
        origin< accept-encoding: zstd
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-type: text/plain
        origin> transfer-encoding: chunked
        origin> trailer: x-sum
        origin>
        origin> 9
        origin> aaaaaaaaa
        origin> 0
        origin> x-sum: 7
        origin> content-digest: sha-256=:AA==:
        origin>
        client-h2< HEADERS 5 | :status 200 | content-type text/plain | date (now) | content-encoding zstd | vary accept-encoding
        client-h2< DATA 5 (\xb5/\xfd\x00@I\x00\x00aaaaaaaaa
        client-h2< HEADERS 5 END | x-sum 7
        "#,
    );
}

#[test]
fn an_origin_of_http2_is_coded_for_clients_of_either_version() {
    check(
        to_http2,
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client> accept-encoding: gzip
        client>
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        origin-h2< HEADERS 1 END | :method GET | :scheme http | :path / | :authority h | accept-encoding gzip
        origin-h2> settings
        origin-h2> headers 1 | :status 200 | content-type text/plain | content-length 9
        origin-h2> data 1 aaaa
        origin-h2> data 1 aaaaa end
        origin-h2< SETTINGS ACK
        client< HTTP/1.1 200 OK
        client< content-type: text/plain
        client< date: (now)
        client< content-encoding: gzip
        client< vary: accept-encoding
        client< Transfer-Encoding: chunked
        client<
        client< 17
        client< \x1f\x8b\x08\0\0\0\0\0\0\xffKL\x84\x02\0f\xde\xb7w\t\0\0\0
        client< 0
        client<
        client-h2> preface
        client-h2> settings
        client-h2> get 1 / | accept-encoding gzip
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin-h2< HEADERS 3 END | :method GET | :scheme http | :path / | :authority h | accept-encoding gzip
        origin-h2> headers 3 | :status 200 | content-type text/plain
        origin-h2> data 3 aaaaaaaaa
        origin-h2> headers 3 end | x-sum 7
        client-h2< HEADERS 1 | :status 200 | content-type text/plain | date (now) | content-encoding gzip | vary accept-encoding
        client-h2< DATA 1 \x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xffKL\x84\x02\x00f\xde\xb7w\t\x00\x00\x00
        client-h2< HEADERS 1 END | x-sum 7
        "#,
    );
}

#[test]
fn what_is_not_coded_says_that_it_may_be_or_says_nothing_rfc9110_12_5_5() {
    check(
        || Gateway::new().route(|route| route.compress = Some(Compress::default())),
        r#"
        client> GET /plain HTTP/1.1
        client> host: h
        client> accept-encoding: identity
        client>
        origin< (connected)
        origin< GET /plain HTTP/1.1
        origin< host: h
        origin< accept-encoding: identity
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-type: text/plain
        origin> content-length: 2000
        origin> etag: "a"
        origin>
        origin> (a * 2000)\
        client< HTTP/1.1 200 OK
        client< content-type: text/plain
        client< etag: "a"
        client< date: (now)
        client< vary: accept-encoding
        client< Content-Length: 2000
        client<
        client< (a * 2000)\
        client> GET /small HTTP/1.1
        client> host: h
        client> accept-encoding: gzip
        client>
        origin< GET /small HTTP/1.1
        origin< host: h
        origin< accept-encoding: gzip
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-type: text/plain
        origin> content-length: 1023
        origin>
        origin> (a * 1023)\
        client< HTTP/1.1 200 OK
        client< content-type: text/plain
        client< date: (now)
        client< Content-Length: 1023
        client<
        client< (a * 1023)\
        client> GET /image HTTP/1.1
        client> host: h
        client> accept-encoding: gzip
        client>
        origin< GET /image HTTP/1.1
        origin< host: h
        origin< accept-encoding: gzip
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-type: image/png
        origin> content-length: 2000
        origin>
        origin> (a * 2000)\
        client< HTTP/1.1 200 OK
        client< content-type: image/png
        client< date: (now)
        client< Content-Length: 2000
        client<
        client< (a * 2000)\
        client> GET /part HTTP/1.1
        client> host: h
        client> accept-encoding: gzip
        client> range: bytes=0-1999
        client>
        origin< GET /part HTTP/1.1
        origin< host: h
        origin< accept-encoding: gzip
        origin< range: bytes=0-1999
        origin<
        origin> HTTP/1.1 206 Partial Content
        origin> content-type: text/plain
        origin> content-length: 2000
        origin> content-range: bytes 0-1999/4000
        origin>
        origin> (a * 2000)\
        client< HTTP/1.1 206 Partial Content
        client< content-type: text/plain
        client< content-range: bytes 0-1999/4000
        client< date: (now)
        client< Content-Length: 2000
        client<
        client< (a * 2000)\
        client> GET /kept HTTP/1.1
        client> host: h
        client> accept-encoding: gzip
        client>
        origin< GET /kept HTTP/1.1
        origin< host: h
        origin< accept-encoding: gzip
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-type: text/plain
        origin> content-length: 2000
        origin> cache-control: no-transform
        origin>
        origin> (a * 2000)\
        client< HTTP/1.1 200 OK
        client< content-type: text/plain
        client< cache-control: no-transform
        client< date: (now)
        client< Content-Length: 2000
        client<
        client< (a * 2000)\
        client> GET /asked HTTP/1.1
        client> host: h
        client> accept-encoding: gzip
        client> cache-control: no-transform
        client>
        origin< GET /asked HTTP/1.1
        origin< host: h
        origin< accept-encoding: gzip
        origin< cache-control: no-transform
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-type: text/plain
        origin> content-length: 2000
        origin>
        origin> (a * 2000)\
        client< HTTP/1.1 200 OK
        client< content-type: text/plain
        client< date: (now)
        client< vary: accept-encoding
        client< Content-Length: 2000
        client<
        client< (a * 2000)\
        client> GET /coded HTTP/1.1
        client> host: h
        client> accept-encoding: gzip
        client>
        origin< GET /coded HTTP/1.1
        origin< host: h
        origin< accept-encoding: gzip
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-type: text/plain
        origin> content-length: 2000
        origin> content-encoding: br
        origin>
        origin> (a * 2000)\
        client< HTTP/1.1 200 OK
        client< content-type: text/plain
        client< content-encoding: br
        client< date: (now)
        client< Content-Length: 2000
        client<
        client< (a * 2000)\
        "#,
    );
}

#[test]
fn a_route_that_says_nothing_leaves_bodies_alone_t50() {
    check(
        Gateway::new,
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client> accept-encoding: gzip
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin< accept-encoding: gzip
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-type: text/plain
        origin> content-length: 2000
        origin>
        origin> (a * 2000)\
        client< HTTP/1.1 200 OK
        client< content-type: text/plain
        client< date: (now)
        client< Content-Length: 2000
        client<
        client< (a * 2000)\
        client> POST / HTTP/1.1
        client> host: h
        client> content-encoding: deflate
        client> content-length: 4
        client>
        client> what\
        origin< POST / HTTP/1.1
        origin< host: h
        origin< content-encoding: deflate
        origin< Content-Length: 4
        origin<
        origin< what\
        "#,
    );
}

#[test]
fn what_has_no_body_has_the_head_that_it_would_have_with_one_rfc9110_9_3_2() {
    check(
        compressed,
        r#"
        client> HEAD / HTTP/1.1
        client> host: h
        client> accept-encoding: gzip
        client>
        origin< (connected)
        origin< HEAD / HTTP/1.1
        origin< host: h
        origin< accept-encoding: gzip
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-type: text/plain
        origin> content-length: 9
        origin> etag: "a"
        origin>
        client< HTTP/1.1 200 OK
        client< content-type: text/plain
        client< date: (now)
        client< content-encoding: gzip
        client< vary: accept-encoding
        client< etag: W/"a"
        client<
        client> GET / HTTP/1.1
        client> host: h
        client> accept-encoding: gzip
        client> if-none-match: W/"a"
        client>
        origin< GET / HTTP/1.1
        origin< host: h
        origin< accept-encoding: gzip
        origin< if-none-match: W/"a"
        origin<
        origin> HTTP/1.1 304 Not Modified
        origin> etag: "a"
        origin>
        client< HTTP/1.1 304 Not Modified
        client< date: (now)
        client< vary: accept-encoding
        client< etag: W/"a"
        client<
        client-h2> preface
        client-h2> settings
        client-h2> headers 1 end | :method HEAD | :scheme http | :path / | :authority h | accept-encoding gzip
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin< HEAD / HTTP/1.1
        origin< host: h
        origin< accept-encoding: gzip
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-type: text/plain
        origin> content-length: 9
        origin>
        client-h2< HEADERS 1 END | :status 200 | content-type text/plain | date (now) | content-encoding gzip | vary accept-encoding
        client-h2> get 3 / | accept-encoding gzip
        origin< GET / HTTP/1.1
        origin< host: h
        origin< accept-encoding: gzip
        origin<
        origin> HTTP/1.1 304 Not Modified
        origin> etag: "a"
        origin>
        client-h2< HEADERS 3 END | :status 304 | date (now) | vary accept-encoding | etag W/\"a\"
        "#,
    );
}

#[test]
fn the_edits_of_the_route_come_last() {
    let edited = |route: &mut Route| {
        compressing(route);
        route.response_headers = edits(&["etag"], &[("vary", "*")], &[("x", "y")]);
    };
    check(
        move || Gateway::new().route(edited),
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client> accept-encoding: gzip
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin< accept-encoding: gzip
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-type: text/plain
        origin> content-length: 9
        origin> etag: "a"
        origin>
        origin> aaaaaaaaa\
        client< HTTP/1.1 200 OK
        client< content-type: text/plain
        client< date: (now)
        client< content-encoding: gzip
        client< vary: *
        client< x: y
        client< Transfer-Encoding: chunked
        client<
        client< 17
        client< \x1f\x8b\x08\0\0\0\0\0\0\xffKL\x84\x02\0f\xde\xb7w\t\0\0\0
        client< 0
        client<
        "#,
    );
}

#[test]
fn a_client_of_http10_gets_it_until_the_close() {
    check(
        compressed,
        r#"
        client> GET / HTTP/1.0
        client> accept-encoding: gzip
        client> connection: keep-alive
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: origin
        origin< accept-encoding: gzip
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-type: text/plain
        origin> content-length: 9
        origin>
        origin> aaaaaaaaa\
        client< HTTP/1.1 200 OK
        client< content-type: text/plain
        client< date: (now)
        client< content-encoding: gzip
        client< vary: accept-encoding
        client< connection: close
        client<
        client< \x1f\x8b\x08\0\0\0\0\0\0\xffKL\x84\x02\0f\xde\xb7w\t\0\0\0\
        client< (end)
        "#,
    );
}

#[test]
fn events_arrive_one_by_one() {
    check(
        compressed,
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client> accept-encoding: gzip
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin< accept-encoding: gzip
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-type: text/event-stream
        origin> transfer-encoding: chunked
        origin>
        client< HTTP/1.1 200 OK
        client< content-type: text/event-stream
        client< date: (now)
        client< content-encoding: gzip
        client< vary: accept-encoding
        client< Transfer-Encoding: chunked
        client<
        wait 20s
        origin> 9
        origin> data: 1\n\n
        client< 19
        client< \x1f\x8b\x08\0\0\0\0\0\0\xffJI,I\xb4R0\xe4\xe2\x02\0\0\0\xff\xff
        wait 20s
        origin> 9
        origin> data: 2\n\n
        client< c
        client< J\x013\x8c\xb8\xb8\0\0\0\0\xff\xff
        wait 20s
        origin> 0
        origin>
        client< a
        client< \x03\0\x06-\0\x8f\x12\0\0\0
        client< 0
        client<
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> get 1 / | accept-encoding br
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin< GET / HTTP/1.1
        origin< host: h
        origin< accept-encoding: br
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-type: text/event-stream
        origin>
        client-h2< HEADERS 1 | :status 200 | content-type text/event-stream | date (now) | content-encoding br | vary accept-encoding
        wait 20s
        origin> data: 1\n\n\
        client-h2< DATA 1 \x03\x04\x80data: 1\n\n
        wait 20s
        origin> data: 2\n\n\
        client-h2< DATA 1 @\x00\x00@JA\xa6\x08\xd1$\x18c\x00
        origin> (end)
        origin< (end)
        client-h2< DATA 1 END \x03
        "#,
    );
}

#[test]
fn a_body_that_breaks_off_does_not_look_whole_t07() {
    check(
        compressed,
        r#"
        client> GET /chunked HTTP/1.1
        client> host: h
        client> accept-encoding: gzip
        client>
        origin< (connected)
        origin< GET /chunked HTTP/1.1
        origin< host: h
        origin< accept-encoding: gzip
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-type: text/plain
        origin> transfer-encoding: chunked
        origin>
        origin> 9
        origin> aaaaaaaaa
        client< HTTP/1.1 200 OK
        client< content-type: text/plain
        client< date: (now)
        client< content-encoding: gzip
        client< vary: accept-encoding
        client< Transfer-Encoding: chunked
        client<
        client< 14
        client< \x1f\x8b\x08\0\0\0\0\0\0\xffJL\x84\x02\0\0\0\0\xff\xff
        origin> (end)
        origin< (end)
        client< (end)
        client#2> GET /length HTTP/1.1
        client#2> host: h
        client#2> accept-encoding: gzip
        client#2>
        origin#2< (connected)
        origin#2< GET /length HTTP/1.1
        origin#2< host: h
        origin#2< accept-encoding: gzip
        origin#2<
        origin#2> HTTP/1.1 200 OK
        origin#2> content-type: text/plain
        origin#2> content-length: 9
        origin#2>
        origin#2> aaaa\
        client#2< HTTP/1.1 200 OK
        client#2< content-type: text/plain
        client#2< date: (now)
        client#2< content-encoding: gzip
        client#2< vary: accept-encoding
        client#2< Transfer-Encoding: chunked
        client#2<
        client#2< a
        client#2< \x1f\x8b\x08\0\0\0\0\0\0\xff
        origin#2> (reset)
        client#2< (end)
        client-h2> preface
        client-h2> settings
        client-h2> get 1 / | accept-encoding zstd
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin#3< (connected)
        origin#3< GET / HTTP/1.1
        origin#3< host: h
        origin#3< accept-encoding: zstd
        origin#3<
        origin#3> HTTP/1.1 200 OK
        origin#3> content-type: text/plain
        origin#3> content-length: 9
        origin#3>
        origin#3> aaaa\
        client-h2< HEADERS 1 | :status 200 | content-type text/plain | date (now) | content-encoding zstd | vary accept-encoding
        origin#3> (end)
        origin#3< (end)
        client-h2< RST_STREAM 1 InternalError
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

/// Text that becomes some five times as small, the same in every run.
pub(crate) fn prose(bytes: usize) -> Vec<u8> {
    let mut state = 7_u32;
    let words = std::iter::repeat_with(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        format!("word{} ", state >> 22)
    });
    words.flat_map(String::into_bytes).take(bytes).collect()
}

fn decoded(coding: Coding, coded: &[u8]) -> Vec<u8> {
    let (mut decoder, mut plain) = (Decoder::new(coding, DecodeLimits::default()), Vec::new());
    let mut rest = coded;
    loop {
        let step = decoder.handle_input(rest, &mut plain).expect("it is coded");
        rest = &rest[step.consumed..];
        if !step.is_cut {
            decoder.finish().expect("it is whole");
            return plain;
        }
    }
}

/// The data of the chunks behind a head.
pub(crate) fn chunks_of(message: &[u8]) -> Vec<u8> {
    let end_of = |text: &[u8], end: &[u8]| text.windows(end.len()).position(|part| part == end);
    let mut rest = &message[end_of(message, b"\r\n\r\n").expect("a head") + 4..];
    let mut data = Vec::new();
    loop {
        let line = end_of(rest, b"\r\n").expect("the line of a chunk");
        let size = std::str::from_utf8(&rest[..line]).expect("a number");
        let size = usize::from_str_radix(size, 16).expect("a number");
        if size == 0 {
            assert_eq!(&rest[line..], b"\r\n\r\n");
            return data;
        }
        data.extend_from_slice(&rest[line + 2..][..size]);
        rest = &rest[line + 2 + size + 2..];
    }
}

/// What `label` has seen since the last look.
pub(crate) fn bytes_of(stage: &Stage, label: &str) -> Vec<u8> {
    let seen = stage.seen().into_iter().filter(|(party, _)| &**party == label);
    let bytes = seen.filter_map(|(_, seen)| if let Seen::Bytes(bytes) = seen { Some(bytes) } else { None });
    bytes.flatten().collect()
}

/// What the client gets of `plain` in this coding.
async fn answered(stage: &Stage, coding: Coding, head: &str, plain: &[u8]) -> Vec<u8> {
    let _gateway = compressed().start(stage);
    let request = format!("GET / HTTP/1.1\r\nhost: h\r\naccept-encoding: {}\r\n\r\n", coding.token());
    stage.send("client", request.as_bytes()).await;
    stage.settle().await;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n{head}\r\n");
    stage.send("origin", &[head.as_bytes(), plain].concat()).await;
    stage.end("origin").await;
    stage.settle().await;
    bytes_of(stage, "client")
}

pub(crate) const CODINGS: [Coding; 3] = [Coding::Gzip, Coding::Brotli, Coding::Zstd];

#[test]
fn a_long_response_is_the_same_bytes_in_every_coding() {
    let plain = prose(1_000_000);
    for coding in CODINGS {
        for head in [format!("content-length: {}\r\n", plain.len()), String::new()] {
            let seen = run(async { answered(&Stage::default(), coding, &head, &plain).await });
            let body = chunks_of(&seen);
            assert!(body.len() < plain.len() / 2, "{coding:?} {head}: {} bytes", body.len());
            assert!(decoded(coding, &body) == plain, "{coding:?} {head}");
        }
    }
}

#[test]
fn a_response_in_pieces_is_the_same_bytes() {
    let plain = prose(5_000);
    for (seed, coding) in (0..).zip([CODINGS, CODINGS].concat()) {
        let seen = run(async { answered(&Stage::torn(seed), coding, "", &plain).await });
        assert!(decoded(coding, &chunks_of(&seen)) == plain, "{coding:?} {seed}");
    }
}
