//! The task of a connection, dropped half-way at every point there is.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::timeout;
use towpath_testkit::polls::{after_every_poll, polled};
use towpath_testkit::stage::{self, PROXY};

use super::group::Avoid;
use crate::Ctx;
use crate::http::client::url::Url;
use crate::http::client::{Client, ClientSettings, HttpVersion};
use crate::http::server::tests::{Log, start};
use crate::http::{Body, Error, Method, Request, Router, Server};
use crate::pool::PoolConfig;

const URL: &str = "http://h/";

/// Sends back what comes, and more than the windows hold.
fn server(_: &Log) -> Server {
    let router = Router::new()
        .post("/", async |_: &Ctx, request: Request| request.into_body())
        .get("/", async |_: &Ctx, _: Request| "x".repeat(200_000));
    Server::new(router).h2c(true)
}

/// A client that has one connection to a server in memory at a time.
fn client() -> Client {
    Client::new(ClientSettings {
        version: HttpVersion::Http2PriorKnowledge,
        connect_to: vec![("h:80".to_owned(), format!("memory:{PROXY}"))],
        environment_proxy: false,
        pool: PoolConfig { max_connections: Some(1), ..PoolConfig::default() },
        ..ClientSettings::default()
    })
}

async fn upload(client: Client) -> Result<usize, Error> {
    let (sender, body) = Body::channel(1);
    spawn_local(async move {
        for _ in 0..10 {
            // Nobody may want it any more.
            let _ = sender.send("x".repeat(20_000)).await;
        }
    });
    Ok(client.request(Method::POST, URL).body(body).send(&Ctx::background()).await?.text().await?.len())
}

async fn download(client: Client) -> Result<usize, Error> {
    Ok(client.get(&Ctx::background(), URL).await?.text().await?.len())
}

/// Whether a connection was over within so many polls of its driver. What was under way has ended either way, and nothing
/// stays behind.
async fn is_over_after(polls: usize) -> bool {
    let _running = start(server);
    let (client, ctx) = (client(), Ctx::background());
    let lines = &client.0.lines;
    let origin = client.0.origin(&Url::parse(URL).unwrap());
    let group = lines.group(&origin);
    // The server listens once it is polled.
    tokio::task::yield_now().await;
    let loan = lines.lend(&ctx, &origin, Avoid::Nothing).await.unwrap();
    let (driver, permit) = lines.drive(&group, loan);
    let conn = Arc::downgrade(permit.conn());
    drop(permit);
    let (one, two) = (spawn_local(upload(client.clone())), spawn_local(download(client.clone())));
    let is_over = polled(driver, polls).await.is_some();
    for task in [one, two] {
        let outcome = timeout(Duration::from_secs(60), task).await.expect("it does not hang").unwrap();
        // It was done, here or over another connection, or whoever asked may ask again.
        assert!(
            outcome.as_ref().map_or_else(Error::is_retryable, |length| *length == 200_000),
            "after {polls} polls: {outcome:?}"
        );
    }
    assert!(conn.upgrade().is_none(), "after {polls} polls somebody holds the connection");
    // Its place is free, and is the only one.
    assert_eq!(download(client.clone()).await.unwrap(), 200_000, "after {polls} polls");
    is_over
}

#[test]
fn a_connection_may_be_dropped_after_every_poll_p06() {
    after_every_poll(|polls| stage::run(is_over_after(polls)));
}
