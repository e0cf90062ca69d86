//! Listeners: where connections come in, what is spoken there, and what a client is allowed.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use towpath_net::Binding;
use towpath_proto::h1::HeadLimits;
use towpath_telemetry::metrics::{ListenerCounters, PerWorker};

use super::{AcceptRate, ListenerTls, Passthrough, Router, Tcp, Udp};

/// A named place that accepts connections.
#[derive(Debug)]
pub struct Listener {
    /// The name of its table in the file.
    pub name: Arc<str>,
    /// The addresses it accepts connections on, TCP and Unix; none for [`Protocol::Udp`], which has its own kind. A
    /// binding that both plans name is the same object, with the same sockets.
    pub bindings: Vec<Arc<Binding>>,
    /// Limits, timeouts and trust.
    pub settings: ListenerSettings,
    /// What is done about TLS before anything is read; `None` for clear text.
    pub tls: Option<ListenerTls>,
    /// What is spoken here.
    pub protocol: Protocol,
    /// The routes of [`Protocol::Http`]; [`Router::empty`] for the others.
    pub router: Arc<Router>,
    /// Counters, from the registry, which keeps them over reloads by name.
    pub counters: PerWorker<ListenerCounters>,
}

/// What a listener does with a connection.
#[derive(Debug)]
pub enum Protocol {
    /// Reads requests and routes them.
    Http,
    /// Joins it with a connection to an endpoint.
    Tcp(Tcp),
    /// Reads the ClientHello to learn where it wants to go, then does as `Tcp`.
    Passthrough(Passthrough),
    /// Datagrams: a session for each client address.
    Udp(Udp),
}

impl Protocol {
    /// Its name in configuration files, logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp(_) => "tcp",
            Self::Passthrough(_) => "tls-passthrough",
            Self::Udp(_) => "udp",
        }
    }
}

/// What a listener allows and how long it waits. Defaults are those of the threat model's table.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenerSettings {
    /// From accept to the first complete request head, or ClientHello of a passthrough; a PROXY header is inside it.
    /// Default 10 s (T31).
    pub first_request_timeout: Duration,
    /// From the first byte of a later head to its end. Default 10 s (T39).
    pub header_timeout: Duration,
    /// Between two requests. Default 60 s. Relays have [`super::RelaySettings::idle_timeout`].
    pub idle_timeout: Duration,
    /// Without one byte of request body. Default 30 s.
    pub body_idle_timeout: Duration,
    /// Without progress writing to the client. Default 30 s (T39).
    pub write_idle_timeout: Duration,
    /// Least request-body bytes per second, judged after the first 10 s. Default 1024; 0 turns it off (T39).
    pub body_rate_min: u64,
    /// Whether clients in clear text may begin with HTTP/2 (RFC 9113 §3.3). Default false. With TLS they agree on it.
    pub h2c: bool,
    /// Limits of a request head.
    pub head: HeadLimits,
    /// Largest request body in bytes; `None` means no limit, the default, as the gateway stores no body.
    pub body_bytes_max: Option<u64>,
    /// Peers whose forwarding headers are believed. Default none (T42).
    pub trusted_proxies: Vec<Network>,
    /// Which forwarding headers are sent on. Default `XForwarded`.
    pub forwarded: Forwarded,
    /// Whether header names with `_` pass. Default false: dropped and counted (T42).
    pub underscore_headers: bool,
    /// Request headers, in lower case, in which the gateway alone says who a client is: taken out of every request,
    /// those of trusted proxies and of clear text as well (T42). Default none.
    pub identity_headers: Vec<Box<[u8]>>,
    /// Peers that have to begin with a PROXY header, which then says who the client is. From all others none is read:
    /// what they send is the client's own. The peers of a Unix socket have the address [`towpath_net::unix::ADDRESS`].
    /// Default none (T56).
    pub proxy_protocol_from: Vec<Network>,
    /// Open connections of this listener over all workers; more stay in the kernel's queue. `None`, the default, means
    /// no limit. Workers look at the count before they accept and do not wait for each other, so it may be exceeded
    /// by one connection for each further worker.
    pub connections_max: Option<usize>,
    /// Open connections of one client, which is an IPv4 address or an IPv6 /64; more are closed at once, with a reset.
    /// `None`, the default, means no limit. Clients behind a listed proxy are told apart by their PROXY header.
    pub connections_per_address_max: Option<usize>,
    /// Connections accepted per time, over all workers; more stay in the kernel's queue. `None`, the default, means no
    /// limit.
    pub accept_rate: Option<AcceptRate>,
}

impl ListenerSettings {
    /// Whether the forwarding headers of `peer` are believed.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|range| range.contains(peer))
    }

    /// Whether `peer` has to begin with a PROXY header.
    pub(crate) fn wants_proxy_header(&self, peer: IpAddr) -> bool {
        self.proxy_protocol_from.iter().any(|range| range.contains(peer))
    }
}

impl Default for ListenerSettings {
    fn default() -> Self {
        Self {
            first_request_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            body_idle_timeout: Duration::from_secs(30),
            write_idle_timeout: Duration::from_secs(30),
            body_rate_min: 1024,
            h2c: false,
            head: HeadLimits::default(),
            body_bytes_max: None,
            trusted_proxies: Vec::new(),
            forwarded: Forwarded::XForwarded,
            underscore_headers: false,
            identity_headers: Vec::new(),
            proxy_protocol_from: Vec::new(),
            connections_max: None,
            connections_per_address_max: None,
            accept_rate: None,
        }
    }
}

/// An address range in CIDR form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Any address of the range.
    pub address: IpAddr,
    /// How many leading bits count.
    pub prefix: u8,
}

impl Network {
    /// Whether `peer` is in the range. An IPv4 address that arrived mapped into IPv6 counts as IPv4.
    pub fn contains(&self, peer: IpAddr) -> bool {
        match (self.address, peer.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(peer)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix.min(32))).unwrap_or(0);
                (own.to_bits() ^ peer.to_bits()) & mask == 0
            }
            (IpAddr::V6(own), IpAddr::V6(peer)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix.min(128))).unwrap_or(0);
                (own.to_bits() ^ peer.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

/// Which headers tell the origin who the client is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forwarded {
    /// `X-Forwarded-For`, `-Proto` and `-Host`.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Rfc7239,
    /// All of them.
    Both,
    /// None is added; those of untrusted peers are still removed.
    Off,
}

impl Forwarded {
    pub(crate) fn is_x_forwarded(self) -> bool {
        matches!(self, Self::XForwarded | Self::Both)
    }

    pub(crate) fn is_rfc7239(self) -> bool {
        matches!(self, Self::Rfc7239 | Self::Both)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_its_addresses_also_mapped_ones() {
        let network = Network { address: "10.0.0.0".parse().unwrap(), prefix: 8 };
        let contains = |text: &str| network.contains(text.parse().unwrap());
        assert!(contains("10.255.0.1") && contains("::ffff:10.1.2.3"));
        assert!(!contains("11.0.0.0") && !contains("::1"));
        let everything = Network { address: "0.0.0.0".parse().unwrap(), prefix: 0 };
        assert!(everything.contains("203.0.113.9".parse().unwrap()));
    }
}
