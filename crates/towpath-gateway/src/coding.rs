//! Whether a body is coded or decoded on its way, and what that does to its head.
//!
//! How the data path asks, for a response:
//!
//! ```text
//!  request head    accepted(head, block)      ──> Accepted, eight bytes that are kept until the answer comes
//!  response head   Treatment::of(&Answer{..}) ──> Treatment
//!                    .framing(origin's)           what goes into framing_to_client
//!                    .passes(field name)          beside the other reasons to leave a field out
//!                    .encode_fields(..)           behind the origin's fields, before the route's edits
//!                    .coder(&rules, origin's)     None: the body goes through as it is, or there is none (HEAD, 304)
//!  response body   coder.push(data, out)      for each piece; `out` is what is sent, in chunks
//!                  coder.pause(out)           whenever the origin has nothing more for now, before it is waited for
//!                  coder.finish(out)          at the end, before the last chunk; never when the origin broke off
//! ```
//!
//! And for a request, on a route that decompresses:
//!
//! ```text
//!  request head    Intake::of(limits, head, block)?  ──> Intake, or the reason to refuse
//!                    .framing(client's), .passes(field name), .decoder(limits)
//!  request body    decoder.handle_input(data, out)   until a step is not cut; each step is written before the next
//!                  decoder.finish()                  at the end, before the last chunk
//! ```
//!
//! An error of the decoder becomes a [`Reason`] by `Reason::from`. The connection to the origin has then got half a body
//! and must be closed.

mod request;
mod response;

#[cfg(test)]
mod tests;

use towpath_proto::coding::DecodeError;

use crate::error::Reason;

pub(crate) use request::Intake;
pub(crate) use response::{Answer, Coder, Treatment};

fn is_one_of(name: &[u8], names: &[&[u8]]) -> bool {
    names.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Sums over the bytes of a body, coded as it came (RFC 9530; the others are its forerunners).
const DIGESTS: &[&[u8]] = &[b"content-digest", b"repr-digest", b"digest", b"content-md5"];

impl From<DecodeError> for Reason {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Malformed | DecodeError::Truncated => Self::BadContentCoding,
            DecodeError::TooLarge => Self::DecodedBodyTooLarge,
            DecodeError::RatioTooHigh => Self::DecodedRatioTooHigh,
        }
    }
}
