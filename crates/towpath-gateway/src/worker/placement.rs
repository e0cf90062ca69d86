//! Connections that change worker between accept and their first byte.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::mpsc::Receiver;
use towpath_net::Accepted;

use super::{LocalListener, Worker};
use crate::accept::{self, place};
use crate::engine::Placed;
use crate::plan::Listener;

impl Worker {
    /// Serves connections that other workers have placed here.
    pub(super) async fn receive(self: Rc<Self>, mut placed: Receiver<Placed>) {
        while let Some(Placed { accepted, peer, listener }) = placed.recv().await {
            let known = self
                .acceptances
                .borrow()
                .iter()
                .find(|own| own.name() == &*listener.name)
                .map(|own| Rc::clone(own.listener()));
            // A plan may be here later than there, and gone earlier.
            let local = known.unwrap_or_else(|| Rc::new(LocalListener::new(listener, &self)));
            match accepted.into_stream() {
                Ok(stream) => accept::admit(&self, &local, stream, peer),
                Err(error) => self.shared.report(format!("listener {}: {error}", local.plan().name)),
            }
            local.gate.leave();
            self.shared.has_moved();
        }
    }

    /// Hands a connection that was accepted here to a worker that has fewer, if there is one; else it is given back.
    pub(crate) fn place_elsewhere(
        &self,
        accepted: Accepted,
        peer: SocketAddr,
        listener: &Arc<Listener>,
    ) -> Option<Accepted> {
        let counters = self.counters();
        let recent = counters.accepted.value().wrapping_sub(self.accepted_before.get());
        let own = place::Own { index: self.index, open: counters.open.value(), recent };
        let loads = |other| self.shared.registry.workers().get(other).open.value();
        let draw = |below| self.random.borrow_mut().below(below);
        let Some(other) = place::choose(own, self.shared.workers(), loads, draw) else {
            return Some(accepted);
        };
        let placed = Placed { accepted, peer, listener: Arc::clone(listener) };
        self.shared.place(other, placed).err().map(|placed| placed.accepted)
    }
}
