//! `[listener.NAME]` and `[tls.NAME]`.

use std::collections::HashMap;

use super::{Checks, place};
use crate::diagnostic::Diagnostic;
use crate::options::{Listener, ListenerProtocol, ListenerTimeouts, Tls};
use crate::source::Span;
use crate::value::{Bind, ByteSize, Map, Opt};

pub(super) fn listener(checks: &mut Checks, listener: &Listener) {
    match &listener.bind {
        None => checks.missing("lacks the key \"bind\"", "for example bind = \"127.0.0.1:8080\""),
        Some(bind) if bind.is_empty() => {
            checks.error(bind, "bind is empty", "for example [\"127.0.0.1:8080\"]")
        }
        Some(_) => {}
    }
    protocol(checks, listener);
    checks.not_zero(&[("idle_timeout", &listener.idle_timeout)]);
    checks.inner("timeouts", &listener.timeouts, timeouts);
    if let Some(bytes) = listener.max_header_bytes.as_ref().filter(|bytes| bytes.value == ByteSize(0)) {
        checks.error(bytes, "max_header_bytes is zero, so nothing could ever pass", "for example \"64KiB\"");
    }
}

/// Keys that the protocol needs, and keys it has no use for.
fn protocol(checks: &mut Checks, listener: &Listener) {
    let protocol = listener.protocol.as_ref().map_or(ListenerProtocol::Http, |protocol| protocol.value);
    let is_passthrough = protocol == ListenerProtocol::TlsPassthrough;
    if protocol == ListenerProtocol::Http
        && let Some(upstream) = &listener.upstream
    {
        let hint = format!("add a [route.NAME] with upstream = \"{upstream}\", or protocol = \"tcp\" here");
        checks.error(upstream, "an http listener finds its upstream by route", &hint);
    }
    if !is_passthrough && let Some(sni) = &listener.sni {
        checks.error(
            sni,
            "sni routes TLS that is not opened",
            "add protocol = \"tls-passthrough\", or take it out",
        );
    }
    if is_passthrough && listener.sni.is_none() && listener.upstream.is_none() {
        checks.missing("lacks the key \"sni\"", "for example sni = { \"a.example.com\" = \"app\" }");
    }
    if matches!(protocol, ListenerProtocol::Tcp | ListenerProtocol::Udp) && listener.upstream.is_none() {
        checks.missing("lacks the key \"upstream\"", "name the [upstream.NAME] that gets the bytes");
    }
    if matches!(protocol, ListenerProtocol::TlsPassthrough | ListenerProtocol::Udp)
        && let Some(tls) = &listener.tls
    {
        let message = format!("a \"{}\" listener opens no TLS", protocol.as_str());
        checks.error(tls, message, "take the key out, or choose another protocol");
    }
    if let Some(http3) = listener.http3.as_ref().filter(|http3| http3.value && listener.tls.is_none()) {
        checks.error(http3, "HTTP/3 is always encrypted", "add tls = \"NAME\" and a [tls.NAME]");
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
        let is_udp =
            listener.protocol.as_ref().is_some_and(|protocol| protocol.value == ListenerProtocol::Udp);
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
