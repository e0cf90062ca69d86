//! A body without the coding that its origin has put on it (RFC 9110 §8.4), within limits (T46).

use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use towpath_proto::coding::{Coding, DecodeError, DecodeLimits, Decoder};

use crate::http::body::{Body, Part, Pieces};
use crate::http::error::{Error, Kind};

/// A body and its decoder.
pub(super) struct Decoding {
    body: Body,
    /// `None` when it has ended.
    decoder: Option<Decoder>,
    limits: DecodeLimits,
    /// What the decoder has not taken yet.
    input: Bytes,
    /// It has more to give for what it has taken.
    is_cut: bool,
}

impl Decoding {
    pub(super) fn new(body: Body, coding: Coding, limits: DecodeLimits) -> Self {
        let decoder = Some(Decoder::new(coding, limits));
        Self { body, decoder, limits, input: Bytes::new(), is_cut: false }
    }

    fn fails(&mut self, error: DecodeError) -> Error {
        self.decoder = None;
        match error {
            DecodeError::TooLarge => Error::new(Kind::TooLarge(self.limits.bytes_max)),
            DecodeError::RatioTooHigh => {
                let ratio = self.limits.ratio_max;
                Error::new(Kind::Limit(format!("the body expands to more than {ratio} times its bytes")))
            }
            DecodeError::Malformed | DecodeError::Truncated => {
                Error::malformed("what its coding says", error)
            }
        }
    }
}

impl Pieces for Decoding {
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Part>, Error>> {
        loop {
            let Some(decoder) = &mut self.decoder else { return self.body.poll_part(cx) };
            if self.is_cut || !self.input.is_empty() {
                let mut out = Vec::new();
                let step = match decoder.handle_input(&self.input, &mut out) {
                    Ok(step) => step,
                    Err(error) => return Poll::Ready(Err(self.fails(error))),
                };
                self.input.advance(step.consumed.min(self.input.len()));
                self.is_cut = step.is_cut;
                if !out.is_empty() {
                    return Poll::Ready(Ok(Some(Part::Data(out.into()))));
                }
                continue;
            }
            let part = ready!(self.body.poll_part(cx))?;
            match part {
                Some(Part::Data(data)) => self.input = data,
                // The coding has to be complete before whatever is behind the data.
                other => {
                    let outcome = self.decoder.take().map_or(Ok(()), Decoder::finish);
                    return Poll::Ready(match outcome {
                        Ok(()) => Ok(other),
                        Err(error) => Err(self.fails(error)),
                    });
                }
            }
        }
    }

    fn length(&self) -> Option<u64> {
        None
    }
}
