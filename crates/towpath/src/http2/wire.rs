//! The socket of an HTTP/2 connection, for the task that drives it.

use std::task::{Context, Poll, ready};

use towpath_net::Stream;
use towpath_proto::h2::{ConnectionError, Event};

use super::mux::Mux;
use crate::http::pump::{Clock, Stop, poll_read};
use crate::worker::Worker;
use towpath_net::buffer::Buffer;

/// A socket with what was read from it and not taken, and what is to be written.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) stream: Stream,
    input: Option<Buffer>,
    sending: Vec<u8>,
    written: usize,
}

impl Wire {
    /// `early` is what was read from the stream already.
    pub(super) fn new(stream: Stream, early: &[u8], worker: &Worker) -> Self {
        let input = (!early.is_empty()).then(|| {
            let mut input = worker.buffers.take();
            input.push(early);
            input
        });
        Self { stream, input, sending: Vec::new(), written: 0 }
    }

    /// Bytes that wait for room in the socket.
    pub(super) fn unsent(&self) -> usize {
        self.sending.len() - self.written
    }

    /// Writes all that there is to write.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, mux: &Mux) -> Poll<Result<(), Stop>> {
        loop {
            if self.unsent() == 0 {
                self.sending.clear();
                self.written = 0;
                mux.take_output(&mut self.sending);
            }
            let unsent = self.sending.get(self.written..).unwrap_or_default();
            if unsent.is_empty() {
                return Poll::Ready(Ok(()));
            }
            match ready!(self.stream.split().1.poll_write(cx, unsent))? {
                0 => return Poll::Ready(Err(Stop::Io)),
                count => self.written += count,
            }
        }
    }

    /// Reads once; 0 is the end.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        clock: &Clock<'_>,
    ) -> Poll<Result<usize, Stop>> {
        poll_read(cx, &mut self.stream.split().0, &mut self.input, &worker.buffers, clock)
    }

    /// Drops what was read.
    pub(super) fn discard(&mut self, worker: &Worker) {
        self.input.take().into_iter().for_each(|input| worker.buffers.give(input));
    }

    /// Gives back what a busy time has made it hold, when nothing is being written.
    pub(super) fn rest(&mut self) {
        self.sending = Vec::new();
    }

    /// Takes out what was read, for [`take_in`].
    pub(super) fn take_input(&mut self) -> Option<Buffer> {
        self.input.take()
    }

    /// Puts back what is left of it: the beginning of a frame.
    pub(super) fn put_back(&mut self, input: Buffer, worker: &Worker) {
        if input.is_empty() {
            worker.buffers.give(input);
        } else {
            self.input = Some(input);
        }
    }
}

/// Has the codec judge all of `input`, and `follow` do what comes of it.
pub(super) fn take_in(
    mux: &Mux,
    now_ms: u64,
    input: &mut Buffer,
    mut follow: impl FnMut(Event, &[u8]),
) -> Result<(), ConnectionError> {
    loop {
        let step = mux.handle_input(now_ms, input.unread())?;
        let is_last = step.event.is_none();
        step.event.into_iter().for_each(|event| follow(event, input.unread()));
        input.consume(step.consumed);
        if is_last {
            return Ok(());
        }
    }
}
