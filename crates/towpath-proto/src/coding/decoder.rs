//! Decoding a body that a peer has coded, in bounded pieces (T46).

use std::fmt;

use super::{Coding, brotli, gzip, zstd};
use crate::limits::{DECODED_BODY_BYTES_MAX, DECODED_FREE_BYTES, DECODED_RATIO_MAX, DECODED_STEP_BYTES};

/// What a coded body may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Bytes of the decoded body. Default [`DECODED_BODY_BYTES_MAX`]; reason `decoded_body_too_large`.
    pub bytes_max: u64,
    /// Bytes that a coded byte may become, as the mean of the body so far. Default [`DECODED_RATIO_MAX`]; judged beyond
    /// [`DECODED_FREE_BYTES`]; reason `decoded_ratio_too_high`.
    pub ratio_max: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { bytes_max: DECODED_BODY_BYTES_MAX, ratio_max: DECODED_RATIO_MAX }
    }
}

/// Why a body is not decoded any further. The sender's fault in every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The bytes are not of that coding, ask for more memory than is given, or go on behind the end.
    Malformed,
    /// The body ended before the coding did.
    Truncated,
    /// Over [`DecodeLimits::bytes_max`].
    TooLarge,
    /// Over [`DecodeLimits::ratio_max`].
    RatioTooHigh,
}

impl DecodeError {
    /// The reason code.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Malformed | Self::Truncated => "bad_content_coding",
            Self::TooLarge => "decoded_body_too_large",
            Self::RatioTooHigh => "decoded_ratio_too_high",
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the body is not what its Content-Encoding says",
            Self::Truncated => "the body ends before its content coding does",
            Self::TooLarge => "the decoded body is too large",
            Self::RatioTooHigh => "the body expands too much",
        })
    }
}

impl std::error::Error for DecodeError {}

/// What a step achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// How many bytes of the input were taken.
    pub consumed: usize,
    /// Whether the step ended because it had produced enough: the rest of the input, which may be none, is due at once.
    pub is_cut: bool,
}

/// The decoder of one body.
///
/// It holds back nothing that the input decides. Its memory grows with what it has produced up to the window of the
/// coding: 32 KiB for gzip, 8 MiB for zstd (larger windows are refused, RFC 9659) and 16 MiB for brotli.
pub struct Decoder {
    stream: Stream,
    limits: DecodeLimits,
    consumed: u64,
    produced: u64,
    /// What was taken ends where the coding may end.
    is_ended: bool,
    /// The library may have more to give for what it has taken.
    has_more: bool,
}

enum Stream {
    Gzip(gzip::Reader),
    Brotli(Box<brotli::Reader>),
    Zstd(zstd::Reader),
}

/// What one call of a library achieved.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) consumed: usize,
    pub(super) produced: usize,
    /// The coding may end here, and nothing of what was taken is still to come.
    pub(super) is_ended: bool,
}

/// The library refuses the bytes.
#[derive(Debug)]
pub(super) struct Malformed;

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limits, consumed, produced, is_ended, .. } = self;
        let mut text = f.debug_struct("Decoder");
        text.field("limits", limits).field("consumed", consumed).field("produced", produced);
        text.field("is_ended", is_ended).finish_non_exhaustive()
    }
}

impl Decoder {
    /// A decoder for a body.
    pub fn new(coding: Coding, limits: DecodeLimits) -> Self {
        let stream = match coding {
            Coding::Gzip => Stream::Gzip(gzip::Reader::new()),
            Coding::Brotli => Stream::Brotli(Box::new(brotli::Reader::new())),
            Coding::Zstd => Stream::Zstd(zstd::Reader::new()),
        };
        // A body without a byte is one without a byte, whatever it says of its coding.
        Self { stream, limits, consumed: 0, produced: 0, is_ended: true, has_more: false }
    }

    /// Takes from `input` and appends to `out` what it becomes, at most [`DECODED_STEP_BYTES`] in a step. If the step was
    /// not cut, all of the input was taken and nothing more comes of it.
    ///
    /// # Errors
    /// The body is malformed or over a limit; `out` is as it was, and the decoder is of no more use.
    pub fn handle_input(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        let start = out.len();
        out.resize(start + DECODED_STEP_BYTES, 0);
        let outcome = self.fill(input, out.get_mut(start..).unwrap_or_default());
        let produced = outcome.as_ref().map_or(0, |(_, produced)| *produced);
        out.truncate(start + produced);
        let (consumed, _) = outcome?;
        Ok(Decoded { consumed, is_cut: consumed < input.len() || self.has_more })
    }

    /// The body is over.
    ///
    /// # Errors
    /// It ended inside its coding.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.is_ended { Ok(()) } else { Err(DecodeError::Truncated) }
    }

    /// How many bytes were taken and made.
    fn fill(&mut self, input: &[u8], room: &mut [u8]) -> Result<(usize, usize), DecodeError> {
        let (mut consumed, mut produced) = (0, 0);
        while produced < room.len() && (consumed < input.len() || self.has_more) {
            let rest = input.get(consumed..).unwrap_or_default();
            let room = room.get_mut(produced..).unwrap_or_default();
            let step = self.stream.step(rest, room).map_err(|Malformed| DecodeError::Malformed)?;
            self.has_more = step.produced == room.len() && !step.is_ended;
            if step.consumed + step.produced == 0 {
                if !rest.is_empty() {
                    return Err(DecodeError::Malformed);
                }
                break;
            }
            self.is_ended = step.is_ended;
            self.charge(&step)?;
            consumed += step.consumed;
            produced += step.produced;
        }
        Ok((consumed, produced))
    }

    /// Judges what was made before anybody has it, inside the loop that makes it.
    fn charge(&mut self, step: &Step) -> Result<(), DecodeError> {
        self.consumed += step.consumed as u64;
        self.produced += step.produced as u64;
        if self.produced > self.limits.bytes_max {
            return Err(DecodeError::TooLarge);
        }
        let earned = self.consumed.saturating_mul(self.limits.ratio_max);
        if self.produced > earned.max(DECODED_FREE_BYTES) {
            return Err(DecodeError::RatioTooHigh);
        }
        Ok(())
    }
}

impl Stream {
    fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<Step, Malformed> {
        match self {
            Self::Gzip(reader) => reader.step(input, out),
            Self::Brotli(reader) => reader.step(input, out),
            Self::Zstd(reader) => reader.step(input, out),
        }
    }
}
