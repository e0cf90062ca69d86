//! Brotli (RFC 7932).

use brotli::enc::{BrotliEncoderParams, StandardAlloc};
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState, CompressorWriter};

use super::Effort;
use super::decoder::{Malformed, Step};

/// 256 KiB of window: most bodies are smaller, and the largest window would cost 16 MiB for each.
const WINDOW_BITS: i32 = 18;

/// What the library hands over at a time.
const PIECE_BYTES: usize = 4 * 1024;

pub(super) type Writer = CompressorWriter<Vec<u8>>;

/// From 6 on the work is for bodies that are made once.
pub(super) fn writer(effort: Effort) -> Writer {
    let quality = match effort {
        Effort::Fast => 1,
        Effort::Balanced => 4,
        Effort::Small => 5,
    };
    let params = BrotliEncoderParams { quality, lgwin: WINDOW_BITS, ..BrotliEncoderParams::default() };
    CompressorWriter::with_params(Vec::new(), PIECE_BYTES, &params)
}

pub(super) struct Reader {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    is_ended: bool,
}

impl Reader {
    pub(super) fn new() -> Self {
        let memory = StandardAlloc::default;
        // Without windows beyond RFC 7932, which `new` would take and which go up to 1 GiB (T46).
        Self { state: BrotliState::new_strict(memory(), memory(), memory()), is_ended: false }
    }

    pub(super) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<Step, Malformed> {
        // Nothing may follow the end (RFC 7932 §9.2).
        if self.is_ended {
            return if input.is_empty() {
                Ok(Step { consumed: 0, produced: 0, is_ended: true })
            } else {
                Err(Malformed)
            };
        }
        let (mut consumed, mut produced, mut total) = (0, 0, 0);
        let (mut input_left, mut room_left) = (input.len(), out.len());
        let result = BrotliDecompressStream(
            &mut input_left,
            &mut consumed,
            input,
            &mut room_left,
            &mut produced,
            out,
            &mut total,
            &mut self.state,
        );
        match result {
            BrotliResult::ResultFailure => return Err(Malformed),
            BrotliResult::ResultSuccess => self.is_ended = true,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
        }
        Ok(Step { consumed, produced, is_ended: self.is_ended })
    }
}
