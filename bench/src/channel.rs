//! A connection of the generator, in clear text or TLS, read and written without waiting.

use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use crate::Outcome;
use crate::client::Stream;
use crate::secure::{Client, Secure};

/// Either kind.
#[derive(Debug)]
pub enum Channel {
    /// A TCP or UDP socket.
    Clear(OwnedFd),
    /// TLS over TCP.
    Secure(Box<Secure>),
}

impl Channel {
    /// What a blocking stream is from now on.
    ///
    /// # Errors
    /// The socket refuses.
    pub fn from_blocking(stream: Stream) -> Outcome<Channel> {
        let channel = match stream {
            Stream::Clear(socket) => {
                socket.set_nonblocking(true)?;
                Channel::Clear(socket.into())
            }
            Stream::Secure(secure) => {
                secure.socket.set_nonblocking(true)?;
                Channel::Secure(secure)
            }
        };
        Ok(channel)
    }

    /// A connection whose handshake begins with what is sent first, be it nothing.
    ///
    /// # Errors
    /// The socket refuses.
    pub fn before_handshake(client: &Client, socket: TcpStream) -> Outcome<Channel> {
        socket.set_nonblocking(true)?;
        Ok(Channel::Secure(Box::new(Secure::over(client, socket)?)))
    }

    /// Sends all of `bytes`, which are few; false when the connection takes no more.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        match self {
            Channel::Clear(socket) => {
                matches!(rustix::io::write(socket, bytes), Ok(count) if count == bytes.len())
            }
            Channel::Secure(secure) => secure.send(bytes),
        }
    }

    /// As `read(2)` on a nonblocking socket.
    ///
    /// # Errors
    /// `AGAIN` when nothing has come.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Channel::Clear(socket) => rustix::io::read(socket, buffer),
            Channel::Secure(secure) => secure.receive(buffer),
        }
    }

    /// Whether a read that did not fill its buffer has emptied the connection: a record of TLS is less than a buffer.
    #[must_use]
    pub fn is_emptied_by_short_read(&self) -> bool {
        matches!(self, Channel::Clear(_))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Channel::Clear(socket) => socket.as_fd(),
            Channel::Secure(secure) => secure.socket.as_fd(),
        }
    }
}
