//! Who a client is.

use std::net::SocketAddr;

use towpath_net::{Stream, unix};
use towpath_proto::proxy_protocol::{Addresses, Header, Peer, Transport};

/// A client as its socket shows it, or as the PROXY header before its bytes does.
#[derive(Debug)]
pub(crate) struct Client {
    /// Where it came from: what limits, logs and forwarding headers go by.
    pub(crate) address: SocketAddr,
    told: Option<Box<Told>>,
}

/// What a PROXY header told. Its strings are the peer's: they are passed on and not looked at.
#[derive(Debug)]
struct Told {
    peer: Peer,
    authority: Option<Box<[u8]>>,
    alpn: Option<Box<[u8]>>,
}

impl Client {
    /// A client without a proxy before it.
    pub(crate) fn direct(peer: SocketAddr) -> Self {
        Self { address: peer, told: None }
    }

    /// The client that `header` speaks of, sent by `peer`. What is about the proxy itself, or about nobody it could
    /// tell of, leaves it at the address of the socket (proxy-protocol.txt §2.2).
    pub(crate) fn told(peer: SocketAddr, header: &Header<'_>) -> Self {
        let address = header.peer.addresses().map_or(peer, |addresses| addresses.source());
        let told = Told {
            peer: header.peer,
            authority: header.tlvs.authority().map(|name| name.as_bytes().into()),
            alpn: header.tlvs.alpn().map(Into::into),
        };
        Self { address, told: Some(Box::new(told)) }
    }

    /// The client as the next PROXY header tells of it; `stream` is its connection to us.
    pub(crate) fn peer(&self, stream: &Stream) -> Peer {
        if let Some(told) = &self.told {
            return told.peer;
        }
        if self.address == unix::ADDRESS {
            return Peer::Unix(Transport::Stream);
        }
        match stream.local_addr() {
            Ok(local) => Peer::Ip(Transport::Stream, Addresses::new(self.address, local)),
            // It is gone, and what is said of it no longer matters.
            Err(_) => Peer::Unknown,
        }
    }

    /// The host that the client asked for, as an earlier proxy told.
    pub(crate) fn authority(&self) -> Option<&[u8]> {
        self.told.as_ref()?.authority.as_deref()
    }

    /// The application protocol, as an earlier proxy told.
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        self.told.as_ref()?.alpn.as_deref()
    }
}
