//! What a client does and allows.

use std::time::Duration;

use towpath_net::tls;
use towpath_proto::limits::{DECODED_BODY_BYTES_MAX, DECODED_RATIO_MAX, FIELDS_COUNT_MAX, HEAD_BYTES_MAX};

use super::h2;
use super::version::HttpVersion;
use crate::net::Dialer;
use crate::pool::PoolConfig;

/// Redirects in a row. What Go and curl's users are used to is 10 and 50; a loop shows itself in fewer.
const REDIRECTS_MAX: usize = 10;

/// An idle connection closes before most servers close theirs, of which 60 s and 75 s are usual defaults.
const IDLE_CONNECTION_TIME: Duration = Duration::from_secs(50);

/// What a [`Client`](super::Client) does and allows.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// Which versions of HTTP are spoken. Default: over TLS whatever the origin chooses of HTTP/2 and HTTP/1.1, in clear text
    /// HTTP/1.1.
    pub version: HttpVersion,
    /// Requests at a time on one connection of HTTP/2, if the origin allows as many. When all are under way another connection
    /// opens, as far as `pool` has room. Default 100, at most 256.
    pub http2_streams: usize,
    /// The silence after which the origin of an HTTP/2 connection is asked for a sign of life by PING, whether requests wait
    /// for it or the connection is idle. Whatever comes counts as one, and `None` never asks. Default 15 s, at least 1 s. Servers
    /// of gRPC take PINGs amiss that come often while they say nothing themselves: where [`idle_timeout`](Self::idle_timeout) lets
    /// calls be silent for longer than a minute, set it to what the server permits, 5 min if it does not say.
    pub http2_ping_interval: Option<Duration>,
    /// How long the origin has to answer a PING. Then the connection is closed, and its requests fail with an error that
    /// [is a timeout](crate::http::Error::is_timeout); what may be sent again, as if the connection had ended, goes out on another one. Default
    /// 10 s.
    pub http2_ping_timeout: Duration,
    /// How connections are made. Its time limit counts for a connection with its tunnel and TLS.
    pub dialer: Dialer,
    /// How connections to one origin are kept. Default: 50, and an idle one closes after 50 s.
    pub pool: PoolConfig,
    /// Whose certificates are trusted. Default: what the system trusts.
    pub authorities: Option<tls::Authorities>,
    /// The certificate that is shown to who asks for one. Default none.
    pub identity: Option<tls::Identity>,
    /// Where to dial in place of some `host:port`: another address, or `unix:/path`. TLS and `Host` stay as the URL has them.
    pub connect_to: Vec<(String, String)>,
    /// Whether to go through the proxies that `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` name. Read when the client
    /// is made. Default true.
    pub environment_proxy: bool,
    /// Redirects that are followed in a row; 0 gives them out. Default 10.
    pub redirects_max: usize,
    /// Whether gzip, br and zstd are asked for and undone. A request with an `Accept-Encoding` of its own gets what comes.
    /// Default true.
    pub decode: bool,
    /// Bytes that a coded body may become. Default 64 MiB (T46).
    pub decoded_bytes_max: u64,
    /// Bytes that a coded byte may become, as the mean of a body beyond its first. Default 100 (T46).
    pub decoded_ratio_max: u64,
    /// Bytes that [`Response::bytes`](crate::http::Response::bytes) and its kin take. Default 64 MiB.
    pub body_bytes_max: u64,
    /// Bytes of a head, or of trailers. Default 64 KiB.
    pub header_bytes: usize,
    /// Fields of a head. Default 100, at most 128.
    pub header_fields: usize,
    /// The longest without a byte in either direction. Default 30 s.
    pub idle_timeout: Duration,
    /// Whether cookies that servers set are kept, in memory, and sent back. Default false: a client that serves many users must
    /// not mix them.
    pub cookies: bool,
    /// The value of `User-Agent`, unless a request has one.
    pub user_agent: String,
    /// Whether the servers are inside the boundary of trust: then they are told the trace and the baggage of the context. Default
    /// false.
    pub is_trusted: bool,
    /// Whether servers are told how long the context gives them, as `grpc-timeout`. Default false.
    pub propagate_deadline: bool,
    /// The headers of context values that servers are told. Default none.
    pub allow: Vec<&'static str>,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            version: HttpVersion::Negotiated,
            http2_streams: h2::STREAMS_COUNT_MAX,
            http2_ping_interval: Some(h2::PING_INTERVAL),
            http2_ping_timeout: h2::PING_TIMEOUT,
            dialer: Dialer::default(),
            pool: PoolConfig { idle_timeout: IDLE_CONNECTION_TIME, ..PoolConfig::default() },
            authorities: None,
            identity: None,
            connect_to: Vec::new(),
            environment_proxy: true,
            redirects_max: REDIRECTS_MAX,
            decode: true,
            decoded_bytes_max: DECODED_BODY_BYTES_MAX,
            decoded_ratio_max: DECODED_RATIO_MAX,
            body_bytes_max: crate::http::response::BODY_BYTES_MAX,
            header_bytes: HEAD_BYTES_MAX,
            header_fields: FIELDS_COUNT_MAX,
            idle_timeout: Duration::from_secs(30),
            cookies: false,
            user_agent: concat!("towpath/", env!("CARGO_PKG_VERSION")).to_owned(),
            is_trusted: false,
            propagate_deadline: false,
            allow: Vec::new(),
        }
    }
}
