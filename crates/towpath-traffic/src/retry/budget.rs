//! A bound on retries, so that an upstream in trouble does not get more work than one in health.

/// Retries may make up this share of the requests of the last ten seconds.
pub const BUDGET_RATIO_PERCENT: u64 = 20;

/// Retries that are always allowed, per second: at low traffic a percentage would forbid them all.
pub const BUDGET_RETRIES_PER_SECOND_MIN: u64 = 3;

/// How far back the share looks. Long enough to smooth bursts, short enough that a busy minute does not pay for a storm.
const WINDOW_SECONDS: usize = 10;

const SECOND_US: u64 = 1_000_000;

/// Counts requests and retries of the last seconds. One per upstream and worker; no allocation.
#[derive(Clone, Debug, Default)]
pub struct Budget {
    slots: [Slot; WINDOW_SECONDS],
    retries_total: u64,
    refused_total: u64,
}

/// One second's counts. A slot whose second is not within the window counts as empty.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    second: u64,
    requests: u64,
    retries: u64,
}

impl Budget {
    /// An empty budget.
    pub fn new() -> Self {
        Self::default()
    }

    /// A request arrived, to be counted once however often it is tried.
    pub fn on_request(&mut self, now_us: u64) {
        self.slot(now_us).requests += 1;
    }

    /// Whether a retry may be made now; if so it is counted.
    pub fn try_retry(&mut self, now_us: u64) -> bool {
        let second = now_us / SECOND_US;
        let recent =
            self.slots.iter().filter(|slot| second.saturating_sub(slot.second) < WINDOW_SECONDS as u64);
        let (requests, retries) = recent
            .fold((0, 0), |(requests, retries), slot| (requests + slot.requests, retries + slot.retries));
        let this_second = self.slot(now_us).retries;
        let allowed = this_second < BUDGET_RETRIES_PER_SECOND_MIN
            || (retries + 1) * 100 <= requests * BUDGET_RATIO_PERCENT;
        self.count(now_us, allowed);
        allowed
    }

    fn count(&mut self, now_us: u64, allowed: bool) {
        if allowed {
            self.slot(now_us).retries += 1;
            self.retries_total += 1;
        } else {
            self.refused_total += 1;
        }
    }

    /// Retries allowed since the start.
    pub fn retries_total(&self) -> u64 {
        self.retries_total
    }

    /// Retries refused since the start.
    pub fn refused_total(&self) -> u64 {
        self.refused_total
    }

    fn slot(&mut self, now_us: u64) -> &mut Slot {
        let second = now_us / SECOND_US;
        let slot = &mut self.slots[(second % WINDOW_SECONDS as u64) as usize];
        if slot.second != second {
            *slot = Slot { second, ..Slot::default() };
        }
        slot
    }
}
