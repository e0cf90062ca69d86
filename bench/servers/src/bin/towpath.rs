//! The kit, as its guide has it.

use towpath::Ctx;
use towpath::http::{self, Request, Router};

async fn hello(_ctx: &Ctx, _request: Request) -> &'static str {
    "Hello, World!"
}

fn main() -> std::process::ExitCode {
    let address = std::env::args().nth(1).unwrap_or_default();
    towpath::run(async |ctx| Ok(http::serve(&ctx, &address, Router::new().get("/13", hello)).await?))
}
