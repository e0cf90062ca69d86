//! `bench-ctx`: what a context of the kit costs to make, to derive, to ask and to keep.
//!
//! Times are medians over rounds, each beside a control of the same round: a reference-counted block of a context's size,
//! made and dropped. Bytes are what a million live contexts add to the memory of this process.
//!
//! ```text
//! bench-ctx [--rounds 7] [--times 1000000] [--live 1000000] [--profile dist] [--out bench/results | none]
//! ```
#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use std::fmt::Write as _;
use std::future::{Future, ready};
use std::hint::black_box;
use std::pin::pin;
use std::process;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use mimalloc::MiMalloc;
use towpath::ctx::Ctx;
use towpath_bench::args::Args;
use towpath_bench::procfs::memory;
use towpath_bench::results::record;
use towpath_bench::stats::median;
use towpath_bench::{Outcome, machine};

/// That of the shipped binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Later than the bench ends, so that no context is done.
const FAR: Duration = Duration::from_secs(24 * 60 * 60);

/// About the size of a context behind its two reference counts.
type Block = [u64; 12];

struct Options {
    rounds: usize,
    times: u32,
    live: usize,
    profile: String,
    out: String,
}

/// A step that is repeated, and its name in the table.
struct Step<'a> {
    name: &'static str,
    run: Box<dyn FnMut() + 'a>,
}

fn main() -> Outcome<()> {
    let options = Options::from_env()?;
    let mut report = heading(&options);
    report.push_str(&times(&options));
    report.push_str(&bytes(&options));
    print!("{report}");
    println!("{}", record(&options.out, "ctx", &report)?);
    Ok(())
}

impl Options {
    fn from_env() -> Outcome<Options> {
        let mut args = Args::from_env()?;
        let options = Options {
            rounds: args.take("rounds")?.unwrap_or(7),
            times: args.take("times")?.unwrap_or(1_000_000),
            live: args.take("live")?.unwrap_or(1_000_000),
            profile: args.take("profile")?.unwrap_or_else(|| "dist".to_owned()),
            out: args.take("out")?.unwrap_or_else(|| "bench/results".to_owned()),
        };
        args.finish()?;
        Ok(options)
    }
}

fn heading(options: &Options) -> String {
    format!(
        "# Contexts of the kit, {}\n\n{}\nOne thread, with the allocator of the shipped binary. {} rounds of {} \
         repetitions.\n",
        machine::today(),
        machine::facts(&options.profile),
        options.rounds,
        options.times,
    )
}

/// Nanoseconds of each step, one section.
fn times(options: &Options) -> String {
    let (server, _shutdown) = Ctx::background().with_cancel();
    let (connection, _closed) = server.with_cancel();
    let (request, _gone) = connection.with_timeout(FAR).with_cancel();
    let at = tokio::time::Instant::now() + FAR;
    let near = at - FAR / 2;
    let mut steps = steps(&request, at, near);
    let mut rounds = vec![Vec::new(); steps.len()];
    for _ in 0..options.rounds {
        for (step, taken) in steps.iter_mut().zip(&mut rounds) {
            taken.push(nanoseconds(options.times, &mut step.run));
        }
    }
    let control = median(&rounds[0]);
    let mut text = "\n## Time\n\n| | ns | × control | rounds |\n|---|---|---|---|\n".to_owned();
    for (step, taken) in steps.iter().zip(&rounds) {
        let middle = median(taken);
        let all: Vec<_> = taken.iter().map(|taken| format!("{taken:.1}")).collect();
        let _ =
            writeln!(text, "| {} | {middle:.1} | {:.2} | {} |", step.name, middle / control, all.join(" "));
    }
    text
}

/// The first is the control, the second the figure of the kit's promise.
fn steps<'a>(request: &'a Ctx, at: tokio::time::Instant, near: tokio::time::Instant) -> Vec<Step<'a>> {
    let step = |name, run: Box<dyn FnMut() + 'a>| Step { name, run };
    vec![
        step("control: a block made and dropped", Box::new(|| drop(black_box(Arc::new(Block::default()))))),
        step("create, derive with a deadline, drop both", Box::new(move || root_and_deadline(at))),
        step("derive with a deadline, drop", Box::new(move || drop(black_box(request.with_deadline(near))))),
        step("derive with a timeout, drop", Box::new(|| drop(black_box(request.with_timeout(FAR / 2))))),
        step(
            "derive with a later deadline, drop",
            Box::new(move || drop(black_box(request.with_deadline(at)))),
        ),
        step("derive with a cancel, drop both", Box::new(|| drop(black_box(request.with_cancel())))),
        step("clone, drop", Box::new(|| drop(black_box(request.clone())))),
        step("ask whether it is done, three levels down", Box::new(|| drop(black_box(request.err())))),
        step("run a future that is ready", Box::new(|| run_ready(request))),
    ]
}

fn root_and_deadline(at: tokio::time::Instant) {
    let root = black_box(Ctx::background());
    drop(black_box(root.with_deadline(at)));
    drop(root);
}

fn run_ready(ctx: &Ctx) {
    let run = pin!(ctx.run(ready(7)));
    let _ = black_box(run.poll(&mut Context::from_waker(Waker::noop())));
}

fn nanoseconds(times: u32, run: &mut dyn FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..times {
        run();
    }
    start.elapsed().as_nanos() as f64 / f64::from(times)
}

/// Bytes for each of many live contexts, one section. The first million stays while the second is made: what it gave
/// back would be taken again and count as nothing.
fn bytes(options: &Options) -> String {
    let (connection, _guard) = Ctx::background().with_cancel();
    let at = tokio::time::Instant::now() + FAR;
    let (deadline, first) = each(options.live, || connection.with_deadline(at));
    let (cancel, second) = each(options.live, || connection.with_cancel());
    drop((first, second));
    format!(
        "\n## Memory\n\n{} live contexts below one, their handles included.\n\n| | bytes each |\n|---|---|\n| derived \
         with a deadline | {deadline:.0} |\n| derived with a cancel, guard included | {cancel:.0} |\n",
        options.live,
    )
}

/// What this process grows by for each value, and the values.
fn each<T>(count: usize, make: impl Fn() -> T) -> (f64, Vec<T>) {
    let before = memory(process::id()).private_dirty;
    let mut kept = Vec::with_capacity(count);
    kept.extend((0..count).map(|_| make()));
    let after = memory(process::id()).private_dirty;
    (after.saturating_sub(before) as f64 / count.max(1) as f64, kept)
}
