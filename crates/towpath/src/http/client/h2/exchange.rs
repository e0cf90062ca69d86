//! One request and its response over one stream.
//!
//! As over HTTP/1.1 there is no task for it: whoever waits for the response, and later whoever reads its body, moves the
//! request's body too.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::http::{StatusCode, Version};
use bytes::Bytes;
use tokio::time::Instant;
use towpath_net::time::{Sleep, sleep_until};
use towpath_proto::h2::SendError;

use super::conn::{Opened, Permit, Received};
use super::lost::Lost;
use crate::Ctx;
use crate::http::body::{Body, Part, Pieces};
use crate::http::client::exchange::{CONTINUE_TIME, Failed, Repeat, mismatched};
use crate::http::client::head::{Framing, Head};
use crate::http::client::patience::Patience;
use crate::http::error::{Error, Kind};
use crate::http::request::declared_length;
use crate::http::response::Response;

/// A connection on which nothing has come for so long, since a request that ran out of time, may be dead: what is asked next
/// goes over another one.
const SILENCE_TIME: Duration = Duration::from_secs(1);

/// A request under way, or a response whose body is.
pub(in crate::http::client) struct Exchange {
    stream: Opened,
    upload: Upload,
    patience: Patience,
    declared: Option<u64>,
}

impl Exchange {
    /// Opens a stream with `head`, which `body` follows. With `waits`, the body waits for a word of the origin's.
    ///
    /// # Errors
    /// The connection is about to end, or the head cannot be said in HTTP/2.
    pub(in crate::http::client) fn new(
        permit: Permit,
        head: &Head,
        body: Body,
        waits: bool,
        ctx: &Ctx,
        idle: Duration,
    ) -> Result<Self, Failed> {
        let is_over = head.framing == Framing::Length(0);
        let stream = permit.open(head, is_over).map_err(|error| match error {
            SendError::Field => Failed {
                error: Error::with(Kind::Own("the request cannot be sent".to_owned()), error),
                repeat: Repeat::No,
            },
            _ => Failed { error: Lost::Unprocessed("it was never sent").to_error(), repeat: Repeat::Yes },
        })?;
        let left = match head.framing {
            Framing::Length(length) => Some(length),
            Framing::Open => None,
        };
        let waits = waits.then(|| sleep_until(Instant::now() + CONTINUE_TIME));
        let upload = Upload { body, data: Bytes::new(), left, waits, is_over };
        Ok(Self { stream, upload, patience: Patience::new(ctx, idle), declared: None })
    }

    /// Waits for the head of the response.
    pub(in crate::http::client) async fn run(mut self) -> Result<Response, Failed> {
        let received = std::future::poll_fn(|cx| self.poll_head(cx)).await?;
        self.respond(received).map_err(|error| Failed { error, repeat: Repeat::No })
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, Failed>> {
        let failed = |error| Failed { error, repeat: Repeat::No };
        self.poll_upload(cx).map_err(failed)?;
        match self.stream.poll_head(cx) {
            Poll::Ready(Ok(received)) => Poll::Ready(Ok(received)),
            Poll::Ready(Err(lost)) => {
                let repeat = match lost.wants_http1() && !self.stream.conn().keep_to_http1() {
                    true => Repeat::No,
                    false => lost.repeat(self.stream.is_reused),
                };
                Poll::Ready(Err(Failed { error: lost.to_error(), repeat }))
            }
            Poll::Pending => self.poll_patience("the response", cx).map_err(failed),
        }
    }

    fn respond(mut self, received: Received) -> Result<Response, Error> {
        let Received { status, framing, headers } = received;
        let status = StatusCode::from_u16(status)
            .map_err(|error| Error::with(Kind::Protocol("the status is none".to_owned()), error))?;
        self.declared = declared_length(framing);
        // One that is all here gives its place to the next request before it is read.
        let body = match self.stream.take_whole() {
            Some(whole) => whole.into(),
            None => Body::pieces(Box::new(Incoming(Some(Box::new(self))))),
        };
        Ok(Response::received(Version::HTTP_2, status, headers, body))
    }

    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Part>, Error>> {
        self.poll_upload(cx)?;
        match self.stream.poll_part(cx) {
            Poll::Ready(outcome) => Poll::Ready(outcome.map_err(Lost::to_error)),
            Poll::Pending => self.poll_patience("the response's body", cx),
        }
    }

    /// Moves what can go of the request's body. An error is of the program's own.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        if self.upload.waits.is_some() && self.stream.may_go_on() {
            self.upload.waits = None;
        }
        match self.upload.poll(&self.stream, &mut self.patience.since, cx) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => Ok(()),
        }
    }

    fn poll_patience<T>(&mut self, part: &'static str, cx: &mut Context<'_>) -> Poll<Result<T, Error>> {
        self.patience.since = self.patience.since.max(self.stream.heard_at());
        let error = ready!(self.patience.poll::<T>(part, cx)).err();
        let is_late = error.as_ref().is_some_and(Error::is_timeout);
        if is_late && self.stream.silence(Instant::now()) >= SILENCE_TIME {
            self.stream.conn().retire();
        }
        error.map_or(Poll::Pending, |error| Poll::Ready(Err(error)))
    }
}

/// Where the body of a response comes from.
struct Incoming(Option<Box<Exchange>>);

impl Pieces for Incoming {
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Part>, Error>> {
        let Some(exchange) = &mut self.0 else { return Poll::Ready(Ok(None)) };
        let part = ready!(exchange.poll_part(cx));
        if !matches!(part, Ok(Some(_))) {
            self.0 = None;
        }
        Poll::Ready(part)
    }

    fn length(&self) -> Option<u64> {
        self.0.as_ref().map_or(Some(0), |exchange| exchange.declared)
    }
}

/// A request's body on its way out.
struct Upload {
    body: Body,
    /// What was taken out of it and does not fit the windows yet.
    data: Bytes,
    /// How much is still to come, if that was said.
    left: Option<u64>,
    /// The body waits for a word of the origin's, at most for so long.
    waits: Option<Sleep>,
    is_over: bool,
}

impl Upload {
    fn poll(
        &mut self,
        stream: &Opened,
        progress: &mut Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        while !self.is_over {
            if !self.data.is_empty() {
                let is_last = self.left == Some(0);
                match ready!(stream.poll_send(&mut self.data, is_last, cx)) {
                    Ok(_) => *progress = Instant::now(),
                    // Nobody wants the rest. What the origin has answered is read.
                    Err(_) => self.is_over = true,
                }
                self.is_over |= is_last && self.data.is_empty();
                continue;
            }
            if let Some(waits) = &mut self.waits {
                ready!(Pin::new(waits).poll(cx));
                self.waits = None;
            }
            match ready!(self.body.poll_part(cx))? {
                Some(Part::Data(data)) => {
                    if let Some(left) = &mut self.left {
                        *left = left.checked_sub(data.len() as u64).ok_or_else(|| mismatched("longer"))?;
                    }
                    self.data = data;
                }
                end => {
                    if self.left.is_some_and(|left| left > 0) {
                        return Poll::Ready(Err(mismatched("shorter")));
                    }
                    let trailers = match &end {
                        Some(Part::Trailers(trailers)) => Some(trailers),
                        _ => None,
                    };
                    stream.send_end(trailers);
                    self.is_over = true;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}
