//! Which pages may open a WebSocket, and what is known of one that is open.

use towpath_proto::message::RequestHead;
use towpath_proto::ws;

use crate::error::Reason;
use crate::plan::Route;

/// The token of RFC 6455 §11.2.
const TOKEN: &[u8] = b"websocket";

/// Whether an upgrade token is that of WebSocket.
pub(crate) fn is_websocket(token: &[u8]) -> bool {
    token.eq_ignore_ascii_case(TOKEN)
}

/// Judges the page that asks for a WebSocket, before anything goes to an origin (§10.2, T54). `token` is what the
/// request would be forwarded with, if it asks for an upgrade.
///
/// # Errors
/// The route has a list of origins, and this one is not in it.
pub(crate) fn admits(
    route: &Route,
    token: Option<&[u8]>,
    head: &RequestHead,
    block: &[u8],
) -> Result<(), Reason> {
    let (Some(origins), true) = (&route.websocket.origins, token.is_some_and(is_websocket)) else {
        return Ok(());
    };
    let origin = ws::origin_of(head, block).map_err(|_| Reason::WebSocketOriginRefused)?;
    if origins.allows(origin) { Ok(()) } else { Err(Reason::WebSocketOriginRefused) }
}
