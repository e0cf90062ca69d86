//! Accepting, for every kind of server.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;
use towpath_net::listen::AcceptError;
use towpath_net::time::sleep;
use towpath_net::{Acceptor, Stream};

use crate::http::report;

/// How long accepting pauses at first when the system has run out of something, and at the most.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long a handshake of the kernel's that was under way may take when a server stops listening.
const LEFT_OVER_TIME: Duration = Duration::from_millis(50);

/// A listening socket, and how long it pauses.
#[derive(Debug)]
pub(crate) struct Accepting {
    acceptor: Acceptor,
    pause: Duration,
}

impl Accepting {
    pub(crate) fn new(acceptor: Acceptor) -> Self {
        Self { acceptor, pause: PAUSE_MIN }
    }

    /// The next connection, whatever happens to others. Cancel-safe.
    ///
    /// # Errors
    /// The listening socket is unusable.
    pub(crate) async fn next(&mut self) -> io::Result<(Stream, SocketAddr)> {
        loop {
            let error = match self.acceptor.accept().await {
                Ok(accepted) => {
                    self.pause = PAUSE_MIN;
                    return Ok(accepted);
                }
                Err(error) => error,
            };
            match AcceptError::of(&error) {
                AcceptError::Connection => {}
                AcceptError::Resource => {
                    let pause = self.pause;
                    self.pause = (pause * 2).min(PAUSE_MAX);
                    sleep(pause).await;
                }
                AcceptError::Fatal => return Err(error),
            }
        }
    }
}

/// Gives every connection to `welcome`, each when there is `room`, until `stopped`; then those that had been made by then.
pub(crate) async fn accept_all(
    acceptor: Acceptor,
    stopped: impl Future<Output = ()>,
    room: impl AsyncFn(),
    mut welcome: impl FnMut(Stream, SocketAddr),
) {
    let mut accepting = Accepting::new(acceptor);
    let mut stopped = pin!(stopped);
    loop {
        let next = async {
            room().await;
            accepting.next().await
        };
        let outcome = tokio::select! {
            biased;
            () = &mut stopped => break,
            outcome = next => outcome,
        };
        match outcome {
            Ok((stream, peer)) => welcome(stream, peer),
            Err(error) => return report(&format!("a listening socket is unusable: {error}")),
        }
    }
    leave(accepting.acceptor, welcome).await;
}

/// Takes the connections that were made before the server stopped listening.
async fn leave(acceptor: Acceptor, mut welcome: impl FnMut(Stream, SocketAddr)) {
    let mut left = acceptor.leave();
    let until = Instant::now() + LEFT_OVER_TIME;
    loop {
        left.by_ref().for_each(|(stream, peer)| welcome(stream, peer));
        if !left.may_grow() || Instant::now() >= until {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
}
