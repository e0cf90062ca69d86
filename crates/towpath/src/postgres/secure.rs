//! TLS with a server of PostgreSQL's, as a URL wishes for it.

use std::fs;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use towpath_net::tls;

use super::{Error, Kind};
use crate::Ctx;
use crate::net::{self, Conn};

/// The protocol's name in ALPN, by which servers from 17 on know it.
const ALPN: &[u8] = b"postgresql";

/// What a URL says of TLS that the library does not know.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    /// `sslmode=verify-full`.
    verifies: bool,
    /// `sslrootcert`.
    authorities: Option<String>,
}

/// Takes what the library does not know out of a URL, or out of words. `verify-full` becomes `require`.
///
/// # Errors
/// It wishes for what there is not.
pub(super) fn take(text: &str) -> Result<(String, Wish), Error> {
    let mut wish = Wish::default();
    let is_url = text.starts_with("postgres://") || text.starts_with("postgresql://");
    let taken = match text.split_once('?') {
        Some((place, parameters)) if is_url => {
            let rest = take_some(parameters.split('&'), &mut wish)?;
            if rest.is_empty() { place.to_owned() } else { format!("{place}?{}", rest.join("&")) }
        }
        _ if is_url => text.to_owned(),
        _ => take_some(words(text).into_iter(), &mut wish)?.join(" "),
    };
    if wish.authorities.is_some() && !wish.verifies {
        return Err(Kind::Tls("sslrootcert is for sslmode=verify-full".to_owned()).into());
    }
    Ok((taken, wish))
}

fn take_some<'t>(parameters: impl Iterator<Item = &'t str>, wish: &mut Wish) -> Result<Vec<&'t str>, Error> {
    let mut rest = Vec::new();
    for parameter in parameters {
        match parameter.split_once('=') {
            Some(("sslmode", "verify-full")) => {
                wish.verifies = true;
                rest.push("sslmode=require");
            }
            Some(("sslmode", mode @ ("allow" | "verify-ca"))) => {
                let fault = format!("sslmode={mode}: disable, prefer, require and verify-full can be had");
                return Err(Kind::Tls(fault).into());
            }
            Some(("sslrootcert", path)) => wish.authorities = Some(plain(path)),
            _ => rest.push(parameter),
        }
    }
    Ok(rest)
}

/// A path without the quotes of words and the escapes of URLs, of which `%2F` is the usual one.
fn plain(path: &str) -> String {
    let bare = path.strip_prefix('\'').and_then(|path| path.strip_suffix('\'')).unwrap_or(path);
    bare.replace("%2F", "/").replace("%2f", "/")
}

/// What is between blanks that are in no quotes.
fn words(text: &str) -> Vec<&str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let is_between = |letter: char| {
        let is_plain = !std::mem::take(&mut is_escaped);
        is_escaped = is_plain && letter == '\\';
        is_quoted ^= is_plain && letter == '\'';
        letter.is_whitespace() && !is_quoted
    };
    text.split(is_between).filter(|word| !word.is_empty()).collect()
}

/// The client's side of TLS, and the name of the server.
#[derive(Clone)]
pub(super) struct Secure {
    client: Arc<tls::Client>,
    name: Arc<str>,
}

impl Secure {
    /// # Errors
    /// There are no authorities where the file or the system should have them.
    pub(super) fn new(name: String, wish: Wish) -> Result<Self, Error> {
        let fault = |error: &dyn std::fmt::Display| Kind::Tls(format!("the authorities: {error}"));
        let authorities = match (wish.verifies, wish.authorities) {
            (false, _) => None,
            (true, path) => {
                let path =
                    path.filter(|path| path != "system").map_or_else(tls::system_authorities, Into::into);
                let pem = fs::read(&path)
                    .map_err(|error| Kind::Tls(format!("the authorities in {}: {error}", path.display())))?;
                let certificates = tls::certificates(&pem).map_err(|error| fault(&error))?;
                Some(tls::Authorities::lenient(certificates).map_err(|error| fault(&error))?)
            }
        };
        let settings = tls::ClientSettings { authorities, identity: None, alpn: vec![ALPN.to_vec()] };
        let client = tls::Client::new(settings).map_err(|error| fault(&error))?;
        Ok(Self { client: Arc::new(client), name: name.into() })
    }
}

impl TlsConnect<Conn> for Secure {
    type Stream = Conn;
    type Error = net::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Conn, net::Error>> + Send>>;

    /// The pool has set a limit of time.
    fn connect(self, conn: Conn) -> Self::Future {
        Box::pin(async move { conn.connect_tls(&Ctx::background(), &self.client, &self.name).await })
    }
}

impl TlsStream for Conn {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = match take(text) {
            Ok((text, Wish { verifies, authorities })) => format!("{text} | {verifies} {authorities:?}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn what_the_library_does_not_know_is_taken_out() {
        check("postgres://a@h/d", "postgres://a@h/d | false None");
        check("postgres://a@h/d?sslmode=require", "postgres://a@h/d?sslmode=require | false None");
        check(
            "postgres://a@h/d?sslmode=verify-full&sslrootcert=%2Fca.pem&connect_timeout=3",
            "postgres://a@h/d?sslmode=require&connect_timeout=3 | true Some(\"/ca.pem\")",
        );
        check(
            "host=h  password='a \\' sslmode=verify-ca' sslmode=verify-full sslrootcert='my ca.pem'",
            "host=h password='a \\' sslmode=verify-ca' sslmode=require | true Some(\"my ca.pem\")",
        );
        check(
            "host=h sslmode=verify-ca",
            "sslmode=verify-ca: disable, prefer, require and verify-full can be had",
        );
        check("host=h sslrootcert=ca.pem", "sslrootcert is for sslmode=verify-full");
    }
}
