//! Active health of one endpoint, as a state machine. The prober belongs to control; this decides when to probe and
//! what the results mean.
//!
//! ```text
//!             `unhealthy` failures in a row
//!   Healthy ---------------------------------> Unhealthy
//!      ^  <---------------------------------      |
//!      |       `healthy` passes in a row          |
//!      +-- start                                  +-- keeps what the last probe said
//! ```
//!
//! An endpoint starts healthy: a gateway that has just started serves at once, and the first failures take the endpoint
//! out as fast as they would at any other time.

use towpath_base::random::Random;

/// An upstream's `health` setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// From the start of one probe to the start of the next, in microseconds. Probes are spread by ± 10 %, so that
    /// many gateways do not probe in step.
    pub interval_us: u64,
    /// Passes in a row that make an unhealthy endpoint healthy. 0 counts as 1.
    pub healthy: u32,
    /// Failures in a row that make a healthy endpoint unhealthy. 0 counts as 1.
    pub unhealthy: u32,
}

/// Whether the endpoint should get requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Yes.
    Healthy,
    /// No.
    Unhealthy,
}

/// One endpoint's health.
#[derive(Clone, Debug)]
pub struct Health {
    rules: Rules,
    state: State,
    since_us: u64,
    /// Results in a row that speak against `state`.
    against: u32,
    last_failure: Option<Box<str>>,
    next_probe_us: u64,
    probing: bool,
    random: Random,
}

impl Health {
    /// A healthy endpoint that wants its first probe at once.
    pub fn new(rules: Rules, now_us: u64, seed: u64) -> Self {
        Self {
            rules,
            state: State::Healthy,
            since_us: now_us,
            against: 0,
            last_failure: None,
            next_probe_us: now_us,
            probing: false,
            random: Random::new(seed),
        }
    }

    /// Whether a probe should start now. Never while another one is under way.
    pub fn wants_probe(&self, now_us: u64) -> bool {
        !self.probing && now_us >= self.next_probe_us
    }

    /// When the next probe is due, if none is under way.
    pub fn next_probe_us(&self) -> Option<u64> {
        (!self.probing).then_some(self.next_probe_us)
    }

    /// A probe starts.
    pub fn begin_probe(&mut self, now_us: u64) {
        let spread = self.rules.interval_us / 5;
        let early = self.rules.interval_us / 10;
        self.probing = true;
        self.next_probe_us =
            now_us.saturating_add(self.rules.interval_us - early + self.random.below(spread));
    }

    /// The probe passed. Returns the new state if this changed it.
    pub fn probe_passed(&mut self, now_us: u64) -> Option<State> {
        self.settle(now_us, State::Healthy, self.rules.healthy)
    }

    /// The probe failed, for the reason given (for people: `connect refused`, `status 503`). Returns the new state if
    /// this changed it.
    pub fn probe_failed(&mut self, now_us: u64, why: &str) -> Option<State> {
        self.last_failure = Some(why.into());
        self.settle(now_us, State::Unhealthy, self.rules.unhealthy)
    }

    fn settle(&mut self, now_us: u64, seen: State, needed: u32) -> Option<State> {
        self.probing = false;
        if seen == self.state {
            self.against = 0;
            return None;
        }
        self.against += 1;
        if self.against < needed {
            return None;
        }
        (self.state, self.since_us, self.against) = (seen, now_us, 0);
        Some(seen)
    }

    /// Takes changed rules, as after a reload; state and streak stay.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Whether the endpoint should get requests.
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether the endpoint should get requests.
    pub fn is_healthy(&self) -> bool {
        self.state == State::Healthy
    }

    /// When the state last changed.
    pub fn since_us(&self) -> u64 {
        self.since_us
    }

    /// How many results in a row speak against the present state.
    pub fn against_count(&self) -> u32 {
        self.against
    }

    /// Why the last failed probe failed; kept after a recovery.
    pub fn last_failure(&self) -> Option<&str> {
        self.last_failure.as_deref()
    }
}
