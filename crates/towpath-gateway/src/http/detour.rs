//! What a request needs when it does not go the direct way: the rest of a head, a connection that is dialled or waited
//! for, another attempt, an upgrade, an answer of our own.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use towpath_proto::h1::Event;
use towpath_telemetry::metrics::CloseReason;
use towpath_traffic::retry;

use super::attempt::{Post, Tried, Upgraded};
use super::direct::Detour;
use super::download::Failure;
use super::exchange::{Again, Exchange, close_reason};
use super::pump::{Stop, fill, write_all};
use super::upload::poll_left;
use super::way::Ready;
use super::{After, Busy, HEAD_BYTES_MAX, LINGER_BYTES_MAX, LINGER_TIME, Session, Switched, Workspace, grpc};
use crate::error::{Reason, Side};
use crate::http2::Origin;
use crate::plan::Action;
use crate::upstream::reason_of;
use crate::websocket::Terms;
use towpath_net::buffer::Buffer;

impl Session<'_> {
    /// Answers the request from where it left the direct way.
    pub(crate) async fn take(mut self, detour: Detour, busy: &mut Busy) -> After {
        let begun = match detour {
            Detour::Head => match self.read_head(&mut busy.work).await {
                Ok(Some(held)) => self.begin(held, busy).map(|()| None),
                Ok(None) => return After::Close(CloseReason::Client),
                Err((reason, answers)) => return self.refuse_head(reason, answers, busy).await,
            },
            Detour::BadHead(reason) => return self.refuse_head(reason, true, busy).await,
            Detour::Refuse(reason) => Err(reason),
            Detour::Local | Detour::Dial => Ok(None),
            Detour::Tried(outcome) => Ok(Some(outcome)),
        };
        let Busy { work, exchange: Some(exchange) } = busy else {
            return After::Close(CloseReason::Error);
        };
        let answered = match begun {
            Ok(tried) => self.answer(exchange, work, tried).await,
            Err(reason) => Err(reason),
        };
        let after = match answered {
            Ok(after) => after,
            Err(reason) => self.refuse(&mut exchange.request, reason, work, &mut exchange.tally).await,
        };
        self.conclude(busy, after)
    }

    async fn answer(
        &mut self,
        exchange: &mut Exchange,
        work: &mut Workspace,
        tried: Option<Result<Tried, Failure>>,
    ) -> Result<After, Reason> {
        let plan = Rc::clone(&exchange.request.plan);
        let route = &*plan.router.routes[exchange.request.route];
        if !matches!(route.action, Action::Upstream(_) | Action::Split(_)) {
            let Exchange { request, tally, .. } = exchange;
            return self.answer_locally(request, route, work, tally).await;
        }
        if exchange.charge.is_none() {
            self.aim(exchange, work)?;
        }
        self.proxy(exchange, work, tried).await
    }

    /// Sends the request to an endpoint and its response to the client, trying again where that is safe. `tried` is
    /// what an attempt already came to.
    async fn proxy(
        &mut self,
        exchange: &mut Exchange,
        work: &mut Workspace,
        mut tried: Option<Result<Tried, Failure>>,
    ) -> Result<After, Reason> {
        let plan = Rc::clone(&exchange.request.plan);
        let route = &*plan.router.routes[exchange.request.route];
        loop {
            let outcome = match tried.take() {
                Some(outcome) => outcome,
                None => self.attempt(exchange, work).await?,
            };
            let outcome = match outcome {
                Ok(Tried::Upgraded) => self.upgrade(exchange, work).await.map(Tried::Answered),
                outcome => outcome,
            };
            let (failure, reason) = match outcome {
                Ok(Tried::Answered(after)) => {
                    self.settle_charge(exchange);
                    return Ok(after);
                }
                Ok(Tried::Status(status)) => (retry::Failure::Status(status), Reason::Internal),
                Ok(Tried::Upgraded) => return Err(Reason::Internal),
                Err(Failure::Within(reason)) => return Ok(self.break_off(exchange, reason)),
                // Only what the origin did can go better another time; a client that left is not to be spoken for.
                Err(Failure::Before(reason)) if reason.side() != Side::Upstream => {
                    exchange.charge = None;
                    return Err(reason);
                }
                Err(Failure::Before(reason)) => (exchange.history.failure(reason), reason),
            };
            if let Some(charge) = exchange.charge.take() {
                charge.fail(self.worker.now_us(), reason);
            }
            work.response.clear();
            let Exchange { request, history, .. } = exchange;
            let upstream = request.upstream().ok_or(Reason::Internal)?;
            let counters = upstream.counters.get(self.worker.index());
            match history.decide(request, route, failure, self.worker) {
                Again::Stale => counters.stale_retries.increment(),
                Again::Other => {}
                Again::No { is_refused } => {
                    counters.retries_refused.add(u64::from(is_refused));
                    return Err(reason);
                }
            }
            counters.retries.increment();
        }
    }

    /// One attempt from the choice of an endpoint, unless that was made. An error is no outcome of an attempt: none
    /// could be made.
    async fn attempt(
        &mut self,
        exchange: &mut Exchange,
        work: &mut Workspace,
    ) -> Result<Result<Tried, Failure>, Reason> {
        let ready = if exchange.charge.is_some() {
            None
        } else {
            self.charge(exchange)?;
            self.find_ready(exchange)
        };
        let ready = match ready {
            Some(ready) => ready,
            None => match self.wait_until_ready(exchange, work.input.as_ref()).await {
                Ok(ready) => ready,
                Err(reason) => return Ok(Err(Failure::Before(reason))),
            },
        };
        if let Err(failure) = self.launch(ready, Post::Now, exchange, work) {
            return Ok(Err(failure));
        }
        Ok(poll_fn(|cx| self.poll_attempt(cx, exchange, work)).await)
    }

    /// A response that the client has seen a part of cannot be completed.
    fn break_off(&mut self, exchange: &mut Exchange, reason: Reason) -> After {
        // RFC 9112 §6.3: closing is how such a response ends, so a plain close would say it is whole.
        let facts = &exchange.request.facts;
        let is_told = facts.is_grpc && facts.web_answer.is_none() && self.end_call(reason);
        // A stream whose client takes no more ends in CANCEL by itself: nothing has failed (RFC 9113 §7).
        let is_cut = self.client.lane().is_some() && !is_told && reason != Reason::ClientWriteTimeout;
        if exchange.tally.ends_by_close || is_cut {
            self.client.writer().reset_on_drop();
        }
        if let Some(charge) = exchange.charge.take() {
            charge.fail(self.worker.now_us(), reason);
        }
        exchange.tally.reason = Some(reason);
        After::Close(close_reason(reason))
    }

    /// Ends the answer to a gRPC call with a status, which its client takes for what it is. False when that cannot be
    /// sent.
    fn end_call(&self, reason: Reason) -> bool {
        let trailers = format!("grpc-status: {}\r\ngrpc-message: {reason}\r\n", grpc::status_of(reason));
        self.client.end(trailers.as_bytes()).is_ok()
    }

    /// A connection to the endpoint, dialled or waited for.
    async fn wait_until_ready(
        &mut self,
        exchange: &Exchange,
        input: Option<&Buffer>,
    ) -> Result<Ready, Reason> {
        let charge = exchange.charge.as_ref().ok_or(Reason::Internal)?;
        let (pool, index) = (&charge.endpoint().pool, self.worker.index());
        let now = self.clock.now();
        let deadline = self.clock.deadline();
        let is_fresh = exchange.history.stale_retry_used;
        let settings = &exchange.request.upstream().ok_or(Reason::Internal)?.settings;
        let worker = self.worker;
        let mut get = pin!(async {
            if settings.http2 {
                worker.origins.get(pool, &settings.pool, worker, deadline).await.map(Ready::Shared)
            } else if is_fresh {
                pool.get_fresh(index, now, deadline).await.map(Ready::Wire)
            } else {
                pool.get(index, now, deadline).await.map(Ready::Wire)
            }
        });
        let mut reader = self.client.reader();
        let request = &exchange.request;
        let got = poll_fn(|cx| match get.as_mut().poll(cx) {
            Poll::Ready(got) => Poll::Ready(Ok(got)),
            Poll::Pending if request.outlives_client() => Poll::Pending,
            // Nobody waits for an answer any more: the place in line is the next one's (T45).
            Poll::Pending => poll_left(&mut reader, input, request.held, cx).map(Err),
        });
        let got = got.await;
        self.clock.look();
        let got = got?;
        let ready = got.map_err(|error| match reason_of(&error) {
            Reason::PoolTimeout if self.clock.is_over() => Reason::RequestTimeout,
            reason => reason,
        })?;
        match &ready {
            Ready::Shared(origin) if !exchange.may_use(origin) => {
                self.await_settings(origin, exchange, input).await?
            }
            _ => {}
        }
        Ok(ready)
    }

    /// An origin that takes extended CONNECT says so with its first words, and is not asked before (RFC 8441 §3).
    async fn await_settings(
        &mut self,
        origin: &Origin,
        exchange: &Exchange,
        input: Option<&Buffer>,
    ) -> Result<(), Reason> {
        let settings = &exchange.request.upstream().ok_or(Reason::Internal)?.settings;
        self.clock.arm(settings.pool.connect_timeout);
        let mut said = pin!(self.clock.limit(origin.await_settings()));
        let mut reader = self.client.reader();
        let outcome = poll_fn(|cx| match said.as_mut().poll(cx) {
            Poll::Ready(Ok(true)) => Poll::Ready(Ok(())),
            Poll::Ready(Ok(false)) => Poll::Ready(Err(Reason::UpstreamResetBeforeResponse)),
            Poll::Ready(Err(_)) if self.clock.is_over() => Poll::Ready(Err(Reason::RequestTimeout)),
            Poll::Ready(Err(_)) => Poll::Ready(Err(Reason::ConnectTimeout)),
            Poll::Pending => poll_left(&mut reader, input, exchange.request.held, cx).map(Err),
        });
        let outcome = outcome.await;
        self.clock.look();
        outcome
    }

    /// The origin switched: what it sent behind its 101 and what the client sent behind its request go through first.
    async fn upgrade(&mut self, exchange: &mut Exchange, work: &mut Workspace) -> Result<After, Failure> {
        let Exchange { request, attempt, .. } = exchange;
        let attempt = attempt.take().ok_or(Failure::Before(Reason::Internal))?;
        let Upgraded { way, from_origin: early, websocket } = attempt.into_parts();
        let way = way.ok_or(Failure::Before(Reason::Internal))?;
        let route = &request.plan.router.routes[request.route];
        let websocket = websocket.map(|agreed| Terms::new(route, agreed, self.peer));
        let websocket = websocket.transpose().map_err(Failure::Before)?;
        let from_origin = early.as_ref().map_or(&[][..], Buffer::unread).to_vec();
        early.into_iter().for_each(|buffer| self.worker.buffers.give(buffer));
        let write_idle = request.plan.settings.write_idle_timeout;
        let mut writer = self.client.writer();
        let written = write_all(&mut writer, [&work.response, &[], &[]], write_idle, &self.clock).await;
        written.map_err(|_| Failure::Within(Reason::ClientGone))?;
        let from_client = work.input.as_ref().map_or(&[][..], |input| input.behind(request.held)).to_vec();
        let (idle, origin) = (route.tunnel_idle_timeout, way.into_stream(self.worker));
        let switched = Switched { origin, from_client, from_origin, idle, websocket };
        Ok(After::Tunnel(Box::new(switched)))
    }

    /// Reads the rest of a head. `Ok(None)` when the client closed between requests.
    async fn read_head(&mut self, work: &mut Workspace) -> Result<Option<usize>, (Reason, bool)> {
        // The first head on a connection has had a deadline since the accept (T31); others get theirs when they do not
        // come in one piece (T39).
        if !self.is_first {
            self.clock.arm(self.listener.plan().settings.header_timeout);
        }
        loop {
            let mut reader = self.client.reader();
            match fill(&mut reader, &mut work.input, &self.worker.buffers, &self.clock).await {
                Ok(0) if work.input.as_ref().is_none_or(Buffer::is_empty) => return Ok(None),
                Ok(0) => return Err((Reason::ClientGone, false)),
                Ok(_) => {}
                Err(Stop::Expired) => {
                    let has_begun = work.input.as_ref().is_some_and(|input| !input.is_empty());
                    return Err((Reason::HeaderTimeout, has_begun));
                }
                Err(Stop::Io) => return Err((Reason::ClientGone, false)),
            }
            let Some(input) = &mut work.input else { continue };
            let step = work.requests.handle_input(input.unread());
            let step = step.map_err(|error| (super::reason_of_request(error), true))?;
            match step.event {
                Some(Event::Head) => return Ok(Some(step.consumed)),
                Some(_) => return Err((Reason::Internal, true)),
                None => {}
            }
            input.consume(step.consumed);
            if input.len() >= HEAD_BYTES_MAX {
                return Err((Reason::HeaderTooLarge, true));
            }
        }
    }

    /// Ends our side and reads on for a while: a close with unread bytes would reset the connection, and the reset
    /// could overtake the answer on its way to the client (RFC 9112 §9.6).
    pub(crate) async fn linger(mut self, work: &mut Workspace) {
        self.clock.cap(Some(self.clock.now() + LINGER_TIME));
        self.clock.arm(LINGER_TIME);
        let (mut reader, mut writer) = self.client.split();
        let ended = poll_fn(|cx| writer.poll_shutdown(cx)).await;
        let mut discarded = 0;
        while ended.is_ok() && discarded < LINGER_BYTES_MAX {
            work.input.take().into_iter().for_each(|buffer| self.worker.buffers.give(buffer));
            match fill(&mut reader, &mut work.input, &self.worker.buffers, &self.clock).await {
                Ok(0) | Err(_) => return,
                Ok(count) => discarded += count,
            }
        }
    }
}
