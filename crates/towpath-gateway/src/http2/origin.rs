//! Connections to origins that speak HTTP/2: many requests at a time on each.
//!
//! ```text
//!  attempt ──> Origins: one Group per endpoint ──> Origin with a free stream ──> Lane
//!                        └── none: one of those who wait dials, over a slot of the endpoint's pool
//! ```
//!
//! They belong to one worker, as what is shared between threads would need locks on the way of every frame. The pool
//! counts them, so that `max_connections` bounds all workers together.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::Instant;
use towpath::http2::{Lane, Mux, Wire, take_in};
use towpath::pool::{GetError, Held, Pool, PoolConfig};
use towpath_net::timer::Timer;
use towpath_proto::h2::{Config, ErrorCode, Event, FieldWriter, Request, Role, SendError, StreamId};
use towpath_proto::message::Framing;

use crate::http::pump::Stop;
use crate::upstream::{ConnectError, Http1};
use crate::worker::Worker;

/// Requests at a time on one connection, if the origin allows as many: what Envoy, nginx and HAProxy announce to their
/// own clients. More would only queue in the origin.
const STREAMS_COUNT_MAX: usize = 100;

/// The connections of one worker, by endpoint.
#[derive(Default)]
pub(crate) struct Origins {
    /// By the address of the endpoint's pool, which each keeps from being used again.
    groups: RefCell<HashMap<usize, Rc<Group>>>,
}

/// The connections to one endpoint.
struct Group {
    _pool: Arc<Pool<Http1>>,
    origins: RefCell<Vec<Rc<Origin>>>,
    /// One of those who wait dials.
    is_dialling: Cell<bool>,
    /// A stream may have become free, or a dial has ended.
    changed: Notify,
}

/// A connection to an origin.
#[derive(Debug)]
pub(crate) struct Origin {
    mux: Rc<Mux>,
    /// It takes no more requests: too old, or the origin has said so.
    is_leaving: Cell<bool>,
    /// It has carried a request.
    is_used: Cell<bool>,
    /// The origin has said what it takes.
    has_settings: Cell<bool>,
    /// It has just done so, or takes no more requests.
    said: Notify,
}

impl Origins {
    /// A connection to the endpoint of `pool` with a free stream.
    pub(crate) fn find(&self, pool: &Arc<Pool<Http1>>) -> Option<Rc<Origin>> {
        self.group(pool)?.find()
    }

    /// The same, dialled or waited for.
    ///
    /// # Errors
    /// Those of the pool.
    pub(crate) async fn get(
        &self,
        pool: &Arc<Pool<Http1>>,
        config: &PoolConfig,
        worker: &Rc<Worker>,
        deadline: Option<Instant>,
    ) -> Result<Rc<Origin>, GetError<ConnectError>> {
        let group = self.group_or_new(pool);
        if let Some(origin) = group.find() {
            return Ok(origin);
        }
        while group.is_dialling.get() {
            group.changed.notified().await;
            if let Some(origin) = group.find() {
                return Ok(origin);
            }
        }
        let _dialling = Dialling::new(&group);
        let mut dial = pin!(pool.dial(worker.index(), worker.clock().get(), deadline));
        loop {
            // A stream may become free before a connection may be opened.
            let mut changed = pin!(group.changed.notified());
            let dialled = poll_fn(|cx| match dial.as_mut().poll(cx) {
                Poll::Ready(dialled) => Poll::Ready(Some(dialled)),
                Poll::Pending => changed.as_mut().poll(cx).map(|()| None),
            });
            if let Some(dialled) = dialled.await {
                let (connection, held) = dialled?;
                return Ok(group.add(
                    Wire::new(connection.stream, b"", &worker.buffers),
                    held,
                    config,
                    worker,
                ));
            }
            if let Some(origin) = group.find() {
                return Ok(origin);
            }
        }
    }

    fn group(&self, pool: &Arc<Pool<Http1>>) -> Option<Rc<Group>> {
        self.groups.borrow().get(&Arc::as_ptr(pool).addr()).map(Rc::clone)
    }

    fn group_or_new(&self, pool: &Arc<Pool<Http1>>) -> Rc<Group> {
        self.group(pool).unwrap_or_else(|| {
            let group = Rc::new(Group {
                _pool: Arc::clone(pool),
                origins: RefCell::default(),
                is_dialling: Cell::new(false),
                changed: Notify::new(),
            });
            self.groups.borrow_mut().insert(Arc::as_ptr(pool).addr(), Rc::clone(&group));
            group
        })
    }

    /// Forgets endpoints to which there is neither a connection nor a request.
    pub(crate) fn maintain(&self) {
        self.groups.borrow_mut().retain(|_, group| Rc::strong_count(group) > 1);
    }
}

/// While one dials, the others wait; whatever becomes of it, one of them is next.
struct Dialling(Rc<Group>);

impl Dialling {
    fn new(group: &Rc<Group>) -> Self {
        group.is_dialling.set(true);
        Self(Rc::clone(group))
    }
}

impl Drop for Dialling {
    fn drop(&mut self) {
        self.0.is_dialling.set(false);
        self.0.changed.notify_waiters();
    }
}

impl Group {
    /// The first connection that has room, so that the last ones are idle when there is little to do, and go.
    fn find(&self) -> Option<Rc<Origin>> {
        self.origins.borrow().iter().find(|origin| origin.has_room()).map(Rc::clone)
    }

    fn add(
        self: &Rc<Self>,
        wire: Wire,
        held: Held<Http1>,
        config: &PoolConfig,
        worker: &Rc<Worker>,
    ) -> Rc<Origin> {
        let origin = Rc::new(Origin {
            mux: Mux::new(Role::Client, Config::default()),
            is_leaving: Cell::new(false),
            is_used: Cell::new(false),
            has_settings: Cell::new(false),
            said: Notify::new(),
        });
        self.origins.borrow_mut().push(Rc::clone(&origin));
        let driver = Driver {
            group: Rc::clone(self),
            origin: Rc::clone(&origin),
            wire,
            timer: worker.timers.register(),
            worker: Rc::clone(worker),
            block: Vec::new(),
            is_idle: false,
            idle_timeout: config.idle_timeout,
            old_from: worker.clock().get() + config.max_lifetime,
            _held: held,
        };
        drop(spawn_local(driver));
        origin
    }

    /// The connection takes no more requests.
    fn remove(&self, origin: &Rc<Origin>) {
        origin.is_leaving.set(true);
        origin.said.notify_waiters();
        self.origins.borrow_mut().retain(|other| !Rc::ptr_eq(other, origin));
        self.changed.notify_waiters();
    }
}

impl Origin {
    fn has_room(&self) -> bool {
        !self.is_leaving.get()
            && self.mux.with(|codec| codec.can_open() && codec.streams_count() < STREAMS_COUNT_MAX)
    }

    /// Whether the origin takes extended CONNECT (RFC 8441 §3), as far as it has said.
    pub(crate) fn accepts_connect_protocol(&self) -> bool {
        self.mux.with(|codec| codec.peer_settings().accepts_connect_protocol)
    }

    /// Whether the origin has said what it takes (RFC 9113 §3.4).
    pub(crate) fn has_settings(&self) -> bool {
        self.has_settings.get()
    }

    /// Waits until it has; false when it will not any more.
    pub(crate) async fn await_settings(&self) -> bool {
        while !self.has_settings.get() && !self.is_leaving.get() {
            self.said.notified().await;
        }
        self.has_settings.get()
    }

    /// Whether it has carried a request before.
    pub(crate) fn is_used(&self) -> bool {
        self.is_used.get()
    }

    /// Opens a stream with the head of a request; with `end` it is all of it.
    ///
    /// # Errors
    /// See [`towpath_proto::h2::Connection::encode_request`].
    pub(crate) fn request(
        &self,
        request: &Request<'_>,
        end: bool,
        write: impl FnOnce(&mut FieldWriter<'_>),
    ) -> Result<Rc<Lane>, SendError> {
        let id = self.mux.encode(|codec, out| codec.encode_request(request, end, out, write))?;
        self.is_used.set(true);
        let lane = self.mux.open(id, Framing::None);
        if end {
            lane.has_sent_all();
        }
        Ok(lane)
    }
}

/// The task of a connection.
struct Driver {
    group: Rc<Group>,
    origin: Rc<Origin>,
    wire: Wire,
    timer: Timer,
    worker: Rc<Worker>,
    /// Memory for the block of the next head.
    block: Vec<u8>,
    is_idle: bool,
    idle_timeout: Duration,
    /// When it has lived long enough.
    old_from: Instant,
    /// Its place in the pool.
    _held: Held<Http1>,
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let over = ready!(self.poll_over(cx));
        // What was written but for the last words is what the origin knows of us.
        if over.is_ok() {
            self.origin.mux.with(|codec| codec.close(ErrorCode::NoError));
        }
        let Self { wire, origin, .. } = &mut *self;
        let _ = wire.poll_write(cx, &origin.mux);
        origin.mux.end_all();
        self.group.remove(&self.origin);
        Poll::Ready(())
    }
}

impl Driver {
    /// Ready when the connection is over; an error when it failed.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        self.origin.mux.attend(cx);
        loop {
            if let Poll::Ready(Err(_)) = self.wire.poll_write(cx, &self.origin.mux) {
                return Poll::Ready(Err(Stop::Io));
            }
            match self.wire.poll_read(cx, &self.worker.buffers) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(Stop::Io)),
                Poll::Ready(Ok(_)) => {
                    self.worker.clock().set(Instant::now());
                    self.take_in()?;
                }
                Poll::Pending => break,
            }
        }
        if self.origin.has_room() {
            self.group.changed.notify_waiters();
        }
        self.poll_clock(cx)
    }

    fn take_in(&mut self) -> Result<(), Stop> {
        let Some(mut input) = self.wire.take_input() else { return Ok(()) };
        let now_ms = self.worker.now_us() / 1000;
        let origin = Rc::clone(&self.origin);
        let judged = take_in(&origin.mux, now_ms, &mut input, |event, input| self.follow(event, input));
        self.wire.put_back(input, &self.worker.buffers);
        judged.map_err(|_| Stop::Io)
    }

    fn follow(&mut self, event: Event, input: &[u8]) {
        match event {
            Event::Interim { stream } => self.take_head(stream, false),
            Event::Head { stream, end } => self.take_head(stream, end),
            // RFC 9113 §8.7: what was refused so was not looked at.
            Event::Reset { stream, code, .. } => {
                let is_unprocessed = code == ErrorCode::RefusedStream;
                let lane = self.origin.mux.lane(stream);
                lane.into_iter().for_each(|lane| lane.lose(is_unprocessed));
            }
            Event::GoAway { last, .. } => {
                self.group.remove(&self.origin);
                self.origin.mux.lose_above(last);
            }
            event => {
                if event == Event::Settings {
                    self.origin.has_settings.set(true);
                    self.origin.said.notify_waiters();
                }
                self.origin.mux.follow(event, input);
            }
        }
    }

    fn take_head(&mut self, stream: StreamId, end: bool) {
        let mux = &self.origin.mux;
        let Some(lane) = mux.lane(stream) else { return };
        lane.take_head(&mut self.block, |head, block| mux.with(|codec| codec.swap_response(head, block)));
        if end {
            lane.take_end(None);
        }
    }

    /// Ends what is idle for too long, and what is too old as soon as it is idle.
    fn poll_clock(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        let now = self.worker.clock().get();
        if now >= self.old_from && !self.origin.is_leaving.get() {
            self.group.remove(&self.origin);
        }
        let is_idle = self.origin.mux.with(|codec| codec.streams_count()) == 0;
        if is_idle && (self.origin.is_leaving.get() || self.worker.is_draining()) {
            return Poll::Ready(Ok(()));
        }
        if is_idle != std::mem::replace(&mut self.is_idle, is_idle) {
            if is_idle {
                self.timer.set((now + self.idle_timeout).min(self.old_from));
                self.origin.mux.rest();
                self.wire.rest();
                self.block = Vec::new();
            } else {
                self.timer.clear();
            }
        }
        self.timer.poll_expired(cx).map(Ok)
    }
}
