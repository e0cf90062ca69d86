//! `bench-origin --addr IP:PORT`: answers `GET /N` and `GET /Nk` with as many bytes, as cheaply as a process can.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use towpath_bench::Outcome;
use towpath_bench::args::Args;
use towpath_bench::poller::{Poller, Ready};
use towpath_bench::wire::{BUFFER_BYTES, head_end};

const LISTENER: usize = usize::MAX;
/// No scenario asks for more; a mistyped path must not ask for a gigabyte.
const BODY_BYTES_MAX: usize = 1 << 20;

struct Origin {
    poller: Poller,
    listener: TcpListener,
    connections: Vec<Option<Connection>>,
    vacant: Vec<usize>,
    responses: HashMap<Vec<u8>, Vec<u8>>,
    buffer: Vec<u8>,
}

struct Connection {
    socket: TcpStream,
    /// A request head that has not arrived completely.
    partial: Vec<u8>,
    /// The rest of a response the socket had no room for.
    unsent: Vec<u8>,
}

fn main() -> Outcome<()> {
    let mut args = Args::from_env()?;
    let address: SocketAddr = args.take("addr")?.ok_or("--addr IP:PORT is needed")?;
    args.finish()?;
    Origin::bind(address)?.run()
}

impl Origin {
    fn bind(address: SocketAddr) -> Outcome<Origin> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let poller = Poller::new()?;
        poller.add(&listener, LISTENER)?;
        let buffer = vec![0; BUFFER_BYTES];
        Ok(Origin {
            poller,
            listener,
            connections: vec![],
            vacant: vec![],
            responses: HashMap::new(),
            buffer,
        })
    }

    fn run(mut self) -> Outcome<()> {
        let mut ready = Vec::new();
        loop {
            self.poller.wait(&mut ready, None)?;
            for event in ready.drain(..) {
                self.handle(event)?;
            }
        }
    }

    fn handle(&mut self, event: Ready) -> Outcome<()> {
        if event.token == LISTENER {
            return self.accept();
        }
        let Some(connection) = self.connections[event.token].as_mut() else { return Ok(()) };
        let served = serve(connection, &event, &mut self.buffer, &mut self.responses);
        if !matches!(served, Ok(true)) {
            self.connections[event.token] = None;
            self.vacant.push(event.token);
        }
        Ok(())
    }

    fn accept(&mut self) -> Outcome<()> {
        loop {
            match self.listener.accept() {
                Ok((socket, _)) => self.admit(socket)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
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
        self.connections[token] = Some(Connection { socket, partial: vec![], unsent: vec![] });
        Ok(())
    }
}

/// Handles one edge; false when the peer has closed.
fn serve(
    connection: &mut Connection,
    event: &Ready,
    buffer: &mut [u8],
    responses: &mut HashMap<Vec<u8>, Vec<u8>>,
) -> io::Result<bool> {
    if event.writable && !connection.unsent.is_empty() {
        let rest = std::mem::take(&mut connection.unsent);
        send(connection, &rest)?;
    }
    if !event.readable {
        return Ok(true);
    }
    loop {
        let count = match connection.socket.read(buffer) {
            Ok(0) => return Ok(false),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error),
        };
        answer(connection, &buffer[..count], responses)?;
        if count < buffer.len() {
            return Ok(true);
        }
    }
}

fn answer(
    connection: &mut Connection,
    came: &[u8],
    responses: &mut HashMap<Vec<u8>, Vec<u8>>,
) -> io::Result<()> {
    let mut partial = std::mem::take(&mut connection.partial);
    let mut bytes = came;
    if !partial.is_empty() {
        partial.extend_from_slice(came);
        bytes = &partial;
    }
    while let Some(end) = head_end(bytes) {
        let path = bytes.split(|&byte| byte == b' ').nth(1).unwrap_or_default();
        if !responses.contains_key(path) {
            responses.insert(path.to_vec(), response(path));
        }
        send(connection, &responses[path])?;
        bytes = &bytes[end..];
    }
    connection.partial = bytes.to_vec();
    Ok(())
}

fn send(connection: &mut Connection, bytes: &[u8]) -> io::Result<()> {
    if !connection.unsent.is_empty() {
        connection.unsent.extend_from_slice(bytes);
        return Ok(());
    }
    let sent = match connection.socket.write(bytes) {
        Ok(sent) => sent,
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        Err(error) => return Err(error),
    };
    connection.unsent.extend_from_slice(&bytes[sent..]);
    Ok(())
}

fn response(path: &[u8]) -> Vec<u8> {
    let Some(length) = body_bytes(path) else {
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec();
    };
    let head = "HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Type: text/plain\r\n";
    let mut bytes = format!("{head}Content-Length: {length}\r\n\r\n").into_bytes();
    bytes.resize(bytes.len() + length, b'x');
    bytes
}

fn body_bytes(path: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(path).ok()?.strip_prefix('/')?;
    let (digits, unit) = text.strip_suffix('k').map_or((text, 1), |digits| (digits, 1024));
    digits.parse::<usize>().ok()?.checked_mul(unit).filter(|&length| length <= BODY_BYTES_MAX)
}
