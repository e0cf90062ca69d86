//! One context in its tree: what it is done by, and how the news comes down to it.

use std::panic::Location;
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use tokio::time::Instant;

use super::cause::Cause;
use super::cell::{Cell, Place};
use super::scope::Runner;
use super::tracker::Home;
use super::value::Values;

/// What a [`Ctx`](super::Ctx) points to. Fields that a context does not set itself are empty and looked up in its
/// ancestors, so that to derive one touches no reference count but its parent's.
pub(super) struct Node {
    pub(super) parent: Option<Arc<Node>>,
    /// The second side of a merge.
    pub(super) other: Option<Arc<Node>>,
    /// The earliest of its own and its ancestors'. A number: nothing is armed for it.
    pub(super) deadline: Option<Deadline>,
    /// Whether waiters register here and not further up: it can be canceled by itself.
    pub(super) is_anchor: bool,
    pub(super) cell: Cell<Cause, Links>,
    /// All values in sight, if one was added here.
    pub(super) values: Option<Arc<Values>>,
    /// Where tasks are entered, if that changes here.
    pub(super) home: Option<Arc<Home>>,
}

/// When to stop, and which line said so.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    pub(super) at: Instant,
    pub(super) set_by: &'static Location<'static>,
}

/// The places that an anchor has with the anchors above it: two after a merge.
pub(super) struct Links {
    _links: [Option<Link>; 2],
}

/// A place with an anchor above, given up with its owner.
struct Link {
    above: Arc<Node>,
    place: Place,
}

/// Passes on that an ancestor is done. Weak, or an anchor and its link would keep each other alive.
struct Echo(Weak<Node>);

impl Node {
    pub(super) fn root() -> Self {
        Self {
            parent: None,
            other: None,
            deadline: None,
            is_anchor: false,
            cell: Cell::new(),
            values: None,
            home: None,
        }
    }

    pub(super) fn child_of(parent: &Arc<Self>) -> Self {
        Self { parent: Some(Arc::clone(parent)), deadline: parent.deadline, ..Self::root() }
    }

    /// R4: its own cause, else that of an ancestor, else that its deadline has passed. What is found is kept.
    pub(super) fn err(&self) -> Option<Cause> {
        self.cell.cause().or_else(|| self.err_at(self.deadline.map(|_| Instant::now())))
    }

    /// As deep as contexts that can be canceled are nested; values and equal deadlines do not add to it.
    fn err_at(&self, now: Option<Instant>) -> Option<Cause> {
        if let Some(cause) = self.cell.cause() {
            return Some(cause);
        }
        let above = |node: &Option<Arc<Self>>| node.as_ref().and_then(|node| node.err_at(now));
        let cause = self.first_of(above(&self.parent).or_else(|| above(&self.other)), now)?;
        self.cell.record(cause);
        // Someone else may have been first.
        self.cell.cause()
    }

    /// What `inherited` is here. A later deadline of an ancestor means that the own one has passed before: which of them
    /// is the cause must not depend on when someone looks.
    fn first_of(&self, inherited: Option<Cause>, now: Option<Instant>) -> Option<Cause> {
        match (inherited, self.deadline) {
            (Some(Cause::DeadlineExceeded { at, .. }), Some(own)) if own.at < at => Some(own.exceeded()),
            (Some(cause), _) => Some(cause),
            (None, Some(own)) => now.is_some_and(|now| now >= own.at).then(|| own.exceeded()),
            (None, None) => None,
        }
    }

    /// The nearest context, this one included, where waiters register. `None`: only a deadline can end it.
    pub(super) fn anchor(self: &Arc<Self>) -> Option<&Arc<Self>> {
        let mut node = self;
        while !node.is_anchor {
            node = node.parent.as_ref()?;
        }
        Some(node)
    }

    /// Registers a waiter at this anchor, and the anchor with those above it.
    pub(super) fn watch(self: &Arc<Self>, place: Option<Place>, waker: &Waker) -> Place {
        self.cell.watch(place, waker, || {
            let above =
                |node: &Option<Arc<Self>>| node.as_ref().and_then(Self::anchor).map(|above| self.link(above));
            Links { _links: [above(&self.parent), above(&self.other)] }
        })
    }

    fn link(self: &Arc<Self>, above: &Arc<Self>) -> Link {
        let echo = Waker::from(Arc::new(Echo(Arc::downgrade(self))));
        Link { place: above.watch(None, &echo), above: Arc::clone(above) }
    }

    pub(super) fn values(&self) -> Option<&Arc<Values>> {
        self.lineage().find_map(|node| node.values.as_ref())
    }

    pub(super) fn home(&self) -> Option<&Arc<Home>> {
        self.lineage().find_map(|node| node.home.as_ref())
    }

    fn lineage(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |node| node.parent.as_deref())
    }

    /// Whether `outer` is this context, or one above on any side.
    pub(super) fn is_within(&self, outer: &Self) -> bool {
        let above = |node: &Option<Arc<Self>>| node.as_ref().is_some_and(|node| node.is_within(outer));
        std::ptr::eq(self, outer) || above(&self.parent) || above(&self.other)
    }

    /// Whether a scope that `by` has opened is here or between here and `outer`.
    pub(super) fn is_in_scope_of(&self, outer: &Self, by: Runner) -> bool {
        let is_opened = |home: &Arc<Home>| home.scope.as_ref().is_some_and(|scope| scope.opened_by == by);
        let above =
            |node: &Option<Arc<Self>>| node.as_ref().is_some_and(|node| node.is_in_scope_of(outer, by));
        !std::ptr::eq(self, outer)
            && (self.home.as_ref().is_some_and(is_opened) || above(&self.parent) || above(&self.other))
    }

    /// The nearest context that is more than its parent with other values.
    pub(super) fn without_values(&self) -> &Self {
        self.lineage().find(|node| !node.has_only_values()).unwrap_or(self)
    }

    /// Whether it adds nothing but values to its parent, so that a child may skip it: its cause is always its parent's.
    pub(super) fn has_only_values(&self) -> bool {
        let inherited = self.parent.as_ref().map(|parent| parent.deadline.map(|deadline| deadline.at));
        inherited == Some(self.deadline.map(|deadline| deadline.at))
            && !self.is_anchor
            && self.other.is_none()
            && self.home.is_none()
    }
}

impl Deadline {
    pub(super) fn exceeded(self) -> Cause {
        Cause::DeadlineExceeded { at: self.at, set_by: self.set_by }
    }
}

impl Wake for Echo {
    fn wake(self: Arc<Self>) {
        if let Some(node) = self.0.upgrade() {
            node.cell.echo();
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.above.cell.leave(self.place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_small_enough_for_a_million_r26() {
        // Two reference counts go with it.
        assert!(size_of::<Node>() + 16 <= 120, "{}", size_of::<Node>());
    }
}
