//! The conditions of a route.

use towpath_config::options::{Match, Route};
use towpath_config::value::Map;
use towpath_config::{Diagnostic, Spanned};
use towpath_proto::field;
use towpath_traffic::route::{HostRule, PathFault, PathRule, RouteRule, ValueRule};

use super::Faults;

/// Reads the conditions; `None` when a fault makes them meaningless.
pub(super) fn read(name: &str, route: &Route, faults: &mut Faults) -> Option<RouteRule> {
    let none = Match::default();
    let wanted = route.matches.as_ref().map_or(&none, |wanted| &wanted.value);
    let before = faults.iter().filter(|fault| fault.is_error()).count();
    let rule = RouteRule {
        name: name.to_owned(),
        host: wanted.host.as_ref().map_or(HostRule::ANY, |host| read_host(host, faults)),
        path: wanted.path.as_ref().map_or(PathRule::ANY, |path| read_path(path, faults)),
        methods: wanted
            .methods
            .iter()
            .flat_map(|methods| methods.iter())
            .map(|m| read_method(m, faults))
            .collect(),
        headers: read_headers(&wanted.headers, faults),
        query: values(&wanted.query),
        // Two that differ were found where they were read.
        priority: route.priority.as_ref().or(wanted.priority.as_ref()).map_or(0, |priority| priority.value),
    };
    (faults.iter().filter(|fault| fault.is_error()).count() == before).then_some(rule)
}

fn read_host(host: &Spanned<String>, faults: &mut Faults) -> HostRule {
    HostRule::parse(host).unwrap_or_else(|fault| {
        faults.push(Diagnostic::error(host.span, format!("\"{host}\" is not a host: {fault}")));
        HostRule::ANY
    })
}

fn read_path(path: &Spanned<String>, faults: &mut Faults) -> PathRule {
    PathRule::parse(path).unwrap_or_else(|why| {
        let fault = Diagnostic::error(path.span, format!("\"{path}\" is not a path to match: {why}"));
        let named = with_names(path);
        faults.push(match PathRule::parse(&named) {
            Ok(_) if why == PathFault::Star => {
                fault.hint(format!("a segment that varies has a name: \"{named}\""))
            }
            _ => fault,
        });
        PathRule::ANY
    })
}

/// A path with a name in the place of each segment `*`; the last one may have meant everything below.
fn with_names(path: &str) -> String {
    let last = path.split('/').count() - 1;
    let mut names = 0;
    let mut named = |(place, segment): (usize, &str)| match (segment, place == last) {
        ("*", true) => "{rest...}".to_owned(),
        ("*", false) => {
            names += 1;
            if names == 1 { "{name}".to_owned() } else { format!("{{name{names}}}") }
        }
        (other, _) => other.to_owned(),
    };
    path.split('/').enumerate().map(&mut named).collect::<Vec<_>>().join("/")
}

/// Methods are case-sensitive (RFC 9110 §9.1), so `get` would match nothing a client sends.
fn read_method(method: &Spanned<String>, faults: &mut Faults) -> String {
    if !field::is_token(method.as_bytes()) {
        faults.push(Diagnostic::error(method.span, format!("\"{method}\" is not a method")));
    } else if method.bytes().any(|byte| byte.is_ascii_lowercase()) {
        let upper = method.to_ascii_uppercase();
        let message = format!("\"{method}\" matches no request clients send: methods are case-sensitive");
        faults.push(Diagnostic::warning(method.span, message).hint(format!("did you mean \"{upper}\"?")));
    }
    method.value.clone()
}

fn read_headers(headers: &Map<String>, faults: &mut Faults) -> Vec<(String, ValueRule)> {
    for name in headers.keys().filter(|name| !field::is_name(name.as_bytes())) {
        faults.push(Diagnostic::error(name.span, format!("\"{name}\" is not a header name")));
    }
    let mut read = values(headers);
    for (name, _) in &mut read {
        // As the table keeps them, so that equal rules compare equal after a reload.
        name.make_ascii_lowercase();
    }
    read
}

fn values(map: &Map<String>) -> Vec<(String, ValueRule)> {
    map.iter().map(|(name, value)| (name.value.clone(), ValueRule::parse(value))).collect()
}
