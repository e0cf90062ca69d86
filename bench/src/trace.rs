//! System calls per request, counted by strace outside the timed rounds.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ChildStderr, Command, Stdio};

use rustix::process::Signal;

use crate::Outcome;
use crate::child::Running;
use crate::procfs::family;

/// The calls of one traced measurement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calls {
    rows: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    name: String,
    calls: u64,
    errors: u64,
}

impl Calls {
    /// All calls.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.rows.iter().map(|row| row.calls).sum()
    }

    /// Changes of a poll registration; the keep-alive path should need none.
    #[must_use]
    pub fn epoll_ctl(&self) -> u64 {
        self.rows.iter().filter(|row| row.name == "epoll_ctl").map(|row| row.calls).sum()
    }

    /// Reads that failed, which on a live connection means that they found nothing.
    #[must_use]
    pub fn empty_reads(&self) -> u64 {
        let is_read = |row: &&Row| matches!(row.name.as_str(), "read" | "readv" | "recvfrom" | "recvmsg");
        self.rows.iter().filter(is_read).map(|row| row.errors).sum()
    }

    /// The most frequent calls with their number per request, for a reader who wonders what the rest is.
    #[must_use]
    pub fn describe(&self, requests: u64) -> String {
        let per_request =
            |row: &Row| format!("{} {:.2}", row.name, row.calls as f64 / requests.max(1) as f64);
        let frequent = self.rows.iter().filter(|row| row.calls * 50 >= requests);
        frequent.map(per_request).collect::<Vec<_>>().join(", ")
    }
}

/// strace attached to a process family.
#[derive(Debug)]
pub struct Tracer {
    running: Running,
    messages: BufReader<ChildStderr>,
}

impl Tracer {
    /// Attaches to `pid`, its threads and its children; returns when every process is traced.
    ///
    /// # Errors
    /// strace is missing or may not attach.
    pub fn attach(pid: u32, summary: &Path) -> Outcome<Tracer> {
        let pids = family(pid);
        let mut command = Command::new("strace");
        command.args(["-f", "-c", "-U", "calls,errors,name", "-o"]).arg(summary);
        for pid in &pids {
            command.args(["-p", &pid.to_string()]);
        }
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut running = Running::start(command)?;
        let stderr = running.child_mut().stderr.take().ok_or("strace has no messages")?;
        let mut tracer = Tracer { running, messages: BufReader::new(stderr) };
        for _ in &pids {
            tracer.expect_attached()?;
        }
        Ok(tracer)
    }

    fn expect_attached(&mut self) -> Outcome<()> {
        let mut line = String::new();
        self.messages.read_line(&mut line)?;
        match line.contains("attached") {
            true => Ok(()),
            false => Err(format!("strace could not attach: {}", line.trim()).into()),
        }
    }

    /// Detaches and reads the summary.
    ///
    /// # Errors
    /// strace left no summary.
    pub fn finish(mut self, summary: &Path) -> Outcome<Calls> {
        self.running.end(Signal::INT);
        Ok(parse(&fs::read_to_string(summary)?))
    }
}

/// Reads the table of `strace -c -U calls,errors,name`; the errors column is empty where there were none.
fn parse(summary: &str) -> Calls {
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (calls, errors, name) = match words[..] {
            [calls, name] => (calls, "0", name),
            [calls, errors, name] => (calls, errors, name),
            _ => return None,
        };
        Some(Row { name: name.to_owned(), calls: calls.parse().ok()?, errors: errors.parse().ok()? })
    };
    Calls { rows: summary.lines().filter_map(row).filter(|row| row.name != "total").collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_read_without_its_total() {
        let calls = parse(
            "    calls    errors syscall\n--------- --------- ----------------\n\
             200        20 recvfrom\n      100           sendto\n        1           epoll_ctl\n\
             --------- --------- ----------------\n      301        20 total\n",
        );
        assert_eq!((calls.total(), calls.epoll_ctl(), calls.empty_reads()), (301, 1, 20));
        assert_eq!(calls.describe(100), "recvfrom 2.00, sendto 1.00");
    }
}
