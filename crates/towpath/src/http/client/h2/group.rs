//! The connections to an origin, and the way to one of them.
//!
//! Nobody knows before the first handshake which version an origin chooses. So one request dials, and the others wait for what
//! comes of it: all of them share the connection, or all of them go to the pool as requests of HTTP/1.1 do.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::{Handle, Id};
use tokio::sync::Notify;
use tokio::time::Instant;
use towpath_net::buffer::Buffers;
use towpath_net::time::timeout_at;
use towpath_proto::limits::HeadLimits;

use super::conn::{Conn, Permit, Room};
use super::driver::Driver;
use super::pulse::Pulse;
use crate::Ctx;
use crate::http::client::origin::{Origin, OriginDialer, Speaks};
use crate::http::client::version::HttpVersion;
use crate::http2::Wire;
use crate::net;
use crate::pool::{GetError, Loan, PoolConfig, Pools};

/// Origins whose connections and version are remembered: as many as have pools.
const GROUPS_MAX: usize = 16_384;

/// How long an origin that wants HTTP/1.1 is offered nothing else. What makes it want that is its configuration, which changes
/// seldom, or that of one path, for which all others should not pay for ever; a request that is sent twice each ten minutes
/// costs nobody much. Chromium remembers it until it ends, curl for one transfer.
const HTTP1_TIME: Duration = Duration::from_secs(600);

/// The ways to all origins.
pub(in crate::http::client) struct Lines {
    pools: Pools<Origin, OriginDialer>,
    groups: Mutex<HashMap<Origin, Arc<Group>>>,
    how: How,
}

/// What holds for the connections to all origins.
pub(in crate::http::client) struct How {
    pub(in crate::http::client) head: HeadLimits,
    pub(in crate::http::client) streams_max: usize,
    pub(in crate::http::client) write_timeout: Duration,
    pub(in crate::http::client) ping_interval: Option<Duration>,
    pub(in crate::http::client) ping_timeout: Duration,
    pub(in crate::http::client) pool: PoolConfig,
}

/// A connection on which a request can be made now.
pub(in crate::http::client) enum Way {
    /// One of HTTP/1.1, for this request alone.
    Http1(Loan<OriginDialer>),
    /// One of HTTP/2 with a stream to spare.
    Http2(Permit),
}

/// What a request that is sent again wants no more of.
#[derive(Clone, Copy)]
pub(in crate::http::client) enum Avoid<'c> {
    Nothing,
    /// Connections that were idle.
    Reused,
    /// This connection, if there is another or may be.
    Conn(&'c Arc<Conn>),
}

/// The connections to one origin.
pub(super) struct Group {
    state: Mutex<State>,
    /// A stream has become free, or a connection, or a dial has ended.
    news: Notify,
    /// HTTP/1.1 may be spoken too.
    may_be_http1: bool,
}

#[derive(Default)]
struct State {
    /// What the origin chose last.
    speaks: Option<Speaks>,
    /// Until when it is offered nothing but HTTP/1.1.
    http1_until: Option<Instant>,
    conns: Vec<Arc<Conn>>,
    /// One of those who wait dials.
    is_dialling: bool,
    waiting: usize,
}

/// What a request has to do next.
enum Ask {
    Open(Permit),
    /// The origin speaks HTTP/1.1.
    Pool,
    /// It wants HTTP/1.1 in place of HTTP/2.
    Http1,
    Dial(Dialling),
    Wait,
}

/// While one dials, the others wait. If nothing becomes of it, the next one does.
struct Dialling(Arc<Group>);

impl Drop for Dialling {
    fn drop(&mut self) {
        self.0.lock().is_dialling = false;
        self.0.news.notify_one();
    }
}

/// One of those who wait.
struct InLine<'g>(&'g Group);

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

impl Lines {
    pub(in crate::http::client) fn new(pools: Pools<Origin, OriginDialer>, how: How) -> Self {
        Self { pools, groups: Mutex::default(), how }
    }

    /// A connection to `origin`. *Cancel-safe*: a dial goes on, and what comes of it serves the next request.
    ///
    /// # Errors
    /// Those of the pool.
    pub(in crate::http::client) async fn get(
        &self,
        ctx: &Ctx,
        origin: &Origin,
        avoid: Avoid<'_>,
    ) -> Result<Way, GetError<net::Error>> {
        if !origin.may_be_http2() {
            return self.lend(ctx, origin, avoid).await.map(Way::Http1);
        }
        let group = self.group(origin);
        let here = Handle::current().id();
        let since = Instant::now();
        let mut place = None;
        loop {
            let mut news = pin!(group.news.notified());
            let ask = {
                let mut state = group.lock();
                let ask = self.ask(&group, &mut state, here, avoid, place.is_some());
                if matches!(ask, Ask::Wait) {
                    // What happens from here on is not missed.
                    news.as_mut().enable();
                    if place.is_none() {
                        if state.waiting >= self.waiting_max() {
                            return Err(GetError::QueueFull);
                        }
                        state.waiting += 1;
                        place = Some(InLine(&group));
                    }
                }
                ask
            };
            match ask {
                Ask::Open(permit) => return Ok(Way::Http2(permit)),
                Ask::Pool => {
                    let loan = self.lend(ctx, origin, avoid).await?;
                    return Ok(self.adopt(&group, loan));
                }
                Ask::Http1 => {
                    return self.lend(ctx, &origin.by_http1(), avoid).await.map(Way::Http1);
                }
                Ask::Dial(dialling) => return self.dial(ctx, origin, &group, avoid, dialling).await,
                Ask::Wait => {
                    let until = since.checked_add(self.how.pool.acquire_timeout);
                    let waited = async {
                        match until {
                            Some(until) => timeout_at(until, news).await.is_ok(),
                            None => {
                                news.await;
                                true
                            }
                        }
                    };
                    match ctx.run(waited).await {
                        Ok(true) => {}
                        Ok(false) => return Err(self.timed_out(origin, since)),
                        Err(_) => return Err(GetError::Canceled),
                    }
                }
            }
        }
    }

    /// Dials, or takes a stream that has become free before a connection may be opened.
    async fn dial(
        &self,
        ctx: &Ctx,
        origin: &Origin,
        group: &Arc<Group>,
        avoid: Avoid<'_>,
        _dialling: Dialling,
    ) -> Result<Way, GetError<net::Error>> {
        let mut dial = pin!(self.lend(ctx, origin, avoid));
        loop {
            let mut news = pin!(group.news.notified());
            let dialled = poll_fn(|cx| match dial.as_mut().poll(cx) {
                Poll::Ready(dialled) => Poll::Ready(Some(dialled)),
                Poll::Pending => news.as_mut().poll(cx).map(|()| None),
            });
            if let Some(dialled) = dialled.await {
                return dialled.map(|loan| self.adopt(group, loan));
            }
            let found = group.lock().find(Handle::current().id(), avoid);
            if let Room::Free(permit) = found {
                return Ok(Way::Http2(permit));
            }
        }
    }

    pub(super) async fn lend(
        &self,
        ctx: &Ctx,
        origin: &Origin,
        avoid: Avoid<'_>,
    ) -> Result<Loan<OriginDialer>, GetError<net::Error>> {
        match avoid {
            Avoid::Reused => self.pools.get_fresh(ctx, origin).await,
            _ => self.pools.get(ctx, origin).await,
        }
    }

    fn ask(
        &self,
        group: &Arc<Group>,
        state: &mut State,
        here: Id,
        avoid: Avoid<'_>,
        is_in_line: bool,
    ) -> Ask {
        if state.http1_until.is_some_and(|until| Instant::now() < until) {
            return Ask::Http1;
        }
        let is_full = || self.how.pool.max_connections.is_some_and(|max| state.conns.len() >= max.max(1));
        let room = match state.find(here, avoid) {
            // There may be no other.
            Room::None if matches!(avoid, Avoid::Conn(_)) && is_full() => state.find(here, Avoid::Nothing),
            room => room,
        };
        match room {
            // P3: no overtaking. Dropped, the place goes to who has waited longest.
            Room::Free(_) if state.waiting > 0 && !is_in_line => Ask::Wait,
            Room::Free(permit) => Ask::Open(permit),
            Room::Soon => Ask::Wait,
            Room::None if state.speaks == Some(Speaks::Http1) => Ask::Pool,
            Room::None if state.is_dialling => Ask::Wait,
            Room::None => {
                state.is_dialling = true;
                Ask::Dial(Dialling(Arc::clone(group)))
            }
        }
    }

    /// Says what the origin speaks. A connection of HTTP/2 gets its driver, which stays here, and serves all from now on.
    fn adopt(&self, group: &Arc<Group>, loan: Loan<OriginDialer>) -> Way {
        group.lock().speaks = Some(loan.speaks);
        if loan.speaks == Speaks::Http1 {
            group.changed();
            return Way::Http1(loan);
        }
        let (driver, permit) = self.drive(group, loan);
        tokio::spawn(driver);
        Way::Http2(permit)
    }

    /// What drives a new connection of HTTP/2, and a place on it.
    pub(super) fn drive(&self, group: &Arc<Group>, loan: Loan<OriginDialer>) -> (Driver, Permit) {
        let How { head, streams_max, write_timeout, ping_interval, ping_timeout, ref pool } = self.how;
        let lease = loan.into_lease();
        let (is_used, old_from) = (lease.is_reused(), lease.old_from());
        let (transport, held) = lease.detach_held();
        let (conn, permit) = Conn::new(group, head, streams_max, is_used);
        let buffers = Buffers::default();
        let driver = Driver {
            conn: Arc::clone(&conn),
            group: Arc::clone(group),
            wire: Wire::new(transport.stream, b"", &buffers),
            buffers,
            born: Instant::now(),
            waits_for: None,
            is_over: false,
            sleep: None,
            pulse: Pulse::new(ping_interval, ping_timeout),
            blocked_at: Instant::now(),
            idle_timeout: pool.idle_timeout,
            write_timeout,
            old_from,
            _held: held,
        };
        group.lock().conns.push(conn);
        (driver, permit)
    }

    pub(super) fn group(&self, origin: &Origin) -> Arc<Group> {
        let mut groups = lock(&self.groups);
        if let Some(group) = groups.get(origin) {
            return Arc::clone(group);
        }
        if groups.len() >= GROUPS_MAX {
            // Those without a connection and a request have nothing to lose but the version.
            groups.retain(|_, group| Arc::strong_count(group) > 1);
        }
        let may_be_http1 = origin.version == HttpVersion::Negotiated;
        let group = Arc::new(Group { state: Mutex::default(), news: Notify::new(), may_be_http1 });
        groups.insert(origin.clone(), Arc::clone(&group));
        group
    }

    /// P4, where each waiter wants a stream.
    fn waiting_max(&self) -> usize {
        self.how.pool.max_waiters().saturating_mul(self.how.streams_max)
    }

    fn timed_out(&self, origin: &Origin, since: Instant) -> GetError<net::Error> {
        let stats = self.pools.stats(origin).unwrap_or_default();
        GetError::Timeout {
            waited: since.elapsed(),
            in_use: stats.in_use,
            idle: stats.idle,
            dialling: stats.dialling,
            queue: lock(&self.groups).get(origin).map_or(0, |group| group.lock().waiting),
        }
    }

    /// Closes the connections that are idle, and the others when they are.
    pub(in crate::http::client) fn shut_down(&self) {
        self.pools.shut_down();
        let groups = std::mem::take(&mut *lock(&self.groups));
        for group in groups.into_values() {
            let conns = group.lock().conns.clone();
            conns.iter().for_each(Conn::retire);
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.pools.fmt(f)
    }
}

impl State {
    /// A place on a connection, one of the same runtime's if there is a choice. The first that has room, so that the last
    /// ones are idle when there is little to do, and go.
    fn find(&self, here: Id, avoid: Avoid<'_>) -> Room {
        let is_avoided = |conn: &Arc<Conn>| matches!(avoid, Avoid::Conn(other) if Arc::ptr_eq(conn, other));
        let (near, far): (Vec<_>, Vec<_>) =
            self.conns.iter().filter(|conn| !is_avoided(conn)).partition(|conn| conn.runtime == here);
        let mut room = Room::None;
        for conn in near.into_iter().chain(far) {
            match conn.reserve() {
                Room::Free(permit) => return Room::Free(permit),
                Room::Soon => room = Room::Soon,
                Room::None => {}
            }
        }
        room
    }
}

impl Group {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// A stream has become free: one of those who wait may have it.
    pub(super) fn freed(&self) {
        self.news.notify_one();
    }

    /// All of those who wait look again.
    pub(super) fn changed(&self) {
        self.news.notify_waiters();
    }

    /// The origin wants HTTP/1.1: it is offered nothing else for a while, and its connections take no more requests. False
    /// where HTTP/2 is all that may be spoken.
    pub(super) fn keep_to_http1(&self) -> bool {
        if !self.may_be_http1 {
            return false;
        }
        let conns = {
            let mut state = self.lock();
            state.http1_until = Some(Instant::now() + HTTP1_TIME);
            state.conns.clone()
        };
        conns.iter().for_each(Conn::retire);
        self.changed();
        true
    }

    /// The connection takes no more requests.
    pub(super) fn remove(&self, conn: &Arc<Conn>) {
        let was_here = {
            let mut state = self.lock();
            let before = state.conns.len();
            state.conns.retain(|other| !Arc::ptr_eq(other, conn));
            state.conns.len() < before
        };
        if was_here {
            self.news.notify_waiters();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
