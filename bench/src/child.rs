//! Processes the bench starts: pinned, waited for, and ended by their own id.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

use crate::Outcome;
use crate::procfs::is_udp_bound;

/// The proxy under measurement has this core for itself.
pub const PROXY_CORE: usize = 0;
/// Generator and origin share this core, so that their load never runs on the proxy's.
pub const REST_CORE: usize = 1;

/// A child that is ended when this value goes: asked first, so that a master takes its workers with it.
#[derive(Debug)]
pub struct Running {
    child: Child,
}

impl Running {
    /// Starts `command` with nothing on its input.
    ///
    /// # Errors
    /// The program cannot be started; the text names it.
    pub fn start(mut command: Command) -> Outcome<Running> {
        let name = format!("{:?}", command.get_program());
        let child = command.spawn().map_err(|error| format!("cannot start {name}: {error}"))?;
        Ok(Running { child })
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The child itself, for its pipes.
    pub fn child_mut(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Sends `signal` and waits until the process has gone, by force after 10 s.
    pub fn end(&mut self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            // The process may have gone by itself; waiting tells either way.
            let _ = kill_process(pid, signal);
        }
        for _ in 0..500 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.end(Signal::TERM);
        }
    }
}

/// A command that will run on `core`, or anywhere when the machine has only one.
#[must_use]
pub fn pinned(core: usize, program: &Path) -> Command {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut command = match cores {
        1 => Command::new(program),
        _ => Command::new("taskset"),
    };
    if cores > 1 {
        command.args(["-c", &core.to_string()]).arg(program);
    }
    command.stdin(Stdio::null());
    command
}

/// A loopback address nobody listens on at this moment.
///
/// # Errors
/// The machine has no free port.
pub fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}

/// A loopback address at which nobody receives datagrams at this moment.
///
/// # Errors
/// The machine has no free port.
pub fn free_datagram_address() -> io::Result<SocketAddr> {
    UdpSocket::bind(("127.0.0.1", 0))?.local_addr()
}

/// Waits until `address` accepts, at most 10 s.
///
/// # Errors
/// It never did; the text names `who`.
pub fn wait_for_listener(who: &str, address: SocketAddr) -> Outcome<()> {
    for _ in 0..200 {
        if TcpStream::connect(address).is_ok() {
            return Ok(());
        }
        sleep(Duration::from_millis(50));
    }
    Err(format!("{who} does not listen on {address}").into())
}

/// Waits until somebody receives datagrams at `address`, at most 10 s. No datagram is sent: it would leave a session.
///
/// # Errors
/// Nobody ever did, or the process ended; the text names `who`.
pub fn wait_for_datagrams(running: &mut Running, who: &str, address: SocketAddr) -> Outcome<()> {
    for _ in 0..200 {
        if is_udp_bound(address.port()) {
            return Ok(());
        }
        if !matches!(running.child.try_wait(), Ok(None)) {
            return Err(format!("{who} ended before it received anything").into());
        }
        sleep(Duration::from_millis(50));
    }
    Err(format!("{who} does not receive at {address}").into())
}

/// The limit of open files that children will inherit.
#[must_use]
pub fn file_limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::from(u32::MAX))
}

/// Raises the limit of open files of this process and its later children; the limit that now holds.
#[must_use]
pub fn raise_file_limit(wanted: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let maximum = limit.maximum.map_or(wanted, |maximum| maximum.max(wanted));
    let raised = Rlimit { current: Some(wanted), maximum: Some(maximum) };
    if limit.current.is_none_or(|current| current >= wanted) || setrlimit(Resource::Nofile, raised).is_ok() {
        return wanted;
    }
    // Not privileged: take what the hard limit gives.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(wanted)
}
