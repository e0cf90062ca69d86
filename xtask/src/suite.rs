//! `cargo xtask test`: everything, in one build profile, in an order that tells the cheap faults first.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::step::{STEP_TIME_MAX, Steps, command, run, run_and_keep, run_silently};
use crate::{Outcome, bench, codec_cost, debian, fuzz, python, tidy};

/// Enough to replay every seed and to walk a little further; a fuzzing campaign is `cargo xtask fuzz TARGET 3600`.
const FUZZ_SMOKE: Duration = Duration::from_secs(2);

/// Runs every step and prints the summary.
///
/// # Errors
/// A step failed.
pub(crate) fn run_command(root: &Path) -> Outcome<()> {
    let mut steps = Steps::default();
    steps.run("tools", || tools(root));
    match has_component(root, "fmt") {
        true => steps.run("format", || cargo(root, &["fmt", "--all", "--check"])),
        false => steps.skip("format", "rustfmt is not installed"),
    }
    steps.run("tidy", || tidy::check(root));
    steps.run("lock files", || lock_files(root));
    match has_component(root, "clippy") {
        true => steps.run("lints", || cargo(root, CLIPPY)),
        false => steps.skip("lints", "clippy is not installed"),
    }
    steps.run("tests", || tests(root));
    steps.run("docs", || docs(root));
    steps.run("fuzz", || fuzz::smoke(root, FUZZ_SMOKE));
    steps.run("codec cost", || codec_cost::check(root));
    steps.finish()
}

/// The environment of a test's peer, and its package: the version that conformance has too. Debian's is years old.
const PYTHON_H2: (&str, &str) = ("python-h2", "h2==4.4.1");

fn tools(root: &Path) -> Outcome<String> {
    let remark = debian::provide(root, debian::FOR_TESTS)?;
    let (name, package) = PYTHON_H2;
    python::provide(root, name, package)?;
    Ok(remark)
}

/// What is not built unless it is asked for. Features only add, so that one build shows all of it.
const FEATURES: &str = "--features=towpath/dns,towpath/grpc,towpath/postgres,towpath/test";

/// Builds one program of what the tests build: with fewer packages or features cargo would build all below it again. Its
/// folder is given.
///
/// # Errors
/// It does not build.
pub(crate) fn build(root: &Path, kind: &str, name: &str) -> Outcome<PathBuf> {
    cargo(root, &["build", "--workspace", FEATURES, "--locked", "--quiet", kind, name])?;
    Ok(bench::target_folder(root).join("debug"))
}

const CLIPPY: &[&str] =
    &["clippy", "--workspace", "--all-targets", FEATURES, "--locked", "--", "-D", "warnings"];

fn cargo(root: &Path, args: &[&str]) -> Outcome<String> {
    run(&mut command(root, "cargo", args), STEP_TIME_MAX)?;
    Ok(String::new())
}

fn has_component(root: &Path, name: &str) -> bool {
    run_silently(&mut command(root, "cargo", &[name, "--version"]), STEP_TIME_MAX).is_ok()
}

/// Those of the workspaces that no other step builds: a change of the kit's dependencies leaves them behind.
fn lock_files(root: &Path) -> Outcome<String> {
    let folder = root.join("bench/servers");
    let args = ["update", "--workspace", "--locked", "--quiet"];
    let mended_by = format!("`cargo update --workspace` in {} mends it", folder.display());
    run_silently(&mut command(&folder, "cargo", &args), STEP_TIME_MAX)
        .map_err(|error| format!("{error}\n{mended_by}"))?;
    Ok(String::new())
}

/// Building is a step of its own so that its time does not count against the tests' limit.
fn tests(root: &Path) -> Outcome<String> {
    cargo(root, &["test", "--workspace", FEATURES, "--locked", "--no-run"])?;
    let args = ["test", "--workspace", FEATURES, "--locked", "--no-fail-fast"];
    let output = run_and_keep(&mut command(root, "cargo", &args), STEP_TIME_MAX)?;
    match count_passed(&output) {
        0 => Err("no test ran".into()),
        count => Ok(format!("{count} tests")),
    }
}

fn docs(root: &Path) -> Outcome<String> {
    let args = ["doc", "--workspace", FEATURES, "--no-deps", "--locked", "--quiet"];
    let mut command = command(root, "cargo", &args);
    command.env("RUSTDOCFLAGS", "-D warnings");
    run(&mut command, STEP_TIME_MAX)?;
    Ok(String::new())
}

/// Adds up the `test result: ok. 12 passed; …` lines of cargo.
fn count_passed(output: &str) -> u64 {
    let results = output.lines().filter_map(|line| line.strip_prefix("test result: "));
    let counts = results
        .filter_map(|line| line.split(' ').zip(line.split(' ').skip(1)).find(|(_, word)| *word == "passed;"));
    counts.filter_map(|(count, _)| count.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    #[test]
    fn passed_tests_are_added_up_over_crates() {
        let output = "running 2 tests\ntest result: ok. 12 passed; 0 failed; 0 ignored\n\
                      noise\ntest result: FAILED. 3 passed; 1 failed; 0 ignored\n";
        assert_eq!(super::count_passed(output), 15);
    }
}
