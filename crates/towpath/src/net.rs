//! Connections as bytes: TCP, Unix sockets, TLS and an in-memory pipe behind one [`Conn`].
//!
//! ```text
//!   Dialer ── name ──> Resolver ──> addresses ──> attempts, 250 ms apart ──> Conn
//!   Listener::bind ── accept ───────────────────────────────────────────────> Conn
//!   Conn ── read_some, read_exact, lines, frames, write_all, close: each obeys its &Ctx
//!        └─ AsyncRead and AsyncWrite of tokio, with a deadline by Conn::deadline
//! ```
//!
//! A stream has no messages: one read is not what one write of the peer was. It may be half of it, or two of them. Who wants
//! messages says where one ends, by [`Conn::lines`] or [`Conn::frames`].
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), towpath::net::Error> {
//! use towpath::Ctx;
//! use towpath::net::Conn;
//!
//! let ctx = &Ctx::background();
//! let (mut client, mut server) = Conn::pipe();
//! client.write_all(ctx, b"one\ntwo\n").await?;
//! client.shutdown(ctx).await?;
//! let mut lines = server.lines(1024);
//! assert_eq!(lines.next(ctx).await?.as_deref(), Some(&b"one"[..]));
//! assert_eq!(lines.next(ctx).await?.as_deref(), Some(&b"two"[..]));
//! assert_eq!(lines.next(ctx).await?, None);
//! # Ok(())
//! # }
//! ```

mod conn;
mod ctx_io;
mod dialer;
#[cfg(feature = "dns")]
mod dns;
mod error;
mod frames;
mod listener;
mod resolver;

pub use towpath_net::tls;

pub use self::conn::Conn;
pub use self::ctx_io::CtxIo;
pub use self::dialer::Dialer;
#[cfg(feature = "dns")]
pub use self::dns::DnsSettings;
pub use self::error::Error;
pub(crate) use self::error::Kind;
pub use self::frames::{Frames, Framing, Lines, Width};
pub use self::listener::Listener;
pub use self::resolver::{Lookup, Resolve, Resolver};
