//! Pools by key, for any runtime.

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::hash::Hash;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;
use towpath_base::slab::{self, Slab};
use towpath_net::time::sleep;

use super::config::PoolConfig;
use super::error::GetError;
use super::lease::Lease;
use super::stats::Stats;
use super::{Manager, Pool};
use crate::Ctx;
use crate::ctx::Runner;
use crate::http::report;

/// The index that a pool takes for a thread which is none of its workers.
const FOREIGN: usize = usize::MAX;

/// Between two looks at what has grown old.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Pools at a time. One without connections goes within a second, so this bounds what a program can ask for at once, as by
/// names that come from its own clients.
const POOLS_MAX: usize = 16_384;

/// How long a connection may be out before its holder is named.
const LEAK_THRESHOLD: Duration = Duration::from_secs(60);

/// A [`Pool`] for each key, made when it is first asked for. A clone is the same pools.
///
/// The key is everything that makes two connections differ (P1). Any thread of any runtime may ask; a task of its own, on
/// the runtime that asked first, closes what has died or grown old.
pub struct Pools<K: Eq + Hash, M: Manager>(Arc<Shared<K, M>>);

struct Shared<K, M: Manager> {
    make: Box<dyn Fn(&K) -> M + Send + Sync>,
    config: PoolConfig,
    leak_threshold: Duration,
    pools: Mutex<HashMap<K, Arc<Pool<M>>>>,
    holders: Holders,
    /// A task looks after the pools.
    is_kept: AtomicBool,
    /// Of the jitter of each pool.
    seed: AtomicU64,
}

/// Who holds a connection; as many as there are connections out. In parts that threads share by chance, as each exchange
/// changes one: only who has to wait, and the look for leaks, read them all.
struct Holders([Arc<Part>; 8]);

/// On lines of its own.
#[repr(align(128))]
#[derive(Default)]
struct Part(Mutex<Slab<Holder>>);

impl Holders {
    fn new() -> Self {
        Self(std::array::from_fn(|_| Arc::default()))
    }

    fn add(&self, holder: Holder) -> Ticket {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static NUMBER: usize = THREADS.fetch_add(1, Ordering::Relaxed));
        let part = NUMBER.with(|number| &self.0[number % self.0.len()]);
        Ticket { key: lock(&part.0).insert(holder), part: Arc::clone(part) }
    }

    fn parts(&self) -> impl Iterator<Item = MutexGuard<'_, Slab<Holder>>> {
        self.0.iter().map(|part| lock(&part.0))
    }
}

/// Who holds a connection of which pool.
struct Holder {
    by: Party,
    /// Its place in memory, a number to compare.
    pool: usize,
    site: &'static Location<'static>,
    since: Instant,
    is_named: bool,
}

/// Who asks for a connection, or holds one: a context, and what runs with it.
struct Party {
    ctx: Ctx,
    runs_as: Runner,
}

impl Party {
    fn now(ctx: &Ctx) -> Self {
        Self { ctx: ctx.clone(), runs_as: Runner::now() }
    }

    /// Whether this party waits for itself when it waits for `holder` to give something back (P18): its context is the
    /// holder's or came of it, and it is the holder, or is in a scope that the holder waits for.
    ///
    /// Of other tasks the context says too little: those that a scope has started side by side share it, and each gives back
    /// what it holds without the others, and without what these have begun.
    fn is_of(&self, holder: &Self) -> bool {
        self.ctx.is_within(&holder.ctx)
            && (self.runs_as == holder.runs_as || self.ctx.is_waited_for(&holder.ctx, holder.runs_as))
    }
}

impl<K: Eq + Hash + Clone + Send + Sync + 'static, M: Manager> Pools<K, M> {
    /// No pools yet; each is made with `config` and the manager that `make` gives for its key. A
    /// [`max_total`](PoolConfig::max_total) bounds them together.
    pub fn new(config: PoolConfig, make: impl Fn(&K) -> M + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared {
            make: Box::new(make),
            config,
            leak_threshold: LEAK_THRESHOLD,
            pools: Mutex::default(),
            holders: Holders::new(),
            is_kept: AtomicBool::new(false),
            // Lifetimes of two processes should not end together; which they are is no secret.
            seed: AtomicU64::new(u64::from(std::process::id())),
        }))
    }

    /// How long a connection may be out before the report names the line that asked for it, once. Default 60 s. Only before
    /// the first clone.
    #[must_use]
    pub fn leak_threshold(mut self, span: Duration) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.0) {
            shared.leak_threshold = span;
        }
        self
    }

    /// A connection for `key`: an idle one, or the first that is returned or dialled while waiting in line (P3, P4).
    ///
    /// Whoever has to wait and holds one of the same pool already, under the same context, is named in the report with both
    /// lines: when all do so, all wait for each other (P18). *Cancel-safe*: a connection or slot that was assigned goes to the
    /// next waiter, a dial goes on (P6).
    ///
    /// # Errors
    /// See [`GetError`].
    #[track_caller]
    pub fn get<'a>(
        &'a self,
        ctx: &'a Ctx,
        key: &'a K,
    ) -> impl Future<Output = Result<Loan<M>, GetError<M::Error>>> + Send + 'a {
        let site = Location::caller();
        self.lend(ctx, key, false, site)
    }

    /// A connection that was never used, for the one retry of P14; see [`Pool::get_fresh`]. *Cancel-safe*.
    ///
    /// # Errors
    /// See [`GetError`].
    #[track_caller]
    pub fn get_fresh<'a>(
        &'a self,
        ctx: &'a Ctx,
        key: &'a K,
    ) -> impl Future<Output = Result<Loan<M>, GetError<M::Error>>> + Send + 'a {
        let site = Location::caller();
        self.lend(ctx, key, true, site)
    }

    async fn lend(
        &self,
        ctx: &Ctx,
        key: &K,
        is_fresh: bool,
        site: &'static Location<'static>,
    ) -> Result<Loan<M>, GetError<M::Error>> {
        if ctx.err().is_some() {
            return Err(GetError::Canceled);
        }
        let now = Instant::now();
        let pool = self.pool(key, now)?;
        let id = Arc::as_ptr(&pool).addr();
        let idle = if is_fresh { None } else { pool.try_get(FOREIGN, now) };
        let lease = match idle {
            Some(lease) => lease,
            None => {
                self.0.look_for_nesting(&pool, &Party::now(ctx), site);
                let get = async {
                    match is_fresh {
                        true => pool.get_fresh(FOREIGN, now, ctx.deadline()).await,
                        false => pool.get(FOREIGN, now, ctx.deadline()).await,
                    }
                };
                ctx.run(get).await.unwrap_or(Err(GetError::Canceled))?
            }
        };
        let holder = Holder { by: Party::now(ctx), pool: id, site, since: now, is_named: false };
        Ok(Loan { lease, _ticket: self.0.holders.add(holder) })
    }

    /// The counts of the pool of `key`, if there is one.
    pub fn stats(&self, key: &K) -> Option<Stats> {
        lock(&self.0.pools).get(key).map(|pool| pool.stats())
    }

    /// How many pools there are. One without a connection goes within a second.
    pub fn len(&self) -> usize {
        lock(&self.0.pools).len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Closes all pools (P19): idle connections now, others when they are returned. Who asks afterwards gets new pools.
    pub fn shut_down(&self) {
        let pools = std::mem::take(&mut *lock(&self.0.pools));
        pools.into_values().for_each(|pool| pool.shut_down());
    }

    fn pool(&self, key: &K, now: Instant) -> Result<Arc<Pool<M>>, GetError<M::Error>> {
        let pool = {
            let mut pools = lock(&self.0.pools);
            if let Some(pool) = pools.get(key) {
                Arc::clone(pool)
            } else {
                if pools.len() >= POOLS_MAX {
                    pools.retain(|_, pool| is_needed(pool, now));
                }
                if pools.len() >= POOLS_MAX {
                    return Err(GetError::QueueFull);
                }
                let seed = self.0.seed.fetch_add(1, Ordering::Relaxed);
                let pool = Pool::new((self.0.make)(key), self.0.config.clone(), 0, seed);
                pools.insert(key.clone(), Arc::clone(&pool));
                pool
            }
        };
        // Nearly always it is, and to look does not take the line from other threads.
        if !self.0.is_kept.load(Ordering::Acquire) && !self.0.is_kept.swap(true, Ordering::AcqRel) {
            tokio::spawn(keep(Kept { shared: Arc::downgrade(&self.0), is_over: false }));
        }
        Ok(pool)
    }
}

impl<K: Eq + Hash, M: Manager> Clone for Pools<K, M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Eq + Hash, M: Manager> fmt::Debug for Pools<K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pools").field("pools", &lock(&self.0.pools).len()).finish_non_exhaustive()
    }
}

/// A connection out of one of [`Pools`], with everything that a [`Lease`] has.
#[must_use = "dropping a loan closes its connection"]
pub struct Loan<M: Manager> {
    lease: Lease<M>,
    _ticket: Ticket,
}

/// Takes a holder off the list.
struct Ticket {
    key: slab::Key,
    part: Arc<Part>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        lock(&self.part.0).remove(self.key);
    }
}

impl<M: Manager> Loan<M> {
    /// The lease alone, which nobody is named for any more.
    pub fn into_lease(self) -> Lease<M> {
        self.lease
    }
}

impl<M: Manager> Deref for Loan<M> {
    type Target = Lease<M>;

    fn deref(&self) -> &Lease<M> {
        &self.lease
    }
}

impl<M: Manager> DerefMut for Loan<M> {
    fn deref_mut(&mut self) -> &mut Lease<M> {
        &mut self.lease
    }
}

impl<M: Manager> fmt::Debug for Loan<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lease.fmt(f)
    }
}

impl<K, M: Manager> Shared<K, M> {
    /// P18: who has to wait and holds one already.
    fn look_for_nesting(&self, pool: &Arc<Pool<M>>, waiter: &Party, site: &Location<'_>) {
        let id = Arc::as_ptr(pool).addr();
        let mut is_own = |held: &&mut Holder| held.pool == id && waiter.is_of(&held.by);
        let named = |held: &mut Holder| (!std::mem::replace(&mut held.is_named, true)).then_some(held.site);
        let found = self.holders.parts().find_map(|mut part| part.values_mut().find(&mut is_own).map(named));
        let Some(held) = found else { return };
        pool.note_nested();
        if let Some(held) = held {
            report(&format!(
                "{site} waits for a connection while its context holds one of the same pool, from {held}: when all do, none goes on"
            ));
        }
    }

    fn name_leaks(&self, now: Instant) {
        let mut leaks = Vec::new();
        for mut part in self.holders.parts() {
            for holder in part.values_mut() {
                let age = now.saturating_duration_since(holder.since);
                if age >= self.leak_threshold && !std::mem::replace(&mut holder.is_named, true) {
                    leaks.push((holder.site, age));
                }
            }
        }
        for (site, age) in leaks {
            report(&format!("a connection from {site} has been out for {} s", age.as_secs()));
        }
    }
}

/// The task that looks after the pools; says so when it is gone, also with its runtime.
struct Kept<K, M: Manager> {
    shared: Weak<Shared<K, M>>,
    /// It has said so, and another one may have begun.
    is_over: bool,
}

impl<K, M: Manager> Drop for Kept<K, M> {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade().filter(|_| !self.is_over) {
            shared.is_kept.store(false, Ordering::Release);
        }
    }
}

/// Closes idle connections as they die (P13), and each second what has grown old (P10, P11), until there is no pool.
async fn keep<K: Eq + Hash, M: Manager>(mut kept: Kept<K, M>) {
    loop {
        let mut tick = pin!(sleep(UPKEEP_INTERVAL));
        let goes_on = poll_fn(|cx| {
            let Some(shared) = kept.shared.upgrade() else { return Poll::Ready(false) };
            for pool in lock(&shared.pools).values() {
                pool.watch(FOREIGN, cx);
            }
            tick.as_mut().poll(cx).map(|()| true)
        });
        let Some(shared) = goes_on.await.then(|| kept.shared.upgrade()).flatten() else { return };
        let now = Instant::now();
        let pools: Vec<_> = lock(&shared.pools).values().map(Arc::clone).collect();
        pools.iter().for_each(|pool| pool.maintain(FOREIGN, now));
        shared.name_leaks(now);
        drop(pools);
        let mut pools = lock(&shared.pools);
        pools.retain(|_, pool| is_needed(pool, now));
        if pools.is_empty() {
            // Under the lock, so that whoever adds a pool next finds no task and starts one.
            kept.is_over = true;
            return shared.is_kept.store(false, Ordering::Release);
        }
    }
}

/// Whether a pool has connections, waiters or a memory of failures, or someone is about to ask it.
fn is_needed<M: Manager>(pool: &Arc<Pool<M>>, now: Instant) -> bool {
    let stats = pool.stats();
    Arc::strong_count(pool) > 1 || stats.open + stats.waiters > 0 || pool.is_pausing(now)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
