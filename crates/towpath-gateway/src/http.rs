//! HTTP/1 on a client's connection: one request after the other, each to its answer.
//!
//! ```text
//!  ExpectHead ──head──> route ──> respond | redirect | files ───────────────┐
//!      ^                  └─────> upstream: choose, pool, send, receive ────┤
//!      │                             ^ retry │                              │
//!      │                             └───────┘                              v
//!      └────────────── keep-alive ── account <── answer written ────────────┘
//!                                       └── close, linger, or tunnel
//! ```
//!
//! Most requests go the [`direct`] way; the others leave it for a [`detour`]. Both make an [`attempt`], in which
//! [`upload`] moves the request towards the origin and [`download`] the response back; where a route asks for it, bodies
//! pass a [`decoding`] and an [`encoding`] there. Back-pressure is the absence of a read.

mod attempt;
mod client;
mod decoding;
mod detour;
mod direct;
mod download;
mod encoding;
mod exchange;
mod grpc;
pub(crate) mod grpc_web;
pub(crate) mod heads;
mod local;
pub(crate) mod pump;
mod tunnel;
mod upload;
mod way;

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use towpath_net::Stream;
use towpath_proto::coding::Accepted;
use towpath_proto::grpc_web::Format;
use towpath_proto::h1::{HeadLimits, RequestDecoder, RequestError, ResponseDecoder, ResponseError};
use towpath_proto::message::{Framing, Known, Method, RequestHead, Span, Version};
use towpath_telemetry::metrics::CloseReason;

use crate::error::Reason;
use crate::plan::Listener;
use crate::worker::{LocalListener, Worker};
use attempt::Attempt;
pub(crate) use client::Client;
pub(crate) use direct::{Detour, Turn};
use exchange::Exchange;
use pump::Clock;
use towpath_net::buffer::{Buffer, Buffers};
pub(crate) use tunnel::Switched;

/// What a busy connection borrows: boxed, last in first out, so that the next request finds it warm.
#[derive(Debug)]
pub(crate) struct Busy {
    pub(crate) work: Workspace,
    /// The request under way.
    pub(crate) exchange: Option<Exchange>,
}

impl Busy {
    pub(crate) fn new(listener: &Listener) -> Self {
        Self { work: Workspace::new(listener), exchange: None }
    }

    /// Takes over a request whose head HTTP/2 has brought: `swap` exchanges head and block for those of the last one.
    /// With `end` nothing follows. Returns how the body is framed.
    pub(crate) fn adopt(
        &mut self,
        buffers: &Buffers,
        end: bool,
        block: &mut Vec<u8>,
        swap: impl FnOnce(&mut RequestHead, &mut Vec<u8>),
    ) -> Framing {
        let work = &mut self.work;
        work.requests.adopt(|head| {
            swap(head, block);
            // RFC 8441 §5: what an extended CONNECT asks for, HTTP/1.1 asks for by GET and `Upgrade`.
            if let Some(protocol) = head.protocol.take() {
                (head.method, head.upgrade) = (Method::Get, Some(protocol));
            }
        });
        let input = work.input.get_or_insert_with(|| if end { buffers.take_small() } else { buffers.take() });
        input.push(block);
        work.requests.head().framing
    }

    /// Whether bytes of another request have come.
    pub(crate) fn has_input(&self) -> bool {
        self.work.input.as_ref().is_some_and(|input| !input.is_empty())
    }

    /// Whether a write has to be made at the end of the event loop's turn; true once.
    pub(crate) fn take_due(&mut self) -> bool {
        let attempt = self.exchange.as_mut().and_then(|exchange| exchange.attempt.as_mut());
        attempt.is_some_and(Attempt::take_due)
    }

    /// See [`Attempt::write_now`].
    pub(crate) fn write_now(&mut self, client: &Stream) -> bool {
        let Self { work, exchange } = self;
        let attempt = exchange.as_mut().and_then(|exchange| exchange.attempt.as_mut());
        attempt.is_some_and(|attempt| attempt.write_now(client, work))
    }

    /// When the whole request under way has to be over.
    pub(crate) fn cap(&self) -> Option<tokio::time::Instant> {
        self.exchange.as_ref().and_then(|exchange| exchange.request.cap)
    }
}

/// Decoders and scratch memory of an exchange.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) limits: HeadLimits,
    pub(crate) requests: RequestDecoder,
    pub(crate) responses: ResponseDecoder,
    /// The client's bytes; no buffer is held while there are none.
    pub(crate) input: Option<Buffer>,
    /// The canonical path, rewritten for the origin.
    pub(crate) path: Vec<u8>,
    /// The request head as the origin gets it.
    pub(crate) request: Vec<u8>,
    /// What has arrived of the body, framed for the origin, kept for a retry.
    pub(crate) body: Vec<u8>,
    /// What the client gets next.
    pub(crate) response: Vec<u8>,
}

/// Scratch vectors above this go back to the allocator instead of to the free list: a rare large head must not stay
/// in memory for each of a worker's free workspaces.
const SCRATCH_BYTES_MAX: usize = 32 * 1024;

impl Workspace {
    pub(crate) fn new(listener: &Listener) -> Self {
        Self {
            limits: listener.settings.head,
            requests: RequestDecoder::new(listener.settings.head),
            responses: ResponseDecoder::new(listener.settings.head),
            input: None,
            path: Vec::new(),
            request: Vec::new(),
            body: Vec::new(),
            response: Vec::new(),
        }
    }

    /// Ready for another connection. The decoders keep their limits and their memory.
    pub(crate) fn reset(&mut self) {
        self.requests.release_excess();
        self.responses.release_excess();
        for scratch in [&mut self.path, &mut self.request, &mut self.body, &mut self.response] {
            scratch.clear();
            scratch.shrink_to(SCRATCH_BYTES_MAX);
        }
    }
}

/// What is left of a request head once its bytes may move: numbers and ranges of the input.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) method: Method,
    pub(crate) version: Version,
    pub(crate) authority: Option<Span>,
    pub(crate) path: Span,
    pub(crate) query: Option<Span>,
    pub(crate) framing: Framing,
    pub(crate) expects_continue: bool,
    pub(crate) keep_alive: bool,
    /// A call of gRPC or gRPC-Web, whose failures are told in its own words.
    pub(crate) is_grpc: bool,
    /// How the client of gRPC-Web wants to be answered.
    pub(crate) web_answer: Option<Format>,
    /// The codings that the client takes, on a route that compresses.
    pub(crate) accepted: Accepted,
    pub(crate) upgrade: Option<Span>,
    pub(crate) user_agent: Option<Span>,
    pub(crate) referer: Option<Span>,
    pub(crate) request_id: Option<Span>,
}

impl Facts {
    fn of(head: &RequestHead, block: &[u8], wants_log: bool) -> Self {
        let web_answer = grpc_web::answer_of(head, block);
        let facts = Self {
            method: head.method,
            version: head.version,
            authority: head.authority,
            path: head.path,
            query: head.query,
            framing: head.framing,
            expects_continue: head.expect_continue,
            keep_alive: head.keep_alive,
            is_grpc: web_answer.is_some() || grpc::is_call(head, block),
            web_answer,
            upgrade: head.upgrade,
            ..Self::default()
        };
        if wants_log { facts.with_log_fields(head) } else { facts }
    }

    fn with_log_fields(self, head: &RequestHead) -> Self {
        let span = |known| head.fields.iter().find(|field| field.known == known).map(|field| field.value);
        Self {
            user_agent: span(Known::UserAgent),
            referer: span(Known::Referer),
            request_id: span(Known::XRequestId),
            ..self
        }
    }
}

/// What follows an exchange.
#[derive(Debug)]
pub(crate) enum After {
    /// Another request may come.
    KeepAlive,
    /// Close; everything the client sent was read.
    Close(CloseReason),
    /// Close, but the client may still be sending: end our side, discard a while, so that it can read the answer.
    Linger,
    /// Bytes go through from now on.
    Tunnel(Box<Switched>),
}

/// A client's connection while it is busy, as one poll or one detour sees it.
pub(crate) struct Session<'a> {
    pub(crate) worker: &'a Rc<Worker>,
    pub(crate) listener: &'a LocalListener,
    pub(crate) client: Client<'a>,
    pub(crate) peer: IpAddr,
    pub(crate) clock: Clock<'a>,
    /// No request has been read on the connection.
    pub(crate) is_first: bool,
}

/// Raw bytes of a head that has not come to its end. The charged limit of 64 KiB counts more per field than the wire
/// does and does not count the first line, so no head that it allows is longer than this.
pub(crate) const HEAD_BYTES_MAX: usize = 80 * 1024;

/// How long, and how many bytes, are discarded after an answer that came before the end of the request.
pub(crate) const LINGER_TIME: Duration = Duration::from_secs(2);
pub(crate) const LINGER_BYTES_MAX: usize = 1024 * 1024;

/// The reason a fault of the client's message stands for.
pub(crate) fn reason_of_request(error: RequestError) -> Reason {
    Reason::from_code(error.reason()).unwrap_or(Reason::BadRequestFraming)
}

/// The reason a fault of the origin's message stands for.
pub(crate) fn reason_of_response(error: ResponseError) -> Reason {
    match error {
        ResponseError::Field(fault) if fault.is_limit() => Reason::UpstreamHeaderTooLarge,
        _ => Reason::UpstreamProtocolError,
    }
}
