//! nginx as an origin.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::common::{Scratch, eventually};
use crate::process::{Peer, find, free_address};

/// One nginx process with one server that serves the folder `www`.
pub(crate) struct Nginx {
    pub(crate) address: SocketAddr,
    process: Option<Peer>,
    scratch: Scratch,
}

/// A request as the access log has it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Logged {
    /// Number of the connection it came on.
    pub(crate) connection: u64,
    /// The how-manieth request of that connection it was.
    pub(crate) request: u64,
    pub(crate) status: u16,
}

impl Nginx {
    /// Starts it with more directives for `http` and for its server.
    pub(crate) fn start(http: &str, server: &str) -> Self {
        let (scratch, address) = (Scratch::new(), free_address());
        fs::create_dir(scratch.path("www")).unwrap();
        scratch.write(
            "nginx.conf",
            &configuration(&scratch.folder().display().to_string(), address, http, server),
        );
        let mut this = Self { address, process: None, scratch };
        this.restart();
        this
    }

    /// One that answers every request with `body`.
    pub(crate) fn answering(body: &str) -> Self {
        Self::start("", &format!("location / {{ return 200 \"{body}\"; }}"))
    }

    /// Stops it, resetting nothing that is in flight, and closing its listening socket first.
    pub(crate) fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop("QUIT");
        }
    }

    /// Starts it again at the same address.
    pub(crate) fn restart(&mut self) {
        self.stop();
        let mut command = Command::new(find("nginx", "nginx-light"));
        command.arg("-p").arg(self.scratch.folder()).args(["-e", "error.log", "-c", "nginx.conf"]);
        self.process = Some(Peer::start(command.stdout(Stdio::null()).stderr(Stdio::null())));
        eventually("nginx", || TcpStream::connect(self.address).ok());
    }

    /// A path below the folder it serves.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.scratch.path("www").join(name)
    }

    /// Its access log, waiting until it has this many lines.
    pub(crate) fn log(&self, lines: usize) -> Vec<Logged> {
        eventually("the access log", || {
            let text = fs::read_to_string(self.scratch.path("access.log")).unwrap_or_default();
            let log: Vec<_> = text.lines().filter_map(Logged::parse).collect();
            (log.len() >= lines).then_some(log)
        })
    }
}

impl Logged {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        Some(Self {
            connection: words.next()?.parse().ok()?,
            request: words.next()?.parse().ok()?,
            status: words.next()?.parse().ok()?,
        })
    }
}

/// One process and no daemon: it can be killed by its id, and writes uploads as the user who runs the test.
fn configuration(folder: &str, address: SocketAddr, http: &str, server: &str) -> String {
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("    {kind}_temp_path {folder}/{kind};\n"))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n{temporary}    log_format reuse '$connection $connection_requests $status $request';\n\
         \x20   access_log {folder}/access.log reuse;\n    client_max_body_size 0;\n    {http}\n\
         \x20   server {{\n        listen {address};\n        root {folder}/www;\n        {server}\n    }}\n}}\n"
    )
}
