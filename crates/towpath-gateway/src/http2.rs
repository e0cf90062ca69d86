//! HTTP/2 on a client's connection.
//!
//! ```text
//!              one task per connection                      one task per request
//!  socket <──> Driver ──bytes──> Mux: codec, output ──> Lane <──bytes── Exchange (crate::http)
//!                                 └── head ──> Request ─────────────────┘
//! ```
//!
//! What knows nothing of a gateway is the kit's: [`towpath::http2`].
//!
//! A request that has come as a stream goes the way of any other: its head is handed to the exchange as if it had been
//! read, and its [`Lane`] is the connection to its client. Bodies of requests are framed as HTTP/1.1 frames them, since
//! that is what the exchange reads; answers are written as heads, data and trailers, and never as text. Streams wait for
//! each other nowhere but at the connection's own window and output, which are bounded.

mod driver;
mod origin;
mod request;

use std::net::IpAddr;
use std::rc::Rc;

use tokio::task::spawn_local;
use towpath::http2::Mux;
pub(crate) use towpath::http2::{Lane, carry, lines_of};
use towpath_proto::h2::{Config, PREFACE, Role};
use towpath_telemetry::metrics::CloseReason;

use crate::accept::Arrival;
use crate::connection;
use crate::error::Reason;
use crate::l4::{Cut, read_more};
use crate::plan::Listener;
use crate::tls::Secured;
use crate::worker::{LocalListener, Worker};
use driver::Driver;
pub(crate) use origin::{Origin, Origins};

/// What all streams of a connection share.
pub(crate) struct Front {
    pub(crate) worker: Rc<Worker>,
    pub(crate) listener: Rc<LocalListener>,
    pub(crate) peer: IpAddr,
    pub(crate) secured: Option<Secured>,
    mux: Rc<Mux>,
}

/// Serves the connection to its end.
pub(crate) fn serve(arrival: Arrival) -> impl Future<Output = ()> {
    let config = config_of(&arrival.seat.listener.plan());
    let front = Front {
        worker: Rc::clone(&arrival.seat.worker),
        listener: Rc::clone(&arrival.seat.listener),
        peer: arrival.client.address.ip(),
        secured: arrival.stream.attached::<Secured>().cloned(),
        mux: Mux::new(Role::Server, config),
    };
    Driver::new(arrival, Rc::new(front))
}

fn config_of(listener: &Listener) -> Config {
    Config { head: listener.settings.head, accepts_connect_protocol: true, ..Config::default() }
}

/// Serves whichever version a client of a clear-text listener begins with (RFC 9113 §3.3). Both begin with a word that
/// the other does not have, so that the first bytes decide.
pub(crate) async fn sniff(mut arrival: Arrival) {
    while arrival.early.len() < PREFACE.len() && PREFACE.starts_with(&arrival.early) {
        let read = read_more(&mut arrival.stream, &arrival.timer, &mut arrival.early, PREFACE.len());
        if let Err(cut) = read.await {
            arrival.seat.reason = match cut {
                Cut::Expired if arrival.early.is_empty() => CloseReason::Timeout,
                Cut::Expired => return arrival.seat.refuse(Reason::HeaderTimeout, CloseReason::Timeout),
                Cut::Ended => CloseReason::Client,
                Cut::Failed => CloseReason::Reset,
            };
            return;
        }
    }
    if arrival.early.starts_with(PREFACE) {
        drop(spawn_local(serve(arrival)));
    } else {
        drop(spawn_local(connection::serve(arrival)));
    }
}
