//! The driver's end of `bench-load` and `bench-flow`: it says when to begin, so that CPU time is read at the same two
//! moments.
//!
//! ```text
//!   generator                 driver
//!   connects, warms up
//!   "ready"          ------>  reads the proxy's CPU account
//!                    <------  "go"
//!   measures
//!   "completed=…"    ------>  reads the account again
//!                    <------  end of input: connections may close now
//! ```

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ChildStdout, Stdio};

use crate::Outcome;
use crate::child::{REST_CORE, Running, pinned};

/// What one measurement asks of a generator: its program and its arguments.
#[derive(Debug, Clone)]
pub struct Order {
    program: &'static str,
    words: Vec<String>,
}

impl Order {
    /// Load for `address`.
    #[must_use]
    pub fn new(program: &'static str, address: SocketAddr) -> Order {
        Order { program, words: vec!["--addr".to_owned(), address.to_string()] }
    }

    /// Adds `--key value`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl ToString) -> Order {
        self.words.extend([format!("--{key}"), value.to_string()]);
        self
    }
}

/// What the generator saw between "go" and its result.
#[derive(Debug, Clone, Copy, Default)]
pub struct Report {
    /// Units of work that were done: responses with status 200, echoes, bytes or datagrams that arrived.
    pub completed: u64,
    /// Everything else: other statuses, closed connections, responses that never came, datagrams that were lost.
    pub errors: u64,
    /// Open loop only: requests that were due and found no free connection before the end.
    pub behind: u64,
    /// Seconds from the first request to the last response.
    pub seconds: f64,
    /// Open loop only: median latency from the moment a request was due.
    pub p50_us: u64,
    /// Open loop only: 99th percentile of the same.
    pub p99_us: u64,
}

/// A generator that has connected, whoever wrote it.
pub trait Waiting {
    /// Runs the measurement; connections may stay open until this is dropped.
    ///
    /// # Errors
    /// The generator died.
    fn go(&mut self) -> Outcome<Report>;
}

/// A generator of our own that has connected and waits for "go".
#[derive(Debug)]
pub struct Generator {
    running: Running,
    output: BufReader<ChildStdout>,
}

impl Generator {
    /// Starts a generator from `bin` and waits until it is ready.
    ///
    /// # Errors
    /// It cannot be started or cannot connect.
    pub fn start(bin: &Path, order: &Order) -> Outcome<Generator> {
        let mut command = pinned(REST_CORE, &bin.join(order.program));
        command.args(&order.words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = Running::start(command)?;
        let output = running.child_mut().stdout.take().ok_or("the generator has no output")?;
        let mut generator = Generator { running, output: BufReader::new(output) };
        match generator.line()?.as_str() {
            "ready" => Ok(generator),
            other => Err(format!("the generator said {other:?} instead of \"ready\"").into()),
        }
    }

    fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        if line.is_empty() {
            return Err("the generator ended early; its message stands above".into());
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Waiting for Generator {
    fn go(&mut self) -> Outcome<Report> {
        let input = self.running.child_mut().stdin.as_mut().ok_or("the generator has no input")?;
        input.write_all(b"go\n")?;
        parse_report(&self.line()?)
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        // End of input is the generator's order to close and leave.
        self.running.child_mut().stdin.take();
        let _ = self.running.child_mut().wait();
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "completed={} errors={} behind={} ", self.completed, self.errors, self.behind)?;
        write!(f, "seconds={} p50_us={} p99_us={}", self.seconds, self.p50_us, self.p99_us)
    }
}

fn parse_report(line: &str) -> Outcome<Report> {
    let mut report = Report::default();
    for pair in line.split_whitespace() {
        let (key, value) = pair.split_once('=').ok_or_else(|| format!("{pair:?} is not key=value"))?;
        match key {
            "completed" => report.completed = value.parse()?,
            "errors" => report.errors = value.parse()?,
            "behind" => report.behind = value.parse()?,
            "seconds" => report.seconds = value.parse()?,
            "p50_us" => report.p50_us = value.parse()?,
            "p99_us" => report.p99_us = value.parse()?,
            _ => return Err(format!("unknown figure {key:?}").into()),
        }
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_survives_its_own_line() {
        let report = Report { completed: 7, errors: 1, behind: 2, seconds: 1.5, p50_us: 3, p99_us: 4 };
        let line = report.to_string();
        assert_eq!(parse_report(&line).unwrap().to_string(), line);
        assert!(parse_report("completed").is_err());
    }
}
