//! Routes: conditions, action, and everything in between.

use std::time::Duration;

use towpath_config::options::{self, EncodedPath, OnDisconnect, RetryOn};
use towpath_config::value::Opt;
use towpath_config::{Diagnostic, Options, Span, Spanned};
use towpath_gateway::plan::{Action, HostHeader, Rewrite, Route};
use towpath_proto::authority::Authority;
use towpath_proto::field;
use towpath_traffic::retry;
use towpath_traffic::route::{PathRule, RouteRule};

use super::listener::{self, body_bytes};
use super::name::{names, unknown, within};
use super::upstream::Upstreams;
use super::{CompileEnv, Faults, action, coding, edits, rule, websocket};

/// Attempts after the first that a `retry` table without a number allows.
const RETRIES: u32 = 1;

/// A route as written.
pub(super) struct Reading<'o> {
    pub(super) name: &'o str,
    /// Where its table begins.
    pub(super) span: Span,
    /// The listeners it names; `None` for every one.
    pub(super) listeners: Option<Vec<&'o str>>,
    /// `None` when its conditions have faults.
    pub(super) rule: Option<RouteRule>,
    /// `None` when anything has faults.
    pub(super) route: Option<Route>,
}

/// Reads every route, in the order of their names.
pub(super) fn compile<'o>(
    options: &'o Options,
    upstreams: &Upstreams<'_>,
    env: &CompileEnv<'_>,
    faults: &mut Faults,
) -> Vec<Reading<'o>> {
    let routes = options.route.iter();
    let readings = routes.map(|(name, route)| {
        within(&format!("route.{name}"), faults, |faults| Reading {
            name,
            span: name.span,
            listeners: read_listeners(name, route, options, faults),
            rule: rule::read(name, route, faults),
            route: read(name, route, upstreams, env, faults),
        })
    });
    readings.collect()
}

fn read_listeners<'o>(
    name: &Spanned<String>,
    route: &'o options::Route,
    options: &'o Options,
    faults: &mut Faults,
) -> Option<Vec<&'o str>> {
    let Some(listeners) = &route.listeners else {
        let is_served =
            options.listener.is_empty() || options.listener.values().any(|one| listener::is_http(one));
        if !is_served {
            let fault = Diagnostic::error(name.span, format!("the route \"{name}\" belongs to no listener"));
            faults.push(fault.hint("add a [listener.NAME] of protocol \"http\""));
        }
        return None;
    };
    for listener in
        listeners.iter().filter(|listener| !options.listener.contains_key(listener.value.as_str()))
    {
        faults.push(unknown("listener", listener, names(&options.listener)));
    }
    for listener in listeners.iter() {
        if let Some(found) =
            options.listener.get(listener.value.as_str()).filter(|found| !listener::is_http(found))
        {
            let message = format!("the listener \"{listener}\" takes no routes");
            let fault = Diagnostic::error(listener.span, message);
            let place = found.protocol.as_ref().map_or(found.span, |protocol| protocol.span);
            faults.push(fault.also(place, "it does not speak HTTP").hint("name an http listener"));
        }
    }
    Some(listeners.iter().map(|listener| listener.value.as_str()).collect())
}

fn read(
    name: &str,
    written: &options::Route,
    upstreams: &Upstreams<'_>,
    env: &CompileEnv<'_>,
    faults: &mut Faults,
) -> Option<Route> {
    let before = errors_count(faults);
    let path = path_of(written);
    let action = action::read(written, &path, upstreams, env.workers, faults);
    let rewrite = written.rewrite.as_ref().and_then(|rewrite| read_rewrite(rewrite, &path, faults));
    let host = written.host.as_ref().map_or(Some(HostHeader::Preserve), |host| read_host(host, faults));
    let upgrades = written.upgrades.as_ref().map(|upgrades| read_upgrades(upgrades, faults));
    let websocket = written.websocket.as_ref().map(|websocket| websocket::read(websocket, faults));
    let request_headers = written.request_headers.as_ref().map(|edits| edits::read(edits, faults));
    let response_headers = written.response_headers.as_ref().map(|edits| edits::read(edits, faults));
    let compress = coding::read_compress(&written.compress, faults);
    if let Some(action) = &action {
        warn_without_effect(written, action, faults);
    }
    let mut route = Route::new(name, action?);
    read_times(written, &mut route);
    route.retry = written.retry.as_ref().map_or(route.retry, |retry| Some(read_retry(retry, faults)));
    route.rewrite = rewrite;
    route.host = host?;
    route.upgrades = upgrades.unwrap_or(route.upgrades);
    route.websocket = websocket.unwrap_or_default();
    websocket::warn_without_effect(written, &route.upgrades, faults);
    route.request_headers = request_headers.unwrap_or_default();
    route.response_headers = response_headers.unwrap_or_default();
    route.compress = compress;
    route.grpc_web = read_grpc_web(written, &route.action, faults);
    route.decompress_request = coding::read_decompress(&written.decompress_request);
    route.body_bytes_max = written.max_body_bytes.as_ref().map_or(route.body_bytes_max, |cap| {
        // A route that lifts its listener's bound says so with a number no body reaches.
        Some(body_bytes(cap.value).unwrap_or(u64::MAX))
    });
    route.outlives_client =
        written.on_disconnect.as_ref().is_some_and(|word| word.value == OnDisconnect::Detach);
    route.encoded_path = written.encoded_path.as_ref().is_some_and(|word| word.value == EncodedPath::Allow);
    route.via = written.via.as_ref().map_or(route.via, |via| via.value);
    (errors_count(faults) == before).then_some(route)
}

fn errors_count(faults: &Faults) -> usize {
    faults.iter().filter(|fault| fault.is_error()).count()
}

/// The path the route matches; every path when that has faults, which are found elsewhere.
fn path_of(written: &options::Route) -> PathRule {
    let path = written.matches.as_ref().and_then(|wanted| wanted.path.as_ref());
    path.and_then(|path| PathRule::parse(path).ok()).unwrap_or(PathRule::ANY)
}

fn read_times(written: &options::Route, route: &mut Route) {
    route.timeout = written.timeout.as_ref().map(|timeout| timeout.value);
    let Some(timeouts) = &written.timeouts else { return };
    let take = |written: &Opt<Duration>, place: &mut Duration| {
        if let Some(written) = written {
            *place = written.value;
        }
    };
    take(&timeouts.response_header, &mut route.response_header_timeout);
    take(&timeouts.upstream_idle, &mut route.upstream_idle_timeout);
    take(&timeouts.tunnel_idle, &mut route.tunnel_idle_timeout);
}

fn read_retry(written: &options::Retry, faults: &mut Faults) -> retry::Rules {
    let mut on = retry::Conditions::default();
    let default = Spanned::from(RetryOn::ConnectFailure);
    let listed: Vec<&Spanned<RetryOn>> = match &written.on {
        Some(list) => list.iter().collect(),
        None => vec![&default],
    };
    for word in listed {
        let text = match word.value {
            RetryOn::ConnectFailure => "connect-failure".to_owned(),
            RetryOn::Reset => "reset".to_owned(),
            RetryOn::Timeout => "timeout".to_owned(),
            RetryOn::ServerError => "5xx".to_owned(),
            RetryOn::Status(status) => status.to_string(),
        };
        if !on.add(&text) {
            faults.push(Diagnostic::error(word.span, format!("\"{text}\" is not a reason to retry")));
        }
    }
    let retries = written.attempts.as_ref().map_or(RETRIES, |attempts| attempts.value);
    retry::Rules { attempts: retries.saturating_add(1), on }
}

/// More than one key, or none, was found where it was read.
fn read_rewrite(written: &options::Rewrite, path: &PathRule, faults: &mut Faults) -> Option<Rewrite> {
    match (&written.strip_prefix, &written.prefix, &written.path) {
        (Some(prefix), None, None) => read_strip(prefix, path, faults).map(Rewrite::StripPrefix),
        (None, Some(prefix), None) => {
            let new = literal_path(prefix, faults)?;
            let Some(old) = fixed_part(path) else {
                let message = format!("the path \"{path}\" has no prefix to replace");
                let hint = "match a path such as \"/shop/*\", or use rewrite = { path = \"…\" }";
                faults.push(Diagnostic::error(prefix.span, message).hint(hint));
                return None;
            };
            Some(Rewrite::ReplacePrefix(old.into_bytes().into(), new))
        }
        (None, None, Some(template)) => read_rewrite_path(template, path, faults),
        _ => None,
    }
}

fn read_rewrite_path(template: &Spanned<String>, path: &PathRule, faults: &mut Faults) -> Option<Rewrite> {
    if template.contains(['?', '#']) {
        let fault = Diagnostic::error(template.span, format!("\"{template}\" is more than a path"));
        faults.push(fault.hint("the query stays as the client sent it; take \"?\" and \"#\" out"));
        return None;
    }
    action::read_template(template, path, faults).map(Rewrite::Path)
}

/// What every path of a prefix rule begins with, without the slash at its end.
fn fixed_part(path: &PathRule) -> Option<String> {
    if *path == PathRule::ANY { Some(String::new()) } else { path.prefix().map(str::to_owned) }
}

/// A prefix that no path of the route begins with would be a mistake nobody sees.
fn read_strip(prefix: &Spanned<String>, path: &PathRule, faults: &mut Faults) -> Option<Box<[u8]>> {
    let literal = literal_path(prefix, faults)?;
    let literal = literal.strip_suffix(b"/").unwrap_or(&literal);
    let shown = path.to_string();
    let fixed = shown.split(['{', '*']).next().unwrap_or_default().as_bytes();
    let is_below = |long: &[u8], short: &[u8]| {
        long.strip_prefix(short).is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'))
    };
    let fixed = fixed.strip_suffix(b"/").unwrap_or(fixed);
    if !is_below(fixed, literal) && !is_below(literal, fixed) {
        let message = format!("no path of this route begins with \"{prefix}\"");
        let hint = format!("the route matches \"{path}\"; strip a part of that");
        faults.push(Diagnostic::error(prefix.span, message).hint(hint));
        return None;
    }
    Some(literal.into())
}

/// A path without patterns, spelled as requests are after they were made canonical (T40).
fn literal_path(path: &Spanned<String>, faults: &mut Faults) -> Option<Box<[u8]>> {
    let mut canonical = Vec::new();
    let result = towpath_proto::path::canonicalize(path.as_bytes(), false, &mut canonical);
    match result {
        Ok(()) if !path.contains(['*', '{', '}']) => Some(canonical.into()),
        Ok(()) => {
            let fault =
                Diagnostic::error(path.span, format!("\"{path}\" is a pattern, and a plain path is needed"));
            faults.push(fault.hint("write the part that is meant, for example \"/shop\""));
            None
        }
        Err(why) => {
            faults.push(Diagnostic::error(path.span, format!("\"{path}\" cannot stand here: {why}")));
            None
        }
    }
}

fn read_host(host: &Spanned<options::HostHeader>, faults: &mut Faults) -> Option<HostHeader> {
    match &host.value {
        options::HostHeader::Preserve => Some(HostHeader::Preserve),
        options::HostHeader::Upstream => Some(HostHeader::Upstream),
        options::HostHeader::Literal(name) if Authority::parse(name.as_bytes()).is_some() => {
            Some(HostHeader::Literal(name.as_bytes().into()))
        }
        options::HostHeader::Literal(name) => {
            let fault = Diagnostic::error(host.span, format!("\"{name}\" is not a host"));
            faults.push(fault.hint("write \"preserve\", \"upstream\", or a host such as \"app.internal\""));
            None
        }
    }
}

/// gRPC is spoken in HTTP/2 alone.
fn read_grpc_web(written: &options::Route, action: &Action, faults: &mut Faults) -> bool {
    let Some(on) = written.grpc_web.as_ref().filter(|on| on.value) else { return false };
    let is_proxied = matches!(action, Action::Upstream(_) | Action::Split(_));
    if is_proxied && !action.is_http2() {
        let fault =
            Diagnostic::error(on.span, "grpc_web makes calls of gRPC, and an upstream speaks HTTP/1.1");
        faults.push(fault.hint("write protocol = \"http2\" in the upstream"));
    }
    true
}

/// RFC 9110 §7.8: protocol-name ["/" protocol-version]. `h2c` is refused: it would hand the origin a second protocol
/// that nothing here reads (T06).
fn read_upgrades(upgrades: &Spanned<Vec<Spanned<String>>>, faults: &mut Faults) -> Vec<Box<[u8]>> {
    let is_token = |token: &str| {
        let (name, version) =
            token.split_once('/').map_or((token, None), |(name, version)| (name, Some(version)));
        field::is_token(name.as_bytes()) && version.is_none_or(|version| field::is_token(version.as_bytes()))
    };
    for token in upgrades.iter() {
        if !is_token(token) {
            let fault = Diagnostic::error(token.span, format!("\"{token}\" is not a protocol"));
            faults.push(fault.hint("for example \"websocket\""));
        } else if token.eq_ignore_ascii_case("h2c") {
            let fault = Diagnostic::error(token.span, "\"h2c\" cannot be let through");
            faults.push(fault.hint("requests inside it would pass every route unseen; take it out"));
        }
    }
    upgrades.iter().map(|token| token.to_ascii_lowercase().into_bytes().into()).collect()
}

/// Keys that only matter on the way to an origin.
fn warn_without_effect(written: &options::Route, action: &Action, faults: &mut Faults) {
    let what = match action {
        Action::Upstream(_) | Action::Split(_) => return,
        Action::Respond(_) => "respond",
        Action::Redirect(_) => "redirect",
        Action::Files(_) => "files",
    };
    let place = |key: &'static str, span: Option<Span>| Some((key, span?));
    let keys = [
        place("rewrite", written.rewrite.as_ref().map(|key| key.span)),
        place("request_headers", written.request_headers.as_ref().map(|key| key.span)),
        place("compress", written.compress.as_ref().map(|key| key.span)),
        place("decompress_request", written.decompress_request.as_ref().map(|key| key.span)),
        place("grpc_web", written.grpc_web.as_ref().map(|key| key.span)),
        place("host", written.host.as_ref().map(|key| key.span)),
        place("timeouts", written.timeouts.as_ref().map(|key| key.span)),
        place("retry", written.retry.as_ref().map(|key| key.span)),
        place("upgrades", written.upgrades.as_ref().map(|key| key.span)),
        place("websocket", written.websocket.as_ref().map(|key| key.span)),
    ];
    for (key, span) in keys.into_iter().flatten() {
        let warning = Diagnostic::warning(span, format!("\"{key}\" has no effect beside \"{what}\""));
        faults.push(warning.hint("no origin is asked here; take it out"));
    }
}
