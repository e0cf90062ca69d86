//! Counting (P20), changing the settings and closing (P19), and giving way to other pools (P2).

use std::task::{Context, Poll};

use tokio::time::Instant;

use super::Manager;
use super::budget::Member;
use super::config::PoolConfig;
use super::error::GetError;
use super::inner::{Core, Inner};
use super::stats::{Reason, Stats};
use super::tier::{Entry, Limits, Tier};

impl<M: Manager> Inner<M> {
    pub(super) fn idle_count(&self) -> usize {
        self.all_tiers().map(|tier| tier.lock().entries.len()).sum()
    }

    pub(super) fn all_tiers(&self) -> impl Iterator<Item = &Tier<M::Conn>> {
        self.tiers.iter().chain([&self.shared])
    }

    /// The entry that was released first, as far as the fronts of the tiers tell, if `may_go` lets it.
    pub(super) fn pop_coldest(
        &self,
        may_go: impl Fn(&Entry<M::Conn>) -> bool,
    ) -> Option<Box<Entry<M::Conn>>> {
        loop {
            let fronts = self.all_tiers().filter_map(|tier| Some((tier.coldest()?, tier)));
            let (_, tier) = fronts.min_by_key(|(released, _)| *released)?;
            let mut shelf = tier.lock();
            match shelf.entries.front() {
                Some(coldest) if may_go(coldest) => return shelf.entries.pop_front(),
                Some(_) => return None,
                // Somebody took it since.
                None => {}
            }
        }
    }

    pub(super) fn coldest_released(&self) -> Option<Instant> {
        self.all_tiers().filter_map(Tier::coldest).min()
    }

    pub(super) fn stats(&self) -> Stats {
        self.stats_of(&self.lock_core())
    }

    /// All tiers are locked at once: a connection that moves between two looks would be counted twice.
    pub(super) fn stats_of(&self, core: &Core<M>) -> Stats {
        let shelves: Vec<_> = self.all_tiers().map(Tier::lock).collect();
        let idle = shelves.iter().map(|shelf| shelf.entries.len()).sum();
        let (shared, own) = shelves.split_last().expect("the shared tier is always there");
        Stats {
            open: core.open,
            idle,
            in_use: core.open - core.all_dialling() - idle,
            dialling: core.all_dialling(),
            waiters: core.queue.len(),
            local_hits: own.iter().map(|shelf| shelf.hits).sum(),
            shared_hits: shared.hits,
            steal_hits: shelves.iter().map(|shelf| shelf.steals).sum(),
            ..core.tally.clone()
        }
    }

    /// Copies the settings into each tier. Once a tier has them, releases there obey them.
    pub(super) fn publish_limits(&self, core: &mut Core<M>) {
        core.edition += 1;
        let limits = core.limits();
        let own = Limits { capacity: core.worker_tier_capacity(self.tiers.len()), ..limits };
        self.tiers.iter().for_each(|tier| tier.lock().obey(own));
        self.shared.lock().obey(limits);
    }

    pub(super) fn resize(&self, config: PoolConfig, now: Instant) {
        self.step(|core, later| {
            core.config = config;
            core.above_cap = core.open > core.config.cap();
            self.publish_limits(core);
            while core.open - core.closing > core.config.cap()
                && let Some(coldest) = self.pop_coldest(|_| true)
            {
                self.doom(core, coldest.conn, Reason::Resize, later);
            }
            while self.idle_count() > core.config.max_idle()
                && let Some(coldest) = self.pop_coldest(|_| true)
            {
                self.doom(core, coldest.conn, Reason::Resize, later);
            }
            self.grant_slots(core, now, later);
        });
    }

    pub(super) fn shut_down(&self) {
        self.step(|core, later| {
            core.shut = true;
            self.publish_limits(core);
            for cell in core.queue.drain(false) {
                later.wakers.extend(cell.resolve(Err(GetError::Closed)));
            }
            while let Some(coldest) = self.pop_coldest(|_| true) {
                self.doom(core, coldest.conn, Reason::Shutdown, later);
            }
        });
    }

    pub(super) fn poll_drained(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut core = self.lock_core();
        if core.open == 0 {
            return Poll::Ready(());
        }
        core.drained.retain(|waker| !waker.will_wake(cx.waker()));
        core.drained.push(cx.waker().clone());
        Poll::Pending
    }
}

impl<M: Manager> Member for Inner<M> {
    fn coldest(&self) -> Option<Instant> {
        self.coldest_released()
    }

    fn evict_coldest(&self) {
        self.step(|core, later| {
            if let Some(coldest) = self.pop_coldest(|_| true) {
                self.doom(core, coldest.conn, Reason::Idle, later);
            }
        });
    }

    fn feed(&self) {
        self.step(|core, later| {
            core.hungry = false;
            self.grant_slots(core, Instant::now(), later);
            // Whoever freed the unit also fed us; evicting once more from here could go on in circles.
            later.starved = false;
        });
    }
}
