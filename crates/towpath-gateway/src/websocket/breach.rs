//! What ends a WebSocket that a route has demands of.

use towpath_net::relay::Side;
use towpath_proto::ws::{CloseCode, Fault, WsError};
use towpath_telemetry::metrics::CloseReason;

use crate::error::Reason;

/// What a side did, or did not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breach {
    /// It sent what breaks a rule of the protocol, or a limit.
    Frames(WsError),
    /// It sent more messages than it may.
    Rate,
    /// It gave no sign of life.
    Silence,
}

impl Breach {
    /// Why the connection ends. Of an origin nobody outside needs to know more than that it was the origin.
    pub(super) fn reason(self, side: Side) -> Reason {
        match (self, side) {
            (Self::Silence, Side::Downstream) => Reason::WebSocketPingTimeout,
            (Self::Silence, Side::Upstream) => Reason::UpstreamPingTimeout,
            (_, Side::Upstream) => Reason::UpstreamWebSocketError,
            (Self::Rate, Side::Downstream) => Reason::WebSocketMessageRate,
            (Self::Frames(error), Side::Downstream) => {
                Reason::from_code(error.reason()).unwrap_or(Reason::Internal)
            }
        }
    }

    /// What the side itself is told (§7.4.1).
    pub(super) fn code(self) -> CloseCode {
        match self {
            Self::Frames(error) => error.close_code(),
            Self::Rate => CloseCode::POLICY,
            Self::Silence => CloseCode::GOING_AWAY,
        }
    }

    /// What the other side is told: a client, that a gateway had no good answer (1014 of the IANA registry, the 502 of
    /// WebSocket); an origin, that its client goes away, as it does.
    pub(super) fn code_beyond(side: Side) -> CloseCode {
        match side {
            Side::Downstream => CloseCode::GOING_AWAY,
            Side::Upstream => CloseCode::BAD_GATEWAY,
        }
    }

    /// What ends the client's connection.
    pub(super) fn close_reason(self, side: Side) -> CloseReason {
        match (self, side) {
            (Self::Silence, _) => CloseReason::Timeout,
            (_, Side::Upstream) => CloseReason::Error,
            (Self::Rate, Side::Downstream) => CloseReason::Limit,
            (Self::Frames(error), Side::Downstream) => match error.fault() {
                Fault::Peer => CloseReason::Protocol,
                Fault::Limit => CloseReason::Limit,
            },
        }
    }
}
