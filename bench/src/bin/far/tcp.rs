//! The far side of TCP: one thread, edge-triggered, a state per connection.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use towpath_bench::Outcome;
use towpath_bench::far::{ECHO_ONCE, OPENING, SINK, SOURCE, number_at};
use towpath_bench::poller::{Poller, Ready};
use towpath_bench::wire::head_end;
use towpath_bench::ws;

/// Listeners have the highest tokens.
const FIRST_LISTENER: usize = usize::MAX - 255;
/// What one send of a flood offers the kernel.
const FLOOD_BYTES: usize = 256 * 1024;
/// Sends or reads of one connection in one turn; then the others have theirs.
const STEPS_PER_TURN_MAX: usize = 16;

pub(crate) struct Far {
    poller: Poller,
    listeners: Vec<TcpListener>,
    connections: Vec<Option<Connection>>,
    vacant: Vec<usize>,
    /// Had more to do than one turn allows.
    again: Vec<usize>,
    buffer: Vec<u8>,
}

struct Connection {
    socket: TcpStream,
    task: Task,
    /// An echo the socket had no room for.
    unsent: Vec<u8>,
}

enum Task {
    /// The first bytes say it; a header may arrive in pieces.
    ExpectKind(Vec<u8>),
    Echo,
    /// Sends every message back; holds one that has not arrived completely.
    WebSocket(Vec<u8>),
    /// Sends so many bytes more, then closes.
    Source(u64),
    /// Swallows so many bytes more, then says so.
    Sink(u64),
    /// Nothing more will be done for this connection but to notice its end.
    ExpectEnd,
}

/// How a step of a connection ended.
#[derive(PartialEq, Eq)]
enum Step {
    /// There may be more to do at once.
    Again,
    /// The next edge tells.
    Wait,
    Close,
}

impl Far {
    pub(crate) fn bind(addresses: &[SocketAddr]) -> Outcome<Far> {
        let poller = Poller::new()?;
        let mut listeners = Vec::new();
        for (index, address) in addresses.iter().enumerate() {
            let listener = TcpListener::bind(address)?;
            // The standard library's backlog is too short for thousands of connections at once.
            rustix::net::listen(&listener, 4_096)?;
            listener.set_nonblocking(true)?;
            poller.add(&listener, FIRST_LISTENER + index)?;
            listeners.push(listener);
        }
        let buffer = vec![b'x'; FLOOD_BYTES];
        Ok(Far { poller, listeners, connections: vec![], vacant: vec![], again: vec![], buffer })
    }

    pub(crate) fn run(mut self) -> Outcome<()> {
        let mut ready = Vec::new();
        loop {
            let timeout = (!self.again.is_empty()).then_some(Duration::ZERO);
            self.poller.wait(&mut ready, timeout)?;
            for token in std::mem::take(&mut self.again) {
                self.turn(token);
            }
            for event in ready.drain(..) {
                self.handle(event)?;
            }
        }
    }

    fn handle(&mut self, event: Ready) -> Outcome<()> {
        match event.token.checked_sub(FIRST_LISTENER) {
            Some(index) => self.accept(index),
            None => {
                self.turn(event.token);
                Ok(())
            }
        }
    }

    fn accept(&mut self, index: usize) -> Outcome<()> {
        loop {
            match self.listeners[index].accept() {
                Ok((socket, _)) => self.admit(socket)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn admit(&mut self, socket: TcpStream) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let token = self.vacant.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        self.poller.add(&socket, token)?;
        self.connections[token] = Some(Connection { socket, task: Task::ExpectKind(vec![]), unsent: vec![] });
        Ok(())
    }

    fn turn(&mut self, token: usize) {
        let Some(connection) = self.connections[token].as_mut() else { return };
        for _ in 0..STEPS_PER_TURN_MAX {
            match connection.step(&mut self.buffer) {
                Ok(Step::Again) => {}
                Ok(Step::Wait) => return,
                Ok(Step::Close) | Err(_) => {
                    self.connections[token] = None;
                    self.vacant.push(token);
                    return;
                }
            }
        }
        self.again.push(token);
    }
}

impl Connection {
    fn step(&mut self, buffer: &mut [u8]) -> Result<Step, Errno> {
        if !self.unsent.is_empty() {
            let rest = std::mem::take(&mut self.unsent);
            self.send(&rest)?;
        }
        match self.task {
            Task::Source(left) => self.flood(left, buffer),
            Task::Sink(left) => self.swallow(left, buffer),
            _ => self.read(buffer),
        }
    }

    fn flood(&mut self, left: u64, buffer: &[u8]) -> Result<Step, Errno> {
        let piece = &buffer[..left.min(buffer.len() as u64) as usize];
        let sent = match send(&self.socket, piece, SendFlags::NOSIGNAL) {
            Err(Errno::AGAIN) => return Ok(Step::Wait),
            sent => sent? as u64,
        };
        self.task = Task::Source(left - sent);
        Ok(if sent == left { Step::Close } else { Step::Again })
    }

    /// Reads without a copy: the kernel drops the bytes, as the far side's work is not what is measured.
    fn swallow(&mut self, left: u64, buffer: &mut [u8]) -> Result<Step, Errno> {
        let wanted = left.min(buffer.len() as u64) as usize;
        let count = match recv(&self.socket, &mut buffer[..wanted], RecvFlags::TRUNC) {
            Err(Errno::AGAIN) => return Ok(Step::Wait),
            count => count?.1 as u64,
        };
        match (count, left - count) {
            (0, _) => return Ok(Step::Close),
            (_, 0) => {
                send(&self.socket, &[SINK], SendFlags::NOSIGNAL)?;
                self.task = Task::ExpectEnd;
            }
            (_, left) => self.task = Task::Sink(left),
        }
        Ok(Step::Again)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<Step, Errno> {
        let count = match rustix::io::read(&self.socket, &mut *buffer) {
            Ok(0) => return Ok(Step::Close),
            Err(Errno::AGAIN) => return Ok(Step::Wait),
            count => count?,
        };
        let came = &buffer[..count];
        match &mut self.task {
            Task::ExpectKind(partial) => {
                partial.extend_from_slice(came);
                let partial = std::mem::take(partial);
                self.choose(partial)
            }
            Task::Echo => {
                self.send(came)?;
                Ok(Step::Again)
            }
            Task::WebSocket(partial) => {
                let mut partial = std::mem::take(partial);
                partial.extend_from_slice(came);
                self.answer(partial)
            }
            Task::Source(_) | Task::Sink(_) | Task::ExpectEnd => Ok(Step::Again),
        }
    }

    fn choose(&mut self, partial: Vec<u8>) -> Result<Step, Errno> {
        let kind = partial[0];
        match (kind, number_at(&partial, 1)) {
            (SOURCE | SINK, None) => self.task = Task::ExpectKind(partial),
            (SOURCE, Some(length)) => self.task = Task::Source(length),
            // What came behind the header counts already.
            (SINK, Some(length)) => self.task = Task::Sink(length.saturating_sub(partial.len() as u64 - 9)),
            (OPENING, _) => match head_end(&partial) {
                None => self.task = Task::ExpectKind(partial),
                Some(end) => {
                    self.send(ws::ACCEPTANCE)?;
                    return self.answer(partial[end..].to_vec());
                }
            },
            (ECHO_ONCE, _) => {
                self.send(&partial)?;
                return Ok(Step::Close);
            }
            _ => {
                self.task = Task::Echo;
                self.send(&partial)?;
            }
        }
        Ok(Step::Again)
    }

    fn answer(&mut self, mut messages: Vec<u8>) -> Result<Step, Errno> {
        let mut echoes = Vec::new();
        if !ws::echo(&mut messages, &mut echoes) {
            return Ok(Step::Close);
        }
        self.task = Task::WebSocket(messages);
        self.send(&echoes)?;
        Ok(Step::Again)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(bytes);
            return Ok(());
        }
        let sent = match send(&self.socket, bytes, SendFlags::NOSIGNAL) {
            Err(Errno::AGAIN) => 0,
            sent => sent?,
        };
        self.unsent.extend_from_slice(&bytes[sent..]);
        Ok(())
    }
}
