//! A14: a server that stops waits for what it has begun, requests and detached work alike, and counts what it has to cut.

use std::cell::Cell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};
use towpath::Ctx;
use towpath::ctx::{Cause, Tracker};
use towpath::http::{Failure, Reason, Request, Router, Server};
use towpath_testkit::stage::{Seen, Stage, run};

/// Requests of each kind.
const COUNT: usize = 100;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// How often `text` was sent to any client.
fn heard(stage: &Stage, text: &str) -> usize {
    let is_it =
        |seen: &Seen| matches!(seen, Seen::Bytes(bytes) if String::from_utf8_lossy(bytes).contains(text));
    stage.seen().iter().filter(|(_, seen)| is_it(seen)).count()
}

#[test]
fn a_hundred_requests_and_ten_detached_jobs_end_before_the_server_does_a14() {
    run(async {
        let (stage, tracker, jobs) = (Stage::default(), Tracker::new(), Arc::new(AtomicUsize::new(0)));
        let (ctx, guard) = tracker.root().with_cancel();
        let done = Arc::clone(&jobs);
        let router = Router::new()
            .get("/wait", async |ctx: &Ctx, _: Request| -> Result<&str, Failure> {
                ctx.run(sleep(secs(20))).await?;
                Ok("waited")
            })
            .get("/job", async move |ctx: &Ctx, _: Request| -> Result<&str, Failure> {
                let done = Arc::clone(&done);
                ctx.detach("job", async move |ctx: Ctx| {
                    let _ = ctx.run(sleep(secs(25))).await;
                    done.fetch_add(1, Relaxed);
                })?;
                Ok("later")
            });
        let server = Server::new(router).listen("memory:proxy").on_listen(|_| {});
        let refusals = server.refusals();
        let has_ended = Rc::new(Cell::new(None));
        let ended = Rc::clone(&has_ended);
        spawn_local(async move {
            server.serve_here(&ctx).await.unwrap();
            ended.set(Some(Instant::now()));
        });
        stage.settle().await;
        for number in 0..COUNT {
            stage.send(&format!("client-{number}"), b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n").await;
        }
        for _ in 0..10 {
            stage.send("client", b"GET /job HTTP/1.1\r\nHost: h\r\n\r\n").await;
        }
        stage.settle().await;
        assert_eq!((tracker.tasks().len(), heard(&stage, "later")), (10, 1));
        let stopped = Instant::now();
        guard.cancel(Cause::Shutdown);
        // Connections end when their clients do, or two seconds after their last answer.
        sleep(secs(24)).await;
        assert_eq!(heard(&stage, "waited"), COUNT);
        let took = has_ended.get().expect("nothing is left to wait for") - stopped;
        assert!(took < secs(30), "{took:?} by the paused clock");
        tracker.idle().await;
        assert_eq!((jobs.load(Relaxed), refusals.count(Reason::Grace)), (10, 0));
    });
}

#[test]
fn everybody_is_answered_at_the_end_of_the_grace_by_a_worker_that_has_many_a14() {
    let (ctx, guard) = Tracker::new().root().with_cancel();
    let (told, address) = std::sync::mpsc::channel();
    let (begun, began) = std::sync::mpsc::channel();
    let serving = std::thread::spawn(move || {
        let router = Router::new().get("/deaf", async move |_: &Ctx, _: Request| {
            begun.send(()).unwrap();
            std::future::pending::<()>().await
        });
        let server = Server::new(router).listen("127.0.0.1:0").workers(1).grace(Duration::from_millis(1));
        let server = server.on_listen(move |listening| told.send(listening.address()).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(server.serve(&ctx)).unwrap();
    });
    let address: std::net::SocketAddr = address.recv().unwrap();
    // More than a runtime polls before it looks whether its worker has ended.
    let mut clients: Vec<_> = (0..200).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
    for client in &mut clients {
        client.write_all(b"GET /deaf HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    }
    clients.iter().for_each(|_| began.recv().unwrap());
    guard.cancel(Cause::Shutdown);
    serving.join().unwrap();
    for mut client in clients {
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 503 "), "{text:?}");
    }
}

#[test]
fn what_the_grace_is_not_enough_for_is_cut_and_counted_a14() {
    run(async {
        let (stage, tracker) = (Stage::default(), Tracker::new());
        let (ctx, guard) = tracker.root().with_cancel();
        let router = Router::new()
            .get("/told", async |ctx: &Ctx, _: Request| ctx.done().await.name())
            .get("/deaf", async |_: &Ctx, _: Request| sleep(secs(3600)).await);
        let server = Server::new(router).listen("memory:proxy").on_listen(|_| {}).grace(secs(5));
        let refusals = server.refusals();
        let serving = spawn_local(async move { server.serve_here(&ctx).await.unwrap() });
        stage.settle().await;
        for number in 0..COUNT {
            stage.send(&format!("client-{number}"), b"GET /told HTTP/1.1\r\nHost: h\r\n\r\n").await;
            stage.send(&format!("client-deaf-{number}"), b"GET /deaf HTTP/1.1\r\nHost: h\r\n\r\n").await;
        }
        stage.settle().await;
        let stopped = Instant::now();
        guard.cancel(Cause::Shutdown);
        serving.await.unwrap();
        let took = stopped.elapsed();
        assert!(took >= secs(5) && took < secs(6), "{took:?} by the paused clock");
        stage.settle().await;
        assert_eq!(heard(&stage, "\r\n\r\nshutdown"), COUNT, "who asks its context answers");
        assert_eq!(refusals.count(Reason::Grace), COUNT as u64);
    });
}
