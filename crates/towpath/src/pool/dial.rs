//! Dialling: a task of its own, so that it outlives an impatient caller (P3, P6), and the back-off (P7).

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;
use towpath_base::random::Random;
use towpath_net::time::{sleep_until, timeout};

use super::Manager;
use super::error::{DialError, GetError};
use super::inner::{Core, Inner, Later, Seat};
use super::stats::Reason;
use super::tier::Entry;

/// A reserved place under the cap. Dropping it frees the place, whether the dial never began or its task was dropped.
pub(super) struct Slot<M: Manager> {
    inner: Option<Arc<Inner<M>>>,
    /// The [`Backoff::round`] it belongs to.
    round: u32,
}

/// Dials in its own task on the calling runtime.
pub(super) fn spawn<M: Manager>(seat: &Arc<Seat<M>>, slot: Slot<M>) {
    tokio::spawn(run(seat.clone(), slot));
}

async fn run<M: Manager>(seat: Arc<Seat<M>>, slot: Slot<M>) {
    let inner = &seat.inner;
    let connect_timeout = inner.lock_core().config.connect_timeout;
    let dialled = inner.connect(connect_timeout).await;
    let round = slot.fill();
    match dialled {
        Ok(conn) => inner.dialled(conn, seat.worker),
        Err(error) => {
            let retry_at = inner.step(|core, later| {
                core.dialling -= 1;
                inner.dial_failed(core, error, round, later)
            });
            if let Some(retry_at) = retry_at {
                spawn_retry(&seat, retry_at);
            }
        }
    }
}

/// A reserved place under the cap, of a dial in its caller's own task, whose connection the caller keeps. Dropped, it gives
/// the dial up.
pub(super) struct SlotApart<'i, M: Manager> {
    pub(super) inner: Option<&'i Inner<M>>,
    pub(super) round: u32,
    /// The settings as of now.
    pub(super) connect_timeout: Duration,
    pub(super) acquire_timeout: Duration,
}

/// Dials in `slot`, until `deadline` at the latest.
pub(super) async fn apart<M: Manager>(
    seat: &Arc<Seat<M>>,
    mut slot: SlotApart<'_, M>,
    since: Instant,
    deadline: Option<Instant>,
) -> Result<M::Conn, GetError<M::Error>> {
    let inner = &seat.inner;
    let left = deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(since));
    let patience = left.min(slot.acquire_timeout);
    let dialled = inner.connect(slot.connect_timeout.min(patience)).await;
    if patience < slot.connect_timeout && matches!(dialled, Err(DialError::TimedOut)) {
        drop(slot);
        return Err(inner.timed_out(since));
    }
    slot.inner = None;
    let (retry_at, is_shut) = inner.step(|core, later| {
        core.dialling_apart -= 1;
        let retry_at = match &dialled {
            Ok(_) => {
                core.tally.opened += 1;
                core.backoff.succeeded();
                // A pause that others' failures began ends with it.
                inner.grant_slots(core, Instant::now(), later);
                None
            }
            Err(error) => inner.dial_failed(core, error.clone(), slot.round, later),
        };
        (retry_at, core.shut)
    });
    if let Some(retry_at) = retry_at {
        spawn_retry(seat, retry_at);
    }
    match dialled {
        Ok(conn) if is_shut => {
            inner.retire(conn, Reason::Shutdown);
            Err(GetError::Closed)
        }
        Ok(conn) => Ok(conn),
        Err(error) => Err(GetError::Connect(error)),
    }
}

impl<M: Manager> Drop for SlotApart<'_, M> {
    fn drop(&mut self) {
        let Some(inner) = self.inner else { return };
        inner.step(|core, later| {
            core.dialling_apart -= 1;
            inner.give_back_slot(core, later);
            inner.grant_slots(core, Instant::now(), later);
        });
    }
}

/// Sleeps until the back-off ends, then lets a waiter dial. At most one such task per pool.
pub(super) fn spawn_retry<M: Manager>(seat: &Arc<Seat<M>>, mut at: Instant) {
    let retry = Retry { inner: seat.inner.clone() };
    tokio::spawn(async move {
        loop {
            sleep_until(at).await;
            match retry.inner.retry_is_due() {
                Some(later) => at = later,
                None => return,
            }
        }
    });
}

/// Says that the task is gone, also when its runtime stops early.
struct Retry<M: Manager> {
    inner: Arc<Inner<M>>,
}

impl<M: Manager> Drop for Retry<M> {
    fn drop(&mut self) {
        self.inner.lock_core().retrying = false;
    }
}

/// `None` when the future panicked.
async fn catching<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        // Safe to look at afterwards: a future that panicked is not polled again, only dropped.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Some),
            Err(_panic) => Poll::Ready(None),
        }
    })
    .await
}

impl<M: Manager> Inner<M> {
    fn dialled(&self, conn: M::Conn, worker: usize) {
        self.step(|core, later| {
            let now = Instant::now();
            core.dialling -= 1;
            core.tally.opened += 1;
            core.backoff.succeeded();
            let permille = 900 + core.random.below(201) as u16;
            self.settle(core, Entry::new(conn, worker, now, permille), now, later);
            // It may have gone to another than the one whose dial it was, and the end of a back-off lets more begin.
            self.grant_slots(core, now, later);
        });
    }

    /// Returns when to try again, if somebody waits for it.
    fn dial_failed(
        &self,
        core: &mut Core<M>,
        error: DialError<M::Error>,
        round: u32,
        later: &mut Later<M::Conn>,
    ) -> Option<Instant> {
        let now = Instant::now();
        core.tally.dial_failures += 1;
        core.backoff.failed(round, error.clone(), now, &mut core.random);
        self.give_back_slot(core, later);
        if core.config.fail_fast {
            // P7: nobody can be served, so all fail; else only those a returned connection cannot serve.
            for cell in core.queue.drain(!core.fails_fast()) {
                later.wakers.extend(cell.resolve(Err(GetError::Connect(error.clone()))));
            }
        }
        self.grant_slots(core, now, later);
        core.schedule_retry(now)
    }

    /// Asks the manager for a connection.
    async fn connect(&self, connect_timeout: Duration) -> Result<M::Conn, DialError<M::Error>> {
        match timeout(connect_timeout, catching(self.manager.connect())).await {
            Ok(Some(Ok(conn))) => Ok(conn),
            Ok(Some(Err(error))) => Err(DialError::Failed(error)),
            Ok(None) => Err(DialError::Panicked),
            Err(_elapsed) => Err(DialError::TimedOut),
        }
    }

    /// Hands out the one slot that the end of a back-off allows; returns when to come again if it did not end.
    fn retry_is_due(&self) -> Option<Instant> {
        self.step(|core, later| {
            let now = Instant::now();
            self.grant_slots(core, now, later);
            core.retrying = false;
            core.schedule_retry(now)
        })
    }

    fn slot_unused(&self) {
        self.step(|core, later| {
            core.dialling -= 1;
            core.tally.dials -= 1;
            self.give_back_slot(core, later);
            self.grant_slots(core, Instant::now(), later);
        });
    }
}

impl<M: Manager> Slot<M> {
    pub(super) fn new(inner: Arc<Inner<M>>, round: u32) -> Self {
        Self { inner: Some(inner), round }
    }

    /// The dial ended; its place is accounted for by the caller. Returns the round.
    fn fill(mut self) -> u32 {
        self.inner = None;
        self.round
    }
}

impl<M: Manager> Drop for Slot<M> {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            inner.slot_unused();
        }
    }
}

/// Whether and when to dial again after failures. One probe at a time while they last.
pub(super) struct Backoff<E> {
    /// Failed rounds in a row. Dials that were under way together are one round: they tell one thing.
    round: u32,
    retry_at: Option<Instant>,
    error: Option<DialError<E>>,
}

impl<E: Clone> Backoff<E> {
    pub(super) fn new() -> Self {
        Self { round: 0, retry_at: None, error: None }
    }

    pub(super) fn round(&self) -> u32 {
        self.round
    }

    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    pub(super) fn permits(&self, now: Instant, dialling: usize) -> bool {
        self.retry_at.is_none_or(|at| dialling == 0 && now >= at)
    }

    /// The last failure, for those who come during the pause.
    pub(super) fn error(&self) -> GetError<E> {
        GetError::Connect(self.error.clone().unwrap_or(DialError::TimedOut))
    }

    fn failed(&mut self, round: u32, error: DialError<E>, now: Instant, random: &mut Random) {
        self.error = Some(error);
        if round == self.round {
            self.round = self.round.saturating_add(1);
            self.retry_at = Some(now + pause(self.round, random));
        }
    }

    fn succeeded(&mut self) {
        *self = Self::new();
    }
}

/// 50 ms, doubled per further failed round up to 5 s, then up to a quarter less so that workers and processes spread.
fn pause(round: u32, random: &mut Random) -> Duration {
    let doublings = round.saturating_sub(1).min(PAUSE_DOUBLINGS_MAX);
    let full = PAUSE_MIN.saturating_mul(1 << doublings).min(PAUSE_MAX);
    full - full.mul_f64(random.unit() / 4.0)
}

const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// 50 ms × 2^7 is above `PAUSE_MAX`.
const PAUSE_DOUBLINGS_MAX: u32 = 7;
