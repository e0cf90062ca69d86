//! WebSocket (RFC 6455), as server and as client.
//!
//! ```text
//!   handler ── ws::accept(request, async |ctx, socket| …) ──> 101 ──> Socket: recv, send, close
//!   program ── ws::connect(ctx, "ws://…") ──────────────────────────> Socket
//! ```
//!
//! ```no_run
//! use towpath::Ctx;
//! use towpath::http::{Request, Response, Router, Server, ws};
//!
//! async fn echo(_ctx: &Ctx, request: Request) -> Response {
//!     ws::accept(request, async |ctx: &Ctx, socket: &mut ws::Socket| {
//!         while let Some(message) = socket.recv(ctx).await? {
//!             socket.send(ctx, message).await?;
//!         }
//!         Ok::<_, ws::Error>(())
//!     })
//! }
//!
//! # fn main() -> std::process::ExitCode {
//! #     towpath::run(async |ctx: Ctx| {
//! Server::new(Router::new().get("/", echo)).listen("127.0.0.1:8080").serve(&ctx).await?;
//! #         Ok(())
//! #     })
//! # }
//! ```
//!
//! A room is a [`chan::broadcast`](crate::chan::broadcast()) that every socket of it listens to. A client that is too slow for
//! it is told how much it has missed, and its handler decides whether to go on or to close:
//!
//! ```
//! use towpath::chan::Broadcaster;
//! use towpath::http::ws::{self, Message, Socket};
//! use towpath::Ctx;
//!
//! async fn member(ctx: &Ctx, socket: &mut Socket, room: &Broadcaster<String>) -> Result<(), ws::Error> {
//!     let mut news = room.listen();
//!     loop {
//!         tokio::select! {
//!             said = socket.recv(ctx) => match said? {
//!                 Some(Message::Text(text)) => drop(room.send(text)),
//!                 Some(Message::Binary(_)) => {}
//!                 None => return Ok(()),
//!             },
//!             heard = news.recv() => match heard {
//!                 Ok(Some(text)) => socket.send(ctx, text).await?,
//!                 Ok(None) => return Ok(()),
//!                 Err(_) => return socket.close(ctx, ws::CloseCode::TRY_AGAIN, "too slow").await,
//!             },
//!         }
//!     }
//! }
//! ```

mod dial;
mod error;
mod serve;
mod socket;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use towpath_net::tls;

pub use towpath_proto::limits::WsLimits;
pub use towpath_proto::ws::{CloseCode, DeflatePolicy, Origins, WindowBits};

pub use self::error::Error;
pub use self::serve::Ending;
pub use self::socket::Socket;
use super::{Request, Response};
use crate::Ctx;

/// What one side sends to the other. There are no other kinds (RFC 6455 §5.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Text, which is UTF-8.
    Text(String),
    /// Any bytes.
    Binary(Bytes),
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

/// How a WebSocket is opened and what its peer may do.
///
/// ```
/// use towpath::http::ws::{DeflatePolicy, Options};
///
/// let options = Options {
///     protocols: vec!["chat.v2".to_owned(), "chat.v1".to_owned()],
///     deflate: Some(DeflatePolicy::default()),
///     ..Options::default()
/// };
/// assert_eq!(options.limits.message_bytes_max, 4 << 20);
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// A server's: the pages that may open one (§10.2), as a browser lets any page ask with its user's cookies. `None` for
    /// pages of the host that was asked, and for programs, which send no `Origin`. Default `None`.
    pub origins: Option<Origins>,
    /// Subprotocols that we speak. A server takes the one that the client likes best; a client names them in this order.
    /// Default none.
    pub protocols: Vec<String>,
    /// Whether and how messages are compressed (RFC 7692), if the other side does that too. It costs processor time and up
    /// to 46 KiB while a message comes in. Default not.
    pub deflate: Option<DeflatePolicy>,
    /// What a message of the peer may cost. Default 1 MiB for a frame and 4 MiB for a message, counted after inflating.
    pub limits: WsLimits,
    /// A peer that was silent for so long is asked for a sign of life. `None` for never. Default 30 s, within what
    /// proxies and address translators forget connections in.
    pub ping_idle: Option<Duration>,
    /// How long the sign of life may take. Default 30 s.
    pub ping_timeout: Duration,
    /// Without progress while a message is sent. Default 30 s.
    pub write_idle: Duration,
    /// How long the peer's part of the closing handshake may take. Default 5 s.
    pub close_timeout: Duration,
    /// A client's side of TLS for `wss://`. `None` for one that trusts whom the system trusts. Default `None`.
    pub tls: Option<Arc<tls::Client>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            origins: None,
            protocols: Vec::new(),
            deflate: None,
            limits: WsLimits::default(),
            ping_idle: Some(Duration::from_secs(30)),
            ping_timeout: Duration::from_secs(30),
            write_idle: Duration::from_secs(30),
            close_timeout: Duration::from_secs(5),
            tls: None,
        }
    }
}

impl Options {
    /// The same for pages of every origin: for what a foreign page may do in its user's name.
    ///
    /// ```
    /// let options = towpath::http::ws::Options::default().any_origin();
    /// assert!(options.origins.is_some_and(|origins| origins.allows(Some(b"null"))));
    /// ```
    #[must_use]
    pub fn any_origin(mut self) -> Self {
        self.origins = Origins::parse(["*"], true).ok();
        self
    }

    /// Answers a request for a WebSocket: with 101 and `handler`, which then has the socket to itself, or with 426, 400 or
    /// 403 on a connection that goes on. Over HTTP/2 it is RFC 8441's.
    ///
    /// When `handler` returns, the socket is closed: with 1000, with 1011 if it failed or panicked. Its context is done at the
    /// end of the server's grace. A drain says 1001 at the next [`Socket::recv`] or [`Socket::send`], or in one that
    /// waits; `recv` then ends as it does when the peer closes.
    pub fn accept<H, R>(&self, request: Request, handler: H) -> Response
    where
        H: AsyncFnOnce(&Ctx, &mut Socket) -> R + Send + 'static,
        R: Ending + 'static,
    {
        serve::accept(self, &request, handler)
    }

    /// Opens a WebSocket to `url`: `ws://host:port/path?query` or `wss://…`. Bounded by `ctx`, or by 10 s. *Discard-on-cancel*.
    ///
    /// # Errors
    /// The URL is none, nobody answers, or the answer is another than was asked for; see [`Error`].
    pub async fn connect(&self, ctx: &Ctx, url: &str) -> Result<Socket, Error> {
        dial::connect(self, ctx, url).await
    }
}

/// Answers a request for a WebSocket with every default; see [`Options::accept`].
pub fn accept<H, R>(request: Request, handler: H) -> Response
where
    H: AsyncFnOnce(&Ctx, &mut Socket) -> R + Send + 'static,
    R: Ending + 'static,
{
    Options::default().accept(request, handler)
}

/// Opens a WebSocket with every default; see [`Options::connect`]. *Discard-on-cancel*.
///
/// # Errors
/// Those of [`Options::connect`].
///
/// ```no_run
/// # async fn hello(ctx: &towpath::Ctx) -> Result<(), towpath::http::ws::Error> {
/// use towpath::http::ws;
///
/// let mut socket = ws::connect(ctx, "ws://127.0.0.1:8080/").await?;
/// socket.send(ctx, "Hello Server").await?;
/// let answer = socket.recv(ctx).await?;
/// socket.close(ctx, ws::CloseCode::NORMAL, "").await?;
/// # Ok(())
/// # }
/// ```
pub async fn connect(ctx: &Ctx, url: &str) -> Result<Socket, Error> {
    Options::default().connect(ctx, url).await
}

#[cfg(test)]
mod tests;
