//! A TCP server that says hello and ends the connection: `socat - TCP:127.0.0.1:8080`.

use towpath::net::{Conn, Error};
use towpath::{Ctx, tcp};

async fn hello(ctx: &Ctx, mut conn: Conn) -> Result<(), Error> {
    conn.write_all(ctx, b"Hello from server!\n").await?;
    conn.close(ctx).await
}

fn main() -> std::process::ExitCode {
    towpath::run(async |ctx| Ok(tcp::serve(&ctx, "127.0.0.1:8080", hello).await?))
}
