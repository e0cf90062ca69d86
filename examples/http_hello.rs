//! An HTTP server that says hello: `curl http://127.0.0.1:3000/`.

use towpath::Ctx;
use towpath::http::{self, Request, Router};

async fn hello(_ctx: &Ctx, _request: Request) -> &'static str {
    "Hello, HTTP Server!\n"
}

fn main() -> std::process::ExitCode {
    towpath::run(async |ctx| Ok(http::serve(&ctx, "127.0.0.1:3000", Router::new().get("/", hello)).await?))
}
