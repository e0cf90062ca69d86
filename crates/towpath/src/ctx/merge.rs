//! Contexts out of two, and out of none.

use std::sync::Arc;

use super::node::Node;
use super::tracker::Home;
use super::value::Values;
use super::{Ctx, node};

impl Ctx {
    /// A context with the values of this one and neither its deadline nor its end (R7).
    ///
    /// ```
    /// let (ctx, guard) = towpath::ctx::Ctx::background().with_cancel();
    /// let on = ctx.without_cancel();
    /// drop(guard);
    /// assert!(ctx.check().is_err() && on.check().is_ok());
    /// ```
    pub fn without_cancel(&self) -> Self {
        self.root_with(self.0.values().cloned())
    }

    /// A context that is done when either is: the earlier deadline, both cancels, and of two values of one type that of
    /// `a` (R7).
    ///
    /// ```
    /// use towpath::ctx::Ctx;
    ///
    /// let (request, _guard) = Ctx::background().with_cancel();
    /// let (server, shutdown) = Ctx::background().with_cancel();
    /// let both = Ctx::merge(&request, &server);
    /// drop(shutdown);
    /// assert!(both.check().is_err() && request.check().is_ok());
    /// ```
    pub fn merge(a: &Self, b: &Self) -> Self {
        let deadline = earlier(a.0.deadline, b.0.deadline);
        let values =
            b.0.values().map(|b| Arc::new(a.0.values().map_or_else(|| Values::clone(b), |a| a.or(b))));
        let other = Some(Arc::clone(&b.0));
        Self(Arc::new(Node { other, deadline, is_anchor: true, values, ..Node::child_of(&a.0) }))
    }

    /// A root with `values`, whose tasks belong to no scope but are tracked where those of this one are.
    pub(super) fn root_with(&self, values: Option<Arc<Values>>) -> Self {
        let home = self.0.home().map(|home| Arc::new(Home::of(home.tracker.clone())));
        Self(Arc::new(Node { values, home, ..Node::root() }))
    }
}

fn earlier(a: Option<node::Deadline>, b: Option<node::Deadline>) -> Option<node::Deadline> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.at < a.at { b } else { a }),
        (a, b) => a.or(b),
    }
}
