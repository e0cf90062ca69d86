//! The beginning of a forwarded connection, up to its relay.

use std::sync::Arc;

use towpath_net::relay::{Relay, Side};
use towpath_telemetry::metrics::CloseReason;

use super::hello::{self, Wanted};
use super::proxy_header::{self, Attributes};
use super::reach::{Reached, reach};
use super::relay::{Account, Forwarded};
use crate::accept::Arrival;
use crate::error::{Reason, Side as Fault};
use crate::joined::Joined;
use crate::plan::{Protocol, RelaySettings, Target};

/// How a connection ends that never reached an endpoint.
pub(super) enum Ending {
    /// The client left before it had said anything.
    Left,
    /// It reset the connection, or the way to it failed.
    Reset,
    /// The gateway will not, or cannot.
    Refused {
        reason: Reason,
        /// What a TLS client is told (RFC 8446 §6.2).
        alert: Option<u8>,
    },
}

impl Ending {
    pub(super) fn refused(reason: Reason) -> Self {
        Self::Refused { reason, alert: None }
    }
}

/// Reads what has to be read, finds an endpoint and joins it with the client. `None` when that came to nothing, which is
/// then counted and logged.
pub(super) async fn run(arrival: Arrival) -> Option<Forwarded> {
    let mut opening = Opening { account: Account::new(arrival.since, arrival.client.address), arrival };
    match opening.wanted().await {
        Ok((wanted, relay)) => opening.join(wanted, relay).await,
        Err(ending) => opening.end(ending, None),
    }
}

struct Opening {
    arrival: Arrival,
    account: Account,
}

impl Opening {
    /// Where the connection goes.
    async fn wanted(&mut self) -> Result<(Wanted, RelaySettings), Ending> {
        let plan = self.arrival.seat.listener.plan();
        let Arrival { stream, timer, early, .. } = &mut self.arrival;
        match &plan.protocol {
            Protocol::Tcp(tcp) => {
                let wanted = Wanted { target: Arc::clone(&tcp.target), server_name: None, protocol: None };
                Ok((wanted, tcp.relay.clone()))
            }
            Protocol::Passthrough(passthrough) => {
                let wanted = hello::read(passthrough, stream, timer, early).await?;
                Ok((wanted, passthrough.relay.clone()))
            }
            // The listener has become another kind since the connection was accepted.
            Protocol::Http | Protocol::Udp(_) => Err(Ending::refused(Reason::Draining)),
        }
    }

    async fn join(mut self, wanted: Wanted, settings: RelaySettings) -> Option<Forwarded> {
        let Wanted { target, server_name, protocol } = wanted;
        self.account.server_name = server_name;
        // From here on the pool's times count: for a place in its line, and for each dial.
        self.arrival.timer.clear();
        let Reached { stream: upstream, held, charge, connect_us } =
            match reach(&self.arrival.seat.worker, &target, &settings, &self.arrival.stream).await {
                Ok(reached) => reached,
                Err(reason) => return self.end(Ending::refused(reason), Some(&target)),
            };
        let Self { arrival: Arrival { seat, stream, timer, client, early, .. }, mut account } = self;
        account.connect_us = connect_us;
        let mut first = Vec::new();
        if let Some(out) = target.upstream.settings.proxy_protocol {
            let server_name = account.server_name.as_deref();
            let attributes = Attributes { server_name, protocol: protocol.as_deref() };
            first = proxy_header::compose(out, &client, &stream, attributes);
            account.header_bytes = first.len() as u32;
        }
        if first.is_empty() {
            first = early
        } else {
            first.extend_from_slice(&early)
        }
        let relay =
            Relay::new(stream, upstream, &seat.worker.reserve, timer).idle_after(settings.idle_timeout);
        let joined = Joined::new(relay.send_first(Side::Downstream, first), seat);
        Some(Forwarded::new(joined, held, charge, account))
    }

    /// Ends the connection without an endpoint.
    fn end(mut self, ending: Ending, target: Option<&Target>) -> Option<Forwarded> {
        let Arrival { seat, stream, .. } = &mut self.arrival;
        let (reason, alert) = match ending {
            Ending::Left => {
                seat.reason = CloseReason::Client;
                return None;
            }
            Ending::Reset => {
                seat.reason = CloseReason::Reset;
                return None;
            }
            Ending::Refused { reason, alert } => (reason, alert),
        };
        seat.refuse(reason, close_reason(reason));
        match alert {
            // A plain end behind it: a reset might overtake it.
            Some(alert) => drop(stream.try_write(&alert_record(alert))),
            // A client must not take it for an answer that is empty.
            None => stream.reset_on_drop(),
        }
        self.account.log(seat, target, None, Some(reason));
        None
    }
}

/// A fatal alert in clear text, as a server sends one that has not chosen keys yet (RFC 8446 §5.1, §6).
pub(crate) fn alert_record(alert: u8) -> [u8; 7] {
    const ALERT: u8 = 21;
    const FATAL: u8 = 2;
    [ALERT, 3, 3, 0, 2, FATAL, alert]
}

fn close_reason(reason: Reason) -> CloseReason {
    match reason {
        Reason::ClientHelloTimeout => CloseReason::Timeout,
        Reason::ClientGone => CloseReason::Reset,
        _ if reason.side() == Fault::Downstream => CloseReason::Protocol,
        _ => CloseReason::Error,
    }
}
