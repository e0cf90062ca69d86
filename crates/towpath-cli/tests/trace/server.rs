//! Servers to shake hands with.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// `openssl s_server` on a port of its own. It is killed when the test ends.
pub(crate) struct OpensslServer {
    child: Child,
    /// `localhost:PORT`.
    pub(crate) target: String,
}

impl OpensslServer {
    /// With the certificate for `localhost` in `folder`.
    pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::start_with(folder, "localhost", arguments)
    }

    /// With the certificate whose files have this stem.
    pub(crate) fn start_with(folder: &Path, stem: &str, arguments: &[&str]) -> Self {
        let (certificate, key) = (format!("{stem}.crt"), format!("{stem}.key"));
        let mut command = Command::new("openssl");
        command.args(["s_server", "-accept", "127.0.0.1:0", "-www", "-cert", &certificate, "-key", &key]);
        command.args(arguments).current_dir(folder).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let accepting = lines.find(|line| line.starts_with("ACCEPT "));
        let port = accepting.and_then(|line| line.rsplit_once(':').map(|(_, port)| port.to_owned()));
        // What it prints afterwards nobody reads, and a full pipe would stop it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, target: format!("localhost:{}", port.unwrap()) }
    }
}

impl Drop for OpensslServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Answers whatever it is sent with `answer` and closes. Without an answer it says nothing and holds on.
pub(crate) fn other_server(answer: Option<&'static [u8]>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            match answer {
                Some(answer) => drop(stream.write_all(answer)),
                None => held.push(stream),
            }
        }
    });
    target
}
