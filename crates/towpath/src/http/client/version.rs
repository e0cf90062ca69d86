//! Which version of HTTP a client speaks to whom.

use std::io;

use towpath_net::Stream;
use towpath_net::tls::{ALPN_HTTP1, ALPN_HTTP2};

use super::origin::{Origin, Speaks};
use crate::net::Error;

/// The versions of HTTP that a client speaks. WebSockets are opened over HTTP/1.1 whatever it says, and so is the tunnel
/// through a proxy, inside which the origin chooses as it does without one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpVersion {
    /// Over TLS both versions are offered by ALPN, HTTP/2 first, and the origin chooses (RFC 9113 §3.2). In clear text
    /// HTTP/1.1. The default, as it is in Go and curl.
    #[default]
    Negotiated,
    /// HTTP/1.1 only.
    Http1Only,
    /// HTTP/2 only. In clear text the client begins with it, by prior knowledge of the origin (RFC 9113 §3.3); over TLS it
    /// offers nothing else, and an origin that does not choose it cannot be reached. A proxy that is spoken to in clear text,
    /// whose versions nobody knows, still gets HTTP/1.1.
    Http2PriorKnowledge,
}

impl HttpVersion {
    /// The application protocols that are offered over TLS, best first.
    pub(super) fn offer(self) -> Vec<Vec<u8>> {
        match self {
            Self::Negotiated => vec![ALPN_HTTP2.to_vec(), ALPN_HTTP1.to_vec()],
            Self::Http1Only => vec![ALPN_HTTP1.to_vec()],
            Self::Http2PriorKnowledge => vec![ALPN_HTTP2.to_vec()],
        }
    }

    /// Whether a connection to `origin` may turn out to speak HTTP/2.
    pub(super) fn may_be_http2(self, origin: &Origin) -> bool {
        match self {
            Self::Negotiated => origin.is_tls,
            Self::Http1Only => false,
            Self::Http2PriorKnowledge => origin.is_tls || origin.proxy.is_none(),
        }
    }

    /// What is spoken on a new connection to `origin`.
    ///
    /// # Errors
    /// HTTP/2 alone was offered, and it was not chosen.
    pub(super) fn spoken(self, origin: &Origin, stream: &Stream) -> Result<Speaks, Error> {
        if !self.may_be_http2(origin) {
            return Ok(Speaks::Http1);
        }
        let is_chosen = !origin.is_tls
            || stream.agreed().is_some_and(|agreed| agreed.protocol.as_deref() == Some(ALPN_HTTP2));
        match (is_chosen, self) {
            (true, _) => Ok(Speaks::Http2),
            (false, Self::Http2PriorKnowledge) => {
                Err(io::Error::other("the server does not choose h2").into())
            }
            (false, _) => Ok(Speaks::Http1),
        }
    }
}
