//! What the benches share that compare by scenarios: options, scenarios, turns, tables.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::args::Args;
use crate::child::{Running, raise_file_limit};
use crate::generator::{Generator, Order, Waiting};
use crate::nghttp2::{H2load, Span};
use crate::peers::{Peer, Service, Started, bin_folder, envoy, start_origin_for, start_others};
use crate::procfs::{cpu_us, user_us};
use crate::results::{configurations, record};
use crate::rounds::{Member, Rounds, Turn, cost_table, turns_of};
use crate::stats::median;
use crate::trace::{Calls, Tracer};
use crate::{Outcome, machine};

/// A traced proxy is many times slower, so h2load asks little of it.
const TRACED_REQUESTS: u64 = 10_000;
/// A generator of ours that has no rate stops by itself.
pub const TRACED_SECONDS: f64 = 1.0;
const MIB: f64 = 1024.0 * 1024.0;

/// What the person who started a comparison may choose.
#[derive(Debug)]
pub struct Options {
    /// Rounds of every scenario.
    pub rounds: usize,
    /// Seconds of a turn, where a turn is not a number of bytes.
    pub seconds: f64,
    /// Names of scenarios, or none for all.
    scenarios: Vec<String>,
    /// Those who take part where they can, or none for all.
    peers: Vec<Peer>,
    profile: String,
    out: String,
}

impl Options {
    /// Takes them out of the arguments.
    ///
    /// # Errors
    /// One is not what it should be.
    pub fn take(args: &mut Args) -> Outcome<Options> {
        Ok(Options {
            rounds: args.take("rounds")?.unwrap_or(7),
            seconds: args.take("seconds")?.unwrap_or(2.0),
            scenarios: args.take_list("scenarios", &[])?,
            peers: args.take_list("peers", &[])?,
            profile: args.take("profile")?.unwrap_or_else(|| "dist".to_owned()),
            out: args.take("out")?.unwrap_or_else(|| "bench/results".to_owned()),
        })
    }

    /// Who takes part in `service`, the control apart.
    fn peers_of(&self, service: Service) -> Vec<Peer> {
        let is_wanted = |peer: &Peer| self.peers.is_empty() || self.peers.contains(peer);
        service.peers().iter().copied().filter(is_wanted).collect()
    }

    /// The scenarios that are wanted.
    fn choose(&self, scenarios: Vec<Scenario>) -> Outcome<Vec<Scenario>> {
        let names: Vec<String> = scenarios.iter().map(|scenario| scenario.name.clone()).collect();
        if let Some(unknown) = self.scenarios.iter().find(|name| !names.contains(name)) {
            return Err(format!("no scenario {unknown:?}; there are {}", names.join(", ")).into());
        }
        let is_wanted =
            |scenario: &Scenario| self.scenarios.is_empty() || self.scenarios.contains(&scenario.name);
        Ok(scenarios.into_iter().filter(is_wanted).collect())
    }
}

/// What a scenario's cost is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// CPU µs for each of what the name says.
    Each(&'static str),
    /// CPU ms for a GiB; the generator counts in pieces of so many bytes.
    Bytes(u64),
}

impl Unit {
    fn heading(self) -> String {
        match self {
            Unit::Each(name) => format!("CPU µs per {name}"),
            Unit::Bytes(_) => "CPU ms per GiB".to_owned(),
        }
    }

    fn cost(self, cpu_us: f64, completed: u64) -> f64 {
        match self {
            Unit::Each(_) => cpu_us / completed.max(1) as f64,
            Unit::Bytes(size) => cpu_us / 1_000.0 / ((completed * size).max(1) as f64 / (1024.0 * MIB)),
        }
    }

    /// What system calls are divided by, and rates multiplied with.
    fn work(self, completed: u64) -> f64 {
        match self {
            Unit::Each(_) => completed as f64,
            Unit::Bytes(size) => (completed * size) as f64 / MIB,
        }
    }

    /// The other way to say a cost.
    fn work_per_cpu_second(self, cost: f64) -> f64 {
        match self {
            Unit::Each(_) => 1_000_000.0 / cost,
            Unit::Bytes(_) => 1_000.0 * 1_024.0 / cost,
        }
    }

    fn work_name(self) -> &'static str {
        match self {
            Unit::Each(name) => name,
            Unit::Bytes(_) => "MiB",
        }
    }
}

/// One way of loading the members.
#[derive(Debug)]
pub struct Scenario {
    /// The name on the command line.
    pub name: String,
    /// The heading of its section.
    pub title: String,
    /// What its cost is counted in.
    pub unit: Unit,
    /// What the members do. Scenarios with the same service, one after the other, have the same processes.
    pub service: Service,
    /// What is asked of them.
    pub load: Load,
    /// What is asked of the control, where that is not the same.
    pub control: Option<Load>,
    /// Members that cannot do it as they are configured.
    pub without: &'static [Peer],
}

/// What is asked of a member, and by whom.
#[derive(Debug, Clone)]
pub enum Load {
    /// A generator of ours.
    Ours {
        /// The generator.
        program: &'static str,
        /// Its arguments.
        words: Words,
        /// Those that are different while system calls are counted.
        traced: Words,
    },
    /// HTTP/2 by h2load.
    H2load(H2load),
}

/// Arguments of a generator of ours.
pub type Words = Vec<(&'static str, String)>;

impl Load {
    /// 128 bytes over HTTP/1.1 in clear text on 64 connections: what the control is asked for where nothing bare does
    /// what the members do. It tells how fast the machine is at the moment.
    #[must_use]
    pub fn yardstick(seconds: f64) -> Load {
        Load::plain_http1("/128", 64, seconds)
    }

    /// HTTP/1.1 in clear text, connections that always have a request under way.
    #[must_use]
    pub fn plain_http1(path: &str, connections: usize, seconds: f64) -> Load {
        let words = vec![
            ("path", path.to_owned()),
            ("connections", connections.to_string()),
            ("seconds", seconds.to_string()),
        ];
        Load::Ours { program: "bench-load", words, traced: vec![("seconds", TRACED_SECONDS.to_string())] }
    }

    fn start(&self, bin: &Path, address: SocketAddr, is_traced: bool) -> Outcome<Box<dyn Waiting>> {
        match self {
            Load::Ours { program, words, traced } => {
                let traced = if is_traced { &traced[..] } else { &[] };
                Ok(Box::new(Generator::start(bin, &order(program, words, traced, address))?))
            }
            Load::H2load(load) if is_traced => load.start(address, Span::Requests(TRACED_REQUESTS)),
            Load::H2load(load) => load.start(address, Span::Turn),
        }
    }

    /// In a closed loop a stalled proxy is asked less: its latency would look better than it is.
    fn is_open_loop(&self) -> bool {
        matches!(self, Load::Ours { words, .. } if words.iter().any(|(key, _)| *key == "rate"))
    }
}

fn order(
    program: &'static str,
    words: &[(&'static str, String)],
    traced: &[(&'static str, String)],
    address: SocketAddr,
) -> Order {
    let instead = |key: &str| traced.iter().find(|(other, _)| *other == key);
    words.iter().fold(Order::new(program, address), |order, (key, value)| {
        order.with(key, instead(key).map_or(value, |(_, value)| value))
    })
}

impl Scenario {
    fn load_of(&self, member: Member) -> &Load {
        match (member, &self.control) {
            (Member::Control, Some(load)) => load,
            _ => &self.load,
        }
    }
}

/// What a bench says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its name, and that of the result file.
    pub name: &'a str,
    /// The beginning of the record's heading.
    pub title: &'a str,
    /// The paragraph under it.
    pub about: &'a str,
}

/// Runs the scenarios and records `NAME-DATE.md`.
///
/// # Errors
/// A member that should work does not.
pub fn run(subject: Subject<'_>, options: Options, scenarios: Vec<Scenario>) -> Outcome<()> {
    let _ = raise_file_limit(16_384);
    let scenarios = options.choose(scenarios)?;
    let bin = bin_folder()?;
    let is_http2 = scenarios.iter().any(|scenario| matches!(scenario.load, Load::H2load(_)));
    let mut report = heading(subject, &options, is_http2.then_some(&bin));
    let (mut results, mut configured) = (String::new(), String::new());
    for group in scenarios.chunk_by(|one, other| one.service == other.service) {
        let bench = Bench::start(&options, &bin, &group[0])?;
        for remark in &bench.remarks {
            println!("{remark}");
            let _ = write!(report, "\n{remark}\n");
        }
        for scenario in group {
            let section = bench.measure(scenario)?;
            println!("{section}");
            results.push_str(&section);
        }
        configured.push_str(&configurations(&bench.others, &bench.folder));
    }
    report.push_str(&results);
    let _ = write!(report, "\n## Configurations\n{configured}");
    println!("{}", record(&options.out, subject.name, &report)?);
    Ok(())
}

/// Everything that runs while the scenarios of one service are measured.
#[derive(Debug)]
struct Bench {
    rounds: usize,
    bin: PathBuf,
    folder: PathBuf,
    _origins: Vec<Running>,
    control: Started,
    others: Vec<Started>,
    remarks: Vec<String>,
}

impl Bench {
    fn start(options: &Options, bin: &Path, scenario: &Scenario) -> Outcome<Bench> {
        let service = scenario.service;
        let folder = bin.join("bench");
        fs::create_dir_all(&folder)?;
        let (origin, addresses) = start_origin_for(service, bin, &folder)?;
        let mut origins = vec![origin];
        let mut of_control = addresses.clone();
        if service.of_control().origin() != service.origin() {
            let (origin, addresses) = start_origin_for(service.of_control(), bin, &folder)?;
            origins.push(origin);
            of_control = addresses;
        }
        let control = Peer::Control.start(service.of_control(), bin, &of_control, &folder)?;
        let peers = options.peers_of(service);
        let (others, remarks) = start_others(&peers, service, bin, &addresses, &folder)?;
        let remarks = remarks.into_iter().map(|remark| format!("{}: {remark}", service.name())).collect();
        let (rounds, bin) = (options.rounds, bin.to_owned());
        let mut bench = Bench { rounds, bin, folder, _origins: origins, control, others, remarks };
        if let Load::H2load(load) = &scenario.load {
            bench.leave_out_the_mute(load);
        }
        Ok(bench)
    }

    /// A proxy whose configuration is right may still not speak HTTP/2, or not to this client.
    fn leave_out_the_mute(&mut self, load: &H2load) {
        self.others.retain(|started| {
            let Err(error) = load.probe(started.address) else { return true };
            let (service, peer) = (started.service.name(), started.peer.name());
            self.remarks.push(format!("{service}: {peer} is left out: {error}"));
            false
        });
    }

    /// Measures one scenario completely; the Markdown section about it.
    fn measure(&self, scenario: &Scenario) -> Outcome<String> {
        let others: Vec<&Started> =
            self.others.iter().filter(|started| !scenario.without.contains(&started.peer)).collect();
        let started = |member| match member {
            Member::Control => &self.control,
            Member::Other(position) => others[position],
        };
        let rounds = Rounds::run(self.rounds, others.len(), |member| {
            self.turn(started(member), scenario, member)
                .map_err(|error| format!("{}: {error}", started(member).peer.name()).into())
        })?;
        let (kept, remark) = rounds.kept();
        let names: Vec<&str> = others.iter().map(|started| started.peer.name()).collect();
        let costs = cost_table(&scenario.unit.heading(), "control", &names, &kept);
        let mut text =
            format!("\n## {}\n\n{remark}\n\n{costs}\n{}", scenario.title, load_heading(scenario.unit));
        for member in std::iter::once(Member::Control).chain((0..others.len()).map(Member::Other)) {
            text.push_str(&self.load_row(started(member), scenario, member, &turns_of(&kept, member))?);
        }
        Ok(text)
    }

    fn turn(&self, started: &Started, scenario: &Scenario, member: Member) -> Outcome<Turn> {
        let mut generator = scenario.load_of(member).start(&self.bin, started.address, false)?;
        let pid = started.running.pid();
        let before = (cpu_us(pid), user_us(pid));
        let report = generator.go()?;
        let cost = |used: f64| scenario.unit.cost(used, report.completed);
        Ok(Turn { cost: cost(cpu_us(pid) - before.0), user: cost(user_us(pid) - before.1), report })
    }

    fn load_row(
        &self,
        started: &Started,
        scenario: &Scenario,
        member: Member,
        turns: &[Turn],
    ) -> Outcome<String> {
        let of = |pick: &dyn Fn(&Turn) -> f64| median(&turns.iter().map(pick).collect::<Vec<f64>>());
        let sum = |pick: fn(&Turn) -> u64| turns.iter().map(pick).sum::<u64>();
        let (completed, errors) = (sum(|turn| turn.report.completed), sum(|turn| turn.report.errors));
        let share = 100.0 * errors as f64 / (completed + errors).max(1) as f64;
        let rate = of(&|turn| scenario.unit.work(turn.report.completed) / turn.report.seconds);
        let per_cpu_second = of(&|turn| scenario.unit.work_per_cpu_second(turn.cost));
        let (p50, p99) = (of(&|turn| turn.report.p50_us as f64), of(&|turn| turn.report.p99_us as f64));
        let is_open_loop = scenario.load.is_open_loop();
        let latency = if is_open_loop { format!("{p50:.0} | {p99:.0}") } else { "– | –".to_owned() };
        let (work, calls) = self.traced(started, scenario, member)?;
        Ok(format!(
            "| {} | {per_cpu_second:.0} | {rate:.0} | {errors} ({share:.2} %) | {} | {latency} | {:.2} | {:.3} | {} |\n",
            started.peer.name(),
            sum(|turn| turn.report.behind),
            calls.total() as f64 / work,
            calls.empty_reads() as f64 / work,
            calls.describe(work as u64),
        ))
    }

    /// Counts system calls in a short run of their own; with the work they were for.
    fn traced(&self, started: &Started, scenario: &Scenario, member: Member) -> Outcome<(f64, Calls)> {
        let summary = self.folder.join("strace.txt");
        let mut generator = scenario.load_of(member).start(&self.bin, started.address, true)?;
        let tracer = Tracer::attach(started.running.pid(), &summary)?;
        let report = generator.go()?;
        Ok((scenario.unit.work(report.completed.max(1)), tracer.finish(&summary)?))
    }
}

/// `bin` where programs take part that only HTTP/2 needs.
fn heading(subject: Subject<'_>, options: &Options, bin: Option<&PathBuf>) -> String {
    let Options { rounds, seconds, .. } = options;
    let mut facts = machine::facts(&options.profile);
    if let Some(bin) = bin {
        let _ = writeln!(facts, "- Envoy: {}", envoy::version(bin));
        let _ = writeln!(facts, "- h2load, nghttpd: {}", machine::first_line("h2load", &["--version"]));
    }
    format!(
        "# {}, {}\n\n{facts}\n{} One worker each, pinned to core 0; generator and far side on core 1; no access log. \
         {rounds} rounds, {seconds} s per turn where a turn is not a number of bytes. CPU time is the scheduler's account \
         of the whole process family between the first unit of work and the last. The cost columns are medians, the ratios \
         medians of the ratios within a round. System calls are counted by strace in a run of its own. Two cores measure \
         the generator too: rates are no headline.\n",
        subject.title,
        machine::today(),
        subject.about,
    )
}

fn load_heading(unit: Unit) -> String {
    let work = unit.work_name();
    let works = if work == "MiB" { work.to_owned() } else { format!("{work}s") };
    format!(
        "| | {works} per CPU second | {works} per second | errors or lost | behind | p50 µs | p99 µs | calls per {work} | empty reads | most frequent calls |\n\
         |---|---|---|---|---|---|---|---|---|---|\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_in_the_unit_its_heading_names() {
        assert_eq!(Unit::Each("message").cost(30.0, 3), 10.0);
        assert_eq!(Unit::Bytes(1 << 20).cost(500_000.0, 1024), 500.0);
        assert_eq!(Unit::Bytes(1 << 20).work(3), 3.0);
        assert_eq!(Unit::Bytes(1 << 20).work_per_cpu_second(500.0), 2_048.0);
    }

    #[test]
    fn a_traced_run_has_its_own_arguments() {
        let words = [("echo", "64".to_owned()), ("rate", "9".to_owned())];
        let order = |traced: &[(&'static str, String)]| {
            format!("{:?}", order("bench-load", &words, traced, "127.0.0.1:1".parse().unwrap()))
        };
        assert!(order(&[]).contains(r#""--rate", "9""#));
        assert!(order(&[("rate", "1".to_owned())]).contains(r#""--echo", "64", "--rate", "1""#));
    }
}
