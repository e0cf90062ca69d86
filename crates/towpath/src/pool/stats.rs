//! What a pool counts (P20).

use std::time::Duration;

/// Counts of one pool as of one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Slots taken: idle, in use and dialling. Never above the cap, except after it was lowered.
    pub open: usize,
    /// Connections nobody uses.
    pub idle: usize,
    /// Leased connections, and those on their way to a waiter or being closed.
    pub in_use: usize,
    /// Dials under way.
    pub dialling: usize,
    /// Callers in line.
    pub waiters: usize,

    /// Waits that ended with a connection.
    pub waits: WaitHistogram,
    /// Hits in a worker's own tier.
    pub local_hits: u64,
    /// Hits in the shared tier.
    pub shared_hits: u64,
    /// Hits in another worker's tier.
    pub steal_hits: u64,

    /// Dials started.
    pub dials: u64,
    /// Dials that ended without a connection.
    pub dial_failures: u64,
    /// Connections found dead when taken.
    pub validate_failures: u64,
    /// `get`s that ran out of time.
    pub timeouts: u64,
    /// `get`s refused because the line was full.
    pub queue_full: u64,
    /// `get`s that had to wait although their context held a connection of the same pool (P18). Only
    /// [`Pools`](super::Pools) knows contexts.
    pub nested: u64,

    /// Connections ever established.
    pub opened: u64,
    /// Connections ended, by reason.
    pub closed: Closed,
}

impl Stats {
    /// P20's invariant: each established connection is either still there or was closed for one reason.
    pub fn is_consistent(&self) -> bool {
        let alive = (self.open - self.dialling) as u64;
        self.open == self.idle + self.in_use + self.dialling && self.opened == alive + self.closed.total()
    }
}

/// Ended connections by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed {
    /// Idle for too long, above `max_idle`, or evicted for another pool's need.
    pub idle: u64,
    /// Above `max_lifetime`.
    pub lifetime: u64,
    /// The peer closed it or sent a byte unasked, or it could not change worker.
    pub dead: u64,
    /// Released with a message unfinished (P9).
    pub busy: u64,
    /// Thrown away by its user, or to make room for a fresh one.
    pub discard: u64,
    /// Above a lowered cap.
    pub resize: u64,
    /// The pool was closed.
    pub shutdown: u64,
    /// Taken out of the pool alive.
    pub detached: u64,
}

impl Closed {
    /// All reasons together.
    pub fn total(&self) -> u64 {
        let Self { idle, lifetime, dead, busy, discard, resize, shutdown, detached } = self;
        idle + lifetime + dead + busy + discard + resize + shutdown + detached
    }

    pub(super) fn count(&mut self, reason: Reason) {
        *match reason {
            Reason::Idle => &mut self.idle,
            Reason::Lifetime => &mut self.lifetime,
            Reason::Dead => &mut self.dead,
            Reason::Busy => &mut self.busy,
            Reason::Discard => &mut self.discard,
            Reason::Resize => &mut self.resize,
            Reason::Shutdown => &mut self.shutdown,
            Reason::Detached => &mut self.detached,
        } += 1;
    }
}

/// Why a connection left the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Idle,
    Lifetime,
    Dead,
    Busy,
    Discard,
    Resize,
    Shutdown,
    Detached,
}

/// Waits by length, in powers of two of a microsecond: bucket `i` holds those below `2^i` µs that no smaller one holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitHistogram {
    /// Number of waits per bucket; the last one holds everything from 35 minutes on.
    pub buckets: [u64; WAIT_BUCKETS],
}

impl WaitHistogram {
    /// All waits.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    pub(super) fn record(&mut self, waited: Duration) {
        let micros = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        let bucket = (u64::BITS - micros.leading_zeros()) as usize;
        self.buckets[bucket.min(WAIT_BUCKETS - 1)] += 1;
    }
}

/// 2^31 µs is 35 minutes, beyond any sensible `acquire_timeout`.
const WAIT_BUCKETS: usize = 32;
