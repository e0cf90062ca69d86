//! A server as the party called `proxy` of a dialogue, in memory and under a paused clock.

mod vanish;

use std::sync::{Arc, Mutex};

use tokio::task::spawn_local;
use towpath_testkit::stage::PROXY;
use towpath_testkit::{Proxy, Stage};

use super::{Server, site, worker};
use crate::Ctx;
use crate::ctx::{CancelGuard, Cause};
use crate::listen::ListenAddress;

/// What handlers have to say, for `proxy: log`.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn say(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }
}

pub(crate) struct Running {
    log: Log,
    guard: Option<CancelGuard>,
    shared: Arc<site::Shared>,
}

impl Proxy for Running {
    fn order(&mut self, order: &str) -> String {
        match order {
            "log" => return std::mem::take(&mut *self.log.0.lock().unwrap()).join("\n"),
            "drain" => self.guard.take().into_iter().for_each(|guard| guard.cancel(Cause::Shutdown)),
            _ => panic!("no such order: {order}"),
        }
        String::new()
    }
}

/// Starts a server as the only worker, on the calling thread.
pub(crate) fn start(server: impl Fn(&Log) -> Server) -> Running {
    let log = Log::default();
    let server = server(&log);
    let (ctx, guard) = Ctx::background().with_cancel();
    let binding = ListenAddress::parse(&format!("memory:{PROXY}")).unwrap().bind(1).unwrap();
    let bindings = vec![(binding, None)];
    let shared = site::Shared::new(server.handler, server.settings, server.refusals, bindings, &ctx);
    let shared = Arc::new(shared);
    let serves = Arc::clone(&shared);
    spawn_local(async move { worker::run_here(&serves, &ctx).await.unwrap() });
    Running { log, guard: Some(guard), shared }
}

/// Plays a dialogue with a server.
#[track_caller]
pub(crate) fn check(server: impl Fn(&Log) -> Server, dialogue: &str) {
    towpath_testkit::check(|_: &Stage| start(&server), dialogue);
}
