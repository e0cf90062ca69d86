//! A UDP server that sends every datagram back: `socat - UDP:127.0.0.1:9000`.

use towpath::Ctx;
use towpath::udp::{self, Datagram};

async fn echo(_ctx: &Ctx, mut datagram: Datagram) {
    let bytes = datagram.bytes().clone();
    // One that does not fit into the socket is dropped, as the network would.
    let _ = datagram.reply(&bytes);
}

fn main() -> std::process::ExitCode {
    towpath::run(async |ctx| Ok(udp::serve(&ctx, "127.0.0.1:9000", echo).await?))
}
