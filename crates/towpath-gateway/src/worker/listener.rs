//! A listener as one worker has it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use towpath_telemetry::counter::Padded;
use towpath_telemetry::metrics::{Limit, ListenerCounters};

use super::Worker;
use crate::accept::gate::Gate;
use crate::plan::Listener;

/// What a plan says of a listener, in a count of the worker's own: a clone touches no line of another worker.
pub(crate) type LocalPlan = Rc<Arc<Listener>>;

/// A listener as one worker sees it. It outlives plans: its name is its identity.
pub(crate) struct LocalListener {
    plan: RefCell<LocalPlan>,
    /// Shared with the other workers.
    pub(crate) gate: Arc<Gate>,
    /// This worker's.
    pub(crate) counters: Arc<Padded<ListenerCounters>>,
    /// It has as many connections as it may have: idle ones make room.
    pressed: Cell<bool>,
    /// The plan names it no more.
    has_left: Cell<bool>,
}

impl LocalListener {
    pub(crate) fn new(listener: Arc<Listener>, worker: &Worker) -> Self {
        Self {
            gate: worker.shared.gate(&listener.name),
            counters: listener.counters.worker(worker.index),
            pressed: Cell::new(false),
            has_left: Cell::new(false),
            plan: RefCell::new(Rc::new(listener)),
        }
    }

    /// Counts that a limit was met.
    pub(crate) fn limited(&self, limit: Limit) {
        self.counters.limited[limit as usize].increment();
    }

    /// Says whether its connections have to make room for others.
    pub(crate) fn press(&self, pressed: bool, worker: &Worker) {
        let was_pressed = self.pressed.replace(pressed);
        let count = &worker.pressed_listeners;
        match (was_pressed, pressed) {
            (false, true) => {
                count.set(count.get() + 1);
                worker.timers.wake_all();
            }
            (true, false) => count.set(count.get() - 1),
            _ => {}
        }
    }

    pub(crate) fn is_pressed(&self) -> bool {
        self.pressed.get()
    }

    /// The plan names it no more: what would go on for ever is told so.
    pub(crate) fn leave(&self, worker: &Worker) {
        self.has_left.set(true);
        worker.timers.wake_all();
    }

    pub(crate) fn has_left(&self) -> bool {
        self.has_left.get()
    }

    /// What the current plan says of it. The count that this touches belongs to the worker alone.
    pub(crate) fn plan(&self) -> LocalPlan {
        Rc::clone(&self.plan.borrow())
    }

    pub(crate) fn replan(&self, listener: &Arc<Listener>) {
        if !Arc::ptr_eq(&self.plan.borrow(), listener) {
            *self.plan.borrow_mut() = Rc::new(Arc::clone(listener));
        }
    }
}
