//! The socket of an HTTP/2 connection, for the task that drives it.

use std::io;
use std::task::{Context, Poll, ready};

use towpath_net::Stream;
use towpath_net::buffer::{Buffer, Buffers};
use towpath_proto::h2::{ConnectionError, Event};

use super::mux::Mux;

/// A socket with what was read from it and not taken, and what is to be written. No buffer is held while nothing has
/// arrived.
#[derive(Debug)]
pub struct Wire {
    stream: Stream,
    input: Option<Buffer>,
    sending: Vec<u8>,
    written: usize,
}

impl Wire {
    /// `early` is what was read from the stream already.
    pub fn new(stream: Stream, early: &[u8], buffers: &Buffers) -> Self {
        let input = (!early.is_empty()).then(|| {
            let mut input = buffers.take();
            input.push(early);
            input
        });
        Self { stream, input, sending: Vec::new(), written: 0 }
    }

    /// The socket.
    pub fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// Bytes that wait for room in the socket.
    pub fn unsent(&self) -> usize {
        self.sending.len() - self.written
    }

    /// Writes all that there is to write.
    ///
    /// # Errors
    /// Those of the socket, which can be used no longer.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, mux: &Mux) -> Poll<io::Result<()>> {
        self.poll_write_from(cx, |sending| mux.take_output(sending))
    }

    /// The same for what `refill` puts into the vector it is given, which is empty, as long as it does.
    pub(crate) fn poll_write_from(
        &mut self,
        cx: &mut Context<'_>,
        mut refill: impl FnMut(&mut Vec<u8>),
    ) -> Poll<io::Result<()>> {
        loop {
            if self.unsent() == 0 {
                self.sending.clear();
                self.written = 0;
                refill(&mut self.sending);
            }
            let unsent = self.sending.get(self.written..).unwrap_or_default();
            if unsent.is_empty() {
                return Poll::Ready(Ok(()));
            }
            match ready!(self.stream.split().1.poll_write(cx, unsent))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
        }
    }

    /// Reads once; 0 is the end.
    ///
    /// # Errors
    /// Those of the socket, which can be used no longer.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffers: &Buffers) -> Poll<io::Result<usize>> {
        let target = self.input.get_or_insert_with(|| buffers.take());
        let outcome = self.stream.split().0.poll_read(cx, target.room());
        match outcome {
            Poll::Ready(Ok(count)) => target.filled(count),
            _ if target.is_empty() => self.discard(buffers),
            _ => {}
        }
        outcome
    }

    /// Drops what was read.
    pub fn discard(&mut self, buffers: &Buffers) {
        self.input.take().into_iter().for_each(|input| buffers.give(input));
    }

    /// Gives back what a busy time has made it hold, when nothing is being written.
    pub fn rest(&mut self) {
        self.sending = Vec::new();
    }

    /// Takes out what was read, for [`take_in`].
    pub fn take_input(&mut self) -> Option<Buffer> {
        self.input.take()
    }

    /// Puts back what is left of it: the beginning of a frame.
    pub fn put_back(&mut self, input: Buffer, buffers: &Buffers) {
        if input.is_empty() {
            buffers.give(input);
        } else {
            self.input = Some(input);
        }
    }
}

/// Has the codec judge all of `input`, and `follow` do what comes of it.
///
/// # Errors
/// The connection is over; what is told to the peer is in the output.
pub fn take_in(
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
