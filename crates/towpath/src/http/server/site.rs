//! What the connections of a server share: of all workers, and of one.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use towpath_net::Binding;
use towpath_net::buffer::Buffers;
use towpath_net::timer::Timers;
use towpath_net::tls;
use towpath_proto::h1::RequestDecoder;

use super::{Reason, Refusals, Settings};
use crate::Ctx;
use crate::ctx::CancelGuard;
use crate::http::handler::BoxHandler;
use crate::serving::{Life, Phase, Places, Rates};

/// An address that is listened on, and what is spoken there.
pub(super) type Door = (Arc<Binding>, Option<Arc<tls::Server>>);

/// What all workers of a server share.
pub(super) struct Shared {
    pub(super) handler: BoxHandler,
    pub(super) settings: Settings,
    pub(super) refusals: Refusals,
    pub(super) rates: Rates,
    pub(super) bindings: Vec<Door>,
    pub(super) life: Life,
}

impl Shared {
    pub(super) fn new(
        handler: BoxHandler,
        settings: Settings,
        refusals: Refusals,
        bindings: Vec<Door>,
        ctx: &Ctx,
    ) -> Self {
        let limits = &settings.limits;
        let life = Life::new(ctx, Places::new(limits.connections, limits.connections_per_address));
        let rates = Rates::new(limits.connection_rate, limits.request_rate_per_address);
        Self { handler, settings, refusals, rates, bindings, life }
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
    /// Connections between two requests that still have what a busy one needs.
    resting: Cell<usize>,
    _guard: CancelGuard,
}

/// Among those, until it is dropped.
pub(super) struct Resting<'s>(&'s Site);

impl Drop for Resting<'_> {
    fn drop(&mut self) {
        self.0.resting.update(|count| count - 1);
    }
}

/// The memory of a busy connection.
pub(super) struct Spare {
    pub(super) decoder: Box<RequestDecoder>,
    pub(super) out: Vec<u8>,
}

/// Spares that a worker keeps; a burst beyond it goes back to the allocator.
const SPARES_MAX: usize = 256;

/// Connections of a worker that may rest at a time: some 2 MiB.
const RESTING_MAX: usize = 1_024;

/// Bytes of output that a spare keeps.
const OUT_BYTES_KEPT: usize = 8 * 1024;

impl AsRef<Buffers> for Site {
    fn as_ref(&self) -> &Buffers {
        &self.buffers
    }
}

impl Site {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let (root, guard) = shared.life.root.with_cancel();
        Self {
            shared,
            timers: Timers::default(),
            buffers: Buffers::default(),
            root,
            phase: Cell::new(Phase::Serve),
            free: RefCell::default(),
            date: Cell::new((None, [b' '; 29])),
            resting: Cell::new(0),
            _guard: guard,
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Counts what is refused or cut off.
    pub(super) fn note(&self, reason: Reason) {
        self.shared.refusals.note(reason);
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

    /// A place among those that rest, if one is free.
    pub(super) fn rest(&self) -> Option<Resting<'_>> {
        (self.resting.get() < RESTING_MAX).then(|| {
            self.resting.update(|count| count + 1);
            Resting(self)
        })
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
