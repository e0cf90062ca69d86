//! What the TLS library's own state takes: established sessions of its server's side in a process without sockets.
//!
//! The clients live on a thread of their own, whose allocator has places of its own: what they leave behind is not
//! between the sessions that are counted.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};
use rustls::{ClientConnection, ServerConfig};

use crate::Outcome;
use crate::certificate::Files;
use crate::peers::bin_folder;
use crate::procfs::memory;
use crate::secure::{Client, Resume};

/// The first sessions bring the allocator to its working size.
const WARM_UP_SESSIONS: usize = 64;
/// The client's hello and its last message each ask the server for a flight.
const FLIGHTS: usize = 2;
/// The messages of a server's flight are far fewer.
const STEPS_MAX: usize = 64;
/// Longer than a flight with one certificate.
const FLIGHT_BYTES_MAX: usize = 16 * 1024;

/// A row for the table of idle relays, from so many sessions.
///
/// # Errors
/// A handshake failed.
pub fn row(count: usize) -> Outcome<String> {
    let files = Files::within(&bin_folder()?.join("bench"));
    files.provide()?;
    let client = Client::new(&files.certificate, Resume::Never)?;
    let server = Arc::new(server(&files.certificate, &files.private_key)?);
    let (pss, dirty) = with_clients(&client, |clients| {
        let sessions = |count| (0..count).map(|_| session(clients, &server)).collect::<Outcome<Vec<_>>>();
        let warm_up = sessions(WARM_UP_SESSIONS)?;
        let before = memory(std::process::id());
        let held = sessions(count)?;
        let after = memory(std::process::id());
        drop((warm_up, held));
        let each = |after: u64, before: u64| (after as f64 - before as f64) / count.max(1) as f64;
        Ok((each(after.pss, before.pss), each(after.private_dirty, before.private_dirty)))
    })?;
    Ok(format!("| rustls alone, a session each | | {pss:.0} | | | {dirty:.0} | |\n"))
}

fn server(certificate: &Path, private_key: &Path) -> Outcome<ServerConfig> {
    let chain = vec![CertificateDer::from_pem_file(certificate)?];
    let key = PrivateKeyDer::from_pem_file(private_key)?;
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    Ok(builder.with_safe_default_protocol_versions()?.with_no_client_auth().with_single_cert(chain, key)?)
}

/// The other thread: takes the server's flights and gives the clients' answers.
struct Clients {
    flights: Sender<Vec<u8>>,
    answers: Receiver<Vec<u8>>,
}

fn with_clients<T>(client: &Client, work: impl FnOnce(&Clients) -> Outcome<T>) -> Outcome<T> {
    let (flights, flights_out) = channel();
    let (answers_in, answers) = channel();
    thread::scope(|scope| {
        // It ends with the channel; an error ends it too, and the server's side then misses its answer.
        scope.spawn(move || while answer_all(client, &flights_out, &answers_in).is_some() {});
        let clients = Clients { flights, answers };
        let outcome = work(&clients);
        drop(clients);
        outcome
    })
}

/// One client from its hello to its end; nothing when there is no more to do.
fn answer_all(client: &Client, flights: &Receiver<Vec<u8>>, answers: &Sender<Vec<u8>>) -> Option<()> {
    let mut session: Option<ClientConnection> = None;
    for _ in 0..FLIGHTS {
        let flight = flights.recv().ok()?;
        let session = match &mut session {
            Some(session) => session,
            none => none.insert(client.session().ok()?),
        };
        let mut flight = Cursor::new(flight);
        while session.read_tls(&mut flight).ok()? > 0 {
            session.process_new_packets().ok()?;
        }
        let mut answer = Vec::new();
        while session.wants_write() {
            session.write_tls(&mut answer).ok()?;
        }
        answers.send(answer).ok()?;
    }
    Some(())
}

/// The server's side of a session whose client has gone.
fn session(clients: &Clients, config: &Arc<ServerConfig>) -> Outcome<UnbufferedServerConnection> {
    let mut server = UnbufferedServerConnection::new(config.clone())?;
    let mut flight = Vec::new();
    for _ in 0..FLIGHTS {
        clients.flights.send(flight)?;
        flight = take_in(&mut server, clients.answers.recv()?)?;
    }
    match server.is_handshaking() {
        false => Ok(server),
        true => Err("a handshake in memory does not end".into()),
    }
}

/// Gives `bytes` to the server; its next flight.
fn take_in(server: &mut UnbufferedServerConnection, mut bytes: Vec<u8>) -> Outcome<Vec<u8>> {
    let mut flight = vec![0; FLIGHT_BYTES_MAX];
    let mut written = 0;
    for _ in 0..STEPS_MAX {
        let UnbufferedStatus { discard, state, .. } = server.process_tls_records(&mut bytes);
        let goes_on = match state? {
            ConnectionState::EncodeTlsData(mut data) => {
                written += data.encode(&mut flight[written..])?;
                true
            }
            ConnectionState::TransmitTlsData(data) => {
                data.done();
                true
            }
            _ => false,
        };
        bytes.drain(..discard);
        if !goes_on {
            flight.truncate(written);
            return Ok(flight);
        }
    }
    Err("a flight in memory does not end".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_established_in_memory() {
        let folder = std::env::temp_dir().join(format!("towpath-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let files = Files::within(&folder);
        files.provide().unwrap();
        let client = Client::new(&files.certificate, Resume::Never).unwrap();
        let server = Arc::new(server(&files.certificate, &files.private_key).unwrap());
        let established = with_clients(&client, |clients| session(clients, &server).map(drop));
        std::fs::remove_dir_all(&folder).unwrap();
        established.unwrap();
    }
}
