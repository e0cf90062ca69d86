//! A blocking client for the benches that count instead of hurrying.

use std::io::{self, Error, ErrorKind, Read, Write};
use std::net::TcpStream;

use crate::Outcome;
use crate::secure::{Client, Secure};
use crate::wire::{Progress, ResponseEnd};

/// The request every connection sends: the same size of head as the load generator's.
pub const REQUEST: &[u8] =
    b"GET /128 HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";

/// Sends one request and reads its response to the end.
///
/// # Errors
/// The connection broke, or the answer was not a complete 200.
pub fn ask(stream: &mut TcpStream, buffer: &mut [u8]) -> Outcome<()> {
    exchange(stream, REQUEST, buffer)
}

/// The same for another path.
///
/// # Errors
/// As [`ask`].
pub fn ask_for(stream: &mut TcpStream, path: &str, buffer: &mut [u8]) -> Outcome<()> {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n");
    exchange(stream, request.as_bytes(), buffer)
}

fn exchange(stream: &mut TcpStream, request: &[u8], buffer: &mut [u8]) -> Outcome<()> {
    stream.write_all(request)?;
    let mut end = ResponseEnd::default();
    loop {
        let count = stream.read(buffer)?;
        if count == 0 {
            return Err(Error::from(ErrorKind::UnexpectedEof).into());
        }
        match end.feed(&buffer[..count]) {
            Progress::More => {}
            Progress::Done { ok: true } => return Ok(()),
            other => return Err(format!("the answer was {other:?}").into()),
        }
    }
}

/// A blocking connection, in clear text or TLS.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Clear(TcpStream),
    /// TLS whose handshake is done.
    Secure(Box<Secure>),
}

impl Stream {
    /// TLS over `socket` where there is a client for it.
    ///
    /// # Errors
    /// The handshake failed.
    pub fn begin(socket: TcpStream, client: Option<&Client>) -> Outcome<Stream> {
        match client {
            None => Ok(Stream::Clear(socket)),
            Some(client) => Ok(Stream::Secure(Box::new(client.connect(socket)?))),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Clear(socket) => socket.read(buffer),
            Stream::Secure(secure) => secure.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Clear(socket) => socket.write(bytes),
            Stream::Secure(secure) => secure.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Clear(socket) => socket.flush(),
            Stream::Secure(secure) => Write::flush(&mut **secure),
        }
    }
}
