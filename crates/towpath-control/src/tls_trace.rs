//! `towpath tls trace`: one handshake with a server, told message by message as it really happened.
//!
//! A client of rustls shakes hands over a socket that keeps a copy of every byte. What is encrypted rustls decrypts
//! and we look over its shoulder: its suites are handed to it with a wrapper around each cipher that notes what goes in
//! and what comes out. So the encrypted messages of TLS 1.3 are read, not guessed, and no cryptography is ours.
//!
//! ```text
//!   TcpStream <-- Tap (copies bytes) <-- rustls <-- watched provider (copies what was opened and sealed)
//!                  \                                 /
//!                   +--------> Log <----------------+  --> story: records, messages, text
//! ```
//!
//! Nothing is sent beyond the handshake and a goodbye.

mod chain;
mod log;
mod name;
mod outcome;
mod provider;
mod roots;
mod story;
mod tap;
mod verifier;

use std::fmt::Write as _;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, SupportedProtocolVersion};

use crate::{Console, Exit};

use log::SharedLog;
use outcome::Outcome;
use tap::Tap;
use verifier::Verifier;

/// How long a server may take to close after our goodbye. Tickets come before that; a server that never closes is no
/// reason to wait longer.
const GOODBYE: Duration = Duration::from_secs(1);

/// Which versions are offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TraceVersions {
    /// TLS 1.3 and, for servers without it, TLS 1.2.
    #[default]
    Both,
    /// TLS 1.2 alone.
    Tls12,
    /// TLS 1.3 alone.
    Tls13,
}

/// What to trace.
#[derive(Clone, Debug)]
pub struct TraceOrder {
    /// `HOST:PORT`.
    pub target: String,
    /// The name to ask for and to verify. Default the host of the target.
    pub server_name: Option<String>,
    /// Which versions are offered. Default both.
    pub versions: TraceVersions,
    /// Application protocols, the favourite first. Default none.
    pub alpn: Vec<String>,
    /// A file with the certificates of the CAs to trust. Default those of the system.
    pub ca: Option<PathBuf>,
    /// Whether to go on after a certificate that cannot be verified. Default no, as every client should.
    pub insecure: bool,
    /// For everything together: the name's resolution, the connection, the handshake. Default 10 s.
    pub timeout: Duration,
}

/// Why there is no handshake to tell of.
enum Fault {
    /// The order cannot be carried out by anyone.
    Argument(String),
    /// It could be, somewhere else or later.
    Failed(String),
}

/// Shakes hands and tells of it. Ends well if the handshake did, with a certificate that was verified or need not be.
#[must_use]
pub fn trace_tls(order: &TraceOrder) -> Exit {
    let console = Console::default();
    match trace(order, &console) {
        Ok(Ok(())) => Exit::Clean,
        Ok(Err(message)) | Err(Fault::Failed(message)) => {
            console.error("trace_failed", &message);
            Exit::Failed
        }
        Err(Fault::Argument(message)) => {
            console.error("bad_arguments", &message);
            Exit::BadConfiguration
        }
    }
}

/// `Ok(Err)` is a handshake that failed, after it was told as far as it went.
fn trace(order: &TraceOrder, console: &Console) -> Result<Result<(), String>, Fault> {
    let (host, port) = name::split_target(&order.target).map_err(Fault::Argument)?;
    let name = name::server_name(order.server_name.as_deref().unwrap_or(host)).map_err(Fault::Argument)?;
    let alpn = name::protocols(&order.alpn).map_err(Fault::Argument)?;
    let roots = roots::load(order.ca.as_deref())?;
    let log = SharedLog::default();
    let verifier = Arc::new(Verifier::new(roots, order.insecure)?);
    let config = config(order, alpn, &log, Arc::clone(&verifier))?;

    let deadline = Instant::now() + order.timeout;
    let addresses = name::resolve(host, port, deadline)
        .map_err(|why| Fault::Failed(format!("{}: {why}", order.target)))?;
    let (stream, address) = connect(order, &addresses, deadline)?;
    console.say(&format!("connected to {address}\n\n"));
    let outcome = shake_hands(stream, config, name, &log, deadline, order.timeout);
    let story = story::tell(&mut log.lock());
    console.say(&story.text);
    console.say(&outcome.summary(&story, &verifier, order));
    Ok(outcome.verdict(&story))
}

fn config(
    order: &TraceOrder,
    alpn: Vec<Vec<u8>>,
    log: &SharedLog,
    verifier: Arc<Verifier>,
) -> Result<Arc<ClientConfig>, Fault> {
    let provider = Arc::new(provider::watched(log));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions(order.versions))
        .map_err(|fault| Fault::Failed(fault.to_string()))?;
    let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = alpn;
    // One connection resumes nothing, but a client that never could would be sent no tickets.
    config.resumption = Resumption::in_memory_sessions(1);
    Ok(Arc::new(config))
}

fn versions(versions: TraceVersions) -> &'static [&'static SupportedProtocolVersion] {
    static TLS12: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS12];
    static TLS13: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];
    match versions {
        TraceVersions::Both => rustls::ALL_VERSIONS,
        TraceVersions::Tls12 => &TLS12,
        TraceVersions::Tls13 => &TLS13,
    }
}

/// The first address that answers.
fn connect(
    order: &TraceOrder,
    addresses: &[SocketAddr],
    deadline: Instant,
) -> Result<(TcpStream, SocketAddr), Fault> {
    let mut why = String::from("the name has no address");
    for address in addresses {
        match TcpStream::connect_timeout(address, tap::left(deadline)) {
            Ok(stream) => return Ok((stream, *address)),
            Err(fault) => why = format!("{address}: {}", outcome::io_text(&fault, order.timeout)),
        }
    }
    Err(Fault::Failed(why))
}

fn shake_hands(
    stream: TcpStream,
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    log: &SharedLog,
    deadline: Instant,
    timeout: Duration,
) -> Outcome {
    let mut connection = match ClientConnection::new(config, name) {
        Ok(connection) => connection,
        Err(fault) => return Outcome::unstarted(&fault),
    };
    let mut tap = Tap::new(stream, log.clone(), deadline);
    let mut fault = None;
    while fault.is_none() && connection.is_handshaking() {
        fault = connection.complete_io(&mut tap).err();
    }
    log.note_end_of_handshake();
    if fault.is_some() {
        // What refuses is an alert, and it belongs to the story.
        let _ = write_all(&mut connection, &mut tap);
    }
    let outcome = Outcome::of(&connection, fault.as_ref().map(|fault| outcome::fault_text(fault, timeout)));
    if fault.is_none() {
        // What comes after the handshake belongs to the story, and whether it comes does not matter.
        let _ = say_goodbye(&mut connection, &mut tap);
    }
    outcome
}

/// Ends the connection as one should and reads what the server still sends: tickets, and its own goodbye.
fn say_goodbye(connection: &mut ClientConnection, tap: &mut Tap) -> io::Result<()> {
    tap.set_deadline(Instant::now() + GOODBYE);
    connection.send_close_notify();
    write_all(connection, tap)?;
    tap.shutdown(Shutdown::Write)?;
    while connection.read_tls(tap)? > 0 {
        let state = connection.process_new_packets().map_err(io::Error::other)?;
        let bytes = state.plaintext_bytes_to_read() as u64;
        io::copy(&mut io::Read::take(connection.reader(), bytes), &mut io::sink())?;
    }
    Ok(())
}

fn write_all(connection: &mut ClientConnection, tap: &mut Tap) -> io::Result<()> {
    while connection.wants_write() {
        connection.write_tls(tap)?;
    }
    Ok(())
}

/// A line of a key and a value, indented, as both halves of the output have them.
fn line(text: &mut String, key: &str, value: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "     {key:12} {value}");
}
