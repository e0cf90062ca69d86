//! What control frames carry (§5.5), and how many of them are too many.

use super::head::CONTROL_BYTES_MAX;
use super::{Mask, WsError};
use crate::limits::{WS_CONTROL_COUNT_MAX, WS_CONTROL_INTERVAL_MS};

/// The payload of a control frame: 125 bytes at most, held here because it may arrive in pieces.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Control {
    bytes: [u8; CONTROL_BYTES_MAX],
    length: u8,
}

impl Control {
    /// The payload.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// A payload that is whole, as it came.
    pub(super) fn unmasked(masked: &[u8], mut mask: Mask) -> Self {
        let mut control = Self::default();
        control.push(masked);
        mask.apply(control.bytes.get_mut(..usize::from(control.length)).unwrap_or_default());
        control
    }

    /// Adds what fits; a head was refused if its payload would not.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let room = self.bytes.iter_mut().skip(usize::from(self.length));
        let pushed = room.zip(bytes).map(|(slot, byte)| *slot = *byte).count();
        self.length += pushed as u8;
    }
}

impl Default for Control {
    fn default() -> Self {
        Self { bytes: [0; CONTROL_BYTES_MAX], length: 0 }
    }
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Control({})", self.as_bytes().escape_ascii())
    }
}

/// Counts a peer's control frames: each costs it a few bytes and us an answer (T54).
///
/// Whoever drives a [`super::Decoder`] charges it with each ping and pong, since it is the driver that has a
/// clock. Default: [`WS_CONTROL_COUNT_MAX`] in [`WS_CONTROL_INTERVAL_MS`].
#[derive(Clone, Copy, Debug)]
pub struct ControlMeter {
    count_max: u32,
    interval_ms: u64,
    count: u32,
    interval_start_ms: u64,
}

impl ControlMeter {
    /// Allows `count_max` frames in each interval of `interval_ms` milliseconds.
    pub fn new(count_max: u32, interval_ms: u64) -> Self {
        Self { count_max, interval_ms, count: 0, interval_start_ms: 0 }
    }

    /// Counts one frame that came at `now_ms`, milliseconds of any clock that does not go back.
    ///
    /// # Errors
    /// [`WsError::ControlFlood`] when it is one too many.
    pub fn charge(&mut self, now_ms: u64) -> Result<(), WsError> {
        if now_ms.saturating_sub(self.interval_start_ms) >= self.interval_ms {
            self.interval_start_ms = now_ms;
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        if self.count > self.count_max { Err(WsError::ControlFlood) } else { Ok(()) }
    }
}

impl Default for ControlMeter {
    fn default() -> Self {
        Self::new(WS_CONTROL_COUNT_MAX, WS_CONTROL_INTERVAL_MS)
    }
}
