//! How long a message is (RFC 9112 §6.3). Every way to read it twice is refused here.

use super::FramingFault;
use super::fields::{Collected, Single};
use crate::field;
use crate::message::{Framing, Version};

/// What the fields say about the length, with every contradiction refused. `None` when they say nothing.
pub(crate) fn declared(
    collected: &Collected,
    version: Version,
    block: &[u8],
) -> Result<Option<Framing>, FramingFault> {
    let length = match collected.content_length {
        Single::Absent => None,
        Single::Once(value) => Some(content_length(value.of(block))?),
        // RFC 9110 §8.6 lets a recipient fold equal values into one; a repeated length is refused instead
        // (T02).
        Single::Repeated => return Err(FramingFault::LengthRepeated),
    };
    match collected.transfer_encoding {
        Single::Absent => Ok(length.map(Framing::Length)),
        Single::Repeated => Err(FramingFault::CodingRepeated),
        // RFC 9112 §6.1: a server or client that gets the coding in HTTP/1.0 must treat the framing as faulty
        // (T03).
        Single::Once(_) if version == Version::Http10 => Err(FramingFault::CodingInHttp10),
        // RFC 9112 §6.3 rule 3: this may be request smuggling or response splitting, and ought to be an error
        // (T01).
        Single::Once(_) if length.is_some() => Err(FramingFault::LengthAndCoding),
        Single::Once(value) => transfer_coding(value.of(block)).map(|()| Some(Framing::Chunked)),
    }
}

/// RFC 9110 §8.6: `1*DIGIT`. No sign, no list, no white space inside, and no more than 64 bits (T02).
fn content_length(value: &[u8]) -> Result<u64, FramingFault> {
    field::parse_decimal(value).ok_or(FramingFault::LengthNotDecimal)
}

/// RFC 9112 §6.1: the single word `chunked`, compared without case.
fn transfer_coding(value: &[u8]) -> Result<(), FramingFault> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    Err(refused_coding(value))
}

/// Tells codings that are well formed but not understood (501, RFC 9112 §6.1) from those that leave the
/// length open.
#[cold]
fn refused_coding(value: &[u8]) -> FramingFault {
    let mut chunked_count = 0;
    let mut is_last_chunked = false;
    for coding in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
        if !field::is_token(coding) {
            return FramingFault::CodingNotChunked;
        }
        is_last_chunked = coding.eq_ignore_ascii_case(b"chunked");
        chunked_count += usize::from(is_last_chunked);
    }
    if is_last_chunked && chunked_count == 1 {
        FramingFault::CodingUnknown
    } else {
        FramingFault::CodingNotChunked
    }
}
