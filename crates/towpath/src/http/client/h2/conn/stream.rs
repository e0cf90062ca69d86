//! One stream of a connection, as its request sees it.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::time::Instant;
use towpath_proto::h2::{SendError, StreamId};

use super::{Conn, Received, Slot, State};
use crate::http::body::Part;
use crate::http::client::h2::CONNECTION_WINDOW_BYTES;
use crate::http::client::h2::lost::Lost;
use crate::http::client::head::Head;
use crate::http::headers::Headers;
use crate::http2::{OUTPUT_BYTES_MAX, STREAM_WINDOW_BYTES_MAX, Window, lines_of};

/// The right to open one stream. Dropped, it goes to another.
pub(in crate::http::client) struct Permit {
    pub(super) conn: Arc<Conn>,
    pub(super) is_spent: bool,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let driver = {
            let mut state = self.conn.lock();
            state.reserved -= 1;
            state.wake_driver()
        };
        if !self.is_spent {
            driver.into_iter().for_each(Waker::wake);
            self.conn.group.freed();
        }
    }
}

impl Permit {
    pub(in crate::http::client) fn conn(&self) -> &Arc<Conn> {
        &self.conn
    }

    /// Opens the stream with the head of a request; with `end` it is all of it.
    ///
    /// # Errors
    /// See [`Connection::encode_request`]. The connection may have ended meanwhile.
    pub(in crate::http::client::h2) fn open(mut self, head: &Head, end: bool) -> Result<Opened, SendError> {
        let mut guard = self.conn.lock();
        let state = &mut *guard;
        if state.is_leaving {
            return Err(SendError::Unavailable);
        }
        let id = state.codec.encode_request(&head.as_http2(), end, &mut state.out, |fields| {
            lines_of(head.fields()).for_each(|(name, value)| fields.field(name, value));
        })?;
        let now = Instant::now();
        let window = Window::new();
        state.granted_bytes += window.bytes();
        state.slots.push(Slot {
            id,
            head: None,
            may_go_on: false,
            inbox: BytesMut::new(),
            trailers: None,
            is_complete: false,
            lost: None,
            window,
            since: now,
            waker: None,
        });
        let is_reused = std::mem::replace(&mut state.is_used, true);
        let driver = state.wake_driver();
        drop(guard);
        driver.into_iter().for_each(Waker::wake);
        self.is_spent = true;
        Ok(Opened { conn: Arc::clone(&self.conn), id, since: now, is_reused })
    }
}

/// A stream that we have opened. Dropped before both messages are complete, it is reset with CANCEL, and its connection goes
/// on (R32).
pub(in crate::http::client) struct Opened {
    conn: Arc<Conn>,
    id: StreamId,
    since: Instant,
    /// Its connection has carried a request before.
    pub(in crate::http::client::h2) is_reused: bool,
}

impl Drop for Opened {
    fn drop(&mut self) {
        let driver = {
            let mut state = self.conn.lock();
            state.codec.finish(self.id);
            if let Ok(place) = state.slots.binary_search_by_key(&self.id, |slot| slot.id) {
                let slot = state.slots.remove(place);
                state.granted_bytes = state.granted_bytes.saturating_sub(slot.window.bytes());
            }
            state.wake_driver()
        };
        driver.into_iter().for_each(Waker::wake);
        self.conn.group.freed();
    }
}

impl Opened {
    pub(in crate::http::client::h2) fn conn(&self) -> &Arc<Conn> {
        &self.conn
    }

    /// Looks at the stream, or waits until something changes.
    fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        look: impl FnOnce(&mut State, StreamId) -> Poll<Result<T, Lost>>,
    ) -> Poll<Result<T, Lost>> {
        let mut state = self.conn.lock();
        let outcome = look(&mut state, self.id);
        if outcome.is_pending()
            && let Some(slot) = state.slot(self.id)
        {
            slot.waker = Some(cx.waker().clone());
        }
        let driver = if outcome.is_ready() { state.wake_driver() } else { None };
        drop(state);
        driver.into_iter().for_each(Waker::wake);
        outcome
    }

    /// The head of the response, once.
    pub(in crate::http::client::h2) fn poll_head(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Received, Lost>> {
        self.poll(cx, |state, id| {
            let Some(slot) = state.slot(id) else { return Poll::Ready(Err(Lost::Gone(None))) };
            match (slot.head.take(), slot.lost) {
                (Some(head), _) => Poll::Ready(Ok(head)),
                (None, Some(lost)) => Poll::Ready(Err(lost)),
                (None, None) => Poll::Pending,
            }
        })
    }

    /// The next part of the response's body; `None` at its end.
    pub(in crate::http::client::h2) fn poll_part(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Part>, Lost>> {
        self.poll(cx, |state, id| {
            let granted_bytes = state.granted_bytes;
            let Some(slot) = state.slot(id) else { return Poll::Ready(Err(Lost::Gone(None))) };
            if slot.inbox.is_empty() {
                return match (slot.trailers.take(), slot.is_complete, slot.lost) {
                    (Some(trailers), ..) => Poll::Ready(Ok(Some(Part::Trailers(trailers)))),
                    (None, true, _) => Poll::Ready(Ok(None)),
                    (None, false, Some(lost)) => Poll::Ready(Err(lost)),
                    (None, false, None) => Poll::Pending,
                };
            }
            let data = slot.inbox.split().freeze();
            let before = slot.window.bytes();
            let spare = CONNECTION_WINDOW_BYTES.saturating_sub(granted_bytes);
            let max = STREAM_WINDOW_BYTES_MAX.min(before.saturating_add(spare));
            let grown = if slot.is_complete { None } else { slot.window.grow(data.len(), max) };
            state.codec.release(id, data.len());
            if let Some(bytes) = grown {
                state.granted_bytes += bytes - before;
                state.codec.set_stream_window(id, bytes);
            }
            Poll::Ready(Ok(Some(Part::Data(data))))
        })
    }

    /// All of the body, if it is here and has no trailers.
    pub(in crate::http::client::h2) fn take_whole(&self) -> Option<Bytes> {
        let mut state = self.conn.lock();
        let slot = state.slot(self.id).filter(|slot| slot.is_complete && slot.trailers.is_none())?;
        Some(std::mem::take(&mut slot.inbox).freeze())
    }

    /// Sends what fits of `data`; with `is_last`, the message is complete with its end. How much that was. An error says that
    /// nobody wants it.
    pub(in crate::http::client::h2) fn poll_send(
        &self,
        data: &mut Bytes,
        is_last: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize, Lost>> {
        self.poll(cx, |state, id| {
            if let Some(lost) = state.slot(id).and_then(|slot| slot.lost) {
                return Poll::Ready(Err(lost));
            }
            state.is_crowded |= state.out.len() >= OUTPUT_BYTES_MAX;
            let room = if state.is_crowded { 0 } else { state.codec.send_data_len_max(id) };
            if room == 0 {
                return Poll::Pending;
            }
            let count = room.min(data.len());
            let end = is_last && count == data.len();
            let piece = data.get(..count).unwrap_or_default();
            let sent = state.codec.encode_data(id, piece, end, &mut state.out);
            data.advance(count);
            // Only a stream that was reset meanwhile takes no data that fits its window.
            Poll::Ready(sent.map(|()| count).map_err(|_| Lost::Gone(None)))
        })
    }

    /// Ends the request's body, with trailers if there are some.
    pub(in crate::http::client::h2) fn send_end(&self, trailers: Option<&Headers>) {
        let driver = {
            let mut guard = self.conn.lock();
            let state = &mut *guard;
            // A stream that was reset has ended already.
            let _ = match trailers {
                None => state.codec.encode_data(self.id, b"", true, &mut state.out),
                Some(trailers) => state.codec.encode_trailers(self.id, &mut state.out, |fields| {
                    trailers.raw().for_each(|(name, value)| fields.field(name, value));
                }),
            };
            state.wake_driver()
        };
        driver.into_iter().for_each(Waker::wake);
    }

    /// Whether the origin has asked for the body.
    pub(in crate::http::client::h2) fn may_go_on(&self) -> bool {
        self.conn.lock().slot(self.id).is_some_and(|slot| slot.may_go_on)
    }

    /// When something came for the stream last.
    pub(in crate::http::client::h2) fn heard_at(&self) -> Instant {
        self.conn.lock().slot(self.id).map_or(self.since, |slot| slot.since)
    }

    /// For how long the whole connection has been silent since the request went out; zero if it has not.
    pub(in crate::http::client::h2) fn silence(&self, now: Instant) -> Duration {
        match self.conn.lock().heard_at <= self.since {
            true => now.saturating_duration_since(self.since),
            false => Duration::ZERO,
        }
    }
}
