//! `bench-models`: one echo service as a thread for each connection and as an event loop for each core.
//!
//! It counts the connections each holds before the first failure, under a bound that is stated, the memory of one, and
//! what a message costs in CPU time and in context switches.
//!
//! ```text
//! bench-models [--rounds 5] [--seconds 2] [--connections 64,1000] [--held-max 30000] [--memory-mib 2048]
//!              [--models epoll,threads,threads-64k] [--profile dist] [--out bench/results | none]
//! ```
#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use std::fmt::Write as _;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use towpath_bench::args::Args;
use towpath_bench::child::{PROXY_CORE, Running, free_address, pinned, raise_file_limit, wait_for_listener};
use towpath_bench::generator::{Generator, Order, Waiting as _};
use towpath_bench::peers::bin_folder;
use towpath_bench::procfs::{context_switches, cpu_us, kernel_bytes, memory, threads, user_us};
use towpath_bench::results::record;
use towpath_bench::rounds::{Member, Rounds, Turn, cost_table};
use towpath_bench::source::{CONNECTIONS_PER_SOURCE, dial};
use towpath_bench::stats::median;
use towpath_bench::{Outcome, far, machine};

/// The driver's own files.
const SPARE_FILES: u64 = 200;
/// Process ids that a thread for each connection must leave to the rest of the machine.
const SPARE_PIDS: usize = 8_192;
/// A service that is silent for so long holds no further connection.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

struct Options {
    rounds: usize,
    seconds: f64,
    connections: Vec<usize>,
    held_max: usize,
    memory_mib: u64,
    /// Names that `bench-echo` knows; the first is what the others are compared with.
    models: Vec<String>,
    profile: String,
    out: String,
}

fn main() -> Outcome<()> {
    let mut options = Options::from_env()?;
    let files = raise_file_limit(options.held_max as u64 + SPARE_FILES);
    options.held_max = options.held_max.min((files - SPARE_FILES) as usize).min(process_ids() - SPARE_PIDS);
    let bin = bin_folder()?;
    let mut report = heading(&options);
    print!("{report}");
    for model in &options.models {
        let line = hold(&bin, model, &options)?;
        print!("{line}");
        report.push_str(&line);
    }
    for &connections in &options.connections {
        let section = messages(&bin, &options, connections)?;
        print!("{section}");
        report.push_str(&section);
    }
    println!("{}", record(&options.out, "models", &report)?);
    Ok(())
}

impl Options {
    fn from_env() -> Outcome<Options> {
        let mut args = Args::from_env()?;
        let models = ["epoll", "threads", "threads-64k"].map(str::to_owned);
        let options = Options {
            rounds: args.take("rounds")?.unwrap_or(5),
            seconds: args.take("seconds")?.unwrap_or(2.0),
            connections: args.take_list("connections", &[64, 1_000])?,
            held_max: args.take("held-max")?.unwrap_or(30_000),
            memory_mib: args.take("memory-mib")?.unwrap_or(2_048),
            models: args.take_list("models", &models)?,
            profile: args.take("profile")?.unwrap_or_else(|| "dist".to_owned()),
            out: args.take("out")?.unwrap_or_else(|| "bench/results".to_owned()),
        };
        args.finish()?;
        Ok(options)
    }
}

/// How many processes and threads this machine can have at once.
fn process_ids() -> usize {
    let text = fs::read_to_string("/proc/sys/kernel/pid_max").unwrap_or_default();
    text.trim().parse().unwrap_or(32_768).max(2 * SPARE_PIDS)
}

fn heading(options: &Options) -> String {
    format!(
        "# One echo service, several models, {}\n\n{}\nEach service is pinned to core 0, its clients to core 1 (or \
         unpinned while connections are counted). `threads` has the standard library's stacks of 2 MiB, `threads-64k` \
         small ones, `epoll` one edge-triggered loop per core.\n\n## Connections held\n\nEach connection sends 64 bytes \
         and waits for the echo; the first that gets none ends the count. The service may use {} MiB of address space \
         (stacks and the allocator's arenas count by what they reserve) and at most {} connections are tried. User \
         memory is the proportional set size of the service above that of the empty one; kernel memory is the \
         machine's slabs, kernel stacks and page tables, and has both ends of every connection in it.\n\n\
         | | held | ended by | threads | user bytes per connection | kernel bytes per connection |\n\
         |---|---|---|---|---|---|\n",
        machine::today(),
        machine::facts(&options.profile),
        options.memory_mib,
        options.held_max,
    )
}

fn start(bin: &Path, model: &str, memory_mib: Option<u64>) -> Outcome<(Running, SocketAddr)> {
    let address = free_address()?;
    let mut command = pinned(PROXY_CORE, &bin.join("bench-echo"));
    command.args(["--model", model, "--addr", &address.to_string()]);
    if let Some(mib) = memory_mib {
        command.args(["--memory-mib", &mib.to_string()]);
    }
    let running = Running::start(command)?;
    wait_for_listener(model, address)?;
    Ok((running, address))
}

/// Opens connections until one fails; one row of the table.
fn hold(bin: &Path, model: &str, options: &Options) -> Outcome<String> {
    let (service, address) = start(bin, model, Some(options.memory_mib))?;
    let empty = (memory(service.pid()).pss, kernel_bytes());
    let mut held = Vec::new();
    let mut end = "the bound";
    while held.len() < options.held_max {
        match greet(address, 2 + held.len() / CONNECTIONS_PER_SOURCE) {
            Ok(connection) => held.push(connection),
            Err(error) => {
                end = reason(&error);
                break;
            }
        }
    }
    let each = |now: u64, before: u64| now.saturating_sub(before) / held.len().max(1) as u64;
    let (user, kernel) = (each(memory(service.pid()).pss, empty.0), each(kernel_bytes(), empty.1));
    Ok(format!("| {model} | {} | {end} | {} | {user} | {kernel} |\n", held.len(), threads(service.pid())))
}

fn greet(address: SocketAddr, host: usize) -> io::Result<TcpStream> {
    let mut connection = dial(address, host).map_err(|error| io::Error::other(error.to_string()))?;
    connection.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    connection.write_all(&[far::ECHO; 64])?;
    connection.read_exact(&mut [0; 64])?;
    Ok(connection)
}

fn reason(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "closed unserved",
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "no answer",
        _ => "no connection",
    }
}

/// What a message costs each model, in rounds; one section.
fn messages(bin: &Path, options: &Options, connections: usize) -> Outcome<String> {
    let services = options.models.iter().map(|model| start(bin, model, None)).collect::<Outcome<Vec<_>>>()?;
    let mut switches = vec![Vec::new(); services.len()];
    let rounds = Rounds::run(options.rounds, services.len() - 1, |member| {
        let index = match member {
            Member::Control => 0,
            Member::Other(position) => position + 1,
        };
        let (turn, switched) = turn(bin, &services[index], connections, options.seconds)?;
        switches[index].push(switched);
        Ok(turn)
    })?;
    let (kept, remark) = rounds.kept();
    let names: Vec<&str> = options.models.iter().map(String::as_str).collect();
    let mut text = format!("\n## 64-byte messages on {connections} connections, saturated\n\n{remark}\n\n");
    text.push_str(&cost_table("CPU s per million messages", names[0], &names[1..], &kept));
    text.push_str("\n| | context switches per 1,000 messages |\n|---|---|\n");
    for (name, switches) in names.iter().zip(&switches) {
        let _ = writeln!(text, "| {name} | {:.1} |", median(switches));
    }
    Ok(text)
}

/// One turn of one model, and its context switches per 1,000 messages.
fn turn(
    bin: &Path,
    (service, address): &(Running, SocketAddr),
    connections: usize,
    seconds: f64,
) -> Outcome<(Turn, f64)> {
    let order = Order::new("bench-load", *address)
        .with("echo", 64)
        .with("connections", connections)
        .with("seconds", seconds);
    let mut generator = Generator::start(bin, &order)?;
    let pid = service.pid();
    let before = (cpu_us(pid), user_us(pid), context_switches(pid));
    let report = generator.go()?;
    let (cpu, user, switches) = (cpu_us(pid), user_us(pid), context_switches(pid));
    let messages = report.completed.max(1) as f64;
    // A µs for each message is a second for a million.
    let turn = Turn { cost: (cpu - before.0) / messages, user: (user - before.1) / messages, report };
    Ok((turn, 1_000.0 * (switches - before.2) as f64 / messages))
}
