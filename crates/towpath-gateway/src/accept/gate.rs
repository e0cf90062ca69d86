//! What a listener has in common over all workers: how many connections it has, of whom, and how fast they come.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use towpath_traffic::rate::{self, ClientKey};

use crate::plan::AcceptRate;

/// The counts behind the limits of a listener. It belongs to its name and outlives plans.
#[derive(Debug)]
pub(crate) struct Gate {
    /// A number of its own beside those for metrics: it is touched twice in the life of a connection, and it must not
    /// be counted together with others when there are more listeners than labels.
    open: AtomicUsize,
    pace: Pace,
    addresses: Addresses,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self { open: AtomicUsize::new(0), pace: Pace::new(), addresses: Addresses::new() }
    }

    pub(crate) fn enter(&self) {
        self.open.fetch_add(1, Relaxed);
    }

    pub(crate) fn leave(&self) {
        self.open.fetch_sub(1, Relaxed);
    }

    pub(crate) fn open_count(&self) -> usize {
        self.open.load(Relaxed)
    }

    pub(crate) fn pace(&self) -> &Pace {
        &self.pace
    }

    pub(crate) fn addresses(&self) -> &Addresses {
        &self.addresses
    }
}

/// How fast connections came. The arithmetic is that of [`rate`](towpath_traffic::rate).
#[derive(Debug)]
pub(crate) struct Pace {
    started: Instant,
    pace: rate::Pace,
}

impl Pace {
    fn new() -> Self {
        Self { started: Instant::now(), pace: rate::Pace::default() }
    }

    /// When the next connection may come, if not now.
    pub(crate) fn wait(&self, now: Instant, rate: &AcceptRate) -> Option<Instant> {
        self.pace.wait(self.since(now), rate).map(|at| self.started + Duration::from_nanos(at))
    }

    /// A connection came.
    pub(crate) fn take(&self, now: Instant, rate: &AcceptRate) {
        self.pace.take(self.since(now), rate);
    }

    fn since(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.started).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// How many connections each client has. Holds those alone that have one, so it is no larger than what is open.
#[derive(Debug)]
pub(crate) struct Addresses {
    hasher: RandomState,
    shards: [Mutex<HashMap<ClientKey, u32>>; SHARDS],
}

/// Locks of the table, so that workers seldom meet at one.
const SHARDS: usize = 16;

/// Clients in one shard: a million in all, 32 MiB. Who has that many addresses at once has means against which a count
/// per address is none; the next one is refused like one that has too many (T57).
const SHARD_CLIENTS_MAX: usize = 1 << 16;

impl Addresses {
    fn new() -> Self {
        Self { hasher: RandomState::new(), shards: std::array::from_fn(|_| Mutex::default()) }
    }

    /// Counts a connection of `client`, unless it has `max` already.
    pub(crate) fn enter(&self, client: ClientKey, max: usize) -> bool {
        let mut shard = self.shard(client);
        let is_full = shard.len() >= SHARD_CLIENTS_MAX && !shard.contains_key(&client);
        if is_full {
            return false;
        }
        let count = shard.entry(client).or_insert(0);
        let is_let_in = (*count as usize) < max;
        *count += u32::from(is_let_in);
        if *count == 0 {
            shard.remove(&client);
        }
        is_let_in
    }

    /// Takes back what [`Addresses::enter`] counted.
    pub(crate) fn leave(&self, client: ClientKey) {
        let mut shard = self.shard(client);
        let Some(count) = shard.get_mut(&client) else { return };
        *count -= 1;
        if *count == 0 {
            shard.remove(&client);
            // Memory follows what is open, down as well as up.
            if shard.len() < shard.capacity() / 8 {
                shard.shrink_to_fit();
            }
        }
    }

    fn shard(&self, client: ClientKey) -> MutexGuard<'_, HashMap<ClientKey, u32>> {
        let index = self.hasher.hash_one(client) as usize % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> ClientKey {
        ClientKey::of(text.parse().unwrap())
    }

    #[test]
    fn a_client_has_no_more_than_its_share_and_gets_it_back_t57() {
        let addresses = Addresses::new();
        let client = key("192.0.2.1");
        assert_eq!([1, 2, 3].map(|_| addresses.enter(client, 2)), [true, true, false]);
        assert!(addresses.enter(key("192.0.2.2"), 2));
        addresses.leave(client);
        assert!(addresses.enter(client, 2));
        assert!(!addresses.enter(client, 0));
    }

    #[test]
    fn nothing_is_kept_of_clients_that_have_left_t57() {
        let addresses = Addresses::new();
        let clients = (0..10_000).map(ClientKey::V4);
        clients.clone().for_each(|client| assert!(addresses.enter(client, 1)));
        assert_eq!(addresses.len(), 10_000);
        clients.for_each(|client| addresses.leave(client));
        assert!(!addresses.enter(key("192.0.2.1"), 0));
        assert_eq!(addresses.len(), 0);
        let capacity: usize = addresses.shards.iter().map(|shard| shard.lock().unwrap().capacity()).sum();
        assert!(capacity <= SHARDS * 8, "{capacity}");
    }

    #[test]
    fn a_full_table_lets_no_new_client_in_t57() {
        let addresses = Addresses::new();
        let refused = (0..3_000_000).map(ClientKey::V4).find(|&client| !addresses.enter(client, 1));
        let refused = refused.unwrap();
        assert!(addresses.len() <= SHARDS * SHARD_CLIENTS_MAX);
        assert!(addresses.enter(ClientKey::V4(0), 2), "one that is known goes on");
        assert!(!addresses.enter(refused, 1));
    }
}
