//! What servers have in common: threads, places, and an end in two steps.
//!
//! ```text
//!   ctx done ──> Phase::Drain: nothing new ──> all places are free, or the grace is over ──> Phase::Stop: contexts end
//! ```

mod places;
mod rates;
mod setup;
mod threads;

pub(crate) use self::places::{Place, Places};
pub(crate) use self::rates::Rates;
pub(crate) use self::setup::Setup;
pub(crate) use self::threads::{Work, on_workers};

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use towpath_net::time::timeout;

use crate::ctx::{CancelGuard, Cause};
use crate::http::report;
use crate::{Ctx, supervise};

/// How long work under way may go on once a server is told to stop.
pub(crate) const GRACE: Duration = Duration::from_secs(30);

/// How long work that was told to stop may take to see it, before its thread ends under it.
const STOP_TIME: Duration = Duration::from_millis(100);

/// How far a server has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Serve,
    /// Nothing new; what there is may end by itself.
    Drain,
    /// Everything ends now.
    Stop,
}

/// The life of a server.
#[derive(Debug)]
pub(crate) struct Life {
    phase: watch::Sender<Phase>,
    /// What the contexts of handlers are children of. The end of the caller's context says that the server should stop, which
    /// is no reason to stop a handler.
    pub(crate) root: Ctx,
    guard: Mutex<Option<CancelGuard>>,
    pub(crate) places: Places,
}

impl Life {
    pub(crate) fn new(ctx: &Ctx, places: Places) -> Self {
        let (root, guard) = ctx.without_cancel().with_cancel();
        Self { phase: watch::Sender::new(Phase::Serve), root, guard: Mutex::new(Some(guard)), places }
    }

    /// Waits until nothing new is wanted.
    pub(crate) async fn drains(&self) {
        drop(self.phase.subscribe().wait_for(|phase| *phase != Phase::Serve).await);
    }

    /// Waits until everything has to end.
    pub(crate) async fn stops(&self) {
        drop(self.phase.subscribe().wait_for(|phase| *phase == Phase::Stop).await);
    }

    /// Says that the server serves, waits for the end of `ctx` or of the program's supervisor, and leads the server to its
    /// own.
    pub(crate) async fn follow(&self, ctx: &Ctx, grace: Duration) {
        supervise::drains_for(grace);
        supervise::ready();
        tokio::select! {
            _ = ctx.done() => {}
            () = supervise::told_to_leave() => {}
        }
        self.phase.send_replace(Phase::Drain);
        if timeout(grace, self.places.all_free()).await.is_err() {
            report(&format!(
                "the grace of {grace:?} is over: {} that are under way are cut",
                self.places.taken()
            ));
        }
        if let Some(guard) = self.guard.lock().unwrap_or_else(PoisonError::into_inner).take() {
            guard.cancel(Cause::Shutdown);
        }
        self.ended().await;
        self.phase.send_replace(Phase::Stop);
    }

    /// Waits for work that was told to end, as long as that may take.
    pub(crate) async fn ended(&self) {
        let _ = timeout(STOP_TIME, self.places.all_free()).await;
    }
}

/// Has the server end, also when nobody waits for it any more.
pub(crate) struct StopOnDrop<'l>(pub(crate) &'l Life);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.phase.send_replace(Phase::Stop);
    }
}
