//! The `pool` table of an upstream. What one table can say against itself is found where it is read; here the
//! defaults join in.

use std::sync::Arc;

use towpath::pool::{Budget, Overload, PoolConfig, Validate};
use towpath_config::options::{self, Tier, TotalCap};
use towpath_config::value::{Cap, Opt};
use towpath_config::{Diagnostic, Spanned};

use super::Faults;
use super::uses::Uses;

/// Reads the settings of an upstream's pools. A default yields to what is written where that is harmless; where it is
/// not, the contradiction is a fault.
pub(super) fn read(
    upstream: &options::Upstream,
    uses: Uses,
    before: Option<&PoolConfig>,
    connections_total: Option<&Arc<Budget>>,
    faults: &mut Faults,
) -> Option<PoolConfig> {
    let none = options::Pool::default();
    let pool = upstream.pool.as_ref().map_or(&none, |pool| &pool.value);
    let faults_before = faults.len();
    let mut config = PoolConfig::default();
    if uses.are_layer4() {
        // Each client has a connection of its own for as long as it stays, so that a cap on connections is one on
        // clients; the listener has keys for these.
        config.max_connections = None;
        refuse_idle(pool, faults);
    }
    take(&upstream.connect_timeout, &mut config.connect_timeout);
    take(&pool.idle_timeout, &mut config.idle_timeout);
    take(&pool.max_lifetime, &mut config.max_lifetime);
    take(&pool.acquire_timeout, &mut config.acquire_timeout);
    take(&pool.fail_fast, &mut config.fail_fast);
    config.max_total = total(pool.max_total.as_ref(), before, connections_total);
    config.max_connections = connections(pool, &config);
    config.min_idle = count(&pool.min_idle).unwrap_or(config.min_idle);
    config.max_idle = count(&pool.max_idle).or(config.max_idle);
    config.max_waiters = count(&pool.max_waiters).or(config.max_waiters);
    config.overload = pool.overload.as_ref().map_or(config.overload, |overload| match overload.value {
        options::Overload::Fifo => Overload::Fifo,
        options::Overload::Lifo => Overload::Lifo,
    });
    config.validate = pool.validate.as_ref().map_or(config.validate, |validate| match validate.value {
        options::Validate::None => Validate::None,
        options::Validate::Peek => Validate::Peek,
        options::Validate::Always => Validate::Always,
        options::Validate::IfIdleFor(time) => Validate::IfIdleFor(time),
    });
    if let Some(tiers) = &pool.tiers {
        config.worker_tiers = tiers.iter().any(|tier| tier.value == Tier::Worker);
    }
    if let Some(key) = &pool.leak_threshold {
        let warning = Diagnostic::warning(key.span, "\"leak_threshold\" has no effect in this release");
        faults.push(warning.hint("take it out; the route's times bound how long a connection is in use"));
    }
    compare_times(upstream, pool, &mut config, faults);
    compare_counts(pool, &config, faults);
    let is_whole = !faults[faults_before..].iter().any(Diagnostic::is_error);
    is_whole.then_some(config)
}

/// Connections that serve one client from beginning to end are not kept ready for others.
fn refuse_idle(pool: &options::Pool, faults: &mut Faults) {
    if let Some(idle) = pool.min_idle.as_ref().filter(|idle| idle.value > 0) {
        let message = "min_idle keeps connections ready for requests, and no route uses this upstream";
        faults.push(Diagnostic::error(idle.span, message).hint("take it out"));
    }
}

/// Whether a pool made with `old` can go on with `new`: the shared bound is the one thing a pool cannot change.
pub(super) fn same_budget(old: &PoolConfig, new: &PoolConfig) -> bool {
    match (&old.max_total, &new.max_total) {
        (Some(old), Some(new)) => Arc::ptr_eq(old, new),
        (None, None) => true,
        _ => false,
    }
}

fn take<T: Copy>(written: &Opt<T>, place: &mut T) {
    if let Some(written) = written {
        *place = written.value;
    }
}

fn count(written: &Opt<u32>) -> Option<usize> {
    written.as_ref().map(|written| written.value as usize)
}

/// The bound shared with other pools. A written number is one bound for the endpoints of this upstream, and stays the
/// same object while the number stays.
fn total(
    written: Option<&Spanned<TotalCap>>,
    before: Option<&PoolConfig>,
    connections_total: Option<&Arc<Budget>>,
) -> Option<Arc<Budget>> {
    match written.map_or(TotalCap::Auto, |written| written.value) {
        TotalCap::Auto => connections_total.cloned(),
        TotalCap::Unlimited => None,
        TotalCap::Count(count) => {
            let max = count.get() as usize;
            let is_own =
                |budget: &&Arc<Budget>| connections_total.is_none_or(|total| !Arc::ptr_eq(total, budget));
            let old = before.and_then(|config| config.max_total.as_ref()).filter(is_own);
            Some(old.filter(|budget| budget.max() == max).cloned().unwrap_or_else(|| Budget::new(max)))
        }
    }
}

/// The cap of each endpoint. The default yields to a smaller `max_total`.
fn connections(pool: &options::Pool, defaults: &PoolConfig) -> Option<usize> {
    match (&pool.max_connections, &pool.max_total) {
        (Some(cap), _) => match cap.value {
            Cap::Count(count) => Some(count.get() as usize),
            Cap::Unlimited => None,
        },
        (None, Some(Spanned { value: TotalCap::Count(total), .. })) => {
            defaults.max_connections.map(|cap| cap.min(total.get() as usize))
        }
        (None, _) => defaults.max_connections,
    }
}

fn compare_times(
    upstream: &options::Upstream,
    pool: &options::Pool,
    config: &mut PoolConfig,
    faults: &mut Faults,
) {
    match (&pool.idle_timeout, &pool.max_lifetime) {
        (Some(idle), None) if config.idle_timeout > config.max_lifetime => {
            let bound = config.max_lifetime.as_secs();
            let message = format!(
                "idle_timeout is longer than max_lifetime = \"{bound}s\", the default: it would never act"
            );
            faults
                .push(Diagnostic::error(idle.span, message).hint("lower it, or write a longer max_lifetime"));
        }
        (None, _) => config.idle_timeout = config.idle_timeout.min(config.max_lifetime),
        _ => {}
    }
    if let (Some(connect), None) = (&upstream.connect_timeout, &pool.acquire_timeout)
        && config.connect_timeout > config.acquire_timeout
    {
        let bound = config.acquire_timeout.as_secs();
        let message = format!(
            "connect_timeout is longer than acquire_timeout = \"{bound}s\", the default: the request has given up by then"
        );
        let hint = "lower it, or write a longer acquire_timeout";
        faults.push(Diagnostic::warning(connect.span, message).hint(hint));
    }
}

fn compare_counts(pool: &options::Pool, config: &PoolConfig, faults: &mut Faults) {
    let (None, Some(cap)) = (&pool.max_connections, config.max_connections) else { return };
    for (key, written) in [("min_idle", &pool.min_idle), ("max_idle", &pool.max_idle)] {
        if let Some(written) = written.as_ref().filter(|written| written.value as usize > cap) {
            let message = format!("{key} = {written} is more than max_connections = {cap}, the default");
            let hint = format!("lower {key}, or write a larger max_connections");
            faults.push(Diagnostic::error(written.span, message).hint(hint));
        }
    }
}
