//! Requests and responses over one connection, as long as it is busy.

mod parts;
mod send;

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, ready};
use std::time::Duration;

use ::http::StatusCode;
use tokio::time::Instant;
use towpath_net::buffer::Buffer;
use towpath_proto::h1::{Event, RequestError};
use towpath_proto::message::{Method, RequestHead, Version};
use towpath_proto::path;

use self::parts::{Input, Parts};
use super::connection::{Line, Switch, Upgrade};
use super::output::Facts;
use super::site::Spare;
use super::{Reason, Settings, panicked};
use crate::Ctx;
use crate::ctx::wire::{Ingress, Protocol};
use crate::ctx::{self, CancelGuard, Cause};
use crate::http::error::{Error, Kind};
use crate::http::request::Request;
use crate::http::respond::IntoResponse;
use crate::http::response::Response;

/// What becomes of the connection.
pub(super) enum After {
    /// It waits for the next request, since then.
    Idle(Instant),
    /// We end it, and the client may still be sending.
    Close,
    /// Nobody is there, or nothing can be said any more.
    Gone,
    /// It speaks another protocol.
    Switched(Switch, Vec<u8>),
}

/// A busy connection. What it holds goes back to the worker when it is idle.
pub(super) struct Exchange<'l> {
    line: &'l mut Line,
    spare: Option<Spare>,
    buffer: Option<Buffer>,
    is_first: bool,
    input: Input,
}

/// Why a request has no answer of its handler's.
enum Abort {
    /// The client is not there any more.
    Gone,
    /// This is the answer.
    With(Response),
}

/// What the clock is set for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    Nothing,
    Handler,
    Body,
    /// The end of a handler whose client has gone.
    Abandoned,
}

/// How much of a body that nobody wanted is read to keep the connection, and for how long.
const DRAIN_BYTES_MAX: u64 = 64 * 1024;
const DRAIN_TIME: Duration = Duration::from_millis(100);

/// A connection that has had no request for so long does without a busy one's future: some 2 KiB.
const REST_TIME: Duration = Duration::from_secs(1);

impl<'l> Exchange<'l> {
    pub(super) fn new(line: &'l mut Line, is_first: bool) -> Self {
        let (spare, mut buffer) = (line.site.take_spare(), line.site.buffers.take());
        buffer.push(&std::mem::take(&mut line.early));
        Self::with(line, spare, buffer, is_first)
    }

    /// The exchange of a stream of HTTP/2, whose head the decoder has adopted.
    pub(super) fn adopted(line: &'l mut Line, spare: Spare, buffer: Buffer) -> Self {
        Self::with(line, spare, buffer, false)
    }

    fn with(line: &'l mut Line, spare: Spare, buffer: Buffer, is_first: bool) -> Self {
        let input = Input {
            inlet: None,
            received: 0,
            since: line.since,
            to_continue: b"",
            is_over: false,
            is_lost: false,
            is_refused: false,
        };
        Self { line, spare: Some(spare), buffer: Some(buffer), is_first, input }
    }

    /// Answers requests until none is there.
    pub(super) async fn run(mut self) -> After {
        loop {
            let head_bytes = match self.read_head().await {
                Ok(head_bytes) => head_bytes,
                Err(After::Idle(since)) if self.rest(since).await => continue,
                Err(after) => break self.end(after),
            };
            if let Some(after) = self.answer(head_bytes).await {
                break self.end(after);
            }
            self.is_first = false;
        }
    }

    /// Answers the one request there is, whose head is the first `head_bytes` of the buffer.
    pub(super) async fn run_once(mut self, head_bytes: usize) -> After {
        let after = self.answer(head_bytes).await.unwrap_or(After::Close);
        self.end(after)
    }

    /// Answers a request of which no handler hears.
    pub(super) async fn run_refusal(mut self, status: StatusCode, why: &str) -> After {
        let after = self.refuse(status, why).await;
        self.end(after)
    }

    fn end(mut self, after: After) -> After {
        self.give_back();
        after
    }

    /// Gives back what the next busy connection can use.
    fn give_back(&mut self) {
        let site = &self.line.site;
        self.buffer.take().into_iter().for_each(|buffer| site.buffers.give(buffer));
        if let Some(spare) = self.spare.take_if(|spare| spare.decoder.is_between_messages()) {
            site.give_spare(spare);
        }
    }

    /// Waits a moment for the next request, with no more than this future, which is then not made anew for it. False when
    /// none came, or the server does not want to wait.
    async fn rest(&mut self, since: Instant) -> bool {
        let site = Rc::clone(&self.line.site);
        let Some(_place) = site.rest() else { return false };
        self.give_back();
        self.line.timer.set(since + REST_TIME.min(site.settings().timeouts.idle));
        let has_more = poll_fn(|cx| {
            if site.is_draining() {
                return Poll::Ready(false);
            }
            if self.line.stream.poll_readable(cx).is_ready() {
                return Poll::Ready(true);
            }
            self.line.timer.poll_expired(cx).map(|()| false)
        });
        if !has_more.await {
            return false;
        }
        (self.spare, self.buffer) = (Some(site.take_spare()), Some(site.buffers.take()));
        true
    }

    fn parts(&mut self) -> Parts<'_> {
        // Both are there until `end`.
        let (Some(spare), Some(buffer)) = (&mut self.spare, &mut self.buffer) else { unreachable!() };
        Parts { line: &mut *self.line, spare, buffer, input: &mut self.input }
    }

    /// Reads until a head is whole. Its length is given.
    async fn read_head(&mut self) -> Result<usize, After> {
        let (is_first, header_timeout) = (self.is_first, self.line.site.settings().timeouts.header);
        let mut has_begun = false;
        let outcome = poll_fn(|cx| {
            let parts = self.parts();
            loop {
                let step = match parts.spare.decoder.handle_input(parts.buffer.unread()) {
                    Ok(step) => step,
                    Err(error) => return Poll::Ready(Err(Some(error))),
                };
                if step.event == Some(Event::Head) {
                    return Poll::Ready(Ok(Some(step.consumed)));
                }
                parts.buffer.consume(step.consumed);
                match parts.line.stream.split().0.poll_read(cx, parts.buffer.room()) {
                    Poll::Ready(Ok(count @ 1..)) => parts.buffer.filled(count),
                    Poll::Ready(_) => return Poll::Ready(Err(None)),
                    Poll::Pending if parts.spare.decoder.is_between_messages() && !is_first => {
                        return Poll::Ready(Ok(None));
                    }
                    Poll::Pending => break,
                }
            }
            if parts.line.site.is_stopping() {
                return Poll::Ready(Err(None));
            }
            if !is_first && !std::mem::replace(&mut has_begun, true) {
                parts.line.timer.set(Instant::now() + header_timeout);
            }
            ready!(parts.line.timer.poll_expired(cx));
            // Who has begun a head is told why the connection ends (RFC 9110 §15.5.9).
            Poll::Ready(Err((!parts.buffer.is_empty()).then_some(RequestError::Truncated)))
        })
        .await;
        match outcome {
            Ok(Some(head_bytes)) => Ok(head_bytes),
            Ok(None) if self.line.site.is_draining() => Err(After::Close),
            Ok(None) => Err(After::Idle(Instant::now())),
            Err(None) => Err(After::Gone),
            Err(Some(RequestError::Truncated)) => {
                let reason = if is_first { Reason::FirstRequestTimeout } else { Reason::HeaderTimeout };
                self.line.site.note(reason);
                Err(self.refuse(StatusCode::REQUEST_TIMEOUT, "the head took too long").await)
            }
            Err(Some(error)) => {
                let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
                self.line.site.note(Reason::of_head(status));
                Err(self.refuse(status, &error.to_string()).await)
            }
        }
    }

    /// Answers a request that no handler sees.
    async fn refuse(&mut self, status: StatusCode, why: &str) -> After {
        let facts = Facts { version: Version::Http11, is_head: false, keep_alive: false };
        self.input.inlet = None;
        match self.send((status, format!("{why}\n")).into_response(), &facts, None, Instant::now()).await {
            Ok(_) => After::Close,
            Err(after) => after,
        }
    }

    /// Answers the request whose head is the first `head_bytes` of what was read. `None` when the next may follow.
    async fn answer(&mut self, head_bytes: usize) -> Option<After> {
        let Ok((request, facts)) = self.begin(head_bytes) else {
            self.line.site.note(Reason::BadRequest);
            return Some(self.refuse(StatusCode::BAD_REQUEST, "the path is not one").await);
        };
        let site = Rc::clone(&self.line.site);
        let (ctx, guard) = request_context(&site.root, site.settings(), &request);
        let response = match site.shared.rates.request(self.line.peer.address.ip()) {
            Err(wait) => {
                drop(request);
                site.note(Reason::RequestRate);
                too_many(wait)
            }
            Ok(()) => match self.drive(site.shared.handler.start(&ctx, request), &ctx, &guard).await {
                Ok(response) | Err(Abort::With(response)) => response,
                Err(Abort::Gone) => return Some(After::Gone),
            },
        };
        if let Some(reason) = reason_of(response.status(), &ctx, self.input.is_refused) {
            site.note(reason);
        }
        // One look at the clock for all that follows.
        let now = Instant::now();
        let facts = Facts { keep_alive: facts.keep_alive && self.may_go_on(now), ..facts };
        match self.send(response, &facts, Some(&guard), now).await {
            Ok(Some(switch)) => {
                let early = self.parts().buffer.unread().to_vec();
                Some(After::Switched(switch, early))
            }
            // A stream carries no other request. The end of its body is waited for all the same: some clients take an answer
            // before it, and the reset that follows (RFC 9113 §8.1), for an error.
            Ok(None)
                if (facts.keep_alive || self.line.stream.lane().is_some()) && self.finish_body().await =>
            {
                None
            }
            Ok(None) => Some(After::Close),
            Err(after) => Some(after),
        }
    }

    /// Whether the connection may get another request.
    fn may_go_on(&self, now: Instant) -> bool {
        let (site, input) = (&self.line.site, &self.input);
        let rest = self.spare.as_ref().and_then(|spare| spare.decoder.body_remaining());
        // What is left of the body could not be thrown away.
        if input.inlet.is_some()
            && (input.is_over
                || input.is_refused
                || !input.to_continue.is_empty()
                || rest > Some(DRAIN_BYTES_MAX))
        {
            return false;
        }
        !site.is_draining() && now - self.line.since < site.settings().timeouts.connection_age
    }

    /// Makes the request of its head.
    fn begin(&mut self, head_bytes: usize) -> Result<(Request, Facts), path::PathError> {
        let mut parts = self.parts();
        let mut head = RequestHead::default();
        parts.spare.decoder.swap_head(&mut head);
        let block = parts.buffer.unread().get(..head_bytes).unwrap_or_default().to_vec();
        parts.buffer.consume(head_bytes);
        let facts = Facts {
            version: head.version,
            is_head: head.method == Method::Head,
            keep_alive: head.keep_alive,
        };
        let canonical = match head.path_is_canonical {
            true => None,
            false => {
                let mut canonical = Vec::new();
                path::canonicalize(head.path.of(&block), false, &mut canonical)?;
                String::from_utf8(canonical).ok().map(String::into_boxed_str)
            }
        };
        let limit = parts.line.site.settings().limits.body_bytes;
        let body = parts.begin_body(&head);
        let upgrade = head.upgrade.is_some();
        let mut request =
            Request::received(head, block, canonical, body, limit, std::sync::Arc::clone(&parts.line.peer));
        if upgrade {
            request.set_upgrade(Upgrade);
        }
        Ok((request, facts))
    }

    /// Polls the handler until it has answered, and reads for it meanwhile.
    async fn drive(
        &mut self,
        handler: impl Future<Output = Response>,
        ctx: &Ctx,
        guard: &CancelGuard,
    ) -> Result<Response, Abort> {
        let mut handler = pin!(handler);
        let mut waits = Waits::Nothing;
        poll_fn(|cx| {
            loop {
                match catch_unwind(AssertUnwindSafe(|| ctx.enter(|| handler.as_mut().poll(cx)))) {
                    Ok(Poll::Ready(response)) => return Poll::Ready(Ok(response)),
                    Ok(Poll::Pending) => {}
                    Err(panic) => {
                        self.line.site.note(Reason::Panic);
                        return Poll::Ready(Err(Abort::With(panicked(&*panic))));
                    }
                }
                if self.parts().poll_input(cx).is_ready() {
                    if waits == Waits::Body {
                        waits = Waits::Nothing;
                    }
                    if self.input.is_lost {
                        // Before the handler sees it by the body that it reads.
                        guard.cancel(Cause::ClientGone);
                    }
                    continue;
                }
                if self.line.site.is_stopping() {
                    // As much of an answer as can be written at once.
                    return Poll::Ready(Err(Abort::With(Cause::Shutdown.into_response())));
                }
                if waits != Waits::Abandoned && self.input.is_over {
                    guard.cancel(Cause::ClientGone);
                    self.line.timer.set(Instant::now() + self.line.site.settings().timeouts.abandoned);
                    waits = Waits::Abandoned;
                    continue;
                }
                self.set_clock(&mut waits, ctx);
                ready!(self.line.timer.poll_expired(cx));
                match waits {
                    Waits::Abandoned => {
                        self.line.site.note(Reason::Abandoned);
                        return Poll::Ready(Err(Abort::Gone));
                    }
                    Waits::Body => {
                        self.line.site.note(Reason::BodyTimeout);
                        self.parts().refuse_body(Error::new(Kind::Timeout("the body")));
                    }
                    _ => return Poll::Ready(Err(Abort::With(late(ctx)))),
                }
            }
        })
        .await
    }

    /// Sets the deadline for what is waited for, if that is another than before.
    fn set_clock(&self, waits: &mut Waits, ctx: &Ctx) {
        let now_for = match *waits {
            Waits::Abandoned => return,
            _ if self.input.inlet.as_ref().is_some_and(|inlet| inlet.is_wanted() && !inlet.is_free()) => {
                Waits::Body
            }
            _ => Waits::Handler,
        };
        if now_for == *waits {
            return;
        }
        *waits = now_for;
        let body =
            (now_for == Waits::Body).then(|| Instant::now() + self.line.site.settings().timeouts.body_idle);
        match [ctx.deadline(), body].into_iter().flatten().min() {
            Some(at) => self.line.timer.set(at),
            None => self.line.timer.clear(),
        }
    }

    /// Reads the rest of a body that nobody wanted, if that is soon done. Whether the next request may follow.
    async fn finish_body(&mut self) -> bool {
        if self.input.inlet.is_none() {
            return true;
        }
        let limit = self.input.received + DRAIN_BYTES_MAX;
        self.line.timer.set(Instant::now() + DRAIN_TIME);
        poll_fn(|cx| {
            loop {
                if self.input.inlet.is_none() {
                    return Poll::Ready(true);
                }
                if self.input.is_over || self.input.received > limit {
                    return Poll::Ready(false);
                }
                if self.parts().poll_body(cx).is_pending() {
                    if !self.line.site.is_stopping() {
                        ready!(self.line.timer.poll_expired(cx));
                    }
                    return Poll::Ready(false);
                }
            }
        })
        .await
    }
}

/// The context of a request, below its worker's.
fn request_context(root: &Ctx, settings: &Settings, request: &Request) -> (Ctx, CancelGuard) {
    /// As good as none.
    const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    let span = settings.timeouts.handler.unwrap_or(NEVER);
    let limits = ctx::wire::Limits { default: span, max: span, ..Default::default() };
    let is_trusted = settings.trust.is_in(request.peer());
    let ingress = Ingress { limits, protocol: Protocol::Http, is_trusted, route_timeout: None };
    match ingress.accept(root, |name| request.headers().get_bytes(name)) {
        Ok(accepted) => (accepted.ctx, accepted.guard),
        // Only of gRPC.
        Err(_) => root.with_cancel(),
    }
}

/// What an answer has to be counted for, whoever has made it: a handler that asks its context, or the server for one that does
/// not.
fn reason_of(status: StatusCode, ctx: &Ctx, body_is_refused: bool) -> Option<Reason> {
    match status {
        _ if matches!(ctx.err(), Some(Cause::ClientGone)) => Some(Reason::ClientGone),
        StatusCode::PAYLOAD_TOO_LARGE => (!body_is_refused).then_some(Reason::BodyTooLarge),
        StatusCode::GATEWAY_TIMEOUT => {
            matches!(ctx.err(), Some(Cause::DeadlineExceeded { .. })).then_some(Reason::HandlerTimeout)
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            matches!(ctx.err(), Some(Cause::Shutdown)).then_some(Reason::Grace)
        }
        _ => None,
    }
}

/// What a client is told whose requests come too fast, and who may send the next after `wait` (RFC 6585 §4).
fn too_many(wait: Duration) -> Response {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let response = (StatusCode::TOO_MANY_REQUESTS, "Too Many Requests\n").into_response();
    response.with_header("Retry-After", seconds.max(1).to_string())
}

/// What a client is told whose handler took longer than its context allows.
fn late(ctx: &Ctx) -> Response {
    ctx.err().map_or_else(|| StatusCode::GATEWAY_TIMEOUT.into_response(), IntoResponse::into_response)
}
