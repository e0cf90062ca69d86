//! An HTTPS server with a certificate of your own, over HTTP/1.1 and HTTP/2: `towpath cert gen --out . localhost` makes one,
//! `curl --cacert ca.pem https://localhost:8443/` asks it.

use towpath::Ctx;
use towpath::http::{Request, Router, Server};
use towpath::tls::Tls;

async fn hello(_ctx: &Ctx, request: Request) -> String {
    format!("Hello over {:?}!\n", request.version())
}

fn main() -> std::process::ExitCode {
    towpath::run(async |ctx| {
        let tls = Tls::from_files("cert.pem", "key.pem")?;
        Ok(Server::new(Router::new().get("/", hello)).listen_tls("127.0.0.1:8443", tls).serve(&ctx).await?)
    })
}
