//! Which version of HTTP a client speaks to whom.

use std::io;

use towpath_net::Stream;
use towpath_net::tls::{ALPN_HTTP1, ALPN_HTTP2};

use super::origin::{Origin, Speaks};
use crate::net::Error;

/// The versions of HTTP that a client speaks. WebSockets are opened over HTTP/1.1 whatever it says, and so is the tunnel
/// through a proxy, inside which the origin chooses as it does without one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HttpVersion {
    /// Over TLS both versions are offered by ALPN, HTTP/2 first, and the origin chooses (RFC 9113 §3.2). In clear text
    /// HTTP/1.1. The default, as it is in Go and curl. An origin that ends a stream or a connection with HTTP_1_1_REQUIRED
    /// (RFC 9113 §7) is asked again by HTTP/1.1, which is all it is offered for the next ten minutes.
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
}

impl Origin {
    /// Whether a connection to it may turn out to speak HTTP/2.
    pub(super) fn may_be_http2(&self) -> bool {
        match self.version {
            HttpVersion::Negotiated => self.is_tls,
            HttpVersion::Http1Only => false,
            HttpVersion::Http2PriorKnowledge => self.is_tls || self.proxy.is_none(),
        }
    }

    /// The same by connections that speak HTTP/1.1 whatever the origin would choose.
    pub(super) fn by_http1(&self) -> Self {
        Self { version: HttpVersion::Http1Only, ..self.clone() }
    }

    /// What is spoken on a new connection to it.
    ///
    /// # Errors
    /// HTTP/2 alone was offered, and it was not chosen.
    pub(super) fn spoken(&self, stream: &Stream) -> Result<Speaks, Error> {
        if !self.may_be_http2() {
            return Ok(Speaks::Http1);
        }
        let is_chosen = !self.is_tls
            || stream.agreed().is_some_and(|agreed| agreed.protocol.as_deref() == Some(ALPN_HTTP2));
        match (is_chosen, self.version) {
            (true, _) => Ok(Speaks::Http2),
            (false, HttpVersion::Http2PriorKnowledge) => {
                Err(io::Error::other("the server does not choose h2").into())
            }
            (false, _) => Ok(Speaks::Http1),
        }
    }
}
