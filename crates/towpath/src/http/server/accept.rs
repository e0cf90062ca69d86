//! Accepting connections.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::task::spawn_local;
use towpath_net::{Acceptor, Stream};

use super::connection;
use super::site::{Phase, Site};
use crate::http::request::Peer;
use crate::listen::accept_all;

/// Begins to accept on every address of the server.
pub(super) fn begin(site: &Rc<Site>, worker: usize) -> io::Result<()> {
    for binding in &site.shared.bindings {
        if let Some(acceptor) = binding.take(worker)? {
            spawn_local(accept(Rc::clone(site), acceptor));
        }
    }
    Ok(())
}

async fn accept(site: Rc<Site>, acceptor: Acceptor) {
    let mut phase = site.shared.phase();
    let stopped = async move { drop(phase.wait_for(|phase| *phase != Phase::Serve).await) };
    let room = async || {
        if site.shared.is_full() {
            site.shared.room().await;
        }
    };
    accept_all(acceptor, stopped, room, |stream, peer| welcome(&site, stream, peer)).await;
}

fn welcome(site: &Rc<Site>, stream: Stream, peer: SocketAddr) {
    // One that is over the limit of its address is closed at once.
    let Some(seat) = site.shared.admit(peer.ip().to_canonical()) else { return };
    let peer = Arc::new(Peer { address: peer, is_tls: stream.is_tls() });
    spawn_local(connection::serve(Rc::clone(site), stream, peer, seat));
}
