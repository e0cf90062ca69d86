//! What HTTP/1 promises, through the gateway: persistence, pipelining, bodies, versions.

use std::time::Duration;

use crate::gateway::{Gateway, check, check_torn, respond};

#[test]
fn pipelined_requests_are_answered_in_order() {
    check_torn(
        || Gateway::new().path("/own", |_| respond(200, "own")),
        r#"
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        client> GET /own HTTP/1.1
        client> host: h
        client>
        client> POST /3 HTTP/1.1
        client> host: h
        client> content-length: 5
        client>
        client> threeGET /4 HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET /1 HTTP/1.1
        origin< host: h
        origin<

        origin> HTTP/1.1 200 OK
        origin> content-length: 1
        origin>
        origin> 1\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 1
        client<
        client< 1HTTP/1.1 200 OK
        client< server: towpath
        client< date: (now)
        client< Content-Length: 3
        client<
        client< own\
        origin< POST /3 HTTP/1.1
        origin< host: h
        origin< Content-Length: 5
        origin<
        origin< three\

        origin> HTTP/1.1 200 OK
        origin> content-length: 1
        origin>
        origin> 3\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 1
        client<
        client< 3\
        origin< GET /4 HTTP/1.1
        origin< host: h
        origin<

        origin> HTTP/1.1 200 OK
        origin> content-length: 1
        origin>
        origin> 4\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 1
        client<
        client< 4\
        "#,
    );
}

#[test]
fn responses_without_content_have_none() {
    check_torn(
        Gateway::new,
        r#"
        # RFC 9110 §9.3.2: HEAD tells the length of what it leaves out.
        client> HEAD /1 HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< HEAD /1 HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-length: 1000
        origin>
        client< HTTP/1.1 200 OK
        client< content-length: 1000
        client< date: (now)
        client<
        client> HEAD /2 HTTP/1.1
        client> host: h
        client>
        origin< HEAD /2 HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> transfer-encoding: chunked
        origin>
        client< HTTP/1.1 200 OK
        client< date: (now)
        client<
        client> GET /3 HTTP/1.1
        client> host: h
        client>
        origin< GET /3 HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 204 No Content
        origin> x: y
        origin>
        client< HTTP/1.1 204 No Content
        client< x: y
        client< date: (now)
        client<
        client> GET /4 HTTP/1.1
        client> host: h
        client> if-none-match: "a"
        client>
        origin< GET /4 HTTP/1.1
        origin< host: h
        origin< if-none-match: "a"
        origin<
        origin> HTTP/1.1 304 Not Modified
        origin> etag: "a"
        origin> content-length: 1000
        origin>
        client< HTTP/1.1 304 Not Modified
        client< etag: "a"
        client< content-length: 1000
        client< date: (now)
        client<
        client> GET /5 HTTP/1.1
        client> host: h
        client>
        origin< GET /5 HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-length: 0
        origin>
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 0
        client<
        "#,
    );
}

#[test]
fn chunks_go_both_ways_with_trailers() {
    check(
        Gateway::new,
        r#"
        client> POST / HTTP/1.1
        client> host: h
        client> transfer-encoding: chunked
        client> trailer: x-sum
        client>
        client> 5;ignored=yes
        client> hello
        client> 0006
        client>  world
        client> 0
        client> x-sum: 1
        client>
        origin< (connected)
        origin< POST / HTTP/1.1
        origin< host: h
        origin< Transfer-Encoding: chunked
        origin<
        origin< 5
        origin< hello
        origin< 6
        origin<  world
        origin< 0
        origin< x-sum: 1
        origin<

        origin> HTTP/1.1 200 OK
        origin> transfer-encoding: chunked
        origin>
        origin> A
        origin> 0123456789
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Transfer-Encoding: chunked
        client<
        client< a
        client< 0123456789

        origin> 1
        origin> !
        origin> 0
        origin> x-sum: 2
        origin>
        client< 1
        client< !
        client< 0
        client< x-sum: 2
        client<

        client> GET /next HTTP/1.1
        client> host: h
        client>
        origin< GET /next HTTP/1.1
        origin< host: h
        origin<
        "#,
    );
}

#[test]
fn trailers_that_would_change_a_message_are_refused() {
    crate::verdict::check(
        Gateway::new,
        r#"
        400 bad_trailer closed                           <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n0\r\ncontent-length: 5\r\n\r\n
        400 bad_trailer closed                           <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n0\r\nhost: x\r\n\r\n
        400 bad_trailer closed                           <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n0\r\ntransfer-encoding: chunked\r\n\r\n
        200 open, origin: POST /                         <- POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-fine: 1\r\n\r\n
        "#,
    );
}

#[test]
fn a_large_body_streams_both_ways() {
    check(
        Gateway::new,
        r#"
        client> POST / HTTP/1.1
        client> host: h
        client> content-length: 300000
        client>
        client> (x * 300000)\
        origin< (connected)
        origin< POST / HTTP/1.1
        origin< host: h
        origin< Content-Length: 300000
        origin<
        origin< (x * 300000)\

        origin> HTTP/1.1 200 OK
        origin> content-length: 300000
        origin>
        origin> (y * 300000)\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 300000
        client<
        client< (y * 300000)\

        client> GET /next HTTP/1.1
        client> host: h
        client>
        origin< GET /next HTTP/1.1
        origin< host: h
        origin<
        "#,
    );
}

#[test]
fn a_body_that_ends_by_close_becomes_chunks() {
    check(
        Gateway::new,
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin>
        origin> hello\
        origin> world\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Transfer-Encoding: chunked
        client<
        client< a
        client< helloworld
        origin> (close)
        client< 0
        client<

        client> GET /next HTTP/1.1
        client> host: h
        client>
        origin#2< (connected)
        origin#2< GET /next HTTP/1.1
        origin#2< host: h
        origin#2<
        "#,
    );
}

#[test]
fn an_http10_client_gets_no_chunks() {
    check(
        Gateway::new,
        r#"
        client> GET / HTTP/1.0
        client> host: h
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> transfer-encoding: chunked
        origin>
        origin> 5
        origin> hello
        origin> 6
        origin>  world
        origin> 0
        origin> x-sum: lost
        origin>
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< connection: close
        client<
        client< hello world\
        client< (end)

        client2> GET / HTTP/1.0
        client2> host: h
        client2> connection: keep-alive
        client2>
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-length: 2
        origin>
        origin> hi\
        client2< HTTP/1.1 200 OK
        client2< date: (now)
        client2< Content-Length: 2
        client2< connection: keep-alive
        client2<
        client2< hi\

        # It may keep its connection as long as the length is known.
        client2> GET / HTTP/1.0
        client2> host: h
        client2> connection: keep-alive
        client2>
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> transfer-encoding: chunked
        origin>
        origin> 2
        origin> hi
        origin> 0
        origin>
        client2< HTTP/1.1 200 OK
        client2< date: (now)
        client2< connection: close
        client2<
        client2< hi\
        client2< (end)
        "#,
    );
}

#[test]
fn an_http10_origin_ends_by_close() {
    check(
        Gateway::new,
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.0 200 Fine
        origin> x: y
        origin>
        origin> hello\
        client< HTTP/1.1 200 Fine
        client< x: y
        client< date: (now)
        client< Transfer-Encoding: chunked
        client<
        client< 5
        client< hello
        origin> (end)
        origin< (end)
        client< 0
        client<
        "#,
    );
}

#[test]
fn a_client_that_asks_for_close_gets_it() {
    check(
        || Gateway::new().path("/own", |_| respond(200, "own")),
        r#"
        client> GET /1 HTTP/1.1
        client> host: h
        client> connection: close
        client>
        client> GET /never HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET /1 HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-length: 1
        origin>
        origin> 1\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 1
        client< connection: close
        client<
        client< 1\
        client< (end)
        client2> GET /own HTTP/1.1
        client2> host: h
        client2> connection: CLOSE
        client2>
        client2< HTTP/1.1 200 OK
        client2< server: towpath
        client2< date: (now)
        client2< Content-Length: 3
        client2< connection: close
        client2<
        client2< own\
        client2< (end)
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 1, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn the_upload_goes_on_while_the_response_comes() {
    check(
        Gateway::new,
        r#"
        client> POST / HTTP/1.1
        client> host: h
        client> transfer-encoding: chunked
        client>
        client> 3
        client> one
        origin< (connected)
        origin< POST / HTTP/1.1
        origin< host: h
        origin< Transfer-Encoding: chunked
        origin<
        origin< 3
        origin< one

        origin> HTTP/1.1 200 OK
        origin> transfer-encoding: chunked
        origin>
        origin> 3
        origin> ONE
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Transfer-Encoding: chunked
        client< connection: close
        client<
        client< 3
        client< ONE

        client> 3
        client> two
        origin< 3
        origin< two

        origin> 3
        origin> TWO
        client< 3
        client< TWO

        client> 0
        client>
        origin< 0
        origin<

        origin> 0
        origin>
        client< 0
        client<
        client< (end)
        "#,
    );
}

#[test]
fn the_whole_request_has_a_deadline_in_every_phase() {
    let gateway = || Gateway::new().route(|r| r.timeout = Some(Duration::from_secs(5)));
    check(
        gateway,
        r#"
        # Before the head: a whole answer.
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        wait 6s
        origin< (end)
        client< HTTP/1.1 504 Gateway Timeout
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_response_timeout; details="request_timeout"
        client< Content-Length: 37
        client<
        client< 504 Gateway Timeout: request_timeout\n\

        # In the response: it breaks off.
        client2> GET / HTTP/1.1
        client2> host: h
        client2>
        origin#2< (connected)
        origin#2< GET / HTTP/1.1
        origin#2< host: h
        origin#2<
        wait 4s
        origin#2> HTTP/1.1 200 OK
        origin#2> content-length: 10
        origin#2>
        origin#2> hello\
        client2< HTTP/1.1 200 OK
        client2< date: (now)
        client2< Content-Length: 10
        client2<
        client2< hello\
        wait 2s
        origin#2< (end)
        client2< (end)

        # In the upload.
        client3> POST / HTTP/1.1
        client3> host: h
        client3> content-length: 10
        client3>
        client3> hello\
        origin#3< (connected)
        origin#3< POST / HTTP/1.1
        origin#3< host: h
        origin#3< Content-Length: 10
        origin#3<
        origin#3< hello\
        wait 6s
        origin#3< (end)
        client3< HTTP/1.1 504 Gateway Timeout
        client3< server: towpath
        client3< date: (now)
        client3< content-type: text/plain; charset=utf-8
        client3< proxy-status: towpath; error=http_response_timeout; details="request_timeout"
        client3< Content-Length: 37
        client3< connection: close
        client3<
        client3< 504 Gateway Timeout: request_timeout\n\
        client3< (end)
        proxy: reasons
        proxy< request_timeout 3
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
    check(
        || gateway().pool(|p| p.connect_timeout = Duration::from_secs(60)),
        r#"
        # In the dial.
        origin> (refuse)
        origin> (black hole)
        client> GET / HTTP/1.1
        client> host: h
        client>
        wait 6s
        client< HTTP/1.1 504 Gateway Timeout
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_response_timeout; details="request_timeout"
        client< Content-Length: 37
        client<
        client< 504 Gateway Timeout: request_timeout\n\
        "#,
    );
}

#[test]
fn the_status_line_is_written_anew() {
    check(
        Gateway::new,
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 299 Odd But Fine
        origin> content-length: 0
        origin>
        client< HTTP/1.1 299 Odd But Fine
        client< date: (now)
        client< Content-Length: 0
        client<
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 404\x20
        origin> content-length: 0
        origin>
        client< HTTP/1.1 404\x20
        client< date: (now)
        client< Content-Length: 0
        client<
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 999 Nine
        origin> content-length: 0
        origin>
        client< HTTP/1.1 999 Nine
        client< date: (now)
        client< Content-Length: 0
        client<
        "#,
    );
}
