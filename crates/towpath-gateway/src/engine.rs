//! The engine from outside: start the workers, give them plans, drain them, stop them.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::{Receiver, Sender, UnboundedReceiver, UnboundedSender, channel, unbounded_channel};
use tokio::task::spawn_local;
use towpath_net::time::Alarm;
use towpath_net::{Accepted, thread};
use towpath_telemetry::metrics::{Build, Registry};

use crate::accept::gate::Gate;
use crate::error::Reason;
use crate::plan::{Listener, Plan};
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
    /// The counts behind the limits of listeners, by name; looked up when a worker begins to accept, and nowhere else.
    gates: Mutex<HashMap<Arc<str>, Weak<Gate>>>,
    /// How accepted connections reach each worker that others have placed there.
    placements: Vec<Sender<Placed>>,
    /// How many connections are in those inboxes: open already, and on no worker's count.
    moving: AtomicU64,
}

/// Connections that wait for the worker they were placed on. A worker that is so far behind gets no more.
const PLACED_MAX: usize = 256;

/// An accepted connection on its way to another worker.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) accepted: Accepted,
    pub(crate) peer: SocketAddr,
    pub(crate) listener: Arc<Listener>,
}

impl Shared {
    /// The counts of the listener of this name, the same ones as long as a worker holds them.
    pub(crate) fn gate(&self, listener: &Arc<str>) -> Arc<Gate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(listener).and_then(Weak::upgrade) {
            return gate;
        }
        gates.retain(|_, gate| gate.strong_count() > 0);
        let gate = Arc::new(Gate::new());
        gates.insert(Arc::clone(listener), Arc::downgrade(&gate));
        gate
    }

    /// How many workers connections can be placed on.
    pub(crate) fn workers(&self) -> usize {
        self.placements.len()
    }

    /// Hands a connection to a worker. It comes back when that worker has too many waiting.
    pub(crate) fn place(&self, worker: usize, placed: Placed) -> Result<(), Placed> {
        let Some(inbox) = self.placements.get(worker) else { return Err(placed) };
        self.moving.fetch_add(1, Ordering::Relaxed);
        inbox.try_send(placed).map_err(|refused| {
            self.has_moved();
            refused.into_inner()
        })
    }

    /// A connection has come to its worker, which counts it now.
    pub(crate) fn has_moved(&self) {
        self.moving.fetch_sub(1, Ordering::Relaxed);
    }

    /// Open client connections over all workers.
    pub(crate) fn open_count(&self) -> u64 {
        self.registry.workers().sum(|worker| worker.open.value()) + self.moving.load(Ordering::Relaxed)
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

/// Runs a worker on the calling thread, and says first whether that was possible.
fn run_worker(
    worker: Rc<Worker>,
    inbox: UnboundedReceiver<Order>,
    placed: Receiver<Placed>,
    said: &SyncSender<io::Result<()>>,
) {
    // Nobody waits for the answer only when the engine is being given up.
    let say = |outcome| drop(said.send(outcome));
    let mut runtime = Builder::new_current_thread();
    runtime.enable_io().on_thread_park(worker.at_wait());
    let runtime = match runtime.build_local(LocalOptions::default()) {
        Ok(runtime) => runtime,
        Err(error) => return say(Err(error)),
    };
    runtime.block_on(async {
        match Alarm::install() {
            Ok(alarm) => drop(spawn_local(alarm.drive())),
            Err(error) => return say(Err(error)),
        }
        say(Ok(()));
        worker.run(inbox, placed).await;
    });
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
        let (mut engine, placed) = Self::new(&config, config.workers.max(1));
        let processors = if config.pin { thread::processors() } else { Vec::new() };
        for (index, placed) in placed.into_iter().enumerate() {
            let (sender, inbox) = unbounded_channel();
            let (shared, log) = (Arc::clone(&engine.shared), config.log.clone());
            let processor = processors.get(index % processors.len().max(1)).copied();
            let (said, outcome) = sync_channel(1);
            let thread = thread::spawn(&format!("worker-{index}"), processor, move || {
                run_worker(Worker::new(index, shared, log), inbox, placed, &said);
            })?;
            // A thread that panicked before it said anything has said so on stderr.
            outcome.recv().unwrap_or_else(|_| Err(io::Error::other("a worker did not start")))?;
            engine.inboxes.push(sender);
            engine.threads.get_mut().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(engine)
    }

    /// One worker as tasks of the calling thread's `LocalRuntime` or `LocalSet`, for tests under a virtual clock and for
    /// programs that bring their own thread.
    pub fn start_local(config: EngineConfig) -> Self {
        let (mut engine, placed) = Self::new(&config, 1);
        for placed in placed {
            let (sender, inbox) = unbounded_channel();
            let worker = Worker::new(0, Arc::clone(&engine.shared), config.log.clone());
            spawn_local(worker.run(inbox, placed));
            engine.inboxes.push(sender);
        }
        engine
    }

    /// An engine without workers, and what each of them takes placed connections from.
    fn new(config: &EngineConfig, workers: usize) -> (Self, Vec<Receiver<Placed>>) {
        let (placements, placed) = (0..workers).map(|_| channel(PLACED_MAX)).unzip();
        let shared = Shared {
            plan: Mutex::new(Arc::new(Plan::empty())),
            registry: Arc::clone(&config.registry),
            connections_max: config.connections_max,
            report: config.report.clone(),
            gates: Mutex::default(),
            placements,
            moving: AtomicU64::new(0),
        };
        (Self { shared: Arc::new(shared), inboxes: Vec::new(), threads: Mutex::default() }, placed)
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

    /// Open client connections, and sessions of UDP listeners.
    pub fn open_count(&self) -> u64 {
        self.shared.open_count() + self.shared.registry.udp_sessions_open()
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
