//! The caller's cargo at work: what it is told, what of its words is passed on, and what it has made.

use std::collections::HashSet;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use crate::package::Package;
use crate::toolchain::Toolchain;

/// A build that is over before is not worth a word.
const SILENCE: Duration = Duration::from_secs(2);

/// Without frame pointers a profiler sees no callers.
const FLAGS: &str = "-Cforce-frame-pointers=yes";

/// What is wanted of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A program to start.
    Run,
    /// Its faults.
    Check,
    /// Its tests, as a program to start.
    Test,
}

impl Mode {
    /// The word for it in keys.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Check => "check",
            Self::Test => "test",
        }
    }
}

/// How to build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BuildOptions {
    /// Whether the registry must not be asked. Default no.
    pub offline: bool,
    /// Whether the lock file must be there and fit. Default no.
    pub locked: bool,
    /// Whether to build without optimisation. Default no.
    pub debug: bool,
}

/// A build to be made.
pub(crate) struct Order<'a> {
    pub(crate) toolchain: &'a Toolchain,
    pub(crate) package: &'a Package,
    /// Where cargo is started, so that it finds the settings it would find for its caller.
    pub(crate) folder: &'a Path,
    pub(crate) target: &'a Path,
    pub(crate) mode: Mode,
    pub(crate) options: BuildOptions,
    /// What the caller calls the source.
    pub(crate) shown: &'a Path,
}

/// What cargo has made.
#[derive(Debug, Default)]
pub(crate) struct Built {
    /// Programs by name.
    pub(crate) executables: Vec<(String, PathBuf)>,
    /// Packages that lie in folders: their manifest and the libraries made of them.
    pub(crate) local: Vec<(PathBuf, Vec<PathBuf>)>,
}

/// Why there is no program.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The source is at fault, and that has been told.
    Source,
    /// Something is missing that cargo needs, and that has been told.
    Unavailable,
    /// A signal came first.
    Stopped(Stop),
    /// The cache could not be written.
    Cache(io::Error),
}

/// The signal that ended a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Interrupt,
    Terminate,
}

impl From<io::Error> for Failure {
    fn from(fault: io::Error) -> Self {
        Self::Cache(fault)
    }
}

/// Builds, without the registry first. What is wrong has been told when it returns.
pub(crate) async fn build(order: &Order<'_>) -> Result<Built, Failure> {
    let first = attempt(order, true).await?;
    let attempt = match first.wants_registry() && !order.options.offline {
        true => attempt(order, false).await?,
        false => first,
    };
    attempt.tell();
    attempt.outcome()
}

/// Cargo's end and everything it said.
#[derive(Debug, Default)]
struct Attempt {
    is_success: bool,
    built: Built,
    /// What the compiler said, as it is to be shown.
    diagnostics: Vec<String>,
    has_compiler_errors: bool,
    is_linker_missing: bool,
    /// What cargo said itself, without its progress.
    words: String,
}

impl Attempt {
    fn wants_registry(&self) -> bool {
        !self.is_success && !self.has_compiler_errors && self.words.contains("offline")
    }

    /// Whether the disk is; the compiler says so in a diagnostic of its own, and the source is not at fault.
    fn is_full(&self) -> bool {
        !self.is_success && self.diagnostics.iter().chain([&self.words]).any(|words| is_full(words))
    }

    fn tell(&self) {
        if self.is_full() {
            return;
        }
        let mut out = io::stderr().lock();
        for diagnostic in &self.diagnostics {
            // A closed stderr is no reason to stop.
            let _ = out.write_all(diagnostic.as_bytes());
        }
        if !self.is_success {
            let _ = out.write_all(self.words.as_bytes());
        }
    }

    fn outcome(self) -> Result<Built, Failure> {
        match () {
            () if self.is_success => Ok(self.built),
            () if self.is_full() => Err(Failure::Cache(io::ErrorKind::StorageFull.into())),
            () if self.is_linker_missing => Err(Failure::Unavailable),
            () if self.has_compiler_errors => Err(Failure::Source),
            () if is_missing(&self.words) => Err(Failure::Unavailable),
            () => Err(Failure::Source),
        }
    }
}

/// Whether cargo's own words say that it could not get something, or could not run what a library needs to be built.
fn is_missing(words: &str) -> bool {
    const SIGNS: &[&str] = &[
        "offline",
        "failed to download",
        "failed to fetch",
        "failed to query",
        "failed to run custom build command",
        "unable to update",
        "network",
        "Could not resolve",
        "Couldn't connect",
    ];
    // What cargo says of a lock file that does not fit recommends to go offline.
    !words.contains("--locked was passed") && SIGNS.iter().any(|sign| words.contains(sign))
}

fn is_full(words: &str) -> bool {
    ["No space left on device", "Disk quota exceeded"].iter().any(|sign| words.contains(sign))
}

/// A cargo whose whole process group ends with this value.
struct Running(Child);

impl Running {
    /// By SIGTERM, whatever ended us: what a shell of a build script has put into the background ignores SIGINT.
    fn end(&self) {
        if let Some(group) = self.0.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            let _ = kill_process_group(group, Signal::TERM);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

async fn attempt(order: &Order<'_>, is_offline: bool) -> Result<Attempt, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut child = command(order, is_offline).spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut running = Running(child);
    let mut messages = stdout.map(|pipe| BufReader::new(pipe).lines());
    let mut words = stderr.map(|pipe| BufReader::new(pipe).lines());
    let mut attempt = Attempt::default();
    let mut hearing = Hearing { order, seen: HashSet::new() };
    let mut progress = Progress::new(order);
    while messages.is_some() || words.is_some() {
        tokio::select! {
            line = next(&mut messages) => if let Some(line) = line { hearing.message(&line, &mut attempt) },
            line = next(&mut words) => if let Some(line) = line {
                match is_status(&line) {
                    true => progress.status(&line),
                    false => attempt.words.push_str(&(line + "\n")),
                }
            },
            () = sleep_until(progress.begins), if progress.is_waiting() => progress.begin(),
            _ = interrupt.recv() => return Err(end(running, Stop::Interrupt).await),
            _ = terminate.recv() => return Err(end(running, Stop::Terminate).await),
        }
    }
    attempt.is_success = running.0.wait().await?.success();
    Ok(attempt)
}

async fn end(mut running: Running, stop: Stop) -> Failure {
    running.end();
    let _ = running.0.wait().await;
    Failure::Stopped(stop)
}

type Pipe<T> = Option<Lines<BufReader<T>>>;

/// The next line; the pipe is gone when it has ended.
async fn next<T: tokio::io::AsyncRead + Unpin>(pipe: &mut Pipe<T>) -> Option<String> {
    let Some(lines) = pipe else { return std::future::pending().await };
    // What is not text is no message of cargo's.
    let line = lines.next_line().await.ok().flatten();
    if line.is_none() {
        *pipe = None;
    }
    line
}

fn command(order: &Order<'_>, is_offline: bool) -> Command {
    let mut command = Command::new(&order.toolchain.cargo);
    let is_script = order.package.source.is_some();
    // Only the one compiler of a single file's own code may be told more.
    match (is_script, order.mode) {
        (true, _) => command.arg("rustc"),
        (false, Mode::Run) => command.arg("build"),
        (false, Mode::Check) => command.arg("check"),
        (false, Mode::Test) => command.args(["test", "--no-run"]),
    };
    match (is_script, order.mode) {
        (true, Mode::Check) => drop(command.args(["--profile", "check"])),
        (true, Mode::Test) => drop(command.args(["--profile", "test"])),
        (_, Mode::Run) if !order.options.debug => drop(command.arg("--release")),
        _ => {}
    }
    let style = if is_coloured() { "json-diagnostic-rendered-ansi" } else { "json" };
    command.arg("--message-format").arg(style);
    command.arg("--manifest-path").arg(&order.package.manifest).arg("--target-dir").arg(order.target);
    if is_offline || order.options.offline {
        command.arg("--offline");
    }
    if order.options.locked {
        command.arg("--locked");
    }
    flags(&mut command);
    if is_script {
        command.args(["--bins", "--"]);
    }
    for (from, to) in &order.package.names {
        command.arg("--remap-path-prefix").arg(format!("{from}={to}"));
    }
    command.current_dir(order.folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Of its own, so that a signal for it reaches its compilers and nobody else.
    command.process_group(0);
    command
}

/// Adds our flags to those of the caller: cargo takes flags from one place only, and the environment goes first.
fn flags(command: &mut Command) {
    match (std::env::var("CARGO_ENCODED_RUSTFLAGS"), std::env::var("RUSTFLAGS")) {
        (Ok(own), _) => command.env("CARGO_ENCODED_RUSTFLAGS", format!("{own}\u{1f}{FLAGS}")),
        (_, Ok(own)) => command.env("RUSTFLAGS", format!("{own} {FLAGS}")),
        _ => command.args(["--config", &format!("build.rustflags = [\"{FLAGS}\"]")]),
    };
}

fn is_coloured() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Understands cargo's messages.
struct Hearing<'a> {
    order: &'a Order<'a>,
    seen: HashSet<String>,
}

impl Hearing<'_> {
    fn message(&mut self, line: &str, attempt: &mut Attempt) {
        let Ok(message) = serde_json::from_str::<Value>(line) else { return };
        match message["reason"].as_str() {
            Some("compiler-message") => self.diagnostic(&message, attempt),
            Some("compiler-artifact") => artifact(&message, &mut attempt.built),
            _ => {}
        }
    }

    fn diagnostic(&mut self, message: &Value, attempt: &mut Attempt) {
        let said = &message["message"];
        let is_error = said["level"].as_str().is_some_and(|level| level.starts_with("error"));
        let text = said["message"].as_str().unwrap_or_default();
        attempt.has_compiler_errors |= is_error;
        attempt.is_linker_missing |= is_error && text.starts_with("linker `") && text.contains("not found");
        // Warnings about libraries are for those who work on them.
        let manifest = Path::new(message["manifest_path"].as_str().unwrap_or_default());
        let is_own = manifest.starts_with(&self.order.package.folder);
        let is_sum = text.starts_with("aborting due to") || text.ends_with("emitted");
        let rendered = said["rendered"].as_str().unwrap_or_default();
        if (is_own || is_error) && !is_sum && self.seen.insert(rendered.to_owned()) {
            attempt.diagnostics.push(rendered.to_owned());
        }
    }
}

fn artifact(message: &Value, built: &mut Built) {
    let is_local = message["package_id"].as_str().is_some_and(|id| id.starts_with("path+file://"));
    if let Some(executable) = message["executable"].as_str() {
        let name = message["target"]["name"].as_str().unwrap_or_default();
        built.executables.push((name.to_owned(), executable.into()));
    }
    if let (true, Some(manifest)) = (is_local, message["manifest_path"].as_str()) {
        let files = message["filenames"].as_array().into_iter().flatten();
        let files = files.filter_map(|file| file.as_str().map(PathBuf::from)).collect();
        built.local.push((manifest.into(), files));
    }
}

/// A line of cargo's progress: a word that ends in the twelfth column.
fn is_status(line: &str) -> bool {
    const COLUMNS: usize = 12;
    match (line.get(..COLUMNS), line.get(COLUMNS..)) {
        (Some(word), Some(rest)) => {
            let word = word.trim_start();
            rest.starts_with(' ')
                && word.starts_with(|c: char| c.is_ascii_uppercase())
                && !word.contains([' ', ':'])
        }
        _ => false,
    }
}

/// What a person who waits is shown, and nobody else.
struct Progress {
    is_terminal: bool,
    begins: Instant,
    has_begun: bool,
    last: Option<String>,
    package: String,
    shown: String,
}

impl Progress {
    fn new(order: &Order<'_>) -> Self {
        Self {
            is_terminal: io::stderr().is_terminal(),
            begins: Instant::now() + SILENCE,
            has_begun: false,
            last: None,
            package: order.package.folder.display().to_string(),
            shown: order.shown.display().to_string(),
        }
    }

    fn is_waiting(&self) -> bool {
        self.is_terminal && !self.has_begun
    }

    fn begin(&mut self) {
        self.has_begun = true;
        if let Some(last) = self.last.take() {
            self.status(&last);
        }
    }

    fn status(&mut self, line: &str) {
        if self.is_terminal && self.has_begun {
            let line = line.replace(&self.package, &self.shown);
            let _ = writeln!(io::stderr().lock(), "{line}");
        } else {
            self.last = Some(line.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_from_what_matters() {
        for line in [
            "   Compiling app v0.0.0 (/x)",
            "    Finished `release` profile",
            "    Blocking waiting for",
            " Downloading 3 crates",
        ] {
            assert!(is_status(line), "{line}");
        }
        for line in [
            "error: could not compile",
            "Caused by:",
            "  failed to parse manifest",
            "",
            "note: x",
            "    feature `x` is not",
        ] {
            assert!(!is_status(line), "{line}");
        }
    }

    #[test]
    fn what_is_missing_is_told_from_what_is_wrong() {
        assert!(is_missing(
            "error: no matching package\nAs a reminder, you're using offline mode (--offline)"
        ));
        assert!(!is_missing("error: failed to parse manifest at `/x/Cargo.toml`"));
    }
}
