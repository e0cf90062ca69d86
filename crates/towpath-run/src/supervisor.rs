//! `towpath run --watch FILE.rs`: a new generation of the program for each change, while the former one serves on.
//!
//! ```text
//!   change ──▶ build ──▶ next starts ──ready──▶ current; the former gets SIGTERM and drains
//!                │            │
//!             faulty      ends, or says nothing for 10 s ──▶ the current one serves on
//! ```
//!
//! A program that has asked for no socket holds its own, if any: of such a one the former ends before the next starts.

mod crashes;
mod generation;
mod listeners;
mod surroundings;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::future;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{Instant, sleep_until};
use towpath_control::{Console, Exit, Watch};

use crate::cache::{Cache, Stored};
use crate::cargo::{Failure, Mode};
use crate::key::Key;
use crate::source::Source;
use crate::start::{ProgramOrder, fail, wanted};
use crate::store::{Wanted, runtime};
use crashes::Crashes;
use generation::{Event, Generation, Start};
use listeners::Listeners;
use surroundings::Surroundings;

/// A generation that says nothing for so long before it is ready has failed.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Generations that drain at the same time. The oldest one is cut off for another.
const FORMER_MAX: usize = 3;

/// Files looked at beside the ones that are known: a module that is written may be the one that was missing.
const NEAR_FILES_MAX: usize = 1_000;

/// Runs the program, and follows its files.
#[must_use]
pub fn watch(order: &ProgramOrder) -> Exit {
    if let Source::Text(_) = order.source {
        order.console.error("bad_arguments", "standard input cannot be watched; give the program as a file");
        return Exit::BadConfiguration;
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(fault) => return fail(&Failure::Cache(fault), order.console),
    };
    let exit = runtime.block_on(LocalSet::new().run_until(live(order)));
    // A thread may wait for the lock of the cache; nobody waits for it.
    runtime.shutdown_background();
    exit
}

async fn live(order: &ProgramOrder) -> Exit {
    let mut signals = match Signals::register() {
        Ok(signals) => signals,
        Err(fault) => return fail(&Failure::Cache(fault), order.console),
    };
    let mut supervisor = Supervisor::new(order);
    supervisor.look(true);
    loop {
        match supervisor.next(&mut signals).await {
            News::Changed => supervisor.look(false),
            News::Hangup => supervisor.look(true),
            News::Built(built) => supervisor.built(built),
            News::Heard(number, Event::Ready) => supervisor.ready(number),
            News::Heard(number, Event::Ended(status)) => {
                let code =
                    status.code().map_or_else(|| status.to_string(), |code| format!("exit code {code}"));
                supervisor.ended(number, status.success(), &code);
            }
            News::Due => supervisor.due(Instant::now()),
            News::Stop(first) => return supervisor.stop(first, &mut signals).await,
        }
    }
}

/// The signals that are answered.
struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn register() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The exit that a second signal asks for.
    async fn stop(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
        }
    }
}

/// What the supervisor wakes up for.
enum News {
    Changed,
    Hangup,
    Built(Result<Stored, Failure>),
    Heard(u64, Event),
    Due,
    Stop(Exit),
}

struct Supervisor<'a> {
    order: &'a ProgramOrder,
    console: Console,
    watch: Watch,
    /// The files of the last program that was built.
    files: Vec<PathBuf>,
    /// What the files held when they were last looked at.
    seen: String,
    surroundings: Surroundings,
    wanted: Option<Rc<Wanted>>,
    build: Option<JoinHandle<Result<Stored, Failure>>>,
    has_failed: bool,
    listeners: Rc<RefCell<Listeners>>,
    events: UnboundedReceiver<(u64, Event)>,
    event: UnboundedSender<(u64, Event)>,
    started_count: u64,
    current: Option<Generation>,
    /// Started, and not ready yet, while the current one serves.
    next: Option<Generation>,
    /// To be started when the current one, which holds its sockets itself, has ended.
    pending: Option<Stored>,
    former: Vec<Generation>,
    /// The program before the current one.
    former_program: Option<Stored>,
    crashes: Crashes,
    restart: Option<(Instant, Stored)>,
}

impl<'a> Supervisor<'a> {
    fn new(order: &'a ProgramOrder) -> Self {
        let (event, events) = unbounded_channel();
        Self {
            order,
            console: order.console,
            watch: Watch::start(&[source_file(order)], order.console),
            files: Vec::new(),
            seen: String::new(),
            surroundings: Surroundings::new(folder(order), Instant::now()),
            wanted: None,
            build: None,
            has_failed: false,
            listeners: Rc::default(),
            events,
            event,
            started_count: 0,
            current: None,
            next: None,
            pending: None,
            former: Vec::new(),
            former_program: None,
            crashes: Crashes::default(),
            restart: None,
        }
    }

    async fn next(&mut self, signals: &mut Signals) -> News {
        let due = self.next_due();
        tokio::select! {
            () = self.watch.changed() => News::Changed,
            _ = signals.hangup.recv() => News::Hangup,
            _ = signals.interrupt.recv() => News::Stop(Exit::Interrupted),
            _ = signals.terminate.recv() => News::Stop(Exit::Terminated),
            built = finished(&mut self.build) => News::Built(built),
            Some((number, event)) = self.events.recv() => News::Heard(number, event),
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => News::Due,
        }
    }

    /// Builds, if what the files hold is not what was built or refused last.
    fn look(&mut self, is_forced: bool) {
        let now = self.digest();
        if now == self.seen && !is_forced {
            return;
        }
        self.seen = now;
        // Whatever is being built, it is not this any more.
        if let Some(build) = self.build.take() {
            build.abort();
        }
        match wanted(self.order, Mode::Run) {
            Ok(wanted) => {
                let wanted = Rc::new(wanted);
                self.wanted = Some(Rc::clone(&wanted));
                let console = self.console;
                self.build = Some(spawn_local(async move { wanted.build(console).await }));
            }
            Err(_) => self.fail_over(),
        }
    }

    /// The content of all files that are known, and of those beside them that may be new modules.
    fn digest(&self) -> String {
        let mut key = Key::new();
        for file in &self.watched() {
            key.add_file(&file.to_string_lossy(), file);
        }
        key.finish()
    }

    fn watched(&self) -> BTreeSet<PathBuf> {
        let entries = fs::read_dir(folder(self.order)).into_iter().flatten().flatten();
        let near = entries.map(|entry| entry.path());
        let near =
            near.filter(|path| path.extension().is_some_and(|ending| ending == "rs")).take(NEAR_FILES_MAX);
        let known = self.files.iter().chain(self.surroundings.paths()).cloned();
        near.chain([source_file(self.order)]).chain(known).collect()
    }

    /// Whether the program that runs has read something else beside its source than it would now.
    fn has_other_surroundings(&mut self) -> bool {
        let mut own = Vec::new();
        let have_changed = self.surroundings.have_changed(Instant::now(), &mut own);
        for path in own {
            let message = format!("watch: the program writes {} itself; it is not followed", path.display());
            self.console.info("own_work", &message);
        }
        have_changed
    }

    fn built(&mut self, built: Result<Stored, Failure>) {
        self.build = None;
        if let Some(wanted) = &self.wanted {
            let files = wanted.files();
            if !files.is_empty() {
                self.files = files;
            }
        }
        let watched: Vec<PathBuf> = self.watched().into_iter().collect();
        self.watch.follow(&watched);
        match built {
            Ok(program) if self.has_other_surroundings() => self.bring(program),
            Ok(program) => {
                let was_faulty = std::mem::take(&mut self.has_failed);
                let serves = |generation: &Option<Generation>| {
                    generation.as_ref().is_some_and(|generation| generation.program.path == program.path)
                };
                match serves(&self.current) && self.next.is_none() || serves(&self.next) {
                    true if was_faulty => {
                        self.console.info("unchanged", "watch: the program is back to what runs")
                    }
                    true => {}
                    false => self.bring(program),
                }
            }
            // The signal that ended the build is ours, too.
            Err(Failure::Stopped(_)) => {}
            Err(failure) => {
                let _ = fail(&failure, self.console);
                self.fail_over();
            }
        }
    }

    /// The reason has been told.
    fn fail_over(&mut self) {
        self.has_failed = true;
        match &self.current {
            Some(current) => {
                let number = current.number;
                self.console.error("build_failed", &format!("watch: generation {number} serves on"));
            }
            None => self.console.error("build_failed", "watch: nothing runs; waiting for a change"),
        }
    }

    /// Starts another program in place of the current one.
    fn bring(&mut self, program: Stored) {
        self.restart = None;
        self.crashes = Crashes::default();
        if let Some(overtaken) = self.next.take() {
            overtaken.kill();
        }
        match &mut self.current {
            Some(current) if !current.listens() => {
                if current.until.is_none() {
                    retire(current, self.console);
                }
                self.pending = Some(program);
            }
            Some(_) => self.next = self.start(program),
            None => self.current = self.start(program),
        }
    }

    fn start(&mut self, program: Stored) -> Option<Generation> {
        self.started_count += 1;
        self.surroundings.start(Instant::now());
        if let Ok(cache) = Cache::readable() {
            cache.touch(&program);
        }
        let start = Start {
            name: self.wanted.as_ref().map(|wanted| wanted.program.name()).unwrap_or_default(),
            arguments: &self.order.arguments,
            listeners: &self.listeners,
            events: &self.event,
        };
        match Generation::start(self.started_count, program, start) {
            Ok(generation) => {
                self.console.info("started", &format!("watch: generation {} starts", generation.number));
                Some(generation)
            }
            Err(fault) => {
                self.console.error("start_failed", &format!("watch: the program cannot be started: {fault}"));
                None
            }
        }
    }

    fn ready(&mut self, number: u64) {
        if let Some(next) = self.next.take_if(|next| next.number == number) {
            self.switch(next);
        }
        if let Some(current) =
            self.current.as_mut().filter(|current| current.number == number && !current.is_ready)
        {
            current.is_ready = true;
            self.console.info("serving", &format!("watch: generation {number} serves"));
            self.listeners.borrow_mut().keep(&current.granted());
        }
    }

    /// Both accept now; the former one is asked to stop.
    fn switch(&mut self, next: Generation) {
        if let Some(mut former) = self.current.replace(next) {
            retire(&mut former, self.console);
            self.former_program = Some(former.program.clone());
            self.former.push(former);
        }
        if self.former.len() > FORMER_MAX {
            let oldest = self.former.remove(0);
            self.console.warn("drain_forced", &format!("watch: generation {} is cut off", oldest.number));
            oldest.kill();
        }
    }

    fn ended(&mut self, number: u64, is_success: bool, how: &str) {
        self.former.retain(|former| former.number != number);
        if self.next.take_if(|next| next.number == number).is_some() {
            let message = format!("watch: generation {number} ended before it was ready: {how}");
            self.console.error("generation_failed", &message);
            self.fail_over();
        }
        let Some(ended) = self.current.take_if(|current| current.number == number) else { return };
        if let Some(pending) = self.pending.take() {
            self.former_program = Some(ended.program);
            self.current = self.start(pending);
        } else if let Some(next) = self.next.take() {
            self.current = Some(next);
        } else if is_success {
            self.console
                .info("ended", &format!("watch: generation {number} has ended; waiting for a change"));
        } else if ended.is_ready || ended.started.elapsed() >= SILENCE_MAX {
            self.crashed(ended, how);
        } else {
            let message =
                format!("watch: generation {number} ended before it was ready: {how}; waiting for a change");
            self.console.error("generation_failed", &message);
        }
    }

    fn crashed(&mut self, ended: Generation, how: &str) {
        let restart = self.crashes.crashed(std::time::Instant::now());
        let (program, which) = match self.former_program.take_if(|_| restart.is_former) {
            Some(former) => (former, "the former program starts"),
            None => (ended.program, "it starts again"),
        };
        let message =
            format!("watch: generation {} crashed: {how}; {which} in {:?}", ended.number, restart.after);
        self.console.error("generation_crashed", &message);
        self.restart = Some((Instant::now() + restart.after, program));
    }

    /// When there is something to be done without news.
    fn next_due(&self) -> Option<Instant> {
        let restart = self.restart.as_ref().map(|(when, _)| *when);
        let silence = self.next.as_ref().map(|next| next.started + SILENCE_MAX);
        let cut = self.former.iter().chain(&self.current).filter_map(|generation| generation.until);
        restart.into_iter().chain(silence).chain(cut).min()
    }

    fn due(&mut self, now: Instant) {
        if let Some((_, program)) = self.restart.take_if(|(when, _)| *when <= now) {
            self.current = self.start(program);
        }
        if let Some(silent) = self.next.take_if(|next| next.started + SILENCE_MAX <= now) {
            let message = format!("watch: generation {} was not ready after {SILENCE_MAX:?}", silent.number);
            self.console.error("generation_failed", &message);
            silent.kill();
            self.fail_over();
        }
        for late in self.former.iter_mut().chain(&mut self.current) {
            if late.until.take_if(|until| *until <= now).is_some() {
                self.console.warn("drain_forced", &format!("watch: generation {} is cut off", late.number));
                late.kill();
            }
        }
    }

    /// Asks every generation to end, and waits; a second signal waits no longer.
    async fn stop(mut self, first: Exit, signals: &mut Signals) -> Exit {
        if let Some(build) = self.build.take() {
            build.abort();
        }
        let mut left: Vec<Generation> =
            self.former.drain(..).chain(self.next.take()).chain(self.current.take()).collect();
        left.iter().for_each(Generation::terminate);
        let grace = left.iter().map(Generation::grace).max().unwrap_or_default();
        let deadline = Instant::now() + grace;
        while !left.is_empty() {
            let forced = tokio::select! {
                Some((number, event)) = self.events.recv() => {
                    left.retain(|generation| generation.number != number || matches!(event, Event::Ready));
                    continue;
                }
                second = signals.stop() => second,
                () = sleep_until(deadline) => first,
            };
            left.iter().for_each(Generation::kill);
            return forced;
        }
        Exit::Clean
    }
}

/// Asks a generation to end, in the time that it has said it needs.
fn retire(generation: &mut Generation, console: Console) {
    let grace = generation.grace();
    generation.terminate();
    generation.until = Some(Instant::now() + grace);
    console.info("draining", &format!("watch: generation {} has {grace:?} to end", generation.number));
}

/// Where the source lies.
fn folder(order: &ProgramOrder) -> PathBuf {
    let folder = source_file(order).parent().map(PathBuf::from).unwrap_or_default();
    if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder }
}

/// The file whose change is always one.
fn source_file(order: &ProgramOrder) -> PathBuf {
    let path = order.source.shown();
    if path.is_dir() { path.join("Cargo.toml") } else { path.to_owned() }
}

/// The end of the build; never without one.
async fn finished(build: &mut Option<JoinHandle<Result<Stored, Failure>>>) -> Result<Stored, Failure> {
    match build {
        None => future::pending().await,
        Some(running) => match running.await {
            Ok(built) => built,
            // Nobody aborts a build without taking it out, so that it has panicked and told so.
            Err(fault) => Err(Failure::Cache(io::Error::other(fault))),
        },
    }
}
