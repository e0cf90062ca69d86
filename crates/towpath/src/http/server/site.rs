//! What the connections of a server share: of all workers, and of one.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use towpath_net::Binding;
use towpath_net::buffer::Buffers;
use towpath_net::timer::Timers;
use towpath_net::tls;
use towpath_proto::h1::RequestDecoder;

use super::Settings;
use crate::Ctx;
use crate::ctx::{CancelGuard, Cause};
use crate::http::handler::BoxHandler;

/// How far a server has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Serve,
    /// No further connections; those there are end when they can.
    Drain,
    /// Everything ends now.
    Stop,
}

/// An address that is listened on, and what is spoken there.
pub(super) type Door = (Arc<Binding>, Option<Arc<tls::Server>>);

/// What all workers of a server share.
pub(super) struct Shared {
    pub(super) handler: BoxHandler,
    pub(super) settings: Settings,
    pub(super) bindings: Vec<Door>,
    /// What the contexts of requests are children of. The end of the caller's context says that the server should stop,
    /// which is no reason to stop a request.
    pub(super) root: Ctx,
    guard: Mutex<Option<CancelGuard>>,
    phase: watch::Sender<Phase>,
    open: AtomicUsize,
    /// Told each time a connection ends.
    ended: Notify,
    /// Connections by client address, where that is limited. Holds no more than there are connections.
    addresses: Mutex<HashMap<IpAddr, usize>>,
}

impl Shared {
    pub(super) fn new(handler: BoxHandler, settings: Settings, bindings: Vec<Door>, ctx: &Ctx) -> Self {
        let (root, guard) = ctx.without_cancel().with_cancel();
        Self {
            handler,
            settings,
            bindings,
            root,
            guard: Mutex::new(Some(guard)),
            phase: watch::Sender::new(Phase::Serve),
            open: AtomicUsize::new(0),
            ended: Notify::new(),
            addresses: Mutex::default(),
        }
    }

    pub(super) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Begins the next phase. With the last one every request is told.
    pub(super) fn enter(&self, phase: Phase) {
        if phase == Phase::Stop
            && let Some(guard) = self.guard.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            guard.cancel(Cause::Shutdown);
        }
        self.phase.send_replace(phase);
    }

    /// Ends when no connection is open.
    pub(super) async fn idle(&self) {
        loop {
            let ended = self.ended.notified();
            if self.open.load(Ordering::Acquire) == 0 {
                return;
            }
            ended.await;
        }
    }

    /// A place for a connection, unless its address has as many as it may have.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Seat> {
        let is_counted = self.settings.limits.connections_per_address != usize::MAX;
        if is_counted {
            let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            let count = addresses.entry(address).or_default();
            if *count >= self.settings.limits.connections_per_address {
                return None;
            }
            *count += 1;
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        Some(Seat { shared: Arc::clone(self), address: is_counted.then_some(address) })
    }

    /// Whether there are as many connections as there may be.
    pub(super) fn is_full(&self) -> bool {
        self.open.load(Ordering::Relaxed) >= self.settings.limits.connections
    }

    /// Ends when there is room for a connection.
    pub(super) async fn room(&self) {
        loop {
            let ended = self.ended.notified();
            if !self.is_full() {
                return;
            }
            ended.await;
        }
    }
}

/// The place of one connection.
pub(super) struct Seat {
    shared: Arc<Shared>,
    address: Option<IpAddr>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(address) = self.address {
            let mut addresses = self.shared.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = addresses.get_mut(&address) {
                *count -= 1;
                if *count == 0 {
                    addresses.remove(&address);
                }
            }
        }
        self.shared.open.fetch_sub(1, Ordering::Release);
        self.shared.ended.notify_waiters();
    }
}

/// What the connections of one worker share. `!Send`.
pub(super) struct Site {
    pub(super) shared: Arc<Shared>,
    pub(super) timers: Timers,
    pub(super) buffers: Buffers,
    /// A child of the server's, so that the requests of two workers touch no place in common.
    pub(super) root: Ctx,
    phase: Cell<Phase>,
    /// Decoders and output of connections that are idle now.
    free: RefCell<Vec<Spare>>,
    date: Cell<(Option<Instant>, [u8; 29])>,
    _guard: CancelGuard,
}

/// The memory of a busy connection.
pub(super) struct Spare {
    pub(super) decoder: Box<RequestDecoder>,
    pub(super) out: Vec<u8>,
}

/// Spares that a worker keeps; a burst beyond it goes back to the allocator.
const SPARES_MAX: usize = 256;

/// Bytes of output that a spare keeps.
const OUT_BYTES_KEPT: usize = 8 * 1024;

impl AsRef<Buffers> for Site {
    fn as_ref(&self) -> &Buffers {
        &self.buffers
    }
}

impl Site {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let (root, guard) = shared.root.with_cancel();
        Self {
            shared,
            timers: Timers::default(),
            buffers: Buffers::default(),
            root,
            phase: Cell::new(Phase::Serve),
            free: RefCell::default(),
            date: Cell::new((None, [b' '; 29])),
            _guard: guard,
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    pub(super) fn is_draining(&self) -> bool {
        self.phase.get() != Phase::Serve
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.phase.get() == Phase::Stop
    }

    /// Follows the server, and wakes every connection to look.
    pub(super) fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.timers.wake_all();
    }

    pub(super) fn take_spare(&self) -> Spare {
        self.free.borrow_mut().pop().unwrap_or_else(|| Spare {
            decoder: Box::new(RequestDecoder::new(self.settings().limits.head())),
            out: Vec::new(),
        })
    }

    /// Takes one back that is between two messages.
    pub(super) fn give_spare(&self, mut spare: Spare) {
        spare.decoder.release_excess();
        spare.out.clear();
        spare.out.shrink_to(OUT_BYTES_KEPT);
        let mut free = self.free.borrow_mut();
        if free.len() < SPARES_MAX {
            free.push(spare);
        }
    }

    /// The value of `Date` (RFC 9110 §6.6.1), made once a second.
    pub(super) fn date(&self, now: Instant) -> [u8; 29] {
        let (until, cached) = self.date.get();
        if until.is_some_and(|until| now < until) {
            return cached;
        }
        let wall = SystemTime::now();
        let since = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut date = [b' '; 29];
        date.iter_mut().zip(httpdate::fmt_http_date(wall).bytes()).for_each(|(target, byte)| *target = byte);
        let rest_of_second = Duration::from_secs(1) - Duration::from_nanos(u64::from(since.subsec_nanos()));
        self.date.set((Some(now + rest_of_second), date));
        date
    }
}
