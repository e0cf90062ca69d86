//! The listening sockets, which belong to the supervisor and outlive every generation.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use towpath_net::handover;

/// A socket by the address that was asked for, and by how many of this address the generation had asked for before: two
/// listeners on port 0 are two sockets, and each of the next generation's is one of them.
pub(crate) type Name = (SocketAddr, usize);

/// Sockets a generation may have. It is a program we were told to run, and may have a fault.
const SOCKETS_MAX: usize = 1_000;

#[derive(Debug, Default)]
pub(crate) struct Listeners {
    open: Vec<(Name, OwnedFd)>,
}

impl Listeners {
    /// The socket of this name; a new one if there is none.
    ///
    /// # Errors
    /// Those of bind(2).
    pub(crate) fn grant(&mut self, name: Name) -> io::Result<BorrowedFd<'_>> {
        let at = match self.open.iter().position(|(own, _)| *own == name) {
            Some(at) => at,
            None if self.open.len() >= SOCKETS_MAX => return Err(io::Error::from_raw_os_error(EMFILE)),
            None => {
                self.open.push((name, handover::listen(name.0)?));
                self.open.len() - 1
            }
        };
        Ok(self.open[at].1.as_fd())
    }

    /// Closes all others: a generation that goes has its own copy for as long as it needs it.
    pub(crate) fn keep(&mut self, granted: &[Name]) {
        self.open.retain(|(name, _)| granted.contains(name));
    }
}

/// Too many open files.
const EMFILE: i32 = 24;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn address(socket: BorrowedFd<'_>) -> SocketAddr {
        TcpListener::from(socket.try_clone_to_owned().unwrap()).local_addr().unwrap()
    }

    #[test]
    fn a_name_is_one_socket_until_it_is_not_kept() {
        let mut listeners = Listeners::default();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let first = address(listeners.grant((any, 0)).unwrap());
        let second = address(listeners.grant((any, 1)).unwrap());
        assert_ne!(first, second);
        listeners.keep(&[(any, 0)]);
        assert_eq!(address(listeners.grant((any, 0)).unwrap()), first);
        TcpListener::bind(second).unwrap();
        let taken = listeners.grant((first, 0)).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    }
}
