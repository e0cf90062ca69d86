//! What a listener has in common over all workers: how many connections it has, of whom, and how fast they come.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

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

/// A token bucket as one number: the time until which everything that came would have taken if it had come evenly
/// (the generic cell rate algorithm). Empty means that this time lies further ahead than a burst takes.
#[derive(Debug)]
pub(crate) struct Pace {
    started: Instant,
    /// Nanoseconds since `started`.
    taken_until: AtomicU64,
}

impl Pace {
    fn new() -> Self {
        Self { started: Instant::now(), taken_until: AtomicU64::new(0) }
    }

    /// When the next connection may come, if not now.
    pub(crate) fn wait(&self, now: Instant, rate: &AcceptRate) -> Option<Instant> {
        let burst = interval(rate).saturating_mul(rate.burst.saturating_sub(1));
        let from = self.taken_until.load(Relaxed).saturating_sub(burst);
        (from > self.since(now)).then(|| self.started + Duration::from_nanos(from))
    }

    /// A connection came.
    pub(crate) fn take(&self, now: Instant, rate: &AcceptRate) {
        let now = self.since(now);
        let later = |until: u64| Some(until.max(now).saturating_add(interval(rate)));
        // The function always has an answer.
        let _ = self.taken_until.fetch_update(Relaxed, Relaxed, later);
    }

    fn since(&self, now: Instant) -> u64 {
        nanos(now.saturating_duration_since(self.started))
    }
}

/// From one connection to the next.
fn interval(rate: &AcceptRate) -> u64 {
    nanos(rate.per) / rate.count.max(1)
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// What counts as one client: an IPv4 address, or the /64 that a host has for itself in IPv6 (RFC 4291 §2.5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ClientKey {
    V4(u32),
    V6(u64),
}

impl ClientKey {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
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

    #[test]
    fn ipv6_clients_are_told_apart_by_their_64_bits_and_mapped_ones_are_ipv4() {
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("::c000:201"), key("192.0.2.1"));
    }

    #[test]
    fn connections_come_at_the_rate_after_a_burst() {
        let rate = AcceptRate { count: 10, per: Duration::from_secs(1), burst: 3 };
        let pace = Pace::new();
        let at = |ms: u64| pace.started + Duration::from_millis(ms);
        let mut arrivals = Vec::new();
        for ms in 0..1000 {
            while pace.wait(at(ms), &rate).is_none() {
                pace.take(at(ms), &rate);
                arrivals.push(ms);
            }
        }
        assert_eq!(arrivals, [0, 0, 0, 100, 200, 300, 400, 500, 600, 700, 800, 900]);
        assert_eq!(pace.wait(at(950), &rate), Some(at(1000)));
        // A pause fills the bucket to the burst and no further.
        let late = (0..9).take_while(|_| {
            pace.wait(at(60_000), &rate).is_none().then(|| pace.take(at(60_000), &rate)).is_some()
        });
        assert_eq!(late.count(), 3);
    }

    #[test]
    fn a_rate_beyond_the_clock_is_no_rate() {
        let rate = AcceptRate { count: u64::MAX, per: Duration::from_secs(1), burst: 1 };
        let pace = Pace::new();
        for _ in 0..100 {
            assert_eq!(pace.wait(pace.started, &rate), None);
            pace.take(pace.started, &rate);
        }
    }
}
