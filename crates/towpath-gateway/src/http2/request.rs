//! One request of an HTTP/2 connection, from its head to the end of its answer.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::task::spawn_local;
use towpath_net::timer::Timer;

use super::{Front, Lane, carry};
use crate::accept::Seat;
use crate::error::Reason;
use crate::http::pump::Clock;
use crate::http::{After, Busy, Client, Detour, Session, Switched, Turn};

/// A request as a task. It goes the direct way as one of HTTP/1 does, and leaves it the same way.
pub(super) enum Request {
    Direct(Underway),
    Detour(Pin<Box<dyn Future<Output = ()>>>),
    Answered,
}

/// What a request has of its own.
pub(super) struct Underway {
    front: Rc<Front>,
    lane: Rc<Lane>,
    timer: Timer,
    /// Borrowed from the worker until the end.
    busy: Option<Box<Busy>>,
}

impl Request {
    /// The request whose head `busy` has.
    pub(super) fn new(front: &Rc<Front>, lane: Rc<Lane>, busy: Box<Busy>) -> Self {
        Self::Direct(Underway::new(front, lane, busy))
    }

    /// A request whose head nobody has kept.
    pub(super) fn refused(front: &Rc<Front>, lane: Rc<Lane>, busy: Box<Busy>, reason: Reason) -> Self {
        Self::Detour(Box::pin(Underway::new(front, lane, busy).run(Detour::BadHead(reason))))
    }
}

impl Future for Request {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let turn = match &mut *self {
                Self::Direct(underway) => ready!(underway.poll(cx)),
                Self::Detour(detour) => {
                    ready!(detour.as_mut().poll(cx));
                    Turn::Rest
                }
                Self::Answered => return Poll::Ready(()),
            };
            let before = std::mem::replace(&mut *self, Self::Answered);
            if let (Self::Direct(underway), Turn::Long(detour)) = (before, turn) {
                *self = Self::Detour(Box::pin(underway.run(detour)));
            }
        }
    }
}

impl Underway {
    fn new(front: &Rc<Front>, lane: Rc<Lane>, busy: Box<Busy>) -> Self {
        let timer = front.worker.timers.register();
        Self { front: Rc::clone(front), lane, timer, busy: Some(busy) }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        match self.session() {
            Some((mut session, busy)) => session.poll_turn(cx, busy),
            None => Poll::Ready(Turn::Rest),
        }
    }

    async fn run(mut self, detour: Detour) {
        let Some((session, busy)) = self.session() else { return };
        if let After::Tunnel(switched) = session.take(detour, busy).await {
            self.tunnel(*switched).await;
        }
    }

    /// Joins the client's stream with the origin. Nothing of what a request needs is held any longer.
    async fn tunnel(mut self, switched: Switched) {
        self.give_back();
        let Front { worker, listener, .. } = &*self.front;
        let (client, moving) = carry(Rc::clone(&self.lane), worker);
        let moving = spawn_local(moving);
        let timer = worker.timers.register();
        let tunnel = switched.join(client, timer, Seat::within(worker, listener));
        // It ends by itself.
        let _ = tunnel.await;
        // The last bytes are on their way.
        let _ = moving.await;
    }

    fn give_back(&mut self) {
        self.busy.take().into_iter().for_each(|busy| self.front.worker.give_busy(busy));
    }

    fn session(&mut self) -> Option<(Session<'_>, &mut Busy)> {
        let busy = self.busy.as_deref_mut()?;
        let session = Session {
            worker: &self.front.worker,
            listener: &self.front.listener,
            client: Client::Lane(&self.lane, &self.front),
            peer: self.front.peer,
            clock: Clock::new(&self.timer, self.front.worker.clock(), busy.cap()),
            is_first: false,
        };
        Some((session, busy))
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.give_back();
        self.lane.finish();
    }
}
