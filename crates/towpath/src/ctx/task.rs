//! Tasks with a name, a context and a place to be waited for.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::task::JoinHandle;

use super::Ctx;
use super::cause::Cause;
use super::done::Done;
use super::tracker::{Seat, TaskInfo};

tokio::task_local! {
    static CURRENT: Ctx;
}

/// What fails a task: any error, boxed.
pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// The context of the task that is being polled.
pub(super) fn current() -> Option<Ctx> {
    CURRENT.try_with(Ctx::clone).ok()
}

/// Whether a handler or a task is being polled.
pub(super) fn has_current() -> bool {
    CURRENT.try_with(|_| ()).is_ok()
}

impl Ctx {
    /// Runs one poll of what has this context, which is [current](Self::current) meanwhile.
    pub(crate) fn enter<R>(&self, poll: impl FnOnce() -> R) -> R {
        CURRENT.sync_scope(self.clone(), poll)
    }
}

/// A task that was started. Awaiting it gives what it returned; dropping it leaves the task alone. *Cancel-safe*.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use std::convert::Infallible;
/// use towpath::ctx::Ctx;
///
/// let task = Ctx::background().spawn("add", |_ctx| async { Ok::<_, Infallible>(1 + 1) });
/// assert_eq!(task.await.ok(), Some(2));
/// # }
/// ```
#[derive(Debug)]
pub struct Task<T> {
    name: &'static str,
    state: State<T>,
}

#[derive(Debug)]
enum State<T> {
    Started(JoinHandle<Result<T, TaskError>>),
    /// Never started; the error until someone asks.
    Refused(TaskError),
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let task = self.name;
        match &mut self.state {
            State::Refused(error) => Poll::Ready(Err(error.clone())),
            State::Started(handle) => Pin::new(handle).poll(cx).map(|joined| match joined {
                Ok(output) => output,
                // Panics are caught within the task, so what is left is that it was dropped.
                Err(_) => Err(TaskError::Dropped { task }),
            }),
        }
    }
}

/// Why a task did not return a value. Cloned because its scope and whoever awaits it are both told.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use towpath::ctx::{Ctx, TaskError};
///
/// let task = Ctx::background().spawn("parse", |_ctx| async { "seven".parse::<u8>() });
/// let error = task.await.unwrap_err();
/// assert!(matches!(error, TaskError::Failed { task: "parse", .. }));
/// assert_eq!(error.to_string(), "task \"parse\" failed: invalid digit found in string");
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TaskError {
    /// It returned an error.
    Failed {
        /// The task's name.
        task: &'static str,
        /// What it returned.
        error: Arc<dyn Error + Send + Sync>,
    },
    /// Its context was done before it was; it belonged to no scope, so there was no grace.
    Canceled {
        /// The task's name.
        task: &'static str,
        /// Why the context was done.
        cause: Cause,
    },
    /// It was dropped before its end: the grace of its scope was over, or its runtime ended.
    Dropped {
        /// The task's name.
        task: &'static str,
    },
    /// It panicked. A scope raises the panic again.
    Panicked {
        /// The task's name.
        task: &'static str,
        /// What the panic said, if it was text.
        message: String,
    },
    /// It was never started: its scope has returned.
    Closed {
        /// The task's name.
        task: &'static str,
    },
    /// It was never started: there are too many. Later there may be room.
    Full {
        /// The task's name.
        task: &'static str,
        /// How many there may be.
        max: usize,
    },
}

impl TaskError {
    /// The name of the task.
    ///
    /// ```
    /// assert_eq!(towpath::ctx::TaskError::Dropped { task: "poll" }.task(), "poll");
    /// ```
    pub fn task(&self) -> &'static str {
        match self {
            Self::Failed { task, .. }
            | Self::Canceled { task, .. }
            | Self::Dropped { task }
            | Self::Panicked { task, .. }
            | Self::Closed { task }
            | Self::Full { task, .. } => task,
        }
    }

    /// Whether starting the same task later may succeed.
    ///
    /// ```
    /// assert!(towpath::ctx::TaskError::Full { task: "poll", max: 8 }.is_retryable());
    /// ```
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Full { .. } => true,
            Self::Canceled { cause, .. } => cause.is_retryable(),
            _ => false,
        }
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {:?} ", self.task())?;
        match self {
            Self::Failed { error, .. } => write!(f, "failed: {error}"),
            Self::Canceled { cause, .. } => write!(f, "was ended: {cause}"),
            Self::Dropped { .. } => f.write_str("was dropped before its end"),
            Self::Panicked { message, .. } => write!(f, "panicked: {message}"),
            Self::Closed { .. } => f.write_str("was not started: its scope has returned"),
            Self::Full { max, .. } => write!(f, "was not started: there are {max} tasks already"),
        }
    }
}

impl Error for TaskError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed { error, .. } => Some(&**error),
            Self::Canceled { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

impl Ctx {
    /// Starts a task on the runtime's threads. In a [`scope`](Self::scope) the scope waits for it, and its first error
    /// ends its siblings; elsewhere it is dropped when this context is done.
    ///
    /// `start` is given the context for the task: this one without its [`Local`](super::Propagate::Local) values.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use towpath::ctx::{Cause, Ctx};
    ///
    /// let (ctx, guard) = Ctx::background().with_cancel();
    /// let task = ctx.spawn("listen", |ctx| async move { Err::<(), _>(ctx.done().await) });
    /// guard.cancel("enough");
    /// assert!(task.await.is_err());
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn<T, E, F, Fut>(&self, name: &'static str, start: F) -> Task<T>
    where
        F: FnOnce(Self) -> Fut,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Into<BoxError>,
    {
        self.start(TaskInfo::new(name, Location::caller()), usize::MAX, start, |child| tokio::spawn(child))
    }

    /// Starts a task on this thread, as [`spawn`](Self::spawn) does, that may hold what is not `Send`. Needs a
    /// `LocalRuntime` or `LocalSet`, which a worker has.
    ///
    /// ```
    /// # #[tokio::main(flavor = "local")]
    /// # async fn main() {
    /// use std::{convert::Infallible, rc::Rc};
    ///
    /// let here = Rc::new(7);
    /// let task = towpath::ctx::Ctx::background()
    ///     .spawn_local("count", |_ctx| async move { Ok::<_, Infallible>(*here + 1) });
    /// assert_eq!(task.await.ok(), Some(8));
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn_local<T, E, F, Fut>(&self, name: &'static str, start: F) -> Task<T>
    where
        F: FnOnce(Self) -> Fut,
        Fut: Future<Output = Result<T, E>> + 'static,
        T: 'static,
        E: Into<BoxError> + 'static,
    {
        let info = TaskInfo::new(name, Location::caller());
        self.start(info, usize::MAX, start, |child| tokio::task::spawn_local(child))
    }

    /// Starts a task as [`spawn`](Self::spawn) does, once fewer than `limit` tasks of its scope are there. Ends with a
    /// task that was not started when this context is done first. *Cancel-safe*: nothing is started before it is ready.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use std::convert::Infallible;
    ///
    /// let root = towpath::ctx::Ctx::background();
    /// let sum = root.scope(|ctx| async move {
    ///     for _ in 0..100 {
    ///         ctx.spawn_limit(8, "fetch", |_ctx| async { Ok::<_, Infallible>(()) }).await;
    ///     }
    ///     Ok::<_, Infallible>(100)
    /// });
    /// assert_eq!(sum.await.ok(), Some(100));
    /// # }
    /// ```
    #[expect(
        clippy::async_yields_async,
        reason = "the task is handed out to be awaited later, or not at all"
    )]
    #[track_caller]
    pub fn spawn_limit<T, E, F, Fut>(
        &self,
        limit: usize,
        name: &'static str,
        start: F,
    ) -> impl Future<Output = Task<T>>
    where
        F: FnOnce(Self) -> Fut,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Into<BoxError>,
    {
        let (site, limit) = (Location::caller(), limit.max(1));
        async move {
            let room = poll_fn(|cx| match self.0.home().and_then(|home| home.scope.as_ref()) {
                Some(scope) => scope.gate.poll_room(cx, limit),
                None => Poll::Ready(()),
            });
            match self.run(room).await {
                Ok(()) => self.start(TaskInfo::new(name, site), limit, start, |child| tokio::spawn(child)),
                Err(cause) => Task { name, state: State::Refused(TaskError::Canceled { task: name, cause }) },
            }
        }
    }

    /// Runs a function that blocks on the runtime's blocking threads. Nothing can end it from outside: it has to ask
    /// [`check`](Self::check) now and then. A scope waits for it until its grace is over and then names it as leaked (R25).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let task = towpath::ctx::Ctx::background().spawn_blocking("hash", |ctx| {
    ///     ctx.check()?;
    ///     Ok::<_, towpath::ctx::Cause>(42)
    /// });
    /// assert_eq!(task.await.ok(), Some(42));
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn_blocking<T, E, F>(&self, name: &'static str, job: F) -> Task<T>
    where
        F: FnOnce(&Self) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Into<BoxError>,
    {
        let ctx = self.for_tasks();
        let seat = match Seat::take(&ctx, TaskInfo::new(name, Location::caller()), usize::MAX) {
            Ok(seat) => seat,
            Err(error) => return Task { name, state: State::Refused(error) },
        };
        let at = seat.scope.clone();
        let job = Job { job: Some(job), ctx, seat };
        Task::started(name, tokio::task::spawn_blocking(move || job.run()), at)
    }

    /// Takes a seat and starts what `start` makes with `spawn`.
    pub(super) fn start<T, E, F, Fut>(
        &self,
        info: TaskInfo,
        count_max: usize,
        start: F,
        spawn: impl FnOnce(Child<Fut>) -> JoinHandle<Result<T, TaskError>>,
    ) -> Task<T>
    where
        F: FnOnce(Self) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let (name, ctx) = (info.name(), self.for_tasks());
        match Seat::take(&ctx, info, count_max) {
            Err(error) => Task { name, state: State::Refused(error) },
            Ok(seat) => {
                let at = seat.scope.clone();
                let child = Child::new(start(ctx.clone()), ctx, seat);
                Task::started(name, spawn(child), at)
            }
        }
    }

    /// What a task is given: this context without its local values (R21).
    pub(super) fn for_tasks(&self) -> Self {
        match self.0.values().filter(|values| values.has_local()) {
            Some(values) => self.with_values(values.without_local()),
            None => self.clone(),
        }
    }
}

impl<T> Task<T> {
    fn started(
        name: &'static str,
        handle: JoinHandle<Result<T, TaskError>>,
        at: Option<(Arc<super::scope::Inside>, super::gate::Place)>,
    ) -> Self {
        if let Some((scope, place)) = at {
            scope.can_abort(place, handle.abort_handle());
        }
        Self { name, state: State::Started(handle) }
    }

    /// Whether it was started.
    pub(super) fn refusal(self) -> Result<(), TaskError> {
        match self.state {
            State::Started(_) => Ok(()),
            State::Refused(error) => Err(error),
        }
    }
}

/// The future of a task. The order of its fields is the order of their end: the seat is given up last (R12).
pub(super) struct Child<F> {
    /// Boxed so that it can be dropped in its place.
    future: Option<Pin<Box<F>>>,
    /// Ends the task with its context, unless a scope does that with grace.
    done: Option<Done>,
    has_begun: bool,
    ctx: Ctx,
    seat: Seat,
}

impl<F> Child<F> {
    fn new(future: F, ctx: Ctx, seat: Seat) -> Self {
        let done = seat.scope.is_none().then(|| ctx.done());
        Self { future: Some(Box::pin(future)), done, has_begun: false, ctx, seat }
    }

    /// Whether the context ends the task here: before its first poll, or when it has to wait.
    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<TaskError> {
        let Some(done) = &mut self.done else { return Poll::Pending };
        let task = self.seat.info.name();
        Pin::new(done).poll(cx).map(|cause| TaskError::Canceled { task, cause })
    }

    fn may_begin(&mut self) -> Result<(), TaskError> {
        if self.done.is_none() || std::mem::replace(&mut self.has_begun, true) {
            return Ok(());
        }
        self.ctx.check().map_err(|cause| TaskError::Canceled { task: self.seat.info.name(), cause })
    }

    fn poll_future<T, E>(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, TaskError>>
    where
        F: Future<Output = Result<T, E>>,
        E: Into<BoxError>,
    {
        self.may_begin()?;
        let Some(future) = &mut self.future else { return Poll::Pending };
        let poll = || catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        match self.ctx.enter(poll) {
            Ok(Poll::Ready(output)) => Poll::Ready(output.map_err(|error| self.seat.failed(error.into()))),
            Ok(Poll::Pending) => self.poll_done(cx).map(Err),
            Err(payload) => Poll::Ready(Err(self.seat.panicked(payload))),
        }
    }
}

impl<F, T, E> Future for Child<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let poll = self.poll_future(cx);
        if poll.is_ready() {
            self.future = None;
        }
        poll
    }
}

/// A function for a blocking thread. The seat is given up last, also when the function never ran.
struct Job<F> {
    job: Option<F>,
    ctx: Ctx,
    seat: Seat,
}

impl<F> Job<F> {
    fn run<T, E>(mut self) -> Result<T, TaskError>
    where
        F: FnOnce(&Ctx) -> Result<T, E>,
        E: Into<BoxError>,
    {
        let Some(job) = self.job.take() else {
            return Err(TaskError::Dropped { task: self.seat.info.name() });
        };
        let ctx = &self.ctx;
        let run = || catch_unwind(AssertUnwindSafe(|| job(ctx)));
        match ctx.enter(run) {
            Ok(output) => output.map_err(|error| self.seat.failed(error.into())),
            Err(payload) => Err(self.seat.panicked(payload)),
        }
    }
}

impl Seat {
    /// Tells the scope that the task returned an error.
    fn failed(&self, error: BoxError) -> TaskError {
        let error = TaskError::Failed { task: self.info.name(), error: error.into() };
        if let Some((scope, _)) = &self.scope {
            scope.failed(error.clone());
        }
        error
    }

    /// Gives the panic to the scope, which raises it again (R13).
    fn panicked(&self, payload: Box<dyn Any + Send>) -> TaskError {
        let message = message_of(&*payload).to_owned();
        if let Some((scope, _)) = &self.scope {
            scope.panicked(payload);
        }
        TaskError::Panicked { task: self.info.name(), message }
    }
}

fn message_of(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}
