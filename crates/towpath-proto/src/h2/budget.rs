//! Counters of what a peer may do only so often (T11, T12, T16).

use super::{Config, ConnectionError};
use crate::limits::{H2_CREDIT_COUNT_MAX, H2_RESETS_INTERVAL_MS, H2_WORKLESS_INTERVAL_MS};

/// The counters of one connection. Frames with work pay for some without in advance, so that a busy peer may ping and
/// open windows as often as its traffic asks for, and an idle one may not.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    resets: Rate,
    workless: Rate,
    credit_count: u32,
}

impl Budget {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            resets: Rate::new(config.resets_count_max, H2_RESETS_INTERVAL_MS),
            workless: Rate::new(config.workless_count_max, H2_WORKLESS_INTERVAL_MS),
            credit_count: 0,
        }
    }

    /// A frame with work came or went.
    pub(super) fn earn(&mut self, frames_count: u32) {
        self.credit_count = (self.credit_count + frames_count).min(H2_CREDIT_COUNT_MAX);
    }

    /// A frame without work, which frames with work pay for.
    pub(super) fn charge(&mut self, now_ms: u64) -> Result<(), ConnectionError> {
        match self.credit_count.checked_sub(1) {
            Some(left) => self.credit_count = left,
            None => return self.charge_strictly(now_ms),
        }
        Ok(())
    }

    /// A frame that no traffic asks for.
    pub(super) fn charge_strictly(&mut self, now_ms: u64) -> Result<(), ConnectionError> {
        if self.workless.add(now_ms) { Ok(()) } else { Err(ConnectionError::Workless) }
    }

    /// A stream ended in a reset, whoever sent it, and the peer is the cause.
    pub(super) fn count_reset(&mut self, now_ms: u64) -> Result<(), ConnectionError> {
        if self.resets.add(now_ms) { Ok(()) } else { Err(ConnectionError::Resets) }
    }
}

/// A count that begins anew after an interval.
#[derive(Clone, Debug)]
struct Rate {
    interval_ms: u64,
    count_max: u32,
    began_ms: u64,
    count: u32,
}

impl Rate {
    fn new(count_max: u32, interval_ms: u64) -> Self {
        Self { interval_ms, count_max, began_ms: 0, count: 0 }
    }

    /// Counts one. False when that was one too many.
    fn add(&mut self, now_ms: u64) -> bool {
        if self.count == 0 || now_ms.saturating_sub(self.began_ms) >= self.interval_ms {
            self.began_ms = now_ms;
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.count <= self.count_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_begins_anew_after_its_interval() {
        let mut rate = Rate::new(2, 1000);
        assert!(rate.add(5_500) && rate.add(5_600) && !rate.add(6_499));
        assert!(rate.add(6_500) && rate.add(6_500) && !rate.add(7_000));
        // A clock that goes backwards opens nothing.
        assert!(!rate.add(0));
    }

    #[test]
    fn work_pays_for_frames_without() {
        let mut budget = Budget::new(&Config { workless_count_max: 1, ..Config::default() });
        budget.earn(2);
        assert_eq!(budget.charge(0), Ok(()));
        assert_eq!(budget.charge_strictly(0), Ok(()));
        assert_eq!(budget.charge(0), Ok(()));
        assert_eq!(budget.charge(0), Err(ConnectionError::Workless));
    }
}
