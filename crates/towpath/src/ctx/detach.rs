//! Work that outlives its caller, on purpose and counted.

use std::convert::Infallible;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::AbortHandle;

use super::Ctx;
use super::task::{Task, TaskError};
use super::tracker::{Seat, TaskInfo};

/// Longest run of a shielded step: a commit or a cancel message, not a job (R16).
const SHIELD_TIME_MAX: Duration = Duration::from_secs(30);

/// How long detached work may take unless it says so (R17).
const DETACHED_TIME: Duration = Duration::from_secs(60);

/// A step that runs to its end; see [`Ctx::shield`]. *Cancel-safe*: to drop it leaves the step alone.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let commit = towpath::ctx::Ctx::background().shield(async { "committed" });
/// assert_eq!(commit.await.ok(), Some("committed"));
/// # }
/// ```
#[derive(Debug)]
pub struct Shielded<T>(Task<T>);

impl<T> Future for Shielded<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

/// Takes back what [`Ctx::on_done`] has set up. Dropping it takes nothing back.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (ctx, _guard) = towpath::ctx::Ctx::background().with_cancel();
/// let handle = ctx.on_done(async { unreachable!("it is stopped before") });
/// assert!(handle.stop());
/// assert!(!handle.stop());
/// # }
/// ```
#[derive(Debug)]
pub struct StopHandle {
    /// Set by whoever is first: the run or the stop.
    is_decided: Arc<AtomicBool>,
    /// The task that waits; none if the context can never be done.
    waiting: Option<AbortHandle>,
}

impl StopHandle {
    /// True when this call prevented the run; false when it has begun, or was prevented before.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let ctx = towpath::ctx::Ctx::background();
    /// assert!(ctx.on_done(async {}).stop());
    /// # }
    /// ```
    pub fn stop(&self) -> bool {
        let has_prevented = decide(&self.is_decided);
        if has_prevented {
            self.waiting.iter().for_each(AbortHandle::abort);
        }
        has_prevented
    }
}

/// Whether the caller is the first to decide.
fn decide(is_decided: &AtomicBool) -> bool {
    !is_decided.swap(true, Ordering::AcqRel)
}

impl Ctx {
    /// Runs a step that must not stop half-way as a task, which goes on when the caller is dropped and this context is
    /// done. It begins at once, has 30 s, and a drain waits for it (R16).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (ctx, guard) = towpath::ctx::Ctx::background().with_cancel();
    /// let commit = ctx.shield(async { tokio::task::yield_now().await });
    /// drop(guard);
    /// assert!(commit.await.is_ok());
    /// # }
    /// ```
    #[track_caller]
    pub fn shield<T, Fut>(&self, step: Fut) -> Shielded<T>
    where
        Fut: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let info = TaskInfo::new("shield", Location::caller());
        let ctx = self.without_cancel().with_timeout(SHIELD_TIME_MAX);
        let step = async { Ok::<_, Infallible>(step.await) };
        Shielded(ctx.start(info, usize::MAX, |_ctx| step, |child| tokio::spawn(child)))
    }

    /// Starts work that outlives the request: with the values that are not [`Local`](super::Propagate::Local), without the
    /// request's cancel and deadline, 60 s of its own, and known to the tracker, so that a drain waits for it (R17).
    ///
    /// # Errors
    /// There are too many tasks.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), towpath::ctx::TaskError> {
    /// let (request, guard) = towpath::ctx::Ctx::background().with_cancel();
    /// request.detach("invoice", |ctx| async move { assert!(ctx.check().is_ok()) })?;
    /// drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn detach<F, Fut>(&self, name: &'static str, start: F) -> Result<(), TaskError>
    where
        F: FnOnce(Self) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.detach_for(DETACHED_TIME, name, start)
    }

    /// [`detach`](Self::detach) with another time.
    ///
    /// # Errors
    /// There are too many tasks.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), towpath::ctx::TaskError> {
    /// use std::time::Duration;
    ///
    /// let request = towpath::ctx::Ctx::background();
    /// request.detach_for(Duration::from_secs(600), "export", |ctx| async move {
    ///     assert!(ctx.remaining().is_some());
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn detach_for<F, Fut>(&self, span: Duration, name: &'static str, start: F) -> Result<(), TaskError>
    where
        F: FnOnce(Self) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let info = TaskInfo::new(name, Location::caller());
        let start = |ctx| {
            let work = start(ctx);
            async {
                work.await;
                Ok::<_, Infallible>(())
            }
        };
        self.detached(span).start(info, usize::MAX, start, |child| tokio::spawn(child)).refusal()
    }

    /// [`detach`](Self::detach) on this thread, for what may hold what is not `Send` and has a value for whoever is still
    /// there. It needs what [`spawn_local`](Self::spawn_local) needs.
    #[track_caller]
    pub(crate) fn detach_local<T, F, Fut>(&self, name: &'static str, start: F) -> Task<T>
    where
        F: FnOnce(Self) -> Fut,
        Fut: Future<Output = Result<T, Infallible>> + 'static,
        T: 'static,
    {
        let info = TaskInfo::new(name, Location::caller());
        let spawn = |child| tokio::task::spawn_local(child);
        self.detached(DETACHED_TIME).start(info, usize::MAX, start, spawn)
    }

    /// The context of work that outlives what this one is for.
    fn detached(&self, span: Duration) -> Self {
        let values = self.0.values().map(|values| Arc::new(values.without_local()));
        self.root_with(values).with_timeout(span)
    }

    /// Runs `work` in a task of its own once this context is done, unless it is stopped before (R8). The task is known to
    /// the tracker from then on.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (ctx, guard) = towpath::ctx::Ctx::background().with_cancel();
    /// let (told, is_told) = tokio::sync::oneshot::channel();
    /// ctx.on_done(async { told.send(()).unwrap_or_default() });
    /// drop(guard);
    /// assert!(is_told.await.is_ok());
    /// # }
    /// ```
    #[track_caller]
    pub fn on_done<Fut>(&self, work: Fut) -> StopHandle
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        let is_decided = Arc::new(AtomicBool::new(false));
        let (site, is_ours, done) = (Location::caller(), Arc::clone(&is_decided), self.done());
        let after = self.without_cancel();
        let wait = async move {
            done.await;
            if decide(&is_ours) {
                // Should the tracker be full, the work is done all the same: it was promised.
                let _seat = Seat::take(&after, TaskInfo::new("on_done", site), usize::MAX);
                work.await;
            }
        };
        // A drain must not wait for what only begins when a context ends, so the wait itself is in no list.
        let waiting = self.can_end().then(|| tokio::spawn(wait).abort_handle());
        StopHandle { is_decided, waiting }
    }
}
