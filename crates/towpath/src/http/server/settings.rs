//! What a server allows.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use towpath_proto::limits::HeadLimits;
use towpath_traffic::rate::Rate;

use crate::http::request::Peer;

/// How long each phase may take. Each deadline is late by up to 67 ms, the tick of the worker's wheel.
///
/// ```
/// use std::time::Duration;
/// use towpath::http::Timeouts;
///
/// let timeouts = Timeouts { handler: Some(Duration::from_secs(5)), ..Timeouts::default() };
/// assert_eq!(timeouts.idle, Duration::from_secs(60));
/// ```
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// From the accept to the first whole head, the TLS handshake inside it. Default 10 s.
    pub first_request: Duration,
    /// From the first byte of a later head to its end. Default 10 s.
    pub header: Duration,
    /// Between the end of a response and the first byte of the next request. Default 60 s.
    pub idle: Duration,
    /// Between two pieces of a body that a handler waits for. Default 30 s.
    pub body_idle: Duration,
    /// Without progress while a response is written. Default 30 s.
    pub write_idle: Duration,
    /// The deadline of a request's context, from its head on. A handler that has not answered by then is dropped, and 504 is
    /// sent. `None` for no deadline. Default 30 s.
    pub handler: Option<Duration>,
    /// How long a handler may go on once its client has gone. Default 5 s.
    pub abandoned: Duration,
    /// The age at which a connection gets no further request. Default 1 h.
    pub connection_age: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            first_request: Duration::from_secs(10),
            header: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            body_idle: Duration::from_secs(30),
            write_idle: Duration::from_secs(30),
            handler: Some(Duration::from_secs(30)),
            abandoned: Duration::from_secs(5),
            connection_age: Duration::from_secs(3600),
        }
    }
}

/// How much there may be.
///
/// ```
/// let limits = towpath::http::Limits { body_bytes: 64 << 20, ..Default::default() };
/// assert_eq!(limits.header_fields, 100);
/// ```
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a request's body that a handler gets with [`Request::bytes`](super::super::Request::bytes) and its kin, and
    /// piece by piece. More is answered with 413. Default 2 MiB.
    pub body_bytes: u64,
    /// Bytes per second that a body has to come with after its first 10 s. Default 1,024; 0 for any.
    pub body_rate_min: u64,
    /// Bytes of a head, or of trailers: names, values and 32 for each field. More is answered with 431. Default 64 KiB.
    pub header_bytes: usize,
    /// Fields of a head. More is answered with 431. Default 100, at most 128.
    pub header_fields: usize,
    /// Connections at a time. More wait in the kernel's queue. Default no limit but that of descriptors.
    pub connections: usize,
    /// Connections of one client address at a time. More are closed at once. Default no limit.
    pub connections_per_address: usize,
    /// How fast connections may come, over all workers and addresses. More wait in the kernel's queue. Default no limit.
    pub connection_rate: Option<Rate>,
    /// How fast requests of one client may come, over all its connections; a client is an IPv4 address or an IPv6 /64, as
    /// the connection has it, so all clients behind a proxy are one. More are answered with 429 and a `Retry-After`, and no
    /// handler sees them. Up to a million clients are told apart at a time; when there are more, those that were not seen
    /// lately are refused. Default no limit.
    ///
    /// ```
    /// use towpath::http::{Limits, Rate};
    ///
    /// let limits = Limits { request_rate_per_address: Some(Rate::per_second(20)), ..Limits::default() };
    /// # drop(limits);
    /// ```
    pub request_rate_per_address: Option<Rate>,
    /// Streams of an HTTP/2 connection at a time. Default 100.
    pub streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: super::super::request::BODY_BYTES_MAX,
            body_rate_min: 1024,
            header_bytes: towpath_proto::limits::HEAD_BYTES_MAX,
            header_fields: towpath_proto::limits::FIELDS_COUNT_MAX,
            connections: usize::MAX,
            connections_per_address: usize::MAX,
            connection_rate: None,
            request_rate_per_address: None,
            streams: towpath_proto::limits::H2_STREAMS_COUNT_MAX as u32,
        }
    }
}

impl Limits {
    pub(crate) fn head(&self) -> HeadLimits {
        HeadLimits {
            head_bytes_max: self.header_bytes,
            fields_count_max: self.header_fields,
            ..HeadLimits::default()
        }
    }
}

/// Whose word about a request's time and trace counts.
#[derive(Clone, Default)]
pub(crate) struct Trust(Option<Arc<IsTrusted>>);

type IsTrusted = dyn Fn(&Peer) -> bool + Send + Sync;

impl Trust {
    pub(crate) fn new(is_trusted: impl Fn(&Peer) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(is_trusted)))
    }

    pub(crate) fn is_in(&self, peer: &Peer) -> bool {
        self.0.as_ref().is_some_and(|is_trusted| is_trusted(peer))
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Trust(some)" } else { "Trust(nobody)" })
    }
}
