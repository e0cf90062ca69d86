//! Moving bytes: reads into borrowed buffers, whole writes, one deadline.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::time::Instant;
use towpath_net::timer::Timer;
use towpath_net::{Reader, Writer};

use crate::buffer::{Buffer, Buffers};

/// The one deadline of a connection: whatever phase it is in, and never later than the whole request may take.
#[derive(Debug)]
pub(crate) struct Clock<'a> {
    timer: &'a Timer,
    cap: Cell<Option<Instant>>,
}

impl<'a> Clock<'a> {
    pub(crate) fn new(timer: &'a Timer) -> Self {
        Self { timer, cap: Cell::new(None) }
    }

    /// No deadline set from now on is later than `cap`.
    pub(crate) fn cap(&self, cap: Option<Instant>) {
        self.cap.set(cap);
    }

    pub(crate) fn arm(&self, deadline: Instant) {
        self.timer.set(self.cap.get().map_or(deadline, |cap| cap.min(deadline)));
    }

    /// Runs `future` until it is done or the deadline passes.
    pub(crate) fn limit<F: Future>(&self, future: F) -> towpath_net::timer::Limit<'a, F> {
        self.timer.limit(future)
    }

    /// When the whole request has to be over.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.cap.get()
    }

    /// Whether it was the whole request that ran out of time, not the phase.
    pub(crate) fn is_over(&self) -> bool {
        self.cap.get().is_some_and(|cap| Instant::now() >= cap)
    }
}

/// Why bytes stopped moving.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The deadline passed.
    Expired,
    /// The peer or the system ended it.
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Waits for bytes, takes a buffer if there is none yet, and reads once. 0 is the end of the stream. No buffer is
/// held while nothing has arrived.
pub(crate) async fn fill(
    reader: &mut Reader<'_>,
    buffer: &mut Option<Buffer>,
    buffers: &Buffers,
    clock: &Clock<'_>,
) -> Result<usize, Stop> {
    let read = poll_fn(|cx| {
        ready!(reader.poll_readable(cx));
        let target = buffer.get_or_insert_with(|| buffers.take());
        let count = ready!(reader.poll_read(cx, target.room()))?;
        target.filled(count);
        Poll::Ready(Ok(count))
    });
    clock.limit(read).await.map_err(|_| Stop::Expired)?
}

/// Writes all of `parts` in as few system calls as the socket allows: one, if it has room. `idle` bounds each wait
/// for room; the deadline is touched only when there is one.
pub(crate) async fn write_all(
    writer: &mut Writer<'_>,
    parts: [&[u8]; 3],
    idle: Duration,
    clock: &Clock<'_>,
) -> Result<(), Stop> {
    let total: usize = parts.iter().map(|part| part.len()).sum();
    let mut written = 0;
    let mut has_waited_at = usize::MAX;
    let write = poll_fn(|cx| {
        while written < total {
            match poll_write_from(writer, cx, parts, written) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(Stop::Io(io::ErrorKind::WriteZero.into()))),
                Poll::Ready(Ok(count)) => written += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Stop::Io(error))),
                Poll::Pending => {
                    if has_waited_at != written {
                        has_waited_at = written;
                        clock.arm(Instant::now() + idle);
                    }
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    });
    clock.limit(write).await.map_err(|_| Stop::Expired)?
}

fn poll_write_from(
    writer: &mut Writer<'_>,
    cx: &mut std::task::Context<'_>,
    parts: [&[u8]; 3],
    mut skip: usize,
) -> Poll<io::Result<usize>> {
    let rest = parts.map(|part| {
        let skipped = skip.min(part.len());
        skip -= skipped;
        &part[skipped..]
    });
    match rest {
        [only, [], []] | [[], only, []] | [[], [], only] => writer.poll_write(cx, only),
        _ => writer.poll_write_vectored(cx, &rest.map(IoSlice::new)),
    }
}

/// Waits until there is something to read, an end included. Holds no buffer.
pub(crate) async fn readable(reader: &mut Reader<'_>, clock: &Clock<'_>) -> Result<(), Stop> {
    clock.limit(poll_fn(|cx| reader.poll_readable(cx))).await.map_err(|_| Stop::Expired)
}
