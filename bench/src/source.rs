//! Clients at many loopback addresses: one address has too few ports for ten thousands of connections.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};

use crate::Outcome;

/// An address has 28,232 ports to dial from; this stays well below.
pub const CONNECTIONS_PER_SOURCE: usize = 2_500;
/// A proxy that is silent for so long has failed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens connections from as many loopback source addresses as their number needs. Each turn has addresses of its own:
/// the ports of the one before wait in TIME_WAIT, and finding a free one among them took longer than the ten seconds a
/// server gives a client for its first request.
///
/// # Errors
/// A connection was refused, or the addresses of 127.0.0.0/24 do not suffice.
pub fn open(address: SocketAddr, count: usize, turn: usize) -> Outcome<Vec<TcpStream>> {
    open_with(address, count, turn, Ok)
}

/// As [`open`], with what a connection needs before the next one is opened.
///
/// # Errors
/// As [`open`], or what was needed failed.
pub fn open_with<T>(
    address: SocketAddr,
    count: usize,
    turn: usize,
    mut begin: impl FnMut(TcpStream) -> Outcome<T>,
) -> Outcome<Vec<T>> {
    let first_host = 2 + turn * count.div_ceil(CONNECTIONS_PER_SOURCE).max(1);
    (0..count).map(|index| begin(dial(address, first_host + index / CONNECTIONS_PER_SOURCE)?)).collect()
}

/// One blocking connection from 127.0.0.`host`.
///
/// # Errors
/// It was refused, or `host` is no byte.
pub fn dial(address: SocketAddr, host: usize) -> Outcome<TcpStream> {
    let source = Ipv4Addr::new(127, 0, 0, u8::try_from(host)?);
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddrV4::new(source, 0))?;
    connect(&socket, &address)?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
