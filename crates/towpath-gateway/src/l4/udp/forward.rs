//! From the client to its endpoint: finding the session or opening one, and sending.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::spawn_local;
use towpath_base::slab::Key;
use towpath_net::udp::{Fault, Received, Run};
use towpath_telemetry::metrics::{DatagramDrop, SessionEnd};

use super::account::Traffic;
use super::choose::{Candidate, choose, identity};
use super::front::{Front, dropped_by};
use super::session::{Answers, Link, NoLink};
use super::table::{Flow, Full};
use crate::plan::Endpoint;

/// How long an endpoint that was unreachable gets sessions only if all are. A restarted server is back by then; and
/// of a dead one's clients, each has lost one datagram.
const DOUBT_TIME: Duration = Duration::from_secs(10);

/// Endpoints that one datagram may be offered to: the one the session had, and another.
const ATTEMPTS: usize = 2;

impl Front {
    /// Sends a run on to the endpoint of its session.
    pub(super) fn forward(self: &Rc<Self>, received: Received<'_>) {
        let flow = Flow { client: received.from, local: received.to };
        for _ in 0..ATTEMPTS {
            let key = match self.session(flow) {
                Ok(key) => key,
                Err(drop) => return self.drop_datagrams(received.run.len(), drop),
            };
            if self.send(key, received.run) {
                return;
            }
        }
        self.drop_datagrams(received.run.len(), DatagramDrop::Unreachable);
    }

    /// The session of a flow, which may be a new one.
    fn session(self: &Rc<Self>, flow: Flow) -> Result<Key, DatagramDrop> {
        let table = self.table.borrow();
        let Some(key) = table.find(&flow) else {
            drop(table);
            return self.open(flow);
        };
        let is_healthy =
            table.get(key).is_some_and(|session| session.value.endpoint.healthy.load(Ordering::Relaxed));
        drop(table);
        if is_healthy || !self.has_usable_endpoint() {
            return Ok(key);
        }
        self.end(key, SessionEnd::Unhealthy);
        self.open(flow)
    }

    /// False when the endpoint cannot be reached: then the session has ended and nothing was sent.
    fn send(&self, key: Key, run: Run<'_>) -> bool {
        let mut table = self.table.borrow_mut();
        let Some(session) = table.get(key) else { return false };
        let sent = session.value.socket.try_send(run);
        if sent.fault == Some(Fault::Unreachable) && sent.datagrams == 0 {
            drop(table);
            self.end_by_fault(key, Fault::Unreachable);
            return false;
        }
        table.on_request(key, self.worker.now_us(), run);
        let counters = &self.listener().counters;
        let traffic = Traffic::of(run, sent.datagrams);
        counters.datagrams_up.add(traffic.datagrams);
        counters.bytes_up.add(traffic.bytes);
        if let Some(fault) = sent.fault {
            counters.drop_datagrams((run.len() - sent.datagrams) as u64, dropped_by(fault));
        }
        true
    }

    #[cold]
    fn open(self: &Rc<Self>, flow: Flow) -> Result<Key, DatagramDrop> {
        if self.is_draining() {
            return Err(DatagramDrop::Draining);
        }
        let endpoint = self.choose(&flow).ok_or(DatagramDrop::NoEndpoint)?;
        self.make_room(&flow);
        let link = self.link(&endpoint)?;
        let key = self.table.borrow_mut().open(flow, self.worker.now_us(), link);
        let task = spawn_local(Answers { front: Rc::clone(self), key }).abort_handle();
        if let Some(session) = self.table.borrow_mut().get_mut(key) {
            session.value.task = Some(task);
        }
        self.listener().counters.opened();
        Ok(key)
    }

    fn choose(&self, flow: &Flow) -> Option<Arc<Endpoint>> {
        let (listener, doubts) = (self.listener(), self.doubts.borrow());
        let endpoints = &listener.upstream.endpoints;
        let now_us = self.worker.now_us();
        let candidates = endpoints.iter().map(|endpoint| Candidate {
            identity: identity(&endpoint.name),
            weight: if endpoint.is_usable() { endpoint.weight } else { 0 },
            is_doubtful: doubts.holds(endpoint, now_us),
        });
        choose(flow, candidates).and_then(|index| endpoints.get(index)).cloned()
    }

    fn has_usable_endpoint(&self) -> bool {
        self.listener().upstream.endpoints.iter().any(|endpoint| endpoint.is_usable())
    }

    /// Ends sessions until one more is within the limits.
    fn make_room(&self, flow: &Flow) {
        loop {
            let victim = self.table.borrow().victim(flow.client.ip());
            match victim {
                None => return,
                Some((key, Full::Source)) => self.end(key, SessionEnd::EvictedBySource),
                Some((key, Full::Table)) => self.end(key, SessionEnd::EvictedByAll),
            }
        }
    }

    /// A socket to `endpoint`. When the system has none, the session that is silent for longest gives its own.
    fn link(&self, endpoint: &Arc<Endpoint>) -> Result<Link, DatagramDrop> {
        let first = Link::to(endpoint).map_err(|error| NoLink::of(&error));
        let victim = self.table.borrow().oldest_to_evict();
        let link = match (first, victim) {
            (Err(NoLink::Exhausted), Some(victim)) => {
                self.end(victim, SessionEnd::EvictedBySystem);
                Link::to(endpoint).map_err(|error| NoLink::of(&error))
            }
            (first, _) => first,
        };
        link.map_err(|fault| match fault {
            NoLink::Unreachable => {
                self.doubts.borrow_mut().doubt(endpoint, self.worker.now_us());
                DatagramDrop::Unreachable
            }
            NoLink::Exhausted | NoLink::Other => DatagramDrop::NoSocket,
        })
    }

    fn drop_datagrams(&self, count: usize, drop: DatagramDrop) {
        self.listener().counters.drop_datagrams(count as u64, drop);
    }
}

/// Endpoints whose system said that nobody is there, and until when that counts. As many as an upstream has at most,
/// and empty while all is well.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    until_us: Vec<(Arc<Endpoint>, u64)>,
}

impl Doubts {
    pub(super) fn doubt(&mut self, endpoint: &Arc<Endpoint>, now_us: u64) {
        self.until_us.retain(|(known, until_us)| *until_us > now_us && !Arc::ptr_eq(known, endpoint));
        self.until_us.push((Arc::clone(endpoint), now_us + DOUBT_TIME.as_micros() as u64));
    }

    fn holds(&self, endpoint: &Arc<Endpoint>, now_us: u64) -> bool {
        self.until_us.iter().any(|(known, until_us)| *until_us > now_us && Arc::ptr_eq(known, endpoint))
    }
}
