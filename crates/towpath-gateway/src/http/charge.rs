//! A request's place in the load of an endpoint.

use std::rc::Rc;

use towpath_traffic::balance::Ticket;

use super::exchange::Request;
use crate::error::{Reason, Side};
use crate::plan::{Endpoint, Upstream};
use crate::worker::{LocalPlan, Worker};

/// Held while an attempt is made. Dropped on any way out, the load is taken off again (T45).
#[derive(Debug)]
pub(crate) struct Charge {
    plan: LocalPlan,
    /// Where the upstream stands in the plan.
    route: usize,
    share: usize,
    worker: usize,
    /// The endpoint's position.
    pub(crate) index: usize,
    ticket: Option<Ticket>,
}

impl Charge {
    /// Chooses an endpoint of the request's upstream, another than `avoid` if there is one.
    pub(crate) fn pick(worker: &Worker, request: &Request, avoid: Option<usize>) -> Result<Self, Reason> {
        let upstream = request.upstream().ok_or(Reason::NoHealthyEndpoint)?;
        let usable =
            |index: usize| upstream.endpoints.get(index).is_some_and(|endpoint| endpoint.is_usable());
        let mut balancer = upstream.balancer(worker.index());
        let index = balancer.pick(worker.now_us(), usable, avoid).ok_or(Reason::NoHealthyEndpoint)?;
        let ticket = Some(balancer.begin(index));
        drop(balancer);
        upstream.counters.get(worker.index()).requests_active.increment();
        let plan = Rc::clone(&request.plan);
        Ok(Self { plan, route: request.route, share: request.share, worker: worker.index(), index, ticket })
    }

    fn upstream(&self) -> &Upstream {
        let action = &self.plan.router.routes[self.route].action;
        action.upstream(self.share).expect("the plan does not change, and it was there to be charged")
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.upstream().endpoints[self.index]
    }

    /// The endpoint answered.
    pub(crate) fn end(mut self, now_us: u64, latency_us: u64, ok: bool) {
        if let Some(ticket) = self.ticket.take() {
            self.upstream().balancer(self.worker).end(ticket, now_us, latency_us, ok);
        }
    }

    /// An attempt failed; only what the origin did counts against it.
    pub(crate) fn fail(mut self, now_us: u64, reason: Reason) {
        if reason.side() == Side::Upstream
            && let Some(ticket) = self.ticket.take()
        {
            self.upstream().balancer(self.worker).end(ticket, now_us, 0, false);
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let ticket = self.ticket.take();
        let upstream = self.upstream();
        upstream.counters.get(self.worker).requests_active.decrement();
        if let Some(ticket) = ticket {
            upstream.balancer(self.worker).cancel(ticket);
        }
    }
}
