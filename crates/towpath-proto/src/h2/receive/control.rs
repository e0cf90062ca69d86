//! The short frames: RST_STREAM, WINDOW_UPDATE, SETTINGS, PING, GOAWAY (RFC 9113 §6.4 to §6.9).

use super::{Outcome, Reading, Taken};
use crate::h2::connection::{Connection, DRAIN_PING, Drain};
use crate::h2::flow::SendWindow;
use crate::h2::frame::{self, ACK, FrameHead, Kind};
use crate::h2::settings::SETTING_BYTES;
use crate::h2::stream::{Recv, Send, Standing, Stream};
use crate::h2::{ConnectionError, ErrorCode, Event, Role, StreamFault, StreamId};
use crate::limits::H2_WINDOW_BYTES_MIN;

/// What is left of a SETTINGS frame.
#[derive(Clone, Copy, Debug)]
pub(in crate::h2) struct Settings {
    remaining: usize,
    /// The peer's stream window before the frame.
    window_before: u32,
}

impl Connection {
    /// RFC 9113 §6.4.
    pub(super) fn handle_reset(&mut self, now_ms: u64, id: u32, prefix: &[u8]) -> Outcome<Option<Event>> {
        if self.standing(id) == Standing::Idle {
            return Err(ConnectionError::StreamIdle);
        }
        let code = ErrorCode::of(number(prefix));
        let Some(stream) = self.streams.get_mut(id) else { return self.ignore(now_ms) };
        let recv = std::mem::replace(&mut stream.recv, Recv::Gone);
        stream.send = Send::Ended;
        match recv {
            Recv::Gone | Recv::Cut => return self.ignore(now_ms),
            // RFC 9113 §8.1: a server that has answered in full asks for the rest of the request to stay away. That is
            // how some end every exchange.
            Recv::Ended if self.role == Role::Client && code == ErrorCode::NoError => {
                self.budget.charge(now_ms)?;
            }
            _ => self.budget.count_reset(now_ms)?,
        }
        Ok(Some(Event::Reset { stream: StreamId(id), code, fault: None }))
    }

    /// A frame that crossed the end of its stream.
    fn ignore(&mut self, now_ms: u64) -> Outcome<Option<Event>> {
        self.budget.charge(now_ms).map(|()| None)
    }

    /// RFC 9113 §6.9.
    pub(super) fn handle_window_update(
        &mut self,
        now_ms: u64,
        id: u32,
        prefix: &[u8],
    ) -> Outcome<Option<Event>> {
        let increment = number(prefix) & frame::MAX_31;
        match id {
            0 => self.open_connection(now_ms, increment),
            _ => self.open_stream(now_ms, id, increment),
        }
    }

    fn open_connection(&mut self, now_ms: u64, increment: u32) -> Outcome<Option<Event>> {
        if increment == 0 {
            return Err(ConnectionError::WindowIncrement);
        }
        if !self.send_window.shift(increment.into()) {
            return Err(ConnectionError::WindowOverflow);
        }
        self.charge_update(now_ms, self.send_window)?;
        let is_wanted = std::mem::take(&mut self.wants_window);
        Ok(is_wanted.then_some(Event::WindowOpen { stream: None }))
    }

    fn open_stream(&mut self, now_ms: u64, id: u32, increment: u32) -> Outcome<Option<Event>> {
        if self.standing(id) == Standing::Idle {
            return Err(ConnectionError::StreamIdle);
        }
        let Some(stream) = self.streams.get_mut(id).filter(|stream| stream.send != Send::Ended) else {
            return self.ignore(now_ms);
        };
        if increment == 0 {
            return self.fail_stream(now_ms, id, StreamFault::WindowIncrement);
        }
        if !stream.send_window.shift(increment.into()) {
            return self.fail_stream(now_ms, id, StreamFault::WindowOverflow);
        }
        let (window, is_awaited) = (stream.send_window, is_awaited(stream));
        self.charge_update(now_ms, window)?;
        Ok(is_awaited.then_some(Event::WindowOpen { stream: Some(StreamId(id)) }))
    }

    /// Updates belong to traffic, but for those that keep a window all but shut.
    fn charge_update(&mut self, now_ms: u64, window: SendWindow) -> Outcome<()> {
        if window.available() < H2_WINDOW_BYTES_MIN {
            return self.budget.charge_strictly(now_ms);
        }
        self.budget.charge(now_ms)
    }

    pub(super) fn handle_settings_ack(&mut self) -> Outcome<Option<Event>> {
        let left = self.unacknowledged_count.checked_sub(1);
        self.unacknowledged_count = left.ok_or(ConnectionError::Settings)?;
        Ok(None)
    }

    /// RFC 9113 §6.5.
    pub(super) fn begin_settings(&mut self, now_ms: u64, head: &FrameHead) -> Outcome<Option<Event>> {
        if std::mem::replace(&mut self.has_peer_settings, true) {
            self.budget.charge_strictly(now_ms)?;
        }
        let window_before = self.peer.stream_window_bytes;
        self.reading = Reading::RecvSettings(Settings { remaining: head.length, window_before });
        Ok(None)
    }

    pub(super) fn take_setting(&mut self, input: &[u8], settings: Settings) -> Outcome<Taken> {
        let Some(remaining) = settings.remaining.checked_sub(SETTING_BYTES) else {
            self.reading = Reading::ExpectFrame;
            self.apply_settings(settings.window_before)?;
            return Ok(Taken::go_on(0, Some(Event::Settings)));
        };
        let Some(setting) = input.first_chunk::<SETTING_BYTES>() else { return Ok(Taken::need_more(0)) };
        self.peer.take(setting, self.role)?;
        self.reading = Reading::RecvSettings(Settings { remaining, ..settings });
        Ok(Taken::go_on(SETTING_BYTES, None))
    }

    /// RFC 9113 §6.9.2: the windows of all streams move by the difference, below zero if need be. Once for the whole
    /// frame, which may name the setting thousands of times.
    fn apply_settings(&mut self, window_before: u32) -> Outcome<()> {
        let delta = i64::from(self.peer.stream_window_bytes) - i64::from(window_before);
        if delta != 0 && !self.streams.iter_mut().all(|stream| stream.send_window.shift(delta)) {
            return Err(ConnectionError::WindowOverflow);
        }
        self.count_reply()?;
        frame::encode_head(0, Kind::Settings, ACK, 0, &mut self.owed.bytes);
        Ok(())
    }

    /// RFC 9113 §6.7.
    pub(super) fn handle_ping(
        &mut self,
        now_ms: u64,
        head: &FrameHead,
        prefix: &[u8],
    ) -> Outcome<Option<Event>> {
        self.budget.charge(now_ms)?;
        let payload = prefix.first_chunk::<8>().copied().unwrap_or_default();
        if !head.has(ACK) {
            self.count_reply()?;
            frame::encode_ping(ACK, payload, &mut self.owed.bytes);
            return Ok(None);
        }
        if payload == DRAIN_PING && self.drain == Drain::Announced {
            self.finish_drain();
            return Ok(None);
        }
        Ok(Some(Event::Pong(payload)))
    }

    /// RFC 9113 §6.8. The number may only fall.
    pub(super) fn handle_go_away(&mut self, now_ms: u64, prefix: &[u8]) -> Outcome<Option<Event>> {
        self.budget.charge_strictly(now_ms)?;
        let last = number(prefix) & frame::MAX_31;
        let code = ErrorCode::of(number(prefix.get(4..).unwrap_or_default()));
        if self.peer_last.is_some_and(|before| last > before) {
            return Err(ConnectionError::GoAway);
        }
        self.peer_last = Some(last);
        Ok(Some(Event::GoAway { last, code }))
    }
}

/// Whether the caller waits for this stream and can go on.
fn is_awaited(stream: &mut Stream) -> bool {
    stream.send_window.available() > 0 && std::mem::take(&mut stream.wants_window)
}

/// The number in the first four bytes.
fn number(prefix: &[u8]) -> u32 {
    prefix.first_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}
