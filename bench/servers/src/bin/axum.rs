//! axum, as its guide has it.

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let app = Router::new().route("/13", get(|| async { "Hello, World!" }));
    let listener = TcpListener::bind(std::env::args().nth(1).unwrap_or_default()).await?;
    axum::serve(listener, app).await
}
