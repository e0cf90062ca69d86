//! Python as an origin: its own file server, and the two scripts beside this file.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::{Peer, find};

/// A server that runs until it is dropped.
pub(crate) struct Python {
    pub(crate) address: SocketAddr,
    _process: Peer,
}

impl Python {
    /// `python3 -m http.server`: HTTP/1.0, one request per connection.
    pub(crate) fn file_server(folder: &Path) -> Self {
        let mut command = Command::new(find("python3", "python3"));
        command.args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"]).arg(folder);
        Self::start(&mut command)
    }

    /// `origin.py`: echoes digests of what it gets, and answers in the framings nginx does not have.
    pub(crate) fn origin() -> Self {
        let mut command = Command::new(find("python3", "python3"));
        Self::start(command.arg("-u").arg(script("origin.py")))
    }

    /// `websocket.py server`, when the module it needs is installed.
    pub(crate) fn websocket_server() -> Option<Self> {
        let mut command = Command::new(websocket_python()?);
        Some(Self::start(command.arg("-u").arg(script("websocket.py")).arg("server")))
    }

    /// Each of them says `… port NUMBER …` when it listens.
    fn start(command: &mut Command) -> Self {
        let mut process = Peer::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
        let mut line = String::new();
        BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.split("port ").nth(1).and_then(|rest| rest.split_whitespace().next());
        let port = port.and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("no port in {line:?}"));
        Self { address: SocketAddr::from(([127, 0, 0, 1], port)), _process: process }
    }
}

pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(name)
}

/// The interpreter that has the module `websockets`; Debian's package gives it to Debian's own interpreter.
#[expect(clippy::print_stderr, reason = "a test that skips says so")]
pub(crate) fn websocket_python() -> Option<PathBuf> {
    let has_module = |python: &PathBuf| {
        let mut command = Command::new(python);
        command.args(["-c", "import websockets"]).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let found = [PathBuf::from("/usr/bin/python3"), find("python3", "python3")].into_iter().find(has_module);
    if found.is_none() {
        eprintln!("skipped: no Python has the module websockets: sudo apt-get install python3-websockets");
    }
    found
}
