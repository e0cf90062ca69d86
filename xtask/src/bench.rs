//! `cargo xtask bench NAME …`: provides the peers, builds with the published profile and starts the bench.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::step::{command, run};
use crate::{Outcome, debian, dist, envoy, servers};

/// A cold build with link-time optimisation on two cores, and a full run of seven rounds, are both well below this.
const BENCH_TIME_MAX: Duration = Duration::from_secs(3_600);

/// The benches by name; `bench-NAME` is the program.
const BENCHES: &[&str] = &[
    "http1", "http2", "grpc", "tls", "ws", "tcp", "udp", "idle", "idle-tcp", "idle-ws", "alloc", "models",
    "ctx", "kit", "pool", "run", "tasks",
];
/// Those in which Envoy takes part.
const WITH_ENVOY: &[&str] = &["http2", "grpc"];

/// Builds and runs one bench. `--profile NAME` chooses the build, `dist` by default; the rest goes to the bench.
///
/// # Errors
/// No such bench, a missing program that may not be installed, or the bench itself failed.
pub(crate) fn run_command(root: &Path, name: &str, words: &[&str]) -> Outcome<()> {
    if !BENCHES.contains(&name) {
        return Err(format!("no bench {name:?}; there are {}", BENCHES.join(", ")).into());
    }
    debian::provide(root, debian::FOR_BENCHES)?;
    if WITH_ENVOY.contains(&name) {
        envoy::provide(root)?;
    }
    let (profile, mut rest) = match name {
        // No gateway takes part, so there is nothing that a profile of its load would lay out.
        "kit" | "tasks" => ("release", words.to_vec()),
        _ => split_profile(words)?,
    };
    build(root, profile)?;
    if matches!(name, "kit" | "tasks") {
        servers::build(root)?;
    }
    if name != "alloc" {
        // A result names the profile of its programs.
        rest.extend(["--profile", profile]);
    }
    let folder = if profile == "dev" { "debug" } else { profile };
    let program = target_folder(root).join(folder).join(format!("bench-{name}"));
    run(
        &mut command(root, program.to_str().ok_or("the checkout's path is not UTF-8")?, &rest),
        BENCH_TIME_MAX,
    )
}

/// The published profile is measured as it is published.
fn build(root: &Path, profile: &str) -> Outcome<()> {
    if profile == "dist" {
        return dist::build(root).map(drop);
    }
    let args =
        ["build", "--locked", "--profile", profile, "--package", "towpath-cli", "--package", "towpath-bench"];
    run(&mut command(root, "cargo", &args), BENCH_TIME_MAX)
}

/// Where cargo puts what it builds.
pub(crate) fn target_folder(root: &Path) -> PathBuf {
    let chosen = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    root.join(chosen)
}

fn split_profile<'a>(words: &[&'a str]) -> Outcome<(&'a str, Vec<&'a str>)> {
    let Some(at) = words.iter().position(|word| *word == "--profile") else {
        return Ok(("dist", words.to_vec()));
    };
    let profile = words.get(at + 1).ok_or("--profile has no value")?;
    Ok((profile, [&words[..at], &words[at + 2..]].concat()))
}

#[cfg(test)]
mod tests {
    use super::split_profile;

    #[test]
    fn the_profile_is_taken_out_and_the_rest_is_kept() {
        assert_eq!(split_profile(&["--rounds", "1"]).unwrap(), ("dist", vec!["--rounds", "1"]));
        let words = ["--rounds", "1", "--profile", "release", "--seconds", "2"];
        assert_eq!(split_profile(&words).unwrap(), ("release", vec!["--rounds", "1", "--seconds", "2"]));
        assert!(split_profile(&["--profile"]).is_err());
    }
}
