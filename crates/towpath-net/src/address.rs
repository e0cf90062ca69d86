//! Where to connect to.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};

use crate::stream::Stream;
use crate::{memory, unix};

/// The address of an endpoint, already resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// TCP over IPv4 or IPv6.
    Tcp(SocketAddr),
    /// The path of a Unix stream socket. Written `unix:/run/app.sock`.
    Unix(Arc<Path>),
    /// A name of the in-memory network of this thread, for tests under a virtual clock.
    Memory(Arc<str>),
}

/// What a TCP connection begins with. The default is what the system does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DialOptions {
    /// The local address it comes from. An address of the other family is not asked for.
    pub local: Option<IpAddr>,
    /// How long it is silent before the kernel asks whether the peer is there, and how often it asks then. `None` for never.
    pub keepalive: Option<Duration>,
}

impl Address {
    /// Connects with options, which concern TCP only. The caller sets the deadline.
    ///
    /// # Errors
    /// As for [`Address::connect`]; `AddrNotAvailable` for a local address that is not this machine's.
    pub async fn connect_with(&self, options: &DialOptions) -> io::Result<Stream> {
        let Self::Tcp(address) = self else { return self.connect().await };
        let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
        if let Some(local) = options.local.filter(|local| local.is_ipv6() == address.is_ipv6()) {
            socket.bind(SocketAddr::new(local, 0))?;
        }
        if let Some(span) = options.keepalive {
            let keepalive = TcpKeepalive::new().with_time(span).with_interval(span);
            SockRef::from(&socket).set_tcp_keepalive(&keepalive)?;
        }
        socket.set_nodelay(true)?;
        socket.connect(*address).await.map(Stream::Socket)
    }

    /// Connects. The caller sets the deadline.
    ///
    /// # Errors
    /// Those of `connect(2)`, `NotFound` among them for a Unix socket that does not exist; an unknown in-memory name is `ConnectionRefused`.
    pub async fn connect(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                // One message is one send, so Nagle's algorithm could only delay its last segment.
                stream.set_nodelay(true)?;
                Ok(Stream::Socket(stream))
            }
            Self::Unix(path) => unix::connect(path).await,
            Self::Memory(name) => memory::connect(name).await.map(Stream::memory),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Memory(name) => write!(f, "memory:{name}"),
        }
    }
}
