//! What peers say about a request's life in headers, and what is said to them.
//!
//! ```text
//!   headers ──Ingress::accept──> Ctx ──handler──> Ctx ──Egress::headers──> headers
//!             min(said, route, max)                     remaining − margin, or no dial
//! ```
//!
//! **Boundary of trust.** `grpc-timeout` counts from anyone, because it can only shorten. `x-envoy-expected-rq-timeout-ms`,
//! `x-request-timeout-ms`, `traceparent`, `tracestate`, `baggage` and the values of a program count from trusted peers
//! only, and are sent to trusted upstreams or to those whose allow-list names them. Whatever a caller sent under one of
//! these names is overwritten or removed on the way out.
//!
//! A deadline is never infinite, and crosses as a duration, not as a time of day.

mod timeout;
mod trace;

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub use self::timeout::{read_grpc_timeout, write_grpc_timeout};
pub use self::trace::{Baggage, TraceParent, TraceState};

use super::Ctx;
use super::cause::Cause;
use super::guard::CancelGuard;
use super::node::{Deadline, Node};
use super::value::{CtxValue, Propagate, Values, field_text};

const GRPC_TIMEOUT: &str = "grpc-timeout";
/// Both in milliseconds, both from trusted peers only.
const TIMEOUTS_IN_MS: [&str; 2] = ["x-envoy-expected-rq-timeout-ms", "x-request-timeout-ms"];

/// Which rules a request follows where gRPC and HTTP differ.
///
/// ```
/// use towpath::ctx::Ctx;
/// use towpath::ctx::wire::{Ingress, Limits, Protocol};
///
/// for (protocol, is_taken) in [(Protocol::Http, true), (Protocol::Grpc, false)] {
///     let ingress = Ingress { limits: Limits::default(), protocol, is_trusted: false, route_timeout: None };
///     assert_eq!(ingress.accept(&Ctx::background(), |_| Some(b"soon".as_slice())).is_ok(), is_taken);
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP: a malformed timeout is ignored.
    Http,
    /// gRPC: a malformed timeout is an error, and the deadline is always sent on.
    Grpc,
}

/// The bounds of every request's deadline.
///
/// ```
/// use std::time::Duration;
/// use towpath::ctx::wire::Limits;
///
/// let limits = Limits::default();
/// assert_eq!((limits.default, limits.max), (Duration::from_secs(30), Duration::from_secs(60)));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For a request without a header. Default 30 s.
    pub default: Duration,
    /// For a request with one. Default 60 s.
    pub max: Duration,
    /// The least that is kept back from an upstream, for the way there. Default 2 ms.
    pub hop_margin: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            default: Duration::from_secs(30),
            max: Duration::from_secs(60),
            hop_margin: Duration::from_millis(2),
        }
    }
}

/// How to read the headers of requests from one kind of peer.
///
/// ```
/// use std::time::Duration;
/// use towpath::ctx::Ctx;
/// use towpath::ctx::wire::{BadTimeout, Ingress, Limits, Protocol};
///
/// let ingress = Ingress {
///     limits: Limits::default(),
///     protocol: Protocol::Grpc,
///     is_trusted: false,
///     route_timeout: Some(Duration::from_secs(5)),
/// };
/// let header = |name: &str| (name == "grpc-timeout").then_some(b"250m".as_slice());
/// let accepted = ingress.accept(&Ctx::background(), header)?;
/// assert!(accepted.ctx.remaining().is_some_and(|left| left <= Duration::from_millis(250)));
/// # Ok::<(), BadTimeout>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Ingress {
    /// The server's bounds.
    pub limits: Limits,
    /// Decides what a malformed timeout does.
    pub protocol: Protocol,
    /// Whether the peer's address is one whose word counts.
    pub is_trusted: bool,
    /// The route's own timeout.
    pub route_timeout: Option<Duration>,
}

/// A request's context, and what was not taken from its headers.
///
/// ```
/// use towpath::ctx::wire::{BadTimeout, Ingress, Limits, Protocol};
/// use towpath::ctx::{Cause, Ctx};
///
/// let (limits, protocol) = (Limits::default(), Protocol::Http);
/// let ingress = Ingress { limits, protocol, is_trusted: false, route_timeout: None };
/// let request = ingress.accept(&Ctx::background(), |_| None)?;
/// request.guard.cancel(Cause::ClientGone);
/// assert!(request.ctx.check().is_err() && !request.has_bad_timeout);
/// # Ok::<(), BadTimeout>(())
/// ```
#[derive(Debug)]
pub struct Accepted {
    /// The context; it can be canceled.
    pub ctx: Ctx,
    /// Ends the request: with [`Cause::ClientGone`] when the client has gone.
    pub guard: CancelGuard,
    /// Whether a malformed timeout was ignored; to be counted.
    pub has_bad_timeout: bool,
    /// Whether a baggage that is too long, or not text, was dropped; to be counted.
    pub has_bad_baggage: bool,
}

/// A `grpc-timeout` that is none: the peer's fault, `INVALID_ARGUMENT`, and the same at each repetition.
///
/// ```
/// use towpath::ctx::Ctx;
/// use towpath::ctx::wire::{Ingress, Limits, Protocol};
///
/// let ingress = Ingress {
///     limits: Limits::default(),
///     protocol: Protocol::Grpc,
///     is_trusted: false,
///     route_timeout: None,
/// };
/// let error = ingress.accept(&Ctx::background(), |_| Some(b"soon".as_slice())).unwrap_err();
/// assert_eq!(error.grpc_status(), 3);
/// assert_eq!(error.to_string(), "grpc-timeout is \"soon\"; 1 to 8 digits and one of H M S m u n would be right");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadTimeout {
    found: String,
}

impl BadTimeout {
    /// `INVALID_ARGUMENT`.
    ///
    /// ```
    /// # use towpath::ctx::{Ctx, wire::{Ingress, Limits, Protocol}};
    /// # let ingress = Ingress {
    /// #     limits: Limits::default(), protocol: Protocol::Grpc, is_trusted: false, route_timeout: None };
    /// let refused = ingress.accept(&Ctx::background(), |_| Some(b"".as_slice())).unwrap_err();
    /// assert_eq!(refused.grpc_status(), 3);
    /// ```
    pub fn grpc_status(&self) -> u8 {
        3
    }
}

impl fmt::Display for BadTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let right = "1 to 8 digits and one of H M S m u n would be right";
        write!(f, "{GRPC_TIMEOUT} is {:?}; {right}", self.found)
    }
}

impl std::error::Error for BadTimeout {}

/// How much of a malformed value an error repeats.
const SHOWN_BYTES_MAX: usize = 32;

impl Ingress {
    /// The context of a request below `parent`, which is that of its connection or server.
    ///
    /// `header` gives the value of a field by its name in lower case; several lines of `tracestate` or `baggage` joined by
    /// commas. A trace begins here when none was given or it is malformed.
    ///
    /// # Errors
    /// gRPC only: the timeout is malformed.
    ///
    /// ```
    /// # use towpath::ctx::{Ctx, wire::{BadTimeout, Ingress, Limits, Protocol, TraceParent}};
    /// # let ingress = Ingress {
    /// #     limits: Limits::default(), protocol: Protocol::Http, is_trusted: true, route_timeout: None };
    /// let accepted = ingress.accept(&Ctx::background(), |_| None)?;
    /// assert!(accepted.ctx.deadline().is_some(), "never infinite");
    /// assert!(accepted.ctx.get::<TraceParent>().is_some());
    /// # Ok::<(), BadTimeout>(())
    /// ```
    #[track_caller]
    pub fn accept<'h>(
        &self,
        parent: &Ctx,
        header: impl Fn(&str) -> Option<&'h [u8]>,
    ) -> Result<Accepted, BadTimeout> {
        let site = Location::caller();
        let (said, has_bad_timeout) = self.timeout(&header)?;
        let span = said.unwrap_or(self.limits.default).min(self.limits.max);
        let span = self.route_timeout.map_or(span, |route| route.min(span));
        let trusted = |name| header(name).filter(|_| self.is_trusted);
        let (trace, state) = trace::continued(trusted("traceparent"), trusted("tracestate"));
        let baggage = Baggage::read(trusted("baggage"));
        let has_bad_baggage = baggage.is_err();
        let mut values = parent.0.values().map_or_else(Values::default, |values| Values::clone(values));
        values.add(trace);
        state.into_iter().for_each(|state| values.add(state));
        baggage.unwrap_or_default().into_iter().for_each(|baggage| values.add(baggage));
        let ctx = request(parent, values, span, site);
        Ok(Accepted { guard: CancelGuard::new(ctx.clone()), ctx, has_bad_timeout, has_bad_baggage })
    }

    /// `ctx` with the value of type `T` that a trusted peer sent in the type's own header, if it is one.
    ///
    /// ```
    /// # use towpath::ctx::{Ctx, CtxValue, Propagate, wire::{Ingress, Limits, Protocol}};
    /// struct Tenant(String);
    /// impl CtxValue for Tenant {
    ///     const PROPAGATE: Propagate = Propagate::Wire { header: "x-tenant", bytes_max: 64 };
    ///     fn decode(text: &str) -> Option<Self> {
    ///         Some(Self(text.to_owned()))
    ///     }
    /// }
    ///
    /// let said = |name: &str| (name == "x-tenant").then_some(b"blue".as_slice());
    /// for is_trusted in [true, false] {
    ///     let (limits, protocol) = (Limits::default(), Protocol::Http);
    ///     let ingress = Ingress { limits, protocol, is_trusted, route_timeout: None };
    ///     let ctx = ingress.value::<Tenant>(Ctx::background(), said);
    ///     assert_eq!(ctx.get::<Tenant>().is_some(), is_trusted);
    /// }
    /// ```
    pub fn value<'h, T: CtxValue>(&self, ctx: Ctx, header: impl Fn(&str) -> Option<&'h [u8]>) -> Ctx {
        let Propagate::Wire { header: name, bytes_max } = T::PROPAGATE else { return ctx };
        let text = header(name).filter(|_| self.is_trusted).and_then(|value| field_text(value, bytes_max));
        with_some(ctx, text.and_then(T::decode))
    }

    /// The shortest of the timeouts that count, and whether one was malformed.
    fn timeout<'h>(
        &self,
        header: impl Fn(&str) -> Option<&'h [u8]>,
    ) -> Result<(Option<Duration>, bool), BadTimeout> {
        let grpc = header(GRPC_TIMEOUT).map(|value| read_grpc_timeout(value).ok_or(value));
        if let (Some(Err(value)), Protocol::Grpc) = (grpc, self.protocol) {
            let shown = &value[..value.len().min(SHOWN_BYTES_MAX)];
            return Err(BadTimeout { found: String::from_utf8_lossy(shown).into_owned() });
        }
        let in_ms = TIMEOUTS_IN_MS.iter().filter(|_| self.is_trusted).filter_map(|name| header(name));
        let in_ms = in_ms.map(|value| timeout::read_ms(value).ok_or(value));
        let said: Vec<_> = grpc.into_iter().chain(in_ms).collect();
        Ok((said.iter().filter_map(|said| said.ok()).min(), said.iter().any(Result::is_err)))
    }
}

/// A child of `parent` that can be canceled, has `span` at most and these values: one context, as every request pays for it.
fn request(parent: &Ctx, values: Values, span: Duration, set_by: &'static Location<'static>) -> Ctx {
    let own = Instant::now().checked_add(span).map(|at| Deadline { at, set_by });
    let deadline = match (parent.0.deadline, own) {
        (Some(outer), Some(own)) if own.at < outer.at => Some(own),
        (outer, own) => outer.or(own),
    };
    let values = Some(Arc::new(values));
    Ctx(Arc::new(Node { is_anchor: true, deadline, values, ..Node::child_of(&parent.0) }))
}

fn with_some<T: CtxValue>(ctx: Ctx, value: Option<T>) -> Ctx {
    match value {
        Some(value) => ctx.with(value),
        None => ctx,
    }
}

/// What to tell one upstream.
///
/// ```
/// use std::time::Duration;
/// use towpath::ctx::{Cause, Ctx};
/// use towpath::ctx::wire::{Egress, Limits, Protocol};
///
/// let egress = Egress {
///     limits: Limits::default(),
///     protocol: Protocol::Grpc,
///     is_trusted: false,
///     propagate_deadline: false,
///     allow: &[],
/// };
/// let ctx = Ctx::background().with_timeout(Duration::from_secs(10));
/// let headers = egress.headers(&ctx)?;
/// assert!(matches!(&headers[0], ("grpc-timeout", Some(text)) if text.ends_with('u')));
/// # Ok::<(), Cause>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Egress<'a> {
    /// Whose `hop_margin` is kept back.
    pub limits: Limits,
    /// gRPC upstreams are always told the deadline.
    pub protocol: Protocol,
    /// Whether the upstream is inside the boundary of trust: then it is told the trace and the baggage.
    pub is_trusted: bool,
    /// Whether an HTTP upstream is told the deadline.
    pub propagate_deadline: bool,
    /// The headers of the values that it is told.
    pub allow: &'a [&'a str],
}

impl Egress<'_> {
    /// The headers of a request to the upstream: the text to set in place of any that is there, or `None` to remove it.
    ///
    /// # Errors
    /// The context is done, or would be before the upstream could answer: do not dial.
    ///
    /// ```
    /// # use towpath::ctx::{Cause, Ctx, wire::{Egress, Limits, Protocol}};
    /// # let egress = Egress { limits: Limits::default(), protocol: Protocol::Http, is_trusted: false,
    /// #     propagate_deadline: false, allow: &[] };
    /// let headers = egress.headers(&Ctx::background())?;
    /// assert!(headers.iter().all(|(_, text)| text.is_none()), "nothing is said, and nothing of others is let through");
    /// # Ok::<(), Cause>(())
    /// ```
    pub fn headers(&self, ctx: &Ctx) -> Result<Vec<(&'static str, Option<String>)>, Cause> {
        ctx.check()?;
        let mut headers = vec![(GRPC_TIMEOUT, self.timeout(ctx)?)];
        headers.extend(TIMEOUTS_IN_MS.map(|name| (name, None)));
        headers.extend(trace::HEADERS.map(|name| (name, None)));
        let values = ctx.0.values().into_iter().flat_map(|values| values.for_the_wire());
        for (name, text) in values {
            let text = text.filter(|_| self.is_told(name));
            match headers.iter_mut().find(|(other, _)| *other == name) {
                Some(header) => header.1 = text,
                None => headers.push((name, text)),
            }
        }
        Ok(headers)
    }

    fn is_told(&self, name: &str) -> bool {
        match trace::HEADERS.contains(&name) {
            true => self.is_trusted,
            false => self.allow.contains(&name),
        }
    }

    fn timeout(&self, ctx: &Ctx) -> Result<Option<String>, Cause> {
        let is_said = self.protocol == Protocol::Grpc || self.propagate_deadline;
        let Some(deadline) = ctx.0.deadline.filter(|_| is_said) else { return Ok(None) };
        let remaining = deadline.at.saturating_duration_since(Instant::now());
        let margin = self.limits.hop_margin.max(remaining / 20);
        let sent = remaining.checked_sub(margin).filter(|sent| !sent.is_zero());
        sent.map(|sent| Some(write_grpc_timeout(sent))).ok_or_else(|| deadline.exceeded())
    }
}
