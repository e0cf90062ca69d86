//! HEADERS and CONTINUATION (RFC 9113 §6.2, §6.10), and what a header block means where it comes.

use super::{Outcome, Reading, Taken};
use crate::h2::connection::{Connection, Drain};
use crate::h2::frame::{END_HEADERS, END_STREAM, FrameHead};
use crate::h2::stream::{Answers, Recv, Stream};
use crate::h2::{ConnectionError, Event, Role, StreamFault, StreamId};
use crate::limits::{FIELD_OVERHEAD_BYTES, H2_BLOCK_FRAMES_COUNT_MAX, H2_FRAME_BYTES_MAX, INTERIM_COUNT_MAX};
use crate::message::{Fields, Framing, Method};

/// Frames without work that a whole head pays for: a client's settings, pings and updates around a request.
const HEAD_CREDIT_COUNT: u32 = 4;

/// What is left of a frame with a fragment of the header block.
#[derive(Clone, Copy, Debug)]
pub(in crate::h2) struct Fragment {
    remaining: usize,
    padding: usize,
    is_last: bool,
}

/// A header block between its first frame and its last.
#[derive(Clone, Debug)]
pub(in crate::h2) struct HeaderBlock {
    stream: u32,
    is_end_stream: bool,
    frames_count: usize,
    /// Bytes of the fragments, those of the present frame included, whether they have come or not.
    announced_bytes: usize,
    /// Fragments that came before the last one, or in parts. Nothing for a block that is whole in the input.
    bytes: Vec<u8>,
}

impl HeaderBlock {
    pub(super) fn stream(&self) -> u32 {
        self.stream
    }
}

impl Connection {
    /// What no decoding could mend is refused before it.
    pub(super) fn begin_headers(&mut self, head: &FrameHead, prefix: &[u8]) -> Outcome<Option<Event>> {
        let padding = head.padding_bytes(prefix)?;
        if !self.is_new(head.stream) {
            self.judge_stream(head.stream)?;
        }
        self.header_block = Some(HeaderBlock {
            stream: head.stream,
            is_end_stream: head.has(END_STREAM),
            frames_count: 0,
            announced_bytes: 0,
            bytes: Vec::new(),
        });
        let remaining = head.length - prefix.len() - padding;
        self.begin_fragment(Fragment { remaining, padding, is_last: head.has(END_HEADERS) })
    }

    pub(super) fn begin_continuation(&mut self, now_ms: u64, head: &FrameHead) -> Outcome<Option<Event>> {
        if head.length == 0 {
            self.budget.charge_strictly(now_ms)?;
        }
        self.begin_fragment(Fragment { remaining: head.length, padding: 0, is_last: head.has(END_HEADERS) })
    }

    /// Whether this would open a stream (RFC 9113 §5.1.1).
    fn is_new(&self, id: u32) -> bool {
        self.role == Role::Server && !id.is_multiple_of(2) && id > self.streams.last()
    }

    /// Charges a fragment before it is stored (T13).
    fn begin_fragment(&mut self, fragment: Fragment) -> Outcome<Option<Event>> {
        let Some(block) = &mut self.header_block else { return Err(ConnectionError::Continuation) };
        block.frames_count += 1;
        block.announced_bytes += fragment.remaining;
        if block.frames_count > H2_BLOCK_FRAMES_COUNT_MAX {
            return Err(ConnectionError::BlockFrames);
        }
        // One whole frame is always read: what it holds beyond the limit of a head is for the stream to answer.
        if block.announced_bytes > self.config.head.head_bytes_max.max(H2_FRAME_BYTES_MAX) {
            return Err(ConnectionError::BlockTooLarge);
        }
        self.reading = Reading::RecvFragment(fragment);
        Ok(None)
    }

    /// Collects what has come, or decodes it where it lies if it is the whole block.
    pub(super) fn take_fragment(&mut self, now_ms: u64, input: &[u8], fragment: Fragment) -> Outcome<Taken> {
        let length = fragment.remaining.min(input.len());
        let bytes = input.get(..length).unwrap_or_default();
        let remaining = fragment.remaining - length;
        let Some(block) = &mut self.header_block else { return Err(ConnectionError::Continuation) };
        if remaining > 0 || !fragment.is_last || !block.bytes.is_empty() {
            block.bytes.extend_from_slice(bytes);
        }
        if remaining > 0 {
            self.reading = Reading::RecvFragment(Fragment { remaining, ..fragment });
            return Ok(Taken::need_more(length));
        }
        self.reading = Reading::Skip { remaining: fragment.padding, ends: None };
        let Some(block) = self.header_block.take_if(|_| fragment.is_last) else {
            return Ok(Taken::go_on(length, None));
        };
        let bytes = if block.bytes.is_empty() { bytes } else { &block.bytes };
        let event = self.handle_block(now_ms, block.stream, block.is_end_stream, bytes)?;
        Ok(Taken::go_on(length, event))
    }

    /// A complete header block.
    fn handle_block(&mut self, now_ms: u64, id: u32, is_end: bool, bytes: &[u8]) -> Outcome<Option<Event>> {
        if self.is_new(id) {
            return self.handle_request(now_ms, id, is_end, bytes);
        }
        match self.streams.get(id).map_or(Recv::Cut, |stream| stream.recv) {
            Recv::ExpectHead => self.handle_response(now_ms, id, is_end, bytes),
            Recv::ExpectBody => self.handle_trailers(now_ms, id, is_end, bytes),
            Recv::Discard | Recv::Cut => {
                self.skip_block(now_ms, bytes)?;
                if is_end {
                    self.end_recv(id);
                }
                Ok(None)
            }
            // RFC 9113 §5.1: half-closed (remote).
            Recv::Ended | Recv::Gone => {
                self.skip_block(now_ms, bytes)?;
                self.fail_stream(now_ms, id, StreamFault::Closed)
            }
        }
    }

    /// A block that nobody wants still changes the table.
    fn skip_block(&mut self, now_ms: u64, bytes: &[u8]) -> Outcome<Option<Event>> {
        self.section.skip(self.decoder.block(bytes))?;
        self.budget.charge_strictly(now_ms)?;
        Ok(None)
    }

    fn handle_request(&mut self, now_ms: u64, id: u32, is_end: bool, bytes: &[u8]) -> Outcome<Option<Event>> {
        // RFC 9113 §6.8: streams above the last one that was promised are ignored.
        if let Drain::Last(_) = self.drain {
            return self.skip_block(now_ms, bytes);
        }
        self.streams.open(id);
        if self.streams.count() >= self.config.streams_count_max {
            self.section.skip(self.decoder.block(bytes))?;
            return self.fail_stream(now_ms, id, StreamFault::TooManyStreams);
        }
        match self.section.decode_request(self.decoder.block(bytes), &self.config.head, is_end)? {
            Ok(()) => self.accept_request(now_ms, id, is_end),
            Err(fault) if fault.is_answerable() => {
                // What it cost us is what a reset costs.
                self.budget.count_reset(now_ms)?;
                self.add_stream(id, if is_end { Recv::Ended } else { Recv::Discard });
                Ok(Some(Event::Refused { stream: StreamId(id), fault }))
            }
            Err(fault) => self.fail_stream(now_ms, id, fault),
        }
    }

    fn accept_request(&mut self, now_ms: u64, id: u32, is_end: bool) -> Outcome<Option<Event>> {
        let head = &self.section.request;
        let Some(head_bytes) = self.charge_head(&head.fields) else {
            return self.fail_stream(now_ms, id, StreamFault::HeadsTooLarge);
        };
        let is_tunnel = head.method == Method::Connect;
        let left_bytes = left_bytes(head.framing, is_tunnel);
        self.heads_bytes += head_bytes;
        self.budget.earn(HEAD_CREDIT_COUNT);
        let stream = self.add_stream(id, if is_end { Recv::Ended } else { Recv::ExpectBody });
        stream.head_bytes = head_bytes;
        stream.left_bytes = left_bytes;
        stream.is_tunnel = is_tunnel;
        Ok(Some(Event::Head { stream: StreamId(id), end: is_end }))
    }

    /// What the head decoded last is charged beside those of all other streams, if there is room (T14).
    fn charge_head(&self, fields: &Fields) -> Option<usize> {
        let head_bytes = self.section.block.len() + FIELD_OVERHEAD_BYTES * fields.len();
        (self.heads_bytes + head_bytes <= self.config.heads_bytes_max).then_some(head_bytes)
    }

    fn add_stream(&mut self, id: u32, recv: Recv) -> &mut Stream {
        let (recv_window, send_window) = (self.config.stream_window(), self.peer.stream_window_bytes);
        self.streams.add(Stream { recv, ..Stream::new(id, recv_window, send_window) })
    }

    fn handle_response(
        &mut self,
        now_ms: u64,
        id: u32,
        is_end: bool,
        bytes: &[u8],
    ) -> Outcome<Option<Event>> {
        let answers = self.streams.get(id).map_or(Answers::Other, |stream| stream.answers);
        let limits = &self.config.head;
        match self.section.decode_response(self.decoder.block(bytes), limits, answers, is_end)? {
            Ok(()) if self.section.response.status < 200 => self.accept_interim(now_ms, id),
            Ok(()) => self.accept_response(now_ms, id, is_end),
            Err(fault) => self.fail_stream(now_ms, id, fault),
        }
    }

    /// RFC 9113 §8.1: any number of them in principle (T20).
    fn accept_interim(&mut self, now_ms: u64, id: u32) -> Outcome<Option<Event>> {
        let Some(stream) = self.streams.get_mut(id) else { return Ok(None) };
        stream.interim_count += 1;
        if stream.interim_count > INTERIM_COUNT_MAX {
            return self.fail_stream(now_ms, id, StreamFault::InterimTooMany);
        }
        Ok(Some(Event::Interim { stream: StreamId(id) }))
    }

    fn accept_response(&mut self, now_ms: u64, id: u32, is_end: bool) -> Outcome<Option<Event>> {
        let head = &self.section.response;
        let Some(head_bytes) = self.charge_head(&head.fields) else {
            return self.fail_stream(now_ms, id, StreamFault::HeadsTooLarge);
        };
        let Some(stream) = self.streams.get_mut(id) else { return Ok(None) };
        self.heads_bytes += head_bytes;
        stream.head_bytes = head_bytes;
        stream.is_tunnel = stream.answers == Answers::Connect && head.status < 300;
        stream.left_bytes = left_bytes(head.framing, stream.is_tunnel);
        stream.recv = if is_end { Recv::Ended } else { Recv::ExpectBody };
        self.budget.earn(HEAD_CREDIT_COUNT);
        Ok(Some(Event::Head { stream: StreamId(id), end: is_end }))
    }

    fn handle_trailers(
        &mut self,
        now_ms: u64,
        id: u32,
        is_end: bool,
        bytes: &[u8],
    ) -> Outcome<Option<Event>> {
        let verdict = self.section.decode_trailers(self.decoder.block(bytes), &self.config.head)?;
        let Some(stream) = self.streams.get_mut(id) else { return Ok(None) };
        match verdict.and_then(|()| judge_trailers(stream, is_end)) {
            Ok(()) => {
                stream.recv = Recv::Ended;
                Ok(Some(Event::Trailers { stream: StreamId(id) }))
            }
            Err(fault) => self.fail_stream(now_ms, id, fault),
        }
    }
}

/// Whether trailers may come now.
fn judge_trailers(stream: &Stream, is_end: bool) -> Result<(), StreamFault> {
    // RFC 9113 §8.5: a tunnel has data and nothing else.
    if stream.is_tunnel {
        return Err(StreamFault::TunnelFields);
    }
    // RFC 9113 §8.1.
    if !is_end {
        return Err(StreamFault::TrailersOpen);
    }
    match stream.left_bytes {
        None | Some(0) => Ok(()),
        Some(_) => Err(StreamFault::LengthMismatch),
    }
}

/// What is still to come of a message with this head.
fn left_bytes(framing: Framing, is_tunnel: bool) -> Option<u64> {
    match framing {
        _ if is_tunnel => None,
        Framing::None => Some(0),
        Framing::Length(length) => Some(length),
        Framing::Chunked | Framing::Close => None,
    }
}
