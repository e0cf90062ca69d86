//! A TLS connection as a stream: what the wire brings goes to the engine, what the engine has goes to the wire.
//!
//! **No wake-up is lost.** Every poll ends with progress, or with the wire's own wait for that direction registered. A
//! wire tells once; so it is read until it has nothing, or the next poll is asked for.
//!
//! **A write is done when the wire has it.** Encrypted bytes cannot be taken back, so a write that has to wait keeps them,
//! and the next call, which must come with the same bytes, goes on with them. Nothing that a caller believes written is
//! lost when it drops the stream.

use std::any::Any;
use std::cell::{Cell, RefCell, RefMut};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use super::Agreed;
use super::engine::Engine;
use super::fault::Fault;
use super::signing::Signers;
use crate::stream::Stream;

/// Reads of the wire in one poll that bring nothing for the reader. A peer that sends no end of control records has to
/// let others have their turn (T36); a whole handshake takes less.
const READS_MAX: usize = 16;

/// Plaintext that one write takes: four large records for one system call.
pub(super) const WRITE_BYTES_MAX: usize = 64 * 1024;

/// What a vectored write puts together: a head and a small body are one record, and more than that is not copied.
const GATHER_BYTES_MAX: usize = 16 * 1024;

/// A connection that speaks TLS.
#[derive(Debug)]
pub struct Tls {
    wire: Stream,
    engine: RefCell<Engine>,
    /// Plaintext of the write that waits for the wire.
    waiting: Cell<u32>,
    /// It ends with a reset, and says nothing before.
    is_cut: Cell<bool>,
    /// What its owner knows of it.
    attached: Option<Box<dyn Any + Send>>,
}

impl Tls {
    pub(super) fn new(wire: Stream, engine: Engine) -> Self {
        Self {
            wire,
            engine: RefCell::new(engine),
            waiting: Cell::new(0),
            is_cut: Cell::new(false),
            attached: None,
        }
    }

    /// What carries it.
    pub(crate) fn wire(&self) -> &Stream {
        &self.wire
    }

    pub(crate) fn attach(&mut self, what: Box<dyn Any + Send>) {
        self.attached = Some(what);
    }

    pub(crate) fn attached(&self) -> Option<&(dyn Any + Send)> {
        self.attached.as_deref()
    }

    pub(crate) fn agreed(&self) -> Agreed {
        self.engine.borrow().agreed()
    }

    /// Carries the handshake on to its end.
    pub(super) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let mut engine = self.engine.borrow_mut();
        for _ in 0..READS_MAX {
            if let Err(fault) = engine.look() {
                // The alert, if the wire takes it now.
                let _ = poll_flush(&self.wire, cx, &mut engine);
                return Poll::Ready(Err(fault));
            }
            ready!(poll_flush(&self.wire, cx, &mut engine)).map_err(|error| Fault::io(&error))?;
            if !engine.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            ready!(poll_hear(&self.wire, cx, &mut engine))?;
        }
        again(cx)
    }

    /// See [`crate::Reader::poll_read`].
    pub(crate) fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut engine = self.engine.borrow_mut();
        for _ in 0..READS_MAX {
            let outcome = engine.read(buf);
            // Alerts, tickets and answers to key updates go out as the wire has room.
            let _ = poll_flush(&self.wire, cx, &mut engine)?;
            match outcome? {
                0 if buf.is_empty() || engine.has_ended => return Poll::Ready(Ok(0)),
                0 => {}
                count => return Poll::Ready(Ok(count)),
            }
            if ready!(poll_fill(&self.wire, cx, &mut engine))? == 0 {
                return Poll::Ready(Err(Fault::truncated().into()));
            }
        }
        again(cx)
    }

    /// See [`Stream::poll_readable`].
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut engine = self.engine.borrow_mut();
        // A wire that failed is readable.
        let _ = poll_flush(&self.wire, cx, &mut engine);
        if engine.has_news() { Poll::Ready(()) } else { self.wire.poll_readable(cx) }
    }

    /// See [`Stream::poll_disturbed`]. Tickets and key updates disturb nobody: they are taken in on the way.
    pub(crate) fn poll_disturbed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut engine = self.engine.borrow_mut();
        for _ in 0..READS_MAX {
            if engine.look().unwrap_or(true) || engine.has_ended {
                return Poll::Ready(());
            }
            let _ = poll_flush(&self.wire, cx, &mut engine);
            if ready!(poll_fill(&self.wire, cx, &mut engine)).unwrap_or(0) == 0 {
                return Poll::Ready(());
            }
        }
        again(cx)
    }

    /// See [`Stream::peek`]. Takes in what is about the connection itself, so that only a peer's bytes count.
    pub(crate) fn peek(&self) -> io::Result<Option<usize>> {
        let mut engine = self.engine.borrow_mut();
        for _ in 0..READS_MAX {
            if engine.look()? {
                return Ok(Some(1));
            }
            if engine.has_ended {
                return Ok(Some(0));
            }
            match self.wire.peek()? {
                None => return Ok(None),
                Some(0) => return Ok(Some(0)),
                Some(_) => {
                    let count = self.wire.receive_now(engine.room()?);
                    engine.filled(*count.as_ref().unwrap_or(&0));
                    count?;
                }
            }
        }
        Ok(Some(1))
    }

    /// See [`crate::Reader::poll_gone`].
    pub(crate) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = poll_flush(&self.wire, cx, &mut self.engine.borrow_mut());
        self.wire.poll_gone(cx)
    }

    /// See [`crate::Reader::poll_left`].
    pub(crate) fn poll_left(&self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.poll_disturbed(cx));
        match self.peek() {
            Ok(Some(1..) | None) => Poll::Pending,
            Ok(Some(0)) | Err(_) => Poll::Ready(()),
        }
    }

    /// See [`crate::Writer::poll_write`]. A call that had to wait is repeated with the same bytes.
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut engine = self.begin_write(buf)?;
        ready!(poll_flush(&self.wire, cx, &mut engine))?;
        Poll::Ready(Ok(self.end_write(buf)))
    }

    /// See [`crate::Writer::poll_write_vectored`].
    pub(crate) fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| slice);
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        if first.len() == total || first.len() >= GATHER_BYTES_MAX {
            return self.poll_write(cx, first);
        }
        let mut gathered = Vec::with_capacity(total.min(GATHER_BYTES_MAX));
        for slice in slices {
            let room = GATHER_BYTES_MAX - gathered.len();
            gathered.extend_from_slice(slice.get(..room).unwrap_or(slice));
        }
        self.poll_write(cx, &gathered)
    }

    /// See [`Stream::try_write`].
    pub(crate) fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        let mut engine = self.begin_write(buf)?;
        while !engine.outgoing.is_empty() {
            let count = self.wire.try_write(engine.outgoing.unread())?;
            engine.outgoing.consume(count);
        }
        Ok(self.end_write(buf))
    }

    fn begin_write(&self, buf: &[u8]) -> io::Result<RefMut<'_, Engine>> {
        let mut engine = self.engine.borrow_mut();
        if self.waiting.get() == 0 && !buf.is_empty() {
            let taken = buf.get(..WRITE_BYTES_MAX).unwrap_or(buf);
            engine.write(taken)?;
            self.waiting.set(taken.len() as u32);
        }
        Ok(engine)
    }

    fn end_write(&self, buf: &[u8]) -> usize {
        let taken = self.waiting.replace(0) as usize;
        debug_assert!(taken <= buf.len(), "a write that waits is repeated with the same bytes");
        taken.min(buf.len())
    }

    /// See [`crate::Writer::poll_shutdown`]: close_notify, then the end of the wire's direction.
    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut engine = self.engine.borrow_mut();
        ready!(poll_flush(&self.wire, cx, &mut engine))?;
        engine.close()?;
        ready!(poll_flush(&self.wire, cx, &mut engine))?;
        Poll::Ready(self.wire.shutdown_write())
    }

    /// See [`Stream::reset_on_drop`].
    pub(crate) fn reset_on_drop(&self) {
        self.is_cut.set(true);
        self.wire.reset_on_drop();
    }

    /// See [`Stream::rehome`].
    pub(crate) fn rehome(&mut self) -> io::Result<()> {
        let wire = std::mem::replace(&mut self.wire, Stream::closed());
        self.wire = wire.rehome()?;
        Ok(())
    }

    /// Bytes of buffers that it holds.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.engine.borrow().held()
    }
}

/// The server's part of a handshake in which every step is computed on another thread.
///
/// Each turn but the last brings something from the wire, whose deadline is the caller's.
pub(super) async fn shake_apart(wire: Stream, mut engine: Engine) -> Result<Tls, Fault> {
    loop {
        if engine.has_news() {
            let (same, said) = Signers::of_process().look(engine).await?;
            engine = same;
            if let Err(fault) = said {
                // The alert, if the wire takes it now.
                let _ = wire.try_write(engine.outgoing.unread());
                return Err(fault);
            }
        }
        poll_fn(|cx| poll_flush(&wire, cx, &mut engine)).await.map_err(|error| Fault::io(&error))?;
        if !engine.is_handshaking() {
            return Ok(Tls::new(wire, engine));
        }
        poll_fn(|cx| poll_hear(&wire, cx, &mut engine)).await?;
    }
}

/// Writes what waits to be written.
fn poll_flush(wire: &Stream, cx: &mut Context<'_>, engine: &mut Engine) -> Poll<io::Result<()>> {
    while !engine.outgoing.is_empty() {
        match ready!(wire.poll_send(cx, engine.outgoing.unread()))? {
            0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            count => engine.outgoing.consume(count),
        }
    }
    Poll::Ready(Ok(()))
}

/// Reads from the wire once.
fn poll_fill(wire: &Stream, cx: &mut Context<'_>, engine: &mut Engine) -> Poll<io::Result<usize>> {
    let outcome = wire.poll_receive(cx, engine.room()?);
    engine.filled(match &outcome {
        Poll::Ready(Ok(count)) => *count,
        _ => 0,
    });
    outcome
}

/// Reads from the wire once, in a handshake, which no end is expected in.
fn poll_hear(wire: &Stream, cx: &mut Context<'_>, engine: &mut Engine) -> Poll<Result<(), Fault>> {
    Poll::Ready(match ready!(poll_fill(wire, cx, engine)) {
        Ok(0) => Err(Fault::truncated()),
        Ok(_) => Ok(()),
        Err(error) => Err(Fault::io(&error)),
    })
}

/// Others get their turn, then this task.
fn again<T>(cx: &mut Context<'_>) -> Poll<T> {
    cx.waker().wake_by_ref();
    Poll::Pending
}

impl Drop for Tls {
    /// Says that what the peer has got is all, if the wire takes it now: without it, a peer cannot tell the end from a cut.
    fn drop(&mut self) {
        let engine = self.engine.get_mut();
        if self.is_cut.get() || !engine.may_close() || engine.close().is_err() {
            return;
        }
        let _ = self.wire.try_write(engine.outgoing.unread());
    }
}
