//! Looking after idle connections: those that die (P13) and those that grow old (P10, P11, P15).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use tokio::time::Instant;

use super::Manager;
use super::dial::Slot;
use super::inner::{Core, Inner, ninety_percent};
use super::stats::Reason;
use super::tier::Entry;

/// Rung by any idle connection of one worker in one pool. Tells the worker's watch task which of its pools to look at,
/// so that a death costs a look at this pool's idle connections, not at everybody's.
pub(super) struct Bell {
    rope: Arc<Rope>,
    waker: Waker,
}

#[derive(Default)]
struct Rope {
    rung: AtomicBool,
    watcher: Mutex<Option<Waker>>,
}

impl Bell {
    /// What rings it.
    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Whether it rang since the last answer; `watcher` is woken the next time.
    fn answer(&self, watcher: &Waker) -> bool {
        {
            let mut current = self.rope.watcher.lock().unwrap_or_else(PoisonError::into_inner);
            if !current.as_ref().is_some_and(|current| current.will_wake(watcher)) {
                *current = Some(watcher.clone());
            }
        }
        // After the watcher is in place: a ring before this is seen here, a later one wakes it.
        self.rope.rung.swap(false, Ordering::SeqCst)
    }
}

impl Default for Bell {
    fn default() -> Self {
        let rope = Arc::new(Rope::default());
        Self { waker: rope.clone().into(), rope }
    }
}

impl Wake for Rope {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.rung.swap(true, Ordering::SeqCst) {
            return;
        }
        let watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(watcher) = watcher {
            watcher.wake();
        }
    }
}

impl<M: Manager> Inner<M> {
    pub(super) fn watch(&self, worker: usize, cx: &mut Context<'_>) -> usize {
        let worker = worker.min(self.tiers.len());
        let Some(bell) = self.bells.get(worker) else { return 0 };
        if !bell.answer(cx.waker()) {
            return 0;
        }
        self.step(|core, later| {
            let now = Instant::now();
            let mut dead = Vec::new();
            for tier in self.tiers.get(worker).into_iter().chain([&self.shared]) {
                let is_dead =
                    |entry: &mut Entry<M::Conn>| entry.home == worker && self.listen(entry).is_ready();
                tier.lock().extract(|_, entry| is_dead(entry).then_some(Reason::Dead), &mut dead);
            }
            let count = dead.len();
            for (entry, reason) in dead {
                self.learn(core, entry.idle_for(now));
                self.doom(core, entry.conn, reason, later);
            }
            count
        })
    }

    /// A connection turned out dead when it was taken.
    #[cold]
    #[inline(never)]
    pub(super) fn found_dead(&self, conn: M::Conn, idle_for: Duration) {
        {
            let mut core = self.lock_core();
            core.tally.validate_failures += 1;
            self.learn(&mut core, idle_for);
        }
        self.retire(conn, Reason::Dead);
    }

    /// The peer was seen to close at this idle age: next time be earlier. Never raised again.
    fn learn(&self, core: &mut Core<M>, idle_for: Duration) {
        let limit = ninety_percent(idle_for);
        if idle_for >= LEARNED_MIN && limit < core.learned {
            core.learned = limit;
            self.publish_limits(core);
        }
    }

    /// Closes what must go and returns the slots to refill.
    pub(super) fn maintain(&self, now: Instant) -> Vec<Slot<M>> {
        self.step(|core, later| {
            let is_recent = |at: Instant| now < at + MAINTAIN_PAUSE;
            if core.shut || core.maintained.is_some_and(is_recent) {
                return Vec::new();
            }
            core.maintained = Some(now);
            let mut worn = Vec::new();
            for tier in self.all_tiers() {
                tier.lock().extract(|limits, entry| limits.worn(entry, now), &mut worn);
            }
            for (entry, reason) in worn {
                self.doom(core, entry.conn, reason, later);
            }
            let mut idle = self.idle_count();
            while idle > core.config.min_idle
                && let Some(coldest) =
                    self.pop_coldest(|entry| entry.idle_for(now) >= core.config.idle_timeout)
            {
                self.doom(core, coldest.conn, Reason::Idle, later);
                idle -= 1;
            }
            debug_assert!(self.stats_of(core).is_consistent(), "P20: {:?}", self.stats_of(core));
            // A safety net: should a worker have stopped with a slot or a pause in its hands, nobody waits longer than
            // until here.
            self.grant_slots(core, now, later);
            self.refill(core, idle, now)
        })
    }

    fn refill(&self, core: &mut Core<M>, idle: usize, now: Instant) -> Vec<Slot<M>> {
        let wanted = core.config.min_idle + core.queue.len();
        let missing = wanted.saturating_sub(idle + core.dialling);
        (0..missing).map_while(|_| self.reserve_spare(core, now)).collect()
    }
}

/// Below this, a close says more about a restart than about an idle limit; and an idle limit below a second would turn
/// reuse off for good.
const LEARNED_MIN: Duration = Duration::from_secs(1);

/// Each worker ticks about once a second; the first one does the work for all.
const MAINTAIN_PAUSE: Duration = Duration::from_millis(500);
