//! The line of waiters (P4), and the future that stands in it (P6).

use std::collections::VecDeque;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use super::Manager;
use super::dial::{self, Slot};
use super::error::GetError;
use super::inner::{Place, Seat};
use super::tier::Entry;

/// What a waiter gets.
pub(super) type Outcome<M> = Result<Box<Entry<<M as Manager>::Conn>>, GetError<<M as Manager>::Error>>;

/// Waiters in the order of their tickets. Nearly all join at the back and leave at the front; who leaves from the middle
/// moves a few pointers.
pub(super) struct Queue<M: Manager> {
    cells: VecDeque<(u64, Arc<Cell<M>>)>,
    next_ticket: u64,
    /// How many of the cells are fresh.
    fresh: usize,
    /// The number of cells, for those who do not hold the core's lock.
    waiting: Arc<AtomicUsize>,
}

/// Where a waiter finds what it was given. In the queue until an outcome is set; both only under the core's lock.
pub(super) struct Cell<M: Manager> {
    /// Takes only a connection that was never idle (P14).
    pub(super) fresh: bool,
    pub(super) worker: usize,
    pub(super) since: Instant,
    state: Mutex<CellState<M>>,
}

struct CellState<M: Manager> {
    outcome: Option<Outcome<M>>,
    /// A slot it may dial in, which it stays in line for: the dialled connection goes to whoever is oldest then.
    slot: Option<Slot<M>>,
    waker: Option<Waker>,
    /// It has to wake whoever of its worker was served after it by others.
    is_caller: bool,
}

/// Waiters of one worker that other workers have served, and who have yet to be woken. To wake a task of another thread is a
/// system call, and one on its own thread is none: so the first is woken from afar and wakes the others when it runs.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Inbox(Mutex<Letters>);

#[derive(Default)]
struct Letters {
    /// Somebody was woken to look in here.
    is_called: bool,
    wakers: Vec<Waker>,
}

/// A caller in line. Dropping it leaves the line and hands on whatever was assigned.
pub(super) struct Waiter<'a, M: Manager> {
    seat: &'a Arc<Seat<M>>,
    place: Place,
    cell: Arc<Cell<M>>,
    /// It has its outcome, so it is out of the line.
    is_served: bool,
}

impl<M: Manager> Queue<M> {
    pub(super) fn new(waiting: Arc<AtomicUsize>) -> Self {
        Self { cells: VecDeque::new(), next_ticket: 0, fresh: 0, waiting }
    }

    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    pub(super) fn fresh(&self) -> usize {
        self.fresh
    }

    /// Whether somebody waits who takes any connection.
    pub(super) fn takes_reused(&self) -> bool {
        self.cells.len() > self.fresh
    }

    pub(super) fn contains(&self, ticket: u64) -> bool {
        self.find(ticket).is_ok()
    }

    pub(super) fn oldest_is_fresh(&self) -> bool {
        self.cells.front().is_some_and(|(_, cell)| cell.fresh)
    }

    /// Joins the line, at the end or at the place of an earlier `ticket`.
    pub(super) fn push(&mut self, ticket: Option<u64>, cell: Arc<Cell<M>>) -> u64 {
        let ticket = ticket.unwrap_or_else(|| {
            self.next_ticket += 1;
            self.next_ticket
        });
        self.fresh += usize::from(cell.fresh);
        let (Ok(place) | Err(place)) = self.find(ticket);
        self.cells.insert(place, (ticket, cell));
        self.publish();
        ticket
    }

    pub(super) fn remove(&mut self, ticket: u64) {
        if let Ok(place) = self.find(ticket) {
            self.take(place);
        }
    }

    /// The next to be served among those that accept a `reused` connection, or any.
    pub(super) fn pop(&mut self, newest_first: bool, reused: bool) -> Option<Arc<Cell<M>>> {
        let accepts = |(_, cell): &(u64, Arc<Cell<M>>)| !(reused && cell.fresh);
        let place = match newest_first {
            true => self.cells.iter().rposition(accepts),
            false => self.cells.iter().position(accepts),
        };
        self.take(place?)
    }

    /// Empties the line, wholly or of those who want a fresh connection.
    pub(super) fn drain(&mut self, fresh_only: bool) -> Vec<Arc<Cell<M>>> {
        let all = mem::take(&mut self.cells).into_iter();
        let (leaving, staying): (VecDeque<_>, _) = all.partition(|(_, cell)| cell.fresh || !fresh_only);
        self.cells = staying;
        self.fresh = 0;
        self.publish();
        leaving.into_iter().map(|(_, cell)| cell).collect()
    }

    /// The oldest waiter that is not about to start a dial already.
    pub(super) fn oldest_without_slot(&self) -> Option<&Arc<Cell<M>>> {
        self.cells.iter().map(|(_, cell)| cell).find(|cell| cell.lock().slot.is_none())
    }

    /// Where `ticket` is, or would be.
    fn find(&self, ticket: u64) -> Result<usize, usize> {
        match self.cells.back() {
            Some((last, _)) if *last >= ticket => {
                self.cells.binary_search_by_key(&ticket, |(other, _)| *other)
            }
            _ => Err(self.cells.len()),
        }
    }

    fn take(&mut self, place: usize) -> Option<Arc<Cell<M>>> {
        let (_, cell) = self.cells.remove(place)?;
        self.fresh -= usize::from(cell.fresh);
        self.publish();
        Some(cell)
    }

    /// P5, the waiter's half: this store comes before the waiter's look into the tiers.
    fn publish(&self) {
        self.waiting.store(self.cells.len(), Ordering::SeqCst);
    }
}

impl<M: Manager> Cell<M> {
    pub(super) fn new(worker: usize, fresh: bool, since: Instant) -> Arc<Self> {
        let state = CellState { outcome: None, slot: None, waker: None, is_caller: false };
        Arc::new(Self { fresh, worker, since, state: Mutex::new(state) })
    }

    /// Sets the outcome; the waker returned is to be woken when no lock is held.
    #[must_use]
    pub(super) fn resolve(&self, outcome: Outcome<M>) -> Option<Waker> {
        let mut state = self.lock();
        state.outcome = Some(outcome);
        state.waker.take()
    }

    /// [`resolve`](Self::resolve) by another worker than the waiter's, which has `inbox`.
    #[must_use]
    pub(super) fn resolve_from_afar(&self, outcome: Outcome<M>, inbox: &Inbox) -> Option<Waker> {
        let mut letters = inbox.lock();
        let mut state = self.lock();
        state.outcome = Some(outcome);
        // Without one it is about to be polled for the first time.
        let waker = state.waker.take();
        if !mem::replace(&mut letters.is_called, true) {
            state.is_caller = true;
            return waker;
        }
        letters.wakers.extend(waker);
        None
    }

    /// Gives the waiter a slot to dial in; the waker is to be woken when no lock is held.
    #[must_use]
    pub(super) fn grant(&self, slot: Slot<M>) -> Option<Waker> {
        let mut state = self.lock();
        state.slot = Some(slot);
        state.waker.take()
    }

    fn lock(&self) -> MutexGuard<'_, CellState<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    /// Wakes everybody in here; who is served next is woken from afar again.
    pub(super) fn deliver(&self) {
        let wakers = {
            let mut letters = self.lock();
            letters.is_called = false;
            mem::take(&mut letters.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Letters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a, M: Manager> Waiter<'a, M> {
    /// Joins the line, at the place of `ticket` if there is one.
    pub(super) fn join(
        seat: &'a Arc<Seat<M>>,
        ticket: Option<u64>,
        fresh: bool,
        since: Instant,
        now: Instant,
    ) -> Result<Self, GetError<M::Error>> {
        let cell = Cell::new(seat.worker, fresh, since);
        let place = seat.inner.join(ticket, &cell, now)?;
        if let Some(at) = place.retry_at {
            dial::spawn_retry(seat, at);
        }
        Ok(Self { seat, place, cell, is_served: false })
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    fn deliver(&self) {
        self.seat.inner.inboxes.get(self.cell.worker).into_iter().for_each(Inbox::deliver);
    }
}

impl<M: Manager> Future for Waiter<'_, M> {
    type Output = Outcome<M>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<M>> {
        let this = self.get_mut();
        let (outcome, slot, is_caller) = {
            let mut state = this.cell.lock();
            let outcome = state.outcome.take();
            if outcome.is_none() {
                state.waker = Some(cx.waker().clone());
            }
            (outcome, state.slot.take(), state.is_caller)
        };
        match (outcome, slot) {
            // A slot that was not used goes back.
            (Some(outcome), _unused) => {
                this.is_served = true;
                if is_caller {
                    this.deliver();
                }
                return Poll::Ready(outcome);
            }
            (None, Some(slot)) => dial::spawn(this.seat, slot),
            (None, None) => {}
        }
        Poll::Pending
    }
}

impl<M: Manager> Drop for Waiter<'_, M> {
    fn drop(&mut self) {
        if self.is_served {
            return;
        }
        self.seat.inner.leave(self.place.ticket);
        // Out of the line nobody sets anything any more, so what is here now is all there will be.
        let (outcome, slot, is_caller) = {
            let mut state = self.cell.lock();
            (state.outcome.take(), state.slot.take(), state.is_caller)
        };
        if is_caller {
            self.deliver();
        }
        if let Some(Ok(entry)) = outcome {
            self.seat.inner.hand_on(entry);
        }
        drop(slot);
    }
}
