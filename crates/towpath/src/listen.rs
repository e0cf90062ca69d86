//! Addresses to listen on, for every kind of server.

use std::fmt;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;
use towpath_net::{Binding, UdpBinding, listen::Options};

mod accept;

pub(crate) use self::accept::{Accepting, accept_all};

use crate::supervise;

/// Where to listen, as it was written and as it was understood.
#[derive(Clone, Debug)]
pub(crate) struct ListenAddress {
    text: String,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Ip(SocketAddr),
    Unix(PathBuf),
    /// A name of this thread's in-memory network, for tests.
    Memory(String),
}

impl ListenAddress {
    /// Understands `127.0.0.1:80`, `[::1]:80`, `localhost:80`, `:80` and `unix:/path`.
    pub(crate) fn parse(text: &str) -> io::Result<Self> {
        let place = if let Some(path) = text.strip_prefix("unix:") {
            Place::Unix(path.into())
        } else if let Some(name) = text.strip_prefix("memory:") {
            Place::Memory(name.to_owned())
        } else if let Some(port) = text.strip_prefix(':') {
            let port = port.parse().map_err(|_| wrong("what follows the colon is no port"))?;
            // Every address, IPv4 and IPv6, as in Go.
            Place::Ip(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))
        } else {
            match text.to_socket_addrs() {
                Ok(mut addresses) => {
                    Place::Ip(addresses.next().ok_or_else(|| wrong("the name has no address"))?)
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    return Err(wrong("127.0.0.1:8080, :8080 or unix:/run/app.sock would be right"));
                }
                Err(error) => return Err(error),
            }
        };
        Ok(Self { text: text.to_owned(), place })
    }

    /// One socket for each of `workers`. A machine without IPv6 has every address of IPv4.
    pub(crate) fn bind(&self, workers: usize) -> io::Result<Arc<Binding>> {
        match &self.place {
            Place::Ip(address) => match supervise::bind(*address, workers) {
                Err(error)
                    if address.ip() == Ipv6Addr::UNSPECIFIED
                        && error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error()) =>
                {
                    supervise::bind(SocketAddr::from(([0, 0, 0, 0], address.port())), workers)
                }
                outcome => outcome,
            },
            Place::Unix(path) => Binding::unix(path, workers, Options::default()),
            Place::Memory(name) => Binding::memory(name),
        }
    }
}

impl ListenAddress {
    /// One UDP socket for each of `workers`, as [`bind`](Self::bind) does it for TCP.
    pub(crate) fn bind_udp(&self, workers: usize) -> io::Result<Arc<UdpBinding>> {
        match &self.place {
            Place::Ip(address) => match UdpBinding::bind(*address, workers) {
                Err(error)
                    if address.ip() == Ipv6Addr::UNSPECIFIED
                        && error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error()) =>
                {
                    UdpBinding::bind(SocketAddr::from(([0, 0, 0, 0], address.port())), workers)
                }
                outcome => outcome,
            },
            Place::Unix(_) | Place::Memory(_) => {
                Err(wrong("datagrams come over UDP: 127.0.0.1:9000 would be right"))
            }
        }
    }
}

fn wrong(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// An address that is listened on.
#[derive(Clone, Debug)]
pub struct Listening {
    address: SocketAddr,
    path: Option<PathBuf>,
    scheme: &'static str,
}

impl Listening {
    pub(crate) fn new(binding: &Binding, scheme: &'static str) -> Self {
        Self { address: binding.address(), path: binding.path().map(Path::to_owned), scheme }
    }

    pub(crate) fn udp(address: SocketAddr) -> Self {
        Self { address, path: None, scheme: "udp" }
    }

    /// The address really bound, with the port that 0 stood for. Of no use for a Unix socket.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The path of a Unix socket.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Writes the start line.
    #[expect(clippy::print_stdout, reason = "this is the line that scripts wait for")]
    pub(crate) fn say(&self) {
        println!("listening {self}");
    }
}

impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{}+unix:{}", self.scheme, path.display()),
            None => write!(f, "{}://{}", self.scheme, self.address),
        }
    }
}
