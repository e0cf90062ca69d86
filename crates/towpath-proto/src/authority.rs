//! Host and port (RFC 3986 §3.2, RFC 9110 §7.2).

use core::net::Ipv6Addr;

use crate::limits::HOST_BYTES_MAX;

/// A valid authority taken apart. User information is never part of one (RFC 9110 §4.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    /// The host as spelt; an IPv6 literal with its brackets.
    pub host: &'a [u8],
    /// The port, if one was given.
    pub port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Takes `text` apart if it is `host` or `host:port`.
    ///
    /// The host is an IPv6 literal in brackets, or a name or IPv4 address of letters, digits, `-`, `.`, `_`
    /// and `~`. RFC 3986 would allow percent-encoding and `!$&'()*+,;=` too; no host name has any of these,
    /// and each is read differently by somebody. An empty host (RFC 9110 §4.2.1) and an empty port are
    /// refused.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let (host, rest) = match text {
            [b'[', ..] => split_literal(text)?,
            _ => split_name(text)?,
        };
        let port = match rest {
            [] => None,
            [b':', digits @ ..] => Some(parse_port(digits)?),
            _ => return None,
        };
        Some(Self { host, port })
    }
}

/// The host of a valid authority, with brackets if it is an IPv6 literal; of anything else, what is before
/// the port.
pub fn host_of(authority: &[u8]) -> &[u8] {
    let host_bytes = match authority {
        [b'[', ..] => authority.iter().position(|&byte| byte == b']').map(|bracket| bracket + 1),
        _ => authority.iter().position(|&byte| byte == b':'),
    };
    &authority[..host_bytes.unwrap_or(authority.len())]
}

/// Whether two authorities name the same host and port, without regard to case (RFC 9110 §4.2.3). A missing
/// port means `default_port`; when there is none, as for CONNECT, a missing port on the right matches any on
/// the left.
pub fn is_same(left: &[u8], right: &[u8], default_port: Option<u16>) -> bool {
    if left == right {
        return true;
    }
    let (Some(left), Some(right)) = (Authority::parse(left), Authority::parse(right)) else { return false };
    let is_same_port = match right.port.or(default_port) {
        Some(port) => left.port.or(default_port) == Some(port),
        None => true,
    };
    left.host.eq_ignore_ascii_case(right.host) && is_same_port
}

/// An IPv6 address in brackets, and what follows. No zone: it has a meaning on the client's machine only.
fn split_literal(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let bracket = text.iter().position(|&byte| byte == b']')?;
    let (literal, rest) = text.split_at(bracket + 1);
    let address = std::str::from_utf8(&literal[1..bracket]).ok()?;
    address.parse::<Ipv6Addr>().ok()?;
    Some((literal, rest))
}

/// A name or an IPv4 address, and what follows. No label but the last may be empty.
fn split_name(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut follows_dot = true;
    let mut host_bytes = 0;
    for &byte in text {
        let is_dot = byte == b'.';
        if !NAME_BYTE[usize::from(byte)] {
            break;
        }
        if is_dot && follows_dot {
            return None;
        }
        follows_dot = is_dot;
        host_bytes += 1;
    }
    (1..=HOST_BYTES_MAX).contains(&host_bytes).then(|| text.split_at(host_bytes))
}

const NAME_BYTE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'-' | b'.' | b'_' | b'~');
        byte += 1;
    }
    table
};

/// `1*5DIGIT` below 2^16 and not zero, which no server can listen on.
fn parse_port(digits: &[u8]) -> Option<u16> {
    const DIGITS_MAX: usize = 5;
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return None;
    }
    let mut port = 0u32;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        port = port * 10 + u32::from(digit - b'0');
    }
    u16::try_from(port).ok().filter(|&port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `host|port`, `host|` or `refused`.
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = match Authority::parse(text.as_bytes()) {
            Some(Authority { host, port }) => {
                let port = port.map(|port| port.to_string()).unwrap_or_default();
                format!("{}|{port}", String::from_utf8_lossy(host))
            }
            None => "refused".to_owned(),
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn hosts_and_ports_are_split_rfc9110_7_2() {
        check("example.com", "example.com|");
        check("EXAMPLE.com.:8080", "EXAMPLE.com.|8080");
        check("127.0.0.1:80", "127.0.0.1|80");
        check("[::1]", "[::1]|");
        check("[2001:db8::1]:443", "[2001:db8::1]|443");
        check("a_b~c-d:65535", "a_b~c-d|65535");
    }

    #[test]
    fn what_is_not_a_host_is_refused_t10() {
        for text in [
            "",
            ":80",
            "a:",
            "a:0",
            "a:65536",
            "a:080000",
            "a:99999999999999999999999",
            "a:+80",
            "a:8 0",
            "a b",
            "a,b",
            "user@a",
            "a/b",
            "a?b",
            "a#b",
            "a%2e",
            ".a",
            "a..b",
            ".",
            "[::1",
            "[::1]a",
            "[::1]:",
            "[fe80::1%25eth0]",
            "[1.2.3.4]",
            "[]",
            "::1",
            "a:80:80",
            "a\\b",
            "é",
            "a\0",
            "a;b",
            "a=b",
        ] {
            check(text, "refused");
        }
        check(&"a".repeat(HOST_BYTES_MAX), &format!("{}|", "a".repeat(HOST_BYTES_MAX)));
        check(&"a".repeat(HOST_BYTES_MAX + 1), "refused");
    }

    #[test]
    fn the_host_is_what_precedes_the_port() {
        assert_eq!(host_of(b"example.com:80"), b"example.com");
        assert_eq!(host_of(b"[::1]:80"), b"[::1]");
        assert_eq!(host_of(b"example.com"), b"example.com");
        assert_eq!(host_of(b""), b"");
        assert_eq!(host_of(b"[::1"), b"[::1");
    }

    #[test]
    fn authorities_are_compared_without_case_and_with_default_port_t10() {
        assert!(is_same(b"a", b"A:80", Some(80)));
        assert!(is_same(b"a:80", b"a", Some(80)));
        assert!(!is_same(b"a:80", b"a", Some(443)));
        assert!(!is_same(b"a", b"b", Some(80)));
        assert!(!is_same(b"a:1", b"a:2", None));
        assert!(is_same(b"a:443", b"A", None));
        assert!(!is_same(b"a:443", b"a:80", None));
    }
}
