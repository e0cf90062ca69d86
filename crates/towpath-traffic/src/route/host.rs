//! The host part of a rule, and how a request's host is read.

use std::fmt;

/// Longest host name a rule may hold. RFC 1035 §2.3.4 allows 255 octets on the wire, which is 253 written out.
pub const HOST_BYTES_MAX: usize = 253;

/// Which hosts a route answers for. Built by [`HostRule::parse`], so that a value is always in lower case and whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct HostRule(pub(crate) HostKind);

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) enum HostKind {
    /// One name.
    Exact(Box<str>),
    /// Every name below a domain; holds the domain with its leading dot, as `.example.com`.
    Wildcard(Box<str>),
    /// Every host, also none.
    #[default]
    Any,
}

/// Why a text is not a host rule. The `Display` form is meant for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostFault {
    /// Nothing was written.
    Empty,
    /// Longer than [`HOST_BYTES_MAX`] bytes.
    TooLong,
    /// A `*` anywhere but as the whole first label.
    Star,
    /// A port was given; a listener chooses the port, a route does not.
    Port,
    /// A character that no host name holds; names beyond ASCII are written in their `xn--` form.
    Character(char),
    /// Two dots in a row, or one at the start.
    EmptyLabel,
}

impl HostRule {
    /// The rule that accepts every host, and requests without one.
    pub const ANY: Self = Self(HostKind::Any);

    /// Reads `"api.example.com"`, `"*.example.com"` (every depth below, not `example.com` itself), `"*"` (any
    /// host), or an address such as `"127.0.0.1"` or `"[::1]"`. Case and one trailing dot are ignored.
    ///
    /// # Errors
    /// [`HostFault`] when the text is none of these.
    pub fn parse(text: &str) -> Result<Self, HostFault> {
        let text = text.strip_suffix('.').unwrap_or(text);
        match text {
            "" => Err(HostFault::Empty),
            "*" => Ok(Self::ANY),
            _ if text.len() > HOST_BYTES_MAX => Err(HostFault::TooLong),
            _ => Self::parse_name(&text.to_ascii_lowercase()),
        }
    }

    fn parse_name(name: &str) -> Result<Self, HostFault> {
        if name.starts_with('[') {
            return parse_bracketed(name);
        }
        let wildcard = name.strip_prefix('*').filter(|rest| rest.starts_with('.'));
        check_labels(wildcard.map_or(name, |rest| &rest[1..]))?;
        Ok(Self(match wildcard {
            Some(suffix) => HostKind::Wildcard(suffix.into()),
            None => HostKind::Exact(name.into()),
        }))
    }

    /// Whether `host`, as [`bare`] gives it, falls under this rule. Case is ignored here (T41: at every size).
    pub(crate) fn matches(&self, host: &[u8]) -> bool {
        match &self.0 {
            HostKind::Any => true,
            HostKind::Exact(name) => host.eq_ignore_ascii_case(name.as_bytes()),
            HostKind::Wildcard(suffix) => host
                .len()
                .checked_sub(suffix.len())
                .is_some_and(|start| start > 0 && host[start..].eq_ignore_ascii_case(suffix.as_bytes())),
        }
    }

    /// Class and length; the greater pair is the more specific host.
    pub(crate) fn rank(&self) -> (u8, usize) {
        match &self.0 {
            HostKind::Exact(_) => (2, 0),
            HostKind::Wildcard(suffix) => (1, suffix.len()),
            HostKind::Any => (0, 0),
        }
    }
}

fn parse_bracketed(name: &str) -> Result<HostRule, HostFault> {
    let Some((inner, after)) = name[1..].split_once(']') else { return Err(HostFault::Character('[')) };
    if after.starts_with(':') {
        return Err(HostFault::Port);
    }
    if let Some(c) = after.chars().next() {
        return Err(HostFault::Character(c));
    }
    match inner.chars().find(|c| !matches!(c, '0'..='9' | 'a'..='f' | ':' | '.')) {
        Some(c) => Err(HostFault::Character(c)),
        None if inner.is_empty() => Err(HostFault::Empty),
        None => Ok(HostRule(HostKind::Exact(name.into()))),
    }
}

fn check_labels(name: &str) -> Result<(), HostFault> {
    for c in name.chars() {
        match c {
            'a'..='z' | '0'..='9' | '-' | '_' | '.' => {}
            '*' => return Err(HostFault::Star),
            ':' => return Err(HostFault::Port),
            other => return Err(HostFault::Character(other)),
        }
    }
    if name.split('.').any(str::is_empty) { Err(HostFault::EmptyLabel) } else { Ok(()) }
}

/// The host of a request without port (RFC 9110 §4.2.3 gives the default one the same meaning as none) and without
/// one trailing dot. Keeps the case. Never fails: what is no host matches no named rule.
pub(crate) fn bare(host: &[u8]) -> &[u8] {
    let name = without_port(host);
    name.strip_suffix(b".").unwrap_or(name)
}

fn without_port(host: &[u8]) -> &[u8] {
    if host.first() == Some(&b'[') {
        // RFC 3986 §3.2.2: colons inside the brackets belong to the address.
        return match host.iter().position(|&b| b == b']') {
            Some(end) => &host[..=end],
            None => host,
        };
    }
    match host.iter().rposition(|&b| b == b':') {
        Some(colon) if host[colon + 1..].iter().all(u8::is_ascii_digit) => &host[..colon],
        _ => host,
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            HostKind::Exact(name) => f.write_str(name),
            HostKind::Wildcard(suffix) => write!(f, "*{suffix}"),
            HostKind::Any => f.write_str("*"),
        }
    }
}

impl fmt::Display for HostFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a host name is empty; write \"*\" for every host"),
            Self::TooLong => write!(f, "a host name has at most {HOST_BYTES_MAX} characters"),
            Self::Star => f.write_str("`*` stands only for the whole first label, as in \"*.example.com\""),
            Self::Port => f.write_str("a host here has no port; the listener's `bind` decides the port"),
            Self::Character(c) => write!(f, "{c:?} cannot stand in a host name; write the `xn--` form"),
            Self::EmptyLabel => {
                f.write_str("a host name has no empty label (two dots in a row, or one first)")
            }
        }
    }
}

impl std::error::Error for HostFault {}
