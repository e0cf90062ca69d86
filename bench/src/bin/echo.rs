//! `bench-echo --model threads|threads-64k|epoll --addr IP:PORT [--memory-mib 2048]`: one echo service, written in each
//! of the ways that tutorials compare.
//!
//! A further model (an io_uring loop, should the gateway keep one) is a further member of [`Model`] and a further
//! function beside [`threads`] and [`epoll`]; the driver finds it by its name.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::str::FromStr;
use std::thread;

use rustix::net::{AddressFamily, SocketType, bind, listen, socket, sockopt};
use rustix::process::{Resource, Rlimit, setrlimit};
use towpath_bench::Outcome;
use towpath_bench::args::Args;
use towpath_bench::poller::Poller;

const BACKLOG: i32 = 4_096;
const LISTENER: usize = usize::MAX;
const READ_BYTES: usize = 4_096;
/// Room for the frames of a thread that only echoes.
const SMALL_STACK_BYTES: usize = 64 * 1024;

/// How the service is built.
#[derive(Debug, Clone, Copy)]
enum Model {
    /// A thread for each connection, blocking, with the standard library's stack of 2 MiB.
    Threads,
    /// The same with small stacks.
    SmallThreads,
    /// A loop for each core it may run on, each with a listener of its own.
    Epoll,
}

impl FromStr for Model {
    type Err = String;

    fn from_str(text: &str) -> Result<Model, String> {
        match text {
            "threads" => Ok(Model::Threads),
            "threads-64k" => Ok(Model::SmallThreads),
            "epoll" => Ok(Model::Epoll),
            other => Err(format!("no model {other:?}")),
        }
    }
}

fn main() -> Outcome<()> {
    let mut args = Args::from_env()?;
    let model: Model = args.take("model")?.ok_or("--model is needed")?;
    let address: SocketAddr = args.take("addr")?.ok_or("--addr IP:PORT is needed")?;
    let memory: Option<u64> = args.take("memory-mib")?;
    args.finish()?;
    if let Some(bytes) = memory.map(|mib| mib << 20) {
        setrlimit(Resource::As, Rlimit { current: Some(bytes), maximum: Some(bytes) })?;
    }
    match model {
        Model::Threads => threads(address, thread::Builder::new),
        Model::SmallThreads => threads(address, || thread::Builder::new().stack_size(SMALL_STACK_BYTES)),
        Model::Epoll => {
            let cores = thread::available_parallelism()?.get();
            let loops: Vec<_> = (1..cores).map(|_| thread::spawn(move || epoll(address).is_ok())).collect();
            epoll(address)?;
            loops.into_iter().for_each(|each| drop(each.join()));
            Ok(())
        }
    }
}

/// A listener that shares its port with those of the other loops.
fn listener(address: SocketAddr) -> Outcome<TcpListener> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

fn threads(address: SocketAddr, builder: impl Fn() -> thread::Builder) -> Outcome<()> {
    let listener = listener(address)?;
    loop {
        let (socket, _) = listener.accept()?;
        // A connection for which there is no thread is closed; its client counts that.
        let _ = builder().spawn(move || echo_until_end(socket));
    }
}

fn echo_until_end(mut socket: TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut buffer = [0; READ_BYTES];
    loop {
        match socket.read(&mut buffer)? {
            0 => return Ok(()),
            count => socket.write_all(&buffer[..count])?,
        }
    }
}

fn epoll(address: SocketAddr) -> Outcome<()> {
    let listener = listener(address)?;
    listener.set_nonblocking(true)?;
    let mut poller = Poller::new()?;
    poller.add(&listener, LISTENER)?;
    let (mut sockets, mut vacant, mut ready) = (Vec::new(), Vec::new(), Vec::new());
    let mut buffer = [0; READ_BYTES];
    loop {
        poller.wait(&mut ready, None)?;
        for event in ready.drain(..) {
            if event.token == LISTENER {
                accept(&listener, &poller, &mut sockets, &mut vacant)?;
                continue;
            }
            let Some(socket) = sockets[event.token].as_mut() else { continue };
            if !event.readable {
                continue;
            }
            if !matches!(echo_what_came(socket, &mut buffer), Ok(true)) {
                sockets[event.token] = None;
                vacant.push(event.token);
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    poller: &Poller,
    sockets: &mut Vec<Option<TcpStream>>,
    vacant: &mut Vec<usize>,
) -> Outcome<()> {
    loop {
        let socket = match listener.accept() {
            Ok((socket, _)) => socket,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let token = vacant.pop().unwrap_or_else(|| {
            sockets.push(None);
            sockets.len() - 1
        });
        poller.add(&socket, token)?;
        sockets[token] = Some(socket);
    }
}

/// Handles one edge; false when the connection is over. A message is far smaller than a socket's buffer, so that a
/// short write means a client that does not read: it loses its connection.
fn echo_what_came(socket: &mut TcpStream, buffer: &mut [u8]) -> io::Result<bool> {
    loop {
        let count = match socket.read(buffer) {
            Ok(0) => return Ok(false),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error),
        };
        socket.write_all(&buffer[..count])?;
        if count < buffer.len() {
            return Ok(true);
        }
    }
}
