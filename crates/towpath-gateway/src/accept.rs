//! Accepting on one socket of a worker, and what stops or slows it.

pub(crate) mod gate;
pub(crate) mod place;
mod seat;

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::Instant;
use towpath_net::listen::AcceptError;
use towpath_net::time::{sleep, sleep_until};
use towpath_net::timer::Timer;
use towpath_net::{Accepted, Acceptor, Binding, Stream};
use towpath_telemetry::metrics::{CloseReason, Limit};

use crate::l4::{self, Client, proxy_header};
use crate::plan::{Listener, Protocol};
use crate::tls;
use crate::upstream::is_http2_agreed;
use crate::worker::{LocalListener, Worker};
use crate::{connection, http2};
pub(crate) use seat::Seat;

/// First and longest pause after the system ran out of something. Doubled in between, so that a limit costs a wake-up
/// a second and not a core (S03).
const RESOURCE_PAUSE: Duration = Duration::from_millis(5);
const RESOURCE_PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long a worker leaves new connections in the kernel's queue before it looks whether one has ended.
const FULL_PAUSE: Duration = Duration::from_millis(20);

/// Connections that a stopping socket still takes out of its queue: their clients have connected, and closing the
/// socket would reset them. Bounded by the queue itself.
const LEFT_OVER_MAX: usize = 8192;

/// How long a stopping socket waits for handshakes that are under way: a round trip to a client not far away.
const HANDSHAKE_TIME: Duration = Duration::from_millis(5);

/// A task that accepts on one socket.
pub(crate) struct Acceptance {
    name: Arc<str>,
    binding: Arc<Binding>,
    listener: Rc<LocalListener>,
    stopped: Rc<Stopped>,
}

#[derive(Default)]
struct Stopped {
    is: Cell<bool>,
    notify: Notify,
}

impl Acceptance {
    /// Takes this worker's socket of `binding` and accepts on it.
    pub(crate) fn start(
        worker: &Rc<Worker>,
        listener: &Arc<Listener>,
        binding: &Arc<Binding>,
    ) -> Option<Self> {
        let acceptor = match binding.take(worker.index()) {
            Ok(acceptor) => acceptor?,
            Err(error) => {
                worker.shared().report(format!("listener {}: cannot accept: {error}", listener.name));
                return None;
            }
        };
        let acceptance = Self {
            name: Arc::clone(&listener.name),
            binding: Arc::clone(binding),
            listener: Rc::new(LocalListener::new(Arc::clone(listener), worker)),
            stopped: Rc::default(),
        };
        let task = Task {
            worker: Rc::clone(worker),
            listener: Rc::clone(&acceptance.listener),
            stopped: Rc::clone(&acceptance.stopped),
            pause: RESOURCE_PAUSE,
            limit: None,
        };
        spawn_local(task.run(acceptor));
        Some(acceptance)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn is_of(&self, name: &str, binding: &Arc<Binding>) -> bool {
        &*self.name == name && Arc::ptr_eq(&self.binding, binding)
    }

    pub(crate) fn listener(&self) -> &Rc<LocalListener> {
        &self.listener
    }

    pub(crate) fn stop(&self) {
        self.stopped.is.set(true);
        self.stopped.notify.notify_one();
    }
}

struct Task {
    worker: Rc<Worker>,
    listener: Rc<LocalListener>,
    stopped: Rc<Stopped>,
    pause: Duration,
    /// What kept connections off a moment ago.
    limit: Option<Limit>,
}

/// What a task that accepts does next.
enum Next {
    Accepted(io::Result<(Accepted, SocketAddr)>),
    /// A limit is reached: nothing, until then.
    Rest(Instant),
    Stop,
}

impl Task {
    async fn run(mut self, mut acceptor: Acceptor) {
        while !self.stopped.is.get() {
            match self.next(&mut acceptor).await {
                Next::Stop => break,
                Next::Rest(until) => self.rest_until(until).await,
                Next::Accepted(Ok((accepted, peer))) => self.place(accepted, peer),
                Next::Accepted(Err(error)) => {
                    if !self.recover(&error).await {
                        return;
                    }
                }
            }
        }
        self.leave(acceptor).await;
    }

    /// Serves those who have connected already.
    async fn leave(self, acceptor: Acceptor) {
        self.listener.press(false, &self.worker);
        let mut left_over = acceptor.leave();
        for (stream, peer) in left_over.by_ref().take(LEFT_OVER_MAX) {
            admit(&self.worker, &self.listener, stream, peer);
        }
        if left_over.may_grow() {
            sleep(HANDSHAKE_TIME).await;
        }
        for (stream, peer) in left_over.take(LEFT_OVER_MAX) {
            admit(&self.worker, &self.listener, stream, peer);
        }
    }

    /// The next connection. The limits are looked at each time there may be one, and not before waiting for it, so that
    /// none comes past a limit that was reached meanwhile.
    async fn next(&mut self, acceptor: &mut Acceptor) -> Next {
        let stopped = Rc::clone(&self.stopped);
        let mut accept = pin!(acceptor.accept_unplaced());
        let mut stopped = pin!(stopped.notify.notified());
        std::future::poll_fn(|cx| {
            if let Some(until) = self.obstacle() {
                return Poll::Ready(Next::Rest(until));
            }
            match accept.as_mut().poll(cx) {
                Poll::Ready(accepted) => Poll::Ready(Next::Accepted(accepted)),
                Poll::Pending => stopped.as_mut().poll(cx).map(|()| Next::Stop),
            }
        })
        .await
    }

    /// Sleeps, unless told to stop.
    async fn rest_until(&self, until: Instant) {
        let mut rest = pin!(sleep_until(until));
        let mut stopped = pin!(self.stopped.notify.notified());
        std::future::poll_fn(|cx| match rest.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => stopped.as_mut().poll(cx),
        })
        .await;
    }

    /// Until when the next connection stays in the kernel's queue because a limit is reached.
    fn obstacle(&mut self) -> Option<Instant> {
        let (now, plan) = (Instant::now(), self.listener.plan());
        let of_process = self.worker.shared().open_count() >= self.worker.shared().connections_max as u64;
        let of_listener = plan.settings.connections_max.unwrap_or(usize::MAX);
        let of_listener = self.listener.gate.open_count() >= of_listener;
        let next =
            plan.settings.accept_rate.as_ref().and_then(|rate| self.listener.gate.pace().wait(now, rate));
        // Idle connections make room, those of the listener or those of all.
        self.worker.press(of_process);
        self.listener.press(of_listener, &self.worker);
        let (limit, until) = match (of_process, of_listener, next) {
            (true, ..) => (Some(Limit::Process), Some(now + FULL_PAUSE)),
            (_, true, _) => (Some(Limit::Listener), Some(now + FULL_PAUSE)),
            (.., Some(next)) => (Some(Limit::Rate), Some(next)),
            (.., None) => (None, None),
        };
        if limit != self.limit {
            limit.into_iter().for_each(|limit| self.listener.limited(limit));
            self.limit = limit;
        }
        until
    }

    /// Serves the connection here, or has another worker do it.
    fn place(&mut self, accepted: Accepted, peer: SocketAddr) {
        self.pause = RESOURCE_PAUSE;
        let plan = self.listener.plan();
        if let Some(rate) = &plan.settings.accept_rate {
            self.listener.gate.pace().take(Instant::now(), rate);
        }
        // Counted until it has a seat, here or there: what is on its way fills the limits as well.
        self.listener.gate.enter();
        let Some(accepted) = self.worker.place_elsewhere(accepted, peer, &plan) else {
            return self.listener.counters.placed_elsewhere.increment();
        };
        match accepted.into_stream() {
            Ok(stream) => admit(&self.worker, &self.listener, stream, peer),
            Err(error) => {
                self.listener.limited(Limit::System);
                self.worker.shared().report(format!("listener {}: {error}", plan.name));
            }
        }
        self.listener.gate.leave();
    }

    /// Waits as the error demands. False when the socket itself is dead.
    async fn recover(&mut self, error: &io::Error) -> bool {
        let name = Arc::clone(&self.listener.plan().name);
        match AcceptError::of(error) {
            AcceptError::Connection => true,
            AcceptError::Resource => {
                if self.pause == RESOURCE_PAUSE {
                    self.worker.shared().report(format!("listener {name}: accept pauses: {error}"));
                    self.listener.limited(Limit::System);
                }
                self.worker.press(true);
                self.rest_until(Instant::now() + self.pause).await;
                self.pause = (self.pause * 2).min(RESOURCE_PAUSE_MAX);
                true
            }
            AcceptError::Fatal => {
                self.worker.shared().report(format!("listener {name}: socket is unusable: {error}"));
                false
            }
        }
    }
}

/// Takes a connection in, on the worker that is to serve it.
pub(crate) fn admit(worker: &Rc<Worker>, listener: &Rc<LocalListener>, stream: Stream, peer: SocketAddr) {
    let plan = listener.plan();
    let (seat, since, timer) = (Seat::new(worker, listener), Instant::now(), worker.timers.register());
    // One deadline from accept to ready, whatever has to be read until then (T31).
    timer.set(since + plan.settings.first_request_timeout);
    let mut arrival = Arrival { seat, stream, since, timer, client: Client::direct(peer), early: Vec::new() };
    if plan.settings.wants_proxy_header(peer.ip()) {
        spawn_local(Box::pin(proxy_header::receive(arrival)));
        return;
    }
    match arrival.seat.claim(peer.ip()) {
        Ok(()) => arrival.serve(&plan),
        Err(reason) => {
            arrival.seat.refuse(reason, CloseReason::Limit);
            arrival.stream.reset_on_drop();
        }
    }
}

/// A connection whose client is known and whose bytes are to be read.
pub(crate) struct Arrival {
    pub(crate) seat: Seat,
    pub(crate) stream: Stream,
    /// When it was accepted.
    pub(crate) since: Instant,
    /// Runs since the connection was accepted.
    pub(crate) timer: Timer,
    pub(crate) client: Client,
    /// What was read behind a PROXY header.
    pub(crate) early: Vec<u8>,
}

impl Arrival {
    /// Begins what the listener does with it, in a task of its own: TLS first, where it is spoken.
    pub(crate) fn serve(self, plan: &Listener) {
        match plan.tls {
            Some(_) => drop(spawn_local(Box::pin(tls::receive(self)))),
            None => self.serve_opened(plan),
        }
    }

    /// The same behind TLS, or without it.
    pub(crate) fn serve_opened(self, plan: &Listener) {
        match &plan.protocol {
            Protocol::Http if is_http2_agreed(&self.stream) => drop(spawn_local(http2::serve(self))),
            Protocol::Http if plan.settings.h2c && !self.stream.is_tls() => {
                drop(spawn_local(Box::pin(http2::sniff(self))));
            }
            Protocol::Http => drop(spawn_local(connection::serve(self))),
            Protocol::Tcp(_) | Protocol::Passthrough(_) => drop(spawn_local(l4::serve(self))),
            // Datagrams make no connections.
            Protocol::Udp(_) => {}
        }
    }
}
