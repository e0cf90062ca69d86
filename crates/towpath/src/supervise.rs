//! Listening under a supervisor: `towpath run --watch` owns the sockets, and each generation of a program asks for them.
//!
//! ```text
//!   generation 1 ── bind, ready ── accepts ──────────┐ SIGTERM: stops accepting, drains, ends
//!   generation 2             ── bind, ready ── accepts ──────────
//!                                        both accept from one socket, so that nobody is turned away
//! ```
//!
//! Without a supervisor, [`bind`] binds and the rest does nothing. The supervisor ends a generation by SIGTERM, as anybody
//! would; that it has ended itself is what [`told_to_leave`] tells.

use std::future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use towpath_net::{Binding, handover};

/// The variable that names the socket on which the supervisor is asked.
pub const VARIABLE: &str = "TOWPATH_SUPERVISOR";

/// The supervisor of this process.
struct Supervisor {
    end: OwnedFd,
    /// One question at a time: answers have no names.
    asking: Mutex<()>,
}

/// Listens on `address` for `workers`: with a socket of the supervisor if there is one, else with sockets of its own as
/// [`Binding::bind`] does.
///
/// Waits for the supervisor's answer, which comes at once; so call it before anything is served.
///
/// # Errors
/// Those of bind(2), wherever it was called; `BrokenPipe` or `UnexpectedEof` when the supervisor has ended.
pub fn bind(address: SocketAddr, workers: usize) -> io::Result<Arc<Binding>> {
    match supervisor() {
        Some(supervisor) => Binding::lent(supervisor.ask(address)?, workers),
        None => Binding::bind(address, workers),
    }
}

/// Says how long this generation drains once it is told to end. The supervisor cuts it off a little later. Of several
/// times, and of 30 s, the longest counts.
pub fn drains_for(grace: Duration) {
    if let Some(supervisor) = supervisor() {
        // As for `ready`.
        let _ = handover::send(supervisor.end.as_fd(), &format!("grace {}", grace.as_millis()), None);
    }
}

/// Says that all listeners are bound and accept: the former generation may go. More often than once does nothing.
pub fn ready() {
    if let Some(supervisor) = supervisor() {
        // A supervisor that has ended is told of by `told_to_leave`.
        let _ = handover::send(supervisor.end.as_fd(), "ready", None);
    }
}

/// Whether this process is a generation under a supervisor.
pub fn is_supervised() -> bool {
    supervisor().is_some()
}

/// Waits until the supervisor has ended: then the listeners are to be given up at once, and what runs is to be drained.
/// Waits for ever without a supervisor. *Cancel-safe*, and for several tasks at a time. Must be called on a tokio runtime
/// with I/O.
pub async fn told_to_leave() {
    let Some(supervisor) = supervisor() else { return future::pending().await };
    let waiting = supervisor.end.try_clone().and_then(handover::Waiting::new);
    // At the limit of open files nothing can be waited for; SIGTERM is still heard.
    let Ok(waiting) = waiting else { return future::pending().await };
    if waiting.closed().await.is_err() {
        future::pending().await
    }
}

fn supervisor() -> Option<&'static Supervisor> {
    static SUPERVISOR: OnceLock<Option<Supervisor>> = OnceLock::new();
    let found = SUPERVISOR.get_or_init(|| {
        let end = handover::inherited(&std::env::var(VARIABLE).ok()?).ok()?;
        Some(Supervisor { end, asking: Mutex::new(()) })
    });
    found.as_ref()
}

impl Supervisor {
    fn ask(&self, address: SocketAddr) -> io::Result<OwnedFd> {
        let _asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        handover::send(self.end.as_fd(), &format!("listen {address}"), None)?;
        match handover::receive(self.end.as_fd())? {
            (_, Some(socket)) => Ok(socket),
            (answer, None) => Err(refusal(&answer)),
        }
    }
}

/// Reads `error CODE`, with the code of the system.
fn refusal(answer: &str) -> io::Error {
    match answer.strip_prefix("error ").and_then(|code| code.parse().ok()) {
        Some(code) => io::Error::from_raw_os_error(code),
        None if answer.is_empty() => io::ErrorKind::UnexpectedEof.into(),
        None => io::Error::other(answer.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_the_error_that_bind_gave() {
        assert_eq!(refusal("error 98").kind(), io::ErrorKind::AddrInUse);
        assert_eq!(refusal("").kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(refusal("what").to_string(), "what");
    }

    #[tokio::test]
    async fn without_a_supervisor_bind_binds() {
        assert!(!is_supervised());
        ready();
        let binding = bind(SocketAddr::from(([127, 0, 0, 1], 0)), 2).unwrap();
        assert!(binding.take(0).unwrap().is_some() && binding.take(1).unwrap().is_some());
    }
}
