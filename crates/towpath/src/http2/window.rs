//! The receive window of a stream, which grows with its speed.

use std::time::Duration;

use tokio::time::Instant;
use towpath_proto::limits::{H2_CONNECTION_WINDOW_BYTES, H2_STREAM_WINDOW_BYTES};

/// A window that was used up within this time is too small: at this round trip it would bound the stream.
const GROWTH_TIME: Duration = Duration::from_millis(200);

/// The largest window of a stream.
pub(crate) const STREAM_WINDOW_BYTES_MAX: u32 = H2_CONNECTION_WINDOW_BYTES;

/// The receive window of a stream, as announced.
#[derive(Debug)]
pub(crate) struct Window {
    bytes: u32,
    /// How much was read since then.
    used: u32,
    since: Option<Instant>,
}

impl Window {
    /// The one that every stream begins with.
    pub(crate) fn new() -> Self {
        Self { bytes: H2_STREAM_WINDOW_BYTES, used: 0, since: None }
    }

    pub(crate) fn bytes(&self) -> u32 {
        self.bytes
    }

    /// `count` bytes were read. Returns the size to have from now on, at most `max`, if it is another.
    pub(crate) fn grow(&mut self, count: usize, max: u32) -> Option<u32> {
        self.used = self.used.saturating_add(count as u32);
        if self.since.is_some() && self.used < self.bytes {
            return None;
        }
        let now = Instant::now();
        let is_fast = self.since.replace(now).is_some_and(|since| now - since < GROWTH_TIME);
        self.used = 0;
        let bytes = self.bytes.saturating_mul(2).min(max);
        if !is_fast || bytes <= self.bytes {
            return None;
        }
        self.bytes = bytes;
        Some(self.bytes)
    }
}
