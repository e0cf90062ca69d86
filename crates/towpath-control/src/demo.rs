//! The built-in demo: three replicas in this process behind a gateway, for the moment before there is a file.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

use crate::http::{self, Request, Response};

/// How many replicas answer. Three is the least at which balancing is more than taking turns.
const REPLICAS: usize = 3;

/// Starts the replicas on free loopback ports and returns the file that puts a gateway before them. Must run on the
/// control runtime, where the replicas live from then on.
pub(crate) async fn start() -> io::Result<String> {
    let mut replicas = Vec::new();
    for number in 1..=REPLICAS {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        replicas.push(listener.local_addr()?);
        tokio::spawn(serve_replica(listener, format!("replica-{number}")));
    }
    Ok(file_for(&replicas))
}

fn file_for(replicas: &[SocketAddr]) -> String {
    let endpoints: Vec<String> = replicas.iter().map(|address| format!("\"{address}\"")).collect();
    format!(
        r#"[admin]
listen = "127.0.0.1:9900"

[listener.web]
bind = "127.0.0.1:8080"

[route.hello]
match = {{ path = "/hello" }}
respond = {{ status = 200, body = "hello from towpath\n" }}

[route.replicas]
match = {{ path = "/*" }}
upstream = "replicas"

[upstream.replicas]
endpoints = [{}]
balance = "round-robin"
health = {{ path = "/healthz", interval = "5s" }}
"#,
        endpoints.join(", ")
    )
}

async fn serve_replica(listener: TcpListener, name: String) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let name = name.clone();
                tokio::spawn(async move {
                    http::serve(stream, None, |request, _| std::future::ready(answer(&name, &request))).await;
                });
            }
            // At the file limit accept fails at once; waiting keeps that from becoming a busy loop.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
        }
    }
}

fn answer(name: &str, request: &Request) -> Response {
    let body = format!("{name} answers {} {}\n", request.method, request.path);
    Response::text("text/plain; charset=utf-8", body).with("x-replica", name)
}

/// What a newcomer reads first.
pub(crate) fn hint(text: &str) -> String {
    format!(
        "no towpath.toml here, so this is the demo: three replicas behind a gateway.\n\
         Try:  curl http://127.0.0.1:8080/   curl http://127.0.0.1:9900/upstreams\n\
         The file it runs, to start your own from:\n\n{text}"
    )
}
