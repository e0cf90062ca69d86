//! Fixed structs of counters. Field order follows use: what one request writes lies together.

use std::sync::Arc;

use crate::counter::{Counter, Gauge, Padded};
use crate::histogram::Histogram;

/// Label values for the classes of status codes; the last is for what is no status at all, as when the client left
/// before there was one.
pub const STATUS_CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// Room for reason codes of refusals. A `u8` numbers them; what lies beyond counts as the last.
pub const REFUSALS_MAX: usize = 128;

/// One worker's numbers for one route on one listener.
#[derive(Debug, Default)]
pub struct RouteCounters {
    /// Requests by class of the final status; see [`STATUS_CLASSES`].
    pub requests: [Counter; STATUS_CLASSES.len()],
    /// Request bytes received, heads and bodies.
    pub bytes_in: Counter,
    /// Response bytes sent, heads and bodies.
    pub bytes_out: Counter,
    /// From the first byte of the request to the last byte of the response.
    pub latency: Histogram,
}

impl RouteCounters {
    /// Counts one finished request. `status` is 0 if none was sent.
    #[inline]
    pub fn record(&self, status: u16, latency_us: u64, bytes_in: u64, bytes_out: u64) {
        self.requests[status_class(status)].increment();
        self.bytes_in.add(bytes_in);
        self.bytes_out.add(bytes_out);
        self.latency.record(latency_us);
    }
}

/// Index into [`STATUS_CLASSES`].
#[inline]
pub fn status_class(status: u16) -> usize {
    match status / 100 {
        class @ 1..=5 => usize::from(class) - 1,
        _ => STATUS_CLASSES.len() - 1,
    }
}

/// One worker's numbers for one upstream. What its connections do, the pools count.
#[derive(Debug, Default)]
pub struct UpstreamCounters {
    /// Requests sent, retries included.
    pub requests: Counter,
    /// Requests tried again, for any reason.
    pub retries: Counter,
    /// Of these, because a reused connection turned out to be closed.
    pub stale_retries: Counter,
    /// Retries that the budget forbade.
    pub retries_refused: Counter,
    /// Requests under way.
    pub requests_active: Gauge,
    /// From the request's first byte sent to the response's first byte received.
    pub latency: Histogram,
}

/// One worker's numbers that belong to no route and no upstream.
#[derive(Debug)]
pub struct WorkerCounters {
    /// Downstream connections accepted.
    pub accepted: Counter,
    /// Downstream connections open.
    pub open: Gauge,
    /// Downstream connections closed, by [`CloseReason`].
    pub closed: [Counter; CLOSE_REASONS.len()],
    /// Requests and connections that the gateway refused or failed itself, by reason id.
    pub refusals: [Counter; REFUSALS_MAX],
    /// Request header fields dropped because of an underscore in the name (T42).
    pub underscore_headers: Counter,
    /// Access-log lines handed to the writer.
    pub log_lines: Counter,
    /// Access-log lines dropped because the writer did not keep up.
    pub log_lines_dropped: Counter,
    /// The version of the plan this worker serves.
    pub plan_version: Gauge,
    /// Tunnels open, as after an upgrade.
    pub tunnels_open: Gauge,
}

impl WorkerCounters {
    /// Counts a refusal by its reason id.
    #[inline]
    pub fn refuse(&self, reason: u8) {
        self.refusals[usize::from(reason).min(REFUSALS_MAX - 1)].increment();
    }

    /// Counts an accepted connection.
    #[inline]
    pub fn connection_opened(&self) {
        self.accepted.increment();
        self.open.increment();
    }

    /// Counts the end of a connection.
    #[inline]
    pub fn connection_closed(&self, reason: CloseReason) {
        self.open.decrement();
        self.closed[reason as usize].increment();
    }
}

impl Default for WorkerCounters {
    fn default() -> Self {
        Self {
            accepted: Counter::default(),
            open: Gauge::default(),
            closed: Default::default(),
            refusals: std::array::from_fn(|_| Counter::default()),
            underscore_headers: Counter::default(),
            log_lines: Counter::default(),
            log_lines_dropped: Counter::default(),
            plan_version: Gauge::default(),
            tunnels_open: Gauge::default(),
        }
    }
}

/// Why a downstream connection ended. The numbers index [`CLOSE_REASONS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CloseReason {
    /// The client closed between requests.
    Client,
    /// The gateway closed after a response that said so.
    Finished,
    /// No request for too long.
    Idle,
    /// Some other deadline passed.
    Timeout,
    /// The client broke the protocol.
    Protocol,
    /// The connection was reset, or the client left in the middle.
    Reset,
    /// The gateway is draining.
    Drain,
    /// A limit on connections or memory.
    Limit,
    /// Anything else.
    Error,
}

/// Label values of [`CloseReason`], in its order.
pub const CLOSE_REASONS: [&str; 9] =
    ["client", "finished", "idle", "timeout", "protocol", "reset", "drain", "limit", "error"];

/// Numbers of the process, written by control alone.
#[derive(Debug, Default)]
pub struct ReloadCounters {
    /// Reloads that took effect.
    pub succeeded: Counter,
    /// Reloads that were refused.
    pub failed: Counter,
    /// The version of the plan last published.
    pub plan_version: Gauge,
    /// When it was published, in seconds since 1970.
    pub plan_published_s: Gauge,
}

/// One block per worker, all for the same label.
#[derive(Debug)]
pub struct PerWorker<T> {
    blocks: Vec<Arc<Padded<T>>>,
}

impl<T: Default> PerWorker<T> {
    pub(crate) fn new(workers: usize) -> Self {
        Self { blocks: (0..workers.max(1)).map(|_| Arc::default()).collect() }
    }
}

impl<T> PerWorker<T> {
    /// The block that worker `index` alone writes; the last one for an index that is out of range.
    pub fn worker(&self, index: usize) -> Arc<Padded<T>> {
        Arc::clone(&self.blocks[index.min(self.blocks.len() - 1)])
    }

    /// The same block, borrowed, for a data path that must not touch a reference count.
    #[inline]
    pub fn get(&self, index: usize) -> &T {
        match self.blocks.get(index) {
            Some(block) => &block.0,
            None => self.last(),
        }
    }

    #[cold]
    fn last(&self) -> &T {
        &self.blocks[self.blocks.len() - 1].0
    }

    /// All blocks, in the order of the workers.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.blocks.iter().map(|block| &***block)
    }

    /// The sum over all workers of what `number` gives for one.
    pub fn sum(&self, number: impl Fn(&T) -> u64) -> u64 {
        self.iter().map(number).sum()
    }

    /// Whether a plan or a worker still holds one of the blocks.
    pub(crate) fn is_held(&self) -> bool {
        self.blocks.iter().any(|block| Arc::strong_count(block) > 1)
    }
}

/// Clones share the blocks.
impl<T> Clone for PerWorker<T> {
    fn clone(&self) -> Self {
        Self { blocks: self.blocks.clone() }
    }
}
