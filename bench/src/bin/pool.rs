//! `bench-pool`: how long the kit's pool, bb8 and deadpool let their callers wait, and how fair they are.
//!
//! Two threads with an event loop each, and callers on both that take a connection, give their thread away once and return
//! it, again and again. The connections are in memory, so that what is measured is the pool. The pools take turns within a
//! round.
//!
//! ```text
//! bench-pool [--rounds 7] [--seconds 1] [--pools worker,key,bb8,deadpool,control] [--profile dist]
//!            [--out bench/results | none]
//! ```
#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use std::cell::RefCell;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use mimalloc::MiMalloc;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::Semaphore;
use tokio::task::{spawn_local, yield_now};
use towpath::ctx::Ctx;
use towpath::pool::{Connection, Manager, Pool, PoolConfig, Pools};
use towpath_bench::args::Args;
use towpath_bench::histogram::Histogram;
use towpath_bench::results::record;
use towpath_bench::stats::median;
use towpath_bench::{Outcome, machine};

/// That of the shipped binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const THREADS: usize = 2;

/// Longer than a round.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Callers and connections: never a wait, a short line and a long one.
const CASES: [Case; 3] = [
    Case { name: "8 callers, 50 connections", callers: 8, connections: 50 },
    Case { name: "8 callers, 4 connections", callers: 8, connections: 4 },
    Case { name: "500 callers, 50 connections", callers: 500, connections: 50 },
];

#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    callers: usize,
    connections: usize,
}

/// The pools, as they are named in the options and in the tables.
const POOLS: [(&str, &str); 5] = [
    ("worker", "the kit, by worker"),
    ("key", "the kit, by key"),
    ("bb8", "bb8"),
    ("deadpool", "deadpool"),
    ("control", "control"),
];

struct Options {
    rounds: usize,
    seconds: f64,
    pools: Vec<String>,
    profile: String,
    out: String,
}

fn main() -> Outcome<()> {
    let options = Options::from_env()?;
    let mut report = heading(&options);
    for case in CASES {
        report.push_str(&section(&options, case)?);
    }
    print!("{report}");
    println!("{}", record(&options.out, "pool", &report)?);
    Ok(())
}

impl Options {
    fn from_env() -> Outcome<Options> {
        let mut args = Args::from_env()?;
        let options = Options {
            rounds: args.take("rounds")?.unwrap_or(7),
            seconds: args.take("seconds")?.unwrap_or(1.0),
            pools: args.take_list("pools", &POOLS.map(|(name, _)| name.to_owned()))?,
            profile: args.take("profile")?.unwrap_or_else(|| "dist".to_owned()),
            out: args.take("out")?.unwrap_or_else(|| "bench/results".to_owned()),
        };
        args.finish()?;
        Ok(options)
    }
}

fn heading(options: &Options) -> String {
    format!(
        "# Connection pools, {}\n\n{}\n{THREADS} threads with an event loop each, with the allocator of the shipped binary; \
         connections in memory. {} rounds of {} s for each pool. A wait is the time from the call to the connection; the \
         spread is the exchanges of the caller with the most over those of the caller with the fewest. The control is a bare \
         semaphore of tokio's. Who waits, waits for all who came before: with more callers than connections a wait is the \
         length of the line over the exchanges per second.\n",
        machine::today(),
        machine::facts(&options.profile),
        options.rounds,
        options.seconds,
    )
}

/// What one pool has shown in one round.
struct Figures {
    p50: f64,
    p99: f64,
    longest: f64,
    rate: f64,
    spread: f64,
}

/// One case, one table.
fn section(options: &Options, case: Case) -> Outcome<String> {
    let span = Duration::from_secs_f64(options.seconds);
    let mut rounds: Vec<Vec<Figures>> = options.pools.iter().map(|_| Vec::new()).collect();
    for _ in 0..options.rounds {
        for (pool, figures) in options.pools.iter().zip(&mut rounds) {
            figures.push(match pool.as_str() {
                "worker" => contend(&Arc::new(ByWorker::new(case)), case, span)?,
                "key" => contend(&Arc::new(ByKey::new(case)), case, span)?,
                "bb8" => contend(&Arc::new(Bb8::new(case)?), case, span)?,
                "deadpool" => contend(&Arc::new(Deadpool::new(case)?), case, span)?,
                "control" => contend(&Arc::new(Control(Semaphore::new(case.connections))), case, span)?,
                other => return Err(format!("no pool is called {other}").into()),
            });
        }
    }
    let mut text = format!(
        "\n## {}\n\n| | wait p50 ns | p99 ns | longest ns | exchanges/s | spread |\n|---|---|---|---|---|---|\n",
        case.name
    );
    for (pool, figures) in options.pools.iter().zip(&rounds) {
        let name = POOLS.iter().find(|(name, _)| name == pool).map_or("", |(_, title)| title);
        let middle = |of: fn(&Figures) -> f64| median(&figures.iter().map(of).collect::<Vec<_>>());
        let _ = writeln!(
            text,
            "| {name} | {:.0} | {:.0} | {:.0} | {:.0} | {:.2} |",
            middle(|figures| figures.p50),
            middle(|figures| figures.p99),
            middle(|figures| figures.longest),
            middle(|figures| figures.rate),
            middle(|figures| figures.spread),
        );
    }
    Ok(text)
}

/// A pool as its callers see it.
trait Contender: Send + Sync + 'static {
    /// Takes a connection, gives the thread away once, and returns it. How long it took to get one.
    fn exchange(&self, worker: usize) -> impl Future<Output = Duration>;
}

/// What a thread has seen.
#[derive(Default)]
struct Seen {
    waits: Histogram,
    /// Exchanges of each caller.
    counts: Vec<u64>,
}

/// Runs one pool for `span`.
fn contend<C: Contender>(contender: &Arc<C>, case: Case, span: Duration) -> Outcome<Figures> {
    let is_over = &AtomicBool::new(false);
    let (seen, elapsed) = thread::scope(|scope| {
        let start = Instant::now();
        let threads: Vec<_> = (0..THREADS)
            .map(|worker| scope.spawn(move || work(contender, worker, case.callers / THREADS, is_over)))
            .collect();
        thread::sleep(span);
        is_over.store(true, Ordering::Relaxed);
        let seen: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        (seen, start.elapsed())
    });
    let mut counts = Vec::new();
    let mut waits = Vec::new();
    for seen in seen {
        let seen = seen.map_err(|_| "a caller has panicked")?.map_err(|error| error.to_string())?;
        counts.extend(seen.counts);
        waits.push(seen.waits);
    }
    // The threads do the same, so the mean of their quantiles is close to the quantile of all.
    let quantile =
        |share| waits.iter().map(|waits| waits.quantile_us(share) as f64).sum::<f64>() / waits.len() as f64;
    let (most, fewest) = (counts.iter().max().copied(), counts.iter().min().copied());
    Ok(Figures {
        p50: quantile(0.5),
        p99: quantile(0.99),
        longest: waits.iter().map(|waits| waits.quantile_us(1.0) as f64).fold(0.0, f64::max),
        rate: counts.iter().sum::<u64>() as f64 / elapsed.as_secs_f64(),
        spread: most.unwrap_or(0) as f64 / fewest.unwrap_or(0).max(1) as f64,
    })
}

/// A thread with its callers.
fn work<C: Contender>(
    contender: &Arc<C>,
    worker: usize,
    callers: usize,
    is_over: &AtomicBool,
) -> io::Result<Seen> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let seen = Rc::new(RefCell::new(Seen { counts: vec![0; callers], ..Seen::default() }));
        let over = Rc::new(AtomicBool::new(false));
        let tasks: Vec<_> = (0..callers)
            .map(|caller| {
                let (contender, seen, over) = (Arc::clone(contender), Rc::clone(&seen), Rc::clone(&over));
                spawn_local(async move {
                    while !over.load(Ordering::Relaxed) {
                        let waited = contender.exchange(worker).await;
                        let mut seen = seen.borrow_mut();
                        // What the histogram calls a microsecond is a nanosecond here: hits take less than one.
                        seen.waits.record(Duration::from_micros(waited.as_nanos() as u64));
                        seen.counts[caller] += 1;
                    }
                })
            })
            .collect();
        while !is_over.load(Ordering::Relaxed) {
            yield_now().await;
        }
        over.store(true, Ordering::Relaxed);
        for task in tasks {
            task.await.map_err(io::Error::other)?;
        }
        Ok(Rc::into_inner(seen).map(RefCell::into_inner).unwrap_or_default())
    })
}

/// A connection to nobody.
struct Token;

impl Connection for Token {
    fn poll_idle(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn is_dead(&mut self) -> bool {
        false
    }

    fn rehome(self) -> io::Result<Self> {
        Ok(self)
    }

    fn keep_alive_hint(&self) -> Option<Duration> {
        None
    }
}

struct Mint;

impl Manager for Mint {
    type Conn = Token;
    type Error = &'static str;

    async fn connect(&self) -> Result<Token, &'static str> {
        Ok(Token)
    }
}

fn config(case: Case) -> PoolConfig {
    PoolConfig {
        max_connections: Some(case.connections),
        max_waiters: Some(case.callers),
        acquire_timeout: WAIT_MAX,
        ..PoolConfig::default()
    }
}

/// As the gateway has it: each thread has a number.
struct ByWorker(Arc<Pool<Mint>>);

impl ByWorker {
    fn new(case: Case) -> Self {
        Self(Pool::new(Mint, config(case), THREADS, 1))
    }
}

impl Contender for ByWorker {
    async fn exchange(&self, worker: usize) -> Duration {
        let start = Instant::now();
        let lease = self.0.get(worker, tokio::time::Instant::now(), None).await;
        let waited = start.elapsed();
        yield_now().await;
        if let Ok(mut lease) = lease {
            lease.mark_clean(tokio::time::Instant::now());
        }
        waited
    }
}

/// As a service has it: any thread, a key and a context.
struct ByKey(Pools<u8, Mint>, Ctx);

impl ByKey {
    fn new(case: Case) -> Self {
        Self(Pools::new(config(case), |_| Mint), Ctx::background())
    }
}

impl Contender for ByKey {
    async fn exchange(&self, _worker: usize) -> Duration {
        let start = Instant::now();
        let loan = self.0.get(&self.1, &1).await;
        let waited = start.elapsed();
        yield_now().await;
        if let Ok(mut loan) = loan {
            loan.mark_clean(tokio::time::Instant::now());
        }
        waited
    }
}

/// Its managers for both libraries, which have the same needs.
struct Factory;

impl bb8::ManageConnection for Factory {
    type Connection = Token;
    type Error = Infallible;

    async fn connect(&self) -> Result<Token, Infallible> {
        Ok(Token)
    }

    async fn is_valid(&self, _token: &mut Token) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, _token: &mut Token) -> bool {
        false
    }
}

struct Bb8(bb8::Pool<Factory>);

impl Bb8 {
    fn new(case: Case) -> Outcome<Self> {
        let connections = u32::try_from(case.connections)?;
        // No task of its own: it would live in a runtime that has ended.
        let builder = bb8::Pool::builder().max_size(connections).connection_timeout(WAIT_MAX);
        Ok(Self(builder.max_lifetime(None).idle_timeout(None).build_unchecked(Factory)))
    }
}

impl Contender for Bb8 {
    async fn exchange(&self, _worker: usize) -> Duration {
        let start = Instant::now();
        let connection = self.0.get().await;
        let waited = start.elapsed();
        yield_now().await;
        drop(connection);
        waited
    }
}

impl deadpool::managed::Manager for Factory {
    type Type = Token;
    type Error = Infallible;

    async fn create(&self) -> Result<Token, Infallible> {
        Ok(Token)
    }

    async fn recycle(
        &self,
        _token: &mut Token,
        _metrics: &deadpool::managed::Metrics,
    ) -> deadpool::managed::RecycleResult<Infallible> {
        Ok(())
    }
}

struct Deadpool(deadpool::managed::Pool<Factory>);

impl Deadpool {
    fn new(case: Case) -> Outcome<Self> {
        let builder = deadpool::managed::Pool::builder(Factory).max_size(case.connections);
        Ok(Self(builder.build()?))
    }
}

impl Contender for Deadpool {
    async fn exchange(&self, _worker: usize) -> Duration {
        let start = Instant::now();
        let object = self.0.get().await;
        let waited = start.elapsed();
        yield_now().await;
        drop(object);
        waited
    }
}

/// A count of what is free and a fair line for it, with no connections: what tokio asks of any pool whose callers wait.
struct Control(Semaphore);

impl Contender for Control {
    async fn exchange(&self, _worker: usize) -> Duration {
        let start = Instant::now();
        let permit = self.0.acquire().await;
        let waited = start.elapsed();
        yield_now().await;
        drop(permit);
        waited
    }
}
