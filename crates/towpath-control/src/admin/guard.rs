//! Who may speak to the admin listener (T55).
//!
//! Loopback is no protection against the browser on the same machine: any page may send requests there, by a form, an
//! image, or a host name of its own that suddenly resolves to 127.0.0.1. What a page cannot do is choose `Host`,
//! leave out `Origin` on a request that changes something, or lie in `Sec-Fetch-Site`. All three are checked on every
//! path and every kind of socket, before the token.

use std::hint::black_box;
use std::net::{IpAddr, SocketAddr};

use crate::http::{Request, Response};

/// What a request must show.
#[derive(Clone)]
pub(super) struct Guard {
    /// The secret callers send as `Authorization: Bearer …`; `None` asks for nothing.
    pub(super) token: Option<String>,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").field("has_token", &self.token.is_some()).finish()
    }
}

impl Guard {
    /// Lets the request pass or says how it is refused. `local` is the address the connection came in on; `None` for
    /// a Unix socket.
    pub(super) fn judge(&self, request: &Request, local: Option<SocketAddr>) -> Result<(), Response> {
        let host = request.authority.as_deref().unwrap_or_default();
        if !is_own_host(host, local) {
            let message = "Host must be localhost, a loopback address or the address of this listener";
            return Err(Response::fault(403, "forbidden_host", message));
        }
        if !request.values("origin").all(|origin| is_same_origin(origin, host)) {
            return Err(Response::fault(403, "forbidden_origin", "Origin is not this listener"));
        }
        // `none` is a person typing the address, and programs send no such field.
        if !request.values("sec-fetch-site").all(|site| matches!(site, b"same-origin" | b"none")) {
            return Err(Response::fault(403, "forbidden_origin", "the request comes from another site"));
        }
        self.judge_token(request)
    }

    fn judge_token(&self, request: &Request) -> Result<(), Response> {
        let Some(token) = &self.token else { return Ok(()) };
        let mut shown = request.values("authorization");
        if let (Some(value), None) = (shown.next(), shown.next())
            && let Some(credentials) = bearer(value)
            && is_equal(credentials, token.as_bytes())
        {
            return Ok(());
        }
        // RFC 9110 §11.6.1: a 401 says which scheme would do.
        let refusal =
            Response::fault(401, "unauthenticated", "send Authorization: Bearer with the token of [admin]");
        Err(refusal.with("www-authenticate", "Bearer realm=\"towpath admin\""))
    }
}

fn is_own_host(host: &str, local: Option<SocketAddr>) -> bool {
    let name = without_port(host);
    if name.trim_end_matches('.').eq_ignore_ascii_case("localhost") {
        return true;
    }
    // A page can make its own *name* resolve to us, but never send an address it was not loaded from.
    let literal = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    literal.parse::<IpAddr>().is_ok_and(|ip| {
        let ip = ip.to_canonical();
        ip.is_loopback() || local.is_some_and(|local| local.ip().to_canonical() == ip)
    })
}

fn without_port(host: &str) -> &str {
    if host.starts_with('[') {
        return host.find(']').map_or(host, |end| &host[..=end]);
    }
    host.split_once(':').map_or(host, |(name, _)| name)
}

fn is_same_origin(origin: &[u8], host: &str) -> bool {
    let own = |scheme: &[u8]| {
        origin.strip_prefix(scheme).is_some_and(|rest| rest.eq_ignore_ascii_case(host.as_bytes()))
    };
    !host.is_empty() && (own(b"http://") || own(b"https://"))
}

/// RFC 6750 §2.1; the scheme's name has no case (RFC 9110 §11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, credentials) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| credentials.trim_ascii())
}

/// Compares in a time that depends on the length shown alone, so that a token cannot be guessed byte by byte.
fn is_equal(shown: &[u8], secret: &[u8]) -> bool {
    let mut difference = u8::from(shown.len() != secret.len());
    for (at, byte) in shown.iter().enumerate() {
        let own = secret.get(at).or(secret.first()).copied().unwrap_or_default();
        difference = black_box(difference | (byte ^ own));
    }
    difference == 0 && !secret.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The status for a request with these fields to a listener at 127.0.0.1:9900 without a token; 200 when it passes.
    fn check(fields: &[(&str, &str)]) -> u16 {
        status(&Guard { token: None }, fields)
    }

    fn status(guard: &Guard, fields: &[(&str, &str)]) -> u16 {
        let mut request = Request { method: "POST".into(), path: "/reload".into(), ..Request::default() };
        for (name, value) in fields {
            match *name {
                "host" => request.authority = Some((*value).to_owned()),
                _ => request.fields.push(((*name).to_owned(), value.as_bytes().to_vec())),
            }
        }
        guard
            .judge(&request, Some("127.0.0.1:9900".parse().unwrap()))
            .map_or_else(|refusal| refusal.status, |()| 200)
    }

    #[test]
    fn programs_pass() {
        assert_eq!(check(&[("host", "127.0.0.1:9900")]), 200);
        assert_eq!(check(&[("host", "localhost")]), 200);
        assert_eq!(check(&[("host", "[::1]:9900")]), 200);
        assert_eq!(check(&[("host", "LOCALHOST.:1")]), 200);
    }

    #[test]
    fn a_name_that_merely_resolves_here_is_refused_t55() {
        for host in [
            "",
            "evil.example",
            "evil.example:9900",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "[",
            "10.0.0.1",
        ] {
            assert_eq!(check(&[("host", host)]), 403, "{host}");
        }
    }

    #[test]
    fn the_address_of_the_connection_is_an_own_host() {
        assert!(is_own_host("10.1.2.3:9900", Some("10.1.2.3:9900".parse().unwrap())));
        assert!(!is_own_host("10.1.2.3:9900", None));
    }

    #[test]
    fn another_origin_is_refused_t55() {
        let host = ("host", "127.0.0.1:9900");
        assert_eq!(check(&[host, ("origin", "http://127.0.0.1:9900")]), 200);
        for origin in
            ["http://evil.example", "null", "", "http://127.0.0.1:8080", "http://127.0.0.1:9900.evil.example"]
        {
            assert_eq!(check(&[host, ("origin", origin)]), 403, "{origin}");
        }
        assert_eq!(
            check(&[host, ("origin", "http://127.0.0.1:9900"), ("origin", "http://evil.example")]),
            403
        );
    }

    #[test]
    fn an_image_on_another_site_is_refused_t55() {
        let host = ("host", "localhost:9900");
        for site in ["cross-site", "same-site"] {
            assert_eq!(check(&[host, ("sec-fetch-site", site)]), 403, "{site}");
        }
        assert_eq!(check(&[host, ("sec-fetch-site", "none")]), 200);
    }

    #[test]
    fn a_token_is_asked_for_when_there_is_one_t55() {
        let guard = Guard { token: Some("correct horse".into()) };
        let host = ("host", "localhost");
        assert_eq!(status(&guard, &[host]), 401);
        assert_eq!(status(&guard, &[host, ("authorization", "Bearer correct hors")]), 401);
        assert_eq!(status(&guard, &[host, ("authorization", "Bearer correct horse ")]), 200);
        assert_eq!(status(&guard, &[host, ("authorization", "bearer correct horse")]), 200);
        assert_eq!(status(&guard, &[host, ("authorization", "Basic correct horse")]), 401);
        assert_eq!(status(&guard, &[host, ("authorization", "Bearer ")]), 401);
        assert_eq!(status(&Guard { token: Some(String::new()) }, &[host, ("authorization", "Bearer ")]), 401);
    }
}
