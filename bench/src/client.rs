//! A blocking client for the benches that count instead of hurrying.

use std::io::{Error, ErrorKind, Read, Write};
use std::net::TcpStream;

use crate::Outcome;
use crate::wire::{Progress, ResponseEnd};

/// The request every connection sends: the same size of head as the load generator's.
pub const REQUEST: &[u8] =
    b"GET /128 HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";

/// Sends one request and reads its response to the end.
///
/// # Errors
/// The connection broke, or the answer was not a complete 200.
pub fn ask(stream: &mut TcpStream, buffer: &mut [u8]) -> Outcome<()> {
    stream.write_all(REQUEST)?;
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
