//! One attempt at one endpoint: the request goes out, the response comes back.
//!
//! ```text
//!   Send ──whole──> Receive ──last byte in the output──> Finish ──written──> Answered
//!                   │  ▲ beside it: the rest of the body goes up, or the client is watched
//!                   └──┴─> a status to try again, a switch of protocols, a failure
//! ```
//!
//! It is polled in place and never moved or boxed, because every request makes one.

use std::rc::Rc;
use std::task::{Context, Poll, ready};

use towpath_net::Stream;
use towpath_proto::h2::{self, Scheme, SendError};
use towpath_proto::message::{Framing, RequestHead, Version};
use towpath_proto::ws::{self, Extensions};

use super::download::{Download, Downward, Failure, Received};
use super::exchange::{Exchange, Request, listed_upgrade};
use super::heads::{self, Outgoing};
use super::pump::{Clock, Stop, Writing};
use super::upload::{Progress, Upload, Upward, poll_left};
use super::way::{Opened, Ready, Way};
use super::{After, Session, Workspace};
use crate::error::Reason;
use crate::http2::{Lane, Origin};
use crate::tls::Secured;
use crate::websocket::opening;
use crate::worker::Worker;
use towpath_net::buffer::Buffer;

/// An attempt under way.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// `None` once the connection has gone back.
    way: Option<Way>,
    stage: Stage,
    post: Post,
    writing: Writing,
    upload: Upload,
    download: Download,
    from_origin: Option<Buffer>,
    /// The upgrade that was forwarded.
    upgrade: Option<Box<Upgrade>>,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// The head and what has arrived of the body go to the origin.
    Send,
    /// The response comes, and the rest of the body goes.
    Receive,
    /// The last bytes of the response go to the client.
    Finish,
    /// They have gone, and another request may come.
    Written,
}

/// When what a stage writes is written.
///
/// The first write of a turn is made at once; a worker with little to do makes no other. Those behind it wait.
/// Sends that wait for the end of the event loop's turn are made one after the other, and so is everything before
/// them: the code of each is in the cache then, and a request costs a fifth less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Post {
    /// At once.
    Now,
    /// At the end of the turn.
    Later,
    /// At the end of this turn; the worker has yet to hear of it.
    Due,
    /// At the end of this turn.
    Posted,
}

/// The key of a WebSocket (RFC 6455 §4.1).
type Key = Option<Box<[u8]>>;

/// An upgrade that the origin is asked for.
#[derive(Debug)]
pub(super) struct Upgrade {
    pub(super) token: Box<[u8]>,
    /// The key of a WebSocket that is one of HTTP/1.1 on one side alone: what we have asked the origin with, or what the
    /// client has asked us with.
    pub(super) key: Key,
}

/// What is left of an attempt that ended in an upgrade.
#[derive(Debug)]
pub(super) struct Upgraded {
    pub(super) way: Option<Way>,
    /// What came behind the 101, if anything did.
    pub(super) from_origin: Option<Buffer>,
    /// What was agreed on, if the two speak WebSocket now.
    pub(super) websocket: Option<Extensions>,
}

/// How an attempt went that did not fail.
#[derive(Debug)]
pub(crate) enum Tried {
    /// The client has its answer.
    Answered(After),
    /// The origin answered with a status that the route tries again.
    Status(u16),
    /// The origin switched protocols; the client has yet to be told.
    Upgraded,
}

impl Attempt {
    /// Whether the stage is a write that is made at the end of the turn. The turn's first one is made here instead.
    fn is_put_off(&mut self, client: Option<&Stream>, work: &Workspace, worker: &Worker) -> bool {
        let Some(client) = client.filter(|_| self.may_wait(work)) else { return false };
        if self.post == Post::Later && worker.is_first_write() {
            self.write_now(client, work);
            return false;
        }
        if self.post == Post::Later {
            self.post = Post::Due;
        }
        self.post != Post::Now
    }

    /// Whether the stage is a write that may wait: a whole request, since the rest of a body must not overtake its head
    /// (T01); and a response behind which another may come.
    fn may_wait(&self, work: &Workspace) -> bool {
        match self.stage {
            Stage::Send => self.upload.progress == Progress::Sent,
            Stage::Receive | Stage::Written => false,
            Stage::Finish => self.download.keep_alive && !work.response.is_empty(),
        }
    }

    /// Whether the worker has to hear of a write at the end of the turn; true once.
    pub(super) fn take_due(&mut self) -> bool {
        let is_due = self.post == Post::Due;
        if is_due {
            self.post = Post::Posted;
        }
        is_due
    }

    /// Makes the write of a stage that may wait, at the end of the turn or as its first. True when nothing else is to be
    /// done about it now.
    pub(super) fn write_now(&mut self, client: &Stream, work: &Workspace) -> bool {
        // What is left afterwards goes its usual way, which also meets the error if there was one.
        self.post = Post::Now;
        let (stream, bytes) = match (self.stage, self.way.as_ref().and_then(Way::wire)) {
            (Stage::Send, Some(stream)) if work.body.is_empty() => (stream, &work.request),
            (Stage::Finish, _) => (client, &work.response),
            _ => return false,
        };
        let written = stream.try_write(bytes).unwrap_or(0);
        if written < bytes.len() {
            self.writing.has_written(written);
            return false;
        }
        self.post = Post::Later;
        if matches!(self.stage, Stage::Finish) {
            self.stage = Stage::Written;
            return false;
        }
        self.stage = Stage::Receive;
        true
    }

    /// What is left of an attempt that ended in an upgrade.
    pub(super) fn into_parts(self) -> Upgraded {
        let is_websocket = self.upgrade.as_ref().is_some_and(|upgrade| opening::is_websocket(&upgrade.token));
        let websocket = is_websocket.then_some(self.download.extensions);
        Upgraded { way: self.way, from_origin: self.from_origin, websocket }
    }
}

impl Session<'_> {
    /// Writes the request and makes ready to send it over `ready`.
    pub(super) fn launch(
        &mut self,
        ready: Ready,
        post: Post,
        exchange: &mut Exchange,
        work: &mut Workspace,
    ) -> Result<(), Failure> {
        let Exchange { request, history, charge, attempt, .. } = exchange;
        let route = &*request.plan.router.routes[request.route];
        history.reused = ready.is_reused();
        let block = work.input.as_ref().map_or(&[][..], Buffer::unread);
        let upgrade = request.facts.upgrade.and_then(|token| listed_upgrade(route, token.of(block)));
        let head = work.requests.head();
        let (asked, websocket_key) = match upgrade {
            None => (None, None),
            Some(token) => self.ask(token, head, block, matches!(ready, Ready::Shared(_))),
        };
        let outgoing = Outgoing {
            head,
            block,
            path: &work.path,
            route,
            endpoint: charge.as_ref().map_or(&[][..], |charge| charge.endpoint().name.as_bytes()),
            peer: self.peer,
            is_trusted: request.plan.settings.trusts(self.peer),
            forwarded: request.plan.settings.forwarded,
            underscores: request.plan.settings.underscore_headers,
            upgrade,
            websocket_key: websocket_key.as_deref(),
            is_secure: self.client.secured().is_some(),
            identity_headers: &request.plan.settings.identity_headers,
            identity: self.client.secured().and_then(Secured::identity_field),
            grpc_timeout: request.grpc_timeout(self.clock.now()),
            intake: request.intake(),
            web: request.web.as_ref(),
        };
        work.request.clear();
        let (way, dropped) = match ready {
            Ready::Wire(lease) => (Way::Wire(lease), heads::encode_request(&outgoing, &mut work.request)),
            Ready::Shared(origin) => {
                let is_whole = request.body_complete && work.body.is_empty() && request.trailers.is_empty();
                send_head(&origin, &outgoing, request, is_whole && upgrade.is_none())?
            }
        };
        if dropped > 0 {
            self.worker.counters().underscore_headers.add(dropped);
        }
        let post = if way.wire().is_some() { post } else { Post::Now };
        // A head that HTTP/2 has sent is not written down here.
        history.sent = (work.request.len() + work.body.len()).max(1);
        work.responses.expect(request.facts.method);
        work.response.clear();
        if request.body_complete {
            self.worker.buffers.settle(&mut work.input);
        }
        self.clock.arm(route.response_header_timeout);
        *attempt = Some(Attempt {
            way: Some(way),
            stage: Stage::Send,
            post,
            writing: Writing::default(),
            upload: Upload::new(request.body_complete, self.clock.now()),
            download: Download::new(request.keep_alive),
            from_origin: None,
            upgrade: asked,
        });
        Ok(())
    }

    /// An upgrade as it is remembered until the origin answers, and the key that a WebSocket is asked for with.
    fn ask(
        &self,
        token: &[u8],
        head: &RequestHead,
        block: &[u8],
        is_for_http2: bool,
    ) -> (Option<Box<Upgrade>>, Key) {
        let (key, sent) = match opening::is_websocket(token) {
            true => self.keys(head, block, is_for_http2),
            false => (None, None),
        };
        (Some(Box::new(Upgrade { token: token.into(), key })), sent)
    }

    /// The keys of a WebSocket between the versions: what is remembered until the origin answers, and what it is asked
    /// with, empty for nothing.
    fn keys(&self, head: &RequestHead, block: &[u8], is_for_http2: bool) -> (Key, Key) {
        let is_from_http2 = head.version == Version::Http2;
        match (is_from_http2, is_for_http2) {
            (false, false) => (None, None),
            (true, true) => (None, Some(Box::default())),
            (false, true) => {
                let key = head.fields.find_name(heads::WEBSOCKET_KEY, block).map(Into::into);
                (key, Some(Box::default()))
            }
            (true, false) => {
                let nonce = u128::from(self.worker.draw()) << 64 | u128::from(self.worker.draw());
                let key: Box<[u8]> = ws::key_value(&nonce.to_ne_bytes()).into();
                (Some(key.clone()), Some(key))
            }
        }
    }

    /// Carries the attempt on. When it is ready the attempt is over and, but for an upgrade, gone.
    pub(super) fn poll_attempt(
        &mut self,
        cx: &mut Context<'_>,
        exchange: &mut Exchange,
        work: &mut Workspace,
    ) -> Poll<Result<Tried, Failure>> {
        loop {
            let Some(attempt) = &mut exchange.attempt else {
                return Poll::Ready(Err(Failure::Before(Reason::Internal)));
            };
            let is_put_off = attempt.is_put_off(self.client.wire(), work, self.worker);
            let outcome = match (attempt.stage, is_put_off) {
                // Nothing is sent yet, but everything is set for the answer.
                (Stage::Send, true) => ready!(self.poll_receive(cx, exchange, work)),
                (Stage::Finish, true) => return Poll::Pending,
                (Stage::Send, false) => {
                    ready!(self.poll_send(cx, exchange, work)).map(|()| None).map_err(Failure::Before)
                }
                (Stage::Written, _) => Ok(Some(Tried::Answered(After::KeepAlive))),
                (Stage::Receive, _) => ready!(self.poll_receive(cx, exchange, work)),
                (Stage::Finish, false) => ready!(self.poll_finish(cx, exchange, work)).map(Some),
            };
            if let Some(outcome) = outcome.transpose() {
                return Poll::Ready(self.close_attempt(exchange, outcome));
            }
        }
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        exchange: &mut Exchange,
        work: &Workspace,
    ) -> Poll<Result<(), Reason>> {
        let Exchange { request, history, attempt: Some(attempt), .. } = exchange else {
            return Poll::Ready(Err(Reason::Internal));
        };
        let Some(way) = &mut attempt.way else { return Poll::Ready(Err(Reason::Internal)) };
        let lane = way.lane().filter(|_| request.body_complete && attempt.upgrade.is_none());
        lane.iter().filter(|_| request.trailers.is_empty()).for_each(|lane| lane.expect_end());
        let (parts, idle) = ([&work.request[..], &work.body, &[]], request.plan.settings.write_idle_timeout);
        let mut origin = way.writer();
        let written = ready!(attempt.writing.poll(cx, &mut origin, parts, idle, &self.clock));
        let ended = |lane: Rc<Lane>| lane.end(&request.trailers).map_err(|_| Stop::Io);
        match written.and_then(|()| lane.map_or(Ok(()), ended)) {
            Ok(()) => {}
            Err(Stop::Expired) => return Poll::Ready(Err(Reason::UpstreamTimeout)),
            Err(Stop::Io) if history.reused => {
                return Poll::Ready(Err(Reason::UpstreamResetBeforeResponse));
            }
            // The origin may have answered before it closed, for example with 413: the response side finds out.
            Err(Stop::Io) => attempt.upload.progress = Progress::Broken,
        }
        attempt.stage = Stage::Receive;
        Poll::Ready(Ok(()))
    }

    /// `None` when all but the last bytes have gone to the client.
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        exchange: &mut Exchange,
        work: &mut Workspace,
    ) -> Poll<Result<Option<Tried>, Failure>> {
        let Exchange { request, history, attempt: Some(attempt), .. } = exchange else {
            return Poll::Ready(Err(Failure::Before(Reason::Internal)));
        };
        let Some(way) = &mut attempt.way else {
            return Poll::Ready(Err(Failure::Before(Reason::Internal)));
        };
        let (from, to) = (way.lane(), self.client.lane());
        let (mut origin, mut client) = (way.reader(), self.client.writer());
        let plan = &**request.plan;
        let route = &*plan.router.routes[request.route];
        let mut down = Downward {
            request,
            history,
            route,
            worker: self.worker,
            clock: &self.clock,
            decoder: &mut work.responses,
            input: &mut attempt.from_origin,
            out: &mut work.response,
            progress: attempt.upload.progress,
            upgrade: attempt.upgrade.as_deref(),
            from: from.as_deref(),
            to,
        };
        let received = attempt.download.poll(cx, &mut down, &mut origin, &mut client);
        let Poll::Ready(received) = received else {
            return self.poll_upload(cx, exchange, work).map(|reason| Err(Failure::Before(reason)));
        };
        if let Err(Failure::Before(reason) | Failure::Within(reason)) = received
            && !request.is_alone
            && goes_on(request, reason, &mut attempt.download, &self.clock)
        {
            return Poll::Ready(Ok(None));
        }
        Poll::Ready(received.map(|received| match received {
            Received::Whole { reusable } => {
                if let Some(Way::Wire(mut lease)) = attempt.way.take() {
                    lease.keep_alive = attempt.download.origin_keep_alive;
                    if reusable {
                        lease.mark_clean(self.clock.now());
                    }
                }
                attempt.stage = Stage::Finish;
                None
            }
            Received::Retryable(status) => Some(Tried::Status(status)),
            Received::Upgraded => Some(Tried::Upgraded),
        }))
    }

    /// The rest of the body goes up; behind it the client is watched, and asked nothing else. Ready when it has failed.
    fn poll_upload(
        &mut self,
        cx: &mut Context<'_>,
        exchange: &mut Exchange,
        work: &mut Workspace,
    ) -> Poll<Reason> {
        let failed = match &exchange.attempt {
            Some(attempt) if attempt.upload.progress == Progress::Sent => {
                let request = &exchange.request;
                if request.is_alone {
                    return Poll::Pending;
                }
                poll_left(&mut self.client.reader(), work.input.as_ref(), request.held, cx)
            }
            _ => self.poll_body(cx, exchange, work),
        };
        let reason = ready!(failed);
        let Exchange { request, attempt: Some(attempt), .. } = exchange else { return Poll::Ready(reason) };
        if goes_on(request, reason, &mut attempt.download, &self.clock) {
            Poll::Pending
        } else {
            Poll::Ready(reason)
        }
    }

    /// The rest of the body goes up. Ready when it has failed.
    fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        exchange: &mut Exchange,
        work: &mut Workspace,
    ) -> Poll<Reason> {
        let Exchange { request, history, attempt: Some(attempt), .. } = exchange else {
            return Poll::Ready(Reason::Internal);
        };
        let Some(way) = &mut attempt.way else { return Poll::Ready(Reason::Internal) };
        let plan = Rc::clone(&request.plan);
        let route = &*plan.router.routes[request.route];
        let (had, was_due) = (request.body_received, request.has_due_body());
        let to = way.lane();
        let mut lane = Upward {
            to: to.as_deref(),
            body_max: route.body_bytes_max.or(plan.settings.body_bytes_max),
            request,
            decoder: &mut work.requests,
            input: &mut work.input,
            settings: &plan.settings,
            buffers: &self.worker.buffers,
            clock: &self.clock,
            response_header_timeout: route.response_header_timeout,
        };
        let failed = attempt.upload.poll(cx, &mut lane, &mut self.client.reader(), &mut way.writer());
        // What is due is taken at once, and was counted when it came.
        history.streamed |= was_due || request.body_received > had;
        failed
    }

    /// Writes the last bytes of a response.
    fn poll_finish(
        &mut self,
        cx: &mut Context<'_>,
        exchange: &mut Exchange,
        work: &Workspace,
    ) -> Poll<Result<Tried, Failure>> {
        let Exchange { request, attempt: Some(attempt), .. } = exchange else {
            return Poll::Ready(Err(Failure::Before(Reason::Internal)));
        };
        if request.is_alone {
            return Poll::Ready(Err(Failure::Within(Reason::ClientGone)));
        }
        let (parts, idle) = ([&work.response[..], &[], &[]], request.plan.settings.write_idle_timeout);
        if let Some(lane) = self.client.lane().filter(|_| attempt.download.trailers.is_empty()) {
            lane.expect_end();
        }
        let mut writer = self.client.writer();
        let written = ready!(attempt.writing.poll(cx, &mut writer, parts, idle, &self.clock));
        let written = written.and_then(|()| self.client.end(&attempt.download.trailers));
        Poll::Ready(match written {
            Ok(()) if attempt.download.keep_alive => Ok(Tried::Answered(After::KeepAlive)),
            Ok(()) => Ok(Tried::Answered(request.after_close())),
            Err(Stop::Expired) => Err(Failure::Within(Reason::ClientWriteTimeout)),
            Err(Stop::Io) => Err(Failure::Within(Reason::ClientGone)),
        })
    }

    /// Notes what the attempt has shown.
    fn close_attempt(
        &self,
        exchange: &mut Exchange,
        outcome: Result<Tried, Failure>,
    ) -> Result<Tried, Failure> {
        let Exchange { tally, history, attempt, .. } = exchange;
        let Some(ended) = attempt else { return outcome };
        let download = &ended.download;
        history.response_bytes = download.bytes_read;
        history.unprocessed =
            ended.way.as_ref().and_then(Way::lane).is_some_and(|lane| lane.is_unprocessed());
        tally.status = download.status;
        tally.bytes_out = download.bytes_out;
        tally.head_at = download.head_at;
        tally.ends_by_close = download.framing == Framing::Close;
        let has_begun = download.status != 0 && download.forwarded;
        if !matches!(outcome, Ok(Tried::Upgraded)) {
            ended.from_origin.take().into_iter().for_each(|buffer| self.worker.buffers.give(buffer));
            *attempt = None;
        }
        match outcome {
            // The client's side may have failed when the client had seen a part of the response.
            Err(Failure::Before(reason)) if has_begun => Err(Failure::Within(reason)),
            outcome => outcome,
        }
    }
}

/// Whether `reason` is that the client has left, and the request goes on without it.
fn goes_on(request: &mut Request, reason: Reason, download: &mut Download, clock: &Clock<'_>) -> bool {
    let goes_on = reason == Reason::ClientGone && request.goes_on_alone(clock);
    download.keep_alive &= !goes_on;
    goes_on
}

/// Opens a stream with the head of the request. Returns it, and how many fields were dropped because of a `_` in their
/// name.
fn send_head(
    origin: &Origin,
    outgoing: &Outgoing<'_>,
    exchanged: &Request,
    end: bool,
) -> Result<(Way, u64), Failure> {
    let is_secure = exchanged.upstream().is_some_and(|upstream| upstream.settings.tls.is_some());
    let (head, block) = (outgoing.head, outgoing.block);
    if outgoing.upgrade.is_some() && !origin.accepts_connect_protocol() {
        return Err(Failure::Before(Reason::UpstreamBadUpgrade));
    }
    let request = h2::Request {
        method: if outgoing.upgrade.is_some() { b"CONNECT" } else { head.method.of_block(block) },
        scheme: if is_secure { Scheme::Https } else { Scheme::Http },
        authority: outgoing.host(),
        path: outgoing.path,
        query: head.query.map(|span| span.of(block)),
        protocol: outgoing.upgrade,
    };
    let mut dropped = 0;
    let opened = origin.request(&request, end, |fields| {
        dropped = heads::encode_request_fields(outgoing, fields);
        if outgoing.wants_trailers() {
            fields.field(b"te", b"trailers");
        }
    });
    match opened {
        Ok(lane) => Ok((Way::Lane(Opened(lane)), dropped)),
        Err(SendError::Field) => Err(Failure::Before(Reason::BadHeader)),
        // It was there a moment ago, and has left: as if it had been reset.
        Err(_) => Err(Failure::Before(Reason::UpstreamResetBeforeResponse)),
    }
}
