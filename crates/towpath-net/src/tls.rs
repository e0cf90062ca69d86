//! TLS over a [`Stream`]. The one module that names the TLS library, which is rustls over aws-lc; beside it, only the trace
//! of a handshake does, which watches the library at work and is given [`provider()`] and [`verifier()`] for it.
//!
//! ```text
//!  Server, Client     what is proved and demanded; can be replaced while connections go on
//!        │ accept, connect
//!        v
//!  Stream::Tls ── Engine (no I/O): records in ─> plaintext, plaintext ─> records out
//!        │
//!  Stream::Socket | Stream::Memory
//! ```
//!
//! An idle connection holds the library's state and a few words of ours: buffers are borrowed when bytes come and given
//! back when they have gone.

mod bytes;
mod certificate;
mod client;
mod engine;
mod fault;
mod provider;
mod server;
mod signing;
mod stream;
mod tickets;

pub use certificate::{Authorities, Identity, MaterialFault, certificates, system_authorities};
pub use client::{Client, ClientSettings, connect, verifier};
pub use fault::{Fault, FaultKind};
pub use provider::{Suites, Versions, install, provider};
pub use server::{Alpn, ClientAuth, NamedIdentity, Server, ServerSettings, accept};
pub use signing::Signing;
pub(crate) use stream::Tls;
pub use tickets::{TICKET_KEY_LIFETIME, TicketKeys, fingerprint};

#[cfg(doc)]
use crate::Stream;

/// The name of HTTP/1.1 in ALPN (RFC 7301 §6).
pub const ALPN_HTTP1: &[u8] = b"http/1.1";

/// The name of HTTP/2 in ALPN (RFC 9113 §3.2).
pub const ALPN_HTTP2: &[u8] = b"h2";

/// What the two sides of a connection agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// The version, as users of nginx know it: `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite by its IANA name.
    pub cipher: &'static str,
    /// Whether the session goes on from an earlier connection.
    pub is_resumed: bool,
    /// The application protocol, by its ALPN name.
    pub protocol: Option<Vec<u8>>,
    /// The certificate that the other side has proved to own, in DER.
    pub peer_certificate: Option<Vec<u8>>,
}

#[cfg(test)]
mod tests;
