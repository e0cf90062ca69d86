//! Accepting on one socket of a worker, and what stops or slows it.

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
use tokio::time::sleep;
use towpath_net::listen::AcceptError;
use towpath_net::{Acceptor, Binding, Stream};

use crate::connection;
use crate::plan::Listener;
use crate::worker::{LocalListener, Worker};

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
            listener: Rc::new(LocalListener::new(Arc::clone(listener))),
            stopped: Rc::default(),
        };
        let task = Task {
            worker: Rc::clone(worker),
            listener: Rc::clone(&acceptance.listener),
            stopped: Rc::clone(&acceptance.stopped),
            pause: RESOURCE_PAUSE,
        };
        spawn_local(task.run(acceptor));
        Some(acceptance)
    }

    pub(crate) fn is_of(&self, name: &str, binding: &Arc<Binding>) -> bool {
        &*self.name == name && Arc::ptr_eq(&self.binding, binding)
    }

    pub(crate) fn listener(&self) -> &LocalListener {
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
}

impl Task {
    async fn run(mut self, mut acceptor: Acceptor) {
        while !self.stopped.is.get() {
            if self.is_full() {
                self.worker.press(true);
                sleep(FULL_PAUSE).await;
                continue;
            }
            match self.next(&mut acceptor).await {
                None => break,
                Some(Ok((stream, peer))) => self.serve(stream, peer),
                Some(Err(error)) => {
                    if !self.recover(&error).await {
                        return;
                    }
                }
            }
        }
        let mut left_over = acceptor.leave();
        for (stream, peer) in left_over.by_ref().take(LEFT_OVER_MAX) {
            self.serve(stream, peer);
        }
        if left_over.may_grow() {
            sleep(HANDSHAKE_TIME).await;
        }
        for (stream, peer) in left_over.take(LEFT_OVER_MAX) {
            self.serve(stream, peer);
        }
    }

    /// The next connection; `None` when told to stop.
    async fn next(&self, acceptor: &mut Acceptor) -> Option<io::Result<(Stream, SocketAddr)>> {
        let mut accept = pin!(acceptor.accept());
        let mut stopped = pin!(self.stopped.notify.notified());
        std::future::poll_fn(|cx| match accept.as_mut().poll(cx) {
            Poll::Ready(accepted) => Poll::Ready(Some(accepted)),
            Poll::Pending => stopped.as_mut().poll(cx).map(|()| None),
        })
        .await
    }

    /// Whether the process or the listener has as many connections as it may have.
    fn is_full(&self) -> bool {
        let shared = self.worker.shared();
        let limit = self.listener.plan().settings.connections_max;
        let limit = limit.unwrap_or(usize::MAX).min(shared.connections_max);
        let is_full = limit != usize::MAX && shared.open_count() >= limit as u64;
        if !is_full && self.worker.is_pressed() {
            self.worker.press(false);
        }
        is_full
    }

    fn serve(&mut self, stream: Stream, peer: SocketAddr) {
        self.pause = RESOURCE_PAUSE;
        self.worker.counters().connection_opened();
        spawn_local(connection::serve(Rc::clone(&self.worker), Rc::clone(&self.listener), stream, peer));
    }

    /// Waits as the error demands. False when the socket itself is dead.
    async fn recover(&mut self, error: &io::Error) -> bool {
        let name = Arc::clone(&self.listener.plan().name);
        match AcceptError::of(error) {
            AcceptError::Connection => true,
            AcceptError::Resource => {
                if self.pause == RESOURCE_PAUSE {
                    self.worker.shared().report(format!("listener {name}: accept pauses: {error}"));
                }
                self.worker.press(true);
                sleep(self.pause).await;
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
