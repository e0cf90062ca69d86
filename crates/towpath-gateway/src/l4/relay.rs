//! A client joined with an endpoint, until it is over; and what is told of it then.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use tokio::time::Instant;
use towpath::pool::Held;
use towpath_net::relay::Bytes;
use towpath_telemetry::accesslog::Record;
use towpath_telemetry::metrics::RelayClose;

use crate::accept::Seat;
use crate::charge::Charge;
use crate::error::Reason;
use crate::joined::Joined;
use crate::plan::{Endpoint, Target};
use crate::upstream::Http1;

/// A forwarded connection, counted for its target.
pub(super) struct Forwarded {
    joined: Joined,
    account: Box<Account>,
    charge: Charge<Arc<Target>>,
    _held: Held<Http1>,
}

impl Forwarded {
    pub(super) fn new(
        joined: Joined,
        held: Held<Http1>,
        charge: Charge<Arc<Target>>,
        account: Account,
    ) -> Self {
        charge.destination().counters.get(joined.seat.worker.index()).opened();
        Self { joined, account: Box::new(account), charge, _held: held }
    }

    /// Carries bytes on. Ready when the relay is over.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let polled = self.joined.poll(cx);
        self.joined.bytes().into_iter().for_each(|bytes| self.count(bytes));
        polled
    }

    fn count(&mut self, mut bytes: Bytes) {
        let Account { header_bytes, bytes: counted, .. } = &mut *self.account;
        bytes.from_downstream = bytes.from_downstream.saturating_sub(u64::from(*header_bytes));
        let up = bytes.from_downstream - counted.from_downstream;
        let down = bytes.from_upstream - counted.from_upstream;
        *counted = bytes;
        self.charge.destination().counters.get(self.joined.seat.worker.index()).moved(up, down);
    }
}

impl Drop for Forwarded {
    fn drop(&mut self) {
        // Before anything says that there is room for another connection (P2).
        let close = self.joined.close();
        let seat = &self.joined.seat;
        self.charge.end(seat.worker.now_us(), u64::from(self.account.connect_us), true);
        let (target, endpoint) = (self.charge.destination(), self.charge.endpoint());
        target.counters.get(seat.worker.index()).closed(close);
        self.account.log(seat, Some(target), Some(endpoint), reason_of(close));
    }
}

/// What stands in the log; nothing of a connection that both sides ended.
fn reason_of(close: RelayClose) -> Option<Reason> {
    match close {
        RelayClose::Finished => None,
        RelayClose::Idle => Some(Reason::IdleTimeout),
        RelayClose::ClientReset => Some(Reason::ClientReset),
        RelayClose::UpstreamReset => Some(Reason::UpstreamReset),
        RelayClose::ClientFailed => Some(Reason::ClientFailed),
        RelayClose::UpstreamFailed => Some(Reason::UpstreamFailed),
        RelayClose::Drain => Some(Reason::DrainCut),
    }
}

/// What is told of a connection when it is over.
pub(crate) struct Account {
    since: Instant,
    client: SocketAddr,
    pub(crate) server_name: Option<Box<str>>,
    /// Of a header of our own, before the client's bytes.
    pub(super) header_bytes: u32,
    /// How long the endpoint took to accept, in microseconds: the one thing of it that can be measured.
    pub(super) connect_us: u32,
    /// What metrics know of; our own header is none of it.
    bytes: Bytes,
}

impl Account {
    pub(crate) fn new(since: Instant, client: SocketAddr) -> Self {
        Self { since, client, server_name: None, header_bytes: 0, connect_us: 0, bytes: Bytes::default() }
    }

    /// Writes the line of the access log, if there is one.
    pub(crate) fn log(
        &self,
        seat: &Seat,
        target: Option<&Target>,
        endpoint: Option<&Endpoint>,
        reason: Option<Reason>,
    ) {
        if !seat.worker.wants_log() {
            return;
        }
        let plan = seat.listener.plan();
        let client = self.client.ip().to_canonical().to_string();
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        seat.worker.log(|| Record {
            time_unix_ms: since_epoch.as_millis() as u64,
            remote_addr: Some(client.as_bytes()),
            host: self.server_name.as_deref().map(str::as_bytes),
            version: Some(plan.protocol.name().as_bytes()),
            bytes_in: self.bytes.from_downstream,
            bytes_out: self.bytes.from_upstream,
            duration_us: self.since.elapsed().as_micros() as u64,
            upstream: target.map(|target| target.upstream.name.as_bytes()),
            endpoint: endpoint.map(|endpoint| endpoint.name.as_bytes()),
            listener: Some(plan.name.as_bytes()),
            reason: reason.map(|reason| reason.code().as_bytes()),
            sni: self.server_name.as_deref().map(str::as_bytes),
            ..Record::default()
        });
    }
}
