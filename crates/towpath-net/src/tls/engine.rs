//! The TLS protocol without any I/O: records and plaintext go in and come out as bytes.
//!
//! ```text
//!  wire ─> incoming ─> rustls ─> plain ─> reader
//!  wire <─ outgoing <─ rustls <───────── writer
//! ```

use std::fmt;

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, InsufficientSizeError, UnbufferedStatus, WriteTraffic,
};
use rustls::{CommonState, Error, HandshakeKind};

use super::Agreed;
use super::bytes::{BUFFER_BYTES, Bytes};
use super::fault::Fault;
use super::provider::version_name;
use crate::buffer::LEAD_BYTES;

/// The largest plaintext of a record (RFC 8446 §5.1).
const RECORD_BYTES: usize = 16 * 1024;

/// The plaintext of records that fit into one TCP segment: 1,440 bytes over IPv6, less 12 of timestamps and up to 29 of
/// the record. What has arrived can be decrypted then without waiting for the next segment.
const SMALL_RECORD_BYTES: usize = 1399;

/// What stands before what is encrypted (RFC 8446 §5.2).
const RECORD_HEAD_BYTES: usize = 5;

/// On all that we run on. On others some large records would be small ones.
const PAGE_BYTES: usize = 4096;

/// What is sent in small records before large ones: about the ten segments that a connection may begin with (RFC 6928).
const SMALL_RECORDS_TOTAL: usize = 10 * SMALL_RECORD_BYTES;

/// More than any record adds to its plaintext, and a KeyUpdate or an alert before it.
const RECORD_OVERHEAD_MAX: usize = 512;

/// Handshake messages that are not whole stay in `incoming`: no more than the library takes, and a record.
const INCOMING_BYTES_MAX: usize = 64 * 1024 + BUFFER_BYTES;

/// Alerts that are sent about one error.
const ALERTS_MAX: usize = 4;

/// Which side of the connection we are, with the library's state of it.
pub(super) enum Side {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

impl fmt::Debug for Side {
    /// Without the state, in which there are keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server(_) => "Server",
            Self::Client(_) => "Client",
        })
    }
}

/// A TLS connection as a state machine.
#[derive(Debug)]
pub(super) struct Engine {
    side: Side,
    incoming: Bytes,
    plain: Bytes,
    pub(super) outgoing: Bytes,
    /// Everything in `incoming` was looked at, and is the beginning of something.
    is_starved: bool,
    /// The peer has said that it sends nothing more.
    pub(super) has_ended: bool,
    /// We have said so.
    has_closed: bool,
    /// Plaintext sent since something was received.
    burst: usize,
    fault: Option<Box<Fault>>,
}

/// What the library is looked at for.
enum Task<'a> {
    /// To receive, into this and what is beyond it into `plain`.
    Receive(&'a mut [u8]),
    /// To send this.
    Send(&'a [u8]),
    /// To send that nothing more is sent.
    Close,
}

/// What a look at the library's state has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Look again.
    Again,
    /// There is plaintext.
    Plaintext,
    /// The peer has ended its direction.
    Ended,
    /// Nothing more to be done with what has come; the task is done, if it was one of sending.
    Open,
    /// The handshake needs more from the peer.
    Starved,
}

/// Where a step gets and puts its bytes.
struct Ports<'a> {
    task: Task<'a>,
    /// How many bytes of the task are done.
    done: usize,
    plain: &'a mut Bytes,
    outgoing: &'a mut Bytes,
    burst: &'a mut usize,
}

impl Engine {
    /// An engine at the start of a connection. `early` is what was read from it already.
    pub(super) fn new(side: Side, early: &[u8]) -> Self {
        let mut incoming = Bytes::default();
        incoming.push(early);
        Self {
            side,
            incoming,
            plain: Bytes::default(),
            outgoing: Bytes::default(),
            is_starved: false,
            has_ended: false,
            has_closed: false,
            burst: 0,
            fault: None,
        }
    }

    fn common(&self) -> &CommonState {
        match &self.side {
            Side::Server(server) => server,
            Side::Client(client) => client,
        }
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.common().is_handshaking()
    }

    /// What the handshake has come to.
    pub(super) fn agreed(&self) -> Agreed {
        let common = self.common();
        let suite = common.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
        let leaf = common.peer_certificates().and_then(<[_]>::first);
        Agreed {
            version: version_name(common.protocol_version()),
            cipher: suite.unwrap_or_default(),
            is_resumed: common.handshake_kind() == Some(HandshakeKind::Resumed),
            protocol: common.alpn_protocol().map(<[u8]>::to_vec),
            peer_certificate: leaf.map(|leaf| leaf.to_vec()),
        }
    }

    /// Room for what comes from the wire. Tell [`Engine::filled`].
    pub(super) fn room(&mut self) -> Result<&mut [u8], Fault> {
        if self.incoming.len() >= INCOMING_BYTES_MAX {
            return Err(self.fail(&Error::General("a handshake message is too long".to_owned())));
        }
        // A record always fits; only a message of several makes the buffer grow.
        Ok(self.incoming.room(1))
    }

    /// `count` bytes came from the wire; 0 when none did.
    pub(super) fn filled(&mut self, count: usize) {
        self.incoming.filled(count);
        self.incoming.release();
        self.is_starved &= count == 0;
    }

    /// Whether a read would find something without the wire.
    pub(super) fn has_news(&self) -> bool {
        !self.plain.is_empty() || self.may_hold_record() || self.has_ended || self.fault.is_some()
    }

    /// Whether there are bytes that the library has not looked at.
    fn may_hold_record(&self) -> bool {
        !self.incoming.is_empty() && !self.is_starved
    }

    /// Whether the library has nothing to say: all that it was given was looked at to the end.
    fn is_at_rest(&self) -> bool {
        !self.may_hold_record() && self.fault.is_none() && !self.is_handshaking()
    }

    /// Decrypts into `target`, and gives the count. 0 says that nothing is there; see [`Engine::has_ended`].
    pub(super) fn read(&mut self, target: &mut [u8]) -> Result<usize, Fault> {
        if !self.plain.is_empty() {
            return Ok(self.plain.pop_into(target));
        }
        if self.is_at_rest() {
            return Ok(0);
        }
        let (step, done) = self.advance(Task::Receive(target))?;
        if step == Step::Plaintext {
            self.burst = 0;
        }
        Ok(done)
    }

    /// Decrypts without taking anything out. Whether there is plaintext.
    pub(super) fn look(&mut self) -> Result<bool, Fault> {
        if self.plain.is_empty() && !self.is_at_rest() {
            self.advance(Task::Receive(&mut []))?;
        }
        Ok(!self.plain.is_empty())
    }

    /// Encrypts all of `bytes` into [`Engine::outgoing`].
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if bytes.len() > RECORD_BYTES {
            // All of its records go into one buffer, which need not grow.
            self.outgoing.room(bytes.len() + RECORD_OVERHEAD_MAX);
        }
        loop {
            match self.advance(Task::Send(bytes))? {
                (Step::Open, _) => return Ok(()),
                (Step::Starved, _) => return Err(self.fail(&Error::HandshakeNotComplete)),
                // What came meanwhile waits in `plain`; nothing of the task was done.
                _ => {}
            }
        }
    }

    /// Says that nothing more is sent, once (RFC 8446 §6.1).
    pub(super) fn close(&mut self) -> Result<(), Fault> {
        if self.has_closed || self.is_handshaking() {
            return Ok(());
        }
        self.has_closed = true;
        while let (Step::Plaintext | Step::Again | Step::Ended, _) = self.advance(Task::Close)? {}
        Ok(())
    }

    /// Steps until there is plaintext, or nothing more to be done. How many bytes of the task are done.
    ///
    /// Ends (T36): each turn takes a record out of `incoming`, takes a message that is to be sent, or is the last.
    fn advance(&mut self, task: Task<'_>) -> Result<(Step, usize), Fault> {
        if let Some(fault) = &self.fault {
            return Err((**fault).clone());
        }
        let Self { side, incoming, plain, outgoing, burst, .. } = self;
        let mut ports = Ports { task, done: 0, plain, outgoing, burst };
        let outcome = loop {
            match step(side, incoming, &mut ports) {
                Ok(Step::Again) => {}
                Ok(Step::Ended) => self.has_ended = true,
                Ok(step) => break Ok(step),
                Err(error) => break Err(error),
            }
        };
        let done = ports.done;
        match outcome {
            Ok(step) => {
                self.is_starved = step != Step::Plaintext;
                Ok((step, done))
            }
            Err(error) => Err(self.fail(&error)),
        }
    }

    /// Notes an error, and has the alert about it sent. The library gives alerts out before it looks at input, and must not
    /// look at that again: what it has counted of it need not be there any more.
    #[cold]
    fn fail(&mut self, error: &Error) -> Fault {
        let fault = Fault::of(error);
        for _ in 0..ALERTS_MAX {
            if !self.common().wants_write() {
                break;
            }
            let Self { side, incoming, plain, outgoing, burst, .. } = self;
            let mut ports = Ports { task: Task::Receive(&mut []), done: 0, plain, outgoing, burst };
            let _ = step(side, incoming, &mut ports);
        }
        self.fault = Some(Box::new(fault.clone()));
        fault
    }

    /// Whether a close_notify may still be sent.
    pub(super) fn may_close(&self) -> bool {
        self.fault.is_none() && self.outgoing.is_empty()
    }

    /// Bytes of buffers that it holds.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.incoming.held() + self.plain.held() + self.outgoing.held()
    }
}

/// One step of the library.
fn step(side: &mut Side, incoming: &mut Bytes, ports: &mut Ports<'_>) -> Result<Step, Error> {
    let (discard, outcome) = match side {
        Side::Server(server) => follow(server.process_tls_records(incoming.unread_mut()), ports),
        Side::Client(client) => follow(client.process_tls_records(incoming.unread_mut()), ports),
    };
    incoming.consume(discard);
    outcome
}

fn follow<D>(status: UnbufferedStatus<'_, '_, D>, ports: &mut Ports<'_>) -> (usize, Result<Step, Error>) {
    let UnbufferedStatus { discard, state } = status;
    (discard, state.and_then(|state| ports.serve(state)))
}

impl Ports<'_> {
    fn serve<D>(&mut self, state: ConnectionState<'_, '_, D>) -> Result<Step, Error> {
        match state {
            ConnectionState::ReadTraffic(mut traffic) => {
                while let Some(record) = traffic.next_record() {
                    self.take(record?.payload);
                }
                Ok(self.has_taken())
            }
            ConnectionState::EncodeTlsData(message) => self.encode(message),
            ConnectionState::TransmitTlsData(message) => {
                message.done();
                Ok(Step::Again)
            }
            ConnectionState::PeerClosed => Ok(Step::Ended),
            ConnectionState::Closed => Ok(Step::Open),
            ConnectionState::BlockedHandshake => Ok(Step::Starved),
            ConnectionState::WriteTraffic(traffic) => self.send(traffic).map(|()| Step::Open),
            // Early data is never offered and never asked for.
            _ => Err(Error::General("a state that was not asked for".to_owned())),
        }
    }

    /// Gives the reader a record, as far as it has room.
    fn take(&mut self, mut payload: &[u8]) {
        if let Task::Receive(target) = &mut self.task
            && self.plain.is_empty()
        {
            let room = target.get_mut(self.done..).unwrap_or_default();
            let (here, later) = payload.split_at(payload.len().min(room.len()));
            room[..here.len()].copy_from_slice(here);
            self.done += here.len();
            payload = later;
        }
        self.plain.push(payload);
    }

    /// A record may be empty (RFC 8446 §5.1), and says nothing then.
    fn has_taken(&self) -> Step {
        let is_nothing = self.plain.is_empty() && self.done == 0;
        if is_nothing { Step::Again } else { Step::Plaintext }
    }

    fn encode<D>(&mut self, mut message: EncodeTlsData<'_, D>) -> Result<Step, Error> {
        let mut room = 0;
        loop {
            match message.encode(&mut self.outgoing.room(room)[..room]) {
                Ok(count) => {
                    self.outgoing.filled(count);
                    return Ok(Step::Again);
                }
                Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => {
                    room = required_size;
                }
                Err(EncodeError::AlreadyEncoded) => return Ok(Step::Again),
            }
        }
    }

    fn send<D>(&mut self, mut traffic: WriteTraffic<'_, D>) -> Result<(), Error> {
        let mut rest = match self.task {
            Task::Receive(_) => return Ok(()),
            Task::Send(bytes) => bytes,
            Task::Close => {
                let room = self.outgoing.room(RECORD_OVERHEAD_MAX);
                let count = traffic.queue_close_notify(room).map_err(|_| Error::EncryptError)?;
                self.outgoing.filled(count);
                return Ok(());
            }
        };
        while !rest.is_empty() {
            let most = if is_ill_placed(rest) { SMALL_RECORD_BYTES } else { record_bytes(*self.burst) };
            let (record, later) = rest.split_at(most.min(rest.len()));
            let room = self.outgoing.room(record.len() + RECORD_OVERHEAD_MAX);
            let count = traffic.encrypt(record, room).map_err(|_| Error::EncryptError)?;
            self.outgoing.filled(count);
            *self.burst = self.burst.saturating_add(record.len());
            rest = later;
        }
        Ok(())
    }
}

/// Whether the library's copy of `plain`, as it begins at the start of a page and with the head of a record, would be one of
/// the slow ones that [`LEAD_BYTES`] is about. Where a small record ends, the next one stands well.
fn is_ill_placed(plain: &[u8]) -> bool {
    let ahead = RECORD_HEAD_BYTES.wrapping_sub(plain.as_ptr().addr()) % PAGE_BYTES;
    (1..LEAD_BYTES).contains(&ahead)
}

/// How much goes into the next record, when `burst` bytes have been sent since something was received.
fn record_bytes(burst: usize) -> usize {
    if burst < SMALL_RECORDS_TOTAL { SMALL_RECORD_BYTES } else { RECORD_BYTES }
}
