//! A stream of HTTP/2 as a stream of its own, for tunnels, which outlive the exchange that opened them (RFC 8441).

use std::future::poll_fn;
use std::io;
use std::rc::Rc;

use towpath_net::{Stream, Substream, memory};

use super::Lane;
use crate::worker::Worker;

/// A stream that carries what `lane` does, and the work that moves its bytes, which ends when both directions have.
pub(crate) fn carry(lane: Rc<Lane>, worker: &Rc<Worker>) -> (Stream, impl Future<Output = ()> + use<>) {
    let (ours, theirs) = memory::pipe();
    let (ours, worker) = (Rc::new(ours), Rc::clone(worker));
    let moving = async move {
        let up = tokio::task::spawn_local(take_in(Rc::clone(&lane), Rc::clone(&ours), Rc::clone(&worker)));
        if give_out(&lane, &ours, &worker).await.is_err() {
            lane.break_off();
        }
        // A lane that was reset ends this as well.
        let _ = up.await;
    };
    (Stream::memory(theirs), moving)
}

/// From the lane into the pipe.
async fn take_in(lane: Rc<Lane>, pipe: Rc<memory::End>, worker: Rc<Worker>) {
    loop {
        poll_fn(|cx| lane.poll_readable(cx)).await;
        let mut buffer = worker.buffers.take();
        let read = poll_fn(|cx| lane.poll_read(cx, buffer.room())).await;
        buffer.filled(*read.as_ref().unwrap_or(&0));
        let mut outcome = read.map(|count| count > 0);
        while let (Ok(_), false) = (&outcome, buffer.is_empty()) {
            match poll_fn(|cx| pipe.poll_write(cx, buffer.unread())).await {
                Ok(count) => buffer.consume(count),
                Err(error) => outcome = Err(error),
            }
        }
        worker.buffers.give(buffer);
        match outcome {
            Ok(true) => {}
            Ok(false) => return pipe.shutdown(),
            Err(_) => return pipe.reset(),
        }
    }
}

/// From the pipe into the lane, up to its end.
async fn give_out(lane: &Lane, pipe: &memory::End, worker: &Worker) -> io::Result<()> {
    loop {
        poll_fn(|cx| pipe.poll_readable(cx)).await;
        let mut buffer = worker.buffers.take();
        let read = poll_fn(|cx| pipe.poll_read(cx, buffer.room())).await;
        buffer.filled(*read.as_ref().unwrap_or(&0));
        let mut outcome = read.map(|count| count > 0);
        while let (Ok(_), false) = (&outcome, buffer.is_empty()) {
            match poll_fn(|cx| lane.poll_write(cx, buffer.unread())).await {
                Ok(count) => buffer.consume(count),
                Err(error) => outcome = Err(error),
            }
        }
        worker.buffers.give(buffer);
        if !outcome? {
            lane.shutdown();
            return Ok(());
        }
    }
}
