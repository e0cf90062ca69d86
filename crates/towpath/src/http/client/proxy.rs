//! Proxies that the environment names.

use std::net::IpAddr;

use super::url::{Url, is_within};

/// A proxy to go through. It is asked in clear text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Proxy {
    /// Host and port.
    pub(super) address: String,
    /// The value of `Proxy-Authorization`.
    pub(super) authorization: Option<String>,
}

/// Which proxy is for what.
#[derive(Clone, Debug, Default)]
pub(super) struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    except: Vec<Exception>,
}

/// What no proxy is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    Everything,
    /// An address and how many of its first bits count.
    Network(IpAddr, u32),
    /// A domain and all below it, and a port if one is named.
    Domain(String, Option<u16>),
}

impl Proxies {
    /// What the environment says: `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, the last three in capitals too.
    /// `HTTP_PROXY` is not looked at: to a program behind CGI a client can say it by a header called `Proxy`.
    pub(super) fn from_environment() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    pub(super) fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let either = |lower: &str| lookup(lower).or_else(|| lookup(&lower.to_ascii_uppercase()));
        let all = either("all_proxy");
        let proxy = |named: Option<String>| parse(&named.or_else(|| all.clone())?);
        let except = either("no_proxy").unwrap_or_default();
        Self {
            http: proxy(lookup("http_proxy")),
            https: proxy(either("https_proxy")),
            except: except.split([',', ' ']).filter_map(Exception::parse).collect(),
        }
    }

    pub(super) fn of(&self, url: &Url) -> Option<&Proxy> {
        let proxy = if url.is_tls { &self.https } else { &self.http };
        proxy.as_ref().filter(|_| !self.except.iter().any(|exception| exception.covers(url)))
    }
}

/// `http://user:password@host:port`, of which only the host is needed. Other kinds of proxies are not known here.
fn parse(text: &str) -> Option<Proxy> {
    let rest = match text.split_once("://") {
        Some((scheme, rest)) => scheme.eq_ignore_ascii_case("http").then_some(rest)?,
        None => text,
    };
    let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (credentials, host) = match rest.rsplit_once('@') {
        Some((credentials, host)) => (Some(credentials), host),
        None => (None, rest),
    };
    let url = Url::parse(&format!("http://{host}")).ok()?;
    let authorization = credentials.map(|text| format!("Basic {}", base64(&percent_decoded(text))));
    Some(Proxy { address: format!("{}:{}", url.host, url.port), authorization })
}

impl Exception {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let bare = |text: &str| text.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        if text == "*" {
            return Some(Self::Everything);
        }
        if let Some(address) = bare(&text) {
            return Some(Self::Network(address, u32::MAX));
        }
        if let Some((address, bits)) = text.split_once('/') {
            return Some(Self::Network(bare(address)?, bits.parse().ok()?));
        }
        let (domain, port) = match text.split_once(':') {
            Some((domain, port)) => (domain, Some(port.parse().ok()?)),
            None => (text.as_str(), None),
        };
        let domain = domain.trim_start_matches("*.").trim_start_matches('.');
        (!domain.is_empty()).then(|| Self::Domain(domain.to_owned(), port))
    }

    fn covers(&self, url: &Url) -> bool {
        match self {
            Self::Everything => true,
            Self::Network(network, bits) => {
                url.host.trim_matches(['[', ']']).parse().is_ok_and(|address| is_in(address, *network, *bits))
            }
            Self::Domain(domain, port) => {
                port.is_none_or(|port| port == url.port) && is_within(&url.host, domain)
            }
        }
    }
}

fn is_in(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let above = |width: u32| width.saturating_sub(bits);
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            (u32::from(address) ^ u32::from(network)).checked_shr(above(32)).unwrap_or(0) == 0
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            (u128::from(address) ^ u128::from(network)).checked_shr(above(128)).unwrap_or(0) == 0
        }
        _ => false,
    }
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let decoded = digits.filter(|_| *first == b'%').and_then(|two| u8::from_str_radix(two, 16).ok());
        bytes.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    bytes
}

/// RFC 4648 §4, which the workspace has no library for: one header needs it.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= three.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The proxy for each URL under an environment.
    #[track_caller]
    fn check(environment: &[(&str, &str)], url: &str, expected: &str) {
        let lookup = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let proxies = Proxies::from_lookup(lookup);
        let found = proxies.of(&Url::parse(url).unwrap()).map_or("none".to_owned(), |proxy| {
            [Some(proxy.address.clone()), proxy.authorization.clone()]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" ")
        });
        assert_eq!(found, expected, "{url}");
    }

    #[test]
    fn the_environment_names_proxies_and_exceptions() {
        let both = &[("http_proxy", "http://p:3128/"), ("HTTPS_PROXY", "http://Aladdin:open%20sesame@q")];
        check(both, "http://h/", "p:3128");
        check(both, "https://h/", "q:80 Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        check(&[("HTTP_PROXY", "http://evil")], "http://h/", "none");
        check(&[("all_proxy", "p:1")], "https://h/", "p:1");
        check(&[("http_proxy", "socks5://p:1")], "http://h/", "none");
        let list = &[
            ("http_proxy", "p:1"),
            ("no_proxy", "a.com, .b.com,*.c.com,10.0.0.0/8,[::1],d.com:8080,fd00::/8"),
        ];
        for (host, expected) in [
            ("a.com", "none"),
            ("www.a.com", "none"),
            ("aa.com", "p:1"),
            ("x.b.com", "none"),
            ("x.c.com", "none"),
            ("10.9.9.9", "none"),
            ("11.9.9.9", "p:1"),
            ("[::1]", "none"),
            ("[::2]", "p:1"),
            ("[fd12::1]", "none"),
            ("d.com", "p:1"),
            ("d.com:8080", "none"),
        ] {
            check(list, &format!("http://{host}/"), expected);
        }
        check(&[("http_proxy", "p:1"), ("NO_PROXY", "*")], "http://h/", "none");
    }

    #[test]
    fn base64_has_its_padding_rfc4648_10() {
        for (text, expected) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(text.as_bytes()), expected);
        }
    }
}
