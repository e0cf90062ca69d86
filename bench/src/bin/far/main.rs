//! `bench-far --protocol tcp|udp --addrs IP:PORT[,IP:PORT…]`: the origin of the benches of TCP, UDP and
//! WebSocket.
//!
//! The first byte of a connection or datagram says what is wanted: an echo, a flood, a sink or a WebSocket; see `far`.

mod tcp;
mod udp;

use std::net::SocketAddr;

use towpath_bench::Outcome;
use towpath_bench::args::Args;
use towpath_bench::peers::Service;

fn main() -> Outcome<()> {
    let mut args = Args::from_env()?;
    let service: Service = args.take("protocol")?.ok_or("--protocol tcp|udp is needed")?;
    let addresses: Vec<SocketAddr> = args.take_list("addrs", &[])?;
    args.finish()?;
    match service {
        Service::Udp => udp::run(*addresses.first().ok_or("--addrs is empty")?),
        _ => tcp::Far::bind(&addresses)?.run(),
    }
}
