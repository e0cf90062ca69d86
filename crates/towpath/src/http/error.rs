//! What goes wrong with a message, and what a handler may fail with.

use std::error::Error as StdError;
use std::fmt;

use ::http::StatusCode;

use crate::ctx::Cause;
use crate::net;
#[cfg(feature = "postgres")]
use crate::postgres::status_of as database_status;

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// A message that could not be read, sent or understood.
///
/// It says what happened and where; [`source`](StdError::source) has the cause, and the questions sort it.
///
/// ```
/// # #[tokio::main(flavor = "local")]
/// # async fn main() {
/// use towpath::http::Body;
///
/// let error = Body::from("too much").bytes(3).await.unwrap_err();
/// assert!(error.is_too_large());
/// assert_eq!(error.to_string(), "the body is longer than 3 bytes");
/// # }
/// ```
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    source: Option<BoxError>,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// The body is longer than this.
    TooLarge(u64),
    /// The peer went before the end.
    Disconnected,
    /// It went on, but not with this message; what it said.
    Reset(String),
    /// The peer was too slow, in this part.
    Timeout(&'static str),
    /// What the peer sent breaks the protocol, or this rule of it.
    Protocol(String),
    /// The context was done.
    Done(Cause),
    /// It is no value of the type that was asked for; what was expected.
    Malformed(String),
    /// The program's own body, or its address, failed.
    Own(String),
    /// Connecting failed.
    Connect(String),
    /// A limit of the client's own.
    Limit(String),
}

impl Error {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, source: None }
    }

    pub(crate) fn with(kind: Kind, source: impl Into<BoxError>) -> Self {
        Self { kind, source: Some(source.into()) }
    }

    pub(crate) fn malformed(expected: impl fmt::Display, source: impl Into<BoxError>) -> Self {
        Self::with(Kind::Malformed(expected.to_string()), source)
    }

    /// A message is longer than its limit. The same again when repeated.
    pub fn is_too_large(&self) -> bool {
        matches!(self.kind, Kind::TooLarge(_))
    }

    /// The connection ended before the message did, or its peer has broken off the stream of HTTP/2, by RST_STREAM or GOAWAY.
    /// Repeating may help.
    pub fn is_disconnected(&self) -> bool {
        matches!(self.kind, Kind::Disconnected | Kind::Reset(_))
    }

    /// The peer took longer than it may. Repeating may help.
    pub fn is_timeout(&self) -> bool {
        matches!(&self.kind, Kind::Timeout(_))
            || matches!(&self.kind, Kind::Done(Cause::DeadlineExceeded { .. }))
    }

    /// The context was done before the message was complete.
    pub fn is_canceled(&self) -> bool {
        matches!(self.kind, Kind::Done(_))
    }

    /// The content is not what was asked for, such as JSON of another shape. The same again when repeated.
    pub fn is_malformed(&self) -> bool {
        matches!(self.kind, Kind::Malformed(_))
    }

    /// The peer broke the protocol. The same again when repeated, mostly.
    pub fn is_protocol(&self) -> bool {
        matches!(self.kind, Kind::Protocol(_))
    }

    /// The peer has reached a limit of this side: a head, an expansion or a number of redirects beyond what is taken, or what
    /// [`is_too_large`](Self::is_too_large) says. The same again when repeated.
    pub fn is_limit(&self) -> bool {
        matches!(self.kind, Kind::Limit(_) | Kind::TooLarge(_))
    }

    /// No connection could be made. Repeating may help.
    pub fn is_connect(&self) -> bool {
        matches!(self.kind, Kind::Connect(_))
    }

    /// Whether the same again may succeed.
    pub fn is_retryable(&self) -> bool {
        match &self.kind {
            Kind::Disconnected | Kind::Reset(_) | Kind::Timeout(_) => true,
            Kind::Connect(_) => {
                let why = self.source.as_deref().and_then(|source| source.downcast_ref::<net::Error>());
                why.is_none_or(net::Error::is_retryable)
            }
            Kind::Done(cause) => cause.is_retryable(),
            _ => false,
        }
    }

    /// What a server answers when a request failed so.
    pub fn status(&self) -> StatusCode {
        match &self.kind {
            Kind::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::Timeout(_) => StatusCode::REQUEST_TIMEOUT,
            Kind::Disconnected | Kind::Reset(_) | Kind::Protocol(_) | Kind::Malformed(_) => {
                StatusCode::BAD_REQUEST
            }
            Kind::Done(cause) => cause
                .http_status()
                .and_then(|status| StatusCode::from_u16(status).ok())
                .unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
            Kind::Connect(_) | Kind::Limit(_) => StatusCode::BAD_GATEWAY,
            Kind::Own(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<Cause> for Error {
    fn from(cause: Cause) -> Self {
        Self::new(Kind::Done(cause))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::TooLarge(bytes) => write!(f, "the body is longer than {bytes} bytes"),
            Kind::Disconnected => f.write_str("the connection ended inside the message"),
            Kind::Timeout(part) => write!(f, "the peer took too long over {part}"),
            Kind::Protocol(what) => write!(f, "the message is not HTTP: {what}"),
            Kind::Done(cause) => write!(f, "given up: {cause}"),
            Kind::Malformed(expected) => write!(f, "the content is not {expected}"),
            Kind::Own(what) | Kind::Connect(what) | Kind::Limit(what) | Kind::Reset(what) => {
                f.write_str(what)
            }
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// What a handler fails with: any error, and the status that the client is told.
///
/// `?` makes one of every error. An [`Error`] brings its own status, a [`Cause`] too; all others are 500, and what they
/// say goes to the server's report and not to the client.
///
/// ```
/// use towpath::http::{Failure, Request, StatusCode};
/// use towpath::Ctx;
///
/// async fn half(_ctx: &Ctx, request: Request) -> Result<String, Failure> {
///     let number: u64 = request.param("number").unwrap_or_default().parse()
///         .map_err(|error| Failure::new(StatusCode::BAD_REQUEST, error))?;
///     Ok((number / 2).to_string())
/// }
/// ```
pub struct Failure {
    status: StatusCode,
    /// Whether the client may read what the error says.
    is_public: bool,
    error: BoxError,
}

impl Failure {
    /// `error`, of which the client is told this status and what it says.
    ///
    /// ```
    /// use towpath::http::{Failure, StatusCode};
    ///
    /// let failure = Failure::new(StatusCode::CONFLICT, "the name is taken");
    /// assert_eq!((failure.status(), failure.to_string().as_str()), (StatusCode::CONFLICT, "the name is taken"));
    /// ```
    pub fn new(status: StatusCode, error: impl Into<BoxError>) -> Self {
        Self { status, is_public: true, error: error.into() }
    }

    /// 400 with what `error` says, for `map_err`.
    ///
    /// ```
    /// use towpath::http::Failure;
    ///
    /// let failure = "x".parse::<u8>().map_err(Failure::bad_request).unwrap_err();
    /// assert_eq!(failure.status(), 400);
    /// ```
    pub fn bad_request(error: impl Into<BoxError>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    /// An error of which the client is told no more than that there was one.
    pub(crate) fn internal(error: impl Into<BoxError>) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, is_public: false, error: error.into() }
    }

    /// What the client is told.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What happened.
    pub fn error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.error
    }

    /// What a client is shown.
    pub(crate) fn public_text(&self) -> String {
        if self.is_public {
            return self.to_string();
        }
        self.status.canonical_reason().unwrap_or("failed").to_owned()
    }

    /// Whether it is news to whoever runs the program.
    pub(crate) fn is_report(&self) -> bool {
        !self.is_public && self.status == StatusCode::INTERNAL_SERVER_ERROR
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let error: BoxError = error.into();
        let told = match error.downcast_ref::<Error>() {
            Some(error) => Some(error.status()),
            None => error
                .downcast_ref::<Cause>()
                .and_then(Cause::http_status)
                .and_then(|status| StatusCode::from_u16(status).ok()),
        };
        let told = told.or_else(|| database_status(&*error));
        // A cause names lines of the program, and all other errors are nobody's business.
        let is_public =
            error.downcast_ref::<Error>().is_some_and(|error| !matches!(error.kind, Kind::Done(_)));
        Self { status: told.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), is_public, error }
    }
}

/// There is no database without its feature.
#[cfg(not(feature = "postgres"))]
fn database_status(_: &(dyn StdError + 'static)) -> Option<StatusCode> {
    None
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.error)?;
        let mut source = self.error.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self, self.status)
    }
}
