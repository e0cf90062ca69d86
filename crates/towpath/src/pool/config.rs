//! What can be set, with the defaults, and which settings contradict each other.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::budget::Budget;

/// Settings of a pool. `Default` is what a configuration that says nothing gets. A duration of [`Duration::MAX`] means
/// never.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolConfig {
    /// Most connections open at once, dials included (P2). Default 50; `None` is unlimited.
    pub max_connections: Option<usize>,
    /// A bound shared with other pools, if any (P2). Read when the pool is made, not by a resize.
    pub max_total: Option<Arc<Budget>>,
    /// Idle connections kept in the background (P15). Default 0.
    pub min_idle: usize,
    /// Most idle connections. `None`, the default, means as many as may be open. A smaller value churns, and makes each
    /// release take the pool's central lock.
    pub max_idle: Option<usize>,
    /// An idle connection closes after this time (P10). Default 300 s; zero turns reuse off.
    pub idle_timeout: Duration,
    /// No connection older than this, ± 10 % per connection, is handed out (P11). Default 3600 s.
    pub max_lifetime: Duration,
    /// Longest wait of a `get` (P7). Default 30 s; the caller's deadline counts if it is earlier.
    pub acquire_timeout: Duration,
    /// Longest dial (P3). Default 5 s.
    pub connect_timeout: Duration,
    /// Most waiters beyond those a running dial will serve (P4). `None`, the default, means four times
    /// `max_connections`, or 65,536 when that is unlimited. Zero means: never wait for a returned connection.
    pub max_waiters: Option<usize>,
    /// Who is served first when the line is long (P4). Default [`Overload::Fifo`].
    pub overload: Overload,
    /// How hard to look before handing out an idle connection (P12). Default [`Validate::Peek`].
    pub validate: Validate,
    /// Whether waiters fail as soon as a dial fails and nothing is alive (P7). Default true.
    pub fail_fast: bool,
    /// Whether workers have their own tiers (P17). Default true; ignored when `max_connections < 2 × workers`.
    pub worker_tiers: bool,
}

/// The order of the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overload {
    /// Strictly first come, first served.
    #[default]
    Fifo,
    /// Newest first once the line is half full: under overload, some are served in time instead of none.
    Lifo,
}

/// How an idle connection is looked at before it is handed out. In every mode one whose readiness is known to have
/// changed is not handed out (T07): that look costs no system call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validate {
    /// No further look.
    None,
    /// No further look on the worker that owns it; one non-blocking read when it comes from another worker.
    #[default]
    Peek,
    /// One non-blocking read if it was idle for at least this long.
    IfIdleFor(Duration),
    /// One non-blocking read every time.
    Always,
}

/// A setting that contradicts another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigFault {
    /// `max_connections = 0` could never serve anything.
    NoConnections,
    /// `idle_timeout` is longer than `max_lifetime` and would never act.
    IdleTimeoutAboveLifetime,
    /// `min_idle` is above `max_connections` or `max_idle`.
    MinIdleAboveMax,
    /// `max_idle` is above `max_connections`.
    MaxIdleAboveMax,
    /// `max_connections` is above the shared `max_total`.
    MaxConnectionsAboveTotal,
}

impl PoolConfig {
    /// Reports the first contradiction.
    ///
    /// # Errors
    /// The [`ConfigFault`] found.
    pub fn check(&self) -> Result<(), ConfigFault> {
        let cap = self.max_connections.unwrap_or(usize::MAX);
        let max_total = self.max_total.as_ref().map_or(usize::MAX, |budget| budget.max());
        if cap == 0 {
            return Err(ConfigFault::NoConnections);
        }
        if self.idle_timeout > self.max_lifetime && self.idle_timeout != Duration::MAX {
            return Err(ConfigFault::IdleTimeoutAboveLifetime);
        }
        if self.min_idle > cap.min(self.max_idle.unwrap_or(cap)) {
            return Err(ConfigFault::MinIdleAboveMax);
        }
        if self.max_idle.is_some_and(|max_idle| max_idle > cap) {
            return Err(ConfigFault::MaxIdleAboveMax);
        }
        if self.max_connections.is_some() && cap > max_total {
            return Err(ConfigFault::MaxConnectionsAboveTotal);
        }
        Ok(())
    }

    /// The cap as a number; at least one, since a pool of none is refused where configurations are read.
    pub(super) fn cap(&self) -> usize {
        self.max_connections.unwrap_or(usize::MAX).max(1)
    }

    pub(super) fn max_idle(&self) -> usize {
        self.max_idle.unwrap_or(usize::MAX)
    }

    pub(crate) fn max_waiters(&self) -> usize {
        self.max_waiters.unwrap_or(match self.max_connections {
            Some(cap) => cap.saturating_mul(WAITERS_PER_CONNECTION),
            None => WAITERS_MAX_UNLIMITED,
        })
    }
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            max_connections: Some(50),
            max_total: None,
            min_idle: 0,
            max_idle: None,
            idle_timeout: Duration::from_secs(300),
            max_lifetime: Duration::from_secs(3600),
            acquire_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            max_waiters: None,
            overload: Overload::Fifo,
            validate: Validate::Peek,
            fail_fast: true,
            worker_tiers: true,
        }
    }
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoConnections => "max_connections must be at least 1, or unlimited",
            Self::IdleTimeoutAboveLifetime => "idle_timeout is longer than max_lifetime and would never act",
            Self::MinIdleAboveMax => "min_idle is above max_connections or max_idle",
            Self::MaxIdleAboveMax => "max_idle is above max_connections",
            Self::MaxConnectionsAboveTotal => "max_connections is above max_total",
        })
    }
}

impl std::error::Error for ConfigFault {}

/// Four waiters per connection (P4): with equal service times the last of them waits four of those.
const WAITERS_PER_CONNECTION: usize = 4;

/// Without a cap a waiter only waits for its own dial, so this bounds memory, not fairness: some 100 bytes each.
const WAITERS_MAX_UNLIMITED: usize = 65_536;
