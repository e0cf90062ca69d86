//! Who is inside: the tasks of a scope, or all tasks of a process.
//!
//! To enter and to find the room empty and close it are one step each under one lock, so that no task slips into a scope
//! that has returned. Names its lock through `super::sync`, for `tests/ctx_loom.rs`.

use std::collections::BTreeMap;
use std::task::{Context, Poll, Waker};

use super::sync::{Mutex, MutexGuard};

/// Members that enter and leave, and those who wait for them to have left.
pub(super) struct Gate<M> {
    state: Mutex<State<M>>,
}

struct State<M> {
    is_closed: bool,
    next: Place,
    /// Bounded by what `enter` is told.
    members: BTreeMap<Place, M>,
    /// One for each task that waits: taken when anyone leaves, and registered anew by the next poll.
    waiting: Vec<Waker>,
}

/// Names a member. Never given twice.
pub(super) type Place = u64;

/// Why nobody enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Closed,
    Full,
}

impl<M> Gate<M> {
    pub(super) fn new() -> Self {
        let state = State { is_closed: false, next: 0, members: BTreeMap::new(), waiting: Vec::new() };
        Self { state: Mutex::new(state) }
    }

    pub(super) fn enter(&self, member: M, count_max: usize) -> Result<Place, Refusal> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(Refusal::Closed);
        }
        if state.members.len() >= count_max {
            return Err(Refusal::Full);
        }
        let place = state.next;
        state.next += 1;
        state.members.insert(place, member);
        Ok(place)
    }

    /// Takes a member out and wakes those who wait.
    pub(super) fn leave(&self, place: Place) {
        let mut state = self.lock();
        let member = state.members.remove(&place);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        drop(member);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Ready when nobody is inside; then, if `closes`, nobody enters any more.
    pub(super) fn poll_empty(&self, cx: &Context<'_>, closes: bool) -> Poll<()> {
        let mut state = self.lock();
        if !state.members.is_empty() {
            return state.wait(cx);
        }
        state.is_closed |= closes;
        Poll::Ready(())
    }

    /// Pending until anyone leaves, whatever is inside.
    pub(super) fn register(&self, cx: &Context<'_>) {
        let _ = self.lock().wait(cx);
    }

    /// Ready when fewer than `count_max` are inside, or nobody may enter anyway.
    pub(super) fn poll_room(&self, cx: &Context<'_>, count_max: usize) -> Poll<()> {
        let mut state = self.lock();
        match state.is_closed || state.members.len() < count_max {
            true => Poll::Ready(()),
            false => state.wait(cx),
        }
    }

    /// Nobody enters from now on.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
    }

    pub(super) fn update(&self, place: Place, change: impl FnOnce(&mut M)) {
        if let Some(member) = self.lock().members.get_mut(&place) {
            change(member);
        }
    }

    /// What `pick` says of each member.
    pub(super) fn collect<T>(&self, pick: impl FnMut(&M) -> T) -> Vec<T> {
        self.lock().members.values().map(pick).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.lock().members.len()
    }

    fn lock(&self) -> MutexGuard<'_, State<M>> {
        // Nothing panics in the middle of a change, so a poisoned lock guards a sound state.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl<M> State<M> {
    fn wait(&mut self, cx: &Context<'_>) -> Poll<()> {
        if !self.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }
}
