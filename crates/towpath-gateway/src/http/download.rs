//! The response on its way to the client.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;
use towpath_net::{Reader, Writer};
use towpath_proto::h1::{Event, ResponseDecoder, encode};
use towpath_proto::limits::INTERIM_COUNT_MAX;
use towpath_proto::message::{Framing, Known, Version};

use super::Facts;
use super::heads::{self, Returning};
use super::pump::{Clock, Stop, fill, write_all};
use super::upload::{Progress, encode_data};
use crate::buffer::{Buffer, Buffers};
use crate::error::Reason;
use crate::plan::Route;

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

/// A response between the origin's buffer and the client.
pub(crate) struct Download<'a> {
    pub(crate) decoder: &'a mut ResponseDecoder,
    /// The origin's bytes; no buffer is held while none has arrived.
    pub(crate) input: &'a mut Option<Buffer>,
    /// What is to be written to the client next.
    pub(crate) out: &'a mut Vec<u8>,
    pub(crate) facts: &'a Facts,
    pub(crate) route: &'a Route,
    pub(crate) write_idle: Duration,
    pub(crate) clock: &'a Clock<'a>,
    pub(crate) buffers: &'a Buffers,
    pub(crate) progress: &'a Cell<Progress>,
    /// The value for `Date`, if the origin sends none.
    pub(crate) date: &'a [u8],
    /// Whether the client may send another request; false from here on closes.
    pub(crate) keep_alive: bool,
    /// Whether connections end after their next answer, asked when that answer begins: a drain may have come since.
    pub(crate) is_closing: &'a dyn Fn() -> bool,
    /// The upgrade token that was forwarded, if any.
    pub(crate) upgrade: Option<&'a [u8]>,
    pub(crate) may_retry_status: &'a dyn Fn(u16) -> bool,
    /// Set with the final head.
    pub(crate) status: u16,
    pub(crate) framing: Framing,
    pub(crate) head_at: Option<Instant>,
    pub(crate) origin_keep_alive: Option<Duration>,
    /// Whether any byte has been written to the client, an interim response included.
    pub(crate) forwarded: bool,
    pub(crate) bytes_out: u64,
    pub(crate) bytes_read: u64,
}

impl Download<'_> {
    /// Moves the response from the origin to the client up to its last write, which the caller makes.
    pub(crate) async fn run(
        &mut self,
        origin: &mut Reader<'_>,
        client: &mut Writer<'_>,
    ) -> Result<Received, Failure> {
        let mut interim_count = 0;
        loop {
            let is_ended = self.read(origin).await? == 0;
            // Everything the read brought is encoded before anything is written.
            while let Some((taken, event)) = self.step(is_ended)? {
                let next = self.take_in(event, &mut interim_count)?;
                if let Next::Write(data) = next {
                    self.flush(client, data).await?;
                }
                if let Some(input) = self.input {
                    input.consume(taken);
                }
                if let Next::Done(received) = next {
                    return Ok(self.settle(received));
                }
            }
            if is_ended {
                return Err(self.fail(Reason::UpstreamResetBeforeResponse));
            }
            self.give_back_empty();
            self.flush(client, Span::NONE).await?;
        }
    }

    async fn read(&mut self, origin: &mut Reader<'_>) -> Result<usize, Failure> {
        if !self.has_head() && self.input.as_ref().is_some_and(|input| input.len() >= super::HEAD_BYTES_MAX) {
            return Err(self.fail(Reason::UpstreamHeaderTooLarge));
        }
        match fill(origin, self.input, self.buffers, self.clock).await {
            Ok(count) => {
                self.bytes_read += count as u64;
                if self.has_head() {
                    self.clock.arm(self.route.upstream_idle_timeout);
                }
                Ok(count)
            }
            Err(Stop::Expired) if self.clock.is_over() => Err(self.fail(Reason::RequestTimeout)),
            // Both directions share the deadline; while the body is awaited, it is the client's. But one that waits
            // for a 100 which the origin does not send is not to blame (T05).
            Err(Stop::Expired) if self.awaits_body() => Err(self.fail(Reason::BodyTimeout)),
            Err(Stop::Expired) => Err(self.fail(Reason::UpstreamTimeout)),
            // A reset may come behind a response that was complete; the decoder knows.
            Err(Stop::Io) => Err(self.fail(Reason::UpstreamResetBeforeResponse)),
        }
    }

    fn step(&mut self, is_ended: bool) -> Result<Option<(usize, Event)>, Failure> {
        let block = self.input.as_ref().map_or(&[][..], Buffer::unread);
        let step = match self.decoder.handle_input(block) {
            Ok(step) if step.event.is_none() && is_ended => self.decoder.handle_eof(),
            step => step,
        };
        match step {
            Ok(step) => {
                if step.event.is_none() && step.consumed > 0 {
                    // A chunk line that is complete; its data is not here yet.
                    self.input.as_mut().into_iter().for_each(|input| input.consume(step.consumed));
                }
                Ok(step.event.map(|event| (step.consumed, event)))
            }
            Err(_) if is_ended => Err(self.fail(Reason::UpstreamResetBeforeResponse)),
            Err(error) => Err(self.fail(super::reason_of_response(error))),
        }
    }

    /// Encodes what the step found.
    fn take_in(&mut self, event: Event, interim_count: &mut usize) -> Result<Next, Failure> {
        match event {
            Event::Interim => {
                *interim_count += 1;
                if *interim_count > INTERIM_COUNT_MAX {
                    return Err(self.fail(Reason::UpstreamTooManyInterim));
                }
                self.encode_interim();
                return Ok(Next::Write(Span::NONE));
            }
            Event::Head => return self.begin(),
            Event::Data(range) if range.len() <= COPY_BYTES_MAX => {
                let block = self.input.as_ref().map_or(&[][..], Buffer::unread);
                self.bytes_out += range.len() as u64;
                encode_data(self.framing, block.get(range).unwrap_or_default(), self.out);
            }
            Event::Data(range) => return Ok(Next::Write(Span { start: range.start, end: range.end })),
            Event::Trailers => self.encode_trailers(),
            Event::End => {
                if self.framing == Framing::Chunked && self.decoder.trailers().is_empty() {
                    self.out.extend_from_slice(encode::LAST_CHUNK);
                }
                return Ok(Next::Done(Received::Whole { reusable: self.is_reusable() }));
            }
        }
        Ok(Next::More)
    }

    /// The final head has come.
    fn begin(&mut self) -> Result<Next, Failure> {
        let head = self.decoder.head();
        self.status = head.status;
        self.head_at = Some(self.clock.now());
        if head.status == 101 {
            return self.switch().map(Next::Done);
        }
        if (self.may_retry_status)(head.status) && !self.forwarded {
            return Ok(Next::Done(Received::Retryable(head.status)));
        }
        let block = self.input.as_ref().map_or(&[][..], Buffer::unread);
        self.origin_keep_alive = head
            .fields
            .find(Known::KeepAlive, block)
            .and_then(towpath_proto::connection::keep_alive_timeout)
            .map(Duration::from_secs);
        self.framing = heads::framing_to_client(head.framing, self.facts.version);
        // Unsent body would be read as the next request (T05).
        self.keep_alive &= self.framing != Framing::Close && self.progress.get() == Progress::Sent;
        self.keep_alive &= !(self.is_closing)();
        heads::encode_response(
            &Returning {
                head,
                block,
                route: self.route,
                method: self.facts.method,
                framing: self.framing,
                client_version: self.facts.version,
                keep_alive: self.keep_alive,
                date: self.date,
            },
            self.out,
        );
        Ok(Next::More)
    }

    /// A switch is real only if it was asked for and is the one that was asked for (T06).
    fn switch(&mut self) -> Result<Received, Failure> {
        let block = self.input.as_ref().map_or(&[][..], Buffer::unread);
        let chosen = self.decoder.head().fields.find(Known::Upgrade, block).unwrap_or_default();
        if !self.upgrade.is_some_and(|token| token.eq_ignore_ascii_case(chosen)) {
            return Err(Failure::Before(Reason::UpstreamBadUpgrade));
        }
        heads::encode_switch(self.decoder.head(), block, self.route, self.out);
        Ok(Received::Upgraded)
    }

    /// An HTTP/1.0 client knows no interim responses (RFC 9110 §15.2).
    fn encode_interim(&mut self) {
        if self.facts.version == Version::Http10 {
            return;
        }
        let block = self.input.as_ref().map_or(&[][..], Buffer::unread);
        let interim = Returning {
            head: self.decoder.head(),
            block,
            route: self.route,
            method: self.facts.method,
            framing: Framing::None,
            client_version: self.facts.version,
            keep_alive: true,
            date: b"",
        };
        heads::encode_response(&interim, self.out);
    }

    fn encode_trailers(&mut self) {
        if self.framing != Framing::Chunked {
            return;
        }
        let block = self.input.as_ref().map_or(&[][..], Buffer::unread);
        let pass = self.decoder.trailers().iter().filter(|field| field.known == Known::Other);
        encode::last_chunk(self.out, pass.map(|field| (field.name.of(block), field.value.of(block))));
    }

    /// Writes what is in the output and, without copying it, the data at `data` of the input.
    async fn flush(&mut self, client: &mut Writer<'_>, data: Span) -> Result<(), Failure> {
        let block = self.input.as_ref().map_or(&[][..], Buffer::unread);
        let data = block.get(data.start..data.end).unwrap_or_default();
        let mut tail: &[u8] = b"";
        if self.framing == Framing::Chunked && !data.is_empty() {
            self.out.extend_from_slice(encode::chunk_head(data.len()).as_bytes());
            tail = b"\r\n";
        }
        if self.out.is_empty() && data.is_empty() {
            return Ok(());
        }
        self.bytes_out += data.len() as u64;
        self.forwarded = true;
        match write_all(client, [self.out, data, tail], self.write_idle, self.clock).await {
            Ok(()) => {}
            Err(Stop::Expired) if self.clock.is_over() => {
                return Err(Failure::Within(Reason::RequestTimeout));
            }
            Err(Stop::Expired) => return Err(Failure::Within(Reason::ClientWriteTimeout)),
            Err(Stop::Io) => return Err(Failure::Within(Reason::ClientGone)),
        }
        self.out.clear();
        Ok(())
    }

    fn is_reusable(&self) -> bool {
        self.decoder.head().keep_alive && self.progress.get() == Progress::Sent
    }

    /// Bytes behind the end of the response answer nothing that was asked: the connection is poisoned (T07).
    fn settle(&mut self, received: Received) -> Received {
        let has_more = self.input.as_ref().is_some_and(|input| !input.is_empty());
        match received {
            Received::Whole { reusable } => Received::Whole { reusable: reusable && !has_more },
            other => other,
        }
    }

    fn give_back_empty(&mut self) {
        if let Some(buffer) = self.input.take_if(|buffer| buffer.is_empty()) {
            self.buffers.give(buffer);
        }
    }

    fn awaits_body(&self) -> bool {
        self.progress.get() == Progress::Sending && (self.forwarded || !self.facts.expects_continue)
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

/// What follows a step.
#[derive(Clone, Copy)]
enum Next {
    /// Another step.
    More,
    /// The output and this part of the input are written first.
    Write(Span),
    /// The response is over.
    Done(Received),
}

/// A range of the input; empty for none.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
}

impl Span {
    const NONE: Self = Self { start: 0, end: 0 };
}
