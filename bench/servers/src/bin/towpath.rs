//! The kit, as its guide has it. Idle connections may stay for as long as `bench tasks` needs them.

use std::time::Duration;

use towpath::Ctx;
use towpath::http::{Request, Router, Server, Timeouts};

async fn hello(_ctx: &Ctx, _request: Request) -> &'static str {
    "Hello, World!"
}

fn main() -> std::process::ExitCode {
    let address = std::env::args().nth(1).unwrap_or_default();
    towpath::run(async |ctx| {
        let timeouts = Timeouts { idle: Duration::from_secs(600), ..Timeouts::default() };
        let server = Server::new(Router::new().get("/13", hello)).timeouts(timeouts);
        Ok(server.listen(&address).serve(&ctx).await?)
    })
}
