//! Listeners: what they allow, and the addresses they want.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use towpath_config::options::{self, ForwardedStyle, UnderscoreHeaders};
use towpath_config::value::{Bind, Cap, Opt, SizeCap};
use towpath_config::{Diagnostic, Options, Span, Spanned};
use towpath_gateway::plan::{Forwarded, Listener, ListenerSettings, Network, Plan, Router};
use towpath_net::Binding;
use towpath_proto::limits::FIELDS_COUNT_CEILING;

use super::name::within;
use super::{Faults, ListenerDraft, NewListener, WantedBinding, later};

/// Heads above this are refused as a setting: every connection may have to hold one.
const HEAD_BYTES_CEILING: u64 = 16 * 1024 * 1024;

/// A listener as written.
pub(super) struct Reading<'o> {
    pub(super) name: &'o str,
    pub(super) settings: ListenerSettings,
    addresses: Vec<Place>,
}

/// An address, as written and as bound.
struct Place {
    address: SocketAddr,
    written: String,
    span: Span,
}

/// Reads every `http` listener, in the order of their names.
pub(super) fn compile<'o>(
    options: &'o Options,
    known: &[Diagnostic],
    faults: &mut Faults,
) -> Vec<Reading<'o>> {
    let http = options.listener.iter().filter(|(_, listener)| later::is_http(listener));
    let readings: Vec<Reading<'o>> = http
        .map(|(name, listener)| {
            within(&format!("listener.{name}"), faults, |faults| read(name, listener, faults))
        })
        .collect();
    refuse_overlaps(options, &readings, faults);
    let is_hidden = known.iter().any(super::is_of_the_whole);
    if options.listener.is_empty() && !is_hidden {
        let fault = Diagnostic::error(Span::NONE, "the file has no listener, so nothing would be served");
        faults.push(fault.hint("add [listener.web] with bind = \"127.0.0.1:8080\""));
    }
    readings
}

/// Finds what can stay of `previous`, and the addresses that are wanted, listener by listener.
pub(super) fn draft(
    readings: Vec<Reading<'_>>,
    routers: Vec<Arc<Router>>,
    previous: Option<&Plan>,
) -> (Vec<WantedBinding>, Vec<ListenerDraft>) {
    let mut free = FreeBindings::of(previous);
    let mut wanted = Vec::new();
    let mut drafts = Vec::new();
    for (reading, router) in readings.into_iter().zip(routers) {
        let name: Arc<str> = reading.name.into();
        let own = wanted.len();
        for Place { address, span, .. } in &reading.addresses {
            let kept = free.take(reading.name, *address);
            wanted.push(WantedBinding { listener: name.clone(), address: *address, span: *span, kept });
        }
        let old = previous.and_then(|plan| plan.listener(reading.name));
        drafts.push(match old.filter(|old| is_same(old, &reading.settings, &router, &wanted[own..])) {
            Some(old) => ListenerDraft::Kept(old.clone()),
            None => ListenerDraft::New(Box::new(NewListener {
                name,
                bindings_count: reading.addresses.len(),
                settings: reading.settings,
                router,
            })),
        });
    }
    (wanted, drafts)
}

fn is_same(
    old: &Listener,
    settings: &ListenerSettings,
    router: &Arc<Router>,
    wanted: &[WantedBinding],
) -> bool {
    let is_kept = |wanted: &WantedBinding, old: &Arc<Binding>| {
        wanted.kept.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, old))
    };
    old.settings == *settings
        && Arc::ptr_eq(&old.router, router)
        && old.bindings.len() == wanted.len()
        && wanted.iter().zip(&old.bindings).all(|(wanted, old)| is_kept(wanted, old))
}

/// The bindings of the previous plan that nobody has claimed yet.
struct FreeBindings<'p> {
    list: Vec<(&'p str, &'p Arc<Binding>)>,
}

impl<'p> FreeBindings<'p> {
    fn of(previous: Option<&'p Plan>) -> Self {
        let listeners = previous.iter().flat_map(|plan| plan.listeners.iter());
        let list =
            listeners.flat_map(|listener| listener.bindings.iter().map(|binding| (&*listener.name, binding)));
        Self { list: list.collect() }
    }

    /// The binding that has this address. Any port (0) is met by the port the same listener already has; a listener
    /// of another name must have asked for the very address.
    fn take(&mut self, listener: &str, address: SocketAddr) -> Option<Arc<Binding>> {
        let place = self.list.iter().position(|(owner, binding)| {
            let bound = binding.address();
            let is_port = bound.port() == address.port() || (address.port() == 0 && *owner == listener);
            is_port && is_ip(bound.ip(), address.ip())
        })?;
        Some(self.list.remove(place).1.clone())
    }
}

/// Every address is bound as the IPv4 wildcard where there is no IPv6.
fn is_ip(bound: IpAddr, wanted: IpAddr) -> bool {
    bound == wanted || (wanted == Ipv6Addr::UNSPECIFIED && bound == Ipv4Addr::UNSPECIFIED)
}

fn read<'o>(name: &'o str, listener: &options::Listener, faults: &mut Faults) -> Reading<'o> {
    if let Some(idle) = &listener.idle_timeout {
        let fault = Diagnostic::error(idle.span, "\"idle_timeout\" is for tcp and udp listeners");
        faults.push(fault.hint("write timeouts = { idle = \"60s\" }"));
    }
    let addresses = listener.bind.iter().flat_map(|bind| bind.iter()).filter_map(place);
    Reading { name, addresses: addresses.collect(), settings: read_settings(listener, faults) }
}

fn place(bind: &Spanned<Bind>) -> Option<Place> {
    let address = socket_address(&bind.value)?;
    Some(Place { address, written: bind.value.to_string(), span: bind.span })
}

/// `":8080"` is the IPv6 wildcard, which accepts IPv4 as well. `None` for a Unix socket.
fn socket_address(bind: &Bind) -> Option<SocketAddr> {
    match bind {
        Bind::Every(port) => Some(SocketAddr::from((Ipv6Addr::UNSPECIFIED, *port))),
        Bind::Ip(address) => Some(*address),
        Bind::Unix(_) => None,
    }
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
    if let Some(cap) = &listener.max_connections {
        settings.connections_max = match cap.value {
            Cap::Count(count) => Some(count.get() as usize),
            Cap::Unlimited => None,
        };
    }
    if let Some(style) = &listener.forwarded {
        settings.forwarded = read_forwarded(style.value);
    }
    if let Some(underscores) = &listener.underscore_headers {
        settings.underscore_headers = underscores.value == UnderscoreHeaders::Allow;
    }
    let trusted = listener.trusted_proxies.iter().flat_map(|ranges| ranges.iter());
    settings.trusted_proxies =
        trusted.map(|range| Network { address: range.value.address, prefix: range.value.prefix }).collect();
    settings
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

/// Addresses that differ and still cannot be had together: a wildcard takes every address of its port, and the admin
/// address is one more. Equal addresses of listeners were found where they were read.
fn refuse_overlaps(options: &Options, readings: &[Reading<'_>], faults: &mut Faults) {
    let admin = options.admin.as_ref().and_then(|admin| admin.listen.as_ref()).and_then(place);
    let places: Vec<&Place> = readings.iter().flat_map(|reading| &reading.addresses).collect();
    for (count, place) in places.iter().enumerate() {
        let is_clash =
            |other: &&&Place| other.address != place.address && overlap(other.address, place.address);
        if let Some(other) = places[..count].iter().find(is_clash) {
            let (first, second) = if other.span < place.span { (*other, *place) } else { (*place, *other) };
            let message = format!("{} and {} cannot both be listened at", second.written, first.written);
            let fault = Diagnostic::error(second.span, message).also(first.span, "the other one");
            let hint =
                "a wildcard address takes the port at every address; one listener may have several addresses";
            faults.push(fault.hint(hint));
        }
        if let Some(admin) = admin.as_ref().filter(|admin| overlap(admin.address, place.address)) {
            let message = format!("{} takes the port of the admin address {}", place.written, admin.written);
            let fault = Diagnostic::error(place.span, message).also(admin.span, "the admin address");
            faults.push(fault.hint("give one of them another port"));
        }
    }
}

fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    // An IPv6 wildcard takes IPv4 as well.
    let takes = |wide: IpAddr, narrow: IpAddr| wide.is_unspecified() && (wide.is_ipv6() || narrow.is_ipv4());
    let meet = a.ip() == b.ip() || takes(a.ip(), b.ip()) || takes(b.ip(), a.ip());
    a.port() == b.port() && a.port() != 0 && meet
}
