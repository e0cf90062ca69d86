//! What all handles of a pool share: the tiers, and the core with waiters, counts and settings.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;
use towpath_base::random::Random;

use super::budget::Budget;
use super::config::{Overload, PoolConfig, Validate};
use super::dial::{Backoff, Slot, SlotApart};
use super::lease::Lease;
use super::queue::{Inbox, Queue};
use super::stats::{Reason, Stats};
use super::tier::{self, Entry, Limits, Opened, Popped, Tier, WORKER_TIER_MAX};
use super::watch::Bell;
use super::{Connection, Manager};

/// The shared part of a pool. Fields are grouped by who may touch them.
pub(super) struct Inner<M: Manager> {
    // Anyone, without a lock.
    pub(super) manager: M,
    pub(super) budget: Option<Arc<Budget>>,
    /// One per worker, and one for the connections of foreign threads.
    pub(super) bells: Box<[Bell]>,
    /// The length of the queue. Written under the core's lock, read under a tier's (P5).
    waiting: Arc<AtomicUsize>,
    /// One per worker.
    pub(super) inboxes: Box<[Inbox]>,
    pub(super) me: Weak<Self>,

    // Each behind its own lock.
    pub(super) tiers: Box<[Tier<M::Conn>]>,
    pub(super) shared: Tier<M::Conn>,
    core: CacheLine<Mutex<Core<M>>>,
}

/// What only the slow paths need.
pub(super) struct Core<M: Manager> {
    pub(super) config: PoolConfig,
    pub(super) queue: Queue<M>,
    pub(super) backoff: Backoff<M::Error>,
    pub(super) random: Random,
    /// Slots taken: idle, leased, dialling and closing.
    pub(super) open: usize,
    /// Slots without a connection yet; `Stats::dialling`.
    pub(super) dialling: usize,
    /// As many more, whose connections their callers keep: no waiter gets one of those.
    pub(super) dialling_apart: usize,
    /// Connections on their way out, which keep their slot until they are closed.
    pub(super) closing: usize,
    pub(super) shut: bool,
    /// A task sleeps until the end of the back-off.
    pub(super) retrying: bool,
    /// The cap was lowered below what is open: releases must ask before they park.
    pub(super) above_cap: bool,
    /// In line at the budget.
    pub(super) hungry: bool,
    /// See [`Limits::learned`].
    pub(super) learned: Duration,
    /// See [`Limits::edition`].
    pub(super) edition: u64,
    pub(super) maintained: Option<Instant>,
    pub(super) drained: Vec<Waker>,
    /// The counters of [`Stats`]; its gauges are computed on demand.
    pub(super) tally: Stats,
}

/// What a step under the core's lock leaves to do without it.
pub(super) struct Later<C> {
    pub(super) doomed: Vec<(C, Reason)>,
    pub(super) wakers: Vec<Waker>,
    /// Units that went back to the budget.
    pub(super) freed: usize,
    /// The budget is used up and a waiter needs a unit.
    pub(super) starved: bool,
}

/// A place in line.
pub(super) struct Place {
    pub(super) ticket: u64,
    /// If nobody sees to it yet, when to ask for slots again.
    pub(super) retry_at: Option<Instant>,
    /// The settings as of now, so that who waits does not lock the core for each of them.
    pub(super) acquire_timeout: Duration,
    pub(super) validate: Validate,
}

/// A worker's handle on the pool.
pub(super) struct Seat<M: Manager> {
    pub(super) worker: usize,
    pub(super) inner: Arc<Inner<M>>,
    /// Keeps the reference counts of two workers' seats apart. An alignment would do that too, but put each count on
    /// another line than its seat.
    _gap: [u8; 128],
}

#[repr(align(128))]
struct CacheLine<T>(T);

impl<M: Manager> Inner<M> {
    pub(super) fn new(manager: M, config: PoolConfig, workers: usize, seed: u64) -> Arc<Self> {
        let budget = config.max_total.clone();
        let inner = Arc::new_cyclic(|me: &Weak<Self>| {
            let waiting = Arc::new(AtomicUsize::new(0));
            let core = Core::new(config, Queue::new(waiting.clone()), seed);
            let limits = core.limits();
            let own = Limits { capacity: core.worker_tier_capacity(workers), ..limits };
            Self {
                manager,
                budget: budget.clone(),
                bells: (0..=workers).map(|_| Bell::default()).collect(),
                waiting,
                inboxes: (0..workers).map(|_| Inbox::default()).collect(),
                me: me.clone(),
                tiers: (0..workers).map(|_| Tier::new(own)).collect(),
                shared: Tier::new(limits),
                core: CacheLine(Mutex::new(core)),
            }
        });
        if let Some(budget) = budget {
            budget.join(inner.me.clone());
        }
        inner
    }

    // ---- the fast paths ----

    /// P3, steps 1 to 3.
    pub(super) fn take_idle(&self, worker: usize, now: Instant) -> Option<(Box<Entry<M::Conn>>, Validate)> {
        let own = self.tiers.get(worker).and_then(|tier| self.take_from(tier, now));
        own.or_else(|| self.take_from(&self.shared, now)).or_else(|| self.steal(worker, now))
    }

    fn take_from(&self, tier: &Tier<M::Conn>, now: Instant) -> Option<(Box<Entry<M::Conn>>, Validate)> {
        while !tier.looks_empty() {
            let mut shelf = tier.lock();
            let (entry, unfit) = self.pop_if_nobody_waits(&mut shelf, now)?;
            shelf.hits += u64::from(unfit.is_none());
            let validate = shelf.limits().validate;
            drop(shelf);
            match unfit {
                None => return Some((entry, validate)),
                Some(reason) => self.retire(entry.conn, reason),
            }
        }
        None
    }

    #[inline(never)]
    fn steal(&self, worker: usize, now: Instant) -> Option<(Box<Entry<M::Conn>>, Validate)> {
        for (_, tier) in self.tiers.iter().enumerate().filter(|(index, _)| *index != worker) {
            if tier.looks_empty() {
                continue;
            }
            let Some(mut shelf) = tier.try_lock() else { continue };
            let Some((entry, unfit)) = self.pop_if_nobody_waits(&mut shelf, now) else { continue };
            shelf.steals += u64::from(unfit.is_none());
            let validate = shelf.limits().validate;
            drop(shelf);
            match unfit {
                None => return Some((entry, validate)),
                // One look per tier: who has to steal has better things to do than to sweep.
                Some(reason) => self.retire(entry.conn, reason),
            }
        }
        None
    }

    /// P3: when someone waits, a newcomer does not overtake.
    fn pop_if_nobody_waits(&self, shelf: &mut Opened<'_, M::Conn>, now: Instant) -> Option<Popped<M::Conn>> {
        match self.waiting.load(Ordering::SeqCst) {
            0 => shelf.pop(now),
            _ => None,
        }
    }

    /// Takes back a connection between two messages.
    pub(super) fn release(&self, mut entry: Box<Entry<M::Conn>>) {
        entry.reused = true;
        entry.keep_for(entry.conn.keep_alive_hint().map_or(Duration::MAX, ninety_percent));
        if self.listen(&mut entry).is_ready() {
            return self.retire(entry.conn, Reason::Dead);
        }
        // A tier asks as well, under its lock; while somebody waits there is no need to lock two of them for that.
        let entry = match self.waiting.load(Ordering::Relaxed) {
            0 => self.put(entry),
            _ => Some(entry),
        };
        if let Some(entry) = entry {
            let now = entry.released;
            self.step(|core, later| self.settle(core, entry, now, later));
        }
        if let Some(budget) = &self.budget
            && budget.is_starving()
        {
            budget.evict_coldest();
        }
    }

    /// Puts an idle connection into a tier, unless somebody waits for it.
    fn put(&self, entry: Box<Entry<M::Conn>>) -> Option<Box<Entry<M::Conn>>> {
        let entry = match self.tiers.get(entry.home) {
            Some(own) => own.put(entry, &self.waiting)?,
            None => entry,
        };
        self.shared.put(entry, &self.waiting)
    }

    /// Registers the bell of the connection's worker (P13); ready when it is dead already. Not inlined: a request does it
    /// twice, at checkout and at release, and the second time finds the code in the cache.
    #[inline(never)]
    pub(super) fn listen(&self, entry: &mut Entry<M::Conn>) -> Poll<()> {
        let waker = self.bells.get(entry.home).map_or(Waker::noop(), Bell::waker);
        entry.conn.poll_idle(&mut Context::from_waker(waker))
    }

    // ---- the core's lock ----

    /// Runs `step` under the core's lock, then without it what `step` left to do.
    pub(super) fn step<R>(&self, step: impl FnOnce(&mut Core<M>, &mut Later<M::Conn>) -> R) -> R {
        let mut later = Later::default();
        let result = step(&mut self.lock_core(), &mut later);
        while !later.is_done() {
            later = self.carry_out(later);
        }
        result
    }

    pub(super) fn lock_core(&self) -> MutexGuard<'_, Core<M>> {
        self.core.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// P2: a doomed connection is closed before its slot is free, so the peer never sees more than the cap.
    fn carry_out(&self, work: Later<M::Conn>) -> Later<M::Conn> {
        let Later { doomed, wakers, freed, starved } = work;
        wakers.into_iter().for_each(Waker::wake);
        let reasons: Vec<Reason> = doomed.into_iter().map(|(_closed_here, reason)| reason).collect();
        let mut later = Later::default();
        if !reasons.is_empty() {
            let mut core = self.lock_core();
            core.closing -= reasons.len();
            for reason in reasons {
                self.free_slot(&mut core, reason, &mut later);
            }
            self.grant_slots(&mut core, Instant::now(), &mut later);
        }
        if let Some(budget) = &self.budget {
            if freed > 0 {
                budget.feed();
            }
            if starved {
                budget.evict_coldest();
            }
        }
        later
    }

    /// Closes a connection that only the caller has, then frees its slot.
    #[cold]
    #[inline(never)]
    pub(super) fn retire(&self, conn: M::Conn, reason: Reason) {
        drop(conn);
        self.forget(reason);
    }

    /// Frees the slot of a connection that is gone.
    pub(super) fn forget(&self, reason: Reason) {
        self.step(|core, later| {
            self.free_slot(core, reason, later);
            if core.queue.len() > 0 {
                self.grant_slots(core, Instant::now(), later);
            }
        });
    }

    pub(super) fn free_slot(&self, core: &mut Core<M>, reason: Reason, later: &mut Later<M::Conn>) {
        core.tally.closed.count(reason);
        self.give_back_slot(core, later);
    }

    pub(super) fn give_back_slot(&self, core: &mut Core<M>, later: &mut Later<M::Conn>) {
        core.open -= 1;
        if let Some(budget) = &self.budget {
            budget.give_back();
            later.freed += 1;
        }
        if core.above_cap && core.open <= core.config.cap() {
            core.above_cap = false;
            self.publish_limits(core);
        }
        if core.open == 0 {
            later.wakers.append(&mut core.drained);
        }
    }

    /// Marks a connection for closing once the lock is released.
    pub(super) fn doom(&self, core: &mut Core<M>, conn: M::Conn, reason: Reason, later: &mut Later<M::Conn>) {
        core.closing += 1;
        later.doomed.push((conn, reason));
    }
}

impl<M: Manager> Core<M> {
    fn new(config: PoolConfig, queue: Queue<M>, seed: u64) -> Self {
        Self {
            config,
            queue,
            backoff: Backoff::new(),
            random: Random::new(seed),
            open: 0,
            dialling: 0,
            dialling_apart: 0,
            closing: 0,
            shut: false,
            retrying: false,
            above_cap: false,
            hungry: false,
            learned: Duration::MAX,
            edition: 1,
            maintained: None,
            drained: Vec::new(),
            tally: Stats::default(),
        }
    }

    pub(super) fn limits(&self) -> Limits {
        let config = &self.config;
        Limits {
            edition: self.edition,
            capacity: usize::MAX,
            parks_directly: !self.shut
                && !self.above_cap
                && config.max_idle() >= config.cap()
                && !config.idle_timeout.is_zero(),
            idle_timeout: config.idle_timeout,
            idle_timeout_at_checkout: config.min_idle == 0,
            learned: self.learned,
            lifetime_unit: tier::nanos(config.max_lifetime) / 1000,
            validate: config.validate,
        }
    }

    /// P17: with fewer than two connections per worker, a tier would only hide them from those who wait.
    pub(super) fn worker_tier_capacity(&self, workers: usize) -> usize {
        let is_on = self.config.worker_tiers && self.config.cap() >= workers.saturating_mul(2);
        if is_on { WORKER_TIER_MAX } else { 0 }
    }

    pub(super) fn has_room(&self) -> bool {
        !self.shut && self.open < self.config.cap()
    }

    pub(super) fn may_dial(&self, now: Instant) -> bool {
        self.has_room() && self.backoff.permits(now, self.dialling)
    }

    /// The end of the back-off if somebody waits for it and no task sleeps until then. The caller must start one.
    pub(super) fn schedule_retry(&mut self, now: Instant) -> Option<Instant> {
        let at = self.backoff.retry_at().filter(|at| now < *at)?;
        let is_wanted = !self.retrying && self.has_room() && self.queue.len() > self.dialling;
        self.retrying |= is_wanted;
        is_wanted.then_some(at)
    }

    /// P7: waiting makes no sense when nothing can be returned.
    pub(super) fn fails_fast(&self) -> bool {
        self.config.fail_fast && self.open == self.all_dialling() + self.closing
    }

    /// Every dial under way.
    pub(super) fn all_dialling(&self) -> usize {
        self.dialling + self.dialling_apart
    }

    pub(super) fn serves_newest_first(&self) -> bool {
        self.config.overload == Overload::Lifo && self.queue.len() >= self.config.max_waiters().div_ceil(2)
    }

    pub(super) fn fill_slot(&mut self, inner: Arc<Inner<M>>) -> Slot<M> {
        self.open += 1;
        self.dialling += 1;
        self.tally.dials += 1;
        Slot::new(inner, self.backoff.round())
    }

    /// The same for a connection that its caller keeps.
    pub(super) fn fill_slot_apart<'i>(&mut self, inner: &'i Inner<M>) -> SlotApart<'i, M> {
        self.open += 1;
        self.dialling_apart += 1;
        self.tally.dials += 1;
        let PoolConfig { connect_timeout, acquire_timeout, .. } = self.config;
        SlotApart { inner: Some(inner), round: self.backoff.round(), connect_timeout, acquire_timeout }
    }
}

impl<M: Manager> Seat<M> {
    pub(super) fn new(worker: usize, inner: Arc<Inner<M>>) -> Arc<Self> {
        Arc::new(Self { worker, inner, _gap: [0; 128] })
    }

    /// Makes a lease of an idle or assigned connection, or closes it when it is dead.
    pub(super) fn admit(
        self: &Arc<Self>,
        mut entry: Box<Entry<M::Conn>>,
        validate: Validate,
        now: Instant,
    ) -> Option<Lease<M>> {
        let moves = entry.home != self.worker || self.worker == self.inner.tiers.len();
        if entry.reused && self.is_dead(&mut entry, validate, moves, now) {
            let idle_for = entry.idle_for(now);
            self.inner.found_dead(entry.conn, idle_for);
            return None;
        }
        if moves {
            match entry.conn.rehome() {
                Ok(conn) => entry.conn = conn,
                Err(_lost) => {
                    self.inner.forget(Reason::Dead);
                    return None;
                }
            }
            entry.home = self.worker;
        }
        Some(Lease::new(entry, self.clone()))
    }

    /// P12. Readiness is looked at in every mode, for a byte that came unasked must never be taken for a response.
    fn is_dead(&self, entry: &mut Entry<M::Conn>, validate: Validate, moves: bool, now: Instant) -> bool {
        let asks_kernel = match validate {
            Validate::None => false,
            // Another worker's event loop may not have run since the peer closed.
            Validate::Peek => moves,
            Validate::IfIdleFor(limit) => moves || entry.idle_for(now) >= limit,
            Validate::Always => true,
        };
        match asks_kernel {
            true => entry.conn.is_dead(),
            false => self.inner.listen(entry).is_ready(),
        }
    }
}

impl<C> Later<C> {
    fn is_done(&self) -> bool {
        self.doomed.is_empty() && self.wakers.is_empty() && self.freed == 0 && !self.starved
    }
}

impl<C> Default for Later<C> {
    fn default() -> Self {
        Self { doomed: Vec::new(), wakers: Vec::new(), freed: 0, starved: false }
    }
}

/// The margin kept to the moment a peer closes, so that a request is not under way when it does.
#[inline(never)]
pub(super) fn ninety_percent(limit: Duration) -> Duration {
    limit / 10 * 9
}
