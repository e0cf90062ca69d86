//! The request under way: its body, as it comes, and whether the client is still there.

use std::fs::File;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use towpath_net::buffer::Buffer;
use towpath_net::sendfile;
use towpath_proto::h1::Event;
use towpath_proto::message::{Fields, Framing, RequestHead};

use super::super::Reason;
use super::super::connection::Line;
use super::super::site::Spare;
use crate::http::body::{Body, Inlet, Part, incoming};
use crate::http::error::{Error, Kind};
use crate::http::headers::Headers;
use crate::http::request::declared_length;

/// How long a body may come slowly before its rate counts.
const RATE_GRACE: Duration = Duration::from_secs(10);

/// RFC 9110 §15.2.1.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The body of the request under way.
pub(super) struct Input {
    pub(super) inlet: Option<Inlet>,
    /// Bytes of it that came.
    pub(super) received: u64,
    pub(super) since: Instant,
    /// What has to be sent before the client sends it.
    pub(super) to_continue: &'static [u8],
    /// The client has ended its side, or failed.
    pub(super) is_over: bool,
    /// It has done so inside the body.
    pub(super) is_lost: bool,
    /// The reader was told that the rest is not for it.
    pub(super) is_refused: bool,
}

/// A busy connection in its parts, which are used at the same time.
pub(super) struct Parts<'e> {
    pub(super) line: &'e mut Line,
    pub(super) spare: &'e mut Spare,
    pub(super) buffer: &'e mut Buffer,
    pub(super) input: &'e mut Input,
}

impl Parts<'_> {
    /// The body of a request whose head was read.
    pub(super) fn begin_body(&mut self, head: &RequestHead) -> Body {
        self.input.received = 0;
        self.input.is_refused = false;
        self.input.to_continue = b"";
        let is_empty = match head.framing {
            Framing::None => true,
            // Nobody has to read it for the client's end to be seen. A stream of HTTP/2 has an end of its own.
            Framing::Length(0) => self.line.stream.lane().is_none(),
            _ => false,
        };
        if is_empty {
            // Its end is an event of its own.
            let _ = self.spare.decoder.handle_input(b"");
            return Body::empty();
        }
        let (inlet, body) = incoming(declared_length(head.framing));
        self.input.inlet = Some(inlet);
        self.input.since = Instant::now();
        if head.expect_continue {
            self.input.to_continue = CONTINUE;
        }
        Body::incoming(body)
    }

    /// Sends a part of a file, by way of `room` where the kernel cannot. False when not all of it could be sent.
    pub(super) async fn send_slice(&mut self, file: &File, offset: u64, len: u64, room: &mut [u8]) -> bool {
        let (timer, site) = (&self.line.timer, &self.line.site);
        let write_idle = site.settings().timeouts.write_idle;
        timer.set(Instant::now() + write_idle);
        let progress = |_| timer.set(Instant::now() + write_idle);
        let mut writer = self.line.stream.split().1;
        let mut sending = pin!(async {
            match writer.as_tcp() {
                Some(stream) => sendfile::send_all(stream, file, offset, len, progress).await,
                None => sendfile::copy_all(&mut writer, file, offset, len, room, progress).await,
            }
        });
        poll_fn(|cx| match sending.as_mut().poll(cx) {
            Poll::Ready(sent) => Poll::Ready(sent.is_ok()),
            Poll::Pending if site.is_stopping() => Poll::Ready(false),
            Poll::Pending => {
                ready!(timer.poll_expired(cx));
                site.note(Reason::WriteTimeout);
                Poll::Ready(false)
            }
        })
        .await
    }

    /// Does what the reader of the body waits for. Ready when it has something new to see.
    pub(super) fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(inlet) = &self.input.inlet
            && inlet.poll_wanted(cx).is_ready()
        {
            return self.poll_body(cx);
        }
        self.watch(cx);
        Poll::Pending
    }

    /// Finds out whether the client has gone, while nothing is expected of it.
    fn watch(&mut self, cx: &mut Context<'_>) {
        // What is left of the request, or follows it, hides the end, and is read in its turn. A stream of HTTP/2 has an
        // end that nothing hides.
        let is_hidden = self.input.inlet.is_some() || !self.buffer.is_empty();
        if self.input.is_over || (is_hidden && self.line.stream.lane().is_none()) {
            return;
        }
        if self.line.stream.poll_disturbed(cx).is_ready() {
            self.input.is_over = !matches!(self.line.stream.peek(), Ok(Some(1..) | None));
        }
    }

    /// Reads the next part of the body.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(lane) = self.line.stream.lane()
            && !std::mem::take(&mut self.input.to_continue).is_empty()
            && lane.respond(100, false, |_| {}).is_err()
        {
            self.lose();
            return Poll::Ready(());
        }
        while let [_, ..] = self.input.to_continue {
            match ready!(self.line.stream.split().1.poll_write(cx, self.input.to_continue)) {
                Ok(count @ 1..) => {
                    self.input.to_continue = self.input.to_continue.get(count..).unwrap_or_default()
                }
                _ => {
                    self.lose();
                    return Poll::Ready(());
                }
            }
        }
        loop {
            let step = match self.spare.decoder.handle_input(self.buffer.unread()) {
                Ok(step) => step,
                Err(error) => {
                    self.input.is_over = true;
                    self.end_body(Err(Error::new(Kind::Protocol(error.to_string()))));
                    return Poll::Ready(());
                }
            };
            let part = match step.event {
                Some(Event::Data(range)) => {
                    self.input.received += range.len() as u64;
                    Some(Part::Data(Bytes::copy_from_slice(
                        self.buffer.unread().get(range).unwrap_or_default(),
                    )))
                }
                Some(Event::Trailers) => {
                    Some(Part::Trailers(copied(self.spare.decoder.trailers(), self.buffer.unread())))
                }
                Some(Event::End) => {
                    self.buffer.consume(step.consumed);
                    self.end_body(Ok(()));
                    return Poll::Ready(());
                }
                Some(Event::Head | Event::Interim) | None => None,
            };
            self.buffer.consume(step.consumed);
            if let Some(part) = part {
                self.put(part);
                return Poll::Ready(());
            }
            match ready!(self.line.stream.split().0.poll_read(cx, self.buffer.room())) {
                Ok(count @ 1..) => self.buffer.filled(count),
                _ => {
                    self.lose();
                    return Poll::Ready(());
                }
            }
        }
    }

    /// Hands a part to whoever reads, unless it is too much or too slow.
    fn put(&mut self, part: Part) {
        let limits = &self.line.site.settings().limits;
        if let Some(inlet) = self.input.inlet.as_ref().filter(|inlet| inlet.is_free()) {
            return inlet.put(part);
        }
        if self.input.received > limits.body_bytes {
            let error = Error::new(Kind::TooLarge(limits.body_bytes));
            self.line.site.note(Reason::BodyTooLarge);
            return self.refuse_body(error);
        }
        let age = self.input.since.elapsed();
        if age > RATE_GRACE && self.input.received < limits.body_rate_min.saturating_mul(age.as_secs()) {
            self.line.site.note(Reason::BodyRate);
            return self.refuse_body(Error::new(Kind::Timeout("the body")));
        }
        if let Some(inlet) = &self.input.inlet {
            inlet.put(part);
        }
    }

    /// The handler gets an error; the rest of the body is still to come.
    pub(super) fn refuse_body(&mut self, error: Error) {
        self.input.is_refused = true;
        if let Some(inlet) = &self.input.inlet {
            inlet.end(Err(error));
        }
    }

    /// The body is complete, or nothing of it will come any more.
    fn end_body(&mut self, outcome: Result<(), Error>) {
        let is_complete = outcome.is_ok();
        if let Some(inlet) = &self.input.inlet {
            inlet.end(outcome);
        }
        // One that is not complete leaves the connection in the middle of a message.
        if is_complete {
            self.input.inlet = None;
        }
    }

    /// The connection is over, inside a body.
    fn lose(&mut self) {
        (self.input.is_over, self.input.is_lost) = (true, true);
        self.end_body(Err(Error::new(Kind::Disconnected)));
    }
}

/// Trailer fields with their bytes.
fn copied(fields: &Fields, block: &[u8]) -> Headers {
    let mut headers = Headers::default();
    for field in fields {
        let name = std::str::from_utf8(field.name.of(block)).unwrap_or_default();
        // What the codec has taken may be sent, too.
        let _ = headers.add(name, field.value.of(block));
    }
    headers
}
