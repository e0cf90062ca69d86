//! UDP for services: a [`Server`] with a handler, which is an async function of a context and a [`Datagram`].
//!
//! ```no_run
//! use towpath::udp::{self, Datagram};
//! use towpath::Ctx;
//!
//! async fn echo(_ctx: &Ctx, mut datagram: Datagram) {
//!     let bytes = datagram.bytes().clone();
//!     // One that does not fit into the socket is dropped, as the network would.
//!     let _ = datagram.reply(&bytes);
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     towpath::run(async |ctx| Ok(udp::serve(&ctx, "127.0.0.1:9000", echo).await?))
//! }
//! ```
//!
//! Who sent a datagram is what it says, and nothing proves it. So a server answers with no more than `reply_ratio` times
//! what it got, or it would be a weapon against whoever is named as the sender (T30), and one sender has only so many
//! datagrams under way.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::spawn_local;
use towpath_net::udp::{Batch, Fault, Received, Run};
use towpath_net::{UdpBinding, UdpSocket};

use crate::Ctx;
use crate::http::{ServeError, report};
use crate::listen::{ListenAddress, Listening};
use crate::serving::{Life, Place, Places, Setup, Work};

pub use towpath_net::udp::DATAGRAM_BYTES_MAX;

/// What a datagram costs on the wire beside its bytes: 20 of IPv4 and 8 of UDP. It counts on both sides of the ratio, so
/// that an empty question may have an answer.
const OVERHEAD_BYTES: usize = 28;

/// Handles datagrams. Every `async fn(&Ctx, Datagram)` is one, also as a closure.
///
/// It stays on the worker that received the datagram, so its future may hold what is not `Send`. Datagrams are handled at the
/// same time and in no order.
pub trait Handler: Send + Sync + 'static {
    /// Handles one datagram.
    fn call<'a>(&'a self, ctx: &'a Ctx, datagram: Datagram) -> impl Future<Output = ()> + 'a;
}

impl<F> Handler for F
where
    F: AsyncFn(&Ctx, Datagram) + Send + Sync + 'static,
{
    async fn call<'a>(&'a self, ctx: &'a Ctx, datagram: Datagram) {
        self(ctx, datagram).await;
    }
}

/// A datagram that was received, and the way back.
pub struct Datagram {
    bytes: Bytes,
    from: SocketAddr,
    to: Option<IpAddr>,
    socket: Arc<UdpSocket>,
    /// Bytes on the wire that may still be sent for it.
    credit: usize,
}

impl Datagram {
    /// What was sent: 0 to 65,507 bytes, never cut.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Who is said to have sent it.
    pub fn from(&self) -> SocketAddr {
        self.from
    }

    /// Sends an answer from the address that was asked, without waiting. Several may be sent.
    ///
    /// # Errors
    /// It was not sent: it would be more than the server's [`reply_ratio`](Limits::reply_ratio) lets it answer, the socket is
    /// full, the answer is larger than 65,507 bytes or the path takes, or there is no way to the peer.
    pub fn reply(&mut self, bytes: &[u8]) -> Result<(), NotSent> {
        let cost = bytes.len() + OVERHEAD_BYTES;
        let left = self.credit.checked_sub(cost).ok_or(NotSent(Why::Ratio))?;
        match self.socket.try_send_to(Run::one(bytes), self.from, self.to).fault {
            None => {
                self.credit = left;
                Ok(())
            }
            Some(fault) => Err(NotSent(Why::Fault(fault))),
        }
    }
}

impl fmt::Debug for Datagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagram")
            .field("from", &self.from)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// An answer that was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotSent(Why);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Ratio,
    Fault(Fault),
}

impl NotSent {
    /// It would be more than the datagram's share (T30). The same again when repeated.
    pub fn is_over_ratio(self) -> bool {
        self.0 == Why::Ratio
    }

    /// The socket was full: the network drops datagrams, too.
    pub fn is_dropped(self) -> bool {
        self.0 == Why::Fault(Fault::Full)
    }

    /// It is larger than a datagram, or the path, takes.
    pub fn is_too_large(self) -> bool {
        self.0 == Why::Fault(Fault::TooLarge)
    }
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Why::Ratio => f.write_str("the answer is larger than reply_ratio allows for its question"),
            Why::Fault(Fault::Full) => f.write_str("the socket is full"),
            Why::Fault(Fault::Unreachable) => f.write_str("the peer cannot be reached"),
            Why::Fault(Fault::TooLarge) => f.write_str("the answer is larger than a datagram can be"),
            Why::Fault(Fault::Other(kind)) => kind.fmt(f),
        }
    }
}

impl std::error::Error for NotSent {}

/// How much there may be.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Datagrams under way at a time, of all senders; what comes beyond it is dropped. Default 16,384: some 10 MiB for those
    /// of a usual size.
    pub datagrams: usize,
    /// Datagrams of one sender's address under way at a time; what comes beyond it is dropped. Default 256 (T30).
    pub datagrams_per_address: usize,
    /// What may be answered for each byte received, the bytes of IP and UDP counted on both sides. Default 3, as QUIC has it
    /// (RFC 9000 §8.1); `None` for no limit, which is for networks where nobody lies about his address.
    pub reply_ratio: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { datagrams: 16_384, datagrams_per_address: 256, reply_ratio: Some(3) }
    }
}

/// A server for one handler.
#[must_use = "a server serves nothing before `serve` is awaited"]
pub struct Server<H> {
    handler: H,
    setup: Setup,
    limits: Limits,
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
        Self { handler, setup: Setup::new(), limits: Limits::default() }
    }

    /// Listens on `address` too: `127.0.0.1:9000`, `[::1]:9000`, `:9000` for every address of the machine, port 0 for a free
    /// one.
    pub fn listen(mut self, address: &str) -> Self {
        self.setup.listen(address);
        self
    }

    /// How many datagrams there may be, and how much is answered.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
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

    /// Is told each address really bound, before the first datagram is taken. Default: a line for each on standard output,
    /// `listening udp://127.0.0.1:9000`.
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
        let bindings =
            self.setup.open(ListenAddress::bind_udp, |binding| Listening::udp(binding.address()))?;
        let life = Life::new(ctx, Places::new(self.limits.datagrams, self.limits.datagrams_per_address));
        let site = Site { handler: self.handler, bindings, ratio: self.limits.reply_ratio, life };
        self.setup.run("towpath-udp", site, |site| &site.life, begin, ctx).await
    }
}

impl<H> fmt::Debug for Server<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("addresses", &self.setup.addresses).finish_non_exhaustive()
    }
}

/// What all datagrams of a server share.
struct Site<H> {
    handler: H,
    bindings: Vec<Arc<UdpBinding>>,
    ratio: Option<usize>,
    life: Life,
}

/// Begins to receive on every address, and works until the server stops.
fn begin<H: Handler>(site: &Arc<Site<H>>, worker: usize) -> io::Result<Work> {
    for binding in &site.bindings {
        let Some(socket) = binding.take(worker)? else { continue };
        spawn_local(receive(Arc::clone(site), Arc::new(socket)));
    }
    let site = Arc::clone(site);
    Ok(Box::pin(async move { site.life.stops().await }))
}

/// Receives until the server drains.
async fn receive<H: Handler>(site: Arc<Site<H>>, socket: Arc<UdpSocket>) {
    let mut batch = Batch::default();
    loop {
        let outcome = tokio::select! {
            biased;
            () = site.life.drains() => return,
            outcome = poll_fn(|cx| socket.poll_receive(cx, &mut batch)) => outcome,
        };
        match outcome {
            Ok(()) => batch.received().for_each(|received| welcome(&site, &socket, &received)),
            // What a peer's system says of an answer is told here, and nobody listens for it.
            Err(Fault::Full | Fault::Unreachable | Fault::TooLarge) => {}
            Err(Fault::Other(kind)) => return report(&format!("a socket is unusable: {kind}")),
        }
        // A flood of one socket's must not keep the handlers from their turn.
        tokio::task::yield_now().await;
    }
}

fn welcome<H: Handler>(site: &Arc<Site<H>>, socket: &Arc<UdpSocket>, received: &Received<'_>) {
    // One copy for a run, of which each datagram is a part.
    let all = Bytes::copy_from_slice(received.run.bytes());
    let mut start = 0;
    for datagram in received.run.datagrams() {
        let bytes = all.slice(start..start + datagram.len());
        start += datagram.len();
        let places = &site.life.places;
        let place = if places.is_full() { None } else { places.take(received.from.ip().to_canonical()) };
        let Some(place) = place else { continue };
        let credit =
            site.ratio.map_or(usize::MAX, |ratio| ratio.saturating_mul(bytes.len() + OVERHEAD_BYTES));
        let socket = Arc::clone(socket);
        let datagram = Datagram { bytes, from: received.from, to: received.to, socket, credit };
        spawn_local(attend(Arc::clone(site), datagram, place));
    }
}

async fn attend<H: Handler>(site: Arc<Site<H>>, datagram: Datagram, _place: Place) {
    // The panic of one is no end of the others: the runtime catches it with the task.
    let ctx = &site.life.root;
    let mut handler = pin!(site.handler.call(ctx, datagram));
    poll_fn(|cx| ctx.enter(|| handler.as_mut().poll(cx))).await;
}
