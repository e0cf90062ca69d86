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

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use towpath_bench::Outcome;
use towpath_bench::args::Args;
use towpath_bench::child::{Running, raise_file_limit};
use towpath_bench::generator::{Generator, Plan, Report};
use towpath_bench::machine;
use towpath_bench::peers::{PEERS, Peer, Started, bin_folder, start_origin};
use towpath_bench::procfs::cpu_us;
use towpath_bench::stats::median;
use towpath_bench::trace::{Calls, Tracer};

/// A round counts when the control's two turns differ by no more than this share of their mean.
const CONTROL_DRIFT_MAX: f64 = 0.05;
/// Below this many steady rounds a median means little; the table then says so.
const STEADY_ROUNDS_MIN: usize = 3;
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
    report.push_str(&bench.configurations());
    bench.record(&report)
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
            peers: args.take_list("peers", &PEERS)?,
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

    fn plan(&self, address: SocketAddr, rate: Option<u32>, seconds: f64) -> Plan {
        Plan { address, path: self.path.clone(), connections: self.connections, rate, seconds }
    }
}

/// One peer's turn in one round.
#[derive(Debug, Clone, Copy)]
struct Turn {
    cpu_us_per_request: f64,
    report: Report,
}

/// One round: the control's mean and the turns of the others in the order of `Bench::others`.
#[derive(Debug)]
struct Round {
    control: [Turn; 2],
    turns: Vec<Turn>,
}

impl Round {
    fn control_cost(&self) -> f64 {
        (self.control[0].cpu_us_per_request + self.control[1].cpu_us_per_request) / 2.0
    }

    fn is_steady(&self) -> bool {
        let moved = self.control[0].cpu_us_per_request - self.control[1].cpu_us_per_request;
        moved.abs() <= CONTROL_DRIFT_MAX * self.control_cost()
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
        let control = Peer::Control.start(&bin, address, &folder)?;
        let mut others = Vec::new();
        for &peer in options.peers.iter().filter(|&&peer| peer != Peer::Control) {
            match peer.is_installed() {
                true => others.push(peer.start(&bin, address, &folder)?),
                false => println!("{} is not installed and is left out", peer.name()),
            }
        }
        Ok(Bench { options, bin, folder, _origin: origin, control, others })
    }

    /// Measures one scenario completely; the Markdown section about it.
    fn measure(&self, scenario: &Scenario) -> Outcome<String> {
        let mut rounds = Vec::new();
        for index in 0..self.options.rounds {
            rounds.push(self.round(scenario, index)?);
        }
        let steady: Vec<&Round> = rounds.iter().filter(|round| round.is_steady()).collect();
        let dropped = rounds.len() - steady.len();
        let (kept, note) = match steady.len() {
            0..STEADY_ROUNDS_MIN => (rounds.iter().collect(), " **(too few steady rounds: all are used)**"),
            _ => (steady, ""),
        };
        let mut text = format!("\n## {}\n\n", scenario.title());
        let _ =
            writeln!(text, "{} rounds, {dropped} dropped because the control moved{note}.\n", rounds.len());
        text.push_str(&self.cost_table(&kept));
        text.push_str(&self.load_table(scenario, &kept)?);
        Ok(text)
    }

    fn round(&self, scenario: &Scenario, index: usize) -> Outcome<Round> {
        let first = self.turn(&self.control, scenario)?;
        let count = self.others.len();
        let mut turns = vec![None; count];
        for step in 0..count {
            let position = (index + step) % count;
            turns[position] = Some(self.turn(&self.others[position], scenario)?);
        }
        let last = self.turn(&self.control, scenario)?;
        Ok(Round { control: [first, last], turns: turns.into_iter().flatten().collect() })
    }

    fn turn(&self, started: &Started, scenario: &Scenario) -> Outcome<Turn> {
        let plan = scenario.plan(started.address, scenario.rate, self.options.seconds);
        let mut generator = Generator::start(&self.bin, &plan)?;
        let before = cpu_us(started.running.pid());
        let report = generator.go()?;
        let used = cpu_us(started.running.pid()) - before;
        Ok(Turn { cpu_us_per_request: used / report.completed.max(1) as f64, report })
    }

    fn cost_table(&self, rounds: &[&Round]) -> String {
        let towpath = self.others.iter().position(|started| started.peer == Peer::Towpath);
        let mut text =
            "| | CPU µs per request | × control | Towpath × this | rounds |\n|---|---|---|---|---|\n"
                .to_owned();
        let controls: Vec<f64> = rounds.iter().map(|round| round.control_cost()).collect();
        let against_control = ratio_of(rounds, towpath, |round| round.control_cost());
        text.push_str(&cost_row("control", &controls, 1.0, against_control));
        for (position, started) in self.others.iter().enumerate() {
            let cost = |round: &Round| round.turns[position].cpu_us_per_request;
            let costs: Vec<f64> = rounds.iter().map(|round| cost(round)).collect();
            let ratios: Vec<f64> = rounds.iter().map(|round| cost(round) / round.control_cost()).collect();
            let against = ratio_of(rounds, towpath, cost);
            text.push_str(&cost_row(started.peer.name(), &costs, median(&ratios), against));
        }
        text
    }

    fn load_table(&self, scenario: &Scenario, rounds: &[&Round]) -> Outcome<String> {
        let mut text = "\n| | requests/s | errors | behind | p50 µs | p99 µs | calls | epoll_ctl | empty reads | most frequent calls |\n\
                        |---|---|---|---|---|---|---|---|---|---|\n"
            .to_owned();
        let control: Vec<Report> =
            rounds.iter().flat_map(|round| round.control.map(|turn| turn.report)).collect();
        text.push_str(&self.load_row(&self.control, scenario, &control)?);
        for (position, started) in self.others.iter().enumerate() {
            let reports: Vec<Report> = rounds.iter().map(|round| round.turns[position].report).collect();
            text.push_str(&self.load_row(started, scenario, &reports)?);
        }
        Ok(text)
    }

    fn load_row(&self, started: &Started, scenario: &Scenario, reports: &[Report]) -> Outcome<String> {
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
            "| {} | {rate:.0} | {errors} | {behind} | {latency} | {:.2} | {:.3} | {:.3} | {} |\n",
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
        let plan = scenario.plan(started.address, scenario.rate.map(|_| TRACED_RATE), TRACED_SECONDS);
        let mut generator = Generator::start(&self.bin, &plan)?;
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
             response. The cost columns are medians, the ratios medians of the ratios within a round. System calls are \
             per request, counted by strace in a run of its own (at {TRACED_RATE} requests/s where the scenario has a \
             rate). Latency is from the moment a request was due. Saturation on two cores measures the generator too: \
             requests per second are no headline.\n",
            machine::today()
        )
    }

    fn configurations(&self) -> String {
        let mut text = "\n## Configurations\n".to_owned();
        for started in &self.others {
            let _ = write!(
                text,
                "\n{}\n\n```\n{}```\n",
                started.peer.name(),
                anonymous(&started.config, &self.folder)
            );
        }
        text
    }

    fn record(&self, report: &str) -> Outcome<()> {
        if self.options.out == "none" {
            return Ok(());
        }
        fs::create_dir_all(&self.options.out)?;
        let file = Path::new(&self.options.out).join(format!("http1-{}.md", machine::today()));
        fs::write(&file, report)?;
        println!("recorded in {}", file.display());
        Ok(())
    }
}

/// A configuration without the paths of this machine.
fn anonymous(config: &str, folder: &Path) -> String {
    config.replace(&folder.display().to_string(), "FOLDER")
}

/// The median over rounds of Towpath's cost divided by `cost`, when Towpath takes part.
fn ratio_of(rounds: &[&Round], towpath: Option<usize>, cost: impl Fn(&Round) -> f64) -> Option<f64> {
    let position = towpath?;
    let ratios: Vec<f64> =
        rounds.iter().map(|round| round.turns[position].cpu_us_per_request / cost(round)).collect();
    Some(median(&ratios))
}

fn cost_row(name: &str, costs: &[f64], against_control: f64, towpath: Option<f64>) -> String {
    let towpath = towpath.map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
    let rounds = costs.iter().map(|cost| format!("{cost:.1}")).collect::<Vec<_>>().join(" ");
    format!("| {name} | {:.2} | {against_control:.2} | {towpath} | {rounds} |\n", median(costs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(cost: f64) -> Turn {
        Turn { cpu_us_per_request: cost, report: Report::default() }
    }

    #[test]
    fn a_round_in_which_the_control_moved_is_not_steady() {
        assert!(Round { control: [turn(20.0), turn(20.9)], turns: vec![] }.is_steady());
        assert!(!Round { control: [turn(20.0), turn(21.5)], turns: vec![] }.is_steady());
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let rounds = [
            Round { control: [turn(10.0), turn(10.0)], turns: vec![turn(11.0)] },
            Round { control: [turn(20.0), turn(20.0)], turns: vec![turn(22.0)] },
        ];
        let rounds: Vec<&Round> = rounds.iter().collect();
        assert_eq!(ratio_of(&rounds, Some(0), Round::control_cost), Some(1.1));
        assert_eq!(ratio_of(&rounds, None, Round::control_cost), None);
    }

    #[test]
    fn every_peer_is_known_by_its_name() {
        assert!(PEERS.iter().all(|peer| peer.name().parse() == Ok(*peer)));
    }
}
