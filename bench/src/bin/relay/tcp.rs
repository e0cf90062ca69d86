//! TCP: a small read is copied through one buffer, a read that fills it starts splicing through a pipe.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SendFlags, SocketFlags, accept_with, send, sockopt};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use towpath_bench::Outcome;
use towpath_bench::poller::{Poller, Ready};

const LISTENER: usize = usize::MAX;
/// Break-even between a copy and two splices.
const BUFFER_BYTES: usize = 16 * 1024;
/// The most an unprivileged process gets by default.
const PIPE_BYTES: usize = 1 << 20;
/// Steps of one direction in one turn; then the others have theirs.
const STEPS_PER_TURN_MAX: usize = 16;

pub(crate) struct Relay {
    poller: Poller,
    listener: TcpListener,
    origins: Vec<SocketAddr>,
    next_origin: usize,
    sides: Vec<Option<Side>>,
    vacant: Vec<usize>,
    /// Closed in this turn: a slot is used again only when no event of the turn can mean its former owner.
    closed: Vec<usize>,
    /// Had more to do than one turn allows.
    again: Vec<usize>,
    work: Work,
}

/// What every direction borrows.
struct Work {
    buffer: Vec<u8>,
    /// Empty ones only.
    pipes: Vec<Pipe>,
}

/// One connection, and the direction that reads from it.
struct Side {
    socket: TcpStream,
    partner: usize,
    /// Bytes the partner had no room for.
    unsent: Vec<u8>,
    /// Held while it carries bytes.
    pipe: Option<Pipe>,
    is_splicing: bool,
    /// The poller has seen the end coming: a short read is not the last.
    is_ending: bool,
    /// The end has been read, and passed on.
    is_over: bool,
}

struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    bytes: usize,
}

/// How a step of a direction ended.
enum Step {
    /// There may be more to do at once.
    Again,
    /// The next edge tells.
    Wait,
    /// The source has ended and everything is delivered.
    Over,
}

impl Relay {
    pub(crate) fn bind(address: SocketAddr, origins: Vec<SocketAddr>) -> Outcome<Relay> {
        let listener = TcpListener::bind(address)?;
        rustix::net::listen(&listener, 4_096)?;
        listener.set_nonblocking(true)?;
        let poller = Poller::new()?;
        poller.add(&listener, LISTENER)?;
        let work = Work { buffer: vec![0; BUFFER_BYTES], pipes: vec![] };
        let (sides, vacant, closed, again) = (vec![], vec![], vec![], vec![]);
        Ok(Relay { poller, listener, origins, next_origin: 0, sides, vacant, closed, again, work })
    }

    pub(crate) fn run(mut self) -> Outcome<()> {
        let mut ready = Vec::new();
        loop {
            let timeout = (!self.again.is_empty()).then_some(Duration::ZERO);
            self.poller.wait(&mut ready, timeout)?;
            for token in std::mem::take(&mut self.again) {
                self.pump(token);
            }
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
        let Some(side) = self.sides[event.token].as_mut() else { return Ok(()) };
        let partner = side.partner;
        side.is_ending |= event.is_ended;
        if event.readable {
            self.pump(event.token);
        }
        if event.writable && self.sides[partner].as_ref().is_some_and(Side::is_pending) {
            self.pump(partner);
        }
        Ok(())
    }

    fn accept(&mut self) -> Result<(), Errno> {
        loop {
            match accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(client) => self.admit(client.into()),
                Err(Errno::AGAIN) => return Ok(()),
                // A client that has already gone, or no file left for it: the others go on.
                Err(Errno::CONNABORTED | Errno::MFILE | Errno::NFILE) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Connects to the next origin, which on loopback takes no waiting; a pair that cannot be made is dropped.
    fn admit(&mut self, client: TcpStream) {
        let origin = self.origins[self.next_origin];
        self.next_origin = (self.next_origin + 1) % self.origins.len();
        let Ok(upstream) = TcpStream::connect(origin) else { return };
        let (first, second) = (self.slot(), self.slot());
        for (socket, token, partner) in [(client, first, second), (upstream, second, first)] {
            let is_ready = socket.set_nonblocking(true).is_ok()
                && sockopt::set_tcp_nodelay(&socket, true).is_ok()
                && self.poller.add(&socket, token).is_ok();
            if is_ready {
                self.sides[token] = Some(Side::new(socket, partner));
            }
        }
        if self.sides[first].is_none() || self.sides[second].is_none() {
            self.close(first);
        }
    }

    fn slot(&mut self) -> usize {
        self.vacant.pop().unwrap_or_else(|| {
            self.sides.push(None);
            self.sides.len() - 1
        })
    }

    /// Moves bytes from `token` to its partner.
    fn pump(&mut self, token: usize) {
        let Some(mut side) = self.sides[token].take() else { return };
        let partner = side.partner;
        let outcome = match &self.sides[partner] {
            Some(target) => side.pump(&target.socket, &mut self.work),
            None => Err(Errno::PIPE),
        };
        self.sides[token] = Some(side);
        match outcome {
            Ok(Step::Again) => self.again.push(token),
            Ok(Step::Wait) => {}
            Ok(Step::Over) if self.sides[partner].as_ref().is_some_and(|side| !side.is_over) => {}
            Ok(Step::Over) | Err(_) => self.close(token),
        }
    }

    fn close(&mut self, token: usize) {
        let Some(side) = self.sides[token].take() else { return };
        self.closed.push(token);
        if let Some(pipe) = side.pipe.filter(|pipe| pipe.bytes == 0) {
            self.work.pipes.push(pipe);
        }
        self.close(side.partner);
    }
}

impl Side {
    fn new(socket: TcpStream, partner: usize) -> Side {
        Side {
            socket,
            partner,
            unsent: Vec::new(),
            pipe: None,
            is_splicing: false,
            is_ending: false,
            is_over: false,
        }
    }

    fn is_pending(&self) -> bool {
        !self.unsent.is_empty() || self.pipe.is_some()
    }

    fn pump(&mut self, target: &TcpStream, work: &mut Work) -> Result<Step, Errno> {
        for _ in 0..STEPS_PER_TURN_MAX {
            match self.step(target, work)? {
                Step::Again => {}
                other => return Ok(other),
            }
        }
        Ok(Step::Again)
    }

    fn step(&mut self, target: &TcpStream, work: &mut Work) -> Result<Step, Errno> {
        if self.is_over {
            return Ok(Step::Wait);
        }
        if !self.unsent.is_empty() {
            let rest = std::mem::take(&mut self.unsent);
            self.send(target, &rest)?;
            return Ok(if self.unsent.is_empty() { Step::Again } else { Step::Wait });
        }
        match self.pipe.take() {
            Some(pipe) if pipe.bytes > 0 => self.drain(pipe, target),
            held => match self.is_splicing {
                true => self.fill(held, target, work),
                false => self.copy(target, &mut work.buffer),
            },
        }
    }

    fn copy(&mut self, target: &TcpStream, buffer: &mut [u8]) -> Result<Step, Errno> {
        let count = match rustix::net::recv(&self.socket, &mut *buffer, rustix::net::RecvFlags::empty()) {
            Ok((_, 0)) => return Ok(self.end(target)),
            Err(Errno::AGAIN) => return Ok(Step::Wait),
            came => came?.1,
        };
        self.send(target, &buffer[..count])?;
        self.is_splicing = count == buffer.len();
        Ok(if self.is_splicing || self.is_ending { Step::Again } else { Step::Wait })
    }

    fn fill(&mut self, held: Option<Pipe>, target: &TcpStream, work: &mut Work) -> Result<Step, Errno> {
        let mut pipe = match held.or_else(|| work.pipes.pop()) {
            Some(pipe) => pipe,
            None => Pipe::open()?,
        };
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        match splice(&self.socket, None, &pipe.write, None, PIPE_BYTES, flags) {
            Ok(0) => {
                work.pipes.push(pipe);
                Ok(self.end(target))
            }
            Ok(count) => {
                pipe.bytes = count;
                self.pipe = Some(pipe);
                Ok(Step::Again)
            }
            Err(Errno::AGAIN) => {
                work.pipes.push(pipe);
                Ok(Step::Wait)
            }
            Err(error) => Err(error),
        }
    }

    fn drain(&mut self, mut pipe: Pipe, target: &TcpStream) -> Result<Step, Errno> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let drained = splice(&pipe.read, None, target, None, pipe.bytes, flags);
        if let Ok(count) = drained {
            pipe.bytes -= count;
        }
        self.pipe = Some(pipe);
        match drained {
            Ok(_) => Ok(Step::Again),
            Err(Errno::AGAIN) => Ok(Step::Wait),
            Err(error) => Err(error),
        }
    }

    fn end(&mut self, target: &TcpStream) -> Step {
        // The target may be gone already; its own read tells.
        let _ = target.shutdown(Shutdown::Write);
        self.is_over = true;
        Step::Over
    }

    fn send(&mut self, target: &TcpStream, bytes: &[u8]) -> Result<(), Errno> {
        let sent = match send(target, bytes, SendFlags::NOSIGNAL) {
            Err(Errno::AGAIN) => 0,
            sent => sent?,
        };
        self.unsent.extend_from_slice(&bytes[sent..]);
        Ok(())
    }
}

impl Pipe {
    fn open() -> Result<Pipe, Errno> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Beyond the user's allowance a pipe stays small, which still works.
        let _ = fcntl_setpipe_size(&write, PIPE_BYTES);
        Ok(Pipe { read, write, bytes: 0 })
    }
}
