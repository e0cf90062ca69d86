//! A worker: one thread with its own runtime, its own listening sockets, and state that no other thread sees.

mod listener;
mod placement;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::task::{Poll, Waker};
use std::time::{Duration, SystemTime};

use rustix::process::{Resource, getrlimit};
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver};
use tokio::task::{spawn_local, yield_now};
use tokio::time::Instant;
use towpath_base::random::Random;
use towpath_net::relay::{self, Reserve};
use towpath_net::time::sleep;
use towpath_net::timer::Timers;
use towpath_telemetry::accesslog::Record;
use towpath_telemetry::metrics::WorkerCounters;
use towpath_traffic::retry::Budget;

use crate::accept::Acceptance;
use crate::connection::{self, Place};
use crate::engine::{Order, Placed, Shared};
use crate::http::Busy;
use crate::http2::Origins;
use crate::l4::udp::Fronts;
use crate::plan::{Listener, Plan, Route};
pub(crate) use listener::{LocalListener, LocalPlan};
use towpath_net::buffer::Buffers;

/// Bytes of log lines a worker gathers before it hands them over, so that one line costs no system call and no lock.
const LOG_BLOCK_BYTES: usize = 32 * 1024;

/// How often pools are maintained and what is left of the log is handed over.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Free states of busy connections that a worker keeps, as many as it has requests in flight at a usual peak: about
/// 3 KiB each. A burst beyond it goes back to the allocator.
const FREE_BUSY_MAX: usize = 512;

/// Writes that may wait for the end of a turn. What they hold in memory, 4 KiB each, has to stay in the cache until
/// then.
const POSTED_MAX: usize = 32;

/// State of one worker. `!Send`.
pub(crate) struct Worker {
    index: usize,
    shared: Arc<Shared>,
    started: Instant,
    pub(crate) timers: Timers,
    pub(crate) buffers: Buffers,
    #[expect(clippy::vec_box, reason = "it is handed about, and its pointer is smaller than it")]
    free: RefCell<Vec<Box<Busy>>>,
    #[expect(
        clippy::redundant_allocation,
        reason = "a clone of the outer count touches no other worker's line"
    )]
    plan: RefCell<Rc<Arc<Plan>>>,
    acceptances: RefCell<Vec<Acceptance>>,
    /// Connections with a write that waits for the end of the turn.
    outbox: RefCell<Vec<(Place, Waker)>>,
    /// Those whose writes are being made.
    posted: RefCell<Vec<(Place, Waker)>>,
    /// The task that makes those writes.
    postman: RefCell<Option<Waker>>,
    /// This turn has had a write; see [`Worker::is_first_write`].
    has_written: Arc<AtomicBool>,
    /// A drain has begun.
    draining: Cell<bool>,
    /// The process has as many connections as it may have: idle ones make room.
    pressed: Cell<bool>,
    /// The time of a drain is over: what is left is cut.
    stopping: Cell<bool>,
    /// Relays under way, tunnels among them, which a stop cuts.
    pub(crate) relays: Cell<usize>,
    /// Listeners here that have as many connections as they may have.
    pressed_listeners: Cell<usize>,
    /// Listeners for datagrams.
    pub(crate) udp: Fronts,
    /// Connections to origins that speak HTTP/2.
    pub(crate) origins: Origins,
    /// What relays borrow.
    pub(crate) reserve: Rc<Reserve>,
    /// Connections accepted up to the last upkeep, so that the difference is what came of late.
    accepted_before: Cell<u64>,
    random: RefCell<Random>,
    retries: RefCell<Budget>,
    log: RefCell<Vec<u8>>,
    log_sink: Option<SyncSender<Vec<u8>>>,
    /// When the last wait ended; see [`crate::http::pump::Clock`].
    now: Cell<Instant>,
    /// The value of `Date`, and until when it holds.
    date: Cell<(Option<Instant>, Date)>,
    /// The plan changed: other pools have to be watched.
    replanned: Notify,
}

/// A `Date` value (RFC 9110 §5.6.7), always this long.
pub(crate) type Date = [u8; 29];

/// Pipes and buffers of one of `workers`, within the descriptors that the process may have.
fn relay_limits(workers: usize) -> relay::Limits {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    relay::Limits::for_descriptors(descriptors, workers)
}

impl AsRef<Buffers> for Worker {
    fn as_ref(&self) -> &Buffers {
        &self.buffers
    }
}

impl Worker {
    pub(crate) fn new(index: usize, shared: Arc<Shared>, log_sink: Option<SyncSender<Vec<u8>>>) -> Rc<Self> {
        let seed = u64::from(std::process::id()) << 16 | index as u64;
        let workers = shared.workers();
        Rc::new(Self {
            index,
            shared,
            started: Instant::now(),
            timers: Timers::default(),
            buffers: Buffers::default(),
            free: RefCell::default(),
            plan: RefCell::new(Rc::new(Arc::new(Plan::empty()))),
            acceptances: RefCell::default(),
            outbox: RefCell::default(),
            posted: RefCell::default(),
            postman: RefCell::default(),
            has_written: Arc::default(),
            draining: Cell::new(false),
            pressed: Cell::new(false),
            stopping: Cell::new(false),
            pressed_listeners: Cell::new(0),
            relays: Cell::new(0),
            udp: Fronts::default(),
            origins: Origins::default(),
            reserve: Reserve::new(relay_limits(workers)),
            accepted_before: Cell::new(0),
            random: RefCell::new(Random::new(seed)),
            retries: RefCell::new(Budget::new()),
            log: RefCell::default(),
            log_sink,
            now: Cell::new(Instant::now()),
            date: Cell::new((None, [0; 29])),
            replanned: Notify::new(),
        })
    }

    /// Serves until told to stop. What is still open then is dropped with the runtime.
    pub(crate) async fn run(self: Rc<Self>, mut inbox: UnboundedReceiver<Order>, placed: Receiver<Placed>) {
        let worker = Rc::clone(&self);
        spawn_local(async move { worker.timers.drive().await });
        spawn_local(Rc::clone(&self).deliver());
        spawn_local(Rc::clone(&self).watch_pools());
        spawn_local(Rc::clone(&self).keep_up());
        spawn_local(Rc::clone(&self).receive(placed));
        while let Some(order) = inbox.recv().await {
            match order {
                Order::Apply(plan) => self.apply(plan),
                Order::Drain => self.drain(),
                Order::Stop => break,
            }
        }
        self.cut_relays().await;
        // Nobody makes these writes any more, and each holds a connection that holds the worker.
        drop(self.outbox.take());
        self.flush_log();
    }

    /// Has every relay end with a reset, since a plain end would look like a whole message. Each of its tasks is woken
    /// and needs one turn; the bound is for one that does not come to it.
    async fn cut_relays(&self) {
        self.stopping.set(true);
        self.timers.wake_all();
        let mut turns = self.relays.get();
        while self.relays.get() > 0 && turns > 0 {
            turns -= 1;
            yield_now().await;
        }
    }

    /// Takes over a plan: sockets that both plans name go on, new ones are taken, others are left.
    fn apply(self: &Rc<Self>, plan: Arc<Plan>) {
        let mut left = std::mem::take(&mut *self.acceptances.borrow_mut());
        let mut kept = Vec::new();
        for listener in &plan.listeners {
            for binding in &listener.bindings {
                let known = left.iter().position(|acceptance| acceptance.is_of(&listener.name, binding));
                match known {
                    Some(position) => {
                        let acceptance = left.swap_remove(position);
                        acceptance.listener().replan(listener);
                        kept.push(acceptance);
                    }
                    None => kept.extend(Acceptance::start(self, listener, binding)),
                }
            }
        }
        left.iter().for_each(Acceptance::stop);
        left.iter().for_each(|acceptance| acceptance.listener().leave(self));
        *self.acceptances.borrow_mut() = kept;
        self.udp.apply(self, &plan);
        let version = plan.version;
        let former = self.plan.replace(Rc::new(plan));
        let closes = |route: &Arc<Route>| route.websocket.closes_when_removed && !self.has_route(&route.name);
        if former.routes.iter().any(closes) {
            self.timers.wake_all();
        }
        self.replanned.notify_one();
        self.counters().plan_version.set(version);
    }

    /// Stops accepting; connections end after their next answer, idle ones by and by.
    fn drain(&self) {
        self.draining.set(true);
        self.acceptances.borrow().iter().for_each(Acceptance::stop);
        self.udp.drain();
        self.timers.wake_all();
    }

    /// What the runtime has to do before it waits for events: a turn is over then.
    pub(crate) fn at_wait(&self) -> impl Fn() + Send + Sync + 'static {
        let has_written = Arc::clone(&self.has_written);
        move || has_written.store(false, Ordering::Relaxed)
    }

    /// Whether no write has come before this one in the turn. It is made at once then: a worker with little to do has
    /// one event a turn, and nothing to put together with.
    pub(crate) fn is_first_write(&self) -> bool {
        let is_first = !self.has_written.load(Ordering::Relaxed);
        self.has_written.store(true, Ordering::Relaxed);
        is_first
    }

    /// A connection has a write that waits for the end of the turn.
    pub(crate) fn post(&self, place: &Place, waker: &Waker) {
        let count = {
            let mut outbox = self.outbox.borrow_mut();
            outbox.push((Rc::clone(place), waker.clone()));
            outbox.len()
        };
        if count >= POSTED_MAX {
            self.write_posted();
        }
        self.postman.borrow_mut().take().into_iter().for_each(Waker::wake);
    }

    /// Makes the writes that were put off. Woken by the first of them, this task stands behind all tasks that the
    /// same turn of the event loop has woken, which is what makes it the turn's end.
    async fn deliver(self: Rc<Self>) {
        poll_fn(|cx| {
            *self.postman.borrow_mut() = Some(cx.waker().clone());
            self.write_posted();
            self.has_written.store(false, Ordering::Relaxed);
            Poll::Pending
        })
        .await
    }

    fn write_posted(&self) {
        // What a connection posts while it is carried on from here waits for the next time.
        let Ok(mut posted) = self.posted.try_borrow_mut() else { return };
        std::mem::swap(&mut *posted, &mut *self.outbox.borrow_mut());
        posted.retain(|(place, _)| !connection::write_now(place));
        posted.drain(..).for_each(|(place, waker)| connection::carry_on(&place, &waker));
    }

    /// Removes idle upstream connections the moment they die (P13), for all pools in one task.
    async fn watch_pools(self: Rc<Self>) {
        loop {
            let plan = Rc::clone(&self.plan.borrow());
            let mut replanned = std::pin::pin!(self.replanned.notified());
            poll_fn(|cx| {
                for endpoint in plan.upstreams.iter().flat_map(|upstream| &upstream.endpoints) {
                    endpoint.pool.watch(self.index, cx);
                }
                replanned.as_mut().poll(cx)
            })
            .await;
        }
    }

    async fn keep_up(self: Rc<Self>) {
        loop {
            let plan = Rc::clone(&self.plan.borrow());
            for endpoint in plan.upstreams.iter().flat_map(|upstream| &upstream.endpoints) {
                endpoint.pool.maintain(self.index, Instant::now());
            }
            self.origins.maintain();
            self.accepted_before.set(self.counters().accepted.value());
            self.flush_log();
            sleep(UPKEEP_INTERVAL).await;
        }
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(crate) fn counters(&self) -> &WorkerCounters {
        self.shared.registry.workers().get(self.index)
    }

    /// The worker's idea of now, shared by all its connections.
    pub(crate) fn clock(&self) -> &Cell<Instant> {
        &self.now
    }

    /// Microseconds since the worker began, as of the last wait, for the pure decisions.
    pub(crate) fn now_us(&self) -> u64 {
        self.now.get().saturating_duration_since(self.started).as_micros() as u64
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Whether connections of `listener` should end after their next answer.
    pub(crate) fn is_closing(&self, listener: &Listener) -> bool {
        self.draining.get()
            || self.pressed.get()
            || (self.pressed_listeners.get() > 0 && self.is_listener_pressed(listener))
    }

    #[cold]
    fn is_listener_pressed(&self, listener: &Listener) -> bool {
        let acceptances = self.acceptances.borrow();
        acceptances.iter().any(|own| own.name() == &*listener.name && own.listener().is_pressed())
    }

    pub(crate) fn is_pressed(&self) -> bool {
        self.pressed.get()
    }

    /// Says whether connections have to make room for others.
    pub(crate) fn press(&self, pressed: bool) {
        if pressed && !self.pressed.replace(true) {
            self.timers.wake_all();
        }
        self.pressed.set(pressed);
    }

    /// Counts up with every plan.
    pub(crate) fn plan_version(&self) -> u64 {
        self.plan.borrow().version
    }

    /// Whether the plan has a route of this name.
    pub(crate) fn has_route(&self, name: &str) -> bool {
        self.plan.borrow().has_route(name)
    }

    /// Some part of the time over which a drain closes idle connections.
    pub(crate) fn drain_delay(&self) -> Duration {
        self.plan.borrow().shutdown.spread.mul_f64(self.random.borrow_mut().unit())
    }

    /// How long a drain waits for what is in flight.
    pub(crate) fn drain_grace(&self) -> Duration {
        self.plan.borrow().shutdown.grace
    }

    /// A number for choices that need no secrecy.
    pub(crate) fn draw(&self) -> u64 {
        self.random.borrow_mut().next_u64()
    }

    /// Whether the budget has room for another attempt.
    pub(crate) fn may_retry(&self) -> bool {
        self.retries.borrow_mut().try_retry(self.now_us())
    }

    /// A request to an upstream earns its share of retries.
    pub(crate) fn earn_retry(&self) {
        self.retries.borrow_mut().on_request(self.now_us());
    }

    pub(crate) fn take_busy(&self, listener: &Listener) -> Box<Busy> {
        let free = self.free.borrow_mut().pop();
        free.filter(|busy| busy.work.limits == listener.settings.head)
            .unwrap_or_else(|| Box::new(Busy::new(listener)))
    }

    /// Takes it back, unless its decoders are in the middle of a message.
    pub(crate) fn give_busy(&self, mut busy: Box<Busy>) {
        busy.exchange = None;
        busy.work.input.take().into_iter().for_each(|buffer| self.buffers.give(buffer));
        let mut free = self.free.borrow_mut();
        if busy.work.requests.is_between_messages() && free.len() < FREE_BUSY_MAX {
            busy.work.reset();
            free.push(busy);
        }
    }

    /// The value of `Date` for this second.
    pub(crate) fn date(&self) -> Date {
        let (until, cached) = self.date.get();
        if until.is_some_and(|until| self.now.get() < until) {
            return cached;
        }
        let wall = SystemTime::now();
        let since = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut date = [b' '; 29];
        for (target, byte) in date.iter_mut().zip(httpdate::fmt_http_date(wall).bytes()) {
            *target = byte;
        }
        let rest_of_second = Duration::from_secs(1) - Duration::from_nanos(u64::from(since.subsec_nanos()));
        self.date.set((Some(self.now.get() + rest_of_second), date));
        date
    }

    pub(crate) fn wants_log(&self) -> bool {
        self.log_sink.is_some() && self.plan.borrow().access_log.is_some()
    }

    /// Writes a line, if there is a log. The record is made only then.
    pub(crate) fn log<'r>(&self, record: impl FnOnce() -> Record<'r>) {
        let (Some(sink), Some(format)) = (&self.log_sink, &self.plan.borrow().access_log) else { return };
        let mut log = self.log.borrow_mut();
        format.write(&record(), &mut log);
        self.counters().log_lines.increment();
        if log.len() >= LOG_BLOCK_BYTES {
            self.hand_over(sink, &mut log);
        }
    }

    fn flush_log(&self) {
        if let Some(sink) = &self.log_sink {
            let mut log = self.log.borrow_mut();
            if !log.is_empty() {
                self.hand_over(sink, &mut log);
            }
        }
    }

    /// A writer that is behind loses lines, which are counted; requests never wait for it.
    fn hand_over(&self, sink: &SyncSender<Vec<u8>>, log: &mut Vec<u8>) {
        let block = std::mem::replace(log, Vec::with_capacity(LOG_BLOCK_BYTES + LOG_BLOCK_BYTES / 4));
        if let Err(refused) = sink.try_send(block) {
            let (std::sync::mpsc::TrySendError::Full(block)
            | std::sync::mpsc::TrySendError::Disconnected(block)) = refused;
            let lines = block.iter().filter(|&&byte| byte == b'\n').count();
            self.counters().log_lines_dropped.add(lines as u64);
        }
    }
}
