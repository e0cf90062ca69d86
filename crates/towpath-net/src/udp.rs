//! UDP sockets that take and give datagrams by the batch.
//!
//! ```text
//!  UdpBinding ── one SO_REUSEPORT socket per worker ──> UdpSocket ── poll_receive ──> Batch ──> Received ──> Run
//!                                                       UdpSocket::try_send_to(Run, client, from the address asked)
//!  UdpSocket::connect(endpoint), one per session ─────> the kernel keeps strangers' datagrams out of it
//! ```
//!
//! A [`Run`] is one datagram, or several of one size that the system moved as one (GRO in, GSO out). Forwarding a run
//! as it came costs one system call for up to 64 datagrams.
//!
//! Sending never waits: a socket whose buffer is full drops the datagram, as the network would.

mod batch;
mod options;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};
use rustix::io::Errno;
use rustix::net::{SendFlags, send, sendto};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

pub use batch::{BATCH, Batch, Received, Run};
use options::Options;

/// The largest datagram over IPv4: 65,535 less 20 bytes of IP header and 8 of UDP (RFC 768).
pub const DATAGRAM_BYTES_MAX: usize = 65_507;

/// Datagrams above this are sent one by one: the system refuses to cut a run into pieces that exceed the path's MTU,
/// and what is larger than an Ethernet frame holds is rarely safe. One refusal ends segmentation for the socket.
const SEGMENT_BYTES_MAX: usize = 1472;

/// What the kernel is asked to hold for a worker that is busy, in bytes; it grants at most `net.core.rmem_max`. A
/// thousand small datagrams, each charged with about 800 bytes.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;

/// Why a datagram was not sent or received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The socket's buffer is full, or the system's memory: the datagram is dropped.
    Full,
    /// The destination answered an earlier datagram with "unreachable", or there is no route to it. On a connected
    /// socket this is told once for each such answer, in place of the next operation.
    Unreachable,
    /// The datagram is larger than the protocol or the path allows.
    TooLarge,
    /// Anything else, for example an address that cannot be sent to.
    Other(io::ErrorKind),
}

impl Fault {
    /// Sorts an error of `sendmsg(2)` or `recvmsg(2)`.
    pub fn of(error: &io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => Self::Full,
            Some(Errno::CONNREFUSED | Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::HOSTDOWN) => {
                Self::Unreachable
            }
            Some(Errno::MSGSIZE) => Self::TooLarge,
            _ => Self::Other(error.kind()),
        }
    }
}

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the rest of the run is dropped after a fault"]
pub struct Sent {
    /// Datagrams handed to the network.
    pub datagrams: usize,
    /// What stopped the run. Nothing after it was sent.
    pub fault: Option<Fault>,
}

/// An address with one UDP socket per worker. The system gives every datagram of a client to the same worker for as
/// long as the number of sockets stays.
#[derive(Debug)]
pub struct UdpBinding {
    address: SocketAddr,
    sockets: Mutex<Vec<Option<Socket>>>,
}

impl UdpBinding {
    /// Binds `address` once for each of `workers`. Port 0 takes one free port for all of them. An IPv6 wildcard
    /// receives over IPv4 as well.
    ///
    /// # Errors
    /// Those of `bind(2)`: `AddrInUse` also when another process of this account shares the port by `SO_REUSEPORT`.
    pub fn bind(address: SocketAddr, workers: usize) -> io::Result<Arc<Self>> {
        let address = probe(address)?;
        let sockets =
            (0..workers.max(1)).map(|_| listen(address).map(Some)).collect::<io::Result<Vec<_>>>()?;
        Ok(Arc::new(Self { address, sockets: Mutex::new(sockets) }))
    }

    /// The address really bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hands the worker its socket, once. Must be called on the worker's runtime.
    ///
    /// # Errors
    /// When the runtime cannot register the socket, for example at the file limit.
    pub fn take(&self, worker: usize) -> io::Result<Option<UdpSocket>> {
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(socket) = sockets.get_mut(worker).and_then(Option::take) else { return Ok(None) };
        UdpSocket::new(socket, self.address, None).map(Some)
    }
}

/// Finds out whether anybody has the port, by a bind without `SO_REUSEPORT`, and which port 0 means.
fn probe(address: SocketAddr) -> io::Result<SocketAddr> {
    let socket = open(address)?;
    socket.bind(&address.into())?;
    local_address(&socket)
}

fn listen(address: SocketAddr) -> io::Result<Socket> {
    let socket = open(address)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    // As far as the system allows.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    Ok(socket)
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    Ok(socket)
}

fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    socket.local_addr()?.as_socket().ok_or_else(|| io::Error::other("bound to no IP address"))
}

/// A UDP socket of one worker, registered with the event loop of the thread that made it.
#[derive(Debug)]
pub struct UdpSocket {
    socket: AsyncFd<Socket>,
    state: UdpSocketState,
    local: SocketAddr,
    remote: Option<SocketAddr>,
}

impl UdpSocket {
    /// A socket that sends to `remote` and receives from nobody else, on a port of its own.
    ///
    /// # Errors
    /// Those of `socket(2)`, at the descriptor limit among them, and of `connect(2)`: `NetworkUnreachable` without a
    /// route, `AddrNotAvailable` when no port is free.
    pub fn connect(remote: SocketAddr) -> io::Result<Self> {
        let socket = open(remote)?;
        socket.connect(&remote.into())?;
        let local = local_address(&socket)?;
        Self::new(socket, local, Some(remote))
    }

    #[expect(unsafe_code, reason = "tokio's own type asks the system to report each datagram that has left")]
    fn new(socket: Socket, local: SocketAddr, remote: Option<SocketAddr>) -> io::Result<Self> {
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        Options { is_ipv6: local.is_ipv6(), wants_destination: local.ip().is_unspecified() }.set(&socket)?;
        // SAFETY: `Socket` owns its descriptor, which stays open and the same until the value is dropped; it is never
        // taken out of the `AsyncFd`.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }?;
        Ok(Self { socket, state, local, remote })
    }

    /// The address of this side. Of a socket bound to a wildcard, the wildcard.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The peer of a connected socket.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.remote
    }

    /// How many datagrams one system call sends at most. 1 without segmentation offload.
    pub fn segments_max(&self) -> usize {
        self.state.max_gso_segments().max(1)
    }

    /// Asks for more room for datagrams not yet received, in bytes. The system grants what it allows.
    pub fn set_receive_buffer(&self, bytes: usize) {
        let _ = SockRef::from(self.socket.get_ref()).set_recv_buffer_size(bytes);
    }

    /// Fills `batch` with at least one run, in one system call; what was in it is forgotten.
    ///
    /// # Errors
    /// [`Fault::Unreachable`] on a connected socket whose peer's system answered that nobody is there.
    pub fn poll_receive(&self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<Result<(), Fault>> {
        let is_failed = self.poll_failed(cx);
        loop {
            let mut guard = match self.socket.poll_read_ready(cx) {
                Poll::Ready(guard) => guard.map_err(|error| Fault::of(&error))?,
                Poll::Pending if is_failed => return self.poll_fault(),
                Poll::Pending => return Poll::Pending,
            };
            match batch.receive(self.socket.get_ref(), &self.state) {
                Ok(is_drained) => {
                    if is_drained {
                        guard.clear_ready();
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => guard.clear_ready(),
                Err(error) => return Poll::Ready(Err(Fault::of(&error))),
            }
        }
    }

    /// Whether the event loop has seen an error. A socket that waits for datagrams only is not woken as readable by
    /// an ICMP message, but as one on which writing would fail; tokio never forgets that it was.
    fn poll_failed(&self, cx: &mut Context<'_>) -> bool {
        self.remote.is_some() && self.socket.poll_write_ready(cx).is_ready()
    }

    /// The error that woke the socket, unless a send has been told already.
    fn poll_fault(&self) -> Poll<Result<(), Fault>> {
        match self.socket.get_ref().take_error() {
            Ok(Some(error)) => Poll::Ready(Err(Fault::of(&error))),
            _ => Poll::Pending,
        }
    }

    /// Sends a run to the peer of a connected socket.
    pub fn try_send(&self, run: Run<'_>) -> Sent {
        let Some(remote) = self.remote else {
            return Sent { datagrams: 0, fault: Some(Fault::Other(io::ErrorKind::NotConnected)) };
        };
        // The kernel has the route of a connected socket at hand, and looks it up when an address is named.
        self.send_run(run, remote, None, |bytes| Ok(send(self.socket.get_ref(), bytes, SendFlags::empty())?))
    }

    /// Sends a run to `to`, from the local address `from` if one is given: that of [`Received::to`], so that a client
    /// gets its answer from where it asked.
    pub fn try_send_to(&self, run: Run<'_>, to: SocketAddr, from: Option<IpAddr>) -> Sent {
        // The system refuses port 0 with the same error that stands for "no segmentation here", and a spoofed client
        // shall not switch that off.
        if to.port() == 0 {
            return Sent { datagrams: 0, fault: Some(Fault::Other(io::ErrorKind::InvalidInput)) };
        }
        let to = self.in_family(to);
        let from = from.filter(|_| self.local.ip().is_unspecified()).map(|ip| self.ip_in_family(ip));
        if from.is_some() {
            return self.send_run(run, to, from, |bytes| {
                let transmit = Transmit {
                    destination: to,
                    ecn: None,
                    contents: bytes,
                    segment_size: None,
                    src_ip: from,
                };
                self.transmit(&transmit).map(|()| bytes.len())
            });
        }
        self.send_run(run, to, None, |bytes| {
            Ok(sendto(self.socket.get_ref(), bytes, SendFlags::empty(), &to)?)
        })
    }

    /// Sends by segmentation what may be, the rest one by one.
    fn send_run(
        &self,
        run: Run<'_>,
        to: SocketAddr,
        from: Option<IpAddr>,
        send_one: impl Fn(&[u8]) -> io::Result<usize>,
    ) -> Sent {
        let mut sent = Sent { datagrams: 0, fault: None };
        for piece in run.pieces(self.segments_in_one(run.segment())) {
            let datagrams = piece.len();
            if datagrams > 1 {
                let segment_size = Some(piece.segment());
                let transmit = Transmit {
                    destination: to,
                    ecn: None,
                    contents: piece.bytes(),
                    segment_size,
                    src_ip: from,
                };
                match self.transmit(&transmit) {
                    Ok(()) => {
                        sent.datagrams += datagrams;
                        continue;
                    }
                    // Refused by the device or the path rather than by the peer: each for itself may pass.
                    Err(error) if is_segmentation_refused(&error) => {}
                    Err(error) => return Sent { fault: Some(Fault::of(&error)), ..sent },
                }
            }
            for datagram in piece.datagrams() {
                if let Err(error) = retry(|| send_one(datagram)) {
                    return Sent { fault: Some(Fault::of(&error)), ..sent };
                }
                sent.datagrams += 1;
            }
        }
        sent
    }

    fn segments_in_one(&self, segment: usize) -> usize {
        match segment {
            1..=SEGMENT_BYTES_MAX => self.segments_max().min(DATAGRAM_BYTES_MAX / segment),
            _ => 1,
        }
    }

    fn transmit(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.state.try_send(UdpSockRef::from(self.socket.get_ref()), transmit)
    }

    /// A socket of both families names IPv4 addresses as mapped ones (RFC 4291 §2.5.5.2).
    fn in_family(&self, address: SocketAddr) -> SocketAddr {
        match address {
            SocketAddr::V4(_) if self.local.is_ipv6() => {
                SocketAddr::new(self.ip_in_family(address.ip()), address.port())
            }
            _ => address,
        }
    }

    fn ip_in_family(&self, ip: IpAddr) -> IpAddr {
        match ip {
            IpAddr::V4(ip) if self.local.is_ipv6() => ip.to_ipv6_mapped().into(),
            _ => ip,
        }
    }
}

fn is_segmentation_refused(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::IO | Errno::INVAL | Errno::MSGSIZE | Errno::OPNOTSUPP))
}

/// Again after a signal.
fn retry<T>(mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests;
