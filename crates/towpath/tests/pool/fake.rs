//! A peer in memory, its connections, and a scene that holds a pool and the peer.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread::ThreadId;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use towpath::pool::{Connection, GetError, Lease, Manager, Pool, PoolConfig};
use towpath_base::random::Random;

/// What the peer does with a dial.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    Accept,
    AcceptAfter(Duration),
    Refuse,
    RefuseAfter(Duration),
    Hang,
    Panic,
}

/// The server side. Counts every connection and every dial under way.
pub(crate) struct Peer {
    answer: Mutex<Answer>,
    keep_alive: Mutex<Option<Duration>>,
    refuses_rehome: AtomicBool,
    wires: Mutex<BTreeMap<usize, Arc<Wire>>>,
    closed: Mutex<Vec<usize>>,
    live: AtomicUsize,
    /// The most that were ever live at once.
    pub(crate) peak: AtomicUsize,
    pub(crate) dials: AtomicUsize,
    /// Explicit looks, each a system call on a real socket.
    pub(crate) looks: AtomicUsize,
    /// Looks at the readiness the event loop knows.
    pub(crate) polls: AtomicUsize,
    pub(crate) rehomes: AtomicUsize,
}

#[derive(Default)]
struct Wire {
    is_dead: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// One of the peer's live connections or dials; ends with its drop.
struct Live(Arc<Peer>);

pub(crate) struct Conn {
    pub(crate) id: usize,
    wire: Arc<Wire>,
    home: ThreadId,
    live: Live,
}

pub(crate) struct Dialler(pub(crate) Arc<Peer>);

pub(crate) type FakeLease = Lease<Dialler>;
pub(crate) type FakeError = GetError<&'static str>;
pub(crate) type Got = Result<FakeLease, FakeError>;

impl Peer {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            answer: Mutex::new(Answer::Accept),
            keep_alive: Mutex::new(None),
            refuses_rehome: AtomicBool::new(false),
            wires: Mutex::default(),
            closed: Mutex::default(),
            live: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            dials: AtomicUsize::new(0),
            looks: AtomicUsize::new(0),
            polls: AtomicUsize::new(0),
            rehomes: AtomicUsize::new(0),
        })
    }

    pub(crate) fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    pub(crate) fn says_keep_alive(&self, timeout: Duration) {
        *self.keep_alive.lock().unwrap() = Some(timeout);
    }

    pub(crate) fn lets_no_one_move(&self) {
        self.refuses_rehome.store(true, SeqCst);
    }

    /// Closes connection `id`, or sends a byte on it: the same to an idle connection.
    pub(crate) fn kills(&self, id: usize) {
        let wire = self.wires.lock().unwrap()[&id].clone();
        wire.is_dead.store(true, SeqCst);
        let waker = wire.waker.lock().unwrap().take();
        waker.into_iter().for_each(Waker::wake);
    }

    /// Kills any one connection, perhaps one that is closed already.
    pub(crate) fn kills_one(&self, random: &mut Random) {
        let ids: Vec<usize> = self.wires.lock().unwrap().keys().rev().take(8).copied().collect();
        if let Some(id) = ids.get(random.below(8) as usize) {
            self.kills(*id);
        }
    }

    pub(crate) fn live(&self) -> usize {
        self.live.load(SeqCst)
    }

    /// Ids of ended connections, in order.
    pub(crate) fn closed(&self) -> Vec<usize> {
        self.closed.lock().unwrap().clone()
    }
}

impl Live {
    fn new(peer: &Arc<Peer>) -> Self {
        let live = peer.live.fetch_add(1, SeqCst) + 1;
        peer.peak.fetch_max(live, SeqCst);
        Self(peer.clone())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.live.fetch_sub(1, SeqCst);
    }
}

impl Conn {
    /// Uses the connection, which only its own event loop may do.
    pub(crate) fn exchange(&self) {
        assert_eq!(self.home, std::thread::current().id(), "used on a worker it was not moved to");
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        self.live.0.closed.lock().unwrap().push(self.id);
    }
}

impl Connection for Conn {
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.live.0.polls.fetch_add(1, SeqCst);
        *self.wire.waker.lock().unwrap() = Some(cx.waker().clone());
        if self.wire.is_dead.load(SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    }

    fn is_dead(&mut self) -> bool {
        self.live.0.looks.fetch_add(1, SeqCst);
        self.wire.is_dead.load(SeqCst)
    }

    fn rehome(mut self) -> io::Result<Self> {
        if self.live.0.refuses_rehome.load(SeqCst) {
            return Err(io::ErrorKind::Other.into());
        }
        self.live.0.rehomes.fetch_add(1, SeqCst);
        self.home = std::thread::current().id();
        Ok(self)
    }

    fn keep_alive_hint(&self) -> Option<Duration> {
        *self.live.0.keep_alive.lock().unwrap()
    }
}

impl Manager for Dialler {
    type Conn = Conn;
    type Error = &'static str;

    async fn connect(&self) -> Result<Conn, &'static str> {
        let peer = &self.0;
        let id = peer.dials.fetch_add(1, SeqCst) + 1;
        let live = Live::new(peer);
        let answer = *peer.answer.lock().unwrap();
        match answer {
            Answer::Accept => {}
            Answer::AcceptAfter(delay) => tokio::time::sleep(delay).await,
            Answer::Refuse => return Err("refused"),
            Answer::RefuseAfter(delay) => {
                tokio::time::sleep(delay).await;
                return Err("refused");
            }
            Answer::Hang => std::future::pending().await,
            Answer::Panic => panic!("the dialler's own fault, on purpose"),
        }
        let wire = Arc::new(Wire::default());
        peer.wires.lock().unwrap().insert(id, wire.clone());
        Ok(Conn { id, wire, home: std::thread::current().id(), live })
    }
}

/// A pool and its peer.
pub(crate) struct Scene {
    pub(crate) pool: Arc<Pool<Dialler>>,
    pub(crate) peer: Arc<Peer>,
}

impl Scene {
    /// Two workers.
    pub(crate) fn new(config: PoolConfig) -> Self {
        Self::with_workers(2, config)
    }

    pub(crate) fn with_workers(workers: usize, config: PoolConfig) -> Self {
        let peer = Peer::new();
        let pool = Pool::new(Dialler(peer.clone()), config, workers, 7);
        Self { pool, peer }
    }

    pub(crate) async fn get(&self, worker: usize) -> FakeLease {
        self.pool.get(worker, Instant::now(), None).await.expect("a connection")
    }

    pub(crate) async fn fails(&self, worker: usize) -> FakeError {
        self.pool.get(worker, Instant::now(), None).await.expect_err("no connection")
    }

    pub(crate) fn try_get(&self, worker: usize) -> Option<FakeLease> {
        self.pool.try_get(worker, Instant::now())
    }

    /// Starts a `get` in a task of its own and lets it come as far as it can without time passing.
    pub(crate) async fn starts(&self, worker: usize) -> JoinHandle<Got> {
        let pool = self.pool.clone();
        let task = tokio::task::spawn_local(async move { pool.get(worker, Instant::now(), None).await });
        settle().await;
        task
    }

    pub(crate) async fn starts_fresh(&self, worker: usize) -> JoinHandle<Got> {
        let pool = self.pool.clone();
        let task =
            tokio::task::spawn_local(async move { pool.get_fresh(worker, Instant::now(), None).await });
        settle().await;
        task
    }

    /// Leaves `count` idle connections behind, ids in order of release.
    pub(crate) async fn idles(&self, worker: usize, count: usize) {
        let mut leases = Vec::new();
        for _ in 0..count {
            leases.push(self.get(worker).await);
        }
        leases.into_iter().for_each(returns);
    }

    pub(crate) async fn ticks(&self) {
        self.pool.maintain(0, Instant::now());
        settle().await;
    }

    /// Checks the gauges, and with them the invariant of P20 and the peer's own count.
    #[track_caller]
    pub(crate) fn check(&self, expected: &str) {
        let stats = self.pool.stats();
        let gauges = [
            (stats.idle, "idle"),
            (stats.in_use, "in use"),
            (stats.dialling, "dialling"),
            (stats.waiters, "waiting"),
        ];
        let words: Vec<String> = gauges
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        let found = if words.is_empty() { "nothing".to_owned() } else { words.join(", ") };
        assert_eq!(found, expected, "{stats:?}");
        assert!(stats.is_consistent(), "{stats:?}");
    }
}

/// Returns a connection as one does after a complete exchange.
pub(crate) fn returns(mut lease: FakeLease) {
    lease.mark_clean(Instant::now());
}

/// Lets every task run until it waits for time or for another one.
pub(crate) async fn settle() {
    for _ in 0..30 {
        tokio::task::yield_now().await;
    }
}

/// Lets time pass, then every task run.
pub(crate) async fn pass(time: Duration) {
    tokio::time::advance(time).await;
    settle().await;
}

/// Runs `scene` on a worker's runtime with a clock that only moves when told.
pub(crate) fn run<F: Future>(scene: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build_local(Default::default());
    runtime.expect("a runtime needs no resource that could lack").block_on(scene)
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A pool of at most `max` connections, everything else as by default.
pub(crate) fn capped(max: usize) -> PoolConfig {
    PoolConfig { max_connections: Some(max), ..PoolConfig::default() }
}
