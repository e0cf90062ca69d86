//! HTTP/2 at both ends of a comparison, by programs that are not ours: `h2load` as the generator, `nghttpd` as the
//! origin. Both take about three microseconds for a request, so that they leave a proxy as little time as ours do.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};

use crate::Outcome;
use crate::certificate::NAME;
use crate::child::{REST_CORE, Running, free_address, pinned, wait_for_listener};
use crate::generator::{Report, Waiting};

/// As of the generators of our own.
const WARM_UP: &str = "300ms";
/// What h2load says when the measurement begins and when it is over.
const BEGINS: &str = "Main benchmark duration is started";
const ENDS: &str = "Main benchmark duration is over";
/// Its last words when something fails are within so many of its lines.
const LAST_WORDS: usize = 3;

/// The bytes of the origin's answer, by the name of its file.
const BODY: (&str, [u8; 128]) = ("128", [b'x'; 128]);
/// The method that is called, as the name of a file: its ending tells the origin the type.
const CALL: &str = "call.grpc";

/// What h2load is asked to do.
#[derive(Debug, Clone)]
pub struct H2load {
    /// Connections.
    pub connections: usize,
    /// Requests under way on each.
    pub streams: usize,
    /// Seconds of a turn.
    pub seconds: f64,
    /// Over TLS.
    pub is_tls: bool,
    /// What is asked for.
    pub request: Request,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// 128 bytes.
    Get,
    /// A unary call of gRPC whose answer is its own message; the folder holds it.
    Call(PathBuf),
}

/// How much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// The seconds of a turn.
    Turn,
    /// So many requests, which begin with "go" like the connections they need.
    Requests(u64),
}

impl Request {
    /// The length of the answer's body.
    fn body_bytes(&self) -> u64 {
        match self {
            Request::Get => BODY.1.len() as u64,
            Request::Call(_) => message().len() as u64,
        }
    }
}

impl H2load {
    /// Starts it, as far as it can go before "go".
    ///
    /// # Errors
    /// It cannot be started or cannot connect.
    pub fn start(&self, address: SocketAddr, span: Span) -> Outcome<Box<dyn Waiting>> {
        let (command, body_bytes) = (self.command(address, span), self.request.body_bytes());
        match span {
            Span::Turn => {
                let mut session = Session::start(command, self.seconds, body_bytes)?;
                session.read_up_to(BEGINS)?;
                Ok(Box::new(Timed(session)))
            }
            Span::Requests(_) => Ok(Box::new(Counted { command: Some(command), body_bytes })),
        }
    }

    /// Makes sure that one request is answered.
    ///
    /// # Errors
    /// It is not; the text says what was answered instead.
    pub fn probe(&self, address: SocketAddr) -> Outcome<()> {
        let one = H2load { connections: 1, streams: 1, ..self.clone() };
        let report = one.start(address, Span::Requests(1))?.go()?;
        match report.completed {
            1 => Ok(()),
            _ => Err("a single request is not answered with status 200".into()),
        }
    }

    fn command(&self, address: SocketAddr, span: Span) -> Command {
        let mut command = pinned(REST_CORE, Path::new("h2load"));
        let (connections, streams) = (self.connections.to_string(), self.streams.to_string());
        command.args(["--clients", &connections, "--max-concurrent-streams", &streams]);
        match span {
            Span::Turn => {
                let milliseconds = format!("{:.0}ms", self.seconds * 1_000.0);
                command.args(["--duration", &milliseconds, "--warm-up-time", WARM_UP]);
            }
            Span::Requests(count) => drop(command.args(["--requests", &count.to_string()])),
        }
        command.arg(format!("--connect-to={address}"));
        // As the generator of our own: all proxies agree on the same work.
        command.args(["--npn-list=h2", "--groups=X25519", "--tls13-ciphers=TLS_AES_128_GCM_SHA256"]);
        let path = match &self.request {
            Request::Get => BODY.0,
            Request::Call(folder) => {
                command.arg("--data").arg(folder.join(CALL));
                command.args(["--header=content-type: application/grpc", "--header=te: trailers"]);
                CALL
            }
        };
        let scheme = if self.is_tls { "https" } else { "http" };
        command.arg(format!("{scheme}://{NAME}/{path}")).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }
}

/// h2load at work.
#[derive(Debug)]
struct Session {
    running: Running,
    lines: BufReader<ChildStdout>,
    seconds: f64,
    body_bytes: u64,
}

impl Session {
    fn start(command: Command, seconds: f64, body_bytes: u64) -> Outcome<Session> {
        let mut running = Running::start(command)?;
        let output = running.child_mut().stdout.take().ok_or("h2load has no output")?;
        Ok(Session { running, lines: BufReader::new(output), seconds, body_bytes })
    }

    /// Reads until a line begins with `words`.
    fn read_up_to(&mut self, words: &str) -> Outcome<()> {
        let mut said: Vec<String> = Vec::new();
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line)? == 0 {
                let last = said[said.len().saturating_sub(LAST_WORDS)..].join(" / ");
                return Err(format!("h2load ended early; it said: {last}").into());
            }
            if line.starts_with(words) {
                return Ok(());
            }
            said.extend(Some(line.trim().to_owned()).filter(|line| !line.is_empty()));
        }
    }

    fn read_summary(&mut self) -> Outcome<Report> {
        let mut text = String::new();
        self.lines.read_to_string(&mut text)?;
        self.running.child_mut().wait()?;
        Ok(Report { seconds: self.seconds, ..parse(&text, self.body_bytes)? })
    }
}

/// A measurement that has begun.
#[derive(Debug)]
struct Timed(Session);

impl Waiting for Timed {
    fn go(&mut self) -> Outcome<Report> {
        self.0.read_up_to(ENDS)?;
        self.0.read_summary()
    }
}

/// Begins with "go".
#[derive(Debug)]
struct Counted {
    command: Option<Command>,
    body_bytes: u64,
}

impl Waiting for Counted {
    fn go(&mut self) -> Outcome<Report> {
        let command = self.command.take().ok_or("it goes once")?;
        Session::start(command, f64::NAN, self.body_bytes)?.read_summary()
    }
}

/// Reads the summary: answers that h2load takes for successes and that have a body of `body_bytes` are done, everything
/// else is an error. A failure of gRPC has status 200 too, and no body; the bodies of the warm-up are counted along, so
/// that a few failures may stay unseen, but not many.
fn parse(text: &str, body_bytes: u64) -> Outcome<Report> {
    let line = |start: &str| text.lines().find_map(|line| line.strip_prefix(start));
    let (requests, traffic) = line("requests: ").zip(line("traffic: ")).ok_or("h2load has no summary")?;
    let (total, succeeded) = (before(requests, " total")?, before(requests, " succeeded")?);
    let completed = succeeded.min(before(traffic, ") data")? / body_bytes);
    Ok(Report { completed, errors: total.saturating_sub(completed), ..Report::default() })
}

/// The number that stands before `words`.
fn before(line: &str, words: &str) -> Outcome<u64> {
    let text = line.split_once(words).ok_or_else(|| format!("h2load says no{words}: {line}"))?.0;
    let digits = text.rsplit(|byte: char| !byte.is_ascii_digit()).next().unwrap_or_default();
    Ok(digits.parse()?)
}

/// Starts an HTTP/2 origin beside the generator, with the files it serves in `folder`. A call of gRPC is answered with
/// the message that it brings, and with the trailer that says how it went.
///
/// # Errors
/// It does not listen.
pub fn start_origin(folder: &Path, is_grpc: bool) -> Outcome<(Running, SocketAddr)> {
    provide(folder)?;
    let address = free_address()?;
    let mut command = pinned(REST_CORE, Path::new("nghttpd"));
    command.args(["--no-tls", &format!("--address={}", address.ip())]);
    command.arg("--htdocs").arg(folder).arg("--mime-types-file").arg(folder.join("types"));
    if is_grpc {
        command.args(["--no-content-length", "--trailer=grpc-status: 0"]);
    }
    command.arg(address.port().to_string()).stdout(Stdio::null());
    let running = Running::start(command)?;
    wait_for_listener("nghttpd", address)?;
    Ok((running, address))
}

fn provide(folder: &Path) -> Outcome<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join(BODY.0), BODY.1)?;
    fs::write(folder.join(CALL), message())?;
    Ok(fs::write(folder.join("types"), "application/grpc grpc\n")?)
}

/// A message of gRPC: not compressed, 32 bytes long, and they follow.
fn message() -> Vec<u8> {
    [&[0][..], &32_u32.to_be_bytes(), &[b'x'; 32]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = "finished in 1.30s, 251328.00 req/s, 37.39MB/s\n\
        requests: 12 total, 12 started, 12 done, 10 succeeded, 2 failed, 0 errored, 0 timeout\n\
        status codes: 10 2xx, 0 3xx, 0 4xx, 2 5xx\n\
        traffic: 37.39MB (39207352) total, 3.05MB (3193728) headers (space savings 93.55%), 1.25KB (1280) data\n";

    fn check(body_bytes: u64, completed: u64, errors: u64) {
        let report = parse(SUMMARY, body_bytes).unwrap();
        assert_eq!((report.completed, report.errors), (completed, errors));
    }

    #[test]
    fn a_summary_tells_what_was_done_and_what_was_not() {
        check(128, 10, 2);
        assert!(parse("", 128).is_err());
    }

    #[test]
    fn an_answer_without_its_body_is_not_done() {
        check(256, 5, 7);
    }
}
