//! `bench-tasks`: what an idle connection takes in the kit's server and its peers, and an idle task of the kit's.
//!
//! hyper is no peer here: its timeout for heads ends idle connections, too.
//!
//! ```text
//! bench-tasks [--connections 100000] [--tasks 1000000] [--settle 5] [--servers towpath,axum,go]
//!             [--out bench/results | none]
//! ```
#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use towpath::Ctx;
use towpath_bench::args::Args;
use towpath_bench::child::{PROXY_CORE, Running, free_address, pinned, raise_file_limit, wait_for_listener};
use towpath_bench::client::ask_for;
use towpath_bench::peers::bin_folder;
use towpath_bench::procfs::memory;
use towpath_bench::results::record;
use towpath_bench::source::open;
use towpath_bench::wire::BUFFER_BYTES;
use towpath_bench::{Outcome, machine};

/// Every server answers this path.
const PATH: &str = "/13";
/// Room for libraries and logs.
const SPARE_FILES: u64 = 1_000;
/// The first connections only bring the allocator to its working size.
const WARM_UP_CONNECTIONS: usize = 64;

fn main() -> Outcome<()> {
    let mut args = Args::from_env()?;
    let connections: usize = args.take("connections")?.unwrap_or(100_000);
    let tasks: usize = args.take("tasks")?.unwrap_or(1_000_000);
    let settle = Duration::from_secs_f64(args.take("settle")?.unwrap_or(5.0));
    let names: Vec<String> = args.take_list("servers", &["towpath", "axum", "go"].map(str::to_owned))?;
    let profile: String = args.take("profile")?.unwrap_or_else(|| "release".to_owned());
    let out: String = args.take("out")?.unwrap_or_else(|| "bench/results".to_owned());
    args.finish()?;
    let files = raise_file_limit(connections as u64 + SPARE_FILES);
    let connections = connections.min(files.saturating_sub(SPARE_FILES) as usize);
    let mut report = format!(
        "# Memory per idle connection and task, {}\n\n{}\n{connections} keep-alive connections, one request each, {} s of \
         rest; bytes of user memory of the server above the moment before, each.\n\n| server | private dirty | PSS |\n|---|---|---|\n",
        machine::today(),
        machine::facts(&profile),
        settle.as_secs_f64()
    );
    let servers =
        bin_folder()?.parent().ok_or("the programs are in no folder of cargo's")?.join("servers/release");
    for (turn, name) in names.iter().enumerate() {
        let line = connections_of(name, &servers.join(name), turn, connections, settle)?;
        print!("{line}");
        report.push_str(&line);
    }
    let line = format!("\n{tasks} tasks of `Ctx::spawn` that wait: {:.0} bytes each.\n", idle_tasks(tasks)?);
    print!("{line}");
    report.push_str(&line);
    println!("{}", record(&out, "tasks", &report)?);
    Ok(())
}

/// A row of the table.
fn connections_of(
    name: &str,
    program: &Path,
    turn: usize,
    count: usize,
    settle: Duration,
) -> Outcome<String> {
    let address = free_address()?;
    let mut command = pinned(PROXY_CORE, program);
    command.arg(address.to_string()).stdout(Stdio::null());
    let server = Running::start(command)?;
    wait_for_listener(name, address)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut warm_up = open(address, WARM_UP_CONNECTIONS, turn)?;
    for stream in &mut warm_up {
        ask_for(stream, PATH, &mut buffer)?;
    }
    drop(warm_up);
    sleep(settle);
    let before = memory(server.pid());
    let mut held = open(address, count, turn)?;
    for stream in &mut held {
        ask_for(stream, PATH, &mut buffer)?;
    }
    sleep(settle);
    let after = memory(server.pid());
    let each = |after: u64, before: u64| (after as f64 - before as f64) / count as f64;
    let mut row = format!("| {name} |");
    let _ = writeln!(
        row,
        " {:.0} | {:.0} |",
        each(after.private_dirty, before.private_dirty),
        each(after.pss, before.pss)
    );
    Ok(row)
}

/// Bytes of each of so many tasks that wait for the end of their context.
fn idle_tasks(count: usize) -> Outcome<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (ctx, guard) = Ctx::background().with_cancel();
        let start = |ctx: &Ctx| {
            ctx.spawn("idle", async |ctx: Ctx| {
                ctx.done().await;
                Ok::<(), std::convert::Infallible>(())
            })
        };
        let before = memory(std::process::id());
        let tasks: Vec<_> = (0..count).map(|_| start(&ctx)).collect();
        // Each of them has to begin to wait.
        for _ in 0..count / 32 {
            tokio::task::yield_now().await;
        }
        let after = memory(std::process::id());
        guard.cancel("measured");
        drop(tasks);
        Ok((after.private_dirty as f64 - before.private_dirty as f64) / count as f64)
    })
}
