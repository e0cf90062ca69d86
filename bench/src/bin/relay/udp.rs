//! UDP: a socket per client towards the origin, batches where one socket has many datagrams, trains kept whole.
//!
//! It knows the bench's datagrams: what is longer than one of a bulk flow is a train of those, and goes on as one.

use std::collections::HashMap;
use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};
use rustix::io::Errno;
use rustix::net::{SendFlags, send, sendto};
use towpath_bench::Outcome;
use towpath_bench::far::{DATAGRAM_BYTES, allow_trains};
use towpath_bench::poller::Poller;

const LISTENER: usize = usize::MAX;
/// Datagrams of one receiving call.
const BATCH: usize = 32;
/// A train and a cache line: buffers that start at the same offset of a page would share a few cache sets.
const SLOT_BYTES: usize = 65_536 + 64;
/// Far more than the clients of a scenario; beyond it a new client is not served.
const SESSIONS_MAX: usize = 16_384;

pub(crate) struct Relay {
    poller: Poller,
    listener: UdpSocket,
    origin: SocketAddr,
    sessions: Vec<Session>,
    by_client: HashMap<SocketAddr, usize>,
    inbox: Inbox,
    answers: Answers,
}

struct Session {
    socket: UdpSocket,
    client: SocketAddr,
}

struct Inbox {
    headers: MultiHeaders<SockaddrIn>,
    buffer: Vec<u8>,
    /// Length and sender of each datagram of the last batch; it lies in the slot of its number.
    batch: Vec<(usize, Option<SocketAddr>)>,
}

/// Small answers of one turn, which leave together.
struct Answers {
    headers: MultiHeaders<SockaddrIn>,
    bytes: Vec<u8>,
    parts: Vec<(usize, SockaddrIn)>,
}

impl Relay {
    pub(crate) fn bind(address: SocketAddr, origin: SocketAddr) -> Outcome<Relay> {
        let listener = UdpSocket::bind(address)?;
        listener.set_nonblocking(true)?;
        allow_trains(&listener)?;
        let poller = Poller::new()?;
        poller.add(&listener, LISTENER)?;
        let (sessions, by_client) = (Vec::new(), HashMap::new());
        Ok(Relay {
            poller,
            listener,
            origin,
            sessions,
            by_client,
            inbox: Inbox::new(),
            answers: Answers::new(),
        })
    }

    pub(crate) fn run(mut self) -> Outcome<()> {
        let mut ready = Vec::new();
        loop {
            self.poller.wait(&mut ready, None)?;
            for event in ready.drain(..).filter(|event| event.readable) {
                match event.token {
                    LISTENER => self.forward()?,
                    token => self.collect(token),
                }
            }
            self.answers.flush(&self.listener);
        }
    }

    /// From clients to the origin.
    fn forward(&mut self) -> Outcome<()> {
        loop {
            let count = self.inbox.receive(&self.listener);
            for index in 0..count {
                if let Some(session) = self.session_of(index)? {
                    // A datagram that cannot be sent is a lost one, as on any network.
                    let _: Result<usize, Errno> =
                        send(&self.sessions[session].socket, self.inbox.bytes(index), SendFlags::empty());
                }
            }
            if count < BATCH {
                return Ok(());
            }
        }
    }

    fn session_of(&mut self, index: usize) -> Outcome<Option<usize>> {
        let Some(client) = self.inbox.batch[index].1 else { return Ok(None) };
        if let Some(&session) = self.by_client.get(&client) {
            return Ok(Some(session));
        }
        if self.sessions.len() >= SESSIONS_MAX {
            return Ok(None);
        }
        let socket = UdpSocket::bind((self.origin.ip(), 0))?;
        socket.connect(self.origin)?;
        socket.set_nonblocking(true)?;
        allow_trains(&socket)?;
        let session = self.sessions.len();
        self.poller.add(&socket, session)?;
        self.sessions.push(Session { socket, client });
        self.by_client.insert(client, session);
        Ok(Some(session))
    }

    /// From the origin to one client.
    fn collect(&mut self, token: usize) {
        let session = &self.sessions[token];
        loop {
            let count = self.inbox.receive(&session.socket);
            for index in 0..count {
                self.answers.push(&self.listener, self.inbox.bytes(index), session.client);
            }
            if count < BATCH {
                return;
            }
        }
    }
}

impl Inbox {
    fn new() -> Inbox {
        let headers = MultiHeaders::preallocate(BATCH, None);
        Inbox { headers, buffer: vec![0; BATCH * SLOT_BYTES], batch: Vec::with_capacity(BATCH) }
    }

    /// Takes what is there, up to a batch; the number of datagrams or trains.
    fn receive(&mut self, socket: &UdpSocket) -> usize {
        self.batch.clear();
        let mut slots = self.buffer.chunks_exact_mut(SLOT_BYTES);
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
            std::array::from_fn(|_| [IoSliceMut::new(slots.next().unwrap_or_default())]);
        // Nothing there, or an ICMP message about a lost datagram: no datagram in either case.
        let Ok(came) =
            recvmmsg(socket.as_raw_fd(), &mut self.headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)
        else {
            return 0;
        };
        self.batch.extend(came.map(|message| {
            let from = message.address.map(|address| SocketAddr::from((address.ip(), address.port())));
            (message.bytes, from)
        }));
        self.batch.len()
    }

    fn bytes(&self, index: usize) -> &[u8] {
        let start = index * SLOT_BYTES;
        &self.buffer[start..start + self.batch[index].0]
    }
}

impl Answers {
    fn new() -> Answers {
        Answers { headers: MultiHeaders::preallocate(BATCH, None), bytes: Vec::new(), parts: Vec::new() }
    }

    fn push(&mut self, listener: &UdpSocket, bytes: &[u8], client: SocketAddr) {
        let SocketAddr::V4(address) = client else { return };
        if bytes.len() > DATAGRAM_BYTES {
            // A train is not worth a copy.
            let _: Result<usize, Errno> = sendto(listener, bytes, SendFlags::empty(), &client);
            return;
        }
        self.bytes.extend_from_slice(bytes);
        self.parts.push((bytes.len(), address.into()));
        if self.parts.len() == BATCH {
            self.flush(listener);
        }
    }

    fn flush(&mut self, listener: &UdpSocket) {
        if self.parts.is_empty() {
            return;
        }
        let mut rest = self.bytes.as_slice();
        let slices: Vec<[IoSlice<'_>; 1]> = (self.parts.iter())
            .map(|(length, _)| {
                let (bytes, behind) = rest.split_at(*length);
                rest = behind;
                [IoSlice::new(bytes)]
            })
            .collect();
        let addresses: Vec<Option<SockaddrIn>> =
            self.parts.iter().map(|(_, address)| Some(*address)).collect();
        // What the kernel does not take is lost, as on any network.
        let _ = sendmmsg(
            listener.as_raw_fd(),
            &mut self.headers,
            &slices,
            &addresses,
            [],
            MsgFlags::MSG_DONTWAIT,
        );
        self.bytes.clear();
        self.parts.clear();
    }
}
