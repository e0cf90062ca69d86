//! `max_total`: one bound over the connections of many pools (P2).

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::time::Instant;

/// A number of connections shared by pools. When it is used up, a pool that needs one gets the slot of the connection
/// that has been idle longest in any of them.
pub struct Budget {
    max: usize,
    taken: AtomicUsize,
    members: Mutex<Vec<Weak<dyn Member>>>,
    /// Pools with waiters that could not take a unit, oldest first.
    hungry: Mutex<VecDeque<Weak<dyn Member>>>,
    /// The length of `hungry`, for releases.
    hungry_count: AtomicUsize,
}

/// A pool, as the budget sees it. Called without any lock held.
pub(super) trait Member: Send + Sync {
    /// When its coldest idle connection was released.
    fn coldest(&self) -> Option<Instant>;
    /// Closes its coldest idle connection.
    fn evict_coldest(&self);
    /// A unit is free: dial for waiters if there still are any.
    fn feed(&self);
}

/// Equal settings: a pool made with one budget need not be made anew for another of the same size.
impl PartialEq for Budget {
    fn eq(&self, other: &Self) -> bool {
        self.max == other.max
    }
}

impl Budget {
    /// A budget of `max` connections, at least one.
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max: max.max(1),
            taken: AtomicUsize::new(0),
            members: Mutex::default(),
            hungry: Mutex::default(),
            hungry_count: AtomicUsize::new(0),
        })
    }

    /// The bound.
    pub fn max(&self) -> usize {
        self.max
    }

    /// Connections open now, dials included.
    pub fn open(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    pub(super) fn join(&self, member: Weak<dyn Member>) {
        let mut members = lock(&self.members);
        // Pools leave without a word. Sweeping when the list would grow keeps it within twice the living.
        if members.len() == members.capacity() {
            members.retain(|member| member.strong_count() > 0);
        }
        members.push(member);
    }

    pub(super) fn enlist(&self, member: Weak<dyn Member>) {
        let mut hungry = lock(&self.hungry);
        hungry.push_back(member);
        self.hungry_count.store(hungry.len(), Ordering::SeqCst);
    }

    /// Whether a pool waits for a unit. A release then makes the coldest idle connection go.
    pub(super) fn is_starving(&self) -> bool {
        self.hungry_count.load(Ordering::SeqCst) > 0
    }

    pub(super) fn try_take(&self) -> bool {
        let below_max = |taken| (taken < self.max).then_some(taken + 1);
        self.taken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, below_max).is_ok()
    }

    /// Counts a closed connection. [`feed`](Self::feed) must follow once no lock is held.
    pub(super) fn give_back(&self) {
        self.taken.fetch_sub(1, Ordering::SeqCst);
    }

    /// Offers free units to hungry pools, oldest first.
    pub(super) fn feed(&self) {
        while self.open() < self.max {
            let Some(member) = self.next_hungry() else { return };
            if let Some(member) = member.upgrade() {
                member.feed();
            }
        }
    }

    fn next_hungry(&self) -> Option<Weak<dyn Member>> {
        let mut hungry = lock(&self.hungry);
        let next = hungry.pop_front();
        self.hungry_count.store(hungry.len(), Ordering::SeqCst);
        next
    }

    /// Closes the idle connection that was released first. Looks at each pool that has an idle one: this is the price
    /// of a dial when everything is used up, not of a request.
    pub(super) fn evict_coldest(&self) {
        let members: Vec<_> = lock(&self.members).iter().filter_map(Weak::upgrade).collect();
        let coldest =
            members.iter().filter_map(|member| Some((member.coldest()?, member))).min_by_key(|(at, _)| *at);
        if let Some((_, member)) = coldest {
            member.evict_coldest();
        }
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("open", &self.open()).field("max", &self.max).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
