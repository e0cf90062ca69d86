//! The sessions of one listener on one worker: found by client, bounded per source and in total, ended when idle.
//! Pure: time comes as an argument, in microseconds of any clock that does not go back.
//!
//! ```text
//!  by_flow: client, local address ──> slot ──┐
//!  by_source: address or /64 ──> its sessions, oldest first ── full: the oldest of the source leaves
//!                    newcomers, oldest first ──┬── full: the oldest leaves, a newcomer if there are enough of them
//!                    validated, oldest first ──┘── idle: the oldest leaves
//! ```

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use towpath_base::slab::{Key, Slab};
use towpath_net::udp::Run;

use super::account::{Account, Traffic};
use super::order::{Linked, Links, Order, RANKS, Rank};

/// A flood of newcomers ends newcomers, as long as they hold at least this part of a full table; validated sessions
/// give way only when newcomers would have less.
const NEWCOMERS_SHARE: usize = 8;

/// A session is put to the end of its orders when its last move is this part of the idle time ago: often enough that
/// nobody sees the difference, seldom enough that a busy session touches no other.
const MOVES_PER_IDLE_TIME: u64 = 64;

/// Bounds of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// A session ends when its client has sent nothing for so long.
    pub(crate) idle_us: u64,
    /// Sessions in all, at least 1.
    pub(crate) sessions_max: usize,
    /// Sessions of one source, at least 1.
    pub(crate) sessions_per_source_max: usize,
    /// Bytes that a client may be answered for each byte it sent, until it is validated.
    pub(crate) reply_ratio: Option<u32>,
}

/// Whose session it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Flow {
    /// Where datagrams come from and answers go.
    pub(crate) client: SocketAddr,
    /// The address the client sent to, where the listener has several.
    pub(crate) local: Option<IpAddr>,
}

/// Why a session has to make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    Source,
    Table,
}

/// A session and what belongs to it.
#[derive(Debug)]
pub(crate) struct Session<T> {
    pub(crate) flow: Flow,
    pub(crate) opened_us: u64,
    pub(crate) account: Account,
    pub(crate) value: T,
    moved_us: u64,
    /// It stands among the validated.
    is_settled: bool,
    links: [Links; RANKS],
}

impl<T> Linked for Session<T> {
    fn links(&mut self, rank: Rank) -> &mut Links {
        &mut self.links[rank as usize]
    }
}

impl<T> Session<T> {
    /// When the client last sent something, give or take a 64th of the idle time.
    pub(crate) fn last_request_us(&self) -> u64 {
        self.moved_us
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Table<T> {
    limits: Limits,
    sessions: Slab<Session<T>>,
    by_flow: HashMap<Flow, Key>,
    by_source: HashMap<IpAddr, Order>,
    newcomers: Order,
    validated: Order,
}

impl<T> Table<T> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            sessions: Slab::default(),
            by_flow: HashMap::new(),
            by_source: HashMap::new(),
            newcomers: Order::new(Rank::All),
            validated: Order::new(Rank::All),
        }
    }

    /// Takes other bounds. Sessions beyond them leave as others come.
    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    pub(crate) fn len(&self) -> usize {
        self.by_flow.len()
    }

    pub(crate) fn find(&self, flow: &Flow) -> Option<Key> {
        self.by_flow.get(flow).copied()
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Session<T>> {
        self.sessions.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Session<T>> {
        self.sessions.get_mut(key)
    }

    pub(crate) fn sessions_mut(&mut self) -> impl Iterator<Item = &mut Session<T>> {
        self.sessions.values_mut()
    }

    /// The sessions for which `is_wanted` holds.
    pub(crate) fn keys(&self, is_wanted: impl Fn(&Session<T>) -> bool) -> Vec<Key> {
        let is_wanted = |key: &Key| self.sessions.get(*key).is_some_and(&is_wanted);
        self.by_flow.values().copied().filter(is_wanted).collect()
    }

    /// Who has to leave before `client` may have another session. Asked until nobody has to.
    pub(crate) fn victim(&self, client: IpAddr) -> Option<(Key, Full)> {
        let of_source = self.by_source.get(&source(client));
        if let Some(order) = of_source.filter(|order| order.len() >= self.limits.sessions_per_source_max) {
            return order.oldest().map(|key| (key, Full::Source));
        }
        if self.len() < self.limits.sessions_max {
            return None;
        }
        self.oldest_to_evict().map(|key| (key, Full::Table))
    }

    /// Who has to leave when the system has no room for another session, whatever the limits say.
    pub(crate) fn oldest_to_evict(&self) -> Option<Key> {
        let newcomers_kept = self.limits.sessions_max.div_ceil(NEWCOMERS_SHARE);
        let newcomer = self.newcomers.oldest().filter(|_| self.newcomers.len() >= newcomers_kept);
        newcomer.or(self.validated.oldest()).or(self.newcomers.oldest())
    }

    /// A session for a flow that has none.
    pub(crate) fn open(&mut self, flow: Flow, now_us: u64, value: T) -> Key {
        let key = self.sessions.insert(Session {
            flow,
            opened_us: now_us,
            account: Account::default(),
            value,
            moved_us: now_us,
            is_settled: false,
            links: Default::default(),
        });
        self.newcomers.push(&mut self.sessions, key);
        let of_source = self.by_source.entry(source(flow.client.ip()));
        of_source.or_insert_with(|| Order::new(Rank::Source)).push(&mut self.sessions, key);
        self.by_flow.insert(flow, key);
        key
    }

    pub(crate) fn close(&mut self, key: Key) -> Option<Session<T>> {
        self.take_out(key)?;
        let session = self.sessions.remove(key)?;
        self.by_flow.remove(&session.flow);
        if let Entry::Occupied(entry) = self.by_source.entry(source(session.flow.client.ip()))
            && entry.get().len() == 0
        {
            entry.remove();
        }
        Some(session)
    }

    /// The client sent a run.
    pub(crate) fn on_request(&mut self, key: Key, now_us: u64, run: Run<'_>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.account.on_request(Traffic::of(run, run.len()));
        // Only the client keeps a session alive. A stream of answers to one who went silent, or never asked, must end:
        // RFC 4787 §4.3 names the danger where it leaves the choice to address translators.
        let age = now_us.saturating_sub(session.moved_us);
        let is_settled = session.account.is_validated();
        if age >= self.limits.idle_us / MOVES_PER_IDLE_TIME || is_settled != session.is_settled {
            self.renew(key, now_us, is_settled);
        }
    }

    /// How many datagrams of the endpoint's answer may go to the client, from the first.
    pub(crate) fn allows(&self, key: Key, answer: Run<'_>) -> usize {
        let session = self.sessions.get(key);
        session.map_or(0, |session| session.account.allows(answer, self.limits.reply_ratio))
    }

    /// A session whose client has been silent for the idle time.
    pub(crate) fn expired(&self, now_us: u64) -> Option<Key> {
        let (idle_since, key) = self.idlest()?;
        (idle_since.saturating_add(self.limits.idle_us) <= now_us).then_some(key)
    }

    /// When [`expired`](Self::expired) has something to say, if no client sends until then.
    pub(crate) fn next_expiry_us(&self) -> Option<u64> {
        self.idlest().map(|(idle_since, _)| idle_since.saturating_add(self.limits.idle_us))
    }

    fn idlest(&self) -> Option<(u64, Key)> {
        let oldest = [self.newcomers.oldest(), self.validated.oldest()].into_iter().flatten();
        oldest.filter_map(|key| Some((self.sessions.get(key)?.moved_us, key))).min_by_key(|(since, _)| *since)
    }

    /// To the end of its orders.
    fn renew(&mut self, key: Key, now_us: u64, is_settled: bool) {
        if self.take_out(key).is_none() {
            return;
        }
        let Some(session) = self.sessions.get_mut(key) else { return };
        (session.moved_us, session.is_settled) = (now_us, is_settled);
        let source = source(session.flow.client.ip());
        let order = if is_settled { &mut self.validated } else { &mut self.newcomers };
        order.push(&mut self.sessions, key);
        if let Some(order) = self.by_source.get_mut(&source) {
            order.push(&mut self.sessions, key);
        }
    }

    /// Out of its orders.
    fn take_out(&mut self, key: Key) -> Option<()> {
        let session = self.sessions.get(key)?;
        let (is_settled, source) = (session.is_settled, source(session.flow.client.ip()));
        let order = if is_settled { &mut self.validated } else { &mut self.newcomers };
        order.remove(&mut self.sessions, key);
        self.by_source.get_mut(&source)?.remove(&mut self.sessions, key);
        Some(())
    }
}

/// What counts as one sender: an IPv4 address, or an IPv6 /64, of which a single host may have every address (RFC 8273).
fn source(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests;
