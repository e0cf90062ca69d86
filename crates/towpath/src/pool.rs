//! Connection pool: keeps the connections of one endpoint, hands each to one user at a time, and never opens too many.
//!
//! The rules are numbered P1 to P20; the ones this module keeps are named where they are kept. A protocol provides a
//! [`Manager`] that dials and a [`Connection`] that can say whether it is still worth having.
//!
//! ```text
//!                       try_get: sync, one lock, no allocation, no clock
//!   own tier, newest first ──> shared tier ──> steal (try_lock) ──> None
//!                                                                    │ get
//!                                                                    v
//!      Lease ──drop, clean──> own tier (≤ 16) ──full──> shared    [queue] FIFO, bounded
//!        │                        ^                                ^      │ below the cap and no dial to spare
//!        └──drop, busy──> closed  └── nobody waits ── dialled ─────┘      v
//!                                                     or returned      spawn(connect)
//! ```
//!
//! **Where state lives.** Each worker has a tier behind its own mutex; the shared tier is another one. Waiters,
//! counts and settings live in one `Core` behind a mutex that a hit never takes. Lock order: core, then a tier,
//! then an inbox, then a waiter's cell. No connection is closed and no task is woken with a lock held.
//!
//! **What moves.** Only idle connections change worker. The taker calls [`Connection::rehome`].
//!
//! **One key per pool (P1).** A `Pool` keeps connections that are interchangeable, so whoever owns several pools keys
//! them by everything that makes connections differ, as [`Pools`] does. A multiplexed connection (P16) leaves the pool for
//! whoever drives it, but for its slot: see [`Lease::detach_held`].
//!
//! **Who calls what.** Each worker runs one task for all its pools: it calls [`Pool::watch`] when woken and
//! [`Pool::maintain`] at its start and then about each second. [`Pools`] has a task of its own for that, so it serves any
//! runtime.

mod budget;
mod config;
mod dial;
mod error;
mod inner;
mod lease;
mod line;
mod pools;
mod queue;
mod settings;
mod stats;
mod tier;
mod watch;

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use towpath_net::time::timeout_at;

pub use self::budget::Budget;
pub use self::config::{ConfigFault, Overload, PoolConfig, Validate};
pub use self::error::{DialError, GetError};
pub use self::lease::{Held, Lease};
pub use self::pools::{Loan, Pools};
pub use self::stats::{Closed, Stats, WaitHistogram};

use self::inner::{Inner, Seat};
use self::queue::{Inbox, Waiter};

/// Dials the connections of a pool.
pub trait Manager: Send + Sync + 'static {
    /// What is pooled.
    type Conn: Connection;
    /// Why a dial failed. Cloned because one failed dial can fail every waiter (P7).
    type Error: Clone + fmt::Display + Send + 'static;

    /// Opens a connection, ready for its first request.
    ///
    /// Runs as a task of the runtime that asked, under the pool's own `connect_timeout`, and outlives the asker. A panic is
    /// caught and reported as [`DialError::Panicked`].
    fn connect(&self) -> impl Future<Output = Result<Self::Conn, Self::Error>> + Send;
}

/// A connection as the pool sees it: alive or not, and movable between event loops.
pub trait Connection: Send + Sized + 'static {
    /// Ready when the connection may not be used again: the peer closed it, or sent a byte while nothing was asked
    /// (T07). Otherwise registers `cx`'s waker, replacing the former one, and is pending.
    ///
    /// Called at every release and checkout, so it must not make a system call when nothing happened: ask the event loop
    /// for readiness first. Readiness alone is a hint and may be left over from the last read; confirm it by a read that
    /// does not block before answering ready. May be called from another thread than the connection's own. Runs inside
    /// whatever task releases or takes, so an answer that depends on the task's cooperative budget would be wrong.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// True when the peer closed it or sent a byte. Asks the kernel, one system call, never blocks. For requests that
    /// may not be sent twice, and for connections that come from another worker.
    fn is_dead(&mut self) -> bool;

    /// Moves the connection to the calling thread's event loop.
    ///
    /// # Errors
    /// Whatever registering failed with; the connection is then lost and its slot is freed.
    fn rehome(self) -> io::Result<Self>;

    /// How long the peer said it keeps an idle connection (`Keep-Alive: timeout=`), read at each release.
    fn keep_alive_hint(&self) -> Option<Duration>;
}

/// The connections to one endpoint. See the [module](self) for the whole picture.
pub struct Pool<M: Manager> {
    inner: Arc<Inner<M>>,
    /// One per worker and a last one for foreign threads. A lease holds its seat, so that leasing on one worker does
    /// not touch a reference count that another worker touches.
    seats: Box<[Arc<Seat<M>>]>,
}

impl<M: Manager> Pool<M> {
    /// A pool without connections. `workers` is the number of threads that will call it with indices below that;
    /// `seed` feeds the jitter of lifetimes and back-off. `min_idle` is made by the first [`maintain`](Self::maintain).
    ///
    /// A `config` that [`PoolConfig::check`] refuses is used as it is, with `max_connections` read as at least one.
    pub fn new(manager: M, config: PoolConfig, workers: usize, seed: u64) -> Arc<Self> {
        let inner = Inner::new(manager, config, workers, seed);
        let seats = (0..=workers).map(|worker| Seat::new(worker, inner.clone())).collect();
        Arc::new(Self { inner, seats })
    }

    /// An idle connection, or `None` when someone waits already or nothing usable is idle. The fast half of
    /// [`get`](Self::get): no allocation, no clock, no wait.
    ///
    /// P3: own tier, shared tier, other workers' tiers if their lock is free; newest first in each. An index at or above
    /// the number of workers means a foreign thread, which has no tier (P17).
    pub fn try_get(&self, worker: usize, now: Instant) -> Option<Lease<M>> {
        let seat = self.seat(worker);
        for _ in 0..STALE_IN_A_ROW_MAX {
            let (entry, validate) = self.inner.take_idle(seat.worker, now)?;
            if let Some(lease) = seat.admit(entry, validate, now) {
                return Some(lease);
            }
        }
        None
    }

    /// A connection: an idle one, or the first that is returned or dialled while waiting in line (P3, P4).
    ///
    /// Waits until the earlier of `deadline` and `now + acquire_timeout`. Must be polled inside a runtime, where its dial is
    /// spawned. Cancel-safe: a connection or slot assigned to a dropped `get` goes to the
    /// next waiter, a dial it started finishes into the pool (P6).
    ///
    /// # Errors
    /// See [`GetError`].
    pub async fn get(
        &self,
        worker: usize,
        now: Instant,
        deadline: Option<Instant>,
    ) -> Result<Lease<M>, GetError<M::Error>> {
        match self.try_get(worker, now) {
            Some(lease) => Ok(lease),
            None => Box::pin(self.wait(worker, now, deadline, false)).await,
        }
    }

    /// A connection that was never used, for the one retry of P14. Counts against the cap like any other; when the cap
    /// is reached it takes the slot of the coldest idle connection, or of the next returned one once it is its turn.
    /// Cancel-safe as [`get`](Self::get) is.
    ///
    /// # Errors
    /// See [`GetError`]. A failed dial is reported at once, even if other connections are alive.
    pub async fn get_fresh(
        &self,
        worker: usize,
        now: Instant,
        deadline: Option<Instant>,
    ) -> Result<Lease<M>, GetError<M::Error>> {
        Box::pin(self.wait(worker, now, deadline, true)).await
    }

    /// A connection of the caller's own, for a tunnel or relay: never used before, and no longer the pool's, but for the
    /// slot that the [`Held`] keeps. Where there is room and nobody waits it is dialled in the caller's own task, and to drop
    /// this gives the dial up, as nobody else could use what comes of it. Else it waits in line as
    /// [`get_fresh`](Self::get_fresh) does, but not for the end of a pause after failures: whatever is returned meanwhile is
    /// of no use here, so it fails at once. Cancel-safe.
    ///
    /// # Errors
    /// See [`GetError`].
    pub async fn dial(
        &self,
        worker: usize,
        now: Instant,
        deadline: Option<Instant>,
    ) -> Result<(M::Conn, Held<M>), GetError<M::Error>> {
        let seat = self.seat(worker);
        if let Some(slot) = self.inner.reserve_apart()? {
            let conn = dial::apart(seat, slot, now, deadline).await?;
            return Ok((conn, Held::new(seat.clone())));
        }
        self.inner.refuse_in_pause(now)?;
        self.get_fresh(worker, now, deadline).await.map(Lease::detach_held)
    }

    /// Whether the last dials failed and the next is not due, or under way (P7): then who has another endpoint takes
    /// that one.
    pub fn is_pausing(&self, now: Instant) -> bool {
        self.inner.is_pausing(now)
    }

    /// Removes the idle connections of `worker` that died, and registers `cx` for the next death (P13). Returns how many
    /// were removed. Costs one atomic operation when none did, so one task can call it for all pools of its worker. An index at
    /// or above the number of workers means the connections of all foreign threads.
    pub fn watch(&self, worker: usize, cx: &mut Context<'_>) -> usize {
        self.inner.watch(worker, cx)
    }

    /// Closes what is too old or idle for too long, and opens what `min_idle` lacks (P10, P11, P15). Call it inside the
    /// worker's runtime, at its start and about each second; of several workers the first in each half second acts.
    pub fn maintain(&self, worker: usize, now: Instant) {
        let seat = self.seat(worker);
        // Should who was to wake them hold its `get` without polling it, nobody waits longer than until here.
        self.inner.inboxes.get(worker).into_iter().for_each(Inbox::deliver);
        for slot in self.inner.maintain(now) {
            dial::spawn(seat, slot);
        }
    }

    /// Counts as of one instant (P20). Takes every lock of the pool: for scrapes, not for requests.
    pub fn stats(&self) -> Stats {
        self.inner.stats()
    }

    /// Uses `config` from now on (P19). Idle connections above the new limits close now, leased ones when released; new
    /// room goes to waiters. The budget given at creation stays.
    pub fn resize(&self, config: PoolConfig) {
        self.inner.resize(config, Instant::now());
    }

    /// Closes the pool (P19): new and waiting `get`s fail with [`GetError::Closed`], idle connections close now, leases
    /// may finish. Waits at most `grace` for them and returns how many slots are still taken; those close on release.
    /// Cancel-safe: to drop it ends the wait, the pool is closed all the same.
    pub async fn close(&self, grace: Duration) -> usize {
        self.inner.shut_down();
        let drained = std::future::poll_fn(|cx| self.inner.poll_drained(cx));
        // Running out of grace is an answer, not an error: the count below tells.
        let _ = towpath_net::time::timeout(grace, drained).await;
        self.stats().open
    }

    /// Closes the pool as [`close`](Self::close) does, without waiting.
    pub fn shut_down(&self) {
        self.inner.shut_down();
    }

    /// Someone has to wait who holds a connection of this pool already (P18).
    fn note_nested(&self) {
        self.inner.lock_core().tally.nested += 1;
    }

    /// The dialler.
    pub fn manager(&self) -> &M {
        &self.inner.manager
    }

    fn seat(&self, worker: usize) -> &Arc<Seat<M>> {
        &self.seats[worker.min(self.seats.len() - 1)]
    }

    /// The slow half of `get`: stand in line until something comes that is alive.
    async fn wait(
        &self,
        worker: usize,
        now: Instant,
        deadline: Option<Instant>,
        fresh: bool,
    ) -> Result<Lease<M>, GetError<M::Error>> {
        let seat = self.seat(worker);
        let (since, mut now) = (now, now);
        let mut ticket = None;
        let mut dead_in_a_row = 0;
        loop {
            // P12: after three dead ones in a row only a dial will do.
            let fresh = fresh || dead_in_a_row >= STALE_IN_A_ROW_MAX;
            let mut waiter = Waiter::join(seat, ticket, fresh, since, now)?;
            let own = since.checked_add(waiter.place().acquire_timeout);
            let until = own.into_iter().chain(deadline).min().unwrap_or(since + FAR_FUTURE);
            let entry = match timeout_at(until, &mut waiter).await {
                Ok(outcome) => outcome?,
                Err(_elapsed) => return Err(self.inner.timed_out(since)),
            };
            now = Instant::now();
            if let Some(lease) = seat.admit(entry, waiter.place().validate, now) {
                return Ok(lease);
            }
            // It was dead, which is not the waiter's fault: the old ticket keeps its place in line.
            ticket = Some(waiter.place().ticket);
            dead_in_a_row += 1;
        }
    }
}

impl<M: Manager> Drop for Pool<M> {
    fn drop(&mut self) {
        self.inner.shut_down();
    }
}

impl<M: Manager> fmt::Debug for Pool<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// Thirty years, for deadlines that would overflow the clock.
const FAR_FUTURE: Duration = Duration::from_secs(30 * 365 * 86_400);

/// Dead connections a `get` accepts in a row before it insists on a dial (P12). Three, because after a restart of the
/// peer all idle ones are dead, and each costs a look.
const STALE_IN_A_ROW_MAX: u32 = 3;
