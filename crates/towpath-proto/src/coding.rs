//! Content codings (RFC 9110 §8.4): which one a client accepts, and the streams that code and decode.
//!
//! ```text
//!   Accept-Encoding ──> Accepted ──> Coding ──> Encoder   plain bytes in, coded bytes out
//!   Content-Encoding ──> Coding ──> Decoder               coded bytes in, plain bytes out, never more than its limits
//! ```
//!
//! Nothing here knows a message: whether one is to be coded at all is decided by who forwards it.

mod accepted;
mod brotli;
mod decoder;
mod encoder;
mod gzip;
mod zstd;

pub use accepted::Accepted;
pub use decoder::{DecodeError, DecodeLimits, Decoded, Decoder};
pub use encoder::{Effort, Encoder};

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
}

impl Coding {
    /// The name in `Content-Encoding`.
    pub const fn token(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// The coding of this name, compared without case. `x-gzip` is the same as `gzip` (RFC 9110 §8.4.1.3).
    pub fn of(token: &[u8]) -> Option<Self> {
        let is = |name: &[u8]| token.eq_ignore_ascii_case(name);
        match () {
            () if is(b"gzip") || is(b"x-gzip") => Some(Self::Gzip),
            () if is(b"br") => Some(Self::Brotli),
            () if is(b"zstd") => Some(Self::Zstd),
            () => None,
        }
    }
}
