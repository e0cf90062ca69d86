//! The plan as `GET /plan` shows it: what was compiled, defaults included.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};
use towpath::pool::{PoolConfig, Validate};
use towpath_gateway::plan::{
    AcceptRate, Action, Compress, Endpoint, Files, Forwarded, HeaderEdits, HeaderField, Health, HostHeader,
    Listener, ListenerSettings, ListenerTls, MediaPattern, MessageRate, Network, Passthrough, Plan, Probe,
    Protocol, ProxyVersion, RelaySettings, Rewrite, Route, Target, TlsPolicy, Udp, Upstream,
    WebSocketSettings,
};
use towpath_proto::coding::{Coding, DecodeLimits};
use towpath_traffic::retry::{Attempt, Body, Failure, Rules, Verdict, decide};
use towpath_traffic::route::{RouteRule, ValueRule};

use crate::compile::Bound;

/// What stands in the place of a value that may be a secret.
const HIDDEN: &str = "(hidden)";

/// The whole plan. Times are in milliseconds, sizes in bytes; `null` means no bound. Values of header fields and
/// parameters are left out, as a `${file:…}` may stand behind them.
pub fn plan(plan: &Plan) -> Json {
    json!({
        "version": plan.version,
        "listeners": plan.listeners.iter().map(|one| listener(one)).collect::<Vec<_>>(),
        "routes": plan.routes.iter().map(|one| route(one, plan)).collect::<Vec<_>>(),
        "upstreams": plan.upstreams.iter().map(|one| upstream(one)).collect::<Vec<_>>(),
        "access_log": plan.access_log.is_some(),
        "shutdown": { "grace_ms": millis(plan.shutdown.grace), "spread_ms": millis(plan.shutdown.spread) },
    })
}

fn listener(listener: &Listener) -> Json {
    json!({
        "name": &*listener.name,
        "protocol": listener.protocol.name(),
        "addresses": Bound::of(listener).iter().map(|bound| bound.address().to_string()).collect::<Vec<_>>(),
        "tls": listener.tls.as_ref().map(tls),
        "routes": listener.router.routes.iter().map(|route| &*route.name).collect::<Vec<_>>(),
        "settings": settings(listener),
    })
}

/// The policies of a listener. Keys are nowhere in it.
fn tls(tls: &ListenerTls) -> Json {
    let policy = |policy: &Arc<TlsPolicy>| {
        json!({
            "name": &*policy.name,
            "names": policy.files().names,
            "demands_certificate": policy.demands_certificate,
            "client_names": policy.client_names.as_ref().map(|names| {
                names.iter().map(|name| name.0.as_str()).collect::<Vec<_>>()
            }),
            "identity_header": policy.identity_header.as_deref().map(lossy),
        })
    };
    tls.policies.iter().map(policy).collect()
}

fn settings(listener: &Listener) -> Json {
    match &listener.protocol {
        Protocol::Http => http(&listener.settings),
        Protocol::Tcp(tcp) => json!({
            "upstream": &*tcp.target.upstream.name,
            "relay": relay(&tcp.relay),
            "limits": limits(&listener.settings),
        }),
        Protocol::Passthrough(passthrough) => json!({
            "sni": server_names(passthrough),
            "alpn": upstreams(passthrough.alpn.iter().map(|(name, target)| (lossy(name), target))),
            "upstream": passthrough.default.as_ref().map(|target| &*target.upstream.name),
            "relay": relay(&passthrough.relay),
            "limits": limits(&listener.settings),
        }),
        Protocol::Udp(udp) => sessions(udp),
    }
}

fn relay(relay: &RelaySettings) -> Json {
    json!({ "idle_timeout_ms": millis(relay.idle_timeout), "connect_attempts": relay.connect_attempts })
}

fn sessions(udp: &Udp) -> Json {
    json!({
        "upstream": &*udp.upstream.name,
        "idle_timeout_ms": millis(udp.settings.idle_timeout),
        "sessions_max": udp.settings.sessions_max,
        "sessions_per_address_max": udp.settings.sessions_per_source_max,
        "reply_ratio": udp.settings.reply_ratio,
    })
}

/// As written: a wildcard with its star.
fn server_names(passthrough: &Passthrough) -> Json {
    let star = |name: &str| if name.starts_with('.') { format!("*{name}") } else { name.to_owned() };
    upstreams(passthrough.names.iter().map(|(name, target)| (star(name), target)))
}

fn upstreams<'t>(targets: impl Iterator<Item = (String, &'t Arc<Target>)>) -> Json {
    targets
        .map(|(name, target)| (name, Json::from(&*target.upstream.name)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// What every listener for connections may bound.
fn limits(settings: &ListenerSettings) -> Json {
    json!({
        "first_request_timeout_ms": millis(settings.first_request_timeout),
        "connections_max": settings.connections_max,
        "connections_per_address_max": settings.connections_per_address_max,
        "accept_rate": settings.accept_rate.map(accept_rate),
        "proxy_protocol_from": sources(&settings.proxy_protocol_from),
    })
}

fn accept_rate(rate: AcceptRate) -> Json {
    json!({ "count": rate.count, "per_ms": millis(rate.per), "burst": rate.burst })
}

/// As written: one address stands for everybody at a Unix socket.
fn sources(ranges: &[Network]) -> Vec<String> {
    let unix = Network { address: towpath_net::unix::ADDRESS.ip(), prefix: 32 };
    let word = |range: &Network| (*range == unix).then(|| "unix".to_owned());
    ranges.iter().map(|range| word(range).unwrap_or_else(|| networks(&[*range]).concat())).collect()
}

fn networks(ranges: &[Network]) -> Vec<String> {
    ranges.iter().map(|range| format!("{}/{}", range.address, range.prefix)).collect()
}

fn http(settings: &ListenerSettings) -> Json {
    json!({
        "first_request_timeout_ms": millis(settings.first_request_timeout),
        "header_timeout_ms": millis(settings.header_timeout),
        "idle_timeout_ms": millis(settings.idle_timeout),
        "body_idle_timeout_ms": millis(settings.body_idle_timeout),
        "write_idle_timeout_ms": millis(settings.write_idle_timeout),
        "h2c": settings.h2c,
        "body_rate_min": settings.body_rate_min,
        "head_bytes_max": settings.head.head_bytes_max,
        "fields_count_max": settings.head.fields_count_max,
        "line_bytes_max": settings.head.line_bytes_max,
        "body_bytes_max": settings.body_bytes_max,
        "connections_max": settings.connections_max,
        "connections_per_address_max": settings.connections_per_address_max,
        "accept_rate": settings.accept_rate.map(accept_rate),
        "proxy_protocol_from": sources(&settings.proxy_protocol_from),
        "trusted_proxies": networks(&settings.trusted_proxies),
        "forwarded": forwarded(settings.forwarded),
        "underscore_headers": if settings.underscore_headers { "allow" } else { "drop" },
    })
}

fn forwarded(style: Forwarded) -> &'static str {
    match style {
        Forwarded::XForwarded => "x-forwarded",
        Forwarded::Rfc7239 => "rfc7239",
        Forwarded::Both => "both",
        Forwarded::Off => "off",
    }
}

fn route(route: &Route, plan: &Plan) -> Json {
    json!({
        "name": &*route.name,
        "match": rule_of(route, plan).map(rule),
        "action": action(&route.action),
        "timeout_ms": route.timeout.map(millis),
        "response_header_timeout_ms": millis(route.response_header_timeout),
        "upstream_idle_timeout_ms": millis(route.upstream_idle_timeout),
        "tunnel_idle_timeout_ms": millis(route.tunnel_idle_timeout),
        "on_disconnect": if route.outlives_client { "detach" } else { "cancel" },
        "retry": route.retry.as_ref().map(retry),
        "rewrite": route.rewrite.as_ref().map(rewrite),
        "host": host(&route.host),
        "request_headers": edits(&route.request_headers),
        "response_headers": edits(&route.response_headers),
        "compress": route.compress.as_ref().map(compress),
        "decompress_request": route.decompress_request.map(decompress_request),
        "grpc_web": route.grpc_web,
        "upgrades": route.upgrades.iter().map(|token| text(token)).collect::<Vec<_>>(),
        "websocket": websocket(&route.websocket),
        "body_bytes_max": route.body_bytes_max.map(body_bytes_max),
        "encoded_path": if route.encoded_path { "allow" } else { "refuse" },
        "via": route.via,
    })
}

fn compress(rules: &Compress) -> Json {
    json!({
        "encodings": codings(&rules.codings),
        "types": rules.types.iter().map(MediaPattern::text).collect::<Vec<_>>(),
        "body_bytes_min": rules.body_bytes_min,
        "effort": format!("{:?}", rules.effort).to_lowercase(),
    })
}

fn codings(codings: &[Coding]) -> Json {
    codings.iter().map(|coding| coding.token()).collect()
}

fn decompress_request(limits: DecodeLimits) -> Json {
    json!({ "body_bytes_max": limits.bytes_max, "ratio_max": limits.ratio_max })
}

/// Nothing where nothing is demanded.
fn websocket(settings: &WebSocketSettings) -> Json {
    if *settings == WebSocketSettings::default() {
        return Json::Null;
    }
    let rate = |rate: MessageRate| json!({ "count": rate.count, "per_ms": millis(rate.per) });
    json!({
        "origins": settings.origins.as_ref().map(|origins| origins.entries().collect::<Vec<_>>()),
        "message_bytes_max": settings.message_bytes_max,
        "message_rate": settings.message_rate.map(rate),
        "ping_idle_ms": settings.ping.map(|ping| millis(ping.idle)),
        "closes_when_removed": settings.closes_when_removed,
        "ping_timeout_ms": settings.ping.map(|ping| millis(ping.timeout)),
    })
}

/// A route lifts its listener's bound with a number that no body reaches.
fn body_bytes_max(bytes: u64) -> Json {
    if bytes == u64::MAX { Json::from("unlimited") } else { Json::from(bytes) }
}

fn retry(rules: &Rules) -> Json {
    json!({ "attempts": rules.attempts, "on": reasons(rules) })
}

/// What is tried again, found by asking the very decision that is asked for requests.
fn reasons(rules: &Rules) -> Vec<String> {
    let plain =
        [("connect-failure", Failure::Connect), ("reset", Failure::Closed), ("timeout", Failure::Timeout)];
    let mut words: Vec<String> = plain
        .into_iter()
        .filter(|(_, failure)| is_retried(rules, *failure))
        .map(|(word, _)| word.to_owned())
        .collect();
    let statuses: Vec<u16> =
        (400..=599).filter(|status| is_retried(rules, Failure::Status(*status))).collect();
    let server_errors = statuses.iter().filter(|status| **status >= 500).count();
    if server_errors == 100 {
        words.push("5xx".to_owned());
    }
    let single = statuses.iter().filter(|status| server_errors < 100 || **status < 500);
    words.extend(single.map(u16::to_string));
    words
}

/// Asks about a request that nothing else keeps from being sent again.
fn is_retried(rules: &Rules, failure: Failure) -> bool {
    let attempt = Attempt {
        idempotent: true,
        body: Body::Empty,
        reused: false,
        request_bytes: 0,
        response_bytes: 0,
        unprocessed: false,
        response_forwarded: false,
        attempts: 0,
        stale_retry_used: true,
    };
    decide(&attempt, failure, Some(rules)) == Verdict::Retry
}

/// The conditions of a route, which every table that serves it holds alike.
fn rule_of<'p>(route: &Route, plan: &'p Plan) -> Option<&'p RouteRule> {
    plan.listeners.iter().find_map(|listener| {
        let router = &listener.router;
        let place = router.routes.iter().position(|served| served.name == route.name)?;
        router.table.rule(place)
    })
}

fn rule(rule: &RouteRule) -> Json {
    let values = |list: &[(String, ValueRule)]| -> Json {
        list.iter()
            .map(|(name, value)| (name.clone(), value_rule(value)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    json!({
        "host": rule.host.to_string(),
        "path": rule.path.to_string(),
        "methods": rule.methods,
        "headers": values(&rule.headers),
        "query": values(&rule.query),
        "priority": rule.priority,
    })
}

/// What a field must hold may be a key that callers present.
fn value_rule(rule: &ValueRule) -> Json {
    match rule {
        ValueRule::Exact(_) => Json::from(HIDDEN),
        ValueRule::Present => Json::from("*"),
    }
}

fn action(action: &Action) -> Json {
    match action {
        Action::Upstream(upstream) => json!({ "upstream": &*upstream.name }),
        Action::Split(split) => {
            let shares = split
                .shares
                .iter()
                .map(|(upstream, weight)| (upstream.name.to_string(), Json::from(*weight)));
            json!({ "upstreams": shares.collect::<serde_json::Map<_, _>>() })
        }
        Action::Respond(respond) => json!({ "respond": {
            "status": respond.status,
            "headers": names(&respond.headers),
            "body_bytes": respond.body.len(),
        }}),
        Action::Redirect(redirect) => json!({ "redirect": {
            "status": redirect.status,
            "is_constant": redirect.to.is_constant(),
        }}),
        Action::Files(found) => json!({ "files": files(found) }),
    }
}

fn files(files: &Files) -> Json {
    json!({
        "root": files.root.display().to_string(),
        "index": files.index,
        "precompressed": codings(&files.precompressed),
        "follow_symlinks": files.follow_symlinks,
        "cache_control": files.cache_control.as_deref().map(text),
        "strip_prefix": text(&files.strip_prefix),
    })
}

fn rewrite(rewrite: &Rewrite) -> Json {
    match rewrite {
        Rewrite::StripPrefix(prefix) => json!({ "strip_prefix": text(prefix) }),
        Rewrite::ReplacePrefix(old, new) => json!({ "prefix": { "from": text(old), "to": text(new) } }),
        Rewrite::Path(template) => json!({ "path": { "is_constant": template.is_constant() } }),
    }
}

fn host(host: &HostHeader) -> Json {
    match host {
        HostHeader::Preserve => Json::from("preserve"),
        HostHeader::Upstream => Json::from("upstream"),
        HostHeader::Literal(name) => text(name),
    }
}

fn edits(edits: &HeaderEdits) -> Json {
    if edits.is_empty() {
        return Json::Null;
    }
    json!({
        "remove": edits.remove.iter().map(|name| text(name)).collect::<Vec<_>>(),
        "set": names(&edits.set),
        "add": names(&edits.add),
    })
}

/// The names of fields. Compiled values no longer know whether they came out of a secret file.
fn names(fields: &[HeaderField]) -> Json {
    fields.iter().map(|(name, _)| text(name)).collect()
}

fn upstream(upstream: &Upstream) -> Json {
    json!({
        "name": &*upstream.name,
        "balance": upstream.balance.name(),
        "endpoints": upstream.endpoints.iter().map(|one| endpoint(one)).collect::<Vec<_>>(),
        "pool": pool(&upstream.settings.pool),
        "health": upstream.settings.health.as_ref().map(health),
        "protocol": if upstream.settings.http2 { "http2" } else { "http1" },
        "tls": upstream.settings.tls.as_ref().map(|tls| json!({ "server_name": tls.server_name })),
        "proxy_protocol": upstream.settings.proxy_protocol.map(|out| match out.version {
            ProxyVersion::V1 => "v1",
            ProxyVersion::V2 => "v2",
        }),
    })
}

fn endpoint(endpoint: &Endpoint) -> Json {
    json!({ "name": &*endpoint.name, "address": endpoint.address.to_string(), "weight": endpoint.weight })
}

fn health(health: &Health) -> Json {
    json!({
        "kind": match health.probe {
            Probe::Connect => "tcp",
            Probe::Get(_) => "http",
            Probe::Grpc(_) => "grpc",
        },
        "service": match &health.probe {
            Probe::Grpc(service) => Some(service),
            _ => None,
        },
        "path": match &health.probe {
            Probe::Get(path) => Some(path),
            Probe::Connect | Probe::Grpc(_) => None,
        },
        "interval_ms": millis(health.interval),
        "timeout_ms": millis(health.timeout),
        "healthy": health.healthy,
        "unhealthy": health.unhealthy,
    })
}

fn pool(pool: &PoolConfig) -> Json {
    json!({
        "max_connections": pool.max_connections,
        "max_total": pool.max_total.as_ref().map(|budget| budget.max()),
        "min_idle": pool.min_idle,
        "max_idle": pool.max_idle,
        "idle_timeout_ms": millis(pool.idle_timeout),
        "max_lifetime_ms": millis(pool.max_lifetime),
        "acquire_timeout_ms": millis(pool.acquire_timeout),
        "connect_timeout_ms": millis(pool.connect_timeout),
        "max_waiters": pool.max_waiters,
        "overload": format!("{:?}", pool.overload).to_lowercase(),
        "validate": validate(pool.validate),
        "fail_fast": pool.fail_fast,
        "tiers": if pool.worker_tiers { json!(["worker", "shared"]) } else { json!(["shared"]) },
    })
}

fn validate(validate: Validate) -> Json {
    match validate {
        Validate::None => Json::from("none"),
        Validate::Peek => Json::from("peek"),
        Validate::Always => Json::from("always"),
        Validate::IfIdleFor(time) => json!({ "if_idle_for_ms": millis(time) }),
    }
}

fn text(bytes: &[u8]) -> Json {
    lossy(bytes).into()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// [`Duration::MAX`] and the like become the largest number.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
