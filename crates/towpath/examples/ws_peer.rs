//! A WebSocket echo server of the kit's, and a client, for `conformance/websocket/run`.
//!
//! ```text
//!   ws_peer server MODE              prints `port NUMBER`
//!   ws_peer client MODE HOST:PORT    exchanges messages with an echo server; prints a line for each
//! ```
//!
//! MODE is `plain`, `deflate` (windows are kept between messages), `deflate-alone` (they are not), or `large`: as
//! `deflate`, with limits of 16 MiB instead of the default ones.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::process::ExitCode;

use towpath::http::ws::{self, CloseCode, DeflatePolicy, Message, Options, Socket, WsLimits};
use towpath::http::{Request, Router, Server};
use towpath::{Ctx, Failure};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    towpath::run(async |ctx| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["server", mode] => serve(&ctx, options(mode)?).await,
            ["client", mode, address] => exchange(&ctx, &options(mode)?, address).await,
            _ => Err(Failure::msg("ws_peer server MODE | client MODE HOST:PORT")),
        }
    })
}

fn options(mode: &str) -> towpath::Result<Options> {
    let keep = DeflatePolicy {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        ..DeflatePolicy::default()
    };
    let deflate = match mode {
        "plain" => None,
        "deflate" | "large" => Some(keep),
        "deflate-alone" => Some(DeflatePolicy::default()),
        _ => return Err(Failure::msg("MODE is plain, deflate, deflate-alone or large")),
    };
    let mut limits = WsLimits::default();
    if mode == "large" {
        (limits.frame_bytes_max, limits.message_bytes_max) = (16 << 20, 16 << 20);
    }
    Ok(Options { deflate, limits, ..Options::default() }.any_origin())
}

async fn serve(ctx: &Ctx, options: Options) -> towpath::Result {
    let open = async move |_: &Ctx, request: Request| options.accept(request, echo);
    let told = |listening: &towpath::Listening| println!("port {}", listening.address().port());
    Ok(Server::new(Router::new().get("/", open)).listen("127.0.0.1:0").on_listen(told).serve(ctx).await?)
}

async fn echo(ctx: &Ctx, socket: &mut Socket) -> Result<(), ws::Error> {
    while let Some(message) = socket.recv(ctx).await? {
        socket.send(ctx, message).await?;
    }
    Ok(())
}

/// Every message has to come back as it was sent.
async fn exchange(ctx: &Ctx, options: &Options, address: &str) -> towpath::Result {
    let mut socket = options.connect(ctx, &format!("ws://{address}/")).await?;
    println!("open, {}", if socket.is_compressed() { "compressed" } else { "plain" });
    for (name, message) in messages() {
        socket.send(ctx, message.clone()).await?;
        match socket.recv(ctx).await? {
            Some(echo) if echo == message => println!("echo {name}"),
            _ => return Err(Failure::msg(format!("{name}: another echo"))),
        }
    }
    socket.close(ctx, CloseCode::new(4_000).unwrap_or(CloseCode::NORMAL), "done").await?;
    println!("close {}", socket.close_code().map_or(1005, CloseCode::number));
    Ok(())
}

fn messages() -> Vec<(&'static str, Message)> {
    let lines: String = (0..30_000).map(|number| format!("line {number} of a text\n")).collect();
    let mebibyte: Vec<u8> = (0..1u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    vec![
        ("text", "caf\u{e9} \u{1f6f6}".into()),
        ("empty", "".into()),
        ("binary", (0..=255).collect::<Vec<u8>>().into()),
        ("126 bytes", vec![7; 126].into()),
        ("64 KiB", vec![8; 65_536].into()),
        ("long text", lines.clone().into()),
        ("long text again", lines.into()),
        ("1 MiB", mebibyte.into()),
    ]
}
