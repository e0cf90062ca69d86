//! DATA (RFC 9113 §6.1).

use super::{Outcome, Reading, Taken};
use crate::h2::connection::Connection;
use crate::h2::frame::{END_STREAM, FrameHead};
use crate::h2::stream::Recv;
use crate::h2::{ConnectionError, Event, StreamFault, StreamId};

/// What is left of a frame with data that belong to a message.
#[derive(Clone, Copy, Debug)]
pub(in crate::h2) struct Data {
    stream: u32,
    remaining: usize,
    padding: usize,
    is_end: bool,
}

impl Connection {
    /// The whole payload counts against both windows, padding included.
    pub(super) fn begin_data(
        &mut self,
        now_ms: u64,
        head: &FrameHead,
        prefix: &[u8],
    ) -> Outcome<Option<Event>> {
        let padding = head.padding_bytes(prefix)?;
        if !self.recv_window.take(head.length) {
            return Err(ConnectionError::WindowExceeded);
        }
        let recv = self.judge_stream(head.stream)?.map_or(Recv::Cut, |stream| stream.recv);
        let remaining = head.length - prefix.len() - padding;
        let data = Data { stream: head.stream, remaining, padding, is_end: head.has(END_STREAM) };
        let verdict = match recv {
            Recv::ExpectBody => self.charge_data(data, head.length),
            Recv::Discard | Recv::Cut => return Ok(self.drop_data(data, head.length)),
            Recv::ExpectHead => Err(StreamFault::DataBeforeHead),
            // RFC 9113 §5.1: half-closed (remote).
            Recv::Ended | Recv::Gone => Err(StreamFault::Closed),
        };
        if let Err(fault) = verdict {
            self.release_connection(head.length);
            return self.fail_stream(now_ms, head.stream, fault);
        }
        self.accept_data(now_ms, data, head.length)?;
        Ok(None)
    }

    /// Charges data to the stream: its window, and the length that was declared.
    fn charge_data(&mut self, data: Data, payload_bytes: usize) -> Result<(), StreamFault> {
        let Some(stream) = self.streams.get_mut(data.stream) else { return Ok(()) };
        if !stream.recv_window.take(payload_bytes) {
            return Err(StreamFault::WindowExceeded);
        }
        if let Some(left_bytes) = stream.left_bytes {
            // RFC 9113 §8.1.1: seen before a byte too many is passed on (T17).
            let left_bytes = left_bytes.checked_sub(data.remaining as u64);
            let is_right = left_bytes.is_some_and(|left| !data.is_end || left == 0);
            stream.left_bytes = if is_right { left_bytes } else { return Err(StreamFault::LengthMismatch) };
        }
        stream.held_bytes += data.remaining;
        Ok(())
    }

    fn accept_data(&mut self, now_ms: u64, data: Data, payload_bytes: usize) -> Outcome<()> {
        match data.remaining {
            0 if !data.is_end => self.budget.charge_strictly(now_ms)?,
            _ => self.budget.earn(1),
        }
        // Nobody is given the padding, so that nobody will release it.
        let overhead_bytes = payload_bytes - data.remaining;
        self.release_stream(data.stream, overhead_bytes);
        self.release_connection(overhead_bytes);
        self.reading = Reading::RecvData(data);
        Ok(())
    }

    /// Data that nobody wants any more cost the peer nothing of the connection's window.
    fn drop_data(&mut self, data: Data, payload_bytes: usize) -> Option<Event> {
        self.release_connection(payload_bytes);
        if data.is_end {
            self.end_recv(data.stream);
        }
        None
    }

    /// Reports as much as has come.
    pub(super) fn take_data(&mut self, input: &[u8], data: Data) -> Taken {
        let length = data.remaining.min(input.len());
        if length == 0 && data.remaining > 0 {
            return Taken::need_more(0);
        }
        // The caller may have reset the stream since the frame began.
        let is_wanted = self.streams.get(data.stream).is_some_and(|stream| stream.recv == Recv::ExpectBody);
        let is_last = length == data.remaining && data.padding == 0;
        self.reading = match data.remaining - length {
            0 if is_last => Reading::ExpectFrame,
            0 => Reading::Skip { remaining: data.padding, ends: data.is_end.then_some(data.stream) },
            remaining => Reading::RecvData(Data { remaining, ..data }),
        };
        let end = is_last && data.is_end && self.end_recv(data.stream);
        let stream = StreamId(data.stream);
        let event = match length {
            0 => end.then_some(Event::End { stream }),
            _ => is_wanted.then_some(Event::Data { stream, range: 0..length, end }),
        };
        Taken::go_on(length, event)
    }
}
