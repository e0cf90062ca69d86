---
[dependencies]
serde_json = "1"
towpath.features = ["grpc", "postgres"]
---
//! Two services in a row, for the suite of programs. `front URL` answers over gRPC and HTTP, and asks the service at the URL;
//! `back DATABASE` sleeps in the database. Each says what it was told and how its requests ended. The front also has streams.

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;

use chain::Nap;
use chain::bed_server::{Bed, BedServer};
use towpath::Ctx;
use towpath::chan::{Broadcaster, broadcast};
use towpath::grpc::{self, BoxStream, Grpc, Routes, Status};
use towpath::http::ws::{self, Socket};
use towpath::http::{Client, ClientSettings, Failure, Method, Request, Response, Router, Server, StatusCode};
use towpath::pool::PoolConfig;
use towpath::postgres::Database;

grpc::proto!("chain.proto");

/// Says when a request's time ends, and what it ended with, wherever its code is dropped.
struct Witness(&'static str, Ctx);

impl Witness {
    fn new(who: &'static str, ctx: &Ctx, told: Option<&str>) -> Self {
        let left = ctx.remaining().map_or(-1, |left| left.as_micros() as i64);
        println!("{who} was told {}, has {left} us", told.unwrap_or("nothing"));
        Self(who, ctx.clone())
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        println!("{} ended: {}", self.0, self.1.err().map_or("well", |cause| cause.name()));
    }
}

#[derive(Clone)]
struct Front {
    client: Client,
    url: String,
    wakes: Broadcaster<()>,
}

impl Front {
    async fn sleep(&self, ctx: &Ctx) -> Result<Response, towpath::http::Error> {
        self.client.request(Method::POST, &format!("{}/sleep", self.url)).send(ctx).await
    }
}

#[grpc::async_trait]
impl Bed for Front {
    async fn sleep(&self, request: grpc::Request<Nap>) -> Result<grpc::Response<Nap>, Status> {
        let ctx = request.extensions().get::<Ctx>().cloned().unwrap_or_else(Ctx::todo);
        let told = request.metadata().get("grpc-timeout").and_then(|told| told.to_str().ok());
        let _witness = Witness::new("front", &ctx, told);
        let answer = match Front::sleep(self, &ctx).await.map(|response| response.status()) {
            Ok(StatusCode::OK) => Ok(grpc::Response::new(Nap {})),
            Ok(StatusCode::GATEWAY_TIMEOUT) => Err(Status::deadline_exceeded("there")),
            Ok(status) => Err(Status::unavailable(status.to_string())),
            Err(error) => Err(ctx.err().map_or_else(|| Status::unavailable(error.to_string()), Status::from)),
        };
        println!("front answers {:?}", answer.as_ref().map_or_else(Status::code, |_| grpc::Code::Ok));
        answer
    }

    async fn dream(&self, _: grpc::Request<Nap>) -> Result<grpc::Response<BoxStream<Nap>>, Status> {
        let mut wakes = self.wakes.listen();
        Ok(grpc::Response::new(grpc::stream(async move |out| {
            out.send(Nap {}).await?;
            while let Ok(Some(())) = wakes.recv().await {
                out.send(Nap {}).await?;
            }
            Ok(())
        })))
    }

    async fn oversleep(&self, request: grpc::Request<Nap>) -> Result<grpc::Response<Nap>, Status> {
        let ctx = request.extensions().get::<Ctx>().cloned().unwrap_or_else(Ctx::todo);
        let (front, late) = (self.clone(), ctx.clone());
        // Apart from the call, which ends with its context.
        drop(ctx.shield(async move {
            late.done().await;
            let outcome = Front::sleep(&front, &late).await;
            let said = outcome.map_or_else(|error| error.to_string(), |_| "it was answered".to_owned());
            println!("front asked late: {said}");
        }));
        ctx.done().await;
        Err(Status::cancelled("late"))
    }
}

fn front(url: String) -> ExitCode {
    // One dial each time, so that whether there was one can be seen.
    let pool = PoolConfig { idle_timeout: Duration::ZERO, ..PoolConfig::default() };
    let client = Client::new(ClientSettings { propagate_deadline: true, pool, ..ClientSettings::default() });
    let front = Front { client, url, wakes: broadcast(16) };
    let ask = {
        let front = front.clone();
        async move |ctx: &Ctx, request: Request| -> Result<Response, Failure> {
            let _witness = Witness::new("front", ctx, request.header("grpc-timeout"));
            Ok(front.sleep(ctx).await?)
        }
    };
    let wake = {
        let front = front.clone();
        async move |_: &Ctx, _: Request| drop(front.wakes.send(()))
    };
    let left = async |ctx: &Ctx, _: Request| format!("{}\n", ctx.remaining().unwrap_or_default().as_millis());
    towpath::run(async move |ctx| {
        let router = Router::new().post("/sleep", ask).get("/left", left).get("/wake", wake).get("/echo", echo);
        let services = Grpc::new(Routes::new(BedServer::new(front))).beside(router);
        let server = Server::new(services).h2c(true).listen("127.0.0.1:0");
        // From there comes a proxy.
        let server = server.trust_headers_from(|peer| peer.address.ip() == Ipv4Addr::new(127, 0, 0, 2));
        Ok(server.serve(&ctx).await?)
    })
}

async fn echo(_: &Ctx, request: Request) -> Response {
    ws::accept(request, async |ctx: &Ctx, socket: &mut Socket| {
        while let Some(message) = socket.recv(ctx).await? {
            socket.send(ctx, message).await?;
        }
        Ok::<_, ws::Error>(())
    })
}

fn back(database: &str) -> ExitCode {
    towpath::run(async |ctx| {
        let pool = PoolConfig { max_connections: Some(20), max_waiters: Some(20_000), ..PoolConfig::default() };
        let database = Database::with_pool(database, pool)?;
        let stats = {
            let database = database.clone();
            async move |_: &Ctx, _: Request| {
                let stats = database.stats().unwrap_or_default();
                towpath::http::Json(serde_json::json!({ "in_use": stats.in_use, "waiters": stats.waiters }))
            }
        };
        let sleep = async move |ctx: &Ctx, request: Request| -> Result<&str, Failure> {
            let _witness = request.header("grpc-timeout").map(|told| Witness::new("back", ctx, Some(told)));
            database.execute(ctx, "select pg_sleep(30)", &[]).await?;
            Ok("awake\n")
        };
        let router = Router::new().route("/sleep", sleep).get("/stats", stats);
        Ok(Server::new(router).listen("127.0.0.1:0").serve(&ctx).await?)
    })
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "front", url] => front(url.to_owned()),
        [_, "back", database] => back(database),
        _ => ExitCode::from(2),
    }
}
