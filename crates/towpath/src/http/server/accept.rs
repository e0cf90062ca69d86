//! Accepting connections.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::Instant;
use towpath_net::listen::AcceptError;
use towpath_net::time::{sleep, timeout_at};
use towpath_net::{Acceptor, Stream, tls};

use super::connection;
use super::report;
use super::site::{Phase, Seat, Site};
use crate::http::request::Peer;

/// How long accepting pauses at first when the system has run out of something, and at the most.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long a handshake of the kernel's that was under way may take when a server stops listening.
const LEFT_OVER_TIME: Duration = Duration::from_millis(50);

/// Begins to accept on every address of the server.
pub(super) fn begin(site: &Rc<Site>, worker: usize) -> io::Result<()> {
    for (binding, tls) in &site.shared.bindings {
        if let Some(acceptor) = binding.take(worker)? {
            spawn_local(accept(Rc::clone(site), acceptor, tls.clone()));
        }
    }
    Ok(())
}

async fn accept(site: Rc<Site>, mut acceptor: Acceptor, tls: Option<Arc<tls::Server>>) {
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
                welcome(&site, stream, peer, tls.as_ref());
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
    leave(&site, acceptor, tls.as_ref()).await;
}

/// Takes the connections that were made before the server stopped listening.
async fn leave(site: &Rc<Site>, acceptor: Acceptor, tls: Option<&Arc<tls::Server>>) {
    let mut left = acceptor.leave();
    let until = Instant::now() + LEFT_OVER_TIME;
    loop {
        left.by_ref().for_each(|(stream, peer)| welcome(site, stream, peer, tls));
        if !left.may_grow() || Instant::now() >= until {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
}

fn welcome(site: &Rc<Site>, stream: Stream, peer: SocketAddr, tls: Option<&Arc<tls::Server>>) {
    // One that is over the limit of its address is closed at once.
    let Some(seat) = site.shared.admit(peer.ip().to_canonical()) else { return };
    let site = Rc::clone(site);
    let peer = Peer { address: peer, ..Peer::default() };
    match tls {
        None => drop(spawn_local(connection::serve(site, stream, Arc::new(peer), seat, Instant::now()))),
        Some(tls) => drop(spawn_local(secure(site, stream, peer, seat, Arc::clone(tls)))),
    }
}

/// Does the handshake, which has its part of the time of the first request (T31).
async fn secure(site: Rc<Site>, stream: Stream, mut peer: Peer, seat: Seat, server: Arc<tls::Server>) {
    let since = Instant::now();
    let handshake = tls::accept(stream, &server, tls::Alpn::Agreed, b"");
    // Who cannot be spoken with was told by an alert.
    let Ok(Ok(stream)) = timeout_at(since + site.settings().timeouts.first_request, handshake).await else {
        return;
    };
    peer.is_tls = true;
    peer.certificate = stream.agreed().and_then(|agreed| agreed.peer_certificate);
    connection::serve(site, stream, Arc::new(peer), seat, since).await;
}
