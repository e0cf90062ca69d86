//! The response on its way to the client.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;
use towpath_net::{Reader, Writer};
use towpath_proto::grpc_web::Format;
use towpath_proto::h1::{Event, ResponseDecoder, encode};
use towpath_proto::h2::SendError;
use towpath_proto::limits::INTERIM_COUNT_MAX;
use towpath_proto::message::{Framing, Known, Version};
use towpath_proto::ws::{self, Extensions, agreed_extensions};

use super::attempt::Upgrade;
use super::encoding::Encoding;
use super::exchange::{History, Request};
use super::grpc_web;
use super::heads::{self, Returning};
use super::pump::{Clock, Stop, Writing, poll_fill};
use super::upload::{Progress, encode_data};
use crate::coding::{Answer, Treatment};
use crate::error::Reason;
use crate::http2::Lane;
use crate::plan::Route;
use crate::worker::Worker;
use towpath_net::buffer::Buffer;

/// Data up to this size is copied behind what is to be written anyway, so that one plain send carries all of it.
/// Above it the copy would cost more than gathering.
const COPY_BYTES_MAX: usize = 4096;

/// Why no whole response reached the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The client has seen nothing: another attempt or an answer of our own is still possible.
    Before(Reason),
    /// The client has seen the status: its connection must break off, so that it knows.
    Within(Reason),
}

/// How a response ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// It is complete; its last bytes are in the output, still to be written.
    Whole {
        /// Whether the origin's connection may carry another request.
        reusable: bool,
    },
    /// The origin switched protocols (RFC 9110 §15.2.2). The head is in the output, still to be written.
    Upgraded,
    /// A status the route retries on. Nothing of it was passed on.
    Retryable(u16),
}

/// A response between the origin's buffer and the client: what has been seen and done of it.
#[derive(Debug)]
pub(crate) struct Download {
    phase: Phase,
    /// The origin has ended its direction.
    is_ended: bool,
    interim_count: usize,
    writing: Writing,
    treatment: Treatment,
    /// What codes the body, until its end.
    encoding: Option<Box<Encoding>>,
    /// Whether the client may send another request; false from here on closes.
    pub(crate) keep_alive: bool,
    /// Set with the final head.
    pub(crate) status: u16,
    pub(crate) framing: Framing,
    /// Trailers for HTTP/2, which has them behind the last data, as lines.
    pub(crate) trailers: Vec<u8>,
    pub(crate) head_at: Option<Instant>,
    pub(crate) origin_keep_alive: Option<Duration>,
    /// Whether any byte has been written to the client, an interim response included.
    pub(crate) forwarded: bool,
    pub(crate) bytes_out: u64,
    pub(crate) bytes_read: u64,
    /// What a switch to WebSocket agreed on.
    pub(crate) extensions: Extensions,
}

/// What a [`Download`] does next.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Read from the origin.
    Read,
    /// Encode what the read brought; everything of it, before anything is written.
    Decode,
    /// Write the output and the data that stands at `from` to `to` in the input, then take `taken` bytes out of it.
    Write { from: usize, to: usize, taken: usize },
}

/// What a [`Download`] moves bytes with.
pub(crate) struct Downward<'a> {
    pub(crate) request: &'a Request,
    pub(crate) history: &'a History,
    pub(crate) route: &'a Route,
    pub(crate) worker: &'a Worker,
    pub(crate) clock: &'a Clock<'a>,
    pub(crate) decoder: &'a mut ResponseDecoder,
    /// The origin's bytes; no buffer is held while none has arrived.
    pub(crate) input: &'a mut Option<Buffer>,
    /// What is to be written to the client next.
    pub(crate) out: &'a mut Vec<u8>,
    pub(crate) progress: Progress,
    /// The upgrade that was forwarded, if any.
    pub(crate) upgrade: Option<&'a Upgrade>,
    /// The streams of HTTP/2 that the response comes from and goes to.
    pub(crate) from: Option<&'a Lane>,
    pub(crate) to: Option<&'a Lane>,
}

impl Downward<'_> {
    fn block(&self) -> &[u8] {
        self.input.as_ref().map_or(&[][..], Buffer::unread)
    }

    fn consume(&mut self, count: usize) {
        self.input.as_mut().into_iter().for_each(|input| input.consume(count));
    }

    /// What becomes of the body whose head has come.
    fn treatment(&self) -> Treatment {
        if let Some(web) = &self.request.web {
            return Treatment::of_web(web.answer(), self.decoder.head(), self.block());
        }
        let Some(rules) = &self.route.compress else { return Treatment::AsIs };
        let (facts, head) = (&self.request.facts, self.decoder.head());
        Treatment::of(&Answer {
            rules,
            method: facts.method,
            accepted: facts.accepted,
            head,
            block: self.block(),
        })
    }
}

impl Download {
    /// The response to a request behind which another may follow or not.
    pub(crate) fn new(keep_alive: bool) -> Self {
        Self {
            phase: Phase::Read,
            is_ended: false,
            interim_count: 0,
            writing: Writing::default(),
            treatment: Treatment::AsIs,
            encoding: None,
            keep_alive,
            status: 0,
            framing: Framing::None,
            trailers: Vec::new(),
            head_at: None,
            origin_keep_alive: None,
            forwarded: false,
            bytes_out: 0,
            bytes_read: 0,
            extensions: Extensions::None,
        }
    }

    /// Moves the response from the origin to the client up to its last write, which the caller makes.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        lane: &mut Downward<'_>,
        origin: &mut Reader<'_>,
        client: &mut Writer<'_>,
    ) -> Poll<Result<Received, Failure>> {
        loop {
            match self.phase {
                Phase::Read => {
                    if self.gives_way() {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    let read = self.poll_read(cx, lane, origin);
                    if read.is_pending() && self.pause(lane) {
                        self.phase = Phase::Write { from: 0, to: 0, taken: 0 };
                        continue;
                    }
                    self.is_ended = ready!(read)? == 0;
                    self.phase = Phase::Decode;
                }
                Phase::Decode => {
                    if let Some(received) = self.decode(lane)? {
                        return Poll::Ready(Ok(received));
                    }
                }
                Phase::Write { from, to, taken } => {
                    ready!(self.poll_write(cx, lane, client, (from, to)))?;
                    lane.consume(taken);
                    self.phase = if taken > 0 { Phase::Decode } else { Phase::Read };
                }
            }
        }
    }

    /// One step of the decoder. `Some` when the response is over.
    fn decode(&mut self, lane: &mut Downward<'_>) -> Result<Option<Received>, Failure> {
        let Some((taken, event)) = self.step(lane)? else {
            if self.is_ended {
                return Err(self.fail(Reason::UpstreamResetBeforeResponse));
            }
            lane.worker.buffers.give_empty(lane.input);
            let is_enough = self.is_enough(lane);
            self.phase = if is_enough { Phase::Write { from: 0, to: 0, taken: 0 } } else { Phase::Read };
            return Ok(None);
        };
        match self.take_in(lane, event)? {
            Next::More => lane.consume(taken),
            Next::Write { from, to } => self.phase = Phase::Write { from, to, taken },
            Next::Done(received) => {
                lane.consume(taken);
                return Ok(Some(settle(received, lane)));
            }
        }
        Ok(None)
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        lane: &mut Downward<'_>,
        origin: &mut Reader<'_>,
    ) -> Poll<Result<usize, Failure>> {
        if !self.has_head() && lane.block().len() >= super::HEAD_BYTES_MAX {
            return Poll::Ready(Err(self.fail(Reason::UpstreamHeaderTooLarge)));
        }
        let stop = match ready!(poll_fill(cx, origin, lane.input, &lane.worker.buffers, lane.clock)) {
            Ok(count) => {
                self.bytes_read += count as u64;
                if self.has_head() {
                    lane.clock.arm(lane.route.upstream_idle_timeout);
                }
                return Poll::Ready(Ok(count));
            }
            Err(stop) => stop,
        };
        Poll::Ready(Err(self.fail(match stop {
            Stop::Expired if lane.clock.is_over() => Reason::RequestTimeout,
            // Both directions share the deadline; while the body is awaited, it is the client's. But one that waits
            // for a 100 which the origin does not send is not to blame (T05).
            Stop::Expired if self.awaits_body(lane) => Reason::BodyTimeout,
            Stop::Expired => Reason::UpstreamTimeout,
            // A reset may come behind a response that was complete; the decoder knows.
            Stop::Io => Reason::UpstreamResetBeforeResponse,
        })))
    }

    fn step(&mut self, lane: &mut Downward<'_>) -> Result<Option<(usize, Event)>, Failure> {
        let block = lane.input.as_ref().map_or(&[][..], Buffer::unread);
        if let Some(from) = lane.from.filter(|_| !self.has_head()) {
            let Some(length) = from.next_head(block.len()) else { return Ok(None) };
            return Ok(Some((length, lane.decoder.adopt(|slot| from.pop_head(slot)))));
        }
        let step = match lane.decoder.handle_input(block) {
            Ok(step) if step.event.is_none() && self.is_ended => lane.decoder.handle_eof(),
            step => step,
        };
        match step {
            Ok(step) => {
                if step.event.is_none() && step.consumed > 0 {
                    // A chunk line that is complete; its data is not here yet.
                    lane.consume(step.consumed);
                }
                Ok(step.event.map(|event| (step.consumed, event)))
            }
            Err(_) if self.is_ended => Err(self.fail(Reason::UpstreamResetBeforeResponse)),
            Err(error) => Err(self.fail(super::reason_of_response(error))),
        }
    }

    /// Encodes what the step found.
    fn take_in(&mut self, lane: &mut Downward<'_>, event: Event) -> Result<Next, Failure> {
        match event {
            Event::Interim => {
                self.interim_count += 1;
                if self.interim_count > INTERIM_COUNT_MAX {
                    return Err(self.fail(Reason::UpstreamTooManyInterim));
                }
                self.pass_interim(lane);
                return Ok(Next::Write { from: 0, to: 0 });
            }
            Event::Head => return self.begin(lane),
            Event::Data(range) if self.encoding.is_some() => {
                let block = lane.input.as_ref().map_or(&[][..], Buffer::unread);
                let data = block.get(range).unwrap_or_default();
                self.encoding.iter_mut().for_each(|encoding| encoding.push(data));
            }
            Event::Data(range) if self.treatment == Treatment::GrpcWeb(Format::Text) => {
                let block = lane.input.as_ref().map_or(&[][..], Buffer::unread);
                let (is_chunked, data) = (self.is_chunked(lane), block.get(range).unwrap_or_default());
                self.bytes_out += grpc_web::encode_piece(Format::Text, is_chunked, data, lane.out);
            }
            Event::Data(range) if range.len() <= COPY_BYTES_MAX => {
                let block = lane.input.as_ref().map_or(&[][..], Buffer::unread);
                self.bytes_out += range.len() as u64;
                encode_data(self.is_chunked(lane), block.get(range).unwrap_or_default(), lane.out);
            }
            Event::Data(range) => return Ok(Next::Write { from: range.start, to: range.end }),
            Event::Trailers => {
                self.finish_encoding(lane);
                self.encode_trailers(lane);
            }
            Event::End => {
                self.finish_encoding(lane);
                if self.is_chunked(lane) && lane.decoder.trailers().is_empty() {
                    lane.out.extend_from_slice(encode::LAST_CHUNK);
                }
                let reusable = lane.decoder.head().keep_alive && lane.progress == Progress::Sent;
                return Ok(Next::Done(Received::Whole { reusable }));
            }
        }
        Ok(Next::More)
    }

    /// The final head has come.
    fn begin(&mut self, lane: &mut Downward<'_>) -> Result<Next, Failure> {
        let head = lane.decoder.head();
        self.status = head.status;
        self.head_at = Some(lane.clock.now());
        // RFC 8441 §5: 200 is what HTTP/2 says for it.
        let is_switch = match lane.from {
            None => head.status == 101,
            Some(_) => lane.upgrade.is_some() && (200..300).contains(&head.status),
        };
        if is_switch {
            self.extensions = agreed_extensions(head, lane.block());
            let switched = switch(lane)?;
            self.forwarded |= lane.to.is_some();
            return Ok(Next::Done(switched));
        }
        if !self.forwarded
            && lane.history.may_retry_status(lane.request, lane.route, head.status, lane.worker)
        {
            return Ok(Next::Done(Received::Retryable(head.status)));
        }
        let block = lane.input.as_ref().map_or(&[][..], Buffer::unread);
        self.origin_keep_alive = head
            .fields
            .find(Known::KeepAlive, block)
            .and_then(towpath_proto::connection::keep_alive_timeout)
            .map(Duration::from_secs);
        let facts = &lane.request.facts;
        self.treatment = lane.treatment();
        let rules = lane.route.compress.as_ref();
        let coder = rules.and_then(|rules| self.treatment.coder(rules, head.framing));
        self.encoding = coder.map(|coder| Box::new(Encoding::new(coder)));
        self.framing = heads::framing_to_client(self.treatment.framing(head.framing), facts.version);
        // Unsent body would be read as the next request (T05).
        self.keep_alive &= self.framing != Framing::Close && lane.progress == Progress::Sent;
        // A drain may have come since the request did.
        self.keep_alive &= !lane.worker.is_closing(&lane.request.plan);
        let returning = Returning {
            head,
            block,
            route: lane.route,
            method: facts.method,
            framing: self.framing,
            treatment: self.treatment,
            client_version: facts.version,
            keep_alive: self.keep_alive,
            date: &lane.worker.date(),
        };
        let Some(client) = lane.to else {
            heads::encode_response(&returning, lane.out);
            return Ok(Next::More);
        };
        let end = matches!(self.framing, Framing::None | Framing::Length(0));
        let sent =
            client.respond(head.status, end, |fields| heads::encode_response_fields(&returning, fields));
        match sent.map_err(reason_of_send) {
            Ok(()) => self.forwarded = true,
            // The first bytes of the body meet that again.
            Err(Reason::ClientGone) if lane.request.outlives_client() => {}
            Err(reason) => return Err(Failure::Before(reason)),
        }
        Ok(Next::More)
    }

    /// Whether what has come is worth a write before more is read. Of a coded body, what is left to be written goes when
    /// there is nothing to read: its head goes along with its first bytes.
    fn is_enough(&mut self, lane: &mut Downward<'_>) -> bool {
        let Some(encoding) = &self.encoding else { return !lane.out.is_empty() };
        let is_enough = lane.out.len() + encoding.made_bytes() >= COPY_BYTES_MAX;
        if is_enough {
            self.hand(lane);
        }
        is_enough
    }

    /// Writes what was coded behind the output.
    fn hand(&mut self, lane: &mut Downward<'_>) {
        let is_chunked = self.is_chunked(lane);
        let Some(encoding) = &mut self.encoding else { return };
        self.bytes_out += encoding.hand(is_chunked, lane.out);
    }

    /// Coding is work: whether others have their turn first.
    fn gives_way(&mut self) -> bool {
        self.encoding.as_mut().is_some_and(|encoding| encoding.take_turn_end())
    }

    /// The origin is waited for: events and answers that were waited for are not held back. True when there is something
    /// to be written.
    fn pause(&mut self, lane: &mut Downward<'_>) -> bool {
        let Some(encoding) = &mut self.encoding else { return false };
        encoding.pause();
        self.hand(lane);
        !lane.out.is_empty()
    }

    /// The body is whole.
    fn finish_encoding(&mut self, lane: &mut Downward<'_>) {
        if let Some(encoding) = self.encoding.take() {
            self.bytes_out += encoding.finish(self.is_chunked(lane), lane.out);
        }
    }

    fn encode_trailers(&mut self, lane: &mut Downward<'_>) {
        let block = lane.input.as_ref().map_or(&[][..], Buffer::unread);
        let pass = lane.decoder.trailers().iter().filter(|field| field.known == Known::Other);
        let pass = pass.map(|field| (field.name.of(block), field.value.of(block)));
        if let Treatment::GrpcWeb(format) = self.treatment {
            self.bytes_out += grpc_web::encode_last(format, self.is_chunked(lane), pass, lane.out);
            return;
        }
        let pass = pass.filter(|(name, _)| self.treatment.passes(name));
        if lane.to.is_some() {
            pass.for_each(|(name, value)| encode::field(&mut self.trailers, name, value));
        } else if self.framing == Framing::Chunked {
            encode::last_chunk(lane.out, pass);
        }
    }

    /// Whether the client gets the body in chunks: HTTP/2 needs none.
    fn is_chunked(&self, lane: &Downward<'_>) -> bool {
        self.framing == Framing::Chunked && lane.to.is_none()
    }

    /// An HTTP/1.0 client knows no interim responses (RFC 9110 §15.2).
    fn pass_interim(&mut self, lane: &mut Downward<'_>) {
        let facts = &lane.request.facts;
        if facts.version == Version::Http10 {
            return;
        }
        let block = lane.input.as_ref().map_or(&[][..], Buffer::unread);
        let interim = Returning {
            head: lane.decoder.head(),
            block,
            route: lane.route,
            method: facts.method,
            framing: Framing::None,
            treatment: Treatment::AsIs,
            client_version: facts.version,
            keep_alive: true,
            date: b"",
        };
        let Some(client) = lane.to else { return heads::encode_response(&interim, lane.out) };
        self.forwarded = true;
        // A stream that is gone is found by what follows. What cannot be said in HTTP/2 may be left out.
        let _ = client.respond(interim.head.status, false, |fields| {
            heads::encode_response_fields(&interim, fields);
        });
    }

    /// Writes what is in the output and, without copying it, the data at `from` to `to` of the input.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        lane: &mut Downward<'_>,
        client: &mut Writer<'_>,
        (from, to): (usize, usize),
    ) -> Poll<Result<(), Failure>> {
        // Nobody is there to read it.
        if lane.request.is_alone {
            lane.out.clear();
            return Poll::Ready(Ok(()));
        }
        let block = lane.input.as_ref().map_or(&[][..], Buffer::unread);
        let data = block.get(from..to).unwrap_or_default();
        let is_chunk = self.is_chunked(lane) && !data.is_empty();
        if is_chunk && !self.writing.has_begun() {
            lane.out.extend_from_slice(encode::chunk_head(data.len()).as_bytes());
        }
        let tail: &[u8] = if is_chunk { b"\r\n" } else { b"" };
        if lane.out.is_empty() && data.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.forwarded = true;
        let (parts, idle) = ([&lane.out[..], data, tail], lane.request.plan.settings.write_idle_timeout);
        match ready!(self.writing.poll(cx, client, parts, idle, lane.clock)) {
            Ok(()) => {}
            Err(Stop::Expired) if lane.clock.is_over() => {
                return Poll::Ready(Err(Failure::Within(Reason::RequestTimeout)));
            }
            Err(Stop::Expired) => return Poll::Ready(Err(Failure::Within(Reason::ClientWriteTimeout))),
            Err(Stop::Io) => return Poll::Ready(Err(Failure::Within(Reason::ClientGone))),
        }
        self.bytes_out += data.len() as u64;
        lane.out.clear();
        Poll::Ready(Ok(()))
    }

    fn awaits_body(&self, lane: &Downward<'_>) -> bool {
        lane.progress.awaits_body() && (self.forwarded || !lane.request.facts.expects_continue)
    }

    fn has_head(&self) -> bool {
        self.status != 0
    }

    /// What went wrong, in the words of the phase it went wrong in.
    fn fail(&self, reason: Reason) -> Failure {
        match reason {
            _ if !self.has_head() => Failure::Before(reason),
            Reason::UpstreamResetBeforeResponse => self.within(Reason::UpstreamResetMidBody),
            Reason::UpstreamTimeout => self.within(Reason::UpstreamBodyTimeout),
            reason => self.within(reason),
        }
    }

    fn within(&self, reason: Reason) -> Failure {
        // The head may still be in the output, unwritten: then a whole answer of our own can take its place.
        if self.forwarded { Failure::Within(reason) } else { Failure::Before(reason) }
    }
}

/// A switch is real only if it was asked for and is the one that was asked for (T06).
fn switch(lane: &mut Downward<'_>) -> Result<Received, Failure> {
    let refused = Failure::Before(Reason::UpstreamBadUpgrade);
    let upgrade = lane.upgrade.ok_or(refused)?;
    let block = lane.input.as_ref().map_or(&[][..], Buffer::unread);
    let head = lane.decoder.head();
    let expected = upgrade.key.as_deref().map(ws::accept_value);
    let mut chosen = &*upgrade.token;
    if lane.from.is_none() {
        // RFC 9110 §7.8: no side changes the protocol in the middle of a message. What is left of the body may be coded or
        // in chunks, which the new protocol would take for its own.
        if lane.progress != Progress::Sent {
            return Err(refused);
        }
        chosen = head.fields.find(Known::Upgrade, block).unwrap_or_default();
        // Where the client has sent no key, we have, and have to look at the answer to it (RFC 6455 §4.1).
        let accept = head.fields.find_name(heads::WEBSOCKET_ACCEPT, block);
        let is_ours =
            lane.to.is_none() || expected.is_none() || accept == expected.as_ref().map(|own| &own[..]);
        if !upgrade.token.eq_ignore_ascii_case(chosen) || !is_ours {
            return Err(refused);
        }
    }
    if let Some(client) = lane.to {
        let sent = client.respond(200, false, |fields| {
            heads::encode_switch_fields(head, block, lane.route, true, fields);
        });
        sent.map_err(|error| Failure::Before(reason_of_send(error)))?;
        return Ok(Received::Upgraded);
    }
    let accept = expected.as_ref().map(|own| &own[..]);
    heads::encode_switch(head, block, lane.route, chosen, accept, lane.out);
    Ok(Received::Upgraded)
}

/// Why a head could not be sent to a client of HTTP/2.
fn reason_of_send(error: SendError) -> Reason {
    match error {
        SendError::Field => Reason::UpstreamProtocolError,
        _ => Reason::ClientGone,
    }
}

/// Bytes behind the end of the response answer nothing that was asked: the connection is poisoned (T07).
fn settle(received: Received, lane: &Downward<'_>) -> Received {
    match received {
        Received::Whole { reusable } => Received::Whole { reusable: reusable && lane.block().is_empty() },
        other => other,
    }
}

/// What follows a step.
#[derive(Clone, Copy)]
enum Next {
    /// Another step.
    More,
    /// The output and this part of the input are written first.
    Write { from: usize, to: usize },
    /// The response is over.
    Done(Received),
}
