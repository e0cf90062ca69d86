//! One end of a connection, played by a test.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::task::{JoinHandle, spawn_local};
use towpath_net::memory::End;

use crate::stage::{Log, Seen};

/// A party's connection. It takes everything that comes, at once, and writes it down.
pub(crate) struct Peer {
    state: Rc<State>,
    task: JoinHandle<()>,
}

struct State {
    label: Rc<str>,
    log: Log,
    end: RefCell<Option<End>>,
    outbox: RefCell<VecDeque<u8>>,
    /// To be ended when everything is sent.
    is_ending: Cell<bool>,
    is_reading: Cell<bool>,
    has_ended: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Peer {
    pub(crate) fn new(label: &str, end: End, log: Log) -> Self {
        let state = Rc::new(State {
            label: label.into(),
            log,
            end: RefCell::new(Some(end)),
            outbox: RefCell::default(),
            is_ending: Cell::new(false),
            is_reading: Cell::new(true),
            has_ended: Cell::new(false),
            waker: RefCell::default(),
        });
        let driven = Rc::clone(&state);
        let task = spawn_local(std::future::poll_fn(move |cx| driven.poll(cx)));
        Self { state, task }
    }

    pub(crate) fn send(&self, bytes: &[u8]) {
        self.state.outbox.borrow_mut().extend(bytes);
        self.state.wake();
    }

    pub(crate) fn unsent(&self) -> usize {
        self.state.outbox.borrow().len()
    }

    /// Ends the sending direction once everything is sent.
    pub(crate) fn end(&self) {
        self.state.is_ending.set(true);
        self.state.wake();
    }

    pub(crate) fn read(&self, reads: bool) {
        self.state.is_reading.set(reads);
        self.state.wake();
    }

    pub(crate) fn close(&self) {
        self.task.abort();
        self.state.end.take();
    }

    pub(crate) fn reset(&self) {
        self.task.abort();
        if let Some(end) = self.state.end.take() {
            end.reset();
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    fn wake(&self) {
        self.waker.take().into_iter().for_each(Waker::wake);
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        *self.waker.borrow_mut() = Some(cx.waker().clone());
        if let Some(end) = &*self.end.borrow() {
            self.poll_send(end, cx);
            self.poll_receive(end, cx);
        }
        Poll::Pending
    }

    fn poll_send(&self, end: &End, cx: &mut Context<'_>) {
        let mut outbox = self.outbox.borrow_mut();
        while !outbox.is_empty() {
            match end.poll_write(cx, outbox.make_contiguous()) {
                Poll::Ready(Ok(count)) => drop(outbox.drain(..count)),
                // Nobody takes it any more. What that means, the reading side shows.
                Poll::Ready(Err(_)) => outbox.clear(),
                Poll::Pending => return,
            }
        }
        if self.is_ending.replace(false) {
            end.shutdown();
        }
    }

    fn poll_receive(&self, end: &End, cx: &mut Context<'_>) {
        let mut buffer = [0; 16 * 1024];
        while self.is_reading.get() && !self.has_ended.get() {
            let seen = match end.poll_read(cx, &mut buffer) {
                Poll::Pending => return,
                Poll::Ready(Ok(0)) => Seen::End,
                Poll::Ready(Ok(count)) => Seen::Bytes(buffer[..count].to_vec()),
                Poll::Ready(Err(_)) => Seen::Reset,
            };
            self.has_ended.set(!matches!(seen, Seen::Bytes(_)));
            self.log.borrow_mut().push((Rc::clone(&self.label), seen));
        }
    }
}
