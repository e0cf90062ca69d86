//! The one owner of what runs: engine, prober, log writer, admin listener, and the file they came from.
//!
//! A start and a reload are the same steps, in an order in which everything that can fail comes before the first step
//! that changes anything:
//!
//! ```text
//!   read -> compile -> bind what is new -> open the log -> bind the admin socket | apply, follow, direct, swap
//!                    any of these fails: nothing has changed                     | cannot fail
//! ```

mod answers;
mod refusal;
mod renewal;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::runtime::Handle;
use towpath::pool::Budget;
use towpath_config::Parsed;
use towpath_config::options::{LogFormat, LogLevel, TotalCap};
use towpath_gateway::engine::{self, Engine, EngineConfig};
use towpath_gateway::plan::{Listener, Plan, Protocol};
use towpath_net::tls::TicketKeys;
use towpath_telemetry::metrics::Registry;

use crate::admin::{self, AdminListener, AdminSettings, AdminSocket};
use crate::compile::{
    BindAddress, Bound, Changes, CompileEnv, Compiled, SystemResolver, WantedBinding, compile_parsed,
};
use crate::console::{Console, Level};
use crate::log_writer::{self, LogTarget, LogWriter};
use crate::prober::Prober;
use crate::source::{ProcessSettings, Source};

pub(crate) use refusal::Refusal;

/// Everything that runs beside the workers, and the engine that holds them.
pub(crate) struct Control {
    console: Console,
    runtime: Handle,
    source: Source,
    limits: Limits,
    engine: Engine,
    log: LogWriter,
    prober: Prober,
    is_draining: AtomicBool,
    fixed: Fixed,
    live: Mutex<Live>,
}

/// What the file said at the start about things that a reload cannot change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fixed {
    workers: usize,
    is_pinned: bool,
    log_level: Option<LogLevel>,
    log_format: Option<LogFormat>,
    connections_max: TotalCap,
}

/// What the last successful start or reload left.
#[derive(Debug)]
struct Live {
    parsed: Parsed,
    settings: ProcessSettings,
    admin: Option<AdminListener>,
    /// Certificates that were changed to what cannot serve.
    kept: renewal::Kept,
}

/// What is fixed for the life of the process, and what every plan is compiled for.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    workers: usize,
    registry: Arc<Registry>,
    /// Where random choices begin; another number in each process, so that gateways do not choose in step.
    seed: u64,
    /// Half of the files the process may open, shared by all pools; `None` for no bound.
    connections_total: Option<Arc<Budget>>,
    ticket_keys: Arc<TicketKeys>,
}

/// What a start needs beside the file.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) console: Console,
    pub(crate) runtime: Handle,
    /// Files the process may open; `None` for no bound.
    pub(crate) files: Option<usize>,
}

/// What a reload did.
#[derive(Debug)]
pub(crate) enum Reloaded {
    /// The file says what it said before; nothing was touched.
    Unchanged {
        /// The plan that serves on.
        version: u64,
    },
    /// A new plan serves.
    Changed {
        /// Its version.
        version: u64,
        /// What is new, gone and different.
        changes: Box<Changes>,
    },
}

/// Everything that could fail, done; dropping it undoes it.
struct Prepared {
    parsed: Parsed,
    settings: ProcessSettings,
    compiled: Compiled,
    bindings: Vec<Bound>,
    /// A new socket, when the admin address is new or different.
    admin_socket: Option<AdminSocket>,
}

impl Control {
    /// Compiles, binds, starts the workers and serves. Must run on the control runtime.
    pub(crate) fn start(source: Source, parsed: Parsed, setting: Setting) -> Result<Arc<Self>, Refusal> {
        let limits = Limits::new(worker_count(&parsed), setting.files);
        let prepared = prepare(parsed, None, None, &limits)?;
        let log = LogWriter::start(setting.console).map_err(Refusal::thread)?;
        let engine = Engine::start(EngineConfig {
            workers: limits.workers,
            pin: is_pinned(&prepared.parsed),
            log: Some(log.sender()),
            report: Some(start_reporter(setting.console).map_err(Refusal::thread)?),
            connections_max: connections_max(&prepared.parsed, setting.files),
            registry: Arc::clone(&limits.registry),
        });
        let control = Arc::new(Self {
            console: setting.console,
            prober: Prober::new(setting.console, setting.runtime.clone()),
            runtime: setting.runtime,
            source,
            limits,
            engine: engine.map_err(Refusal::thread)?,
            log,
            is_draining: AtomicBool::new(false),
            fixed: Fixed::of(&prepared.parsed),
            live: Mutex::new(Live {
                parsed: prepared.parsed.clone(),
                settings: ProcessSettings { admin: None, access_log: LogTarget::Off },
                admin: None,
                kept: renewal::Kept::default(),
            }),
        });
        control.commit(prepared, &mut control.live());
        control.runtime.spawn(renewal::watch(Arc::downgrade(&control)));
        Ok(control)
    }

    /// Reads the file again; all or nothing. Blocks: names may be resolved and sockets bound.
    pub(crate) fn reload(self: &Arc<Self>) -> Result<Reloaded, Refusal> {
        let mut live = self.live();
        let outcome = self.reload_locked(&mut live);
        let reloads = self.limits.registry.reloads();
        match &outcome {
            Ok(Reloaded::Unchanged { .. }) => {}
            Ok(Reloaded::Changed { .. }) => reloads.succeeded.increment(),
            Err(_) => reloads.failed.increment(),
        }
        outcome
    }

    fn reload_locked(self: &Arc<Self>, live: &mut Live) -> Result<Reloaded, Refusal> {
        let plan = self.engine.plan();
        if let Source::Text { .. } | Source::Demo = self.source {
            return Ok(Reloaded::Unchanged { version: plan.version });
        }
        let parsed = self.source.read();
        if !parsed.has_errors() && parsed.options == live.parsed.options {
            // Lines may have moved; what points at them should point at the file as it is now.
            live.parsed = parsed;
            self.renew_locked(live);
            return Ok(Reloaded::Unchanged { version: plan.version });
        }
        let _context = self.runtime.enter();
        let prepared = prepare(parsed, Some(&plan), Some(&live.settings), &self.limits)?;
        for key in self.fixed.differences(&Fixed::of(&prepared.parsed)) {
            let message = format!("{key} is different; it takes effect at the next start");
            self.console.warn("restart_needed", &message);
        }
        let changes = Box::new(prepared.compiled.changes.clone());
        self.commit(prepared, live);
        Ok(Reloaded::Changed { version: self.engine.plan().version, changes })
    }

    /// Makes what was prepared the truth. Nothing here can fail.
    fn commit(self: &Arc<Self>, prepared: Prepared, live: &mut Live) {
        for warning in &prepared.compiled.warnings {
            self.console.faults(
                Level::Warn,
                "configuration_warning",
                &warning.render(&prepared.parsed.sources),
            );
        }
        let known: Vec<_> = self.engine.plan().listeners.iter().flat_map(|one| Bound::of(one)).collect();
        let plan = Arc::new(prepared.compiled.finish(prepared.bindings));
        self.log.direct(prepared.settings.access_log.clone());
        self.engine.apply(Arc::clone(&plan));
        self.count_plan(plan.version);
        self.prober.follow(&plan);
        self.announce(&plan, &known);
        self.swap_admin(prepared.settings.admin.as_ref(), prepared.admin_socket, live);
        live.parsed = prepared.parsed;
        live.settings = prepared.settings;
    }

    fn count_plan(&self, version: u64) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let reloads = self.limits.registry.reloads();
        reloads.plan_version.set(version);
        reloads.plan_published_s.set(now.as_secs());
    }

    fn announce(&self, plan: &Plan, known: &[Bound]) {
        for listener in &plan.listeners {
            for bound in Bound::of(listener) {
                if !known.iter().any(|before| before.is_same(&bound)) {
                    self.console.listening(&listener.name, &url(scheme(listener), &bound.address()));
                }
            }
        }
    }

    fn swap_admin(
        self: &Arc<Self>,
        wanted: Option<&AdminSettings>,
        socket: Option<AdminSocket>,
        live: &mut Live,
    ) {
        match (wanted, socket) {
            (None, _) => live.admin = None,
            (Some(settings), Some(socket)) => {
                self.console.listening("admin", &socket.url);
                live.admin = Some(admin::start(socket, settings.token.clone(), self));
            }
            (Some(settings), None) => {
                if let Some(admin) = &live.admin {
                    admin.replace_token(settings.token.clone());
                }
            }
        }
    }

    /// The runtime that everything of control runs on.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// The files to watch.
    pub(crate) fn files(&self) -> Vec<std::path::PathBuf> {
        self.source.files(&self.live().parsed)
    }

    /// Opens the access log anew, after something renamed it.
    pub(crate) fn reopen_log(&self) {
        self.log.reopen();
    }

    /// Stops accepting and lets what is in flight finish.
    pub(crate) fn drain(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
        self.engine.drain();
    }

    /// The engine, for what the life of the process asks of it.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The log writer, for the end.
    pub(crate) fn log(&self) -> &LogWriter {
        &self.log
    }

    /// Closes the admin listener, and with it the file of a Unix socket.
    pub(crate) fn close_admin(&self) {
        self.live().admin = None;
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        // A panic inside a reload leaves what was there before: commit assigns at its end.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fixed {
    fn of(parsed: &Parsed) -> Self {
        let log = parsed.options.log.as_ref();
        Self {
            workers: worker_count(parsed),
            is_pinned: is_pinned(parsed),
            log_level: log.and_then(|log| log.level.as_ref()).map(|level| level.value),
            log_format: log.and_then(|log| log.format.as_ref()).map(|format| format.value),
            connections_max: written_connections_max(parsed),
        }
    }

    /// The keys whose values differ, with their tables.
    fn differences(&self, new: &Self) -> impl Iterator<Item = &'static str> {
        let keys = [
            ("[workers] count", self.workers != new.workers),
            ("[workers] pin", self.is_pinned != new.is_pinned),
            ("[log] level", self.log_level != new.log_level),
            ("[log] format", self.log_format != new.log_format),
            ("[limits] max_connections", self.connections_max != new.connections_max),
        ];
        keys.into_iter().filter_map(|(key, is_different)| is_different.then_some(key))
    }
}

impl Limits {
    /// For `workers` workers in a process that may open `files` files.
    pub(crate) fn new(workers: usize, files: Option<usize>) -> Self {
        Self {
            workers,
            registry: Arc::new(engine::registry(workers)),
            seed: RandomState::new().build_hasher().finish(),
            connections_total: files.map(|files| Budget::new((files / 2).max(1))),
            ticket_keys: TicketKeys::new(),
        }
    }

    fn compile_env(&self) -> CompileEnv<'_> {
        CompileEnv {
            workers: self.workers,
            resolver: &SystemResolver,
            registry: &self.registry,
            seed: self.seed,
            connections_total: self.connections_total.clone(),
            ticket_keys: Arc::clone(&self.ticket_keys),
        }
    }
}

/// Files that are no connection: standard streams, event loops, listening sockets, logs, the admin API.
const FILES_RESERVED: usize = 32;

/// From this limit on most client connections are idle at any moment and need none to an origin.
const FILES_MANY: usize = 1024;

/// Client connections that leave room for those to origins and for everything else: one origin for each client where
/// files are few, one for three where they are many. Should all be busy at once, accepting pauses and idle ones close.
fn client_connections_max(files: Option<usize>) -> usize {
    let Some(files) = files else { return usize::MAX };
    let room = files.saturating_sub(FILES_RESERVED);
    if files < FILES_MANY { (room / 2).max(1) } else { room / 4 * 3 }
}

/// Lines from workers that may wait to be printed; more than that is one fault told many times.
const REPORTS_WAITING_MAX: usize = 64;

/// Prints what workers have to say, on a thread of its own: stderr may be a pipe that nobody reads.
fn start_reporter(console: Console) -> std::io::Result<SyncSender<String>> {
    let (sender, lines) = sync_channel::<String>(REPORTS_WAITING_MAX);
    std::thread::Builder::new().name("towpath-report".into()).spawn(move || {
        lines.iter().for_each(|line| console.warn("worker", &line));
    })?;
    Ok(sender)
}

/// The bound on the connections of all clients that the file names.
fn connections_max(parsed: &Parsed, files: Option<usize>) -> usize {
    match written_connections_max(parsed) {
        TotalCap::Auto => client_connections_max(files),
        TotalCap::Unlimited => usize::MAX,
        TotalCap::Count(count) => usize::try_from(count.get()).unwrap_or(usize::MAX),
    }
}

fn written_connections_max(parsed: &Parsed) -> TotalCap {
    let written = parsed.options.limits.as_ref().and_then(|limits| limits.max_connections.as_ref());
    written.map_or(TotalCap::Auto, |cap| cap.value)
}

/// What clients of a listener speak, as the scheme of a URL.
fn scheme(listener: &Listener) -> &'static str {
    match (&listener.protocol, &listener.tls) {
        (Protocol::Http, Some(_)) => "https",
        (_, Some(_)) => "tls",
        (protocol, None) => protocol.name(),
    }
}

/// Where a listener is, as its start line tells it: `http://127.0.0.1:8080`, `tcp+unix:/run/pg.sock`.
fn url(protocol: &str, address: &BindAddress) -> String {
    match address {
        BindAddress::Tcp(address) | BindAddress::Udp(address) => format!("{protocol}://{address}"),
        BindAddress::Unix(_) => format!("{protocol}+{address}"),
    }
}

/// Does everything that can fail.
fn prepare(
    parsed: Parsed,
    previous: Option<&Plan>,
    before: Option<&ProcessSettings>,
    limits: &Limits,
) -> Result<Prepared, Refusal> {
    let compiled = compiled(&parsed, previous, limits)?;
    let settings = ProcessSettings::of(&parsed.options);
    let bindings =
        compiled.wanted.iter().map(|wanted| bind(wanted, limits.workers)).collect::<Result<Vec<_>, _>>()?;
    if before.is_none_or(|before| before.access_log != settings.access_log) {
        log_writer::check_target(&settings.access_log)
            .map_err(|fault| Refusal::access_log(&settings.access_log, &fault))?;
    }
    let admin_before = before.and_then(|before| before.admin.as_ref());
    let admin_socket = match &settings.admin {
        Some(admin) if admin_before.is_none_or(|before| before.address != admin.address) => {
            Some(AdminSocket::bind(&admin.address).map_err(|fault| Refusal::admin(&admin.address, &fault))?)
        }
        _ => None,
    };
    Ok(Prepared { parsed, settings, compiled, bindings, admin_socket })
}

/// Compiles, with the faults of reading and of compiling told together.
pub(crate) fn compiled(
    parsed: &Parsed,
    previous: Option<&Plan>,
    limits: &Limits,
) -> Result<Compiled, Refusal> {
    compile_parsed(parsed, previous, &limits.compile_env())
        .map_err(|faults| Refusal::faults(faults, &parsed.sources))
}

fn bind(wanted: &WantedBinding, workers: usize) -> Result<Bound, Refusal> {
    wanted.bind(workers).map_err(|fault| Refusal::bind(&wanted.listener, &wanted.address, &fault))
}

/// How many workers the file asks for; without a word, one for each processor the process may use.
pub(crate) fn worker_count(parsed: &Parsed) -> usize {
    use towpath_config::options::WorkerCount;
    let written = parsed.options.workers.as_ref().and_then(|workers| workers.count.as_ref());
    match written.map(|count| count.value) {
        Some(WorkerCount::Count(count)) => usize::try_from(count.get()).unwrap_or(usize::MAX),
        Some(WorkerCount::Auto) | None => towpath_net::thread::processors().len().max(1),
    }
}

fn is_pinned(parsed: &Parsed) -> bool {
    parsed.options.workers.as_ref().and_then(|workers| workers.pin.as_ref()).is_none_or(|pin| pin.value)
}
