//! Servers that say back what they hear, and the clients that ask them.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use crate::common::{PATIENCE, eventually};

/// A stream whose directions end one by one.
pub(crate) trait HalfClose: Read + Write {
    fn end_writing(&self);
}

impl HalfClose for TcpStream {
    fn end_writing(&self) {
        self.shutdown(Shutdown::Write).unwrap();
    }
}

impl HalfClose for UnixStream {
    fn end_writing(&self) {
        self.shutdown(Shutdown::Write).unwrap();
    }
}

/// Says each piece back as it comes; at the end of what it hears it says `end` and closes.
fn answer(mut stream: impl HalfClose) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
    let _ = stream.write_all(b"end");
}

/// An echo server that ends with the test process.
pub(crate) fn tcp() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(|| answer(stream));
        }
    });
    address
}

/// The same at a path.
pub(crate) fn unix(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(|| answer(stream));
        }
    });
}

/// Says each datagram back to who sent it.
pub(crate) fn udp() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 64 * 1024];
        while let Ok((count, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..count], from);
        }
    });
    address
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Whether a client is gone before anything was said. A reset may come before its `connect` has returned.
pub(crate) fn is_cut_off(address: SocketAddr) -> bool {
    match TcpStream::connect(address) {
        Err(fault) => fault.kind() == ErrorKind::ConnectionReset,
        Ok(mut stream) => {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            match stream.read(&mut [0]) {
                Ok(count) => count == 0,
                Err(fault) => fault.kind() == ErrorKind::ConnectionReset,
            }
        }
    }
}

pub(crate) fn connect_unix(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends `text` and reads it back.
#[track_caller]
pub(crate) fn say(stream: &mut (impl Read + Write), text: &str) {
    stream.write_all(text.as_bytes()).unwrap();
    let mut heard = vec![0; text.len()];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(String::from_utf8_lossy(&heard), text);
}

/// Ends its own direction and reads what is still to come.
pub(crate) fn finish(mut stream: impl HalfClose) -> String {
    stream.end_writing();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    rest
}

/// A client of a UDP listener.
pub(crate) fn talk_to(address: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE / 100)).unwrap();
    socket
}

/// Sends a datagram until its answer comes: datagrams may be lost.
#[track_caller]
pub(crate) fn ask(socket: &UdpSocket, text: &str) {
    let mut buffer = [0; 64 * 1024];
    eventually("the answer to a datagram", || {
        socket.send(text.as_bytes()).ok()?;
        let count = socket.recv(&mut buffer).ok()?;
        (buffer.get(..count)? == text.as_bytes()).then_some(())
    });
}
