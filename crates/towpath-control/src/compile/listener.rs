//! Listeners: what they allow, and the addresses they want.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use towpath_config::options::{self, ForwardedStyle, ListenerProtocol, ProxySource, UnderscoreHeaders};
use towpath_config::value::{Bind, Cap, Cidr, FilePath, Opt, Rate, SizeCap};
use towpath_config::{Diagnostic, Span, Spanned};
use towpath_gateway::plan::{
    AcceptRate, Forwarded, Listener, ListenerSettings, ListenerTls, Network, Plan, Protocol, Router,
};
use towpath_proto::limits::FIELDS_COUNT_CEILING;

use super::binding::{BindAddress, Bound, FreeBindings, WantedBinding};
use super::layer4::{self, Scope};
use super::name::within;
use super::{CompileEnv, Faults, ListenerDraft, NewListener, tls};

/// Heads above this are refused as a setting: every connection may have to hold one.
const HEAD_BYTES_CEILING: u64 = 16 * 1024 * 1024;

/// What the address of a Unix socket holds (unix(7)), less the NUL at its end.
pub(super) const SOCKET_PATH_BYTES_MAX: usize = 107;

/// A listener as written.
pub(super) struct Reading<'o> {
    pub(super) name: &'o str,
    pub(super) speaks: ListenerProtocol,
    settings: ListenerSettings,
    places: Vec<Place>,
    /// Who may connect to its Unix sockets.
    mode: Option<u32>,
    /// `None` when a policy has faults.
    tls: Option<Option<ListenerTls>>,
    /// `None` when a target has faults.
    pub(super) protocol: Option<Protocol>,
}

/// An address, as written and as bound.
struct Place {
    address: BindAddress,
    written: String,
    span: Span,
}

/// What a listener speaks.
pub(super) fn protocol_of(listener: &options::Listener) -> ListenerProtocol {
    listener.protocol.as_ref().map_or(ListenerProtocol::Http, |protocol| protocol.value)
}

/// Whether routes can belong to it.
pub(super) fn is_http(listener: &options::Listener) -> bool {
    protocol_of(listener) == ListenerProtocol::Http
}

/// Reads every listener, in the order of their names.
pub(super) fn compile<'o>(
    scope: &Scope<'_, 'o>,
    known: &[Diagnostic],
    faults: &mut Faults,
) -> Vec<Reading<'o>> {
    let options = scope.options;
    let readings: Vec<Reading<'o>> = options
        .listener
        .iter()
        .map(|(name, listener)| {
            within(&format!("listener.{name}"), faults, |faults| read(name, listener, scope, faults))
        })
        .collect();
    refuse_overlaps(options.admin.as_ref().and_then(|admin| admin.listen.as_ref()), &readings, faults);
    let is_hidden = known.iter().any(super::is_of_the_whole);
    if options.listener.is_empty() && !is_hidden {
        let fault = Diagnostic::error(Span::NONE, "the file has no listener, so nothing would be served");
        faults.push(fault.hint("add [listener.web] with bind = \"127.0.0.1:8080\""));
    }
    readings
}

/// Finds what can stay of `previous`, and the addresses that are wanted, listener by listener. `None` when a listener
/// has faults.
pub(super) fn draft(
    readings: Vec<Reading<'_>>,
    routers: Vec<Arc<Router>>,
    previous: Option<&Plan>,
    env: &CompileEnv<'_>,
) -> Option<(Vec<WantedBinding>, Vec<ListenerDraft>)> {
    let mut free = FreeBindings::of(previous);
    let mut wanted = Vec::new();
    let mut drafts = Vec::new();
    for (reading, router) in readings.into_iter().zip(routers) {
        let name: Arc<str> = reading.name.into();
        let own = wanted.len();
        for Place { address, span, .. } in &reading.places {
            let kept = free.take(reading.name, address);
            wanted.push(WantedBinding {
                listener: name.clone(),
                address: address.clone(),
                mode: reading.mode,
                span: *span,
                kept,
            });
        }
        let listener = Listener {
            counters: env.registry.listener(&name),
            name,
            bindings: Vec::new(),
            settings: reading.settings,
            tls: reading.tls?,
            protocol: reading.protocol?,
            router,
        };
        let old = previous.and_then(|plan| plan.listener(reading.name));
        drafts.push(match old.filter(|old| is_same(old, &listener, &wanted[own..])) {
            Some(old) => ListenerDraft::Kept(old.clone()),
            None => {
                ListenerDraft::New(Box::new(NewListener { bindings_count: wanted.len() - own, listener }))
            }
        });
    }
    Some((wanted, drafts))
}

/// Whether nothing about a listener is different. Taken apart, so that a new field cannot be forgotten here.
fn is_same(old: &Listener, new: &Listener, wanted: &[WantedBinding]) -> bool {
    let Listener { name: _, bindings: _, settings, tls, protocol, router, counters: _ } = new;
    let bound = Bound::of(old);
    let is_kept =
        |(wanted, old): (&WantedBinding, &Bound)| wanted.kept.as_ref().is_some_and(|kept| kept.is_same(old));
    let has_routes = matches!(protocol, Protocol::Http);
    old.settings == *settings
        && tls::is_same(old.tls.as_ref(), tls.as_ref())
        && layer4::is_same(&old.protocol, protocol)
        && (!has_routes || Arc::ptr_eq(&old.router, router))
        && bound.len() == wanted.len()
        && wanted.iter().zip(&bound).all(is_kept)
}

fn read<'o>(
    name: &'o str,
    listener: &'o options::Listener,
    scope: &Scope<'_, 'o>,
    faults: &mut Faults,
) -> Reading<'o> {
    let speaks = protocol_of(listener);
    let binds = listener.bind.iter().flat_map(|bind| bind.iter());
    let places: Vec<_> = binds.filter_map(|bind| read_place(bind, speaks, faults)).collect();
    Reading {
        name,
        speaks,
        places,
        mode: listener.socket_mode.as_ref().map(|mode| mode.value.0),
        settings: ListenerSettings {
            identity_headers: tls::identity_headers(scope.options),
            ..read_settings(listener, faults)
        },
        tls: scope.policies.of(&listener.tls, faults).ok(),
        protocol: layer4::read(name, listener, scope, faults),
    }
}

/// A path that the address of a Unix socket can hold.
pub(super) fn socket_path(path: &Spanned<&FilePath>, faults: &mut Faults) -> Option<Arc<std::path::Path>> {
    let resolved = &path.value.resolved;
    if resolved.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        let message = format!("the path of a Unix socket is at most {SOCKET_PATH_BYTES_MAX} bytes long");
        let hint =
            format!("this one is {}, from the root on; write a shorter one", resolved.as_os_str().len());
        faults.push(Diagnostic::error(path.span, message).hint(hint));
        return None;
    }
    Some(resolved.as_path().into())
}

fn read_place(bind: &Spanned<Bind>, speaks: ListenerProtocol, faults: &mut Faults) -> Option<Place> {
    let ip = |address| {
        if speaks == ListenerProtocol::Udp { BindAddress::Udp(address) } else { BindAddress::Tcp(address) }
    };
    let address = match &bind.value {
        Bind::Every(port) => ip(every(*port)),
        Bind::Ip(address) => ip(*address),
        Bind::Unix(path) => BindAddress::Unix(socket_path(&Spanned::new(path, bind.span), faults)?),
    };
    Some(Place { address, written: bind.value.to_string(), span: bind.span })
}

/// The IPv6 wildcard, which takes IPv4 as well.
fn every(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))
}

fn read_settings(listener: &options::Listener, faults: &mut Faults) -> ListenerSettings {
    let none = options::ListenerTimeouts::default();
    let timeouts = listener.timeouts.as_ref().map_or(&none, |timeouts| &timeouts.value);
    let mut settings = ListenerSettings::default();
    take(&timeouts.first_request, &mut settings.first_request_timeout);
    take(&timeouts.header, &mut settings.header_timeout);
    take(&timeouts.idle, &mut settings.idle_timeout);
    take(&timeouts.body_idle, &mut settings.body_idle_timeout);
    take(&timeouts.write_idle, &mut settings.write_idle_timeout);
    read_head_limits(listener, &mut settings, faults);
    if let Some(rate) = &listener.body_rate_min {
        settings.body_rate_min = rate.value.0;
    }
    if let Some(bytes) = &listener.max_body_bytes {
        settings.body_bytes_max = body_bytes(bytes.value);
    }
    read_limits(listener, &mut settings);
    if let Some(style) = &listener.forwarded {
        settings.forwarded = read_forwarded(style.value);
    }
    settings.h2c = listener.h2c.as_ref().is_some_and(|on| on.value);
    if let Some(underscores) = &listener.underscore_headers {
        settings.underscore_headers = underscores.value == UnderscoreHeaders::Allow;
    }
    let trusted = listener.trusted_proxies.iter().flat_map(|ranges| ranges.iter());
    settings.trusted_proxies = trusted.map(|range| network(range.value)).collect();
    settings
}

fn read_limits(listener: &options::Listener, settings: &mut ListenerSettings) {
    settings.connections_max = listener.max_connections.as_ref().and_then(|cap| count(cap.value));
    settings.connections_per_address_max =
        listener.max_connections_per_address.as_ref().and_then(|cap| count(cap.value));
    settings.accept_rate = listener.accept_rate.as_ref().map(|rate| accept_rate(rate.value));
    let proxies = listener.proxy_protocol.iter().flat_map(|proxies| &proxies.from);
    let sources = proxies.flat_map(|sources| sources.iter()).map(|source| match source.value {
        ProxySource::Range(range) => network(range),
        // The address that stands for all of them.
        ProxySource::Unix => Network { address: towpath_net::unix::ADDRESS.ip(), prefix: 32 },
    });
    settings.proxy_protocol_from = sources.collect();
}

fn network(range: Cidr) -> Network {
    Network { address: range.address, prefix: range.prefix }
}

pub(super) fn count(cap: Cap) -> Option<usize> {
    match cap {
        Cap::Count(count) => Some(count.get() as usize),
        Cap::Unlimited => None,
    }
}

/// A second's worth may come at once.
fn accept_rate(rate: Rate) -> AcceptRate {
    let seconds = rate.per.max(Duration::from_secs(1)).as_secs();
    AcceptRate { count: rate.count, per: rate.per, burst: (rate.count / seconds).max(1) }
}

/// A bound on bodies.
pub(super) fn body_bytes(cap: SizeCap) -> Option<u64> {
    match cap {
        SizeCap::Bytes(bytes) => Some(bytes),
        SizeCap::Unlimited => None,
    }
}

fn take<T: Copy>(written: &Opt<T>, place: &mut T) {
    if let Some(written) = written {
        *place = written.value;
    }
}

fn read_head_limits(listener: &options::Listener, settings: &mut ListenerSettings, faults: &mut Faults) {
    if let Some(bytes) = &listener.max_header_bytes {
        if bytes.value.0 > HEAD_BYTES_CEILING {
            let message = "\"max_header_bytes\" is more than any client needs";
            faults.push(Diagnostic::error(bytes.span, message).hint("at most \"16MiB\""));
        }
        settings.head.head_bytes_max = usize::try_from(bytes.value.0).unwrap_or(usize::MAX);
    }
    if let Some(count) = &listener.max_header_count {
        if count.value.get() as usize > FIELDS_COUNT_CEILING {
            let message = format!("\"max_header_count\" is at most {FIELDS_COUNT_CEILING}");
            faults.push(
                Diagnostic::error(count.span, message).hint("fields are parsed on the stack; lower it"),
            );
        }
        settings.head.fields_count_max = count.value.get() as usize;
    }
}

fn read_forwarded(style: ForwardedStyle) -> Forwarded {
    match style {
        ForwardedStyle::XForwarded => Forwarded::XForwarded,
        ForwardedStyle::Rfc7239 => Forwarded::Rfc7239,
        ForwardedStyle::Both => Forwarded::Both,
        ForwardedStyle::Off => Forwarded::Off,
    }
}

/// Addresses that differ and still cannot be had together: a wildcard takes every address of its port, a path may be
/// written in two ways, and the admin address is one more. Equal addresses of listeners were found where they were
/// read. TCP and UDP are two different things.
fn refuse_overlaps(admin: Option<&Spanned<Bind>>, readings: &[Reading<'_>], faults: &mut Faults) {
    let admin = admin.and_then(|bind| read_place(bind, ListenerProtocol::Http, &mut Faults::new()));
    let places: Vec<&Place> = readings.iter().flat_map(|reading| &reading.places).collect();
    for (count, place) in places.iter().enumerate() {
        let is_clash =
            |other: &&&Place| other.written != place.written && other.address.overlaps(&place.address);
        if let Some(other) = places[..count].iter().find(is_clash) {
            let (first, second) = if other.span < place.span { (*other, *place) } else { (*place, *other) };
            let message = format!("{} and {} cannot both be listened at", second.written, first.written);
            let fault = Diagnostic::error(second.span, message).also(first.span, "the other one");
            faults.push(fault.hint(match place.address {
                BindAddress::Unix(_) => "both are the same file; one listener can serve many routes",
                _ => "a wildcard address takes the port at every address; one listener may have several addresses",
            }));
        }
        if let Some(admin) = admin.as_ref().filter(|admin| admin.address.overlaps(&place.address)) {
            let message = format!("{} takes the port of the admin address {}", place.written, admin.written);
            let fault = Diagnostic::error(place.span, message).also(admin.span, "the admin address");
            faults.push(fault.hint("give one of them another port"));
        }
    }
}
