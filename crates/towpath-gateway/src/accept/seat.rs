//! A client's connection as the limits and counters see it.

use std::net::IpAddr;
use std::rc::Rc;

use towpath_net::unix;
use towpath_telemetry::metrics::{CloseReason, Limit};
use towpath_traffic::rate::ClientKey;

use crate::error::Reason;
use crate::worker::{LocalListener, Worker};

/// Counted as open until it is dropped, whatever ends the connection.
pub(crate) struct Seat {
    pub(crate) worker: Rc<Worker>,
    pub(crate) listener: Rc<LocalListener>,
    /// The client it is counted for; boxed, as few listeners count them.
    client: Option<Box<ClientKey>>,
    /// It is a stream of a connection that has a seat itself.
    is_within: bool,
    /// Why the connection ends, for the counters.
    pub(crate) reason: CloseReason,
}

impl Seat {
    pub(crate) fn new(worker: &Rc<Worker>, listener: &Rc<LocalListener>) -> Self {
        worker.counters().connection_opened();
        listener.gate.enter();
        listener.counters.accepted.increment();
        listener.counters.open.increment();
        Self {
            worker: Rc::clone(worker),
            listener: Rc::clone(listener),
            client: None,
            is_within: false,
            reason: CloseReason::Error,
        }
    }

    /// The seat of a tunnel inside a connection that is counted already.
    pub(crate) fn within(worker: &Rc<Worker>, listener: &Rc<LocalListener>) -> Self {
        Self {
            worker: Rc::clone(worker),
            listener: Rc::clone(listener),
            client: None,
            is_within: true,
            reason: CloseReason::Error,
        }
    }

    /// Counts the connection for its client. An error is why it may not stay.
    pub(crate) fn claim(&mut self, client: IpAddr) -> Result<(), Reason> {
        let Some(max) = self.listener.plan().settings.connections_per_address_max else { return Ok(()) };
        // Whoever reaches a Unix socket has no address, and is let in by the mode of its file.
        if client == unix::ADDRESS.ip() {
            return Ok(());
        }
        let client = ClientKey::of(client);
        if self.listener.gate.addresses().enter(client, max) {
            self.client = Some(Box::new(client));
            return Ok(());
        }
        self.listener.limited(Limit::Address);
        self.reason = CloseReason::Limit;
        Err(Reason::AddressLimit)
    }

    /// Whether the process or the listener goes.
    pub(crate) fn is_leaving(&self) -> bool {
        self.worker.is_draining() || self.listener.has_left()
    }

    /// Counts why the gateway ends the connection itself.
    pub(crate) fn refuse(&mut self, reason: Reason, close: CloseReason) {
        self.reason = close;
        self.worker.counters().refuse(reason.index() as u8);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.is_within {
            return;
        }
        if let Some(client) = self.client.take() {
            self.listener.gate.addresses().leave(*client);
        }
        self.listener.gate.leave();
        self.listener.counters.open.decrement();
        self.worker.counters().connection_closed(self.reason);
    }
}
