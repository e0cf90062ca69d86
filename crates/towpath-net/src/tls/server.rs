//! The side that clients connect to.

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoClientAuth, NoServerSessionStorage, ResolvesServerCert, UnbufferedServerConnection,
    WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, ServerConfig, SignatureAlgorithm, SignatureScheme};

use super::certificate::{Authorities, Identity, MaterialFault};
use super::engine::{Engine, Side};
use super::fault::Fault;
use super::provider::{self, Suites, Versions};
use super::signing::Signing;
use super::stream::{Tls, shake_apart};
use super::tickets::{PolicyTickets, TicketKeys};
use crate::stream::Stream;

/// Tickets that a client gets with each handshake: browsers open two connections to come back.
const TICKETS_PER_HANDSHAKE: usize = 2;

/// What is asked of clients.
#[derive(Clone, Debug, Default)]
pub enum ClientAuth {
    /// Nothing.
    #[default]
    None,
    /// A certificate that one of these has signed, if the client has any. One that it shows has to be good.
    Optional(Authorities),
    /// A certificate that one of these has signed.
    Required(Authorities),
}

/// A certificate with the names it is for.
#[derive(Clone, Debug)]
pub struct NamedIdentity {
    /// The certificate and its key.
    pub identity: Identity,
    /// DNS names in lower case, `a.example.com` or `*.example.com`.
    pub names: Vec<String>,
}

/// What a server proves and demands.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Its certificates; the first is for clients that ask for a name that none of them has, or for none.
    pub identities: Vec<NamedIdentity>,
    /// What is asked of clients.
    pub client_auth: ClientAuth,
    /// Versions that are spoken.
    pub versions: Versions,
    /// Cipher suites, best first.
    pub suites: Suites,
    /// Application protocols by their ALPN names, best first. Empty to agree on none.
    pub alpn: Vec<Vec<u8>>,
    /// What a session ticket is bound to: a [`super::fingerprint`] of all that decides who may come in (T34).
    pub policy: [u8; 32],
}

/// A server's side of TLS, shared by all workers. What it proves can be replaced at any time: connections that are open go
/// on with what they began with.
pub struct Server {
    configs: RwLock<Configs>,
}

/// The settings with application protocols, and the same without.
#[derive(Clone)]
struct Configs {
    speaking: Arc<ServerConfig>,
    silent: Arc<ServerConfig>,
    certificates: Arc<Certificates>,
}

/// Whether a connection agrees on an application protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// On one of [`ServerSettings::alpn`]; a client that offers others alone is refused (RFC 7301 §3.2).
    Agreed,
    /// On none: what is carried is not known here.
    Ignored,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl Server {
    /// A server with these settings, whose tickets are sealed by `keys`.
    ///
    /// # Errors
    /// When the authorities are none, or versions and suites leave nothing.
    ///
    /// # Panics
    /// When the system gives no randomness for the keys, without which there is no TLS at all.
    pub fn new(settings: ServerSettings, keys: &Arc<TicketKeys>) -> Result<Self, MaterialFault> {
        keys.prepare();
        let (speaking, certificates) = configure(settings, keys)?;
        let mut silent = speaking.clone();
        silent.alpn_protocols.clear();
        let configs = Configs { speaking: Arc::new(speaking), silent: Arc::new(silent), certificates };
        Ok(Self { configs: RwLock::new(configs) })
    }

    /// Goes on as `other`.
    pub fn replace(&self, other: &Self) {
        let configs = other.configs.read().unwrap_or_else(PoisonError::into_inner).clone();
        *self.configs.write().unwrap_or_else(PoisonError::into_inner) = configs;
    }

    /// Where a handshake should be computed with a client that asks for this name and has these cipher suites and signature
    /// schemes, by their numbers: apart if an RSA key is what it gets, as such a signature takes twenty times what one of
    /// ECDSA does.
    pub fn signing(
        &self,
        name: Option<&str>,
        suites: impl Iterator<Item = u16>,
        schemes: impl Iterator<Item = u16>,
    ) -> Signing {
        let certificates =
            Arc::clone(&self.configs.read().unwrap_or_else(PoisonError::into_inner).certificates);
        if !certificates.has_slow {
            return Signing::Here;
        }
        let suites: Vec<_> = suites.map(CipherSuite::from).collect();
        let schemes: Vec<_> = schemes.map(SignatureScheme::from).collect();
        match certificates.choose(name, &suites, &schemes) {
            Some(identity) if identity.is_slow() => Signing::Apart,
            _ => Signing::Here,
        }
    }

    /// The same where the client's hello was not read before: apart if any of the keys is one of RSA.
    pub fn signing_unread(&self) -> Signing {
        let configs = self.configs.read().unwrap_or_else(PoisonError::into_inner);
        if configs.certificates.has_slow { Signing::Apart } else { Signing::Here }
    }

    fn config(&self, alpn: Alpn) -> Arc<ServerConfig> {
        let configs = self.configs.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(match alpn {
            Alpn::Agreed => &configs.speaking,
            Alpn::Ignored => &configs.silent,
        })
    }
}

/// Does the server's part of a handshake on `stream`. `early` is what was read from it already. The caller sets the
/// deadline (T31). Where the private key is slow, `signing` should be [`Signing::Apart`]; see [`Server::signing`].
///
/// # Errors
/// Why there is no TLS connection. The client was told by an alert, if it could be.
pub async fn accept(
    stream: Stream,
    server: &Server,
    alpn: Alpn,
    early: &[u8],
    signing: Signing,
) -> Result<Stream, Fault> {
    let connection =
        UnbufferedServerConnection::new(server.config(alpn)).map_err(|error| Fault::of(&error))?;
    let engine = Engine::new(Side::Server(connection), early);
    let tls = match signing {
        Signing::Here => {
            let mut tls = Box::new(Tls::new(stream, engine));
            poll_fn(|cx| tls.poll_handshake(cx)).await?;
            tls
        }
        // A path that is rarely taken makes the task of no connection larger.
        Signing::Apart => Box::new(Box::pin(shake_apart(stream, engine)).await?),
    };
    Ok(Stream::tls(tls))
}

fn configure(
    settings: ServerSettings,
    keys: &Arc<TicketKeys>,
) -> Result<(ServerConfig, Arc<Certificates>), MaterialFault> {
    let certificates = Arc::new(Certificates::new(settings.identities));
    let provider = provider::with(&settings.suites);
    let verifier = verifier(settings.client_auth)?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&settings.versions.list())
        .map_err(|error| MaterialFault::NothingInCommon(error.to_string()))?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::clone(&certificates) as _);
    Ok((with_tickets(config, settings.alpn, keys, settings.policy), certificates))
}

fn with_tickets(
    mut config: ServerConfig,
    alpn: Vec<Vec<u8>>,
    keys: &Arc<TicketKeys>,
    policy: [u8; 32],
) -> ServerConfig {
    config.alpn_protocols = alpn;
    // A store in memory would be another thing for each worker to miss; tickets are with the client.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Arc::new(PolicyTickets { keys: Arc::clone(keys), policy });
    config.send_tls13_tickets = TICKETS_PER_HANDSHAKE;
    config
}

fn verifier(auth: ClientAuth) -> Result<Arc<dyn ClientCertVerifier>, MaterialFault> {
    let (authorities, is_optional) = match auth {
        ClientAuth::None => return Ok(Arc::new(NoClientAuth)),
        ClientAuth::Optional(authorities) => (authorities, true),
        ClientAuth::Required(authorities) => (authorities, false),
    };
    let provider = Arc::clone(provider::provider());
    let builder = WebPkiClientVerifier::builder_with_provider(authorities.0, provider);
    let builder = if is_optional { builder.allow_unauthenticated() } else { builder };
    builder.build().map_err(|error| MaterialFault::BadCertificate(error.to_string()))
}

/// Certificates by the names they are for. Of several for a name, the first that the client can check.
#[derive(Debug)]
struct Certificates {
    exact: HashMap<Box<str>, Vec<Identity>>,
    /// By what follows the star, without the dot. A certificate's wildcard is one label (RFC 9525 §6.3).
    wildcard: HashMap<Box<str>, Vec<Identity>>,
    /// Those that have a name in common with the first, and it.
    default: Vec<Identity>,
    /// Whether a key of RSA is among them.
    has_slow: bool,
}

impl Certificates {
    fn new(identities: Vec<NamedIdentity>) -> Self {
        let (mut exact, mut wildcard) = (HashMap::new(), HashMap::new());
        let has_slow = identities.iter().any(|one| one.identity.is_slow());
        let default_names = identities.first().map(|first| first.names.clone()).unwrap_or_default();
        let mut default = Vec::new();
        for NamedIdentity { identity, names } in identities {
            if default.is_empty() || names.iter().any(|name| default_names.contains(name)) {
                insert(&mut default, &identity);
            }
            for name in names {
                let (map, key) = match name.strip_prefix("*.") {
                    Some(suffix) => (&mut wildcard, suffix),
                    None => (&mut exact, &*name),
                };
                let key: Box<str> = key.into();
                insert(map.entry(key).or_insert_with(Vec::new), &identity);
            }
        }
        Self { exact, wildcard, default, has_slow }
    }

    fn candidates(&self, name: Option<&str>) -> &[Identity] {
        let Some(name) = name else { return &self.default };
        let name = name.to_ascii_lowercase();
        let by_wildcard = || self.wildcard.get(name.split_once('.')?.1);
        self.exact.get(&*name).or_else(by_wildcard).unwrap_or(&self.default)
    }

    fn choose(
        &self,
        name: Option<&str>,
        suites: &[CipherSuite],
        schemes: &[SignatureScheme],
    ) -> Option<&Identity> {
        let candidates = self.candidates(name);
        let fits = |identity: &&Identity| {
            identity.0.key.choose_scheme(schemes).is_some() && has_suite(suites, identity.0.key.algorithm())
        };
        // If none fits, the library says so with the right alert.
        candidates.iter().find(fits).or(candidates.first())
    }
}

/// ECDSA before RSA, and in order.
fn insert(list: &mut Vec<Identity>, identity: &Identity) {
    let place = if identity.is_ecdsa() {
        list.iter().position(|other| !other.is_ecdsa()).unwrap_or(list.len())
    } else {
        list.len()
    };
    list.insert(place, identity.clone());
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let identity = self.choose(hello.server_name(), hello.cipher_suites(), hello.signature_schemes());
        identity.map(|identity| Arc::clone(&identity.0))
    }
}

/// Whether one of a client's suites goes with a key: those of TLS 1.3 with every key, those of TLS 1.2 with one kind.
fn has_suite(suites: &[CipherSuite], algorithm: SignatureAlgorithm) -> bool {
    let is_ecdsa = algorithm == SignatureAlgorithm::ECDSA;
    suites.iter().any(|suite| {
        let name = suite.as_str().unwrap_or_default();
        name.starts_with("TLS13_")
            || name.starts_with(if is_ecdsa { "TLS_ECDHE_ECDSA_" } else { "TLS_ECDHE_RSA_" })
    })
}
