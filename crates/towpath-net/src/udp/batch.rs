//! Datagrams received together, and runs of them.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};

use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use socket2::Socket;

/// How many runs one system call receives at most.
pub const BATCH: usize = quinn_udp::BATCH_SIZE;

/// Room for a run: what the system joins never exceeds an IP packet, so nothing is ever cut off.
const ROOM_BYTES: usize = 64 * 1024;

/// Room for [`BATCH`] runs: 2 MiB of addresses, of which the pages that were written to become memory. A worker has
/// one for all its sockets.
pub struct Batch {
    room: Box<[u8]>,
    meta: [RecvMeta; BATCH],
    filled: usize,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("filled", &self.filled).finish_non_exhaustive()
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self { room: vec![0; BATCH * ROOM_BYTES].into(), meta: [RecvMeta::default(); BATCH], filled: 0 }
    }
}

impl Batch {
    /// What was received last, in order.
    pub fn received(&self) -> impl Iterator<Item = Received<'_>> {
        self.room.chunks(ROOM_BYTES).zip(&self.meta).take(self.filled).map(|(room, meta)| Received {
            from: canonical(meta.addr),
            to: meta.dst_ip.map(|ip| ip.to_canonical()),
            run: Run::new(room.get(..meta.len).unwrap_or(room), meta.stride),
        })
    }

    /// Receives what there is, and says whether that was all. `recvmmsg(2)` stops before the batch is full only when
    /// it finds the socket empty, or an error, for which the event loop is woken again.
    pub(super) fn receive(&mut self, socket: &Socket, state: &UdpSocketState) -> io::Result<bool> {
        self.filled = 0;
        let mut rooms = self.room.chunks_mut(ROOM_BYTES);
        let mut slices: [IoSliceMut<'_>; BATCH] =
            std::array::from_fn(|_| IoSliceMut::new(rooms.next().unwrap_or_default()));
        self.filled = state.recv(UdpSockRef::from(socket), &mut slices, &mut self.meta)?;
        Ok(self.filled < BATCH)
    }
}

/// An IPv4 client of a socket of both families is named as one of a socket of IPv4 would be.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        IpAddr::V6(_) => address,
    }
}

/// A run of datagrams from one sender.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// Who sent it. Not proven: a sender may write what it likes there.
    pub from: SocketAddr,
    /// The local address it was sent to, if the socket has more than one.
    pub to: Option<IpAddr>,
    /// The datagrams.
    pub run: Run<'a>,
}

/// One datagram, or several of the same size of which the last may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run<'a> {
    bytes: &'a [u8],
    /// Not 0, unless `bytes` is one empty datagram.
    segment: usize,
}

impl<'a> Run<'a> {
    /// One datagram, which may be empty.
    pub fn one(datagram: &'a [u8]) -> Self {
        Self { bytes: datagram, segment: datagram.len() }
    }

    /// Datagrams of `segment` bytes, one after the other. A segment of 0 makes it one datagram.
    pub fn new(bytes: &'a [u8], segment: usize) -> Self {
        if segment == 0 || segment > bytes.len() { Self::one(bytes) } else { Self { bytes, segment } }
    }

    /// All bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The size of each datagram but the last.
    pub fn segment(&self) -> usize {
        self.segment
    }

    /// How many datagrams. Never 0: an empty run is one empty datagram.
    #[expect(clippy::len_without_is_empty, reason = "a run is never empty")]
    pub fn len(&self) -> usize {
        self.bytes.len().div_ceil(self.segment.max(1)).max(1)
    }

    /// Its datagrams, in order.
    pub fn datagrams(self) -> impl Iterator<Item = &'a [u8]> {
        self.pieces(1).map(|piece| piece.bytes)
    }

    /// The same datagrams in runs of at most `datagrams` each.
    pub fn pieces(self, datagrams: usize) -> impl Iterator<Item = Run<'a>> {
        let empty = self.bytes.is_empty().then_some(self);
        let size = self.segment.max(1).saturating_mul(datagrams.max(1));
        empty.into_iter().chain(self.bytes.chunks(size).map(move |piece| Run::new(piece, self.segment)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], segment: usize, in_one: usize, expected: &str) {
        let run = Run::new(bytes, segment);
        let pieces: Vec<_> = run
            .pieces(in_one)
            .map(|piece| {
                let datagrams: Vec<_> = piece.datagrams().map(String::from_utf8_lossy).collect();
                assert_eq!(piece.len(), datagrams.len());
                datagrams.join(",")
            })
            .collect();
        assert_eq!(pieces.join(" "), expected);
    }

    #[test]
    fn a_run_falls_into_its_datagrams() {
        check(b"aabbc", 2, 64, "aa,bb,c");
        check(b"aabbc", 2, 2, "aa,bb c");
        check(b"aabb", 2, 1, "aa bb");
        check(b"aabb", 0, 64, "aabb");
        check(b"aabb", 9, 64, "aabb");
        check(b"", 0, 64, "");
        assert_eq!((Run::one(b"").len(), Run::one(b"").datagrams().count()), (1, 1));
    }
}
