//! Which pages may open a connection (§10.2): a browser lets any page dial any server, with the user's cookies, and
//! leaves the refusal to the server (T54).

use std::fmt;

use crate::authority::Authority;

/// A scheme, a host and a port (RFC 6454 §4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// In lower case, as the host is.
    scheme: String,
    host: String,
    port: u16,
}

/// Why a text is not an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OriginFault;

/// The origins that are allowed. Empty by default, which allows nobody that sends one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    listed: Vec<Origin>,
    /// Those of `scheme://*.host`: every depth below the host, not the host itself.
    below: Vec<Origin>,
    is_any_allowed: bool,
    is_none_allowed: bool,
}

impl Origin {
    /// Reads `scheme://host` or `scheme://host:port`, with nothing behind it (RFC 6454 §6.2). A port that is not
    /// said is that of `http`, `https`, `ws` or `wss`; other schemes have to say it.
    ///
    /// # Errors
    /// It is something else, `null` included, which is what every sandboxed page sends.
    pub fn parse(text: &[u8]) -> Result<Self, OriginFault> {
        let at = text.windows(3).position(|three| three == b"://").ok_or(OriginFault)?;
        let (scheme, rest) = text.split_at(at);
        let authority = rest.get(3..).and_then(Authority::parse).ok_or(OriginFault)?;
        let scheme = lower(scheme)?;
        let port = authority.port.or(default_port(&scheme)).ok_or(OriginFault)?;
        Ok(Self { host: lower(authority.host)?, scheme, port })
    }

    fn is_below(&self, domain: &Self) -> bool {
        let label = self.host.strip_suffix(&domain.host).and_then(|rest| rest.strip_suffix('.'));
        self.scheme == domain.scheme
            && self.port == domain.port
            && label.is_some_and(|label| !label.is_empty())
    }
}

impl Origins {
    /// Reads a list of configured origins, in which `https://*.example.com` stands for every name below `example.com`.
    /// `*` allows every origin and a request without one; `allow_none` lets requests without an origin pass in any
    /// case: programs send none, browsers always do.
    ///
    /// # Errors
    /// The first entry that is none of these.
    pub fn parse<'a>(
        entries: impl IntoIterator<Item = &'a str>,
        allow_none: bool,
    ) -> Result<Self, OriginFault> {
        let mut origins = Self { is_none_allowed: allow_none, ..Self::default() };
        for entry in entries {
            match entry {
                "*" => origins.is_any_allowed = true,
                entry => match entry.split_once("://*.") {
                    Some((scheme, host)) => {
                        origins.below.push(Origin::parse(format!("{scheme}://{host}").as_bytes())?);
                    }
                    None => origins.listed.push(Origin::parse(entry.as_bytes())?),
                },
            }
        }
        Ok(origins)
    }

    /// Whether a request with this `Origin` may open a connection.
    ///
    /// ```
    /// use towpath_proto::ws::Origins;
    ///
    /// let origins = Origins::parse(["https://example.com"], true)?;
    /// assert!(origins.allows(Some(b"https://example.com:443")));
    /// assert!(!origins.allows(Some(b"https://example.com.evil.net")));
    /// # Ok::<(), towpath_proto::ws::OriginFault>(())
    /// ```
    pub fn allows(&self, origin: Option<&[u8]>) -> bool {
        self.is_any_allowed
            || match origin {
                None => self.is_none_allowed,
                Some(text) => Origin::parse(text).is_ok_and(|origin| self.lists(&origin)),
            }
    }

    /// The list as it may be written.
    pub fn entries(&self) -> impl Iterator<Item = String> {
        let any = self.is_any_allowed.then(|| "*".to_owned());
        let listed = self.listed.iter().map(|origin| origin.to_string());
        let below =
            self.below.iter().map(|Origin { scheme, host, port }| format!("{scheme}://*.{host}:{port}"));
        any.into_iter().chain(listed).chain(below)
    }

    fn lists(&self, origin: &Origin) -> bool {
        self.listed.contains(origin) || self.below.iter().any(|domain| origin.is_below(domain))
    }
}

/// ASCII letters, digits and what else schemes and hosts are made of, in lower case.
fn lower(text: &[u8]) -> Result<String, OriginFault> {
    let text = std::str::from_utf8(text).map_err(|_| OriginFault)?;
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._~[]:".contains(&byte);
    match !text.is_empty() && text.bytes().all(is_allowed) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(OriginFault),
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port } = self;
        write!(f, "{scheme}://{host}:{port}")
    }
}

impl fmt::Display for OriginFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an origin is `scheme://host` or `scheme://host:port`, such as `https://example.com`")
    }
}

impl std::error::Error for OriginFault {}
