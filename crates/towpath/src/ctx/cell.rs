//! The cause of one context, and who waits for it.
//!
//! R5 as code: who ends a context stores the cause first and wakes after; who waits registers first and looks after. One
//! of the two sees the other. This file names its locks through `super::sync`, so that `tests/ctx_loom.rs` can run it
//! under a model that visits every interleaving.

use std::collections::BTreeMap;
use std::task::Waker;

use super::sync::{AtomicBool, Mutex, MutexGuard, Ordering};

/// A cause `C` that is written once, and the wakers of those who wait for it. `L` is what ties the cell to the cells
/// above it; it is made with the first waiter, because most contexts are never waited for.
pub(super) struct Cell<C, L> {
    /// Set after the cause, so that a look costs no lock while there is none.
    is_done: AtomicBool,
    state: Mutex<State<C, L>>,
}

/// Both boxed: a million contexts that are neither done nor waited for pay two words.
struct State<C, L> {
    cause: Option<Box<C>>,
    waiting: Option<Box<Waiting<L>>>,
}

struct Waiting<L> {
    next: Place,
    /// Bounded by the tasks that wait.
    wakers: BTreeMap<Place, Waker>,
    /// Held for its `Drop`, which unties.
    _link: L,
}

/// Names a waiter of a cell. Never given twice by the same cell, so a stale one reaches nobody.
pub(super) type Place = u64;

impl<C: Clone, L> Cell<C, L> {
    pub(super) fn new() -> Self {
        Self { is_done: AtomicBool::new(false), state: Mutex::new(State { cause: None, waiting: None }) }
    }

    /// The cause, once there is one; from then on always the same.
    pub(super) fn cause(&self) -> Option<C> {
        // Acquire pairs with the Release of `record`; while it is false nobody is told anything.
        self.is_done.load(Ordering::Acquire).then(|| self.lock().cause.as_deref().cloned()).flatten()
    }

    /// Stores the first cause and wakes all who wait; does nothing when there is one already (R4).
    pub(super) fn record(&self, cause: C) {
        let mut state = self.lock();
        if state.cause.is_some() {
            return;
        }
        state.cause = Some(Box::new(cause));
        self.is_done.store(true, Ordering::Release);
        wake_all(state);
    }

    /// Wakes all who wait, because a cell above has its cause.
    pub(super) fn echo(&self) {
        wake_all(self.lock());
    }

    /// Takes a place for `waker`, or keeps the one it has. The caller looks for a cause afterwards, here and above.
    ///
    /// The first waiter ties the cell to those above through `link`, with this cell locked: whoever finds a waiter here
    /// may rely on the whole way up. Locks are taken upwards only, so they cannot close a circle.
    pub(super) fn watch(&self, place: Option<Place>, waker: &Waker, link: impl FnOnce() -> L) -> Place {
        let mut state = self.lock();
        let waiting = state
            .waiting
            .get_or_insert_with(|| Box::new(Waiting { next: 0, wakers: BTreeMap::new(), _link: link() }));
        let place = place.unwrap_or(waiting.next);
        waiting.next = waiting.next.max(place + 1);
        waiting
            .wakers
            .entry(place)
            .and_modify(|kept| kept.clone_from(waker))
            .or_insert_with(|| waker.clone());
        place
    }

    /// Gives a place up.
    pub(super) fn leave(&self, place: Place) {
        let mut state = self.lock();
        let waker = state.waiting.as_mut().and_then(|waiting| waiting.wakers.remove(&place));
        drop(state);
        // A waker may run what its owner likes; not under our lock.
        drop(waker);
    }

    /// How many wait; for tests.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting.as_ref().map_or(0, |waiting| waiting.wakers.len())
    }

    fn lock(&self) -> MutexGuard<'_, State<C, L>> {
        // Nothing panics in the middle of a change, so a poisoned lock guards a sound state.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Takes the wakers out and uses them without the lock.
fn wake_all<C, L>(mut state: MutexGuard<'_, State<C, L>>) {
    let wakers = state.waiting.as_mut().map(|waiting| std::mem::take(&mut waiting.wakers));
    drop(state);
    wakers.unwrap_or_default().into_values().for_each(Waker::wake);
}
