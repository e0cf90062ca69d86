//! The pool over real sockets: what a peer does to an idle connection is seen by one watcher, without a task per socket
//! (P13, T07), and an idle connection can change threads (P3).

#![expect(clippy::unwrap_used, reason = "in a test a failed step is a failed test, in helpers too")]

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use towpath::pool::{Connection, Manager, Pool, PoolConfig};

struct Tcp(TcpStream);

struct Dial(SocketAddr);

impl Connection for Tcp {
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            // No system call unless the event loop saw something.
            if ready!(self.0.poll_read_ready(cx)).is_err() {
                return Poll::Ready(());
            }
            // Confirms it, or clears a readiness left over from the last read.
            match self.0.try_read(&mut [0]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                _ => return Poll::Ready(()),
            }
        }
    }

    fn is_dead(&mut self) -> bool {
        // Not `try_read`, which would ask the event loop instead of the kernel.
        let mut byte = [std::mem::MaybeUninit::uninit()];
        let peeked = socket2::SockRef::from(&self.0).peek(&mut byte);
        !matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    fn rehome(self) -> io::Result<Self> {
        TcpStream::from_std(self.0.into_std()?).map(Self)
    }

    fn keep_alive_hint(&self) -> Option<Duration> {
        None
    }
}

impl Manager for Dial {
    type Conn = Tcp;
    type Error = io::ErrorKind;

    async fn connect(&self) -> Result<Tcp, io::ErrorKind> {
        TcpStream::connect(self.0).await.map(Tcp).map_err(|error| error.kind())
    }
}

struct Origin(std::net::TcpListener);

impl Origin {
    fn new() -> (Self, Arc<Pool<Dial>>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let pool = Pool::new(Dial(listener.local_addr().unwrap()), PoolConfig::default(), 2, 1);
        (Self(listener), pool)
    }

    fn accepts(&self) -> std::net::TcpStream {
        self.0.accept().unwrap().0
    }
}

fn run<F: Future>(scene: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build_local(Default::default()).unwrap().block_on(scene)
}

/// Leaves one idle connection on worker 0 and returns the origin's end of it.
async fn one_idle(pool: &Arc<Pool<Dial>>, origin: &Origin) -> std::net::TcpStream {
    let mut lease = pool.get(0, Instant::now(), None).await.unwrap();
    lease.mark_clean(Instant::now());
    origin.accepts()
}

/// Waits until the watcher of worker 0 removed one; fails after a minute.
async fn watcher_removes_one(pool: &Pool<Dial>) {
    let removed = poll_fn(|cx| match pool.watch(0, cx) {
        0 => Poll::Pending,
        _ => Poll::Ready(()),
    });
    timeout(Duration::from_secs(60), removed).await.unwrap();
    let stats = pool.stats();
    assert_eq!((stats.idle, stats.closed.dead), (0, 1), "{stats:?}");
}

#[test]
fn p13_a_close_by_the_peer_is_seen_by_the_watcher() {
    run(async {
        let (origin, pool) = Origin::new();
        let peer = one_idle(&pool, &origin).await;
        drop(peer);
        watcher_removes_one(&pool).await;
    });
}

#[test]
fn p13_a_byte_nobody_asked_for_closes_an_idle_connection_t07() {
    run(async {
        let (origin, pool) = Origin::new();
        let mut peer = one_idle(&pool, &origin).await;
        peer.write_all(b"H").unwrap();
        watcher_removes_one(&pool).await;
        // The peer sees the end of it: a close, or a reset because its byte was unread.
        assert_eq!(peer.read(&mut [0]).unwrap_or(0), 0);
    });
}

#[test]
fn p12_a_dead_connection_of_another_worker_is_found_by_the_peek() {
    run(async {
        let (origin, pool) = Origin::new();
        let peer = one_idle(&pool, &origin).await;
        peer.shutdown(std::net::Shutdown::Both).unwrap();
        // Worker 0 has not run since, so only the kernel knows.
        assert!(pool.try_get(1, Instant::now()).is_none());
        assert_eq!(pool.stats().validate_failures, 1);
    });
}

#[test]
fn p03_a_stolen_connection_works_on_the_thread_that_took_it() {
    let (origin, pool) = Origin::new();
    // The first runtime ends while its connection is idle; the socket lives on.
    let mut peer = run(one_idle(&pool, &origin));
    let taker = pool.clone();
    let exchange = std::thread::spawn(move || {
        run(async move {
            let mut lease = taker.try_get(1, Instant::now()).unwrap();
            lease.0.writable().await.unwrap();
            assert_eq!(lease.0.try_write(b"ping").unwrap(), 4);
            lease.0.readable().await.unwrap();
            assert_eq!(lease.0.try_read(&mut [0; 8]).unwrap(), 4);
            lease.mark_clean(Instant::now());
        });
    });
    let mut request = [0; 4];
    peer.read_exact(&mut request).unwrap();
    peer.write_all(b"pong").unwrap();
    exchange.join().unwrap();
    let stats = pool.stats();
    assert_eq!((stats.idle, stats.steal_hits, stats.dials), (1, 1, 1), "{stats:?}");
}
