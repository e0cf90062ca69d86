//! Who holds which block, and what they add up to.

use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::blocks::{
    PerWorker, ReloadCounters, RouteCounters, STATUS_CLASSES, UpstreamCounters, WorkerCounters,
};
use super::export;
use super::layer4::{ListenerCounters, RELAY_CLOSES, RelayCounters};
use super::udp::UdpCounters;
use crate::histogram::Snapshot;
use crate::label::{Capped, LABEL_VALUES_MAX, OTHER};
use crate::prometheus::Encoder;

/// What is running.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Build {
    /// Version of the program.
    pub version: String,
    /// Commit it was built from, or empty.
    pub revision: String,
    /// Compiler it was built with, or empty.
    pub rustc: String,
}

/// Owns all blocks. One per process, made by whoever starts it; control asks it for blocks and for text. The data path
/// never comes here: its lock is taken when a plan is built and when somebody scrapes.
#[derive(Debug)]
pub struct Registry {
    pub(crate) build: Build,
    pub(crate) refusal_names: &'static [&'static str],
    pub(crate) workers: PerWorker<WorkerCounters>,
    pub(crate) reloads: ReloadCounters,
    worker_count: usize,
    series: Mutex<Series>,
}

/// Blocks by label.
#[derive(Debug)]
pub(crate) struct Series {
    /// By listener and route.
    pub(crate) routes: Capped<(String, String), PerWorker<RouteCounters>>,
    pub(crate) upstreams: Capped<String, PerWorker<UpstreamCounters>>,
    pub(crate) listeners: Capped<String, PerWorker<ListenerCounters>>,
    /// By listener and upstream.
    pub(crate) relays: Capped<(String, String), PerWorker<RelayCounters>>,
    /// By listener.
    pub(crate) udp: Capped<String, PerWorker<UdpCounters>>,
}

/// A route's numbers, added up over workers.
#[derive(Clone, Debug, Default)]
pub struct RouteTotals {
    /// Requests by class of status; see [`STATUS_CLASSES`].
    pub requests: [u64; STATUS_CLASSES.len()],
    /// Request bytes received.
    pub bytes_in: u64,
    /// Response bytes sent.
    pub bytes_out: u64,
    /// How long requests took.
    pub latency: Snapshot,
}

/// An upstream's numbers, added up over workers. The fields are those of [`UpstreamCounters`].
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "each field is the sum of the field of the same name in UpstreamCounters")]
pub struct UpstreamTotals {
    pub requests: u64,
    pub retries: u64,
    pub stale_retries: u64,
    pub retries_refused: u64,
    pub requests_active: u64,
    pub latency: Snapshot,
}

/// What a listener forwards to an upstream, added up over workers. The fields are those of [`RelayCounters`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the sum of the field of the same name in RelayCounters")]
pub struct RelayTotals {
    pub connections: u64,
    pub open: u64,
    pub bytes_up: u64,
    pub bytes_down: u64,
    pub closed: [u64; RELAY_CLOSES.len()],
}

impl Registry {
    /// A registry for `workers` workers. `refusal_names[id]` is the reason code that a refusal with that id is counted
    /// under.
    pub fn new(build: Build, refusal_names: &'static [&'static str], workers: usize) -> Self {
        Self {
            build,
            refusal_names,
            workers: PerWorker::new(workers),
            reloads: ReloadCounters::default(),
            worker_count: workers.max(1),
            series: Mutex::new(Series {
                routes: Capped::new(LABEL_VALUES_MAX),
                upstreams: Capped::new(LABEL_VALUES_MAX),
                listeners: Capped::new(LABEL_VALUES_MAX),
                relays: Capped::new(LABEL_VALUES_MAX),
                udp: Capped::new(LABEL_VALUES_MAX),
            }),
        }
    }

    /// The blocks for `route` on `listener`; the same ones each time while any plan holds them. Beyond
    /// [`LABEL_VALUES_MAX`] pairs, pairs that no plan holds any more are forgotten; if that makes no room, the new pair
    /// is counted together with others.
    pub fn route(&self, listener: &str, route: &str) -> PerWorker<RouteCounters> {
        let mut series = self.series();
        let label = ((listener, route) != (OTHER, OTHER)).then(|| (listener.to_owned(), route.to_owned()));
        blocks(&mut series.routes, label.as_ref(), self.worker_count)
    }

    /// The blocks for `upstream`; bounded like [`route`](Self::route).
    pub fn upstream(&self, upstream: &str) -> PerWorker<UpstreamCounters> {
        let mut series = self.series();
        let label = (upstream != OTHER).then(|| upstream.to_owned());
        blocks(&mut series.upstreams, label.as_ref(), self.worker_count)
    }

    /// The blocks for `listener`; bounded like [`route`](Self::route).
    pub fn listener(&self, listener: &str) -> PerWorker<ListenerCounters> {
        let mut series = self.series();
        let label = (listener != OTHER).then(|| listener.to_owned());
        blocks(&mut series.listeners, label.as_ref(), self.worker_count)
    }

    /// The blocks for what `listener` forwards to `upstream`; bounded like [`route`](Self::route).
    pub fn relay(&self, listener: &str, upstream: &str) -> PerWorker<RelayCounters> {
        let mut series = self.series();
        let label =
            ((listener, upstream) != (OTHER, OTHER)).then(|| (listener.to_owned(), upstream.to_owned()));
        blocks(&mut series.relays, label.as_ref(), self.worker_count)
    }

    /// The blocks for the UDP listener of this name; bounded like [`route`](Self::route).
    pub fn udp(&self, listener: &str) -> PerWorker<UdpCounters> {
        let mut series = self.series();
        let label = (listener != OTHER).then(|| listener.to_owned());
        blocks(&mut series.udp, label.as_ref(), self.worker_count)
    }

    /// UDP sessions open on all listeners.
    pub fn udp_sessions_open(&self) -> u64 {
        let open = |block: &UdpCounters| block.sessions_open.value();
        self.series().udp.iter().map(|(_, blocks)| blocks.sum(open)).sum()
    }

    /// The workers' own blocks.
    pub fn workers(&self) -> &PerWorker<WorkerCounters> {
        &self.workers
    }

    /// Reloads and plan version. Only control writes them.
    pub fn reloads(&self) -> &ReloadCounters {
        &self.reloads
    }

    /// Writes all families, as they stand now.
    pub fn encode(&self, encoder: &mut Encoder) {
        export::encode(self, &self.series(), encoder);
    }

    /// The totals of `route` on `listener`, if it has been counted under its own name.
    pub fn route_totals(&self, listener: &str, route: &str) -> Option<RouteTotals> {
        let series = self.series();
        let wanted = (listener, route);
        let found =
            series.routes.iter().find(|(label, _)| label.map_or((OTHER, OTHER), |(l, r)| (l, r)) == wanted);
        found.map(|(_, blocks)| RouteTotals::of(blocks))
    }

    /// The totals of `upstream`, if it has been counted under its own name.
    pub fn upstream_totals(&self, upstream: &str) -> Option<UpstreamTotals> {
        let series = self.series();
        let found = series.upstreams.iter().find(|(label, _)| label.map_or(OTHER, |label| label) == upstream);
        found.map(|(_, blocks)| UpstreamTotals::of(blocks))
    }

    /// The totals of what `listener` forwards to `upstream`, if it has been counted under its own name.
    pub fn relay_totals(&self, listener: &str, upstream: &str) -> Option<RelayTotals> {
        let series = self.series();
        let wanted = (listener, upstream);
        let found =
            series.relays.iter().find(|(label, _)| label.map_or((OTHER, OTHER), |(l, u)| (l, u)) == wanted);
        found.map(|(_, blocks)| RelayTotals::of(blocks))
    }

    fn series(&self) -> MutexGuard<'_, Series> {
        // A panic under the lock leaves at worst a label without its block; counting goes on.
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `label` is `None` for what happens to be called [`OTHER`]: two series of one name would spoil the whole scrape.
fn blocks<K: Clone + Eq + Hash, T: Default>(
    series: &mut Capped<K, PerWorker<T>>,
    label: Option<&K>,
    workers: usize,
) -> PerWorker<T> {
    let make = || PerWorker::new(workers);
    let Some(label) = label else { return series.other_or_insert_with(make).clone() };
    if series.is_full() && !series.iter().any(|(known, _)| known == Some(label)) {
        series.retain(|_, blocks| blocks.is_held());
    }
    series.get_or_insert_with(label, make).clone()
}

impl RouteTotals {
    pub(crate) fn of(blocks: &PerWorker<RouteCounters>) -> Self {
        let mut totals = Self {
            requests: std::array::from_fn(|class| blocks.sum(|block| block.requests[class].value())),
            bytes_in: blocks.sum(|block| block.bytes_in.value()),
            bytes_out: blocks.sum(|block| block.bytes_out.value()),
            latency: Snapshot::default(),
        };
        blocks.iter().for_each(|block| block.latency.merge_into(&mut totals.latency));
        totals
    }

    /// Requests of every class.
    pub fn requests_total(&self) -> u64 {
        self.requests.iter().sum()
    }
}

impl UpstreamTotals {
    pub(crate) fn of(blocks: &PerWorker<UpstreamCounters>) -> Self {
        let mut latency = Snapshot::default();
        blocks.iter().for_each(|block| block.latency.merge_into(&mut latency));
        Self {
            requests: blocks.sum(|block| block.requests.value()),
            retries: blocks.sum(|block| block.retries.value()),
            stale_retries: blocks.sum(|block| block.stale_retries.value()),
            retries_refused: blocks.sum(|block| block.retries_refused.value()),
            requests_active: blocks.sum(|block| block.requests_active.value()),
            latency,
        }
    }
}

impl RelayTotals {
    pub(crate) fn of(blocks: &PerWorker<RelayCounters>) -> Self {
        Self {
            connections: blocks.sum(|block| block.connections.value()),
            open: blocks.sum(|block| block.open.value()),
            bytes_up: blocks.sum(|block| block.bytes_up.value()),
            bytes_down: blocks.sum(|block| block.bytes_down.value()),
            closed: std::array::from_fn(|close| blocks.sum(|block| block.closed[close].value())),
        }
    }
}
