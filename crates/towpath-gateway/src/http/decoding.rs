//! A coded request body that is decoded on its way.

use towpath_proto::coding::{DecodeLimits, Decoder};
use towpath_proto::h1::{Event, RequestDecoder, encode};
use towpath_proto::limits::DECODED_STEP_BYTES;
use towpath_proto::message::RequestHead;

use super::exchange::Request;
use super::upload::encode_trailers;
use crate::coding::Intake;
use crate::error::Reason;
use towpath_net::buffer::Buffer;

/// What decodes the body of a request, and how far it is with what has come.
///
/// A little of a body may become much, so that it stops when it has made enough for one write (T46). The rest stays in
/// the input, and is due as soon as that is written.
#[derive(Debug)]
pub(crate) struct Decoding {
    intake: Intake,
    /// Until the end of the body; it may hold a window of many MiB.
    decoder: Option<Decoder>,
    /// What a step has made.
    plain: Vec<u8>,
    /// Bytes of data at the start of the input that are not decoded.
    data_bytes: usize,
    /// Bytes behind them that only frame them.
    end_bytes: usize,
    /// The decoder has more to give for what it has taken.
    is_cut: bool,
    /// There may be more to take before anything is read.
    is_due: bool,
}

impl Decoding {
    /// For the body of a request on a route that decompresses; none when it is not coded.
    ///
    /// # Errors
    /// The coding is none that is known.
    pub(super) fn of(
        limits: &DecodeLimits,
        body_max: Option<u64>,
        head: &RequestHead,
        block: &[u8],
    ) -> Result<Option<Box<Self>>, Reason> {
        let intake = Intake::of(Some(limits), head, block)?;
        let bytes_max = body_max.map_or(limits.bytes_max, |max| max.min(limits.bytes_max));
        let decoder = intake.decoder(DecodeLimits { bytes_max, ..*limits });
        Ok(decoder.map(|decoder| {
            Box::new(Self {
                intake,
                decoder: Some(decoder),
                plain: Vec::new(),
                data_bytes: 0,
                end_bytes: 0,
                is_cut: false,
                is_due: false,
            })
        }))
    }

    pub(super) fn intake(&self) -> Intake {
        self.intake
    }

    /// Whether [`Decoding::take`] has more to do with what has come.
    pub(super) fn is_due(&self) -> bool {
        self.is_due
    }

    /// Takes what has arrived of the body out of the input, as far as one write goes, and writes it, decoded and framed
    /// anew, behind `out`.
    pub(super) fn take(
        &mut self,
        request: &mut Request,
        decoder: &mut RequestDecoder,
        input: &mut Option<Buffer>,
        body_max: Option<u64>,
        out: &mut Vec<u8>,
    ) -> Result<(), Reason> {
        let is_chunked = !request.is_for_http2();
        self.is_due = true;
        while self.is_due && !request.body_complete && out.len() < DECODED_STEP_BYTES {
            if self.data_bytes > 0 || self.is_cut {
                self.decode(request, input, is_chunked, out)?;
                continue;
            }
            let block = input.as_ref().map_or(&[][..], |input| input.behind(request.held));
            let step = decoder.handle_input(block).map_err(super::reason_of_request)?;
            let mut taken = step.consumed;
            match step.event {
                None => self.is_due = false,
                Some(Event::Data(range)) => {
                    request.body_received += range.len() as u64;
                    if body_max.is_some_and(|max| request.body_received > max) {
                        return Err(Reason::BodyTooLarge);
                    }
                    taken = range.start;
                    (self.data_bytes, self.end_bytes) = (range.len(), step.consumed - range.end);
                }
                Some(Event::Trailers) => {
                    self.finish()?;
                    encode_trailers(decoder, block, is_chunked, self.intake, request, out);
                }
                Some(Event::End) => {
                    self.finish()?;
                    self.is_due = false;
                    request.complete_body()?;
                    if is_chunked && decoder.trailers().is_empty() {
                        out.extend_from_slice(encode::LAST_CHUNK);
                    }
                }
                Some(Event::Head | Event::Interim) => return Err(Reason::Internal),
            }
            consume(request.held, input, taken);
        }
        Ok(())
    }

    /// One step of the decoder.
    fn decode(
        &mut self,
        request: &mut Request,
        input: &mut Option<Buffer>,
        is_chunked: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Reason> {
        let held = request.held;
        let decoder = self.decoder.as_mut().ok_or(Reason::Internal)?;
        let block = input.as_ref().map_or(&[][..], |input| input.behind(held));
        self.plain.clear();
        let step = decoder.handle_input(block.get(..self.data_bytes).unwrap_or_default(), &mut self.plain)?;
        self.is_cut = step.is_cut;
        self.data_bytes = self.data_bytes.saturating_sub(step.consumed);
        consume(held, input, step.consumed);
        if self.data_bytes == 0 {
            consume(held, input, std::mem::take(&mut self.end_bytes));
        }
        // An empty chunk would be the last.
        if !self.plain.is_empty() {
            request.hand_on(is_chunked, &self.plain, out)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Reason> {
        self.plain = Vec::new();
        self.decoder.take().map_or(Ok(()), Decoder::finish).map_err(Reason::from)
    }
}

fn consume(held: usize, input: &mut Option<Buffer>, count: usize) {
    input.as_mut().into_iter().for_each(|input| input.consume_behind(held, count));
}
