//! The parties of a test: any number of clients, origins by name, and a clock that waits for them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::sleep;
use towpath_base::random::Random;
use towpath_net::memory;

use crate::peer::Peer;

/// The name that clients connect to unless they say otherwise.
pub const PROXY: &str = "proxy";

/// One grain of tokio's clock. It passes only when every task waits, and no deadline of a proxy is so short.
const GRAIN: Duration = Duration::from_millis(1);

/// Runs `test` on a runtime of its own whose clock stands still while any task has something to do.
pub fn run<F: Future>(test: F) -> F::Output {
    let builder = &mut Builder::new_current_thread();
    let builder = builder.enable_time().start_paused(true);
    builder.build_local(LocalOptions::default()).expect("the system gives an event loop").block_on(test)
}

/// What a party saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// An origin accepted a connection.
    Connected,
    /// A client found nobody who listens.
    Refused,
    /// Bytes arrived.
    Bytes(Vec<u8>),
    /// The other side ended its stream.
    End,
    /// The connection was reset.
    Reset,
}

pub(crate) type Log = Rc<RefCell<Vec<(Rc<str>, Seen)>>>;

/// Clients and origins by label. A client's label begins with `client`; the connections of an origin are labelled by its
/// name, the second one `name#2` and so on.
#[derive(Default)]
pub struct Stage {
    log: Log,
    peers: Rc<RefCell<HashMap<Rc<str>, Peer>>>,
    origins: RefCell<HashMap<Rc<str>, Origin>>,
    tear: Option<RefCell<Random>>,
}

struct Origin {
    /// Accepts; aborted to stop listening. `None` while it does not.
    accepting: Option<JoinHandle<()>>,
    accepted_count: Rc<Cell<usize>>,
}

impl Stage {
    /// A stage where what is sent arrives in pieces whose sizes follow from `seed`.
    pub fn torn(seed: u64) -> Self {
        Self { tear: Some(RefCell::new(Random::new(seed))), ..Self::default() }
    }

    /// Lets an origin of this name listen, again if it has stopped.
    ///
    /// # Panics
    /// When it listens already.
    pub fn listen(&self, name: &str) {
        let listener = memory::listen(name).expect("a name is taken by one origin");
        self.accept(name, listener);
    }

    /// Lets nobody answer a connection to this name, not even with a refusal.
    ///
    /// # Panics
    /// When an origin of this name listens.
    pub fn black_hole(&self, name: &str) {
        let listener = memory::black_hole(name).expect("a name is taken by one origin");
        self.accept(name, listener);
    }

    fn accept(&self, name: &str, mut listener: memory::Listener) {
        let name: Rc<str> = name.into();
        let mut origins = self.origins.borrow_mut();
        let origin = origins.entry(Rc::clone(&name));
        let origin = origin.or_insert_with(|| Origin { accepting: None, accepted_count: Rc::default() });
        let (count, log, peers) =
            (Rc::clone(&origin.accepted_count), Rc::clone(&self.log), Rc::clone(&self.peers));
        origin.accepting = Some(spawn_local(async move {
            loop {
                let end = listener.accept().await;
                count.set(count.get() + 1);
                let label: Rc<str> = if count.get() == 1 {
                    Rc::clone(&name)
                } else {
                    format!("{name}#{}", count.get()).into()
                };
                log.borrow_mut().push((Rc::clone(&label), Seen::Connected));
                let peer = Peer::new(&label, end, Rc::clone(&log));
                peers.borrow_mut().insert(label, peer);
            }
        }));
    }

    /// Lets the origin refuse new connections. Those it has stay open.
    pub async fn refuse(&self, name: &str) {
        let accepting = self.origins.borrow_mut().get_mut(name).and_then(|origin| origin.accepting.take());
        if let Some(accepting) = accepting {
            accepting.abort();
            // The name is free when the task is gone.
            let _ = accepting.await;
        }
    }

    /// Connects a client to `listener`.
    pub async fn connect(&self, label: &str, listener: &str) {
        match memory::connect(listener).await {
            Ok(end) => {
                let peer = Peer::new(label, end, Rc::clone(&self.log));
                self.peers.borrow_mut().insert(label.into(), peer);
            }
            Err(_) => self.log.borrow_mut().push((label.into(), Seen::Refused)),
        }
    }

    /// Sends. A client that is not connected yet connects to [`PROXY`] first.
    pub async fn send(&self, label: &str, bytes: &[u8]) {
        self.meet(label).await;
        let Some(tear) = &self.tear else { return self.with(label, |peer| peer.send(bytes)) };
        let mut rest = bytes;
        while !rest.is_empty() {
            let bound = [2, 8, 64, rest.len() as u64 + 1][tear.borrow_mut().below(4) as usize];
            let count = (1 + tear.borrow_mut().below(bound) as usize).min(rest.len());
            self.with(label, |peer| peer.send(&rest[..count]));
            rest = &rest[count..];
            self.settle().await;
        }
    }

    /// Ends the sending direction of a party.
    pub async fn end(&self, label: &str) {
        self.meet(label).await;
        self.with(label, Peer::end);
    }

    /// Closes a party's connection in both directions.
    pub fn close(&self, label: &str) {
        self.with(label, Peer::close);
    }

    /// Resets a party's connection.
    pub fn reset(&self, label: &str) {
        self.with(label, Peer::reset);
    }

    /// Lets a party read, which it does from the start, or leave everything unread.
    pub async fn read(&self, label: &str, reads: bool) {
        self.meet(label).await;
        self.with(label, |peer| peer.read(reads));
    }

    /// Bytes that a party wants to send and nobody has taken yet.
    pub fn unsent(&self, label: &str) -> usize {
        self.peers.borrow().get(label).map_or(0, Peer::unsent)
    }

    /// Waits until every task waits.
    pub async fn settle(&self) {
        sleep(GRAIN).await;
    }

    /// What was seen since the last call, in order. Bytes of one party that follow each other are one entry.
    pub fn seen(&self) -> Vec<(Rc<str>, Seen)> {
        let mut merged: Vec<(Rc<str>, Seen)> = Vec::new();
        for (label, seen) in self.log.take() {
            match (merged.last_mut(), seen) {
                (Some((last, Seen::Bytes(before))), Seen::Bytes(bytes)) if *last == label => {
                    before.extend(bytes)
                }
                (_, seen) => merged.push((label, seen)),
            }
        }
        merged
    }

    async fn meet(&self, label: &str) {
        let is_known = self.peers.borrow().contains_key(label);
        if !is_known && label.starts_with("client") {
            self.connect(label, PROXY).await;
        }
    }

    fn with(&self, label: &str, act: impl FnOnce(&Peer)) {
        let peers = self.peers.borrow();
        let peer = peers.get(label).unwrap_or_else(|| panic!("{label} has no connection"));
        act(peer);
    }
}
