//! From a target to a connection with one of its endpoints.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::time::Instant;
use towpath::pool::Held;
use towpath_net::Stream;

use crate::charge::Charge;
use crate::error::Reason;
use crate::plan::{RelaySettings, Target};
use crate::upstream::{self, Http1};
use crate::worker::Worker;

/// An endpoint that accepted.
pub(super) struct Reached {
    pub(super) stream: Stream,
    /// Its slot in the pool, which bounds the connections to it.
    pub(super) held: Held<Http1>,
    pub(super) charge: Charge<Arc<Target>>,
    /// How long it took to accept, in microseconds.
    pub(super) connect_us: u32,
}

/// Dials one endpoint after the other until one accepts, each at most once: nobody has seen a byte of the client yet, so
/// all that a further attempt costs is time. The budget keeps that from becoming a storm when most of them are gone.
/// Gives up when the client resets.
pub(super) async fn reach(
    worker: &Worker,
    target: &Arc<Target>,
    settings: &RelaySettings,
    client: &Stream,
) -> Result<Reached, Reason> {
    let counters = target.upstream.counters.get(worker.index());
    worker.clock().set(Instant::now());
    worker.earn_retry();
    let mut tried = Vec::new();
    let mut last = Reason::NoHealthyEndpoint;
    for attempt in 0..settings.connect_attempts.max(1) {
        let Some(charge) = pick(worker, target, &mut tried, attempt) else { break };
        if attempt > 0 {
            if !worker.may_retry() {
                counters.retries_refused.increment();
                break;
            }
            counters.retries.increment();
        }
        counters.requests.increment();
        tried.push(charge.index());
        last = match dial(worker, charge, client).await {
            Ok(reached) => return Ok(reached),
            Err(reason) => reason,
        };
        if !is_of_endpoint(last) {
            break;
        }
    }
    Err(last)
}

/// An endpoint that is none of `tried`. One that failed a moment ago is passed over, which is no attempt, unless it is
/// the only one: then whatever came of it last is the answer.
fn pick(
    worker: &Worker,
    target: &Arc<Target>,
    tried: &mut Vec<usize>,
    attempt: u32,
) -> Option<Charge<Arc<Target>>> {
    let mut passed_over = None;
    while let Some(charge) = Charge::pick(Arc::clone(target), worker, |index| !tried.contains(&index), None) {
        if !charge.endpoint().pool.is_pausing(worker.clock().get()) {
            return Some(charge);
        }
        tried.push(charge.index());
        passed_over = Some(charge);
    }
    passed_over.filter(|_| attempt == 0)
}

async fn dial(worker: &Worker, charge: Charge<Arc<Target>>, client: &Stream) -> Result<Reached, Reason> {
    let started = Instant::now();
    let outcome = {
        let mut dial = pin!(charge.endpoint().pool.dial(worker.index(), started, None));
        // Who speaks first has left bytes, which are not read before an endpoint is there.
        let mut failed = pin!(client.failed());
        poll_fn(|cx| match dial.as_mut().poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending => failed.as_mut().poll(cx).map(|()| None),
        })
        .await
    };
    let now = Instant::now();
    worker.clock().set(now);
    match outcome {
        None => Err(Reason::ClientGone),
        Some(Ok((connection, held))) => {
            let waited_us = now.saturating_duration_since(started).as_micros();
            let connect_us = u32::try_from(waited_us).unwrap_or(u32::MAX);
            Ok(Reached { stream: connection.stream, held, charge, connect_us })
        }
        Some(Err(error)) => {
            let reason = upstream::reason_of(&error);
            charge.fail(worker.now_us(), reason);
            Err(reason)
        }
    }
}

/// Whether another endpoint may do better. One that has no room may be next to one that has; a client that is gone, a
/// process without descriptors and a wait as long as it may be are the same for all.
fn is_of_endpoint(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::ConnectRefused
            | Reason::ConnectTimeout
            | Reason::ConnectFailed
            | Reason::UpstreamTlsFailed
            | Reason::PoolQueueFull
    )
}
