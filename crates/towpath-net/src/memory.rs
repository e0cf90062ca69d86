//! A network inside one thread: names, listeners and pipes, for programs and tests that run under a virtual clock.
//!
//! Nothing of it reaches the kernel, so a paused clock advances exactly when every task waits. An end can be reset
//! as a TCP peer can.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use crate::Substream;

use tokio::sync::mpsc;

/// The address every end of this network reports.
pub const ADDRESS: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

/// Bytes a pipe holds in each direction before its writer waits, like a socket's send buffer.
pub const PIPE_BYTES: usize = 64 * 1024;

thread_local! {
    static NAMES: RefCell<HashMap<Arc<str>, Name>> = RefCell::default();
}

struct Name {
    sender: mpsc::UnboundedSender<End>,
    /// Nothing answers a connection attempt, not even with a refusal.
    is_silent: bool,
}

/// Accepts connections to a name.
#[derive(Debug)]
pub struct Listener {
    name: Arc<str>,
    incoming: mpsc::UnboundedReceiver<End>,
}

/// Takes a name on this thread's network.
///
/// # Errors
/// `AddrInUse` when it is taken.
pub fn listen(name: &str) -> io::Result<Listener> {
    take(name, false)
}

/// Takes a name that answers nothing, as an address behind a firewall that drops packets: whoever connects to it
/// waits for ever, so that its own deadline decides.
///
/// # Errors
/// `AddrInUse` when it is taken.
pub fn black_hole(name: &str) -> io::Result<Listener> {
    take(name, true)
}

fn take(name: &str, is_silent: bool) -> io::Result<Listener> {
    NAMES.with_borrow_mut(|names| {
        if names.get(name).is_some_and(|name| !name.sender.is_closed()) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let (sender, incoming) = mpsc::unbounded_channel();
        let name: Arc<str> = name.into();
        names.insert(Arc::clone(&name), Name { sender, is_silent });
        Ok(Listener { name, incoming })
    })
}

/// Connects to a name. Only a [`black_hole`] lets it wait.
///
/// # Errors
/// `ConnectionRefused` when nobody listens.
pub async fn connect(name: &str) -> io::Result<End> {
    let answer = NAMES.with_borrow(|names| -> Result<_, io::ErrorKind> {
        let name = names.get(name).ok_or(io::ErrorKind::ConnectionRefused)?;
        if name.is_silent {
            return Ok(None);
        }
        let (ours, theirs) = pipe();
        name.sender.send(theirs).map_err(|_| io::ErrorKind::ConnectionRefused)?;
        Ok(Some(ours))
    });
    match answer {
        Ok(Some(end)) => Ok(end),
        Ok(None) => std::future::pending().await,
        Err(kind) => Err(kind.into()),
    }
}

impl Listener {
    /// The next connection.
    pub async fn accept(&mut self) -> End {
        match self.incoming.recv().await {
            Some(end) => end,
            // The name was taken by nobody else, as the sender lives as long as the entry.
            None => std::future::pending().await,
        }
    }

    /// A connection that is there already.
    pub fn accept_queued(&mut self) -> Option<End> {
        self.incoming.try_recv().ok()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // At the end of the thread the table may be gone before its listeners.
        let _ = NAMES.try_with(|names| names.borrow_mut().remove(&self.name));
    }
}

/// Two connected ends.
pub fn pipe() -> (End, End) {
    let (left, right) = (Arc::new(Mutex::default()), Arc::new(Mutex::default()));
    let ours = End { incoming: Arc::clone(&left), outgoing: Arc::clone(&right) };
    (ours, End { incoming: right, outgoing: left })
}

/// An end of a pipe. Dropping it closes both directions.
#[derive(Debug)]
pub struct End {
    incoming: Arc<Mutex<Direction>>,
    outgoing: Arc<Mutex<Direction>>,
}

#[derive(Debug, Default)]
struct Direction {
    bytes: VecDeque<u8>,
    ended: bool,
    /// The reading side is gone: a write fails as a send to a closed TCP peer does.
    unread: bool,
    reset: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Direction {
    fn wake(&mut self) {
        self.reader.take().into_iter().chain(self.writer.take()).for_each(Waker::wake);
    }
}

fn lock(direction: &Mutex<Direction>) -> MutexGuard<'_, Direction> {
    direction.lock().unwrap_or_else(PoisonError::into_inner)
}

impl End {
    /// See [`crate::Reader::poll_read`].
    pub fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut incoming = lock(&self.incoming);
        if incoming.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if incoming.bytes.is_empty() && !incoming.ended {
            incoming.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = buf.len().min(incoming.bytes.len());
        for (target, byte) in buf.iter_mut().zip(incoming.bytes.drain(..count)) {
            *target = byte;
        }
        incoming.writer.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(count))
    }

    /// See [`crate::Stream::poll_readable`].
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut incoming = lock(&self.incoming);
        if incoming.reset || incoming.ended || !incoming.bytes.is_empty() {
            return Poll::Ready(());
        }
        incoming.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// See [`crate::Reader::poll_gone`].
    pub fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut incoming = lock(&self.incoming);
        if incoming.reset {
            return Poll::Ready(());
        }
        incoming.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// See [`crate::Stream::peek`].
    ///
    /// # Errors
    /// `ConnectionReset` after a reset.
    pub fn peek(&self) -> io::Result<Option<usize>> {
        let incoming = lock(&self.incoming);
        match (incoming.reset, incoming.bytes.len(), incoming.ended) {
            (true, ..) => Err(io::ErrorKind::ConnectionReset.into()),
            (_, 0, false) => Ok(None),
            (_, count, _) => Ok(Some(count.min(1))),
        }
    }

    /// See [`crate::Writer::poll_write`].
    pub fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut outgoing = lock(&self.outgoing);
        if outgoing.reset || outgoing.unread || outgoing.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = PIPE_BYTES.saturating_sub(outgoing.bytes.len());
        if room == 0 {
            outgoing.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = buf.len().min(room);
        outgoing.bytes.extend(buf.iter().take(count));
        outgoing.reader.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(count))
    }

    /// Ends the writing direction.
    pub fn shutdown(&self) {
        let mut outgoing = lock(&self.outgoing);
        outgoing.ended = true;
        outgoing.wake();
    }

    /// Resets the connection: both sides fail from now on and what was in flight is lost.
    pub fn reset(&self) {
        for direction in [&self.incoming, &self.outgoing] {
            let mut direction = lock(direction);
            direction.reset = true;
            direction.bytes.clear();
            direction.wake();
        }
    }
}

impl Substream for End {
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_read(cx, buf)
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_readable(cx)
    }

    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_gone(cx)
    }

    fn poll_left(&self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.poll_readable(cx));
        match self.peek() {
            Ok(Some(1..) | None) => Poll::Pending,
            Ok(Some(0)) | Err(_) => Poll::Ready(()),
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write(cx, buf)
    }

    fn shutdown(&self) {
        self.shutdown();
    }

    fn reset(&self) {
        self.reset();
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.shutdown();
        let mut incoming = lock(&self.incoming);
        incoming.unread = true;
        incoming.wake();
    }
}
