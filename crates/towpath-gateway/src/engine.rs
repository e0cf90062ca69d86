//! The engine from outside: start the workers, give them plans, drain them, stop them.

use std::io;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use towpath_net::thread;
use towpath_telemetry::metrics::{Build, Registry};

use crate::error::Reason;
use crate::plan::Plan;
use crate::worker::Worker;

/// How the engine runs.
pub struct EngineConfig {
    /// Worker threads; at least one. Default: one for each processor the process may use.
    pub workers: usize,
    /// Whether each worker stays on its processor. Default true.
    pub pin: bool,
    /// Takes blocks of whole access-log lines. When it is full, lines are dropped and counted. Default none.
    pub log: Option<SyncSender<Vec<u8>>>,
    /// Takes a line when something goes wrong that no request can be told of. Default none.
    pub report: Option<SyncSender<String>>,
    /// Open client connections over all listeners; beyond it they wait in the kernel's queue and idle ones are closed.
    /// Default no limit; a program that knows its file limit sets what that allows.
    pub connections_max: usize,
    /// The counters. Default a registry of its own.
    pub registry: Arc<Registry>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        let workers = thread::processors().len().max(1);
        Self {
            workers,
            pin: true,
            log: None,
            report: None,
            connections_max: usize::MAX,
            registry: Arc::new(registry(workers)),
        }
    }
}

/// A registry with the gateway's reason codes, for `workers`.
pub fn registry(workers: usize) -> Registry {
    let build = Build { version: env!("CARGO_PKG_VERSION").to_owned(), ..Build::default() };
    Registry::new(build, REASON_CODES, workers)
}

/// The codes of every [`Reason`], in the order of [`Reason::index`].
static REASON_CODES: &[&str] = {
    const CODES: [&str; Reason::ALL.len()] = {
        let mut codes = [""; Reason::ALL.len()];
        let mut index = 0;
        while index < codes.len() {
            codes[index] = Reason::ALL[index].code();
            index += 1;
        }
        codes
    };
    &CODES
};

/// Everything that workers and control have in common. What is shared shows here and nowhere else.
pub(crate) struct Shared {
    /// The plan last published; read once per plan by each worker, through its inbox.
    plan: Mutex<Arc<Plan>>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) connections_max: usize,
    report: Option<SyncSender<String>>,
}

impl Shared {
    /// Open client connections over all workers.
    pub(crate) fn open_count(&self) -> u64 {
        self.registry.workers().sum(|worker| worker.open.value())
    }

    /// Tells the operator. Never waits.
    pub(crate) fn report(&self, line: String) {
        if let Some(report) = &self.report {
            // A full channel means that the operator is told plenty already.
            let _ = report.try_send(line);
        }
    }
}

/// What a worker is told.
#[derive(Debug)]
pub(crate) enum Order {
    Apply(Arc<Plan>),
    Drain,
    Stop,
}

/// The running workers.
pub struct Engine {
    shared: Arc<Shared>,
    inboxes: Vec<UnboundedSender<Order>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Engine {
    /// Starts the worker threads, without a listener yet.
    ///
    /// # Errors
    /// When the system refuses a thread or an event loop.
    pub fn start(config: EngineConfig) -> io::Result<Self> {
        let mut engine = Self::new(&config);
        let processors = if config.pin { thread::processors() } else { Vec::new() };
        for index in 0..config.workers.max(1) {
            let (sender, inbox) = unbounded_channel();
            let (shared, log) = (Arc::clone(&engine.shared), config.log.clone());
            let runtime_error = Arc::new(Mutex::new(None));
            let processor = processors.get(index % processors.len().max(1)).copied();
            let error = Arc::clone(&runtime_error);
            let thread = thread::spawn(&format!("worker-{index}"), processor, move || {
                match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
                    Ok(runtime) => runtime.block_on(Worker::new(index, shared, log).run(inbox)),
                    Err(failed) => *error.lock().unwrap_or_else(PoisonError::into_inner) = Some(failed),
                }
            })?;
            engine.inboxes.push(sender);
            engine.threads.get_mut().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(engine)
    }

    /// One worker as tasks of the calling thread's `LocalRuntime` or `LocalSet`, for tests under a virtual clock and for
    /// programs that bring their own thread.
    pub fn start_local(config: EngineConfig) -> Self {
        let mut engine = Self::new(&config);
        let (sender, inbox) = unbounded_channel();
        tokio::task::spawn_local(Worker::new(0, Arc::clone(&engine.shared), config.log).run(inbox));
        engine.inboxes.push(sender);
        engine
    }

    fn new(config: &EngineConfig) -> Self {
        let shared = Shared {
            plan: Mutex::new(Arc::new(Plan::empty())),
            registry: Arc::clone(&config.registry),
            connections_max: config.connections_max,
            report: config.report.clone(),
        };
        Self { shared: Arc::new(shared), inboxes: Vec::new(), threads: Mutex::default() }
    }

    /// Publishes a plan. Each worker takes it over at its next turn.
    pub fn apply(&self, plan: Arc<Plan>) {
        *self.shared.plan.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&plan);
        self.tell(|| Order::Apply(Arc::clone(&plan)));
    }

    /// The plan last published.
    pub fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.shared.plan.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The counters of all workers.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.shared.registry
    }

    /// The number of workers.
    pub fn workers(&self) -> usize {
        self.inboxes.len()
    }

    /// Whether every worker serves the plan last published.
    pub fn is_current(&self) -> bool {
        let version = self.plan().version;
        self.shared
            .registry
            .workers()
            .iter()
            .take(self.workers())
            .all(|worker| worker.plan_version.value() == version)
    }

    /// Open client connections.
    pub fn open_count(&self) -> u64 {
        self.shared.open_count()
    }

    /// Stops accepting. Connections end after their next answer, idle ones over [`crate::plan::Shutdown::spread`].
    pub fn drain(&self) {
        self.tell(|| Order::Drain);
    }

    /// Cuts what is left and waits for the threads.
    pub fn stop(&self) {
        self.tell(|| Order::Stop);
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A worker that panicked has said so on stderr; the others still have to be waited for.
            let _ = thread.join();
        }
    }

    fn tell(&self, order: impl Fn() -> Order) {
        for inbox in &self.inboxes {
            // A worker that has ended has no use for it.
            let _ = inbox.send(order());
        }
    }
}
