//! Every task of a server, by name: what a drain waits for and what a task list shows.

use std::collections::BTreeSet;
use std::fmt;
use std::future::poll_fn;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::gate::{Gate, Place, Refusal};
use super::node::Node;
use super::scope::Inside;
use super::task::TaskError;
use super::{Ctx, scope};

/// Most tasks of one tracker. A task costs about a kilobyte, so this is a gigabyte, and more than a machine of this
/// design serves connections.
const TASKS_COUNT_MAX: usize = 1 << 20;

/// How long the tasks of a scope have between being told to stop and being dropped (R12).
const GRACE: Duration = Duration::from_secs(5);

/// Used by contexts that come from [`Ctx::background`].
static OF_THE_PROCESS: LazyLock<Tracker> = LazyLock::new(Tracker::new);

/// Knows every task that was started below its [`root`](Self::root), until it has ended. Clones are the same tracker.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), towpath::ctx::TaskError> {
/// use towpath::ctx::Tracker;
///
/// let tracker = Tracker::new();
/// tracker.root().detach("audit", |_ctx| async {})?;
/// assert_eq!(tracker.tasks()[0].name(), "audit");
/// tracker.idle().await;
/// assert!(tracker.tasks().is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tracker(Arc<Inner>);

struct Inner {
    gate: Gate<TaskInfo>,
    grace: Duration,
    leaked: AtomicU64,
}

impl Tracker {
    /// A tracker without tasks, whose scopes give their tasks 5 s to stop.
    ///
    /// ```
    /// assert!(towpath::ctx::Tracker::new().tasks().is_empty());
    /// ```
    pub fn new() -> Self {
        Self::with_grace(GRACE)
    }

    /// A tracker whose scopes give their tasks `grace` between the signal to stop and the end by force.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let tracker = towpath::ctx::Tracker::with_grace(Duration::from_millis(200));
    /// assert!(tracker.root().check().is_ok());
    /// ```
    pub fn with_grace(grace: Duration) -> Self {
        Self(Arc::new(Inner { gate: Gate::new(), grace, leaked: AtomicU64::new(0) }))
    }

    /// The tracker of contexts that come from [`Ctx::background`].
    ///
    /// ```
    /// assert_eq!(towpath::ctx::Tracker::of_the_process().leaked(), 0);
    /// ```
    pub fn of_the_process() -> Self {
        OF_THE_PROCESS.clone()
    }

    /// A root like [`Ctx::background`], whose tasks this tracker knows.
    ///
    /// ```
    /// let (server, _shutdown) = towpath::ctx::Tracker::new().root().with_cancel();
    /// assert!(server.check().is_ok());
    /// ```
    pub fn root(&self) -> Ctx {
        Ctx(Arc::new(Node { home: Some(Arc::new(Home::of(self.clone()))), ..Node::root() }))
    }

    /// The tasks that have not ended, oldest first.
    ///
    /// ```
    /// let tracker = towpath::ctx::Tracker::new();
    /// assert!(tracker.tasks().iter().all(|task| task.name() != "lost"));
    /// ```
    pub fn tasks(&self) -> Vec<TaskInfo> {
        self.0.gate.collect(Clone::clone)
    }

    /// How many tasks could not be ended by their scope so far (R12).
    ///
    /// ```
    /// assert_eq!(towpath::ctx::Tracker::new().leaked(), 0);
    /// ```
    pub fn leaked(&self) -> u64 {
        self.0.leaked.load(Ordering::Relaxed)
    }

    /// Waits until no task is left; more may begin afterwards. *Cancel-safe*. Bound it by the grace of the drain:
    /// `ctx.run(tracker.idle())`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// towpath::ctx::Tracker::new().idle().await;
    /// # }
    /// ```
    pub async fn idle(&self) {
        poll_fn(|cx| self.0.gate.poll_empty(cx, false)).await;
    }

    pub(super) fn grace(&self) -> Duration {
        self.0.grace
    }

    /// Says and counts which tasks a scope leaves behind. Each stays in the list until it has ended.
    pub(super) fn report_leaks(&self, tasks: &[TaskInfo]) {
        self.0.leaked.fetch_add(tasks.len() as u64, Ordering::Relaxed);
        tasks.iter().for_each(|task| warn(&format!("a scope returned while a task of it runs: {task}")));
    }
}

impl Default for Tracker {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracker").field("tasks", &self.0.gate.len()).field("leaked", &self.leaked()).finish()
    }
}

/// A task that has not ended: what it is called, where it was started, and when (R18).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), towpath::ctx::TaskError> {
/// let tracker = towpath::ctx::Tracker::new();
/// tracker.root().detach("flush", |_ctx| async {})?;
/// let task = &tracker.tasks()[0];
/// assert_eq!((task.name(), task.site().line() > 0), ("flush", true));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TaskInfo {
    name: &'static str,
    site: &'static Location<'static>,
    since: Instant,
}

impl TaskInfo {
    pub(super) fn new(name: &'static str, site: &'static Location<'static>) -> Self {
        Self { name, site, since: Instant::now() }
    }

    /// The name it was started with.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), towpath::ctx::TaskError> {
    /// # let tracker = towpath::ctx::Tracker::new();
    /// tracker.root().detach("flush", |_ctx| async {})?;
    /// assert_eq!(tracker.tasks()[0].name(), "flush");
    /// # Ok(())
    /// # }
    /// ```
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The line that started it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), towpath::ctx::TaskError> {
    /// # let tracker = towpath::ctx::Tracker::new();
    /// tracker.root().detach("flush", |_ctx| async {})?;
    /// assert!(tracker.tasks()[0].site().line() > 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn site(&self) -> &'static Location<'static> {
        self.site
    }

    /// For how long it has been there.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), towpath::ctx::TaskError> {
    /// # let tracker = towpath::ctx::Tracker::new();
    /// tracker.root().detach("flush", |_ctx| async {})?;
    /// assert!(tracker.tasks()[0].age().as_secs() < 3_600);
    /// # Ok(())
    /// # }
    /// ```
    pub fn age(&self) -> Duration {
        self.since.elapsed()
    }
}

impl fmt::Display for TaskInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, started at {}, {:.1?} ago", self.name, self.site, self.age())
    }
}

/// Where the tasks of a context are entered.
pub(super) struct Home {
    pub(super) tracker: Tracker,
    pub(super) scope: Option<Arc<Inside>>,
}

impl Home {
    /// Outside of any scope.
    pub(super) fn of(tracker: Tracker) -> Self {
        Self { tracker, scope: None }
    }
}

/// A task's place with its tracker and its scope, for as long as any of it is alive.
pub(super) struct Seat {
    pub(super) info: TaskInfo,
    tracker: Tracker,
    place: Place,
    pub(super) scope: Option<(Arc<Inside>, Place)>,
}

impl Seat {
    /// A place for a task of `ctx`, whose scope has at most `count_max` tasks then.
    pub(super) fn take(ctx: &Ctx, info: TaskInfo, count_max: usize) -> Result<Self, TaskError> {
        let home = ctx.0.home();
        let tracker = home.map_or_else(Tracker::of_the_process, |home| home.tracker.clone());
        let refused = |refusal, max| match refusal {
            Refusal::Closed => TaskError::Closed { task: info.name },
            Refusal::Full => TaskError::Full { task: info.name, max },
        };
        let entered = tracker.0.gate.enter(info.clone(), TASKS_COUNT_MAX);
        let place = entered.map_err(|refusal| refused(refusal, TASKS_COUNT_MAX))?;
        // From here on the place is given up by `Drop`.
        let mut seat = Self { info: info.clone(), tracker, place, scope: None };
        if let Some(scope) = home.and_then(|home| home.scope.as_ref()) {
            let member = scope::Member::new(info.clone());
            let place = scope.gate.enter(member, count_max).map_err(|refusal| refused(refusal, count_max))?;
            seat.scope = Some((Arc::clone(scope), place));
        }
        Ok(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // The scope last: once it returns, the tracker's list no longer has its tasks.
        self.tracker.0.gate.leave(self.place);
        if let Some((scope, place)) = &self.scope {
            scope.gate.leave(*place);
        }
    }
}

impl Ctx {
    pub(super) fn tracker(&self) -> Tracker {
        self.0.home().map_or_else(Tracker::of_the_process, |home| home.tracker.clone())
    }
}

/// Says once for each line of the program what it does wrong. Whether this was the time.
pub(super) fn warn_once(site: &'static Location<'static>, what: &str) -> bool {
    /// Bounded by the lines of the program.
    static SAID: Mutex<BTreeSet<&Location<'_>>> = Mutex::new(BTreeSet::new());
    let is_new = SAID.lock().unwrap_or_else(PoisonError::into_inner).insert(site);
    if is_new {
        warn(&format!("{site} {what}"));
    }
    is_new
}

#[expect(clippy::print_stderr, reason = "what a programmer did wrong is said where a panic would be")]
fn warn(text: &str) {
    eprintln!("towpath: {text}");
}
