//! What goes wrong with a connection.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use towpath_net::tls::Fault;

use crate::ctx::Cause;

/// A connection that could not be made, read or written. Cheap to clone, as one failed dial may fail many who wait.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use towpath::Ctx;
/// use towpath::net::Dialer;
///
/// // Nobody listens on port 1.
/// let error = Dialer::default().dial(&Ctx::background(), "127.0.0.1:1").await.unwrap_err();
/// assert!(error.is_refused() && error.is_retryable() && !error.is_timeout());
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Error(Kind);

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Io(Arc<io::Error>),
    Tls(Fault),
    /// The context was done.
    Done(Cause),
    /// A dial took longer than its limit.
    TimedOut,
    /// The peer ended inside what was asked for.
    Ended,
    /// A line or frame is longer than this.
    TooLong(usize),
    /// It is no address.
    Address(String),
    /// A proxy refuses to go on, with this status.
    Proxy(u16),
    /// The name and why it stands for no address. `true` if another time may tell.
    Name(String, String, bool),
}

impl Error {
    pub(crate) fn new(kind: Kind) -> Self {
        Self(kind)
    }

    /// The peer broke the connection off, or it was broken before: what was on its way is lost, in both directions.
    pub fn is_reset(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
        self.io().is_some_and(|kind| {
            matches!(kind, ConnectionReset | BrokenPipe | ConnectionAborted | NotConnected)
        })
    }

    /// A limit of time was over: the context's deadline, the dialler's, or the kernel's own for a peer that is silent.
    pub fn is_timeout(&self) -> bool {
        matches!(&self.0, Kind::TimedOut | Kind::Done(Cause::DeadlineExceeded { .. }))
            || self.io() == Some(io::ErrorKind::TimedOut)
    }

    /// Nobody listens there.
    pub fn is_refused(&self) -> bool {
        self.io() == Some(io::ErrorKind::ConnectionRefused)
    }

    /// The context was done first.
    pub fn is_canceled(&self) -> bool {
        matches!(self.0, Kind::Done(_))
    }

    /// The peer ended its direction in the middle of what was asked for.
    pub fn is_ended(&self) -> bool {
        matches!(self.0, Kind::Ended)
    }

    /// A line or frame is longer than it may be. The connection is of no more use.
    pub fn is_too_long(&self) -> bool {
        matches!(self.0, Kind::TooLong(_))
    }

    /// There is no such name, or it has no address.
    pub fn is_not_found(&self) -> bool {
        matches!(self.0, Kind::Name(_, _, false))
    }

    /// The two sides did not agree on TLS, or the certificate is not good. The same again when repeated.
    pub fn is_tls(&self) -> bool {
        matches!(self.0, Kind::Tls(_))
    }

    /// Whether the same again, on another connection, may succeed: the peer or the network failed, and not what was asked.
    /// Whether that may be done twice is for the caller to know.
    pub fn is_retryable(&self) -> bool {
        use io::ErrorKind::{HostUnreachable, NetworkUnreachable};
        match &self.0 {
            Kind::Done(cause) => cause.is_retryable(),
            Kind::TimedOut | Kind::Ended => true,
            Kind::Name(_, _, is_temporary) => *is_temporary,
            Kind::Io(error) => {
                self.is_reset()
                    || self.is_refused()
                    || matches!(error.kind(), io::ErrorKind::TimedOut | HostUnreachable | NetworkUnreachable)
            }
            Kind::Tls(_) | Kind::TooLong(_) | Kind::Address(_) | Kind::Proxy(_) => false,
        }
    }

    fn io(&self) -> Option<io::ErrorKind> {
        match &self.0 {
            Kind::Io(error) => Some(error.kind()),
            _ => None,
        }
    }
}

impl From<io::Error> for Error {
    /// An error that this one was made into before comes back as it was.
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()) {
            Some(own) => own.clone(),
            None => Self(Kind::Io(Arc::new(error))),
        }
    }
}

impl From<Cause> for Error {
    fn from(cause: Cause) -> Self {
        Self(Kind::Done(cause))
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self(Kind::Tls(fault))
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error.0 {
            Kind::Io(error) => error.kind(),
            Kind::Done(Cause::DeadlineExceeded { .. }) | Kind::TimedOut => io::ErrorKind::TimedOut,
            Kind::Done(_) => io::ErrorKind::Interrupted,
            Kind::Ended => io::ErrorKind::UnexpectedEof,
            Kind::TooLong(_) | Kind::Tls(_) => io::ErrorKind::InvalidData,
            Kind::Address(_) => io::ErrorKind::InvalidInput,
            Kind::Name(..) => io::ErrorKind::NotFound,
            Kind::Proxy(_) => io::ErrorKind::ConnectionRefused,
        };
        Self::new(kind, error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Io(error) => error.fmt(f),
            Kind::Tls(fault) => write!(f, "no TLS connection: {}", fault.detail),
            Kind::Done(cause) => write!(f, "given up: {cause}"),
            Kind::TimedOut => f.write_str("no connection was made in time"),
            Kind::Ended => f.write_str("the peer ended inside a message"),
            Kind::TooLong(max) => write!(f, "a line or frame is longer than {max} bytes"),
            Kind::Address(text) => {
                write!(f, "{text:?} is no address: host:port, [::1]:port or unix:/path would be right")
            }
            Kind::Proxy(status) => write!(f, "the proxy answered {status} when asked for a tunnel"),
            Kind::Name(name, why, _) => write!(f, "{name:?} has no address: {why}"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0 {
            Kind::Done(cause) => Some(cause),
            _ => None,
        }
    }
}
