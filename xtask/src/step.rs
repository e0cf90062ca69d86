//! Running a child so that it cannot hang, and adding up what passed.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;

/// No step of the suite needs this long even on two cold cores; what does, hangs.
pub(crate) const STEP_TIME_MAX: Duration = Duration::from_secs(1500);

/// A command in the workspace with nothing on its input, so that no step can wait for a person.
pub(crate) fn command(root: &std::path::Path, program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(root).stdin(Stdio::null());
    command
}

/// Runs `command` with its output shown.
///
/// # Errors
/// It could not be started, failed, or was ended because `limit` had passed.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Outcome<()> {
    let child = spawn(command)?;
    let status = wait(child, limit)?;
    expect_success(command, status)
}

/// Runs `command`, shows its output and returns it too.
///
/// # Errors
/// As [`run`]; what it printed until then has been shown.
pub(crate) fn run_and_keep(command: &mut Command, limit: Duration) -> Outcome<String> {
    command.stdout(Stdio::piped());
    let mut child = spawn(command)?;
    let output = child.stdout.take().ok_or("the child has no output")?;
    let reader = thread::spawn(move || tee(output));
    let status = wait(child, limit)?;
    let kept = reader.join().map_err(|_| "reading the child's output failed")?;
    expect_success(command, status)?;
    Ok(kept)
}

/// Runs `command` in silence; its outputs, the second behind the first.
///
/// # Errors
/// As [`run`], with the end of what the child said.
pub(crate) fn run_silently(command: &mut Command, limit: Duration) -> Outcome<String> {
    let mut child = spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let first = thread::spawn(move || read_all(stdout));
    let second = thread::spawn(move || read_all(stderr));
    let status = wait(child, limit)?;
    let both = first.join().unwrap_or_default() + &second.join().unwrap_or_default();
    expect_success(command, status).map_err(|error| format!("{error}\n{}", tail(&both)))?;
    Ok(both)
}

fn spawn(command: &mut Command) -> Outcome<Child> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.spawn().map_err(|error| format!("cannot start {program}: {error}").into())
}

fn expect_success(command: &Command, status: ExitStatus) -> Outcome<()> {
    match status.success() {
        true => Ok(()),
        false => Err(format!("{} ended with {status}", describe(command)).into()),
    }
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Waits for `child` in a thread of its own, because the standard library has no wait with a limit.
fn wait(mut child: Child, limit: Duration) -> Outcome<ExitStatus> {
    let pid = child.id();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // The receiver outlives this thread: it waits for the message in either case.
        let _ = sender.send(child.wait());
    });
    wait_or_kill(&receiver, pid, limit)
}

fn wait_or_kill(
    receiver: &Receiver<std::io::Result<ExitStatus>>,
    pid: u32,
    limit: Duration,
) -> Outcome<ExitStatus> {
    match receiver.recv_timeout(limit) {
        Ok(status) => Ok(status?),
        Err(RecvTimeoutError::Disconnected) => Err("the waiting thread died".into()),
        Err(RecvTimeoutError::Timeout) => {
            kill_tree(pid);
            receiver.recv_timeout(Duration::from_secs(10)).ok();
            Err(format!("hung: ended after {} s", limit.as_secs()).into())
        }
    }
}

/// Ends a process and everything that descends from it. A process group would be shorter but would take Ctrl-C away
/// from the person at the terminal.
fn kill_tree(pid: u32) {
    let parents: Vec<(u32, u32)> =
        fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(parent).collect();
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(&member) = family.get(next) {
        family.extend(parents.iter().filter(|(_, parent)| *parent == member).map(|(child, _)| *child));
        next += 1;
    }
    let pids: Vec<String> = family.iter().map(u32::to_string).collect();
    // The shell's own `kill`: a minimal system has no other, and the standard library can end only direct children.
    let _ = Command::new("sh").arg("-c").arg(format!("kill -KILL {}", pids.join(" "))).status();
}

/// The (process, its parent) an entry of /proc stands for.
fn parent(entry: fs::DirEntry) -> Option<(u32, u32)> {
    let pid = entry.file_name().to_str()?.parse().ok()?;
    let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
    // The program's name may hold spaces and brackets; the state and the parent follow its last bracket.
    let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
    Some((pid, parent))
}

fn tee(output: impl Read) -> String {
    let mut kept = String::new();
    let mut lines = BufReader::new(output);
    let mut line = Vec::new();
    while matches!(lines.read_until(b'\n', &mut line), Ok(count) if count > 0) {
        let text = String::from_utf8_lossy(&line);
        print!("{text}");
        kept.push_str(&text);
        line.clear();
    }
    kept
}

fn read_all(output: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut output) = output {
        // What was read before an error is all there is to show.
        let _ = output.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn tail(text: &str) -> String {
    const LINES: usize = 30;
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// What became of a step.
#[derive(Debug)]
enum Fate {
    Passed(String),
    Failed(String),
    /// Not run, and why that is no failure.
    Skipped(String),
}

/// The steps of a suite so far.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    rows: Vec<(&'static str, Duration, Fate)>,
}

impl Steps {
    /// Runs one step; the others run whatever becomes of it. The step's text is a remark for the summary.
    pub(crate) fn run(&mut self, name: &'static str, step: impl FnOnce() -> Outcome<String>) {
        println!("\n== {name}");
        let start = Instant::now();
        let fate = match step() {
            Ok(remark) => Fate::Passed(remark),
            Err(error) => {
                eprintln!("{name}: {error}");
                Fate::Failed(error.to_string().lines().next().unwrap_or_default().to_owned())
            }
        };
        self.rows.push((name, start.elapsed(), fate));
    }

    /// Records a step that this machine cannot run.
    pub(crate) fn skip(&mut self, name: &'static str, why: &str) {
        self.rows.push((name, Duration::ZERO, Fate::Skipped(why.to_owned())));
    }

    /// Prints the summary, whose last line is `N passed, N failed`.
    ///
    /// # Errors
    /// A step failed.
    pub(crate) fn finish(self) -> Outcome<()> {
        println!("\n== summary");
        for (name, took, fate) in &self.rows {
            let (word, remark) = match fate {
                Fate::Passed(remark) => ("ok", remark),
                Fate::Failed(error) => ("FAILED", error),
                Fate::Skipped(why) => ("skipped", why),
            };
            println!("{name:<12} {word:<8} {:>6.1} s  {remark}", took.as_secs_f64());
        }
        let failed = self.count(|fate| matches!(fate, Fate::Failed(_)));
        println!("{} passed, {failed} failed", self.count(|fate| matches!(fate, Fate::Passed(_))));
        match failed {
            0 => Ok(()),
            count => Err(format!("{count} of {} steps failed", self.rows.len()).into()),
        }
    }

    fn count(&self, is_meant: impl Fn(&Fate) -> bool) -> usize {
        self.rows.iter().filter(|(_, _, fate)| is_meant(fate)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_child_that_hangs_is_ended_with_its_children() {
        let mut hanging = command(Path::new("."), "sh", &["-c", "sleep 1000 & echo $!; wait"]);
        hanging.stdout(Stdio::piped());
        let mut child = spawn(&mut hanging).unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let error = wait(child, Duration::from_millis(1)).unwrap_err();
        assert!(error.to_string().starts_with("hung"), "{error}");
        // The grandchild held the pipe open; its end is the end of the pipe.
        assert_eq!(output.read_line(&mut line).unwrap(), 0);
    }

    #[test]
    fn a_failing_child_is_an_error_that_shows_what_it_said() {
        let mut failing = command(Path::new("."), "sh", &["-c", "echo reason >&2; exit 3"]);
        let error = run_silently(&mut failing, STEP_TIME_MAX).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("reason"), "{error}");
    }

    #[test]
    fn one_failed_step_fails_the_suite_and_the_others_still_run() {
        let mut steps = Steps::default();
        steps.run("first", || Err("no".into()));
        steps.run("second", || Ok(String::new()));
        steps.skip("third", "not here");
        assert_eq!(steps.count(|fate| matches!(fate, Fate::Passed(_))), 1);
        assert_eq!(steps.finish().unwrap_err().to_string(), "1 of 3 steps failed");
    }
}
