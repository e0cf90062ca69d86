//! Requests that are decompressed, for origins of either version.

use towpath_gateway::plan::Route;
use towpath_proto::coding::{Coding, DecodeLimits, Effort, Encoder};
use towpath_testkit::{Stage, run};

use crate::coding::{CODINGS, bytes_of, chunks_of, prose};
use crate::gateway::{Gateway, check, retries};

fn decompressing(route: &mut Route) {
    route.decompress_request = Some(DecodeLimits::default());
}

fn decompressed() -> Gateway {
    Gateway::new().h2c().route(decompressing)
}

#[test]
fn a_coded_request_goes_on_decoded() {
    check(
        decompressed,
        r#"
        client> POST /length HTTP/1.1
        client> host: h
        client> content-encoding: gzip
        client> content-length: 28
        client> content-digest: sha-256=:AA==:
        client> x: y
        client>
        client> \x1f\x8b\x08\0\0\0\0\0\x02\x03\xcbH\xcd\xc9\xc9W\xc8\0\x91\0@\xa6-\x01\x0b\0\0\0\
        origin< (connected)
        origin< POST /length HTTP/1.1
        origin< host: h
        origin< x: y
        origin< Transfer-Encoding: chunked
        origin<
        origin< b
        origin< hello hello
        origin< 0
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-length: 0
        origin>
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 0
        client<
        client> POST /chunked HTTP/1.1
        client> host: h
        client> content-encoding: x-gzip
        client> transfer-encoding: chunked
        client>
        client> a
        client> \x1f\x8b\x08\0\0\0\0\0\x02\x03
        client> 12
        client> \xcbH\xcd\xc9\xc9W\xc8\0\x91\0@\xa6-\x01\x0b\0\0\0
        client> 0
        client> x-sum: 7
        client> content-digest: sha-256=:AA==:
        client>
        origin< POST /chunked HTTP/1.1
        origin< host: h
        origin< Transfer-Encoding: chunked
        origin<
        origin< b
        origin< hello hello
        origin< 0
        origin< x-sum: 7
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-length: 0
        origin>
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 0
        client<
        client> POST /pieces HTTP/1.1
        client> host: h
        client> content-encoding: gzip
        client> content-length: 28
        client>
        client> \x1f\x8b\x08\0\0\0\0\0\x02\x03\xcbH\
        origin< POST /pieces HTTP/1.1
        origin< host: h
        origin< Transfer-Encoding: chunked
        origin<
        origin< 1
        origin< h
        client> (read)
        client> \xcd\xc9\xc9W\xc8\0\x91\0@\xa6-\x01\x0b\0\
        origin< a
        origin< ello hello
        client> (read)
        client> \0\0\
        origin< 0
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-length: 0
        origin>
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 0
        client<
        client> POST /plain HTTP/1.1
        client> host: h
        client> content-length: 5
        client>
        client> hello\
        origin< POST /plain HTTP/1.1
        origin< host: h
        origin< Content-Length: 5
        origin<
        origin< hello\
        "#,
    );
}

#[test]
fn a_request_behind_a_coded_one_begins_where_that_ends_t01() {
    check(
        decompressed,
        r#"
        client> POST /1 HTTP/1.1
        client> host: h
        client> content-encoding: gzip
        client> content-length: 28
        client>
        client> \x1f\x8b\x08\0\0\0\0\0\x02\x03\xcbH\xcd\xc9\xc9W\xc8\0\x91\0@\xa6-\x01\x0b\0\0\0\
        client> POST /2 HTTP/1.1
        client> host: h
        client> content-encoding: gzip
        client> transfer-encoding: chunked
        client>
        client> 1c
        client> \x1f\x8b\x08\0\0\0\0\0\x02\x03\xcbH\xcd\xc9\xc9W\xc8\0\x91\0@\xa6-\x01\x0b\0\0\0
        client> 0
        client>
        client> GET /3 HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< POST /1 HTTP/1.1
        origin< host: h
        origin< Transfer-Encoding: chunked
        origin<
        origin< b
        origin< hello hello
        origin< 0
        origin<
        origin> HTTP/1.1 204 No Content
        origin>
        client< HTTP/1.1 204 No Content
        client< date: (now)
        client<
        origin< POST /2 HTTP/1.1
        origin< host: h
        origin< Transfer-Encoding: chunked
        origin<
        origin< b
        origin< hello hello
        origin< 0
        origin<
        origin> (read)
        origin> HTTP/1.1 204 No Content
        origin>
        client< HTTP/1.1 204 No Content
        client< date: (now)
        client<
        origin< GET /3 HTTP/1.1
        origin< host: h
        origin<
        origin> (read)
        origin> HTTP/1.1 204 No Content
        origin>
        client< HTTP/1.1 204 No Content
        client< date: (now)
        client<
        "#,
    );
}

#[test]
fn a_coded_request_goes_on_decoded_in_http2() {
    check(
        || decompressed().http2().endpoints(&["origin-h2"]),
        r#"
        client> POST / HTTP/1.1
        client> host: h
        client> content-encoding: gzip
        client> content-length: 28
        client>
        client> \x1f\x8b\x08\0\0\0\0\0\x02\x03\xcbH\xcd\xc9\xc9W\xc8\0\x91\0@\xa6-\x01\x0b\0\0\0\
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        origin-h2< HEADERS 1 | :method POST | :scheme http | :path / | :authority h
        origin-h2< DATA 1 END hello hello
        origin-h2> settings
        origin-h2> headers 1 end | :status 204
        origin-h2< SETTINGS ACK
        client< HTTP/1.1 204 No Content
        client< date: (now)
        client<
        client> POST / HTTP/1.1
        client> host: h
        client> content-encoding: gzip
        client> transfer-encoding: chunked
        client>
        client> a
        client> \x1f\x8b\x08\0\0\0\0\0\x02\x03
        origin-h2< HEADERS 3 | :method POST | :scheme http | :path / | :authority h
        client> (read)
        client> 12
        client> \xcbH\xcd\xc9\xc9W\xc8\0\x91\0@\xa6-\x01\x0b\0\0\0
        client> 0
        client> x-sum: 7
        client>
        origin-h2< DATA 3 hello hello
        origin-h2< HEADERS 3 END | x-sum 7
        origin-h2> headers 3 end | :status 204
        client< HTTP/1.1 204 No Content
        client< date: (now)
        client<
        "#,
    );
}

#[test]
fn a_coding_that_cannot_be_taken_off_is_refused_rfc9110_15_5_16() {
    check(
        decompressed,
        r#"
        client> POST / HTTP/1.1
        client> host: h
        client> content-encoding: deflate
        client> content-length: 4
        client> expect: 100-continue
        client>
        client< HTTP/1.1 415 Unsupported Media Type
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_request_error; details="unknown_content_coding"
        client< accept-encoding: zstd, br, gzip
        client< Content-Length: 51
        client< connection: close
        client<
        client< 415 Unsupported Media Type: unknown_content_coding\n\
        client< (end)
        client-h2> preface
        client-h2> settings
        client-h2> post 1 / | content-encoding gzip,^gzip
        client-h2> data 1 what end
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 1 | :status 415 | server towpath | date (now) | content-type text/plain; charset=utf-8 | proxy-status towpath; error=http_request_error; details=\"unknown_content_coding\" | accept-encoding zstd, br, gzip | content-length 51
        client-h2< DATA 1 END *51
        proxy: reasons
        proxy< unknown_content_coding 2
        "#,
    );
}

#[test]
fn a_body_that_is_not_what_it_says_is_refused_t46() {
    check(
        decompressed,
        r#"
        client> POST /whole HTTP/1.1
        client> host: h
        client> content-encoding: gzip
        client> content-length: 4
        client>
        client> what\
        client< HTTP/1.1 400 Bad Request
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_request_error; details="bad_content_coding"
        client< Content-Length: 36
        client< connection: close
        client<
        client< 400 Bad Request: bad_content_coding\n\
        client< (end)
        client#2> POST /cut HTTP/1.1
        client#2> host: h
        client#2> content-encoding: gzip
        client#2> content-length: 12
        client#2>
        client#2> \x1f\x8b\x08\0\0\0\0\0\x02\x03\xcbH\
        client#2< HTTP/1.1 400 Bad Request
        client#2< server: towpath
        client#2< date: (now)
        client#2< content-type: text/plain; charset=utf-8
        client#2< proxy-status: towpath; error=http_request_error; details="bad_content_coding"
        client#2< Content-Length: 36
        client#2< connection: close
        client#2<
        client#2< 400 Bad Request: bad_content_coding\n\
        client#2< (end)
        client#3> POST /late HTTP/1.1
        client#3> host: h
        client#3> content-encoding: gzip
        client#3> content-length: 50
        client#3>
        client#3> \x1f\x8b\x08\0\0\0\0\0\x02\x03\
        origin< (connected)
        origin< POST /late HTTP/1.1
        origin< host: h
        origin< Transfer-Encoding: chunked
        origin<
        client#3> (read)
        client#3> \xff\xff\xff\xff\
        origin< (end)
        client#3< HTTP/1.1 400 Bad Request
        client#3< server: towpath
        client#3< date: (now)
        client#3< content-type: text/plain; charset=utf-8
        client#3< proxy-status: towpath; error=http_request_error; details="bad_content_coding"
        client#3< Content-Length: 36
        client#3< connection: close
        client#3<
        client#3< 400 Bad Request: bad_content_coding\n\
        client#3< (end)
        client-h2> preface
        client-h2> settings
        client-h2> post 1 /late | content-encoding gzip
        client-h2> data 1 what
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin#2< (connected)
        origin#2< POST /late HTTP/1.1
        origin#2< host: h
        origin#2< Transfer-Encoding: chunked
        origin#2<
        origin#2< (end)
        client-h2< HEADERS 1 | :status 400 | server towpath | date (now) | content-type text/plain; charset=utf-8 | proxy-status towpath; error=http_request_error; details=\"bad_content_coding\" | content-length 36
        client-h2< DATA 1 END 400 Bad Request: bad_content_coding\n
        client-h2< RST_STREAM 1 NoError
        proxy: reasons
        proxy< bad_content_coding 4
        proxy: gauges
        proxy< connections 4, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_body_that_expands_too_much_is_refused_t46() {
    let tight = |route: &mut Route| {
        decompressing(route);
        route.body_bytes_max = Some(40);
    };
    check(
        decompressed,
        r#"
        client> POST / HTTP/1.1
        client> host: h
        client> content-encoding: gzip
        client> content-length: 122
        client>
        client> \x1f\x8b\x08\0\0\0\0\0\x02\x03\xed\xc1\x01\x0d\0\0\0\xc2\xa0\xda\x8fo\x0f\x07\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xc0\xa7\x01\xadl]\xdd\x90_\x01\0\
        origin< (connected)
        origin< POST / HTTP/1.1
        origin< host: h
        origin< Transfer-Encoding: chunked
        origin<
        origin< 4000
        origin< (x * 16384)
        origin< 4000
        origin< (x * 16384)
        origin< 4000
        origin< (x * 16384)
        origin< 4000
        origin< (x * 16384)
        origin< (end)
        client< HTTP/1.1 413 Content Too Large
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_request_error; details="decoded_ratio_too_high"
        client< Content-Length: 46
        client< connection: close
        client<
        client< 413 Content Too Large: decoded_ratio_too_high\n\
        client< (end)
        proxy: reasons
        proxy< decoded_ratio_too_high 1
        "#,
    );
    check(
        move || Gateway::new().route(tight),
        r#"
        client> POST / HTTP/1.1
        client> host: h
        client> content-encoding: gzip
        client> transfer-encoding: chunked
        client>
        client> 18
        client> \x1f\x8b\x08\0\0\0\0\0\x02\x03\xab\xa8\x20\x12\0\0\xee\xfe\xa51)\0\0\0
        client> 0
        client>
        client< HTTP/1.1 413 Content Too Large
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_request_error; details="decoded_body_too_large"
        client< Content-Length: 46
        client< connection: close
        client<
        client< 413 Content Too Large: decoded_body_too_large\n\
        client< (end)
        proxy: reasons
        proxy< decoded_body_too_large 1
        "#,
    );
}

#[test]
fn another_attempt_sends_the_whole_body_again() {
    let again = |route: &mut Route| {
        decompressing(route);
        route.retry = retries(2, &["reset"]);
    };
    check(
        move || Gateway::new().route(again),
        r#"
        client> PUT / HTTP/1.1
        client> host: h
        client> content-encoding: gzip
        client> content-length: 28
        client>
        client> \x1f\x8b\x08\0\0\0\0\0\x02\x03\xcbH\xcd\xc9\xc9W\xc8\0\x91\0@\xa6-\x01\x0b\0\0\0\
        origin< (connected)
        origin< PUT / HTTP/1.1
        origin< host: h
        origin< Transfer-Encoding: chunked
        origin<
        origin< b
        origin< hello hello
        origin< 0
        origin<
        origin> (reset)
        origin#2< (connected)
        origin#2< PUT / HTTP/1.1
        origin#2< host: h
        origin#2< Transfer-Encoding: chunked
        origin#2<
        origin#2< b
        origin#2< hello hello
        origin#2< 0
        origin#2<
        origin#2> HTTP/1.1 200 OK
        origin#2> content-length: 0
        origin#2>
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 0
        client<
        client> PUT / HTTP/1.1
        client> host: h
        client> content-encoding: gzip
        client> content-length: 28
        client>
        client> \x1f\x8b\x08\0\0\0\0\0\x02\x03\xcbH\xcd\xc9\xc9W\
        origin#2< PUT / HTTP/1.1
        origin#2< host: h
        origin#2< Transfer-Encoding: chunked
        origin#2<
        origin#2< 5
        origin#2< hello
        client> (read)
        client> \xc8\0\
        origin#2< 2
        origin#2<  h
        origin#2> (reset)
        client< HTTP/1.1 502 Bad Gateway
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=connection_terminated; details="upstream_reset_before_response"
        client< Content-Length: 48
        client< connection: close
        client<
        client< 502 Bad Gateway: upstream_reset_before_response\n\
        client< (end)
        "#,
    );
}

/// All of it had come with the head, but it was decoded in steps, and the first is gone.
#[test]
fn a_body_that_went_on_in_steps_is_not_sent_again() {
    let again = |route: &mut Route| {
        decompressing(route);
        route.retry = retries(2, &["reset"]);
    };
    check(
        move || Gateway::new().route(again),
        r#"
        client> PUT / HTTP/1.1
        client> host: h
        client> content-encoding: gzip
        client> content-length: 73
        client>
        client> \x1f\x8b\x08\0\0\0\0\0\x02\x03\xed\xc11\x01\0\0\0\xc2\xa0\xda\x8b\xefe\x0b\xa0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x80\x1bG]\xcas@\x9c\0\0\
        origin< (connected)
        origin< PUT / HTTP/1.1
        origin< host: h
        origin< Transfer-Encoding: chunked
        origin<
        origin< 4000
        origin< (x * 16384)
        origin< 4000
        origin< (x * 16384)
        origin< 1c40
        origin< (x * 7232)
        origin< 0
        origin<
        origin> (reset)
        client< HTTP/1.1 502 Bad Gateway
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=connection_terminated; details="upstream_reset_before_response"
        client< Content-Length: 48
        client<
        client< 502 Bad Gateway: upstream_reset_before_response\n\
        "#,
    );
}

fn coded(coding: Coding, plain: &[u8]) -> Vec<u8> {
    let (mut encoder, mut out) = (Encoder::new(coding, Effort::Balanced), Vec::new());
    encoder.push(plain, &mut out);
    encoder.finish(&mut out);
    out
}

/// What the origin gets of a body in this coding.
async fn forwarded(stage: &Stage, coding: Coding, plain: &[u8]) -> Vec<u8> {
    let _gateway = decompressed().start(stage);
    let body = coded(coding, plain);
    let (name, length) = (coding.token(), body.len());
    let head = format!("POST / HTTP/1.1\r\nhost: h\r\ncontent-encoding: {name}\r\ncontent-length: {length}");
    stage.send("client", &[head.as_bytes(), b"\r\n\r\n", &body].concat()).await;
    stage.settle().await;
    bytes_of(stage, "origin")
}

#[test]
fn a_long_request_is_the_same_bytes_in_every_coding() {
    let plain = prose(1_000_000);
    for coding in CODINGS {
        let seen = run(async { forwarded(&Stage::default(), coding, &plain).await });
        assert!(chunks_of(&seen) == plain, "{coding:?}");
    }
}

#[test]
fn a_request_in_pieces_is_the_same_bytes() {
    let plain = prose(5_000);
    for (seed, coding) in (0..).zip([CODINGS, CODINGS].concat()) {
        let seen = run(async { forwarded(&Stage::torn(seed), coding, &plain).await });
        assert!(chunks_of(&seen) == plain, "{coding:?} {seed}");
    }
}

/// What comes in becomes fifty times as much: while the origin takes nothing, the client is not read either.
#[test]
fn an_origin_that_stops_reading_stops_what_expands_too_t46() {
    let blank = [b' '; 1500];
    let plain: Vec<u8> = prose(600_000).chunks(30).flat_map(|words| [words, &blank].concat()).collect();
    let body = coded(Coding::Gzip, &plain);
    assert!((30..100).contains(&(plain.len() / body.len())), "{} of {}", body.len(), plain.len());
    let (left, seen) = run(async {
        let stage = Stage::default();
        let _gateway = decompressed().start(&stage);
        let head = format!(
            "POST / HTTP/1.1\r\nhost: h\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stage.send("client", head.as_bytes()).await;
        stage.settle().await;
        stage.read("origin", false).await;
        stage.send("client", &body).await;
        stage.settle().await;
        let left = stage.unsent("client");
        stage.read("origin", true).await;
        stage.settle().await;
        (left, bytes_of(&stage, "origin"))
    });
    assert!(left > body.len() / 4, "{left} of {} bytes are still with the client", body.len());
    assert!(chunks_of(&seen) == plain);
}
