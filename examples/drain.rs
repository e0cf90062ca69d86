---
[dependencies]
tokio = { version = "1", features = ["time"] }
---
//! A server that stops softly: `curl 127.0.0.1:3000/ & kill $(pgrep drain)` still gets its answer, three seconds later.

use std::time::Duration;

use towpath::Ctx;
use towpath::http::{Failure, Request, Router, Server};

async fn slow(ctx: &Ctx, _request: Request) -> Result<&'static str, Failure> {
    ctx.run(tokio::time::sleep(Duration::from_secs(3))).await?;
    // What outlives the answer is waited for, too.
    ctx.detach("note", async |_ctx: Ctx| tokio::time::sleep(Duration::from_secs(1)).await)?;
    Ok("done\n")
}

fn main() -> std::process::ExitCode {
    towpath::run(async |ctx| {
        let server = Server::new(Router::new().get("/", slow)).listen("127.0.0.1:3000");
        server.grace(Duration::from_secs(10)).serve(&ctx).await?;
        println!("everything is done");
        Ok(())
    })
}
