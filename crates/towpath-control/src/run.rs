//! The life of the process: start, signals, watch, drain, exit code.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep};
use towpath_config::Parsed;
use towpath_config::options::{LogFormat, LogLevel};

use crate::console::{Console, Level, LogStyle};
use crate::control::{self, Control, Limits, Refusal, Reloaded, Setting};
use crate::explain as explanation;
use crate::source::Source;
use crate::watch::Watch;
use crate::{demo, file_limit};

/// Threads of the control runtime: one may be busy with a reload's answer while the other still answers a probe.
const CONTROL_THREADS: usize = 2;

/// Threads for what blocks: reloads, one at a time, and name resolution.
const BLOCKING_THREADS_MAX: usize = 4;

/// How often a drain looks whether the workers are done.
const DRAIN_LOOK: Duration = Duration::from_millis(10);

/// How long the end waits for the access log's last lines.
const LOG_PATIENCE: Duration = Duration::from_secs(2);

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// A clean stop.
    Clean,
    /// Something failed while it ran.
    Failed,
    /// Bad configuration or arguments; nothing was bound.
    BadConfiguration,
    /// What building a program needs is missing, such as cargo.
    Unavailable,
    /// A listener's address is in use.
    AddressInUse,
    /// A second SIGINT: stopped at once.
    Interrupted,
    /// A second SIGTERM: stopped at once.
    Terminated,
}

impl Exit {
    /// The code the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Failed => 1,
            Self::BadConfiguration => 2,
            Self::Unavailable => 69,
            Self::AddressInUse => 98,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

/// What `towpath run` was told.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// What to run.
    pub source: Source,
    /// Whether to reload by itself when a file changes. Default no.
    pub watch: bool,
    /// Whether start lines are left out. Default no.
    pub quiet: bool,
    /// How lines on stderr look; `None` takes what the file says, else text.
    pub log: Option<LogStyle>,
}

/// Runs until a signal ends it.
#[must_use]
pub fn run(options: RunOptions) -> Exit {
    let console =
        Console { style: options.log.unwrap_or_default(), quiet: options.quiet, ..Console::default() };
    let runtime = match control_runtime() {
        Ok(runtime) => runtime,
        Err(fault) => {
            console.error("start_failed", &format!("cannot start the control runtime: {fault}"));
            return Exit::Failed;
        }
    };
    let exit = runtime.block_on(live(options, console));
    // Connections of admin callers and probes may be open; nothing waits for them.
    runtime.shutdown_background();
    exit
}

/// Everything that start does, up to binding sockets. Prints every fault.
#[must_use]
pub fn check(source: &Source) -> Exit {
    let console = Console::default();
    let parsed = source.read();
    match control::compiled(&parsed, None, &Limits::new(1, None)) {
        Ok(compiled) => {
            for warning in &compiled.warnings {
                console.faults(Level::Warn, "configuration_warning", &warning.render(&parsed.sources));
            }
            Exit::Clean
        }
        Err(refusal) => refuse(console, &refusal),
    }
}

/// What a request would meet, by the file alone. Question and answer are the JSON of `POST /explain`; the answer's
/// `text` is for people.
///
/// # Errors
/// How the program ends; the reason has been printed.
pub fn explain(source: &Source, question: &str) -> Result<serde_json::Value, Exit> {
    let console = Console::default();
    let parsed = source.read();
    let compiled = control::compiled(&parsed, None, &Limits::new(1, None))
        .map_err(|refusal| refuse(console, &refusal))?;
    let places = compiled.places();
    explanation::answer(&compiled.unbound(), &places, question).map_err(|fault| {
        console.error("bad_question", &fault.to_string());
        Exit::BadConfiguration
    })
}

fn control_runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("towpath-control")
        .enable_all()
        .build()
}

async fn live(options: RunOptions, console: Console) -> Exit {
    // Before the first start line: whoever reads it may send a signal at once.
    let mut signals = match Signals::register() {
        Ok(signals) => signals,
        Err(fault) => {
            console.error("start_failed", &format!("cannot listen for signals: {fault}"));
            return Exit::Failed;
        }
    };
    let source = match prepare_source(options.source, console).await {
        Ok(source) => source,
        Err(exit) => return exit,
    };
    let parsed = source.read();
    let console = console_for(&parsed, options.log, console);
    let files = file_limit::raise(&console).map(|files| usize::try_from(files).unwrap_or(usize::MAX));
    let setting = Setting { console, runtime: tokio::runtime::Handle::current(), files };
    let control = match Control::start(source, parsed, setting) {
        Ok(control) => control,
        Err(refusal) => return refuse(console, &refusal),
    };
    let mut watch = options.watch.then(|| Watch::start(&control.files(), console));
    let first = serve(&control, &mut signals, watch.as_mut(), console).await;
    let exit = drain(&control, &mut signals, first, console).await;
    if exit == Exit::Clean {
        end(&control);
    }
    exit
}

/// What the command line says goes before what the file says.
fn console_for(parsed: &Parsed, style: Option<LogStyle>, console: Console) -> Console {
    let log = parsed.options.log.as_ref();
    let written = log.and_then(|log| log.format.as_ref()).map(|format| match format.value {
        LogFormat::Text => LogStyle::Text,
        LogFormat::Json => LogStyle::Json,
    });
    let level = log.and_then(|log| log.level.as_ref()).map(|level| match level.value {
        LogLevel::Error => Level::Error,
        LogLevel::Warn => Level::Warn,
        LogLevel::Info | LogLevel::Debug | LogLevel::Trace => Level::Info,
    });
    Console { style: style.or(written).unwrap_or_default(), level: level.unwrap_or_default(), ..console }
}

/// The demo becomes a text with the ports its replicas really have.
async fn prepare_source(source: Source, console: Console) -> Result<Source, Exit> {
    if source != Source::Demo {
        return Ok(source);
    }
    match demo::start().await {
        Ok(text) => {
            console.info("demo", &demo::hint(&text));
            Ok(Source::Text { name: "demo".into(), text })
        }
        Err(fault) => {
            console.error("start_failed", &format!("cannot start the demo's replicas: {fault}"));
            Err(Exit::Failed)
        }
    }
}

fn refuse(console: Console, refusal: &Refusal) -> Exit {
    console.faults(Level::Error, "refused", &refusal.text);
    refusal.exit
}

/// The signals a running process answers.
#[derive(Debug)]
struct Signals {
    hangup: Signal,
    rotate: Signal,
    interrupt: Signal,
    terminate: Signal,
}

/// A signal that ends the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Interrupt,
    Terminate,
}

impl Signals {
    fn register() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            rotate: signal(SignalKind::user_defined1())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn stop(&mut self) -> Stop {
        tokio::select! {
            _ = self.interrupt.recv() => Stop::Interrupt,
            _ = self.terminate.recv() => Stop::Terminate,
        }
    }
}

/// Answers signals and changes of files until one of them says stop.
async fn serve(
    control: &Arc<Control>,
    signals: &mut Signals,
    mut watch: Option<&mut Watch>,
    console: Console,
) -> Stop {
    let mut watched = Watched::default();
    loop {
        tokio::select! {
            _ = signals.interrupt.recv() => return Stop::Interrupt,
            _ = signals.terminate.recv() => return Stop::Terminate,
            _ = signals.rotate.recv() => control.reopen_log(),
            _ = signals.hangup.recv() => {
                let outcome = reload(control).await;
                report(&outcome, console);
            }
            () = changed(watch.as_deref_mut()) => {
                let outcome = reload(control).await;
                watched.report(&outcome, console);
            }
        }
        if let Some(watch) = watch.as_deref_mut() {
            // A reload may have brought other includes; a folder may have become another one.
            watch.follow(&control.files());
        }
    }
}

async fn changed(watch: Option<&mut Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

async fn reload(control: &Arc<Control>) -> Result<Reloaded, Refusal> {
    let control = Arc::clone(control);
    match tokio::task::spawn_blocking(move || control.reload()).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Refusal::panicked()),
    }
}

/// Tells what a reload did.
pub(crate) fn report(outcome: &Result<Reloaded, Refusal>, console: Console) {
    match outcome {
        Ok(Reloaded::Unchanged { .. }) => console.info("reload_unchanged", "reload: nothing has changed"),
        Ok(Reloaded::Changed { version, changes }) => {
            console.info("reloaded", &format!("reload: plan {version} serves: {changes}"));
        }
        // A fault without a line of the file, such as a file that is away, is told in one line.
        Err(refusal) if refusal.text.trim_end().lines().count() == 1 => {
            let message = format!("reload refused, the old plan serves on: {}", refusal.text);
            console.error("reload_refused", &message);
        }
        Err(refusal) => {
            console.faults(Level::Error, "reload_refused", &refusal.text);
            console.error("reload_refused", "reload refused, the old plan serves on");
        }
    }
}

/// What `--watch` has already said, so that a file that stays wrong is told once.
#[derive(Debug, Default)]
struct Watched {
    said: Option<String>,
}

impl Watched {
    fn report(&mut self, outcome: &Result<Reloaded, Refusal>, console: Console) {
        match outcome {
            // Other files of the folder change too, and editors touch a file several times.
            Ok(Reloaded::Unchanged { .. }) => {
                if self.said.take().is_some() {
                    console.info("reload_unchanged", "reload: the file is back to what serves");
                }
            }
            Err(refusal) if self.said.as_ref() == Some(&refusal.text) => {}
            Err(refusal) => {
                self.said = Some(refusal.text.clone());
                report(outcome, console);
            }
            Ok(Reloaded::Changed { .. }) => {
                self.said = None;
                report(outcome, console);
            }
        }
    }
}

/// Stops accepting, waits for what is in flight, cuts what is left. A second signal ends everything at once.
async fn drain(control: &Arc<Control>, signals: &mut Signals, first: Stop, console: Console) -> Exit {
    let grace = control.engine().plan().shutdown.grace;
    let name = if first == Stop::Interrupt { "SIGINT" } else { "SIGTERM" };
    console
        .info("draining", &format!("{name}: draining for at most {grace:?}; a second signal stops at once"));
    control.drain();
    let deadline = Instant::now() + grace;
    loop {
        // First a moment, so that the workers have read their order before they are asked whether it is done.
        tokio::select! {
            () = sleep(DRAIN_LOOK) => {}
            second = signals.stop() => {
                console.warn("stopped", "second signal: stopped at once");
                control.close_admin();
                return if second == Stop::Interrupt { Exit::Interrupted } else { Exit::Terminated };
            }
        }
        if control.engine().open_count() == 0 {
            break;
        }
        if Instant::now() >= deadline {
            console.warn("drain_forced", &format!("the grace of {grace:?} is over; what is left is cut"));
            break;
        }
    }
    control.close_admin();
    Exit::Clean
}

/// Joins the workers and writes the last lines of the log.
fn end(control: &Control) {
    control.engine().stop();
    control.log().finish(LOG_PATIENCE);
}
