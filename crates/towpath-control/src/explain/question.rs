//! What is asked.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;
use towpath_proto::field;

/// A request to explain.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// The listener; without one, the port of the URL decides.
    #[serde(default)]
    pub listener: Option<String>,
    /// The method. Default `GET`.
    #[serde(default = "get")]
    pub method: String,
    /// A URL, or a path alone.
    pub url: String,
    /// Header fields. `host` counts before the URL's.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The protocols that a TLS client offers, the preferred first; for `tls-passthrough`.
    #[serde(default)]
    pub alpn: Vec<String>,
}

/// A question that cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadQuestion(String);

/// What a URL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) scheme: Option<Scheme>,
    pub(super) authority: String,
    pub(super) port: Option<u16>,
    /// The host of the URL when it is an address.
    pub(super) ip: Option<IpAddr>,
    pub(super) path: String,
    pub(super) query: Option<String>,
}

/// What a client speaks, by the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
    Tcp,
    Tls,
    Udp,
}

impl Scheme {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            "tcp" => Some(Self::Tcp),
            "tls" => Some(Self::Tls),
            "udp" => Some(Self::Udp),
            _ => None,
        }
    }

    pub(super) fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }

    /// The port of a URL without one.
    fn port(self) -> Option<u16> {
        match self {
            Self::Http => Some(80),
            Self::Https | Self::Tls => Some(443),
            Self::Tcp | Self::Udp => None,
        }
    }
}

impl Target {
    /// The name that a TLS client sends: the host, unless it is an address (RFC 6066 §3).
    pub(super) fn server_name(&self) -> Option<String> {
        let host = self.authority.rsplit_once(':').map_or(&*self.authority, |(host, _)| host);
        let host = host.strip_suffix('.').unwrap_or(host);
        (self.ip.is_none() && !host.is_empty()).then(|| host.to_ascii_lowercase())
    }
}

fn get() -> String {
    "GET".to_owned()
}

impl Query {
    /// A question without headers.
    #[must_use]
    pub fn new(method: &str, url: &str) -> Self {
        Self {
            listener: None,
            method: method.to_owned(),
            url: url.to_owned(),
            headers: BTreeMap::new(),
            alpn: Vec::new(),
        }
    }

    /// Reads `{"method": "GET", "url": "http://host/path", "headers": {}}`.
    ///
    /// # Errors
    /// [`BadQuestion`] when it is not of this form.
    pub fn from_json(text: &str) -> Result<Self, BadQuestion> {
        serde_json::from_str(text)
            .map_err(|error| BadQuestion(format!("the question is not readable: {error}")))
    }

    /// The value of a header, asked for in lower case.
    pub(super) fn header(&self, name: &[u8]) -> Option<&[u8]> {
        let found = self.headers.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_bytes())
    }

    /// Takes the URL apart.
    pub(super) fn target(&self) -> Result<Target, BadQuestion> {
        if !field::is_token(self.method.as_bytes()) {
            return Err(BadQuestion(format!("\"{}\" is not a method", self.method)));
        }
        let url = self.url.split('#').next().unwrap_or_default();
        let (origin, rest) = split_origin(url)?;
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        let named = self.header(b"host").map(|host| String::from_utf8_lossy(host).into_owned());
        let (scheme, authority) = origin.map_or((None, ""), |(scheme, authority)| (Some(scheme), authority));
        Ok(Target {
            scheme,
            port: port_of(authority).or_else(|| scheme?.port().filter(|_| !authority.is_empty())),
            ip: ip_of(authority),
            authority: named.unwrap_or_else(|| authority.to_owned()),
            path: if path.is_empty() { "/".to_owned() } else { path.to_owned() },
            query: query.map(str::to_owned),
        })
    }
}

/// Scheme and authority.
type Origin<'u> = (Scheme, &'u str);

/// The origin, if there is one, and the rest.
fn split_origin(url: &str) -> Result<(Option<Origin<'_>>, &str), BadQuestion> {
    if url.starts_with('/') || url == "*" {
        return Ok((None, url));
    }
    let found = url.split_once("://").and_then(|(scheme, after)| Some((Scheme::parse(scheme)?, after)));
    let Some((scheme, after)) = found else {
        let message = format!(
            "\"{url}\" is neither a URL such as \"http://example.com/path\" or \"tcp://127.0.0.1:5432\" nor a path such as \"/path\""
        );
        return Err(BadQuestion(message));
    };
    let end = after.find(['/', '?']).unwrap_or(after.len());
    Ok((Some((scheme, &after[..end])), &after[end..]))
}

fn port_of(authority: &str) -> Option<u16> {
    let (_, port) = authority.rsplit_once(':')?;
    port.parse().ok()
}

/// The address an authority names: `127.0.0.1:80`, `[::1]`.
fn ip_of(authority: &str) -> Option<IpAddr> {
    let plain = || authority.parse().ok();
    let bracketed = || authority.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    authority.parse::<SocketAddr>().ok().map(|address| address.ip()).or_else(plain).or_else(bracketed)
}

impl BadQuestion {
    pub(super) fn new(message: String) -> Self {
        Self(message)
    }
}

impl fmt::Display for BadQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadQuestion {}
