//! The request: decompressed or not.

use towpath_proto::coding::{Coding, DecodeLimits, Decoder};
use towpath_proto::message::{Framing, RequestHead};

use super::{DIGESTS, is_one_of};
use crate::error::Reason;

/// What happens to the body of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Intake {
    /// Nothing.
    #[default]
    AsIs,
    /// It is decoded.
    Decoded(Coding),
}

impl Intake {
    /// On a route that decompresses, an origin never gets a body in any coding (RFC 9110 §15.5.16).
    pub(crate) fn of(
        limits: Option<&DecodeLimits>,
        head: &RequestHead,
        block: &[u8],
    ) -> Result<Self, Reason> {
        if limits.is_none() || matches!(head.framing, Framing::None | Framing::Length(0)) {
            return Ok(Self::AsIs);
        }
        let is_identity = |coding: &&[u8]| coding.eq_ignore_ascii_case(b"identity");
        let mut codings =
            head.fields.elements(b"content-encoding", block).filter(|coding| !is_identity(coding));
        match (codings.next(), codings.next()) {
            (None, _) => Ok(Self::AsIs),
            (Some(coding), None) => Coding::of(coding).map(Self::Decoded).ok_or(Reason::UnknownContentCoding),
            // One inside of the other: nobody is known to send that but to hide something.
            (Some(_), Some(_)) => Err(Reason::UnknownContentCoding),
        }
    }

    /// The framing to go on with instead of the client's.
    pub(crate) fn framing(self, client: Framing) -> Framing {
        match (self, client) {
            (Self::Decoded(_), Framing::Length(_)) => Framing::Chunked,
            _ => client,
        }
    }

    /// Whether a field of the client's stays, a trailer included. What says something of the coded bytes is no longer
    /// true.
    pub(crate) fn passes(self, name: &[u8]) -> bool {
        match self {
            Self::AsIs => true,
            Self::Decoded(_) => {
                !is_one_of(name, &[b"content-encoding", b"content-length"]) && !is_one_of(name, DIGESTS)
            }
        }
    }

    /// What decodes the body.
    pub(crate) fn decoder(self, limits: DecodeLimits) -> Option<Decoder> {
        match self {
            Self::AsIs => None,
            Self::Decoded(coding) => Some(Decoder::new(coding, limits)),
        }
    }
}
