//! How a response is sent: head, body in whatever form it has, trailers.

use std::collections::VecDeque;
use std::fs::File;
use std::future::poll_fn;
use std::io::IoSlice;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, ready};

use ::http::StatusCode;
use tokio::time::Instant;

use super::super::connection::Switch;
use super::super::output::{self, Encoded, Facts};
use super::super::{Reason, report, report_panic};
use super::{After, Exchange};
use crate::ctx::{CancelGuard, Cause};
use crate::files::Part as FilePart;
use crate::http::body::{Body, Part};
use crate::http::error::{Error, Kind};
use crate::http::headers::Headers;
use crate::http::respond::IntoResponse;
use crate::http::response::Response;

/// Bodies up to this go out in one piece with their head; larger ones are not copied.
const COPIED_BYTES_MAX: usize = 16 * 1024;

impl Exchange<'_> {
    /// Sends a response. `guard` is told when the client goes meanwhile. What takes the connection over is given back.
    pub(super) async fn send(
        &mut self,
        mut response: Response,
        facts: &Facts,
        guard: Option<&CancelGuard>,
        now: Instant,
    ) -> Result<Option<Switch>, After> {
        if let Some(fault) = response.fault() {
            report(&format!("a response was not sent: {fault}"));
            response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        let switch = response.take_switch();
        // RFC 9110 §15.2: an interim response is none.
        if response.status().is_informational() && switch.is_none() {
            report(&format!("a response was not sent: {} is no final status", response.status()));
            response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        let date = self.line.site.date(now);
        let encoded = match self.line.stream.lane() {
            Some(lane) => Encoded::respond(lane, &response, facts, &date, switch.is_some())
                .map_err(|_| self.break_off())?,
            None => Encoded::head(&mut self.parts().spare.out, &response, facts, &date, switch.is_some()),
        };
        let mut body = response.into_body();
        if let Some(files) = body.take_files().filter(|_| encoded.has_body) {
            self.write(b"").await?;
            self.send_files(files).await?;
            self.end_pieces(&encoded, None).await?;
        } else if encoded.has_body {
            if let (Some(lane), Some(_)) = (self.line.stream.lane(), body.as_whole()) {
                lane.expect_end();
            }
            match body.as_whole() {
                Some(whole) if whole.len() <= COPIED_BYTES_MAX => {
                    self.parts().spare.out.extend_from_slice(whole);
                    self.write(b"").await?;
                }
                Some(whole) => self.write(whole).await?,
                None => self.send_pieces(&mut body, &encoded, guard).await?,
            }
        } else {
            self.write(b"").await?;
        }
        match encoded.ends_by_close {
            true => Err(After::Close),
            false => Ok(switch),
        }
    }

    /// Sends files without reading them, where the kernel can.
    async fn send_files(&mut self, parts: VecDeque<FilePart>) -> Result<(), After> {
        for part in parts {
            match part {
                FilePart::Bytes(bytes) => self.write(&bytes).await?,
                FilePart::File { file, offset, len } => self.send_slice(&file, offset, len).await?,
            }
        }
        Ok(())
    }

    async fn send_slice(&mut self, file: &File, offset: u64, len: u64) -> Result<(), After> {
        let mut buffer = self.line.site.buffers.take();
        let sent = self.parts().send_slice(file, offset, len, buffer.room()).await;
        self.line.site.buffers.give(buffer);
        // A file that has become shorter cannot keep what the head says (RFC 9112 §8).
        if sent { Ok(()) } else { Err(self.break_off()) }
    }

    /// Sends a body as it is made.
    async fn send_pieces(
        &mut self,
        body: &mut Body,
        encoded: &Encoded,
        guard: Option<&CancelGuard>,
    ) -> Result<(), After> {
        let mut left = encoded.length;
        // The client sees the head before a body that may take its time.
        let mut has_head_waiting = true;
        loop {
            let part = poll_fn(|cx| self.poll_piece(body, guard, has_head_waiting, cx)).await;
            has_head_waiting = false;
            match part {
                None => self.write(b"").await?,
                Some(Ok(Some(Part::Data(data)))) => {
                    if let Some(left) = &mut left {
                        let count = data.len() as u64;
                        if count > *left {
                            report("a body is longer than it was said to be");
                            return Err(self.break_off());
                        }
                        *left -= count;
                    }
                    if data.is_empty() {
                        continue;
                    }
                    encoded.begin_piece(&mut self.parts().spare.out, data.len());
                    self.write(&data).await?;
                    encoded.end_piece(&mut self.parts().spare.out);
                }
                Some(Ok(Some(Part::Trailers(trailers)))) => {
                    return self.end_pieces(encoded, Some(&trailers)).await;
                }
                Some(Ok(None)) if left.is_some_and(|left| left > 0) => {
                    report("a body is shorter than it was said to be");
                    return Err(self.break_off());
                }
                Some(Ok(None)) => return self.end_pieces(encoded, None).await,
                // The client sees that it has not got all (RFC 9112 §8).
                Some(Err(error)) => {
                    if !error.is_disconnected() {
                        report(&format!("a body was broken off: {error}"));
                    }
                    return Err(self.break_off());
                }
            }
        }
    }

    /// What stands behind the last piece.
    async fn end_pieces(&mut self, encoded: &Encoded, trailers: Option<&Headers>) -> Result<(), After> {
        if let Some(lane) = self.line.stream.lane() {
            return output::end_lane(lane, trailers).map_err(|_| self.break_off());
        }
        encoded.end(&mut self.parts().spare.out, trailers);
        self.write(b"").await
    }

    fn break_off(&self) -> After {
        self.line.stream.reset_on_drop();
        After::Gone
    }

    /// The next piece of a response's body; `None` when there is none yet and something else is to be written.
    fn poll_piece(
        &mut self,
        body: &mut Body,
        guard: Option<&CancelGuard>,
        has_head_waiting: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Option<Part>, Error>>> {
        loop {
            match catch_unwind(AssertUnwindSafe(|| body.poll_part(cx))) {
                Ok(Poll::Ready(part)) => return Poll::Ready(Some(part)),
                Ok(Poll::Pending) => {}
                Err(panic) => {
                    report_panic(&*panic);
                    return Poll::Ready(Some(Err(Error::new(Kind::Own("its code panicked".to_owned())))));
                }
            }
            if self.parts().poll_input(cx).is_ready() {
                continue;
            }
            if self.input.is_over || self.line.site.is_stopping() {
                guard.into_iter().for_each(|guard| guard.cancel(Cause::ClientGone));
                return Poll::Ready(Some(Err(Error::new(Kind::Disconnected))));
            }
            if has_head_waiting {
                return Poll::Ready(None);
            }
            // Only to be woken when the server stops: a stream may be silent for as long as it likes.
            self.line.timer.clear();
            let _ = self.line.timer.poll_expired(cx);
            return Poll::Pending;
        }
    }

    /// Writes what is encoded, and `tail` behind it.
    async fn write(&mut self, tail: &[u8]) -> Result<(), After> {
        let mut written = 0;
        let mut is_waiting = false;
        let outcome = poll_fn(|cx| {
            let parts = self.parts();
            let head = &parts.spare.out;
            while written < head.len() + tail.len() {
                let slices = [
                    IoSlice::new(head.get(written..).unwrap_or_default()),
                    IoSlice::new(tail.get(written.saturating_sub(head.len())..).unwrap_or_default()),
                ];
                let mut writer = parts.line.stream.split().1;
                let outcome = match tail.is_empty() {
                    true => writer.poll_write(cx, &slices[0]),
                    false => writer.poll_write_vectored(cx, &slices),
                };
                match outcome {
                    Poll::Ready(Ok(count @ 1..)) => {
                        written += count;
                        is_waiting = false;
                    }
                    Poll::Ready(_) => return Poll::Ready(Err(After::Gone)),
                    Poll::Pending => {
                        if !std::mem::replace(&mut is_waiting, true) {
                            let timeout = parts.line.site.settings().timeouts.write_idle;
                            parts.line.timer.set(Instant::now() + timeout);
                        }
                        if !parts.line.site.is_stopping() {
                            ready!(parts.line.timer.poll_expired(cx));
                            parts.line.site.note(Reason::WriteTimeout);
                        }
                        parts.line.stream.reset_on_drop();
                        return Poll::Ready(Err(After::Gone));
                    }
                }
            }
            Poll::Ready(Ok(()))
        })
        .await;
        self.parts().spare.out.clear();
        outcome
    }
}
