//! HTTP/2 (RFC 9113) without I/O: server and client, with header compression (RFC 7541).
//!
//! A [`Connection`] is given the unconsumed bytes of a connection and answers with at most one [`Event`] and the number
//! of bytes that are done with, as the decoders of [`crate::h1`] do. Whoever owns the buffer drops those bytes and calls
//! again until an answer carries no event. What has to be sent is appended to a vector of the caller's, so that all
//! frames of one read go out in one write.
//!
//! ```text
//!   bytes --> handle_input --> Head -> Data* -> Trailers? | End      for each stream, interleaved
//!                              Interim, Refused, Reset               for a stream
//!                              Settings, WindowOpen, GoAway, Pong    for the connection
//!
//!   encode_request | encode_response, encode_data*, encode_trailers? --> bytes
//!   release, reset, finish, set_*_window, ping, start_drain, close   --> owed  --poll_output--> bytes
//! ```
//!
//! # A turn of the driver
//!
//! ```
//! use towpath_proto::h2::{Config, Connection, ConnectionError, Event, Role};
//!
//! fn turn(
//!     connection: &mut Connection,
//!     now_ms: u64,
//!     unread: &mut Vec<u8>,
//!     out: &mut Vec<u8>,
//! ) -> Result<(), ConnectionError> {
//!     let mut start = 0;
//!     let result = loop {
//!         let step = match connection.handle_input(now_ms, &unread[start..]) {
//!             Ok(step) => step,
//!             Err(error) => break Err(error),
//!         };
//!         let input = &unread[start..start + step.consumed];
//!         start += step.consumed;
//!         match step.event {
//!             // The head is in `request()`, its bytes in `block()`; `swap_request` takes both away.
//!             Some(Event::Head { stream, end: true }) => {
//!                 let _ = connection.encode_response(stream, 200, false, out, |fields| {
//!                     fields.field(b"Content-Type", b"text/plain");
//!                 });
//!                 let fitting = connection.send_data_len_max(stream).min(5);
//!                 let _ = connection.encode_data(stream, &b"hello"[..fitting], true, out);
//!                 connection.finish(stream);
//!             }
//!             Some(Event::Data { stream, range, .. }) => connection.release(stream, input[range].len()),
//!             Some(Event::Refused { stream, fault }) => {
//!                 let _ = connection.encode_response(stream, fault.status(), true, out, |_| {});
//!                 connection.finish(stream);
//!             }
//!             Some(Event::Reset { stream, .. }) => connection.finish(stream),
//!             Some(_) => {}
//!             None => break Ok(()),
//!         }
//!     };
//!     unread.drain(..start);
//!     // Also after an error: GOAWAY is owed.
//!     connection.poll_output(out);
//!     result
//! }
//! # let mut connection = Connection::new(Role::Server, Config::default());
//! # let (mut unread, mut out) = (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(), Vec::new());
//! # turn(&mut connection, 0, &mut unread, &mut out).expect("a preface");
//! # assert!(unread.is_empty() && !out.is_empty());
//! ```
//!
//! # What the caller does
//!
//! | call | when |
//! |---|---|
//! | [`Connection::new`] | with the role and a [`Config`]; preface and SETTINGS are owed at once |
//! | [`Connection::handle_input`], [`Connection::handle_eof`] | bytes came, or their end; any amount of bytes will do, and fewer than 24 are left over |
//! | [`Connection::request`], [`Connection::response`], [`Connection::trailers`], [`Connection::block`] | after the event; the next input overwrites them |
//! | [`Connection::swap_request`], [`Connection::swap_response`], [`Connection::swap_trailers`] | to keep them, in exchange for memory to fill next |
//! | [`Connection::release`] | body bytes have gone on: windows open at half |
//! | [`Connection::set_stream_window`], [`Connection::set_connection_window`] | a fast stream may have more on its way |
//! | [`Connection::encode_request`], [`Connection::encode_response`], [`Connection::encode_trailers`] | a closure writes the fields through a [`FieldWriter`] |
//! | [`Connection::send_data_len_max`], [`Connection::encode_data`], [`Connection::encode_data_head`] | the caller keeps what does not fit until [`Event::WindowOpen`] or [`Event::Settings`] |
//! | [`Connection::reset`] | this side gives up on a stream |
//! | [`Connection::finish`] | the work behind a stream has ended, whatever became of it; until then it keeps its place (T11) |
//! | [`Connection::start_drain`], [`Connection::finish_drain`], [`Connection::close`] | the connection is to end: in two steps, or at once |
//! | [`Connection::poll_output`], [`Connection::wants_write`], [`Connection::wants_close`] | at the end of a turn |
//! | [`Connection::can_open`], [`Connection::peer_settings`], [`Connection::streams_count`] | pools and admission |
//! | [`Connection::release_excess`] | the connection goes idle |
//!
//! # What the codec does by itself
//!
//! It judges every head and every trailer section so that HTTP/1.1 has one reading of it only (T17); counts data
//! against the declared length; answers PING and SETTINGS; gives back window for what nobody is given; resets streams
//! for faults of the peer, and counts those with the peer's own resets (T11, T12); bounds header blocks (T13), sections
//! (T14), frames without work and answers owed (T16); caps interim responses (T20). What needs a clock of its own is the
//! caller's: a stream whose window stays shut, a peer that does not acknowledge SETTINGS (T15).
//!
//! Prioritisation is not obeyed, pushes are neither sent nor taken, and nothing is upgraded from HTTP/1.1: a caller that
//! takes both versions on one socket looks for [`PREFACE`].

use std::ops::Range;

pub mod hpack;

mod budget;
mod config;
mod connection;
mod error;
mod flow;
mod frame;
mod receive;
mod section;
mod send;
mod settings;
mod stream;

pub use crate::limits::HeadLimits;
pub use config::Config;
pub use connection::Connection;
pub use error::{ConnectionError, ErrorCode, PseudoFault, SendError, StreamFault};
pub use send::{FieldWriter, Request, Scheme};
pub use settings::PeerSettings;

/// What a client sends first, before its SETTINGS frame (RFC 9113 §3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Which side of the connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Requests in, responses out.
    Server,
    /// Requests out, responses in.
    Client,
}

/// The number of a stream, never zero (RFC 9113 §5.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u32);

impl StreamId {
    /// The number on the wire.
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// What one call of [`Connection::handle_input`] achieved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Step {
    /// Bytes at the start of the input that are done with. They may be dropped as soon as the data range of the event
    /// has been used. May be above zero without an event.
    pub consumed: usize,
    /// What was found; `None` when more input is needed.
    pub event: Option<Event>,
}

/// A part of a message, or something about the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A client's only: a 1xx head. The final one is still to come (RFC 9113 §8.1).
    Interim {
        /// The stream of the request.
        stream: StreamId,
    },
    /// A complete head: [`Connection::request`] or [`Connection::response`] is the one.
    Head {
        /// The stream; new, for a server.
        stream: StreamId,
        /// The message has no body and no trailers, and is complete.
        end: bool,
    },
    /// A server's only: a well-formed request that is not taken, because of a limit for example. The stream has a
    /// place like any other; the caller answers with [`StreamFault::status`] and finishes it, or only finishes it.
    Refused {
        /// The new stream.
        stream: StreamId,
        /// Why.
        fault: StreamFault,
    },
    /// Body bytes. They stay charged to the windows until [`Connection::release`].
    Data {
        /// The stream.
        stream: StreamId,
        /// Where in the input just given. Never empty.
        range: Range<usize>,
        /// The message is complete.
        end: bool,
    },
    /// Trailer fields, which complete the message: [`Connection::trailers`] has them.
    Trailers {
        /// The stream.
        stream: StreamId,
    },
    /// The message is complete, after its last data were reported without saying so.
    End {
        /// The stream.
        stream: StreamId,
    },
    /// The stream was ended by a reset. Nothing more comes, and nothing can be sent; its place is kept until
    /// [`Connection::finish`]. Also for streams of which no head was reported, because it was malformed.
    Reset {
        /// The stream.
        stream: StreamId,
        /// The code the peer sent, or the one we send.
        code: ErrorCode,
        /// Why we reset it; `None` when the peer did. NO_ERROR from a server whose response is complete only says that
        /// the rest of the request is not needed (RFC 9113 §8.1).
        fault: Option<StreamFault>,
    },
    /// There is room to send again where [`Connection::send_data_len_max`] had none.
    WindowOpen {
        /// The stream; `None` for the connection, which may concern all streams.
        stream: Option<StreamId>,
    },
    /// The peer will take or open no further streams (RFC 9113 §6.8).
    GoAway {
        /// Streams of ours above this number were not processed and may be tried again elsewhere.
        last: u32,
        /// Why.
        code: ErrorCode,
    },
    /// The peer has announced settings: windows and [`Connection::peer_settings`] may be others.
    Settings,
    /// An answer to [`Connection::ping`].
    Pong([u8; 8]),
}

impl Step {
    fn needs_more(consumed: usize) -> Self {
        Self { consumed, event: None }
    }
}

impl Event {
    /// The same event for an input that begins this much earlier.
    fn moved(self, bytes: usize) -> Self {
        match self {
            Self::Data { stream, range, end } => {
                Self::Data { stream, range: range.start + bytes..range.end + bytes, end }
            }
            other => other,
        }
    }
}
