//! One request and its answer.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use tokio::time::Instant;
use towpath::pool::{Connection, Lease};
use towpath_proto::message::{Framing, Method, RequestHead};
use towpath_proto::{field, path};
use towpath_telemetry::metrics::CloseReason;
use towpath_traffic::balance::Ticket;
use towpath_traffic::retry::{self, Attempt, Body, Verdict};
use towpath_traffic::route::{Miss, RequestView};

use super::download::{Download, Failure, Received};
use super::heads::{self, Outgoing};
use super::pump::{Stop, write_all};
use super::tunnel::Tunnel;
use super::upload::{Progress, Upload};
use super::{After, Facts, Session, Tally, Workspace};
use crate::buffer::Buffer;
use crate::error::{Reason, Side};
use crate::plan::{Action, Endpoint, Listener, Rewrite, Route, Upstream};
use crate::upstream::{Http1, reason_of};
use crate::worker::Worker;

/// A request as it goes through: what is known, what is left of the body, when it began.
pub(super) struct Request<'a> {
    pub(super) facts: Facts,
    pub(super) plan: &'a Listener,
    /// Bytes of the head at the start of the input.
    pub(super) held: usize,
    pub(super) started: Instant,
    pub(super) body_received: u64,
    pub(super) body_complete: bool,
    /// Whether another request may follow, as far as is known.
    pub(super) keep_alive: bool,
}

impl Session<'_> {
    /// Reads a request and answers it.
    pub(super) async fn exchange(&mut self, plan: &Listener, work: &mut Workspace) -> After {
        let held = match self.read_head(&mut work.requests, plan.settings.header_timeout).await {
            Ok(Some(held)) => held,
            Ok(None) => return After::Close(CloseReason::Client),
            Err((reason, answers)) => return Box::pin(self.refuse_head(reason, answers, work)).await,
        };
        let facts = Facts::of(work.requests.head(), self.worker.wants_log());
        let mut request = Request {
            facts,
            plan,
            held,
            started: self.clock.now(),
            body_received: 0,
            body_complete: facts.framing == Framing::None,
            keep_alive: facts.keep_alive && !self.worker.is_closing(),
        };
        let mut tally = Tally::default();
        let after = match self.resolve(&request, work, &mut tally) {
            Ok(index) => self.answer(&mut request, index, work, &mut tally).await,
            Err(reason) => Err(reason),
        };
        let after = match after {
            Ok(after) => after,
            Err(reason) => Box::pin(self.refuse(&mut request, reason, work, &mut tally)).await,
        };
        self.account(&request, &tally);
        self.leave_message(&request, work, after)
    }

    /// Takes the message out of the input, so that the next one begins it, if there can be a next one.
    fn leave_message(&mut self, request: &Request<'_>, work: &mut Workspace, after: After) -> After {
        if let (After::KeepAlive, Some(input)) = (&after, &mut self.input) {
            // A request without a body still has its end to be told.
            if request.facts.framing == Framing::None {
                let _ = work.requests.handle_input(b"");
            }
            input.consume(request.held);
        }
        match after {
            After::KeepAlive if !request.body_complete || !work.requests.is_between_messages() => {
                After::Linger
            }
            after => after,
        }
    }

    /// Finds the route. The canonical path is left in `work.path`.
    fn resolve(
        &self,
        request: &Request<'_>,
        work: &mut Workspace,
        tally: &mut Tally<'_>,
    ) -> Result<usize, Reason> {
        let head = work.requests.head();
        let block = self.input.as_ref().map_or(&[][..], Buffer::unread);
        if head.method == Method::Connect {
            return Err(Reason::ConnectRefusedMethod);
        }
        let is_encoded = canonical_path(head, block, &mut work.path)?;
        let router = &request.plan.router;
        let found = with_view(head, block, &work.path, |view| {
            router.table.find(view).ok_or_else(|| match router.table.miss(view) {
                Miss::NoRoute => Reason::NoRoute,
                Miss::Method { .. } => Reason::MethodNotAllowed,
            })
        });
        let index = found?;
        tally.route = Some(index);
        let route = router.routes.get(index).ok_or(Reason::Internal)?;
        if is_encoded && !route.encoded_path {
            return Err(Reason::BadPath);
        }
        self.clock.cap(route.timeout.map(|timeout| request.started + timeout));
        Ok(index)
    }

    async fn answer<'p>(
        &mut self,
        request: &mut Request<'p>,
        index: usize,
        work: &mut Workspace,
        tally: &mut Tally<'p>,
    ) -> Result<After, Reason> {
        let route = &*request.plan.router.routes[index];
        let upstream = match &route.action {
            Action::Upstream(upstream) => upstream,
            Action::Split(split) => split.pick(self.worker.index()).ok_or(Reason::NoHealthyEndpoint)?,
            _ => return Box::pin(self.answer_locally(request, route, index, work, tally)).await,
        };
        if let Some(rewrite) = &route.rewrite {
            apply_rewrite(rewrite, request.plan, index, &mut work.path)?;
        }
        self.proxy(request, route, upstream, work, tally).await
    }

    /// Sends the request to an endpoint and its response to the client, trying again where that is safe.
    async fn proxy<'p>(
        &mut self,
        request: &mut Request<'p>,
        route: &'p Route,
        upstream: &'p Upstream,
        work: &mut Workspace,
        tally: &mut Tally<'p>,
    ) -> Result<After, Reason> {
        tally.upstream = Some(upstream);
        let body_max = route.body_bytes_max.or(request.plan.settings.body_bytes_max);
        self.take_arrived_body(request, body_max, work)?;
        let counters = upstream.counters.get(self.worker.index());
        self.worker.earn_retry();
        let mut history = History::default();
        loop {
            counters.requests.increment();
            let charge = Charge::pick(self.worker, upstream, history.failed)?;
            tally.endpoint = Some(charge.endpoint());
            let attempt = self.attempt(request, route, &charge, &mut history, work, tally).await;
            let (failure, outcome) = match attempt {
                Ok(Tried::Answered(after, latency)) => {
                    charge.end(latency, tally.status < 500);
                    counters.latency.record(latency);
                    return Ok(after);
                }
                Ok(Tried::Status(status)) => (retry::Failure::Status(status), Reason::Internal),
                Err(Failure::Within(reason)) => {
                    // RFC 9112 §6.3: closing is how such a response ends, so a plain close would say it is whole.
                    if tally.ends_by_close {
                        self.writer.reset_on_drop();
                    }
                    charge.fail(self.worker, reason);
                    tally.reason = Some(reason);
                    return Ok(After::Close(close_reason(reason)));
                }
                // Only what the origin did can go better another time; a client that left is not to be spoken for.
                Err(Failure::Before(reason)) if reason.side() != Side::Upstream => return Err(reason),
                Err(Failure::Before(reason)) => (history.failure(reason), reason),
            };
            charge.fail(self.worker, outcome);
            work.response.clear();
            match history.decide(request, route, failure, self.worker) {
                Again::Stale => counters.stale_retries.increment(),
                Again::Other => {}
                Again::No { is_refused } => {
                    counters.retries_refused.add(u64::from(is_refused));
                    return Err(outcome);
                }
            }
            counters.retries.increment();
        }
    }

    /// What has arrived of the body goes along with the head, and can be sent again.
    pub(super) fn take_arrived_body(
        &mut self,
        request: &mut Request<'_>,
        body_max: Option<u64>,
        work: &mut Workspace,
    ) -> Result<(), Reason> {
        work.body.clear();
        if request.body_complete {
            return Ok(());
        }
        if let (Framing::Length(length), Some(max)) = (request.facts.framing, body_max)
            && length > max
        {
            return Err(Reason::BodyTooLarge);
        }
        let mut upload = Upload {
            decoder: &mut work.requests,
            framing: request.facts.framing,
            input: &mut self.input,
            held: request.held,
            body_max,
            received: request.body_received,
            is_complete: false,
            expects_continue: false,
        };
        upload.take_arrived(&mut work.body)?;
        (request.body_received, request.body_complete) = (upload.received, upload.is_complete);
        Ok(())
    }

    /// One attempt at one endpoint.
    async fn attempt(
        &mut self,
        request: &mut Request<'_>,
        route: &Route,
        charge: &Charge<'_, '_>,
        history: &mut History,
        work: &mut Workspace,
        tally: &mut Tally<'_>,
    ) -> Result<Tried, Failure> {
        history.begin(charge.index);
        let mut lease = match self.idle_lease(request, charge, history) {
            Some(lease) => lease,
            None => Box::pin(self.wait_for_lease(charge, history)).await.map_err(Failure::Before)?,
        };
        history.reused = lease.is_reused();
        self.encode_request(request, route, charge.endpoint(), work);
        work.responses.expect(request.facts.method);
        work.response.clear();
        if request.body_complete {
            self.worker.buffers.settle(&mut self.input);
        }

        let block = self.input.as_ref().map_or(&[][..], Buffer::unread);
        let token = request.facts.upgrade.and_then(|token| listed_upgrade(route, token.of(block)));
        let token: Option<Box<[u8]>> = token.map(Into::into);
        let progress = Cell::new(if request.body_complete { Progress::Sent } else { Progress::Sending });
        let worker = self.worker;
        let date = worker.date();
        let write_idle = request.plan.settings.write_idle_timeout;
        let mut from_origin = None;
        history.sent = work.request.len() + work.body.len();
        let seen = history.attempt(request);
        let may_retry_status = |status: u16| wants_status_retry(&seen, route, status) && worker.may_retry();
        let mut upload = Upload {
            decoder: &mut work.requests,
            framing: request.facts.framing,
            input: &mut self.input,
            held: request.held,
            body_max: route.body_bytes_max.or(request.plan.settings.body_bytes_max),
            received: request.body_received,
            is_complete: request.body_complete,
            expects_continue: request.facts.expects_continue,
        };
        let is_closing = || worker.is_closing();
        let mut download = Download {
            decoder: &mut work.responses,
            input: &mut from_origin,
            out: &mut work.response,
            facts: &request.facts,
            route,
            write_idle,
            clock: &self.clock,
            buffers: &worker.buffers,
            progress: &progress,
            date: &date,
            keep_alive: request.keep_alive,
            is_closing: &is_closing,
            upgrade: token.as_deref(),
            may_retry_status: &may_retry_status,
            status: 0,
            framing: Framing::None,
            head_at: None,
            origin_keep_alive: None,
            forwarded: false,
            bytes_out: 0,
            bytes_read: 0,
        };
        let connection = &mut *lease;
        let (mut origin_reader, mut origin_writer) = connection.stream.split();
        let sent = {
            self.clock.arm(route.response_header_timeout);
            let parts = [&work.request[..], &work.body, &[]];
            write_all(&mut origin_writer, parts, write_idle, &self.clock).await
        };
        let outcome = match sent {
            Err(Stop::Expired) => Err(Failure::Before(Reason::UpstreamTimeout)),
            // The origin may have answered before it closed, for example with 413: the response side finds out.
            Err(Stop::Io) if history.reused => Err(Failure::Before(Reason::UpstreamResetBeforeResponse)),
            Err(Stop::Io) | Ok(()) => {
                if sent.is_err() {
                    progress.set(Progress::Broken);
                }
                let mut respond = pin!(download.run(&mut origin_reader, &mut self.writer));
                if upload.is_complete {
                    let reader = &mut self.reader;
                    // The client is watched while the origin is waited for, and asked nothing else.
                    poll_fn(|cx| match respond.as_mut().poll(cx) {
                        Poll::Pending => {
                            reader.poll_gone(cx).map(|()| Err(Failure::Before(Reason::ClientGone)))
                        }
                        outcome => outcome,
                    })
                    .await
                } else {
                    let context = (&request.plan.settings, &worker.buffers, &self.clock);
                    let feed = (&progress, route.response_header_timeout);
                    let send = upload.run(&mut self.reader, &mut origin_writer, context, feed);
                    let mut send = Box::pin(send);
                    poll_fn(|cx| match respond.as_mut().poll(cx) {
                        Poll::Pending => send.as_mut().poll(cx).map(|reason| Err(Failure::Before(reason))),
                        outcome => outcome,
                    })
                    .await
                }
            }
        };
        history.response_bytes = download.bytes_read;
        history.streamed = upload.received > request.body_received;
        (request.body_received, request.body_complete) = (upload.received, upload.is_complete);
        tally.status = download.status;
        tally.bytes_out = download.bytes_out;
        tally.ends_by_close = download.framing == Framing::Close;
        let (head_at, keep_alive) = (download.head_at, download.keep_alive);
        let has_begun = download.status != 0 && download.forwarded;
        connection.keep_alive = download.origin_keep_alive;
        let latency = head_at.map_or(0, |at| (at - request.started).as_micros() as u64);

        let outcome = match outcome {
            // The client's side may have failed when the client had seen a part of the response.
            Err(Failure::Before(reason)) if has_begun => Err(Failure::Within(reason)),
            Err(failure) => Err(failure),
            Ok(Received::Whole { reusable }) => {
                if reusable {
                    lease.mark_clean(self.clock.now());
                }
                drop(lease);
                self.finish_response(request, keep_alive, work)
                    .await
                    .map(|after| Tried::Answered(after, latency))
            }
            Ok(Received::Retryable(status)) => Ok(Tried::Status(status)),
            Ok(Received::Upgraded) => {
                let upgrade = self.upgrade(request, route, lease, from_origin.take(), work);
                Box::pin(upgrade).await.map(|after| Tried::Answered(after, latency))
            }
        };
        from_origin.into_iter().for_each(|buffer| worker.buffers.give(buffer));
        outcome
    }

    /// An idle connection to the endpoint.
    fn idle_lease(
        &self,
        request: &Request<'_>,
        charge: &Charge<'_, '_>,
        history: &History,
    ) -> Option<Lease<Http1>> {
        if history.stale_retry_used {
            return None;
        }
        let mut lease = charge.endpoint().pool.try_get(self.worker.index(), self.clock.now())?;
        // A request that may not be sent twice is worth one look at the connection (P12).
        if request.facts.method.is_idempotent() || !lease.is_dead() {
            return Some(lease);
        }
        lease.discard();
        None
    }

    /// A connection to the endpoint, dialled or waited for.
    async fn wait_for_lease(
        &mut self,
        charge: &Charge<'_, '_>,
        history: &History,
    ) -> Result<Lease<Http1>, Reason> {
        let (pool, index) = (&charge.endpoint().pool, self.worker.index());
        let now = self.clock.now();
        let deadline = self.clock.deadline();
        let is_fresh = history.stale_retry_used;
        let mut get = pin!(async {
            if is_fresh {
                pool.get_fresh(index, now, deadline).await
            } else {
                pool.get(index, now, deadline).await
            }
        });
        let reader = &mut self.reader;
        let got = poll_fn(|cx| match get.as_mut().poll(cx) {
            Poll::Ready(got) => Poll::Ready(Ok(got)),
            // Nobody waits for an answer any more: the place in line is the next one's (T45).
            Poll::Pending => reader.poll_gone(cx).map(|()| Err(Reason::ClientGone)),
        });
        let got = got.await;
        self.clock.look();
        let got = got?;
        got.map_err(|error| match reason_of(&error) {
            Reason::PoolTimeout if self.clock.is_over() => Reason::RequestTimeout,
            reason => reason,
        })
    }

    fn encode_request(
        &self,
        request: &Request<'_>,
        route: &Route,
        endpoint: &Endpoint,
        work: &mut Workspace,
    ) {
        let block = self.input.as_ref().map_or(&[][..], Buffer::unread);
        let upgrade = request.facts.upgrade.and_then(|token| listed_upgrade(route, token.of(block)));
        let outgoing = Outgoing {
            head: work.requests.head(),
            block,
            path: &work.path,
            route,
            endpoint: endpoint.name.as_bytes(),
            client: &self.client,
            forwarded: request.plan.settings.forwarded,
            underscores: request.plan.settings.underscore_headers,
            upgrade,
        };
        work.request.clear();
        let dropped = heads::encode_request(&outgoing, &mut work.request);
        if dropped > 0 {
            self.worker.counters().underscore_headers.add(dropped);
        }
    }

    /// Writes the last bytes of a response.
    async fn finish_response(
        &mut self,
        request: &Request<'_>,
        keep_alive: bool,
        work: &mut Workspace,
    ) -> Result<After, Failure> {
        let write_idle = request.plan.settings.write_idle_timeout;
        match write_all(&mut self.writer, [&work.response, &[], &[]], write_idle, &self.clock).await {
            Ok(()) if keep_alive => Ok(After::KeepAlive),
            Ok(()) if request.body_complete => Ok(After::Close(CloseReason::Finished)),
            Ok(()) => Ok(After::Linger),
            Err(Stop::Expired) => Err(Failure::Within(Reason::ClientWriteTimeout)),
            Err(Stop::Io) => Err(Failure::Within(Reason::ClientGone)),
        }
    }

    /// The origin switched: what it sent behind its 101 and what the client sent behind its request go through first.
    async fn upgrade(
        &mut self,
        request: &Request<'_>,
        route: &Route,
        lease: Lease<Http1>,
        from_origin: Option<Buffer>,
        work: &mut Workspace,
    ) -> Result<After, Failure> {
        let early = from_origin.as_ref().map_or(&[][..], Buffer::unread);
        let write_idle = request.plan.settings.write_idle_timeout;
        let written =
            write_all(&mut self.writer, [&work.response, early, &[]], write_idle, &self.clock).await;
        from_origin.into_iter().for_each(|buffer| self.worker.buffers.give(buffer));
        written.map_err(|_| Failure::Within(Reason::ClientGone))?;
        let from_client = self.input.as_ref().map_or(&[][..], |input| input.behind(request.held)).to_vec();
        let origin = lease.detach().stream;
        Ok(After::Tunnel(Box::new(Tunnel { origin, from_client, idle: route.tunnel_idle_timeout })))
    }
}

/// How an attempt went that did not fail.
enum Tried {
    /// The client has its answer; the head came after so many microseconds.
    Answered(After, u64),
    /// The origin answered with a status that the route tries again.
    Status(u16),
}

/// What the attempts so far have shown.
#[derive(Default)]
struct History {
    attempts: u32,
    stale_retry_used: bool,
    reused: bool,
    sent: usize,
    response_bytes: u64,
    streamed: bool,
    /// The endpoint of the attempt under way, avoided by the next.
    current: Option<usize>,
    failed: Option<usize>,
}

enum Again {
    /// Once more on a fresh connection to the same endpoint.
    Stale,
    /// Once more, at another endpoint if there is one.
    Other,
    /// The failure is the answer; the budget may have made it so.
    No { is_refused: bool },
}

impl History {
    fn begin(&mut self, endpoint: usize) {
        self.attempts += 1;
        (self.reused, self.sent, self.response_bytes) = (false, 0, 0);
        self.current = Some(endpoint);
    }

    fn failure(&self, reason: Reason) -> retry::Failure {
        match reason {
            Reason::ConnectRefused | Reason::ConnectTimeout | Reason::ConnectFailed => {
                retry::Failure::Connect
            }
            Reason::UpstreamTimeout => retry::Failure::Timeout,
            _ => retry::Failure::Closed,
        }
    }

    fn attempt(&self, request: &Request<'_>) -> Attempt {
        Attempt {
            idempotent: request.facts.method.is_idempotent(),
            body: match (request.facts.framing, self.streamed, request.body_complete) {
                (Framing::None, ..) => Body::Empty,
                (_, true, _) => Body::Streamed,
                (_, false, true) => Body::Buffered,
                (_, false, false) => Body::Untouched,
            },
            reused: self.reused,
            request_bytes: self.sent as u64,
            response_bytes: self.response_bytes,
            unprocessed: false,
            response_forwarded: false,
            attempts: self.attempts,
            stale_retry_used: self.stale_retry_used,
        }
    }

    fn decide(
        &mut self,
        request: &Request<'_>,
        route: &Route,
        failure: retry::Failure,
        worker: &Worker,
    ) -> Again {
        match retry::decide(&self.attempt(request), failure, route.retry.as_ref()) {
            Verdict::RetryStale => {
                self.stale_retry_used = true;
                // It does not count: nothing says that an origin has seen the request.
                self.attempts -= 1;
                Again::Stale
            }
            // A status was only held back after the budget had agreed.
            Verdict::Retry if matches!(failure, retry::Failure::Status(_)) || worker.may_retry() => {
                self.failed = self.current;
                Again::Other
            }
            Verdict::Retry => Again::No { is_refused: true },
            Verdict::Stop(_) => Again::No { is_refused: false },
        }
    }
}

/// Whether a response may be held back because the request can be made again. A body that is still coming may be gone
/// in part when the status comes, so that only a whole one counts.
fn wants_status_retry(seen: &Attempt, route: &Route, status: u16) -> bool {
    let lists = route.retry.as_ref().is_some_and(|rules| rules.on.lists_status());
    let is_whole = matches!(seen.body, Body::Empty | Body::Buffered);
    let failure = retry::Failure::Status(status);
    lists && is_whole && matches!(retry::decide(seen, failure, route.retry.as_ref()), Verdict::Retry)
}

/// A request's place in the load of an endpoint. Dropped on any way out, it is taken off again (T45).
struct Charge<'w, 'a> {
    worker: &'w Worker,
    upstream: &'a Upstream,
    index: usize,
    ticket: Option<Ticket>,
}

impl<'w, 'a> Charge<'w, 'a> {
    fn pick(worker: &'w Worker, upstream: &'a Upstream, avoid: Option<usize>) -> Result<Self, Reason> {
        let usable =
            |index: usize| upstream.endpoints.get(index).is_some_and(|endpoint| endpoint.is_usable());
        let mut balancer = upstream.balancer(worker.index());
        let index = balancer.pick(worker.now_us(), usable, avoid).ok_or(Reason::NoHealthyEndpoint)?;
        let ticket = Some(balancer.begin(index));
        drop(balancer);
        upstream.counters.get(worker.index()).requests_active.increment();
        Ok(Self { worker, upstream, index, ticket })
    }

    fn endpoint(&self) -> &'a Endpoint {
        &self.upstream.endpoints[self.index]
    }

    fn end(mut self, latency_us: u64, ok: bool) {
        if let Some(ticket) = self.ticket.take() {
            let (index, now_us) = (self.worker.index(), self.worker.now_us());
            self.upstream.balancer(index).end(ticket, now_us, latency_us, ok);
        }
    }

    /// An attempt failed; only what the origin did counts against it.
    fn fail(mut self, worker: &Worker, reason: Reason) {
        if reason.side() == Side::Upstream
            && let Some(ticket) = self.ticket.take()
        {
            self.upstream.balancer(worker.index()).end(ticket, worker.now_us(), 0, false);
        }
    }
}

impl Drop for Charge<'_, '_> {
    fn drop(&mut self) {
        self.upstream.counters.get(self.worker.index()).requests_active.decrement();
        if let Some(ticket) = self.ticket.take() {
            self.upstream.balancer(self.worker.index()).cancel(ticket);
        }
    }
}

/// Asks `ask` about the request as routes see it. One place, so that the route and the `Allow` of a 405 cannot differ.
pub(super) fn with_view<T>(
    head: &RequestHead,
    block: &[u8],
    path: &[u8],
    ask: impl FnOnce(&RequestView<'_>) -> T,
) -> T {
    ask(&RequestView {
        host: head.authority.map_or(&[][..], |span| span.of(block)),
        path,
        query: head.query.map(|span| span.of(block)),
        method: head.method.of_block(block),
        header: &|name| head.fields.find_name(name, block),
    })
}

/// The first token of an `Upgrade` value that the route lists (T06).
fn listed_upgrade<'v>(route: &Route, value: &'v [u8]) -> Option<&'v [u8]> {
    field::list_elements(value)
        .find(|token| route.upgrades.iter().any(|listed| listed.eq_ignore_ascii_case(token)))
}

/// Writes the canonical path into `out`. True when it holds encoded separators, which only some routes take (T40).
fn canonical_path(head: &RequestHead, block: &[u8], out: &mut Vec<u8>) -> Result<bool, Reason> {
    let raw = head.path.of(block);
    out.clear();
    if head.path_is_canonical {
        out.extend_from_slice(raw);
        return Ok(false);
    }
    if path::canonicalize(raw, false, out).is_ok() {
        return Ok(false);
    }
    out.clear();
    path::canonicalize(raw, true, out).map(|()| true).map_err(|_| Reason::BadPath)
}

/// Changes the canonical path for the origin; the result is canonical again.
fn apply_rewrite(rewrite: &Rewrite, plan: &Listener, index: usize, path: &mut Vec<u8>) -> Result<(), Reason> {
    let mut rewritten = Vec::with_capacity(path.len());
    rewrite.apply(path, &plan.router.table.captures(index, path), &mut rewritten);
    path.clear();
    path::canonicalize(&rewritten, true, path).map_err(|_| Reason::BadPath)
}

fn close_reason(reason: Reason) -> CloseReason {
    match reason {
        Reason::ClientGone => CloseReason::Reset,
        Reason::ClientWriteTimeout | Reason::BodyTimeout | Reason::RequestTimeout => CloseReason::Timeout,
        _ => CloseReason::Error,
    }
}
