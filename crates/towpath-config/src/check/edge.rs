//! `[listener.NAME]` and `[tls.NAME]`.

use std::collections::HashMap;

use super::{Checks, Relation, place, protocol};
use crate::diagnostic::Diagnostic;
use crate::options::{Listener, ListenerProtocol, ListenerTimeouts, ProxyProtocol, Tls};
use crate::source::{Span, Spanned};
use crate::value::{Bind, ByteSize, Cap, Map, OneOrMany, Opt};

pub(super) fn listener(checks: &mut Checks, listener: &Listener) {
    match &listener.bind {
        None => checks.missing("lacks the key \"bind\"", "for example bind = \"127.0.0.1:8080\""),
        Some(bind) if bind.is_empty() => {
            checks.error(bind, "bind is empty", "for example [\"127.0.0.1:8080\"]")
        }
        Some(_) => {}
    }
    protocol::check(checks, listener);
    checks.not_zero(&[("idle_timeout", &listener.idle_timeout)]);
    checks.inner("timeouts", &listener.timeouts, timeouts);
    checks.inner("proxy_protocol", &listener.proxy_protocol, proxy_protocol);
    limits(checks, listener);
    if let Some(bytes) = listener.max_header_bytes.as_ref().filter(|bytes| bytes.value == ByteSize(0)) {
        checks.error(bytes, "max_header_bytes is zero, so nothing could ever pass", "for example \"64KiB\"");
    }
}

fn limits(checks: &mut Checks, listener: &Listener) {
    let relation = Relation::error("more than", "it could never be reached");
    let (connections, per_address) =
        (count(&listener.max_connections), count(&listener.max_connections_per_address));
    checks.at_most(
        ("max_connections_per_address", &per_address),
        relation,
        ("max_connections", &connections),
    );
    let relation = Relation::error("more than", "it could never be reached");
    checks.at_most(
        ("max_sessions_per_address", &listener.max_sessions_per_address),
        relation,
        ("max_sessions", &listener.max_sessions),
    );
    if let Some(rate) = listener.accept_rate.as_ref().filter(|rate| rate.count == 0) {
        checks.error(rate, "accept_rate is zero, so nobody could ever connect", "for example \"100/s\"");
    }
}

/// A bound that is a number.
pub(super) fn count(cap: &Opt<Cap>) -> Opt<u32> {
    cap.as_ref().and_then(|cap| match cap.value {
        Cap::Count(count) => Some(Spanned::new(count.get(), cap.span)),
        Cap::Unlimited => None,
    })
}

fn proxy_protocol(checks: &mut Checks, proxy_protocol: &ProxyProtocol) {
    match &proxy_protocol.from {
        None => checks.missing("lacks the key \"from\"", "for example from = [\"10.0.0.0/8\"]"),
        Some(from) if from.is_empty() => {
            checks.error(from, "from is empty, so no header would be read", "for example [\"10.0.0.0/8\"]");
        }
        Some(_) => {}
    }
}

fn timeouts(checks: &mut Checks, timeouts: &ListenerTimeouts) {
    checks.not_zero(&[
        ("first_request", &timeouts.first_request),
        ("header", &timeouts.header),
        ("idle", &timeouts.idle),
        ("body_idle", &timeouts.body_idle),
        ("write_idle", &timeouts.write_idle),
    ]);
}

pub(super) fn tls(checks: &mut Checks, tls: &Tls) {
    if tls.certificate.is_none() {
        checks.missing("lacks the key \"certificate\"", "for example certificate = \"site.crt\"");
    }
    if tls.private_key.is_none() {
        checks.missing("lacks the key \"private_key\"", "for example private_key = \"site.key\"");
    }
    if let Some(protocols) = tls.protocols.as_ref().filter(|protocols| protocols.is_empty()) {
        checks.error(
            protocols,
            "protocols is empty, so nobody could connect",
            "write [\"TLSv1.2\", \"TLSv1.3\"]",
        );
    }
    files_in_step(checks, "private_key", &tls.private_key, &tls.certificate);
    files_in_step(checks, "ocsp", &tls.ocsp, &tls.certificate);
    needs_authority(checks, tls);
    if let Some(name) = &tls.client_identity_header {
        identity_header(checks, name);
    }
}

/// A list beside `certificate` has something for each of them.
fn files_in_step<T, U>(
    checks: &mut Checks,
    key: &str,
    files: &Opt<OneOrMany<T>>,
    certificates: &Opt<OneOrMany<U>>,
) {
    let (Some(files), Some(certificates)) = (files, certificates) else { return };
    if files.len() != certificates.len() {
        let message =
            format!("{key} has {} and certificate has {}: they go in pairs", files.len(), certificates.len());
        let fault = Diagnostic::error(files.span, message).also(certificates.span, "certificate stands here");
        checks.push(fault.hint("write as many of the one as of the other, in the same order"));
    }
}

/// What is asked about a client's certificate means nothing when none is asked for.
fn needs_authority(checks: &mut Checks, tls: &Tls) {
    let keys = [
        ("client_auth", place(&tls.client_auth)),
        ("client_san", place(&tls.client_san)),
        ("client_identity_header", place(&tls.client_identity_header)),
    ];
    for (key, span) in keys {
        if let (Some(span), None) = (span, &tls.client_ca) {
            let fault =
                Diagnostic::error(span, format!("{key} needs client_ca, without which nobody is asked"));
            checks.push(fault.hint("add client_ca = \"clients.pem\", or take it out"));
        }
    }
    if let Some(names) = tls.client_san.as_ref().filter(|names| names.is_empty()) {
        checks.error(names, "client_san is empty, so nobody could connect", "list a name, or take it out");
    }
}

/// A name that the gateway may own: it must not take over a field that has a meaning already.
fn identity_header(checks: &mut Checks, name: &Spanned<String>) {
    let is_token = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !is_token || !name.to_ascii_lowercase().starts_with("x-") {
        let message = format!("\"{}\" cannot be the header that tells who a client is", name.value);
        checks.error(name, message, "write a name that begins with x-, for example \"x-client-identity\"");
    }
}

/// A certificate without its key proves nothing, nor does a key alone.
pub(super) fn certificate_pair<T>(checks: &mut Checks, certificate: &Opt<T>, private_key: &Opt<T>) {
    match (place(certificate), place(private_key)) {
        (Some(_), None) => {
            checks.missing("has a certificate and no private_key", "add private_key = \"client.key\"");
        }
        (None, Some(_)) => {
            checks.missing("has a private_key and no certificate", "add certificate = \"client.crt\"");
        }
        _ => {}
    }
}

/// Two listeners cannot share an address, except one by TCP and one by UDP.
pub(super) fn addresses_are_distinct(checks: &mut Checks, listeners: &Map<Listener>) {
    let mut seen: HashMap<(bool, &Bind), Span> = HashMap::new();
    for (name, listener) in listeners {
        let is_udp = protocol::of(listener) == ListenerProtocol::Udp;
        for bind in listener.bind.iter().flat_map(|bind| bind.iter()).filter(|bind| !is_any_port(bind)) {
            if let Some(first) = seen.insert((is_udp, &bind.value), bind.span) {
                let message = format!("\"{}\" is already listened at", bind.value);
                let fault = Diagnostic::error(bind.span.max(first), message)
                    .also(bind.span.min(first), "first used here")
                    .hint("give each listener an address of its own; one listener can serve many routes");
                checks.faults.push(fault.within(format!("listener.{name}")));
            }
        }
    }
}

/// Port 0 is another port each time.
fn is_any_port(bind: &Bind) -> bool {
    match bind {
        Bind::Every(port) => *port == 0,
        Bind::Ip(address) => address.port() == 0,
        Bind::Unix(_) => false,
    }
}
