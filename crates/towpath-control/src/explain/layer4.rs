//! Where a connection goes that is not read, and why.

use std::sync::Arc;

use towpath_gateway::Reason;
use towpath_gateway::plan::{Passthrough, Protocol, Target as Goal, Upstream};

use super::question::{Query, Target};
use super::{Refusal, RelayView, UpstreamView, is_dead, no_endpoint, refusal, upstream_view};

/// The way of a connection or session through any listener but an http one.
pub(super) fn walk(protocol: &Protocol, query: &Query, target: &Target) -> (RelayView, Result<(), Refusal>) {
    match protocol {
        Protocol::Passthrough(passthrough) => by_hello(passthrough, query, target),
        Protocol::Tcp(tcp) => one_upstream(&tcp.target.upstream, "every connection goes there"),
        Protocol::Udp(udp) => {
            let (mut relay, outcome) = one_upstream(&udp.upstream, "every session goes there");
            if let Some(upstream) = &mut relay.upstream {
                upstream.balance = "client";
                upstream.choice = "by the hash of the client's address and port, and by weight";
            }
            (relay, outcome)
        }
        // Asked by route.
        Protocol::Http => (RelayView::to(None, "it reads requests"), Ok(())),
    }
}

impl RelayView {
    fn to(upstream: Option<UpstreamView>, because: &str) -> Self {
        Self { server_name: None, alpn: Vec::new(), because: because.to_owned(), upstream }
    }
}

fn one_upstream(upstream: &Upstream, because: &str) -> (RelayView, Result<(), Refusal>) {
    let relay = RelayView::to(Some(upstream_view(upstream, None)), because);
    // Without HTTP there is no status to answer with.
    let refused = is_dead(upstream).then(|| Refusal { status: 0, ..no_endpoint(upstream) });
    (relay, refused.map_or(Ok(()), Err))
}

/// By protocol, then by name, then the default: the order of the data path.
fn by_hello(passthrough: &Passthrough, query: &Query, target: &Target) -> (RelayView, Result<(), Refusal>) {
    let name = target.server_name();
    let offered = query.alpn.iter().find_map(|protocol| {
        let goal = passthrough.alpn.get(protocol.as_bytes())?;
        Some((goal, format!("it offers the protocol \"{protocol}\"")))
    });
    let named = || {
        let goal = passthrough.names.find(name.as_deref()?)?;
        Some((goal, format!("sni has \"{}\"", key_of(passthrough, goal))))
    };
    let default = || {
        let goal = passthrough.default.as_ref()?;
        let because = match &name {
            Some(_) => "no name in sni is its own",
            None => "it names no server",
        };
        Some((goal, because.to_owned()))
    };
    let (mut relay, outcome) = match offered.or_else(named).or_else(default) {
        Some((goal, because)) => one_upstream(&goal.upstream, &because),
        None => refused(name.as_deref()),
    };
    relay.server_name = name;
    relay.alpn.clone_from(&query.alpn);
    (relay, outcome)
}

/// The entry that led here: each has a target of its own.
fn key_of(passthrough: &Passthrough, goal: &Arc<Goal>) -> String {
    match passthrough.names.iter().find(|(_, target)| Arc::ptr_eq(target, goal)) {
        Some((wildcard, _)) if wildcard.starts_with('.') => format!("*{wildcard}"),
        Some((name, _)) => name.to_owned(),
        None => String::new(),
    }
}

fn refused(name: Option<&str>) -> (RelayView, Result<(), Refusal>) {
    let (reason, hint) = match name {
        Some(_) => (Reason::UnknownServerName, "add it to sni, or write upstream = \"…\" for all others"),
        None => (Reason::NoServerName, "write upstream = \"…\" for clients without a name"),
    };
    let relay = RelayView::to(None, "no entry takes it, and there is no default");
    (relay, Err(refusal(reason, hint)))
}
