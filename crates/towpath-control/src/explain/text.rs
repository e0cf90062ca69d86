//! An explanation as people read it.

use std::fmt::Write as _;

use super::{EndpointView, Explanation, Refusal, RelayView, RouteView, UpstreamView};

impl Explanation {
    /// The explanation as lines of text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        match &self.relay {
            None => self.write_request(&mut out),
            Some(relay) if self.listener.as_ref().is_some_and(|one| one.protocol == "tls-passthrough") => {
                write_client(&mut out, relay);
            }
            Some(_) => {}
        }
        self.write_listener(&mut out);
        if let Some(relay) = &self.relay {
            write_relay(&mut out, relay);
        }
        for candidate in &self.candidates {
            let mark = if candidate.chosen { '>' } else { ' ' };
            let _ = writeln!(out, "  {mark} {}: {}", candidate.route, candidate.why);
        }
        if let Some(route) = &self.route {
            write_route(&mut out, route);
        }
        if let Some(refusal) = &self.refusal {
            let label = match refusal {
                Refusal { status: 0, .. } => "refused ",
                Refusal { always: true, .. } => "answer  ",
                Refusal { .. } => "at times",
            };
            let status = if refusal.status == 0 { String::new() } else { format!("{} ", refusal.status) };
            let _ = writeln!(out, "{label}  {status}{}: {}", refusal.reason, refusal.detail);
        }
        out
    }

    fn write_request(&self, out: &mut String) {
        let request = &self.request;
        let query = request.query.as_ref().map_or(String::new(), |query| format!("?{query}"));
        let path = request.path.as_ref().unwrap_or(&request.path_sent);
        let _ = writeln!(out, "request   {} {}{path}{query}", request.method, request.authority);
        if *path != request.path_sent {
            let _ = writeln!(out, "          the path was sent as {}", request.path_sent);
        }
    }

    fn write_listener(&self, out: &mut String) {
        let Some(listener) = &self.listener else { return };
        let addresses = match listener.addresses.as_slice() {
            [] => String::new(),
            list => format!(" ({})", list.join(", ")),
        };
        let protocol = match listener.protocol {
            "http" => String::new(),
            other => format!(", {other}"),
        };
        let tls = listener.tls.as_ref().map(|policy| format!(", TLS by {policy}")).unwrap_or_default();
        let _ =
            writeln!(out, "listener  {}{addresses}{protocol}{tls}, as {}", listener.name, listener.because);
        if listener.is_guess {
            let _ = writeln!(
                out,
                "          name another one with --listener NAME, or write its port in the URL"
            );
        }
    }
}

/// What is known of a client whose requests are not read.
fn write_client(out: &mut String, relay: &RelayView) {
    let name =
        relay.server_name.as_ref().map_or("names no server".to_owned(), |name| format!("names {name}"));
    let alpn =
        if relay.alpn.is_empty() { String::new() } else { format!(", offers {}", relay.alpn.join(", ")) };
    let _ = writeln!(out, "client    {name}{alpn}");
}

fn write_relay(out: &mut String, relay: &RelayView) {
    let Some(upstream) = &relay.upstream else { return };
    let _ = writeln!(out, "relay     to the upstream \"{}\", as {}", upstream.name, relay.because);
    write_upstream(out, upstream);
}

fn write_route(out: &mut String, route: &RouteView) {
    let _ = writeln!(out, "route     {}, which {}", route.name, route.action);
    let policies = if route.policies.is_empty() { "none".to_owned() } else { route.policies.join(", ") };
    let _ = writeln!(out, "policies  {policies}");
    if let Some(path) = &route.path_upstream {
        let _ = writeln!(out, "path      the origin sees {path}");
    }
    route.upstreams.iter().for_each(|upstream| write_upstream(out, upstream));
}

fn write_upstream(out: &mut String, upstream: &UpstreamView) {
    let share = upstream.weight.map_or(String::new(), |weight| format!(", weight {weight}"));
    let _ = writeln!(out, "upstream  {}{share}, {}: {}", upstream.name, upstream.balance, upstream.choice);
    upstream.endpoints.iter().for_each(|endpoint| write_endpoint(out, endpoint));
}

fn write_endpoint(out: &mut String, endpoint: &EndpointView) {
    let address =
        if endpoint.address == endpoint.name { String::new() } else { format!(" ({})", endpoint.address) };
    let state = match endpoint {
        EndpointView { candidate: true, .. } => "may be chosen",
        EndpointView { weight: 0, .. } => "never chosen, its weight is 0",
        _ => "not chosen while unhealthy",
    };
    let _ = writeln!(out, "  {}{address}: weight {}, {state}", endpoint.name, endpoint.weight);
}
