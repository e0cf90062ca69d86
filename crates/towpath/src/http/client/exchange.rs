//! One request and its response over one connection.
//!
//! ```text
//!   Upload: head, body as it comes ──> connection ──> interim heads, head ──> Response
//!      └─ goes on while the response is read             └─ its body reads from here, and gives the connection back
//! ```
//!
//! There is no task: whoever waits for the response, and later whoever reads its body, moves the bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::http::StatusCode;
use bytes::{Buf, BytesMut};
use tokio::time::Instant;
use towpath_net::time::{Sleep, sleep_until};
use towpath_proto::connection;
use towpath_proto::h1::{Event, ResponseError, encode};
use towpath_proto::limits::INTERIM_COUNT_MAX;
use towpath_proto::message::{Fields, Known, Method};

use super::head::{Framing, Head};
use super::origin::OriginDialer;
use super::patience::Patience;
use crate::Ctx;
use crate::http::body::{Body, Part, Pieces};
use crate::http::error::{Error, Kind};
use crate::http::headers::Headers;
use crate::http::request::{declared_length, version_of};
use crate::http::response::Response;
use crate::pool::Loan;

/// Bytes that are read at once: a response of 8 KiB with its head, without much being cleared for a short one.
const READ_BYTES: usize = 16 * 1024;

/// How long a body waits for the answer to `Expect: 100-continue` before it is sent all the same (RFC 9110 §10.1.1).
pub(super) const CONTINUE_TIME: Duration = Duration::from_secs(1);

/// Why there is no response.
pub(super) struct Failed {
    pub(super) error: Error,
    pub(super) repeat: Repeat,
}

/// Whether a request that failed may be sent once more, over another connection (P14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    No,
    /// If sending it twice has the effect of sending it once: its connection, used before, died before the first byte of a
    /// response.
    IfIdempotent,
    /// The origin has said that it did not look at it.
    Yes,
}

/// A request under way, or a response whose body is.
pub(super) struct Exchange {
    loan: Loan<OriginDialer>,
    input: BytesMut,
    upload: Upload,
    interims: usize,
    patience: Patience,
    /// Another request may follow, as far as the head has said.
    keep_alive: bool,
    declared: Option<u64>,
}

/// Where the body of a response comes from.
struct Received(Option<Box<Exchange>>);

impl Exchange {
    /// Begins to send `head` and `body` on a connection. With `waits`, the body waits for a word of the origin's.
    pub(super) fn new(
        mut loan: Loan<OriginDialer>,
        head: &Head,
        body: Body,
        waits: bool,
        ctx: &Ctx,
        idle: Duration,
    ) -> Self {
        let method = Method::of(head.method().as_str().as_bytes(), Default::default());
        let upload = Upload::new(head.to_http1(), body, head.framing, waits);
        loan.decoder.expect(method);
        Self {
            loan,
            input: BytesMut::new(),
            upload,
            interims: 0,
            patience: Patience::new(ctx, idle),
            keep_alive: false,
            declared: None,
        }
    }

    /// Sends, and waits for the head of the response.
    pub(super) async fn run(mut self) -> Result<Response, Failed> {
        let head_bytes = std::future::poll_fn(|cx| self.poll_head(cx)).await;
        match head_bytes {
            Ok(head_bytes) => self.respond(head_bytes).map_err(|error| Failed { error, repeat: Repeat::No }),
            Err(error) => {
                let is_stale =
                    error.is_disconnected() && self.loan.is_reused() && !self.loan.decoder.has_begun();
                let repeat = if is_stale { Repeat::IfIdempotent } else { Repeat::No };
                Err(Failed { error, repeat })
            }
        }
    }

    /// The length of the head, once it is whole.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Error>> {
        let sent = self.poll_upload(cx);
        if let Poll::Ready(Err(Unsent::Own(error))) = sent {
            return Poll::Ready(Err(error));
        }
        loop {
            let step = match self.loan.decoder.handle_input(&self.input) {
                Ok(step) => step,
                Err(error) => return Poll::Ready(Err(refused(error))),
            };
            match step.event {
                Some(Event::Head) => return Poll::Ready(Ok(step.consumed)),
                Some(Event::Interim) => {
                    self.interims += 1;
                    if self.interims > INTERIM_COUNT_MAX {
                        let text = format!("more than {INTERIM_COUNT_MAX} interim responses came");
                        return Poll::Ready(Err(Error::new(Kind::Limit(text))));
                    }
                    let may_go_on = self.loan.decoder.head().status == 100;
                    self.input.advance(step.consumed);
                    if may_go_on && self.upload.go_on() {
                        // What could not be sent before is tried again.
                        let _ = self.poll_upload(cx);
                    }
                    continue;
                }
                _ => self.input.advance(step.consumed),
            }
            match self.poll_fill(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(Error::new(Kind::Disconnected))),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(lost(error))),
                Poll::Pending => return self.patience.poll("the response", cx),
            }
        }
    }

    /// The response whose head is the first `head_bytes` of what was read.
    fn respond(mut self, head_bytes: usize) -> Result<Response, Error> {
        let block = self.input.split_to(head_bytes).to_vec();
        let head = self.loan.decoder.head();
        let status = StatusCode::from_u16(head.status)
            .map_err(|error| Error::with(Kind::Protocol("the status is none".to_owned()), error))?;
        if status == StatusCode::SWITCHING_PROTOCOLS {
            // Nothing was asked that could be answered so.
            return Err(Error::new(Kind::Protocol("the connection was switched unasked".to_owned())));
        }
        let version = version_of(head.version);
        let hint = head.fields.find(Known::KeepAlive, &block).and_then(connection::keep_alive_timeout);
        (self.keep_alive, self.declared) = (head.keep_alive, declared_length(head.framing));
        let headers = Headers::received(head.fields.clone(), block);
        self.loan.keep_alive = hint.map(Duration::from_secs);
        let body = self.into_body()?;
        Ok(Response::received(version, status, headers, body))
    }

    /// The body. One that is here already leaves the connection to the next request before it is read.
    fn into_body(mut self) -> Result<Body, Error> {
        let step = self.loan.decoder.handle_input(&self.input).map_err(refused)?;
        match step.event {
            Some(Event::End) => {
                self.input.advance(step.consumed);
                self.finish();
                Ok(Body::empty())
            }
            Some(Event::Data(range)) if self.declared == Some(range.len() as u64) => {
                let data = self.take(&range, step.consumed);
                let end = self.loan.decoder.handle_input(&self.input).map_err(refused)?;
                self.input.advance(end.consumed);
                self.finish();
                Ok(data.into())
            }
            Some(Event::Data(range)) => {
                let data = self.take(&range, step.consumed);
                let (declared, rest) = (self.declared, Received(Some(Box::new(self))));
                Ok(Body::pieces(Box::new(Begun { first: Some(data), rest, declared })))
            }
            Some(Event::Trailers) => {
                // They are held by the decoder until it is asked again, so they are asked for in their turn.
                let trailers = copied(self.loan.decoder.trailers(), &self.input);
                self.input.advance(step.consumed);
                Ok(Body::pieces(Box::new(Received(Some(Box::new(self))))).with_trailers(trailers))
            }
            Some(Event::Head | Event::Interim) | None => {
                self.input.advance(step.consumed);
                Ok(Body::pieces(Box::new(Received(Some(Box::new(self))))))
            }
        }
    }

    fn take(&mut self, range: &std::ops::Range<usize>, consumed: usize) -> bytes::Bytes {
        self.input.advance(range.start);
        let data = self.input.split_to(range.len()).freeze();
        self.input.advance(consumed.saturating_sub(range.end));
        data
    }

    /// The response is complete: the connection goes back if it is between two messages, both ways.
    fn finish(mut self) {
        if self.keep_alive && self.input.is_empty() && self.upload.is_complete() {
            self.loan.mark_clean(Instant::now());
        }
    }

    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Part>, Error>> {
        if let Poll::Ready(Err(Unsent::Own(error))) = self.poll_upload(cx) {
            return Poll::Ready(Err(error));
        }
        loop {
            let step = self.loan.decoder.handle_input(&self.input).map_err(refused)?;
            match step.event {
                Some(Event::Data(range)) => {
                    let data = self.take(&range, step.consumed);
                    return Poll::Ready(Ok(Some(Part::Data(data))));
                }
                Some(Event::Trailers) => {
                    let trailers = copied(self.loan.decoder.trailers(), &self.input);
                    self.input.advance(step.consumed);
                    return Poll::Ready(Ok(Some(Part::Trailers(trailers))));
                }
                Some(Event::End) => {
                    self.input.advance(step.consumed);
                    return Poll::Ready(Ok(None));
                }
                Some(Event::Head | Event::Interim) | None => self.input.advance(step.consumed),
            }
            match self.poll_fill(cx) {
                Poll::Ready(Ok(0)) => {
                    // The end of the connection is the end of a body that says nothing else (RFC 9112 §6.3).
                    self.keep_alive = false;
                    let _end = self.loan.decoder.handle_eof().map_err(refused)?;
                    return Poll::Ready(Ok(None));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(lost(error))),
                Poll::Pending => return self.patience.poll("the response's body", cx),
            }
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let start = self.input.len();
        self.input.resize(start + READ_BYTES, 0);
        let room = self.input.get_mut(start..).unwrap_or_default();
        let outcome = self.loan.stream.split().0.poll_read(cx, room);
        let count = match &outcome {
            Poll::Ready(Ok(count)) => *count,
            _ => 0,
        };
        self.input.truncate(start + count);
        if count > 0 {
            self.patience.since = Instant::now();
        }
        outcome
    }

    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unsent>> {
        let outcome = self.upload.poll(&mut self.loan.stream, &mut self.patience.since, cx);
        if let Poll::Ready(Err(Unsent::Connection)) = outcome {
            // A peer may refuse a body by a response and an end. What it has sent is read; there may be nothing.
            self.upload.is_broken = true;
        }
        outcome
    }
}

impl Pieces for Received {
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Part>, Error>> {
        let Some(exchange) = &mut self.0 else { return Poll::Ready(Ok(None)) };
        match ready!(exchange.poll_part(cx)) {
            Ok(Some(part)) => Poll::Ready(Ok(Some(part))),
            Ok(None) => {
                self.0.take().into_iter().for_each(|exchange| exchange.finish());
                Poll::Ready(Ok(None))
            }
            Err(error) => {
                self.0 = None;
                Poll::Ready(Err(error))
            }
        }
    }

    fn length(&self) -> Option<u64> {
        self.0.as_ref().map_or(Some(0), |exchange| exchange.declared)
    }
}

/// A body whose first piece came with the head.
struct Begun {
    first: Option<bytes::Bytes>,
    rest: Received,
    declared: Option<u64>,
}

impl Pieces for Begun {
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Part>, Error>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Ok(Some(Part::Data(first)))),
            None => self.rest.poll_part(cx),
        }
    }

    fn length(&self) -> Option<u64> {
        self.first.as_ref().and(self.declared)
    }
}

/// A request on its way out.
struct Upload {
    body: Body,
    out: Vec<u8>,
    written: usize,
    framing: Framing,
    /// The head is written, and the body waits for a word of the origin's, at most for so long.
    waits: Option<Sleep>,
    is_over: bool,
    is_broken: bool,
}

/// Why a request was not sent.
enum Unsent {
    /// The connection takes no more.
    Connection,
    /// The program's own body failed.
    Own(Error),
}

impl Upload {
    fn new(head: Vec<u8>, body: Body, framing: Framing, waits: bool) -> Self {
        let waits = waits.then(|| sleep_until(Instant::now() + CONTINUE_TIME));
        let is_over = framing == Framing::Length(0);
        Self { body, out: head, written: 0, framing, waits, is_over, is_broken: false }
    }

    fn is_complete(&self) -> bool {
        self.is_over && !self.is_broken && self.written >= self.out.len()
    }

    /// The origin wants the body. Whether that was waited for.
    fn go_on(&mut self) -> bool {
        self.waits.take().is_some()
    }

    fn poll(
        &mut self,
        stream: &mut towpath_net::Stream,
        progress: &mut Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Unsent>> {
        if self.is_broken {
            return Poll::Ready(Ok(()));
        }
        loop {
            while let Some(rest @ [_, ..]) = self.out.get(self.written..) {
                match ready!(stream.split().1.poll_write(cx, rest)) {
                    Ok(count @ 1..) => {
                        self.written += count;
                        *progress = Instant::now();
                    }
                    _ => return Poll::Ready(Err(Unsent::Connection)),
                }
            }
            self.out.clear();
            self.written = 0;
            if self.is_over {
                return Poll::Ready(Ok(()));
            }
            if let Some(waits) = &mut self.waits {
                ready!(Pin::new(waits).poll(cx));
                self.waits = None;
            }
            let part = ready!(self.body.poll_part(cx)).map_err(Unsent::Own)?;
            self.encode(part).map_err(Unsent::Own)?;
        }
    }

    fn encode(&mut self, part: Option<Part>) -> Result<(), Error> {
        match (part, &mut self.framing) {
            (Some(Part::Data(data)), _) if data.is_empty() => {}
            (Some(Part::Data(data)), Framing::Length(left)) => {
                let Some(rest) = left.checked_sub(data.len() as u64) else {
                    return Err(mismatched("longer"));
                };
                *left = rest;
                self.out.extend_from_slice(&data);
                self.is_over = rest == 0;
            }
            (Some(Part::Data(data)), Framing::Open) => {
                self.out.extend_from_slice(encode::chunk_head(data.len()).as_bytes());
                self.out.extend_from_slice(&data);
                self.out.extend_from_slice(encode::CHUNK_END);
            }
            (Some(Part::Trailers(trailers)), Framing::Open) => {
                encode::last_chunk(&mut self.out, trailers.raw());
                self.is_over = true;
            }
            (None, Framing::Open) => {
                self.out.extend_from_slice(encode::LAST_CHUNK);
                self.is_over = true;
            }
            (_, Framing::Length(0)) => self.is_over = true,
            (_, Framing::Length(_)) => return Err(mismatched("shorter")),
        }
        Ok(())
    }
}

/// A body that has another length than was said.
pub(super) fn mismatched(what: &str) -> Error {
    Error::new(Kind::Own(format!("the body is {what} than was said")))
}

/// What the codec says of a response.
fn refused(error: ResponseError) -> Error {
    match error {
        ResponseError::Truncated => Error::new(Kind::Disconnected),
        ResponseError::Field(fault) if fault.is_limit() => Error::new(Kind::Limit(error.to_string())),
        other => Error::new(Kind::Protocol(other.to_string())),
    }
}

pub(super) fn lost(error: io::Error) -> Error {
    Error::with(Kind::Disconnected, error)
}

/// Trailer fields with their bytes.
pub(super) fn copied(fields: &Fields, block: &[u8]) -> Headers {
    let mut headers = Headers::default();
    for field in fields {
        let name = std::str::from_utf8(field.name.of(block)).unwrap_or_default();
        // What the codec has taken may be sent, too.
        let _ = headers.add(name, field.value.of(block));
    }
    headers
}
