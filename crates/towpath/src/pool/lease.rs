//! Exclusive use of a connection (P8, P9).

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Manager;
use super::inner::Seat;
use super::stats::Reason;
use super::tier::Entry;

/// Exclusive use of a connection. Dropping it never blocks: the connection is closed, or returned if the last word was
/// [`mark_clean`](Self::mark_clean).
#[must_use = "dropping a lease closes its connection"]
pub struct Lease<M: Manager> {
    /// `None` only while being dropped.
    entry: Option<Box<Entry<M::Conn>>>,
    seat: Arc<Seat<M>>,
    clean: bool,
}

impl<M: Manager> Lease<M> {
    pub(super) fn new(entry: Box<Entry<M::Conn>>, seat: Arc<Seat<M>>) -> Self {
        Self { entry: Some(entry), seat, clean: false }
    }

    /// Says that both messages are complete and no buffer holds a byte: the connection may serve someone else. `now` is
    /// when its idle time begins.
    pub fn mark_clean(&mut self, now: Instant) {
        self.clean = true;
        self.entry_mut().released = now;
    }

    /// Takes [`mark_clean`](Self::mark_clean) back: another message begins.
    pub fn mark_busy(&mut self) {
        self.clean = false;
    }

    /// Whether the connection was idle in the pool before, so that the peer may have closed it unseen. Decides P14.
    pub fn is_reused(&self) -> bool {
        self.entry().reused
    }

    /// Time since the connection was established.
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.entry().born)
    }

    /// When the connection has lived long enough, its jitter included (P11), for who takes it out of the pool and still wants
    /// to keep to that; `None` for never.
    pub fn old_from(&self) -> Option<Instant> {
        let max_lifetime = self.seat.inner.lock_core().config.max_lifetime;
        let entry = self.entry();
        let span = (max_lifetime / 1000).checked_mul(u32::from(entry.lifetime_permille))?;
        entry.born.checked_add(span)
    }

    /// Closes the connection.
    pub fn discard(mut self) {
        if let Some(entry) = self.entry.take() {
            self.seat.inner.retire(entry.conn, Reason::Discard);
        }
    }

    /// Takes the connection out of the pool and frees its slot, for an upgrade or a tunnel.
    pub fn detach(mut self) -> M::Conn {
        let entry =
            self.entry.take().expect("only drop, discard and detach take it, and each ends the lease");
        self.seat.inner.forget(Reason::Detached);
        entry.conn
    }

    /// Takes the connection out of the pool's hands, but keeps its slot until the [`Held`] is dropped: for a tunnel or
    /// relay whose connections `max_connections` is to bound. Close the connection first, so that the peer never sees
    /// more than the cap (P2).
    pub fn detach_held(mut self) -> (M::Conn, Held<M>) {
        let entry =
            self.entry.take().expect("only drop, discard and detach take it, and each ends the lease");
        (entry.conn, Held::new(self.seat.clone()))
    }

    fn entry(&self) -> &Entry<M::Conn> {
        self.entry.as_ref().expect("only drop, discard and detach take it, and each ends the lease")
    }

    fn entry_mut(&mut self) -> &mut Entry<M::Conn> {
        self.entry.as_mut().expect("only drop, discard and detach take it, and each ends the lease")
    }
}

impl<M: Manager> Deref for Lease<M> {
    type Target = M::Conn;

    fn deref(&self) -> &M::Conn {
        &self.entry().conn
    }
}

impl<M: Manager> DerefMut for Lease<M> {
    fn deref_mut(&mut self) -> &mut M::Conn {
        &mut self.entry_mut().conn
    }
}

impl<M: Manager> Drop for Lease<M> {
    fn drop(&mut self) {
        match self.entry.take() {
            Some(entry) if self.clean => self.seat.inner.release(entry),
            Some(entry) => self.seat.inner.retire(entry.conn, Reason::Busy),
            None => {}
        }
    }
}

/// A slot of a pool without its connection; see [`Lease::detach_held`]. Until it is dropped the connection counts as in
/// use, then as detached.
#[must_use = "dropping it frees the slot"]
pub struct Held<M: Manager> {
    seat: Arc<Seat<M>>,
}

impl<M: Manager> Held<M> {
    pub(super) fn new(seat: Arc<Seat<M>>) -> Self {
        Self { seat }
    }
}

impl<M: Manager> Drop for Held<M> {
    fn drop(&mut self) {
        self.seat.inner.forget(Reason::Detached);
    }
}

impl<M: Manager> fmt::Debug for Held<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}

impl<M: Manager> fmt::Debug for Lease<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("reused", &self.is_reused())
            .field("clean", &self.clean)
            .finish_non_exhaustive()
    }
}
