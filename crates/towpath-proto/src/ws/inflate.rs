//! Inflating compressed messages (RFC 7692 §7.2.2), in bounded pieces.

use flate2::{Decompress, FlushDecompress, Status};

use crate::limits::WS_INFLATE_STREAMS_COUNT_MAX;

/// What the sender took off the end of a message (RFC 7692 §7.2.1): an empty block without compression.
pub(super) const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// The inflater of one direction of a connection.
///
/// Its state takes 46 KiB. It is made when the first compressed bytes come, and given back at the end of a
/// message if the next one does not refer to it.
#[derive(Debug)]
pub(super) struct Inflater {
    stream: Option<Box<Decompress>>,
    keeps_context: bool,
    /// The last block of a stream has been read, and nothing behind it.
    is_ended: bool,
    /// Streams of this message that were followed by another.
    ended_count: u32,
}

/// What one call achieved.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Inflated {
    pub(super) consumed: usize,
    pub(super) produced: usize,
    /// What follows cannot be inflated. What was produced before it counts: another fault in it comes first,
    /// however the input is cut.
    pub(super) is_broken: bool,
}

impl Inflater {
    pub(super) fn new(keeps_context: bool) -> Self {
        Self { stream: None, keeps_context, is_ended: false, ended_count: 0 }
    }

    /// Appends to `out` what `input` inflates to, up to `room` bytes. With less than `room` produced, all of
    /// `input` is consumed, unless it is broken.
    pub(super) fn handle_input(&mut self, input: &[u8], room: usize, out: &mut Vec<u8>) -> Inflated {
        let mut done = Inflated::default();
        let start = out.len();
        out.resize(start + room, 0);
        loop {
            // Each turn but the last takes or gives a byte at least.
            let step = self.step(&input[done.consumed..], &mut out[start + done.produced..]);
            done.consumed += step.consumed;
            done.produced += step.produced;
            done.is_broken = step.is_broken;
            if step.is_broken || step.consumed + step.produced == 0 {
                break;
            }
        }
        out.truncate(start + done.produced);
        done
    }

    fn step(&mut self, input: &[u8], out: &mut [u8]) -> Inflated {
        if self.is_ended && input.is_empty() {
            return Inflated::default();
        }
        let Some(stream) = self.stream_to_continue() else {
            return Inflated { is_broken: true, ..Inflated::default() };
        };
        let (total_in, total_out) = (stream.total_in(), stream.total_out());
        let status = stream.decompress(input, out, FlushDecompress::None);
        let consumed = (stream.total_in() - total_in) as usize;
        let produced = (stream.total_out() - total_out) as usize;
        self.is_ended = matches!(status, Ok(Status::StreamEnd));
        Inflated { consumed, produced, is_broken: status.is_err() }
    }

    /// RFC 7692 §7.2.3.4 allows a last block inside a message; what follows it is a stream of its own. No sender is
    /// known whose next stream refers to the window of the one before, and one that did would be refused. `None` when
    /// there have been too many.
    fn stream_to_continue(&mut self) -> Option<&mut Decompress> {
        let is_ended = std::mem::take(&mut self.is_ended);
        self.ended_count += u32::from(is_ended);
        if self.ended_count > WS_INFLATE_STREAMS_COUNT_MAX {
            return None;
        }
        // The largest window, whatever was agreed: it costs the same, and a sender whose library cannot do 256 bytes
        // uses 512.
        let stream = self.stream.get_or_insert_with(|| Box::new(Decompress::new(false)));
        if is_ended {
            stream.reset(false);
        }
        Some(stream)
    }

    /// Whether a message that ends here has no tail to be given: its sender ended the stream instead.
    pub(super) fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// The message is over.
    pub(super) fn end_message(&mut self) {
        self.ended_count = 0;
        if !self.keeps_context {
            self.stream = None;
            self.is_ended = false;
        }
    }
}
