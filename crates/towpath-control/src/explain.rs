//! Which way a request would take, and why no other: what `towpath explain` and `POST /explain` say.
//!
//! The route is found by the very table the workers ask, so the answer cannot differ from theirs. What depends on a
//! worker's state, such as whose turn it is, is told as it is: the kind of choice and the candidates.

mod layer4;
mod listener;
mod question;
mod text;

use std::sync::atomic::Ordering;

use serde::Serialize;
use towpath_gateway::Reason;
use towpath_gateway::plan::{Action, Endpoint, Listener, Plan, Protocol, Rewrite, Route, Router, Upstream};
use towpath_proto::authority::Authority;
use towpath_proto::path;
use towpath_traffic::balance::Kind;
use towpath_traffic::route::{Miss, RequestView, Verdict};

use listener::Choice;

pub use listener::{Place, places_of};
pub use question::{BadQuestion, Query};

/// The answer to a [`Query`].
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Explanation {
    /// The version of the plan that was asked; 1 for a file.
    pub plan: u64,
    /// The listener, and why this one; `None` when there is none.
    pub listener: Option<ListenerView>,
    /// The request as the routes see it.
    pub request: RequestSeen,
    /// Every route of the listener, best rank first, and why it won or lost.
    pub candidates: Vec<Candidate>,
    /// The chosen route.
    pub route: Option<RouteView>,
    /// Where a listener sends the client that reads no requests.
    pub relay: Option<RelayView>,
    /// What the gateway would answer for itself, if it would.
    pub refusal: Option<Refusal>,
}

/// The listener that takes the request.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct ListenerView {
    /// Its name.
    pub name: String,
    /// What it speaks.
    pub protocol: &'static str,
    /// The `[tls.NAME]` that the client of this URL gets; `None` in clear text.
    pub tls: Option<String>,
    /// The addresses it is bound to, or will be.
    pub addresses: Vec<String>,
    /// Why this one.
    pub because: String,
    /// Whether another listener might as well have been meant.
    pub is_guess: bool,
}

/// A request as the routes see it.
#[derive(Clone, Debug, Default, Serialize, PartialEq, Eq)]
pub struct RequestSeen {
    /// The method.
    pub method: String,
    /// Host and port; empty when there is none.
    pub authority: String,
    /// The path as asked for.
    pub path_sent: String,
    /// The canonical path; `None` when it has none (T40).
    pub path: Option<String>,
    /// What follows `?`.
    pub query: Option<String>,
}

/// A route and its fate.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Candidate {
    /// The route's name.
    pub route: String,
    /// Whether it answers.
    pub chosen: bool,
    /// Why, in words.
    pub why: String,
}

/// The chosen route and what it does.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct RouteView {
    /// Its name.
    pub name: String,
    /// What it does, in words.
    pub action: String,
    /// The policies the request passes, in order. None in this release.
    pub policies: Vec<String>,
    /// The path the origin sees; `None` when no origin is asked.
    pub path_upstream: Option<String>,
    /// The upstreams it chooses from.
    pub upstreams: Vec<UpstreamView>,
}

/// Where a client is sent whose requests are not read.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct RelayView {
    /// The server name that its ClientHello has, if the listener asks.
    pub server_name: Option<String>,
    /// The protocols that it offers, if the listener asks.
    pub alpn: Vec<String>,
    /// Why there, in words.
    pub because: String,
    /// Where to; `None` when it is refused.
    pub upstream: Option<UpstreamView>,
}

/// An upstream and its endpoints.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct UpstreamView {
    /// Its name.
    pub name: String,
    /// Its weight beside the others, when several share the requests.
    pub weight: Option<u32>,
    /// How an endpoint is chosen, as written in the file.
    pub balance: &'static str,
    /// The same in words.
    pub choice: &'static str,
    /// The endpoints, in the order of the file.
    pub endpoints: Vec<EndpointView>,
}

/// An endpoint and its state.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct EndpointView {
    /// As written in the file.
    pub name: String,
    /// Where it is.
    pub address: String,
    /// Its share.
    pub weight: u32,
    /// Whether its health checks pass, or there are none.
    pub healthy: bool,
    /// Whether it may be chosen now.
    pub candidate: bool,
}

/// What the gateway answers for itself.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Refusal {
    /// The status; 0 for a connection that ends without HTTP.
    pub status: u16,
    /// The stable code, the same as in the log and in `Proxy-Status`.
    pub reason: &'static str,
    /// More about it.
    pub detail: String,
    /// Whether every such request gets it; false when it depends on which upstream has its turn.
    pub always: bool,
}

/// Explains a question in JSON; the answer's `text` is for people. `places` as for [`explain`].
///
/// # Errors
/// [`BadQuestion`] when the question cannot be read.
pub(crate) fn answer(
    plan: &Plan,
    places: &[Place],
    question: &str,
) -> Result<serde_json::Value, BadQuestion> {
    let explanation = explain(plan, places, &Query::from_json(question)?)?;
    let mut document = serde_json::to_value(&explanation).unwrap_or_default();
    if let Some(object) = document.as_object_mut() {
        object.insert("text".to_owned(), explanation.to_text().into());
    }
    Ok(document)
}

/// Walks the way of a request. `places` says where the listeners are: [`places_of`] a plan that serves, or
/// [`Compiled::places`](crate::compile::Compiled::places) of one that does not.
///
/// # Errors
/// [`BadQuestion`] when the URL is none, or names a listener that is not there.
pub fn explain(plan: &Plan, places: &[Place], query: &Query) -> Result<Explanation, BadQuestion> {
    let target = query.target()?;
    let mut explanation = Explanation {
        plan: plan.version,
        listener: None,
        request: RequestSeen {
            method: query.method.clone(),
            authority: target.authority.clone(),
            path_sent: target.path.clone(),
            path: None,
            query: target.query.clone(),
        },
        candidates: Vec::new(),
        route: None,
        relay: None,
        refusal: None,
    };
    let Some(Choice { listener, because, is_guess }) = listener::choose(plan, places, query, &target)? else {
        explanation.refusal = Some(refusal(Reason::NoRoute, "the plan has no listener"));
        return Ok(explanation);
    };
    explanation.listener = Some(ListenerView {
        name: listener.name.to_string(),
        protocol: listener.protocol.name(),
        tls: listener
            .tls
            .as_ref()
            .and_then(|tls| Some(tls.choose(target.server_name().as_deref())?.name.to_string())),
        addresses: listener::addresses(places, &listener.name).map(|address| address.to_string()).collect(),
        because,
        is_guess,
    });
    let walked = match &listener.protocol {
        Protocol::Http if target.scheme.is_some_and(|scheme| !scheme.is_http()) => {
            let message = format!("the listener \"{}\" reads requests; ask with http://", listener.name);
            return Err(BadQuestion::new(message));
        }
        Protocol::Http => walk(listener, query, &mut explanation),
        protocol => {
            let (relay, outcome) = layer4::walk(protocol, query, &target);
            explanation.relay = Some(relay);
            outcome
        }
    };
    explanation.refusal = walked.err();
    Ok(explanation)
}

/// The steps of a worker, in its order: method, authority, path, route, endpoint.
fn walk(listener: &Listener, query: &Query, explanation: &mut Explanation) -> Result<(), Refusal> {
    if query.method == "CONNECT" {
        return Err(refusal(Reason::ConnectRefusedMethod, "a reverse proxy offers no CONNECT"));
    }
    let authority = explanation.request.authority.clone();
    if !authority.is_empty() && Authority::parse(authority.as_bytes()).is_none() {
        return Err(refusal(Reason::BadHost, &format!("\"{authority}\" is not host or host:port")));
    }
    let (canonical, is_encoded) = canonical_path(&explanation.request.path_sent)?;
    explanation.request.path = Some(lossy(&canonical));
    let header = |name: &[u8]| query.header(name);
    let view = RequestView {
        host: authority.as_bytes(),
        path: &canonical,
        query: query_bytes(query),
        method: query.method.as_bytes(),
        header: &header,
    };
    let router = &listener.router;
    explanation.candidates = candidates(router, &view);
    let Some(index) = router.table.find(&view) else { return Err(miss(router, &view)) };
    let Some(route) = router.routes.get(index) else {
        return Err(refusal(Reason::Internal, "the router is broken"));
    };
    explanation.route = Some(route_view(route, None));
    if is_encoded && !route.encoded_path {
        let detail = format!(
            "an encoded separator or dot, and \"{}\" does not say encoded_path = \"allow\"",
            route.name
        );
        return Err(refusal(Reason::BadPath, &detail));
    }
    let path_upstream = match &route.rewrite {
        _ if upstreams_of(route).is_empty() => None,
        None => Some(canonical),
        Some(rewrite) => Some(rewritten(rewrite, router, index, &canonical)?),
    };
    explanation.route = Some(route_view(route, path_upstream.as_deref()));
    check_endpoints(route)
}

fn query_bytes(query: &Query) -> Option<&[u8]> {
    let (_, after) = query.url.split('#').next()?.split_once('?')?;
    Some(after.as_bytes())
}

/// The canonical path, and whether it holds encoded separators, which only some routes take (T40).
fn canonical_path(sent: &str) -> Result<(Vec<u8>, bool), Refusal> {
    let mut canonical = Vec::new();
    if path::canonicalize(sent.as_bytes(), false, &mut canonical).is_ok() {
        return Ok((canonical, false));
    }
    match path::canonicalize(sent.as_bytes(), true, &mut canonical) {
        Ok(()) => Ok((canonical, true)),
        Err(why) => Err(refusal(Reason::BadPath, &why.to_string())),
    }
}

fn candidates(router: &Router, view: &RequestView<'_>) -> Vec<Candidate> {
    let table = &router.table;
    let seen = table.explain(view).into_iter().map(|candidate| {
        let route = table.name(candidate.route).to_owned();
        let line = table.describe(&candidate);
        let why = line.strip_prefix(&format!("{route}: ")).unwrap_or(&line).to_owned();
        Candidate { chosen: candidate.verdict == Verdict::Chosen, why, route }
    });
    seen.collect()
}

fn miss(router: &Router, view: &RequestView<'_>) -> Refusal {
    match router.table.miss(view) {
        Miss::NoRoute => refusal(Reason::NoRoute, "no route matches"),
        Miss::Method { allow } => {
            refusal(Reason::MethodNotAllowed, &format!("the methods allowed here are {}", allow.join(", ")))
        }
    }
}

fn refusal(reason: Reason, detail: &str) -> Refusal {
    Refusal { status: reason.status(), reason: reason.code(), detail: detail.to_owned(), always: true }
}

fn route_view(route: &Route, path_upstream: Option<&[u8]>) -> RouteView {
    RouteView {
        name: route.name.to_string(),
        action: action_words(&route.action),
        policies: Vec::new(),
        path_upstream: path_upstream.map(lossy),
        upstreams: upstreams_of(route)
            .into_iter()
            .map(|(upstream, weight)| upstream_view(upstream, weight))
            .collect(),
    }
}

fn action_words(action: &Action) -> String {
    match action {
        Action::Upstream(upstream) => format!("passes it on to the upstream \"{}\"", upstream.name),
        Action::Split(_) => "passes it on to one of several upstreams, by weight".to_owned(),
        Action::Respond(respond) => format!("answers {} with {} bytes", respond.status, respond.body.len()),
        Action::Redirect(redirect) => format!("redirects with {}", redirect.status),
        Action::Files(files) => format!("serves a file below {}", files.root.display()),
    }
}

fn upstreams_of(route: &Route) -> Vec<(&Upstream, Option<u32>)> {
    match &route.action {
        Action::Upstream(upstream) => vec![(upstream, None)],
        Action::Split(split) => {
            split.shares.iter().map(|(upstream, weight)| (&**upstream, Some(*weight))).collect()
        }
        Action::Respond(_) | Action::Redirect(_) | Action::Files(_) => Vec::new(),
    }
}

fn upstream_view(upstream: &Upstream, weight: Option<u32>) -> UpstreamView {
    UpstreamView {
        name: upstream.name.to_string(),
        weight,
        balance: upstream.balance.name(),
        choice: choice(upstream.balance),
        endpoints: upstream.endpoints.iter().map(|endpoint| endpoint_view(endpoint)).collect(),
    }
}

fn endpoint_view(endpoint: &Endpoint) -> EndpointView {
    EndpointView {
        name: endpoint.name.to_string(),
        address: endpoint.address.to_string(),
        weight: endpoint.weight,
        healthy: endpoint.healthy.load(Ordering::Relaxed),
        candidate: endpoint.is_usable(),
    }
}

fn choice(kind: Kind) -> &'static str {
    match kind {
        Kind::RoundRobin => "in turn by weight, each worker for itself",
        Kind::Random => "by chance, by weight",
        Kind::LeastRequests => "the fewest requests in flight of this worker, by weight",
        Kind::P2cEwma => "the better of two drawn by weight, by this worker's latency and load",
        _ => "by the state of the worker",
    }
}

/// Refuses when an upstream that can have its turn has no endpoint to choose.
fn check_endpoints(route: &Route) -> Result<(), Refusal> {
    let shares = upstreams_of(route).into_iter().filter(|(_, weight)| *weight != Some(0));
    let (dead, alive): (Vec<_>, Vec<_>) = shares.partition(|(upstream, _)| is_dead(upstream));
    let Some((first, _)) = dead.first() else { return Ok(()) };
    Err(Refusal { always: alive.is_empty(), ..no_endpoint(first) })
}

fn is_dead(upstream: &Upstream) -> bool {
    !upstream.endpoints.iter().any(|endpoint| endpoint.is_usable())
}

fn no_endpoint(upstream: &Upstream) -> Refusal {
    let detail = format!("no endpoint of \"{}\" is healthy and has a weight", upstream.name);
    refusal(Reason::NoHealthyEndpoint, &detail)
}

/// The path after a rewrite, which the data path makes canonical again.
fn rewritten(rewrite: &Rewrite, router: &Router, index: usize, path: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut new = Vec::with_capacity(path.len());
    rewrite.apply(path, &router.table.captures(index, path), &mut new);
    let mut canonical = Vec::new();
    match path::canonicalize(&new, true, &mut canonical) {
        Ok(()) => Ok(canonical),
        Err(why) => Err(refusal(Reason::BadPath, &format!("the rewrite gives \"{}\": {why}", lossy(&new)))),
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
