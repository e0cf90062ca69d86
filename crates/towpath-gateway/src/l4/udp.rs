//! The UDP proxy: a session for each client address, with a socket of its own towards one endpoint.
//!
//! ```text
//!             ┌──────────────── worker ───────────────────────────────────┐
//!  client A ─>│ Front: one socket       Table: who is who   socket of A ──│─> endpoint 1
//!  client B ─>│ for all clients    ───> and may have what   socket of B ──│─> endpoint 2
//!           <─│ <────────── answers, from the address that was asked ─────│<─
//!             └───────────────────────────────────────────────────────────┘
//! ```
//!
//! - [`table`]: sessions by client, caps, eviction, idle time; pure.
//! - [`account`]: what a session may be answered (T30); pure.
//! - [`order`]: least recently used first; pure.
//! - [`choose`]: which endpoint a client gets; pure.
//! - [`front`]: the listener's socket on a worker, from start to drain.
//! - [`forward`]: from the client to its endpoint, opening sessions on the way.
//! - [`session`]: the socket of a session, and the way back.
//!
//! A request and its answer cost four system calls, of which the first is shared by up to 32 datagrams: receive, send,
//! receive, send. Runs of datagrams that the kernel joined (GRO) are sent on as one (GSO). Nothing is allocated but for
//! a new session.

mod account;
mod choose;
mod forward;
mod front;
mod order;
mod session;
mod table;

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use towpath_net::UdpBinding;
use towpath_net::udp::Batch;

use crate::plan::{Listener, Plan, Protocol};
use crate::worker::Worker;
use front::Front;

/// The UDP listeners of one worker.
#[derive(Default)]
pub(crate) struct Fronts {
    /// Weak: a front lives as long as its tasks.
    fronts: RefCell<Vec<Weak<Front>>>,
    /// What any of the worker's UDP sockets has just received.
    batch: RefCell<Batch>,
}

impl Fronts {
    /// Takes over a plan: sockets that both plans name go on with their sessions, new ones are taken, others drain.
    pub(crate) fn apply(&self, worker: &Rc<Worker>, plan: &Plan) {
        let mut left: Vec<Rc<Front>> = self.fronts.take().iter().filter_map(Weak::upgrade).collect();
        let mut kept = Vec::new();
        for (listener, binding) in plan.listeners.iter().flat_map(bindings) {
            match left.iter().position(|front| front.is_of(binding)) {
                Some(position) => {
                    let front = left.swap_remove(position);
                    front.replan(listener);
                    kept.push(front);
                }
                None => kept.extend(Front::start(worker, listener, binding)),
            }
        }
        left.iter().for_each(|front| front.drain());
        *self.fronts.borrow_mut() = kept.iter().chain(&left).map(Rc::downgrade).collect();
    }

    /// Opens no more sessions; those that wait for an answer get it, if it comes soon.
    pub(crate) fn drain(&self) {
        self.fronts.borrow().iter().filter_map(Weak::upgrade).for_each(|front| front.drain());
    }
}

fn bindings(listener: &Arc<Listener>) -> impl Iterator<Item = (&Arc<Listener>, &Arc<UdpBinding>)> {
    let bindings = match &listener.protocol {
        Protocol::Udp(udp) => udp.bindings.as_slice(),
        _ => &[],
    };
    bindings.iter().map(move |binding| (listener, binding))
}
