//! The way most requests take: whole when they arrive, sent at once over an idle connection of the pool, answered.
//!
//! Nothing here is an `async fn`, and nothing is kept on a stack between two events: what a request in flight needs
//! stands in one [`Busy`], which the next request of the worker finds warm in the cache. Whatever does not go this way
//! takes a [`Detour`], from the point that it has reached.

use std::task::{Context, Poll, ready};

use towpath::pool::{Connection, Lease};
use towpath_proto::h1::Event;
use towpath_telemetry::metrics::CloseReason;

use super::attempt::{Post, Tried};
use super::download::Failure;
use super::exchange::{Exchange, Request};
use super::pump::{Stop, poll_read};
use super::way::Ready;
use super::{After, Busy, Session, Workspace};
use crate::error::Reason;
use crate::plan::Action;
use crate::upstream::Http1;
use towpath_net::buffer::Buffer;

/// What a connection does when it has been polled to a point.
pub(crate) enum Turn {
    /// Nothing has arrived that would begin a request.
    Rest,
    /// A request was answered, or the client has gone.
    Done(After),
    /// The request needs more than this module has.
    Long(Detour),
}

/// Where a request leaves the short way.
pub(crate) enum Detour {
    /// Its head is not complete.
    Head,
    /// Its head is none, for this reason.
    BadHead(Reason),
    /// It is answered with a refusal.
    Refuse(Reason),
    /// It is answered here, not by an origin.
    Local,
    /// Its endpoint has no idle connection.
    Dial,
    /// Its first attempt came to something else than an answer.
    Tried(Result<Tried, Failure>),
}

impl Session<'_> {
    /// Carries the connection on until it has to wait for something else than its origin.
    pub(crate) fn poll_turn(&mut self, cx: &mut Context<'_>, busy: &mut Busy) -> Poll<Turn> {
        if busy.exchange.is_none()
            && let Err(turn) = self.start(cx, busy)
        {
            return Poll::Ready(turn);
        }
        let Busy { work, exchange: Some(exchange) } = busy else { return Poll::Ready(Turn::Rest) };
        let outcome = ready!(self.poll_attempt(cx, exchange, work));
        let Ok(Tried::Answered(after)) = outcome else {
            return Poll::Ready(Turn::Long(Detour::Tried(outcome)));
        };
        self.settle_charge(exchange);
        Poll::Ready(Turn::Done(self.conclude(busy, after)))
    }

    /// Reads a request and sends it on.
    fn start(&mut self, cx: &mut Context<'_>, busy: &mut Busy) -> Result<(), Turn> {
        let held = self.read_whole_head(cx, &mut busy.work)?;
        let refuse = |reason| Turn::Long(Detour::Refuse(reason));
        self.begin(held, busy).map_err(refuse)?;
        let Busy { work, exchange: Some(exchange) } = busy else { return Err(Turn::Rest) };
        let Request { plan, route, .. } = &exchange.request;
        if !matches!(plan.router.routes[*route].action, Action::Upstream(_) | Action::Split(_)) {
            return Err(Turn::Long(Detour::Local));
        }
        self.aim(exchange, work).map_err(refuse)?;
        self.charge(exchange).map_err(refuse)?;
        let ready = self.find_ready(exchange).ok_or(Turn::Long(Detour::Dial))?;
        let post = if self.client.wire().is_some() { Post::Later } else { Post::Now };
        let launched = self.launch(ready, post, exchange, work);
        launched.map_err(|failure| Turn::Long(Detour::Tried(Err(failure))))
    }

    /// The length of the head in the input, if it is whole after one read.
    fn read_whole_head(&mut self, cx: &mut Context<'_>, work: &mut Workspace) -> Result<usize, Turn> {
        if self.client.lane().is_some() {
            return Ok(work.input.as_ref().map_or(0, Buffer::len));
        }
        if work.input.as_ref().is_none_or(Buffer::is_empty) {
            let (buffers, clock) = (&self.worker.buffers, &self.clock);
            match poll_read(cx, &mut self.client.reader(), &mut work.input, buffers, clock) {
                Poll::Ready(Ok(0)) => return Err(Turn::Done(After::Close(CloseReason::Client))),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(Stop::Io | Stop::Expired)) => {
                    return Err(Turn::Done(After::Close(CloseReason::Reset)));
                }
                Poll::Pending => return Err(Turn::Rest),
            }
        }
        let Some(input) = &mut work.input else { return Err(Turn::Rest) };
        match work.requests.handle_input(input.unread()) {
            Ok(step) if step.event == Some(Event::Head) => Ok(step.consumed),
            Ok(step) => {
                input.consume(step.consumed);
                Err(Turn::Long(Detour::Head))
            }
            Err(error) => Err(Turn::Long(Detour::BadHead(super::reason_of_request(error)))),
        }
    }

    /// A connection to the endpoint that was chosen with which nothing has to be waited for.
    pub(super) fn find_ready(&self, exchange: &Exchange) -> Option<Ready> {
        let charge = exchange.charge.as_ref()?;
        if exchange.request.is_for_http2() {
            let found = self.worker.origins.find(&charge.endpoint().pool);
            return found.filter(|origin| exchange.may_use(origin)).map(Ready::Shared);
        }
        self.idle_lease(exchange).map(Ready::Wire)
    }

    /// An idle connection of HTTP/1 to it.
    fn idle_lease(&self, exchange: &Exchange) -> Option<Lease<Http1>> {
        let charge = exchange.charge.as_ref()?;
        if exchange.history.stale_retry_used {
            return None;
        }
        let mut lease = charge.endpoint().pool.try_get(self.worker.index(), self.clock.now())?;
        // A request that may not be sent twice is worth one look at the connection (P12).
        if exchange.request.facts.method.is_idempotent() || !lease.is_dead() {
            return Some(lease);
        }
        lease.discard();
        None
    }
}
