//! What a listener's protocol needs, and the keys it has no use for.

use super::{Checks, place, server_name};
use crate::options::{Listener, ListenerProtocol, ListenerTimeouts};
use crate::source::{Span, Spanned};
use crate::value::Bind;

use ListenerProtocol::{Http, Tcp, TlsPassthrough, Udp};

/// What a listener speaks.
pub(super) fn of(listener: &Listener) -> ListenerProtocol {
    listener.protocol.as_ref().map_or(Http, |protocol| protocol.value)
}

pub(super) fn check(checks: &mut Checks, listener: &Listener) {
    let protocol = of(listener);
    match protocol {
        Http => http(checks, listener),
        Tcp | Udp if listener.upstream.is_none() => {
            checks.missing("lacks the key \"upstream\"", "name the [upstream.NAME] that gets the bytes");
        }
        Tcp | Udp => {}
        TlsPassthrough => passthrough(checks, listener),
    }
    if protocol != TlsPassthrough {
        only_unopened(checks, "sni", &listener.sni);
        only_unopened(checks, "alpn", &listener.alpn);
    }
    if let Some(tls) = listener.tls.as_ref().filter(|_| matches!(protocol, TlsPassthrough | Udp)) {
        let message = format!("a \"{}\" listener opens no TLS", protocol.as_str());
        checks.error(tls, message, "take the key out, or choose another protocol");
    }
    sockets(checks, listener, protocol);
    strangers(checks, listener, protocol);
}

fn http(checks: &mut Checks, listener: &Listener) {
    if let Some(upstream) = &listener.upstream {
        let hint = format!("add a [route.NAME] with upstream = \"{upstream}\", or protocol = \"tcp\" here");
        checks.error(upstream, "an http listener finds its upstream by route", &hint);
    }
    if let Some(http3) = listener.http3.as_ref().filter(|http3| http3.value && listener.tls.is_none()) {
        checks.error(http3, "HTTP/3 is always encrypted", "add tls = \"NAME\" and a [tls.NAME]");
    }
}

fn passthrough(checks: &mut Checks, listener: &Listener) {
    if listener.sni.is_none() && listener.alpn.is_none() && listener.upstream.is_none() {
        checks.missing("lacks the key \"sni\"", "for example sni = { \"a.example.com\" = \"app\" }");
    }
    if let Some(names) = &listener.sni {
        server_name::names(checks, names);
    }
    if let Some(protocols) = &listener.alpn {
        server_name::protocols(checks, protocols);
    }
}

fn only_unopened<T>(checks: &mut Checks, key: &str, value: &Option<Spanned<T>>) {
    if let Some(value) = value {
        let message = format!("{key} routes TLS that is not opened");
        checks.error(value, message, "add protocol = \"tls-passthrough\", or take it out");
    }
}

/// Unix sockets carry streams, and `socket_mode` is about them.
fn sockets(checks: &mut Checks, listener: &Listener, protocol: ListenerProtocol) {
    let binds = || listener.bind.iter().flat_map(|bind| bind.iter());
    for bind in binds().filter(|bind| protocol == Udp && matches!(bind.value, Bind::Unix(_))) {
        let hint = "write an address and a port such as \"127.0.0.1:5353\"";
        checks.error(
            bind,
            format!("\"{}\" is a Unix socket, and this listener speaks UDP", bind.value),
            hint,
        );
    }
    let has_unix = binds().any(|bind| matches!(bind.value, Bind::Unix(_)));
    if let Some(mode) = listener.socket_mode.as_ref().filter(|_| !has_unix && protocol != Udp) {
        let hint = "take it out, or add an address such as \"unix:/run/web.sock\"";
        checks.error(mode, "socket_mode is for unix: addresses, and this listener has none", hint);
    }
}

/// A key, the protocols that have it, what to write under the others, and where it stands.
struct Key(&'static str, &'static [ListenerProtocol], &'static str, Option<Span>);

/// Keys that this protocol does not have.
fn strangers(checks: &mut Checks, listener: &Listener, protocol: ListenerProtocol) {
    let keys = keys(listener).into_iter().filter(|Key(_, protocols, ..)| !protocols.contains(&protocol));
    for Key(key, protocols, instead, span) in keys {
        let Some(span) = span else { continue };
        let message = format!(
            "\"{key}\" is a key of {} listeners, and this one speaks \"{}\"",
            listed(protocols),
            protocol.as_str()
        );
        let hint = if instead.is_empty() { "take it out" } else { instead };
        checks.error(&Spanned::new((), span), message, hint);
    }
}

/// `http, tcp and udp`.
fn listed(protocols: &[ListenerProtocol]) -> String {
    let words: Vec<_> = protocols.iter().map(|protocol| protocol.as_str()).collect();
    match words.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        _ => words.concat(),
    }
}

const STREAMS: &[ListenerProtocol] = &[Http, Tcp, TlsPassthrough];
const TIMES: &str = "write idle_timeout = \"60s\"";
const RETRY: &str =
    "a route has retry = { attempts = 1, on = [\"connect-failure\"] }; a session has one endpoint";
const SESSIONS: &str = "a udp listener has max_sessions and max_sessions_per_address";
const CONNECTIONS: &str = "bound connections with max_connections and max_connections_per_address";

/// Every key that not all protocols have, but for those that have a fault of their own.
fn keys(listener: &Listener) -> [Key; 24] {
    let none = ListenerTimeouts::default();
    let timeouts = match &listener.timeouts {
        // Told as a whole.
        Some(timeouts) if of(listener) != Udp => &timeouts.value,
        _ => &none,
    };
    [
        Key("h2c", &[Http], "", place(&listener.h2c)),
        Key("http3", &[Http], "", place(&listener.http3)),
        Key(
            "idle_timeout",
            &[Tcp, TlsPassthrough, Udp],
            "write timeouts = { idle = \"60s\" }",
            place(&listener.idle_timeout),
        ),
        Key("timeouts", STREAMS, TIMES, place(&listener.timeouts)),
        Key("header", &[Http], "", place(&timeouts.header)),
        Key("idle", &[Http], TIMES, place(&timeouts.idle)),
        Key("body_idle", &[Http], "", place(&timeouts.body_idle)),
        Key("write_idle", &[Http], "", place(&timeouts.write_idle)),
        Key("connect_attempts", &[Tcp, TlsPassthrough], RETRY, place(&listener.connect_attempts)),
        Key("body_rate_min", &[Http], "", place(&listener.body_rate_min)),
        Key("trusted_proxies", &[Http], "", place(&listener.trusted_proxies)),
        Key("forwarded", &[Http], "", place(&listener.forwarded)),
        Key("max_header_bytes", &[Http], "", place(&listener.max_header_bytes)),
        Key("max_header_count", &[Http], "", place(&listener.max_header_count)),
        Key("underscore_headers", &[Http], "", place(&listener.underscore_headers)),
        Key("max_body_bytes", &[Http], "", place(&listener.max_body_bytes)),
        Key("proxy_protocol", STREAMS, "", place(&listener.proxy_protocol)),
        Key("max_connections", STREAMS, SESSIONS, place(&listener.max_connections)),
        Key("max_connections_per_address", STREAMS, SESSIONS, place(&listener.max_connections_per_address)),
        Key("accept_rate", STREAMS, SESSIONS, place(&listener.accept_rate)),
        Key("socket_mode", STREAMS, "", place(&listener.socket_mode)),
        Key("max_sessions", &[Udp], CONNECTIONS, place(&listener.max_sessions)),
        Key("max_sessions_per_address", &[Udp], CONNECTIONS, place(&listener.max_sessions_per_address)),
        Key("reply_ratio", &[Udp], "", place(&listener.reply_ratio)),
    ]
}
