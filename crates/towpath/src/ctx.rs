//! One request's life: when to stop, whether to stop now and why, and a few facts about it.
//!
//! A [`Ctx`] is passed as `&Ctx` down the calls of a request. Rules R1 to R27 of its design are named where they are kept.
//!
//! ```text
//!   background ── with_cancel ── with_timeout ── with(value)
//!                 (anchor)  │     deadline: a number       values: copied on write
//!                           │
//!        waiters <── echo ──┴── scope (anchor) ── spawn, spawn, spawn
//! ```
//!
//! **Down, by looking.** [`Ctx::err`] reads its own cause, those of its ancestors, and compares its deadline with the
//! clock. Nothing is armed, nobody is told, and a context that nobody waits for costs its parent nothing.
//!
//! **Down, by waking.** Who waits registers at the nearest context that can be canceled, its *anchor*; the first waiter
//! of an anchor ties it to the anchor above. So a context of the whole server sees one place for each connection that
//! waits and not one for each request, and an unwaited request touches no lock of anyone's.
//!
//! **Work.** [`Ctx::scope`] returns when its tasks have ended, [`Ctx::spawn`] starts them, [`Ctx::shield`] and
//! [`Ctx::detach`] are the two ways for work to outlive its caller, both counted by the [`Tracker`] that a drain waits
//! for. **Peers.** [`wire`] reads deadlines, trace and values from headers and writes them.

mod cause;
mod cell;
mod detach;
mod done;
mod gate;
mod guard;
mod merge;
mod node;
mod scope;
mod task;
mod tracker;
mod value;
pub mod wire;

use std::fmt;
use std::panic::Location;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::time::Instant;

pub use self::cause::{Cause, Reason};
pub use self::detach::{Shielded, StopHandle};
pub use self::done::Done;
pub use self::guard::{CancelGuard, Canceler};
pub(crate) use self::scope::Runner;
pub use self::scope::ScopeError;
pub use self::task::{Task, TaskError};
pub use self::tracker::{TaskInfo, Tracker};
pub use self::value::{CtxValue, Propagate};
pub use towpath_derive::CtxValue;

use self::node::{Deadline, Node};

/// What the model test replaces by its own.
mod sync {
    pub(super) use std::sync::atomic::{AtomicBool, Ordering};
    pub(super) use std::sync::{Mutex, MutexGuard};
}

/// Longest timeout; a longer one is cut to it (R3). What takes a century has no deadline.
const TIMEOUT_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// One for all: nothing about it ever changes, and who makes contexts by the thousand derives them from a server's.
static BACKGROUND: LazyLock<Ctx> = LazyLock::new(|| Ctx(Arc::new(Node::root())));

/// The life of one request; see the [module](self). A clone is the same context and costs one atomic addition.
///
/// Pass it as `&Ctx`, first, and do not keep it: a struct with a context in it lives longer than the request it was for, and
/// whoever reads a call no longer sees what bounds it. What has a life of its own, such as a task, is given a clone.
///
/// ```
/// use std::time::Duration;
/// use towpath::ctx::{Cause, Ctx};
///
/// let (ctx, guard) = Ctx::background().with_cancel();
/// let short = ctx.with_timeout(Duration::from_secs(2));
/// assert!(short.check().is_ok());
/// guard.cancel(Cause::ClientGone);
/// assert!(matches!(short.err(), Some(Cause::ClientGone)));
/// ```
#[derive(Clone)]
pub struct Ctx(Arc<Node>);

impl Ctx {
    /// A root: never done, without deadline and values. For `main`, for tests, and for nothing inside a handler: what is
    /// asked for there would go on when the client has gone. Work that outlives a request has [`detach`](Self::detach), and
    /// who only wants no deadline has [`without_cancel`](Self::without_cancel).
    ///
    /// Called where a context is [current](Self::current), as in a handler or a task, each such line is told of once on
    /// standard error (R22).
    ///
    /// ```
    /// let ctx = towpath::ctx::Ctx::background();
    /// assert!(ctx.check().is_ok() && ctx.deadline().is_none());
    /// ```
    #[track_caller]
    pub fn background() -> Self {
        if task::has_current() {
            tracker::warn_once(
                Location::caller(),
                "begins anew with Ctx::background() where a context is at hand",
            );
        }
        BACKGROUND.clone()
    }

    /// A root where the right context is not known yet. A release build says once for each such line that it is there.
    ///
    /// ```
    /// assert!(towpath::ctx::Ctx::todo().check().is_ok());
    /// ```
    #[track_caller]
    pub fn todo() -> Self {
        if !cfg!(debug_assertions) {
            tracker::warn_once(Location::caller(), "has no context yet: Ctx::todo()");
        }
        BACKGROUND.clone()
    }

    /// A child that the guard can end. It ends with its parent, too.
    ///
    /// ```
    /// let (ctx, guard) = towpath::ctx::Ctx::background().with_cancel();
    /// drop(guard);
    /// assert!(ctx.check().is_err());
    /// ```
    pub fn with_cancel(&self) -> (Self, CancelGuard) {
        let ctx = Self(Arc::new(Node { is_anchor: true, ..Node::child_of(&self.0) }));
        (ctx.clone(), CancelGuard::new(ctx))
    }

    /// A child that is done `span` from now at the latest. Zero is done at once; more than 100 years are 100 years (R3).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let ctx = towpath::ctx::Ctx::background().with_timeout(Duration::ZERO);
    /// assert!(ctx.check().is_err());
    /// ```
    #[track_caller]
    pub fn with_timeout(&self, span: Duration) -> Self {
        match Instant::now().checked_add(span.min(TIMEOUT_MAX)) {
            Some(at) => self.with_deadline(at),
            // A clock that cannot count so far has no deadline that anyone lives to see.
            None => self.clone(),
        }
    }

    /// A child that is done at `at`, or when this one is, whichever comes first (R2). A moment that has passed is done at
    /// once. A deadline is a number: no timer is armed before someone waits.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tokio::time::Instant;
    ///
    /// let near = Instant::now() + Duration::from_secs(1);
    /// let outer = towpath::ctx::Ctx::background().with_deadline(near);
    /// let inner = outer.with_deadline(near + Duration::from_secs(60));
    /// assert_eq!(inner.deadline(), Some(near));
    /// ```
    #[track_caller]
    pub fn with_deadline(&self, at: Instant) -> Self {
        if self.0.deadline.is_some_and(|deadline| deadline.at <= at) {
            return self.clone();
        }
        let deadline = Some(Deadline { at, set_by: Location::caller() });
        Self(Arc::new(Node { deadline, ..Node::child_of(&self.0) }))
    }

    /// A child that carries `value`, in place of an outer one of the same type.
    ///
    /// ```
    /// use towpath::ctx::{Ctx, CtxValue};
    ///
    /// #[derive(CtxValue)]
    /// #[ctx(propagate = "inherit")]
    /// struct RequestId(u64);
    ///
    /// let ctx = Ctx::background().with(RequestId(7));
    /// assert_eq!(ctx.get::<RequestId>().map(|id| id.0), Some(7));
    /// ```
    pub fn with<T: CtxValue>(&self, value: T) -> Self {
        let values = self.0.values().map_or_else(Default::default, |values| value::Values::clone(values));
        self.with_values(values.with(value))
    }

    /// The value of this type, from here or the nearest context above that has one.
    ///
    /// ```
    /// use towpath::ctx::{Ctx, CtxValue};
    ///
    /// #[derive(CtxValue)]
    /// #[ctx(propagate = "local")]
    /// struct Secret;
    ///
    /// assert!(Ctx::background().get::<Secret>().is_none());
    /// ```
    pub fn get<T: CtxValue>(&self) -> Option<&T> {
        self.0.values()?.get()
    }

    /// When it is done at the latest; in O(1).
    ///
    /// ```
    /// assert_eq!(towpath::ctx::Ctx::background().deadline(), None);
    /// ```
    pub fn deadline(&self) -> Option<Instant> {
        self.0.deadline.map(|deadline| deadline.at)
    }

    /// How long until the deadline; zero once it has passed.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let ctx = towpath::ctx::Ctx::background().with_timeout(Duration::from_secs(60));
    /// assert!(ctx.remaining().is_some_and(|left| left <= Duration::from_secs(60)));
    /// ```
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline().map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Why it is done; `None` while it is not. Once there is an answer it stays.
    ///
    /// ```
    /// let (ctx, guard) = towpath::ctx::Ctx::background().with_cancel();
    /// assert!(ctx.err().is_none());
    /// guard.cancel("enough");
    /// assert!(ctx.err().is_some());
    /// ```
    pub fn err(&self) -> Option<Cause> {
        self.0.err()
    }

    /// [`err`](Self::err) for loops that do not wait: `ctx.check()?`.
    ///
    /// # Errors
    /// It is done.
    ///
    /// ```
    /// use towpath::ctx::{Cause, Ctx};
    ///
    /// fn sum(ctx: &Ctx, numbers: &[u64]) -> Result<u64, Cause> {
    ///     let mut sum = 0;
    ///     for number in numbers {
    ///         ctx.check()?;
    ///         sum += number;
    ///     }
    ///     Ok(sum)
    /// }
    /// assert_eq!(sum(&Ctx::background(), &[1, 2, 3]).ok(), Some(6));
    /// ```
    pub fn check(&self) -> Result<(), Cause> {
        self.err().map_or(Ok(()), Err)
    }

    /// The context of the handler or task that runs, for log lines and for callbacks of others. Never ask it whether to stop: it does
    /// not follow work that was started by other means than [`spawn`](Self::spawn).
    ///
    /// ```
    /// assert!(towpath::ctx::Ctx::current().is_none());
    /// ```
    pub fn current() -> Option<Self> {
        task::current()
    }

    /// Whether this is `outer` or was derived from it, by whatever steps. Values make no other request of it.
    pub(crate) fn is_within(&self, outer: &Self) -> bool {
        self.0.is_within(outer.0.without_values())
    }

    /// Whether this is inside a scope that `by` has opened within `outer`, and so waits for.
    pub(crate) fn is_waited_for(&self, outer: &Self, by: Runner) -> bool {
        self.0.is_in_scope_of(outer.0.without_values(), by)
    }

    /// A child with exactly these values. One that only adds values is skipped, so that a loop of `with` does not grow.
    fn with_values(&self, values: value::Values) -> Self {
        let parent = self.0.parent.as_ref().filter(|_| self.0.has_only_values()).unwrap_or(&self.0);
        Self(Arc::new(Node { values: Some(Arc::new(values)), ..Node::child_of(parent) }))
    }
}

impl fmt::Debug for Ctx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ctx")
            .field("deadline", &self.deadline())
            .field("err", &self.err())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
