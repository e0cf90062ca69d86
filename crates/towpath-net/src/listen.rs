//! Listening sockets: one per worker on the same address, by `SO_REUSEPORT`.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;
use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::memory;
use crate::stream::Stream;

/// Connections the kernel holds for a worker that has not accepted them yet. Bounded by `net.core.somaxconn`, which
/// is 4096 on current kernels; a burst of 1,000 clients must fit while one worker is busy.
const ACCEPT_BACKLOG: i32 = 4096;

/// An address with one listening socket per worker. A reload that names the same address keeps the same binding,
/// so no connection waiting in a socket's queue is lost.
#[derive(Debug)]
pub struct Binding {
    address: SocketAddr,
    sockets: Mutex<Vec<Option<Waiting>>>,
}

#[derive(Debug)]
enum Waiting {
    Tcp(std::net::TcpListener),
    Memory(memory::Listener),
}

impl Binding {
    /// Binds `address` once for each of `workers`. Port 0 takes one free port for all of them. An IPv6 wildcard
    /// accepts IPv4 as well, as `":8080"` promises.
    ///
    /// # Errors
    /// Those of `bind(2)` and `listen(2)`: `AddrInUse` also when another process of this account shares the port by
    /// `SO_REUSEPORT`, which would silently take half of the connections.
    pub fn bind(address: SocketAddr, workers: usize) -> io::Result<Arc<Self>> {
        let address = probe(address)?;
        let sockets = (0..workers.max(1))
            .map(|_| Ok(Some(Waiting::Tcp(listen(address)?))))
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Arc::new(Self { address, sockets: Mutex::new(sockets) }))
    }

    /// A binding of this thread's in-memory network, for one worker on the same thread.
    ///
    /// # Errors
    /// `AddrInUse` when the name is taken.
    pub fn memory(name: &str) -> io::Result<Arc<Self>> {
        let listener = memory::listen(name)?;
        let sockets = Mutex::new(vec![Some(Waiting::Memory(listener))]);
        Ok(Arc::new(Self { address: memory::ADDRESS, sockets }))
    }

    /// The address really bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hands the worker its socket, once; a worker keeps it until the binding leaves the plan. Must be called on
    /// the worker's runtime.
    ///
    /// # Errors
    /// When the runtime cannot register the socket, for example at the file limit.
    pub fn take(&self, worker: usize) -> io::Result<Option<Acceptor>> {
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        match sockets.get_mut(worker).and_then(Option::take) {
            None => Ok(None),
            Some(Waiting::Tcp(listener)) => TcpListener::from_std(listener).map(Acceptor::Tcp).map(Some),
            Some(Waiting::Memory(listener)) => Ok(Some(Acceptor::Memory(listener))),
        }
    }
}

/// Finds out whether anybody listens, by a bind without `SO_REUSEPORT`, and which port 0 means.
fn probe(address: SocketAddr) -> io::Result<SocketAddr> {
    let socket = open(address)?;
    socket.bind(&address.into())?;
    socket.listen(1)?;
    socket.local_addr()?.as_socket().ok_or_else(|| io::Error::other("bound to no IP address"))
}

fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = open(address)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(ACCEPT_BACKLOG)?;
    Ok(socket.into())
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    // A restart must not wait for the connections of its predecessor to leave TIME_WAIT.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    Ok(socket)
}

/// A worker's own listening socket.
#[derive(Debug)]
pub enum Acceptor {
    /// TCP.
    Tcp(TcpListener),
    /// The in-memory network.
    Memory(memory::Listener),
}

impl Acceptor {
    /// The next connection and its peer.
    ///
    /// # Errors
    /// Those of `accept(2)`; sort them with [`AcceptError::of`].
    pub async fn accept(&mut self) -> io::Result<(Stream, SocketAddr)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((prepare(stream), peer))
            }
            Self::Memory(listener) => Ok((Stream::Memory(listener.accept().await), memory::ADDRESS)),
        }
    }

    /// Begins to stop. Closing the socket at once would reset every client that has connected and was not accepted
    /// yet, and every one that connects meanwhile; so new clients are kept off first, and those in the queue are given
    /// out. The socket closes when the value is dropped.
    #[must_use = "dropping it resets the clients in the queue"]
    pub fn leave(self) -> LeftOver {
        LeftOver(match self {
            Self::Tcp(listener) => {
                // Where the system has no such filter, the moment between the last look and the close stays open.
                let _ = SockRef::from(&listener).attach_filter(&IGNORE_SYN);
                listener.into_std().ok().map(Waiting::Tcp)
            }
            Self::Memory(listener) => Some(Waiting::Memory(listener)),
        })
    }
}

/// Drops the first segment of new connections (SYN without ACK, RFC 9293 §3.5) and lets pass what belongs to a
/// handshake under way. A client that sent one sends it again after a second, and is refused then.
///
/// In the notation of bpf(4): load the byte of the flags, mask, compare, drop or accept the whole.
const IGNORE_SYN: [SockFilter; 5] = [
    SockFilter::new(0x30, 0, 0, 13),
    SockFilter::new(0x54, 0, 0, 0x12),
    SockFilter::new(0x15, 0, 1, 0x02),
    SockFilter::new(0x06, 0, 0, 0),
    SockFilter::new(0x06, 0, 0, u32::MAX),
];

/// The connections that were made before their socket was told to stop; see [`Acceptor::leave`].
///
/// `None` says that there is none at the moment: one whose handshake was under way may follow. Must be used on the
/// worker's runtime.
#[derive(Debug)]
pub struct LeftOver(Option<Waiting>);

impl LeftOver {
    /// Whether a handshake may be under way whose connection is still to come.
    pub fn may_grow(&self) -> bool {
        matches!(self.0, Some(Waiting::Tcp(_)))
    }
}

impl Iterator for LeftOver {
    type Item = (Stream, SocketAddr);

    fn next(&mut self) -> Option<Self::Item> {
        match self.0.as_mut()? {
            Waiting::Tcp(listener) => {
                // Tokio's own look would ask its memory of the last one, which may be older than the connection.
                let (stream, peer) = accept_queued(listener)?;
                stream.set_nonblocking(true).ok()?;
                Some((prepare(TcpStream::from_std(stream).ok()?), peer))
            }
            Waiting::Memory(listener) => Some((Stream::Memory(listener.accept_queued()?), memory::ADDRESS)),
        }
    }
}

/// Passes over connections that failed in the queue, of which there are at most as many as it holds.
fn accept_queued(listener: &std::net::TcpListener) -> Option<(std::net::TcpStream, SocketAddr)> {
    for _ in 0..ACCEPT_BACKLOG {
        match listener.accept() {
            Ok(accepted) => return Some(accepted),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Err(error) if AcceptError::of(&error) == AcceptError::Connection => {}
            Err(_) => return None,
        }
    }
    None
}

/// One message is one send, so Nagle's algorithm could only delay its last segment. A peer that has gone already is
/// found by the first read.
fn prepare(stream: TcpStream) -> Stream {
    let _ = stream.set_nodelay(true);
    Stream::Tcp(stream)
}

/// What an error of `accept(2)` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptError {
    /// This connection failed, the next may not: accept again at once.
    Connection,
    /// The process or system has run out of something: wait, then accept again.
    Resource,
    /// The listening socket itself is unusable.
    Fatal,
}

impl AcceptError {
    /// Sorts an error as accept(2) documents them.
    pub fn of(error: &io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => Self::Resource,
            Some(Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::OPNOTSUPP | Errno::FAULT) => {
                Self::Fatal
            }
            _ => Self::Connection,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    #[test]
    fn a_second_bind_is_refused_although_both_share_by_reuseport() {
        let first = Binding::bind(loopback(), 2).unwrap();
        let error = Binding::bind(first.address(), 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn errors_of_accept_are_sorted() {
        use AcceptError::{Connection, Fatal, Resource};
        for (errno, expected) in
            [(Errno::CONNABORTED, Connection), (Errno::MFILE, Resource), (Errno::NOTSOCK, Fatal)]
        {
            assert_eq!(AcceptError::of(&errno.into()), expected, "{errno}");
        }
    }

    #[tokio::test]
    async fn a_socket_that_leaves_serves_who_has_connected_and_keeps_off_who_comes() {
        let binding = Binding::bind(loopback(), 1).unwrap();
        let acceptor = binding.take(0).unwrap().unwrap();
        let connect = || {
            std::net::TcpStream::connect_timeout(&binding.address(), std::time::Duration::from_millis(100))
        };
        let clients = [connect().unwrap(), connect().unwrap()];
        let mut left_over = acceptor.leave();
        for client in &clients {
            assert_eq!(left_over.next().unwrap().1, client.local_addr().unwrap());
        }
        assert_eq!(connect().unwrap_err().kind(), io::ErrorKind::TimedOut, "nobody answers its SYN");
        assert!(left_over.next().is_none());
        drop(left_over);
        assert_eq!(connect().unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn each_worker_takes_its_socket_once() {
        let binding = Binding::bind(loopback(), 2).unwrap();
        assert!(binding.take(0).unwrap().is_some());
        assert!(binding.take(0).unwrap().is_none());
        assert!(binding.take(1).unwrap().is_some());
        assert!(binding.take(2).unwrap().is_none());
    }
}
