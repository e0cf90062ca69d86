//! Memory of relays that rest, as the idle benches of TCP and its kin measure it.
//!
//! It opens the relays, lets them rest, sends one message through each (a burst, of which every one must be echoed),
//! and lets them rest again: the last figure must be that of the first rest. Both sockets of a relay belong to the proxy,
//! so it needs two files for each. Where the file limit allows one process fewer relays than are wanted, several proxies
//! hold them at the same time, each with a client and an origin of its own, and the figures are those of all together.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::args::Args;
use crate::child::raise_file_limit;
use crate::peers::{Peer, Service, Started, bin_folder};
use crate::procfs::{Memory, memory, slab_bytes};
use crate::results::record;
use crate::source::open;
use crate::{Outcome, far, machine};

/// Listeners, logs, libraries, the connections of the warm-up.
const SPARE_FILES: u64 = 600;
/// The first connections only bring pools and allocator to their working size, before the base is read.
const WARM_UP_CONNECTIONS: usize = 64;
/// An address of the origin has 28,232 ports that a proxy can dial from.
const RELAYS_PER_ORIGIN: usize = 12_000;
/// Messages of the burst that are under way at once.
const BURST_WIDTH: usize = 256;
const MESSAGE: [u8; 64] = [far::ECHO; 64];

/// What one peer's measurement is given.
struct Setting<'a> {
    bin: &'a Path,
    /// Where the proxies' files are.
    folder: PathBuf,
    /// The relays are a part of what several processes hold.
    is_share: bool,
    count: usize,
    settle: Duration,
}

/// The columns of a row behind the name.
type Figures = [f64; 6];

/// Runs the bench.
///
/// # Errors
/// A member that should work does not.
pub fn run() -> Outcome<()> {
    let mut args = Args::from_env()?;
    let wanted: usize = args.take("connections")?.unwrap_or(50_000);
    let settle = Duration::from_secs_f64(args.take("settle")?.unwrap_or(15.0));
    let peers = args.take_list("peers", &[Peer::Control, Peer::Towpath, Peer::Nginx, Peer::Haproxy])?;
    let profile: String = args.take("profile")?.unwrap_or_else(|| "dist".to_owned());
    let out: String = args.take("out")?.unwrap_or_else(|| "bench/results".to_owned());
    let share: Option<usize> = args.take("share")?;
    args.finish()?;

    let bin = bin_folder()?;
    let files = raise_file_limit(2 * wanted as u64 + SPARE_FILES);
    let count_max = (files.saturating_sub(SPARE_FILES) / 2).max(1) as usize;
    if let (Some(share), &[peer]) = (share, &peers[..]) {
        let folder = bin.join(format!("bench/share-{share}"));
        let figures =
            measure(peer, share, &Setting { bin: &bin, folder, is_share: true, count: wanted, settle })?;
        println!("{}", figures.map(|figure| figure.to_string()).join(" "));
        return Ok(());
    }
    let shares = wanted.div_ceil(count_max);
    let mut report = heading(&profile, wanted, settle);
    if shares > 1 {
        let _ = write!(
            report,
            "{shares} proxies hold them, as the file limit is {files}. Bytes are means over them.\n\n"
        );
    }
    report.push_str(COLUMNS);
    print!("{report}");
    let setting = Setting { bin: &bin, folder: bin.join("bench"), is_share: false, count: wanted, settle };
    for (turn, peer) in peers.into_iter().enumerate() {
        let line = match peer.obstacle(Service::Tcp, &bin, &setting.folder)? {
            Some(reason) => format!("| {} | {reason} | | | | | |\n", peer.name()),
            None if shares == 1 => row(peer, measure(peer, turn, &setting)?),
            None => row(peer, measure_shares(peer, shares, &setting)?),
        };
        print!("{line}");
        report.push_str(&line);
    }
    println!("{}", record(&out, "idle-tcp", &report)?);
    Ok(())
}

fn row(peer: Peer, figures: Figures) -> String {
    let [before, rest @ ..] = figures;
    let rest = rest.map(|bytes| format!("{bytes:.0}")).join(" | ");
    format!("| {} | {before:.1} | {rest} |\n", peer.name())
}

/// As [`measure`], with the relays divided over as many processes like this one; each figure is the mean of theirs, but
/// for the machine's slab, which grows for each by what all have.
fn measure_shares(peer: Peer, shares: usize, setting: &Setting<'_>) -> Outcome<Figures> {
    let start = |share| start_share(peer, share, setting.count / shares, setting.settle);
    let running: Vec<_> = (0..shares).map(start).collect::<Result<_, _>>()?;
    let mut mean = Figures::default();
    for (mut child, mut output) in running {
        let mut said = String::new();
        output.read_to_string(&mut said)?;
        let figures: Vec<f64> = said.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let status = child.wait()?;
        if figures.len() != mean.len() {
            return Err(format!("a share of {} ended with {status}", peer.name()).into());
        }
        mean.iter_mut().zip(figures).for_each(|(mean, figure)| *mean += figure / shares as f64);
    }
    mean[5] /= shares as f64;
    Ok(mean)
}

/// Starts one of those processes and waits until its proxy listens: two that look for a free port at the same time may
/// find the same.
fn start_share(
    peer: Peer,
    share: usize,
    count: usize,
    settle: Duration,
) -> Outcome<(Child, BufReader<ChildStdout>)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--connections", &count.to_string(), "--settle", &settle.as_secs_f64().to_string()]);
    command.args(["--peers", peer.name(), "--out", "none", "--share", &share.to_string()]);
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut output = BufReader::new(child.stdout.take().ok_or("its output is piped")?);
    output.read_line(&mut String::new())?;
    Ok((child, output))
}

const COLUMNS: &str = "| | before, MiB | held | after a burst | after a rest | private dirty, at last | slab |\n\
                       |---|---|---|---|---|---|---|\n";

fn heading(profile: &str, count: usize, settle: Duration) -> String {
    format!(
        "# Memory per idle TCP relay, {}\n\n{}\n{count} relays, {} s of rest. The first column is the proportional set \
         size of the whole proxy after a warm-up, before the relays came: what a proxy allots for connections in \
         advance is in it. The others are bytes per relay above that moment, user memory of the proxy only, except \
         the last column, which is the machine's slab (four sockets for each relay, of all processes).\n\n",
        machine::today(),
        machine::facts(profile),
        settle.as_secs_f64()
    )
}

/// Measures one peer from start to end.
fn measure(peer: Peer, turn: usize, setting: &Setting<'_>) -> Outcome<Figures> {
    let Setting { bin, ref folder, is_share, count, settle } = *setting;
    let origins = u8::try_from(count.div_ceil(RELAYS_PER_ORIGIN))?;
    let (_far, origins) = far::start(Service::Tcp, bin, origins.max(1))?;
    let started = peer.start(Service::Tcp, bin, &origins, folder)?;
    if is_share {
        println!("started");
    }
    let mut warm_up = open(started.address, WARM_UP_CONNECTIONS, turn)?;
    (0..10).try_for_each(|_| burst(&mut warm_up))?;
    drop(warm_up);
    sleep(settle);
    let before = Sample::of(&started);

    let mut relays = open(started.address, count, turn)?;
    sleep(settle);
    let held = Sample::of(&started);
    burst(&mut relays)?;
    let busy = Sample::of(&started);
    sleep(settle);
    let rested = Sample::of(&started);

    let each = |after: u64, before: u64| (after as f64 - before as f64) / count as f64;
    let pss = |sample: &Sample| each(sample.memory.pss, before.memory.pss);
    Ok([
        before.memory.pss as f64 / f64::from(1 << 20),
        pss(&held),
        pss(&busy),
        pss(&rested),
        each(rested.memory.private_dirty, before.memory.private_dirty),
        each(rested.slab, before.slab),
    ])
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

/// One message on every relay, many at a time; each echo must come.
fn burst(relays: &mut [TcpStream]) -> Outcome<()> {
    for (index, group) in relays.chunks_mut(BURST_WIDTH).enumerate() {
        let at = index * BURST_WIDTH;
        group.iter_mut().try_for_each(|relay| relay.write_all(&MESSAGE))?;
        for (offset, relay) in group.iter_mut().enumerate() {
            let mut echo = [0; MESSAGE.len()];
            relay.read_exact(&mut echo).map_err(|error| format!("relay {}: {error}", at + offset))?;
            if echo != MESSAGE {
                return Err(format!("relay {} brought other bytes back", at + offset).into());
            }
        }
    }
    Ok(())
}
