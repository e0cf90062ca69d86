//! An explanation as people read it.

use std::fmt::Write as _;

use super::{EndpointView, Explanation, RouteView, UpstreamView};

impl Explanation {
    /// The explanation as lines of text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        self.write_request(&mut out);
        self.write_listener(&mut out);
        for candidate in &self.candidates {
            let mark = if candidate.chosen { '>' } else { ' ' };
            let _ = writeln!(out, "  {mark} {}: {}", candidate.route, candidate.why);
        }
        if let Some(route) = &self.route {
            write_route(&mut out, route);
        }
        if let Some(refusal) = &self.refusal {
            let label = if refusal.always { "answer  " } else { "at times" };
            let _ = writeln!(out, "{label}  {} {}: {}", refusal.status, refusal.reason, refusal.detail);
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
        let _ = writeln!(out, "listener  {}{addresses}, as {}", listener.name, listener.because);
        if listener.is_guess {
            let _ = writeln!(
                out,
                "          name another one with --listener NAME, or write its port in the URL"
            );
        }
    }
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
