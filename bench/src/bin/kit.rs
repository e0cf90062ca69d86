//! `bench-kit`: what a greeting over HTTP/1.1 keep-alive costs in the kit's server, its peers and the control.
//!
//! The control is the bench's own origin, a bare event loop that looks at nothing but the end of the head.
//!
//! ```text
//! bench-kit [--rounds 7] [--seconds 2] [--connections 64] [--rate 10000] [--modes saturated,rate]
//!           [--servers towpath,hyper,axum,actix,go] [--out bench/results | none]
//! ```
#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use towpath_bench::args::Args;
use towpath_bench::child::{PROXY_CORE, Running, free_address, pinned, wait_for_listener};
use towpath_bench::generator::{Generator, Order, Report, Waiting as _};
use towpath_bench::peers::bin_folder;
use towpath_bench::procfs::{cpu_us, user_us};
use towpath_bench::results::record;
use towpath_bench::rounds::{Member, Rounds, Turn, cost_table, turns_of};
use towpath_bench::stats::median;
use towpath_bench::trace::Tracer;
use towpath_bench::{Outcome, machine};

/// A traced server is many times slower.
const TRACED_RATE: u32 = 1_000;
const TRACED_SECONDS: f64 = 1.0;

/// Every server answers this path with 13 bytes, the control because of its name.
const PATH: &str = "/13";

struct Server {
    name: String,
    address: SocketAddr,
    running: Running,
}

impl Server {
    fn start(name: &str, program: &Path, words: &[&str]) -> Outcome<Server> {
        let address = free_address()?;
        let mut command = pinned(PROXY_CORE, program);
        command.args(words).arg(address.to_string()).stdout(Stdio::null());
        let running = Running::start(command)?;
        wait_for_listener(name, address)?;
        Ok(Server { name: name.to_owned(), address, running })
    }
}

struct Bench {
    rounds: usize,
    seconds: f64,
    connections: usize,
    bin: PathBuf,
    control: Server,
    others: Vec<Server>,
}

fn main() -> Outcome<()> {
    let mut args = Args::from_env()?;
    let rate: u32 = args.take("rate")?.unwrap_or(10_000);
    let modes: Vec<String> = args.take_list("modes", &["saturated".to_owned(), "rate".to_owned()])?;
    let names: Vec<String> =
        args.take_list("servers", &["towpath", "hyper", "axum", "actix", "go"].map(str::to_owned))?;
    let profile: String = args.take("profile")?.unwrap_or_else(|| "release".to_owned());
    let out: String = args.take("out")?.unwrap_or_else(|| "bench/results".to_owned());
    let bin = bin_folder()?;
    let servers = bin.parent().ok_or("the programs are in no folder of cargo's")?.join("servers/release");
    let others = names.iter().map(|name| Server::start(name, &servers.join(name), &[]));
    let bench = Bench {
        rounds: args.take("rounds")?.unwrap_or(7),
        seconds: args.take("seconds")?.unwrap_or(2.0),
        connections: args.take("connections")?.unwrap_or(64),
        control: Server::start("control", &bin.join("bench-origin"), &["--addr"])?,
        others: others.collect::<Outcome<_>>()?,
        bin,
    };
    args.finish()?;
    let mut report = bench.heading(&profile);
    for mode in &modes {
        let section = bench.measure((mode == "rate").then_some(rate))?;
        println!("{section}");
        report.push_str(&section);
    }
    println!("{}", record(&out, "kit", &report)?);
    Ok(())
}

impl Bench {
    fn server(&self, member: Member) -> &Server {
        match member {
            Member::Control => &self.control,
            Member::Other(position) => &self.others[position],
        }
    }

    fn order(&self, server: &Server, rate: Option<u32>, seconds: f64) -> Order {
        let order = Order::new("bench-load", server.address)
            .with("path", PATH)
            .with("connections", self.connections)
            .with("seconds", seconds);
        match rate {
            Some(rate) => order.with("rate", rate),
            None => order,
        }
    }

    fn measure(&self, rate: Option<u32>) -> Outcome<String> {
        let rounds =
            Rounds::run(self.rounds, self.others.len(), |member| self.turn(self.server(member), rate))?;
        let (kept, remark) = rounds.kept();
        let names: Vec<&str> = self.others.iter().map(|server| server.name.as_str()).collect();
        let costs = cost_table("CPU µs per request", "control", &names, &kept);
        let mut table =
            "\n| | requests/s | user µs | errors | p50 µs | p99 µs | calls | most frequent calls |\n\
                         |---|---|---|---|---|---|---|---|\n"
                .to_owned();
        for member in std::iter::once(Member::Control).chain((0..self.others.len()).map(Member::Other)) {
            let reports: Vec<Report> = turns_of(&kept, member).iter().map(|turn| turn.report).collect();
            let users: Vec<f64> = turns_of(&kept, member).iter().map(|turn| turn.user).collect();
            let of = |pick: fn(&Report) -> f64| median(&reports.iter().map(pick).collect::<Vec<f64>>());
            let latency = match rate {
                Some(_) => format!("{:.0} | {:.0}", of(|it| it.p50_us as f64), of(|it| it.p99_us as f64)),
                None => "– | –".to_owned(),
            };
            let errors: u64 = reports.iter().map(|report| report.errors).sum();
            let (name, per_second) = (&self.server(member).name, of(|it| it.completed as f64 / it.seconds));
            let calls = self.calls(self.server(member), rate)?;
            let _ = writeln!(
                table,
                "| {name} | {per_second:.0} | {:.1} | {errors} | {latency} | {calls} |",
                median(&users)
            );
        }
        let mode = rate.map_or("saturated".to_owned(), |rate| format!("{rate} requests/s"));
        Ok(format!("\n## {} connections, {mode}\n\n{remark}\n\n{costs}{table}", self.connections))
    }

    fn turn(&self, server: &Server, rate: Option<u32>) -> Outcome<Turn> {
        let mut generator = Generator::start(&self.bin, &self.order(server, rate, self.seconds))?;
        let pid = server.running.pid();
        let before = (cpu_us(pid), user_us(pid));
        let report = generator.go()?;
        let each = |used: f64| used / report.completed.max(1) as f64;
        Ok(Turn { cost: each(cpu_us(pid) - before.0), user: each(user_us(pid) - before.1), report })
    }

    /// System calls per request, in a short run of their own.
    fn calls(&self, server: &Server, rate: Option<u32>) -> Outcome<String> {
        let summary = self.bin.join("bench-kit-strace.txt");
        let order = self.order(server, rate.map(|_| TRACED_RATE), TRACED_SECONDS);
        let mut generator = Generator::start(&self.bin, &order)?;
        let tracer = Tracer::attach(server.running.pid(), &summary)?;
        let requests = generator.go()?.completed;
        let calls = tracer.finish(&summary)?;
        Ok(format!("{:.2} | {}", calls.total() as f64 / requests.max(1) as f64, calls.describe(requests)))
    }

    fn heading(&self, profile: &str) -> String {
        format!(
            "# A greeting over HTTP/1.1, {}\n\n{}\n\
             Every server has one core, a router where its guide has one, `Content-Type` and `Date`; all are built with the \
             same compiler, link-time optimisation and the system's allocator (Go: its own). The generator is on the other \
             core; keep-alive, {} rounds of {} s per turn. The control is a bare event loop. Figures as in `http1`.\n",
            machine::today(),
            machine::facts(profile),
            self.rounds,
            self.seconds
        )
    }
}
