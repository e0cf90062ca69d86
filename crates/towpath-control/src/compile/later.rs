//! What the file may say one day: known keys whose meaning this release does not have yet. One fault each, so that
//! nobody runs without the part they asked for.

use towpath_config::options::{Balance, Listener, Route, Tier, Upstream, UpstreamProtocol};
use towpath_config::{Diagnostic, Options, Span};

use super::Faults;
use super::name::within;

/// Adds a fault for everything of later releases.
pub(super) fn refuse(options: &Options, faults: &mut Faults) {
    for name in options.policy.keys() {
        within(&format!("policy.{name}"), faults, |faults| faults.push(not_yet(name.span, "policy")));
    }
    for (name, listener) in &options.listener {
        within(&format!("listener.{name}"), faults, |faults| refuse_in_listener(listener, faults));
    }
    for (name, route) in &options.route {
        within(&format!("route.{name}"), faults, |faults| refuse_in_route(route, faults));
    }
    for (name, upstream) in &options.upstream {
        within(&format!("upstream.{name}"), faults, |faults| refuse_in_upstream(upstream, faults));
    }
}

fn not_yet(span: Span, what: &str) -> Diagnostic {
    not_yet_but(span, what, "this release speaks HTTP/1.1 and HTTP/2, in clear text and by TLS; take it out")
}

fn not_yet_but(span: Span, what: &str, hint: &str) -> Diagnostic {
    Diagnostic::error(span, format!("\"{what}\" is not in this release")).hint(hint)
}

/// What to write in the place of things that have a neighbour in this release.
const ENDPOINTS: &str = "write endpoints = [\"127.0.0.1:9001\"]; a host name is resolved at start and reload";
const TIERS: &str = "write [\"worker\", \"shared\"] or [\"shared\"]";
const BALANCE: &str = "write round-robin, random, least-requests or p2c-ewma, or take it out";
const POLICIES: &str =
    "a route that needs a policy must not run without it; take the route out, or its policies";

fn refuse_in_listener(listener: &Listener, faults: &mut Faults) {
    faults.extend(listener.http3.as_ref().filter(|on| on.value).map(|on| not_yet(on.span, "http3")));
}

fn refuse_in_route(route: &Route, faults: &mut Faults) {
    let policies = route.policies.as_ref().filter(|policies| !policies.is_empty());
    faults.extend(policies.map(|policies| not_yet_but(policies.span, "policies", POLICIES)));
}

fn refuse_in_upstream(upstream: &Upstream, faults: &mut Faults) {
    faults
        .extend(upstream.discover.as_ref().map(|discover| not_yet_but(discover.span, "discover", ENDPOINTS)));
    let tiers = upstream.pool.iter().filter_map(|pool| pool.tiers.as_ref()).flat_map(|tiers| tiers.iter());
    let daemons = tiers.filter(|tier| matches!(tier.value, Tier::Daemon(_)));
    faults.extend(daemons.map(|tier| not_yet_but(tier.span, "daemon:", TIERS)));
    faults.extend(upstream.protocol.as_ref().and_then(|protocol| match protocol.value {
        UpstreamProtocol::Http1 | UpstreamProtocol::Http2 | UpstreamProtocol::Auto => None,
        UpstreamProtocol::Http3 => Some(not_yet(protocol.span, "http3")),
    }));
    faults.extend(upstream.balance.as_ref().and_then(|balance| match balance.value {
        Balance::RoundRobin | Balance::Random | Balance::LeastRequests | Balance::P2cEwma => None,
        Balance::RingHash => Some(not_yet_but(balance.span, "ring-hash", BALANCE)),
        Balance::Maglev => Some(not_yet_but(balance.span, "maglev", BALANCE)),
    }));
}
