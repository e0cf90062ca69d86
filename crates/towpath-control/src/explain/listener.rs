//! Which listener takes the request.

use std::net::IpAddr;
use std::sync::Arc;

use towpath_gateway::plan::{Listener, Plan, Protocol};

use super::question::{BadQuestion, Query, Scheme, Target};
use crate::compile::{BindAddress, Bound};

/// A listener's name and one of its addresses.
pub type Place = (Arc<str>, BindAddress);

/// A listener, and why it is this one.
pub(super) struct Choice<'p> {
    pub(super) listener: &'p Listener,
    pub(super) because: String,
    /// Whether another one might have been meant.
    pub(super) is_guess: bool,
}

/// Where the listeners of a plan that serves are.
#[must_use]
pub fn places_of(plan: &Plan) -> Vec<Place> {
    let bindings = plan.listeners.iter().flat_map(|listener| {
        Bound::of(listener).into_iter().map(|bound| (listener.name.clone(), bound.address()))
    });
    bindings.collect()
}

/// The addresses of one listener.
pub(super) fn addresses<'p>(places: &'p [Place], name: &str) -> impl Iterator<Item = &'p BindAddress> {
    places.iter().filter(move |(own, _)| **own == *name).map(|(_, address)| address)
}

/// The listener that the question names, else the one that the URL's address leads to, else the first by name that
/// speaks what the URL speaks.
pub(super) fn choose<'p>(
    plan: &'p Plan,
    places: &[Place],
    query: &Query,
    target: &Target,
) -> Result<Option<Choice<'p>>, BadQuestion> {
    if let Some(name) = &query.listener {
        let found = plan.listener(name).ok_or_else(|| {
            let known: Vec<&str> = plan.listeners.iter().map(|listener| &*listener.name).collect();
            BadQuestion::new(format!("no listener is named \"{name}\"; there are: {}", known.join(", ")))
        })?;
        return Ok(Some(Choice {
            listener: found,
            because: "named in the question".to_owned(),
            is_guess: false,
        }));
    }
    let candidates = reached(places, target);
    let speaks = |listener: &&Arc<Listener>| speaks(&listener.protocol, target.scheme);
    let is_meant = |listener: &&Arc<Listener>| speaks(listener) && is_of_scheme(listener, target.scheme);
    let mut speakers = plan.listeners.iter();
    let speaker = speakers.find(is_meant).or_else(|| plan.listeners.iter().find(speaks));
    let found = candidates.first().and_then(|name| plan.listener(name));
    let listener = found.or(speaker).or(plan.listeners.first());
    Ok(listener.map(|listener| {
        let (because, is_guess) = reason(&candidates, plan.listeners.len(), target.port);
        Choice { listener, because, is_guess }
    }))
}

/// Whether a listener speaks TLS exactly if the URL does.
fn is_of_scheme(listener: &Listener, scheme: Option<Scheme>) -> bool {
    match scheme {
        Some(Scheme::Https) => listener.tls.is_some(),
        Some(Scheme::Http) => listener.tls.is_none(),
        _ => true,
    }
}

fn speaks(protocol: &Protocol, scheme: Option<Scheme>) -> bool {
    match scheme {
        None | Some(Scheme::Http | Scheme::Https) => matches!(protocol, Protocol::Http),
        Some(Scheme::Tcp) => matches!(protocol, Protocol::Tcp(_)),
        Some(Scheme::Tls) => matches!(protocol, Protocol::Passthrough(_)),
        Some(Scheme::Udp) => matches!(protocol, Protocol::Udp(_)),
    }
}

/// The names of the listeners that a connection to the URL's port can reach, by name. An address in the URL narrows
/// them down, as far as it is one of theirs.
fn reached<'n>(places: &'n [Place], target: &Target) -> Vec<&'n str> {
    let is_udp = target.scheme == Some(Scheme::Udp);
    let kind = places.iter().filter(|(_, address)| matches!(address, BindAddress::Udp(_)) == is_udp);
    let bound: Vec<_> = kind.filter_map(|(name, address)| Some((name, address.ip()?))).collect();
    let at_port = || bound.iter().filter(|(_, address)| Some(address.port()) == target.port);
    let at_address = |ip: IpAddr| {
        at_port().filter(move |(_, address)| address.ip() == ip || address.ip().is_unspecified())
    };
    let mut names: Vec<&str> = match target.ip {
        Some(ip) if at_address(ip).next().is_some() => at_address(ip).map(|(name, _)| &***name).collect(),
        _ => at_port().map(|(name, _)| &***name).collect(),
    };
    names.sort_unstable();
    names.dedup();
    names
}

fn reason(candidates: &[&str], listeners: usize, port: Option<u16>) -> (String, bool) {
    match (candidates, listeners, port) {
        (_, 1, _) => ("it is the only one".to_owned(), false),
        ([_], _, Some(port)) => (format!("it has port {port}"), false),
        ([_, _, ..], _, Some(port)) => {
            (format!("it is the first by name of those with port {port}: {}", candidates.join(", ")), true)
        }
        (_, _, Some(port)) => (format!("it is the first by name; none is known to have port {port}"), true),
        (_, _, None) => ("it is the first by name; the question has no port".to_owned(), true),
    }
}
