//! A TCP server that reads once, at most 128 bytes, and prints them: `echo hi | socat - TCP:127.0.0.1:8080`.
//!
//! One read is not one message: a client that sends in two pieces is seen with the first alone. `conn.lines(max)` and
//! `conn.frames(framing)` put pieces together.

use towpath::net::Conn;
use towpath::{Ctx, tcp};

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what it is for")]
async fn read(ctx: &Ctx, mut conn: Conn) {
    let mut buffer = [0; 128];
    match conn.read_some(ctx, &mut buffer).await {
        Ok(count) => println!("Received: {}", String::from_utf8_lossy(&buffer[..count])),
        Err(error) => eprintln!("read error: {error}"),
    }
}

fn main() -> std::process::ExitCode {
    towpath::run(async |ctx| Ok(tcp::serve(&ctx, "127.0.0.1:8080", read).await?))
}
