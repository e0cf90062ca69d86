//! Addresses to listen at, addresses to connect to, and ranges of addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use crate::value::{FilePath, Reject, Text};

/// The longest host name DNS can carry (RFC 1035 section 2.3.4).
const HOST_BYTES_MAX: usize = 253;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Bind {
    /// `":8080"`: this port at every address, IPv4 and IPv6.
    Every(u16),
    /// `"127.0.0.1:8080"`, `"[::1]:80"`.
    Ip(SocketAddr),
    /// `"unix:/run/web.sock"`.
    Unix(FilePath),
}

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EndpointAddress {
    /// `"127.0.0.1:9001"`, `"[::1]:80"`.
    Ip(SocketAddr),
    /// `"app.internal:80"`, to be resolved.
    Name {
        /// The host name, in lower case.
        host: String,
        /// The port.
        port: u16,
    },
    /// `"unix:/run/app.sock"`.
    Unix(FilePath),
}

/// A range of addresses, `"10.0.0.0/8"`; an address alone is a range of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    /// The first address of the range.
    pub address: IpAddr,
    /// How many leading bits the range has in common.
    pub prefix: u8,
}

impl Bind {
    /// Whether only this machine can reach it: loopback or a Unix socket.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Every(_) => false,
            Self::Ip(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl Text for Bind {
    const WHAT: &'static str = "an address to listen at";
    const EXAMPLE: &'static str = "127.0.0.1:8080";
    const PATTERN: &'static str = "^(.*:[0-9]+|unix:.+)$";

    fn parse(text: &str, folder: &Path) -> Result<Self, Reject> {
        if let Some(path) = text.strip_prefix("unix:") {
            return FilePath::parse(path, folder).map(Self::Unix);
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Ip(address));
        }
        match text.strip_prefix(':').map(port) {
            Some(Some(port)) => Ok(Self::Every(port)),
            Some(None) => Err(Reject::hint("a port is a number from 0 to 65535, for example \":8080\"")),
            None => Err(Reject::hint(bind_hint(text))),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Every(port) => format!(":{port}"),
            Self::Ip(address) => address.to_string(),
            Self::Unix(path) => format!("unix:{}", path.written),
        }
    }

    fn spell_number(number: &str) -> Option<String> {
        Some(format!("write \"127.0.0.1:{number}\", or \":{number}\" for every address"))
    }
}

impl Text for EndpointAddress {
    const WHAT: &'static str = "an address to connect to";
    const EXAMPLE: &'static str = "127.0.0.1:9001";
    const PATTERN: &'static str = "^(.+:[0-9]+|unix:.+)$";

    fn parse(text: &str, folder: &Path) -> Result<Self, Reject> {
        if let Some(path) = text.strip_prefix("unix:") {
            return FilePath::parse(path, folder).map(Self::Unix);
        }
        let address = match text.parse() {
            Ok(address) => Self::Ip(address),
            Err(_) => match text.rsplit_once(':').and_then(|(host, digits)| Some((host, port(digits)?))) {
                Some((host, port)) if is_host(host) => Self::Name { host: host.to_ascii_lowercase(), port },
                _ => return Err(Reject::hint(endpoint_hint(text))),
            },
        };
        if address.port() == Some(0) {
            return Err(Reject::message(
                "has port 0, where nothing can listen",
                "write the port the origin listens at",
            ));
        }
        Ok(address)
    }

    fn to_text(&self) -> String {
        match self {
            Self::Ip(address) => address.to_string(),
            Self::Name { host, port } => format!("{host}:{port}"),
            Self::Unix(path) => format!("unix:{}", path.written),
        }
    }

    fn spell_number(number: &str) -> Option<String> {
        Some(format!("write \"127.0.0.1:{number}\""))
    }
}

impl EndpointAddress {
    /// The port; a Unix socket has none.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Ip(address) => Some(address.port()),
            Self::Name { port, .. } => Some(*port),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl fmt::Display for EndpointAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Text for Cidr {
    const WHAT: &'static str = "a range of addresses";
    const EXAMPLE: &'static str = "10.0.0.0/8";
    const PATTERN: &'static str = "^[0-9a-fA-F.:]+(/[0-9]+)?$";

    fn parse(text: &str, _folder: &Path) -> Result<Self, Reject> {
        let hint = || Reject::hint("write an address or a range, for example \"10.0.0.0/8\" or \"fd00::/8\"");
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| hint())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            Some(digits) => number(digits).ok_or_else(hint)?,
        };
        if prefix > bits {
            return Err(Reject::hint(format!("the number after / is at most {bits} here")));
        }
        let range = Self { address: network(address, prefix), prefix };
        if range.address != address {
            return Err(Reject::message(
                format!("begins in the middle of its range, \"{text}\""),
                format!("write \"{range}\", or \"{address}\" for the one address"),
            ));
        }
        Ok(range)
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

/// The first address of the range that holds `address`.
fn network(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

/// Digits only: `parse` alone would take a sign.
fn number<T: std::str::FromStr>(digits: &str) -> Option<T> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

fn port(digits: &str) -> Option<u16> {
    number(digits)
}

/// Letters, digits, `-`, `_` and dots between labels.
fn is_host(host: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    host.len() <= HOST_BYTES_MAX && host.strip_suffix('.').unwrap_or(host).split('.').all(is_label)
}

fn bind_hint(text: &str) -> String {
    if let Some(number) = port(text) {
        return format!("write \"127.0.0.1:{number}\", or \":{number}\" for every address");
    }
    match text.rsplit_once(':').map(|(host, digits)| (host, port(digits))) {
        Some(("*" | "0.0.0.0" | "", Some(port))) => format!("write \":{port}\" for every address"),
        Some(("localhost", Some(port))) => format!("write \"127.0.0.1:{port}\""),
        Some((_, Some(port))) => format!("write an address, not a name: \"127.0.0.1:{port}\" or \":{port}\""),
        _ if text.parse::<IpAddr>().is_ok() => {
            "add the port, for example \"127.0.0.1:8080\" or \"[::1]:8080\"".to_owned()
        }
        _ => "write an address and a port such as \"127.0.0.1:8080\", \":8080\" or \"unix:/run/web.sock\""
            .to_owned(),
    }
}

fn endpoint_hint(text: &str) -> String {
    if let Some((scheme, rest)) = text.split_once("://") {
        let rest = rest.split('/').next().unwrap_or_default();
        let port = if rest.contains(':') {
            ""
        } else if scheme == "https" {
            ":443"
        } else {
            ":80"
        };
        return format!("write \"{rest}{port}\"; `protocol` and `tls` are keys of the upstream");
    }
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("add the port: \"[{address}]:80\""),
        Ok(IpAddr::V4(address)) => format!("add the port: \"{address}:80\""),
        Err(_) if is_host(text) && port(text).is_none() => format!("add the port: \"{text}:80\""),
        Err(_) => {
            "write host and port such as \"127.0.0.1:9001\" or \"app.internal:80\", or \"unix:/run/app.sock\""
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Text>(text: &str, expected: &str) {
        let shown = match T::parse(text, Path::new("/etc")) {
            Ok(value) => value.to_text(),
            Err(reject) => format!("no: {}", reject.hint.unwrap_or_default()),
        };
        assert!(shown.starts_with(expected), "{text}: {shown}");
    }

    #[test]
    fn listening_addresses() {
        check::<Bind>("127.0.0.1:8080", "127.0.0.1:8080");
        check::<Bind>(":8080", ":8080");
        check::<Bind>("[::1]:80", "[::1]:80");
        check::<Bind>("127.0.0.1:0", "127.0.0.1:0");
        check::<Bind>("unix:/run/a.sock", "unix:/run/a.sock");
        check::<Bind>("8080", "no: write \"127.0.0.1:8080\"");
        check::<Bind>("*:80", "no: write \":80\"");
        check::<Bind>("localhost:80", "no: write \"127.0.0.1:80\"");
        check::<Bind>(":80800", "no: a port is a number");
        check::<Bind>("127.0.0.1", "no: add the port");
        check::<Bind>("", "no: write an address");
        check::<Bind>("unix:", "no: write a path");
    }

    #[test]
    fn endpoints() {
        check::<EndpointAddress>("127.0.0.1:9001", "127.0.0.1:9001");
        check::<EndpointAddress>("LocalHost:9001", "localhost:9001");
        check::<EndpointAddress>("a_b.internal.:80", "a_b.internal.:80");
        check::<EndpointAddress>("[fe80::1]:80", "[fe80::1]:80");
        check::<EndpointAddress>("unix:app.sock", "unix:app.sock");
        check::<EndpointAddress>("http://a.b/x", "no: write \"a.b:80\"");
        check::<EndpointAddress>("https://a.b:8443", "no: write \"a.b:8443\"");
        check::<EndpointAddress>("a.b", "no: add the port: \"a.b:80\"");
        check::<EndpointAddress>("::1", "no: add the port: \"[::1]:80\"");
        check::<EndpointAddress>("a b:80", "no: write host and port");
        check::<EndpointAddress>("a:+80", "no: write host and port");
        check::<EndpointAddress>("a:0", "no: write the port");
    }

    #[test]
    fn ranges_begin_at_their_first_address() {
        check::<Cidr>("10.0.0.0/8", "10.0.0.0/8");
        check::<Cidr>("10.1.2.3", "10.1.2.3/32");
        check::<Cidr>("0.0.0.0/0", "0.0.0.0/0");
        check::<Cidr>("fd00::/8", "fd00::/8");
        check::<Cidr>("::1", "::1/128");
        check::<Cidr>("10.0.0.1/8", "no: write \"10.0.0.0/8\"");
        check::<Cidr>("10.0.0.0/33", "no: the number after /");
        check::<Cidr>("10.0.0.0/+8", "no: write an address");
        check::<Cidr>("office", "no: write an address");
    }
}
