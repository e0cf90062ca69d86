//! How fast connections and requests may come.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use towpath_traffic::rate::{ClientKey, Pace, Paces, Rate};

/// Locks of the table of clients, so that workers seldom meet at one.
const SHARDS: u32 = 16;

/// Clients in one shard: a million in all, some 40 MiB (T57).
const SHARD_CLIENTS_MAX: usize = 1 << 16;

/// What came lately at a server, of all workers.
#[derive(Debug)]
pub(crate) struct Rates {
    started: Instant,
    connections: Option<(Rate, Pace)>,
    /// By client.
    requests: Option<Box<[Mutex<Paces>]>>,
}

impl Rates {
    pub(crate) fn new(connections: Option<Rate>, requests: Option<Rate>) -> Self {
        let shards = |rate| (0..SHARDS).map(|_| Mutex::new(Paces::new(rate, SHARD_CLIENTS_MAX))).collect();
        Self {
            started: Instant::now(),
            connections: connections.map(|rate| (rate, Pace::default())),
            requests: requests.map(shards),
        }
    }

    /// When the next connection may be accepted, if not now.
    pub(crate) fn connection_wait(&self) -> Option<Instant> {
        let (rate, pace) = self.connections.as_ref()?;
        pace.wait(self.since(Instant::now()), rate).map(|at| self.started + Duration::from_nanos(at))
    }

    /// A connection was accepted.
    pub(crate) fn connection(&self) {
        if let Some((rate, pace)) = &self.connections {
            pace.take(self.since(Instant::now()), rate);
        }
    }

    /// A request came of `address`.
    ///
    /// # Errors
    /// It is one too many; how long its client should wait.
    pub(crate) fn request(&self, address: IpAddr) -> Result<(), Duration> {
        let Some(shards) = &self.requests else { return Ok(()) };
        let client = ClientKey::of(address);
        let Some(shard) = shards.get(shard_of(client)) else { return Ok(()) };
        let mut paces = shard.lock().unwrap_or_else(PoisonError::into_inner);
        paces.take(client, self.since(Instant::now())).map_err(Duration::from_nanos)
    }

    fn since(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.started).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Neighbours are in different shards; who chooses addresses of one shard fills that and no other.
fn shard_of(client: ClientKey) -> usize {
    let bits = match client {
        ClientKey::V4(bits) => bits,
        ClientKey::V6(bits) => (bits ^ (bits >> 32)) as u32,
    };
    ((bits ^ (bits >> 16)) % SHARDS) as usize
}
