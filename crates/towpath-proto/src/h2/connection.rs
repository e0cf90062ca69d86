//! One connection: its state, and what its owner asks of it besides reading and sending.

use super::budget::Budget;
use super::flow::{RecvWindow, SendWindow};
use super::frame::{self, MAX_31};
use super::hpack::{Decoder, Encoder};
use super::receive::{HeaderBlock, Reading};
use super::section::Section;
use super::stream::{Recv, Send, Stream, Streams};
use super::{Config, ConnectionError, ErrorCode, PREFACE, PeerSettings, Role, StreamId, settings};
use crate::message::{Fields, RequestHead, ResponseHead};

/// Window of a connection before any update, in both directions (RFC 9113 §6.9.2).
const WINDOW_BYTES: u32 = 65_535;

/// The PING whose answer says that the peer has read the first GOAWAY of a drain.
pub(super) const DRAIN_PING: [u8; 8] = *b"draining";

/// Both directions of one HTTP/2 connection, as server or as client. See the [module](super) for how it is driven.
#[derive(Clone, Debug)]
pub struct Connection {
    pub(super) role: Role,
    pub(super) config: Config,
    pub(super) reading: Reading,
    pub(super) failed: Option<ConnectionError>,
    /// The last input ended inside the head of a frame, or a setting.
    pub(super) has_unread: bool,
    /// The header block that is being received.
    pub(super) header_block: Option<HeaderBlock>,
    pub(super) decoder: Decoder,
    pub(super) encoder: Encoder,
    pub(super) section: Section,
    pub(super) streams: Streams,
    /// What the heads of all streams are charged together.
    pub(super) heads_bytes: usize,
    pub(super) recv_window: RecvWindow,
    pub(super) send_window: SendWindow,
    /// The caller has asked for room to send when the connection had none.
    pub(super) wants_window: bool,
    pub(super) peer: PeerSettings,
    /// The peer's first SETTINGS frame has begun.
    pub(super) has_peer_settings: bool,
    /// Our SETTINGS frames that the peer has not acknowledged.
    pub(super) unacknowledged_count: u32,
    pub(super) budget: Budget,
    pub(super) owed: Owed,
    pub(super) drain: Drain,
    /// The last stream the peer's GOAWAY lets through.
    pub(super) peer_last: Option<u32>,
    /// Room for a name in lower case.
    pub(super) scratch: Vec<u8>,
    /// Room for path and query in one piece.
    pub(super) target: Vec<u8>,
}

/// Frames that wait for [`Connection::poll_output`].
#[derive(Clone, Debug, Default)]
pub(super) struct Owed {
    pub(super) bytes: Vec<u8>,
    /// How many of the frames the peer has caused and can cause more of.
    pub(super) replies_count: usize,
}

/// How far a graceful end has come (RFC 9113 §6.8).
///
/// ```text
///   No --start_drain--> Announced --the peer has read it, or finish_drain--> Last(n)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drain {
    No,
    /// The peer was told to open no more streams; those on their way are still taken.
    Announced,
    /// Streams above this one are ignored.
    Last(u32),
}

impl Connection {
    /// A new connection. Its preface and SETTINGS are owed at once: [`Connection::poll_output`] has them.
    pub fn new(role: Role, config: Config) -> Self {
        let mut connection = Self {
            role,
            config,
            reading: match role {
                Role::Server => Reading::ExpectPreface,
                Role::Client => Reading::ExpectFrame,
            },
            failed: None,
            has_unread: false,
            header_block: None,
            decoder: Decoder::default(),
            encoder: Encoder::default(),
            section: Section::default(),
            streams: Streams::new(role),
            heads_bytes: 0,
            recv_window: RecvWindow::new(WINDOW_BYTES),
            send_window: SendWindow::new(WINDOW_BYTES),
            wants_window: false,
            peer: PeerSettings::default(),
            has_peer_settings: false,
            unacknowledged_count: 1,
            budget: Budget::new(&config),
            owed: Owed::default(),
            drain: Drain::No,
            peer_last: None,
            scratch: Vec::new(),
            target: Vec::new(),
        };
        connection.owe_preface();
        connection
    }

    /// RFC 9113 §3.4. The connection's window can be opened by an update only (§6.9.2).
    fn owe_preface(&mut self) {
        if self.role == Role::Client {
            self.owed.bytes.extend_from_slice(PREFACE);
        }
        settings::encode(&self.config, self.role, &mut self.owed.bytes);
        self.set_connection_window(self.config.connection_window_bytes);
    }

    /// Appends what is owed to the peer: preface, answers, updates of windows, resets, GOAWAY. Everything that
    /// encodes does so by itself first, so that frames keep their order.
    pub fn poll_output(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.owed.bytes);
        self.owed.replies_count = 0;
    }

    /// Whether [`Connection::poll_output`] has something.
    pub fn wants_write(&self) -> bool {
        !self.owed.bytes.is_empty()
    }

    /// Whether the connection has no more use: it has failed, or one side has said that it ends and no stream is left.
    /// What is owed ought to be written before it is closed.
    pub fn wants_close(&self) -> bool {
        let is_ending = matches!(self.drain, Drain::Last(_)) || self.peer_last.is_some();
        self.failed.is_some() || (is_ending && self.streams.count() == 0)
    }

    /// Whether the peer has not acknowledged our SETTINGS yet (RFC 9113 §6.5.3): a caller that waits no longer closes with
    /// [`ErrorCode::SettingsTimeout`].
    pub fn awaits_settings_ack(&self) -> bool {
        self.unacknowledged_count > 0
    }

    /// Whether a header block has begun and not ended, or the connection has yet to say its first words: what a deadline
    /// for heads is about (T39).
    pub fn is_inside_head(&self) -> bool {
        self.header_block.is_some() || !self.has_peer_settings
    }

    /// Streams that have a place: open ones, and closed ones that are not finished.
    pub fn streams_count(&self) -> usize {
        self.streams.count()
    }

    /// A client's only: whether [`Connection::encode_request`] would find a stream for another request.
    pub fn can_open(&self) -> bool {
        self.failed.is_none()
            && self.drain == Drain::No
            && self.peer_last.is_none()
            && self.streams.count() < self.peer.streams_count_max as usize
            && self.streams.next().is_some()
    }

    /// The head of the request last reported. Its spans are of [`Connection::block`].
    pub fn request(&self) -> &RequestHead {
        &self.section.request
    }

    /// The head of the response last reported, interim or final. Its spans are of [`Connection::block`].
    pub fn response(&self) -> &ResponseHead {
        &self.section.response
    }

    /// The trailers last reported. Their spans are of [`Connection::block`].
    pub fn trailers(&self) -> &Fields {
        &self.section.trailers
    }

    /// The block of the head or trailers last reported, until the next call of [`Connection::handle_input`].
    pub fn block(&self) -> &[u8] {
        &self.section.block
    }

    /// Gives the head last reported and its block away, in exchange for others whose memory is used next.
    pub fn swap_request(&mut self, head: &mut RequestHead, block: &mut Vec<u8>) {
        std::mem::swap(&mut self.section.request, head);
        std::mem::swap(&mut self.section.block, block);
    }

    /// As [`Connection::swap_request`], for a response.
    pub fn swap_response(&mut self, head: &mut ResponseHead, block: &mut Vec<u8>) {
        std::mem::swap(&mut self.section.response, head);
        std::mem::swap(&mut self.section.block, block);
    }

    /// As [`Connection::swap_request`], for trailers.
    pub fn swap_trailers(&mut self, trailers: &mut Fields, block: &mut Vec<u8>) {
        std::mem::swap(&mut self.section.trailers, trailers);
        std::mem::swap(&mut self.section.block, block);
    }

    /// What the peer has announced.
    pub fn peer_settings(&self) -> &PeerSettings {
        &self.peer
    }

    /// The caller is done with this many bytes of the stream's data. Windows are opened again once half of them is
    /// free. More than was reported counts as what was reported.
    pub fn release(&mut self, stream: StreamId, bytes: usize) {
        let Some(live) = self.streams.get_mut(stream.0) else { return };
        let bytes = bytes.min(live.held_bytes);
        live.held_bytes -= bytes;
        self.release_stream(stream.0, bytes);
        self.release_connection(bytes);
    }

    /// Makes the receive window of one stream larger, for a stream that is fast and whose bytes can be stored. Windows
    /// are never made smaller.
    pub fn set_stream_window(&mut self, stream: StreamId, bytes: u32) {
        let Some(live) = self.streams.get_mut(stream.0).filter(|live| live.is_receiving()) else { return };
        if let Some(increment) = live.recv_window.grow(bytes) {
            frame::encode_window_update(stream.0, increment, &mut self.owed.bytes);
        }
    }

    /// The same for the whole connection, whose window bounds what all streams may send together.
    pub fn set_connection_window(&mut self, bytes: u32) {
        if let Some(increment) = self.recv_window.grow(bytes) {
            frame::encode_window_update(0, increment, &mut self.owed.bytes);
        }
    }

    /// Ends a stream from this side before it is complete. The peer's bytes that are on their way are dropped. The
    /// stream keeps its place until [`Connection::finish`].
    pub fn reset(&mut self, stream: StreamId, code: ErrorCode) {
        let Some(live) = self.streams.get_mut(stream.0).filter(|live| live.is_open()) else { return };
        cut(live);
        frame::encode_reset(stream.0, code, &mut self.owed.bytes);
    }

    /// The work behind the stream has ended, and its place is free. A stream that is still open is reset, with
    /// NO_ERROR if a whole response was sent (RFC 9113 §8.1) and with CANCEL otherwise. Data that were not released are
    /// now.
    pub fn finish(&mut self, stream: StreamId) {
        let Some(mut live) = self.streams.remove(stream.0) else { return };
        self.heads_bytes -= live.head_bytes;
        if live.is_open() {
            frame::encode_reset(stream.0, last_code(&live, self.role), &mut self.owed.bytes);
            cut(&mut live);
        }
        if live.recv == Recv::Cut {
            self.streams.remember_cut(stream.0);
        }
        self.release_connection(live.held_bytes);
    }

    /// Begins a graceful end: the peer is told to open no more streams, and what it has opened before it read that is
    /// still served (RFC 9113 §6.8). A client only stops opening streams.
    pub fn start_drain(&mut self) {
        match (self.drain, self.role) {
            (Drain::No, Role::Server) => {
                self.drain = Drain::Announced;
                frame::encode_go_away(MAX_31, ErrorCode::NoError, &mut self.owed.bytes);
                frame::encode_ping(0, DRAIN_PING, &mut self.owed.bytes);
            }
            (Drain::No, Role::Client) => self.finish_drain(),
            _ => {}
        }
    }

    /// The second step, which comes by itself when the peer answers the PING of the first: streams that it opens from
    /// now on are ignored. For a caller that waits no longer.
    pub fn finish_drain(&mut self) {
        if matches!(self.drain, Drain::Last(_)) {
            return;
        }
        let last = self.last_processed();
        self.drain = Drain::Last(last);
        frame::encode_go_away(last, ErrorCode::NoError, &mut self.owed.bytes);
    }

    /// Ends the connection for a reason of the caller's, a deadline for example: GOAWAY is owed, and nothing is to be
    /// read or encoded after it.
    pub fn close(&mut self, code: ErrorCode) {
        frame::encode_go_away(self.last_processed(), code, &mut self.owed.bytes);
    }

    /// Asks the peer for a sign of life, which [`super::Event::Pong`] reports.
    pub fn ping(&mut self, payload: [u8; 8]) {
        frame::encode_ping(0, payload, &mut self.owed.bytes);
    }

    /// The peer will send no more.
    ///
    /// # Errors
    ///
    /// [`ConnectionError::Truncated`] inside a frame or with streams that it has not ended.
    pub fn handle_eof(&mut self) -> Result<(), ConnectionError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let is_at_frame = matches!(self.reading, Reading::ExpectFrame) && !self.has_unread;
        let is_between = is_at_frame && self.header_block.is_none();
        if is_between && !self.streams.iter_mut().any(|stream| stream.is_receiving()) {
            return Ok(());
        }
        self.failed = Some(ConnectionError::Truncated);
        Err(ConnectionError::Truncated)
    }

    /// Gives back what an unusual message made the connection hold, for one that goes idle. The head last reported is
    /// gone after it.
    pub fn release_excess(&mut self) {
        self.section.release_excess();
        self.streams.release_excess();
        self.owed.bytes.shrink_to_fit();
        self.scratch = Vec::new();
        self.target = Vec::new();
    }

    /// Ends the connection for a fault of the peer's.
    pub(super) fn fail(&mut self, error: ConnectionError) {
        self.failed = Some(error);
        frame::encode_go_away(self.last_processed(), error.code(), &mut self.owed.bytes);
    }

    /// The last stream of the peer that was looked at; servers open none.
    fn last_processed(&self) -> u32 {
        match (self.role, self.drain) {
            (Role::Client, _) => 0,
            // RFC 9113 §6.8: the number never grows.
            (Role::Server, Drain::Last(last)) => last,
            (Role::Server, _) => self.streams.last(),
        }
    }

    /// A reply that the peer has caused, and may cause again before it reads this one.
    pub(super) fn count_reply(&mut self) -> Result<(), ConnectionError> {
        self.owed.replies_count += 1;
        if self.owed.replies_count > self.config.replies_count_max {
            return Err(ConnectionError::Replies);
        }
        Ok(())
    }

    /// Gives back window of a stream that is still receiving; others need none.
    pub(super) fn release_stream(&mut self, id: u32, bytes: usize) {
        let Some(stream) = self.streams.get_mut(id).filter(|stream| stream.is_receiving()) else { return };
        if let Some(increment) = stream.recv_window.release(bytes) {
            frame::encode_window_update(id, increment, &mut self.owed.bytes);
        }
    }

    pub(super) fn release_connection(&mut self, bytes: usize) {
        if let Some(increment) = self.recv_window.release(bytes) {
            frame::encode_window_update(0, increment, &mut self.owed.bytes);
        }
    }
}

/// The stream is ended by a reset of ours: what the peer has sent before it read that is dropped.
pub(super) fn cut(stream: &mut Stream) {
    stream.send = Send::Ended;
    if stream.is_receiving() {
        stream.recv = Recv::Cut;
    }
}

/// What a stream is reset with that the caller finishes while it is open.
fn last_code(stream: &Stream, role: Role) -> ErrorCode {
    match (stream.recv, stream.send) {
        (_, Send::Ended) if role == Role::Server => ErrorCode::NoError,
        (Recv::Discard, Send::ExpectHead) => ErrorCode::EnhanceYourCalm,
        _ => ErrorCode::Cancel,
    }
}
