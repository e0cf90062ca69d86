//! A client joined with an endpoint, until it is over; and what is told of it then.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::SystemTime;

use tokio::time::Instant;
use towpath::pool::Held;
use towpath_net::Relay;
use towpath_net::relay::{self, Bytes, Side};
use towpath_telemetry::accesslog::Record;
use towpath_telemetry::metrics::{CloseReason, RelayClose};

use super::choose::Choice;
use crate::accept::Seat;
use crate::error::Reason;
use crate::plan::{Endpoint, Target};
use crate::upstream::Http1;

/// The fields are dropped in this order: both connections are closed before anything says that there is room for others
/// (P2).
pub(super) struct Joined {
    relay: Option<Relay>,
    /// Bytes that metrics know of; our own header is none of them.
    counted: Bytes,
    /// Dropped before its end was known, it was cut by the end of its worker.
    close: RelayClose,
    account: Box<Account>,
    choice: Choice,
    _held: Held<Http1>,
    seat: Seat,
}

impl Joined {
    pub(super) fn new(relay: Relay, held: Held<Http1>, choice: Choice, account: Account, seat: Seat) -> Self {
        choice.target().counters.get(seat.worker.index()).opened();
        seat.worker.relays.set(seat.worker.relays.get() + 1);
        let (counted, close) = (Bytes::default(), RelayClose::Drain);
        Self { relay: Some(relay), counted, close, account: Box::new(account), choice, _held: held, seat }
    }

    /// Carries bytes on. Ready when the relay is over and both connections are closed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.seat.worker.is_stopping() {
            self.relay.take().into_iter().for_each(Relay::reset);
        }
        let Some(relay) = &mut self.relay else { return Poll::Ready(()) };
        let polled = Pin::new(&mut *relay).poll(cx);
        let bytes = relay.bytes();
        self.count(bytes);
        polled.map(|closed| {
            self.close = close_of(closed.reason);
            self.relay = None;
        })
    }

    fn count(&mut self, mut bytes: Bytes) {
        bytes.from_downstream = bytes.from_downstream.saturating_sub(self.account.header_bytes);
        let up = bytes.from_downstream - self.counted.from_downstream;
        let down = bytes.from_upstream - self.counted.from_upstream;
        self.counted = bytes;
        self.choice.target().counters.get(self.seat.worker.index()).moved(up, down);
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        let worker = &self.seat.worker;
        worker.relays.set(worker.relays.get() - 1);
        self.choice.target().counters.get(worker.index()).closed(self.close);
        self.seat.reason = match self.close {
            RelayClose::Finished => CloseReason::Finished,
            RelayClose::Idle => CloseReason::Idle,
            RelayClose::ClientReset => CloseReason::Reset,
            RelayClose::Drain => CloseReason::Drain,
            RelayClose::UpstreamReset | RelayClose::ClientFailed | RelayClose::UpstreamFailed => {
                CloseReason::Error
            }
        };
        self.account.bytes = self.counted;
        let (target, endpoint) = (self.choice.target(), self.choice.endpoint());
        self.account.log(&self.seat, Some(target), Some(endpoint), reason_of(self.close));
    }
}

fn close_of(reason: relay::Reason) -> RelayClose {
    match reason {
        relay::Reason::Finished => RelayClose::Finished,
        relay::Reason::Idle => RelayClose::Idle,
        relay::Reason::Reset(Side::Downstream) => RelayClose::ClientReset,
        relay::Reason::Reset(Side::Upstream) => RelayClose::UpstreamReset,
        relay::Reason::Failed(Side::Downstream, _) => RelayClose::ClientFailed,
        relay::Reason::Failed(Side::Upstream, _) => RelayClose::UpstreamFailed,
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
pub(super) struct Account {
    since: Instant,
    client: SocketAddr,
    pub(super) server_name: Option<Box<str>>,
    /// Of a header of our own, before the client's bytes.
    pub(super) header_bytes: u64,
    bytes: Bytes,
}

impl Account {
    pub(super) fn new(since: Instant, client: SocketAddr) -> Self {
        Self { since, client, server_name: None, header_bytes: 0, bytes: Bytes::default() }
    }

    /// Writes the line of the access log, if there is one.
    pub(super) fn log(
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
            ..Record::default()
        });
    }
}
