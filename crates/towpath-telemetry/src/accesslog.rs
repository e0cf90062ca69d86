//! Access-log lines: one request, one line, whatever bytes the request held (T59).

mod escape;
mod field;
mod format;

pub use field::Field;
pub use format::{Format, FormatFault};

/// What is known of a finished request. Absent things are `None`: every request has a line, however odd (T44).
#[derive(Clone, Copy, Debug, Default)]
pub struct Record<'a> {
    /// When the request ended, in milliseconds since 1970-01-01 UTC.
    pub time_unix_ms: u64,
    /// The peer's address, as text.
    pub remote_addr: Option<&'a [u8]>,
    /// The method as received.
    pub method: Option<&'a [u8]>,
    /// The authority as received.
    pub host: Option<&'a [u8]>,
    /// The canonical path.
    pub path: Option<&'a [u8]>,
    /// What followed the `?`.
    pub query: Option<&'a [u8]>,
    /// The protocol, as `HTTP/1.1`.
    pub version: Option<&'a [u8]>,
    /// The status sent; 0 when none was.
    pub status: u16,
    /// Request bytes received.
    pub bytes_in: u64,
    /// Response bytes sent.
    pub bytes_out: u64,
    /// From the first byte of the request to the last of the response, in microseconds.
    pub duration_us: u64,
    /// The upstream's name.
    pub upstream: Option<&'a [u8]>,
    /// The endpoint's address.
    pub endpoint: Option<&'a [u8]>,
    /// The route's name.
    pub route: Option<&'a [u8]>,
    /// The listener's name.
    pub listener: Option<&'a [u8]>,
    /// The reason code, when the gateway itself answered.
    pub reason: Option<&'a [u8]>,
    /// The request's id.
    pub request_id: Option<&'a [u8]>,
    /// The `Referer` field.
    pub referer: Option<&'a [u8]>,
    /// The `User-Agent` field.
    pub user_agent: Option<&'a [u8]>,
    /// The TLS version, `None` in clear text.
    pub tls: Option<&'a [u8]>,
    /// The cipher suite by its IANA name, `None` in clear text.
    pub tls_cipher: Option<&'a [u8]>,
    /// The server name that the client's TLS asked for.
    pub sni: Option<&'a [u8]>,
    /// Who the client is, by the certificate it has shown.
    pub client_identity: Option<&'a [u8]>,
}
