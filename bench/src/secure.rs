//! The client's side of TLS, the same towards every proxy: TLS 1.3 with X25519 and AES-128-GCM only, so that no two
//! proxies agree on different work.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustls::client::{ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, NamedGroup, RootCertStore};

use crate::Outcome;
use crate::certificate::NAME;

/// A server gives two for a handshake, of which the next needs one.
const TICKETS_MAX: usize = 1_024;

/// Whether handshakes make use of the ones before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// Every handshake is a full one.
    Never,
    /// Every handshake makes use of a ticket as soon as there is one.
    Always,
}

/// What a client needs to know to speak TLS.
pub struct Client {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Client {
    /// A client that trusts the certificate in the PEM file `trust` and nothing else.
    ///
    /// # Errors
    /// There is no certificate in it.
    pub fn new(trust: &Path, resume: Resume) -> Outcome<Client> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(trust)?)?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = match resume {
            Resume::Never => Resumption::disabled(),
            Resume::Always => Resumption::store(Arc::new(Tickets::default())),
        };
        Ok(Client { config: Arc::new(config), name: ServerName::try_from(NAME)? })
    }

    /// The client's end of a connection that has not said anything yet.
    ///
    /// # Errors
    /// rustls has no randomness.
    pub fn session(&self) -> Outcome<ClientConnection> {
        Ok(ClientConnection::new(self.config.clone(), self.name.clone())?)
    }

    /// A stream whose handshake is done, over a blocking `socket`.
    ///
    /// # Errors
    /// The handshake failed.
    pub fn connect(&self, socket: TcpStream) -> Outcome<Secure> {
        let mut secure = Secure::over(self, socket)?;
        while secure.session.is_handshaking() || secure.session.wants_write() {
            secure.session.complete_io(&mut secure.socket)?;
        }
        Ok(secure)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("name", &self.name).finish_non_exhaustive()
    }
}

fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    }
}

/// A TLS connection that the generator drives.
#[derive(Debug)]
pub struct Secure {
    /// Below TLS.
    pub socket: TcpStream,
    session: ClientConnection,
}

/// How far a handshake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// The next edge tells.
    Waits,
    /// It is over and the server's ticket has come; `is_resumed` says of which kind it was.
    Done {
        /// Nothing of it was left to the certificate.
        is_resumed: bool,
    },
}

impl Secure {
    /// A connection over `socket` that begins with what is sent first, be it nothing.
    ///
    /// # Errors
    /// rustls has no randomness.
    pub fn over(client: &Client, socket: TcpStream) -> Outcome<Secure> {
        Ok(Secure { socket, session: client.session()? })
    }

    /// Goes on with the handshake after an edge. The ticket is waited for because it is a part of the server's work.
    ///
    /// # Errors
    /// The handshake failed.
    pub fn shake(&mut self) -> io::Result<Handshake> {
        loop {
            if !self.session.is_handshaking() && self.session.tls13_tickets_received() > 0 {
                let is_resumed = self.session.handshake_kind() == Some(HandshakeKind::Resumed);
                return Ok(Handshake::Done { is_resumed });
            }
            match self.take_in() {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => self.flush()?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Handshake::Waits),
                Err(error) => return Err(error),
            }
        }
    }

    /// Says that nothing more will come.
    pub fn say_goodbye(&mut self) {
        self.session.send_close_notify();
        // A server that has gone needs no goodbye.
        let _ = self.flush();
    }

    /// Sends all of `bytes`; false when the connection takes no more.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.session.writer().write_all(bytes).is_ok() && self.flush().is_ok()
    }

    /// As `read(2)` on a nonblocking socket, in plaintext.
    ///
    /// # Errors
    /// `AGAIN` when nothing has come, `PROTO` when what came is no TLS, or what the socket says.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, Errno> {
        self.read(buffer).map_err(|error| {
            Errno::from_io_error(&error).unwrap_or(match error.kind() {
                ErrorKind::WouldBlock => Errno::AGAIN,
                _ => Errno::PROTO,
            })
        })
    }

    fn take_in(&mut self) -> io::Result<usize> {
        let count = self.session.read_tls(&mut self.socket)?;
        self.session.process_new_packets().map_err(io::Error::other)?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            self.session.write_tls(&mut self.socket)?;
        }
        Ok(())
    }
}

impl Read for Secure {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                other => return other,
            }
            if self.take_in()? == 0 {
                return Ok(0);
            }
        }
    }
}

impl Write for Secure {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.session.writer().write(bytes)?;
        Write::flush(self)?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Secure::flush(self)
    }
}

/// Tickets of a client that begins many connections at the same time: rustls's own store keeps eight for a server, and
/// every connection has to be resumed.
#[derive(Debug, Default)]
struct Tickets(Mutex<VecDeque<Tls13ClientSessionValue>>);

impl Tickets {
    fn queue(&self) -> MutexGuard<'_, VecDeque<Tls13ClientSessionValue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let mut queue = self.queue();
        queue.push_back(ticket);
        if queue.len() > TICKETS_MAX {
            queue.pop_front();
        }
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.queue().pop_front()
    }
}
