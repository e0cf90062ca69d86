//! The workers of a server.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use tokio::task::spawn_local;

use super::accept;
use super::site::{Shared, Site};
use crate::Ctx;
use crate::serving::{Phase, StopOnDrop, Work, on_workers};

/// Starts `workers` threads, and ends them once `ctx` is done and they have nothing left to do, or the grace is over.
pub(super) async fn run(shared: &Arc<Shared>, workers: usize, ctx: &Ctx) -> io::Result<()> {
    let _stop = StopOnDrop(&shared.life);
    let own = Arc::clone(shared);
    let work = move |index| begin(&own, index);
    on_workers("towpath", workers, work, shared.life.follow(ctx, shared.settings.grace)).await
}

/// Serves as tasks of the calling thread, which has a `LocalRuntime`: the only worker.
pub(super) async fn run_here(shared: &Arc<Shared>, ctx: &Ctx) -> io::Result<()> {
    let _stop = StopOnDrop(&shared.life);
    let worker = spawn_local(begin(shared, 0)?);
    shared.life.follow(ctx, shared.settings.grace).await;
    let _ = worker.await;
    Ok(())
}

/// Begins to accept, and gives what the worker does until the server stops.
fn begin(shared: &Arc<Shared>, index: usize) -> io::Result<Work> {
    let site = Rc::new(Site::new(Arc::clone(shared)));
    accept::begin(&site, index)?;
    Ok(Box::pin(async move {
        let timers = site.timers.clone();
        let driver = spawn_local(async move { timers.drive().await });
        site.shared.life.drains().await;
        site.enter(Phase::Drain);
        site.shared.life.stops().await;
        site.enter(Phase::Stop);
        // Connections are woken to see it, and say their last words: more of them than one turn of the runtime polls, and a
        // stream of HTTP/2 has the task of its connection say them.
        site.shared.life.ended().await;
        driver.abort();
    }))
}
