//! Waiting for a moment: by a timer of the kernel on a thread that has an [`Alarm`], by tokio's timers elsewhere.
//!
//! tokio's timers look at the clock before and after each wait of the event loop, and give the wait a timeout that the
//! kernel arms and disarms. A worker with little to do waits twice a request, and all of it was 5 % of what a request
//! cost. On a worker's own thread the wait has no timeout: a `timerfd(2)` among the sockets ends it, and is set only
//! when something is to happen earlier than what it is set for. Tests have tokio's timers, whose clock can be paused.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

thread_local! {
    static ALARM: RefCell<Option<Rc<Alarm>>> = const { RefCell::new(None) };
}

/// What a thread waits with in place of tokio's timers.
#[derive(Debug)]
pub struct Alarm {
    timer: AsyncFd<OwnedFd>,
    /// Who is woken when. Few: each dial has one, and each task of the worker; deadlines of connections are
    /// [`crate::timer::Timers`], which are one of these together.
    waiting: RefCell<BTreeMap<Key, Waker>>,
    next_number: Cell<u64>,
    /// Tells its keys apart from those of other threads: a wait may be dropped anywhere.
    id: u64,
    /// What the kernel's timer is set for.
    set_for: Cell<Option<Instant>>,
}

/// A moment, a number that tells apart who waits for the same one, and the alarm.
type Key = (Instant, u64, u64);

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl Alarm {
    /// Gives the calling thread an alarm. Its runtime needs no timers of tokio's from then on; one task has to
    /// [`drive`](Self::drive) the alarm.
    ///
    /// # Errors
    /// The system refuses a descriptor.
    #[expect(
        unsafe_code,
        reason = "the safe constructor is deprecated, as it takes what may close its descriptor"
    )]
    pub fn install() -> io::Result<Rc<Self>> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        // SAFETY: the descriptor was opened here, and only the `AsyncFd` holds it from now on: it is private, never taken
        // out again, and an `OwnedFd` names the same descriptor until it is dropped.
        let timer = unsafe { AsyncFd::register_with_interest(timer, Interest::READABLE) }?;
        let alarm = Rc::new(Self {
            timer,
            waiting: RefCell::default(),
            next_number: Cell::new(0),
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            set_for: Cell::new(None),
        });
        ALARM.set(Some(Rc::clone(&alarm)));
        Ok(alarm)
    }

    /// Wakes, for ever, those whose moment has come.
    pub async fn drive(self: Rc<Self>) {
        poll_fn(|cx| {
            while let Poll::Ready(Ok(mut guard)) = self.timer.poll_read_ready(cx) {
                // How often it has fired says nothing; that it is read is what makes it quiet. What fires behind the
                // read is an event of its own.
                let _ = rustix::io::read(&self.timer, &mut [0u8; 8]);
                guard.clear_ready();
                self.fire(Instant::now());
            }
            Poll::<()>::Pending
        })
        .await;
    }

    fn fire(&self, now: Instant) {
        self.set_for.set(None);
        let mut waiting = self.waiting.borrow_mut();
        let later = waiting.split_off(&(now + Duration::from_nanos(1), 0, 0));
        let due = std::mem::replace(&mut *waiting, later);
        let next = waiting.first_key_value().map(|(&(at, ..), _)| at);
        drop(waiting);
        due.into_values().for_each(Waker::wake);
        next.into_iter().for_each(|at| self.set(at, now));
    }

    /// Has the kernel's timer fire at `at` at the latest.
    fn set(&self, at: Instant, now: Instant) {
        if self.set_for.get().is_some_and(|set_for| set_for <= at) {
            return;
        }
        // Zero would disarm it.
        let span = at.saturating_duration_since(now).max(Duration::from_nanos(1));
        let value = Timespec {
            tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(span.subsec_nanos()),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        if timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once).is_ok() {
            self.set_for.set(Some(at));
        }
    }

    fn add(&self, at: Instant, now: Instant, waker: &Waker) -> Key {
        let key = (at, self.next_number.get(), self.id);
        self.next_number.set(key.1 + 1);
        self.waiting.borrow_mut().insert(key, waker.clone());
        self.set(at, now);
        key
    }
}

/// Waits until `at`.
pub fn sleep_until(at: Instant) -> Sleep {
    match ALARM.with_borrow(Option::is_some) {
        true => Sleep(Kind::Alarm { at, key: None }),
        false => Sleep(Kind::tokio(at)),
    }
}

/// Waits for `span`.
pub fn sleep(span: Duration) -> Sleep {
    sleep_until(Instant::now() + span)
}

/// Polls `future` until it is done or `at` has come.
///
/// # Errors
/// `at` came first.
pub async fn timeout_at<F: Future>(at: Instant, future: F) -> Result<F::Output, Elapsed> {
    let (mut future, mut sleep) = (pin!(future), sleep_until(at));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => Pin::new(&mut sleep).poll(cx).map(|()| Err(Elapsed)),
    })
    .await
}

/// Polls `future` for at most `span`.
///
/// # Errors
/// The time was over first.
pub async fn timeout<F: Future>(span: Duration, future: F) -> Result<F::Output, Elapsed> {
    timeout_at(Instant::now() + span, future).await
}

/// The moment came before the future was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

/// A wait; see [`sleep_until`]. It belongs to the thread that polls it, and one without an alarm may take it over.
#[derive(Debug)]
#[must_use = "a wait begins when it is polled"]
pub struct Sleep(Kind);

#[derive(Debug)]
enum Kind {
    Alarm {
        at: Instant,
        /// Its place among those who wait, from the first poll on.
        key: Option<Key>,
    },
    Tokio(Pin<Box<tokio::time::Sleep>>),
}

impl Kind {
    fn tokio(at: Instant) -> Self {
        Self::Tokio(Box::pin(tokio::time::sleep_until(at)))
    }
}

impl Alarm {
    /// Waits on behalf of the [`Sleep`] that has `key`.
    fn poll(&self, at: Instant, key: &mut Option<Key>, cx: &Context<'_>) -> Poll<()> {
        let Some(key) = key.filter(|key| key.2 == self.id) else {
            let now = Instant::now();
            if now >= at {
                return Poll::Ready(());
            }
            *key = Some(self.add(at, now, cx.waker()));
            return Poll::Pending;
        };
        match self.waiting.borrow_mut().get_mut(&key) {
            Some(waker) => waker.clone_from(cx.waker()),
            None => return Poll::Ready(()),
        }
        Poll::Pending
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let at = match &mut self.0 {
            Kind::Tokio(sleep) => return sleep.as_mut().poll(cx),
            Kind::Alarm { at, key } => {
                let poll = |alarm: &Alarm| alarm.poll(*at, key, cx);
                match ALARM.with_borrow(|alarm| alarm.as_deref().map(poll)) {
                    Some(poll) => return poll,
                    None => *at,
                }
            }
        };
        // It was moved to a thread without an alarm.
        self.0 = Kind::tokio(at);
        self.poll(cx)
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let Kind::Alarm { key: Some(key), .. } = &self.0 else { return };
        // At the end of its thread there is no alarm any more; elsewhere nothing has this key, and the alarm's own entry
        // goes when its moment comes.
        let _ = ALARM.try_with(|alarm| {
            if let Ok(Some(alarm)) = alarm.try_borrow().as_deref() {
                alarm.waiting.borrow_mut().remove(key);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::runtime::{Builder, LocalOptions};
    use tokio::task::{spawn_local, yield_now};

    /// Runs `test` on a runtime without tokio's timers.
    fn run<F: Future>(test: impl FnOnce(Rc<Alarm>) -> F) {
        let runtime = Builder::new_current_thread().enable_io().build_local(LocalOptions::default()).unwrap();
        runtime.block_on(async {
            let alarm = Alarm::install().unwrap();
            spawn_local(Rc::clone(&alarm).drive());
            test(alarm).await;
        });
        ALARM.set(None);
    }

    #[test]
    fn waits_end_in_the_order_of_their_moments_whatever_the_order_they_began_in() {
        run(|_| async {
            let (order, now) = (Rc::new(RefCell::new(Vec::new())), Instant::now());
            let tasks = [30, 10, 20].map(|milliseconds| {
                let order = Rc::clone(&order);
                spawn_local(async move {
                    sleep_until(now + Duration::from_millis(milliseconds)).await;
                    assert!(Instant::now() >= now + Duration::from_millis(milliseconds));
                    order.borrow_mut().push(milliseconds);
                })
            });
            for task in tasks {
                task.await.unwrap();
            }
            assert_eq!(*order.borrow(), [10, 20, 30]);
        });
    }

    #[test]
    fn a_moment_that_has_passed_is_not_waited_for() {
        run(|alarm| async move {
            sleep_until(Instant::now()).await;
            assert_eq!(timeout(Duration::ZERO, std::future::pending::<()>()).await, Err(Elapsed));
            assert_eq!(timeout(Duration::ZERO, async { 7 }).await, Ok(7));
            assert_eq!(alarm.set_for.get(), None);
        });
    }

    #[test]
    fn a_wait_that_is_given_up_leaves_nothing_behind() {
        run(|alarm| async move {
            let hour = Duration::from_secs(3_600);
            assert_eq!(timeout(hour, yield_now()).await, Ok(()));
            assert!(alarm.waiting.borrow().is_empty());
        });
    }

    #[test]
    fn a_wait_that_has_begun_here_can_be_ended_or_dropped_on_another_thread() {
        run(|alarm| async move {
            let mut waits = [(); 2].map(|()| sleep(Duration::from_millis(1)));
            for wait in &mut waits {
                assert!(poll_fn(|cx| Poll::Ready(Pin::new(&mut *wait).poll(cx).is_pending())).await);
            }
            let [ended, dropped] = waits;
            let other = std::thread::spawn(move || {
                drop(dropped);
                Builder::new_current_thread().enable_time().build().unwrap().block_on(ended);
            });
            other.join().unwrap();
            sleep(Duration::from_millis(2)).await;
            assert!(alarm.waiting.borrow().is_empty(), "what is left here goes when its moment comes");
        });
    }

    #[test]
    fn the_timer_is_set_again_only_for_an_earlier_moment() {
        run(|alarm| async move {
            let now = Instant::now();
            let [near, far, nearer] = [20, 30, 10].map(|seconds| now + Duration::from_secs(seconds));
            let mut waits = Vec::new();
            for (at, set_for) in [(near, near), (far, near), (nearer, nearer)] {
                let mut wait = sleep_until(at);
                let is_pending = poll_fn(|cx| Poll::Ready(Pin::new(&mut wait).poll(cx).is_pending())).await;
                assert!(is_pending);
                waits.push(wait);
                assert_eq!(alarm.set_for.get(), Some(set_for));
            }
        });
    }
}
