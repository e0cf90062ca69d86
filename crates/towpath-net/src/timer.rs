//! Deadlines of one worker: a wheel of 67 ms ticks, and a handle per connection.
//!
//! A connection has one [`Timer`] for its whole life. Setting a later deadline, which every request does several
//! times, stores a number; the wheel finds out when it comes by. When a deadline passes, the connection's task is
//! woken and finds [`Timer::is_expired`].

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use towpath_base::slab::{Key, Slab};
use towpath_base::wheel::Wheel;

use crate::time::sleep_until;

/// A tick is 2^26 ns, so that the tick of an instant is a shift and not a division.
const TICK_SHIFT: u32 = 26;

/// The grain of every deadline, 67 ms. Deadlines are seconds; this late is nothing, and it keeps an idle worker with
/// 10,000 connections at 15 wake-ups a second at most.
pub const TICK: Duration = Duration::from_nanos(1 << TICK_SHIFT);

/// No deadline.
const NEVER: u64 = u64::MAX;

/// The deadlines of a worker. Cheap to clone; `!Send`.
#[derive(Clone, Debug)]
pub struct Timers {
    inner: Rc<Inner>,
}

#[derive(Debug)]
struct Inner {
    started: Instant,
    wheel: RefCell<Wheel>,
    entries: RefCell<Slab<Entry>>,
    /// The tick the driver sleeps until; an earlier check has to wake it.
    sleeping_until: Cell<u64>,
    earlier: Notify,
}

#[derive(Debug)]
struct Entry {
    /// The tick at which the deadline has passed.
    deadline: u64,
    /// The earliest tick at which the wheel looks at this entry; `NEVER` when it does not.
    check: u64,
    expired: bool,
    waker: Option<Waker>,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            inner: Rc::new(Inner {
                started: Instant::now(),
                wheel: RefCell::default(),
                entries: RefCell::default(),
                sleeping_until: Cell::new(NEVER),
                earlier: Notify::new(),
            }),
        }
    }
}

impl Timers {
    /// A timer without a deadline.
    pub fn register(&self) -> Timer {
        let entry = Entry { deadline: NEVER, check: NEVER, expired: false, waker: None };
        Timer { key: self.inner.entries.borrow_mut().insert(entry), timers: self.clone() }
    }

    /// Wakes the task of every timer, so that all of them look around, for example because a drain began.
    pub fn wake_all(&self) {
        let mut entries = self.inner.entries.borrow_mut();
        entries.values_mut().filter_map(|entry| entry.waker.take()).for_each(Waker::wake);
    }

    /// The number of timers.
    pub fn len(&self) -> usize {
        self.inner.entries.borrow().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fires deadlines for ever. One task of the worker runs it.
    pub async fn drive(&self) {
        loop {
            let next = self.inner.wheel.borrow().next_check().unwrap_or(NEVER);
            self.inner.sleeping_until.set(next);
            let mut earlier = pin!(self.inner.earlier.notified());
            match self.inner.instant_of(next) {
                None => earlier.await,
                Some(at) => {
                    let mut sleep = pin!(sleep_until(at));
                    poll_fn(|cx| match sleep.as_mut().poll(cx) {
                        Poll::Ready(()) => Poll::Ready(()),
                        Poll::Pending => earlier.as_mut().poll(cx),
                    })
                    .await;
                }
            }
            self.inner.fire();
        }
    }
}

impl Inner {
    fn instant_of(&self, tick: u64) -> Option<Instant> {
        let ticks = u32::try_from(tick).ok()?;
        self.started.checked_add(TICK.checked_mul(ticks)?)
    }

    /// A tick at which `instant` has passed for certain.
    fn tick_after(&self, instant: Instant) -> u64 {
        (nanos(instant.saturating_duration_since(self.started)) >> TICK_SHIFT) + 1
    }

    fn fire(&self) {
        let now = nanos(self.started.elapsed()) >> TICK_SHIFT;
        let mut entries = self.entries.borrow_mut();
        self.wheel.borrow_mut().advance(now, |wheel, due, key| {
            let Some(entry) = entries.get_mut(key) else { return };
            // An earlier deadline planned a check of its own since; this one is left over and must not multiply.
            if entry.check > due {
                return;
            }
            entry.check = NEVER;
            if entry.deadline <= now {
                entry.deadline = NEVER;
                entry.expired = true;
                entry.waker.take().into_iter().for_each(Waker::wake);
            } else if entry.deadline != NEVER {
                entry.check = wheel.insert(entry.deadline, key);
            }
        });
    }

    fn plan_check(&self, tick: u64, key: Key) -> u64 {
        let due = self.wheel.borrow_mut().insert(tick, key);
        if due < self.sleeping_until.get() {
            self.earlier.notify_one();
        }
        due
    }
}

/// Enough for 584 years.
fn nanos(span: Duration) -> u64 {
    span.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(span.subsec_nanos()))
}

/// A deadline that its owner moves about. Dropping it takes it off the wheel.
#[derive(Debug)]
pub struct Timer {
    timers: Timers,
    key: Key,
}

impl Timer {
    /// Sets the deadline, in place of any other.
    pub fn set(&self, deadline: Instant) {
        let inner = &self.timers.inner;
        let tick = inner.tick_after(deadline);
        let mut entries = inner.entries.borrow_mut();
        let Some(entry) = entries.get_mut(self.key) else { return };
        entry.deadline = tick;
        entry.expired = false;
        if tick < entry.check {
            entry.check = inner.plan_check(tick, self.key);
        }
    }

    /// Takes the deadline away.
    pub fn clear(&self) {
        if let Some(entry) = self.timers.inner.entries.borrow_mut().get_mut(self.key) {
            entry.deadline = NEVER;
            entry.expired = false;
        }
    }

    /// Whether the deadline has passed since it was set.
    pub fn is_expired(&self) -> bool {
        self.timers.inner.entries.borrow().get(self.key).is_some_and(|entry| entry.expired)
    }

    /// Whether the deadline has passed; if not, `cx` is woken when it does or at [`Timers::wake_all`].
    pub fn poll_expired(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut entries = self.timers.inner.entries.borrow_mut();
        let Some(entry) = entries.get_mut(self.key) else { return Poll::Pending };
        if entry.expired {
            return Poll::Ready(());
        }
        if !entry.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            entry.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Runs `future` until it is done or the deadline passes.
    ///
    /// # Errors
    /// [`Expired`] when the deadline came first.
    pub fn limit<F: Future>(&self, future: F) -> Limit<'_, F> {
        Limit { timer: self, future }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.timers.inner.entries.borrow_mut().remove(self.key);
    }
}

/// The deadline came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired;

impl std::fmt::Display for Expired {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the deadline has passed")
    }
}

impl std::error::Error for Expired {}

/// See [`Timer::limit`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Limit<'a, F> {
    timer: &'a Timer,
    future: F,
}

impl<F: Future> Future for Limit<'_, F> {
    type Output = Result<F::Output, Expired>;

    #[expect(
        unsafe_code,
        reason = "projects a pin to the one field that is pinned; a macro crate for one use is more"
    )]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: `future` is structurally pinned: it is never moved out of a pinned `Limit`, which has no `Drop`
        // and is `Unpin` only if `F` is, as both impls are left to the compiler.
        let (timer, future) = unsafe {
            let this = self.get_unchecked_mut();
            (this.timer, Pin::new_unchecked(&mut this.future))
        };
        if let Poll::Ready(output) = future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        timer.poll_expired(cx).map(|()| Err(Expired))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    async fn with_driver<T>(body: impl AsyncFnOnce(&Timers) -> T) -> T {
        let timers = Timers::default();
        let mut drive = pin!(timers.drive());
        let mut body = pin!(body(&timers));
        poll_fn(|cx| {
            let _ = drive.as_mut().poll(cx);
            body.as_mut().poll(cx)
        })
        .await
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_fires_at_its_tick() {
        with_driver(async |timers| {
            let (timer, start) = (timers.register(), Instant::now());
            timer.set(start + Duration::from_secs(10));
            assert_eq!(timer.limit(pending::<()>()).await, Err(Expired));
            let late = start.elapsed() - Duration::from_secs(10);
            assert!(late <= 2 * TICK, "{late:?}");
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_moves_both_ways() {
        with_driver(async |timers| {
            let (timer, start) = (timers.register(), Instant::now());
            timer.set(start + Duration::from_secs(60));
            timer.set(start + Duration::from_secs(1));
            assert_eq!(timer.limit(pending::<()>()).await, Err(Expired));
            assert_eq!(start.elapsed().as_secs(), 1);
            timer.set(start + Duration::from_secs(5));
            timer.set(start + Duration::from_secs(200));
            assert_eq!(timer.limit(pending::<()>()).await, Err(Expired));
            assert_eq!(start.elapsed().as_secs(), 200);
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_cleared_deadline_does_not_fire() {
        with_driver(async |timers| {
            let (timer, other) = (timers.register(), timers.register());
            timer.set(Instant::now() + Duration::from_secs(1));
            timer.clear();
            other.set(Instant::now() + Duration::from_secs(3));
            assert_eq!(other.limit(pending::<()>()).await, Err(Expired));
            assert!(!timer.is_expired());
            drop(timer);
            assert_eq!(timers.len(), 1);
        })
        .await;
    }
}
