//! Programs that run beside the gateway.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use crate::common::PATIENCE;

/// A child that does not outlive its test.
pub(crate) struct Peer(pub(crate) Child);

impl Peer {
    pub(crate) fn start(command: &mut Command) -> Self {
        let program = command.get_program().to_owned();
        Self(command.stdin(Stdio::null()).spawn().unwrap_or_else(|fault| panic!("{program:?}: {fault}")))
    }

    /// Sends a signal by its name without `SIG` and waits for the end.
    pub(crate) fn stop(mut self, signal: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        let deadline = Instant::now() + PATIENCE;
        while self.0.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "process {pid} ignores SIG{signal}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where a program of a Debian package is.
pub(crate) fn find(program: &str, package: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let found = path.split(':').map(|folder| Path::new(folder).join(program)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("this test needs {program}: sudo apt-get install {package}"))
}

/// An address that stays free when its server is restarted.
///
/// It lies below the range from which the system gives ports to outgoing connections: in that range a connection to a
/// stopped server can be given the very port it connects to, and then talks to itself.
pub(crate) fn free_address() -> SocketAddr {
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Each test process begins elsewhere, so that two of them rarely meet.
    let start = (std::process::id() % 1_000) as u16 * 20;
    for _ in 0..COUNT {
        let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let address = SocketAddr::from(([127, 0, 0, 1], FIRST + offset));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port is free");
}
