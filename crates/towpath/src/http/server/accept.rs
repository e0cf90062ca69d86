//! Accepting connections.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::Instant;
use towpath_net::listen::AcceptError;
use towpath_net::time::sleep;
use towpath_net::{Acceptor, Stream};

use super::connection;
use super::report;
use super::site::{Phase, Site};
use crate::http::request::Peer;

/// How long accepting pauses at first when the system has run out of something, and at the most.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long a handshake of the kernel's that was under way may take when a server stops listening.
const LEFT_OVER_TIME: Duration = Duration::from_millis(50);

/// Begins to accept on every address of the server.
pub(super) fn begin(site: &Rc<Site>, worker: usize) -> io::Result<()> {
    for binding in &site.shared.bindings {
        if let Some(acceptor) = binding.take(worker)? {
            spawn_local(accept(Rc::clone(site), acceptor));
        }
    }
    Ok(())
}

async fn accept(site: Rc<Site>, mut acceptor: Acceptor) {
    let mut phase = site.shared.phase();
    let mut pause = PAUSE_MIN;
    loop {
        let next = async {
            if site.shared.is_full() {
                site.shared.room().await;
            }
            acceptor.accept().await
        };
        let outcome = tokio::select! {
            biased;
            _ = phase.wait_for(|phase| *phase != Phase::Serve) => break,
            outcome = next => outcome,
        };
        match outcome {
            Ok((stream, peer)) => {
                pause = PAUSE_MIN;
                welcome(&site, stream, peer);
            }
            Err(error) => match AcceptError::of(&error) {
                AcceptError::Connection => {}
                AcceptError::Resource => {
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                AcceptError::Fatal => return report(&format!("a listening socket is unusable: {error}")),
            },
        }
    }
    leave(&site, acceptor).await;
}

/// Takes the connections that were made before the server stopped listening.
async fn leave(site: &Rc<Site>, acceptor: Acceptor) {
    let mut left = acceptor.leave();
    let until = Instant::now() + LEFT_OVER_TIME;
    loop {
        left.by_ref().for_each(|(stream, peer)| welcome(site, stream, peer));
        if !left.may_grow() || Instant::now() >= until {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
}

fn welcome(site: &Rc<Site>, stream: Stream, peer: SocketAddr) {
    // One that is over the limit of its address is closed at once.
    let Some(seat) = site.shared.admit(peer.ip().to_canonical()) else { return };
    let peer = Arc::new(Peer { address: peer, is_tls: stream.is_tls() });
    spawn_local(connection::serve(Rc::clone(site), stream, peer, seat));
}
