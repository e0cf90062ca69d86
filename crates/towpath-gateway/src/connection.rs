//! A client's connection from accept to close.
//!
//! While it is idle it is this one small task: a socket, a timer, two handles. Everything else is borrowed when the
//! first byte of a request arrives and given back after the last answer.

use std::cell::RefCell;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use tokio::time::Instant;
use towpath_net::Stream;
use towpath_net::timer::Timer;
use towpath_telemetry::metrics::CloseReason;

use crate::accept::{Arrival, Seat};
use crate::http::pump::Clock;
use crate::http::{After, Busy, Client, Detour, Session, Turn};
use crate::worker::Worker;

/// Serves the connection to its end.
pub(crate) fn serve(arrival: Arrival) -> impl Future<Output = ()> {
    let Arrival { seat, stream, timer, client, early, .. } = arrival;
    let busy = (!early.is_empty()).then(|| {
        let mut busy = seat.worker.take_busy(&seat.listener.plan());
        busy.work.input.get_or_insert_with(|| seat.worker.buffers.take()).push(&early);
        busy
    });
    Serve::Here(Rc::new(RefCell::new(Some(Connection {
        seat,
        stream,
        peer: client.address.ip(),
        timer,
        busy,
        next: None,
        is_first: true,
        is_leaving: false,
    }))))
}

/// Where a connection stands for its task and for the end of the event loop's turn; empty while something is done
/// with it that takes it along.
pub(crate) type Place = Rc<RefCell<Option<Connection>>>;

/// A connection as a task. By hand, as an `async` block would hold in every idle connection what busy ones need.
enum Serve {
    /// Idle, or with a request under way that goes the direct way.
    Here(Place),
    /// Something else is done with it.
    Away(Pin<Box<dyn Future<Output = Outcome>>>, Place),
    Closed,
}

impl Future for Serve {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut *self {
                Self::Here(place) => {
                    let next = ready!(poll_here(place, cx));
                    let place = Rc::clone(place);
                    *self = next.map_or(Self::Closed, |(connection, errand)| {
                        Self::Away(Box::pin(connection.run(errand)), place)
                    });
                }
                Self::Away(errand, place) => {
                    let outcome = ready!(errand.as_mut().poll(cx));
                    let place = Rc::clone(place);
                    *self = outcome.follow(place);
                }
                Self::Closed => return Poll::Ready(()),
            }
        }
    }
}

/// Carries the connection on. Ready when something else is to be done with it, or, with `None`, when it is closed.
fn poll_here(place: &Place, cx: &mut Context<'_>) -> Poll<Option<(Connection, Errand)>> {
    let mut standing = place.borrow_mut();
    let Some(connection) = &mut *standing else { return Poll::Ready(None) };
    let Poll::Ready(next) = connection.poll(cx) else {
        if let Some(worker) = connection.posts_to() {
            drop(standing);
            worker.post(place, cx.waker());
        }
        return Poll::Pending;
    };
    Poll::Ready(match (standing.take(), next) {
        (Some(connection), Next::Errand(errand)) => Some((connection, errand)),
        (Some(connection), Next::Close(reason)) => {
            connection.close(reason);
            None
        }
        (None, _) => None,
    })
}

/// Makes the write that a connection has put off to the end of the turn. True when nothing else is to be done.
pub(crate) fn write_now(place: &Place) -> bool {
    let mut standing = place.borrow_mut();
    let Some(Connection { busy: Some(busy), stream, .. }) = &mut *standing else { return true };
    busy.write_now(stream)
}

/// Carries a connection on behind such a write, in place of its task, which `waker` wakes.
pub(crate) fn carry_on(place: &Place, waker: &Waker) {
    let mut standing = place.borrow_mut();
    let Some(connection) = &mut *standing else { return };
    if let Poll::Ready(next) = connection.poll(&mut Context::from_waker(waker)) {
        connection.next = Some(Box::new(next));
        waker.wake_by_ref();
    } else if let Some(worker) = connection.posts_to() {
        drop(standing);
        worker.post(place, waker);
    }
}

/// What a connection does that is not idle and not on the direct way.
enum Next {
    Errand(Errand),
    Close(CloseReason),
}

enum Errand {
    Detour(Detour),
    Follow(After),
}

/// What an errand made of its connection.
enum Outcome {
    /// It is as it was before.
    Back(Connection),
    /// It is over, or was upgraded.
    Closed,
}

impl Outcome {
    /// What the task is from now on; `place` is where the connection stood.
    fn follow(self, place: Place) -> Serve {
        match self {
            Self::Back(connection) => {
                *place.borrow_mut() = Some(connection);
                Serve::Here(place)
            }
            Self::Closed => Serve::Closed,
        }
    }
}

pub(crate) struct Connection {
    seat: Seat,
    stream: Stream,
    peer: IpAddr,
    timer: Timer,
    /// What it borrows while it is not idle.
    busy: Option<Box<Busy>>,
    /// What came of it at the end of a turn, for its task.
    next: Option<Box<Next>>,
    /// No request has been read on it.
    is_first: bool,
    /// A drain has given it its time to go.
    is_leaving: bool,
}

impl Connection {
    /// Waits for requests and answers them as long as they go the direct way.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        if let Some(next) = self.next.take() {
            return Poll::Ready(*next);
        }
        loop {
            let Some((mut session, busy)) = self.session() else {
                if let Err(reason) = ready!(self.poll_readable(cx)) {
                    return Poll::Ready(Next::Close(reason));
                }
                self.busy = Some(self.seat.worker.take_busy(&self.seat.listener.plan()));
                continue;
            };
            match ready!(session.poll_turn(cx, busy)) {
                Turn::Rest => self.give_back(),
                Turn::Done(After::KeepAlive) => self.rest(),
                Turn::Done(After::Close(reason)) => return Poll::Ready(Next::Close(reason)),
                Turn::Done(after) => return Poll::Ready(Next::Errand(Errand::Follow(after))),
                Turn::Long(detour) => return Poll::Ready(Next::Errand(Errand::Detour(detour))),
            }
        }
    }

    /// The worker, if it has to be told of a write at the end of the turn.
    fn posts_to(&mut self) -> Option<Rc<Worker>> {
        let is_due = self.busy.as_mut().is_some_and(|busy| busy.take_due());
        is_due.then(|| Rc::clone(&self.seat.worker))
    }

    /// Does what needs more than the direct way.
    async fn run(mut self, errand: Errand) -> Outcome {
        let after = match errand {
            Errand::Follow(after) => after,
            Errand::Detour(detour) => {
                let Some((session, busy)) = self.session() else { return Outcome::Closed };
                session.take(detour, busy).await
            }
        };
        match after {
            After::KeepAlive => {
                self.rest();
                return Outcome::Back(self);
            }
            After::Tunnel(switched) => {
                // Nothing of what a request needs is held any longer.
                self.give_back();
                drop(switched.join(self.stream, self.timer, self.seat));
                return Outcome::Closed;
            }
            After::Close(reason) => self.close(reason),
            After::Linger => {
                if let Some((session, busy)) = self.session() {
                    session.linger(&mut busy.work).await;
                }
                self.close(CloseReason::Finished);
            }
        }
        Outcome::Closed
    }

    /// The connection as a request sees it, and what it borrows; `None` when it is idle.
    fn session(&mut self) -> Option<(Session<'_>, &mut Busy)> {
        let busy = self.busy.as_deref_mut()?;
        let session = Session {
            worker: &self.seat.worker,
            listener: &self.seat.listener,
            client: Client::Wire(&mut self.stream),
            peer: self.peer,
            clock: Clock::new(&self.timer, self.seat.worker.clock(), busy.cap()),
            is_first: self.is_first,
        };
        Some((session, busy))
    }

    /// A request was answered: the next one, if it has begun to come; else nothing is held while none does.
    fn rest(&mut self) {
        self.is_first = false;
        if !self.busy.as_ref().is_some_and(|busy| busy.has_input()) {
            self.give_back();
            self.timer.set(self.seat.worker.clock().get() + self.seat.listener.plan().settings.idle_timeout);
        }
    }

    fn give_back(&mut self) {
        self.busy.take().into_iter().for_each(|busy| self.seat.worker.give_busy(busy));
    }

    /// Ends the connection for `reason`.
    fn close(mut self, reason: CloseReason) {
        self.give_back();
        self.seat.reason = reason;
    }

    /// Waits for a byte. An error is the reason to close instead.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        if self.stream.poll_readable(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        if let Some(reason) = self.is_over() {
            return Poll::Ready(Err(reason));
        }
        self.timer.poll_expired(cx).map(|()| Err(self.expired()))
    }

    /// Why to close instead of waiting on, if there is a reason.
    fn is_over(&mut self) -> Option<CloseReason> {
        let is_pressed = self.seat.worker.is_pressed() || self.seat.listener.is_pressed();
        if is_pressed && !self.is_first {
            return Some(CloseReason::Limit);
        }
        if self.seat.worker.is_draining() && !self.is_leaving {
            self.is_leaving = true;
            self.timer.set(Instant::now() + self.seat.worker.drain_delay());
        }
        None
    }

    fn expired(&self) -> CloseReason {
        match (self.seat.worker.is_draining(), self.is_first) {
            (true, _) => CloseReason::Drain,
            (false, true) => CloseReason::Timeout,
            (false, false) => CloseReason::Idle,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each idle connection costs beside tokio's own 256 bytes per socket and about 100 per task.
    const IDLE_BYTES_MAX: usize = 144;

    /// What each busy connection borrows beside buffers.
    const BUSY_BYTES_MAX: usize = 2304;

    #[test]
    fn an_idle_connection_is_small() {
        let idle = size_of::<RefCell<Option<Connection>>>();
        assert!(idle <= IDLE_BYTES_MAX, "{idle}");
    }

    #[test]
    fn a_busy_connection_stays_within_its_budget() {
        let busy = size_of::<Busy>();
        assert!(busy <= BUSY_BYTES_MAX, "{busy}");
    }
}
