//! The part of a message behind its head, the same for requests and responses.

use super::chunk;
use super::fields::collect_trailers;
use super::lines::{LineFault, LineScan, Section};
use super::{ChunkFault, Event, FieldFault, Step};
use crate::limits::HeadLimits;
use crate::message::{Fields, Framing};

/// Reads a body whose framing is known.
///
/// ```text
///   None ------------------------------------------------> ExpectEnd --End--> Complete
///   Length  --> RecvLength --Data*-----------------------------------> End --^
///   Close   --> RecvUntilClose --Data*---------------------- eof: End ------^
///   Chunked --> ExpectChunkLine --> RecvChunk --Data*--> ExpectChunkEnd
///                 ^    |                                     |
///                 +----|-------------------------------------+
///                      +-- size 0 --> ExpectTrailers --Trailers--> ExpectEnd
///                                            +------- none ------> End
/// ```
#[derive(Clone, Debug, Default)]
pub(crate) struct BodyDecoder {
    state: State,
    trailers: Fields,
    scan: LineScan,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    ExpectEnd,
    RecvLength {
        remaining: u64,
    },
    RecvUntilClose,
    ExpectChunkLine,
    RecvChunk {
        remaining: u64,
    },
    ExpectChunkEnd,
    ExpectTrailers,
    #[default]
    Complete,
}

/// Why a body was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFault {
    Chunk(ChunkFault),
    Trailers(FieldFault),
}

impl BodyDecoder {
    /// Begins the body of the next message and forgets the trailers of the last one.
    pub(crate) fn begin(&mut self, framing: Framing) {
        self.trailers.clear();
        self.scan.reset();
        self.state = match framing {
            Framing::None => State::ExpectEnd,
            Framing::Length(remaining) => State::RecvLength { remaining },
            Framing::Chunked => State::ExpectChunkLine,
            Framing::Close => State::RecvUntilClose,
        };
    }

    /// The same for a message that is read from another codec, which brings every body in chunks.
    pub(crate) fn begin_adopted(&mut self, framing: Framing) {
        self.begin(if framing == Framing::None { Framing::None } else { Framing::Chunked });
    }

    pub(crate) fn trailers(&self) -> &Fields {
        &self.trailers
    }

    /// Forgets the trailers and gives back their memory: they are rare.
    pub(crate) fn release_trailers(&mut self) {
        self.trailers.release(0);
    }

    /// Bytes still to come under `Content-Length`; `None` for any other framing.
    pub(crate) fn remaining(&self) -> Option<u64> {
        match self.state {
            State::RecvLength { remaining } => Some(remaining),
            _ => None,
        }
    }

    /// The next event of the body, if `input` holds one.
    pub(crate) fn handle_input(&mut self, input: &[u8], limits: &HeadLimits) -> Result<Step, BodyFault> {
        match self.state {
            State::ExpectEnd => Ok(self.complete(0)),
            State::Complete => Ok(Step::needs_more(0)),
            State::RecvLength { remaining: 0 } => Ok(self.complete(0)),
            State::RecvLength { remaining } => Ok(self.take_length(input, remaining)),
            State::RecvUntilClose if input.is_empty() => Ok(Step::needs_more(0)),
            State::RecvUntilClose => Ok(Step::found(input.len(), Event::Data(0..input.len()))),
            _ => self.handle_chunked(input, limits),
        }
    }

    /// The peer will send no more. `true` if that ends the message as it should (RFC 9112 §6.3 rule 8, §8).
    pub(crate) fn handle_eof(&mut self) -> bool {
        match self.state {
            State::ExpectEnd | State::RecvUntilClose | State::RecvLength { remaining: 0 } => {
                self.state = State::Complete;
                true
            }
            _ => false,
        }
    }

    fn take_length(&mut self, input: &[u8], remaining: u64) -> Step {
        let taken = available(input, remaining);
        if taken == 0 {
            return Step::needs_more(0);
        }
        self.state = State::RecvLength { remaining: remaining - taken as u64 };
        Step::found(taken, Event::Data(0..taken))
    }

    /// Goes on until there is an event or `input` is used up: chunk lines and chunk ends make no event.
    fn handle_chunked(&mut self, input: &[u8], limits: &HeadLimits) -> Result<Step, BodyFault> {
        let mut consumed = 0;
        loop {
            let rest = &input[consumed..];
            match self.state {
                State::ExpectChunkLine => {
                    let Some(line) = chunk::read_line(rest)? else { return Ok(Step::needs_more(consumed)) };
                    consumed += line.line_bytes;
                    self.state = match line.size {
                        0 => State::ExpectTrailers,
                        remaining => State::RecvChunk { remaining },
                    };
                }
                State::RecvChunk { remaining } => return Ok(self.take_chunk(input, consumed, remaining)),
                State::ExpectChunkEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        consumed += 2;
                        self.state = State::ExpectChunkLine;
                    }
                    [] | [b'\r'] => return Ok(Step::needs_more(consumed)),
                    // RFC 9112 §7.1: chunk data is followed by CRLF, nothing else (T04).
                    _ => return Err(ChunkFault::LineEnd.into()),
                },
                _ => return self.take_trailers(input, consumed, limits),
            }
        }
    }

    /// Reports the chunk's data from `start` on, and drops the CR LF behind it if that is already there.
    fn take_chunk(&mut self, input: &[u8], start: usize, remaining: u64) -> Step {
        let taken = available(&input[start..], remaining);
        if taken == 0 {
            return Step::needs_more(start);
        }
        let end = start + taken;
        let left = remaining - taken as u64;
        let (consumed, state) = match &input[end..] {
            _ if left > 0 => (end, State::RecvChunk { remaining: left }),
            [b'\r', b'\n', ..] => (end + 2, State::ExpectChunkLine),
            // A wrong byte here is refused by the next call, after these data have been reported.
            _ => (end, State::ExpectChunkEnd),
        };
        self.state = state;
        Step::found(consumed, Event::Data(start..end))
    }

    /// Reads the trailer section, which begins at `start` (RFC 9112 §7.1.2).
    fn take_trailers(&mut self, input: &[u8], start: usize, limits: &HeadLimits) -> Result<Step, BodyFault> {
        let section = &input[start..];
        let Some(section_bytes) = self.scan.find_end(section, Section::Trailers, limits)? else {
            return Ok(Step::needs_more(start));
        };
        let section = &section[..section_bytes];
        let end = start + section_bytes;
        collect_trailers(section, start, input, limits, &mut self.trailers).map_err(BodyFault::Trailers)?;
        if self.trailers.is_empty() {
            return Ok(self.complete(end));
        }
        self.state = State::ExpectEnd;
        Ok(Step::found(end, Event::Trailers))
    }

    fn complete(&mut self, consumed: usize) -> Step {
        self.state = State::Complete;
        Step::found(consumed, Event::End)
    }
}

fn available(input: &[u8], remaining: u64) -> usize {
    usize::try_from(remaining).unwrap_or(usize::MAX).min(input.len())
}

impl From<ChunkFault> for BodyFault {
    fn from(fault: ChunkFault) -> Self {
        Self::Chunk(fault)
    }
}

impl From<LineFault> for BodyFault {
    fn from(fault: LineFault) -> Self {
        match fault {
            LineFault::Field(fault) => Self::Trailers(fault),
            // Trailers have no start line; the scan never says this of them.
            LineFault::FirstLineTooLong => Self::Trailers(FieldFault::LineTooLong),
            LineFault::FirstLineEmpty => Self::Trailers(FieldFault::Name),
        }
    }
}
