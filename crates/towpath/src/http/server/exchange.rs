//! Requests and responses over one connection, as long as it is busy.

use std::any::Any;
use std::collections::VecDeque;
use std::fs::File;
use std::future::{Future, poll_fn};
use std::io::IoSlice;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::http::StatusCode;
use bytes::Bytes;
use tokio::time::Instant;
use towpath_net::buffer::Buffer;
use towpath_net::sendfile;
use towpath_proto::h1::{Event, RequestError};
use towpath_proto::message::{Fields, Framing, Method, RequestHead, Version};
use towpath_proto::path;

use super::connection::{Line, Switch, Upgrade};
use super::output::{self, Encoded, Facts};
use super::report;
use super::site::Spare;
use crate::Ctx;
use crate::ctx::wire::{Ingress, Protocol};
use crate::ctx::{self, CancelGuard, Cause};
use crate::files::Part as FilePart;
use crate::http::body::{Body, Inlet, Part, incoming};
use crate::http::error::{Error, Kind};
use crate::http::headers::Headers;
use crate::http::request::{Request, declared_length};
use crate::http::respond::IntoResponse;
use crate::http::response::Response;

/// What becomes of the connection.
pub(super) enum After {
    /// It waits for the next request.
    Idle,
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

/// The body of the request under way.
struct Input {
    inlet: Option<Inlet>,
    /// Bytes of it that came.
    received: u64,
    since: Instant,
    /// What has to be sent before the client sends it.
    to_continue: &'static [u8],
    /// The client has ended its side, or failed.
    is_over: bool,
    /// The reader was told that the rest is not for it.
    is_refused: bool,
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

/// RFC 9110 §15.2.1.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How much of a body that nobody wanted is read to keep the connection, and for how long.
const DRAIN_BYTES_MAX: u64 = 64 * 1024;
const DRAIN_TIME: Duration = Duration::from_millis(100);

/// How long a body may come slowly before its rate counts.
const RATE_GRACE: Duration = Duration::from_secs(10);

/// Bodies up to this go out in one piece with their head; larger ones are not copied.
const COPIED_BYTES_MAX: usize = 16 * 1024;

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
            is_refused: false,
        };
        Self { line, spare: Some(spare), buffer: Some(buffer), is_first, input }
    }

    /// Answers requests until none is there.
    pub(super) async fn run(mut self) -> After {
        loop {
            let head_bytes = match self.read_head().await {
                Ok(head_bytes) => head_bytes,
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

    /// Gives back what the next busy connection can use.
    fn end(mut self, after: After) -> After {
        let site = &self.line.site;
        self.buffer.take().into_iter().for_each(|buffer| site.buffers.give(buffer));
        if let Some(spare) = self.spare.take_if(|spare| spare.decoder.is_between_messages()) {
            site.give_spare(spare);
        }
        after
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
            Ok(None) => Err(After::Idle),
            Err(None) => Err(After::Gone),
            Err(Some(RequestError::Truncated)) => {
                Err(self.refuse(StatusCode::REQUEST_TIMEOUT, "the head took too long").await)
            }
            Err(Some(error)) => {
                let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
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
            return Some(self.refuse(StatusCode::BAD_REQUEST, "the path is not one").await);
        };
        let site = Rc::clone(&self.line.site);
        let (ctx, guard) = request_context(&site.root, site.settings().timeouts.handler, request.headers());
        let name = site.shared.handler.start(&ctx, request);
        let response = match self.drive(name, &ctx, &guard).await {
            Ok(response) => response,
            Err(Abort::With(response)) => response,
            Err(Abort::Gone) => return Some(After::Gone),
        };
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
                match catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(cx))) {
                    Ok(Poll::Ready(response)) => return Poll::Ready(Ok(response)),
                    Ok(Poll::Pending) => {}
                    Err(panic) => return Poll::Ready(Err(Abort::With(panicked(&*panic)))),
                }
                if self.parts().poll_input(cx).is_ready() {
                    if waits == Waits::Body {
                        waits = Waits::Nothing;
                    }
                    continue;
                }
                if self.line.site.is_stopping() {
                    return Poll::Ready(Err(Abort::Gone));
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
                    Waits::Abandoned => return Poll::Ready(Err(Abort::Gone)),
                    Waits::Body => {
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

    /// Sends a response. `guard` is told when the client goes meanwhile. What takes the connection over is given back.
    async fn send(
        &mut self,
        mut response: Response,
        facts: &Facts,
        guard: Option<&CancelGuard>,
        now: Instant,
    ) -> Result<Option<Switch>, After> {
        if let Some(fault) = response.fault() {
            report(&format!("a response was not sent: {fault}"));
            response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        let switch = response.take_switch();
        // RFC 9110 §15.2: an interim response is none.
        if response.status().is_informational() && switch.is_none() {
            report(&format!("a response was not sent: {} is no final status", response.status()));
            response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        let date = self.line.site.date(now);
        let encoded = match self.line.stream.lane() {
            Some(lane) => Encoded::respond(lane, &response, facts, &date, switch.is_some())
                .map_err(|_| self.break_off())?,
            None => Encoded::head(&mut self.parts().spare.out, &response, facts, &date, switch.is_some()),
        };
        let mut body = response.into_body();
        if let Some(files) = body.take_files().filter(|_| encoded.has_body) {
            self.write(b"").await?;
            self.send_files(files).await?;
            self.end_pieces(&encoded, None).await?;
        } else if encoded.has_body {
            if let (Some(lane), Some(_)) = (self.line.stream.lane(), body.as_whole()) {
                lane.expect_end();
            }
            match body.as_whole() {
                Some(whole) if whole.len() <= COPIED_BYTES_MAX => {
                    self.parts().spare.out.extend_from_slice(whole);
                    self.write(b"").await?;
                }
                Some(whole) => self.write(whole).await?,
                None => self.send_pieces(&mut body, &encoded, guard).await?,
            }
        } else {
            self.write(b"").await?;
        }
        match encoded.ends_by_close {
            true => Err(After::Close),
            false => Ok(switch),
        }
    }

    /// Sends files without reading them, where the kernel can.
    async fn send_files(&mut self, parts: VecDeque<FilePart>) -> Result<(), After> {
        for part in parts {
            match part {
                FilePart::Bytes(bytes) => self.write(&bytes).await?,
                FilePart::File { file, offset, len } => self.send_slice(&file, offset, len).await?,
            }
        }
        Ok(())
    }

    async fn send_slice(&mut self, file: &File, offset: u64, len: u64) -> Result<(), After> {
        let mut buffer = self.line.site.buffers.take();
        let sent = self.parts().send_slice(file, offset, len, buffer.room()).await;
        self.line.site.buffers.give(buffer);
        // A file that has become shorter cannot keep what the head says (RFC 9112 §8).
        if sent { Ok(()) } else { Err(self.break_off()) }
    }

    /// Sends a body as it is made.
    async fn send_pieces(
        &mut self,
        body: &mut Body,
        encoded: &Encoded,
        guard: Option<&CancelGuard>,
    ) -> Result<(), After> {
        let mut left = encoded.length;
        // The client sees the head before a body that may take its time.
        let mut has_head_waiting = true;
        loop {
            let part = poll_fn(|cx| self.poll_piece(body, guard, has_head_waiting, cx)).await;
            has_head_waiting = false;
            match part {
                None => self.write(b"").await?,
                Some(Ok(Some(Part::Data(data)))) => {
                    if let Some(left) = &mut left {
                        let count = data.len() as u64;
                        if count > *left {
                            report("a body is longer than it was said to be");
                            return Err(self.break_off());
                        }
                        *left -= count;
                    }
                    if data.is_empty() {
                        continue;
                    }
                    encoded.begin_piece(&mut self.parts().spare.out, data.len());
                    self.write(&data).await?;
                    encoded.end_piece(&mut self.parts().spare.out);
                }
                Some(Ok(Some(Part::Trailers(trailers)))) => {
                    return self.end_pieces(encoded, Some(&trailers)).await;
                }
                Some(Ok(None)) if left.is_some_and(|left| left > 0) => {
                    report("a body is shorter than it was said to be");
                    return Err(self.break_off());
                }
                Some(Ok(None)) => return self.end_pieces(encoded, None).await,
                // The client sees that it has not got all (RFC 9112 §8).
                Some(Err(error)) => {
                    if !error.is_disconnected() {
                        report(&format!("a body was broken off: {error}"));
                    }
                    return Err(self.break_off());
                }
            }
        }
    }

    /// What stands behind the last piece.
    async fn end_pieces(&mut self, encoded: &Encoded, trailers: Option<&Headers>) -> Result<(), After> {
        if let Some(lane) = self.line.stream.lane() {
            return output::end_lane(lane, trailers).map_err(|_| self.break_off());
        }
        encoded.end(&mut self.parts().spare.out, trailers);
        self.write(b"").await
    }

    fn break_off(&self) -> After {
        self.line.stream.reset_on_drop();
        After::Gone
    }

    /// The next piece of a response's body; `None` when there is none yet and something else is to be written.
    fn poll_piece(
        &mut self,
        body: &mut Body,
        guard: Option<&CancelGuard>,
        has_head_waiting: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Option<Part>, Error>>> {
        loop {
            match catch_unwind(AssertUnwindSafe(|| body.poll_part(cx))) {
                Ok(Poll::Ready(part)) => return Poll::Ready(Some(part)),
                Ok(Poll::Pending) => {}
                Err(panic) => {
                    let _ = panicked(&*panic);
                    return Poll::Ready(Some(Err(Error::new(Kind::Own("its code panicked".to_owned())))));
                }
            }
            if self.parts().poll_input(cx).is_ready() {
                continue;
            }
            if self.input.is_over || self.line.site.is_stopping() {
                guard.into_iter().for_each(|guard| guard.cancel(Cause::ClientGone));
                return Poll::Ready(Some(Err(Error::new(Kind::Disconnected))));
            }
            if has_head_waiting {
                return Poll::Ready(None);
            }
            // Only to be woken when the server stops: a stream may be silent for as long as it likes.
            self.line.timer.clear();
            let _ = self.line.timer.poll_expired(cx);
            return Poll::Pending;
        }
    }

    /// Writes what is encoded, and `tail` behind it.
    async fn write(&mut self, tail: &[u8]) -> Result<(), After> {
        let mut written = 0;
        let mut is_waiting = false;
        let outcome = poll_fn(|cx| {
            let parts = self.parts();
            let head = &parts.spare.out;
            while written < head.len() + tail.len() {
                let slices = [
                    IoSlice::new(head.get(written..).unwrap_or_default()),
                    IoSlice::new(tail.get(written.saturating_sub(head.len())..).unwrap_or_default()),
                ];
                let mut writer = parts.line.stream.split().1;
                let outcome = match tail.is_empty() {
                    true => writer.poll_write(cx, &slices[0]),
                    false => writer.poll_write_vectored(cx, &slices),
                };
                match outcome {
                    Poll::Ready(Ok(count @ 1..)) => {
                        written += count;
                        is_waiting = false;
                    }
                    Poll::Ready(_) => return Poll::Ready(Err(After::Gone)),
                    Poll::Pending => {
                        if !std::mem::replace(&mut is_waiting, true) {
                            let timeout = parts.line.site.settings().timeouts.write_idle;
                            parts.line.timer.set(Instant::now() + timeout);
                        }
                        if !parts.line.site.is_stopping() {
                            ready!(parts.line.timer.poll_expired(cx));
                        }
                        parts.line.stream.reset_on_drop();
                        return Poll::Ready(Err(After::Gone));
                    }
                }
            }
            Poll::Ready(Ok(()))
        })
        .await;
        self.parts().spare.out.clear();
        outcome
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
                    ready!(self.line.timer.poll_expired(cx));
                    return Poll::Ready(false);
                }
            }
        })
        .await
    }
}

/// A busy connection in its parts, which are used at the same time.
struct Parts<'e> {
    line: &'e mut Line,
    spare: &'e mut Spare,
    buffer: &'e mut Buffer,
    input: &'e mut Input,
}

impl Parts<'_> {
    /// The body of a request whose head was read.
    fn begin_body(&mut self, head: &RequestHead) -> Body {
        self.input.received = 0;
        self.input.is_refused = false;
        self.input.to_continue = b"";
        if head.framing == Framing::None {
            // Its end is an event of its own.
            let _ = self.spare.decoder.handle_input(b"");
            return Body::empty();
        }
        let (inlet, body) = incoming(declared_length(head.framing));
        self.input.inlet = Some(inlet);
        self.input.since = Instant::now();
        if head.expect_continue {
            self.input.to_continue = CONTINUE;
        }
        Body::incoming(body)
    }

    /// Sends a part of a file, by way of `room` where the kernel cannot. False when not all of it could be sent.
    async fn send_slice(&mut self, file: &File, offset: u64, len: u64, room: &mut [u8]) -> bool {
        let (timer, site) = (&self.line.timer, &self.line.site);
        let write_idle = site.settings().timeouts.write_idle;
        timer.set(Instant::now() + write_idle);
        let progress = |_| timer.set(Instant::now() + write_idle);
        let mut writer = self.line.stream.split().1;
        let mut sending = pin!(async {
            match writer.as_tcp() {
                Some(stream) => sendfile::send_all(stream, file, offset, len, progress).await,
                None => sendfile::copy_all(&mut writer, file, offset, len, room, progress).await,
            }
        });
        poll_fn(|cx| match sending.as_mut().poll(cx) {
            Poll::Ready(sent) => Poll::Ready(sent.is_ok()),
            Poll::Pending if site.is_stopping() => Poll::Ready(false),
            Poll::Pending => timer.poll_expired(cx).map(|()| false),
        })
        .await
    }

    /// Does what the reader of the body waits for. Ready when it has something new to see.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(inlet) = &self.input.inlet
            && inlet.poll_wanted(cx).is_ready()
        {
            return self.poll_body(cx);
        }
        self.watch(cx);
        Poll::Pending
    }

    /// Finds out whether the client has gone, while nothing is expected of it.
    fn watch(&mut self, cx: &mut Context<'_>) {
        // What is left of the request, or follows it, hides the end, and is read in its turn. A stream of HTTP/2 has an
        // end that nothing hides.
        let is_hidden = self.input.inlet.is_some() || !self.buffer.is_empty();
        if self.input.is_over || (is_hidden && self.line.stream.lane().is_none()) {
            return;
        }
        if self.line.stream.poll_disturbed(cx).is_ready() {
            self.input.is_over = !matches!(self.line.stream.peek(), Ok(Some(1..) | None));
        }
    }

    /// Reads the next part of the body.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(lane) = self.line.stream.lane()
            && !std::mem::take(&mut self.input.to_continue).is_empty()
            && lane.respond(100, false, |_| {}).is_err()
        {
            self.lose();
            return Poll::Ready(());
        }
        while let [_, ..] = self.input.to_continue {
            match ready!(self.line.stream.split().1.poll_write(cx, self.input.to_continue)) {
                Ok(count @ 1..) => {
                    self.input.to_continue = self.input.to_continue.get(count..).unwrap_or_default()
                }
                _ => {
                    self.lose();
                    return Poll::Ready(());
                }
            }
        }
        loop {
            let step = match self.spare.decoder.handle_input(self.buffer.unread()) {
                Ok(step) => step,
                Err(error) => {
                    self.input.is_over = true;
                    self.end_body(Err(Error::new(Kind::Protocol(error.to_string()))));
                    return Poll::Ready(());
                }
            };
            let part = match step.event {
                Some(Event::Data(range)) => {
                    self.input.received += range.len() as u64;
                    Some(Part::Data(Bytes::copy_from_slice(
                        self.buffer.unread().get(range).unwrap_or_default(),
                    )))
                }
                Some(Event::Trailers) => {
                    Some(Part::Trailers(copied(self.spare.decoder.trailers(), self.buffer.unread())))
                }
                Some(Event::End) => {
                    self.buffer.consume(step.consumed);
                    self.end_body(Ok(()));
                    return Poll::Ready(());
                }
                Some(Event::Head | Event::Interim) | None => None,
            };
            self.buffer.consume(step.consumed);
            if let Some(part) = part {
                self.put(part);
                return Poll::Ready(());
            }
            match ready!(self.line.stream.split().0.poll_read(cx, self.buffer.room())) {
                Ok(count @ 1..) => self.buffer.filled(count),
                _ => {
                    self.lose();
                    return Poll::Ready(());
                }
            }
        }
    }

    /// Hands a part to whoever reads, unless it is too much or too slow.
    fn put(&mut self, part: Part) {
        let limits = &self.line.site.settings().limits;
        if let Some(inlet) = self.input.inlet.as_ref().filter(|inlet| inlet.is_free()) {
            return inlet.put(part);
        }
        if self.input.received > limits.body_bytes {
            let error = Error::new(Kind::TooLarge(limits.body_bytes));
            return self.refuse_body(error);
        }
        let age = self.input.since.elapsed();
        if age > RATE_GRACE && self.input.received < limits.body_rate_min.saturating_mul(age.as_secs()) {
            return self.refuse_body(Error::new(Kind::Timeout("the body")));
        }
        if let Some(inlet) = &self.input.inlet {
            inlet.put(part);
        }
    }

    /// The handler gets an error; the rest of the body is still to come.
    fn refuse_body(&mut self, error: Error) {
        self.input.is_refused = true;
        if let Some(inlet) = &self.input.inlet {
            inlet.end(Err(error));
        }
    }

    /// The body is complete, or nothing of it will come any more.
    fn end_body(&mut self, outcome: Result<(), Error>) {
        let is_complete = outcome.is_ok();
        if let Some(inlet) = &self.input.inlet {
            inlet.end(outcome);
        }
        // One that is not complete leaves the connection in the middle of a message.
        if is_complete {
            self.input.inlet = None;
        }
    }

    /// The connection is over, inside a body.
    fn lose(&mut self) {
        self.input.is_over = true;
        self.end_body(Err(Error::new(Kind::Disconnected)));
    }
}

/// Trailer fields with their bytes.
fn copied(fields: &Fields, block: &[u8]) -> Headers {
    let mut headers = Headers::default();
    for field in fields {
        let name = std::str::from_utf8(field.name.of(block)).unwrap_or_default();
        // What the codec has taken may be sent, too.
        let _ = headers.add(name, field.value.of(block));
    }
    headers
}

/// The context of a request, below its worker's.
fn request_context(root: &Ctx, handler: Option<Duration>, headers: &Headers) -> (Ctx, CancelGuard) {
    /// As good as none.
    const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    let span = handler.unwrap_or(NEVER);
    let limits = ctx::wire::Limits { default: span, max: span, ..Default::default() };
    let ingress = Ingress { limits, protocol: Protocol::Http, is_trusted: false, route_timeout: None };
    match ingress.accept(root, |name| headers.get_bytes(name)) {
        Ok(accepted) => (accepted.ctx, accepted.guard),
        // Only of gRPC.
        Err(_) => root.with_cancel(),
    }
}

/// What a client is told whose handler took longer than its context allows.
fn late(ctx: &Ctx) -> Response {
    ctx.err().map_or_else(|| StatusCode::GATEWAY_TIMEOUT.into_response(), IntoResponse::into_response)
}

/// Reports a panic of a handler. What the client is told says nothing of it.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Response {
    let what = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let what = what.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    report(&format!("a handler panicked: {what}"));
    (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error\n").into_response()
}
