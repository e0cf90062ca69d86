//! The far side of UDP: one socket, read until it is empty.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};

use rustix::io::Errno;
use rustix::net::{SendFlags, sendto};
use towpath_bench::Outcome;
use towpath_bench::far::{
    DATAGRAM_BYTES, ECHO, PROBE, REPORT, REPORT_EVERY, SINK, SOURCE, TRAIN, allow_trains, datagrams_in,
    message, number_at,
};

/// A bench has a few flows per turn; older ones are forgotten in bulk.
const FLOWS_MAX: usize = 4_096;
/// The largest datagram or train there is.
const READ_BYTES: usize = 65_535;

struct Far {
    socket: UdpSocket,
    flows: HashMap<u64, Flow>,
    train: Vec<u8>,
}

#[derive(Default)]
struct Flow {
    sent: u64,
    received: u64,
    reported: u64,
}

/// Serves for ever; the socket blocks, because there is only one.
pub(crate) fn run(address: SocketAddr) -> Outcome<()> {
    let socket = UdpSocket::bind(address)?;
    allow_trains(&socket)?;
    let train = vec![SOURCE; DATAGRAM_BYTES * TRAIN as usize];
    let mut far = Far { socket, flows: HashMap::new(), train };
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match far.socket.recv_from(&mut buffer) {
            Ok((count, from)) => far.handle(&buffer[..count], from),
            // A port that has gone answers with an ICMP message, which the next read reports.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error.into()),
        }
    }
}

impl Far {
    fn handle(&mut self, bytes: &[u8], from: SocketAddr) {
        match (bytes.first(), number_at(bytes, 1)) {
            (Some(&ECHO), _) => self.send(bytes, from),
            (Some(&SOURCE), Some(flow)) => self.flood(flow, number_at(bytes, 9).unwrap_or(0), from),
            (Some(&SINK), Some(flow)) => self.count(flow, datagrams_in(bytes.len()), from),
            (Some(&PROBE), Some(flow)) => {
                let received = self.flow(flow).received;
                self.send(&message(REPORT, flow, received), from);
            }
            _ => {}
        }
    }

    fn flood(&mut self, flow: u64, up_to: u64, to: SocketAddr) {
        while self.flow(flow).sent < up_to {
            let state = self.flow(flow);
            let count = TRAIN.min(up_to - state.sent);
            state.sent += count;
            self.send(&self.train[..count as usize * DATAGRAM_BYTES], to);
        }
    }

    fn count(&mut self, flow: u64, datagrams: u64, from: SocketAddr) {
        let state = self.flow(flow);
        state.received += datagrams;
        if state.received - state.reported < REPORT_EVERY {
            return;
        }
        state.reported = state.received;
        let report = message(REPORT, flow, state.received);
        self.send(&report, from);
    }

    fn flow(&mut self, flow: u64) -> &mut Flow {
        if self.flows.len() >= FLOWS_MAX {
            self.flows.clear();
        }
        self.flows.entry(flow).or_default()
    }

    /// A datagram that cannot be sent is a lost one; the generator counts those.
    fn send(&self, bytes: &[u8], to: SocketAddr) {
        let _: Result<usize, Errno> = sendto(&self.socket, bytes, SendFlags::empty(), &to);
    }
}
