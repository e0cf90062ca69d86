//! `bench-load --addr IP:PORT --connections N --seconds S [--rate R] [--trust CERTIFICATE.pem]` and one of
//! `--path /128` (HTTP/1.1 keep-alive), `--echo 64` (a message and its echo), `--fresh 64` (the same on a new connection
//! each time, which the far side closes), `--datagram 64` (a message and its echo over UDP), `--ws 128` (the same over
//! WebSocket), `--handshake full|resumed` (TLS on a new connection each time, which the far side closes when it was told
//! that it may). With a certificate to trust, TCP carries TLS.
//!
//! Without a rate every connection always has one request in flight (closed loop: throughput is meaningful, latency
//! is not). With a rate, requests fall due on a clock whether or not earlier ones were answered (open loop), and
//! latency counts from the moment a request was due. How it talks with the driver: see `generator`.
#![expect(clippy::print_stdout, reason = "its standard output is how it answers the driver")]

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

use towpath_bench::Outcome;
use towpath_bench::args::Args;
use towpath_bench::channel::Channel;
use towpath_bench::client::Stream;
use towpath_bench::generator::Report;
use towpath_bench::histogram::Histogram;
use towpath_bench::poller::{Poller, Ready};
use towpath_bench::schedule::Schedule;
use towpath_bench::secure::{Client, Handshake, Resume};
use towpath_bench::wire::{BUFFER_BYTES, EchoEnd, Progress, ResponseEnd};
use towpath_bench::{far, ws};

const TICKER: usize = usize::MAX;
/// Long enough to fill pools and warm caches; the figures of a first second are not those of the second.
const WARM_UP: Duration = Duration::from_millis(300);
/// A response that has not come this long after the last request counts as an error.
const STRAGGLERS: Duration = Duration::from_secs(5);

struct Load {
    address: SocketAddr,
    kind: Kind,
    client: Option<Client>,
    poller: Poller,
    connections: Vec<Connection>,
    request: Vec<u8>,
    buffer: Vec<u8>,
    /// Connections without a request in flight, the one that rested longest first.
    resting: VecDeque<usize>,
    report: Report,
    latencies: Histogram,
}

/// What is sent and how its answer ends.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Http { path: String },
    Echo { bytes: usize },
    Fresh { bytes: usize },
    Datagram { bytes: usize },
    WebSocket { bytes: usize },
    Handshake(HandshakeKind),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HandshakeKind {
    Full,
    Resumed,
}

enum End {
    Http(ResponseEnd),
    Echo(EchoEnd),
    /// Whether it was of the wanted kind, once it is over.
    Handshake(Option<bool>),
}

struct Connection {
    channel: Channel,
    end: End,
    /// When the request in flight was due.
    due: Option<Instant>,
    is_closed: bool,
}

fn main() -> Outcome<()> {
    let mut args = Args::from_env()?;
    let address: SocketAddr = args.take("addr")?.ok_or("--addr IP:PORT is needed")?;
    let kind = Kind::take(&mut args)?;
    let connections: usize = args.take("connections")?.unwrap_or(64);
    let seconds: f64 = args.take("seconds")?.unwrap_or(2.0);
    let rate: Option<u32> = args.take("rate")?;
    let trust: Option<PathBuf> = args.take("trust")?;
    args.finish()?;

    let client = trust.map(|trust| Client::new(&trust, kind.resume())).transpose()?;
    let mut load = Load::connect(address, kind, client, connections)?;
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

impl Kind {
    fn take(args: &mut Args) -> Outcome<Kind> {
        if let Some(bytes) = args.take("echo")? {
            return Ok(Kind::Echo { bytes });
        }
        if let Some(bytes) = args.take("fresh")? {
            return Ok(Kind::Fresh { bytes });
        }
        if let Some(bytes) = args.take("datagram")? {
            return Ok(Kind::Datagram { bytes });
        }
        if let Some(bytes) = args.take("ws")? {
            return Ok(Kind::WebSocket { bytes });
        }
        if let Some(kind) = args.take("handshake")? {
            return Ok(Kind::Handshake(kind));
        }
        Ok(Kind::Http { path: args.take("path")?.unwrap_or_else(|| "/128".to_owned()) })
    }

    fn request(&self) -> Vec<u8> {
        match self {
            Kind::Http { path } => {
                format!("GET {path} HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
                    .into_bytes()
            }
            Kind::Echo { bytes } | Kind::Datagram { bytes } => vec![far::ECHO; *bytes],
            Kind::Fresh { bytes } => vec![far::ECHO_ONCE; *bytes],
            Kind::WebSocket { bytes } => ws::message(*bytes),
            // What is sent first, be it nothing, begins a handshake.
            Kind::Handshake(_) => vec![],
        }
    }

    fn resume(&self) -> Resume {
        match self {
            Kind::Handshake(HandshakeKind::Resumed) => Resume::Always,
            _ => Resume::Never,
        }
    }

    fn end(&self) -> End {
        match self {
            Kind::Http { .. } => End::Http(ResponseEnd::default()),
            Kind::Echo { bytes } | Kind::Fresh { bytes } | Kind::Datagram { bytes } => {
                End::Echo(EchoEnd::new(*bytes))
            }
            Kind::WebSocket { bytes } => End::Echo(EchoEnd::new(ws::echo_bytes(*bytes))),
            Kind::Handshake(_) => End::Handshake(None),
        }
    }

    /// A connection that is ready for its first request.
    fn dial(&self, address: SocketAddr, client: Option<&Client>) -> Outcome<Channel> {
        if matches!(self, Kind::Datagram { .. }) {
            let socket = UdpSocket::bind((address.ip(), 0))?;
            socket.connect(address)?;
            socket.set_nonblocking(true)?;
            return Ok(Channel::Clear(socket.into()));
        }
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        if matches!(self, Kind::Handshake(_)) {
            return Channel::before_handshake(client.ok_or("a handshake needs --trust")?, socket);
        }
        let mut stream = Stream::begin(socket, client)?;
        if matches!(self, Kind::WebSocket { .. }) {
            ws::open(&mut stream)?;
        }
        Channel::from_blocking(stream)
    }

    /// The connection's end, not the last byte, completes an exchange.
    fn ends_with_close(&self) -> bool {
        matches!(self, Kind::Fresh { .. } | Kind::Handshake(_))
    }
}

impl FromStr for HandshakeKind {
    type Err = String;

    fn from_str(text: &str) -> Result<HandshakeKind, String> {
        match text {
            "full" => Ok(HandshakeKind::Full),
            "resumed" => Ok(HandshakeKind::Resumed),
            other => Err(format!("no handshake {other:?}")),
        }
    }
}

impl End {
    fn feed(&mut self, bytes: &[u8]) -> Progress {
        match self {
            End::Http(end) => end.feed(bytes),
            End::Echo(end) => end.feed(bytes),
            End::Handshake(_) => Progress::Broken,
        }
    }

    /// What ends with the connection has done what it was meant to.
    fn is_complete(&self) -> bool {
        match self {
            End::Http(_) => false,
            End::Echo(end) => end.completed() == 1,
            End::Handshake(outcome) => *outcome == Some(true),
        }
    }
}

impl Load {
    fn connect(address: SocketAddr, kind: Kind, client: Option<Client>, count: usize) -> Outcome<Load> {
        let poller = Poller::new()?;
        let mut connections = Vec::with_capacity(count);
        for token in 0..count {
            let channel = kind.dial(address, client.as_ref())?;
            poller.add(&channel, token)?;
            connections.push(Connection { channel, end: kind.end(), due: None, is_closed: false });
        }
        Ok(Load {
            address,
            request: kind.request(),
            kind,
            client,
            poller,
            connections,
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
        match connection.channel.send(&self.request) {
            true => connection.due = Some(due),
            false => self.fail(token),
        }
    }

    fn receive(&mut self, event: Ready) {
        if !event.readable {
            return;
        }
        if let Kind::Handshake(kind) = self.kind {
            return self.shake(event.token, kind);
        }
        loop {
            let connection = &mut self.connections[event.token];
            if connection.is_closed {
                return;
            }
            let count = match connection.channel.receive(&mut self.buffer) {
                Ok(0) if self.kind.ends_with_close() => return self.closed(event.token),
                Ok(count) if count > 0 => count,
                Err(rustix::io::Errno::AGAIN) => return,
                _ => return self.fail(event.token),
            };
            match connection.end.feed(&self.buffer[..count]) {
                Progress::More => {}
                // Its end completes it: counted there.
                Progress::Done { .. } if self.kind.ends_with_close() => {}
                Progress::Done { ok } => self.complete(event.token, ok),
                Progress::Broken => return self.fail(event.token),
            }
            let is_short = count < self.buffer.len();
            let connection = &self.connections[event.token];
            if is_short && connection.channel.is_emptied_by_short_read() && !self.kind.ends_with_close() {
                return;
            }
        }
    }

    /// Goes on with a handshake, says goodbye when it is over and waits for the far side to close.
    fn shake(&mut self, token: usize, kind: HandshakeKind) {
        let connection = &mut self.connections[token];
        let Channel::Secure(secure) = &mut connection.channel else { return };
        if connection.is_closed || connection.due.is_none() {
            return;
        }
        if matches!(connection.end, End::Handshake(None)) {
            match secure.shake() {
                Ok(Handshake::Waits) => return,
                Ok(Handshake::Done { is_resumed }) => {
                    connection.end = End::Handshake(Some(is_resumed == (kind == HandshakeKind::Resumed)));
                    secure.say_goodbye();
                }
                Err(_) => return self.fail(token),
            }
        }
        if secure.receive(&mut self.buffer) != Err(rustix::io::Errno::AGAIN) {
            self.closed(token);
        }
    }

    /// The far side has closed: the exchange is complete if its answer was, and the next needs a new connection.
    fn closed(&mut self, token: usize) {
        let is_complete = self.connections[token].end.is_complete();
        let renewed = self.kind.dial(self.address, self.client.as_ref()).and_then(|channel| {
            self.poller.add(&channel, token)?;
            Ok(channel)
        });
        match renewed {
            Ok(channel) => {
                self.connections[token].channel = channel;
                self.connections[token].end = self.kind.end();
                self.complete(token, is_complete);
            }
            Err(_) => self.fail(token),
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
