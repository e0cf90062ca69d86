//! Host names of endpoints.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

/// Turns a host name into addresses.
pub trait Resolve {
    /// The addresses of `host`, in the order the resolver prefers.
    ///
    /// # Errors
    /// When there is none, or nobody could be asked.
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The resolver of the system: `/etc/hosts`, then what `/etc/resolv.conf` names. Blocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        (host, port).to_socket_addrs().map(Iterator::collect)
    }
}

/// The address an endpoint uses. A name is one endpoint: the address it had before as long as that is still among the
/// answers, since resolvers rotate them; else the first IPv4 one, since servers that listen on `localhost` mostly
/// listen there; else the first.
pub(super) fn choose(answers: &[SocketAddr], before: Option<SocketAddr>) -> Option<SocketAddr> {
    before
        .filter(|address| answers.contains(address))
        .or_else(|| answers.iter().copied().find(SocketAddr::is_ipv4))
        .or_else(|| answers.first().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_address_while_the_resolver_still_gives_it() {
        let list: Vec<SocketAddr> =
            ["[::1]:1", "10.0.0.1:1", "10.0.0.2:1"].map(|text| text.parse().unwrap()).into();
        assert_eq!(choose(&list, None), Some(list[1]));
        assert_eq!(choose(&list, Some(list[2])), Some(list[2]));
        assert_eq!(choose(&list, Some("10.9.9.9:1".parse().unwrap())), Some(list[1]));
        assert_eq!(choose(&list[..1], None), Some(list[0]));
        assert_eq!(choose(&[], None), None);
    }
}
