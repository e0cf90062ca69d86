//! Listening sockets: one per worker on the same address, by `SO_REUSEPORT`; of a Unix socket, which has no such
//! option, every worker holds the same one.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with, acceptfrom_with};
use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::memory;
use crate::stream::{Stream, socket_address};
use crate::unix::{self, SocketFile};

/// Connections the kernel holds for a worker that has not accepted them yet. Bounded by `net.core.somaxconn`, which
/// is 4096 on current kernels; a burst of 1,000 clients must fit while one worker is busy.
pub const ACCEPT_BACKLOG: u32 = 4096;

/// How to listen. The default suits a public port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Connections the kernel holds for a worker that has not accepted them yet. Default [`ACCEPT_BACKLOG`].
    pub backlog: u32,
    /// The permission bits of a Unix socket's file. `None` leaves them to the umask.
    pub mode: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self { backlog: ACCEPT_BACKLOG, mode: None }
    }
}

impl Options {
    fn backlog(self) -> i32 {
        i32::try_from(self.backlog).unwrap_or(i32::MAX)
    }
}

/// An address with one listening socket per worker. A reload that names the same address keeps the same binding,
/// so no connection waiting in a socket's queue is lost.
#[derive(Debug)]
pub struct Binding {
    address: SocketAddr,
    file: Option<Arc<SocketFile>>,
    sockets: Mutex<Vec<Option<Waiting>>>,
}

#[derive(Debug)]
enum Waiting {
    Socket(Listening),
    Memory(memory::Listener),
}

/// A listening socket of the kernel.
#[derive(Debug)]
struct Listening {
    socket: OwnedFd,
    /// The name of a Unix socket. Gone with the last worker that listens on it.
    file: Option<Arc<SocketFile>>,
    /// Whether another process owns it and others listen on it too.
    is_lent: bool,
}

impl AsFd for Listening {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl std::os::fd::AsRawFd for Listening {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.socket.as_raw_fd()
    }
}

impl Binding {
    /// Binds `address` once for each of `workers`, with the default [`Options`]. Port 0 takes one free port for all
    /// of them. An IPv6 wildcard accepts IPv4 as well, as `":8080"` promises.
    ///
    /// # Errors
    /// Those of `bind(2)` and `listen(2)`: `AddrInUse` also when another process of this account shares the port by
    /// `SO_REUSEPORT`, which would silently take half of the connections.
    pub fn bind(address: SocketAddr, workers: usize) -> io::Result<Arc<Self>> {
        Self::bind_with(address, workers, Options::default())
    }

    /// As [`Binding::bind`], with `options`.
    ///
    /// # Errors
    /// See [`Binding::bind`].
    pub fn bind_with(address: SocketAddr, workers: usize, options: Options) -> io::Result<Arc<Self>> {
        let address = probe(address)?;
        let sockets = (0..workers.max(1))
            .map(|_| {
                Ok(Some(Waiting::Socket(Listening {
                    socket: listen(address, options)?,
                    file: None,
                    is_lent: false,
                })))
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Arc::new(Self { address, file: None, sockets: Mutex::new(sockets) }))
    }

    /// Listens on a Unix socket, which all workers share: each is woken for a new connection and one gets it. A file
    /// that nobody answers on is replaced. The file goes when the first worker leaves, or with the binding.
    ///
    /// # Errors
    /// `AddrInUse` when somebody answers on the path, or when it is something else than a socket; `NotFound` when
    /// its directory does not exist; otherwise those of `bind(2)`.
    pub fn unix(path: &Path, workers: usize, options: Options) -> io::Result<Arc<Self>> {
        let (listener, file) = unix::listen(path, options.backlog(), options.mode)?;
        let file = Arc::new(file);
        let sockets = (0..workers.max(1))
            .map(|_| {
                let socket = listener.try_clone()?.into();
                Ok(Some(Waiting::Socket(Listening { socket, file: Some(Arc::clone(&file)), is_lent: false })))
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Arc::new(Self { address: unix::ADDRESS, file: Some(file), sockets: Mutex::new(sockets) }))
    }

    /// Listens on a socket that another process has bound and goes on listening on, in this process and the next: see
    /// [`crate::handover`]. All workers share it: each is woken for a new connection and one gets it. A worker that
    /// leaves takes what waits, and keeps nobody off.
    ///
    /// # Errors
    /// It is no listening socket of TCP, or the process is at its limit of files.
    pub fn lent(socket: OwnedFd, workers: usize) -> io::Result<Arc<Self>> {
        let listener = TcpListener::from(socket);
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let sockets = (0..workers.max(1))
            .map(|_| {
                let socket = listener.try_clone()?.into();
                Ok(Some(Waiting::Socket(Listening { socket, file: None, is_lent: true })))
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Arc::new(Self { address, file: None, sockets: Mutex::new(sockets) }))
    }

    /// A binding of this thread's in-memory network, for one worker on the same thread.
    ///
    /// # Errors
    /// `AddrInUse` when the name is taken.
    pub fn memory(name: &str) -> io::Result<Arc<Self>> {
        let listener = memory::listen(name)?;
        let sockets = Mutex::new(vec![Some(Waiting::Memory(listener))]);
        Ok(Arc::new(Self { address: memory::ADDRESS, file: None, sockets }))
    }

    /// The address really bound; [`unix::ADDRESS`] for a Unix socket.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The path of a Unix socket.
    pub fn path(&self) -> Option<&Path> {
        self.file.as_deref().map(SocketFile::path)
    }

    /// Hands the worker its socket, once; a worker keeps it until the binding leaves the plan. Must be called on
    /// the worker's runtime.
    ///
    /// # Errors
    /// When the runtime cannot register the socket, for example at the file limit.
    pub fn take(&self, worker: usize) -> io::Result<Option<Acceptor>> {
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match sockets.get_mut(worker).and_then(Option::take) {
            None => None,
            Some(Waiting::Socket(listening)) => Some(Acceptor::Socket(SocketAcceptor::register(listening)?)),
            Some(Waiting::Memory(listener)) => Some(Acceptor::Memory(listener)),
        })
    }
}

/// Finds out whether anybody listens, by a bind without `SO_REUSEPORT`, and which port 0 means.
fn probe(address: SocketAddr) -> io::Result<SocketAddr> {
    let socket = open(address)?;
    socket.bind(&address.into())?;
    socket.listen(1)?;
    socket.local_addr()?.as_socket().ok_or_else(|| io::Error::other("bound to no IP address"))
}

/// A socket to be lent: nobody else shares its port, as whoever listens on it does so by the very same socket.
pub(crate) fn listen_alone(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = open(address)?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(Options::default().backlog())?;
    Ok(socket.into())
}

fn listen(address: SocketAddr, options: Options) -> io::Result<OwnedFd> {
    let socket = open(address)?;
    socket.set_reuse_port(true)?;
    // One message is one send, so Nagle's algorithm could only delay its last segment. Accepted sockets inherit this.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(options.backlog())?;
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
    /// TCP, or a Unix socket.
    Socket(SocketAcceptor),
    /// The in-memory network.
    Memory(memory::Listener),
}

/// A listening socket of the kernel, registered with the event loop of the thread that took it.
#[derive(Debug)]
pub struct SocketAcceptor(AsyncFd<Listening>);

impl SocketAcceptor {
    #[expect(
        unsafe_code,
        reason = "tokio's own listeners register every connection they accept, on their thread"
    )]
    fn register(listening: Listening) -> io::Result<Self> {
        // SAFETY: `Listening` owns its descriptor and hands out no other; it stays open until the value is dropped,
        // which is after tokio has forgotten it, as nothing takes it out but `AsyncFd::into_inner`.
        let registered = unsafe { AsyncFd::register_with_interest(listening, Interest::READABLE) };
        Ok(Self(registered?))
    }
}

/// A connection that no event loop knows yet: it may become a [`Stream`] on any thread. This is how a worker places
/// a connection elsewhere at the cost of no system call.
#[derive(Debug)]
pub struct Accepted(AcceptedInner);

#[derive(Debug)]
enum AcceptedInner {
    Socket(OwnedFd),
    Memory(memory::End),
}

impl Accepted {
    /// The stream, registered with the event loop of the calling thread.
    ///
    /// # Errors
    /// When that event loop cannot take it, for example at the kernel's watch limit.
    pub fn into_stream(self) -> io::Result<Stream> {
        match self.0 {
            AcceptedInner::Socket(socket) => unix::register(socket),
            AcceptedInner::Memory(end) => Ok(Stream::memory(end)),
        }
    }
}

impl Acceptor {
    /// The next connection and its peer, registered with the event loop of this thread. The peer of a Unix socket is
    /// [`unix::ADDRESS`].
    ///
    /// # Errors
    /// Those of `accept(2)`; sort them with [`AcceptError::of`].
    pub async fn accept(&mut self) -> io::Result<(Stream, SocketAddr)> {
        let (accepted, peer) = self.accept_unplaced().await?;
        Ok((accepted.into_stream()?, peer))
    }

    /// The next connection and its peer, for whichever worker takes it.
    ///
    /// # Errors
    /// As for [`Acceptor::accept`].
    pub async fn accept_unplaced(&mut self) -> io::Result<(Accepted, SocketAddr)> {
        match self {
            Self::Socket(SocketAcceptor(listening)) => {
                listening.async_io(Interest::READABLE, accept_queued).await
            }
            Self::Memory(listener) => Ok((memory_accepted(listener.accept().await), memory::ADDRESS)),
        }
    }

    /// Begins to stop. Closing the socket at once would reset every client that has connected and was not accepted
    /// yet, and every one that connects meanwhile; so new clients are kept off first, and those in the queue are given
    /// out. The socket closes when the value is dropped.
    #[must_use = "dropping it resets the clients in the queue"]
    pub fn leave(self) -> LeftOver {
        LeftOver(match self {
            Self::Socket(SocketAcceptor(listening)) => {
                let listening = listening.into_inner();
                match &listening.file {
                    // The filter would lie on the socket of everyone who listens on it.
                    None if listening.is_lent => {}
                    Some(file) => file.remove(),
                    // Where the system has no such filter, the moment between the last look and the close stays open.
                    None => drop(SockRef::from(&listening).attach_filter(&IGNORE_SYN)),
                }
                Waiting::Socket(listening)
            }
            Self::Memory(listener) => Waiting::Memory(listener),
        })
    }
}

fn memory_accepted(end: memory::End) -> Accepted {
    Accepted(AcceptedInner::Memory(end))
}

/// One `accept4(2)`, non-blocking.
fn accept_queued(listening: &Listening) -> io::Result<(Accepted, SocketAddr)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (socket, peer) = if listening.file.is_some() {
        (accept_with(listening, flags)?, unix::ADDRESS)
    } else {
        let (socket, peer) = acceptfrom_with(listening, flags)?;
        (socket, peer.map_or(unix::ADDRESS, socket_address))
    };
    Ok((Accepted(AcceptedInner::Socket(socket)), peer))
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
pub struct LeftOver(Waiting);

impl LeftOver {
    /// Whether a handshake may be under way whose connection is still to come.
    pub fn may_grow(&self) -> bool {
        matches!(&self.0, Waiting::Socket(listening) if listening.file.is_none() && !listening.is_lent)
    }
}

impl Iterator for LeftOver {
    type Item = (Stream, SocketAddr);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Waiting::Socket(listening) => {
                let (accepted, peer) = next_queued(listening)?;
                Some((accepted.into_stream().ok()?, peer))
            }
            Waiting::Memory(listener) => Some((Stream::memory(listener.accept_queued()?), memory::ADDRESS)),
        }
    }
}

/// Passes over connections that failed in the queue, of which there are at most as many as it holds.
fn next_queued(listening: &Listening) -> Option<(Accepted, SocketAddr)> {
    for _ in 0..ACCEPT_BACKLOG {
        match accept_queued(listening) {
            Ok(accepted) => return Some(accepted),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Err(error) if AcceptError::of(&error) == AcceptError::Connection => {}
            Err(_) => return None,
        }
    }
    None
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
    use std::future::poll_fn;
    use std::io::{Read, Write};

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

    #[tokio::test]
    async fn who_leaves_a_lent_socket_takes_what_waits_and_keeps_nobody_off() {
        let socket = listen_alone(loopback()).unwrap();
        let former = Binding::lent(socket.try_clone().unwrap(), 2).unwrap();
        let next = Binding::lent(socket, 1).unwrap();
        assert_eq!(former.address(), next.address());
        let connect = || std::net::TcpStream::connect(next.address()).unwrap();
        let acceptors = [former.take(0).unwrap().unwrap(), former.take(1).unwrap().unwrap()];
        drop(former);
        let _clients = [connect(), connect()];
        let mut left: Vec<LeftOver> = acceptors.map(Acceptor::leave).into();
        assert!(left.iter().all(|left| !left.may_grow()));
        assert_eq!(left[1].by_ref().count(), 2);
        drop(left);
        let _client = connect();
        next.take(0).unwrap().unwrap().accept().await.unwrap();
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
    async fn an_accepted_socket_inherits_that_it_does_not_delay() {
        let binding = Binding::bind(loopback(), 1).unwrap();
        let mut acceptor = binding.take(0).unwrap().unwrap();
        let client = std::net::TcpStream::connect(binding.address()).unwrap();
        let (stream, peer) = acceptor.accept().await.unwrap();
        let Stream::Socket(stream) = stream else { panic!("not a socket") };
        assert!(stream.nodelay().unwrap());
        assert_eq!(peer, client.local_addr().unwrap());
    }

    #[tokio::test]
    async fn an_unplaced_connection_is_served_by_another_thread() {
        let binding = Binding::bind(loopback(), 1).unwrap();
        let mut acceptor = binding.take(0).unwrap().unwrap();
        let mut client = std::net::TcpStream::connect(binding.address()).unwrap();
        let (accepted, _) = acceptor.accept_unplaced().await.unwrap();
        let elsewhere = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut stream = accepted.into_stream().unwrap();
                let mut buffer = [0; 16];
                let (mut reader, mut writer) = stream.split();
                let count = poll_fn(|cx| reader.poll_read(cx, &mut buffer)).await.unwrap();
                poll_fn(|cx| writer.poll_write(cx, &buffer[..count])).await.unwrap();
            });
        });
        client.write_all(b"placed").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "placed");
        elsewhere.join().unwrap();
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
