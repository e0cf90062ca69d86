//! What a route demands of its WebSockets.

use towpath_config::options::{self, OnRemoved, Route};
use towpath_config::value::Rate;
use towpath_config::{Diagnostic, Spanned};
use towpath_gateway::plan::{MessageRate, Origins, PING_TIMEOUT, Ping, WebSocketSettings};

use super::Faults;

pub(super) fn read(written: &options::WebSocket, faults: &mut Faults) -> WebSocketSettings {
    let timeout = written.ping_timeout.as_ref().map_or(PING_TIMEOUT, |timeout| timeout.value);
    WebSocketSettings {
        origins: written.origins.as_ref().and_then(|origins| read_origins(origins, faults)),
        message_bytes_max: written.max_message_bytes.as_ref().map(|bytes| bytes.value.0),
        message_rate: written.message_rate.as_ref().map(|rate| message_rate(rate.value)),
        closes_when_removed: written.on_removed.as_ref().is_some_and(|word| word.value == OnRemoved::Close),
        ping: written.ping_idle.as_ref().map(|idle| Ping { idle: idle.value, timeout }),
    }
}

/// `None` when one of them is none.
fn read_origins(written: &[Spanned<String>], faults: &mut Faults) -> Option<Origins> {
    for origin in written {
        if let Err(why) = Origins::parse([origin.as_str()], true) {
            let fault = Diagnostic::error(origin.span, format!("\"{origin}\" is not an origin: {why}"));
            let hint = "for example \"https://app.example.com\", or \"https://*.example.com\" for the names below it";
            faults.push(fault.hint(hint));
        }
    }
    // A program can say that it is any page, so that nothing is won by refusing those that say none.
    Origins::parse(written.iter().map(|origin| origin.as_str()), true).ok()
}

fn message_rate(rate: Rate) -> MessageRate {
    // No client sends more than this.
    MessageRate { count: u32::try_from(rate.count).unwrap_or(u32::MAX), per: rate.per }
}

/// A table about WebSockets on a route that forwards none.
pub(super) fn warn_without_effect(written: &Route, upgrades: &[Box<[u8]>], faults: &mut Faults) {
    let is_forwarded = upgrades.iter().any(|token| &**token == b"websocket");
    if let (Some(websocket), false) = (&written.websocket, is_forwarded) {
        let warning =
            Diagnostic::warning(websocket.span, "\"websocket\" has no effect: the route lets none through");
        faults.push(warning.hint("add \"websocket\" to upgrades, or take the table out"));
    }
}
