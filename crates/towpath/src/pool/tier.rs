//! A tier: the idle connections of one worker, or those all workers share.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use tokio::time::Instant;

use super::config::Validate;
use super::stats::Reason;

/// Most connections in a worker's own tier (P17). Beyond it they are for everybody: a worker that had more than this in
/// flight at once seldom needs them all back.
pub(super) const WORKER_TIER_MAX: usize = 16;

/// The [`Entry::edition`] of an entry that no limits have been applied to.
const UNSTAMPED: u64 = 0;

/// A connection with what the pool knows about it. Boxed at its birth, so that it changes hands as a pointer.
pub(super) struct Entry<C> {
    pub(super) conn: C,
    pub(super) born: Instant,
    /// When it last became idle; `born` until then.
    pub(super) released: Instant,
    /// Until when it may be handed out for certain, as of an earlier release and the [`Limits`] of then. Makes a checkout
    /// and a release one comparison each; past it, the whole sum is done.
    fit_until: Instant,
    /// The [`Limits::edition`] that `fit_until` is made of.
    edition: u64,
    /// How long the peer can be trusted to keep it idle.
    keep: Duration,
    /// The worker whose event loop has it; the number of workers when that is a foreign thread.
    pub(super) home: usize,
    /// Its share of `max_lifetime`, in thousandths, so that connections born together do not die together (P11).
    pub(super) lifetime_permille: u16,
    /// Whether it was ever idle in the pool. Only then can the peer have closed it unseen.
    pub(super) reused: bool,
}

/// A connection taken from a tier, and why it may not be used if so.
pub(super) type Popped<C> = (Box<Entry<C>>, Option<Reason>);

/// What a tier needs to know of the settings. A copy per tier, so that a hit reads no shared line. What every hit reads
/// comes first.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Limits {
    /// Counts the changes. Never [`UNSTAMPED`].
    pub(super) edition: u64,
    pub(super) capacity: usize,
    pub(super) validate: Validate,
    /// Whether a release may park here without asking the core.
    pub(super) parks_directly: bool,
    pub(super) idle_timeout: Duration,
    /// Off when `min_idle` keeps connections beyond `idle_timeout`: they are meant to be used.
    pub(super) idle_timeout_at_checkout: bool,
    /// 90 % of the shortest idle age at which the peer was seen to close.
    pub(super) learned: Duration,
    /// A thousandth of `max_lifetime`, in nanoseconds: the unit of [`Entry::lifetime_permille`].
    pub(super) lifetime_unit: u64,
}

/// The mutex and, beside it, the number of entries for those who would rather not lock. Own cache lines: two workers
/// that hit their own tiers must not slow each other. In this order a hit finds all it needs on two of them.
#[repr(C, align(128))]
pub(super) struct Tier<C> {
    count: AtomicUsize,
    shelf: Mutex<Shelf<C>>,
}

#[repr(C)]
pub(super) struct Shelf<C> {
    /// Oldest at the front, newest at the back.
    pub(super) entries: VecDeque<Box<Entry<C>>>,
    /// Entries taken by the tier's own users, and by other workers.
    pub(super) hits: u64,
    pub(super) steals: u64,
    limits: Limits,
}

/// A locked tier. Unlocking publishes the count.
pub(super) struct Opened<'a, C> {
    shelf: MutexGuard<'a, Shelf<C>>,
    count: &'a AtomicUsize,
}

impl<C> Entry<C> {
    pub(super) fn new(conn: C, home: usize, now: Instant, lifetime_permille: u16) -> Box<Self> {
        let keep = Duration::MAX;
        Box::new(Self {
            conn,
            born: now,
            released: now,
            fit_until: now,
            edition: UNSTAMPED,
            keep,
            home,
            lifetime_permille,
            reused: false,
        })
    }

    /// The peer says how long it keeps the connection, at most.
    pub(super) fn keep_for(&mut self, keep: Duration) {
        if keep != self.keep {
            self.keep = keep;
            self.edition = UNSTAMPED;
        }
    }

    pub(super) fn idle_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.released)
    }
}

impl Limits {
    /// The reason why `entry` may neither be kept nor handed out: too old (P11), or idle for so long that the peer is
    /// about to close it.
    pub(super) fn worn<C>(&self, entry: &Entry<C>, now: Instant) -> Option<Reason> {
        let age = nanos(now.saturating_duration_since(entry.born));
        if age >= self.lifetime_unit.saturating_mul(u64::from(entry.lifetime_permille)) {
            return Some(Reason::Lifetime);
        }
        (entry.idle_for(now) >= self.learned.min(entry.keep)).then_some(Reason::Idle)
    }

    /// Whether `entry` has been idle for longer than the settings like (P10).
    pub(super) fn overdue<C>(&self, entry: &Entry<C>, now: Instant) -> bool {
        entry.idle_for(now) >= self.idle_timeout
    }

    /// The reason why `entry` may not be handed out.
    fn unfit<C>(&self, entry: &Entry<C>, now: Instant) -> Option<Reason> {
        if now < entry.fit_until { None } else { self.unfit_now(entry, now) }
    }

    #[cold]
    fn unfit_now<C>(&self, entry: &Entry<C>, now: Instant) -> Option<Reason> {
        let overdue = self.idle_timeout_at_checkout && self.overdue(entry, now);
        self.worn(entry, now).or(overdue.then_some(Reason::Idle))
    }

    /// Notes until when `entry` is fit. A bound that the clock cannot hold is none, and then each checkout does the
    /// whole sum.
    #[cold]
    fn stamp<C>(&self, entry: &mut Entry<C>) {
        let lifetime = self.lifetime_unit.saturating_mul(u64::from(entry.lifetime_permille));
        let idle = if self.idle_timeout_at_checkout { self.idle_timeout } else { Duration::MAX };
        let idle = idle.min(self.learned).min(entry.keep);
        let dies_at = entry.born.checked_add(Duration::from_nanos(lifetime));
        let stale_at = entry.released.checked_add(idle);
        entry.fit_until = match (dies_at, stale_at) {
            (Some(dies_at), Some(stale_at)) => dies_at.min(stale_at),
            (one, other) => one.or(other).unwrap_or(entry.released),
        };
        entry.edition = self.edition;
    }
}

impl<C> Tier<C> {
    pub(super) fn new(limits: Limits) -> Self {
        // Grows with use and keeps what it grew to, so a warm tier does not allocate and a cold one costs nothing.
        let shelf = Shelf { entries: VecDeque::new(), limits, hits: 0, steals: 0 };
        Self { shelf: Mutex::new(shelf), count: AtomicUsize::new(0) }
    }

    /// A poisoned lock is taken over: what it guards is whole between any two statements that can panic.
    pub(super) fn lock(&self) -> Opened<'_, C> {
        let shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        Opened { shelf, count: &self.count }
    }

    pub(super) fn try_lock(&self) -> Option<Opened<'_, C>> {
        let shelf = match self.shelf.try_lock() {
            Ok(shelf) => shelf,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(Opened { shelf, count: &self.count })
    }

    /// True when it was empty a moment ago. A wrong answer costs a detour through the queue, which locks.
    pub(super) fn looks_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }

    /// When the entry at the front was released.
    pub(super) fn coldest(&self) -> Option<Instant> {
        match self.looks_empty() {
            true => None,
            false => self.lock().entries.front().map(|entry| entry.released),
        }
    }

    /// Parks `entry` if nobody waits and there is room, else gives it back.
    ///
    /// P5, the releaser's half: `waiting` is read under the lock of this tier. A waiter first publishes itself and then
    /// looks into each tier under its lock. Whoever locks second sees what the first one did.
    pub(super) fn put(&self, mut entry: Box<Entry<C>>, waiting: &AtomicUsize) -> Option<Box<Entry<C>>> {
        let mut shelf = self.lock();
        let limits = &shelf.limits;
        // A later release only makes the connection fit for longer, so an old stamp may stay until it runs out.
        if entry.edition != limits.edition || entry.fit_until <= entry.released {
            limits.stamp(&mut entry);
        }
        let parks = limits.parks_directly
            && shelf.entries.len() < limits.capacity
            && entry.released < entry.fit_until
            && waiting.load(Ordering::SeqCst) == 0;
        if !parks {
            return Some(entry);
        }
        shelf.entries.push_back(entry);
        None
    }
}

impl<C> Shelf<C> {
    /// Parks `entry` whoever waits, if there is room; else gives it back.
    pub(super) fn push(&mut self, mut entry: Box<Entry<C>>) -> Option<Box<Entry<C>>> {
        if self.entries.len() >= self.limits.capacity {
            return Some(entry);
        }
        self.limits.stamp(&mut entry);
        self.entries.push_back(entry);
        None
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// From now on `limits` hold, for the entries that are here too.
    pub(super) fn obey(&mut self, limits: Limits) {
        self.limits = limits;
        self.entries.iter_mut().for_each(|entry| limits.stamp(entry));
    }

    /// The newest entry, and why it may not be used if so.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Popped<C>> {
        let entry = self.entries.pop_back()?;
        let unfit = self.limits.unfit(&entry, now);
        Some((entry, unfit))
    }

    /// Moves out each entry for which `select` has a reason.
    pub(super) fn extract(
        &mut self,
        mut select: impl FnMut(&Limits, &mut Entry<C>) -> Option<Reason>,
        out: &mut Vec<(Box<Entry<C>>, Reason)>,
    ) {
        let mut index = 0;
        while let Some(entry) = self.entries.get_mut(index) {
            match select(&self.limits, entry) {
                None => index += 1,
                Some(reason) => out.extend(self.entries.remove(index).map(|entry| (entry, reason))),
            }
        }
    }
}

/// Nanoseconds, as far as 64 bits reach: 584 years.
pub(super) fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(duration.subsec_nanos()))
}

impl<C> Deref for Opened<'_, C> {
    type Target = Shelf<C>;

    fn deref(&self) -> &Shelf<C> {
        &self.shelf
    }
}

impl<C> DerefMut for Opened<'_, C> {
    fn deref_mut(&mut self) -> &mut Shelf<C> {
        &mut self.shelf
    }
}

impl<C> Drop for Opened<'_, C> {
    fn drop(&mut self) {
        self.count.store(self.shelf.entries.len(), Ordering::Relaxed);
    }
}
