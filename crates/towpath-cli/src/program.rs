//! Programs in Rust: `run`, `check`, `test` and `cache`.

use std::ffi::OsString;

use towpath_control::{Console, Exit, LogStyle};
use towpath_run::{BuildOptions, CacheOrder, ProgramOrder, Source};

use crate::args::{Build, Cache, Output, Test};
use crate::kind::{self, App};
use crate::refuse;

pub(crate) fn run(
    source: Source,
    watch: bool,
    build: Build,
    arguments: Vec<OsString>,
    output: &Output,
) -> Exit {
    let console = Console {
        style: output.log.map(LogStyle::from).unwrap_or_default(),
        quiet: output.quiet,
        ..Console::default()
    };
    let order = ProgramOrder { console, arguments, ..order(source, build) };
    match watch {
        true => towpath_run::watch(&order),
        false => towpath_run::run(&order),
    }
}

pub(crate) fn check(source: Source, build: Build) -> Exit {
    towpath_run::check(&order(source, build))
}

pub(crate) fn test(words: Test) -> Exit {
    match kind::app(words.file, words.kind) {
        Ok(App::Program(source)) => {
            towpath_run::test(&ProgramOrder { arguments: words.arguments, ..order(source, words.build) })
        }
        Ok(App::Gateway(_)) => refuse("a .toml file has no tests; towpath check tells its faults"),
        Err(message) => refuse(&message),
    }
}

pub(crate) fn cache(order: Cache) -> Exit {
    let order = match order {
        Cache::Ls => CacheOrder::List,
        Cache::Clean => CacheOrder::Clean,
        Cache::Path => CacheOrder::Path,
    };
    towpath_run::cache(order, Console::default())
}

/// What is wrong with a command line that tells a configuration what only a program can be told.
pub(crate) fn only_for_programs(build: Build, arguments: &[OsString]) -> Option<String> {
    let what = match () {
        () if build.offline => "--offline",
        () if build.locked => "--locked",
        () if build.debug_build => "--debug-build",
        () if !arguments.is_empty() => "what stands behind --",
        () => return None,
    };
    Some(format!("{what} is for .rs files; a .toml file is not built and takes no arguments"))
}

fn order(source: Source, build: Build) -> ProgramOrder {
    let options = BuildOptions { offline: build.offline, locked: build.locked, debug: build.debug_build };
    ProgramOrder { source, options, arguments: Vec::new(), console: Console::default() }
}
