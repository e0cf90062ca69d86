//! The server: where it listens, what it allows, how it starts and how it ends.

mod accept;
mod connection;
mod exchange;
mod h2;
mod output;
mod reason;
mod settings;
mod site;
mod worker;

#[cfg(test)]
pub(crate) mod tests;

use std::any::Any;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ::http::StatusCode;

use super::error::BoxError;
use super::handler::{BoxHandler, Handler};
use super::request::Peer;
use super::respond::IntoResponse;
use super::response::Response;
use crate::Ctx;
use crate::listen::{ListenAddress, Listening};
use crate::tls::Tls;

pub(crate) use self::connection::{Switch, Taken, Upgrade};
pub use self::reason::{Reason, Refusals};
use self::settings::Trust;
pub use self::settings::{Limits, Timeouts};

/// How long work under way may go on once a server is told to stop.
const GRACE: Duration = Duration::from_secs(30);

/// A server for one handler, most often a [`Router`](super::Router).
///
/// ```no_run
/// use towpath::Ctx;
/// use towpath::http::{Request, Router, Server};
///
/// async fn hello(_ctx: &Ctx, _request: Request) -> &'static str {
///     "Hello, HTTP Server!"
/// }
///
/// fn main() -> std::process::ExitCode {
///     towpath::run(async |ctx: Ctx| {
///         Server::new(Router::new().get("/", hello)).listen("127.0.0.1:3000").serve(&ctx).await?;
///         Ok(())
///     })
/// }
/// ```
#[must_use = "a server serves nothing before `serve` is awaited"]
pub struct Server {
    handler: BoxHandler,
    addresses: Vec<(Result<ListenAddress, BindError>, Option<Tls>)>,
    settings: Settings,
    refusals: Refusals,
    workers: usize,
    on_listen: Box<dyn FnMut(&Listening)>,
}

/// What workers are told.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) timeouts: Timeouts,
    pub(crate) limits: Limits,
    pub(crate) grace: Duration,
    pub(crate) h2c: bool,
    pub(crate) trust: Trust,
}

impl Server {
    /// A server that listens nowhere yet.
    pub fn new(handler: impl Handler) -> Self {
        let settings = Settings {
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            grace: GRACE,
            h2c: false,
            trust: Trust::default(),
        };
        Self {
            handler: BoxHandler::new(handler),
            addresses: Vec::new(),
            settings,
            refusals: Refusals::new(),
            workers: towpath_net::thread::processors().len().max(1),
            on_listen: Box::new(Listening::say),
        }
    }

    /// Listens on `address` too: `127.0.0.1:8080`, `[::1]:8080`, `:8080` for every address of the machine, port 0 for a free
    /// one, `unix:/run/app.sock`.
    pub fn listen(self, address: &str) -> Self {
        self.add(address, None)
    }

    /// Listens on `address` too, and speaks TLS there, as [`Tls`] says: HTTP/2 with clients that offer it.
    pub fn listen_tls(self, address: &str, tls: Tls) -> Self {
        self.add(address, Some(tls))
    }

    fn add(mut self, address: &str, tls: Option<Tls>) -> Self {
        let parsed = ListenAddress::parse(address).map_err(|error| BindError::new(address, error));
        self.addresses.push((parsed, tls));
        self
    }

    /// How long each phase of a connection may take.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.settings.timeouts = timeouts;
        self
    }

    /// How much of everything there may be.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// How long work under way may go on once the server is told to stop; what is left then is cut. Default 30 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.settings.grace = grace;
        self
    }

    /// Whether HTTP/2 is spoken in clear text to clients that begin with it (RFC 9113 §3.3). Default false; over TLS it is
    /// agreed on in the handshake.
    pub fn h2c(mut self, h2c: bool) -> Self {
        self.settings.h2c = h2c;
        self
    }

    /// Whose word counts: from these peers, which are proxies and services of one's own, `x-envoy-expected-rq-timeout-ms` and
    /// `x-request-timeout-ms` bound a request as `grpc-timeout` does from anyone, and `traceparent`, `tracestate` and `baggage`
    /// go on. Default nobody.
    ///
    /// ```
    /// use towpath::http::{Router, Server};
    ///
    /// let server = Server::new(Router::new()).trust_headers_from(|peer| peer.address.ip().is_loopback());
    /// # drop(server);
    /// ```
    pub fn trust_headers_from(mut self, is_trusted: impl Fn(&Peer) -> bool + Send + Sync + 'static) -> Self {
        self.settings.trust = Trust::new(is_trusted);
        self
    }

    /// How many worker threads there are. Default one for each processor the process may use.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers.max(1);
        self
    }

    /// What the server will have refused or cut off, by reason: for a page of metrics.
    ///
    /// ```
    /// use towpath::Ctx;
    /// use towpath::http::{Reason, Router, Server};
    ///
    /// let server = Server::new(Router::new()).listen("127.0.0.1:0");
    /// let refusals = server.refusals();
    /// // server.serve(&ctx) takes the server.
    /// assert!(refusals.all().any(|(reason, count)| reason == Reason::BodyTooLarge && count == 0));
    /// ```
    pub fn refusals(&self) -> Refusals {
        self.refusals.clone()
    }

    /// Is told each address really bound, before the first connection is accepted. Default: a line for each on standard
    /// output, `listening http://127.0.0.1:8080`.
    pub fn on_listen(mut self, told: impl FnMut(&Listening) + 'static) -> Self {
        self.on_listen = Box::new(told);
        self
    }

    /// Serves until `ctx` is done, and then until the requests under way are answered, tunnels have ended and detached work
    /// is done, or the grace is over. *Discard-on-cancel*: to drop it cuts what is under way.
    ///
    /// The contexts of requests are children of `ctx` that its end does not cancel before the grace is over.
    ///
    /// # Errors
    /// It could not begin: an address, the handler, a thread.
    pub async fn serve(self, ctx: &Ctx) -> Result<(), ServeError> {
        let workers = self.workers;
        let site = Arc::new(self.open(workers, ctx)?);
        worker::run(&site, workers, ctx).await.map_err(ServeError::Thread)
    }

    /// [`serve`](Self::serve) with one worker, which is the calling thread: its runtime has to be a `LocalRuntime`. For
    /// tests, whose clock may stand still and whose network may be in memory (`memory:NAME` as an address), and for programs
    /// that have threads of their own. *Discard-on-cancel*.
    ///
    /// # Errors
    /// It could not begin: an address, the handler.
    pub async fn serve_here(self, ctx: &Ctx) -> Result<(), ServeError> {
        let site = Arc::new(self.open(1, ctx)?);
        worker::run_here(&site, ctx).await.map_err(ServeError::Thread)
    }

    /// Binds every address.
    fn open(mut self, workers: usize, ctx: &Ctx) -> Result<site::Shared, ServeError> {
        Handler::check(&self.handler).map_err(ServeError::Handler)?;
        let mut bindings = Vec::new();
        for (address, tls) in self.addresses {
            let tls =
                tls.map(|tls| tls.build()).transpose().map_err(|fault| ServeError::Handler(fault.into()))?;
            let address = address.map_err(ServeError::Bind)?;
            let binding = address
                .bind(workers)
                .map_err(|error| ServeError::Bind(BindError::new(&address.to_string(), error)))?;
            bindings.push((binding, tls));
        }
        for (binding, tls) in &bindings {
            (self.on_listen)(&Listening::new(binding, if tls.is_some() { "https" } else { "http" }));
        }
        Ok(site::Shared::new(self.handler, self.settings, self.refusals, bindings, ctx))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// An address that cannot be listened on.
#[derive(Debug)]
pub struct BindError {
    address: String,
    error: io::Error,
}

impl BindError {
    pub(crate) fn new(address: &str, error: io::Error) -> Self {
        Self { address: address.to_owned(), error }
    }

    /// Another program listens there, or another listener of this one.
    pub fn is_in_use(&self) -> bool {
        self.error.kind() == io::ErrorKind::AddrInUse
    }

    /// The address as it was given.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}", self.address)
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// Why a server did not begin to serve. The same again when repeated, but for an address in use.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// An address cannot be listened on.
    Bind(BindError),
    /// The handler cannot serve, for example because two patterns of a router contradict each other.
    Handler(BoxError),
    /// The system refuses a thread or an event loop.
    Thread(io::Error),
}

impl ServeError {
    /// What a program ends with: 98 for an address in use, 2 for what its author has to change, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Bind(error) if error.is_in_use() => 98,
            Self::Bind(_) | Self::Handler(_) => 2,
            Self::Thread(_) => 1,
        }
    }
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(error) => error.fmt(f),
            Self::Handler(error) => write!(f, "the handler cannot serve: {error}"),
            Self::Thread(_) => f.write_str("cannot start a worker"),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Bind(error) => error.source(),
            Self::Handler(_) => None,
            Self::Thread(error) => Some(error),
        }
    }
}

/// A line for whoever runs the program, about what no client is told.
#[expect(clippy::print_stderr, reason = "a program of a few lines has no other place for it")]
pub(crate) fn report(text: &str) {
    eprintln!("towpath: {text}");
}

/// Statuses without content (RFC 9110 §6.4.1).
pub(crate) fn has_no_content(status: StatusCode) -> bool {
    status.is_informational() || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

/// Reports a panic of a handler. What the client is told says nothing of it.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Response {
    report_panic(panic);
    (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error\n").into_response()
}

/// Says what a handler has panicked with.
pub(crate) fn report_panic(panic: &(dyn Any + Send)) {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    report(&format!("a handler panicked: {}", text.unwrap_or_default()));
}
