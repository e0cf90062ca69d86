//! What the kit's client makes of texts: URLs, where redirects lead, and the names of proxies.
//!
//! The files are the client's own. Included here they bring nothing of the kit along, such as TLS, which fuzzing would
//! build for nothing.

use towpath_proto::authority::Authority;

use self::proxy::Proxies;
use self::url::Url;

#[path = "../../crates/towpath/src/http/client/proxy.rs"]
#[expect(dead_code, reason = "the environment is not read here")]
mod proxy;
#[path = "../../crates/towpath/src/http/client/url.rs"]
mod url;

/// The first line is a URL, the second where a redirect of it leads, the others are proxies and what none is asked for.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.splitn(6, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (first, reference) = (line(), line());
    let environment = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"].map(|name| (name, line()));
    let lookup = |name: &str| {
        environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    let proxies = Proxies::from_lookup(lookup);
    let Ok(url) = Url::parse(first) else { return };
    check_url(&url);
    check_proxy(&proxies, &url);
    if let Ok(next) = url.join(reference) {
        check_url(&next);
        check_proxy(&proxies, &next);
        // A path of one's own leads nowhere else (RFC 3986 §5.2.2).
        let is_path = reference.starts_with('/') && !reference.starts_with("//");
        assert!(!is_path || url.is_same_origin(&next), "{url} to {reference:?} is {next}");
    }
}

/// A URL can be sent as it is, and means the same when it is read again.
fn check_url(url: &Url) {
    assert!(url.target.starts_with('/') && url.target.bytes().all(|byte| byte.is_ascii_graphic()), "{url}");
    assert!(!url.target.contains('#'), "{url}");
    assert!(Authority::parse(url.authority().as_bytes()).is_some(), "{url}");
    assert_eq!(Url::parse(&url.to_string()).as_ref(), Ok(url));
}

/// A proxy can be dialled and told who asks.
fn check_proxy(proxies: &Proxies, url: &Url) {
    let Some(proxy) = proxies.of(url) else { return };
    assert!(Authority::parse(proxy.address.as_bytes()).is_some_and(|it| it.port.is_some()), "{proxy:?}");
    let is_sendable = |text: &String| text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    assert!(proxy.authorization.iter().all(is_sendable), "{proxy:?}");
}
