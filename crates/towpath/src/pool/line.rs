//! Bringing connections and waiters together, always under the core's lock (P3 to P6).

use std::mem;
use std::sync::Arc;

use tokio::time::Instant;

use super::Manager;
use super::config::PoolConfig;
use super::dial::{Slot, SlotApart};
use super::error::GetError;
use super::inner::{Core, Inner, Later, Place};
use super::queue::Cell;
use super::stats::{Reason, Stats};
use super::tier::{Entry, Popped};

impl<M: Manager> Inner<M> {
    /// Finds the place of a connection that is fit for use: a waiter, a tier, or the end.
    pub(super) fn settle(
        &self,
        core: &mut Core<M>,
        entry: Box<Entry<M::Conn>>,
        now: Instant,
        later: &mut Later<M::Conn>,
    ) {
        let reuse_is_off = core.config.idle_timeout.is_zero();
        let reason = if core.shut {
            Some(Reason::Shutdown)
        } else if core.open - core.closing > core.config.cap() {
            Some(Reason::Resize)
        } else if reuse_is_off && entry.reused {
            Some(Reason::Idle)
        } else {
            core.limits().worn(&entry, now)
        };
        match reason {
            Some(reason) => self.doom(core, entry.conn, reason, later),
            None => self.offer(core, entry, now, later),
        }
    }

    /// P4: to the oldest waiter before anyone else can see it.
    fn offer(
        &self,
        core: &mut Core<M>,
        entry: Box<Entry<M::Conn>>,
        now: Instant,
        later: &mut Later<M::Conn>,
    ) {
        // The first in line wants a connection that was never used, none is on its way, and only this one's end makes
        // room for it.
        let must_make_room = entry.reused
            && core.queue.oldest_is_fresh()
            && core.dialling < core.queue.fresh()
            && core.open - core.closing >= core.config.cap();
        if must_make_room {
            return self.doom(core, entry.conn, Reason::Discard, later);
        }
        match core.queue.pop(core.serves_newest_first(), entry.reused) {
            Some(cell) => {
                core.tally.waits.record(now.saturating_duration_since(cell.since));
                // Whoever gives a connection is on the thread that had it, as a rule.
                let inbox = self.inboxes.get(cell.worker).filter(|_| cell.worker != entry.home);
                later.wakers.extend(match inbox {
                    Some(inbox) => cell.resolve_from_afar(Ok(entry), inbox),
                    None => cell.resolve(Ok(entry)),
                });
            }
            None => self.park(core, entry, now, later),
        }
    }

    fn park(
        &self,
        core: &mut Core<M>,
        mut entry: Box<Entry<M::Conn>>,
        now: Instant,
        later: &mut Later<M::Conn>,
    ) {
        if core.config.idle_timeout.is_zero() || self.idle_count() >= core.config.max_idle() {
            return self.doom(core, entry.conn, Reason::Idle, later);
        }
        if !entry.reused {
            entry.reused = true;
            entry.released = now;
        }
        if self.listen(&mut entry).is_ready() {
            return self.doom(core, entry.conn, Reason::Dead, later);
        }
        let entry = match self.tiers.get(entry.home) {
            Some(own) => own.lock().push(entry),
            None => Some(entry),
        };
        let none_left = entry.and_then(|entry| self.shared.lock().push(entry));
        debug_assert!(none_left.is_none(), "the shared tier has no capacity limit");
    }

    /// Gives idle connections to waiters that take them, as far as both go.
    fn serve_from_tiers(&self, core: &mut Core<M>, worker: usize, now: Instant, later: &mut Later<M::Conn>) {
        while core.queue.takes_reused() {
            let Some((entry, unfit)) = self.pop_newest(worker, now) else { return };
            match unfit {
                None => self.offer(core, entry, now, later),
                Some(reason) => self.doom(core, entry.conn, reason, later),
            }
        }
    }

    fn pop_newest(&self, worker: usize, now: Instant) -> Option<Popped<M::Conn>> {
        let own = self.tiers.get(worker);
        own.into_iter().chain([&self.shared]).chain(&self.tiers).find_map(|tier| tier.lock().pop(now))
    }

    /// Puts `cell` in line, at the place of `ticket` if it had one, and looks once more for something idle, in one step (P5).
    pub(super) fn join(
        self: &Arc<Self>,
        ticket: Option<u64>,
        cell: &Arc<Cell<M>>,
        now: Instant,
    ) -> Result<Place, GetError<M::Error>> {
        self.step(|core, later| {
            if core.shut {
                return Err(GetError::Closed);
            }
            if core.fails_fast() && core.dialling == 0 && !core.backoff.permits(now, 0) {
                return Err(core.backoff.error());
            }
            let has_place = ticket.is_some();
            // Who has looked and still waits found nothing, and nothing is parked while somebody waits.
            let tiers_are_empty = core.queue.takes_reused();
            let ticket = core.queue.push(ticket, cell.clone());
            if !tiers_are_empty {
                self.serve_from_tiers(core, cell.worker, now, later);
            }
            let waits = core.queue.contains(ticket);
            if waits {
                self.find_slot(core, cell, now, later);
            }
            let uncovered = core.queue.len().saturating_sub(core.dialling);
            if !has_place && waits && uncovered > core.config.max_waiters() {
                core.queue.remove(ticket);
                core.tally.queue_full += 1;
                return Err(GetError::QueueFull);
            }
            let PoolConfig { acquire_timeout, validate, .. } = core.config;
            Ok(Place { ticket, retry_at: core.schedule_retry(now), acquire_timeout, validate })
        })
    }

    /// The last failure, if it is too recent for another dial and none is under way.
    pub(super) fn refuse_in_pause(&self, now: Instant) -> Result<(), GetError<M::Error>> {
        let core = self.lock_core();
        match core.dialling > 0 || core.backoff.permits(now, 0) {
            true => Ok(()),
            false => Err(core.backoff.error()),
        }
    }

    /// A slot for a connection that its caller keeps, if there is room, nobody waits for it and no dial has failed of late.
    ///
    /// # Errors
    /// The pool is closed.
    pub(super) fn reserve_apart(&self) -> Result<Option<SlotApart<'_, M>>, GetError<M::Error>> {
        let mut core = self.lock_core();
        if core.shut {
            return Err(GetError::Closed);
        }
        let is_free = core.queue.len() == 0 && core.has_room() && core.backoff.retry_at().is_none();
        if !is_free || self.budget.as_ref().is_some_and(|budget| !budget.try_take()) {
            return Ok(None);
        }
        Ok(Some(core.fill_slot_apart(self)))
    }

    pub(super) fn is_pausing(&self, now: Instant) -> bool {
        let core = self.lock_core();
        !core.backoff.permits(now, core.dialling)
    }

    /// P3, step 4, for the newcomer: its own worker dials, so that nobody has to be woken for it.
    fn find_slot(&self, core: &mut Core<M>, cell: &Arc<Cell<M>>, now: Instant, later: &mut Later<M::Conn>) {
        if core.queue.len() <= core.dialling {
            return;
        }
        match self.reserve_for_waiter(core, now, later) {
            // Nobody polls the cell yet, so there is no waker to wake.
            Some(slot) => later.wakers.extend(cell.grant(slot)),
            None if cell.fresh && !core.has_room() && core.closing == 0 => {
                if let Some(coldest) = self.pop_coldest(|_| true) {
                    self.doom(core, coldest.conn, Reason::Discard, later);
                }
            }
            None => {}
        }
    }

    /// P6: the caller of a `get` left.
    pub(super) fn leave(&self, ticket: u64) {
        self.lock_core().queue.remove(ticket);
    }

    /// P6: a connection assigned to a `get` that left goes to the next one.
    pub(super) fn hand_on(&self, entry: Box<Entry<M::Conn>>) {
        self.step(|core, later| self.settle(core, entry, Instant::now(), later));
    }

    /// Lets waiters that no dial will serve start one, as far as the cap goes. The oldest first.
    pub(super) fn grant_slots(&self, core: &mut Core<M>, now: Instant, later: &mut Later<M::Conn>) {
        while core.queue.len() > core.dialling {
            let Some(cell) = core.queue.oldest_without_slot().cloned() else { return };
            let Some(slot) = self.reserve_for_waiter(core, now, later) else { return };
            later.wakers.extend(cell.grant(slot));
        }
    }

    fn reserve_for_waiter(
        &self,
        core: &mut Core<M>,
        now: Instant,
        later: &mut Later<M::Conn>,
    ) -> Option<Slot<M>> {
        if !core.may_dial(now) {
            return None;
        }
        let me = self.me.upgrade()?;
        if let Some(budget) = &self.budget
            && !budget.try_take()
        {
            // In line first, then a second look: a unit that came back in between is not missed.
            if !mem::replace(&mut core.hungry, true) {
                budget.enlist(self.me.clone());
            }
            if !budget.try_take() {
                later.starved = true;
                return None;
            }
        }
        Some(core.fill_slot(me))
    }

    /// A slot that no waiter needs, for `min_idle`. Does not take from other pools.
    pub(super) fn reserve_spare(&self, core: &mut Core<M>, now: Instant) -> Option<Slot<M>> {
        let me = self.me.upgrade()?;
        let affordable = core.may_dial(now) && self.budget.as_ref().is_none_or(|budget| budget.try_take());
        affordable.then(|| core.fill_slot(me))
    }

    pub(super) fn timed_out(&self, since: Instant) -> GetError<M::Error> {
        self.lock_core().tally.timeouts += 1;
        let Stats { in_use, idle, dialling, waiters, .. } = self.stats();
        GetError::Timeout {
            waited: Instant::now().saturating_duration_since(since),
            in_use,
            idle,
            dialling,
            queue: waiters,
        }
    }
}
