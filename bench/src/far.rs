//! What the generators and `bench-far` say to each other through a relay.
//!
//! ```text
//!   TCP, the first bytes of a connection          what the far side does
//!   e…                                            sends every byte back, for ever
//!   c…                                            sends the first message back and closes
//!   d LENGTH(8)                                   sends LENGTH bytes and closes
//!   u LENGTH(8) and as many bytes                 swallows them, then sends one byte
//!   GET … of a WebSocket                          sends every message back, for ever; see `ws`
//!
//!   UDP, every datagram                           what the far side does
//!   e…                                            sends it back
//!   d FLOW(8) COUNT(8)                            sends the datagrams of FLOW up to number COUNT
//!   u FLOW(8) … to 1,200 bytes                    counts it; a report after every 16
//!   p FLOW(8)                                     reports at once:   r FLOW(8) COUNT(8)
//! ```

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::Path;

use nix::sys::socket::{setsockopt, sockopt};
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};

use crate::Outcome;
use crate::child::{REST_CORE, Running, pinned, wait_for_datagrams, wait_for_listener};
use crate::peers::Service;

/// Back it comes.
pub const ECHO: u8 = b'e';
/// Back it comes, and that was all.
pub const ECHO_ONCE: u8 = b'c';
/// Bytes or datagrams from the far side.
pub const SOURCE: u8 = b'd';
/// Bytes or datagrams for the far side.
pub const SINK: u8 = b'u';
/// A request: it opens a WebSocket.
pub const OPENING: u8 = b'G';
/// UDP: how many came?
pub const PROBE: u8 = b'p';
/// UDP: so many came.
pub const REPORT: u8 = b'r';

/// A datagram of a bulk flow: what fits an Ethernet frame with room for the headers of a tunnel.
pub const DATAGRAM_BYTES: usize = 1_200;
/// Datagrams that leave in one send.
pub const TRAIN: u64 = 32;
/// Datagrams after which the far side reports.
pub const REPORT_EVERY: u64 = 16;
/// The ends of a bulk flow shall not be where it loses datagrams.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// A kind and a length, the first bytes of a TCP bulk transfer.
#[must_use]
pub fn header(kind: u8, length: u64) -> Vec<u8> {
    [&[kind][..], &length.to_le_bytes()].concat()
}

/// A control datagram of a bulk flow.
#[must_use]
pub fn message(kind: u8, flow: u64, count: u64) -> Vec<u8> {
    [&[kind][..], &flow.to_le_bytes(), &count.to_le_bytes()].concat()
}

/// The number at `at`; nothing when the bytes end before it does.
#[must_use]
pub fn number_at(bytes: &[u8], at: usize) -> Option<u64> {
    let (number, _) = bytes.get(at..)?.split_first_chunk()?;
    Some(u64::from_le_bytes(*number))
}

/// Datagrams in `bytes` of a bulk flow, which the kernel may have handed over in one piece.
#[must_use]
pub fn datagrams_in(bytes: usize) -> u64 {
    bytes.div_ceil(DATAGRAM_BYTES) as u64
}

/// Lets a UDP socket send and receive trains: a longer send is cut into datagrams, a train arrives in one read.
///
/// # Errors
/// The kernel knows neither.
pub fn allow_trains(socket: &impl AsFd) -> io::Result<()> {
    setsockopt(socket, sockopt::UdpGsoSegment, &(DATAGRAM_BYTES as i32))?;
    setsockopt(socket, sockopt::UdpGroSegment, &true)?;
    set_socket_recv_buffer_size(socket, SOCKET_BUFFER_BYTES)?;
    set_socket_send_buffer_size(socket, SOCKET_BUFFER_BYTES)?;
    Ok(())
}

/// Starts `bench-far` beside the generator, at `count` loopback addresses from 127.0.0.2 up.
///
/// # Errors
/// It does not listen.
pub fn start(service: Service, bin: &Path, count: u8) -> Outcome<(Running, Vec<SocketAddr>)> {
    let addresses = (0..count).map(|index| free_at(service, index)).collect::<Result<Vec<_>, _>>()?;
    let mut command = pinned(REST_CORE, &bin.join("bench-far"));
    let list = addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(",");
    command.args(["--protocol", service.name(), "--addrs", &list]);
    let mut running = Running::start(command)?;
    for &address in &addresses {
        match service {
            Service::Udp => wait_for_datagrams(&mut running, "bench-far", address)?,
            _ => wait_for_listener("bench-far", address)?,
        }
    }
    Ok((running, addresses))
}

fn free_at(service: Service, index: u8) -> io::Result<SocketAddr> {
    let host = std::net::Ipv4Addr::new(127, 0, 0, 2_u8.saturating_add(index));
    match service {
        Service::Udp => std::net::UdpSocket::bind((host, 0))?.local_addr(),
        _ => std::net::TcpListener::bind((host, 0))?.local_addr(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_their_message() {
        let bytes = message(SOURCE, 7, 9);
        assert_eq!((bytes[0], number_at(&bytes, 1), number_at(&bytes, 9)), (SOURCE, Some(7), Some(9)));
        assert_eq!(number_at(&bytes, 10), None);
        assert_eq!(number_at(&header(SINK, 5), 1), Some(5));
    }

    #[test]
    fn a_train_counts_by_its_length() {
        assert_eq!(datagrams_in(1), 1);
        assert_eq!(datagrams_in(DATAGRAM_BYTES * 3), 3);
    }
}
