//! `bench-http1`: what a proxied HTTP/1.1 request costs in Towpath, its peers and the control.
//!
//! In every round each peer takes one turn, in an order that rotates, between two turns of the control; a round in
//! which the control moved by more than 5 % says nothing and is dropped. System calls are counted afterwards, outside
//! the timed rounds.
//!
//! ```text
//! bench-http1 [--rounds 7] [--seconds 2] [--rate 10000] [--sizes 128,16k] [--connections 64,512]
//!             [--modes saturated,rate] [--peers control,towpath,nginx,haproxy,haproxy-edge]
//!             [--profile dist] [--out bench/results | none]
//! ```
#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use towpath_bench::Outcome;
use towpath_bench::args::Args;
use towpath_bench::child::{Running, raise_file_limit};
use towpath_bench::generator::{Generator, Order, Report, Waiting as _};
use towpath_bench::machine;
use towpath_bench::peers::{Peer, Service, Started, bin_folder, start_origin, start_others};
use towpath_bench::procfs::{cpu_us, user_us};
use towpath_bench::results::{configurations, record};
use towpath_bench::rounds::{Member, Round, Rounds, Turn, cost_table, turns_of};
use towpath_bench::stats::median;
use towpath_bench::trace::{Calls, Tracer};

/// The traced proxy is many times slower, so the traced fixed rate is low: it shows a lightly loaded proxy.
const TRACED_RATE: u32 = 1_000;
const TRACED_SECONDS: f64 = 1.0;

fn main() -> Outcome<()> {
    let options = Options::from_env()?;
    let _ = raise_file_limit(16_384);
    let bench = Bench::start(options)?;
    let mut report = bench.heading();
    for scenario in bench.options.scenarios() {
        let section = bench.measure(&scenario)?;
        println!("{section}");
        report.push_str(&section);
    }
    report.push_str("\n## Configurations\n");
    report.push_str(&configurations(&bench.others, &bench.folder));
    println!("{}", record(&bench.options.out, "http1", &report)?);
    Ok(())
}

/// How a scenario's requests are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Saturated,
    Rate,
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Mode, String> {
        match text {
            "saturated" => Ok(Mode::Saturated),
            "rate" => Ok(Mode::Rate),
            other => Err(format!("no mode {other:?}")),
        }
    }
}

#[derive(Debug)]
struct Options {
    rounds: usize,
    seconds: f64,
    rate: u32,
    sizes: Vec<String>,
    connections: Vec<usize>,
    modes: Vec<Mode>,
    peers: Vec<Peer>,
    profile: String,
    out: String,
}

impl Options {
    fn from_env() -> Outcome<Options> {
        let mut args = Args::from_env()?;
        let options = Options {
            rounds: args.take("rounds")?.unwrap_or(7),
            seconds: args.take("seconds")?.unwrap_or(2.0),
            rate: args.take("rate")?.unwrap_or(10_000),
            sizes: args.take_list("sizes", &["128".to_owned(), "16k".to_owned()])?,
            connections: args.take_list("connections", &[64, 512])?,
            modes: args.take_list("modes", &[Mode::Saturated, Mode::Rate])?,
            peers: args.take_list("peers", Service::Http1.peers())?,
            profile: args.take("profile")?.unwrap_or_else(|| "dist".to_owned()),
            out: args.take("out")?.unwrap_or_else(|| "bench/results".to_owned()),
        };
        args.finish()?;
        Ok(options)
    }

    fn scenarios(&self) -> Vec<Scenario> {
        let mut scenarios = Vec::new();
        for size in &self.sizes {
            for &connections in &self.connections {
                for &mode in &self.modes {
                    let rate = (mode == Mode::Rate).then_some(self.rate);
                    scenarios.push(Scenario { path: format!("/{size}"), connections, rate });
                }
            }
        }
        scenarios
    }
}

#[derive(Debug)]
struct Scenario {
    path: String,
    connections: usize,
    rate: Option<u32>,
}

impl Scenario {
    fn title(&self) -> String {
        let mode = self.rate.map_or("saturated".to_owned(), |rate| format!("{rate} requests/s"));
        format!("{} bytes, {} connections, {mode}", &self.path[1..], self.connections)
    }

    fn order(&self, address: SocketAddr, rate: Option<u32>, seconds: f64) -> Order {
        let order = Order::new("bench-load", address)
            .with("path", &self.path)
            .with("connections", self.connections)
            .with("seconds", seconds);
        match rate {
            Some(rate) => order.with("rate", rate),
            None => order,
        }
    }
}

/// Everything that runs during the bench.
#[derive(Debug)]
struct Bench {
    options: Options,
    bin: PathBuf,
    folder: PathBuf,
    _origin: Running,
    control: Started,
    others: Vec<Started>,
}

impl Bench {
    fn start(options: Options) -> Outcome<Bench> {
        let bin = bin_folder()?;
        let folder = bin.join("bench");
        fs::create_dir_all(&folder)?;
        let (origin, address) = start_origin(&bin)?;
        let control = Peer::Control.start(Service::Http1, &bin, &[address], &folder)?;
        let (others, remarks) = start_others(&options.peers, Service::Http1, &bin, &[address], &folder)?;
        remarks.iter().for_each(|remark| println!("{remark}"));
        Ok(Bench { options, bin, folder, _origin: origin, control, others })
    }

    fn started(&self, member: Member) -> &Started {
        match member {
            Member::Control => &self.control,
            Member::Other(position) => &self.others[position],
        }
    }

    /// Measures one scenario completely; the Markdown section about it.
    fn measure(&self, scenario: &Scenario) -> Outcome<String> {
        let rounds = Rounds::run(self.options.rounds, self.others.len(), |member| {
            self.turn(self.started(member), scenario)
        })?;
        let (kept, remark) = rounds.kept();
        let names: Vec<&str> = self.others.iter().map(|started| started.peer.name()).collect();
        let costs = cost_table("CPU µs per request", "control", &names, &kept);
        let load = self.load_table(scenario, &kept)?;
        Ok(format!("\n## {}\n\n{remark}\n\n{costs}{load}", scenario.title()))
    }

    fn turn(&self, started: &Started, scenario: &Scenario) -> Outcome<Turn> {
        let order = scenario.order(started.address, scenario.rate, self.options.seconds);
        let mut generator = Generator::start(&self.bin, &order)?;
        let pid = started.running.pid();
        let before = (cpu_us(pid), user_us(pid));
        let report = generator.go()?;
        let each = |used: f64| used / report.completed.max(1) as f64;
        Ok(Turn { cost: each(cpu_us(pid) - before.0), user: each(user_us(pid) - before.1), report })
    }

    fn load_table(&self, scenario: &Scenario, rounds: &[&Round]) -> Outcome<String> {
        let mut text = "\n| | requests/s | user µs | errors | behind | p50 µs | p99 µs | calls | epoll_ctl | empty reads | most frequent calls |\n\
                        |---|---|---|---|---|---|---|---|---|---|---|\n"
            .to_owned();
        let others = (0..self.others.len()).map(Member::Other);
        for member in std::iter::once(Member::Control).chain(others) {
            text.push_str(&self.load_row(self.started(member), scenario, &turns_of(rounds, member))?);
        }
        Ok(text)
    }

    fn load_row(&self, started: &Started, scenario: &Scenario, turns: &[Turn]) -> Outcome<String> {
        let reports: Vec<Report> = turns.iter().map(|turn| turn.report).collect();
        let user = turns.iter().map(|turn| turn.user).sum::<f64>() / turns.len().max(1) as f64;
        let of = |pick: fn(&Report) -> f64| median(&reports.iter().map(pick).collect::<Vec<f64>>());
        let errors: u64 = reports.iter().map(|report| report.errors).sum();
        let behind: u64 = reports.iter().map(|report| report.behind).sum();
        let rate = of(|report| report.completed as f64 / report.seconds);
        let latency = match scenario.rate {
            Some(_) => {
                format!("{:.0} | {:.0}", of(|report| report.p50_us as f64), of(|report| report.p99_us as f64))
            }
            None => "– | –".to_owned(),
        };
        let (requests, calls) = self.traced(started, scenario)?;
        let per_request = |count: u64| count as f64 / requests.max(1) as f64;
        Ok(format!(
            "| {} | {rate:.0} | {user:.1} | {errors} | {behind} | {latency} | {:.2} | {:.3} | {:.3} | {} |\n",
            started.peer.name(),
            per_request(calls.total()),
            per_request(calls.epoll_ctl()),
            per_request(calls.empty_reads()),
            calls.describe(requests),
        ))
    }

    /// Counts system calls in a short run of their own.
    fn traced(&self, started: &Started, scenario: &Scenario) -> Outcome<(u64, Calls)> {
        let summary = self.folder.join("strace.txt");
        let order = scenario.order(started.address, scenario.rate.map(|_| TRACED_RATE), TRACED_SECONDS);
        let mut generator = Generator::start(&self.bin, &order)?;
        let tracer = Tracer::attach(started.running.pid(), &summary)?;
        let report = generator.go()?;
        Ok((report.completed, tracer.finish(&summary)?))
    }

    fn heading(&self) -> String {
        let Options { rounds, seconds, .. } = self.options;
        let facts = machine::facts(&self.options.profile);
        format!(
            "# HTTP/1.1 through a proxy, {}\n\n{facts}\n\
             One worker each, pinned to core 0; generator and origin on core 1; keep-alive on both sides; no access log; \
             forwarding headers added by every peer but the control. {rounds} rounds of {seconds} s per turn. \
             CPU time is the scheduler's account of the whole process family between the first request and the last \
             response; user µs is the part of it in user space, by the kernel's ticks. The cost columns are medians, the ratios medians of the ratios within a round. System calls are \
             per request, counted by strace in a run of its own (at {TRACED_RATE} requests/s where the scenario has a \
             rate). Latency is from the moment a request was due. Saturation on two cores measures the generator too: \
             requests per second are no headline.\n",
            machine::today()
        )
    }
}
