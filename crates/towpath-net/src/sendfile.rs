//! `sendfile(2)`: bytes from a file to a socket without passing through this process.
//!
//! A file that is not in the page cache makes the calling thread wait for the disk; sendfile has no way to ask first.
//! The wait is bounded by [`SLICE_BYTES_MAX`], and the kernel reads ahead of it.

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use rustix::io::Errno;
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::stream::Writer;

/// The most one call sends before others of the worker get their turn. Large enough that the call itself does not
/// show, small enough that a fast reader of a large file delays its neighbours by tens of microseconds only.
pub const SLICE_BYTES_MAX: usize = 256 * 1024;

/// Sends up to `len` bytes of `file` from `offset`, and moves `offset` behind them. One system call, more only after
/// a signal. Returns how many bytes were sent; 0, with `len` above 0, means that the file ends at `offset`.
///
/// # Errors
/// `WouldBlock` when a non-blocking socket is full; otherwise those of `sendfile(2)`, such as `BrokenPipe`.
pub fn send_file(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: &mut u64,
    len: usize,
) -> io::Result<usize> {
    loop {
        match rustix::fs::sendfile(socket, file, Some(offset), len.min(SLICE_BYTES_MAX)) {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// Sends exactly `len` bytes of `file` from `offset`. `on_progress` hears of every piece, in bytes.
///
/// # Errors
/// `UnexpectedEof` when the file has become shorter: the peer was promised more, so the connection must be closed.
/// Otherwise those of [`send_file`], except `WouldBlock`, which is waited out.
pub async fn send_all(
    stream: &TcpStream,
    file: &File,
    mut offset: u64,
    len: u64,
    mut on_progress: impl FnMut(usize),
) -> io::Result<()> {
    let mut left = len;
    while left > 0 {
        stream.writable().await?;
        let slice = slice_len(left, SLICE_BYTES_MAX);
        let send = || send_file(stream.as_fd(), file.as_fd(), &mut offset, slice);
        match stream.try_io(Interest::WRITABLE, send) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(sent) => {
                left -= sent as u64;
                on_progress(sent);
                // A peer that takes everything would otherwise keep the worker to itself.
                if sent == slice && left > 0 {
                    tokio::task::yield_now().await;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Does what [`send_all`] does on a transport that is not TCP, by way of `buffer`, which must not be empty.
///
/// # Errors
/// `UnexpectedEof` when the file has become shorter, `WriteZero` when the transport takes nothing more; otherwise
/// those of reading and writing.
pub async fn copy_all(
    writer: &mut Writer<'_>,
    file: &File,
    mut offset: u64,
    len: u64,
    buffer: &mut [u8],
    mut on_progress: impl FnMut(usize),
) -> io::Result<()> {
    let mut left = len;
    while left > 0 {
        let (chunk, _) = buffer.split_at_mut(slice_len(left, buffer.len()));
        let read = file.read_at(chunk, offset)?;
        let (mut unsent, _) = chunk.split_at(read);
        if unsent.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        offset += read as u64;
        left -= read as u64;
        while !unsent.is_empty() {
            let sent = poll_fn(|cx| writer.poll_write(cx, unsent)).await?;
            (_, unsent) =
                unsent.split_at_checked(sent).filter(|_| sent > 0).ok_or(io::ErrorKind::WriteZero)?;
            on_progress(sent);
        }
    }
    Ok(())
}

/// `left`, or `most` if that is less.
fn slice_len(left: u64, most: usize) -> usize {
    usize::try_from(left).map_or(most, |left| left.min(most))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::Read;
    use std::net::TcpStream as Client;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread::{self, JoinHandle};

    use tokio::net::TcpListener;

    use super::*;

    /// Over any default buffer of a socket, so that sending must wait for reading.
    const LARGE: usize = 24 * 1024 * 1024;

    /// An open file that has no name any more.
    fn file_with(content: &[u8]) -> File {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("towpath-sendfile-{}-{number}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file
    }

    fn pattern(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at % 251) as u8).collect()
    }

    /// A connected pair: the server's end, and a thread that reads the client's end to its end.
    async fn connected() -> (TcpStream, JoinHandle<io::Result<Vec<u8>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let reader = thread::spawn(move || {
            let mut bytes = Vec::new();
            Client::connect(address)?.read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        (listener.accept().await.unwrap().0, reader)
    }

    /// Sends a slice of a file with the pattern and expects just that at the other end.
    async fn check(file_len: usize, offset: usize, len: usize) {
        let content = pattern(file_len);
        let file = file_with(&content);
        let (stream, reader) = connected().await;
        let mut progress = 0;
        send_all(&stream, &file, offset as u64, len as u64, |sent| progress += sent).await.unwrap();
        drop(stream);
        assert_eq!(progress, len);
        assert!(
            reader.join().unwrap().unwrap() == content[offset..offset + len],
            "{offset}+{len} of {file_len}"
        );
    }

    #[tokio::test]
    async fn slices_arrive_whole() {
        check(10, 0, 10).await;
        check(10, 3, 4).await;
        check(10, 10, 0).await;
        check(SLICE_BYTES_MAX * 2, 1, SLICE_BYTES_MAX).await;
        check(LARGE, 7, LARGE - 7).await;
    }

    #[tokio::test]
    async fn a_file_cut_while_it_is_sent_is_an_error() {
        let file = file_with(&pattern(LARGE));
        let (stream, reader) = connected().await;
        let mut progress = 0;
        let sent = send_all(&stream, &file, 0, LARGE as u64, |sent| {
            progress += sent;
            file.set_len(progress as u64).unwrap();
        });
        assert_eq!(sent.await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        drop(stream);
        assert!(progress < LARGE);
        assert_eq!(reader.join().unwrap().unwrap().len(), progress);
    }

    #[tokio::test]
    async fn a_peer_that_left_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        drop(Client::connect(listener.local_addr().unwrap()).unwrap());
        let (stream, _) = listener.accept().await.unwrap();
        let file = file_with(&pattern(LARGE));
        let error = send_all(&stream, &file, 0, LARGE as u64, |_| {}).await.unwrap_err();
        assert!(
            matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset),
            "{error}"
        );
    }

    #[tokio::test]
    async fn others_get_their_turn_after_every_full_slice() {
        let file = file_with(&pattern(LARGE));
        let (stream, reader) = connected().await;
        let (mut full_slices, turns) = (0, Cell::new(0));
        let sent = send_all(&stream, &file, 0, LARGE as u64, |sent| {
            assert!(sent <= SLICE_BYTES_MAX);
            assert!(turns.get() >= full_slices);
            full_slices += usize::from(sent == SLICE_BYTES_MAX);
        });
        let others = async {
            loop {
                turns.set(turns.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            sent = sent => sent.unwrap(),
            () = others => {}
        }
        drop(stream);
        assert_eq!(reader.join().unwrap().unwrap().len(), LARGE);
    }

    #[tokio::test]
    async fn one_call_moves_the_offset() {
        let file = file_with(b"0123456789");
        let (stream, reader) = connected().await;
        stream.writable().await.unwrap();
        let mut offset = 4;
        assert_eq!(send_file(stream.as_fd(), file.as_fd(), &mut offset, 3).unwrap(), 3);
        assert_eq!(offset, 7);
        assert_eq!(send_file(stream.as_fd(), file.as_fd(), &mut offset, 100).unwrap(), 3);
        assert_eq!(send_file(stream.as_fd(), file.as_fd(), &mut offset, 100).unwrap(), 0);
        drop(stream);
        assert_eq!(reader.join().unwrap().unwrap(), b"456789");
    }

    #[tokio::test]
    async fn copying_does_what_sending_does() {
        let content = pattern(100_000);
        let file = file_with(&content);
        let (mut stream, reader) = connected().await;
        let mut buffer = [0; 4096];
        let mut progress = 0;
        let mut writer = Writer::Socket(stream.split().1);
        let copied = copy_all(&mut writer, &file, 10, 99_990, &mut buffer, |sent| progress += sent).await;
        copied.unwrap();
        let beyond = copy_all(&mut writer, &file, 99_999, 2, &mut buffer, |_| {}).await;
        assert_eq!(beyond.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        drop(stream);
        assert_eq!(progress, 99_990);
        let received = reader.join().unwrap().unwrap();
        assert!(received[..99_990] == content[10..]);
        assert_eq!(received[99_990..], content[99_999..]);
    }
}
