//! Why a context is done, and what each reason means on the wire.

use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use tokio::time::Instant;

/// Why a context is done. One for each context, and it never changes (R4).
///
/// ```
/// use towpath::ctx::{Cause, Ctx};
///
/// let (ctx, guard) = Ctx::background().with_cancel();
/// guard.cancel("no longer needed");
/// assert!(matches!(ctx.err(), Some(Cause::Canceled(_))));
/// assert_eq!(ctx.err().map(|cause| cause.to_string()).as_deref(), Some("canceled: no longer needed"));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// Someone said so, or dropped the guard.
    Canceled(Reason),
    /// The deadline has passed.
    DeadlineExceeded {
        /// The deadline.
        at: Instant,
        /// The line of the program that set it.
        set_by: &'static Location<'static>,
    },
    /// Whoever asked has gone: its connection ended or it reset its stream.
    ClientGone,
    /// The process drains.
    Shutdown,
    /// A limit was reached and this work was chosen to make room.
    Overload,
}

impl Cause {
    /// The word for it in logs and metrics.
    ///
    /// ```
    /// assert_eq!(towpath::ctx::Cause::ClientGone.name(), "client_gone");
    /// ```
    pub fn name(&self) -> &'static str {
        match self {
            Self::Canceled(_) => "canceled",
            Self::DeadlineExceeded { .. } => "deadline",
            Self::ClientGone => "client_gone",
            Self::Shutdown => "shutdown",
            Self::Overload => "overload",
        }
    }

    /// The HTTP status while no head has been sent; `None` when nobody is there to read it.
    ///
    /// A deadline is 504 and never 408, which browsers take as an invitation to send the request again. With 503 go a
    /// `Retry-After` for [`Shutdown`](Self::Shutdown) and [`Overload`](Self::Overload).
    ///
    /// ```
    /// use towpath::ctx::Cause;
    ///
    /// assert_eq!(Cause::Overload.http_status(), Some(503));
    /// assert_eq!(Cause::ClientGone.http_status(), None);
    /// ```
    pub fn http_status(&self) -> Option<u16> {
        match self {
            Self::DeadlineExceeded { .. } => Some(504),
            Self::ClientGone => None,
            Self::Canceled(_) | Self::Shutdown | Self::Overload => Some(503),
        }
    }

    /// The number of the gRPC status: `CANCELLED`, `DEADLINE_EXCEEDED` or `UNAVAILABLE`.
    ///
    /// ```
    /// assert_eq!(towpath::ctx::Cause::Shutdown.grpc_status(), 14);
    /// ```
    pub fn grpc_status(&self) -> u8 {
        match self {
            Self::Canceled(_) | Self::ClientGone => 1,
            Self::DeadlineExceeded { .. } => 4,
            Self::Shutdown | Self::Overload => 14,
        }
    }

    /// The WebSocket close code; `None` when the client has gone. A reload says 1012 in place of the 1001 of
    /// [`Shutdown`](Self::Shutdown).
    ///
    /// ```
    /// assert_eq!(towpath::ctx::Cause::Overload.close_code(), Some(1013));
    /// ```
    pub fn close_code(&self) -> Option<u16> {
        match self {
            Self::Canceled(_) | Self::DeadlineExceeded { .. } => Some(1011),
            Self::ClientGone => None,
            Self::Shutdown => Some(1001),
            Self::Overload => Some(1013),
        }
    }

    /// Whether the same work may succeed later: a drain and an overload pass, what was canceled was meant to be.
    ///
    /// ```
    /// assert!(towpath::ctx::Cause::Overload.is_retryable());
    /// assert!(!towpath::ctx::Cause::ClientGone.is_retryable());
    /// ```
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Shutdown | Self::Overload)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Canceled(reason) => write!(f, "canceled: {reason}"),
            Self::DeadlineExceeded { set_by, .. } => write!(f, "deadline exceeded, set at {set_by}"),
            Self::ClientGone => f.write_str("the client has gone"),
            Self::Shutdown => f.write_str("the process shuts down"),
            Self::Overload => f.write_str("given up under overload"),
        }
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Canceled(Reason(Text::Failed(error))) => Some(&**error),
            _ => None,
        }
    }
}

impl From<Reason> for Cause {
    fn from(reason: Reason) -> Self {
        Self::Canceled(reason)
    }
}

impl From<&'static str> for Cause {
    fn from(text: &'static str) -> Self {
        Self::Canceled(Reason::new(text))
    }
}

/// What was said when a context was canceled: a fixed text, or the error that made the work pointless.
///
/// ```
/// use towpath::ctx::Reason;
///
/// assert_eq!(Reason::new("enough").to_string(), "enough");
/// let broken = std::io::Error::other("disk gone");
/// assert_eq!(Reason::from_error(broken).to_string(), "disk gone");
/// ```
#[derive(Clone, Debug)]
pub struct Reason(Text);

#[derive(Clone, Debug)]
enum Text {
    Fixed(&'static str),
    Failed(Arc<dyn Error + Send + Sync>),
}

impl Reason {
    /// A fixed text.
    ///
    /// ```
    /// assert_eq!(towpath::ctx::Reason::new("replaced").to_string(), "replaced");
    /// ```
    pub const fn new(text: &'static str) -> Self {
        Self(Text::Fixed(text))
    }

    /// An error, which [`Cause`] then names as its source.
    ///
    /// ```
    /// use std::error::Error;
    /// use towpath::ctx::{Cause, Reason};
    ///
    /// let cause = Cause::from(Reason::from_error("boom"));
    /// assert_eq!(cause.source().map(ToString::to_string).as_deref(), Some("boom"));
    /// ```
    pub fn from_error(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Text::Failed(error.into().into()))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Text::Fixed(text) => f.write_str(text),
            Text::Failed(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_the_row_of_the_status_table_s16() {
        let deadline = Cause::DeadlineExceeded { at: Instant::now(), set_by: Location::caller() };
        let rows = [
            (deadline, "deadline", Some(504), 4, Some(1011)),
            (Cause::ClientGone, "client_gone", None, 1, None),
            (Cause::Shutdown, "shutdown", Some(503), 14, Some(1001)),
            (Cause::Overload, "overload", Some(503), 14, Some(1013)),
            (Cause::from("x"), "canceled", Some(503), 1, Some(1011)),
        ];
        for (cause, name, http, grpc, close) in rows {
            let found = (cause.name(), cause.http_status(), cause.grpc_status(), cause.close_code());
            assert_eq!(found, (name, http, grpc, close));
        }
    }
}
