//! When a program that crashed is started again, and which.

use std::time::{Duration, Instant};

/// The first pause, and the longest.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// So many crashes within this time are no accident.
const CRASHES_MAX: usize = 3;
const SPAN: Duration = Duration::from_secs(30);

/// What is to be done about a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Restart {
    pub(crate) after: Duration,
    /// Whether the former program is to be started instead.
    pub(crate) is_former: bool,
}

/// The crashes of one program.
#[derive(Debug, Default)]
pub(crate) struct Crashes {
    /// Those of the last [`SPAN`].
    times: Vec<Instant>,
    /// Without a pause as long as [`SPAN`] between them.
    streak: u32,
}

impl Crashes {
    pub(crate) fn crashed(&mut self, now: Instant) -> Restart {
        self.times.retain(|time| now.duration_since(*time) < SPAN);
        if self.times.is_empty() {
            self.streak = 0;
        }
        self.times.push(now);
        let after = PAUSE.saturating_mul(1 << self.streak.min(7)).min(PAUSE_MAX);
        self.streak += 1;
        Restart { after, is_former: self.times.len() >= CRASHES_MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_ten_seconds_and_end_with_a_quiet_time() {
        let mut crashes = Crashes::default();
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..9 {
            let restart = crashes.crashed(now);
            pauses.push(restart.after.as_millis());
            now += restart.after;
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
        now += SPAN;
        assert_eq!(crashes.crashed(now), Restart { after: PAUSE, is_former: false });
    }

    #[test]
    fn the_third_crash_within_thirty_seconds_brings_the_former_program_back() {
        let mut crashes = Crashes::default();
        let start = Instant::now();
        let is_former =
            [0, 10, 31, 35, 36].map(|second| crashes.crashed(start + Duration::from_secs(second)).is_former);
        assert_eq!(is_former, [false, false, false, true, true]);
    }
}
