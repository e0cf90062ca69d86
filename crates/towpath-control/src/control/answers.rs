//! What the admin API is told.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value as Json, json};
use towpath::pool::Stats;
use towpath_gateway::plan::{Endpoint, Plan, Upstream};
use towpath_telemetry::prometheus::{CONTENT_TYPE, Encoder, Kind};

use super::{Control, Refusal, Reloaded};
use crate::http::Response;
use crate::{explain, plan_json, run};

impl Control {
    /// Ready means that every worker serves the current plan and no drain is on; the workers say so themselves.
    pub(crate) fn readiness(&self) -> Response {
        let version = self.engine.plan().version;
        let workers: Vec<u64> =
            self.limits.registry.workers().iter().map(|worker| worker.plan_version.value()).collect();
        let reason = if self.is_draining.load(Ordering::Relaxed) {
            Some("draining")
        } else if workers.iter().any(|serving| *serving != version) {
            Some("workers_behind")
        } else {
            None
        };
        let document =
            json!({ "ready": reason.is_none(), "reason": reason, "plan": version, "workers": workers });
        Response::json(if reason.is_none() { 200 } else { 503 }, &document)
    }

    /// Every metric, as Prometheus reads it.
    pub(crate) fn metrics(&self) -> Response {
        let mut encoder = Encoder::new();
        self.limits.registry.encode(&mut encoder);
        encode_endpoints(&self.engine.plan(), &mut encoder);
        encoder
            .family(
                "towpath_accesslog_lines_lost_total",
                Kind::Counter,
                "Access-log lines that could not be written.",
            )
            .sample(&[], self.log.lines_lost());
        Response::text(CONTENT_TYPE, encoder.finish())
    }

    /// The file as written: `${…}` stays one, secrets stay hidden.
    pub(crate) fn config(&self) -> Response {
        Response::json(200, &self.live().parsed.options.to_json())
    }

    /// The plan as compiled.
    pub(crate) fn plan_document(&self) -> Response {
        Response::json(200, &plan_json::plan(&self.engine.plan()))
    }

    /// Every endpoint, its health and why, its pool.
    pub(crate) fn upstreams(&self) -> Response {
        let plan = self.engine.plan();
        let upstreams: Vec<Json> = plan.upstreams.iter().map(|upstream| self.upstream(upstream)).collect();
        Response::json(200, &json!({ "plan": plan.version, "upstreams": upstreams }))
    }

    fn upstream(&self, upstream: &Upstream) -> Json {
        let endpoints: Vec<Json> =
            upstream.endpoints.iter().map(|endpoint| self.endpoint(endpoint)).collect();
        json!({ "name": &*upstream.name, "balance": upstream.balance.name(), "endpoints": endpoints })
    }

    fn endpoint(&self, endpoint: &Arc<Endpoint>) -> Json {
        let health = self.prober.report(endpoint).map(|report| {
            json!({
                "last_probe": report.last,
                "last_failure": report.last_failure,
                "state_age_ms": u64::try_from(report.since.as_millis()).unwrap_or(u64::MAX),
                "results_against_state": report.against,
            })
        });
        json!({
            "name": &*endpoint.name,
            "address": endpoint.address.to_string(),
            "weight": endpoint.weight,
            "healthy": endpoint.healthy.load(Ordering::Relaxed),
            "health": health,
            "pool": pool(&endpoint.pool.stats()),
        })
    }

    /// 200 with what changed, 422 with the faults.
    pub(crate) fn reload_for_admin(self: &Arc<Self>) -> Response {
        let outcome = self.reload();
        run::report(&outcome, self.console);
        match outcome {
            Ok(Reloaded::Unchanged { version }) => {
                Response::json(200, &json!({ "changed": false, "plan": version }))
            }
            Ok(Reloaded::Changed { version, changes }) => Response::json(
                200,
                &json!({ "changed": true, "plan": version, "changes": changes.to_json() }),
            ),
            Err(Refusal { faults, text, .. }) => {
                let document = json!({ "error": "reload_refused", "message": text, "faults": faults });
                Response::json(422, &document)
            }
        }
    }

    /// What a request would meet under the plan that serves now.
    pub(crate) fn explain(&self, question: &[u8]) -> Response {
        let plan = self.engine.plan();
        match explain::answer(&plan, &explain::places_of(&plan), &String::from_utf8_lossy(question)) {
            Ok(answer) => Response::json(200, &answer),
            Err(fault) => Response::fault(422, "bad_question", &fault.to_string()),
        }
    }
}

/// What only the plan's own objects know: one sample per endpoint, as many as the file names.
fn encode_endpoints(plan: &Plan, encoder: &mut Encoder) {
    let endpoints: Vec<_> = plan
        .upstreams
        .iter()
        .flat_map(|upstream| upstream.endpoints.iter().map(move |endpoint| (&*upstream.name, endpoint)))
        .collect();
    let mut family = encoder.family(
        "towpath_endpoint_healthy",
        Kind::Gauge,
        "Whether the endpoint is given requests, 1 or 0.",
    );
    for (upstream, endpoint) in &endpoints {
        let labels = [("upstream", *upstream), ("endpoint", &*endpoint.name)];
        family.sample(&labels, u64::from(endpoint.healthy.load(Ordering::Relaxed)));
    }
    let mut family = encoder.family(
        "towpath_pool_connections_open",
        Kind::Gauge,
        "Connections of the endpoint's pool, by state.",
    );
    for (upstream, endpoint) in &endpoints {
        let stats = endpoint.pool.stats();
        for (state, count) in [("idle", stats.idle), ("in_use", stats.in_use), ("dialling", stats.dialling)] {
            let labels = [("upstream", *upstream), ("endpoint", &*endpoint.name), ("state", state)];
            family.sample(&labels, count as u64);
        }
    }
    encode_pools(&endpoints, encoder);
}

/// A counter of pools: its name, its help, the label that tells its values apart, and the values.
type PoolCounter = (&'static str, &'static str, &'static str, fn(&Stats) -> Vec<(&'static str, u64)>);

const POOL_COUNTERS: [PoolCounter; 6] = [
    ("towpath_pool_hits_total", "Requests that found an idle connection, by where.", "tier", |stats| {
        vec![("worker", stats.local_hits), ("shared", stats.shared_hits), ("stolen", stats.steal_hits)]
    }),
    ("towpath_pool_dials_total", "Connections attempted.", "", |stats| vec![("", stats.dials)]),
    ("towpath_pool_dial_failures_total", "Connections that did not come about.", "", |stats| {
        vec![("", stats.dial_failures)]
    }),
    ("towpath_pool_waits_total", "Requests that waited for a connection and got one.", "", |stats| {
        vec![("", stats.waits.count())]
    }),
    ("towpath_pool_refusals_total", "Requests that got no connection, by reason.", "reason", |stats| {
        vec![("timeout", stats.timeouts), ("queue_full", stats.queue_full)]
    }),
    ("towpath_pool_closed_total", "Connections ended, by reason.", "reason", |stats| {
        let closed = stats.closed;
        vec![
            ("idle", closed.idle),
            ("lifetime", closed.lifetime),
            ("dead", closed.dead),
            ("busy", closed.busy),
            ("discard", closed.discard),
            ("resize", closed.resize),
            ("shutdown", closed.shutdown),
            ("detached", closed.detached),
        ]
    }),
];

/// What the pools have counted, by endpoint.
fn encode_pools(endpoints: &[(&str, &Arc<Endpoint>)], encoder: &mut Encoder) {
    let stats: Vec<_> =
        endpoints.iter().map(|(upstream, endpoint)| (*upstream, endpoint, endpoint.pool.stats())).collect();
    for (name, help, label, values) in POOL_COUNTERS {
        let mut family = encoder.family(name, Kind::Counter, help);
        for (upstream, endpoint, stats) in &stats {
            for (value, count) in values(stats) {
                let labels = [("upstream", *upstream), ("endpoint", &*endpoint.name), (label, value)];
                family.sample(if label.is_empty() { &labels[..2] } else { &labels }, count);
            }
        }
    }
}

fn pool(stats: &Stats) -> Json {
    let closed = stats.closed;
    json!({
        "open": stats.open,
        "idle": stats.idle,
        "in_use": stats.in_use,
        "dialling": stats.dialling,
        "waiters": stats.waiters,
        "hits": { "worker": stats.local_hits, "shared": stats.shared_hits, "stolen": stats.steal_hits },
        "dials": stats.dials,
        "dial_failures": stats.dial_failures,
        "validate_failures": stats.validate_failures,
        "timeouts": stats.timeouts,
        "queue_full": stats.queue_full,
        "opened": stats.opened,
        "closed": {
            "idle": closed.idle,
            "lifetime": closed.lifetime,
            "dead": closed.dead,
            "busy": closed.busy,
            "discard": closed.discard,
            "resize": closed.resize,
            "shutdown": closed.shutdown,
            "detached": closed.detached,
        },
    })
}
