//! `[listener.NAME]` and `[tls.NAME]`: the side that faces clients.

use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use crate::table::options;
use crate::value::{
    Bind, ByteRate, ByteSize, Cap, Cidr, FileMode, FilePath, List, Map, OneOrMany, Opt, Rate, Reject,
    SizeCap, Text, words,
};

options! {
    /// An address that accepts clients, and what it demands of them.
    pub struct Listener {
        /// Where to listen: `"127.0.0.1:8080"`, `"[::1]:80"`, `"unix:/run/web.sock"`, or a list of them. `":8080"`
        /// means every address, IPv4 and IPv6. Required.
        pub bind: Opt<OneOrMany<Bind>>,
        /// What is spoken here. Default `"http"`.
        pub protocol: Opt<ListenerProtocol>,
        /// The `[tls.NAME]` that makes this listener speak TLS, or a list of them, of which the server name chooses; the
        /// first is for names that none of them has, and clients without a name get the first that demands a certificate.
        /// Default: clear text.
        pub tls: Opt<OneOrMany<String>>,
        /// Admits HTTP/2 without TLS from clients that start with it. Default `false`.
        pub h2c: Opt<bool>,
        /// Also serves HTTP/3 over QUIC on the same port; needs `tls`. Default `false`.
        pub http3: Opt<bool>,
        /// The `[upstream.NAME]` of a `tcp` or `udp` listener; for `tls-passthrough` where everything goes that `sni` and
        /// `alpn` do not name, clients without a server name among it. Default for `tls-passthrough`: refused.
        pub upstream: Opt<String>,
        /// For `tls-passthrough`: which upstream each server name goes to, `{ "a.example.com" = "a", "*.example.com" =
        /// "users" }`. A name goes before a wildcard, and the longest wildcard wins; `*.` stands for one label or more.
        pub sni: Opt<Map<String>>,
        /// For `tls-passthrough`: which upstream clients go to that offer one of these protocols, `{ "acme-tls/1" =
        /// "acme" }`. Asked before `sni`; of several the one that the client prefers.
        pub alpn: Opt<Map<String>>,
        /// For `tcp` and `tls-passthrough`: a connection over which no byte is written for this long is closed, default
        /// `"1h"`. For `udp`: a session whose client sends nothing for this long ends, default `"30s"`.
        pub idle_timeout: Opt<Duration>,
        /// For `tcp` and `tls-passthrough`: endpoints tried, each once, before a client is refused. Default 3.
        pub connect_attempts: Opt<NonZeroU32>,
        /// Who must begin with a PROXY header, which then says who the client is. Default: nobody.
        pub proxy_protocol: Opt<ProxyProtocol>,
        /// The clocks a client of an `http` listener runs against; `first_request` also for `tcp` and `tls-passthrough`.
        pub timeouts: Opt<ListenerTimeouts>,
        /// Slower request bodies are cut off, counted after their first 10 s. Default `"1KiB/s"`.
        pub body_rate_min: Opt<ByteRate>,
        /// Peers whose forwarding headers are believed, as addresses or CIDR ranges. Default: none, so that
        /// `X-Forwarded-*` and `Forwarded` sent by a client are dropped.
        pub trusted_proxies: Opt<List<Cidr>>,
        /// Which headers tell the origin about the client. Default `"x-forwarded"`.
        pub forwarded: Opt<ForwardedStyle>,
        /// Largest request head, counted as name + value + 32 per field. Default `"64KiB"`.
        pub max_header_bytes: Opt<ByteSize>,
        /// Most header fields in one request. Default 100.
        pub max_header_count: Opt<NonZeroU32>,
        /// Most connections open at once, or `"unlimited"`: then `[limits] max_connections` is the bound. At the bound
        /// new clients wait in the kernel's queue until one leaves; a client that connects and says nothing holds its
        /// place until `timeouts.first_request` runs out. Default `"unlimited"`.
        pub max_connections: Opt<Cap>,
        /// Most connections of one client, an IPv4 address or an IPv6 /64; more are closed at once. Default
        /// `"unlimited"`.
        pub max_connections_per_address: Opt<Cap>,
        /// Most connections accepted in a second, minute or hour, `"100/s"`; more wait in the kernel's queue. Default:
        /// no bound.
        pub accept_rate: Opt<Rate>,
        /// For `udp`: most sessions open at once; beyond it the one not used for longest ends. Each has a port and a
        /// file of its own. Default 16384.
        pub max_sessions: Opt<NonZeroU32>,
        /// For `udp`: most sessions of one client, an IPv4 address or an IPv6 /64; beyond it its own session not used for
        /// longest ends. Default 1024.
        pub max_sessions_per_address: Opt<NonZeroU32>,
        /// For `udp`: how many bytes are answered for each byte asked, headers counted, until the client has sent
        /// something after an answer; more are dropped. `"unlimited"` lifts the bound. Default 3.
        pub reply_ratio: Opt<Cap>,
        /// Who may connect to `unix:` addresses, as the mode of the socket file, `"0660"`. Default: what the umask of
        /// the process leaves.
        pub socket_mode: Opt<FileMode>,
        /// Header names with `_`, which some origins read as `-`. Default `"drop"`.
        pub underscore_headers: Opt<UnderscoreHeaders>,
        /// Largest request body, or `"unlimited"`. A route may say otherwise. Default `"unlimited"`: bodies stream and
        /// cost no memory.
        pub max_body_bytes: Opt<SizeCap>,
    }

    /// How long a client may take. A time that runs out ends the connection.
    pub struct ListenerTimeouts {
        /// From accept to the first complete request head, or to the ClientHello of `tls-passthrough`; TLS handshake and
        /// PROXY header included. Default `"10s"`.
        pub first_request: Opt<Duration>,
        /// From the first byte of a later head to its last. Default `"10s"`.
        pub header: Opt<Duration>,
        /// A kept connection without a request. Default `"60s"`.
        pub idle: Opt<Duration>,
        /// A request body that stands still. Default `"30s"`.
        pub body_idle: Opt<Duration>,
        /// A client that takes none of the bytes waiting for it. Default `"30s"`.
        pub write_idle: Opt<Duration>,
    }

    /// The PROXY protocol, versions 1 and 2, on connections that come in.
    pub struct ProxyProtocol {
        /// Peers that must begin with a PROXY header, as addresses or CIDR ranges; `"unix"` is everybody at a `unix:`
        /// address. Without the header they are cut off. From all others none is read. Required.
        pub from: Opt<List<ProxySource>>,
    }

    /// A certificate, its key, and what is asked of clients.
    pub struct Tls {
        /// The certificate chain as a PEM file, leaf first; or a list of them, of which the server name and what the client
        /// can check choose. The first is for names that none of them has. Required.
        pub certificate: Opt<OneOrMany<FilePath>>,
        /// The private key as a PEM file; a list in the order of `certificate`. Required.
        pub private_key: Opt<OneOrMany<FilePath>>,
        /// An OCSP response in DER to staple, or a list of them in the order of `certificate`. Default: none.
        pub ocsp: Opt<OneOrMany<FilePath>>,
        /// Protocol versions admitted. Default `["TLSv1.2", "TLSv1.3"]`.
        pub protocols: Opt<List<TlsVersion>>,
        /// Cipher suites for TLS 1.2 in OpenSSL's notation, such as `"HIGH:!aNULL:!MD5"`. Default: the safe ones.
        pub ciphers: Opt<String>,
        /// Certificate authorities as a PEM file; clients must show a certificate signed by one of them.
        pub client_ca: Opt<FilePath>,
        /// Whether a client may come without a certificate; needs `client_ca`. Default `"required"`.
        pub client_auth: Opt<ClientAuth>,
        /// Names of which the client's certificate must have one, as DNS names or URIs such as
        /// `"spiffe://example.com/app"`; a `*` at the end stands for anything. Needs `client_ca`. Default: every certificate
        /// of `client_ca`.
        pub client_san: Opt<List<String>>,
        /// A request header that tells origins who the client is: the first URI of its certificate, else the first DNS name,
        /// else the common name. What clients send under this name is dropped, on every listener. Needs `client_ca`.
        /// Default: none.
        pub client_identity_header: Opt<String>,
    }
}

/// Who sends PROXY headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxySource {
    /// Everybody who connects to a Unix socket.
    Unix,
    /// Peers with an address of this range.
    Range(Cidr),
}

impl Text for ProxySource {
    const WHAT: &'static str = "a range of addresses or \"unix\"";
    const EXAMPLE: &'static str = Cidr::EXAMPLE;
    const PATTERN: &'static str = "^(unix|[0-9a-fA-F.:]+(/[0-9]+)?)$";

    fn parse(text: &str, folder: &Path) -> Result<Self, Reject> {
        match text {
            "unix" => Ok(Self::Unix),
            range => Cidr::parse(range, folder).map(Self::Range),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Unix => "unix".to_owned(),
            Self::Range(range) => range.to_text(),
        }
    }
}

words! {
    /// What a listener speaks.
    pub enum ListenerProtocol {
        /// HTTP/1.1, and with TLS also HTTP/2 by ALPN.
        Http = "http",
        /// Bytes of a TCP connection, passed on as they are.
        Tcp = "tcp",
        /// Datagrams, kept together by flow.
        Udp = "udp",
        /// TLS that is routed by server name and not opened.
        TlsPassthrough = "tls-passthrough",
    }

    /// Which headers tell the origin who the client is.
    pub enum ForwardedStyle {
        /// `X-Forwarded-For`, `-Host` and `-Proto`.
        XForwarded = "x-forwarded",
        /// `Forwarded`, RFC 7239.
        Rfc7239 = "rfc7239",
        /// Both kinds.
        Both = "both",
        /// None.
        Off = "off",
    }

    /// What happens to header names with `_`.
    pub enum UnderscoreHeaders {
        /// The field is dropped and counted.
        Drop = "drop",
        /// The field is passed on.
        Allow = "allow",
    }

    /// Whether clients need a certificate.
    pub enum ClientAuth {
        /// Without one the handshake fails.
        Required = "required",
        /// Who has none is let in; one that is shown must be good.
        Optional = "optional",
    }

    /// A version of TLS.
    pub enum TlsVersion {
        /// RFC 5246.
        Tls12 = "TLSv1.2",
        /// RFC 8446.
        Tls13 = "TLSv1.3",
    }
}
