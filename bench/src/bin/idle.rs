//! `bench-idle`: user memory per idle keep-alive connection, in Towpath and its peers.
//!
//! It opens the connections, sends one request on each, lets them rest and compares the proxy's memory with the
//! moment before; then one more request on each and rest again: the second figure must not be above the first.
//!
//! ```text
//! bench-idle [--connections 10000] [--settle 15] [--peers control,towpath,nginx,haproxy]
//!            [--profile dist] [--out bench/results | none]
//! ```
#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use std::fmt::Write as _;
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

use towpath_bench::args::Args;
use towpath_bench::child::raise_file_limit;
use towpath_bench::client::ask;
use towpath_bench::peers::{Peer, Service, Started, bin_folder, start_origin};
use towpath_bench::procfs::{Memory, memory, slab_bytes};
use towpath_bench::results::record;
use towpath_bench::source::open;
use towpath_bench::wire::BUFFER_BYTES;
use towpath_bench::{Outcome, machine};

/// Room for the proxy's upstream side, logs and libraries.
const SPARE_FILES: u64 = 1_000;
/// The first connections only bring pools and allocator to their working size, before the base is read.
const WARM_UP_CONNECTIONS: usize = 64;

fn main() -> Outcome<()> {
    let mut args = Args::from_env()?;
    let wanted: usize = args.take("connections")?.unwrap_or(10_000);
    let settle = Duration::from_secs_f64(args.take("settle")?.unwrap_or(15.0));
    let peers = args.take_list("peers", &[Peer::Control, Peer::Towpath, Peer::Nginx, Peer::Haproxy])?;
    let profile: String = args.take("profile")?.unwrap_or_else(|| "dist".to_owned());
    let out: String = args.take("out")?.unwrap_or_else(|| "bench/results".to_owned());
    args.finish()?;

    // Twice: HAProxy counts both sides of every connection it might carry.
    let files = raise_file_limit(2 * wanted as u64 + 4 * SPARE_FILES);
    let connections = wanted.min(files.saturating_sub(SPARE_FILES) as usize);
    if connections < wanted {
        println!("the file limit of {files} allows {connections} connections instead of {wanted}");
    }
    let mut report = heading(&profile, connections, settle);
    for (turn, peer) in peers.into_iter().enumerate() {
        let bin = bin_folder()?;
        let line = match peer.obstacle(Service::Http1, &bin, &bin.join("bench"))? {
            None => measure(peer, turn, connections, settle)?,
            Some(reason) => format!("| {} | {reason} | | | | |\n", peer.name()),
        };
        print!("{line}");
        report.push_str(&line);
    }
    println!("{}", record(&out, "idle", &report)?);
    Ok(())
}

fn heading(profile: &str, connections: usize, settle: Duration) -> String {
    format!(
        "# Memory per idle keep-alive connection, {}\n\n{}\n{connections} connections, one request each, {} s of rest. \
         Bytes per connection above the moment before they came; user memory of the proxy only, except the last \
         column, which is the machine's slab (both ends of every connection, of all processes).\n\n\
         | | private dirty | PSS | after one more request each: private dirty | PSS | slab |\n|---|---|---|---|---|---|\n",
        machine::today(),
        machine::facts(profile),
        settle.as_secs_f64()
    )
}

/// Measures one peer from start to end; one row of the table.
fn measure(peer: Peer, turn: usize, count: usize, settle: Duration) -> Outcome<String> {
    let bin = bin_folder()?;
    let (_origin, origin) = start_origin(&bin)?;
    let started = peer.start(Service::Http1, &bin, &[origin], &bin.join("bench"))?;
    let mut warm_up = open(started.address, WARM_UP_CONNECTIONS, turn)?;
    (0..10).try_for_each(|_| ask_all(&mut warm_up))?;
    drop(warm_up);
    sleep(settle);
    let base = Sample::of(&started);

    let mut connections = open(started.address, count, turn)?;
    ask_all(&mut connections)?;
    sleep(settle);
    let first = Sample::of(&started);
    ask_all(&mut connections)?;
    sleep(settle);
    let second = Sample::of(&started);

    let each = |after: u64, before: u64| (after as f64 - before as f64) / count as f64;
    let mut row = format!("| {} |", peer.name());
    for sample in [&first, &second] {
        let dirty = each(sample.memory.private_dirty, base.memory.private_dirty);
        let _ = write!(row, " {dirty:.0} | {:.0} |", each(sample.memory.pss, base.memory.pss));
    }
    let _ = writeln!(row, " {:.0} |", each(second.slab, base.slab));
    Ok(row)
}

struct Sample {
    memory: Memory,
    slab: u64,
}

impl Sample {
    fn of(started: &Started) -> Sample {
        Sample { memory: memory(started.running.pid()), slab: slab_bytes() }
    }
}

/// One request on every connection, one after the other: each connection is busy once, briefly.
fn ask_all(connections: &mut [TcpStream]) -> Outcome<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    for (index, stream) in connections.iter_mut().enumerate() {
        ask(stream, &mut buffer).map_err(|error| format!("connection {index}: {error}"))?;
    }
    Ok(())
}
