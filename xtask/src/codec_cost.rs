//! Instructions per message of the HTTP/1 codec, counted by callgrind: the one figure of speed that a noisy machine
//! cannot change and a test may therefore compare.

use std::fs;
use std::path::Path;

use crate::step::{STEP_TIME_MAX, command, run_silently};
use crate::{Outcome, debian, suite};

const BASELINE: &str = "bench/results/codec-instructions.txt";
/// A change of the codec shows far above this; a change elsewhere stays far below.
const GROWTH_MAX: f64 = 0.01;
/// Two runs that differ only in their number of messages: start and stop fall out of the difference.
const MESSAGES_FEW: u64 = 1_000;
const MESSAGES_MANY: u64 = 3_000;

/// `codec-cost [--record]`.
///
/// # Errors
/// As [`check`], or the arguments are not understood.
pub(crate) fn run_command(root: &Path, words: &[&str]) -> Outcome<()> {
    match words {
        [] => println!("{}", check(root)?),
        ["--record"] => record(root)?,
        _ => return Err("codec-cost [--record]".into()),
    }
    Ok(())
}

/// Measures and compares; a remark for the summary.
///
/// # Errors
/// More instructions than the baseline allows, no baseline, or no valgrind.
pub(crate) fn check(root: &Path) -> Outcome<String> {
    let now = Figure::measure(root)?;
    let text = fs::read_to_string(root.join(BASELINE))
        .map_err(|_| format!("{BASELINE} is missing; {HOW_TO_RECORD}"))?;
    let before =
        Figure::parse(&text).ok_or_else(|| format!("{BASELINE} is not understood; {HOW_TO_RECORD}"))?;
    judge(&before, &now)
}

const HOW_TO_RECORD: &str = "`cargo xtask codec-cost --record` writes it";

fn judge(before: &Figure, now: &Figure) -> Outcome<String> {
    if before.conditions != now.conditions {
        let (then, today) = (&before.conditions, &now.conditions);
        return Ok(format!(
            "{:.1} per message, not comparable: recorded with {then}, measured with {today}",
            now.per_message
        ));
    }
    let growth = now.per_message / before.per_message - 1.0;
    let text = format!(
        "{:.1} instructions per message, {:+.2} % against {:.1}",
        now.per_message,
        growth * 100.0,
        before.per_message
    );
    match growth > GROWTH_MAX {
        true => Err(format!("{text}; if that is meant, {HOW_TO_RECORD}").into()),
        false => Ok(text),
    }
}

fn record(root: &Path) -> Outcome<()> {
    let now = Figure::measure(root)?;
    let file = root.join(BASELINE);
    fs::create_dir_all(file.parent().unwrap_or(root))?;
    fs::write(&file, now.to_text())?;
    println!("{BASELINE}: {:.1} instructions per message", now.per_message);
    Ok(())
}

/// One measurement and what it depends on.
#[derive(Debug, PartialEq)]
struct Figure {
    per_message: f64,
    /// Compiler, profile and the vector instructions the C library and memchr choose by.
    conditions: String,
}

impl Figure {
    fn measure(root: &Path) -> Outcome<Figure> {
        if debian::find("valgrind").is_none() {
            return Err("please install: sudo apt-get install valgrind".into());
        }
        let program = suite::build(root, "--example", "codec_replay")?.join("examples/codec_replay");
        let few = instructions(root, &program, MESSAGES_FEW)?;
        let many = instructions(root, &program, MESSAGES_MANY)?;
        let per_message = (many as f64 - few as f64) / (MESSAGES_MANY - MESSAGES_FEW) as f64;
        Ok(Figure { per_message, conditions: conditions(root)? })
    }

    fn parse(text: &str) -> Option<Figure> {
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        let per_message = value("instructions per message")?.parse().ok()?;
        Some(Figure { per_message, conditions: value("conditions")?.to_owned() })
    }

    fn to_text(&self) -> String {
        format!(
            "# Written by `cargo xtask codec-cost --record`: user instructions of the HTTP/1 codec, by callgrind.\n\
             instructions per message: {:.1}\nconditions: {}\n",
            self.per_message, self.conditions
        )
    }
}

fn instructions(root: &Path, program: &Path, messages: u64) -> Outcome<u64> {
    let mut command = command(root, "valgrind", &["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg(program).arg(messages.to_string());
    parse_collected(&run_silently(&mut command, STEP_TIME_MAX)?)
}

/// Reads `==123== Collected : 456`.
fn parse_collected(output: &str) -> Outcome<u64> {
    let line = output.lines().find_map(|line| line.split_once("Collected : "));
    let (_, count) = line.ok_or("callgrind did not say how many instructions it collected")?;
    Ok(count.trim().parse()?)
}

fn conditions(root: &Path) -> Outcome<String> {
    let rustc = run_silently(&mut command(root, "rustc", &["-V"]), STEP_TIME_MAX)?;
    let flags = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let vectors = match flags.split_whitespace().any(|flag| flag == "avx2") {
        true => "AVX2",
        false => "no AVX2",
    };
    Ok(format!("{}, dev profile, {}, {vectors}", rustc.trim(), std::env::consts::ARCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(per_message: f64, conditions: &str) -> Figure {
        Figure { per_message, conditions: conditions.to_owned() }
    }

    #[test]
    fn one_percent_more_is_allowed_and_two_are_not() {
        let before = figure(1_000.0, "a");
        assert!(judge(&before, &figure(1_009.0, "a")).is_ok());
        assert!(judge(&before, &figure(500.0, "a")).is_ok());
        let error = judge(&before, &figure(1_020.0, "a")).unwrap_err().to_string();
        assert!(error.contains("+2.00 %") && error.contains("--record"), "{error}");
    }

    #[test]
    fn another_compiler_is_reported_and_does_not_fail() {
        let text = judge(&figure(1_000.0, "rustc 1"), &figure(5_000.0, "rustc 2")).unwrap();
        assert!(text.contains("not comparable"), "{text}");
    }

    #[test]
    fn a_recorded_figure_is_read_back() {
        let before = figure(1234.5, "rustc 1.95.0, dev profile");
        assert_eq!(Figure::parse(&before.to_text()), Some(before));
        assert_eq!(Figure::parse("nonsense"), None);
        assert_eq!(parse_collected("==1== \n==1== Collected : 4567\n").unwrap(), 4567);
    }
}
