//! A place in the load of an endpoint.

use std::sync::Arc;

use towpath_traffic::balance::Ticket;

use crate::error::{Reason, Side};
use crate::plan::{Endpoint, Target, Upstream};
use crate::worker::Worker;

/// What keeps an upstream at hand for as long as a charge stands.
pub(crate) trait Destination {
    /// The same one every time.
    fn upstream(&self) -> &Upstream;
}

impl Destination for Arc<Target> {
    fn upstream(&self) -> &Upstream {
        &self.upstream
    }
}

/// Held while a request is attempted, or while a connection is forwarded, which to a balancer is one request that takes
/// that long. Dropped on any way out, the load is taken off again (T45).
#[derive(Debug)]
pub(crate) struct Charge<D: Destination> {
    destination: D,
    /// The worker's and the endpoint's position, narrow because every idle relay holds them.
    worker: u32,
    index: u32,
    ticket: Option<Ticket>,
}

impl<D: Destination> Charge<D> {
    /// Chooses an endpoint that `admits` lets through, another than `avoid` if there is one. `None` when there is none.
    pub(crate) fn pick(
        destination: D,
        worker: &Worker,
        admits: impl Fn(usize) -> bool,
        avoid: Option<usize>,
    ) -> Option<Self> {
        let upstream = destination.upstream();
        let is_usable = |index: usize| upstream.endpoints.get(index).is_some_and(|found| found.is_usable());
        let mut balancer = upstream.balancer(worker.index());
        let index = balancer.pick(worker.now_us(), |index| admits(index) && is_usable(index), avoid)?;
        let ticket = Some(balancer.begin(index));
        drop(balancer);
        upstream.counters.get(worker.index()).requests_active.increment();
        Some(Self { destination, worker: worker.index() as u32, index: index as u32, ticket })
    }

    /// Where the upstream was found.
    pub(crate) fn destination(&self) -> &D {
        &self.destination
    }

    /// The endpoint's position.
    pub(crate) fn index(&self) -> usize {
        self.index as usize
    }

    /// The endpoint that was chosen.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.destination.upstream().endpoints[self.index()]
    }

    /// The endpoint answered. Only the first word on how it went counts.
    pub(crate) fn end(&mut self, now_us: u64, latency_us: u64, ok: bool) {
        if let Some(ticket) = self.ticket.take() {
            let upstream = self.destination.upstream();
            upstream.balancer(self.worker as usize).end(ticket, now_us, latency_us, ok);
        }
    }

    /// An attempt failed; only what the endpoint did counts against it.
    pub(crate) fn fail(mut self, now_us: u64, reason: Reason) {
        if reason.side() == Side::Upstream {
            self.end(now_us, 0, false);
        }
    }
}

impl<D: Destination> Drop for Charge<D> {
    fn drop(&mut self) {
        let (upstream, worker) = (self.destination.upstream(), self.worker as usize);
        upstream.counters.get(worker).requests_active.decrement();
        if let Some(ticket) = self.ticket.take() {
            upstream.balancer(worker).cancel(ticket);
        }
    }
}
