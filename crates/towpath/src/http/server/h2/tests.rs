//! HTTP/2 at the level of frames.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::task::spawn_local;
use towpath_proto::h2::{Config, Event, Role};
use towpath_testkit::polls::polled;

use super::{Front, begin};
use crate::Ctx;
use crate::http::server::connection::{Carrier, Line};
use crate::http::server::tests::{Log, check};
use crate::http::{Body, Headers, Limits, Request, Response, Router, Server, StatusCode, Timeouts};
use crate::http2::{Mux, Wire, take_in};
use crate::serving::Place;

/// Takes in the frames of `script`, and drops what answers the first of its requests behind `polls` polls. Whether that was
/// over by then; the others are answered in any case.
pub(in crate::http::server) async fn answer_after(
    line: Line,
    seat: Place,
    script: &[u8],
    polls: usize,
) -> bool {
    let Line { site, stream: Carrier::Wire(stream), peer, since, .. } = line else { unreachable!() };
    let mux = Mux::new(Role::Server, Config::default());
    let mut wire = Wire::new(stream, b"", &site.buffers);
    let front = Rc::new(Front { site, mux: Rc::clone(&mux), peer, since, _seat: seat });
    let (mut answers, mut block) = (Vec::new(), Vec::new());
    let mut input = front.site.buffers.take();
    input.push(script);
    let follow = |event: Event, input: &[u8]| match event {
        Event::Head { stream, end } => answers.push((stream, begin(&front, &mut block, stream, end))),
        event => mux.follow(event, input),
    };
    take_in(&mux, 0, &mut input, follow).unwrap();
    let written = Rc::clone(&mux);
    let writing = spawn_local(poll_fn(move |cx| {
        written.attend(cx);
        let _ = wire.poll_write(cx, &written);
        Poll::<()>::Pending
    }));
    let mut answers = answers.into_iter();
    let (stream, first) = answers.next().unwrap();
    let others: Vec<_> = answers.map(|(_, answer)| spawn_local(answer)).collect();
    let is_over = polled(first, polls).await.is_some();
    assert!(mux.lane(stream).is_none(), "after {polls} polls its place is taken");
    for other in others {
        other.await.unwrap();
    }
    assert_eq!(mux.with(|codec| codec.streams_count()), 0, "after {polls} polls");
    writing.abort();
    is_over
}

/// Answers in every way there is.
fn server(log: &Log) -> Server {
    let log = log.clone();
    let slow = move |name: &'static str| {
        let log = log.clone();
        async move |ctx: &Ctx, _: Request| {
            let cause = ctx.done().await;
            // Where a deadline was set is no matter of these tests.
            let cause = cause.to_string();
            log.say(format!("{name}: {}", cause.split(',').next().unwrap()));
            "late"
        }
    };
    let router = Router::new()
        .get("/", async |_: &Ctx, request: Request| {
            format!("{} {:?}", request.host().unwrap_or_default(), request.version())
        })
        .get("/nothing", async |_: &Ctx, _: Request| ())
        .get("/early", async |_: &Ctx, _: Request| StatusCode::EARLY_HINTS)
        .get("/large", async |_: &Ctx, _: Request| "x".repeat(70_000))
        .get("/slow", slow("slow"))
        .get("/deaf", async |_: &Ctx, _: Request| std::future::pending::<()>().await)
        .post("/deaf", async |_: &Ctx, _: Request| std::future::pending::<()>().await)
        .get("/fields", async |_: &Ctx, _: Request| {
            let response = Response::plain("ok").with_header("Connection", "close").with_header("X-A", "b");
            response.with_header("Transfer-Encoding", "chunked").with_header("Content-Length", "99")
        })
        .get("/broken", async |_: &Ctx, _: Request| {
            let (sender, body) = Body::channel(1);
            spawn_local(async move {
                let _ = sender.send("half").await;
                sender.fail("no more").await;
            });
            body
        })
        .post("/echo", async |_: &Ctx, request: Request| {
            let mut trailers = Headers::default();
            trailers.set("X-End", "yes").unwrap();
            Response::new(StatusCode::OK).with_body(request.into_body().with_trailers(trailers))
        })
        .post("/unread", async |_: &Ctx, _: Request| "no, thanks")
        .post("/text", async |_: &Ctx, mut request: Request| request.text().await);
    Server::new(router).h2c(true)
}

#[test]
fn a_request_is_answered_as_one_of_http1_is() {
    check(
        server,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> get 1 /
        client-h2> headers 3 end | :method HEAD | :scheme http | :authority h | :path /
        client-h2> get 5 /nothing
        client-h2> get 7 /none
        client-h2> post 9 /
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 1 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 10
        client-h2< DATA 1 END h HTTP/2.0
        client-h2< HEADERS 3 END | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 10
        client-h2< HEADERS 5 END | :status 204 | date (now)
        client-h2< HEADERS 7 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 10
        client-h2< DATA 7 END h HTTP/2.0
        client-h2< HEADERS 9 | :status 405 | content-type text/plain; charset=utf-8 | allow GET, HEAD | date (now) | content-length 19
        client-h2< DATA 9 END Method Not Allowed\n
        wait 1s
        client-h2< RST_STREAM 9 NoError
        "#,
    );
}

#[test]
fn a_body_goes_both_ways_as_it_comes_with_trailers_behind_it() {
    check(
        server,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> post 1 /echo
        client-h2> data 1 one
        client-h2> data 1 two
        client-h2> headers 1 end | x-sum 1
        client-h2> post 3 /echo
        client-h2> data 3 end
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 1 | :status 200 | date (now)
        client-h2< DATA 1 one
        client-h2< DATA 1 two
        client-h2< HEADERS 1 END | x-sum 1 | x-end yes
        client-h2< HEADERS 3 | :status 200 | date (now)
        client-h2< HEADERS 3 END | x-end yes
        "#,
    );
}

#[test]
fn streams_do_not_wait_for_each_other() {
    check(
        server,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> post 1 /text
        client-h2> get 3 /
        client-h2> data 1 hello end
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 1 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 5
        client-h2< DATA 1 END hello
        client-h2< HEADERS 3 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 10
        client-h2< DATA 3 END h HTTP/2.0
        "#,
    );
}

#[test]
fn a_large_body_waits_for_the_windows() {
    check(
        server,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> get 1 /large
        client-h2> get 3 /
        client-h2> wu 1 70000
        client-h2> wu 0 70000
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 1 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 70000
        client-h2< DATA 1 *16384
        client-h2< DATA 1 *16384
        client-h2< DATA 1 *16384
        client-h2< DATA 1 *16384
        client-h2< DATA 1 END *4464
        client-h2< HEADERS 3 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 10
        client-h2< DATA 3 END h HTTP/2.0
        "#,
    );
}

#[test]
fn fields_that_speak_of_a_connection_are_not_sent_t17() {
    check(
        server,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> get 1 /fields
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 1 | :status 200 | content-type text/plain; charset=utf-8 | x-a b | date (now) | content-length 2
        client-h2< DATA 1 END ok
        "#,
    );
}

#[test]
fn an_interim_status_is_no_response() {
    check(
        server,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> get 1 /early
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 1 END | :status 500 | date (now) | content-length 0
        "#,
    );
}

#[test]
fn a_body_that_fails_is_reset() {
    check(
        server,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> get 1 /broken
        client-h2> get 3 /
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 1 | :status 200 | content-type application/octet-stream | date (now)
        client-h2< HEADERS 3 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 10
        client-h2< DATA 3 END h HTTP/2.0
        client-h2< DATA 1 half
        client-h2< RST_STREAM 1 InternalError
        "#,
    );
}

#[test]
fn a_client_that_waits_for_100_is_told_to_go_on_when_the_body_is_wanted() {
    check(
        server,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> post 1 /text | expect 100-continue | content-length 2
        client-h2> data 1 ok end
        client-h2> post 3 /unread | expect 100-continue | content-length 2
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 1 | :status 100
        client-h2< HEADERS 1 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 2
        client-h2< DATA 1 END ok
        client-h2< HEADERS 3 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 10
        client-h2< DATA 3 END no, thanks
        client-h2< RST_STREAM 3 NoError
        "#,
    );
}

#[test]
fn what_nobody_reads_of_a_body_is_not_to_be_sent() {
    check(
        server,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> post 1 /unread
        client-h2> data 1 more
        client-h2> get 3 /
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 1 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 10
        client-h2< DATA 1 END no, thanks
        client-h2< HEADERS 3 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 10
        client-h2< DATA 3 END h HTTP/2.0
        wait 1s
        client-h2< RST_STREAM 1 NoError
        "#,
    );
}

#[test]
fn a_body_above_its_limit_is_413_t40() {
    check(
        |log: &Log| server(log).limits(Limits { body_bytes: 5, ..Limits::default() }),
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> post 1 /text
        client-h2> data 1 hello!
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 1 | :status 413 | content-type text/plain; charset=utf-8 | date (now) | content-length 32
        client-h2< DATA 1 END the body is longer than 5 bytes\n
        wait 1s
        client-h2< RST_STREAM 1 NoError
        "#,
    );
}

#[test]
fn a_handler_hears_of_a_reset_t12() {
    check(
        server,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> get 1 /slow
        client-h2> rst 1 8
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        proxy: log
        proxy< slow: the client has gone
        client-h2> get 3 /
        client-h2< HEADERS 3 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 10
        client-h2< DATA 3 END h HTTP/2.0
        "#,
    );
}

#[test]
fn a_handler_hears_of_a_reset_while_it_reads_t12() {
    check(
        server,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> post 1 /text
        client-h2> data 1 hel
        client-h2> rst 1 8
        client-h2> get 3 /
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 3 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 10
        client-h2< DATA 3 END h HTTP/2.0
        "#,
    );
}

#[test]
fn a_handler_hears_that_the_connection_is_gone() {
    check(
        server,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> get 1 /slow
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2> (reset)
        proxy: log
        proxy< slow: the client has gone
        "#,
    );
}

#[test]
fn a_handler_that_takes_too_long_is_504() {
    check(
        server,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> get 1 /slow
        client-h2> get 3 /slow | grpc-timeout 1S
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        wait 2s
        client-h2< HEADERS 3 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 4
        client-h2< DATA 3 END late
        wait 30s
        client-h2< HEADERS 1 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 4
        client-h2< DATA 1 END late
        proxy: log
        proxy< slow: deadline exceeded
        proxy< slow: deadline exceeded
        "#,
    );
}

#[test]
fn a_head_that_is_too_large_is_answered_t14() {
    check(
        |log: &Log| server(log).limits(Limits { header_fields: 1, ..Limits::default() }),
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> get 1 / | a b | c d
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 1 | :status 431 | content-type text/plain; charset=utf-8 | date (now) | content-length 44
        client-h2< DATA 1 END *44
        "#,
    );
}

#[test]
fn a_stream_above_the_limit_is_refused_t11() {
    check(
        |log: &Log| server(log).limits(Limits { streams: 1, ..Limits::default() }),
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> get 1 /slow
        client-h2> get 3 /
        client-h2> rst 1 8
        client-h2< SETTINGS 4=65535 6=65536 3=1 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< RST_STREAM 3 RefusedStream
        proxy: log
        proxy< slow: the client has gone
        client-h2> get 5 /
        client-h2< HEADERS 5 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 10
        client-h2< DATA 5 END h HTTP/2.0
        "#,
    );
}

#[test]
fn bytes_that_are_no_frames_end_the_connection() {
    check(
        server,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> get 1 /slow
        client-h2> raw 0 0 0
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< GOAWAY 1 ProtocolError
        client-h2< (end)
        proxy: log
        proxy< slow: the client has gone
        "#,
    );
}

#[test]
fn an_idle_connection_ends_after_its_time() {
    check(
        server,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> get 1 /
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 1 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 10
        client-h2< DATA 1 END h HTTP/2.0
        wait 59s
        wait 2s
        client-h2< GOAWAY 1 NoError
        client-h2< (end)
        "#,
    );
}

#[test]
fn a_drain_ends_an_idle_connection_at_once() {
    check(
        server,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> get 1 /
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 1 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 10
        client-h2< DATA 1 END h HTTP/2.0
        proxy: drain
        client-h2< GOAWAY 1 NoError
        client-h2< (end)
        "#,
    );
}

#[test]
fn a_drain_waits_for_requests_and_takes_those_that_are_on_their_way() {
    check(
        server,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> post 1 /text
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        proxy: drain
        client-h2< GOAWAY 2147483647 NoError
        client-h2< PING 103
        client-h2> get 3 /
        client-h2> drained
        client-h2> get 5 /
        client-h2> data 1 done end
        client-h2< GOAWAY 3 NoError
        client-h2< HEADERS 3 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 10
        client-h2< DATA 3 END h HTTP/2.0
        client-h2< HEADERS 1 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 4
        client-h2< DATA 1 END done
        client-h2< (end)
        "#,
    );
}

#[test]
fn a_client_that_does_not_answer_a_drain_is_not_waited_for() {
    check(
        server,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> post 1 /text
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        proxy: drain
        client-h2< GOAWAY 2147483647 NoError
        client-h2< PING 103
        client-h2> data 1 done end
        client-h2< HEADERS 1 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 4
        client-h2< DATA 1 END done
        wait 2s
        client-h2< GOAWAY 1 NoError
        client-h2< (end)
        "#,
    );
}

#[test]
fn the_end_of_the_grace_cuts_what_is_left() {
    check(
        |log: &Log| server(log).grace(Duration::from_secs(5)),
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> get 1 /slow
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        proxy: drain
        client-h2< GOAWAY 2147483647 NoError
        client-h2< PING 103
        wait 6s
        client-h2< HEADERS 1 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 4
        client-h2< DATA 1 END late
        client-h2< GOAWAY 1 NoError
        client-h2< (end)
        proxy: log
        proxy< slow: the process shuts down
        "#,
    );
}

#[test]
fn a_handler_that_does_not_hear_of_the_end_of_the_grace_is_answered_for_a14() {
    check(
        |log: &Log| server(log).grace(Duration::from_secs(5)),
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> get 1 /deaf
        client-h2> post 3 /deaf
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        proxy: drain
        client-h2< GOAWAY 2147483647 NoError
        client-h2< PING 103
        wait 6s
        client-h2< GOAWAY 3 NoError
        client-h2< HEADERS 1 | :status 503 | content-type text/plain; charset=utf-8 | retry-after 1 | date (now) | content-length 20
        client-h2< DATA 1 END Service Unavailable\n
        client-h2< HEADERS 3 | :status 503 | content-type text/plain; charset=utf-8 | retry-after 1 | date (now) | content-length 20
        client-h2< DATA 3 END Service Unavailable\n
        client-h2< RST_STREAM 3 NoError
        client-h2< (end)
        "#,
    );
}

#[test]
fn a_connection_ends_at_its_age_behind_its_requests() {
    check(
        |log: &Log| {
            server(log).timeouts(Timeouts { connection_age: Duration::from_secs(80), ..Timeouts::default() })
        },
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> get 1 /
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 1 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 10
        client-h2< DATA 1 END h HTTP/2.0
        wait 50s
        client-h2> get 3 /
        client-h2< HEADERS 3 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 10
        client-h2< DATA 3 END h HTTP/2.0
        wait 50s
        client-h2> get 5 /
        client-h2< GOAWAY 2147483647 NoError
        client-h2< PING 103
        client-h2< HEADERS 5 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 10
        client-h2< DATA 5 END h HTTP/2.0
        proxy: log
        client-h2> drained
        client-h2< GOAWAY 5 NoError
        client-h2< (end)
        "#,
    );
}

#[test]
fn the_first_request_has_to_come_in_time_t31() {
    check(
        server,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        wait 9s
        wait 2s
        client-h2< (end)
        "#,
    );
}

#[test]
fn half_a_head_has_to_be_completed_in_time_t39() {
    check(
        server,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> get 1 /
        client-h2> raw 1 0 3 82
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 1 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 10
        client-h2< DATA 1 END h HTTP/2.0
        wait 11s
        client-h2< GOAWAY 1 EnhanceYourCalm
        client-h2< (end)
        "#,
    );
}

#[test]
fn settings_have_to_be_acknowledged_in_time_t15() {
    check(
        server,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> get 1 /
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 1 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 10
        client-h2< DATA 1 END h HTTP/2.0
        wait 11s
        client-h2< GOAWAY 1 SettingsTimeout
        client-h2< (end)
        "#,
    );
}

#[test]
fn a_client_that_does_not_read_is_cut_t15() {
    check(
        server,
        r#"
        client-h2> preface
        client-h2> settings 4=16777216
        client-h2> ack
        client-h2> wu 0 16777216
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2> (stop reading)
        client-h2> get 1 /large
        client-h2> get 3 /large
        wait 31s
        client-h2> (read)
        client-h2< (reset)
        "#,
    );
}

#[test]
fn the_first_bytes_decide_which_version_it_is() {
    check(
        server,
        r#"
        client> PRI / HTTP/1.1
        client> host: h
        client>
        client< HTTP/1.1 405 Method Not Allowed
        client< Content-Type: text/plain; charset=utf-8
        client< Allow: GET, HEAD
        client< Date: (now)
        client< Content-Length: 19
        client<
        client< Method Not Allowed\n\
        client2> GET / HTTP/1.1
        client2> host: h
        client2>
        client2< HTTP/1.1 200 OK
        client2< Content-Type: text/plain; charset=utf-8
        client2< Date: (now)
        client2< Content-Length: 10
        client2<
        client2< h HTTP/1.1\
        client3> P\
        wait 11s
        client3< HTTP/1.1 408 Request Timeout
        client3< Content-Type: text/plain; charset=utf-8
        client3< Date: (now)
        client3< Content-Length: 23
        client3< Connection: close
        client3<
        client3< the head took too long\n\
        client3< (end)
        "#,
    );
}

#[test]
fn without_leave_the_preface_is_no_request() {
    check(
        |log: &Log| server(log).h2c(false),
        r#"
        client> PRI * HTTP/2.0
        client>
        client< HTTP/1.1 505 HTTP Version Not Supported
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 41
        client< Connection: close
        client<
        client< version is neither HTTP/1.1 nor HTTP/1.0\n\
        client< (end)
        "#,
    );
}

#[cfg(feature = "grpc")]
#[test]
fn a_body_whose_limits_its_reader_has_lifted_comes_as_it_likes() {
    let free = |_: &Log| {
        let router = Router::new().post("/free", async |_: &Ctx, mut request: Request| {
            request.lift_body_limits();
            request.into_body()
        });
        Server::new(router).h2c(true).limits(Limits { body_bytes: 5, ..Limits::default() })
    };
    check(
        free,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> post 1 /free
        client-h2> data 1 first
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 1 | :status 200 | content-type application/octet-stream | date (now)
        client-h2< DATA 1 first
        wait 60s
        client-h2> data 1 later
        client-h2> data 1 last end
        client-h2< DATA 1 later
        client-h2< DATA 1 last
        client-h2< DATA 1 END
        "#,
    );
}
