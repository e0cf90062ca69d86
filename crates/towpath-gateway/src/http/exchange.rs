//! A request and its answer, as far as they have come.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use towpath_proto::authority::host_of;
use towpath_proto::message::{Framing, Method, RequestHead, Version};
use towpath_proto::{field, path};
use towpath_telemetry::metrics::CloseReason;
use towpath_traffic::retry::{self, Body, Verdict};
use towpath_traffic::route::{Miss, RequestView};

use super::attempt::Attempt;
use super::decoding::Decoding;
use super::grpc_web::WebCall;
use super::pump::Clock;
use super::upload::{encode_data, take_arrived};
use super::{After, Busy, Facts, Session, Workspace, grpc};
use crate::charge::{Charge, Destination};
use crate::coding::Intake;
use crate::error::Reason;
use crate::http2::Origin;
use crate::plan::{Action, Listener, Rewrite, Route, Upstream};
use crate::tls::Secured;
use crate::websocket::opening;
use crate::worker::{LocalPlan, Worker};
use towpath::ctx::wire;
use towpath_net::buffer::Buffer;

/// A request from its head to the end of its answer.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(super) request: Request,
    pub(super) tally: Tally,
    pub(super) history: History,
    /// The endpoint of the attempt under way.
    pub(super) charge: Option<Charge<Routed>>,
    pub(super) attempt: Option<Attempt>,
}

impl Exchange {
    /// Whether the request can be made of a connection now: what an origin takes beside plain requests, it has yet to say
    /// on a new one.
    pub(super) fn may_use(&self, origin: &Origin) -> bool {
        self.request.facts.upgrade.is_none() || origin.has_settings()
    }
}

/// A request as it goes through: what is known, what is left of the body, when it began.
#[derive(Debug)]
pub(crate) struct Request {
    pub(super) facts: Facts,
    pub(super) plan: LocalPlan,
    /// Position in the listener's router, once it is found.
    pub(super) route: usize,
    /// Position of the upstream among those of the route.
    pub(super) share: usize,
    /// Bytes of the head at the start of the input.
    pub(super) held: usize,
    pub(super) started: Instant,
    /// When the whole request has to be over.
    pub(super) cap: Option<Instant>,
    pub(super) body_received: u64,
    pub(super) body_complete: bool,
    /// What takes the content coding off the body, on a route that decompresses.
    pub(super) decoding: Option<Box<Decoding>>,
    /// The call of gRPC-Web that it makes, on a route that translates them.
    pub(super) web: Option<WebCall>,
    /// Trailers for an origin that speaks HTTP/2, as lines.
    pub(super) trailers: Vec<u8>,
    /// Whether another request may follow, as far as is known.
    pub(super) keep_alive: bool,
    /// Its client has left, and it goes on to its end.
    pub(super) is_alone: bool,
}

/// What a request may still take that its client has left, on a route without a time of its own.
const ALONE_TIME: Duration = Duration::from_secs(60);

impl Request {
    pub(super) fn new(facts: Facts, plan: LocalPlan, held: usize, started: Instant) -> Self {
        let (body_complete, keep_alive) = (facts.framing == Framing::None, facts.keep_alive);
        Self {
            facts,
            plan,
            route: 0,
            share: 0,
            held,
            started,
            cap: None,
            body_received: 0,
            body_complete,
            decoding: None,
            web: None,
            trailers: Vec::new(),
            keep_alive,
            is_alone: false,
        }
    }

    /// Whether the end of its client is none of its own. An upgrade has nobody to be for, and a body nobody to come from.
    pub(super) fn outlives_client(&self) -> bool {
        let route = self.plan.router.routes.get(self.route);
        route.is_some_and(|route| route.outlives_client) && self.body_complete && self.facts.upgrade.is_none()
    }

    /// Goes on without the client, if it outlives that.
    pub(super) fn goes_on_alone(&mut self, clock: &Clock<'_>) -> bool {
        if !self.outlives_client() {
            return false;
        }
        if self.cap.is_none() {
            self.cap = Some(clock.now() + ALONE_TIME);
            clock.cap(self.cap);
        }
        (self.is_alone, self.keep_alive) = (true, false);
        true
    }

    /// Whether the origin speaks HTTP/2.
    pub(super) fn is_for_http2(&self) -> bool {
        self.upstream().is_some_and(|upstream| upstream.settings.http2)
    }

    /// How long a gRPC call may still take, if that has a bound.
    pub(super) fn grpc_timeout(&self, now: Instant) -> Option<Duration> {
        Some(self.cap.filter(|_| self.facts.is_grpc)?.saturating_duration_since(now))
    }

    /// Writes a piece of the body behind `out`, as its origin gets it.
    pub(super) fn hand_on(&mut self, is_chunked: bool, data: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
        if let Some(web) = &mut self.web {
            return web.take(data, out);
        }
        encode_data(is_chunked, data, out);
        Ok(())
    }

    /// The whole body has come.
    pub(super) fn complete_body(&mut self) -> Result<(), Reason> {
        self.body_complete = true;
        self.web.map_or(Ok(()), |web| web.finish())
    }

    /// What becomes of the body.
    pub(super) fn intake(&self) -> Intake {
        self.decoding.as_ref().map_or(Intake::AsIs, |decoding| decoding.intake())
    }

    /// Whether more of the body has arrived than was taken.
    pub(super) fn has_due_body(&self) -> bool {
        self.decoding.as_ref().is_some_and(|decoding| decoding.is_due())
    }

    pub(super) fn upstream(&self) -> Option<&Upstream> {
        let route = self.plan.router.routes.get(self.route)?;
        route.action.upstream(self.share).map(|upstream| &**upstream)
    }

    /// Where it goes, for as long as it is charged for. It must have an upstream.
    fn routed(&self) -> Routed {
        Routed { plan: Rc::clone(&self.plan), route: self.route, share: self.share }
    }

    /// What follows an answer behind which no other request is wanted.
    pub(super) fn after_close(&self) -> After {
        if self.body_complete { After::Close(CloseReason::Finished) } else { After::Linger }
    }
}

/// The upstream of a request by its place in the plan, since a count of its own would be one that all workers touch.
#[derive(Debug)]
pub(crate) struct Routed {
    plan: LocalPlan,
    route: usize,
    share: usize,
}

impl Destination for Routed {
    fn upstream(&self) -> &Upstream {
        let action = &self.plan.router.routes[self.route].action;
        action.upstream(self.share).expect("the plan does not change, and it was there to be charged")
    }
}

/// What an exchange leaves behind for the log and the counters.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Position in the listener's router, if a route was found.
    pub(super) route: Option<usize>,
    /// Position of the endpoint, if one was chosen.
    pub(super) endpoint: Option<usize>,
    pub(super) status: u16,
    pub(super) reason: Option<Reason>,
    pub(super) bytes_out: u64,
    /// When the head of the origin's answer came.
    pub(super) head_at: Option<Instant>,
    /// The response to the client has no other end than that of the connection.
    pub(super) ends_by_close: bool,
}

impl Session<'_> {
    /// A whole head of `held` bytes is in the input: notes what it says and finds its route. The canonical path is
    /// left in the workspace.
    pub(super) fn begin(&mut self, held: usize, busy: &mut Busy) -> Result<(), Reason> {
        let Busy { work, exchange } = busy;
        let (head, block) = (work.requests.head(), work.input.as_ref().map_or(&[][..], Buffer::unread));
        let facts = Facts::of(head, block, self.worker.wants_log());
        let mut request = Request::new(facts, self.listener.plan(), held, self.clock.now());
        request.keep_alive &= !self.worker.is_closing(&request.plan);
        let exchange = exchange.insert(Exchange {
            request,
            tally: Tally::default(),
            history: History::default(),
            charge: None,
            attempt: None,
        });
        let secured = self.client.secured();
        let index = resolve(&exchange.request, secured, work, &mut exchange.tally)?;
        let request = &mut exchange.request;
        request.route = index;
        let route = &request.plan.router.routes[index];
        let (head, block) = (work.requests.head(), work.input.as_ref().map_or(&[][..], Buffer::unread));
        if route.grpc_web && route.action.is_http2() {
            request.web = request.facts.web_answer.map(|answer| WebCall::new(head, block, answer));
        }
        let grpc_timeout = if request.facts.is_grpc { grpc::timeout_of(head, block) } else { None };
        // It is over before a word of it could reach an origin, and nobody is dialled for it (A7).
        if grpc_timeout.is_some_and(|timeout| timeout < wire::Limits::default().hop_margin) {
            return Err(Reason::RequestTimeout);
        }
        let timeout = [route.timeout, grpc_timeout].into_iter().flatten().min();
        if timeout.is_some() {
            request.cap = timeout.map(|timeout| request.started + timeout);
            self.clock.cap(request.cap);
        }
        Ok(())
    }

    /// Makes a request ready to go to an upstream: which one, with which path, and what has arrived of the body, which
    /// goes along with the head and can be sent again.
    pub(super) fn aim(&mut self, exchange: &mut Exchange, work: &mut Workspace) -> Result<(), Reason> {
        let Exchange { request, .. } = exchange;
        let plan = Rc::clone(&request.plan);
        let route = &*plan.router.routes[request.route];
        if let Action::Split(split) = &route.action {
            request.share = split.pick(self.worker.index()).ok_or(Reason::NoHealthyEndpoint)?;
        }
        if let Some(rewrite) = &route.rewrite {
            apply_rewrite(rewrite, &plan, request.route, &mut work.path)?;
        }
        let body_max = route.body_bytes_max.or(plan.settings.body_bytes_max);
        negotiate(request, route, body_max, work)?;
        take_arrived_body(request, body_max, work)?;
        self.worker.earn_retry();
        Ok(())
    }

    /// Chooses an endpoint for the next attempt.
    pub(super) fn charge(&mut self, exchange: &mut Exchange) -> Result<(), Reason> {
        let Exchange { request, history, tally, charge, .. } = exchange;
        let upstream = request.upstream().ok_or(Reason::NoHealthyEndpoint)?;
        upstream.counters.get(self.worker.index()).requests.increment();
        let picked = Charge::pick(request.routed(), self.worker, |_| true, history.failed);
        let picked = picked.ok_or(Reason::NoHealthyEndpoint)?;
        tally.endpoint = Some(picked.index());
        history.begin(picked.index());
        *charge = Some(picked);
        Ok(())
    }

    /// The origin has answered.
    pub(super) fn settle_charge(&mut self, exchange: &mut Exchange) {
        let Exchange { request, tally, charge, .. } = exchange;
        let latency = tally.head_at.map_or(0, |at| (at - request.started).as_micros() as u64);
        if let Some(mut charge) = charge.take() {
            charge.end(self.worker.now_us(), latency, tally.status < 500);
        }
        if let Some(upstream) = request.upstream() {
            upstream.counters.get(self.worker.index()).latency.record(latency);
        }
    }

    /// The exchange is over: it is written down, and the message taken out of the input, so that the next one begins
    /// it, if there can be a next one.
    pub(super) fn conclude(&mut self, busy: &mut Busy, after: After) -> After {
        let Busy { work, exchange } = busy;
        let Some(exchange) = exchange else { return after };
        self.account(&exchange.request, &exchange.tally, work);
        let request = &exchange.request;
        let is_complete = request.body_complete;
        if let (After::KeepAlive, Some(input)) = (&after, &mut work.input) {
            // A request without a body still has its end to be told.
            if request.facts.framing == Framing::None {
                let _ = work.requests.handle_input(b"");
            }
            input.consume(request.held);
        }
        busy.exchange = None;
        match after {
            After::KeepAlive if !is_complete || !busy.work.requests.is_between_messages() => After::Linger,
            after => after,
        }
    }
}

/// Finds the route.
fn resolve(
    request: &Request,
    secured: Option<&Secured>,
    work: &mut Workspace,
    tally: &mut Tally,
) -> Result<usize, Reason> {
    let head = work.requests.head();
    let block = work.input.as_ref().map_or(&[][..], Buffer::unread);
    if head.method == Method::Connect {
        return Err(Reason::ConnectRefusedMethod);
    }
    judge_host(request, secured, head.authority.map_or(&[][..], |span| span.of(block)))?;
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
    let token = head.upgrade.and_then(|value| listed_upgrade(route, value.of(block)));
    // HTTP/1.1 may answer as if it had not been asked. An extended CONNECT has no other meaning.
    if head.version == Version::Http2 && head.upgrade.is_some() && token.is_none() {
        return Err(Reason::UpgradeRefused);
    }
    opening::admits(route, token, head, block)?;
    Ok(index)
}

/// RFC 9110 §15.5.20: a request for a host whose TLS policy is not the connection's is misdirected, so that nothing that
/// was proved to one host opens another (T35).
fn judge_host(request: &Request, secured: Option<&Secured>, authority: &[u8]) -> Result<(), Reason> {
    let (Some(secured), Some(tls)) = (secured, &request.plan.tls) else { return Ok(()) };
    // The usual listener has one policy, and its connections were let in by it.
    if matches!(&*tls.policies, [only] if Arc::ptr_eq(only, &secured.policy)) {
        return Ok(());
    }
    let host = String::from_utf8_lossy(host_of(authority)).to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    if tls.admits(host, &secured.admission) { Ok(()) } else { Err(Reason::MisdirectedRequest) }
}

/// Notes which codings the client takes and what it has coded itself, where the route asks for that.
fn negotiate(
    request: &mut Request,
    route: &Route,
    body_max: Option<u64>,
    work: &Workspace,
) -> Result<(), Reason> {
    let (head, block) = (work.requests.head(), work.input.as_ref().map_or(&[][..], Buffer::unread));
    if route.compress.is_some() {
        request.facts.accepted = towpath_proto::coding::Accepted::of(&head.fields, block);
    }
    if let Some(limits) = &route.decompress_request {
        request.decoding = Decoding::of(limits, body_max, head, block)?;
    }
    Ok(())
}

/// Takes what has arrived of the body.
pub(super) fn take_arrived_body(
    request: &mut Request,
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
    take_arrived(request, &mut work.requests, &mut work.input, body_max, &mut work.body)
}

/// What the attempts so far have shown.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(super) attempts: u32,
    pub(super) stale_retry_used: bool,
    pub(super) reused: bool,
    pub(super) sent: usize,
    pub(super) response_bytes: u64,
    pub(super) streamed: bool,
    /// The origin has said that it did not look at the request.
    pub(super) unprocessed: bool,
    /// The endpoint of the attempt under way, avoided by the next.
    current: Option<usize>,
    failed: Option<usize>,
}

pub(super) enum Again {
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
        (self.reused, self.unprocessed, self.sent, self.response_bytes) = (false, false, 0, 0);
        self.current = Some(endpoint);
    }

    pub(super) fn failure(&self, reason: Reason) -> retry::Failure {
        match reason {
            Reason::ConnectRefused
            | Reason::ConnectTimeout
            | Reason::ConnectFailed
            | Reason::UpstreamTlsFailed => retry::Failure::Connect,
            Reason::UpstreamTimeout => retry::Failure::Timeout,
            _ => retry::Failure::Closed,
        }
    }

    fn attempt(&self, request: &Request) -> retry::Attempt {
        retry::Attempt {
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
            unprocessed: self.unprocessed,
            response_forwarded: false,
            attempts: self.attempts,
            stale_retry_used: self.stale_retry_used,
        }
    }

    pub(super) fn decide(
        &mut self,
        request: &Request,
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

    /// Whether a response may be held back because the request can be made again. A body that is still coming may be
    /// gone in part when the status comes, so that only a whole one counts.
    pub(super) fn may_retry_status(
        &self,
        request: &Request,
        route: &Route,
        status: u16,
        worker: &Worker,
    ) -> bool {
        if !route.retry.as_ref().is_some_and(|rules| rules.on.lists_status()) {
            return false;
        }
        let seen = self.attempt(request);
        let is_whole = matches!(seen.body, Body::Empty | Body::Buffered);
        let failure = retry::Failure::Status(status);
        is_whole
            && matches!(retry::decide(&seen, failure, route.retry.as_ref()), Verdict::Retry)
            && worker.may_retry()
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
pub(super) fn listed_upgrade<'v>(route: &Route, value: &'v [u8]) -> Option<&'v [u8]> {
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

pub(super) fn close_reason(reason: Reason) -> CloseReason {
    match reason {
        Reason::ClientGone => CloseReason::Reset,
        Reason::ClientWriteTimeout | Reason::BodyTimeout | Reason::RequestTimeout => CloseReason::Timeout,
        _ => CloseReason::Error,
    }
}
