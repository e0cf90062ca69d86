//! The commands.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use towpath_control::{Console, Exit};

use crate::cache::{Cache, Stored};
use crate::cargo::{BuildOptions, Failure, Mode, Stop};
use crate::source::Source;
use crate::store::{Refusal, Wanted, runtime};

/// A program and how to start it.
#[derive(Clone, Debug)]
pub struct ProgramOrder {
    /// What to run.
    pub source: Source,
    /// How to build it.
    pub options: BuildOptions,
    /// What it is told.
    pub arguments: Vec<OsString>,
    /// Where messages go.
    pub console: Console,
}

/// What is asked of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheOrder {
    /// Its programs, the one that was used last first.
    List,
    /// That everything goes but programs that are running.
    Clean,
    /// Where it is.
    Path,
}

/// Builds the program if it is not in the cache and becomes it. Returns only when there is nothing to become.
#[must_use]
pub fn run(order: &ProgramOrder) -> Exit {
    match prepare(order, Mode::Run) {
        Ok((wanted, program)) => become_program(&wanted, &program, order),
        Err(exit) => exit,
    }
}

/// Builds the tests of the program if they are not in the cache, and runs them.
#[must_use]
pub fn test(order: &ProgramOrder) -> Exit {
    if let Source::Path(path) = &order.source
        && path.is_dir()
    {
        return test_folder(order);
    }
    match prepare(order, Mode::Test) {
        Ok((_, program)) => run_tests(&program.path, order),
        Err(exit) => exit,
    }
}

/// Tells everything that the compiler has to say against the program.
#[must_use]
pub fn check(order: &ProgramOrder) -> Exit {
    match compile(order, Mode::Check) {
        Ok(_) => Exit::Clean,
        Err(exit) => exit,
    }
}

fn prepare(order: &ProgramOrder, mode: Mode) -> Result<(Wanted, Stored), Exit> {
    let wanted = wanted(order, mode)?;
    if let Some(found) = Cache::readable().ok().and_then(|cache| wanted.find(&cache)) {
        return Ok((wanted, found));
    }
    let built =
        runtime().map_err(Failure::Cache).and_then(|runtime| runtime.block_on(wanted.build(order.console)));
    match built {
        Ok(built) => Ok((wanted, built)),
        Err(failure) => Err(fail(&failure, order.console)),
    }
}

/// Reads the source and finds what it needs.
pub(crate) fn wanted(order: &ProgramOrder, mode: Mode) -> Result<Wanted, Exit> {
    let refusal = match order.source.read() {
        Ok(program) => match Wanted::new(program, mode, order.options) {
            Ok(wanted) => return Ok(wanted),
            Err(refusal) => refusal,
        },
        Err(text) => Refusal::Source(text),
    };
    Err(refuse(&refusal, order))
}

fn refuse(refusal: &Refusal, order: &ProgramOrder) -> Exit {
    match refusal {
        Refusal::Source(text) => {
            order.console.faults(towpath_control::Level::Error, "refused", text);
            Exit::BadConfiguration
        }
        Refusal::NoCargo => {
            let shown = order.source.shown().display();
            let why = "cargo and rustc are needed to build it and are not on the search path";
            let help = "install Rust from https://rustup.rs; .toml files need none of it";
            order.console.error("no_cargo", &format!("{shown}: {why}; {help}"));
            Exit::Unavailable
        }
    }
}

/// How a build that failed ends the command. The reason has been told, but for the cache's.
pub(crate) fn fail(failure: &Failure, console: Console) -> Exit {
    match failure {
        Failure::Source => Exit::BadConfiguration,
        Failure::Unavailable => Exit::Unavailable,
        Failure::Stopped(Stop::Interrupt) => Exit::Interrupted,
        Failure::Stopped(Stop::Terminate) => Exit::Terminated,
        Failure::Cache(fault) => {
            console.error("build_failed", &format!("there is no place to build: {fault}"));
            Exit::Failed
        }
    }
}

fn become_program(wanted: &Wanted, program: &Stored, order: &ProgramOrder) -> Exit {
    if let Ok(cache) = Cache::readable() {
        cache.touch(program);
    }
    let fault = Command::new(&program.path).arg0(wanted.program.name()).args(&order.arguments).exec();
    order.console.error("start_failed", &format!("{}: {fault}", program.path.display()));
    Exit::Failed
}

fn run_tests(tests: &Path, order: &ProgramOrder) -> Exit {
    match Command::new(tests).args(&order.arguments).status() {
        Ok(status) if status.success() => Exit::Clean,
        // The harness has told which.
        Ok(_) => Exit::Failed,
        Err(fault) => {
            order.console.error("start_failed", &format!("{}: {fault}", tests.display()));
            Exit::Failed
        }
    }
}

/// A folder has as many programs of tests as it has programs, libraries and folders of tests; they are not kept.
fn test_folder(order: &ProgramOrder) -> Exit {
    let built = match compile(order, Mode::Test) {
        Ok(built) => built,
        Err(exit) => return exit,
    };
    let mut exit = Exit::Clean;
    for (_, tests) in &built.executables {
        if run_tests(tests, order) != Exit::Clean {
            exit = Exit::Failed;
        }
    }
    exit
}

fn compile(order: &ProgramOrder, mode: Mode) -> Result<crate::cargo::Built, Exit> {
    let wanted = wanted(order, mode)?;
    let compiled = Cache::writable(order.console).map_err(Failure::Cache).and_then(|cache| {
        let _building = cache.lock(&wanted.program.name(), order.console)?;
        runtime()?.block_on(wanted.compile(&cache))
    });
    compiled.map(|(_, built)| built).map_err(|failure| fail(&failure, order.console))
}

/// `towpath cache`.
#[must_use]
pub fn cache(order: CacheOrder, console: Console) -> Exit {
    let Some(place) = Cache::place() else {
        console.error("no_cache", "there is neither XDG_CACHE_HOME nor HOME, so there is no cache");
        return Exit::BadConfiguration;
    };
    if order == CacheOrder::Path {
        console.say(&format!("{}\n", place.display()));
        return Exit::Clean;
    }
    if !place.exists() {
        return Exit::Clean;
    }
    let done = Cache::readable().and_then(|cache| match order {
        CacheOrder::Clean => clean(&cache, console).map_err(|fault| format!("{}: {fault}", place.display())),
        CacheOrder::List | CacheOrder::Path => {
            list(&cache, console);
            Ok(())
        }
    });
    match done {
        Ok(()) => Exit::Clean,
        Err(why) => {
            console.error("cache_unusable", &why);
            Exit::Failed
        }
    }
}

fn list(cache: &Cache, console: Console) {
    let now = SystemTime::now();
    for program in cache.programs() {
        let age = now.duration_since(program.used).unwrap_or_default().as_secs();
        let size = program.bytes as f64 / 1e6;
        console.say(&format!("{size:>8.1} MB  {:>8}  {}\n", age_text(age), program.source));
    }
}

/// How long ago, in the largest unit that leaves a number.
fn age_text(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min")];
    let unit = units.into_iter().find(|(length, _)| seconds >= *length);
    unit.map_or_else(|| format!("{seconds} s"), |(length, name)| format!("{} {name}", seconds / length))
}

fn clean(cache: &Cache, console: Console) -> io::Result<()> {
    let _building = cache.lock("towpath cache clean", console)?;
    let bytes = cache.clean()?;
    console.say(&format!("{:.1} MB freed\n", bytes as f64 / 1e6));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_in_one_unit() {
        assert_eq!([5, 65, 7_300, 200_000].map(age_text), ["5 s", "1 min", "2 h", "2 d"]);
    }
}
