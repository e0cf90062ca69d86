//! `[upstream.NAME]` with its pool.

use std::collections::HashMap;

use super::{Checks, Relation, edge, place};
use crate::diagnostic::Diagnostic;
use crate::options::{Discover, Endpoint, Health, HealthKind, Pool, Tier, TotalCap, Upstream, UpstreamTls};
use crate::source::Spanned;
use crate::value::{List, Opt, Switch};

/// A count above the one that bounds it.
const MORE: Relation = Relation::error("more than", "it could never be reached");

pub(super) fn upstream(checks: &mut Checks, upstream: &Upstream) {
    match &upstream.endpoints {
        None if upstream.discover.is_none() => {
            checks.missing(
                "has neither endpoints nor discover",
                "for example endpoints = [\"127.0.0.1:9001\"]",
            );
        }
        Some(list) => endpoints(checks, list),
        None => {}
    }
    checks.not_zero(&[("connect_timeout", &upstream.connect_timeout)]);
    let acquire = upstream.pool.as_ref().and_then(|pool| pool.acquire_timeout.clone());
    let relation = Relation::warning("longer than", "the request has given up by then");
    checks.at_most(("connect_timeout", &upstream.connect_timeout), relation, ("acquire_timeout", &acquire));
    checks.inner("pool", &upstream.pool, pool);
    checks.inner("health", &upstream.health, health);
    if let Some(Spanned { value: Switch::Table(table), span, .. }) = &upstream.tls {
        let path = format!("{}.tls", checks.table);
        checks.within(&path, *span, |checks| tls(checks, table));
    }
    checks.inner("discover", &upstream.discover, discover);
}

fn endpoints(checks: &mut Checks, list: &Spanned<List<Endpoint>>) {
    if list.is_empty() {
        checks.error(list, "endpoints is empty", "for example [\"127.0.0.1:9001\"]");
    } else if list.iter().all(|endpoint| endpoint.weight.as_ref().is_some_and(|weight| weight.value == 0)) {
        checks.error(list, "no endpoint has a weight above zero, so none could be chosen", "raise a weight");
    }
    let mut seen = HashMap::new();
    for endpoint in &list.value {
        if let Some(first) = seen.insert(&endpoint.address.value, endpoint.span) {
            let message = format!("the endpoint \"{}\" is listed twice", endpoint.address.value);
            let fault = Diagnostic::warning(endpoint.span, message).also(first, "first listed here");
            checks.push(fault.hint("to give it a larger share, write { address = \"…\", weight = 2 }"));
        }
    }
}

/// The rows of the pool's rules that one table can break. Only what is written is compared: a default yields.
fn pool(checks: &mut Checks, pool: &Pool) {
    checks.not_zero(&[("max_lifetime", &pool.max_lifetime), ("acquire_timeout", &pool.acquire_timeout)]);
    let cap = edge::count(&pool.max_connections);
    let total = pool.max_total.as_ref().and_then(|cap| match cap.value {
        TotalCap::Count(count) => Some(Spanned::new(count.get(), cap.span)),
        TotalCap::Auto | TotalCap::Unlimited => None,
    });
    let relation = Relation::error("longer than", "it would never act");
    checks.at_most(("idle_timeout", &pool.idle_timeout), relation, ("max_lifetime", &pool.max_lifetime));
    checks.at_most(("min_idle", &pool.min_idle), MORE, ("max_connections", &cap));
    checks.at_most(("max_idle", &pool.max_idle), MORE, ("max_connections", &cap));
    checks.at_most(("min_idle", &pool.min_idle), MORE, ("max_idle", &pool.max_idle));
    checks.at_most(("max_connections", &cap), MORE, ("max_total", &total));
    tiers(checks, &pool.tiers);
}

fn tiers(checks: &mut Checks, tiers: &Opt<List<Tier>>) {
    let Some(list) = tiers else { return };
    let hint = "write [\"worker\", \"shared\"] or [\"shared\"]";
    let mut seen = HashMap::new();
    for tier in &list.value {
        if let Some(first) = seen.insert(&tier.value, tier.span) {
            let fault =
                Diagnostic::error(tier.span, "this tier is listed twice").also(first, "first listed here");
            checks.push(fault.hint(hint));
        }
    }
    if !seen.contains_key(&Tier::Shared) {
        checks.error(list, "tiers lacks \"shared\", so workers could not help each other out", hint);
    }
}

fn health(checks: &mut Checks, health: &Health) {
    let kind = health.kind.as_ref().map_or(HealthKind::Http, |kind| kind.value);
    let hint = "take one of the two out";
    match (kind, &health.path) {
        (HealthKind::Tcp, Some(path)) => {
            checks.error(path, "a check of kind \"tcp\" asks for no path", hint);
        }
        (HealthKind::Grpc, Some(path)) => {
            checks.error(path, "a check of kind \"grpc\" asks for no path", hint);
        }
        _ => {}
    }
    let service = health.service.as_ref().filter(|service| !service.value.is_empty());
    if let Some(service) = service.filter(|_| kind != HealthKind::Grpc) {
        checks.error(service, "only a check of kind \"grpc\" asks about a service", "write kind = \"grpc\"");
    }
    checks.not_zero(&[("interval", &health.interval), ("timeout", &health.timeout)]);
    let relation = Relation::warning("longer than", "questions would overlap");
    checks.at_most(("timeout", &health.timeout), relation, ("interval", &health.interval));
}

fn tls(checks: &mut Checks, tls: &UpstreamTls) {
    edge::certificate_pair(checks, &tls.certificate, &tls.private_key);
}

fn discover(checks: &mut Checks, discover: &Discover) {
    checks.exactly_one(
        "source",
        &[
            ("etcd", place(&discover.etcd)),
            ("consul", place(&discover.consul)),
            ("eureka", place(&discover.eureka)),
            ("kubernetes", place(&discover.kubernetes)),
            ("dns", place(&discover.dns)),
            ("file", place(&discover.file)),
        ],
    );
}
