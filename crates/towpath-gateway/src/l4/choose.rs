//! A connection's place in the load of an endpoint.

use std::rc::Rc;
use std::sync::Arc;

use towpath_traffic::balance::Ticket;

use crate::error::{Reason, Side};
use crate::plan::{Endpoint, Target};
use crate::worker::Worker;

/// Held while the connection is open: to a balancer it is one request that takes that long. Dropped on any way out, the
/// load is taken off again.
pub(super) struct Choice {
    worker: Rc<Worker>,
    target: Arc<Target>,
    index: u32,
    /// How long the endpoint took to accept, in microseconds; it is the one thing of it that can be measured.
    connect_us: Option<u32>,
    ticket: Option<Ticket>,
}

impl Choice {
    /// Chooses an endpoint that is none of `tried`. `None` when there is no other.
    pub(super) fn pick(worker: &Rc<Worker>, target: &Arc<Target>, tried: &[u32]) -> Option<Self> {
        let upstream = &target.upstream;
        let is_new = |index: usize| !tried.iter().any(|&tried| tried as usize == index);
        let usable = |index: usize| {
            is_new(index) && upstream.endpoints.get(index).is_some_and(|endpoint| endpoint.is_usable())
        };
        let mut balancer = upstream.balancer(worker.index());
        let index = balancer.pick(worker.now_us(), usable, None)?;
        let ticket = Some(balancer.begin(index));
        drop(balancer);
        upstream.counters.get(worker.index()).requests_active.increment();
        let (worker, target) = (Rc::clone(worker), Arc::clone(target));
        Some(Self { worker, target, index: index as u32, connect_us: None, ticket })
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    pub(super) fn index(&self) -> u32 {
        self.index
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.target.upstream.endpoints[self.index as usize]
    }

    /// The endpoint accepted.
    pub(super) fn reached(&mut self, connect_us: u64) {
        self.connect_us = Some(u32::try_from(connect_us).unwrap_or(u32::MAX));
    }

    /// It could not be reached; only what the endpoint did counts against it.
    pub(super) fn fail(mut self, reason: Reason) {
        if reason.side() == Side::Upstream
            && let Some(ticket) = self.ticket.take()
        {
            let now_us = self.worker.now_us();
            self.target.upstream.balancer(self.worker.index()).end(ticket, now_us, 0, false);
        }
    }
}

impl Drop for Choice {
    fn drop(&mut self) {
        let upstream = &self.target.upstream;
        upstream.counters.get(self.worker.index()).requests_active.decrement();
        let Some(ticket) = self.ticket.take() else { return };
        let mut balancer = upstream.balancer(self.worker.index());
        match self.connect_us {
            Some(connect_us) => balancer.end(ticket, self.worker.now_us(), u64::from(connect_us), true),
            None => balancer.cancel(ticket),
        }
    }
}
