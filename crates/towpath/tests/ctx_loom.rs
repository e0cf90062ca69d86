//! The two lock protocols of `ctx`, in every interleaving: a cancel against whoever begins to wait (R5), and a task that
//! starts or ends against a scope that returns (R12). The files are the ones that ship; only their locks are the model's.

use std::sync::atomic::{AtomicUsize, Ordering as StdOrdering};
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::Arc;
use loom::thread;

use self::cell::Cell;
use self::gate::{Gate, Refusal};

mod sync {
    pub(super) use loom::sync::atomic::{AtomicBool, Ordering};
    pub(super) use loom::sync::{Mutex, MutexGuard};
}

#[expect(dead_code, reason = "the model needs a part of it")]
#[path = "../src/ctx/cell.rs"]
mod cell;
#[expect(dead_code, reason = "the model needs a part of it")]
#[path = "../src/ctx/gate.rs"]
mod gate;

/// Counts its wakes.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Woken {
    fn new() -> (std::sync::Arc<Self>, Waker) {
        let woken = std::sync::Arc::<Self>::default();
        (std::sync::Arc::clone(&woken), Waker::from(woken))
    }

    fn is_set(&self) -> bool {
        self.0.load(StdOrdering::SeqCst) > 0
    }
}

impl Wake for Woken {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, StdOrdering::SeqCst);
    }
}

type Plain = Cell<&'static str, ()>;

/// One poll of a wait: look, register, look again. True when it goes to sleep.
fn falls_asleep(cell: &Plain, waker: &Waker) -> bool {
    if cell.cause().is_some() {
        return false;
    }
    cell.watch(None, waker, || ());
    cell.cause().is_none()
}

#[test]
fn r05_whoever_sleeps_is_woken_by_the_cancel_a3() {
    loom::model(|| {
        let cell = Arc::new(Plain::new());
        let canceler = Arc::clone(&cell);
        let cancel = thread::spawn(move || canceler.record("first"));
        let (woken, waker) = Woken::new();
        let sleeps = falls_asleep(&cell, &waker);
        cancel.join().unwrap();
        assert!(!sleeps || woken.is_set(), "asleep for ever");
        assert_eq!(cell.cause(), Some("first"));
    });
}

#[test]
fn r05_a_look_before_the_registration_only_would_be_noticed() {
    let model = || {
        loom::model(|| {
            let cell = Arc::new(Plain::new());
            let canceler = Arc::clone(&cell);
            let cancel = thread::spawn(move || canceler.record("first"));
            let (woken, waker) = Woken::new();
            let sleeps = cell.cause().is_none();
            cell.watch(None, &waker, || ());
            cancel.join().unwrap();
            assert!(!sleeps || woken.is_set(), "asleep for ever");
        });
    };
    assert!(
        std::panic::catch_unwind(model).is_err(),
        "the model visits the interleaving that loses the wake-up"
    );
}

#[test]
fn r04_two_cancels_leave_one_cause_for_all_observers_a3() {
    loom::model(|| {
        let cell = Arc::new(Plain::new());
        let cancels = ["guard dropped", "client gone"].map(|cause| {
            let cell = Arc::clone(&cell);
            thread::spawn(move || {
                cell.record(cause);
                cell.cause()
            })
        });
        let early = cell.cause();
        let [first, second] = cancels.map(|cancel| cancel.join().unwrap());
        assert!(first.is_some() && first == second && first == cell.cause());
        assert!(early.is_none() || early == first, "a cause never changes");
    });
}

/// A child with its place above, as contexts have it: the wake goes down, the look goes up.
struct Child {
    cell: Cell<&'static str, ()>,
    above: Arc<Plain>,
}

struct Echo(std::sync::Weak<Child>);

impl Wake for Echo {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.upgrade().into_iter().for_each(|child| child.cell.echo());
    }
}

impl Child {
    fn new(above: &Arc<Plain>) -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self { cell: Cell::new(), above: Arc::clone(above) })
    }

    fn cause(&self) -> Option<&'static str> {
        self.cell.cause().or_else(|| self.above.cause())
    }

    fn falls_asleep(self: &std::sync::Arc<Self>, waker: &Waker) -> bool {
        let echo = Waker::from(std::sync::Arc::new(Echo(std::sync::Arc::downgrade(self))));
        self.cell.watch(None, waker, || {
            self.above.watch(None, &echo, || ());
        });
        self.cause().is_none()
    }
}

#[test]
fn r05_two_waiters_below_are_woken_whichever_of_them_ties_the_knot_a3() {
    loom::model(|| {
        let root = Arc::new(Plain::new());
        let child = Child::new(&root);
        let other = std::sync::Arc::clone(&child);
        let waiting = thread::spawn(move || {
            let (woken, waker) = Woken::new();
            (other.falls_asleep(&waker), woken)
        });
        let canceler = Arc::clone(&root);
        let cancel = thread::spawn(move || canceler.record("shutdown"));
        let (woken, waker) = Woken::new();
        let sleeps = child.falls_asleep(&waker);
        cancel.join().unwrap();
        let (other_sleeps, other_woken) = waiting.join().unwrap();
        assert!(!sleeps || woken.is_set(), "asleep for ever");
        assert!(!other_sleeps || other_woken.is_set(), "asleep for ever");
    });
}

#[test]
fn r12_no_task_starts_in_a_scope_that_has_returned_a3() {
    loom::model(|| {
        let gate = Arc::new(Gate::new());
        let spawner = Arc::clone(&gate);
        let spawn = thread::spawn(move || spawner.enter("late", usize::MAX));
        let (_woken, waker) = Woken::new();
        let has_returned = gate.poll_empty(&Context::from_waker(&waker), true).is_ready();
        match spawn.join().unwrap() {
            Ok(_) => assert!(!has_returned && gate.len() == 1, "a task lives in a scope that has returned"),
            Err(refusal) => assert!(has_returned && refusal == Refusal::Closed),
        }
    });
}

#[test]
fn r12_a_canceled_scope_returns_after_its_last_task_a3() {
    loom::model(|| {
        let (cell, gate) = (Arc::new(Plain::new()), Arc::new(Gate::new()));
        let place = gate.enter((), usize::MAX).unwrap();
        let (of_task, leaving) = (Arc::clone(&cell), Arc::clone(&gate));
        let task = thread::spawn(move || {
            let (woken, waker) = Woken::new();
            let sleeps = falls_asleep(&of_task, &waker);
            leaving.leave(place);
            (sleeps, woken)
        });
        cell.record("scope canceled");
        let (woken, waker) = Woken::new();
        let poll = gate.poll_empty(&Context::from_waker(&waker), true);
        let (sleeps, task_woken) = task.join().unwrap();
        assert!(!sleeps || task_woken.is_set(), "the task sleeps for ever");
        assert!(poll.is_ready() || woken.is_set(), "the scope sleeps for ever");
        assert_eq!(gate.poll_empty(&Context::from_waker(&waker), true), Poll::Ready(()));
        assert_eq!(gate.enter((), usize::MAX), Err(Refusal::Closed));
    });
}
