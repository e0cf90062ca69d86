//! Load, and what of it failed.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::common::PATIENCE;
use crate::process::find;

/// wrk, running.
pub(crate) struct Wrk(Child);

impl Wrk {
    pub(crate) fn start(url: &str, connections: u32, seconds: u32) -> Self {
        let mut command = Command::new(find("wrk", "wrk"));
        command.args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), "--timeout", "10s", url]);
        Self(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap())
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// Its report when it has ended.
    pub(crate) fn report(mut self) -> String {
        let mut report = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut report).unwrap();
        assert!(self.0.wait().unwrap().success(), "{report}");
        report
    }
}

impl Drop for Wrk {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Fails unless wrk made requests and none of them failed: it prints these lines only when there is something to tell.
pub(crate) fn assert_flawless(report: &str) {
    assert!(!report.contains("Non-2xx") && !report.contains("Socket errors"), "{report}");
    let requests = report.lines().find_map(|line| line.trim().split_once(" requests in "));
    assert!(
        requests.is_some_and(|(count, _)| count.parse::<u64>().is_ok_and(|count| count > 100)),
        "{report}"
    );
}

/// What became of the requests of several clients.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) answered: AtomicU64,
    /// Connections that the gateway ended with `Connection: close` on an answer.
    pub(crate) told_to_leave: AtomicU64,
    /// Connections that closed while no request was on them.
    pub(crate) closed_idle: AtomicU64,
    pub(crate) failed: std::sync::Mutex<Vec<String>>,
}

/// Sends one request after the other until connecting is refused. A connection that ends after a request was written
/// on it, and before its answer is whole, is a failure.
///
/// As clients with a pool do, it looks whether a kept connection has ended before it writes on it.
pub(crate) fn request_until_refused(address: SocketAddr, keep_alive: bool, tally: &Tally) {
    loop {
        let stream = match TcpStream::connect(address) {
            Ok(stream) => stream,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return,
            Err(error) => return tally.fail(format!("connect: {error}")),
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut stream = BufReader::new(stream);
        for number in 0.. {
            if number > 0 && has_ended(&mut stream) {
                tally.closed_idle.fetch_add(1, Ordering::Relaxed);
                break;
            }
            match exchange(&mut stream, keep_alive) {
                Err(error) => return tally.fail(format!("request {number} of its connection: {error}")),
                Ok(is_last) => {
                    tally.answered.fetch_add(1, Ordering::Relaxed);
                    if is_last {
                        tally.told_to_leave.fetch_add(u64::from(keep_alive), Ordering::Relaxed);
                        break;
                    }
                }
            }
        }
    }
}

impl Tally {
    fn fail(&self, what: String) {
        self.failed.lock().unwrap().push(what);
    }
}

fn has_ended(stream: &mut BufReader<TcpStream>) -> bool {
    stream.get_ref().set_nonblocking(true).unwrap();
    let ended = matches!(stream.get_ref().peek(&mut [0]), Ok(0));
    stream.get_ref().set_nonblocking(false).unwrap();
    ended
}

/// One request; whether its answer said that it is the last.
fn exchange(stream: &mut BufReader<TcpStream>, keep_alive: bool) -> Result<bool, String> {
    let option = if keep_alive { "" } else { "Connection: close\r\n" };
    let request = format!("GET /x HTTP/1.1\r\nHost: localhost\r\n{option}\r\n");
    stream.get_mut().write_all(request.as_bytes()).map_err(|error| format!("write: {error}"))?;
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        match stream.read_line(&mut head) {
            Ok(0) => return Err(format!("ended after {head:?}")),
            Ok(_) => {}
            Err(error) => return Err(format!("{error} after {head:?}")),
        }
    }
    let head = head.to_ascii_lowercase();
    if !head.starts_with("http/1.1 200 ") {
        return Err(head);
    }
    let length =
        head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok());
    let mut body = vec![0; length.ok_or_else(|| format!("no length in {head}"))?];
    stream.read_exact(&mut body).map_err(|error| format!("body: {error}"))?;
    Ok(head.contains("connection: close"))
}

/// An origin that switches to a protocol of its own, `echo`, and sends back what comes.
pub(crate) fn start_echo_origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || echo(BufReader::new(stream)));
        }
    });
    address
}

fn echo(mut stream: BufReader<TcpStream>) -> std::io::Result<()> {
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
    }
    let mut writer = stream.get_ref().try_clone()?;
    writer.write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")?;
    std::io::copy(&mut stream, &mut writer).map(drop)
}

/// A client's end of a tunnel to [`start_echo_origin`].
pub(crate) struct Tunnel(BufReader<TcpStream>);

impl Tunnel {
    pub(crate) fn open(gateway: SocketAddr, path: &str) -> Self {
        let stream = TcpStream::connect(gateway).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut this = Self(BufReader::new(stream));
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
        this.0.get_mut().write_all(request.as_bytes()).unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(this.0.read_line(&mut head).unwrap(), 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        this
    }

    /// Sends a line and expects it back.
    pub(crate) fn assert_alive(&mut self, line: &str) {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
        let mut back = String::new();
        self.0.read_line(&mut back).unwrap();
        assert_eq!(back.trim_end(), line);
    }
}
