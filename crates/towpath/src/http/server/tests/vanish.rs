//! Clients that disappear, and connections that are dropped, at every point there is: nothing stays behind.

use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep};
use towpath_net::{Stream, memory};
use towpath_testkit::Proxy as _;
use towpath_testkit::frames::Frames;
use towpath_testkit::polls::{after_every_poll, polled};
use towpath_testkit::stage::{self, Stage};

use super::start;
use crate::Ctx;
use crate::http::request::Peer;
use crate::http::server::connection::{self, Carrier, Line};
use crate::http::server::site::{Shared, Site};
use crate::http::server::{Server, h2};
use crate::http::{Body, Error, Request, Router};
use crate::serving::Place;

/// Handlers that have begun and not ended.
#[derive(Clone, Default)]
struct Alive(Arc<AtomicUsize>);

/// One of them.
struct Held(Arc<AtomicUsize>);

impl Alive {
    fn hold(&self) -> Held {
        self.0.fetch_add(1, Relaxed);
        Held(Arc::clone(&self.0))
    }

    fn count(&self) -> usize {
        self.0.load(Relaxed)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Handlers that wait for each thing one can wait for: a body, room for a response, a clock, a task, their own context.
fn server(alive: &Alive) -> Server {
    let held = |alive: &Alive| {
        let alive = alive.clone();
        move || alive.hold()
    };
    let (text, echo, flood, wait) = (held(alive), held(alive), held(alive), held(alive));
    let router = Router::new()
        .post("/text", async move |_: &Ctx, mut request: Request| -> Result<String, Error> {
            let _held = text();
            request.text().await
        })
        .post("/echo", async move |_: &Ctx, mut request: Request| -> Result<Body, Error> {
            let (sender, body) = Body::channel(1);
            let held = echo();
            spawn_local(async move {
                let _held = held;
                while let Ok(Some(piece)) = request.body().next().await {
                    if sender.send(piece).await.is_err() {
                        return;
                    }
                }
            });
            Ok(body)
        })
        .get("/flood", async move |_: &Ctx, _: Request| {
            let _held = flood();
            "x".repeat(300_000)
        })
        .get("/wait", async move |ctx: &Ctx, _: Request| -> Result<&str, Error> {
            let _held = wait();
            let inner = ctx.scope(|ctx| async move {
                let task = ctx.spawn("inner", async |ctx| ctx.run(sleep(Duration::from_secs(2))).await);
                task.await.map_err(std::io::Error::other)
            });
            // Whatever came of it.
            let _ = inner.await;
            Ok("waited")
        });
    Server::new(router).h2c(true)
}

/// One request of each kind, the last without its end, so that its handler waits.
const HTTP1: &str = "POST /text HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello\
    GET /wait HTTP/1.1\r\nHost: h\r\n\r\n\
    POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: 1\r\n\r\n\
    POST /text HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc\
    GET /flood HTTP/1.1\r\nHost: h\r\n\r\n\
    POST /text HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc";

/// The same as streams.
fn http2() -> Vec<u8> {
    let mut frames = Frames::default();
    let lines = [
        "preface",
        "settings",
        "ack",
        "post 1 /text",
        "data 1 hello end",
        "get 3 /wait",
        "get 5 /flood",
        "post 7 /echo",
        "data 7 abc",
        "post 9 /text",
        "data 9 ab",
        "rst 7 8",
    ];
    lines.iter().flat_map(|line| frames.bytes_of(line)).collect()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    End,
    Close,
    Reset,
    /// Reads nothing of what is answered, and resets then.
    Unread,
}

/// Plays the client of `script` once for each of its bytes, and has it go behind that.
#[track_caller]
fn goes_anywhere(script: &[u8]) {
    for way in [Way::End, Way::Close, Way::Reset, Way::Unread] {
        for cut in 0..=script.len() {
            stage::run(async {
                let (stage, alive) = (Stage::default(), Alive::default());
                let running = start(|_| server(&alive));
                stage.settle().await;
                if way == Way::Unread {
                    stage.read("client", false).await;
                }
                stage.send("client", script.get(..cut).unwrap_or_default()).await;
                stage.settle().await;
                match way {
                    Way::End => stage.end("client").await,
                    Way::Close => stage.close("client"),
                    Way::Reset | Way::Unread => stage.reset("client"),
                }
                stage.settle().await;
                // A handler that goes on all the same has five seconds, one that is idle behind the end of its client two.
                sleep(Duration::from_secs(12)).await;
                let taken = running.shared.life.places.taken();
                assert_eq!((alive.count(), taken), (0, 0), "{way:?} behind byte {cut}");
            });
        }
    }
}

#[test]
fn a_client_may_go_behind_every_byte_of_http1() {
    goes_anywhere(HTTP1.as_bytes());
}

#[test]
fn a_client_may_go_behind_every_byte_of_http2() {
    goes_anywhere(&http2());
}

/// Sends `script` in pieces of 16 bytes, and reads what comes.
async fn converse(end: Rc<memory::End>, script: Vec<u8>) {
    let reading = Rc::clone(&end);
    let reader = spawn_local(async move {
        let mut room = [0; 64 * 1024];
        while poll_fn(|cx| reading.poll_read(cx, &mut room)).await.is_ok_and(|count| count > 0) {}
    });
    for mut piece in script.chunks(16) {
        while let (false, Ok(count)) = (piece.is_empty(), poll_fn(|cx| end.poll_write(cx, piece)).await) {
            piece = piece.get(count..).unwrap_or_default();
        }
        tokio::task::yield_now().await;
    }
    let _ = reader.await;
}

#[test]
fn the_end_of_the_grace_waits_for_no_client_that_does_not_read() {
    stage::run(async {
        let (stage, alive) = (Stage::default(), Alive::default());
        let mut running = start(|_| server(&alive).grace(Duration::from_secs(5)));
        stage.settle().await;
        stage.read("client", false).await;
        let mut frames = Frames::default();
        let lines =
            ["preface", "settings 4=16777216", "ack", "wu 0 16777216", "get 1 /flood", "get 3 /flood"];
        let bytes: Vec<u8> = lines.iter().flat_map(|line| frames.bytes_of(line)).collect();
        stage.send("client", &bytes).await;
        stage.settle().await;
        assert_eq!(running.shared.life.places.taken(), 1);
        running.order("drain");
        sleep(Duration::from_secs(6)).await;
        assert_eq!((alive.count(), running.shared.life.places.taken()), (0, 0));
    });
}

/// A worker without a listener, and the end of a connection that it is to serve.
struct Scene {
    alive: Alive,
    site: Rc<Site>,
    line: Line,
    seat: Place,
    client: JoinHandle<()>,
    timers: JoinHandle<()>,
}

impl Scene {
    /// With a client that says `script`.
    fn new(script: Vec<u8>) -> Self {
        let alive = Alive::default();
        let server = server(&alive);
        let shared =
            Shared::new(server.handler, server.settings, server.refusals, Vec::new(), &Ctx::background());
        let site = Rc::new(Site::new(Arc::new(shared)));
        let driven = site.timers.clone();
        let (ours, theirs) = memory::pipe();
        let line = Line {
            site: Rc::clone(&site),
            stream: Carrier::Wire(Stream::memory(ours)),
            timer: site.timers.register(),
            peer: Arc::new(Peer::default()),
            since: Instant::now(),
            early: Vec::new(),
        };
        Self {
            alive,
            line,
            seat: site.shared.life.places.take(memory::ADDRESS.ip()).unwrap(),
            client: spawn_local(converse(Rc::new(theirs), script)),
            timers: spawn_local(async move { driven.drive().await }),
            site,
        }
    }
}

/// Whether what `serve` makes of a connection was over within so many polls. Nothing stays behind either way.
async fn is_over_after<F: Future>(polls: usize, script: Vec<u8>, serve: impl Fn(Line, Place) -> F) -> bool {
    let Scene { alive, site, line, seat, client, timers } = Scene::new(script);
    let is_over = polled(serve(line, seat), polls).await.is_some();
    // What handlers have started ends with their requests, not with the connection's future.
    sleep(Duration::from_secs(12)).await;
    assert_eq!((alive.count(), site.shared.life.places.taken()), (0, 0), "after {polls} polls");
    client.abort();
    timers.abort();
    is_over
}

#[test]
fn a_connection_may_be_dropped_after_every_poll() {
    let serve = |line: Line, seat| {
        let Line { site, stream: Carrier::Wire(stream), peer, since, .. } = line else { unreachable!() };
        connection::serve(site, stream, peer, seat, since)
    };
    after_every_poll(|polls| stage::run(is_over_after(polls, HTTP1.as_bytes().to_vec(), serve)));
}

#[test]
fn a_connection_of_http2_may_be_dropped_after_every_poll() {
    after_every_poll(|polls| stage::run(is_over_after(polls, http2(), h2::serve)));
}

/// Whether the request of the first stream was answered within so many polls. Its place is free then, and the request of the
/// other goes on.
async fn is_answered_after(polls: usize, lines: &[&str]) -> bool {
    let mut frames = Frames::default();
    let lines = [&["preface", "settings", "ack"], lines, &["get 3 /wait"]].concat();
    let script: Vec<u8> = lines.iter().flat_map(|line| frames.bytes_of(line)).collect();
    let Scene { alive, site, line, seat, client, timers } = Scene::new(Vec::new());
    let is_answered = h2::tests::answer_after(line, seat, &script, polls).await;
    sleep(Duration::from_secs(12)).await;
    assert_eq!((alive.count(), site.shared.life.places.taken()), (0, 0), "after {polls} polls");
    client.abort();
    timers.abort();
    is_answered
}

#[test]
fn a_request_of_http2_may_be_dropped_after_every_poll() {
    for lines in [
        &["post 1 /text", "data 1 hel"][..],
        &["post 1 /echo", "data 1 abc", "data 1 def end"],
        &["get 1 /flood"],
        &["get 1 /wait"],
    ] {
        after_every_poll(|polls| stage::run(is_answered_after(polls, lines)));
    }
}
