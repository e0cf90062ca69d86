//! Which endpoint gets the next request.
//!
//! A [`Balancer`] belongs to one worker and one upstream; it is told of each request's begin and end. What it knows
//! of load is what passed through its worker. [`Split`] divides requests among upstreams by weight.
//!
//! | kind | pick | cost of a pick |
//! |---|---|---|
//! | round-robin | smooth weighted rotation | one pass over the endpoints |
//! | random | by weight | a few draws; one pass if most are unusable |
//! | least-requests | fewest requests in flight per weight, *over all* endpoints; rotation among equals | two passes |
//! | p2c-ewma | two drawn by weight, the one with the lower latency × load | a few draws |
//!
//! Least-requests looks at all endpoints, as nginx and HAProxy do, and not at two, as Envoy does: the counts are in
//! this worker's own memory, so a pass over a hundred endpoints costs less than one mistake, and a worker alone has so
//! few requests in flight that two random choices would often both be busy while a third is idle.

mod ewma;
mod smooth;
mod split;

use ewma::Latency;
use smooth::Smooth;
pub use split::Split;

use towpath_base::random::Random;

/// How an upstream's endpoints share its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Kind {
    /// In turn, by weight, the turns of one endpoint spread out evenly.
    #[default]
    RoundRobin,
    /// By chance, by weight.
    Random,
    /// The fewest requests in flight, relative to weight.
    LeastRequests,
    /// The better of two by recent peak latency and load.
    P2cEwma,
}

impl Kind {
    /// Every kind, in the order of the reference.
    pub const ALL: [Self; 4] = [Self::RoundRobin, Self::Random, Self::LeastRequests, Self::P2cEwma];

    /// The kind written as `name` in a configuration file.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// How it is written in a configuration file.
    pub fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::Random => "random",
            Self::LeastRequests => "least-requests",
            Self::P2cEwma => "p2c-ewma",
        }
    }
}

/// The second of two drawn endpoints is taken if its cost is below this share of the first one's. A smaller difference
/// is noise, and then the draw decides, which followed the weights.
const CLEARLY: f64 = 0.9;

/// Chooses among endpoints, which are numbered from 0 in the order of their weights.
#[derive(Clone, Debug)]
pub struct Balancer {
    kind: Kind,
    weights: Vec<u32>,
    weight_max: u32,
    loads: Vec<Load>,
    smooth: Smooth,
    random: Random,
    serials: u64,
}

/// What is known of one endpoint.
#[derive(Clone, Debug)]
struct Load {
    /// Never used again for another endpoint, so that a [`Ticket`] survives a resize.
    serial: u64,
    in_flight: u32,
    latency: Latency,
}

/// Names the endpoint a request went to, also after [`Balancer::resize`] has moved it to another number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a request that began must end, or its endpoint looks busy for ever"]
pub struct Ticket {
    serial: u64,
    index: usize,
}

impl Balancer {
    /// A balancer over `weights.len()` endpoints. Weight 0 means: no new requests. Workers get different seeds, so
    /// that they do not all begin with the same endpoint.
    pub fn new(kind: Kind, weights: &[u32], seed: u64) -> Self {
        let mut balancer = Self {
            kind,
            weights: Vec::new(),
            weight_max: 0,
            loads: Vec::new(),
            smooth: Smooth::default(),
            random: Random::new(seed),
            serials: 0,
        };
        balancer.resize(weights, |_| None);
        balancer.smooth = Smooth::started(&balancer.weights, balancer.random.next_u64());
        balancer
    }

    /// Chooses an endpoint for which `usable` holds. `avoid`, the endpoint of a failed attempt, is chosen only when no
    /// other is usable. `None` when there is none at all. Allocates nothing.
    #[inline]
    pub fn pick(
        &mut self,
        now_us: u64,
        usable: impl Fn(usize) -> bool,
        avoid: Option<usize>,
    ) -> Option<usize> {
        if self.len() == 1 {
            // Nothing to choose, whatever the kind; and its weight is the largest.
            return (self.weight_max > 0 && usable(0)).then_some(0);
        }
        self.pick_of_many(now_us, usable, avoid)
    }

    #[inline(never)]
    fn pick_of_many(
        &mut self,
        now_us: u64,
        usable: impl Fn(usize) -> bool,
        avoid: Option<usize>,
    ) -> Option<usize> {
        let first_choice = self.pick_among(now_us, |i| Some(i) != avoid && usable(i));
        first_choice.or_else(|| avoid.filter(|&i| self.weight(i) > 0 && usable(i)))
    }

    fn pick_among(&mut self, now_us: u64, usable: impl Fn(usize) -> bool) -> Option<usize> {
        match self.kind {
            Kind::RoundRobin => self.smooth.pick(&self.weights, usable),
            Kind::Random => self.draw(&usable),
            Kind::LeastRequests => self.pick_least(&usable),
            Kind::P2cEwma => self.pick_of_two(now_us, &usable),
        }
    }

    fn pick_least(&mut self, usable: &impl Fn(usize) -> bool) -> Option<usize> {
        let (loads, weights) = (&self.loads, &self.weights);
        // Compared as a fraction: in flight / weight, without the division.
        let scaled = |i: usize, other: usize| u64::from(loads[i].in_flight) * u64::from(weights[other]);
        let candidates = (0..loads.len()).filter(|&i| weights[i] > 0 && usable(i));
        let least = candidates.min_by(|&a, &b| scaled(a, b).cmp(&scaled(b, a)))?;
        self.smooth.pick(weights, |i| scaled(i, least) == scaled(least, i) && usable(i))
    }

    fn pick_of_two(&mut self, now_us: u64, usable: &impl Fn(usize) -> bool) -> Option<usize> {
        let first = self.draw(usable)?;
        let Some(second) = self.draw(&|i| i != first && usable(i)) else { return Some(first) };
        let second_is_cheaper = self.cost(second, first, now_us) < self.cost(first, second, now_us) * CLEARLY;
        Some(if second_is_cheaper { second } else { first })
    }

    /// Expected wait at `i` beside `other`: latency times the requests that share it. In-flight requests count per
    /// weight; an idle endpoint costs its latency whatever its weight, since weight already decided how often it is
    /// drawn. An endpoint without a response yet is taken to be as fast as the other: any fixed number would have
    /// origins faster than it keep everything, and slower ones hand everything over.
    fn cost(&self, i: usize, other: usize, now_us: u64) -> f64 {
        let [load, beside] = [i, other].map(|i| &self.loads[i]);
        let are_known = load.latency.is_known() && beside.latency.is_known();
        let latency = if are_known { load.latency.at(now_us) } else { 1.0 };
        latency * (1.0 + f64::from(load.in_flight) / f64::from(self.weights[i]))
    }

    /// Draws by weight. A few blind draws first, which almost always succeed; they are accepted in proportion to
    /// weight, so that what they leave over may be settled by an exact pass without changing the odds.
    fn draw(&mut self, usable: &impl Fn(usize) -> bool) -> Option<usize> {
        const BLIND_DRAWS: usize = 8;
        for _ in 0..BLIND_DRAWS {
            let i = self.random.below(self.weights.len() as u64) as usize;
            let weight = self.weight(i);
            if self.random.below(u64::from(self.weight_max)) < u64::from(weight) && usable(i) {
                return Some(i);
            }
        }
        self.draw_exactly(usable)
    }

    fn draw_exactly(&mut self, usable: &impl Fn(usize) -> bool) -> Option<usize> {
        let share = |(i, &weight): (usize, &u32)| if weight > 0 && usable(i) { u64::from(weight) } else { 0 };
        let total: u64 = self.weights.iter().enumerate().map(share).sum();
        let mut left = self.random.below(total);
        self.weights.iter().enumerate().map(share).position(|share| {
            let is_here = left < share;
            left = left.saturating_sub(share);
            is_here
        })
    }

    fn weight(&self, i: usize) -> u32 {
        self.weights.get(i).copied().unwrap_or(0)
    }

    /// A request goes to endpoint `i`. The ticket must come back in [`end`](Self::end), however the request ends.
    pub fn begin(&mut self, i: usize) -> Ticket {
        let Some(load) = self.loads.get_mut(i) else { return Ticket { serial: u64::MAX, index: i } };
        load.in_flight = load.in_flight.saturating_add(1);
        Ticket { serial: load.serial, index: i }
    }

    /// The request of `ticket` ended: after `latency_us` its response began (`ok`), or it failed. Nothing happens when
    /// the endpoint has left since. Latencies are kept for the one kind that asks for them.
    pub fn end(&mut self, ticket: Ticket, now_us: u64, latency_us: u64, ok: bool) {
        let kind = self.kind;
        let Some(load) = self.load_of(ticket) else { return };
        load.in_flight = load.in_flight.saturating_sub(1);
        if kind == Kind::P2cEwma {
            load.latency.observe(now_us, latency_us, ok);
        }
    }

    /// The request of `ticket` ended without telling anything about its endpoint, as when the client left.
    pub fn cancel(&mut self, ticket: Ticket) {
        if let Some(load) = self.load_of(ticket) {
            load.in_flight = load.in_flight.saturating_sub(1);
        }
    }

    /// Where the request of `ticket` went, if that endpoint is still there.
    fn load_of(&mut self, ticket: Ticket) -> Option<&mut Load> {
        let stayed = self.loads.get(ticket.index).is_some_and(|load| load.serial == ticket.serial);
        match stayed {
            true => self.loads.get_mut(ticket.index),
            false => self.loads.iter_mut().find(|load| load.serial == ticket.serial),
        }
    }

    /// Takes a new list of endpoints. `was(i)` is the old number of the endpoint that is now `i`, if it is one of the
    /// old; such an endpoint keeps its load, latency and place in the rotation. A new endpoint starts with the mean
    /// latency of the others, so that it is neither flooded nor shunned.
    pub fn resize(&mut self, weights: &[u32], was: impl Fn(usize) -> Option<usize>) {
        let start = Latency::mean(self.loads.iter().map(|load| &load.latency));
        let mut loads = Vec::with_capacity(weights.len());
        for i in 0..weights.len() {
            loads.push(match was(i).and_then(|old| self.loads.get(old)) {
                Some(load) => load.clone(),
                None => self.new_load(start.clone()),
            });
        }
        self.smooth = self.smooth.resized(weights.len(), was);
        self.loads = loads;
        self.weights = weights.to_vec();
        self.weight_max = weights.iter().copied().max().unwrap_or(0);
    }

    fn new_load(&mut self, latency: Latency) -> Load {
        self.serials += 1;
        Load { serial: self.serials, in_flight: 0, latency }
    }

    /// Requests in flight to endpoint `i` through this balancer.
    pub fn in_flight(&self, i: usize) -> u32 {
        self.loads.get(i).map_or(0, |load| load.in_flight)
    }

    /// The latency estimate of endpoint `i` at `now_us`, in microseconds; `None` before its first response, and always
    /// unless the kind is [`Kind::P2cEwma`].
    pub fn latency_us(&self, i: usize, now_us: u64) -> Option<u64> {
        let latency = &self.loads.get(i)?.latency;
        latency.is_known().then(|| latency.at(now_us) as u64)
    }

    /// The kind it was made with.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How many endpoints it chooses among.
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// Whether it has no endpoint.
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }
}
