//! Why a server has refused something or cut it off, and how often.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ::http::StatusCode;

macro_rules! reasons {
    ($($(#[$doc:meta])+ $reason:ident = $name:literal,)+) => {
        /// Why a server has refused something or cut it off. Its name is a label for metrics and is never changed.
        ///
        /// ```
        /// assert_eq!(towpath::http::Reason::HeaderTimeout.name(), "header_timeout");
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[$doc])+ $reason,)+
        }

        impl Reason {
            const ALL: &[Self] = &[$(Self::$reason,)+];

            /// Its name in lower case.
            ///
            /// ```
            /// assert_eq!(towpath::http::Reason::RequestRate.name(), "request_rate");
            /// ```
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$reason => $name,)+
                }
            }
        }
    };
}

reasons! {
    /// Accepting paused, as there are [`connections`](super::Limits::connections) already; others wait in the kernel's queue.
    Connections = "connections",
    /// A connection was closed at once: its address has
    /// [`connections_per_address`](super::Limits::connections_per_address).
    AddressConnections = "address_connections",
    /// Accepting paused, as connections come faster than [`connection_rate`](super::Limits::connection_rate).
    ConnectionRate = "connection_rate",
    /// 429: requests of the address come faster than
    /// [`request_rate_per_address`](super::Limits::request_rate_per_address).
    RequestRate = "request_rate",
    /// No agreement on TLS, or not in the time of the [first request](super::Timeouts::first_request).
    TlsHandshake = "tls_handshake",
    /// No whole head in the time of the [first request](super::Timeouts::first_request).
    FirstRequestTimeout = "first_request_timeout",
    /// 408: a head took longer than [`header`](super::Timeouts::header).
    HeaderTimeout = "header_timeout",
    /// A connection without a request for longer than [`idle`](super::Timeouts::idle).
    IdleTimeout = "idle_timeout",
    /// 431: a head over [`header_bytes`](super::Limits::header_bytes) or [`header_fields`](super::Limits::header_fields).
    HeaderTooLarge = "header_too_large",
    /// A head, or a connection of HTTP/2, that breaks the rules; 400 in most cases.
    BadRequest = "bad_request",
    /// 408: a body stood still for longer than [`body_idle`](super::Timeouts::body_idle).
    BodyTimeout = "body_timeout",
    /// 408: a body came slower than [`body_rate_min`](super::Limits::body_rate_min).
    BodyRate = "body_rate",
    /// 413: a body over [`body_bytes`](super::Limits::body_bytes), or over what its handler takes.
    BodyTooLarge = "body_too_large",
    /// 504: a handler took longer than [`handler`](super::Timeouts::handler), or than its client would wait.
    HandlerTimeout = "handler_timeout",
    /// The client went away before its handler had an answer. What the handler failed with then is not reported.
    ClientGone = "client_gone",
    /// A handler went on for longer than [`abandoned`](super::Timeouts::abandoned) after its client had gone.
    Abandoned = "abandoned",
    /// 500: a handler panicked.
    Panic = "panic",
    /// A reset: the client took nothing of a response for longer than [`write_idle`](super::Timeouts::write_idle).
    WriteTimeout = "write_timeout",
    /// 503: a request went on for longer than the [grace](super::Server::grace) of a server that stops.
    Grace = "grace",
}

impl Reason {
    /// Why a head was refused with `status`.
    pub(super) fn of_head(status: StatusCode) -> Self {
        match status {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE | StatusCode::URI_TOO_LONG => Self::HeaderTooLarge,
            _ => Self::BadRequest,
        }
    }
}

/// How often a server has refused something or cut it off, by [`Reason`]; from
/// [`Server::refusals`](super::Server::refusals). A clone is the same counts, which go on while the server serves.
///
/// ```
/// use towpath::http::{Reason, Router, Server};
///
/// let server = Server::new(Router::new());
/// let refusals = server.refusals();
/// assert_eq!(refusals.count(Reason::RequestRate), 0);
/// ```
#[derive(Clone)]
pub struct Refusals(Arc<[AtomicU64]>);

impl Refusals {
    pub(super) fn new() -> Self {
        Self(Reason::ALL.iter().map(|_| AtomicU64::new(0)).collect())
    }

    pub(crate) fn note(&self, reason: Reason) {
        if let Some(count) = self.0.get(reason as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// How often it was for this reason.
    ///
    /// ```
    /// # use towpath::http::{Reason, Router, Server};
    /// assert_eq!(Server::new(Router::new()).refusals().count(Reason::Panic), 0);
    /// ```
    pub fn count(&self, reason: Reason) -> u64 {
        self.0.get(reason as usize).map_or(0, |count| count.load(Relaxed))
    }

    /// Every reason with its count, also those of which there was none.
    ///
    /// ```
    /// # use towpath::http::{Router, Server};
    /// for (reason, count) in Server::new(Router::new()).refusals().all() {
    ///     println!("app_refusals_total{{reason=\"{}\"}} {count}", reason.name());
    /// }
    /// ```
    pub fn all(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.iter().map(|&reason| (reason, self.count(reason)))
    }
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.all().filter(|(_, count)| *count > 0)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_count_of_its_own() {
        let refusals = Refusals::new();
        for (index, &reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(reason as usize, index);
            (0..=index).for_each(|_| refusals.note(reason));
        }
        assert!(refusals.all().enumerate().all(|(index, (_, count))| count == index as u64 + 1));
    }
}
