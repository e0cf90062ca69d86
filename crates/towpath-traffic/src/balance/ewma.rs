//! Peak EWMA: a latency estimate that believes bad news at once and good news slowly.

/// How long the estimate remembers: after this time without news, it has fallen to about a third (1/e).
const MEMORY_US: f64 = 10_000_000.0;

/// What an endpoint without any history is taken for when its first request fails. Until then it is not compared.
const START_US: f64 = 1_000.0;

/// A failure counts as this many times the present estimate: an endpoint that refuses quickly must not look fast.
const FAILURE_FACTOR: f64 = 4.0;

/// The estimate never exceeds a minute, so that one stuck request does not ban its endpoint for the rest of the day.
const ESTIMATE_MAX_US: f64 = 60_000_000.0;

/// The estimate for one endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Latency {
    estimate_us: f64,
    /// Since when the estimate has been fading: the last observation.
    moved_us: Option<u64>,
    is_known: bool,
}

impl Latency {
    /// The starting value of a new endpoint beside `others`: the mean of those with a history.
    pub(crate) fn mean<'a>(others: impl Iterator<Item = &'a Self>) -> Self {
        let (sum, count) = others
            .filter(|latency| latency.is_known)
            .fold((0.0, 0.0), |(sum, count), latency| (sum + latency.estimate_us, count + 1.0));
        let estimate_us = if count > 0.0 { sum / count } else { START_US };
        Self { estimate_us, moved_us: None, is_known: false }
    }

    /// Whether there has been an observation.
    pub(crate) fn is_known(&self) -> bool {
        self.is_known
    }

    /// The estimate at `now_us`. It fades without news, so that a slow endpoint is tried again some day.
    pub(crate) fn at(&self, now_us: u64) -> f64 {
        self.estimate_us * self.remembered(now_us)
    }

    #[inline(never)]
    pub(crate) fn observe(&mut self, now_us: u64, latency_us: u64, ok: bool) {
        let present = self.at(now_us);
        let seen = if ok { latency_us as f64 } else { (latency_us as f64).max(present * FAILURE_FACTOR) };
        let is_peak = seen >= present || !self.is_known;
        let kept = self.remembered(now_us);
        let estimate = if is_peak { seen } else { self.estimate_us * kept + seen * (1.0 - kept) };
        *self = Self { estimate_us: estimate.min(ESTIMATE_MAX_US), moved_us: Some(now_us), is_known: true };
    }

    /// The share of the estimate that has not faded: 1 just after a move, towards 0 later.
    fn remembered(&self, now_us: u64) -> f64 {
        match self.moved_us {
            Some(moved_us) => (-(now_us.saturating_sub(moved_us) as f64) / MEMORY_US).exp(),
            None => 1.0,
        }
    }
}
