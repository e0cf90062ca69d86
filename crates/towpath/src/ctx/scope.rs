//! A scope: returns when its tasks have ended, and not before.
//!
//! ```text
//!   running ──all ended──> returns
//!      │ its context is done, or the body or a task failed
//!      v
//!   signalled ──all ended──> returns          grace: 5 s, never past the deadline
//!      │ grace is over: what is left is dropped
//!      v
//!   dropped ──all ended──> returns
//!      │ something cannot be dropped: it blocks
//!      v
//!   leaked: named, counted, left to the tracker
//! ```

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread::{self, ThreadId};
use std::time::Duration;

use tokio::task::{self, AbortHandle};
use tokio::time::Instant;
use towpath_net::time::{timeout, timeout_at};

use super::Ctx;
use super::cause::Cause;
use super::gate::{Gate, Place};
use super::guard::CancelGuard;
use super::node::Node;
use super::task::TaskError;
use super::tracker::{Home, TaskInfo, Tracker};

/// How long a task may take from being dropped to being gone. To drop a future is a matter of microseconds; the rest is
/// for a machine that is busy elsewhere. A task that is there afterwards does not yield.
const DROP_TIME_MAX: Duration = Duration::from_millis(100);

/// How many errors are kept: the first says what went wrong, and ten thousand tasks that fail together say it again.
const ERRORS_KEPT_COUNT_MAX: usize = 16;

/// Why a scope has no value. Errors that came after the first are in `later`, at most 15 of them.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use towpath::ctx::{Ctx, ScopeError};
///
/// let result: Result<(), ScopeError<&str>> = Ctx::background().scope(|_ctx| async { Err("no luck") }).await;
/// assert!(matches!(result, Err(ScopeError::Body { error: "no luck", .. })));
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ScopeError<E> {
    /// The body returned an error, and no task before it.
    Body {
        /// What the body returned.
        error: E,
        /// What tasks returned after it.
        later: Vec<TaskError>,
    },
    /// A task failed first.
    Task {
        /// The task's error.
        error: TaskError,
        /// What other tasks returned after it.
        later: Vec<TaskError>,
        /// What the body returned after it, if that was an error.
        body: Option<E>,
    },
    /// The context was done first, and not all had ended by themselves and well.
    Canceled {
        /// Why the context was done.
        cause: Cause,
        /// What tasks returned after it.
        later: Vec<TaskError>,
        /// What the body returned after it, if that was an error.
        body: Option<E>,
    },
    /// Some tasks could not be ended: they block. The tracker keeps them until they end.
    Leaked {
        /// Which.
        tasks: Vec<TaskInfo>,
        /// What the scope would have returned without them, if that was an error.
        first: Option<Box<ScopeError<E>>>,
    },
}

impl<E> ScopeError<E> {
    /// Why the context was done, if that ended the scope.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// use std::time::Duration;
    /// use towpath::ctx::{Cause, Ctx};
    ///
    /// let ctx = Ctx::background().with_timeout(Duration::from_secs(1));
    /// let endless = ctx.scope(|_ctx| std::future::pending::<Result<(), Cause>>()).await;
    /// assert!(matches!(endless.unwrap_err().cause(), Some(Cause::DeadlineExceeded { .. })));
    /// # }
    /// ```
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Canceled { cause, .. } => Some(cause),
            Self::Leaked { first, .. } => first.as_ref()?.cause(),
            Self::Body { .. } | Self::Task { .. } => None,
        }
    }

    /// Whether tasks were left behind.
    ///
    /// ```
    /// use towpath::ctx::ScopeError;
    ///
    /// assert!(!ScopeError::Body { error: "late", later: Vec::new() }.is_leaked());
    /// ```
    pub fn is_leaked(&self) -> bool {
        matches!(self, Self::Leaked { .. })
    }
}

impl<E: fmt::Display> fmt::Display for ScopeError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body { error, .. } => error.fmt(f),
            Self::Task { error, .. } => error.fmt(f),
            Self::Canceled { cause, .. } => cause.fmt(f),
            Self::Leaked { tasks, .. } => {
                f.write_str("tasks that cannot be ended:")?;
                tasks.iter().try_for_each(|task| write!(f, " {task};"))
            }
        }
    }
}

impl<E: Error + 'static> Error for ScopeError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Body { error, .. } => Some(error),
            Self::Task { error, .. } => Some(error),
            Self::Canceled { cause, .. } => Some(cause),
            Self::Leaked { first, .. } => first.as_deref().map(|first| first as _),
        }
    }
}

impl Ctx {
    /// Runs `body` with a context of its own and returns when it and every task started below that context have ended.
    ///
    /// The first error, of the body or of a task, cancels all others and is the result. A panic is raised again after all
    /// have ended. When this context is done they are told, have the tracker's grace (5 s, never past the deadline), and
    /// are dropped then. What cannot be dropped, because it blocks, is named by [`ScopeError::Leaked`] (R12, R13).
    ///
    /// *Discard-on-cancel*: to drop it tells and drops its tasks, too, without waiting for them; the tracker does (R14).
    ///
    /// # Errors
    /// See [`ScopeError`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use std::num::ParseIntError;
    /// use towpath::ctx::{Ctx, TaskError};
    ///
    /// let root = Ctx::background();
    /// let both = root.scope(|ctx| async move {
    ///     let left = ctx.spawn("left", |_ctx| async { "40".parse::<u32>() });
    ///     let right = ctx.spawn("right", |_ctx| async { "2".parse::<u32>() });
    ///     Ok::<_, TaskError>(left.await? + right.await?)
    /// });
    /// assert_eq!(both.await.ok(), Some(42));
    /// # }
    /// ```
    pub async fn scope<T, E, F, Fut>(&self, body: F) -> Result<T, ScopeError<E>>
    where
        F: FnOnce(Self) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        if let Err(cause) = self.check() {
            return Err(ScopeError::Canceled { cause, later: Vec::new(), body: None });
        }
        let (ctx, mut running) = Running::new(self, body);
        let mut done = ctx.done();
        let is_told = poll_fn(|cx| match running.poll_ended(cx) {
            Poll::Ready(()) => Poll::Ready(false),
            Poll::Pending => Pin::new(&mut done).poll(cx).map(|_| true),
        })
        .await;
        if is_told {
            running.stop(self).await;
        }
        running.outcome(&ctx)
    }
}

/// A scope on its way. The order of its fields is the order of their end when the scope is dropped.
struct Running<T, Fut> {
    body: Option<Pin<Box<Fut>>>,
    end: End,
    /// What the body returned.
    result: Option<T>,
    /// Whether the body failed before any task.
    is_body_first: bool,
    /// What ended the scope from outside, unless something failed before.
    cause: Option<Cause>,
    /// Whether something was dropped before its end.
    is_forced: bool,
    leaked: Vec<TaskInfo>,
    tracker: Tracker,
}

impl<T, E, Fut: Future<Output = Result<T, E>>> Running<Result<T, E>, Fut> {
    fn new(outer: &Ctx, body: impl FnOnce(Ctx) -> Fut) -> (Ctx, Self) {
        let (tracker, inside) = (outer.tracker(), Arc::new(Inside::new()));
        let home = Some(Arc::new(Home { tracker: tracker.clone(), scope: Some(Arc::clone(&inside)) }));
        let ctx = Ctx(Arc::new(Node { is_anchor: true, home, ..Node::child_of(&outer.0) }));
        let end = End { guard: CancelGuard::new(ctx.clone()), inside };
        let running = Self {
            body: Some(Box::pin(body(ctx.clone()))),
            end,
            result: None,
            is_body_first: false,
            cause: None,
            is_forced: false,
            leaked: Vec::new(),
            tracker,
        };
        (ctx, running)
    }

    /// Ready when the body and all tasks have ended; then no task can begin.
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_body(cx);
        let inside = &self.end.inside;
        let poll = match self.body {
            Some(_) => {
                inside.gate.register(cx);
                Poll::Pending
            }
            None => inside.gate.poll_empty(cx, true),
        };
        // After the registration: a task tells what failed before it leaves, so one of the two is seen.
        if inside.has_failed() {
            self.end.guard.cancel("a task of the scope failed");
        }
        poll
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) {
        let Some(body) = &mut self.body else { return };
        match catch_unwind(AssertUnwindSafe(|| body.as_mut().poll(cx))) {
            Ok(Poll::Pending) => return,
            Ok(Poll::Ready(result)) => self.keep(result),
            Err(payload) => self.end.inside.panicked(payload),
        }
        self.body = None;
    }

    fn keep(&mut self, result: Result<T, E>) {
        if result.is_err() {
            self.is_body_first = !self.end.inside.has_failed();
            self.end.guard.cancel("the body of the scope failed");
        }
        self.result = Some(result);
    }

    /// Waits for the grace, drops what is left and waits for that.
    async fn stop(&mut self, outer: &Ctx) {
        let has_failed = matches!(self.result, Some(Err(_))) || self.end.inside.has_failed();
        self.cause = if has_failed { None } else { outer.err() };
        let grace = Instant::now() + self.tracker.grace();
        let until = outer.deadline().map_or(grace, |deadline| deadline.min(grace));
        if timeout_at(until, poll_fn(|cx| self.poll_ended(cx))).await.is_ok() {
            return;
        }
        self.is_forced = true;
        self.body = None;
        self.end.inside.abort_all();
        if timeout(DROP_TIME_MAX, poll_fn(|cx| self.poll_ended(cx))).await.is_err() {
            self.leave_behind();
        }
    }

    fn leave_behind(&mut self) {
        self.end.inside.gate.close();
        self.leaked = self.end.inside.gate.collect(|member| member.info.clone());
        self.tracker.report_leaks(&self.leaked);
    }

    fn outcome(mut self, ctx: &Ctx) -> Result<T, ScopeError<E>> {
        let failures = std::mem::take(&mut *self.end.inside.failures());
        if let Some(payload) = failures.panic {
            resume_unwind(payload);
        }
        let tasks = std::mem::take(&mut self.leaked);
        let result = self.first_error(failures.errors, ctx);
        if tasks.is_empty() {
            return result;
        }
        Err(ScopeError::Leaked { tasks, first: result.err().map(Box::new) })
    }

    fn first_error(mut self, mut later: Vec<TaskError>, ctx: &Ctx) -> Result<T, ScopeError<E>> {
        let body = match self.result.take() {
            Some(Ok(value)) if later.is_empty() && !self.is_forced => return Ok(value),
            Some(Err(error)) if self.is_body_first => return Err(ScopeError::Body { error, later }),
            Some(Err(error)) => Some(error),
            _ => None,
        };
        if let Some(cause) = self.cause.take() {
            return Err(ScopeError::Canceled { cause, later, body });
        }
        if later.is_empty() {
            // Dropped by force with nothing failed: only a context that is done leads here.
            let cause = ctx.err().unwrap_or(Cause::from("the scope was stopped"));
            return Err(ScopeError::Canceled { cause, later, body });
        }
        Err(ScopeError::Task { error: later.remove(0), later, body })
    }
}

/// Tells the tasks and drops them, when the scope itself is dropped (R14). After a return there are none.
struct End {
    guard: CancelGuard,
    inside: Arc<Inside>,
}

impl Drop for End {
    fn drop(&mut self) {
        self.guard.cancel("the scope has ended");
        self.inside.gate.close();
        self.inside.abort_all();
    }
}

/// The tasks of a scope and what they have to say to it.
pub(super) struct Inside {
    pub(super) opened_by: Runner,
    pub(super) gate: Gate<Member>,
    failures: Mutex<Failures>,
    is_aborting: AtomicBool,
}

/// What code runs as: a task, or a thread outside of any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Runner(Result<task::Id, ThreadId>);

impl Runner {
    /// What asks.
    pub(crate) fn now() -> Self {
        Self(task::try_id().ok_or_else(|| thread::current().id()))
    }
}

/// One task of a scope.
pub(super) struct Member {
    info: TaskInfo,
    /// Known a moment after the task has entered.
    abort: Option<AbortHandle>,
}

impl Member {
    pub(super) fn new(info: TaskInfo) -> Self {
        Self { info, abort: None }
    }
}

#[derive(Default)]
struct Failures {
    /// At most [`ERRORS_KEPT_COUNT_MAX`].
    errors: Vec<TaskError>,
    /// The first.
    panic: Option<Box<dyn Any + Send>>,
}

impl Inside {
    fn new() -> Self {
        Self {
            opened_by: Runner::now(),
            gate: Gate::new(),
            failures: Mutex::default(),
            is_aborting: AtomicBool::new(false),
        }
    }

    pub(super) fn failed(&self, error: TaskError) {
        let mut failures = self.failures();
        if failures.errors.len() < ERRORS_KEPT_COUNT_MAX {
            failures.errors.push(error);
        }
    }

    pub(super) fn panicked(&self, payload: Box<dyn Any + Send>) {
        self.failures().panic.get_or_insert(payload);
    }

    fn has_failed(&self) -> bool {
        let failures = self.failures();
        !failures.errors.is_empty() || failures.panic.is_some()
    }

    /// A task that has just been started can be aborted from now on.
    pub(super) fn can_abort(&self, place: Place, handle: AbortHandle) {
        self.gate.update(place, |member| member.abort = Some(handle.clone()));
        // Either `abort_all` finds the handle or this finds that it has been there: the gate's lock orders the two.
        if self.is_aborting.load(Ordering::SeqCst) {
            handle.abort();
        }
    }

    fn abort_all(&self) {
        self.is_aborting.store(true, Ordering::SeqCst);
        let handles = self.gate.collect(|member| member.abort.clone());
        handles.into_iter().flatten().for_each(|handle| handle.abort());
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
