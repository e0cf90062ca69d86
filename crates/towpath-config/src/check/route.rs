//! `[route.NAME]` and `[policy.NAME]`.

use super::{Checks, place};
use crate::diagnostic::Diagnostic;
use crate::options::{Compress, Files, Match, Policy, Redirect, Rewrite, Route, RouteTimeouts, WebSocket};
use crate::value::{ByteSize, Map, Opt, Switch};

/// Codes that send a client elsewhere (RFC 9110 section 15.4); 300, 304 and the reserved ones mean something else.
const REDIRECT_CODES: [u16; 5] = [301, 302, 303, 307, 308];

pub(super) fn route(checks: &mut Checks, route: &Route) {
    checks.exactly_one(
        "action",
        &[
            ("upstream", place(&route.upstream)),
            ("upstreams", place(&route.upstreams)),
            ("respond", place(&route.respond)),
            ("redirect", place(&route.redirect)),
            ("files", place(&route.files)),
        ],
    );
    weights(checks, &route.upstreams);
    priority(checks, route);
    checks.not_zero(&[("timeout", &route.timeout)]);
    if let Some(listeners) = route.listeners.as_ref().filter(|listeners| listeners.is_empty()) {
        let hint = "name a listener, or take the key out";
        checks.error(listeners, "listeners is empty, so the route could never act", hint);
    }
    checks.inner("match", &route.matches, conditions);
    checks.inner("redirect", &route.redirect, redirect);
    checks.inner("files", &route.files, files);
    checks.inner("compress", &route.compress, compress);
    checks.inner("rewrite", &route.rewrite, rewrite);
    checks.inner("timeouts", &route.timeouts, timeouts);
    checks.inner("websocket", &route.websocket, websocket);
}

fn weights(checks: &mut Checks, upstreams: &Opt<Map<u32>>) {
    let Some(upstreams) = upstreams else { return };
    if upstreams.values().all(|weight| weight.value == 0) {
        let message = "no upstream has a weight above zero, so the route could never act";
        let mut fault =
            Diagnostic::error(upstreams.span, message).hint("for example { stable = 90, canary = 10 }");
        fault.is_missing = true;
        checks.push(fault);
    }
}

/// `priority` may stand on the route or in its `match`.
fn priority(checks: &mut Checks, route: &Route) {
    let within = route.matches.as_ref().and_then(|matches| matches.priority.as_ref());
    if let (Some(outer), Some(inner)) = (&route.priority, within)
        && outer.value != inner.value
    {
        let message = format!("priority is {} here and {} in match", outer.value, inner.value);
        let fault = Diagnostic::error(outer.span, message).also(inner.span, "priority of match");
        checks.push(fault.hint("take one of the two out"));
    }
}

fn conditions(checks: &mut Checks, matches: &Match) {
    absolute(checks, "path", &matches.path);
    let is_name = |host: &str| !host.contains(['/', ' ']) && (!host.contains(':') || host.starts_with('['));
    if let Some(host) = matches.host.as_ref().filter(|host| !is_name(host)) {
        let hint =
            "write the name alone, without scheme, port or path: \"api.example.com\" or \"*.example.com\"";
        checks.error(host, format!("host: \"{host}\" is not a host name"), hint);
    }
    if let Some(methods) = matches.methods.as_ref().filter(|methods| methods.is_empty()) {
        let hint = "name a method, or take the key out";
        checks.error(methods, "methods is empty, so the route could never act", hint);
    }
}

fn absolute(checks: &mut Checks, key: &str, path: &Opt<String>) {
    if let Some(path) = path.as_ref().filter(|path| !path.starts_with('/')) {
        let hint = if path.contains(['~', '^', '(', '\\', ' ']) {
            "paths are no regular expressions: write \"/shop/*\" for all below, \"/users/{id}\" for one segment".to_owned()
        } else {
            format!("write \"/{}\"", path.value)
        };
        checks.error(path, format!("{key}: \"{path}\" does not begin with \"/\""), &hint);
    }
}

fn redirect(checks: &mut Checks, redirect: &Redirect) {
    if redirect.to.is_none() {
        checks.missing("lacks the key \"to\"", "for example to = \"/new\" or to = \"https://example.com/\"");
    }
    if let Some(status) = redirect.status.as_ref().filter(|status| !REDIRECT_CODES.contains(&status.0)) {
        let message = format!("status {} does not send a client elsewhere", status.0);
        checks.error(status, message, "write 301, 302, 303, 307 or 308");
    }
}

fn files(checks: &mut Checks, files: &Files) {
    if files.root.is_none() {
        checks.missing("lacks the key \"root\"", "for example root = \"public\"");
    }
}

fn compress(checks: &mut Checks, switch: &Switch<Compress>) {
    let Switch::Table(compress) = switch else { return };
    let hint = "take the key out, or write compress = false";
    if let Some(encodings) = compress.encodings.as_ref().filter(|list| list.is_empty()) {
        checks.error(encodings, "encodings is empty, so nothing could be compressed", hint);
    }
    if let Some(types) = compress.types.as_ref().filter(|list| list.is_empty()) {
        checks.error(types, "types is empty, so nothing could be compressed", hint);
    }
}

fn rewrite(checks: &mut Checks, rewrite: &Rewrite) {
    checks.exactly_one(
        "rewrite",
        &[
            ("strip_prefix", place(&rewrite.strip_prefix)),
            ("prefix", place(&rewrite.prefix)),
            ("path", place(&rewrite.path)),
        ],
    );
    absolute(checks, "strip_prefix", &rewrite.strip_prefix);
    absolute(checks, "prefix", &rewrite.prefix);
    absolute(checks, "path", &rewrite.path);
}

fn timeouts(checks: &mut Checks, timeouts: &RouteTimeouts) {
    checks.not_zero(&[
        ("response_header", &timeouts.response_header),
        ("upstream_idle", &timeouts.upstream_idle),
        ("tunnel_idle", &timeouts.tunnel_idle),
    ]);
}

fn websocket(checks: &mut Checks, websocket: &WebSocket) {
    checks.not_zero(&[("ping_idle", &websocket.ping_idle), ("ping_timeout", &websocket.ping_timeout)]);
    if let Some(bytes) = websocket.max_message_bytes.as_ref().filter(|bytes| bytes.value == ByteSize(0)) {
        checks.error(
            bytes,
            "max_message_bytes is zero, so nothing could ever be said",
            "for example \"1MiB\"",
        );
    }
    if let Some(rate) = websocket.message_rate.as_ref().filter(|rate| rate.count == 0) {
        checks.error(rate, "message_rate is zero, so nothing could ever be said", "for example \"100/s\"");
    }
    if let (None, Some(timeout)) = (&websocket.ping_idle, &websocket.ping_timeout) {
        let hint = "say when a side is asked, for example ping_idle = \"30s\"";
        checks.error(timeout, "ping_timeout stands without ping_idle, so that nobody is ever asked", hint);
    }
}

pub(super) fn policy(checks: &mut Checks, policy: &Policy) {
    checks.exactly_one("rule", &[("jwt", place(&policy.jwt)), ("rate_limit", place(&policy.rate_limit))]);
}
