//! Where to connect to.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpStream;

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

impl Address {
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
