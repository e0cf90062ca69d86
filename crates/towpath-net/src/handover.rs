//! Listening sockets that outlive the process that serves on them: one process owns them and hands them to each that
//! serves in turn.
//!
//! ```text
//!   owner                                 server
//!     pair() ── inherited descriptor ──────> inherited()
//!     <────────────────────────── send() "listen 127.0.0.1:8080"
//!     listen(), send("ok …", socket) ──────> receive() ──> Binding::lent()
//!     <────────────────────────── send() "ready"
//! ```
//!
//! Passed is the socket itself, never its address alone: connections that wait in a socket are lost when it closes. What
//! the messages mean is for the two processes to agree on.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::fs::{FileType, fstat};
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg, sendmsg, socketpair,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A longer message is none of ours.
pub const MESSAGE_BYTES_MAX: usize = 512;

/// A message carries one socket.
const DESCRIPTORS_MAX: usize = 1;

/// A pair of ends that keep messages apart. Neither is inherited yet.
///
/// # Errors
/// Those of socketpair(2).
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Lets the next process that is started inherit `end`; the name by which that process finds it.
///
/// # Errors
/// Those of fcntl(2).
pub fn bequeath(end: BorrowedFd<'_>) -> io::Result<String> {
    use std::os::fd::AsRawFd;
    fcntl_setfd(end, fcntl_getfd(end)? - FdFlags::CLOEXEC)?;
    Ok(format!("{} {}", end.as_raw_fd(), fstat(end)?.st_ino))
}

/// The end that this process was started with under `name`, which its own children do not inherit any more. Must be
/// called once for a name, and before anything else takes descriptors by their number.
///
/// # Errors
/// The descriptor is closed or another one, as in a process that inherited the name alone.
pub fn inherited(name: &str) -> io::Result<OwnedFd> {
    let absent = || io::Error::new(io::ErrorKind::NotFound, "there is no such end of a pair");
    let (number, inode) = name.split_once(' ').ok_or_else(absent)?;
    let number: RawFd = number.parse().map_err(|_| absent())?;
    let inode: u64 = inode.parse().map_err(|_| absent())?;
    if number <= 2 {
        return Err(absent());
    }
    #[expect(unsafe_code, reason = "a descriptor that another process has opened has no owner in this one")]
    // SAFETY: the number was opened before this process began, by whoever named it to us, and the contract of this
    // function is that it is taken once. That it is the very socket which was named is looked at before anything is done
    // with it; if it is not, it is left open and alone.
    let end = unsafe { OwnedFd::from_raw_fd(number) };
    let is_named = fstat(&end).is_ok_and(|found| {
        found.st_ino == inode && FileType::from_raw_mode(found.st_mode) == FileType::Socket
    });
    if !is_named {
        std::mem::forget(end);
        return Err(absent());
    }
    fcntl_setfd(&end, FdFlags::CLOEXEC)?;
    Ok(end)
}

/// Binds and listens on an address, for sockets that are handed over.
///
/// # Errors
/// Those of bind(2) and listen(2).
pub fn listen(address: SocketAddr) -> io::Result<OwnedFd> {
    crate::listen::listen_alone(address)
}

/// Sends a message, and a socket with it.
///
/// # Errors
/// The other side has closed its end, or the message is too long.
pub fn send(end: BorrowedFd<'_>, message: &str, socket: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let sockets: Vec<BorrowedFd<'_>> = socket.into_iter().collect();
    if !sockets.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&sockets)) {
        return Err(io::Error::other("no room for a descriptor"));
    }
    sendmsg(end, &[IoSlice::new(message.as_bytes())], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Waits for a message, with its thread. An empty one says that the other side has closed its end.
///
/// # Errors
/// Those of recvmsg(2).
pub fn receive(end: BorrowedFd<'_>) -> io::Result<(String, Option<OwnedFd>)> {
    receive_with(end, RecvFlags::empty())
}

fn receive_with(end: BorrowedFd<'_>, flags: RecvFlags) -> io::Result<(String, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0; MESSAGE_BYTES_MAX];
    let flags = flags | RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(end, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags)?;
    let mut socket = None;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            socket = descriptors.last();
        }
    }
    let message = bytes.get(..received.bytes).unwrap_or_default();
    Ok((String::from_utf8_lossy(message).into_owned(), socket))
}

/// Whether the other side has closed its end. Takes no message.
pub fn is_closed(end: impl AsFd) -> bool {
    matches!(recv(end, &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT), Ok((_, 0)))
}

/// An end in the event loop of the thread that made this.
#[derive(Debug)]
pub struct Waiting(AsyncFd<OwnedFd>);

impl Waiting {
    /// Registers `end`, which must be this value's own.
    ///
    /// # Errors
    /// When the event loop cannot take it, for example at the kernel's watch limit.
    #[expect(unsafe_code, reason = "tokio has no type of its own for sockets that keep messages apart")]
    pub fn new(end: OwnedFd) -> io::Result<Self> {
        // SAFETY: the descriptor is owned by the value that is registered and nobody takes it out; it stays open until
        // tokio has forgotten it.
        Ok(Self(unsafe { AsyncFd::register_with_interest(end, Interest::READABLE) }?))
    }

    /// The next message; an empty one says that the other side has closed its end.
    ///
    /// # Errors
    /// Those of recvmsg(2).
    pub async fn receive(&self) -> io::Result<(String, Option<OwnedFd>)> {
        self.0.async_io(Interest::READABLE, |end| receive_with(end.as_fd(), RecvFlags::DONTWAIT)).await
    }

    /// Waits until the other side has closed its end. Takes no message.
    ///
    /// # Errors
    /// When the runtime ends.
    pub async fn closed(&self) -> io::Result<()> {
        let look =
            |end: &OwnedFd| if is_closed(end) { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) };
        self.0.async_io(Interest::READABLE, look).await
    }

    /// Sends a message, and a socket with it.
    ///
    /// # Errors
    /// As for [`send`].
    pub fn send(&self, message: &str, socket: Option<BorrowedFd<'_>>) -> io::Result<()> {
        send(self.0.as_fd(), message, socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_goes_with_a_message() {
        let (owner, server) = pair().unwrap();
        send(server.as_fd(), "listen", None).unwrap();
        let (asked, none) = receive(owner.as_fd()).unwrap();
        assert_eq!((asked.as_str(), none.is_none()), ("listen", true));
        let socket = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        send(owner.as_fd(), "ok", Some(socket.as_fd())).unwrap();
        drop(socket);
        assert!(!is_closed(&server));
        let (answer, socket) = receive(server.as_fd()).unwrap();
        assert_eq!(answer, "ok");
        let binding = crate::Binding::lent(socket.unwrap(), 1).unwrap();
        std::net::TcpStream::connect(binding.address()).unwrap();
        assert!(!is_closed(&server));
        drop(owner);
        assert!(is_closed(&server));
        assert_eq!(receive(server.as_fd()).unwrap().0, "");
        assert!(send(server.as_fd(), "ready", None).is_err());
    }

    #[tokio::test]
    async fn an_end_can_be_waited_for() {
        let (owner, server) = pair().unwrap();
        let waiting = Waiting::new(server).unwrap();
        let (received, ()) = tokio::join!(waiting.receive(), async {
            tokio::task::yield_now().await;
            send(owner.as_fd(), "hello", None).unwrap();
        });
        assert_eq!(received.unwrap().0, "hello");
        waiting.send("answer", None).unwrap();
        assert_eq!(receive(owner.as_fd()).unwrap().0, "answer");
        let (closed, ()) = tokio::join!(waiting.closed(), async {
            tokio::task::yield_now().await;
            drop(owner);
        });
        closed.unwrap();
        assert_eq!(waiting.receive().await.unwrap().0, "");
    }

    #[test]
    fn only_the_very_socket_is_inherited() {
        let (owner, server) = pair().unwrap();
        let name = bequeath(server.as_fd()).unwrap();
        let (number, inode) = name.split_once(' ').unwrap();
        for wrong in ["", "x", "1 1", number, &format!("{number} 1"), &format!("99999 {inode}")] {
            assert!(inherited(wrong).is_err(), "{wrong}");
        }
        // What this process has opened itself has an owner here, which gives it up to the one that inherits.
        std::mem::forget(server);
        let server = inherited(&name).unwrap();
        assert!(fcntl_getfd(&server).unwrap().contains(FdFlags::CLOEXEC));
        send(server.as_fd(), "hello", None).unwrap();
        assert_eq!(receive(owner.as_fd()).unwrap().0, "hello");
    }
}
