//! Unix stream sockets: connecting, and the file that a listening one leaves in a directory.

use std::fs::{self, Permissions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::TcpStream;

use crate::stream::Stream;
use crate::time::sleep;

/// What both sides of a Unix socket report as their address. A client of one has neither an IP address nor a name, so
/// it gets the address that says so: not loopback, for a rule that trusts loopback must name the socket to trust it.
pub const ADDRESS: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));

/// First and longest pause before asking again at a socket whose queue is full. A TCP client's kernel would repeat
/// its SYN after a second; Unix sockets leave the waiting to us, and a queue drains within milliseconds.
const QUEUE_PAUSE: Duration = Duration::from_millis(1);
const QUEUE_PAUSE_MAX: Duration = Duration::from_millis(64);

/// Connects to a listening socket. While its queue is full this waits; the caller sets the deadline.
///
/// # Errors
/// `NotFound` when there is no such file, `ConnectionRefused` when nobody listens on it, `PermissionDenied`;
/// otherwise those of `connect(2)`.
pub async fn connect(path: &Path) -> io::Result<Stream> {
    let address = SockAddr::unix(path)?;
    let socket = open()?;
    let mut pause = QUEUE_PAUSE;
    loop {
        match socket.connect(&address) {
            Ok(()) => return register(socket.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(pause).await,
            Err(error) => return Err(error),
        }
        pause = (pause * 2).min(QUEUE_PAUSE_MAX);
    }
}

/// A connected, non-blocking socket as a stream of this thread's event loop.
pub fn register(socket: OwnedFd) -> io::Result<Stream> {
    TcpStream::from_std(socket.into()).map(Stream::Socket)
}

fn open() -> io::Result<Socket> {
    Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)
}

/// Listens on `path`. A file left over by a process that has ended is replaced; one that is answered on is not.
///
/// # Errors
/// `AddrInUse` when somebody answers on the path or when it is no socket; otherwise those of `bind(2)` and
/// `chmod(2)`.
pub(crate) fn listen(
    path: &Path,
    backlog: i32,
    mode: Option<u32>,
) -> io::Result<(std::os::unix::net::UnixListener, SocketFile)> {
    let address = SockAddr::unix(path)?;
    let socket = open()?;
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path, &address) => {
            fs::remove_file(path)?;
            socket.bind(&address)?;
        }
        other => other?,
    }
    let file = SocketFile::of(path)?;
    // Before listen(2), so that nobody connects who will not be allowed to.
    if let Some(mode) = mode {
        fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    socket.listen(backlog)?;
    Ok((OwnedFd::from(socket).into(), file))
}

/// Whether the file is a socket on which nobody listens.
fn is_stale(path: &Path, address: &SockAddr) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    is_socket
        && open().and_then(|probe| probe.connect(address)).is_err_and(|error| {
            error.raw_os_error().map(Errno::from_raw_os_error) == Some(Errno::CONNREFUSED)
        })
}

/// The file of a listening socket. Dropping it removes the file, unless another process has put its own there.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the name away, so that nobody new connects. More often than once does nothing.
    pub(crate) fn remove(&self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.remove();
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::os::unix::net::UnixStream as Client;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::listen::Options;
    use crate::{Acceptor, Address, Binding};

    /// A path of this test's own, and nothing there.
    fn path() -> PathBuf {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        std::env::temp_dir().join(format!("towpath-unix-{}-{number}.sock", std::process::id()))
    }

    fn bind(path: &Path, workers: usize) -> io::Result<Arc<Binding>> {
        Binding::unix(path, workers, Options::default())
    }

    fn worker(binding: &Binding, index: usize) -> Acceptor {
        binding.take(index).unwrap().unwrap()
    }

    async fn say(stream: &mut Stream, text: &str) {
        poll_fn(|cx| stream.split().1.poll_write(cx, text.as_bytes())).await.unwrap();
    }

    async fn hear(stream: &mut Stream) -> String {
        let mut buffer = [0; 64];
        let count = poll_fn(|cx| stream.split().0.poll_read(cx, &mut buffer)).await.unwrap();
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    }

    #[tokio::test]
    async fn both_sides_talk_and_have_no_address() {
        let path = path();
        let binding = bind(&path, 1).unwrap();
        let mut acceptor = worker(&binding, 0);
        let address = Address::Unix(path.as_path().into());
        assert_eq!(address.to_string(), format!("unix:{}", path.display()));
        let (client, accepted) = tokio::join!(address.connect(), acceptor.accept());
        let (mut client, (mut server, peer)) = (client.unwrap(), accepted.unwrap());
        say(&mut client, "hello").await;
        assert_eq!(hear(&mut server).await, "hello");
        let addresses = [peer, server.local_addr().unwrap(), client.local_addr().unwrap(), binding.address()];
        assert_eq!(addresses, [ADDRESS; 4]);
        assert_eq!(binding.path(), Some(path.as_path()));
        let mut server = server.rehome().unwrap();
        drop(client);
        assert_eq!(hear(&mut server).await, "", "the end");
    }

    #[tokio::test]
    async fn an_address_where_nobody_listens_is_refused() {
        let path = path();
        assert_eq!(connect(&path).await.unwrap_err().kind(), io::ErrorKind::NotFound);
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert_eq!(connect(&path).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_left_over_file_is_replaced_and_one_in_use_is_not() {
        let path = path();
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let binding = bind(&path, 1).unwrap();
        assert_eq!(bind(&path, 1).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(binding);
        assert!(!path.exists(), "the file goes with the binding");
        fs::write(&path, "a file of the user").unwrap();
        assert_eq!(bind(&path, 1).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(fs::read(&path).unwrap(), b"a file of the user");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_file_that_another_process_put_there_stays() {
        let path = path();
        let binding = bind(&path, 1).unwrap();
        fs::remove_file(&path).unwrap();
        let successor = bind(&path, 1).unwrap();
        drop(binding);
        assert!(Client::connect(&path).is_ok());
        drop(successor);
        assert!(!path.exists());
    }

    #[test]
    fn the_mode_is_that_of_the_options() {
        let path = path();
        let _binding = Binding::unix(&path, 1, Options { mode: Some(0o620), ..Options::default() }).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o620);
    }

    #[tokio::test]
    async fn workers_share_the_socket_and_one_of_them_gets_each_client() {
        let path = path();
        let binding = bind(&path, 2).unwrap();
        let mut workers = [worker(&binding, 0), worker(&binding, 1)];
        let clients: Vec<_> = (0..20).map(|_| Client::connect(&path).unwrap()).collect();
        for at in 0..clients.len() {
            workers[at % 2].accept().await.unwrap();
        }
        let [mut first, mut second] = workers;
        let _client = Client::connect(&path).unwrap();
        tokio::select! {
            accepted = first.accept() => drop(accepted.unwrap()),
            accepted = second.accept() => drop(accepted.unwrap()),
        }
    }

    #[tokio::test]
    async fn a_worker_that_leaves_serves_who_has_connected() {
        let path = path();
        let binding = bind(&path, 1).unwrap();
        let acceptor = worker(&binding, 0);
        let clients = [Client::connect(&path).unwrap(), Client::connect(&path).unwrap()];
        let left_over = acceptor.leave();
        assert_eq!(Client::connect(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(!left_over.may_grow());
        assert_eq!(left_over.count(), clients.len());
    }

    #[tokio::test]
    async fn a_full_queue_makes_the_client_wait() {
        let path = path();
        let binding = Binding::unix(&path, 1, Options { backlog: 0, ..Options::default() }).unwrap();
        let mut acceptor = worker(&binding, 0);
        let _first = connect(&path).await.unwrap();
        let waiting = async { connect(&path).await.unwrap() };
        let accepting = async {
            tokio::task::yield_now().await;
            (acceptor.accept().await.unwrap(), acceptor.accept().await.unwrap())
        };
        tokio::join!(waiting, accepting);
    }
}
