//! The listener's socket on one worker, with its sessions: how it begins, what happens by and by, how it ends.
//!
//! ```text
//!   Serving ── drain, or the listener left the plan ──> Draining ── last session ended ──> task ends, socket closed
//! ```

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use tokio::task::spawn_local;
use tokio::time::Instant;
use towpath_base::slab::Key;
use towpath_net::timer::Timer;
use towpath_net::udp::{Batch, Fault};
use towpath_net::{UdpBinding, UdpSocket};
use towpath_telemetry::accesslog::Record;
use towpath_telemetry::counter::Padded;
use towpath_telemetry::metrics::{DatagramDrop, SessionEnd, UdpCounters};

use super::forward::Doubts;
use super::session::Link;
use super::table::{Limits, Session, Table};
use crate::plan::{Endpoint, Listener, Protocol, Udp, Upstream};
use crate::worker::Worker;

/// Batches that one socket may bring before other tasks have their turn: up to 128 runs.
pub(super) const BATCHES_PER_TURN: usize = 4;

/// Sessions that end by time in one turn, each for some microseconds of closing a socket.
const ENDS_PER_TURN: usize = 256;

/// How long a draining listener waits for an answer: as long as resolvers wait for one by default, before they ask again
/// (RFC 1035 §4.2.1 recommends 2 to 5 s).
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// How often a draining listener looks which sessions have had their answer.
const DRAIN_INTERVAL: Duration = Duration::from_millis(100);

/// How long a socket rests on which receiving fails, so that a fault costs some wake-ups and not a core.
const FAULT_PAUSE: Duration = Duration::from_millis(100);

/// What the plan says of a front.
pub(super) struct Listened {
    name: Arc<str>,
    pub(super) upstream: Arc<Upstream>,
    pub(super) counters: Arc<Padded<UdpCounters>>,
}

impl Listened {
    fn new(name: &Arc<str>, udp: &Udp, worker: &Worker) -> Self {
        Self {
            name: Arc::clone(name),
            upstream: Arc::clone(&udp.upstream),
            counters: udp.counters.worker(worker.index()),
        }
    }
}

/// See the module.
pub(super) struct Front {
    listener: RefCell<Listened>,
    binding: Arc<UdpBinding>,
    pub(super) worker: Rc<Worker>,
    pub(super) socket: UdpSocket,
    pub(super) table: RefCell<Table<Link>>,
    pub(super) doubts: RefCell<Doubts>,
    is_draining: Cell<bool>,
    /// One for all that happens by time.
    timer: Timer,
    is_timer_set: Cell<bool>,
    /// The front's own task.
    task: Cell<Option<Waker>>,
}

impl Front {
    /// Takes this worker's socket of `binding` and serves it.
    pub(super) fn start(
        worker: &Rc<Worker>,
        listener: &Arc<Listener>,
        binding: &Arc<UdpBinding>,
    ) -> Option<Rc<Self>> {
        let Protocol::Udp(udp) = &listener.protocol else { return None };
        let socket = match binding.take(worker.index()) {
            Ok(socket) => socket?,
            Err(error) => {
                worker.shared().report(format!("listener {}: cannot receive: {error}", listener.name));
                return None;
            }
        };
        let front = Rc::new(Self {
            listener: RefCell::new(Listened::new(&listener.name, udp, worker)),
            binding: Arc::clone(binding),
            worker: Rc::clone(worker),
            socket,
            table: RefCell::new(Table::new(limits(udp, worker))),
            doubts: RefCell::default(),
            is_draining: Cell::new(false),
            timer: worker.timers.register(),
            is_timer_set: Cell::new(false),
            task: Cell::default(),
        });
        spawn_local(Rc::clone(&front).run());
        Some(front)
    }

    pub(super) fn is_of(&self, binding: &Arc<UdpBinding>) -> bool {
        Arc::ptr_eq(&self.binding, binding) && !self.is_draining.get()
    }

    pub(super) fn listener(&self) -> Ref<'_, Listened> {
        self.listener.borrow()
    }

    /// Follows a new plan. Sessions go on whose endpoint is still in it, unless the listener's name, which is its
    /// identity, is another.
    pub(super) fn replan(&self, listener: &Listener) {
        let Protocol::Udp(udp) = &listener.protocol else { return };
        self.table.borrow_mut().set_limits(limits(udp, &self.worker));
        let is_renamed = self.listener().name != listener.name;
        let same = |old: &Endpoint| udp.upstream.endpoints.iter().find(|new| new.address == old.address);
        let left = |session: &Session<Link>| is_renamed || same(&session.value.endpoint).is_none();
        let left = self.table.borrow().keys(left);
        left.into_iter().for_each(|key| self.end(key, SessionEnd::Reload));
        for session in self.table.borrow_mut().sessions_mut() {
            // Probers tell the new object how the endpoint is.
            if let Some(endpoint) = same(&session.value.endpoint) {
                session.value.endpoint = Arc::clone(endpoint);
            }
        }
        *self.listener.borrow_mut() = Listened::new(&listener.name, udp, &self.worker);
        // The idle time may have become shorter.
        self.is_timer_set.set(false);
        self.wake();
    }

    /// Opens no more sessions, and ends each after its next answer.
    pub(super) fn drain(&self) {
        self.is_draining.set(true);
        self.is_timer_set.set(false);
        self.wake();
    }

    pub(super) fn is_draining(&self) -> bool {
        self.is_draining.get()
    }

    fn wake(&self) {
        self.task.take().into_iter().for_each(Waker::wake);
    }

    async fn run(self: Rc<Self>) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    fn poll(self: &Rc<Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.task.set(Some(cx.waker().clone()));
        self.poll_requests(cx);
        if self.timer.poll_expired(cx).is_ready() {
            self.is_timer_set.set(false);
            self.timer.clear();
            self.worker.clock().set(Instant::now());
        }
        if !self.is_timer_set.get() {
            self.end_by_time(cx);
        }
        let is_over = self.is_draining.get() && self.table.borrow().len() == 0;
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    }

    fn poll_requests(self: &Rc<Self>, cx: &mut Context<'_>) {
        let mut batch = self.batch();
        for _ in 0..BATCHES_PER_TURN {
            match self.socket.poll_receive(cx, &mut batch) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) => {
                    self.worker.clock().set(Instant::now());
                    batch.received().for_each(|received| self.forward(received));
                }
                Poll::Ready(Err(_)) => return self.set_timer(FAULT_PAUSE),
            }
        }
        cx.waker().wake_by_ref();
    }

    /// What the worker's UDP sockets receive into; borrowed for as long as it takes to send it on.
    pub(super) fn batch(&self) -> RefMut<'_, Batch> {
        self.worker.udp.batch.borrow_mut()
    }

    /// Ends what is to end by now, and sets the timer for the next.
    fn end_by_time(&self, cx: &Context<'_>) {
        let now_us = self.worker.now_us();
        for _ in 0..ENDS_PER_TURN {
            let expired = self.table.borrow().expired(now_us);
            let Some(key) = expired else { return self.plan_next(now_us) };
            self.end(key, SessionEnd::Idle);
        }
        cx.waker().wake_by_ref();
    }

    fn plan_next(&self, now_us: u64) {
        if self.is_draining.get() {
            self.end_answered(now_us);
            return self.set_timer(DRAIN_INTERVAL);
        }
        if let Some(next_us) = self.table.borrow().next_expiry_us() {
            self.set_timer(Duration::from_micros(next_us.saturating_sub(now_us)));
        }
    }

    fn end_answered(&self, now_us: u64) {
        let waited_since = now_us.saturating_sub(ANSWER_TIME.as_micros() as u64);
        let is_done = |session: &Session<Link>| {
            session.account.is_answered() || session.last_request_us() <= waited_since
        };
        let done = self.table.borrow().keys(is_done);
        done.into_iter().for_each(|key| self.end(key, SessionEnd::Drain));
    }

    fn set_timer(&self, span: Duration) {
        self.timer.set(self.worker.clock().get() + span);
        self.is_timer_set.set(true);
    }

    /// A session's socket has a fault to tell.
    pub(super) fn end_by_fault(&self, key: Key, fault: Fault) {
        if fault != Fault::Unreachable {
            return self.end(key, SessionEnd::Failed);
        }
        if let Some(session) = self.table.borrow().get(key) {
            self.doubts.borrow_mut().doubt(&session.value.endpoint, self.worker.now_us());
        }
        self.end(key, SessionEnd::Unreachable);
    }

    pub(super) fn end(&self, key: Key, end: SessionEnd) {
        let Some(session) = self.table.borrow_mut().close(key) else { return };
        self.listener().counters.ended(end);
        if self.worker.wants_log() {
            self.log(&session, end);
        }
    }

    fn log(&self, session: &Session<Link>, end: SessionEnd) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let client = session.flow.client.ip().to_string();
        let listener = self.listener();
        self.worker.log(|| Record {
            time_unix_ms: now.as_millis() as u64,
            remote_addr: Some(client.as_bytes()),
            version: Some(b"udp"),
            bytes_in: session.account.requests.bytes,
            bytes_out: session.account.answers.bytes,
            duration_us: self.worker.now_us().saturating_sub(session.opened_us),
            upstream: Some(listener.upstream.name.as_bytes()),
            endpoint: Some(session.value.endpoint.name.as_bytes()),
            listener: Some(listener.name.as_bytes()),
            reason: Some(end.label().as_bytes()),
            ..Record::default()
        });
    }
}

/// A worker's share of what a listener allows. The kernel spreads clients over workers by a hash of their address and
/// port, so that the sessions of one source are spread as well.
fn limits(udp: &Udp, worker: &Worker) -> Limits {
    let workers = worker.shared().registry.workers().iter().count();
    let share = |all: usize| all.div_ceil(workers).max(1);
    Limits {
        idle_us: udp.settings.idle_timeout.as_micros() as u64,
        // Each has a descriptor, as a connection has.
        sessions_max: share(udp.settings.sessions_max.min(worker.shared().connections_max)),
        sessions_per_source_max: share(udp.settings.sessions_per_source_max),
        reply_ratio: udp.settings.reply_ratio,
    }
}

/// What a datagram counts as that was not sent.
pub(super) fn dropped_by(fault: Fault) -> DatagramDrop {
    match fault {
        Fault::Full => DatagramDrop::Full,
        Fault::Unreachable => DatagramDrop::Unreachable,
        Fault::TooLarge | Fault::Other(_) => DatagramDrop::Failed,
    }
}
