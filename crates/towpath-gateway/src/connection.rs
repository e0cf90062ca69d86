//! A client's connection from accept to close.
//!
//! While it is idle it is this one small task: a socket, a timer, two handles. Everything else is borrowed when the
//! first byte of a request arrives and given back after the last answer.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::time::Instant;
use towpath_net::Stream;
use towpath_net::timer::Timer;
use towpath_telemetry::metrics::CloseReason;

use crate::http::{self, Rest, pump::Clock, tunnel};
use crate::worker::{LocalListener, Worker};

/// Serves the connection to its end.
///
/// Not an `async fn`: that would hold its arguments twice, once as given and once as used.
pub(crate) fn serve(
    worker: Rc<Worker>,
    listener: Rc<LocalListener>,
    stream: Stream,
    peer: SocketAddr,
) -> impl Future<Output = ()> {
    let timer = worker.timers.register();
    // One deadline from accept to the first whole head (T31).
    timer.set(Instant::now() + listener.plan().settings.first_request_timeout);
    let mut connection = Connection {
        worker,
        listener,
        stream,
        peer: peer.ip(),
        timer,
        is_first: true,
        is_leaving: false,
        reason: CloseReason::Error,
    };
    async move {
        let reason = loop {
            if let Err(reason) = Readable(&mut connection).await {
                break reason;
            }
            // Boxed, so that an idle connection does not hold the memory of a busy one.
            match connection.busy().await {
                Rest::Idle(since) => connection.rest(since),
                Rest::Closed(reason) => break reason,
                Rest::Tunnel(tunnel) => {
                    connection.carry(tunnel).await;
                    break CloseReason::Finished;
                }
            }
        };
        connection.end(reason);
    }
}

/// Counted as open until it is dropped, whatever ends it.
struct Connection {
    worker: Rc<Worker>,
    listener: Rc<LocalListener>,
    stream: Stream,
    peer: IpAddr,
    timer: Timer,
    /// No request has been read on it.
    is_first: bool,
    /// A drain has given it its time to go.
    is_leaving: bool,
    reason: CloseReason,
}

impl Connection {
    fn busy(&mut self) -> Pin<Box<impl Future<Output = Rest>>> {
        if !self.is_first {
            self.timer.set(Instant::now() + self.listener.plan().settings.header_timeout);
        }
        Box::pin(http::run(
            &self.worker,
            &self.listener,
            &mut self.stream,
            self.peer,
            &self.timer,
            self.is_first,
        ))
    }

    fn end(mut self, reason: CloseReason) {
        self.reason = reason;
    }

    fn rest(&mut self, since: Instant) {
        self.is_first = false;
        self.timer.set(since + self.listener.plan().settings.idle_timeout);
    }

    fn carry(&mut self, tunnel: Box<tunnel::Tunnel>) -> Pin<Box<impl Future<Output = ()>>> {
        Box::pin(async move {
            self.worker.counters().tunnels_open.increment();
            let clock = Clock::new(&self.timer, self.worker.clock());
            tunnel::run(*tunnel, &mut self.stream, &clock, &self.worker.buffers).await;
            self.worker.counters().tunnels_open.decrement();
        })
    }

    /// Why to close instead of waiting on, if there is a reason.
    fn is_over(&mut self) -> Option<CloseReason> {
        if self.worker.is_pressed() && !self.is_first {
            return Some(CloseReason::Limit);
        }
        if self.worker.is_draining() && !self.is_leaving {
            self.is_leaving = true;
            self.timer.set(Instant::now() + self.worker.drain_delay());
        }
        None
    }

    fn expired(&self) -> CloseReason {
        match (self.worker.is_draining(), self.is_first) {
            (true, _) => CloseReason::Drain,
            (false, true) => CloseReason::Timeout,
            (false, false) => CloseReason::Idle,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.worker.counters().connection_closed(self.reason);
    }
}

/// Waits for a byte. An error is the reason to close instead.
struct Readable<'a>(&'a mut Connection);

impl Future for Readable<'_> {
    type Output = Result<(), CloseReason>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let connection = &mut *self.0;
        if connection.stream.poll_readable(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        if let Some(reason) = connection.is_over() {
            return Poll::Ready(Err(reason));
        }
        connection.timer.poll_expired(cx).map(|()| Err(connection.expired()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each idle connection costs beside tokio's own 256 bytes per socket and about 100 per task.
    const IDLE_BYTES_MAX: usize = 144;

    /// What each busy connection borrows beside buffers and a workspace.
    const BUSY_BYTES_MAX: usize = 2304;

    fn size_of_idle<F: Future>(_: fn(Rc<Worker>, Rc<LocalListener>, Stream, SocketAddr) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_connection_is_small() {
        let idle = size_of_idle(serve);
        assert!(idle <= IDLE_BYTES_MAX, "{idle}");
    }

    #[test]
    fn a_busy_connection_stays_within_its_budget() {
        fn size_of_busy<'a, F: Future>(
            _: fn(&'a Worker, &'a LocalListener, &'a mut Stream, IpAddr, &'a Timer, bool) -> F,
        ) -> usize {
            size_of::<F>()
        }
        let busy = size_of_busy(http::run);
        assert!(busy <= BUSY_BYTES_MAX, "{busy}");
    }
}
