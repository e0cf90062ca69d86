//! `bench-alloc [--requests 2000] [--connections 8]`: heap allocations per warm keep-alive request in Towpath.
//!
//! Valgrind counts every allocation of a process exactly. Two runs that differ only in their number of requests give
//! the number per request; what start, connections and stop cost is the same in both and falls out.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use towpath_bench::Outcome;
use towpath_bench::args::Args;
use towpath_bench::child::{Running, wait_for_listener};
use towpath_bench::client::ask;
use towpath_bench::peers::{Peer, Place, Service, bin_folder, start_origin};
use towpath_bench::wire::BUFFER_BYTES;

fn main() -> Outcome<()> {
    let mut args = Args::from_env()?;
    let requests: usize = args.take("requests")?.unwrap_or(2_000);
    let connections: usize = args.take("connections")?.unwrap_or(8);
    args.finish()?;
    let few = count(requests, connections)?;
    let many = count(2 * requests, connections)?;
    let extra = many.saturating_sub(few);
    println!("allocations: {few} for {requests} requests, {many} for {}", 2 * requests);
    println!("per request: {:.4}", extra as f64 / requests as f64);
    Ok(())
}

/// Allocations of one whole life of the proxy that serves `requests`.
fn count(requests: usize, connections: usize) -> Outcome<u64> {
    let bin = bin_folder()?;
    let folder = bin.join("bench");
    fs::create_dir_all(&folder)?;
    let (_origin, origin) = start_origin(&bin)?;
    let place = Place::new(Peer::Towpath, Service::Http1, &[origin], &folder)?;
    let (name, text) = Peer::Towpath.config(&place).ok_or("Towpath has a configuration")?;
    let (file, log) = (place.folder.join(name), place.folder.join("valgrind.txt"));
    fs::write(&file, text)?;
    let mut running = Running::start(under_valgrind(&bin.join("towpath"), &file, &log))?;
    wait_for_listener("towpath", place.listen)?;
    serve(place.listen, requests, connections)?;
    running.end(Signal::TERM);
    parse_total(&fs::read_to_string(&log)?)
}

fn under_valgrind(towpath: &Path, config: &Path, log: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command.args(["--tool=memcheck", "--leak-check=no", "--undef-value-errors=no"]);
    command.arg(format!("--log-file={}", log.display())).arg(towpath).args(["run", "--quiet"]).arg(config);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn serve(address: SocketAddr, requests: usize, connections: usize) -> Outcome<()> {
    let mut streams = (0..connections).map(|_| TcpStream::connect(address)).collect::<Result<Vec<_>, _>>()?;
    let mut buffer = vec![0; BUFFER_BYTES];
    for index in 0..requests {
        let stream = &mut streams[index % connections];
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        ask(stream, &mut buffer)?;
    }
    Ok(())
}

/// Reads `total heap usage: 1,234 allocs, …`.
fn parse_total(log: &str) -> Outcome<u64> {
    let after =
        log.split("total heap usage:").nth(1).ok_or("valgrind counted nothing; did towpath start?")?;
    let figure = after.split_whitespace().next().unwrap_or_default().replace(',', "");
    Ok(figure.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valgrinds_total_is_read() {
        let log =
            "==1== HEAP SUMMARY:\n==1==   total heap usage: 12,345 allocs, 12,000 frees, 9 bytes allocated\n";
        assert_eq!(parse_total(log).unwrap(), 12_345);
        assert!(parse_total("").is_err());
    }
}
