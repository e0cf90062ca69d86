//! Connections to origins, as the pool keeps them.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use towpath::pool::{Connection, DialError, GetError, Manager};
use towpath_net::tls::{self, ALPN_HTTP2, Fault, FaultKind};
use towpath_net::{Address, Stream};

use crate::error::Reason;
use crate::plan::UpstreamTls;

/// Dials HTTP/1 connections to one address.
#[derive(Clone, Debug)]
pub struct Http1 {
    address: Address,
    tls: Option<Secure>,
    /// The endpoint has to agree on HTTP/2, where TLS asks it.
    http2: bool,
}

/// How TLS is spoken to an endpoint.
#[derive(Clone, Debug)]
struct Secure {
    settings: Arc<UpstreamTls>,
    /// The name that is asked for and checked.
    name: Arc<str>,
}

impl Http1 {
    /// A dialler for `address`.
    pub fn new(address: Address) -> Self {
        Self { address, tls: None, http2: false }
    }

    /// The same with TLS. `host` is the name to ask for if the settings have none.
    #[must_use]
    pub fn with_tls(self, settings: Arc<UpstreamTls>, host: &str) -> Self {
        let name = settings.server_name.as_deref().unwrap_or(host).into();
        Self { tls: Some(Secure { settings, name }), ..self }
    }

    /// The same for HTTP/2.
    #[must_use]
    pub fn with_http2(self, http2: bool) -> Self {
        Self { http2, ..self }
    }

    /// Connects, through TLS if it is spoken. The caller sets the deadline.
    ///
    /// # Errors
    /// Why there is no connection. One without TLS is never made in the place of one with it (T33).
    pub async fn dial(&self) -> Result<Stream, ConnectError> {
        self.secure(self.address.connect().await?).await
    }

    /// The same over a connection that was made already.
    ///
    /// # Errors
    /// As for [`Http1::dial`].
    pub async fn secure(&self, stream: Stream) -> Result<Stream, ConnectError> {
        match &self.tls {
            None => Ok(stream),
            Some(secure) => {
                let stream = tls::connect(stream, &secure.settings.client, &secure.name).await?;
                if self.http2 && !is_http2_agreed(&stream) {
                    Err(ConnectError::no_http2())
                } else {
                    Ok(stream)
                }
            }
        }
    }

    /// Where it dials.
    pub fn address(&self) -> &Address {
        &self.address
    }
}

impl Manager for Http1 {
    type Conn = Http1Connection;
    type Error = ConnectError;

    async fn connect(&self) -> Result<Http1Connection, ConnectError> {
        Ok(Http1Connection { stream: self.dial().await?, keep_alive: None })
    }
}

/// Why a dial failed, in a form that every waiter can have.
#[derive(Clone, Debug)]
pub struct ConnectError {
    reason: Reason,
    source: Arc<io::Error>,
}

impl ConnectError {
    /// What the client is told.
    pub fn reason(&self) -> Reason {
        self.reason
    }
}

impl ConnectError {
    fn no_http2() -> Self {
        let source = io::Error::other("the endpoint does not agree on HTTP/2");
        Self { reason: Reason::UpstreamTlsFailed, source: Arc::new(source) }
    }
}

/// Whether the two sides of a connection with TLS agreed on HTTP/2 (RFC 9113 §3.2).
pub(crate) fn is_http2_agreed(stream: &Stream) -> bool {
    stream.agreed().is_some_and(|agreed| agreed.protocol.as_deref() == Some(ALPN_HTTP2))
}

impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        Self { reason: Reason::of_connect(&error), source: Arc::new(error) }
    }
}

impl From<Fault> for ConnectError {
    fn from(fault: Fault) -> Self {
        let reason = match fault.kind {
            FaultKind::Io => Reason::ConnectFailed,
            _ => Reason::UpstreamTlsFailed,
        };
        Self { reason, source: Arc::new(fault.into()) }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl std::error::Error for ConnectError {}

/// The reason that an empty hand from the pool stands for.
pub(crate) fn reason_of(error: &GetError<ConnectError>) -> Reason {
    match error {
        GetError::Timeout { .. } => Reason::PoolTimeout,
        GetError::QueueFull => Reason::PoolQueueFull,
        // Only a plan that has left closes its pools; its last requests end with it.
        GetError::Closed => Reason::Draining,
        GetError::Connect(DialError::Failed(error)) => error.reason(),
        GetError::Connect(DialError::TimedOut) => Reason::ConnectTimeout,
        _ => Reason::Internal,
    }
}

/// A connection to an origin.
#[derive(Debug)]
pub struct Http1Connection {
    /// The bytes.
    pub stream: Stream,
    /// What the origin's `Keep-Alive: timeout=` promised.
    pub keep_alive: Option<Duration>,
}

impl Connection for Http1Connection {
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.stream.poll_disturbed(cx)
    }

    fn is_dead(&mut self) -> bool {
        !matches!(self.stream.peek(), Ok(None))
    }

    fn rehome(self) -> io::Result<Self> {
        Ok(Self { stream: self.stream.rehome()?, ..self })
    }

    fn keep_alive_hint(&self) -> Option<Duration> {
        self.keep_alive
    }
}
