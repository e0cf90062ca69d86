//! Zstandard (RFC 8878), with the window that HTTP has for it (RFC 9659).

use zstd::stream::raw::{CParameter, DParameter, Decoder, Operation};
use zstd::stream::write::Encoder;

use super::Effort;
use super::decoder::{Malformed, Step};
use super::encoder::no_want;
use crate::limits::DECODED_ZSTD_WINDOW_BITS_MAX;

/// 256 KiB of window: most bodies are smaller, and the library's own choice would cost 8 MiB for each.
const WINDOW_BITS: u32 = 18;

pub(super) type Writer = Encoder<'static, Vec<u8>>;

pub(super) fn writer(effort: Effort) -> Writer {
    let level = match effort {
        Effort::Fast => 1,
        Effort::Balanced => 3,
        Effort::Small => 6,
    };
    let mut writer = no_want(Encoder::new(Vec::new(), level));
    no_want(writer.set_parameter(CParameter::WindowLog(WINDOW_BITS)));
    writer
}

/// Reads frames one behind the other (RFC 8878 §3).
pub(super) struct Reader(Decoder<'static>);

impl Reader {
    pub(super) fn new() -> Self {
        let mut decoder = no_want(Decoder::new());
        no_want(decoder.set_parameter(DParameter::WindowLogMax(DECODED_ZSTD_WINDOW_BITS_MAX)));
        Self(decoder)
    }

    pub(super) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<Step, Malformed> {
        let status = self.0.run_on_buffers(input, out).map_err(|_| Malformed)?;
        // The library hints at what it needs next; it needs nothing where a frame has ended.
        Ok(Step {
            consumed: status.bytes_read,
            produced: status.bytes_written,
            is_ended: status.remaining == 0,
        })
    }
}
