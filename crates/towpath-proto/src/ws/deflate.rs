//! Compressing messages (RFC 7692 §7.2.1).

use flate2::{Compress, Compression, FlushCompress};

use super::WindowBits;
use super::inflate::TAIL;

/// Output is made in pieces of this size. More than the six bytes an end of a piece may take, or that end would be
/// written twice; less than what a small message should not allocate.
const PIECE_BYTES: usize = 4 * 1024;

/// The compressor of one direction of a connection. It takes 245 to 371 KiB, by its window; made for the first
/// compressed message and given back after each one if the next may not refer to it.
#[derive(Debug)]
pub(super) struct Deflater {
    stream: Option<Box<Compress>>,
    keeps_context: bool,
    window: WindowBits,
}

impl Deflater {
    /// `None` for a window of 256 bytes, which the library cannot keep to: a message may always be sent as it is
    /// (RFC 7692 §6).
    pub(super) fn new(keeps_context: bool, window: WindowBits) -> Option<Self> {
        (window > WindowBits::MIN).then_some(Self { stream: None, keeps_context, window })
    }

    /// Appends `payload` compressed, up to a byte boundary; the last piece of a message without its tail.
    pub(super) fn write(&mut self, payload: &[u8], is_last: bool, out: &mut Vec<u8>) {
        let start = out.len();
        if payload.is_empty() {
            // RFC 7692 §7.2.3.6: an empty block, which asks the compressor for nothing.
            out.push(0);
            out.extend_from_slice(&TAIL);
        } else {
            self.compress(payload, out);
        }
        if is_last {
            out.truncate(out.len().saturating_sub(TAIL.len()).max(start));
            self.end_message();
        }
    }

    fn compress(&mut self, mut payload: &[u8], out: &mut Vec<u8>) {
        let stream = self.stream.get_or_insert_with(|| new_stream(self.window));
        loop {
            let (start, total_in, total_out) = (out.len(), stream.total_in(), stream.total_out());
            out.resize(start + PIECE_BYTES, 0);
            let status = stream.compress(payload, &mut out[start..], FlushCompress::Sync);
            status.expect("a stream that is never finished takes any input");
            let produced = (stream.total_out() - total_out) as usize;
            out.truncate(start + produced);
            payload = &payload[(stream.total_in() - total_in) as usize..];
            if produced < PIECE_BYTES {
                return;
            }
        }
    }

    fn end_message(&mut self) {
        if !self.keeps_context {
            self.stream = None;
        }
    }
}

/// The fastest level: messages are compressed in the turn of a worker that others wait for.
fn new_stream(window: WindowBits) -> Box<Compress> {
    Box::new(Compress::new_with_window_bits(Compression::fast(), false, window.number()))
}
