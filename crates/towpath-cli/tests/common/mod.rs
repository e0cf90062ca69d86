//! The real binary, a client, an origin and a scratch folder. Every wait has a bound, and a wait that runs out says
//! what it waited for.

#![allow(dead_code, reason = "each test binary uses its own part of these helpers")]
#![allow(clippy::unwrap_used, reason = "a helper of tests fails the test")]
#![allow(unreachable_pub, reason = "the module is shared by including it")]

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// The longest wait for anything. Reached only when something is broken.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The same for what the kit is built in, on a small machine that does other things too.
const BUILD_PATIENCE: Duration = Duration::from_secs(600);

/// The binary under test.
pub const TOWPATH: &str = env!("CARGO_BIN_EXE_towpath");

/// A folder that goes when the test ends.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("towpath-cli-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    pub fn folder(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs a command to its end.
pub fn towpath(arguments: &[&str]) -> Output {
    Command::new(TOWPATH).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// Code, stdout and stderr of a command that ends by itself.
pub fn outcome(arguments: &[&str]) -> (i32, String, String) {
    text(&towpath(arguments))
}

pub fn text(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// Text that grows while a process runs.
#[derive(Clone, Default)]
struct Growing(Arc<(Mutex<String>, Condvar)>);

impl Growing {
    fn fill(&self, from: impl Read + Send + 'static) {
        let this = self.clone();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(from);
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                let (text, changed) = &*this.0;
                text.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
                changed.notify_all();
                line.clear();
            }
        });
    }

    fn text(&self) -> String {
        self.0.0.lock().unwrap().clone()
    }

    fn wait(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        self.wait_for(PATIENCE, what, holds)
    }

    fn wait_for(&self, patience: Duration, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let (text, changed) = &*self.0;
        let guard = text.lock().unwrap();
        let (guard, timeout) = changed.wait_timeout_while(guard, patience, |text| !holds(text)).unwrap();
        assert!(!timeout.timed_out(), "waited for {what} in:\n{}", *guard);
        guard.clone()
    }
}

/// A running `towpath`. It is killed when the test ends without having waited for it.
pub struct Towpath {
    child: Child,
    stdout: Growing,
    stderr: Growing,
}

impl Towpath {
    /// Starts `towpath run FILE` and waits for the start lines of `listeners`.
    pub fn run(file: &Path, listeners: &[&str]) -> Self {
        Self::run_with(file, &[], listeners)
    }

    /// The same with more arguments.
    pub fn run_with(file: &Path, arguments: &[&str], listeners: &[&str]) -> Self {
        let mut command = Command::new(TOWPATH);
        command.arg("run").arg(file).args(arguments);
        Self::start(command, listeners)
    }

    /// Starts any command that becomes `towpath`.
    pub fn start(command: Command, listeners: &[&str]) -> Self {
        Self::start_fed(command, Stdio::null(), listeners)
    }

    /// The same with a standard input.
    pub fn start_fed(mut command: Command, input: impl Into<Stdio>, listeners: &[&str]) -> Self {
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdout, stderr) = (Growing::default(), Growing::default());
        stdout.fill(child.stdout.take().unwrap());
        stderr.fill(child.stderr.take().unwrap());
        let mut this = Self { child, stdout, stderr };
        for name in listeners {
            this.wait_for_listener(name);
        }
        this
    }

    fn wait_for_listener(&mut self, name: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.find(name).is_none() {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("ended with {status} before {name} listened:\n{}", self.stderr.text());
            }
            assert!(Instant::now() < deadline, "{name} does not listen:\n{}", self.stderr.text());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn find(&self, name: &str) -> Option<String> {
        let prefix = format!("listening {name} ");
        self.stdout.text().lines().rev().find_map(|line| line.strip_prefix(&prefix).map(str::to_owned))
    }

    /// Where a listener listens, by its last start line.
    pub fn address(&self, name: &str) -> SocketAddr {
        let url = self.url(name);
        url.split_once("://").unwrap().1.parse().unwrap()
    }

    /// The same as it was told.
    pub fn url(&self, name: &str) -> String {
        self.find(name).unwrap_or_else(|| panic!("no start line of {name}"))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits until stderr holds `needle`.
    pub fn wait_for_stderr(&self, needle: &str) -> String {
        self.stderr.wait(needle, |text| text.contains(needle))
    }

    /// Waits until stderr holds `needle` this often.
    pub fn wait_for_stderr_times(&self, needle: &str, times: usize) -> String {
        self.stderr.wait(needle, |text| text.matches(needle).count() >= times)
    }

    /// Waits for a start line that holds `needle`.
    pub fn wait_for_stdout(&self, needle: &str) -> String {
        self.stdout.wait(needle, |text| text.contains(needle))
    }

    /// The same behind the first build of a large library.
    pub fn wait_for_stdout_of_build(&self, needle: &str) -> String {
        let is_faulty = || self.stderr().contains("waiting for a change");
        let said = self.stdout.wait_for(BUILD_PATIENCE, needle, |text| text.contains(needle) || is_faulty());
        assert!(said.contains(needle), "{}", self.stderr());
        said
    }

    /// Sends a signal by its name without `SIG`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().unwrap();
        assert!(status.success(), "kill -s {name}");
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.stderr.text());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Stops it by SIGTERM and expects a clean end.
    pub fn stop(mut self) {
        self.signal("TERM");
        assert_eq!(self.wait().code(), Some(0), "{}", self.stderr.text());
    }
}

impl Drop for Towpath {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A response.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|fault| panic!("{fault}: {}", self.body))
    }

    /// The value of the first field of this lower-case name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (own, value) = line.split_once(':')?;
            own.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A connection that can carry several requests.
pub struct Client(BufReader<Box<dyn Stream>>);

pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(Box::new(stream)))
    }

    pub fn connect_unix(path: &Path) -> io::Result<Self> {
        let stream = std::os::unix::net::UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(Box::new(stream))))
    }

    pub fn send(&mut self, bytes: &str) {
        self.0.get_mut().write_all(bytes.as_bytes()).unwrap();
    }

    /// Reads one response with a length or without a body.
    pub fn read(&mut self) -> Reply {
        self.try_read().unwrap()
    }

    pub fn try_read(&mut self) -> io::Result<Reply> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head)? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("ended after {head:?}")));
            }
        }
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let mut reply = Reply { status, head, body: String::new() };
        let length = reply.field("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        reply.body = String::from_utf8_lossy(&body).into_owned();
        Ok(reply)
    }

    /// Whether the other side has ended the connection, waiting for it.
    pub fn is_ended(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0) | Err(_))
    }

    pub fn get(&mut self, path: &str) -> Reply {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        self.read()
    }
}

/// One GET on a connection of its own.
pub fn get(address: SocketAddr, path: &str) -> Reply {
    request(address, "GET", path, &[], "")
}

/// One POST on a connection of its own.
pub fn post(address: SocketAddr, path: &str, body: &str) -> Reply {
    request(address, "POST", path, &[], body)
}

/// One request on a connection of its own. `Host` is the address unless `fields` says otherwise.
pub fn request(address: SocketAddr, method: &str, path: &str, fields: &[(&str, &str)], body: &str) -> Reply {
    let mut head = format!("{method} {path} HTTP/1.1\r\nContent-Length: {}\r\n", body.len());
    if !fields.iter().any(|(name, _)| *name == "Host") {
        head.push_str(&format!("Host: {address}\r\n"));
    }
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut client = Client::connect(address);
    client.send(&format!("{head}\r\n{body}"));
    client.read()
}

/// Tries until `attempt` gives something.
pub fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An origin that answers each request with what a function makes of its head. One thread per connection; it ends
/// with the test process.
pub struct Origin {
    pub address: SocketAddr,
}

impl Origin {
    /// `answer` gets the first line of the request and returns status and body.
    pub fn start(answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answer = Arc::clone(&answer);
                std::thread::spawn(move || serve(stream, &*answer));
            }
        });
        Self { address }
    }

    /// Holds every answer until the test sends one; says first that a request has come.
    pub fn held() -> (Self, Receiver<String>, Sender<String>) {
        let (arrived, arrivals) = channel();
        let (release, releases) = channel();
        let (arrived, releases) = (Mutex::new(arrived), Mutex::new(releases));
        let origin = Self::start(move |line| {
            arrived.lock().unwrap().send(line.to_owned()).unwrap();
            (200, releases.lock().unwrap().recv().unwrap_or_default())
        });
        (origin, arrivals, release)
    }
}

fn serve(stream: TcpStream, answer: &dyn Fn(&str) -> (u16, String)) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
            line.clear();
        }
        let (status, body) = answer(first.trim_end());
        let reply = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if reader.get_mut().write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

/// Idle connections leave at once, so that no test waits for them.
pub const PROMPT: &str = "[shutdown]\nspread = \"0s\"\n";

/// A gateway with an admin listener that answers every path with `body`.
pub fn fixed(body: &str) -> String {
    format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\n\n[workers]\ncount = 2\n\n[listener.web]\nbind = \"127.0.0.1:0\"\n\n\
         [route.all]\nmatch = {{ path = \"/*\" }}\nrespond = {{ status = 200, body = \"{body}\" }}\n{PROMPT}"
    )
}

/// A gateway with an admin listener before one origin.
pub fn proxied(origin: SocketAddr, more: &str) -> String {
    format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\n\n[workers]\ncount = 2\n\n[listener.web]\nbind = \"127.0.0.1:0\"\n\n\
         [route.all]\nmatch = {{ path = \"/*\" }}\nupstream = \"origin\"\n\n\
         [upstream.origin]\nendpoints = [\"{origin}\"]\n{more}\n{PROMPT}"
    )
}
