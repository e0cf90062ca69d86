//! `bench-flow --addr IP:PORT --protocol tcp --direction down|up --flows N --mib M` or
//! `bench-flow --addr IP:PORT --protocol udp --direction down|up --flows N --window DATAGRAMS --seconds S`:
//! bulk flows through a relay to `bench-far`. How it talks with the driver: see `generator`.
#![expect(clippy::print_stdout, reason = "its standard output is how it answers the driver")]

mod tcp;
mod udp;

use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use towpath_bench::Outcome;
use towpath_bench::args::Args;
use towpath_bench::generator::Report;
use towpath_bench::peers::Service;

/// Which way the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// From the far side to the client.
    Down,
    /// From the client to the far side.
    Up,
}

impl FromStr for Direction {
    type Err = String;

    fn from_str(text: &str) -> Result<Direction, String> {
        match text {
            "down" => Ok(Direction::Down),
            "up" => Ok(Direction::Up),
            other => Err(format!("no direction {other:?}")),
        }
    }
}

fn main() -> Outcome<()> {
    let mut args = Args::from_env()?;
    let address: SocketAddr = args.take("addr")?.ok_or("--addr IP:PORT is needed")?;
    let service: Service = args.take("protocol")?.ok_or("--protocol tcp|udp is needed")?;
    let direction: Direction = args.take("direction")?.ok_or("--direction down|up is needed")?;
    let flows: usize = args.take("flows")?.unwrap_or(1);
    if service == Service::Udp {
        let window: u64 = args.take("window")?.unwrap_or(64);
        let seconds: f64 = args.take("seconds")?.unwrap_or(2.0);
        args.finish()?;
        let mut transfer = udp::Transfer::open(address, direction, flows, window)?;
        return converse(|| transfer.run(Duration::from_secs_f64(seconds)));
    }
    let mib: u64 = args.take("mib")?.unwrap_or(1024);
    args.finish()?;
    let mut transfer = tcp::Transfer::open(address, direction, flows)?;
    converse(|| transfer.run(mib << 20))
}

/// "ready", wait, measure, answer, wait.
fn converse(run: impl FnOnce() -> Outcome<Report>) -> Outcome<()> {
    println!("ready");
    io::stdin().read_line(&mut String::new())?;
    println!("{}", run()?);
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}
