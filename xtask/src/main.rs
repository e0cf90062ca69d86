//! `cargo xtask`: the one door to this repository's tooling.
//!
//! A command is a file; each of them is a list of steps, and every step is a child process with a time limit or a
//! check of the tree. There is no other task runner, and continuous integration runs nothing that a person cannot.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool talks to the person who started it")]

mod bench;
mod codec_cost;
mod conformance;
mod debian;
mod dist;
mod envoy;
mod fuzz;
mod generate;
mod python;
mod servers;
mod step;
mod suite;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What every fallible step returns; its text is for the person who started it.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const HELP: &str = "\
cargo xtask COMMAND

  test                       everything: tools, format, lints, tidy, tests, docs, fuzz smoke, codec cost
  ci                         the same; what .ci/run calls
  tidy                       the tree itself: crate edges, absences, leftovers, generated files
  generate                   write the generated files that tidy compares
  fuzz [TARGET] [SECONDS]    fuzz one target (default: every target, 10 s each)
  codec-cost [--record]      instructions per message, against the recorded baseline
  dist                       the published binary, target/dist/towpath, optimised by a profile
  bench NAME …               http1, http2, grpc, tls, ws, tcp, udp, idle, idle-tcp, idle-ws, alloc, models,
                             ctx; further arguments go to the bench
  conformance                the slow outside suites
  conformance autobahn       Autobahn's suite of WebSockets, where AUTOBAHN_PYTHON names a Python 2.7 that has it
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Outcome<()> {
    let root = root();
    match words {
        ["test" | "ci"] => suite::run_command(&root),
        ["tidy"] => tidy::run(&root),
        ["generate"] => generate::run(&root),
        ["fuzz", rest @ ..] => fuzz::run_command(&root, rest),
        ["codec-cost", rest @ ..] => codec_cost::run_command(&root, rest),
        ["bench", name, rest @ ..] => bench::run_command(&root, name, rest),
        ["dist"] => dist::run_command(&root),
        ["conformance"] => conformance::run_command(&root),
        ["conformance", "autobahn"] => conformance::run_autobahn(&root),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(format!("no command {:?}\n\n{HELP}", other.join(" ")).into()),
    }
}

/// The workspace's folder, wherever the command was started.
fn root() -> PathBuf {
    // Cargo sets this for `cargo run`, so that a moved checkout needs no rebuild; the other is the place of the build.
    let manifest =
        std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    let folder = PathBuf::from(manifest);
    folder.parent().map_or_else(|| folder.clone(), Path::to_owned)
}
