//! The threads of a server.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::oneshot;
use tokio::task::spawn_local;
use towpath_net::thread;
use towpath_net::time::{Alarm, timeout};

use super::accept;
use super::site::{Phase, Shared, Site};
use crate::{Ctx, supervise};

/// Starts `workers` threads, and ends them once `ctx` is done and they have nothing left to do, or the grace is over.
pub(super) async fn run(shared: &Arc<Shared>, workers: usize, ctx: &Ctx) -> io::Result<()> {
    let stop = StopOnDrop(Arc::clone(shared));
    let processors = thread::processors();
    let mut ends = Vec::new();
    let mut starts = Vec::new();
    for index in 0..workers {
        let (started, start) = oneshot::channel();
        let (ended, end) = oneshot::channel::<()>();
        let shared = Arc::clone(shared);
        let processor = processors.get(index % processors.len().max(1)).copied();
        // Dropped, and so told, when the thread ends in whatever way.
        let body = move || {
            let _ended = ended;
            run_worker(&shared, index, started);
        };
        thread::spawn(&format!("towpath-{index}"), processor, body)?;
        starts.push(start);
        ends.push(end);
    }
    for start in starts {
        start.await.unwrap_or_else(|_| Err(io::Error::other("a worker has ended")))?;
    }
    supervise::ready();
    stopped(ctx).await;
    shared.enter(Phase::Drain);
    // What takes longer is cut.
    let _ = timeout(shared.settings.grace, shared.idle()).await;
    drop(stop);
    for end in ends {
        let _ = end.await;
    }
    Ok(())
}

/// Waits until the server should stop: its context is done, or the supervisor of the program has ended.
async fn stopped(ctx: &Ctx) {
    tokio::select! {
        _ = ctx.done() => {}
        () = supervise::told_to_leave() => {}
    }
}

/// Has the workers end, also when nobody waits for them any more.
struct StopOnDrop(Arc<Shared>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.enter(Phase::Stop);
    }
}

/// Runs a worker on the calling thread, and says first whether that was possible.
fn run_worker(shared: &Arc<Shared>, index: usize, started: oneshot::Sender<io::Result<()>>) {
    // Handlers use the timers of tokio's; the worker itself has an alarm.
    let runtime = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
        Ok(runtime) => runtime,
        Err(error) => return drop(started.send(Err(error))),
    };
    runtime.block_on(async {
        match Alarm::install() {
            Ok(alarm) => drop(spawn_local(alarm.drive())),
            Err(error) => return drop(started.send(Err(error))),
        }
        let site = Rc::new(Site::new(Arc::clone(shared)));
        match accept::begin(&site, index) {
            Ok(()) => drop(started.send(Ok(()))),
            Err(error) => return drop(started.send(Err(error))),
        }
        follow(&site).await;
    });
}

/// Serves as tasks of the calling thread, which has a `LocalRuntime`: the only worker.
pub(super) async fn run_here(shared: &Arc<Shared>, ctx: &Ctx) -> io::Result<()> {
    let stop = StopOnDrop(Arc::clone(shared));
    let site = Rc::new(Site::new(Arc::clone(shared)));
    accept::begin(&site, 0)?;
    let worker = spawn_local(async move { follow(&site).await });
    ctx.done().await;
    shared.enter(Phase::Drain);
    let _ = timeout(shared.settings.grace, shared.idle()).await;
    drop(stop);
    let _ = worker.await;
    // Connections see that they are cut.
    let _ = timeout(std::time::Duration::from_secs(1), shared.idle()).await;
    Ok(())
}

/// Follows the phases of the server until it stops.
async fn follow(site: &Rc<Site>) {
    let timers = site.timers.clone();
    let driver = spawn_local(async move { timers.drive().await });
    let mut phase = site.shared.phase();
    loop {
        let now = *phase.borrow_and_update();
        site.enter(now);
        if now == Phase::Stop || phase.changed().await.is_err() {
            break;
        }
    }
    driver.abort();
}
