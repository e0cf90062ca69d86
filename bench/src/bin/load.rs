//! `bench-load --addr IP:PORT --path /128 --connections N --seconds S [--rate R]`: keep-alive load.
//!
//! Without a rate every connection always has one request in flight (closed loop: throughput is meaningful, latency
//! is not). With a rate, requests fall due on a clock whether or not earlier ones were answered (open loop), and
//! latency counts from the moment a request was due. How it talks with the driver: see `generator`.
#![expect(clippy::print_stdout, reason = "its standard output is how it answers the driver")]

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use towpath_bench::Outcome;
use towpath_bench::args::Args;
use towpath_bench::generator::Report;
use towpath_bench::histogram::Histogram;
use towpath_bench::poller::{Poller, Ready};
use towpath_bench::wire::{BUFFER_BYTES, Progress, ResponseEnd};

const TICKER: usize = usize::MAX;
/// Long enough to fill pools and warm caches; the figures of a first second are not those of the second.
const WARM_UP: Duration = Duration::from_millis(300);
/// A response that has not come this long after the last request counts as an error.
const STRAGGLERS: Duration = Duration::from_secs(5);

struct Load {
    poller: Poller,
    connections: Vec<Connection>,
    request: Vec<u8>,
    buffer: Vec<u8>,
    /// Connections without a request in flight, the one that rested longest first.
    resting: VecDeque<usize>,
    report: Report,
    latencies: Histogram,
}

struct Connection {
    socket: TcpStream,
    end: ResponseEnd,
    /// When the request in flight was due.
    due: Option<Instant>,
    is_closed: bool,
}

/// Requests that fall due at equal distances.
struct Schedule {
    timer: OwnedFd,
    start: Instant,
    interval: Duration,
    /// Requests that have fallen due, and how many of them were sent.
    due_count: u64,
    sent_count: u64,
}

fn main() -> Outcome<()> {
    let mut args = Args::from_env()?;
    let address: SocketAddr = args.take("addr")?.ok_or("--addr IP:PORT is needed")?;
    let path: String = args.take("path")?.unwrap_or_else(|| "/128".to_owned());
    let connections: usize = args.take("connections")?.unwrap_or(64);
    let seconds: f64 = args.take("seconds")?.unwrap_or(2.0);
    let rate: Option<u32> = args.take("rate")?;
    args.finish()?;

    let mut load = Load::connect(address, &path, connections)?;
    load.closed_loop(WARM_UP)?;
    println!("ready");
    wait_for_line()?;
    load.forget();
    let start = Instant::now();
    match rate {
        None => load.closed_loop(Duration::from_secs_f64(seconds))?,
        Some(rate) => load.open_loop(Duration::from_secs_f64(seconds), rate)?,
    }
    println!("{}", load.result(start));
    // Closing connections costs the proxy CPU time that belongs to no request: not before the driver has read it.
    wait_for_line()
}

/// One line, or the end of input.
fn wait_for_line() -> Outcome<()> {
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}

impl Load {
    fn connect(address: SocketAddr, path: &str, count: usize) -> Outcome<Load> {
        let poller = Poller::new()?;
        let mut connections = Vec::with_capacity(count);
        for token in 0..count {
            let socket = TcpStream::connect(address)?;
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            poller.add(&socket, token)?;
            connections.push(Connection { socket, end: ResponseEnd::default(), due: None, is_closed: false });
        }
        Ok(Load {
            poller,
            connections,
            request: format!(
                "GET {path} HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"
            )
            .into_bytes(),
            buffer: vec![0; BUFFER_BYTES],
            resting: (0..count).collect(),
            report: Report::default(),
            latencies: Histogram::default(),
        })
    }

    fn forget(&mut self) {
        self.report = Report::default();
        self.latencies = Histogram::default();
    }

    fn result(&mut self, start: Instant) -> Report {
        let seconds = start.elapsed().as_secs_f64();
        let (p50_us, p99_us) = (self.latencies.quantile_us(0.5), self.latencies.quantile_us(0.99));
        Report { seconds, p50_us, p99_us, ..self.report }
    }

    fn closed_loop(&mut self, span: Duration) -> Outcome<()> {
        let stop = Instant::now() + span;
        while let Some(token) = self.resting.pop_front() {
            self.send(token, Instant::now());
        }
        let mut ready = Vec::new();
        while Instant::now() < stop {
            self.poller.wait(&mut ready, Some(stop.saturating_duration_since(Instant::now())))?;
            for event in ready.drain(..) {
                self.receive(event);
            }
            while let Some(token) = self.resting.pop_front() {
                self.send(token, Instant::now());
            }
        }
        self.await_stragglers()
    }

    fn open_loop(&mut self, span: Duration, rate: u32) -> Outcome<()> {
        let mut schedule = Schedule::start(rate)?;
        self.poller.add(&schedule.timer, TICKER)?;
        let stop = schedule.start + span;
        let mut ready = Vec::new();
        while Instant::now() < stop {
            self.poller.wait(&mut ready, Some(stop.saturating_duration_since(Instant::now())))?;
            for event in ready.drain(..) {
                match event.token {
                    TICKER => schedule.tick()?,
                    _ => self.receive(event),
                }
            }
            self.send_due(&mut schedule);
        }
        self.report.behind = schedule.due_count - schedule.sent_count;
        self.await_stragglers()
    }

    fn send_due(&mut self, schedule: &mut Schedule) {
        while schedule.sent_count < schedule.due_count {
            let Some(token) = self.resting.pop_front() else { return };
            self.send(token, schedule.due_at(schedule.sent_count));
            schedule.sent_count += 1;
        }
    }

    fn await_stragglers(&mut self) -> Outcome<()> {
        let give_up = Instant::now() + STRAGGLERS;
        let mut ready = Vec::new();
        while self.connections.iter().any(|connection| connection.due.is_some()) {
            let left = give_up.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.poller.wait(&mut ready, Some(left))?;
            for event in ready.drain(..).filter(|event| event.token != TICKER) {
                self.receive(event);
            }
        }
        let lost = self.connections.iter_mut().filter_map(|connection| connection.due.take()).count();
        self.report.errors += lost as u64;
        Ok(())
    }

    fn send(&mut self, token: usize, due: Instant) {
        let connection = &mut self.connections[token];
        // A request is far smaller than a socket's buffer: a short write means the connection is gone.
        match connection.socket.write(&self.request) {
            Ok(count) if count == self.request.len() => connection.due = Some(due),
            _ => self.fail(token),
        }
    }

    fn receive(&mut self, event: Ready) {
        if !event.readable {
            return;
        }
        loop {
            let connection = &mut self.connections[event.token];
            if connection.is_closed {
                return;
            }
            let count = match connection.socket.read(&mut self.buffer) {
                Ok(count) if count > 0 => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                _ => return self.fail(event.token),
            };
            match connection.end.feed(&self.buffer[..count]) {
                Progress::More => {}
                Progress::Done { ok } => self.complete(event.token, ok),
                Progress::Broken => return self.fail(event.token),
            }
            if count < self.buffer.len() {
                return;
            }
        }
    }

    fn complete(&mut self, token: usize, ok: bool) {
        if let Some(due) = self.connections[token].due.take() {
            self.latencies.record(due.elapsed());
        }
        match ok {
            true => self.report.completed += 1,
            false => self.report.errors += 1,
        }
        self.resting.push_back(token);
    }

    /// Counts a lost connection. It is not opened again: in a fair comparison there are none.
    fn fail(&mut self, token: usize) {
        let connection = &mut self.connections[token];
        connection.due = None;
        connection.is_closed = true;
        self.report.errors += 1;
    }
}

impl Schedule {
    fn start(rate: u32) -> Outcome<Schedule> {
        let interval = Duration::from_secs(1) / rate.max(1);
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let every = Timespec::try_from(interval)?;
        timerfd_settime(
            &timer,
            TimerfdTimerFlags::empty(),
            &Itimerspec { it_interval: every, it_value: every },
        )?;
        Ok(Schedule { timer, start: Instant::now(), interval, due_count: 0, sent_count: 0 })
    }

    /// Adds what has fallen due since the last tick.
    fn tick(&mut self) -> io::Result<()> {
        let mut count = [0; 8];
        match rustix::io::read(&self.timer, &mut count) {
            Ok(_) => self.due_count += u64::from_ne_bytes(count),
            Err(rustix::io::Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn due_at(&self, index: u64) -> Instant {
        let nanos = self.interval.as_nanos() as u64;
        self.start + Duration::from_nanos(nanos.saturating_mul(index + 1))
    }
}
