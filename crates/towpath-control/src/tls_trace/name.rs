//! Whom to call, by which name.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::time::Instant;

use rustls::pki_types::ServerName;

use super::tap::left;

/// RFC 7301 §3.1.
const PROTOCOL_BYTES_MAX: usize = 255;

/// Host and port of `HOST:PORT` or `[ADDRESS]:PORT`.
pub(super) fn split_target(target: &str) -> Result<(&str, u16), String> {
    let wrong = || format!("{target:?}: write HOST:PORT, as example.com:443 or [::1]:443");
    let (host, port) = target.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    // Without brackets the last part of an IPv6 address would be taken for a port.
    match bare.is_empty() || bare.contains('/') || bare.contains(':') && bare.len() == host.len() {
        true => Err(wrong()),
        false => Ok((bare, port)),
    }
}

pub(super) fn server_name(name: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(name.to_owned()).map_err(|_| {
        format!("{name:?} can be no server's name; write a host name or an address after --server-name")
    })
}

pub(super) fn protocols(names: &[String]) -> Result<Vec<Vec<u8>>, String> {
    let fits = |name: &String| (1..=PROTOCOL_BYTES_MAX).contains(&name.len());
    match names.iter().find(|name| !fits(name)) {
        Some(name) => {
            Err(format!("--alpn {name:?}: a protocol has 1 to {PROTOCOL_BYTES_MAX} bytes; write h2,http/1.1"))
        }
        None => Ok(names.iter().map(|name| name.clone().into_bytes()).collect()),
    }
}

/// The addresses of a name. The system's resolver has timeouts of its own, so it is asked on a thread that is left
/// behind when ours is over.
pub(super) fn resolve(host: &str, port: u16, deadline: Instant) -> Result<Vec<SocketAddr>, String> {
    let (sender, receiver) = mpsc::channel();
    let host = host.to_owned();
    std::thread::spawn(move || {
        let found = (host.as_str(), port).to_socket_addrs().map(|addresses| addresses.collect());
        // Nobody listens any more if it took too long.
        let _ = sender.send(found);
    });
    match receiver.recv_timeout(left(deadline)) {
        Ok(found) => found.map_err(|fault| format!("the name cannot be resolved: {fault}")),
        Err(_) => Err("the name was not resolved in time".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_a_host_and_a_port() {
        assert_eq!(split_target("example.com:443"), Ok(("example.com", 443)));
        assert_eq!(split_target("[::1]:8443"), Ok(("::1", 8443)));
        for wrong in
            ["", "example.com", ":443", "a:0", "a:70000", "a:https", "::1", "[::1]", "https://a:443", "a/b:1"]
        {
            assert!(split_target(wrong).unwrap_err().contains("write HOST:PORT"), "{wrong}");
        }
    }

    #[test]
    fn names_and_protocols_are_what_tls_can_carry() {
        assert!(server_name("example.com").is_ok() && server_name("::1").is_ok());
        assert!(server_name("a b").unwrap_err().contains("--server-name"));
        assert!(protocols(&["h2".into(), "http/1.1".into()]).is_ok());
        assert!(protocols(&[String::new()]).is_err() && protocols(&["x".repeat(256)]).is_err());
    }
}
