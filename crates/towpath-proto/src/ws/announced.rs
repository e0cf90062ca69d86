//! What the heads of a message's frames have announced (T54).

use super::WsError;
use crate::limits::{WS_FRAGMENT_BYTES_MEAN_MIN, WsLimits};

/// The frames of one message so far, and the payload bytes that their heads have announced.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Announced {
    frames_count: u64,
    bytes: u64,
}

impl Announced {
    /// Charges a frame before any of it is taken.
    pub(super) fn charge(&mut self, payload_bytes: u64, limits: &WsLimits) -> Result<(), WsError> {
        if payload_bytes > limits.frame_bytes_max {
            return Err(WsError::FrameTooLarge);
        }
        self.bytes = self.bytes.saturating_add(payload_bytes);
        self.frames_count = self.frames_count.saturating_add(1);
        if self.bytes > limits.message_bytes_max {
            return Err(WsError::MessageTooLarge);
        }
        let charged_count = self.frames_count.saturating_sub(limits.fragments_free_count);
        if charged_count.saturating_mul(WS_FRAGMENT_BYTES_MEAN_MIN) > self.bytes {
            return Err(WsError::FragmentsTooMany);
        }
        Ok(())
    }
}
