//! The request body on its way to the origin.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;
use towpath_net::{Reader, Writer};
use towpath_proto::h1::{Event, RequestDecoder, encode};
use towpath_proto::message::{Framing, Known};

use super::exchange::Request;
use super::pump::{Clock, Stop, Writing, poll_fill};
use crate::coding::Intake;
use crate::error::Reason;
use crate::http2::Lane;
use crate::plan::ListenerSettings;
use towpath_net::buffer::{Buffer, Buffers};

/// How long a body may be slower than the least rate: a slow start and one lost packet are no attack (T39).
const RATE_GRACE: Duration = Duration::from_secs(10);

/// How far the request has got. The response side, which runs at the same time, asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// More of the body is to come from the client; the deadline for it is not set.
    Due,
    /// More of the body is waited for.
    Awaited,
    /// The origin has yet to take what has come.
    Handing,
    /// The origin has the whole request.
    Sent,
    /// The origin took no more of it; it may have answered all the same.
    Broken,
}

impl Progress {
    /// Whether it is the client's turn to send.
    pub(crate) fn awaits_body(self) -> bool {
        matches!(self, Self::Due | Self::Awaited)
    }
}

/// A request body between the client's buffer and the origin, while there is one.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) progress: Progress,
    /// What the origin gets next.
    out: Vec<u8>,
    writing: Writing,
    began: Instant,
}

/// What an [`Upload`] moves bytes with.
pub(crate) struct Upward<'a> {
    /// The stream of HTTP/2 that it goes to.
    pub(crate) to: Option<&'a Lane>,
    pub(crate) request: &'a mut Request,
    pub(crate) decoder: &'a mut RequestDecoder,
    pub(crate) input: &'a mut Option<Buffer>,
    pub(crate) body_max: Option<u64>,
    pub(crate) settings: &'a ListenerSettings,
    pub(crate) buffers: &'a Buffers,
    pub(crate) clock: &'a Clock<'a>,
    /// How long the origin may take to answer once it has everything.
    pub(crate) response_header_timeout: Duration,
}

/// Ready when the client of a request that is complete has left. Who closes a socket ends one direction first, and that is all
/// there is to see. What has come behind the request, of which `held` bytes are still in `input`, is from a client that wants
/// more, whatever its end says.
pub(crate) fn poll_left(
    reader: &mut Reader<'_>,
    input: Option<&Buffer>,
    held: usize,
    cx: &mut Context<'_>,
) -> Poll<Reason> {
    let wants_more = input.is_some_and(|input| !input.behind(held).is_empty());
    let left = if wants_more { reader.poll_gone(cx) } else { reader.poll_left(cx) };
    left.map(|()| Reason::ClientGone)
}

impl Upload {
    /// The part of the body behind what has arrived with the head.
    pub(crate) fn new(is_complete: bool, now: Instant) -> Self {
        let progress = if is_complete { Progress::Sent } else { Progress::Due };
        Self { progress, out: Vec::new(), writing: Writing::default(), began: now }
    }

    /// Streams the rest of the body, then watches the client. Ready only when the client's side has failed.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        lane: &mut Upward<'_>,
        reader: &mut Reader<'_>,
        origin: &mut Writer<'_>,
    ) -> Poll<Reason> {
        loop {
            match self.progress {
                Progress::Due => {
                    lane.arm(&mut self.began);
                    self.progress = Progress::Awaited;
                }
                Progress::Awaited => match ready!(lane.poll_arrived(cx, reader, &mut self.out)) {
                    Ok(()) => self.progress = Progress::Handing,
                    Err(reason) => return Poll::Ready(reason),
                },
                Progress::Handing => {
                    lane.expect_end();
                    let (parts, idle) = ([&self.out[..], &[], &[]], lane.settings.write_idle_timeout);
                    let written = ready!(self.writing.poll(cx, origin, parts, idle, lane.clock));
                    match written.and_then(|()| lane.end()) {
                        Ok(()) => self.handed(lane),
                        Err(Stop::Expired) => return Poll::Ready(Reason::UpstreamTimeout),
                        Err(Stop::Io) => {
                            self.progress = Progress::Broken;
                            lane.clock.arm(lane.response_header_timeout);
                        }
                    }
                }
                Progress::Sent => return poll_left(reader, lane.input.as_ref(), lane.request.held, cx),
                Progress::Broken if lane.request.body_complete => {
                    return poll_left(reader, lane.input.as_ref(), lane.request.held, cx);
                }
                Progress::Broken => return Poll::Pending,
            }
        }
    }

    fn handed(&mut self, lane: &Upward<'_>) {
        self.out.clear();
        self.progress = Progress::Due;
        if lane.request.body_complete {
            self.out = Vec::new();
            self.progress = Progress::Sent;
            lane.clock.arm(lane.response_header_timeout);
        }
    }
}

impl Upward<'_> {
    /// The stream that the whole body goes to, once all of it is there.
    fn ending(&self) -> Option<&Lane> {
        self.to.filter(|_| self.request.body_complete)
    }

    /// What is written next may be the end of the body.
    fn expect_end(&self) {
        self.ending().filter(|_| self.request.trailers.is_empty()).into_iter().for_each(Lane::expect_end);
    }

    /// What was written may have been the end of the body.
    fn end(&self) -> Result<(), Stop> {
        self.ending().map_or(Ok(()), |to| to.end(&self.request.trailers).map_err(|_| Stop::Io))
    }

    /// Until the body of a client that asked whether to send it begins, the origin is waited for (T05).
    fn arm(&self, began: &mut Instant) {
        let now = self.clock.now();
        if self.request.facts.expects_continue && self.request.body_received == 0 {
            *began = now;
            self.clock.arm(self.response_header_timeout);
        } else {
            self.clock.arm_at(self.next_deadline(*began, now));
        }
    }

    /// The earlier of: no byte for too long; and the moment at which what has come would be below the least rate.
    fn next_deadline(&self, began: Instant, now: Instant) -> Instant {
        let idle = now + self.settings.body_idle_timeout;
        match self.request.body_received.checked_div(self.settings.body_rate_min) {
            None => idle,
            Some(seconds) => idle.min(began + RATE_GRACE + Duration::from_secs(seconds)),
        }
    }

    fn poll_arrived(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut Reader<'_>,
        out: &mut Vec<u8>,
    ) -> Poll<Result<(), Reason>> {
        if self.request.has_due_body() {
            return Poll::Ready(take_arrived(self.request, self.decoder, self.input, self.body_max, out));
        }
        Poll::Ready(match ready!(poll_fill(cx, reader, self.input, self.buffers, self.clock)) {
            Ok(0) | Err(Stop::Io) => Err(Reason::ClientGone),
            Ok(_) => take_arrived(self.request, self.decoder, self.input, self.body_max, out),
            Err(Stop::Expired) if self.clock.is_over() => Err(Reason::RequestTimeout),
            Err(Stop::Expired) => Err(Reason::BodyTimeout),
        })
    }
}

/// Takes what has arrived of the body out of the input, behind the head, and writes it, framed anew, behind `out`.
pub(crate) fn take_arrived(
    request: &mut Request,
    decoder: &mut RequestDecoder,
    input: &mut Option<Buffer>,
    body_max: Option<u64>,
    out: &mut Vec<u8>,
) -> Result<(), Reason> {
    if let Some(mut decoding) = request.decoding.take() {
        let outcome = decoding.take(request, decoder, input, body_max, out);
        request.decoding = Some(decoding);
        return outcome;
    }
    let is_chunked = request.facts.framing == Framing::Chunked && !request.is_for_http2();
    let mut taken = 0;
    let mut outcome = Ok(());
    while let (Ok(()), false) = (&outcome, request.body_complete) {
        let block = input.as_ref().map_or(&[][..], |input| input.behind(request.held + taken));
        let step = decoder.handle_input(block).map_err(super::reason_of_request)?;
        taken += step.consumed;
        match step.event {
            None => break,
            Some(Event::Data(range)) => {
                request.body_received += range.len() as u64;
                if body_max.is_some_and(|max| request.body_received > max) {
                    outcome = Err(Reason::BodyTooLarge);
                } else {
                    outcome = request.hand_on(is_chunked, &block[range], out);
                }
            }
            Some(Event::Trailers) => {
                encode_trailers(decoder, block, is_chunked, Intake::AsIs, request, out);
            }
            Some(Event::End) => {
                outcome = request.complete_body();
                if is_chunked && decoder.trailers().is_empty() {
                    out.extend_from_slice(encode::LAST_CHUNK);
                }
            }
            Some(Event::Head | Event::Interim) => outcome = Err(Reason::Internal),
        }
    }
    if let Some(input) = input {
        input.consume_behind(request.held, taken);
    }
    outcome
}

pub(crate) fn encode_data(is_chunked: bool, data: &[u8], out: &mut Vec<u8>) {
    if is_chunked {
        out.extend_from_slice(encode::chunk_head(data.len()).as_bytes());
        out.extend_from_slice(data);
        out.extend_from_slice(b"\r\n");
    } else {
        out.extend_from_slice(data);
    }
}

/// Trailers end the chunks, or are kept until HTTP/2 sends them.
pub(super) fn encode_trailers(
    decoder: &RequestDecoder,
    block: &[u8],
    is_chunked: bool,
    intake: Intake,
    request: &mut Request,
    out: &mut Vec<u8>,
) {
    let pass = decoder.trailers().iter().filter(|field| field.known == Known::Other);
    let pass = pass.map(|field| (field.name.of(block), field.value.of(block)));
    let pass = pass.filter(|(name, _)| intake.passes(name));
    if is_chunked {
        encode::last_chunk(out, pass);
    } else {
        pass.for_each(|(name, value)| encode::field(&mut request.trailers, name, value));
    }
}
