//! Socket options of a proxy, where they differ from those of QUIC that the `quinn-udp` crate sets.

use std::io;
use std::os::fd::AsRawFd;

use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
};
use socket2::Socket;

/// What a socket is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub(super) is_ipv6: bool,
    /// The local address of each datagram is of interest, as the socket has several.
    pub(super) wants_destination: bool,
}

impl Options {
    pub(super) fn set(self, socket: &Socket) -> io::Result<()> {
        // QUIC forbids fragments (RFC 9000 §14); what passes here has the size its sender chose, up to 65,507 bytes.
        set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::WANT)?;
        if self.is_ipv6 {
            set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::WANT)?;
            switch_off(socket, libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG)?;
        }
        self.drop_unread_fields(socket)
    }

    /// Each of these costs time for every datagram, a clock among them.
    fn drop_unread_fields(self, socket: &Socket) -> io::Result<()> {
        switch_off(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS)?;
        if self.is_ipv6 {
            switch_off(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS)?;
        }
        // An IPv6-only socket has no such option to set.
        let _ = switch_off(socket, libc::IPPROTO_IP, libc::IP_RECVTOS);
        match (self.wants_destination, self.is_ipv6) {
            (true, _) => Ok(()),
            (false, true) => switch_off(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
            (false, false) => switch_off(socket, libc::IPPROTO_IP, libc::IP_PKTINFO),
        }
    }
}

#[expect(unsafe_code, reason = "neither rustix nor socket2 has these options")]
fn switch_off(socket: &Socket, level: libc::c_int, name: libc::c_int) -> io::Result<()> {
    let off: libc::c_int = 0;
    // SAFETY: the descriptor is open as `socket` is borrowed, and the value lives through the call, which reads as
    // many bytes of it as it is told to.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const off).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
