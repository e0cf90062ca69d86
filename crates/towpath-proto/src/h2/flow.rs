//! Flow control (RFC 9113 §5.2, §6.9). A window belongs to one direction of a stream or of the connection.

use super::frame::MAX_31;

/// What the peer may still send us.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecvWindow {
    /// What the peer may send before the next update.
    available: u32,
    /// Done with and not yet announced.
    pending: u32,
    /// What the peer may have on the way at most.
    size: u32,
}

impl RecvWindow {
    pub(super) fn new(size: u32) -> Self {
        Self { available: size, pending: 0, size }
    }

    /// The peer has sent this much. False when it was not allowed to.
    #[must_use]
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        match u32::try_from(bytes).ok().and_then(|bytes| self.available.checked_sub(bytes)) {
            Some(available) => self.available = available,
            None => return false,
        }
        true
    }

    /// That much is done with. The increment to announce, once it is half of the window: updates for less are frames
    /// without work, for more the peer has to wait.
    #[must_use]
    pub(super) fn release(&mut self, bytes: usize) -> Option<u32> {
        self.pending = self.pending.saturating_add(u32::try_from(bytes).unwrap_or(MAX_31)).min(MAX_31);
        (self.pending > 0 && self.pending >= self.size / 2).then(|| self.announce())
    }

    /// Makes the window larger, never smaller: what the peer was promised stays. The increment to announce.
    #[must_use]
    pub(super) fn grow(&mut self, size: u32) -> Option<u32> {
        let size = size.min(MAX_31);
        if size <= self.size {
            return None;
        }
        self.pending += size - self.size;
        self.size = size;
        Some(self.announce())
    }

    fn announce(&mut self) -> u32 {
        // What is available, pending and held by the caller is never more than the size, which is no more than 2^31 - 1.
        let increment = std::mem::take(&mut self.pending);
        self.available += increment;
        increment
    }
}

/// What we may still send. Below zero after the peer made its windows smaller (RFC 9113 §6.9.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct SendWindow {
    available: i32,
}

impl SendWindow {
    pub(super) fn new(size: u32) -> Self {
        Self { available: i32::try_from(size).unwrap_or(i32::MAX) }
    }

    /// How much may be sent now.
    pub(super) fn available(self) -> usize {
        usize::try_from(self.available).unwrap_or(0)
    }

    /// This much was sent, no more than [`SendWindow::available`].
    pub(super) fn take(&mut self, bytes: usize) {
        self.available = self.available.saturating_sub_unsigned(bytes as u32);
    }

    /// The peer opens it, or a setting moves it. False when it would exceed 2^31 - 1.
    #[must_use]
    pub(super) fn shift(&mut self, delta: i64) -> bool {
        match i32::try_from(i64::from(self.available) + delta) {
            Ok(available) => self.available = available,
            Err(_) => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_come_at_half_a_window() {
        let mut window = RecvWindow::new(100);
        assert!(window.take(100));
        assert!(!window.take(1));
        assert_eq!(window.release(49), None);
        assert_eq!(window.release(1), Some(50));
        assert!(window.take(50));
        assert!(!window.take(1));
    }

    #[test]
    fn a_window_grows_and_never_shrinks() {
        let mut window = RecvWindow::new(100);
        assert_eq!(window.grow(50), None);
        assert_eq!(window.release(10), None);
        assert_eq!(window.grow(300), Some(210));
        assert_eq!(window.grow(u32::MAX), Some(MAX_31 - 300));
    }

    #[test]
    fn a_send_window_may_be_negative_and_not_too_large_rfc9113_6_9_2() {
        let mut window = SendWindow::new(100);
        window.take(60);
        assert!(window.shift(-80));
        assert_eq!(window.available(), 0);
        assert!(window.shift(41));
        assert_eq!(window.available(), 1);
        assert!(window.shift(i64::from(MAX_31) - 1));
        assert!(!window.shift(1));
        assert_eq!(window.available(), MAX_31 as usize);
    }
}
