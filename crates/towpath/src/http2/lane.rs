//! One stream as bytes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use towpath_net::Substream;
use towpath_proto::h1::encode;
use towpath_proto::h2::{ErrorCode, FieldWriter, SendError, StreamId};
use towpath_proto::message::{Fields, Framing, ResponseHead};

use super::mux::Mux;
use super::window::{STREAM_WINDOW_BYTES_MAX, Window};

/// A stream of HTTP/2, as whoever exchanges a message with it sees it: the body that comes in, framed as HTTP/1.1
/// frames it; out, a head, data and an end.
#[derive(Debug)]
pub struct Lane {
    mux: Rc<Mux>,
    id: StreamId,
    state: RefCell<State>,
}

#[derive(Debug)]
struct State {
    /// What came and was not read, from `start` on. The stream's window bounds it.
    inbox: Vec<u8>,
    start: usize,
    /// Bytes of data whose window has not been given back.
    held_bytes: usize,
    window: Window,
    /// There is a body, which comes in chunks; the data of a tunnel come as they are.
    is_chunked: bool,
    /// The message that comes in is complete.
    is_complete: bool,
    /// The next head of a response with the length of its block, which is in the inbox; and others behind interim ones.
    head: Option<(ResponseHead, usize)>,
    later_heads: VecDeque<(ResponseHead, usize)>,
    /// The stream was reset, or its connection is gone.
    is_lost: bool,
    /// The peer has not looked at it.
    is_unprocessed: bool,
    /// The bytes that are written next are the last.
    is_last: bool,
    /// Our message is complete.
    has_ended: bool,
    /// Who waits for what comes in, and who for room: a tunnel's two directions are two tasks.
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl State {
    fn wait_for_input<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        wait(&mut self.reader, cx)
    }

    /// Takes what came and fits into `buf`.
    fn take(&mut self, buf: &mut [u8]) -> usize {
        let waiting = self.inbox.get(self.start..).unwrap_or_default();
        let count = waiting.len().min(buf.len());
        buf[..count].copy_from_slice(&waiting[..count]);
        self.start += count;
        if self.start == self.inbox.len() {
            self.inbox.clear();
            self.start = 0;
        }
        count
    }

    fn wake(&mut self) {
        self.reader.take().into_iter().chain(self.writer.take()).for_each(Waker::wake);
    }
}

fn wait<T>(place: &mut Option<Waker>, cx: &Context<'_>) -> Poll<T> {
    match place {
        Some(waker) => waker.clone_from(cx.waker()),
        none => *none = Some(cx.waker().clone()),
    }
    Poll::Pending
}

/// What comes in.
impl Lane {
    pub(super) fn new(mux: Rc<Mux>, id: StreamId, framing: Framing) -> Self {
        let state = State {
            inbox: Vec::new(),
            start: 0,
            held_bytes: 0,
            window: Window::new(),
            is_chunked: framing != Framing::None,
            is_complete: false,
            head: None,
            later_heads: VecDeque::new(),
            is_lost: false,
            is_unprocessed: false,
            is_last: false,
            has_ended: false,
            reader: None,
            writer: None,
        };
        Self { mux, id, state: RefCell::new(state) }
    }

    /// Its number.
    pub fn id(&self) -> StreamId {
        self.id
    }

    pub(super) fn take_data(&self, data: &[u8]) {
        let mut state = self.state.borrow_mut();
        state.held_bytes += data.len();
        if state.is_chunked {
            state.inbox.extend_from_slice(encode::chunk_head(data.len()).as_bytes());
        }
        state.inbox.extend_from_slice(data);
        if state.is_chunked {
            state.inbox.extend_from_slice(b"\r\n");
        }
        state.wake();
    }

    /// The message is complete.
    pub fn take_end(&self, trailers: Option<(&Fields, &[u8])>) {
        let mut state = self.state.borrow_mut();
        state.is_complete = true;
        if state.is_chunked {
            let fields = trailers.into_iter().flat_map(|(fields, block)| {
                fields.iter().map(|field| (field.name.of(block), field.value.of(block)))
            });
            encode::last_chunk(&mut state.inbox, fields);
        }
        state.wake();
    }

    /// Takes the head of a response, which `swap` exchanges for another, and its block, into memory of the caller's. Whoever
    /// reads gets the block as the bytes before the body.
    pub fn take_head(&self, block: &mut Vec<u8>, swap: impl FnOnce(&mut ResponseHead, &mut Vec<u8>)) {
        let mut head = self.mux.spare_head();
        swap(&mut head, block);
        let mut state = self.state.borrow_mut();
        state.is_chunked = head.framing != Framing::None;
        state.inbox.reserve(block.len() + 1);
        state.inbox.extend_from_slice(block);
        // So that a head without a field is noticed too.
        state.inbox.push(b'\n');
        let head = (head, block.len() + 1);
        match state.head {
            None => state.head = Some(head),
            Some(_) => state.later_heads.push_back(head),
        }
        state.wake();
    }

    /// The length of the block of the next head, if all of it is in the `held` bytes that were read and not taken.
    pub fn next_head(&self, held: usize) -> Option<usize> {
        self.state.borrow().head.as_ref().map(|(_, length)| *length).filter(|length| *length <= held)
    }

    /// Puts the next head in the place of another.
    pub fn pop_head(&self, slot: &mut ResponseHead) {
        let state = &mut *self.state.borrow_mut();
        let Some((mut head, _)) = state.head.take() else { return };
        state.head = state.later_heads.pop_front();
        std::mem::swap(slot, &mut head);
        self.mux.keep_head(head);
    }

    /// The stream was reset, or its connection is gone; perhaps before the peer looked at it.
    pub fn lose(&self, is_unprocessed: bool) {
        let mut state = self.state.borrow_mut();
        state.is_lost = true;
        state.is_unprocessed |= is_unprocessed;
        state.wake();
    }

    /// Whether the peer has said that it did not look at the request.
    pub fn is_unprocessed(&self) -> bool {
        self.state.borrow().is_unprocessed
    }

    /// Windows may have opened.
    pub(super) fn wake(&self) {
        self.state.borrow_mut().wake();
    }
}

/// What goes out.
impl Lane {
    /// Sends the head of a response; with `end` it is all of it.
    ///
    /// # Errors
    /// See [`towpath_proto::h2::Connection::encode_response`].
    pub fn respond(
        &self,
        status: u16,
        end: bool,
        write: impl FnOnce(&mut FieldWriter<'_>),
    ) -> Result<(), SendError> {
        if self.state.borrow().is_lost {
            return Err(SendError::Closed);
        }
        self.mux.encode(|codec, out| codec.encode_response(self.id, status, end, out, write))?;
        self.state.borrow_mut().has_ended |= end;
        Ok(())
    }

    /// The message was complete with its head.
    pub fn has_sent_all(&self) {
        self.state.borrow_mut().has_ended = true;
    }

    /// The bytes that are written next are the last, and no trailers follow.
    pub fn expect_end(&self) {
        self.state.borrow_mut().is_last = true;
    }

    /// Ends the message, unless it has ended. `trailers` are lines as HTTP/1.1 writes them.
    ///
    /// # Errors
    /// The stream was reset.
    pub fn end(&self, trailers: &[u8]) -> Result<(), SendError> {
        if std::mem::replace(&mut self.state.borrow_mut().has_ended, true) {
            return Ok(());
        }
        self.mux.encode(|codec, out| {
            if trailers.is_empty() {
                return codec.encode_data(self.id, b"", true, out);
            }
            codec.encode_trailers(self.id, out, |fields| {
                lines_of(trailers).for_each(|(name, value)| fields.field(name, value));
            })
        })
    }

    /// The answer cannot be completed: the client is told that what it got is not all.
    pub fn break_off(&self) {
        self.mux.encode(|codec, _| codec.reset(self.id, ErrorCode::InternalError));
    }

    /// The work behind the stream has ended.
    pub fn finish(&self) {
        self.mux.finish(self.id);
    }
}

/// The names and values of lines as HTTP/1.1 writes them.
pub fn lines_of(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    text.split(|&byte| byte == b'\n').filter_map(|line| {
        let line = line.strip_suffix(b"\r")?;
        let colon = line.iter().position(|&byte| byte == b':')?;
        Some((&line[..colon], line[colon + 1..].trim_ascii()))
    })
}

impl Substream for Lane {
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut state = self.state.borrow_mut();
        let count = state.take(buf);
        if count == 0 {
            return match (state.is_lost, state.is_complete) {
                (true, _) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                (false, true) => Poll::Ready(Ok(0)),
                (false, false) => state.wait_for_input(cx),
            };
        }
        // Chunk lines make this a little early, and the last read makes up for it.
        let released = state.held_bytes.min(count);
        state.held_bytes -= released;
        // All of them together stay within the connection's, which bounds what has to be stored.
        let grown = if state.is_complete { None } else { state.window.grow(count, STREAM_WINDOW_BYTES_MAX) };
        drop(state);
        self.mux.encode(|codec, _| {
            codec.release(self.id, released);
            grown.into_iter().for_each(|bytes| codec.set_stream_window(self.id, bytes));
        });
        Poll::Ready(Ok(count))
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.borrow_mut();
        let is_readable = state.start < state.inbox.len() || state.is_lost || state.is_complete;
        if is_readable { Poll::Ready(()) } else { state.wait_for_input(cx) }
    }

    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.borrow_mut();
        if state.is_lost { Poll::Ready(()) } else { state.wait_for_input(cx) }
    }

    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.state.borrow_mut();
        if state.is_lost || state.has_ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = self.mux.with(|codec| codec.send_data_len_max(self.id));
        if room == 0 || !self.mux.has_room() {
            return wait(&mut state.writer, cx);
        }
        let count = room.min(buf.len());
        state.has_ended = state.is_last && count == buf.len();
        let end = state.has_ended;
        let sent = self.mux.encode(|codec, out| codec.encode_data(self.id, &buf[..count], end, out));
        // Only a stream that was reset meanwhile takes no data that fits its window.
        Poll::Ready(sent.map(|()| count).map_err(|_| io::ErrorKind::BrokenPipe.into()))
    }

    fn shutdown(&self) {
        // A stream that was reset has ended already.
        let _ = self.end(b"");
    }

    fn reset(&self) {
        self.break_off();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_apart_again() {
        let lines: Vec<_> = lines_of(b"grpc-status: 0\r\ngrpc-message: a: b\r\nempty: \r\n").collect();
        let expected: [(&[u8], &[u8]); 3] =
            [(b"grpc-status", b"0"), (b"grpc-message", b"a: b"), (b"empty", b"")];
        assert_eq!(lines, expected);
    }
}
