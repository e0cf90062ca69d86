//! Listeners that forward without reading requests: `tcp`, `tls-passthrough` and `udp`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use towpath_config::options::{self, ListenerProtocol};
use towpath_config::value::{Cap, EndpointAddress, Map, Opt};
use towpath_config::{Diagnostic, Options, Spanned};
use towpath_gateway::plan::{
    NameTable, Passthrough, Protocol, RelaySettings, Target, Tcp, Udp, UdpSettings, Upstream,
};

use super::tls::Policies;
use super::upstream::Upstreams;
use super::{CompileEnv, Faults, listener};

/// What a listener needs to find its targets.
pub(super) struct Scope<'a, 'o> {
    pub(super) options: &'o Options,
    pub(super) upstreams: &'a Upstreams<'o>,
    pub(super) policies: &'a Policies<'o>,
    pub(super) env: &'a CompileEnv<'a>,
}

/// Reads what is spoken. `None` when a target is missing or has faults; a key that is absent was found where the file
/// was read.
pub(super) fn read(
    name: &str,
    written: &options::Listener,
    scope: &Scope<'_, '_>,
    faults: &mut Faults,
) -> Option<Protocol> {
    match listener::protocol_of(written) {
        ListenerProtocol::Http => Some(Protocol::Http),
        ListenerProtocol::Tcp => {
            let target = scope.target(name, written.upstream.as_ref()?, faults)?;
            Some(Protocol::Tcp(Tcp { target, relay: relay(written) }))
        }
        ListenerProtocol::TlsPassthrough => {
            read_passthrough(name, written, scope, faults).map(Protocol::Passthrough)
        }
        ListenerProtocol::Udp => read_udp(name, written, scope, faults).map(Protocol::Udp),
    }
}

impl Scope<'_, '_> {
    fn target(&self, listener: &str, name: &Spanned<String>, faults: &mut Faults) -> Option<Arc<Target>> {
        let upstream = self.upstreams.find(name, faults)?;
        let counters = self.env.registry.relay(listener, &upstream.name);
        Some(Arc::new(Target { upstream, counters }))
    }

    /// Every target of a table by its key; all of them are looked up, so that all faults are told.
    fn targets<'m>(
        &self,
        listener: &str,
        table: &'m Opt<Map<String>>,
        faults: &mut Faults,
    ) -> Option<Vec<(&'m Spanned<String>, Arc<Target>)>> {
        let entries = table.iter().flat_map(|table| table.iter());
        let found: Vec<_> =
            entries.map(|(key, name)| Some((key, self.target(listener, name, faults)?))).collect();
        found.into_iter().collect()
    }
}

fn relay(written: &options::Listener) -> RelaySettings {
    let mut relay = RelaySettings::default();
    if let Some(time) = &written.idle_timeout {
        relay.idle_timeout = time.value;
    }
    if let Some(attempts) = &written.connect_attempts {
        relay.connect_attempts = attempts.value.get();
    }
    relay
}

fn read_passthrough(
    name: &str,
    written: &options::Listener,
    scope: &Scope<'_, '_>,
    faults: &mut Faults,
) -> Option<Passthrough> {
    let by_name = scope.targets(name, &written.sni, faults);
    let by_protocol = scope.targets(name, &written.alpn, faults);
    let default = written.upstream.as_ref().map(|upstream| scope.target(name, upstream, faults));
    let mut names = NameTable::new();
    for (written, target) in by_name? {
        if let Err(fault) = names.insert(written, target) {
            // Told already where the file was read, and then this is dropped.
            faults.push(Diagnostic::error(written.span, format!("\"{written}\": {fault}")));
        }
    }
    let alpn: HashMap<Box<[u8]>, Arc<Target>> =
        by_protocol?.into_iter().map(|(name, target)| (name.as_bytes().into(), target)).collect();
    let default = match default {
        None => None,
        Some(found) => Some(found?),
    };
    Some(Passthrough { alpn, names, default, relay: relay(written) })
}

fn read_udp(
    name: &str,
    written: &options::Listener,
    scope: &Scope<'_, '_>,
    faults: &mut Faults,
) -> Option<Udp> {
    let target = written.upstream.as_ref()?;
    let upstream = scope.upstreams.find(target, faults);
    if let Some(fault) = stream_endpoint(target, scope.options) {
        faults.push(fault);
        return None;
    }
    Some(Udp {
        bindings: Vec::new(),
        upstream: upstream?,
        settings: udp_settings(written),
        counters: scope.env.registry.udp(name),
    })
}

fn udp_settings(written: &options::Listener) -> UdpSettings {
    let mut settings = UdpSettings::default();
    if let Some(time) = &written.idle_timeout {
        settings.idle_timeout = time.value;
    }
    if let Some(count) = &written.max_sessions {
        settings.sessions_max = count.value.get() as usize;
    }
    if let Some(count) = &written.max_sessions_per_address {
        settings.sessions_per_source_max = count.value.get() as usize;
    }
    if let Some(cap) = &written.reply_ratio {
        settings.reply_ratio = match cap.value {
            Cap::Count(ratio) => Some(ratio.get()),
            Cap::Unlimited => None,
        };
    }
    settings
}

/// A Unix socket among the endpoints that datagrams would go to.
fn stream_endpoint(name: &Spanned<String>, options: &Options) -> Option<Diagnostic> {
    let upstream = options.upstream.get(name.value.as_str())?;
    let mut endpoints = upstream.endpoints.iter().flat_map(|endpoints| endpoints.iter());
    let unix = endpoints.find(|one| matches!(one.address.value, EndpointAddress::Unix(_)))?;
    let message = format!("the upstream \"{name}\" has an endpoint that takes no datagrams");
    let fault = Diagnostic::error(name.span, message).also(unix.address.span, "a Unix socket");
    Some(fault.hint("write an address and a port there, or name another upstream"))
}

/// Whether two listeners do the same with what comes in; their sockets are compared elsewhere.
pub(super) fn is_same(old: &Protocol, new: &Protocol) -> bool {
    match (old, new) {
        (Protocol::Http, Protocol::Http) => true,
        (Protocol::Tcp(old), Protocol::Tcp(new)) => {
            let Tcp { target, relay } = new;
            is_target(&old.target, target) && old.relay == *relay
        }
        (Protocol::Passthrough(old), Protocol::Passthrough(new)) => {
            let Passthrough { alpn, names, default, relay } = new;
            old.alpn.len() == alpn.len()
                && alpn.iter().all(|(name, new)| old.alpn.get(name).is_some_and(|old| is_target(old, new)))
                && upstreams_by_name(&old.names) == upstreams_by_name(names)
                && match (&old.default, default) {
                    (Some(old), Some(new)) => is_target(old, new),
                    (old, new) => old.is_none() && new.is_none(),
                }
                && old.relay == *relay
        }
        (Protocol::Udp(old), Protocol::Udp(new)) => {
            let Udp { bindings: _, upstream, settings, counters: _ } = new;
            Arc::ptr_eq(&old.upstream, upstream) && old.settings == *settings
        }
        _ => false,
    }
}

fn is_target(old: &Target, new: &Target) -> bool {
    Arc::ptr_eq(&old.upstream, &new.upstream)
}

fn upstreams_by_name(names: &NameTable<Arc<Target>>) -> BTreeMap<&str, *const Upstream> {
    names.iter().map(|(name, target)| (name, Arc::as_ptr(&target.upstream))).collect()
}

/// The upstreams that a listener forwards to.
pub(super) fn upstreams(protocol: &Protocol) -> Vec<&Arc<Upstream>> {
    match protocol {
        Protocol::Http => Vec::new(),
        Protocol::Tcp(tcp) => vec![&tcp.target.upstream],
        Protocol::Passthrough(passthrough) => passthrough.targets().map(|target| &target.upstream).collect(),
        Protocol::Udp(udp) => vec![&udp.upstream],
    }
}
