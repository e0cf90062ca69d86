//! Fuzzing on the stable compiler.
//!
//! `fuzz/` has the layout of cargo-fuzz, whose command needs a nightly compiler for its sanitizers. Coverage alone
//! does not: the instrumentation is an LLVM pass that stable accepts by name. An explicit `--target` keeps these
//! flags away from build scripts, which would not link with them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Outcome;
use crate::step::{STEP_TIME_MAX, command, run, run_silently};

const INSTRUMENTATION: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions";

/// One input may take this long; a codec that needs more is a finding.
const INPUT_TIME_MAX: &str = "-timeout=10";
/// Megabytes; codecs hold a few kilobytes.
const MEMORY_MAX: &str = "-rss_limit_mb=1024";

/// `fuzz [TARGET] [SECONDS]`.
///
/// # Errors
/// No such target, a build that fails, or a finding, whose input is then kept under `target/fuzz/artifacts/`.
pub(crate) fn run_command(root: &Path, words: &[&str]) -> Outcome<()> {
    let (target, seconds) = match words {
        [] => (None, "10"),
        [seconds] if seconds.parse::<u64>().is_ok() => (None, *seconds),
        [target] => (Some(*target), "60"),
        [target, seconds] => (Some(*target), *seconds),
        _ => return Err("fuzz [TARGET] [SECONDS]".into()),
    };
    let span =
        Duration::from_secs(seconds.parse().map_err(|_| format!("{seconds:?} is not a number of seconds"))?);
    let mut targets = targets(root)?;
    targets.retain(|name| target.is_none_or(|wanted| wanted == name));
    if targets.is_empty() {
        return Err(format!("no such target; there are: {}", self::targets(root)?.join(", ")).into());
    }
    let programs = build(root)?;
    targets.iter().try_for_each(|name| fuzz(root, &programs, name, span, true))
}

/// Every target for `span`, quietly.
///
/// # Errors
/// As `fuzz`; also when there is no target at all.
pub(crate) fn smoke(root: &Path, span: Duration) -> Outcome<String> {
    let targets = targets(root)?;
    if targets.is_empty() {
        return Err("fuzz/fuzz_targets holds no target".into());
    }
    let programs = build(root)?;
    for name in &targets {
        fuzz(root, &programs, name, span, false)?;
    }
    Ok(format!("{} targets, {} s each", targets.len(), span.as_secs()))
}

fn targets(root: &Path) -> Outcome<Vec<String>> {
    let folder = root.join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let files = entries.flatten().map(|entry| entry.path());
    let sources = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let mut names: Vec<String> =
        sources.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
}

/// Builds every target; the folder of the programs.
fn build(root: &Path) -> Outcome<PathBuf> {
    let host = host_triple(root)?;
    let folder = root.join("target/fuzz");
    let mut command =
        command(root, "cargo", &["build", "--release", "--bins", "--manifest-path", "fuzz/Cargo.toml"]);
    command.args(["--target", &host]).arg("--target-dir").arg(&folder);
    if root.join("fuzz/Cargo.lock").is_file() {
        command.arg("--locked");
    }
    // Cargo prefers the encoded variable; an outer one must not undo the instrumentation.
    command.env("RUSTFLAGS", INSTRUMENTATION).env_remove("CARGO_ENCODED_RUSTFLAGS");
    run(&mut command, STEP_TIME_MAX)?;
    Ok(folder.join(host).join("release"))
}

fn host_triple(root: &Path) -> Outcome<String> {
    let version = run_silently(&mut command(root, "rustc", &["-vV"]), STEP_TIME_MAX)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or("rustc does not name its host")?.to_owned())
}

/// Runs one target over the committed seeds. What it discovers goes below `target/`: a seed is committed by hand.
fn fuzz(root: &Path, programs: &Path, name: &str, span: Duration, is_shown: bool) -> Outcome<()> {
    let found = root.join("target/fuzz/corpus").join(name);
    let artifacts = root.join("target/fuzz/artifacts").join(name);
    let seeds = root.join("fuzz/corpus").join(name);
    fs::create_dir_all(&found)?;
    fs::create_dir_all(&artifacts)?;
    let program = programs.join(name);
    let mut command = command(root, program.to_str().ok_or("the checkout's path is not UTF-8")?, &[]);
    command.arg(format!("-max_total_time={}", span.as_secs()));
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    command.args([INPUT_TIME_MAX, MEMORY_MAX, "-seed=1", "-print_final_stats=0"]);
    command.arg(&found);
    match seeds.is_dir() {
        true => command.arg(&seeds),
        false => {
            return Err(format!("fuzz/corpus/{name} is missing: every target has committed seeds").into());
        }
    };
    let limit = span + STEP_TIME_MAX;
    let outcome = match is_shown {
        true => run(&mut command, limit),
        false => run_silently(&mut command, limit).map(drop),
    };
    outcome.map_err(|error| format!("{name}: {error}\nthe input is in target/fuzz/artifacts/{name}/").into())
}
