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
//! Two futures of one task move a request: [`upload`] towards the origin and [`download`] back. Back-pressure is the
//! absence of a read.

pub(crate) mod download;
mod exchange;
pub(crate) mod heads;
mod local;
pub(crate) mod pump;
pub(crate) mod tunnel;
mod upload;

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;
use towpath_net::timer::Timer;
use towpath_net::{Reader, Stream, Writer};
use towpath_proto::h1::{Event, HeadLimits, RequestDecoder, RequestError, ResponseDecoder, ResponseError};
use towpath_proto::message::{Framing, Known, Method, RequestHead, Span, Version};
use towpath_telemetry::metrics::CloseReason;

use crate::buffer::Buffer;
use crate::error::Reason;
use crate::plan::{Endpoint, Listener, Upstream};
use crate::worker::{LocalListener, Worker};
use heads::Client;
use pump::{Clock, Stop, fill};

/// What one exchange needs beside buffers. Borrowed while a connection is busy, given back when it is idle.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) limits: HeadLimits,
    pub(crate) requests: RequestDecoder,
    pub(crate) responses: ResponseDecoder,
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
    pub(crate) upgrade: Option<Span>,
    pub(crate) user_agent: Option<Span>,
    pub(crate) referer: Option<Span>,
    pub(crate) request_id: Option<Span>,
}

impl Facts {
    fn of(head: &RequestHead, wants_log: bool) -> Self {
        let span = |known| {
            let mut fields = head.fields.iter();
            fields.find(|field| wants_log && field.known == known).map(|field| field.value)
        };
        Self {
            method: head.method,
            version: head.version,
            authority: head.authority,
            path: head.path,
            query: head.query,
            framing: head.framing,
            expects_continue: head.expect_continue,
            keep_alive: head.keep_alive,
            upgrade: head.upgrade,
            user_agent: span(Known::UserAgent),
            referer: span(Known::Referer),
            request_id: span(Known::XRequestId),
        }
    }
}

/// What an exchange leaves behind for the log and the counters.
#[derive(Debug, Default)]
pub(crate) struct Tally<'p> {
    /// Position in the listener's router.
    pub(crate) route: Option<usize>,
    pub(crate) status: u16,
    pub(crate) reason: Option<Reason>,
    pub(crate) bytes_out: u64,
    /// The response to the client has no other end than that of the connection.
    pub(crate) ends_by_close: bool,
    pub(crate) upstream: Option<&'p Upstream>,
    pub(crate) endpoint: Option<&'p Endpoint>,
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
    Tunnel(Box<tunnel::Tunnel>),
}

/// A client's connection while it is busy.
pub(crate) struct Session<'a> {
    pub(crate) worker: &'a Worker,
    pub(crate) listener: &'a LocalListener,
    pub(crate) client: Client,
    pub(crate) reader: Reader<'a>,
    pub(crate) writer: Writer<'a>,
    pub(crate) clock: Clock<'a>,
    pub(crate) input: Option<Buffer>,
    pub(crate) requests_count: u64,
}

/// How a busy connection came to rest.
#[derive(Debug)]
pub(crate) enum Rest {
    /// Nothing happened for a while: it may wait without any memory of this module.
    Idle(Instant),
    /// It is over.
    Closed(CloseReason),
    /// Bytes go through from now on.
    Tunnel(Box<tunnel::Tunnel>),
}

/// Serves requests until the connection rests. `is_first` says that no request has been read on it.
pub(crate) async fn run(
    worker: &Worker,
    listener: &LocalListener,
    stream: &mut Stream,
    peer: IpAddr,
    timer: &Timer,
    is_first: bool,
) -> Rest {
    let (reader, writer) = stream.split();
    let client = Client {
        ip: peer.to_canonical().to_string(),
        trusted: listener.plan().settings.trusted_proxies.iter().any(|range| range.contains(peer)),
    };
    let clock = Clock::new(timer, worker.clock());
    clock.look();
    let requests_count = u64::from(!is_first);
    let mut session =
        Session { worker, listener, client, reader, writer, clock, input: None, requests_count };
    let rest = session.serve().await;
    session.input.take().into_iter().for_each(|buffer| worker.buffers.give(buffer));
    rest
}

impl Session<'_> {
    async fn serve(&mut self) -> Rest {
        loop {
            let plan = self.listener.plan();
            let mut work = self.worker.take_workspace(&plan);
            let after = self.exchange(&plan, &mut work).await;
            self.worker.give_workspace(work);
            self.requests_count += 1;
            match after {
                After::KeepAlive => {}
                After::Close(reason) => return Rest::Closed(reason),
                After::Linger => {
                    Box::pin(self.linger()).await;
                    return Rest::Closed(CloseReason::Finished);
                }
                After::Tunnel(tunnel) => return Rest::Tunnel(tunnel),
            }
            if let Some(rest) = self.wait_for_next(&plan).await {
                return rest;
            }
        }
    }

    /// Waits for the first bytes of the next request, without a buffer. `None` when they are there.
    async fn wait_for_next(&mut self, plan: &Listener) -> Option<Rest> {
        self.clock.cap(None);
        if self.input.as_ref().is_some_and(|input| !input.is_empty()) {
            return None;
        }
        self.input.take().into_iter().for_each(|buffer| self.worker.buffers.give(buffer));
        let since = self.clock.now();
        let Some(_place) = self.worker.warm_place() else { return Some(Rest::Idle(since)) };
        self.clock.arm(WARM_TIME.min(plan.settings.idle_timeout));
        let worker = self.worker;
        let mut wait = pin!(fill(&mut self.reader, &mut self.input, &worker.buffers, &self.clock));
        let filled = poll_fn(|cx| match wait.as_mut().poll(cx) {
            // A drain, or others who need the place, end the wait as they end that of an idle connection.
            Poll::Pending if worker.is_closing() => Poll::Ready(Err(Stop::Expired)),
            filled => filled,
        });
        match filled.await {
            Ok(0) => Some(Rest::Closed(CloseReason::Client)),
            Ok(_) => None,
            Err(Stop::Expired) => Some(Rest::Idle(since)),
            Err(Stop::Io) => Some(Rest::Closed(CloseReason::Reset)),
        }
    }

    /// Reads a whole head. `Ok(None)` when the client closed between requests.
    async fn read_head(
        &mut self,
        decoder: &mut RequestDecoder,
        header_timeout: Duration,
    ) -> Result<Option<usize>, (Reason, bool)> {
        let mut has_deadline = false;
        loop {
            let block = self.input.as_ref().map_or(&[][..], Buffer::unread);
            let step = decoder.handle_input(block).map_err(|error| (reason_of_request(error), true))?;
            match step.event {
                Some(Event::Head) => return Ok(Some(step.consumed)),
                Some(_) => return Err((Reason::Internal, true)),
                None => {}
            }
            // A head that comes in one piece needs no deadline of its own; the first on a connection has one (T31, T39).
            if self.requests_count > 0 && !has_deadline {
                has_deadline = true;
                self.clock.arm(header_timeout);
            }
            if let Some(input) = &mut self.input {
                input.consume(step.consumed);
                if input.len() >= HEAD_BYTES_MAX {
                    return Err((Reason::HeaderTooLarge, true));
                }
            }
            match fill(&mut self.reader, &mut self.input, &self.worker.buffers, &self.clock).await {
                Ok(0) if self.input.as_ref().is_none_or(Buffer::is_empty) => return Ok(None),
                Ok(0) => return Err((Reason::ClientGone, false)),
                Ok(_) => {}
                Err(Stop::Expired) => {
                    let has_begun = self.input.as_ref().is_some_and(|input| !input.is_empty());
                    return Err((Reason::HeaderTimeout, has_begun));
                }
                Err(Stop::Io) => return Err((Reason::ClientGone, false)),
            }
        }
    }

    /// Ends our side and reads on for a while: a close with unread bytes would reset the connection, and the reset
    /// could overtake the answer on its way to the client (RFC 9112 §9.6).
    async fn linger(&mut self) {
        self.clock.cap(Some(self.clock.now() + LINGER_TIME));
        self.clock.arm(LINGER_TIME);
        let writer = &mut self.writer;
        let ended = poll_fn(|cx| writer.poll_shutdown(cx)).await;
        let mut discarded = 0;
        while ended.is_ok() && discarded < LINGER_BYTES_MAX {
            self.input.take().into_iter().for_each(|buffer| self.worker.buffers.give(buffer));
            match fill(&mut self.reader, &mut self.input, &self.worker.buffers, &self.clock).await {
                Ok(0) | Err(_) => return,
                Ok(count) => discarded += count,
            }
        }
    }
}

/// Raw bytes of a head that has not come to its end. The charged limit of 64 KiB counts more per field than the wire
/// does and does not count the first line, so no head that it allows is longer than this.
pub(crate) const HEAD_BYTES_MAX: usize = 80 * 1024;

/// How long a connection that has just been used keeps its task state before it shrinks to an idle one. Long enough
/// that a busy client never pays for it, short against the idle timeout.
const WARM_TIME: Duration = Duration::from_secs(2);

/// How long, and how many bytes, are discarded after an answer that came before the end of the request.
const LINGER_TIME: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 1024 * 1024;

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
