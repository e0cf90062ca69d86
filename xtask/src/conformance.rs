//! `cargo xtask conformance`: the slow outside suites, each a folder with its list of excused cases.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::Outcome;
use crate::step::{command, run};

const SUITE_TIME_MAX: Duration = Duration::from_secs(3_600);

/// Runs every `conformance/*/run`, and says so when there is none.
///
/// # Errors
/// A suite failed.
pub(crate) fn run_command(root: &Path) -> Outcome<()> {
    let mut suites: Vec<_> = fs::read_dir(root.join("conformance"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("run"))
        .filter(|script| script.is_file())
        .collect();
    suites.sort();
    if suites.is_empty() {
        println!("no outside suite is here yet; wire tests and the request corpus run in `cargo xtask test`");
    }
    for script in suites {
        println!("== {}", script.display());
        run(
            &mut command(root, script.to_str().ok_or("the checkout's path is not UTF-8")?, &[]),
            SUITE_TIME_MAX,
        )?;
    }
    Ok(())
}
