//! Bulk over UDP: trains of 1,200-byte datagrams under a window, with a small datagram the other way for each train,
//! as in any protocol over UDP. What the window waits for in vain is lost, and counted.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use towpath_bench::Outcome;
use towpath_bench::far::{
    DATAGRAM_BYTES, PROBE, REPORT, SINK, SOURCE, TRAIN, allow_trains, datagrams_in, message, number_at,
};
use towpath_bench::generator::Report;
use towpath_bench::poller::Poller;

use crate::Direction;

/// Nothing takes this long on loopback: what has not come by then is lost.
const STALL: Duration = Duration::from_millis(20);
/// Last questions about an upload, in case question or answer is lost as well.
const LAST_PROBES_MAX: usize = 10;
const WARM_UP: Duration = Duration::from_millis(200);

pub(crate) struct Transfer {
    direction: Direction,
    window: u64,
    poller: Poller,
    flows: Vec<Flow>,
    buffer: Vec<u8>,
    train: Vec<u8>,
}

struct Flow {
    socket: UdpSocket,
    id: u64,
    /// Datagrams sent, or asked for.
    issued: u64,
    /// Datagrams that arrived, as far as this side knows.
    arrived: u64,
    lost: u64,
    progress: Instant,
    /// The far side's answer to a probe is awaited: it settles what is lost.
    is_probing: bool,
}

impl Transfer {
    pub(crate) fn open(
        address: SocketAddr,
        direction: Direction,
        flows: usize,
        window: u64,
    ) -> Outcome<Transfer> {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
        let poller = Poller::new()?;
        let flows =
            (0..flows).map(|token| Flow::open(address, nanos + token as u64)).collect::<Outcome<Vec<_>>>()?;
        for (token, flow) in flows.iter().enumerate() {
            poller.add(&flow.socket, token)?;
        }
        let window = window.max(TRAIN);
        let train = vec![SINK; DATAGRAM_BYTES * TRAIN as usize];
        let buffer = vec![0; 65_535];
        let mut transfer = Transfer { direction, window, poller, flows, buffer, train };
        transfer.run(WARM_UP)?;
        Ok(transfer)
    }

    /// Keeps the flows busy for `span`; datagrams that arrived, and those that did not.
    pub(crate) fn run(&mut self, span: Duration) -> Outcome<Report> {
        let start = Instant::now();
        let (arrived, lost) = self.totals();
        self.flows.iter_mut().for_each(|flow| flow.progress = start);
        while start.elapsed() < span {
            self.flows.iter_mut().for_each(|flow| flow.issue(self.direction, self.window, &mut self.train));
            self.receive(Duration::from_millis(5))?;
            self.flows.iter_mut().for_each(|flow| flow.check_stall(self.direction));
        }
        let seconds = start.elapsed().as_secs_f64();
        self.settle()?;
        let (arrived_now, lost_now) = self.totals();
        Ok(Report { completed: arrived_now - arrived, errors: lost_now - lost, seconds, ..Report::default() })
    }

    fn totals(&self) -> (u64, u64) {
        let sum = |pick: fn(&Flow) -> u64| self.flows.iter().map(pick).sum();
        (sum(|flow| flow.arrived), sum(|flow| flow.lost))
    }

    /// Waits until every datagram has either arrived or must be lost.
    fn settle(&mut self) -> Outcome<()> {
        for _ in 0..LAST_PROBES_MAX {
            if self.flows.iter().all(|flow| flow.in_flight() == 0) {
                return Ok(());
            }
            self.receive(STALL)?;
            self.flows.iter_mut().for_each(|flow| flow.check_stall(self.direction));
        }
        self.flows.iter_mut().for_each(Flow::write_off);
        Ok(())
    }

    fn receive(&mut self, timeout: Duration) -> Outcome<()> {
        let mut ready = Vec::new();
        self.poller.wait(&mut ready, Some(timeout))?;
        for event in ready.into_iter().filter(|event| event.readable) {
            self.flows[event.token].read(self.direction, &mut self.buffer);
        }
        Ok(())
    }
}

impl Flow {
    fn open(address: SocketAddr, id: u64) -> Outcome<Flow> {
        let socket = UdpSocket::bind((address.ip(), 0))?;
        socket.connect(address)?;
        socket.set_nonblocking(true)?;
        allow_trains(&socket)?;
        Ok(Flow { socket, id, issued: 0, arrived: 0, lost: 0, progress: Instant::now(), is_probing: false })
    }

    fn in_flight(&self) -> u64 {
        self.issued.saturating_sub(self.arrived + self.lost)
    }

    /// Sends, or asks for, as many whole trains as the window has room for.
    fn issue(&mut self, direction: Direction, window: u64, train: &mut [u8]) {
        let room = window.saturating_sub(self.in_flight()) / TRAIN * TRAIN;
        if room == 0 || self.is_probing {
            return;
        }
        self.issued += room;
        match direction {
            Direction::Down => self.send(&message(SOURCE, self.id, self.issued)),
            Direction::Up => {
                // Every datagram names its flow: a relay may send them on one by one.
                for datagram in train.chunks_exact_mut(DATAGRAM_BYTES) {
                    datagram[1..9].copy_from_slice(&self.id.to_le_bytes());
                }
                (0..room / TRAIN).for_each(|_| self.send(train));
            }
        }
    }

    /// What cannot be sent is lost like anything else.
    fn send(&self, bytes: &[u8]) {
        let _: Result<usize, Errno> = send(&self.socket, bytes, SendFlags::empty());
    }

    fn read(&mut self, direction: Direction, buffer: &mut [u8]) {
        while let Ok(count) = self.socket.recv(buffer) {
            self.progress = Instant::now();
            match (direction, buffer[..count].first()) {
                (Direction::Down, Some(&SOURCE)) => self.arrived += datagrams_in(count),
                (Direction::Up, Some(&REPORT)) if number_at(&buffer[..count], 1) == Some(self.id) => {
                    self.arrived = number_at(&buffer[..count], 9).unwrap_or(0).max(self.arrived);
                    if std::mem::take(&mut self.is_probing) {
                        self.write_off();
                    }
                }
                _ => {}
            }
        }
    }

    fn check_stall(&mut self, direction: Direction) {
        if self.progress.elapsed() < STALL || self.in_flight() == 0 {
            return;
        }
        self.progress = Instant::now();
        match direction {
            Direction::Down => self.write_off(),
            Direction::Up => {
                self.is_probing = true;
                self.send(&message(PROBE, self.id, 0));
            }
        }
    }

    fn write_off(&mut self) {
        self.lost += self.in_flight();
    }
}
