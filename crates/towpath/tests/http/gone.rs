//! A handler that fails because its client has gone is counted, and is no news to whoever runs the program.

#![expect(clippy::unwrap_used, reason = "in a test a failed step is a failed test, in helpers too")]

use std::io;
use std::process::Command;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio::time::sleep;
use towpath::Ctx;
use towpath::ctx::Cause;
use towpath::http::{self, Failure, Reason, Request, Router, Server};
use towpath_testkit::frames::Frames;
use towpath_testkit::stage::{Stage, run};

const CHILD: &str = "TOWPATH_TEST_GONE";

/// What is reported is said on standard error, so that the scene is a process of its own.
#[test]
fn a_handler_that_fails_as_its_client_has_gone_is_counted_and_not_reported() {
    if std::env::var_os(CHILD).is_some() {
        return run(scene());
    }
    let name = "gone::a_handler_that_fails_as_its_client_has_gone_is_counted_and_not_reported";
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--exact", name, "--nocapture"]).env(CHILD, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let reports: Vec<&str> = said.lines().filter(|line| line.starts_with("towpath: ")).collect();
    assert_eq!(reports, ["towpath: a handler failed: its own fault"]);
}

/// What waits for its context, and wraps what that says; what reads a body, and wraps that.
async fn wait(ctx: Ctx) -> Result<String, Failure> {
    match ctx.done().await {
        Cause::ClientGone => Err(io::Error::other("the query was canceled").into()),
        cause => Err(cause.into()),
    }
}

async fn scene() {
    let router = Router::new()
        .get("/cause", async |ctx: &Ctx, _: Request| -> Result<String, Failure> {
            Err(ctx.done().await.into())
        })
        .route("/wait", async |ctx: &Ctx, _: Request| wait(ctx.clone()).await)
        .get("/threads", http::on_threads(&Handle::current(), |ctx, _| wait(ctx)))
        .post("/read", async |_: &Ctx, mut request: Request| -> Result<String, Failure> {
            Ok(request.text().await.map_err(io::Error::other)?)
        })
        .get("/fault", async |_: &Ctx, _: Request| -> Result<String, Failure> {
            Err(io::Error::other("its own fault").into())
        });
    let server = Server::new(router).listen("memory:proxy").on_listen(|_| {}).h2c(true);
    let refusals = server.refusals();
    let (ctx, guard) = Ctx::background().with_cancel();
    let serving = spawn_local(async move { server.serve_here(&ctx).await.unwrap() });
    let stage = Stage::default();
    stage.settle().await;
    for path in ["cause", "wait", "threads"] {
        let label = format!("client-{path}");
        stage.send(&label, format!("GET /{path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).await;
        stage.settle().await;
        stage.close(&label);
    }
    // An empty body that nobody reads hides no end.
    stage.send("client-empty", b"POST /wait HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n").await;
    stage.settle().await;
    stage.close("client-empty");
    stage.send("client-read", b"POST /read HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf").await;
    stage.settle().await;
    stage.close("client-read");
    // The end of a connection is that of its streams.
    let mut frames = Frames::default();
    let bytes: Vec<u8> =
        ["preface", "settings", "ack", "get 1 /wait"].iter().flat_map(|line| frames.bytes_of(line)).collect();
    stage.send("client-whole", &bytes).await;
    stage.settle().await;
    stage.close("client-whole");
    let mut frames = Frames::default();
    let lines = [
        "preface",
        "settings",
        "ack",
        "get 1 /cause",
        "get 3 /wait",
        "get 5 /threads",
        "post 7 /read",
        "data 7 half",
    ];
    let bytes: Vec<u8> = lines.iter().flat_map(|line| frames.bytes_of(line)).collect();
    stage.send("client-h2", &bytes).await;
    stage.settle().await;
    for number in [1, 3, 5, 7] {
        stage.send("client-h2", &frames.bytes_of(&format!("rst {number} 8"))).await;
    }
    stage.send("client", b"GET /fault HTTP/1.1\r\nHost: h\r\n\r\n").await;
    stage.settle().await;
    assert_eq!(refusals.count(Reason::ClientGone), 10, "{refusals:?}");
    guard.cancel(Cause::Shutdown);
    serving.await.unwrap();
}

#[test]
fn a_detached_handler_goes_on_when_its_client_has_gone() {
    run(async {
        let (done, mut is_done) = mpsc::unbounded_channel();
        let order = move |ctx: &Ctx, mut request: Request| {
            let (ctx, done) = (ctx.clone(), done.clone());
            async move {
                let text = request.text().await.unwrap();
                sleep(Duration::from_secs(3)).await;
                ctx.check().unwrap();
                done.send(text).unwrap();
                "placed"
            }
        };
        let router = Router::new().post("/", http::detached(order));
        let server = Server::new(router).listen("memory:proxy").on_listen(|_| {});
        let (ctx, guard) = Ctx::background().with_cancel();
        let serving = spawn_local(async move { server.serve_here(&ctx).await.unwrap() });
        let stage = Stage::default();
        stage.settle().await;
        for (label, leaves) in [("client", false), ("client2", true)] {
            let bytes = format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\n{label:7}");
            stage.send(label, bytes.as_bytes()).await;
            stage.settle().await;
            if leaves {
                stage.close(label);
            }
        }
        // The drain waits for both.
        guard.cancel(Cause::Shutdown);
        serving.await.unwrap();
        assert_eq!(
            [is_done.recv().await, is_done.recv().await],
            [Some("client ".into()), Some("client2".into())]
        );
        let answered = stage.seen().iter().any(|(label, _)| &**label == "client");
        assert!(answered, "who has stayed has the answer");
    });
}
