//! Bulk over TCP: so many bytes over so many connections, counted where they arrive.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use towpath_bench::Outcome;
use towpath_bench::far::{SINK, SOURCE, header};
use towpath_bench::generator::Report;
use towpath_bench::poller::Poller;

use crate::Direction;

/// What one call offers the kernel.
const PIECE_BYTES: usize = 256 * 1024;
/// Calls on one connection in one turn; then the others have theirs.
const STEPS_PER_TURN_MAX: usize = 16;
/// A transfer that takes longer has stopped.
const TRANSFER_TIME_MAX: Duration = Duration::from_secs(60);
/// Fills caches and pipes, on connections of its own.
const WARM_UP_BYTES: u64 = 16 << 20;

pub(crate) struct Transfer {
    address: SocketAddr,
    direction: Direction,
    poller: Poller,
    flows: Vec<Flow>,
    buffer: Vec<u8>,
}

struct Flow {
    socket: TcpStream,
    /// Still to be sent, a header included. Only that of an upload is long.
    unsent: u64,
    header: Vec<u8>,
    /// Bytes still to come.
    expected: u64,
    is_over: bool,
}

impl Transfer {
    /// Connects and warms up; the connections that count have carried nothing yet.
    pub(crate) fn open(address: SocketAddr, direction: Direction, flows: usize) -> Outcome<Transfer> {
        Transfer::connect(address, direction, flows)?.run(WARM_UP_BYTES)?;
        Transfer::connect(address, direction, flows)
    }

    fn connect(address: SocketAddr, direction: Direction, count: usize) -> Outcome<Transfer> {
        let poller = Poller::new()?;
        let mut flows = Vec::new();
        for token in 0..count {
            let socket = TcpStream::connect(address)?;
            socket.set_nonblocking(true)?;
            poller.add(&socket, token)?;
            flows.push(Flow { socket, unsent: 0, header: vec![], expected: 0, is_over: false });
        }
        Ok(Transfer { address, direction, poller, flows, buffer: vec![b'x'; PIECE_BYTES] })
    }

    /// Moves `bytes` in all.
    pub(crate) fn run(&mut self, bytes: u64) -> Outcome<Report> {
        let each = bytes / self.flows.len().max(1) as u64;
        let start = Instant::now();
        for flow in &mut self.flows {
            flow.begin(self.direction, each);
        }
        let mut report = Report::default();
        let mut again: Vec<usize> = (0..self.flows.len()).collect();
        let mut ready = Vec::new();
        while self.flows.iter().any(|flow| !flow.is_over) {
            if start.elapsed() > TRANSFER_TIME_MAX {
                return Err(format!("{} did not move {bytes} bytes in time", self.address).into());
            }
            let work = std::mem::take(&mut again);
            let events = ready.drain(..).map(|event: towpath_bench::poller::Ready| event.token);
            for token in work.into_iter().chain(events).collect::<Vec<_>>() {
                if self.turn(token, &mut report) {
                    again.push(token);
                }
            }
            let timeout = if again.is_empty() { Duration::from_millis(100) } else { Duration::ZERO };
            self.poller.wait(&mut ready, Some(timeout))?;
        }
        if self.direction == Direction::Up {
            report.completed = (self.flows.len() as u64 - report.errors) * each;
        }
        report.seconds = start.elapsed().as_secs_f64();
        Ok(report)
    }

    /// One turn of one flow; true when it may have more to do at once.
    fn turn(&mut self, token: usize, report: &mut Report) -> bool {
        let flow = &mut self.flows[token];
        for _ in 0..STEPS_PER_TURN_MAX {
            if flow.is_over {
                return false;
            }
            match flow.step(&mut self.buffer) {
                Ok(count) => report.completed += count,
                Err(Errno::AGAIN) => return false,
                Err(_) => {
                    report.errors += 1;
                    flow.is_over = true;
                }
            }
        }
        true
    }
}

impl Flow {
    fn begin(&mut self, direction: Direction, bytes: u64) {
        let (kind, body, expected) = match direction {
            Direction::Down => (SOURCE, 0, bytes),
            Direction::Up => (SINK, bytes, 1),
        };
        self.header = header(kind, bytes);
        (self.unsent, self.expected) = (body, expected);
    }

    /// One call of the kernel; the bytes that came.
    fn step(&mut self, buffer: &mut [u8]) -> Result<u64, Errno> {
        if !self.header.is_empty() {
            // A header always fits the empty buffer of a new connection.
            send(&self.socket, &self.header, SendFlags::NOSIGNAL)?;
            self.header.clear();
            return Ok(0);
        }
        if self.unsent > 0 {
            let piece = &buffer[..self.unsent.min(buffer.len() as u64) as usize];
            self.unsent -= send(&self.socket, piece, SendFlags::NOSIGNAL)? as u64;
            return Ok(0);
        }
        let wanted = self.expected.min(buffer.len() as u64) as usize;
        // The kernel drops the bytes: the generator's work is not what is measured.
        let (_, count) = recv(&self.socket, &mut buffer[..wanted], RecvFlags::TRUNC)?;
        if count == 0 {
            return Err(Errno::PIPE);
        }
        self.expected -= count as u64;
        self.is_over = self.expected == 0;
        Ok(count as u64)
    }
}
