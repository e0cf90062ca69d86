//! The names and help texts of every family: `towpath_<area>_<thing>_<unit>`.

use super::blocks::PerWorker;
use super::blocks::{CLOSE_REASONS, REFUSALS_MAX, STATUS_CLASSES, WorkerCounters};
use super::layer4::{LIMITS, ListenerCounters, RELAY_CLOSES};
use super::registry::{Registry, RelayTotals, RouteTotals, Series, UpstreamTotals};
use super::udp;
use crate::label::OTHER;
use crate::prometheus::{Encoder, Kind};

type Routes<'s> = Vec<((&'s str, &'s str), RouteTotals)>;
type Upstreams<'s> = Vec<(&'s str, UpstreamTotals)>;
type Listeners<'s> = Vec<(&'s str, &'s PerWorker<ListenerCounters>)>;
type Relays<'s> = Vec<((&'s str, &'s str), RelayTotals)>;

pub(crate) fn encode(registry: &Registry, series: &Series, encoder: &mut Encoder) {
    encode_process(registry, encoder);
    encode_connections(registry, encoder);
    encode_refusals(registry, encoder);
    let routes: Routes<'_> = series
        .routes
        .iter()
        .map(|(label, blocks)| (label.map_or((OTHER, OTHER), |(l, r)| (l, r)), RouteTotals::of(blocks)))
        .collect();
    encode_routes(&routes, encoder);
    let upstreams: Upstreams<'_> = series
        .upstreams
        .iter()
        .map(|(label, blocks)| (label.map_or(OTHER, |label| label), UpstreamTotals::of(blocks)))
        .collect();
    encode_upstreams(&upstreams, encoder);
    let listeners: Listeners<'_> =
        series.listeners.iter().map(|(label, blocks)| (label.map_or(OTHER, |label| label), blocks)).collect();
    encode_listeners(&listeners, encoder);
    let relays: Relays<'_> = series
        .relays
        .iter()
        .map(|(label, blocks)| (label.map_or((OTHER, OTHER), |(l, u)| (l, u)), RelayTotals::of(blocks)))
        .collect();
    encode_relays(&relays, encoder);
    let udp: Vec<_> =
        series.udp.iter().map(|(label, blocks)| (label.map_or(OTHER, |label| label), blocks)).collect();
    udp::encode(&udp, encoder);
}

fn encode_process(registry: &Registry, encoder: &mut Encoder) {
    let build = &registry.build;
    let labels = [("version", &*build.version), ("revision", &*build.revision), ("rustc", &*build.rustc)];
    encoder.family("towpath_build_info", Kind::Gauge, "What is running; always 1.").sample(&labels, 1);
    let workers = registry.workers.iter().count() as u64;
    encoder.family("towpath_workers_count", Kind::Gauge, "Worker threads.").sample(&[], workers);
    let reloads = &registry.reloads;
    encoder
        .family("towpath_config_reloads_total", Kind::Counter, "Configuration reloads by result.")
        .sample(&[("result", "ok")], reloads.succeeded.value())
        .sample(&[("result", "failed")], reloads.failed.value());
    encoder
        .family("towpath_plan_version", Kind::Gauge, "Version of the plan last published.")
        .sample(&[], reloads.plan_version.value());
    encoder
        .family("towpath_plan_published_timestamp_seconds", Kind::Gauge, "When that plan was published.")
        .sample(&[], reloads.plan_published_s.value());
    let mut family = encoder.family(
        "towpath_worker_plan_version",
        Kind::Gauge,
        "Version of the plan that each worker serves.",
    );
    for (index, worker) in registry.workers.iter().enumerate() {
        family.sample(&[("worker", &index.to_string())], worker.plan_version.value());
    }
}

fn encode_connections(registry: &Registry, encoder: &mut Encoder) {
    // Per worker: uneven placement of long-lived connections is worth seeing.
    let mut family = encoder.family(
        "towpath_downstream_connections_accepted_total",
        Kind::Counter,
        "Downstream connections accepted, by worker.",
    );
    for (index, worker) in registry.workers.iter().enumerate() {
        family.sample(&[("worker", &index.to_string())], worker.accepted.value());
    }
    let mut family = encoder.family(
        "towpath_downstream_connections_open",
        Kind::Gauge,
        "Downstream connections open now, by worker.",
    );
    for (index, worker) in registry.workers.iter().enumerate() {
        family.sample(&[("worker", &index.to_string())], worker.open.value());
    }
    let mut family = encoder.family(
        "towpath_downstream_connections_closed_total",
        Kind::Counter,
        "Downstream connections closed, by reason.",
    );
    for (index, reason) in CLOSE_REASONS.iter().enumerate() {
        family.sample(&[("reason", reason)], registry.workers.sum(|worker| worker.closed[index].value()));
    }
    encode_worker_sums(registry, encoder);
}

type WorkerSum = (&'static str, Kind, &'static str, fn(&WorkerCounters) -> u64);

fn encode_worker_sums(registry: &Registry, encoder: &mut Encoder) {
    const SUMS: [WorkerSum; 4] = [
        (
            "towpath_downstream_tunnels_open",
            Kind::Gauge,
            "Tunnels open now, as after an upgrade.",
            |worker| worker.tunnels_open.value(),
        ),
        (
            "towpath_request_underscore_headers_dropped_total",
            Kind::Counter,
            "Request header fields dropped because of an underscore in the name.",
            |worker| worker.underscore_headers.value(),
        ),
        (
            "towpath_accesslog_lines_total",
            Kind::Counter,
            "Access-log lines handed to the writer.",
            |worker| worker.log_lines.value(),
        ),
        (
            "towpath_accesslog_lines_dropped_total",
            Kind::Counter,
            "Access-log lines dropped because the writer did not keep up.",
            |worker| worker.log_lines_dropped.value(),
        ),
    ];
    for (name, kind, help, number) in SUMS {
        encoder.family(name, kind, help).sample(&[], registry.workers.sum(number));
    }
}

/// Reasons without a name are counted as `other`; reasons that never happened are written too, so that an alert on
/// them finds a zero and not nothing.
fn encode_refusals(registry: &Registry, encoder: &mut Encoder) {
    let mut family = encoder.family(
        "towpath_gateway_refusals_total",
        Kind::Counter,
        "Requests and connections that the gateway refused or failed itself, by reason code.",
    );
    let named = registry.refusal_names.len().min(REFUSALS_MAX);
    for (id, name) in registry.refusal_names.iter().take(named).enumerate() {
        family.sample(&[("reason", name)], registry.workers.sum(|worker| worker.refusals[id].value()));
    }
    let unnamed =
        registry.workers.sum(|worker| worker.refusals[named..].iter().map(|counter| counter.value()).sum());
    if unnamed > 0 {
        family.sample(&[("reason", OTHER)], unnamed);
    }
}

fn encode_routes(routes: &Routes<'_>, encoder: &mut Encoder) {
    let mut family = encoder.family(
        "towpath_requests_total",
        Kind::Counter,
        "Requests finished, by listener, route and class of status.",
    );
    for ((listener, route), totals) in routes {
        for (class, count) in STATUS_CLASSES.iter().zip(totals.requests) {
            family.sample(&[("listener", listener), ("route", route), ("status", class)], count);
        }
    }
    let mut family = encoder.family(
        "towpath_request_duration_seconds",
        Kind::Histogram,
        "From the first byte of the request to the last byte of the response.",
    );
    for ((listener, route), totals) in routes {
        family.histogram(&[("listener", listener), ("route", route)], &totals.latency);
    }
    let mut family =
        encoder.family("towpath_request_received_bytes_total", Kind::Counter, "Request bytes received.");
    for ((listener, route), totals) in routes {
        family.sample(&[("listener", listener), ("route", route)], totals.bytes_in);
    }
    let mut family =
        encoder.family("towpath_response_sent_bytes_total", Kind::Counter, "Response bytes sent.");
    for ((listener, route), totals) in routes {
        family.sample(&[("listener", listener), ("route", route)], totals.bytes_out);
    }
}

type UpstreamSum = (&'static str, Kind, &'static str, fn(&UpstreamTotals) -> u64);

const UPSTREAM_SUMS: [UpstreamSum; 5] = [
    ("towpath_upstream_requests_total", Kind::Counter, "Requests sent upstream, retries included.", |t| {
        t.requests
    }),
    ("towpath_upstream_retries_total", Kind::Counter, "Requests tried again.", |t| t.retries),
    (
        "towpath_upstream_stale_retries_total",
        Kind::Counter,
        "Requests tried again because a reused connection was closed.",
        |t| t.stale_retries,
    ),
    ("towpath_upstream_retries_refused_total", Kind::Counter, "Retries that the budget forbade.", |t| {
        t.retries_refused
    }),
    ("towpath_upstream_requests_active", Kind::Gauge, "Requests under way.", |t| t.requests_active),
];

fn encode_upstreams(upstreams: &Upstreams<'_>, encoder: &mut Encoder) {
    for (name, kind, help, number) in UPSTREAM_SUMS {
        let mut family = encoder.family(name, kind, help);
        for (upstream, totals) in upstreams {
            family.sample(&[("upstream", upstream)], number(totals));
        }
    }
    let mut family = encoder.family(
        "towpath_upstream_latency_seconds",
        Kind::Histogram,
        "From the request's first byte sent to the response's first byte received.",
    );
    for (upstream, totals) in upstreams {
        family.histogram(&[("upstream", upstream)], &totals.latency);
    }
}

type ListenerSum = (&'static str, Kind, &'static str, fn(&ListenerCounters) -> u64);

const LISTENER_SUMS: [ListenerSum; 3] = [
    (
        "towpath_listener_connections_accepted_total",
        Kind::Counter,
        "Connections accepted, by listener.",
        |l| l.accepted.value(),
    ),
    ("towpath_listener_connections_open", Kind::Gauge, "Connections open now, by listener.", |l| {
        l.open.value()
    }),
    (
        "towpath_listener_connections_placed_total",
        Kind::Counter,
        "Connections handed to a worker that had fewer, by listener.",
        |l| l.placed_elsewhere.value(),
    ),
];

fn encode_listeners(listeners: &Listeners<'_>, encoder: &mut Encoder) {
    for (name, kind, help, number) in LISTENER_SUMS {
        let mut family = encoder.family(name, kind, help);
        for (listener, blocks) in listeners {
            family.sample(&[("listener", listener)], blocks.sum(number));
        }
    }
    let mut family = encoder.family(
        "towpath_listener_limited_total",
        Kind::Counter,
        "How often a limit was met: connections wait in the kernel's queue, or, for limit address, are closed.",
    );
    for (listener, blocks) in listeners {
        for (index, limit) in LIMITS.iter().enumerate() {
            let count = blocks.sum(|block| block.limited[index].value());
            family.sample(&[("listener", listener), ("limit", limit)], count);
        }
    }
}

type RelaySum = (&'static str, Kind, &'static str, fn(&RelayTotals) -> u64);

const RELAY_SUMS: [RelaySum; 4] = [
    (
        "towpath_relay_connections_total",
        Kind::Counter,
        "Connections forwarded, by listener and upstream.",
        |t| t.connections,
    ),
    ("towpath_relay_connections_open", Kind::Gauge, "Forwarded connections open now.", |t| t.open),
    ("towpath_relay_received_bytes_total", Kind::Counter, "Bytes from clients to endpoints.", |t| t.bytes_up),
    ("towpath_relay_sent_bytes_total", Kind::Counter, "Bytes from endpoints to clients.", |t| t.bytes_down),
];

fn encode_relays(relays: &Relays<'_>, encoder: &mut Encoder) {
    for (name, kind, help, number) in RELAY_SUMS {
        let mut family = encoder.family(name, kind, help);
        for ((listener, upstream), totals) in relays {
            family.sample(&[("listener", listener), ("upstream", upstream)], number(totals));
        }
    }
    let mut family = encoder.family(
        "towpath_relay_closed_total",
        Kind::Counter,
        "Forwarded connections that ended, by how they did.",
    );
    for ((listener, upstream), totals) in relays {
        for (reason, count) in RELAY_CLOSES.iter().zip(totals.closed) {
            let labels = [("listener", *listener), ("upstream", *upstream), ("reason", *reason)];
            family.sample(&labels, count);
        }
    }
}
