//! A connection as bytes, whatever carries it.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use rustix::net::{RecvFlags, SocketAddrAny, getsockname, recv};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use crate::{memory, unix};

/// A connected stream. It is registered with the event loop of the thread that made it.
///
/// TCP and Unix sockets are one variant: the system calls are the same, and a third variant as large as the first
/// would add 8 bytes to every connection. What differs between them was settled when the socket was opened.
#[derive(Debug)]
pub enum Stream {
    /// TCP over IPv4 or IPv6, or a Unix stream socket. Nothing of tokio's type but its addresses and its TCP options
    /// is particular to TCP.
    Socket(TcpStream),
    /// An end of an in-memory pipe.
    Memory(memory::End),
}

impl Stream {
    /// Both directions, to be used at the same time.
    pub fn split(&mut self) -> (Reader<'_>, Writer<'_>) {
        match self {
            Self::Socket(stream) => {
                let (reader, writer) = stream.split();
                (Reader::Socket(reader), Writer::Socket(writer))
            }
            Self::Memory(end) => (Reader::Memory(end), Writer::Memory(end)),
        }
    }

    /// Ready once there may be something to read: bytes, an end, or an error. Makes no system call, it asks what
    /// the event loop has seen.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Socket(stream) => stream.poll_read_ready(cx).map(drop),
            Self::Memory(end) => end.poll_readable(cx),
        }
    }

    /// Ready when an idle stream is idle no more: its peer ended it, reset it or sent something. Makes no system call
    /// while the event loop has seen nothing.
    pub fn poll_disturbed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let stream = match self {
            Self::Socket(stream) => stream,
            Self::Memory(end) => return end.poll_readable(cx),
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
            Self::Memory(end) => end.peek(),
        }
    }

    /// Writes some of `buf` if there is room for it now. One system call, or none when the event loop knows that there
    /// is no room.
    ///
    /// # Errors
    /// `WouldBlock` when there is no room; else those of `send(2)`.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Socket(stream) => stream.try_write(buf),
            Self::Memory(end) => match end.poll_write(&mut Context::from_waker(Waker::noop()), buf) {
                Poll::Ready(written) => written,
                Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
            },
        }
    }

    /// Moves the stream to the event loop of the calling thread.
    ///
    /// # Errors
    /// When that event loop cannot take it, for example at the kernel's watch limit.
    pub fn rehome(self) -> io::Result<Self> {
        match self {
            Self::Socket(stream) => TcpStream::from_std(stream.into_std()?).map(Self::Socket),
            Self::Memory(end) => Ok(Self::Memory(end)),
        }
    }

    /// The address of this side; [`unix::ADDRESS`] for a Unix socket.
    ///
    /// # Errors
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Socket(stream) => Ok(socket_address(getsockname(stream)?)),
            Self::Memory(_) => Ok(memory::ADDRESS),
        }
    }

    /// Ends when the connection has failed, as by a reset of its peer, also while bytes of it wait to be read. A peer that
    /// only ended its own direction still waits for an answer.
    pub async fn failed(&self) {
        match self {
            // A look at the socket would find the bytes, and the event loop tells of what is readable only once.
            Self::Socket(stream) => drop(stream.ready(Interest::ERROR).await),
            Self::Memory(end) => poll_fn(|cx| end.poll_gone(cx)).await,
        }
    }

    /// Has the connection end with a reset when it is dropped; see [`Writer::reset_on_drop`].
    pub fn reset_on_drop(&self) {
        match self {
            Self::Socket(stream) => linger_nothing(stream),
            Self::Memory(end) => end.reset(),
        }
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

/// The reading direction of a [`Stream`].
#[derive(Debug)]
pub enum Reader<'a> {
    /// TCP or a Unix socket.
    Socket(ReadHalf<'a>),
    /// In memory.
    Memory(&'a memory::End),
}

impl Reader<'_> {
    /// Reads into `buf`; 0 is the end of the stream. After a read that did not fill `buf` the next call waits
    /// for the event loop and makes no system call, so a buffer larger than the message saves one.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Socket(reader) => {
                let mut buf = ReadBuf::new(buf);
                ready!(Pin::new(reader).poll_read(cx, &mut buf))?;
                Poll::Ready(Ok(buf.filled().len()))
            }
            Self::Memory(end) => end.poll_read(cx, buf),
        }
    }

    /// See [`Stream::poll_readable`].
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Socket(reader) => reader.as_ref().poll_read_ready(cx).map(drop),
            Self::Memory(end) => end.poll_readable(cx),
        }
    }

    /// Whether the peer reset the connection or closed both directions, as far as the event loop has seen. A peer
    /// that only ended its own direction still waits for an answer.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Socket(reader) => {
                let stream: &TcpStream = reader.as_ref();
                ready!(stream.poll_read_ready(cx)).ok();
                match recv(stream.as_fd(), &mut [0u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
                    Err(error) if error != rustix::io::Errno::AGAIN => Poll::Ready(()),
                    _ => Poll::Pending,
                }
            }
            Self::Memory(end) => end.poll_gone(cx),
        }
    }
}

/// The writing direction of a [`Stream`].
#[derive(Debug)]
pub enum Writer<'a> {
    /// TCP or a Unix socket.
    Socket(WriteHalf<'a>),
    /// In memory.
    Memory(&'a memory::End),
}

impl Writer<'_> {
    /// Writes some of `buf`.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Socket(writer) => Pin::new(writer).poll_write(cx, buf),
            Self::Memory(end) => end.poll_write(cx, buf),
        }
    }

    /// Writes some of `slices` in one system call.
    pub fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Socket(writer) => Pin::new(writer).poll_write_vectored(cx, slices),
            Self::Memory(end) => {
                let first = slices.iter().find(|slice| !slice.is_empty());
                end.poll_write(cx, first.map_or(&[], |slice| slice))
            }
        }
    }

    /// Ends this direction; the other may go on.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Socket(writer) => Pin::new(writer).poll_shutdown(cx),
            Self::Memory(end) => {
                end.shutdown();
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Has the connection end with a reset when it is dropped, for a peer that would take a plain end for the end of
    /// what it was being sent. A Unix socket has no reset: its peer finds the end, and a broken pipe when it writes.
    pub fn reset_on_drop(&self) {
        match self {
            Self::Socket(writer) => linger_nothing(writer.as_ref()),
            Self::Memory(end) => end.reset(),
        }
    }

    /// The stream if it is a socket of the kernel, for system calls that only these have, such as `sendfile(2)`.
    pub fn as_tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Socket(writer) => Some(writer.as_ref()),
            Self::Memory(_) => None,
        }
    }
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
