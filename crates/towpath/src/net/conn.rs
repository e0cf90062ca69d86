//! A connection, whatever carries it.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use towpath_net::tls::{self, Agreed, Alpn};
use towpath_net::{Stream, memory};

use super::ctx_io::CtxIo;
use super::error::{Error, Kind};
use super::frames::{Frames, Framing, Lines};
use crate::Ctx;

/// Bytes that are read at once behind what is buffered: a usual message, and little enough to be lost for an idle peer.
const READ_BYTES: usize = 8 * 1024;

/// How much is read and thrown away of what a peer still sends when its connection closes, and for how long. A close with
/// unread bytes would be a reset, which can overtake what was written last.
const LINGER_BYTES_MAX: usize = 256 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(2);

/// A connection. Dropping it closes it, whatever was going on; see [`close`](Self::close) for a gentler end.
///
/// It holds no buffer while nothing is half read, so a connection that waits costs its socket. One task uses it at a time;
/// it may move to another task, and to another thread of the same runtime.
pub struct Conn {
    stream: Stream,
    peer: SocketAddr,
    /// What was read behind the last line or frame.
    input: BytesMut,
    /// How many bytes of `input` were searched for the end of a line, so that none is looked at twice.
    searched: usize,
}

impl Conn {
    pub(crate) fn new(stream: Stream, peer: SocketAddr) -> Self {
        Self { stream, peer, input: BytesMut::new(), searched: 0 }
    }

    /// Two connections, each the other's peer, in memory: for tests, and for a client and a server in one process.
    pub fn pipe() -> (Self, Self) {
        let (one, other) = memory::pipe();
        let conn = |end| Self::new(Stream::memory(end), memory::ADDRESS);
        (conn(one), conn(other))
    }

    /// The address of the other side. Of a Unix socket it is `0.0.0.0:0`, of a pipe `127.0.0.1:0`.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The address of this side.
    ///
    /// # Errors
    /// The system does not say.
    pub fn local_addr(&self) -> Result<SocketAddr, Error> {
        Ok(self.stream.local_addr()?)
    }

    /// What the two sides of TLS agreed on; `None` in clear text.
    pub fn agreed(&self) -> Option<Agreed> {
        self.stream.agreed()
    }

    /// Reads some bytes, as many as there are and fit; 0 when the peer has ended its direction, or `buf` has no room.
    ///
    /// One read is not one message; see the [module](super). *Cancel-safe*.
    ///
    /// # Errors
    /// The connection failed, or `ctx` was done first.
    pub async fn read_some(&mut self, ctx: &Ctx, buf: &mut [u8]) -> Result<usize, Error> {
        Ok(ctx.run(poll_fn(|cx| self.poll_some(cx, buf))).await??)
    }

    /// Fills `buf`. *Discard-on-cancel*: what was read by then is lost.
    ///
    /// # Errors
    /// The peer ended before, the connection failed, or `ctx` was done first.
    pub async fn read_exact(&mut self, ctx: &Ctx, buf: &mut [u8]) -> Result<(), Error> {
        let mut filled = 0;
        let read = poll_fn(|cx| {
            while let Some(room @ [_, ..]) = buf.get_mut(filled..) {
                match ready!(self.poll_some(cx, room))? {
                    0 => return Poll::Ready(Err(Error::new(Kind::Ended))),
                    count => filled += count,
                }
            }
            Poll::Ready(Ok(()))
        });
        ctx.run(read).await?
    }

    /// The connection as lines of at most `max_line` bytes each, the end not counted.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), towpath::net::Error> {
    /// # use towpath::{Ctx, net::Conn};
    /// # let ctx = &Ctx::background();
    /// let (mut client, mut server) = Conn::pipe();
    /// client.write_all(ctx, b"much too long").await?;
    /// assert!(server.lines(4).next(ctx).await.unwrap_err().is_too_long());
    /// # Ok(())
    /// # }
    /// ```
    pub fn lines(&mut self, max_line: usize) -> Lines<'_> {
        Lines::new(self, max_line)
    }

    /// The connection as frames; see [`Framing`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), towpath::net::Error> {
    /// # use towpath::{Ctx, net::Conn};
    /// use towpath::net::{Framing, Width};
    ///
    /// # let ctx = &Ctx::background();
    /// let framing = Framing::Prefixed { width: Width::U16, max: 1024 };
    /// let (mut client, mut server) = Conn::pipe();
    /// client.frames(framing).send(ctx, b"hello").await?;
    /// assert_eq!(server.frames(framing).next(ctx).await?.as_deref(), Some(&b"hello"[..]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn frames(&mut self, framing: Framing) -> Frames<'_> {
        Frames::new(self, framing)
    }

    /// Writes all of `bytes`. *Discard-on-cancel*: nobody knows how much of them was written.
    ///
    /// # Errors
    /// The connection failed, or `ctx` was done first.
    pub async fn write_all(&mut self, ctx: &Ctx, bytes: &[u8]) -> Result<(), Error> {
        let mut written = 0;
        let write = poll_fn(|cx| {
            while let Some(rest @ [_, ..]) = bytes.get(written..) {
                match ready!(self.stream.split().1.poll_write(cx, rest))? {
                    0 => return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero))),
                    count => written += count,
                }
            }
            Poll::Ready(Ok(()))
        });
        Ok(ctx.run(write).await??)
    }

    /// Ends this direction, so that the peer finds an end behind what was written; it may go on sending. *Cancel-safe*.
    ///
    /// # Errors
    /// The connection failed, or `ctx` was done first.
    pub async fn shutdown(&mut self, ctx: &Ctx) -> Result<(), Error> {
        Ok(ctx.run(poll_fn(|cx| self.stream.split().1.poll_shutdown(cx))).await??)
    }

    /// Ends the connection so that the peer gets all that was written, also if it goes on sending: ends this direction, then
    /// throws away what comes, 256 KiB and 2 s at the most. *Cancel-safe*: dropped half-way it is a close.
    ///
    /// # Errors
    /// The connection failed, or `ctx` was done first.
    pub async fn close(mut self, ctx: &Ctx) -> Result<(), Error> {
        let ctx = &ctx.with_timeout(LINGER_TIME);
        self.shutdown(ctx).await?;
        let (mut discarded, mut buf) = (0, [0; 4096]);
        while discarded < LINGER_BYTES_MAX {
            match self.read_some(ctx, &mut buf).await {
                Ok(0) => break,
                Ok(count) => discarded += count,
                // The peer takes its time, which is its own affair.
                Err(error) if error.is_timeout() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Closes the connection with a reset, so that the peer cannot take what it has got for all of it. A Unix socket has no
    /// reset: its peer finds an end.
    pub fn reset(self) {
        self.stream.reset_on_drop();
    }

    /// The same connection with TLS, of which this side is the server. What the client had sent before is read as TLS.
    /// *Discard-on-cancel*.
    ///
    /// # Errors
    /// Why there is no TLS, or `ctx` was done first.
    pub async fn accept_tls(self, ctx: &Ctx, server: &tls::Server) -> Result<Self, Error> {
        let early = self.input;
        let stream = ctx
            .run(tls::accept(self.stream, server, Alpn::Agreed, &early, server.signing_unread()))
            .await??;
        Ok(Self::new(stream, self.peer))
    }

    /// The same connection with TLS, of which this side is the client that asks for the server `name`. *Discard-on-cancel*.
    ///
    /// # Errors
    /// Why there is no TLS, or `ctx` was done first. What was read of the connection before is no TLS either.
    pub async fn connect_tls(self, ctx: &Ctx, client: &tls::Client, name: &str) -> Result<Self, Error> {
        if !self.input.is_empty() {
            // Bytes in clear text before the handshake are nobody's (T07).
            return Err(io::Error::from(io::ErrorKind::InvalidData).into());
        }
        let stream = ctx.run(tls::connect(self.stream, client, name)).await??;
        Ok(Self::new(stream, self.peer))
    }

    /// The connection for readers and writers of other libraries, every operation of which ends when `ctx` is done (R24).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// # use towpath::{Ctx, net::Conn};
    /// use std::time::Duration;
    /// use tokio::io::AsyncReadExt;
    ///
    /// let (mut client, _server) = Conn::pipe();
    /// let ctx = Ctx::background().with_timeout(Duration::from_secs(1));
    /// let error = client.deadline(&ctx).read_u8().await.unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    /// # }
    /// ```
    pub fn deadline(&mut self, ctx: &Ctx) -> CtxIo<&mut Self> {
        CtxIo::new(self, ctx)
    }

    pub(crate) fn into_stream(self) -> Stream {
        self.stream
    }

    pub(super) fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    pub(super) fn searched(&mut self) -> &mut usize {
        &mut self.searched
    }

    fn poll_some(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if self.input.is_empty() {
            return self.stream.split().0.poll_read(cx, buf);
        }
        let count = buf.len().min(self.input.len());
        self.input.copy_to_slice(&mut buf[..count]);
        self.searched = 0;
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        Poll::Ready(Ok(count))
    }

    /// Reads behind what is buffered; 0 at the end.
    pub(super) fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let start = self.input.len();
        self.input.resize(start + READ_BYTES, 0);
        let outcome = self.stream.split().0.poll_read(cx, self.input.get_mut(start..).unwrap_or_default());
        let count = match &outcome {
            Poll::Ready(Ok(count)) => *count,
            _ => 0,
        };
        self.input.truncate(start + count);
        if self.input.is_empty() {
            // Nothing is half read: a connection that waits holds no buffer.
            self.input = BytesMut::new();
        }
        outcome
    }

    pub(super) fn more(&mut self) -> impl Future<Output = io::Result<usize>> + Send {
        poll_fn(|cx| self.poll_more(cx))
    }
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl AsyncRead for Conn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = ready!(self.poll_some(cx, buf.initialize_unfilled()))?;
        buf.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Conn {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.split().1.poll_write(cx, buf)
    }

    /// A write is done when the system has it, so there is nothing to flush.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.split().1.poll_shutdown(cx)
    }
}
