//! `sni` and `alpn` of a passthrough listener: names that no client could send, and names written twice.

use std::collections::HashMap;
use std::net::IpAddr;

use super::Checks;
use crate::diagnostic::Diagnostic;
use crate::source::{Span, Spanned};
use crate::value::Map;

/// The longest host name DNS can carry, and the longest of its labels (RFC 1035 section 2.3.4).
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// A protocol name is one to 255 bytes (RFC 7301 section 3.1).
const PROTOCOL_BYTES_MAX: usize = 255;

const EXAMPLE: &str = "write a name such as \"a.example.com\", or \"*.example.com\" for every name below";

pub(super) fn names(checks: &mut Checks, names: &Spanned<Map<String>>) {
    if names.is_empty() {
        checks.error(names, "sni is empty", "for example sni = { \"a.example.com\" = \"app\" }");
    }
    let mut seen: HashMap<String, Span> = HashMap::new();
    for name in names.keys() {
        if let Some((why, hint)) = fault(name) {
            checks.error(name, format!("\"{name}\" {why}"), &hint);
        }
        // Clients write names in any case, and a dot at the end changes nothing.
        let same = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        if let Some(first) = seen.insert(same, name.span) {
            let fault = Diagnostic::error(name.span.max(first), format!("\"{name}\" is listed twice"))
                .also(name.span.min(first), "first listed here");
            checks.push(fault.hint("case and a last dot mean nothing in a name; take one of the two out"));
        }
    }
}

/// Why no client can ask for this name, and what to write.
fn fault(written: &str) -> Option<(&'static str, String)> {
    let name = written.strip_suffix('.').unwrap_or(written);
    let below = name.strip_prefix("*.").unwrap_or(name);
    let is_name = |name: &str| name.len() <= NAME_BYTES_MAX && name.split('.').all(is_label);
    // RFC 6066 section 3: literal addresses are not permitted.
    let is_address = |text: &str| text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    match name {
        _ if is_address(name) => Some((
            "is an address, and clients send names only",
            "clients that ask for an address go to upstream".into(),
        )),
        "*" => {
            Some(("is not a name", "write upstream = \"…\" beside sni, for everything that sni lacks".into()))
        }
        _ if is_name(below) => None,
        _ if below.contains('*') => Some(("has a * that is not its whole first label", EXAMPLE.into())),
        _ if !name.is_ascii() => {
            Some(("has letters that TLS cannot carry", "write the form that begins with xn--".into()))
        }
        _ => match below.rsplit_once(':') {
            Some((host, port)) if is_name(host) && port.parse::<u16>().is_ok() => {
                Some(("has a port", format!("write \"{host}\"; the port is that of the listener")))
            }
            _ => Some(("is not a name", EXAMPLE.into())),
        },
    }
}

fn is_label(label: &str) -> bool {
    (1..=LABEL_BYTES_MAX).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

pub(super) fn protocols(checks: &mut Checks, protocols: &Spanned<Map<String>>) {
    let hint = "for example alpn = { \"acme-tls/1\" = \"acme\" }";
    if protocols.is_empty() {
        checks.error(protocols, "alpn is empty", hint);
    }
    for name in protocols.keys() {
        if !(1..=PROTOCOL_BYTES_MAX).contains(&name.len()) {
            checks.error(name, "a protocol name is 1 to 255 bytes long", hint);
        } else if let Some((_, known)) = SPELLINGS.iter().find(|(wrong, _)| name.eq_ignore_ascii_case(wrong))
        {
            let message = format!("no client offers \"{name}\"");
            checks.error(name, message, &format!("write \"{known}\""));
        }
    }
}

/// Names from elsewhere, and those that IANA has for what they mean.
const SPELLINGS: [(&str, &str); 4] =
    [("http/2", "h2"), ("http2", "h2"), ("http1.1", "http/1.1"), ("http1", "http/1.1")];
