//! A connection as bytes, whatever carries it.

use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use rustix::io::writev;
use rustix::net::{RecvFlags, SendFlags, SocketAddrAny, getsockname, recv, send};
use socket2::SockRef;
use tokio::io::{AsyncWrite, Interest};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use crate::tls::{Agreed, Tls};
use crate::{memory, unix};

/// A connected stream. It is registered with the event loop of the thread that made it.
///
/// TCP and Unix sockets are one variant: the system calls are the same, and a third variant as large as the first
/// would add 8 bytes to every connection. What differs between them was settled when the socket was opened. For the same
/// reason all other kinds are one variant: a socket has one value to spare, which tells that it is none.
#[derive(Debug)]
pub enum Stream {
    /// TCP over IPv4 or IPv6, or a Unix stream socket. Nothing of tokio's type but its addresses and its TCP options
    /// is particular to TCP.
    Socket(TcpStream),
    /// Something else.
    Other(Other),
}

/// A stream that is no socket of the kernel, or not that alone.
#[derive(Debug)]
pub enum Other {
    /// An end of an in-memory pipe.
    Memory(memory::End),
    /// A stream with TLS over it. Boxed, so that streams without TLS do not pay for it.
    Tls(Box<Tls>),
}

impl Stream {
    /// An end of an in-memory pipe.
    pub fn memory(end: memory::End) -> Self {
        Self::Other(Other::Memory(end))
    }

    pub(crate) fn tls(tls: Box<Tls>) -> Self {
        Self::Other(Other::Tls(tls))
    }

    /// Both directions, to be used at the same time.
    pub fn split(&mut self) -> (Reader<'_>, Writer<'_>) {
        match self {
            Self::Socket(stream) => {
                let (reader, writer) = stream.split();
                (Reader::Socket(reader), Writer::Socket(writer))
            }
            Self::Other(Other::Memory(end)) => (Reader::Sub(end), Writer::Sub(end)),
            Self::Other(Other::Tls(tls)) => (Reader::Tls(tls), Writer::Tls(tls)),
        }
    }

    /// Ready once there may be something to read: bytes, an end, or an error. Makes no system call, it asks what
    /// the event loop has seen.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Socket(stream) => stream.poll_read_ready(cx).map(drop),
            Self::Other(Other::Memory(end)) => end.poll_readable(cx),
            Self::Other(Other::Tls(tls)) => tls.poll_readable(cx),
        }
    }

    /// Ready when an idle stream is idle no more: its peer ended it, reset it or sent something. Makes no system call
    /// while the event loop has seen nothing.
    pub fn poll_disturbed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let stream = match self {
            Self::Socket(stream) => stream,
            Self::Other(Other::Memory(end)) => return end.poll_readable(cx),
            Self::Other(Other::Tls(tls)) => return tls.poll_disturbed(cx),
        };
        loop {
            ready!(stream.poll_read_ready(cx)).ok();
            // Readiness may be left over from a read that filled its buffer exactly; a look that finds nothing
            // clears it, and the next turn waits.
            let peek = || Ok(recv(stream.as_fd(), &mut [0u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT)?);
            match stream.try_io(Interest::READABLE, peek) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                _ => return Poll::Ready(()),
            }
        }
    }

    /// What a read would find now, without taking it: `None` for nothing, 0 for the end. One system call.
    ///
    /// # Errors
    /// Those of `recv(2)`, a reset among them.
    pub fn peek(&self) -> io::Result<Option<usize>> {
        match self {
            Self::Socket(stream) => {
                let mut byte = [0u8; 1];
                match recv(stream.as_fd(), &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
                    Ok((count, _)) => Ok(Some(count)),
                    Err(rustix::io::Errno::AGAIN) => Ok(None),
                    Err(error) => Err(error.into()),
                }
            }
            Self::Other(Other::Memory(end)) => end.peek(),
            Self::Other(Other::Tls(tls)) => tls.peek(),
        }
    }

    /// Writes some of `buf` if there is room for it now. One system call, or none when the event loop knows that there
    /// is no room.
    ///
    /// # Errors
    /// `WouldBlock` when there is no room; else those of `send(2)`.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Socket(stream) => write_ready(stream, buf.len(), || send(stream, buf, SEND_FLAGS)),
            Self::Other(Other::Memory(end)) => {
                match end.poll_write(&mut Context::from_waker(Waker::noop()), buf) {
                    Poll::Ready(written) => written,
                    Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
                }
            }
            Self::Other(Other::Tls(tls)) => tls.try_write(buf),
        }
    }

    /// Moves the stream to the event loop of the calling thread.
    ///
    /// # Errors
    /// When that event loop cannot take it, for example at the kernel's watch limit.
    pub fn rehome(self) -> io::Result<Self> {
        match self {
            Self::Socket(stream) => TcpStream::from_std(stream.into_std()?).map(Self::Socket),
            Self::Other(Other::Memory(end)) => Ok(Self::memory(end)),
            Self::Other(Other::Tls(mut tls)) => tls.rehome().map(|()| Self::tls(tls)),
        }
    }

    /// What the two sides agreed on, if they speak TLS.
    pub fn agreed(&self) -> Option<Agreed> {
        match self {
            Self::Other(Other::Tls(tls)) => Some(tls.agreed()),
            _ => None,
        }
    }

    /// Whether TLS is spoken on it.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Other(Other::Tls(_)))
    }

    /// Keeps `what` with a stream that speaks TLS, to be asked for with [`Stream::attached`]. Others keep nothing.
    pub fn attach(&mut self, what: Box<dyn Any + Send>) {
        if let Self::Other(Other::Tls(tls)) = self {
            tls.attach(what);
        }
    }

    /// What was attached, if it is of this type.
    pub fn attached<T: 'static>(&self) -> Option<&T> {
        match self {
            Self::Other(Other::Tls(tls)) => tls.attached()?.downcast_ref(),
            _ => None,
        }
    }

    /// The stream that carries this one, or itself.
    fn wire(&self) -> &Self {
        match self {
            Self::Other(Other::Tls(tls)) => tls.wire(),
            wire => wire,
        }
    }

    /// The address of this side; [`unix::ADDRESS`] for a Unix socket.
    ///
    /// # Errors
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self.wire() {
            Self::Socket(stream) => Ok(socket_address(getsockname(stream)?)),
            Self::Other(_) => Ok(memory::ADDRESS),
        }
    }

    /// Ends when the connection has failed, as by a reset of its peer, also while bytes of it wait to be read. A peer that
    /// only ended its own direction still waits for an answer.
    pub async fn failed(&self) {
        match self.wire() {
            // A look at the socket would find the bytes, and the event loop tells of what is readable only once.
            Self::Socket(stream) => drop(stream.ready(Interest::ERROR).await),
            Self::Other(Other::Memory(end)) => poll_fn(|cx| end.poll_gone(cx)).await,
            // TLS does not carry TLS.
            Self::Other(Other::Tls(_)) => {}
        }
    }

    /// Has the connection end with a reset when it is dropped; see [`Writer::reset_on_drop`].
    pub fn reset_on_drop(&self) {
        match self {
            Self::Socket(stream) => linger_nothing(stream),
            Self::Other(Other::Memory(end)) => end.reset(),
            Self::Other(Other::Tls(tls)) => tls.reset_on_drop(),
        }
    }
}

/// What TLS and relays need of a stream, by a shared reference, as reading may have to write.
impl Stream {
    /// A stream that has ended both ways.
    pub(crate) fn closed() -> Self {
        Self::memory(memory::pipe().0)
    }

    /// See [`Reader::poll_read`].
    pub(crate) fn poll_receive(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let stream = match self {
            Self::Socket(stream) => stream,
            Self::Other(Other::Memory(end)) => return end.poll_read(cx, buf),
            Self::Other(Other::Tls(tls)) => return tls.poll_read(cx, buf),
        };
        poll_receive_from(stream, cx, buf)
    }

    /// Reads what is there, whatever the event loop has seen. One system call.
    pub(crate) fn receive_now(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Socket(stream) => Ok(recv(stream.as_fd(), buf, RecvFlags::DONTWAIT)?.0),
            _ => match self.poll_receive(&mut Context::from_waker(Waker::noop()), buf) {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
            },
        }
    }

    /// See [`Writer::poll_write`].
    pub(crate) fn poll_send(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let stream = match self {
            Self::Socket(stream) => stream,
            Self::Other(Other::Memory(end)) => return end.poll_write(cx, buf),
            Self::Other(Other::Tls(tls)) => return tls.poll_write(cx, buf),
        };
        poll_send_to(stream, cx, buf, SendFlags::empty())
    }

    /// Whether the peer has ended its direction, as far as the event loop has seen, and nothing has failed: then the
    /// reads to come find bytes and the end, and no error. Only sockets are asked.
    pub(crate) fn is_end_seen(&self) -> bool {
        let Self::Socket(stream) = self else { return false };
        let all = pin!(stream.ready(Interest::READABLE | Interest::WRITABLE | Interest::ERROR));
        match all.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(seen)) => seen.is_read_closed() && !seen.is_write_closed() && !seen.is_error(),
            _ => false,
        }
    }

    /// As [`Writer::poll_write`], for bytes that are followed by more, or by the end, before this task waits: a socket
    /// keeps a segment that is not full until then, so that the last one and the end are one packet.
    pub(crate) fn poll_send_more(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Self::Socket(stream) = self else { return self.poll_send(cx, buf) };
        poll_send_to(stream, cx, buf, SendFlags::MORE)
    }

    /// See [`Reader::poll_gone`].
    pub(crate) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Socket(stream) => poll_reset(stream, cx),
            Self::Other(Other::Memory(end)) => end.poll_gone(cx),
            Self::Other(Other::Tls(tls)) => tls.poll_gone(cx),
        }
    }

    /// Ends the writing direction of what is no TLS.
    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        match self {
            Self::Socket(stream) => match SockRef::from(stream).shutdown(Shutdown::Write) {
                // The peer was faster, and nobody needs to be told.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
                outcome => outcome,
            },
            Self::Other(Other::Memory(end)) => {
                end.shutdown();
                Ok(())
            }
            Self::Other(Other::Tls(_)) => Ok(()),
        }
    }
}

// The system calls of the data path are those of rustix, which are instructions. The functions of libc for the same are
// cancellation points of its threads: two atomic operations each, a third of what a relayed message cost outside the kernel.

fn poll_receive_from(stream: &TcpStream, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_read_ready(cx))?;
        match receive_ready(stream, buf) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            outcome => return Poll::Ready(outcome),
        }
    }
}

fn poll_send_to(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    buf: &[u8],
    flags: SendFlags,
) -> Poll<io::Result<usize>> {
    poll_written(stream, cx, buf.len(), || send(stream, buf, flags | SEND_FLAGS))
}

/// A peer that is gone is an error and no signal.
const SEND_FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// Calls `write`, which is to write `bytes`, whenever the event loop believes that there is room.
fn poll_written(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    bytes: usize,
    write: impl Fn() -> rustix::io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_write_ready(cx))?;
        match write_ready(stream, bytes, &write) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            outcome => return Poll::Ready(outcome),
        }
    }
}

/// Calls `write`, which is to write `bytes`, if the event loop believes that there is room. A write of less has filled the
/// socket, and the event loop is told.
fn write_ready(
    stream: &TcpStream,
    bytes: usize,
    write: impl FnOnce() -> rustix::io::Result<usize>,
) -> io::Result<usize> {
    let mut written = None;
    let outcome = stream.try_io(Interest::WRITABLE, || {
        let count = write()?;
        written = Some(count);
        if count < bytes { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(count) }
    });
    written.map_or(outcome, Ok)
}

/// Reads from a socket that the event loop believes readable. A read that leaves room has emptied it; the event loop is
/// told in the same breath, so that nothing that comes afterwards is taken for what was read.
fn receive_ready(stream: &TcpStream, buf: &mut [u8]) -> io::Result<usize> {
    let mut received = None;
    let outcome = stream.try_io(Interest::READABLE, || {
        let (count, _) = recv(stream.as_fd(), &mut *buf, RecvFlags::DONTWAIT)?;
        received = Some(count);
        if count > 0 && count < buf.len() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(count) }
    });
    received.map_or(outcome, Ok)
}

/// Ready when the peer of a socket has reset it, or ended its direction with nothing left to read.
fn poll_left(stream: &TcpStream, cx: &mut Context<'_>) -> Poll<()> {
    loop {
        ready!(stream.poll_read_ready(cx)).ok();
        let peek = || Ok(recv(stream.as_fd(), &mut [0u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT)?.0);
        match stream.try_io(Interest::READABLE, peek) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(1..) => return Poll::Pending,
            Ok(0) | Err(_) => return Poll::Ready(()),
        }
    }
}

/// Ready when a socket was reset, as far as the event loop has seen.
fn poll_reset(stream: &TcpStream, cx: &mut Context<'_>) -> Poll<()> {
    ready!(stream.poll_read_ready(cx)).ok();
    match recv(stream.as_fd(), &mut [0u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Err(error) if error != rustix::io::Errno::AGAIN => Poll::Ready(()),
        _ => Poll::Pending,
    }
}

/// The IP address and port, or [`unix::ADDRESS`] for what has none.
pub(crate) fn socket_address(address: SocketAddrAny) -> SocketAddr {
    SocketAddr::try_from(address).unwrap_or(unix::ADDRESS)
}

/// A socket that cannot be set so is dead already.
fn linger_nothing(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// A stream of bytes that has no socket of its own: one of several inside a connection, as in HTTP/2, or an end of an
/// in-memory pipe.
pub trait Substream: fmt::Debug {
    /// See [`Reader::poll_read`].
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>>;

    /// See [`Stream::poll_readable`].
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// See [`Reader::poll_gone`].
    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// See [`Reader::poll_left`]. Where an end of one direction says nothing about the other, as in HTTP/2, who has left is
    /// who is gone.
    fn poll_left(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_gone(cx)
    }

    /// See [`Writer::poll_write`].
    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>>;

    /// See [`Writer::poll_shutdown`].
    fn shutdown(&self);

    /// See [`Writer::reset_on_drop`]; a substream is reset at once.
    fn reset(&self);
}

/// The reading direction of a [`Stream`].
#[derive(Debug)]
pub enum Reader<'a> {
    /// TCP or a Unix socket.
    Socket(ReadHalf<'a>),
    /// TLS.
    Tls(&'a Tls),
    /// Inside another connection, or in memory.
    Sub(&'a dyn Substream),
}

impl Reader<'_> {
    /// Reads into `buf`; 0 is the end of the stream. After a read that did not fill `buf` the next call waits
    /// for the event loop and makes no system call, so a buffer larger than the message saves one.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Socket(reader) => poll_receive_from(reader.as_ref(), cx, buf),
            Self::Tls(tls) => tls.poll_read(cx, buf),
            Self::Sub(stream) => stream.poll_read(cx, buf),
        }
    }

    /// See [`Stream::poll_readable`].
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Socket(reader) => reader.as_ref().poll_read_ready(cx).map(drop),
            Self::Tls(tls) => tls.poll_readable(cx),
            Self::Sub(stream) => stream.poll_readable(cx),
        }
    }

    /// Whether the peer reset the connection or closed both directions, as far as the event loop has seen. A peer
    /// that only ended its own direction may still wait for an answer.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Socket(reader) => poll_reset(reader.as_ref(), cx),
            Self::Tls(tls) => tls.poll_gone(cx),
            Self::Sub(stream) => stream.poll_gone(cx),
        }
    }

    /// Ready when the peer is gone, or has ended its direction with nothing before the end left to read: a client that has
    /// closed its socket cannot be told from one that still waits.
    pub fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Socket(reader) => poll_left(reader.as_ref(), cx),
            Self::Tls(tls) => tls.poll_left(cx),
            Self::Sub(stream) => stream.poll_left(cx),
        }
    }
}

/// The writing direction of a [`Stream`].
#[derive(Debug)]
pub enum Writer<'a> {
    /// TCP or a Unix socket.
    Socket(WriteHalf<'a>),
    /// TLS. A write that had to wait is repeated with the same bytes.
    Tls(&'a Tls),
    /// Inside another connection, or in memory.
    Sub(&'a dyn Substream),
}

impl Writer<'_> {
    /// Writes some of `buf`.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Socket(writer) => poll_send_to(writer.as_ref(), cx, buf, SendFlags::empty()),
            Self::Tls(tls) => tls.poll_write(cx, buf),
            Self::Sub(stream) => stream.poll_write(cx, buf),
        }
    }

    /// Writes some of `slices` in one system call.
    pub fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Socket(writer) => {
                let bytes = slices.iter().map(|slice| slice.len()).sum();
                let stream = writer.as_ref();
                poll_written(stream, cx, bytes, || writev(stream, slices))
            }
            Self::Tls(tls) => tls.poll_write_vectored(cx, slices),
            Self::Sub(stream) => stream.poll_write(cx, first_of(slices)),
        }
    }

    /// Ends this direction; the other may go on.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Socket(writer) => Pin::new(writer).poll_shutdown(cx),
            Self::Tls(tls) => tls.poll_shutdown(cx),
            Self::Sub(stream) => {
                stream.shutdown();
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Has the connection end with a reset when it is dropped, for a peer that would take a plain end for the end of
    /// what it was being sent. A Unix socket has no reset: its peer finds the end, and a broken pipe when it writes.
    pub fn reset_on_drop(&self) {
        match self {
            Self::Socket(writer) => linger_nothing(writer.as_ref()),
            Self::Tls(tls) => tls.reset_on_drop(),
            Self::Sub(stream) => stream.reset(),
        }
    }

    /// The stream if it is a socket of the kernel, for system calls that only these have, such as `sendfile(2)`.
    pub fn as_tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Socket(writer) => Some(writer.as_ref()),
            Self::Tls(_) | Self::Sub(_) => None,
        }
    }
}

/// The first of `slices` that holds something.
fn first_of<'a>(slices: &'a [IoSlice<'_>]) -> &'a [u8] {
    slices.iter().find(|slice| !slice.is_empty()).map_or(&[], |slice| slice)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    async fn pair() -> (Stream, Stream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Stream::Socket(listener.accept().await.unwrap().0), Stream::Socket(peer))
    }

    fn has_failed(failed: Pin<&mut impl Future<Output = ()>>) -> bool {
        failed.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn who_ends_a_direction_has_left_once_nothing_is_unread_and_is_not_gone() {
        let (mut stream, peer) = pair().await;
        let mut cx = Context::from_waker(Waker::noop());
        assert!(stream.split().0.poll_left(&mut cx).is_pending(), "nothing has happened");
        assert_eq!(peer.try_write(b"more").unwrap(), 4);
        peer.shutdown_write().unwrap();
        poll_fn(|cx| stream.poll_readable(cx)).await;
        assert!(stream.split().0.poll_left(&mut cx).is_pending(), "something is unread");
        let mut piece = [0; 8];
        assert_eq!(poll_fn(|cx| stream.split().0.poll_read(cx, &mut piece)).await.unwrap(), 4);
        poll_fn(|cx| stream.split().0.poll_left(cx)).await;
        assert!(stream.split().0.poll_gone(&mut cx).is_pending(), "it may still read");
    }

    #[tokio::test]
    async fn a_reset_is_noticed_behind_bytes_that_nobody_has_read() {
        let (stream, peer) = pair().await;
        assert_eq!(peer.try_write(b"hello").unwrap(), 5);
        poll_fn(|cx| stream.poll_readable(cx)).await;
        let mut failed = pin!(stream.failed());
        assert!(!has_failed(failed.as_mut()), "bytes are no failure");
        peer.reset_on_drop();
        drop(peer);
        failed.await;
        assert_eq!(stream.peek().unwrap(), Some(1), "they are still there");
    }

    #[tokio::test]
    async fn an_end_is_no_failure() {
        let (stream, mut peer) = pair().await;
        poll_fn(|cx| peer.split().1.poll_shutdown(cx)).await.unwrap();
        poll_fn(|cx| stream.poll_readable(cx)).await;
        assert_eq!(stream.peek().unwrap(), Some(0));
        assert!(!has_failed(pin!(stream.failed())));
    }
}
