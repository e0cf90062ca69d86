//! What the TCP and UDP benches share: scenarios, turns, tables.
#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::args::Args;
use crate::child::{Running, raise_file_limit};
use crate::generator::{Generator, Order};
use crate::peers::{Peer, Service, Started, bin_folder, start_others};
use crate::procfs::{cpu_us, user_us};
use crate::results::{configurations, record};
use crate::rounds::{Member, Rounds, Turn, cost_table, turns_of};
use crate::stats::median;
use crate::trace::{Calls, Tracer};
use crate::{Outcome, far, machine};

const MIB: f64 = 1024.0 * 1024.0;

/// What the person who started the bench may choose.
#[derive(Debug)]
pub struct Options {
    /// Rounds of every scenario.
    pub rounds: usize,
    /// Seconds of a turn, where a turn is not a number of bytes.
    pub seconds: f64,
    /// Messages per second of the scenarios with a rate.
    pub rate: u32,
    /// Connections or clients of the scenarios with small messages.
    pub connections: usize,
    /// Numbers of flows of the bulk scenarios.
    pub flows: Vec<usize>,
    /// TCP bulk: bytes of a turn, in MiB.
    pub mib: u64,
    /// UDP bulk: datagrams of a flow that may be under way.
    pub window: u64,
    /// Names of scenarios, or none for all.
    scenarios: Vec<String>,
    peers: Vec<Peer>,
    profile: String,
    out: String,
}

impl Options {
    /// Reads the arguments of this process.
    ///
    /// # Errors
    /// One is unknown or not what it should be.
    pub fn from_env(service: Service) -> Outcome<Options> {
        let mut args = Args::from_env()?;
        let is_udp = service == Service::Udp;
        let options = Options {
            rounds: args.take("rounds")?.unwrap_or(7),
            seconds: args.take("seconds")?.unwrap_or(2.0),
            rate: args.take("rate")?.unwrap_or(10_000),
            connections: args.take("connections")?.unwrap_or(if is_udp { 128 } else { 64 }),
            flows: args.take_list("flows", if is_udp { &[1] } else { &[1, 8] })?,
            mib: args.take("mib")?.unwrap_or(1_024),
            window: args.take("window")?.unwrap_or(64),
            scenarios: args.take_list("scenarios", &[])?,
            peers: args.take_list("peers", service.peers())?,
            profile: args.take("profile")?.unwrap_or_else(|| "dist".to_owned()),
            out: args.take("out")?.unwrap_or_else(|| "bench/results".to_owned()),
        };
        args.finish()?;
        Ok(options)
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
    /// The generator.
    pub program: &'static str,
    /// Its arguments.
    pub words: Vec<(&'static str, String)>,
    /// Those that are different while system calls are counted.
    pub traced: Vec<(&'static str, String)>,
    /// Members that cannot do it as they are configured.
    pub without: &'static [Peer],
}

impl Scenario {
    fn order(&self, address: SocketAddr, is_traced: bool) -> Order {
        let instead = |key: &str| self.traced.iter().find(|(other, _)| is_traced && *other == key);
        self.words.iter().fold(Order::new(self.program, address), |order, (key, value)| {
            order.with(key, instead(key).map_or(value, |(_, value)| value))
        })
    }
}

/// Everything that runs during the bench.
#[derive(Debug)]
struct Bench {
    options: Options,
    bin: PathBuf,
    folder: PathBuf,
    _far: Running,
    control: Started,
    others: Vec<Started>,
    remarks: Vec<String>,
}

/// Runs the scenarios and records `SERVICE-DATE.md`; `about` is the paragraph under its heading.
///
/// # Errors
/// A member that should work does not.
pub fn run(service: Service, options: Options, about: &str, scenarios: &[Scenario]) -> Outcome<()> {
    if let Some(unknown) =
        options.scenarios.iter().find(|name| !scenarios.iter().any(|one| one.name == **name))
    {
        let names: Vec<&str> = scenarios.iter().map(|one| one.name.as_str()).collect();
        return Err(format!("no scenario {unknown:?}; there are {}", names.join(", ")).into());
    }
    let _ = raise_file_limit(16_384);
    let bench = Bench::start(service, options)?;
    bench.remarks.iter().for_each(|remark| println!("{remark}"));
    let mut report = bench.heading(service, about);
    let wanted = &bench.options.scenarios;
    for scenario in scenarios.iter().filter(|one| wanted.is_empty() || wanted.contains(&one.name)) {
        let section = bench.measure(scenario)?;
        println!("{section}");
        report.push_str(&section);
    }
    report.push_str(&configurations(&bench.others, &bench.folder));
    println!("{}", record(&bench.options.out, service.name(), &report)?);
    Ok(())
}

impl Bench {
    fn start(service: Service, options: Options) -> Outcome<Bench> {
        let bin = bin_folder()?;
        let folder = bin.join("bench");
        fs::create_dir_all(&folder)?;
        let (far, origins) = far::start(service, &bin, 1)?;
        let control = Peer::Control.start(service, &bin, &origins, &folder)?;
        let (others, remarks) = start_others(&options.peers, service, &bin, &origins, &folder)?;
        Ok(Bench { options, bin, folder, _far: far, control, others, remarks })
    }

    /// Measures one scenario completely; the Markdown section about it.
    fn measure(&self, scenario: &Scenario) -> Outcome<String> {
        let others: Vec<&Started> =
            self.others.iter().filter(|started| !scenario.without.contains(&started.peer)).collect();
        let started = |member| match member {
            Member::Control => &self.control,
            Member::Other(position) => others[position],
        };
        let rounds = Rounds::run(self.options.rounds, others.len(), |member| {
            self.turn(started(member), scenario)
                .map_err(|error| format!("{}: {error}", started(member).peer.name()).into())
        })?;
        let (kept, remark) = rounds.kept();
        let names: Vec<&str> = others.iter().map(|started| started.peer.name()).collect();
        let costs = cost_table(&scenario.unit.heading(), "control", &names, &kept);
        let mut text =
            format!("\n## {}\n\n{remark}\n\n{costs}\n{}", scenario.title, load_heading(scenario.unit));
        for member in std::iter::once(Member::Control).chain((0..others.len()).map(Member::Other)) {
            text.push_str(&self.load_row(started(member), scenario, &turns_of(&kept, member))?);
        }
        Ok(text)
    }

    fn turn(&self, started: &Started, scenario: &Scenario) -> Outcome<Turn> {
        let mut generator = Generator::start(&self.bin, &scenario.order(started.address, false))?;
        let pid = started.running.pid();
        let before = (cpu_us(pid), user_us(pid));
        let report = generator.go()?;
        let cost = |used: f64| scenario.unit.cost(used, report.completed);
        Ok(Turn { cost: cost(cpu_us(pid) - before.0), user: cost(user_us(pid) - before.1), report })
    }

    fn load_row(&self, started: &Started, scenario: &Scenario, turns: &[Turn]) -> Outcome<String> {
        let of = |pick: &dyn Fn(&Turn) -> f64| median(&turns.iter().map(pick).collect::<Vec<f64>>());
        let sum = |pick: fn(&Turn) -> u64| turns.iter().map(pick).sum::<u64>();
        let (completed, errors) = (sum(|turn| turn.report.completed), sum(|turn| turn.report.errors));
        let share = 100.0 * errors as f64 / (completed + errors).max(1) as f64;
        let rate = of(&|turn| scenario.unit.work(turn.report.completed) / turn.report.seconds);
        let per_cpu_second = of(&|turn| scenario.unit.work_per_cpu_second(turn.cost));
        let (p50, p99) = (of(&|turn| turn.report.p50_us as f64), of(&|turn| turn.report.p99_us as f64));
        // In a closed loop a stalled relay is asked less: its latency would look better than it is.
        let is_open_loop = scenario.words.iter().any(|(key, _)| *key == "rate");
        let latency = if is_open_loop { format!("{p50:.0} | {p99:.0}") } else { "– | –".to_owned() };
        let (work, calls) = self.traced(started, scenario)?;
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
    fn traced(&self, started: &Started, scenario: &Scenario) -> Outcome<(f64, Calls)> {
        let summary = self.folder.join("strace.txt");
        let mut generator = Generator::start(&self.bin, &scenario.order(started.address, true))?;
        let tracer = Tracer::attach(started.running.pid(), &summary)?;
        let report = generator.go()?;
        Ok((scenario.unit.work(report.completed.max(1)), tracer.finish(&summary)?))
    }

    fn heading(&self, service: Service, about: &str) -> String {
        let Options { rounds, seconds, .. } = self.options;
        let facts = machine::facts(&self.options.profile);
        let mut text = format!(
            "# {} through a relay, {}\n\n{facts}\n{about} One worker each, pinned to core 0; generator and far side on \
             core 1; no access log. {rounds} rounds, {seconds} s per turn where a turn is not a number of bytes. CPU time \
             is the scheduler's account of the whole process family between the first unit of work and the last. The \
             cost columns are medians, the ratios medians of the ratios within a round. System calls are counted by \
             strace in a run of its own. Two cores measure the generator too: rates are no headline.\n",
            service.name().to_uppercase(),
            machine::today()
        );
        for remark in &self.remarks {
            let _ = write!(text, "\n{remark}\n");
        }
        text
    }
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
        let scenario = Scenario {
            name: String::new(),
            title: String::new(),
            unit: Unit::Each("message"),
            program: "bench-load",
            words: vec![("echo", "64".to_owned()), ("rate", "9".to_owned())],
            traced: vec![("rate", "1".to_owned())],
            without: &[],
        };
        let order = |is_traced| format!("{:?}", scenario.order("127.0.0.1:1".parse().unwrap(), is_traced));
        assert!(order(false).contains(r#""--rate", "9""#));
        assert!(order(true).contains(r#""--echo", "64", "--rate", "1""#));
    }
}
