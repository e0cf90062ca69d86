//! How often something may happen: in all, or for each of many clients.
//!
//! A token bucket is one number here: the time until which everything that came would have taken if it had come evenly (the
//! generic cell rate algorithm). The bucket is empty when that time lies further ahead than a burst takes.

use core::net::IpAddr;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How often something may happen.
///
/// ```
/// use std::time::Duration;
/// use towpath_traffic::rate::Rate;
///
/// let rate = Rate::per_second(10);
/// assert_eq!((rate.count, rate.per, rate.burst), (10, Duration::from_secs(1), 10));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How often in [`Rate::per`], at least once.
    pub count: u64,
    /// In which time.
    pub per: Duration,
    /// How often at once after a pause, at least once. A second's worth is a good value: below that, an even stream waits
    /// because it is not quite even.
    pub burst: u64,
}

impl Rate {
    /// So often each second, and as often at once after a pause.
    pub const fn per_second(count: u64) -> Self {
        Self { count, per: Duration::from_secs(1), burst: count }
    }

    /// From one time to the next.
    fn interval_ns(&self) -> u64 {
        u64::try_from(self.per.as_nanos()).unwrap_or(u64::MAX) / self.count.max(1)
    }

    /// When the next may come, if not now.
    fn next_ns(&self, taken_until_ns: u64, now_ns: u64) -> Option<u64> {
        let burst = self.interval_ns().saturating_mul(self.burst.saturating_sub(1));
        let from = taken_until_ns.saturating_sub(burst);
        (from > now_ns).then_some(from)
    }

    fn taken_ns(&self, taken_until_ns: u64, now_ns: u64) -> u64 {
        taken_until_ns.max(now_ns).saturating_add(self.interval_ns())
    }
}

/// One bucket, which several threads may take from. Times are nanoseconds since a start that the caller keeps.
#[derive(Debug, Default)]
pub struct Pace {
    taken_until_ns: AtomicU64,
}

impl Pace {
    /// When the next may come, if not now.
    pub fn wait(&self, now_ns: u64, rate: &Rate) -> Option<u64> {
        rate.next_ns(self.taken_until_ns.load(Relaxed), now_ns)
    }

    /// One came.
    pub fn take(&self, now_ns: u64, rate: &Rate) {
        let later = |until| Some(rate.taken_ns(until, now_ns));
        // The function always has an answer.
        let _ = self.taken_until_ns.fetch_update(Relaxed, Relaxed, later);
    }
}

/// What counts as one client: an IPv4 address, or the /64 that a host has for itself in IPv6 (RFC 4291 §2.5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientKey {
    /// Its bits.
    V4(u32),
    /// The first half of its bits.
    V6(u64),
}

impl ClientKey {
    /// The client that has this address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

/// A bucket for each client that has come lately. One that is full again is that of a client who never came, so it is
/// forgotten: there are never more than `clients_max`, and the next client is refused then, as one who has taken too much
/// (T57). A tree, because clients choose the keys and a hash would need a secret.
#[derive(Debug)]
pub struct Paces {
    rate: Rate,
    clients_max: usize,
    taken_until_ns: BTreeMap<ClientKey, u64>,
    /// At how many clients the next look is for those that can be forgotten. Twice as many as were left by the last, so that
    /// a look costs each newcomer a constant time.
    sweep_count: usize,
    /// When a table that was full of active clients may be looked through again.
    sweep_ns: u64,
}

/// Below this many a look is not worth its while.
const SWEEP_COUNT_MIN: usize = 64;

impl Paces {
    /// Buckets of `rate` for up to `clients_max` clients; each takes some 40 bytes.
    pub fn new(rate: Rate, clients_max: usize) -> Self {
        Self {
            rate,
            clients_max: clients_max.max(1),
            taken_until_ns: BTreeMap::new(),
            sweep_count: SWEEP_COUNT_MIN,
            sweep_ns: 0,
        }
    }

    /// One came of `client`.
    ///
    /// # Errors
    /// It is one too many, and was not taken; in how many nanoseconds the next may come.
    pub fn take(&mut self, client: ClientKey, now_ns: u64) -> Result<(), u64> {
        let until = match self.taken_until_ns.get_mut(&client) {
            Some(until) => until,
            None => {
                self.make_room(now_ns)?;
                self.taken_until_ns.entry(client).or_insert(0)
            }
        };
        match self.rate.next_ns(*until, now_ns) {
            Some(next_ns) => Err(next_ns - now_ns),
            None => {
                *until = self.rate.taken_ns(*until, now_ns);
                Ok(())
            }
        }
    }

    fn make_room(&mut self, now_ns: u64) -> Result<(), u64> {
        let count = self.taken_until_ns.len();
        if count < self.sweep_count.min(self.clients_max) {
            return Ok(());
        }
        if count < self.clients_max || self.sweep_ns <= now_ns {
            self.taken_until_ns.retain(|_, until| *until > now_ns);
            self.sweep_count = (self.taken_until_ns.len() * 2).max(SWEEP_COUNT_MIN);
            if self.taken_until_ns.len() >= self.clients_max {
                self.sweep_ns = now_ns.saturating_add(self.rate.interval_ns());
            }
        }
        match self.taken_until_ns.len() < self.clients_max {
            true => Ok(()),
            false => Err(self.sweep_ns.saturating_sub(now_ns).max(1)),
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.taken_until_ns.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const SECOND: u64 = 1000 * MS;

    fn key(text: &str) -> ClientKey {
        ClientKey::of(text.parse().unwrap())
    }

    #[test]
    fn what_comes_is_let_in_at_the_rate_after_a_burst() {
        let rate = Rate { count: 10, per: Duration::from_secs(1), burst: 3 };
        let pace = Pace::default();
        let mut arrivals = Vec::new();
        for ms in 0..1000 {
            while pace.wait(ms * MS, &rate).is_none() {
                pace.take(ms * MS, &rate);
                arrivals.push(ms);
            }
        }
        assert_eq!(arrivals, [0, 0, 0, 100, 200, 300, 400, 500, 600, 700, 800, 900]);
        assert_eq!(pace.wait(950 * MS, &rate), Some(SECOND));
        // A pause fills the bucket to the burst and no further.
        let late = (0..9).take_while(|_| {
            pace.wait(60 * SECOND, &rate).is_none().then(|| pace.take(60 * SECOND, &rate)).is_some()
        });
        assert_eq!(late.count(), 3);
    }

    #[test]
    fn a_rate_beyond_the_clock_is_no_rate() {
        let (rate, pace) = (Rate { burst: 1, ..Rate::per_second(u64::MAX) }, Pace::default());
        for _ in 0..100 {
            assert_eq!(pace.wait(0, &rate), None);
            pace.take(0, &rate);
        }
    }

    #[test]
    fn ipv6_clients_are_told_apart_by_their_64_bits_and_mapped_ones_are_ipv4() {
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("::c000:201"), key("192.0.2.1"));
    }

    #[test]
    fn each_client_has_a_bucket_and_hears_when_to_come_again() {
        let mut paces = Paces::new(Rate { burst: 2, ..Rate::per_second(4) }, 10);
        let (one, two) = (key("192.0.2.1"), key("192.0.2.2"));
        assert_eq!([0, 0, 0].map(|at| paces.take(one, at)), [Ok(()), Ok(()), Err(250 * MS)]);
        assert_eq!(paces.take(two, 0), Ok(()));
        assert_eq!(paces.take(one, 200 * MS), Err(50 * MS), "a refusal costs nothing");
        assert_eq!(paces.take(one, 250 * MS), Ok(()));
    }

    #[test]
    fn clients_that_went_are_forgotten_and_a_full_table_takes_no_new_one_t57() {
        let mut paces = Paces::new(Rate { burst: 1, ..Rate::per_second(1) }, 1000);
        // A million clients, each once, a thousand in a second: those of the last second are known.
        for number in 0..1_000_000_u32 {
            let now_ns = u64::from(number) * MS;
            assert_eq!(paces.take(ClientKey::V4(number), now_ns), Ok(()), "{number}");
            assert!(paces.len() <= 1000);
        }
        // All at once: the table is full of clients that have just come.
        let now_ns = 2_000 * SECOND;
        for number in 0..1000 {
            assert_eq!(paces.take(ClientKey::V6(number), now_ns), Ok(()));
        }
        assert_eq!(paces.take(ClientKey::V6(1000), now_ns), Err(SECOND));
        assert_eq!(paces.take(ClientKey::V6(0), now_ns + SECOND), Ok(()), "one that is known goes on");
        assert_eq!(paces.take(ClientKey::V6(1000), now_ns + SECOND), Ok(()));
        assert_eq!(paces.len(), 2);
    }
}
