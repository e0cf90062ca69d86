//! Moving bytes: reads into borrowed buffers, whole writes, one deadline.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::task::{Context, Poll};
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
    /// The worker's idea of now, read again after every wait and at no other time: a request needs the time a dozen
    /// times, and each look costs as much as parsing a field.
    now: &'a Cell<Instant>,
}

impl<'a> Clock<'a> {
    pub(crate) fn new(timer: &'a Timer, now: &'a Cell<Instant>) -> Self {
        Self { timer, cap: Cell::new(None), now }
    }

    /// When the last wait ended.
    pub(crate) fn now(&self) -> Instant {
        self.now.get()
    }

    /// Looks at the time; called when a wait has ended.
    pub(crate) fn look(&self) {
        self.now.set(Instant::now());
    }

    /// No deadline set from now on is later than `cap`.
    pub(crate) fn cap(&self, cap: Option<Instant>) {
        self.cap.set(cap);
    }

    /// Sets the deadline `span` from now.
    pub(crate) fn arm(&self, span: Duration) {
        self.arm_at(self.now() + span);
    }

    pub(crate) fn arm_at(&self, deadline: Instant) {
        self.timer.set(self.cap.get().map_or(deadline, |cap| cap.min(deadline)));
    }

    fn poll_expired<T>(&self, cx: &mut Context<'_>) -> Poll<Result<T, Stop>> {
        self.timer.poll_expired(cx).map(|()| Err(Stop::Expired))
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
    Io,
}

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Self {
        Self::Io
    }
}

/// Waits for bytes, takes a buffer if there is none yet, and reads once. 0 is the end of the stream. No buffer is
/// held while nothing has arrived.
///
/// None of these is an `async fn`: those hold their arguments twice, and what a busy connection holds is counted.
pub(crate) fn fill<'a>(
    reader: &'a mut Reader<'_>,
    buffer: &'a mut Option<Buffer>,
    buffers: &'a Buffers,
    clock: &'a Clock<'_>,
) -> impl Future<Output = Result<usize, Stop>> + 'a {
    // The first look takes no buffer, as most often nothing has arrived. A task that was woken has something to read,
    // and asking the event loop first would ask it twice.
    let mut was_pending = false;
    poll_fn(move |cx| {
        if !was_pending && buffer.is_none() && reader.poll_readable(cx).is_pending() {
            was_pending = true;
            return clock.poll_expired(cx);
        }
        let mut target = buffer.take().unwrap_or_else(|| buffers.take());
        let outcome = reader.poll_read(cx, target.room());
        if let Poll::Ready(Ok(count)) = outcome {
            target.filled(count);
            clock.look();
        }
        if target.is_empty() && !matches!(outcome, Poll::Ready(Ok(_))) {
            buffers.give(target);
        } else {
            *buffer = Some(target);
        }
        match outcome {
            Poll::Ready(outcome) => Poll::Ready(outcome.map_err(Stop::from)),
            Poll::Pending => clock.poll_expired(cx),
        }
    })
}

/// Writes all of `parts` in as few system calls as the socket allows: one, if it has room. `idle` bounds each wait
/// for room; the deadline is touched only when there is one.
pub(crate) fn write_all<'a>(
    writer: &'a mut Writer<'_>,
    parts: [&'a [u8]; 3],
    idle: Duration,
    clock: &'a Clock<'_>,
) -> impl Future<Output = Result<(), Stop>> + 'a {
    let mut written = 0;
    let mut has_waited_at = usize::MAX;
    poll_fn(move |cx| {
        if has_waited_at != usize::MAX {
            clock.look();
        }
        let total: usize = parts.iter().map(|part| part.len()).sum();
        while written < total {
            match poll_write_from(writer, cx, parts, written) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(Stop::Io)),
                Poll::Ready(Ok(count)) => written += count,
                Poll::Pending => {
                    if has_waited_at != written {
                        has_waited_at = written;
                        clock.look();
                        clock.arm(idle);
                    }
                    return clock.poll_expired(cx);
                }
            }
        }
        Poll::Ready(Ok(()))
    })
}

fn poll_write_from(
    writer: &mut Writer<'_>,
    cx: &mut Context<'_>,
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
