//! What the proxies of a comparison are asked to do.

use std::str::FromStr;

use super::Peer;

/// One way through a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// HTTP/1.1 to HTTP/1.1.
    Http1,
    /// A relay of TCP connections.
    Tcp,
    /// A relay of datagrams.
    Udp,
    /// HTTP/2 in clear text to HTTP/1.1.
    Http2,
    /// HTTP/2 over TLS to HTTP/1.1.
    Http2Tls,
    /// HTTP/2 to HTTP/2, both in clear text.
    Http2Both,
    /// HTTP/1.1 over TLS to HTTP/1.1.
    Https,
    /// Calls of gRPC, over HTTP/2 in clear text on both sides.
    Grpc,
    /// WebSocket in clear text, by an upgrade of HTTP/1.1.
    Ws,
    /// The same over TLS on the client's side.
    Wss,
}

/// Who answers behind the proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginKind {
    /// `bench-origin`.
    Http1,
    /// `bench-far` with the protocol of this service.
    Far(Service),
    /// `nghttpd`, with or without what gRPC needs.
    Http2 {
        /// Answers carry trailers.
        is_grpc: bool,
    },
}

impl Service {
    pub(super) const ALL: [Service; 10] = [
        Service::Http1,
        Service::Tcp,
        Service::Udp,
        Service::Http2,
        Service::Http2Tls,
        Service::Http2Both,
        Service::Https,
        Service::Grpc,
        Service::Ws,
        Service::Wss,
    ];

    /// The name used on the command line, of folders, and of the result file where a bench has only this service.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Service::Http1 => "http1",
            Service::Tcp => "tcp",
            Service::Udp => "udp",
            Service::Http2 => "http2",
            Service::Http2Tls => "http2-tls",
            Service::Http2Both => "http2-http2",
            Service::Https => "https",
            Service::Grpc => "grpc",
            Service::Ws => "ws",
            Service::Wss => "wss",
        }
    }

    /// Everybody who can do it, the control first.
    #[must_use]
    pub fn peers(self) -> &'static [Peer] {
        use Peer::{Control, Envoy, Haproxy, HaproxyEdge, HaproxySplice, Nginx, NginxSession, Towpath};
        match self {
            Service::Http1 => &[Control, Towpath, Nginx, Haproxy, HaproxyEdge],
            Service::Tcp => &[Control, Towpath, Nginx, Haproxy, HaproxySplice],
            // HAProxy has no relay of datagrams.
            Service::Udp => &[Control, Towpath, Nginx, NginxSession],
            Service::Http2 | Service::Http2Tls | Service::Grpc => &[Control, Towpath, Nginx, Haproxy, Envoy],
            // nginx speaks HTTP/2 to origins for gRPC only.
            Service::Http2Both => &[Control, Towpath, Haproxy, Envoy],
            Service::Https | Service::Ws | Service::Wss => &[Control, Towpath, Nginx, Haproxy],
        }
    }

    /// What the control does meanwhile: the same, or what comes nearest to it.
    #[must_use]
    pub fn of_control(self) -> Service {
        match self {
            Service::Http1 | Service::Tcp | Service::Udp => self,
            Service::Ws | Service::Wss => Service::Tcp,
            Service::Http2 | Service::Http2Tls | Service::Http2Both | Service::Https | Service::Grpc => {
                Service::Http1
            }
        }
    }

    /// Who answers.
    #[must_use]
    pub fn origin(self) -> OriginKind {
        match self {
            Service::Http1 | Service::Http2 | Service::Http2Tls | Service::Https => OriginKind::Http1,
            Service::Udp => OriginKind::Far(Service::Udp),
            Service::Tcp | Service::Ws | Service::Wss => OriginKind::Far(Service::Tcp),
            Service::Http2Both => OriginKind::Http2 { is_grpc: false },
            Service::Grpc => OriginKind::Http2 { is_grpc: true },
        }
    }

    /// Clients speak HTTP/2.
    #[must_use]
    pub fn is_http2(self) -> bool {
        matches!(self, Service::Http2 | Service::Http2Tls) || self.is_http2_behind()
    }

    /// The origin speaks HTTP/2.
    #[must_use]
    pub fn is_http2_behind(self) -> bool {
        matches!(self.origin(), OriginKind::Http2 { .. })
    }

    /// Clients speak TLS.
    #[must_use]
    pub fn is_tls(self) -> bool {
        matches!(self, Service::Http2Tls | Service::Https | Service::Wss)
    }

    /// Connections are upgraded to WebSocket.
    #[must_use]
    pub fn is_websocket(self) -> bool {
        matches!(self, Service::Ws | Service::Wss)
    }
}

impl FromStr for Service {
    type Err = String;

    fn from_str(text: &str) -> Result<Service, String> {
        let known = Service::ALL.into_iter().find(|service| service.name() == text);
        known.ok_or_else(|| format!("no service {text:?}"))
    }
}
