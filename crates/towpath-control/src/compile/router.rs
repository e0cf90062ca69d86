//! Routes and the tables of listeners: what ties, what can never win, and what stays from the previous plan.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use towpath_config::options::ListenerProtocol;
use towpath_config::{Diagnostic, Options, Span};
use towpath_gateway::plan::{Action, Plan, Route, Router};
use towpath_traffic::route::{Fault, RouteTable};

use super::{CompileEnv, Faults, listener, route};

/// Routes in the order of their names, and a router for each listener in the order of theirs.
pub(super) struct Routers {
    pub(super) routes: Vec<Arc<Route>>,
    pub(super) routers: Vec<Arc<Router>>,
}

/// A listener's table before its routes exist. Positions in the table are positions in `members`.
pub(super) struct Table {
    table: RouteTable,
    /// Positions in the list of routes.
    members: Vec<usize>,
}

/// Builds the table of each listener. `None` for one whose rules clash.
pub(super) fn tables(
    listeners: &[listener::Reading<'_>],
    routes: &[route::Reading<'_>],
    options: &Options,
    faults: &mut Faults,
) -> Option<Vec<Table>> {
    let mut told = BTreeSet::new();
    let mut tables = Vec::new();
    for listener in listeners {
        let members: Vec<usize> = (0..routes.len()).filter(|&at| serves(listener, &routes[at])).collect();
        if members.is_empty() && is_http(listener) {
            let name = listener.name;
            let span = options.listener.get_key_value(name).map_or(Span::NONE, |(key, _)| key.span);
            let warning = Diagnostic::warning(span, format!("no route belongs to the listener \"{name}\""));
            faults.push(warning.hint("it answers everything with 404").within(format!("listener.{name}")));
        }
        let rules = members.iter().filter_map(|&at| routes[at].rule.clone()).collect();
        match RouteTable::build(rules) {
            Ok(table) => {
                tell(table.warnings(), false, routes, &mut told, faults);
                tables.push(Some(Table { table, members }));
            }
            Err(clashes) => {
                tell(&clashes, true, routes, &mut told, faults);
                tables.push(None);
            }
        }
    }
    tables.into_iter().collect()
}

/// Makes the objects, or keeps the old ones. `None` when a route has faults.
pub(super) fn link(
    listeners: &[listener::Reading<'_>],
    tables: Vec<Table>,
    routes: Vec<route::Reading<'_>>,
    previous: Option<&Plan>,
    env: &CompileEnv<'_>,
) -> Option<Routers> {
    let before: HashMap<&str, &Arc<Route>> =
        previous.iter().flat_map(|plan| &plan.routes).map(|route| (&*route.name, route)).collect();
    let routes: Option<Vec<Arc<Route>>> = routes
        .into_iter()
        .map(|reading| {
            let new = reading.route?;
            let same = before.get(reading.name).filter(|old| is_same(old, &new)).map(|old| Arc::clone(old));
            Some(same.unwrap_or_else(|| Arc::new(new)))
        })
        .collect();
    let routes = routes?;
    let made = listeners.iter().zip(tables).map(|(listener, table)| {
        let members: Vec<Arc<Route>> = table.members.iter().map(|&at| routes[at].clone()).collect();
        if !is_http(listener) {
            return Arc::new(Router::empty());
        }
        let old = previous.and_then(|plan| plan.listener(listener.name)).map(|old| &old.router);
        match old.filter(|old| is_same_router(old, &table.table, &members)) {
            Some(old) => old.clone(),
            None => Arc::new(new_router(listener.name, table.table, members, env)),
        }
    });
    let routers = made.collect();
    Some(Routers { routes, routers })
}

fn is_http(listener: &listener::Reading<'_>) -> bool {
    listener.speaks == ListenerProtocol::Http
}

fn serves(listener: &listener::Reading<'_>, route: &route::Reading<'_>) -> bool {
    is_http(listener) && route.listeners.as_ref().is_none_or(|names| names.contains(&listener.name))
}

fn new_router(listener: &str, table: RouteTable, routes: Vec<Arc<Route>>, env: &CompileEnv<'_>) -> Router {
    let counters = routes.iter().map(|route| env.registry.route(listener, &route.name)).collect();
    Router { table, routes, counters }
}

fn is_same_router(old: &Router, table: &RouteTable, routes: &[Arc<Route>]) -> bool {
    old.routes.len() == routes.len()
        && old.table.len() == table.len()
        && old.routes.iter().zip(routes).all(|(old, new)| Arc::ptr_eq(old, new))
        && (0..table.len()).all(|at| old.table.rule(at) == table.rule(at))
}

/// Whether two routes do the same. Taken apart field by field, so that a new one cannot be forgotten here.
fn is_same(old: &Route, new: &Route) -> bool {
    let Route {
        name,
        action,
        timeout,
        response_header_timeout,
        upstream_idle_timeout,
        tunnel_idle_timeout,
        outlives_client,
        retry,
        request_headers,
        response_headers,
        compress,
        decompress_request,
        grpc_web,
        rewrite,
        host,
        upgrades,
        websocket,
        body_bytes_max,
        encoded_path,
        via,
    } = new;
    old.name == *name
        && is_same_action(&old.action, action)
        && old.timeout == *timeout
        && old.response_header_timeout == *response_header_timeout
        && old.upstream_idle_timeout == *upstream_idle_timeout
        && old.tunnel_idle_timeout == *tunnel_idle_timeout
        && old.outlives_client == *outlives_client
        && old.retry == *retry
        && old.request_headers == *request_headers
        && old.response_headers == *response_headers
        && old.compress == *compress
        && old.decompress_request == *decompress_request
        && old.grpc_web == *grpc_web
        && old.rewrite == *rewrite
        && old.host == *host
        && old.upgrades == *upgrades
        && old.websocket == *websocket
        && old.body_bytes_max == *body_bytes_max
        && old.encoded_path == *encoded_path
        && old.via == *via
}

fn is_same_action(old: &Action, new: &Action) -> bool {
    match (old, new) {
        (Action::Upstream(old), Action::Upstream(new)) => Arc::ptr_eq(old, new),
        (Action::Split(old), Action::Split(new)) => {
            let is_share =
                |(old, new): (&(Arc<_>, u32), &(Arc<_>, u32))| Arc::ptr_eq(&old.0, &new.0) && old.1 == new.1;
            old.shares.len() == new.shares.len() && old.shares.iter().zip(&new.shares).all(is_share)
        }
        (Action::Respond(old), Action::Respond(new)) => old == new,
        (Action::Redirect(old), Action::Redirect(new)) => old == new,
        (Action::Files(old), Action::Files(new)) => old == new,
        _ => false,
    }
}

/// Turns what a table found into faults with places. A pair that clashes on several listeners is told once.
fn tell(
    found: &[Fault],
    are_errors: bool,
    routes: &[route::Reading<'_>],
    told: &mut BTreeSet<(String, String)>,
    faults: &mut Faults,
) {
    let place =
        |name: &str| routes.iter().find(|route| route.name == name).map_or(Span::NONE, |route| route.span);
    for fault in found {
        let (first, second, message, hint) = match fault {
            Fault::Tie { first: (_, first), second: (_, second) } => (
                first,
                second,
                format!(
                    "routes \"{first}\" and \"{second}\" match the same requests and are equally specific"
                ),
                "give the one that should win a higher priority".to_owned(),
            ),
            Fault::Unreachable { route: (_, lost), by: (_, by) } => (
                by,
                lost,
                format!("route \"{lost}\" is never chosen: \"{by}\" takes every request it would match"),
                format!("make \"{lost}\" more specific, or take it out"),
            ),
            // Bad words were found where they were read.
            _ => continue,
        };
        if !told.insert((first.clone(), second.clone())) {
            continue;
        }
        let table = format!("route.{second}");
        let (span, also) = (place(second), place(first));
        let diagnostic =
            if are_errors { Diagnostic::error(span, message) } else { Diagnostic::warning(span, message) };
        faults.push(diagnostic.also(also, format!("\"{first}\" stands here")).hint(hint).within(table));
    }
}
