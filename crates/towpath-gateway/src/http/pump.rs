//! Moving bytes: reads into borrowed buffers, whole writes, one deadline.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use towpath_net::timer::Timer;
use towpath_net::{Reader, Writer};

use towpath_net::buffer::{Buffer, Buffers};

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
    /// `cap` is when the whole request has to be over.
    pub(crate) fn new(timer: &'a Timer, now: &'a Cell<Instant>, cap: Option<Instant>) -> Self {
        Self { timer, cap: Cell::new(cap), now }
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

    pub(crate) fn poll_expired<T>(&self, cx: &mut Context<'_>) -> Poll<Result<T, Stop>> {
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

/// Reads once, into a buffer taken for it if there is none yet. 0 is the end of the stream. No buffer is held while
/// nothing has arrived.
pub(crate) fn poll_fill(
    cx: &mut Context<'_>,
    reader: &mut Reader<'_>,
    buffer: &mut Option<Buffer>,
    buffers: &Buffers,
    clock: &Clock<'_>,
) -> Poll<Result<usize, Stop>> {
    let outcome = poll_read(cx, reader, buffer, buffers, clock);
    if outcome.is_pending() { clock.poll_expired(cx) } else { outcome }
}

/// [`poll_fill`] without a look at the deadline.
pub(crate) fn poll_read(
    cx: &mut Context<'_>,
    reader: &mut Reader<'_>,
    buffer: &mut Option<Buffer>,
    buffers: &Buffers,
    clock: &Clock<'_>,
) -> Poll<Result<usize, Stop>> {
    let target = buffer.get_or_insert_with(|| buffers.take());
    let outcome = reader.poll_read(cx, target.room());
    if let Poll::Ready(Ok(count)) = outcome {
        target.filled(count);
        clock.look();
        return Poll::Ready(Ok(count));
    }
    if target.is_empty() {
        buffer.take().into_iter().for_each(|target| buffers.give(target));
    }
    outcome.map_err(Stop::from)
}

/// Waits for bytes: [`poll_fill`] as a future. Not an `async fn`, as those hold their arguments twice.
pub(crate) fn fill<'a>(
    reader: &'a mut Reader<'_>,
    buffer: &'a mut Option<Buffer>,
    buffers: &'a Buffers,
    clock: &'a Clock<'_>,
) -> impl Future<Output = Result<usize, Stop>> + 'a {
    poll_fn(move |cx| poll_fill(cx, reader, buffer, buffers, clock))
}

/// How far a write has got.
#[derive(Debug, Default)]
pub(crate) struct Writing {
    written: usize,
    /// What was written when the last wait for room began.
    waited_at: Option<usize>,
}

impl Writing {
    /// Whether a write is under way.
    pub(crate) fn has_begun(&self) -> bool {
        self.written > 0 || self.waited_at.is_some()
    }

    /// Some of what is to be written was.
    pub(crate) fn has_written(&mut self, count: usize) {
        self.written += count;
    }

    /// Writes all of `parts`, which are the same in every call, in as few system calls as the socket allows: one, if
    /// it has room. `idle` bounds each wait for room; the deadline is touched only when there is one. Ready to begin
    /// another write when it is done.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        writer: &mut Writer<'_>,
        parts: [&[u8]; 3],
        idle: Duration,
        clock: &Clock<'_>,
    ) -> Poll<Result<(), Stop>> {
        if self.waited_at.is_some() {
            clock.look();
        }
        let total: usize = parts.iter().map(|part| part.len()).sum();
        while self.written < total {
            match poll_write_from(writer, cx, parts, self.written) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(Stop::Io)),
                Poll::Ready(Ok(count)) => self.written += count,
                Poll::Pending => {
                    if self.waited_at != Some(self.written) {
                        self.waited_at = Some(self.written);
                        clock.look();
                        clock.arm(idle);
                    }
                    return clock.poll_expired(cx);
                }
            }
        }
        *self = Self::default();
        Poll::Ready(Ok(()))
    }
}

/// Writes all of `parts`: [`Writing::poll`] as a future.
pub(crate) fn write_all<'a>(
    writer: &'a mut Writer<'_>,
    parts: [&'a [u8]; 3],
    idle: Duration,
    clock: &'a Clock<'_>,
) -> impl Future<Output = Result<(), Stop>> + 'a {
    let mut writing = Writing::default();
    poll_fn(move |cx| writing.poll(cx, writer, parts, idle, clock))
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
