//! A server with a handler for each thing that tests ask of one.

use std::rc::Rc;
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::sleep;
use towpath::Ctx;
use towpath::ctx::{CancelGuard, Cause};
use towpath::http::{
    Body, Error, Failure, Headers, Limits, Refusals, Request, Response, Router, Server, StatusCode, Timeouts,
};
use towpath_testkit::{Proxy, Stage};

/// The server under test, which clients reach under the name that they connect to.
pub(crate) struct Kit {
    guard: CancelGuard,
    refusals: Refusals,
}

impl Kit {
    pub(crate) fn new(stage: &Stage) -> Self {
        Self::with(stage, |server| server)
    }

    pub(crate) fn with(_stage: &Stage, change: impl FnOnce(Server) -> Server) -> Self {
        let (ctx, guard) = Ctx::background().with_cancel();
        let server = Server::new(router()).listen("memory:proxy").on_listen(|_| {});
        let server = change(server.limits(Limits { body_bytes: 1000, ..Limits::default() }));
        let refusals = server.refusals();
        spawn_local(async move { server.serve_here(&ctx).await.expect("the name is free") });
        Self { guard, refusals }
    }
}

impl Proxy for Kit {
    fn order(&mut self, order: &str) -> String {
        match order {
            "stop" => self.guard.cancel(Cause::Shutdown),
            "refusals" => {
                let some = self.refusals.all().filter(|(_, count)| *count > 0);
                return some.map(|(reason, count)| format!("{} {count}\n", reason.name())).collect();
            }
            other => panic!("no order {other:?}"),
        }
        String::new()
    }
}

pub(crate) fn router() -> Router {
    Router::new()
        .get("/{$}", async |_: &Ctx, _| "hello")
        .route("/echo", echo)
        .post("/text", async |_: &Ctx, mut request: Request| request.text().await)
        .get("/local", local)
        .get("/pieces", pieces)
        .get("/trailers", trailers)
        .get("/empty", async |_: &Ctx, _| ())
        .get("/flood", async |_: &Ctx, _| "x".repeat(1 << 20))
        .get("/panic", async |_: &Ctx, _| -> &'static str { panic!("at the disco") })
        .get("/fail", async |_: &Ctx, _| -> Result<(), Failure> { Err(std::io::Error::other("secret"))? })
        .get("/split", async |_: &Ctx, _| Response::new(StatusCode::OK).with_header("X", "a\r\nY: b"))
        .get("/short", async |_: &Ctx, _| said("9", "four"))
        .get("/sleep", async |_: &Ctx, _| sleep(Duration::from_secs(3600)).await)
        .get("/patient", patient)
        .get("/left", async |ctx: &Ctx, _: Request| {
            format!("{:?} left", ctx.remaining().expect("it has a deadline"))
        })
        .post("/ignore", async |_: &Ctx, _| "ignored")
        .get("/wait/{seconds}", wait)
        .get("/hello/{name}", async |_: &Ctx, request: Request| {
            format!("hello {}", request.param("name").unwrap_or_default())
        })
}

/// Sends back what comes, as it comes.
async fn echo(_ctx: &Ctx, mut request: Request) -> Result<Body, Error> {
    let (sender, body) = Body::channel(1);
    spawn_local(async move {
        loop {
            match request.body().next().await {
                Ok(Some(piece)) => {
                    if sender.send(piece).await.is_err() {
                        return;
                    }
                }
                Ok(None) => return,
                Err(error) => return sender.fail(error).await,
            }
        }
    });
    Ok(body)
}

/// Holds what is not `Send` over an await.
async fn local(_ctx: &Ctx, _request: Request) -> String {
    let here = Rc::new("local");
    tokio::task::yield_now().await;
    (*here).to_owned()
}

async fn pieces(_ctx: &Ctx, _request: Request) -> Body {
    let (sender, body) = Body::channel(1);
    spawn_local(async move {
        for piece in ["one", "two"] {
            sleep(Duration::from_secs(1)).await;
            if sender.send(piece).await.is_err() {
                return;
            }
        }
    });
    body
}

async fn trailers(_ctx: &Ctx, _request: Request) -> Result<Body, Failure> {
    let mut trailers = Headers::default();
    trailers.set("Digest", "abc")?;
    Ok(Body::from("content").with_trailers(trailers))
}

fn said(length: &str, body: &'static str) -> Response {
    let (sender, pieces) = Body::channel(1);
    spawn_local(async move { sender.send(body).await });
    Response::new(StatusCode::OK).with_header("Content-Length", length).with_body(pieces)
}

/// Ends when its context does, and says why.
async fn patient(ctx: &Ctx, _request: Request) -> String {
    ctx.done().await.name().to_owned()
}

async fn wait(ctx: &Ctx, request: Request) -> Result<&'static str, Failure> {
    let seconds = request.param("seconds").unwrap_or_default().parse()?;
    ctx.run(sleep(Duration::from_secs(seconds))).await?;
    Ok("waited")
}

pub(crate) fn impatient(server: Server) -> Server {
    server.timeouts(Timeouts { handler: Some(Duration::from_secs(2)), ..Timeouts::default() })
}
