//! The request body on its way to the origin.

use std::cell::Cell;
use std::future::poll_fn;
use std::time::Duration;

use tokio::time::Instant;
use towpath_net::{Reader, Writer};
use towpath_proto::h1::{Event, RequestDecoder, encode};
use towpath_proto::message::{Framing, Known};

use super::pump::{Clock, Stop, fill, write_all};
use crate::buffer::{Buffer, Buffers};
use crate::error::Reason;
use crate::plan::ListenerSettings;

/// How long a body may be slower than the least rate: a slow start and one lost packet are no attack (T39).
const RATE_GRACE: Duration = Duration::from_secs(10);

/// How far the request has got, seen by the response side, which runs at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// More of the body is to come from the client.
    Sending,
    /// The origin has yet to take what has come.
    Handing,
    /// The origin has the whole request.
    Sent,
    /// The origin took no more of it; it may have answered all the same.
    Broken,
}

/// A request body between the client's buffer and the origin.
pub(crate) struct Upload<'a> {
    pub(crate) decoder: &'a mut RequestDecoder,
    pub(crate) framing: Framing,
    /// The client's bytes; the first `held` are the head and stay.
    pub(crate) input: &'a mut Option<Buffer>,
    pub(crate) held: usize,
    pub(crate) body_max: Option<u64>,
    /// Body bytes so far, without framing.
    pub(crate) received: u64,
    pub(crate) is_complete: bool,
    /// The client asked whether to send the body at all: until it begins, the origin is waited for (T05).
    pub(crate) expects_continue: bool,
}

impl Upload<'_> {
    /// Takes what has arrived out of the input and writes it, framed anew, behind `out`.
    pub(crate) fn take_arrived(&mut self, out: &mut Vec<u8>) -> Result<(), Reason> {
        let mut taken = 0;
        let mut outcome = Ok(());
        while let (Ok(()), false) = (&outcome, self.is_complete) {
            let block = self.input.as_ref().map_or(&[][..], |input| input.behind(self.held + taken));
            let step = match self.decoder.handle_input(block) {
                Ok(step) => step,
                Err(error) => return Err(super::reason_of_request(error)),
            };
            taken += step.consumed;
            match step.event {
                None => break,
                Some(Event::Data(range)) => {
                    self.received += range.len() as u64;
                    if self.body_max.is_some_and(|max| self.received > max) {
                        outcome = Err(Reason::BodyTooLarge);
                    } else {
                        encode_data(self.framing, &block[range], out);
                    }
                }
                Some(Event::Trailers) => {
                    encode_trailers(self.decoder, block, out);
                }
                Some(Event::End) => {
                    self.is_complete = true;
                    if self.framing == Framing::Chunked && self.decoder.trailers().is_empty() {
                        out.extend_from_slice(encode::LAST_CHUNK);
                    }
                }
                Some(Event::Head | Event::Interim) => outcome = Err(Reason::Internal),
            }
        }
        if let Some(input) = self.input {
            input.consume_behind(self.held, taken);
        }
        outcome
    }

    /// Streams the rest of the body, then watches the client. Ends only when the client's side has failed.
    pub(crate) async fn run(
        &mut self,
        reader: &mut Reader<'_>,
        origin: &mut Writer<'_>,
        (settings, buffers, clock): (&ListenerSettings, &Buffers, &Clock<'_>),
        (progress, after): (&Cell<Progress>, Duration),
    ) -> Reason {
        let mut out = Vec::new();
        let mut began = clock.now();
        while !self.is_complete {
            if self.expects_continue && self.received == 0 {
                began = clock.now();
                clock.arm(after);
            } else {
                clock.arm_at(self.next_deadline(began, clock.now(), settings));
            }
            match fill(reader, self.input, buffers, clock).await {
                Ok(0) => return Reason::ClientGone,
                Ok(_) => {}
                Err(Stop::Expired) if clock.is_over() => return Reason::RequestTimeout,
                Err(Stop::Expired) => return Reason::BodyTimeout,
                Err(Stop::Io) => return Reason::ClientGone,
            }
            out.clear();
            if let Err(reason) = self.take_arrived(&mut out) {
                return reason;
            }
            progress.set(Progress::Handing);
            match write_all(origin, [&out, &[], &[]], settings.write_idle_timeout, clock).await {
                Ok(()) => progress.set(Progress::Sending),
                Err(Stop::Expired) => return Reason::UpstreamTimeout,
                Err(Stop::Io) => {
                    progress.set(Progress::Broken);
                    clock.arm(after);
                    return std::future::pending().await;
                }
            }
        }
        progress.set(Progress::Sent);
        clock.arm(after);
        drop(out);
        watch(reader).await
    }

    /// The earlier of: no byte for too long; and the moment at which what has come would be below the least rate.
    fn next_deadline(&self, began: Instant, now: Instant, settings: &ListenerSettings) -> Instant {
        let idle = now + settings.body_idle_timeout;
        match self.received.checked_div(settings.body_rate_min) {
            None => idle,
            Some(seconds) => idle.min(began + RATE_GRACE + Duration::from_secs(seconds)),
        }
    }
}

/// Ends when the client has reset or closed its connection.
pub(crate) async fn watch(reader: &mut Reader<'_>) -> Reason {
    poll_fn(|cx| reader.poll_gone(cx)).await;
    Reason::ClientGone
}

pub(crate) fn encode_data(framing: Framing, data: &[u8], out: &mut Vec<u8>) {
    if framing == Framing::Chunked {
        out.extend_from_slice(encode::chunk_head(data.len()).as_bytes());
        out.extend_from_slice(data);
        out.extend_from_slice(b"\r\n");
    } else {
        out.extend_from_slice(data);
    }
}

fn encode_trailers(decoder: &RequestDecoder, block: &[u8], out: &mut Vec<u8>) {
    let pass = decoder.trailers().iter().filter(|field| field.known == Known::Other);
    encode::last_chunk(out, pass.map(|field| (field.name.of(block), field.value.of(block))));
}
