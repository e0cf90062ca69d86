//! TCP for services: a [`Server`] with a handler, which is an async function of a context and a [`Conn`].
//!
//! ```no_run
//! use towpath::net::{Conn, Error};
//! use towpath::{Ctx, tcp};
//!
//! async fn hello(ctx: &Ctx, mut conn: Conn) -> Result<(), Error> {
//!     conn.write_all(ctx, b"Hello from server!\n").await?;
//!     conn.close(ctx).await
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     towpath::run(async |ctx| Ok(tcp::serve(&ctx, "127.0.0.1:8080", hello).await?))
//! }
//! ```
//!
//! Each connection is a task of the worker that accepted it, and is closed when its handler returns, fails or panics,
//! whatever the handler did with it. Unix sockets are listened on, too: `unix:/run/app.sock`.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::task::spawn_local;
use towpath_net::{Binding, Stream, tls};

use crate::Ctx;
use crate::app::Failure;
use crate::http::{ServeError, report};
use crate::listen::{ListenAddress, Listening, accept_all};
use crate::net::{Conn, Error};
use crate::serving::{Life, Place, Places, Setup, Work};

/// How long a handshake of TLS may take.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// Serves connections. Every `async fn(&Ctx, Conn)` is one, also as a closure, that returns nothing or a `Result`.
///
/// It stays on the worker that has the connection, so its future may hold what is not `Send`. Its context ends when the
/// server stops, once the grace is over.
pub trait Handler: Send + Sync + 'static {
    /// Serves one connection.
    fn call<'a>(&'a self, ctx: &'a Ctx, conn: Conn) -> impl Future<Output = Outcome> + 'a;
}

/// What a handler says at its end. A failure is written to the server's report, unless it only says that the peer has gone or
/// the context was done.
pub type Outcome = Result<(), Failure>;

/// What handlers return.
pub trait IntoOutcome {
    /// The outcome.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Outcome {
        Ok(())
    }
}

impl<E: Into<Failure>> IntoOutcome for Result<(), E> {
    fn into_outcome(self) -> Outcome {
        self.map_err(Into::into)
    }
}

impl<F, R> Handler for F
where
    F: AsyncFn(&Ctx, Conn) -> R + Send + Sync + 'static,
    R: IntoOutcome + 'static,
{
    async fn call<'a>(&'a self, ctx: &'a Ctx, conn: Conn) -> Outcome {
        self(ctx, conn).await.into_outcome()
    }
}

/// How much there may be.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time. More wait in the kernel's queue. Default no limit but that of descriptors.
    pub connections: usize,
    /// Connections of one client address at a time. More are closed at once. Default no limit.
    pub connections_per_address: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: usize::MAX, connections_per_address: usize::MAX }
    }
}

/// A server for one handler.
#[must_use = "a server serves nothing before `serve` is awaited"]
pub struct Server<H> {
    handler: H,
    setup: Setup,
    limits: Limits,
    tls: Option<Arc<tls::Server>>,
}

/// Serves `handler` on `address` until `ctx` is done: a [`Server`] with every default. *Discard-on-cancel*: to drop it cuts
/// what is under way.
///
/// # Errors
/// It could not begin; see [`ServeError`].
pub async fn serve(ctx: &Ctx, address: &str, handler: impl Handler) -> Result<(), ServeError> {
    Server::new(handler).listen(address).serve(ctx).await
}

impl<H: Handler> Server<H> {
    /// A server that listens nowhere yet.
    pub fn new(handler: H) -> Self {
        Self { handler, setup: Setup::new(), limits: Limits::default(), tls: None }
    }

    /// Listens on `address` too: `127.0.0.1:8080`, `[::1]:8080`, `:8080` for every address of the machine, port 0 for a free
    /// one, `unix:/run/app.sock`.
    pub fn listen(mut self, address: &str) -> Self {
        self.setup.listen(address);
        self
    }

    /// How many connections there may be.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Speaks TLS on every address. A handshake may take 10 s; one that fails is no failure of the server's.
    pub fn tls(mut self, server: Arc<tls::Server>) -> Self {
        self.tls = Some(server);
        self
    }

    /// How long handlers may go on once the server is told to stop; then their contexts end. Default 30 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.setup.grace = grace;
        self
    }

    /// How many worker threads there are. Default one for each processor the process may use.
    pub fn workers(mut self, workers: usize) -> Self {
        self.setup.workers = workers.max(1);
        self
    }

    /// Is told each address really bound, before the first connection is accepted. Default: a line for each on standard
    /// output, `listening tcp://127.0.0.1:8080`.
    pub fn on_listen(mut self, told: impl FnMut(&Listening) + 'static) -> Self {
        self.setup.on_listen = Box::new(told);
        self
    }

    /// Serves until `ctx` is done, and then until all handlers have returned, or the grace is over. *Discard-on-cancel*: to
    /// drop it cuts what is under way.
    ///
    /// # Errors
    /// It could not begin: an address, a thread.
    pub async fn serve(mut self, ctx: &Ctx) -> Result<(), ServeError> {
        let bindings = self.setup.open(ListenAddress::bind, |binding| Listening::new(binding, "tcp"))?;
        let life = Life::new(ctx, Places::new(self.limits.connections, self.limits.connections_per_address));
        let site = Site { handler: self.handler, bindings, tls: self.tls, life };
        self.setup.run("towpath-tcp", site, |site| &site.life, begin, ctx).await
    }
}

impl<H> fmt::Debug for Server<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("addresses", &self.setup.addresses).finish_non_exhaustive()
    }
}

/// What all connections of a server share.
struct Site<H> {
    handler: H,
    bindings: Vec<Arc<Binding>>,
    tls: Option<Arc<tls::Server>>,
    life: Life,
}

/// Begins to accept on every address, and works until the server stops.
fn begin<H: Handler>(site: &Arc<Site<H>>, worker: usize) -> std::io::Result<Work> {
    let site = Arc::clone(site);
    for binding in &site.bindings {
        let Some(acceptor) = binding.take(worker)? else { continue };
        let site = Arc::clone(&site);
        spawn_local(async move {
            let room = async || {
                if site.life.places.is_full() {
                    site.life.places.room().await;
                }
            };
            let welcome = |stream, peer| welcome(&site, stream, peer);
            accept_all(acceptor, site.life.drains(), room, welcome).await;
        });
    }
    Ok(Box::pin(async move { site.life.stops().await }))
}

fn welcome<H: Handler>(site: &Arc<Site<H>>, stream: Stream, peer: SocketAddr) {
    // One that is over the limit of its address is closed at once.
    let Some(place) = site.life.places.take(peer.ip().to_canonical()) else { return };
    spawn_local(attend(Arc::clone(site), Conn::new(stream, peer), place));
}

async fn attend<H: Handler>(site: Arc<Site<H>>, conn: Conn, _place: Place) {
    let (ctx, _guard) = site.life.root.with_cancel();
    let conn = match &site.tls {
        None => conn,
        Some(server) => {
            let in_time = ctx.with_timeout(HANDSHAKE_TIME_MAX);
            // Who does not come to an agreement was told by an alert.
            let Ok(conn) = conn.accept_tls(&in_time, server).await else { return };
            conn
        }
    };
    let mut handler = pin!(site.handler.call(&ctx, conn));
    let caught = std::future::poll_fn(|cx| {
        match catch_unwind(AssertUnwindSafe(|| ctx.enter(|| handler.as_mut().poll(cx)))) {
            Ok(poll) => poll.map(Some),
            Err(_panic) => Poll::Ready(None),
        }
    });
    match caught.await {
        Some(Ok(())) => {}
        Some(Err(failure)) if is_of_the_peer(&failure) => {}
        Some(Err(failure)) => report(&format!("a handler failed: {failure}")),
        None => report("a handler panicked"),
    }
}

/// Whether a failure only says that the peer has gone, or that the context was done.
fn is_of_the_peer(failure: &Failure) -> bool {
    failure.error().downcast_ref::<Error>().is_some_and(|error| {
        error.is_reset() || error.is_canceled() || error.is_timeout() || error.is_ended()
    })
}
