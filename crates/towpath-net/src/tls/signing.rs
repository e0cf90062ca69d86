//! Threads for private keys that are slow: an RSA signature takes as long as fifty requests, and who is served by the same
//! worker would wait for it (T38).
//!
//! ```text
//!  worker ── engine with a ClientHello ──> queue, bounded ──> towpath-sign-i: the library's step, the signature in it
//!         <──────────── engine with what is to be sent ─────┘
//! ```
//!
//! The whole engine travels, as the library signs in the middle of a step. A queue that is full sheds: that handshake is
//! given up, and nothing else suffers. So does a job whose connection has gone meanwhile, by its deadline or its client.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustix::process::setpriority_process;
use tokio::sync::oneshot;

use super::engine::Engine;
use super::fault::{Fault, FaultKind};
use crate::thread;

/// Handshakes that wait for a thread, for each thread. At half a millisecond for a signature of RSA-2048 the last of them
/// waits a tenth of a second, and what waits longer is more than a machine can do.
const QUEUE_MAX_PER_THREAD: usize = 200;

/// How far the threads stand back behind workers, whose requests are in a hurry: they get a third of a contended
/// processor, and all of an idle one.
const NICENESS: i32 = 3;

/// Where a handshake is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    /// On the caller's thread.
    Here,
    /// On threads of its own, behind a queue that sheds.
    Apart,
}

struct Job {
    engine: Engine,
    back: oneshot::Sender<Looked>,
}

/// The engine, and what it said to what had come.
type Looked = (Engine, Result<bool, Fault>);

/// Threads that compute handshakes, behind their queue.
pub(super) struct Signers(SyncSender<Job>);

impl Signers {
    /// Those of the process, started with the first handshake that needs them.
    pub(super) fn of_process() -> &'static Self {
        static SIGNERS: OnceLock<Signers> = OnceLock::new();
        SIGNERS.get_or_init(|| {
            // They are as many as can sign at a time.
            let count = thread::processors().len().max(1);
            Self::start(count, count * QUEUE_MAX_PER_THREAD)
        })
    }

    fn start(count: usize, queue_max: usize) -> Self {
        let (queue, jobs) = sync_channel(queue_max);
        let jobs = Arc::new(Mutex::new(jobs));
        for index in 0..count {
            let jobs = Arc::clone(&jobs);
            // A system that refuses one thread may have given others; with none, the queue is found closed.
            let _ = thread::spawn(&format!("towpath-sign-{index}"), None, move || serve(&jobs));
        }
        Self(queue)
    }

    /// [`Engine::look`] on one of the threads.
    ///
    /// # Errors
    /// [`FaultKind::Overload`] when too many wait already, or there are no threads.
    pub(super) async fn look(&self, engine: Engine) -> Result<Looked, Fault> {
        let (back, answer) = oneshot::channel();
        match self.0.try_send(Job { engine, back }) {
            Ok(()) => {
                answer.await.map_err(|_| overload("the handshake was given up by the thread that signs"))
            }
            Err(TrySendError::Full(_)) => Err(overload("too many handshakes wait for a signature")),
            Err(TrySendError::Disconnected(_)) => Err(overload("no thread signs")),
        }
    }
}

fn overload(detail: &str) -> Fault {
    Fault { kind: FaultKind::Overload, detail: detail.to_owned() }
}

fn serve(jobs: &Mutex<Receiver<Job>>) {
    // A system that refuses lets it compete as an equal.
    let _ = setpriority_process(Some(rustix::thread::gettid()), NICENESS);
    loop {
        // Held while waiting: whoever has it gets the next job, and the others wait for it.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { mut engine, back }) = job else { return };
        if back.is_closed() {
            continue;
        }
        // A panic in the library is the end of one handshake, whose caller finds no answer, and not that of the thread.
        let looked = catch_unwind(AssertUnwindSafe(move || {
            let said = engine.look();
            (engine, said)
        }));
        // Who has gone meanwhile needs no answer.
        if let Ok(looked) = looked {
            let _ = back.send(looked);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use rustls::server::{ResolvesServerCertUsingSni, UnbufferedServerConnection};
    use rustls::{ServerConfig, version};

    use super::super::engine::Side;
    use super::super::provider::provider;
    use super::*;

    fn engine() -> Engine {
        let config = ServerConfig::builder_with_provider(Arc::clone(provider()))
            .with_protocol_versions(&[&version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
        let connection = UnbufferedServerConnection::new(Arc::new(config)).unwrap();
        Engine::new(Side::Server(connection), b"no TLS, and long enough to be seen")
    }

    #[tokio::test]
    async fn a_full_queue_sheds_and_an_abandoned_job_is_not_done_t38() {
        let (queue, jobs) = sync_channel(1);
        let signers = Signers(queue);
        let mut first = Box::pin(signers.look(engine()));
        let mut nobody = Context::from_waker(Waker::noop());
        assert!(first.as_mut().poll(&mut nobody).is_pending(), "the queue has room for it");
        let refused = signers.look(engine()).await.unwrap_err();
        assert_eq!(
            (refused.kind, &*refused.detail),
            (FaultKind::Overload, "too many handshakes wait for a signature",)
        );
        // Its client has gone; what is behind it in the queue is done all the same.
        drop(first);
        let jobs = Arc::new(Mutex::new(jobs));
        let worker = Arc::clone(&jobs);
        std::thread::spawn(move || serve(&worker));
        let (_, said) = loop {
            // The queue is full until the thread has passed over the first.
            match signers.look(engine()).await {
                Err(fault) if fault.kind == FaultKind::Overload => tokio::task::yield_now().await,
                other => break other.unwrap(),
            }
        };
        assert_eq!(said.unwrap_err().kind, FaultKind::Protocol);
    }
}
