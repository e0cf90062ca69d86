//! Where a server of TCP or UDP listens and on how many threads: what the two have in common between their first line and
//! the last.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::{GRACE, Life, StopOnDrop, Work, on_workers};
use crate::Ctx;
use crate::http::{BindError, ServeError};
use crate::listen::{ListenAddress, Listening};

/// What a program has said of a server beside its handler and its limits.
pub(crate) struct Setup {
    pub(crate) addresses: Vec<Result<ListenAddress, BindError>>,
    pub(crate) grace: Duration,
    pub(crate) workers: usize,
    pub(crate) on_listen: Box<dyn FnMut(&Listening)>,
}

impl Setup {
    pub(crate) fn new() -> Self {
        Self {
            addresses: Vec::new(),
            grace: GRACE,
            workers: towpath_net::thread::processors().len().max(1),
            on_listen: Box::new(Listening::say),
        }
    }

    /// An address that is none is told when the server begins.
    pub(crate) fn listen(&mut self, address: &str) {
        self.addresses.push(ListenAddress::parse(address).map_err(|error| BindError::new(address, error)));
    }

    /// Binds every address with one socket for each worker, and tells of each.
    ///
    /// # Errors
    /// One is no address, or cannot be bound.
    pub(crate) fn open<B>(
        &mut self,
        bind: impl Fn(&ListenAddress, usize) -> io::Result<B>,
        listening: impl Fn(&B) -> Listening,
    ) -> Result<Vec<B>, ServeError> {
        let mut bindings = Vec::new();
        for address in std::mem::take(&mut self.addresses) {
            let address = address.map_err(ServeError::Bind)?;
            let binding = bind(&address, self.workers)
                .map_err(|error| ServeError::Bind(BindError::new(&address.to_string(), error)))?;
            (self.on_listen)(&listening(&binding));
            bindings.push(binding);
        }
        Ok(bindings)
    }

    /// Starts the workers, each with what `begin` gives it, and ends them with `ctx` and the grace.
    ///
    /// # Errors
    /// The system refuses a thread or an event loop.
    pub(crate) async fn run<S: Send + Sync + 'static>(
        &self,
        name: &str,
        site: S,
        life: impl Fn(&S) -> &Life,
        begin: impl Fn(&Arc<S>, usize) -> io::Result<Work> + Clone + Send + 'static,
        ctx: &Ctx,
    ) -> Result<(), ServeError> {
        let site = Arc::new(site);
        let own = Arc::clone(&site);
        let work = move |worker| begin(&own, worker);
        let _stop = StopOnDrop(life(&site));
        let end = life(&site).follow(ctx, self.grace);
        on_workers(name, self.workers, work, end).await.map_err(ServeError::Thread)
    }
}
