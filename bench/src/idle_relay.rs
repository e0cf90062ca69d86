//! Memory of relays that rest, as the idle benches of TCP and WebSocket measure it.
//!
//! It opens the relays, lets them rest, sends one message through each (a burst, of which every one must be echoed),
//! and lets them rest again: the last figure must be that of the first rest. Both sockets of a relay belong to the proxy,
//! so it needs two files for each. Where the file limit allows one process fewer relays than are wanted, several proxies
//! hold them at the same time, each with a client and an origin of its own, and the figures are those of all together.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::args::Args;
use crate::certificate::Files;
use crate::child::raise_file_limit;
use crate::client::Stream;
use crate::peers::{Peer, Service, Started, bin_folder};
use crate::procfs::{Memory, memory, slab_bytes};
use crate::results::record;
use crate::secure::{Client, Resume};
use crate::source::open_with;
use crate::{Outcome, far, machine, ws};

/// Listeners, logs, libraries, the connections of the warm-up.
const SPARE_FILES: u64 = 600;
/// The first connections only bring pools and allocator to their working size, before the base is read.
const WARM_UP_CONNECTIONS: usize = 64;
/// An address of the origin has 28,232 ports that a proxy can dial from.
const RELAYS_PER_ORIGIN: usize = 12_000;
/// Messages of the burst that are under way at once.
const BURST_WIDTH: usize = 256;
/// A message's length, whatever it is wrapped in.
const MESSAGE_BYTES: usize = 64;

/// What a bench says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Subject {
    /// Its name, and that of the result file.
    pub name: &'static str,
    /// The beginning of the record's heading.
    pub title: &'static str,
    /// More about the rows, or nothing.
    pub about: &'static str,
    /// What rests, in the plural.
    pub relays: &'static str,
    /// How many, unless the person who started it says otherwise.
    pub connections: usize,
    /// What is measured; with more than one, a row's name tells which.
    pub services: &'static [Service],
    /// More rows, for `--connections` of them.
    pub more: fn(usize) -> Outcome<String>,
}

/// What one peer's measurement is given.
struct Setting<'a> {
    bin: &'a Path,
    /// Where the proxies' files are.
    folder: PathBuf,
    service: Service,
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
pub fn run(subject: Subject) -> Outcome<()> {
    let mut args = Args::from_env()?;
    let wanted: usize = args.take("connections")?.unwrap_or(subject.connections);
    let settle = Duration::from_secs_f64(args.take("settle")?.unwrap_or(15.0));
    let peers = args.take_list("peers", &[Peer::Control, Peer::Towpath, Peer::Nginx, Peer::Haproxy])?;
    let services = args.take_list("services", subject.services)?;
    let profile: String = args.take("profile")?.unwrap_or_else(|| "dist".to_owned());
    let out: String = args.take("out")?.unwrap_or_else(|| "bench/results".to_owned());
    let share: Option<usize> = args.take("share")?;
    args.finish()?;

    let bin = bin_folder()?;
    let files = raise_file_limit(2 * wanted as u64 + SPARE_FILES);
    let count_max = (files.saturating_sub(SPARE_FILES) / 2).max(1) as usize;
    let setting = |service, share: Option<usize>| {
        let folder =
            share.map_or_else(|| bin.join("bench"), |share| bin.join(format!("bench/share-{share}")));
        Setting { bin: &bin, folder, service, is_share: share.is_some(), count: wanted, settle }
    };
    if let (Some(share), &[peer], &[service]) = (share, &peers[..], &services[..]) {
        let figures = measure(peer, share, &setting(service, Some(share)))?;
        println!("{}", figures.map(|figure| figure.to_string()).join(" "));
        return Ok(());
    }
    // First, while this process holds nothing that could be used again.
    let more = (subject.more)(wanted)?;
    let shares = wanted.div_ceil(count_max);
    let mut report = heading(subject, &profile, wanted, settle);
    if shares > 1 {
        let _ = write!(
            report,
            "{shares} proxies hold them, as the file limit is {files}. Bytes are means over them.\n\n"
        );
    }
    report.push_str(COLUMNS);
    print!("{report}");
    let members = services.iter().flat_map(|service| peers.iter().map(|peer| (*service, *peer)));
    // The control ends no TLS.
    let members = members.filter(|(service, peer)| *peer != Peer::Control || !service.is_tls());
    for (turn, (service, peer)) in members.enumerate() {
        let setting = setting(service, None);
        let name = match subject.services.len() {
            1 => peer.name().to_owned(),
            _ => format!("{}, {}", peer.name(), service.name()),
        };
        let line = match peer.obstacle(service, &bin, &setting.folder)? {
            Some(reason) => format!("| {name} | {reason} | | | | | |\n"),
            None if shares == 1 => row(&name, measure(peer, turn, &setting)?),
            None => row(&name, measure_shares(peer, shares, &setting)?),
        };
        print!("{line}");
        report.push_str(&line);
    }
    print!("{more}");
    report.push_str(&more);
    println!("{}", record(&out, subject.name, &report)?);
    Ok(())
}

fn row(name: &str, figures: Figures) -> String {
    let [before, rest @ ..] = figures;
    let rest = rest.map(|bytes| format!("{bytes:.0}")).join(" | ");
    format!("| {name} | {before:.1} | {rest} |\n")
}

/// As [`measure`], with the relays divided over as many processes like this one; each figure is the mean of theirs, but
/// for the machine's slab, which grows for each by what all have.
fn measure_shares(peer: Peer, shares: usize, setting: &Setting<'_>) -> Outcome<Figures> {
    let start = |share| start_share(peer, share, setting.count / shares, setting);
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
    setting: &Setting<'_>,
) -> Outcome<(Child, BufReader<ChildStdout>)> {
    let mut command = Command::new(std::env::current_exe()?);
    let settle = setting.settle.as_secs_f64().to_string();
    command.args(["--connections", &count.to_string(), "--settle", &settle]);
    command.args(["--services", setting.service.name()]);
    command.args(["--peers", peer.name(), "--out", "none", "--share", &share.to_string()]);
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut output = BufReader::new(child.stdout.take().ok_or("its output is piped")?);
    output.read_line(&mut String::new())?;
    Ok((child, output))
}

const COLUMNS: &str = "| | before, MiB | held | after a burst | after a rest | private dirty, at last | slab |\n\
                       |---|---|---|---|---|---|---|\n";

fn heading(subject: Subject, profile: &str, count: usize, settle: Duration) -> String {
    format!(
        "# {}, {}\n\n{}\n{count} {}, {} s of rest. The first column is the proportional set size of the whole proxy \
         after a warm-up, before they came: what a proxy allots for connections in advance is in it. The others are bytes \
         for each above that moment, user memory of the proxy only, except the last column, which is the machine's slab \
         (four sockets for each, of all processes).{}\n\n",
        subject.title,
        machine::today(),
        machine::facts(profile),
        subject.relays,
        settle.as_secs_f64(),
        subject.about,
    )
}

/// Measures one peer from start to end.
fn measure(peer: Peer, turn: usize, setting: &Setting<'_>) -> Outcome<Figures> {
    let Setting { bin, ref folder, service, is_share, count, settle } = *setting;
    let origins = u8::try_from(count.div_ceil(RELAYS_PER_ORIGIN))?;
    let (_far, origins) = far::start(Service::Tcp, bin, origins.max(1))?;
    let does = if peer == Peer::Control { service.of_control() } else { service };
    let started = peer.start(does, bin, &origins, folder)?;
    let client = Caller::new(service, folder)?;
    if is_share {
        println!("started");
    }
    let mut warm_up = client.open(started.address, WARM_UP_CONNECTIONS, turn)?;
    (0..10).try_for_each(|_| client.burst(&mut warm_up))?;
    drop(warm_up);
    sleep(settle);
    let before = Sample::of(&started);

    let mut relays = client.open(started.address, count, turn)?;
    sleep(settle);
    let held = Sample::of(&started);
    client.burst(&mut relays)?;
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

/// Who opens the relays and speaks through them.
struct Caller {
    service: Service,
    tls: Option<Client>,
    message: Vec<u8>,
    echo: Vec<u8>,
}

impl Caller {
    fn new(service: Service, folder: &Path) -> Outcome<Caller> {
        let trust = Files::within(folder).certificate;
        let tls = service.is_tls().then(|| Client::new(&trust, Resume::Never)).transpose()?;
        let (mut message, mut echo) = (vec![far::ECHO; MESSAGE_BYTES], vec![far::ECHO; MESSAGE_BYTES]);
        if service.is_websocket() {
            message = ws::message(MESSAGE_BYTES);
            echo.clear();
            ws::echo(&mut message.clone(), &mut echo);
        }
        Ok(Caller { service, tls, message, echo })
    }

    fn open(&self, address: SocketAddr, count: usize, turn: usize) -> Outcome<Vec<Stream>> {
        open_with(address, count, turn, |socket| {
            let mut stream = Stream::begin(socket, self.tls.as_ref())?;
            if self.service.is_websocket() {
                ws::open(&mut stream)?;
            }
            Ok(stream)
        })
    }

    /// One message on every relay, many at a time; each echo must come.
    fn burst(&self, relays: &mut [Stream]) -> Outcome<()> {
        for (index, group) in relays.chunks_mut(BURST_WIDTH).enumerate() {
            let at = index * BURST_WIDTH;
            group.iter_mut().try_for_each(|relay| relay.write_all(&self.message))?;
            for (offset, relay) in group.iter_mut().enumerate() {
                let mut echo = vec![0; self.echo.len()];
                relay.read_exact(&mut echo).map_err(|error| format!("relay {}: {error}", at + offset))?;
                if echo != self.echo {
                    return Err(format!("relay {} brought other bytes back", at + offset).into());
                }
            }
        }
        Ok(())
    }
}
