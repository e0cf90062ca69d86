//! Accepting connections.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::task::spawn_local;
use tokio::time::Instant;
use towpath_net::time::{sleep_until, timeout_at};
use towpath_net::{Acceptor, Stream, tls};

use super::Reason;
use super::connection;
use super::site::Site;
use crate::http::request::Peer;
use crate::listen::accept_all;
use crate::serving::Place;

/// Begins to accept on every address of the server.
pub(super) fn begin(site: &Rc<Site>, worker: usize) -> io::Result<()> {
    for (binding, tls) in &site.shared.bindings {
        if let Some(acceptor) = binding.take(worker)? {
            spawn_local(accept(Rc::clone(site), acceptor, tls.clone()));
        }
    }
    Ok(())
}

async fn accept(site: Rc<Site>, acceptor: Acceptor, tls: Option<Arc<tls::Server>>) {
    let life = &site.shared.life;
    let room = async || loop {
        if life.places.is_full() {
            site.note(Reason::Connections);
            life.places.room().await;
        }
        let Some(at) = site.shared.rates.connection_wait() else { return };
        site.note(Reason::ConnectionRate);
        sleep_until(at).await;
    };
    accept_all(acceptor, life.drains(), room, |stream, peer| welcome(&site, stream, peer, tls.as_ref()))
        .await;
}

fn welcome(site: &Rc<Site>, stream: Stream, peer: SocketAddr, tls: Option<&Arc<tls::Server>>) {
    site.shared.rates.connection();
    let Some(seat) = site.shared.life.places.take(peer.ip().to_canonical()) else {
        // Closed at once.
        return site.note(Reason::AddressConnections);
    };
    let site = Rc::clone(site);
    let peer = Peer { address: peer, ..Peer::default() };
    match tls {
        None => drop(spawn_local(connection::serve(site, stream, Arc::new(peer), seat, Instant::now()))),
        Some(tls) => drop(spawn_local(secure(site, stream, peer, seat, Arc::clone(tls)))),
    }
}

/// Does the handshake, which has its part of the time of the first request (T31).
async fn secure(site: Rc<Site>, stream: Stream, mut peer: Peer, seat: Place, server: Arc<tls::Server>) {
    let since = Instant::now();
    let handshake = tls::accept(stream, &server, tls::Alpn::Agreed, b"", server.signing_unread());
    // Who cannot be spoken with was told by an alert.
    let Ok(Ok(stream)) = timeout_at(since + site.settings().timeouts.first_request, handshake).await else {
        return site.note(Reason::TlsHandshake);
    };
    peer.is_tls = true;
    peer.certificate = stream.agreed().and_then(|agreed| agreed.peer_certificate);
    connection::serve(site, stream, Arc::new(peer), seat, since).await;
}
