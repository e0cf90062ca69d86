//! Cookies that servers have set (RFC 6265), in memory.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::url::{Url, is_within};

/// Cookies of all domains, and of one: what RFC 6265 §6.1 asks for at least. The one that was used longest ago goes first.
const COOKIES_MAX: usize = 3_000;
const DOMAIN_COOKIES_MAX: usize = 50;

/// Bytes of a cookie's name, value and attributes (RFC 6265 §6.1).
const COOKIE_BYTES_MAX: usize = 4_096;

/// The cookies of a client.
#[derive(Debug, Default)]
pub(super) struct Jar(Mutex<Vec<Cookie>>);

#[derive(Clone, Debug)]
struct Cookie {
    name: String,
    value: String,
    domain: String,
    /// Only for the host that has set it.
    is_host_only: bool,
    path: String,
    is_secure: bool,
    expires: Option<SystemTime>,
}

impl Jar {
    /// The value of `Cookie` for a request to `url` (RFC 6265 §5.4), if any is for it.
    pub(super) fn header(&self, url: &Url, now: SystemTime) -> Option<String> {
        let mut cookies = self.lock();
        cookies.retain(|cookie| !cookie.has_expired(now));
        // Those that were used go to the end, which is the last to be cut.
        let (used, other): (Vec<_>, Vec<_>) =
            std::mem::take(&mut *cookies).into_iter().partition(|cookie| cookie.is_for(url));
        let mut sent: Vec<&Cookie> = used.iter().collect();
        // The longest path first; equals in the order they were set.
        sent.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs: Vec<String> =
            sent.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        *cookies = other;
        cookies.extend(used);
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// Takes what a response from `url` says in `Set-Cookie`, as far as it may (RFC 6265 §5.3).
    pub(super) fn store(&self, url: &Url, line: &str, now: SystemTime) {
        let Some(cookie) = Cookie::parse(url, line, now) else { return };
        let mut cookies = self.lock();
        cookies.retain(|other| !cookie.replaces(other));
        if cookie.has_expired(now) {
            return;
        }
        let same_domain = cookies.iter().filter(|other| other.domain == cookie.domain).count();
        if same_domain >= DOMAIN_COOKIES_MAX
            && let Some(first) = cookies.iter().position(|other| other.domain == cookie.domain)
        {
            cookies.remove(first);
        }
        if cookies.len() >= COOKIES_MAX {
            cookies.remove(0);
        }
        cookies.push(cookie);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Cookie>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cookie {
    fn parse(url: &Url, line: &str, now: SystemTime) -> Option<Self> {
        if line.len() > COOKIE_BYTES_MAX {
            return None;
        }
        let mut parts = line.split(';');
        let (name, value) = parts.next()?.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() {
            return None;
        }
        let mut cookie = Self {
            name: name.to_owned(),
            value: value.to_owned(),
            domain: url.host.clone(),
            is_host_only: true,
            path: default_path(url.path()).to_owned(),
            is_secure: false,
            expires: None,
        };
        let mut max_age = None;
        for attribute in parts {
            let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            let value = value.trim();
            match name.trim().to_ascii_lowercase().as_str() {
                "domain" => cookie.set_domain(url, value)?,
                "path" if value.starts_with('/') => cookie.path = value.to_owned(),
                "secure" => cookie.is_secure = true,
                "expires" => cookie.expires = httpdate::parse_http_date(value).ok().or(cookie.expires),
                "max-age" => max_age = value.parse::<i64>().ok().or(max_age),
                _ => {}
            }
        }
        // It wins over `Expires` (RFC 6265 §5.3).
        if let Some(seconds) = max_age {
            let span = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
            cookie.expires = now.checked_add(span);
        }
        // One that is secure is neither set nor overwritten in clear text.
        (!cookie.is_secure || url.is_tls).then_some(cookie)
    }

    /// A domain has to be one of the host's own, and more than the last label: whoever may set a cookie for `com` sets it for
    /// everybody. Which other domains belong to many (`co.uk`) is a list that this program does not have; they are why a jar
    /// is asked for and not given.
    fn set_domain(&mut self, url: &Url, domain: &str) -> Option<()> {
        let domain = domain.trim_start_matches('.').to_ascii_lowercase();
        if domain.is_empty() {
            return Some(());
        }
        let is_own = domain.contains('.') && is_within(&url.host, &domain);
        if domain != url.host && !is_own {
            return None;
        }
        self.is_host_only = is_address(&url.host);
        self.domain = domain;
        Some(())
    }

    fn replaces(&self, other: &Self) -> bool {
        (&self.name, &self.domain, &self.path) == (&other.name, &other.domain, &other.path)
            // RFC 6265bis: what was set over TLS stays, whatever clear text says.
            && (self.is_secure || !other.is_secure)
    }

    fn has_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    fn is_for(&self, url: &Url) -> bool {
        let is_host = match self.is_host_only {
            true => self.domain == url.host,
            false => is_within(&url.host, &self.domain),
        };
        is_host && (!self.is_secure || url.is_tls) && is_path_within(url.path(), &self.path)
    }
}

fn is_address(host: &str) -> bool {
    host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok()
}

/// RFC 6265 §5.1.4: the path up to its last slash.
fn default_path(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((folder, _)) => folder,
    }
}

/// RFC 6265 §5.1.4.
fn is_path_within(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || folder.ends_with('/') || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sets cookies, `url line` each, and says what a request then sends.
    #[track_caller]
    fn check(set: &[(&str, &str)], url: &str, expected: &str) {
        let (jar, now) = (Jar::default(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        for (url, line) in set {
            jar.store(&Url::parse(url).unwrap(), line, now);
        }
        let sent = jar.header(&Url::parse(url).unwrap(), now);
        assert_eq!(sent.unwrap_or_default(), expected, "{set:?} {url}");
    }

    #[test]
    fn cookies_go_where_they_belong_rfc6265_5() {
        let host = &[("http://www.a.com/x/y", "k=v")];
        check(host, "http://www.a.com/x/z", "k=v");
        check(host, "http://www.a.com/", "");
        check(host, "http://www.a.com/xx", "");
        check(host, "http://a.com/x/", "");
        check(host, "http://w.www.a.com/x/", "");
        let domain = &[("http://www.a.com/", "k=v; Domain=.A.com; Path=/")];
        check(domain, "http://other.a.com/", "k=v");
        check(domain, "http://nota.com/", "");
        for other in ["com", "b.com", "x.www.a.com"] {
            check(&[("http://www.a.com/", &format!("k=v; Domain={other}"))], "http://www.a.com/", "");
        }
        check(&[("https://h/", "k=v; Secure")], "http://h/", "");
        check(&[("https://h/", "k=v; secure")], "https://h/", "k=v");
        check(&[("http://h/", "k=v; Secure")], "https://h/", "");
        check(&[("http://10.0.0.1/", "k=v; Domain=10.0.0.1")], "http://10.0.0.1/", "k=v");
    }

    #[test]
    fn cookies_end_and_are_replaced_rfc6265_5_3() {
        check(&[("http://h/", "k=v; Max-Age=0")], "http://h/", "");
        check(&[("http://h/", "k=v"), ("http://h/", "k=; Max-Age=-1")], "http://h/", "");
        check(&[("http://h/", "k=v; Expires=Wed, 21 Oct 2015 07:28:00 GMT")], "http://h/", "");
        check(&[("http://h/", "k=v; Expires=Wed, 21 Oct 2099 07:28:00 GMT")], "http://h/", "k=v");
        check(&[("http://h/", "k=v; Max-Age=9; Expires=Wed, 21 Oct 2015 07:28:00 GMT")], "http://h/", "k=v");
        check(&[("http://h/", "a=1"), ("http://h/", "b=2"), ("http://h/", "a=3")], "http://h/", "b=2; a=3");
        check(&[("http://h/", "short=1"), ("http://h/", "long=2; Path=/p")], "http://h/p", "long=2; short=1");
        check(&[("https://h/", "k=s; Secure"), ("http://h/", "k=clear")], "http://h/", "k=clear");
    }

    #[test]
    fn what_servers_set_is_bounded() {
        let (jar, now) = (Jar::default(), SystemTime::now());
        let url = |host: usize| Url::parse(&format!("http://h{host}/")).unwrap();
        jar.store(&url(0), &format!("k={}", "x".repeat(COOKIE_BYTES_MAX)), now);
        assert_eq!(jar.lock().len(), 0);
        for host in 0..100 {
            for name in 0..60 {
                jar.store(&url(host), &format!("k{name}=v"), now);
            }
        }
        assert_eq!(jar.lock().len(), COOKIES_MAX);
        let sent = jar.header(&url(99), now).unwrap();
        assert_eq!(sent.split("; ").count(), DOMAIN_COOKIES_MAX);
        assert!(sent.starts_with("k10=v"), "the oldest have gone: {sent}");
    }
}
