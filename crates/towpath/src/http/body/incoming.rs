//! A body that comes over a connection, between the task that reads the socket and whoever reads the body.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::Part;
use crate::http::error::{Error, Kind};

/// What comes over a connection: a place between the task that reads the socket and whoever reads the body, often the
/// same task.
pub(crate) struct Incoming {
    slot: Arc<Slot>,
    pub(super) declared: Option<u64>,
}

/// The side of a connection; see [`Incoming`].
#[derive(Clone)]
pub(crate) struct Inlet(Arc<Slot>);

#[derive(Default)]
struct Slot(Mutex<State>);

#[derive(Default)]
struct State {
    part: Option<Part>,
    outcome: Option<Result<(), Error>>,
    /// Someone waits for the next part.
    is_wanted: bool,
    /// It may come as slowly and be as long as it likes.
    is_free: bool,
    reader: Option<Waker>,
    connection: Option<Waker>,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Both sides of a body that comes over a connection.
pub(crate) fn incoming(declared: Option<u64>) -> (Inlet, Incoming) {
    let slot = Arc::<Slot>::default();
    (Inlet(Arc::clone(&slot)), Incoming { slot, declared })
}

impl Incoming {
    /// Its length and rate are its reader's affair from now on.
    #[cfg(feature = "grpc")]
    pub(super) fn lift_limits(&self) {
        self.slot.lock().is_free = true;
    }

    pub(super) fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Part>, Error>> {
        let mut state = self.slot.lock();
        if let Some(part) = state.part.take() {
            return Poll::Ready(Ok(Some(part)));
        }
        match state.outcome.take() {
            Some(Ok(())) => {
                state.outcome = Some(Ok(()));
                return Poll::Ready(Ok(None));
            }
            Some(Err(error)) => {
                state.outcome = Some(Err(Error::new(Kind::Disconnected)));
                return Poll::Ready(Err(error));
            }
            None => {}
        }
        state.is_wanted = true;
        state.reader = Some(cx.waker().clone());
        let connection = state.connection.take();
        drop(state);
        connection.into_iter().for_each(Waker::wake);
        Poll::Pending
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let mut state = self.slot.lock();
        state.part = None;
        let connection = state.connection.take();
        drop(state);
        connection.into_iter().for_each(Waker::wake);
    }
}

impl Inlet {
    /// Whether the next part is to be read from the socket now. If not, `cx` is woken when it is.
    pub(crate) fn poll_wanted(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if state.is_wanted && state.part.is_none() && state.outcome.is_none() {
            return Poll::Ready(());
        }
        state.connection = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Whether someone waits for the next part.
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.lock().is_wanted
    }

    /// Whether it may come as slowly and be as long as it likes.
    pub(crate) fn is_free(&self) -> bool {
        self.0.lock().is_free
    }

    /// Whoever reads gets this next.
    pub(crate) fn put(&self, part: Part) {
        self.change(|state| state.part = Some(part));
    }

    /// The body is complete, or has failed.
    pub(crate) fn end(&self, outcome: Result<(), Error>) {
        self.change(|state| {
            if state.outcome.is_none() {
                state.outcome = Some(outcome);
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.lock();
        change(&mut state);
        state.is_wanted = false;
        let reader = state.reader.take();
        drop(state);
        reader.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        // A task of the handler's may read on: what is over brings it nothing more.
        if self.0.lock().outcome.is_none() {
            self.end(Err(Error::new(Kind::Disconnected)));
        }
    }
}
