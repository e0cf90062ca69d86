//! `bench-relay --protocol tcp|udp --addr IP:PORT --origins IP:PORT[,IP:PORT…]`: the least a relay can do, as the floor
//! of the TCP and UDP benches. One thread; it keeps no counts, no log, no timeouts, and finds its origins by turns.

mod tcp;
mod udp;

use std::net::SocketAddr;

use towpath_bench::Outcome;
use towpath_bench::args::Args;
use towpath_bench::peers::Service;

fn main() -> Outcome<()> {
    let mut args = Args::from_env()?;
    let service: Service = args.take("protocol")?.ok_or("--protocol tcp|udp is needed")?;
    let address: SocketAddr = args.take("addr")?.ok_or("--addr IP:PORT is needed")?;
    let origins: Vec<SocketAddr> = args.take_list("origins", &[])?;
    args.finish()?;
    let first = *origins.first().ok_or("--origins is empty")?;
    match service {
        Service::Udp => udp::Relay::bind(address, first)?.run(),
        _ => tcp::Relay::bind(address, origins)?.run(),
    }
}
