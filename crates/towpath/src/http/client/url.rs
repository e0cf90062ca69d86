//! Where a request goes: `http` and `https` URLs (RFC 3986, RFC 9110 §4.2).

use std::fmt;

use towpath_proto::authority::Authority;

/// Longest URL. What servers take in their first line is 8 KiB.
const URL_BYTES_MAX: usize = 8 * 1024;

/// A URL as requests need it: taken apart, without fragment and user information.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(super) is_tls: bool,
    /// In lower case; an IPv6 address with its brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Path and query.
    pub(super) target: String,
}

impl Url {
    /// Takes `text` apart.
    pub(crate) fn parse(text: &str) -> Result<Self, UrlFault> {
        let text = text.trim();
        if text.len() > URL_BYTES_MAX {
            return Err(UrlFault::TooLong);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlFault::Scheme)?;
        let is_tls = match () {
            () if scheme.eq_ignore_ascii_case("http") => false,
            () if scheme.eq_ignore_ascii_case("https") => true,
            () => return Err(UrlFault::Scheme),
        };
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(UrlFault::UserInformation);
        }
        let parsed = Authority::parse(authority.as_bytes()).ok_or(UrlFault::Authority)?;
        let host = String::from_utf8_lossy(parsed.host).to_ascii_lowercase();
        let port = parsed.port.unwrap_or(default_port(is_tls));
        Ok(Self { is_tls, host, port, target: target_of(rest) })
    }

    /// What `reference` means when it is found at this URL (RFC 3986 §5.2).
    pub(crate) fn join(&self, reference: &str) -> Result<Self, UrlFault> {
        let reference = reference.trim();
        let scheme = reference.split(['/', '?', '#']).next().unwrap_or_default();
        if scheme.contains(':') {
            return Self::parse(reference);
        }
        if reference.starts_with("//") {
            return Self::parse(&format!("{}:{reference}", self.scheme()));
        }
        let reference = without_fragment(reference);
        let path = self.path();
        let target = match reference.split_once('?') {
            None if reference.is_empty() => self.target.clone(),
            Some(("", new)) => format!("{path}?{new}"),
            _ if reference.starts_with('/') => reference.to_owned(),
            // What stands behind the last slash is replaced (RFC 3986 §5.2.3).
            _ => format!("{}/{reference}", path.rsplit_once('/').map_or("", |(folder, _)| folder)),
        };
        if target.len() > URL_BYTES_MAX {
            return Err(UrlFault::TooLong);
        }
        Ok(Self { target: without_dots(&target_of(&target)), ..self.clone() })
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.is_tls { "https" } else { "http" }
    }

    /// Host and port, as `Host` has them: without the port that goes with the scheme.
    pub(super) fn authority(&self) -> String {
        match self.port == default_port(self.is_tls) {
            true => self.host.clone(),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    pub(super) fn path(&self) -> &str {
        split_query(&self.target).0
    }

    /// Whether both have one origin (RFC 6454 §4), so that credentials for one are for the other.
    pub(super) fn is_same_origin(&self, other: &Self) -> bool {
        (self.is_tls, &self.host, self.port) == (other.is_tls, &other.host, other.port)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme(), self.authority(), self.target)
    }
}

fn default_port(is_tls: bool) -> u16 {
    if is_tls { 443 } else { 80 }
}

fn without_fragment(text: &str) -> &str {
    text.split('#').next().unwrap_or_default()
}

fn split_query(target: &str) -> (&str, Option<&str>) {
    match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    }
}

/// What follows the authority, as it is sent: with a path, without a fragment, and what may not be sent encoded.
fn target_of(rest: &str) -> String {
    let rest = without_fragment(rest);
    let mut target = if rest.starts_with('/') { String::new() } else { "/".to_owned() };
    for byte in rest.bytes() {
        match byte {
            b'!'..=b'~' if !b"\"<>\\^`{|}".contains(&byte) => target.push(char::from(byte)),
            _ => target.push_str(&format!("%{byte:02X}")),
        }
    }
    target
}

/// RFC 3986 §5.2.4.
fn without_dots(target: &str) -> String {
    let (path, query) = split_query(target);
    let mut kept: Vec<&str> = Vec::new();
    let mut is_folder = false;
    for segment in path.split('/').skip(1) {
        is_folder = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    if is_folder {
        kept.push("");
    }
    let path = format!("/{}", kept.join("/"));
    query.map_or(path.clone(), |query| format!("{path}?{query}"))
}

/// Whether a host is `domain` or below it.
pub(super) fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// A text that is no URL a request can go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UrlFault {
    Scheme,
    Authority,
    UserInformation,
    TooLong,
}

impl fmt::Display for UrlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "it does not begin with http:// or https://",
            Self::Authority => "its host is none; a name in other letters than ASCII is written as punycode",
            Self::UserInformation => "it has user information, which belongs into an Authorization header",
            Self::TooLong => "it is longer than 8 KiB",
        })
    }
}

impl std::error::Error for UrlFault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = Url::parse(text).map_or_else(|fault| format!("{fault:?}"), |url| url.to_string());
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn urls_are_taken_apart_rfc9110_4_2() {
        check("http://example.com", "http://example.com/");
        check(" HTTP://Example.COM:80/A?b=C#d ", "http://example.com/A?b=C");
        check("https://h:8443?x", "https://h:8443/?x");
        check("https://[::1]:443/", "https://[::1]/");
        check("http://h/a b/ü?\"#frag ment", "http://h/a%20b/%C3%BC?%22");
        check("http://h/%41%zz", "http://h/%41%zz");
        check("ftp://h/", "Scheme");
        check("h/path", "Scheme");
        check("http:///", "Authority");
        check("http://h:0/", "Authority");
        check("http://ü/", "Authority");
        check("http://a b/", "Authority");
        check("http://user:secret@h/", "UserInformation");
        check("http://good\r\nEvil: 1/", "Authority");
        check("http://h/\r\nEvil: 1", "http://h/%0D%0AEvil:%201");
        check(&format!("http://h/{}", "a".repeat(URL_BYTES_MAX)), "TooLong");
    }

    #[track_caller]
    fn joins(reference: &str, expected: &str) {
        let base = Url::parse("http://a/b/c/d;p?q").unwrap();
        let found = base.join(reference).map_or_else(|fault| format!("{fault:?}"), |url| url.to_string());
        assert_eq!(found, expected, "{reference}");
    }

    #[test]
    fn references_mean_what_they_should_rfc3986_5_4() {
        joins("g", "http://a/b/c/g");
        joins("./g", "http://a/b/c/g");
        joins("g/", "http://a/b/c/g/");
        joins("/g", "http://a/g");
        joins("//g", "http://g/");
        joins("?y", "http://a/b/c/d;p?y");
        joins("g?y", "http://a/b/c/g?y");
        joins("#s", "http://a/b/c/d;p?q");
        joins("g#s", "http://a/b/c/g");
        joins(";x", "http://a/b/c/;x");
        joins("", "http://a/b/c/d;p?q");
        joins(".", "http://a/b/c/");
        joins("..", "http://a/b/");
        joins("../g", "http://a/b/g");
        joins("../../../g", "http://a/g");
        joins("/./g", "http://a/g");
        joins("g;x=1/../y", "http://a/b/c/y");
        joins("g?y/../x", "http://a/b/c/g?y/../x");
        joins("https://b/x/../y", "https://b/x/../y");
        joins("mailto:x@y", "Scheme");
        joins("javascript:alert(1)", "Scheme");
    }
}
