//! axum's router behind our server, and handlers on other threads.

use std::sync::mpsc;
use std::time::Duration;

use axum::extract::{Path, Request as AxumRequest};
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::{Extension, Router};
use tokio::runtime::Runtime;
use towpath::Ctx;
use towpath::ctx::Cause;
use towpath::http::{self, Peer, Request, Server};

use crate::serving::{Serving, output_of};

async fn facts(
    Path(name): Path<String>,
    Extension(ctx): Extension<Ctx>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> String {
    let word = headers.get("x-word").and_then(|word| word.to_str().ok()).unwrap_or_default();
    format!("{name} {word} {} {}", ctx.remaining().is_some(), peer.is_tls)
}

/// Reads the body on another thread than the one that has the connection.
async fn upload(request: AxumRequest) -> String {
    let body = request.into_body();
    let bytes = tokio::task::spawn(axum::body::to_bytes(body, 1 << 20)).await.unwrap().unwrap();
    bytes.len().to_string()
}

#[test]
fn axums_router_is_a_handler_as_it_is() {
    let router = Router::new().route("/facts/{name}", get(facts)).route("/upload", post(upload));
    let serving = Serving::start(move || Server::new(http::tower(router)).h2c(true));
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let curl = |path: &str, words: &[&str]| {
            let url = format!("http://{}{path}", serving.address);
            output_of("curl", &[&["-s", "-m", "10", version][..], words, &[url.as_str()]].concat())
        };
        let Some(text) = curl("/facts/a%20b?x=1", &["-H", "X-Word: w"]) else { return };
        assert_eq!(text, "a b w true false");
        assert_eq!(curl("/upload", &["-d", &"x".repeat(100_000)]).unwrap(), "100000");
        assert_eq!(curl("/none", &["-w", "%{http_code}"]).unwrap(), "404");
    }
}

#[test]
fn a_handler_on_other_threads_is_aborted_when_its_client_goes() {
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    let (sender, told) = mpsc::channel();
    let serving = Serving::start(move || {
        let sent = sender.clone();
        let body = http::on_threads(&handle, async move |_ctx: Ctx, mut request: Request| {
            let bytes = request.bytes().await?;
            Ok::<_, http::Error>(format!(
                "{} on {}",
                bytes.len(),
                std::thread::current().name().unwrap_or("?")
            ))
        });
        let slow = http::on_threads(&handle, move |ctx: Ctx, _request: Request| {
            let sent = sent.clone();
            async move {
                let cause = ctx.done().await;
                sent.send(matches!(cause, Cause::ClientGone)).unwrap();
            }
        });
        Server::new(http::Router::new().post("/", body).get("/slow", slow))
    });
    let url = format!("http://{}/", serving.address);
    let Some(text) = output_of("curl", &["-s", "-m", "10", "-d", &"x".repeat(50_000), &url]) else { return };
    assert!(text.starts_with("50000 on tokio"), "{text}");
    output_of("curl", &["-s", "-m", "0.3", &format!("{url}slow")]).unwrap();
    assert!(told.recv_timeout(Duration::from_secs(10)).unwrap(), "the client has gone");
}
