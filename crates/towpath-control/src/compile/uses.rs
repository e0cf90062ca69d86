//! Who uses an upstream, which decides some of its defaults.

use std::collections::BTreeMap;

use towpath_config::Options;
use towpath_config::options::ListenerProtocol;

use super::listener;

/// Who uses an upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Uses {
    /// Routes of http listeners.
    pub(super) by_routes: bool,
    /// Listeners that join connections: `tcp` and `tls-passthrough`.
    pub(super) by_relays: bool,
    /// `udp` listeners.
    pub(super) by_sessions: bool,
}

impl Uses {
    /// Whether listeners use it and no route does.
    pub(super) fn are_layer4(self) -> bool {
        !self.by_routes && (self.by_relays || self.by_sessions)
    }
}

/// The uses of every upstream that a route or a listener names.
pub(super) fn of(options: &Options) -> BTreeMap<&str, Uses> {
    let mut uses: BTreeMap<&str, Uses> = BTreeMap::new();
    for route in options.route.values() {
        let shares = route.upstreams.iter().flat_map(|split| split.keys());
        for name in route.upstream.iter().chain(shares) {
            uses.entry(&name.value).or_default().by_routes = true;
        }
    }
    for listener in options.listener.values() {
        let targets = listener.sni.iter().chain(&listener.alpn).flat_map(|targets| targets.values());
        for name in listener.upstream.iter().chain(targets) {
            let uses = uses.entry(&name.value).or_default();
            match listener::protocol_of(listener) {
                ListenerProtocol::Http => uses.by_routes = true,
                ListenerProtocol::Tcp | ListenerProtocol::TlsPassthrough => uses.by_relays = true,
                ListenerProtocol::Udp => uses.by_sessions = true,
            }
        }
    }
    uses
}
