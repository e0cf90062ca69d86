//! The threads of a server.

use std::future::Future;
use std::io;
use std::pin::Pin;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::oneshot;
use tokio::task::spawn_local;
use towpath_net::thread;
use towpath_net::time::Alarm;

/// What a worker does until it ends, once it has begun.
pub(crate) type Work = Pin<Box<dyn Future<Output = ()>>>;

/// Starts `count` threads, each on a processor and with an event loop of its own, in which `begin` says what it does. Waits
/// until `end` is over and all threads are.
///
/// # Errors
/// The system refuses a thread or an event loop, or `begin` failed; then none goes on.
pub(crate) async fn on_workers(
    name: &str,
    count: usize,
    begin: impl Fn(usize) -> io::Result<Work> + Clone + Send + 'static,
    end: impl Future<Output = ()>,
) -> io::Result<()> {
    let processors = thread::processors();
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    for index in 0..count {
        let (started, start) = oneshot::channel();
        let (ended, its_end) = oneshot::channel::<()>();
        let processor = processors.get(index % processors.len().max(1)).copied();
        let begin = begin.clone();
        // Dropped, and so told, when the thread ends in whatever way.
        let body = move || {
            let _ended = ended;
            run(|| begin(index), started);
        };
        thread::spawn(&format!("{name}-{index}"), processor, body)?;
        starts.push(start);
        ends.push(its_end);
    }
    for start in starts {
        start.await.unwrap_or_else(|_| Err(io::Error::other("a worker has ended")))?;
    }
    end.await;
    for its_end in ends {
        let _ = its_end.await;
    }
    Ok(())
}

/// Runs a worker on the calling thread, and says first whether that was possible.
fn run(begin: impl FnOnce() -> io::Result<Work>, started: oneshot::Sender<io::Result<()>>) {
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
        match begin() {
            Ok(work) => {
                let _ = started.send(Ok(()));
                work.await;
            }
            Err(error) => drop(started.send(Err(error))),
        }
    });
}
