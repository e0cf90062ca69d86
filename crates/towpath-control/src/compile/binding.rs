//! Sockets: the places that listeners want, and those that the running plan has already.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use towpath_config::Span;
use towpath_gateway::plan::{Listener, Plan, Protocol};
use towpath_net::{Binding, UdpBinding, listen};

/// A place to listen at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BindAddress {
    /// Connections. `":8080"` is the IPv6 wildcard, which takes IPv4 as well.
    Tcp(SocketAddr),
    /// Datagrams.
    Udp(SocketAddr),
    /// Connections over a socket in the file system.
    Unix(Arc<Path>),
}

/// A socket for each worker, bound to one address.
#[derive(Clone, Debug)]
pub enum Bound {
    /// Accepts connections.
    Stream(Arc<Binding>),
    /// Receives datagrams.
    Datagram(Arc<UdpBinding>),
}

/// An address that a listener needs.
#[derive(Clone, Debug)]
pub struct WantedBinding {
    /// The listener's name.
    pub listener: Arc<str>,
    /// The address as written.
    pub address: BindAddress,
    /// Who may connect to a Unix socket, as the mode of its file; `None` leaves it to the umask.
    pub mode: Option<u32>,
    /// Where it is written.
    pub span: Span,
    /// The binding of the previous plan that has this address already.
    pub kept: Option<Bound>,
}

impl BindAddress {
    /// The IP address and port, if it has them.
    #[must_use]
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) | Self::Udp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// Whether both cannot be had at once: a wildcard takes every address of its port.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp(a), Self::Tcp(b)) | (Self::Udp(a), Self::Udp(b)) => overlap(*a, *b),
            (Self::Unix(a), Self::Unix(b)) => a == b,
            _ => false,
        }
    }
}

fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    // An IPv6 wildcard takes IPv4 as well.
    let takes = |wide: IpAddr, narrow: IpAddr| wide.is_unspecified() && (wide.is_ipv6() || narrow.is_ipv4());
    let meet = a.ip() == b.ip() || takes(a.ip(), b.ip()) || takes(b.ip(), a.ip());
    a.port() == b.port() && a.port() != 0 && meet
}

impl Bound {
    /// The sockets of a listener.
    #[must_use]
    pub fn of(listener: &Listener) -> Vec<Self> {
        let streams = listener.bindings.iter().cloned().map(Self::Stream);
        let datagrams = match &listener.protocol {
            Protocol::Udp(udp) => udp.bindings.as_slice(),
            _ => &[],
        };
        streams.chain(datagrams.iter().cloned().map(Self::Datagram)).collect()
    }

    /// The address really bound.
    #[must_use]
    pub fn address(&self) -> BindAddress {
        match self {
            Self::Stream(binding) => match binding.path() {
                Some(path) => BindAddress::Unix(path.into()),
                None => BindAddress::Tcp(binding.address()),
            },
            Self::Datagram(binding) => BindAddress::Udp(binding.address()),
        }
    }

    /// Whether both are the same sockets.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Stream(a), Self::Stream(b)) => Arc::ptr_eq(a, b),
            (Self::Datagram(a), Self::Datagram(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl WantedBinding {
    /// The binding of the previous plan, or a new one with a socket for each of `workers`.
    ///
    /// # Errors
    /// Those of [`Binding::bind`], [`Binding::unix`] and [`UdpBinding::bind`]; `AddrInUse` is what exit code 98 is for.
    pub fn bind(&self, workers: usize) -> io::Result<Bound> {
        if let Some(kept) = &self.kept {
            return Ok(kept.clone());
        }
        match &self.address {
            BindAddress::Tcp(address) => {
                bind_ip(*address, |address| Binding::bind(address, workers)).map(Bound::Stream)
            }
            BindAddress::Udp(address) => {
                bind_ip(*address, |address| UdpBinding::bind(address, workers)).map(Bound::Datagram)
            }
            BindAddress::Unix(path) => {
                let options = listen::Options { mode: self.mode, ..listen::Options::default() };
                Binding::unix(path, workers, options).map(Bound::Stream)
            }
        }
    }

    /// A socket that stays has the mode of its file from before; now it gets the one that is written.
    pub(super) fn apply_mode(&self) {
        if let (BindAddress::Unix(path), Some(mode), Some(_)) = (&self.address, self.mode, &self.kept) {
            // The file may be gone, and then nobody can connect anyway.
            let _ = std::fs::set_permissions(path, PermissionsExt::from_mode(mode));
        }
    }
}

/// Every address means the IPv4 ones where the kernel has no IPv6.
fn bind_ip<T>(address: SocketAddr, bind: impl Fn(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    match bind(address) {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && lacks_ipv6(&error) => {
            bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))
        }
        result => result,
    }
}

fn lacks_ipv6(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

/// The bindings of the previous plan that nobody has claimed yet.
pub(super) struct FreeBindings<'p> {
    list: Vec<(&'p str, Bound)>,
}

impl<'p> FreeBindings<'p> {
    pub(super) fn of(previous: Option<&'p Plan>) -> Self {
        let listeners = previous.iter().flat_map(|plan| plan.listeners.iter());
        let list = listeners
            .flat_map(|listener| Bound::of(listener).into_iter().map(|bound| (&*listener.name, bound)));
        Self { list: list.collect() }
    }

    /// The binding that has this address. Any port (0) is met by the port the same listener already has; a listener
    /// of another name must have asked for the very address.
    pub(super) fn take(&mut self, listener: &str, wanted: &BindAddress) -> Option<Bound> {
        let place = self.list.iter().position(|(owner, bound)| match (bound.address(), wanted) {
            (BindAddress::Tcp(bound), BindAddress::Tcp(wanted))
            | (BindAddress::Udp(bound), BindAddress::Udp(wanted)) => {
                let is_any_port = wanted.port() == 0 && *owner == listener;
                (bound.port() == wanted.port() || is_any_port) && is_ip(bound.ip(), wanted.ip())
            }
            (BindAddress::Unix(bound), BindAddress::Unix(wanted)) => bound == *wanted,
            _ => false,
        })?;
        Some(self.list.remove(place).1)
    }
}

/// Every address is bound as the IPv4 wildcard where there is no IPv6.
fn is_ip(bound: IpAddr, wanted: IpAddr) -> bool {
    bound == wanted || (wanted == Ipv6Addr::UNSPECIFIED && bound == Ipv4Addr::UNSPECIFIED)
}

impl fmt::Display for BindAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) | Self::Udp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
