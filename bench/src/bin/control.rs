//! `bench-control --addr IP:PORT --origin IP:PORT`: the least a proxy can do, as the floor of every comparison.
//!
//! One thread, edge-triggered epoll, keep-alive on both sides, a stack of idle upstream connections: two reads and
//! two writes per request. It forwards bytes as they are and knows only where a message ends; requests without a
//! body, responses with `Content-Length`. Anything else closes both sides.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use towpath_bench::Outcome;
use towpath_bench::args::Args;
use towpath_bench::poller::{Poller, Ready};
use towpath_bench::wire::{BUFFER_BYTES, Progress, ResponseEnd, head_end};

const LISTENER: usize = usize::MAX;

struct Relay {
    poller: Poller,
    listener: TcpListener,
    origin: SocketAddr,
    sides: Vec<Option<Side>>,
    vacant: Vec<usize>,
    /// Closed in this turn: a slot is used again only when no event of the turn can mean its former owner.
    closed: Vec<usize>,
    /// Upstream connections without an exchange; the warmest is last.
    idle: Vec<usize>,
    buffer: Vec<u8>,
}

/// One connection, to a client or to the origin.
struct Side {
    socket: TcpStream,
    role: Role,
    /// The other side of the exchange in progress.
    partner: Option<usize>,
    /// Bytes the socket had no room for.
    unsent: Vec<u8>,
}

enum Role {
    /// Holds a request head that has not arrived completely.
    Client(Vec<u8>),
    Upstream(ResponseEnd),
}

fn main() -> Outcome<()> {
    let mut args = Args::from_env()?;
    let address: SocketAddr = args.take("addr")?.ok_or("--addr IP:PORT is needed")?;
    let origin: SocketAddr = args.take("origin")?.ok_or("--origin IP:PORT is needed")?;
    args.finish()?;
    Relay::bind(address, origin)?.run()
}

impl Relay {
    fn bind(address: SocketAddr, origin: SocketAddr) -> Outcome<Relay> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let poller = Poller::new()?;
        poller.add(&listener, LISTENER)?;
        let buffer = vec![0; BUFFER_BYTES];
        let (sides, vacant, closed, idle) = (vec![], vec![], vec![], vec![]);
        Ok(Relay { poller, listener, origin, sides, vacant, closed, idle, buffer })
    }

    fn run(mut self) -> Outcome<()> {
        let mut ready = Vec::new();
        loop {
            self.poller.wait(&mut ready, None)?;
            for event in ready.drain(..) {
                self.handle(event)?;
            }
            self.vacant.append(&mut self.closed);
        }
    }

    fn handle(&mut self, event: Ready) -> Outcome<()> {
        if event.token == LISTENER {
            return Ok(self.accept()?);
        }
        if self.turn(event).is_err() {
            self.close(event.token);
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((socket, _)) => self.admit(socket, Role::Client(Vec::new())).map(drop)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn admit(&mut self, socket: TcpStream, role: Role) -> io::Result<usize> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let token = self.vacant.pop().unwrap_or_else(|| {
            self.sides.push(None);
            self.sides.len() - 1
        });
        self.poller.add(&socket, token)?;
        self.sides[token] = Some(Side { socket, role, partner: None, unsent: Vec::new() });
        Ok(token)
    }

    fn close(&mut self, token: usize) {
        let Some(side) = self.sides[token].take() else { return };
        self.closed.push(token);
        self.idle.retain(|&idle| idle != token);
        if let Some(partner) = side.partner {
            self.close(partner);
        }
    }

    /// Handles one edge of one side. Any error closes the exchange.
    fn turn(&mut self, event: Ready) -> io::Result<()> {
        let Some(side) = self.sides[event.token].as_mut() else { return Ok(()) };
        if event.writable && !side.unsent.is_empty() {
            let rest = std::mem::take(&mut side.unsent);
            side.send(&rest)?;
        }
        if !event.readable {
            return Ok(());
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let outcome = self.drain(event.token, &mut buffer);
        self.buffer = buffer;
        outcome
    }

    /// Reads until a short read: only a full buffer says that more may be waiting.
    fn drain(&mut self, token: usize, buffer: &mut [u8]) -> io::Result<()> {
        loop {
            let Some(side) = self.sides[token].as_mut() else { return Ok(()) };
            let count = match side.socket.read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            self.forward(token, &buffer[..count])?;
            if count < buffer.len() {
                return Ok(());
            }
        }
    }

    fn forward(&mut self, token: usize, bytes: &[u8]) -> io::Result<()> {
        let Some(side) = self.sides[token].as_mut() else { return Ok(()) };
        match &mut side.role {
            Role::Client(partial) if partial.is_empty() && head_end(bytes) == Some(bytes.len()) => {
                self.request(token, bytes)
            }
            Role::Client(partial) => {
                partial.extend_from_slice(bytes);
                match head_end(partial) {
                    None => Ok(()),
                    Some(end) if end == partial.len() => {
                        let whole = std::mem::take(partial);
                        self.request(token, &whole)
                    }
                    // A second request behind the first: no generator of ours sends one.
                    Some(_) => Err(ErrorKind::InvalidData.into()),
                }
            }
            Role::Upstream(_) => self.response(token, bytes),
        }
    }

    fn request(&mut self, client: usize, bytes: &[u8]) -> io::Result<()> {
        let upstream = match self.idle.pop() {
            Some(upstream) => upstream,
            None => self.admit(TcpStream::connect(self.origin)?, Role::Upstream(ResponseEnd::default()))?,
        };
        self.pair(client, Some(upstream));
        self.pair(upstream, Some(client));
        self.send(upstream, bytes)
    }

    fn response(&mut self, upstream: usize, bytes: &[u8]) -> io::Result<()> {
        let Some(side) = self.sides[upstream].as_mut() else { return Ok(()) };
        let Some(client) = side.partner else { return Err(ErrorKind::InvalidData.into()) };
        let Role::Upstream(end) = &mut side.role else { return Ok(()) };
        let progress = end.feed(bytes);
        self.send(client, bytes)?;
        match progress {
            Progress::More => Ok(()),
            Progress::Broken => Err(ErrorKind::InvalidData.into()),
            Progress::Done { .. } => {
                self.pair(client, None);
                self.pair(upstream, None);
                self.idle.push(upstream);
                Ok(())
            }
        }
    }

    fn pair(&mut self, token: usize, partner: Option<usize>) {
        if let Some(side) = self.sides[token].as_mut() {
            side.partner = partner;
        }
    }

    fn send(&mut self, token: usize, bytes: &[u8]) -> io::Result<()> {
        match self.sides[token].as_mut() {
            Some(side) => side.send(bytes),
            None => Ok(()),
        }
    }
}

impl Side {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(bytes);
            return Ok(());
        }
        let sent = match self.socket.write(bytes) {
            Ok(sent) => sent,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        self.unsent.extend_from_slice(&bytes[sent..]);
        Ok(())
    }
}
