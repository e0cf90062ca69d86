//! gzip (RFC 1952).

use flate2::write::GzEncoder;
use flate2::{Compression, Decompress, FlushDecompress, Status};

use super::Effort;
use super::decoder::{Malformed, Step};
use crate::limits::DECODED_MEMBERS_COUNT_MAX;

/// The window that every reader has (RFC 1951 §2).
const WINDOW_BITS: u8 = 15;

pub(super) type Writer = GzEncoder<Vec<u8>>;

pub(super) fn writer(effort: Effort) -> Writer {
    let level = match effort {
        Effort::Fast => 1,
        Effort::Balanced => 4,
        Effort::Small => 7,
    };
    GzEncoder::new(Vec::new(), Compression::new(level))
}

/// Reads members one behind the other (RFC 1952 §2.2).
pub(super) struct Reader {
    stream: Decompress,
    /// A member has ended, and nothing of the next was read.
    is_ended: bool,
    ended_count: u32,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self { stream: Decompress::new_gzip(WINDOW_BITS), is_ended: false, ended_count: 0 }
    }

    pub(super) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<Step, Malformed> {
        if self.is_ended && !input.is_empty() {
            self.begin_member()?;
        }
        let stream = &mut self.stream;
        let (total_in, total_out) = (stream.total_in(), stream.total_out());
        let status = stream.decompress(input, out, FlushDecompress::None).map_err(|_| Malformed)?;
        self.is_ended |= status == Status::StreamEnd;
        Ok(Step {
            consumed: (stream.total_in() - total_in) as usize,
            produced: (stream.total_out() - total_out) as usize,
            is_ended: self.is_ended,
        })
    }

    fn begin_member(&mut self) -> Result<(), Malformed> {
        self.ended_count += 1;
        if self.ended_count >= DECODED_MEMBERS_COUNT_MAX {
            return Err(Malformed);
        }
        self.is_ended = false;
        self.stream.reset(true);
        Ok(())
    }
}
