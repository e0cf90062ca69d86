//! A client's connection from accept to close.
//!
//! While it is idle it is this one small task: a socket, a timer, two handles. Everything else is borrowed when the
//! first byte of a request arrives and given back a moment after the last answer.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;

use towpath_net::Stream;
use towpath_net::timer::Timer;
use towpath_telemetry::metrics::CloseReason;

use crate::http::{self, Rest, pump::Clock, tunnel};
use crate::worker::{LocalListener, Worker};

/// Serves the connection to its end.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    listener: Rc<LocalListener>,
    mut stream: Stream,
    peer: SocketAddr,
) {
    let open = Open { worker, reason: CloseReason::Error };
    let timer = open.worker.timers.register();
    // One deadline from accept to the first whole head (T31).
    timer.set(open.worker.now() + listener.plan().settings.first_request_timeout);
    run(open, listener, &mut stream, peer, timer).await;
}

async fn run(mut open: Open, listener: Rc<LocalListener>, stream: &mut Stream, peer: SocketAddr, timer: Timer) {
    let mut is_first = true;
    loop {
        if let Err(reason) = wait(&open.worker, stream, &timer, is_first).await {
            open.reason = reason;
            return;
        }
        if !is_first {
            timer.set(open.worker.now() + listener.plan().settings.header_timeout);
        }
        // Boxed, so that an idle connection does not hold the memory of a busy one.
        match Box::pin(http::run(&open.worker, &listener, stream, peer, &timer, is_first)).await {
            Rest::Idle => timer.set(open.worker.now() + listener.plan().settings.idle_timeout),
            Rest::Closed(reason) => {
                open.reason = reason;
                return;
            }
            Rest::Tunnel(carried) => {
                open.worker.counters().tunnels_open.increment();
                let clock = Clock::new(&timer);
                Box::pin(tunnel::run(*carried, stream, &clock, &open.worker.buffers)).await;
                open.worker.counters().tunnels_open.decrement();
                open.reason = CloseReason::Finished;
                return;
            }
        }
        is_first = false;
    }
}

/// Waits for a byte. An error is the reason to close instead.
async fn wait(worker: &Worker, stream: &Stream, timer: &Timer, is_first: bool) -> Result<(), CloseReason> {
    let mut is_leaving = false;
    let readable = poll_fn(|cx| {
        if stream.poll_readable(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        if worker.is_pressed() && !is_first {
            return Poll::Ready(Err(CloseReason::Limit));
        }
        if worker.is_draining() && !is_leaving {
            is_leaving = true;
            timer.set(worker.now() + worker.drain_delay());
        }
        Poll::Pending
    });
    match timer.limit(readable).await {
        Ok(outcome) => outcome,
        Err(_) if worker.is_draining() => Err(CloseReason::Drain),
        Err(_) if is_first => Err(CloseReason::Timeout),
        Err(_) => Err(CloseReason::Idle),
    }
}

/// Counts the connection as open until it is dropped, whatever ends it.
struct Open {
    worker: Rc<Worker>,
    reason: CloseReason,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.worker.counters().connection_closed(self.reason);
    }
}
