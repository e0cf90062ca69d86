//! Whether a side that says nothing is still there.

use tokio::time::Instant;

use crate::plan::Ping;

/// What is known of a side.
///
/// ```text
///   Beating ── silent for `idle` ──> Asking ── our ping has gone ──> Asked ── silent for `timeout` ──> given up
///      ^─────────────────────── anything heard of it ────────────────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pulse {
    /// It was heard of then.
    Beating(Instant),
    /// A ping is due and waits for the end of a frame: until it has gone nobody can answer.
    Asking,
    /// The ping went then.
    Asked(Instant),
}

/// What a deadline came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Ask,
    GiveUp,
}

impl Pulse {
    /// When something is due, if nothing is heard until then.
    pub(super) fn deadline(self, ping: Ping) -> Option<Instant> {
        match self {
            Self::Beating(at) => Some(at + ping.idle),
            Self::Asking => None,
            Self::Asked(at) => Some(at + ping.timeout),
        }
    }

    /// What is due now.
    pub(super) fn handle_time(&mut self, ping: Ping, now: Instant) -> Due {
        if self.deadline(ping).is_none_or(|deadline| deadline > now) {
            return Due::Nothing;
        }
        match self {
            Self::Beating(_) => {
                *self = Self::Asking;
                Due::Ask
            }
            Self::Asking | Self::Asked(_) => Due::GiveUp,
        }
    }

    /// Whether something was heard of the side, and whether frames of our own have gone to it.
    pub(super) fn handle_signs(&mut self, heard: bool, spoken: bool, now: Instant) {
        match self {
            _ if heard => *self = Self::Beating(now),
            Self::Asking if spoken => *self = Self::Asked(now),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn who_was_asked_has_its_time_from_when_the_question_went() {
        let ping = Ping { idle: Duration::from_secs(30), timeout: Duration::from_secs(10) };
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pulse = Pulse::Beating(start);
        assert_eq!(pulse.handle_time(ping, at(29)), Due::Nothing);
        assert_eq!(pulse.handle_time(ping, at(30)), Due::Ask);
        // A frame to the side is under way, and a slow one.
        assert_eq!((pulse.deadline(ping), pulse.handle_time(ping, at(300))), (None, Due::Nothing));
        pulse.handle_signs(false, true, at(300));
        assert_eq!((pulse.deadline(ping), pulse.handle_time(ping, at(309))), (Some(at(310)), Due::Nothing));
        let mut silent = pulse;
        assert_eq!(silent.handle_time(ping, at(310)), Due::GiveUp);
        pulse.handle_signs(true, true, at(309));
        assert_eq!(pulse, Pulse::Beating(at(309)));
    }
}
