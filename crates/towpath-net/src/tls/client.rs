//! The side that connects to endpoints.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, UnbufferedClientConnection, WebPkiServerVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use super::certificate::{Authorities, Identity, MaterialFault};
use super::engine::{Engine, Side};
use super::fault::Fault;
use super::provider;
use super::stream::Tls;
use crate::stream::Stream;

/// Sessions that are remembered to come back to, for all endpoints of an upstream.
const SESSIONS_MAX: usize = 256;

/// What a client demands and proves.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// Who may have signed the server's certificate; `None` to accept any certificate.
    pub authorities: Option<Authorities>,
    /// The certificate to show, if any.
    pub identity: Option<Identity>,
    /// Application protocols by their ALPN names, best first.
    pub alpn: Vec<Vec<u8>>,
}

/// A client's side of TLS, shared by all workers. Can be replaced at any time.
pub struct Client {
    config: RwLock<Arc<ClientConfig>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// A client with these settings.
    ///
    /// # Errors
    /// When the authorities are none.
    pub fn new(settings: ClientSettings) -> Result<Self, MaterialFault> {
        Ok(Self { config: RwLock::new(Arc::new(configure(settings)?)) })
    }

    /// Goes on as `other`.
    pub fn replace(&self, other: &Self) {
        let config = other.config();
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Client {
    /// Whether `name` can be asked for: a DNS name or an IP address.
    #[must_use]
    pub fn can_ask_for(name: &str) -> bool {
        server_name(name).is_some()
    }
}

fn server_name(name: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(name.to_owned()).ok()
}

/// Does the client's part of a handshake with the server `name` on `stream`. The caller sets the deadline.
///
/// # Errors
/// Why there is no TLS connection. There is no way back to clear text (T33).
pub async fn connect(stream: Stream, client: &Client, name: &str) -> Result<Stream, Fault> {
    let unnameable = || Fault::of(&Error::UnsupportedNameType);
    let name = server_name(name).ok_or_else(unnameable)?;
    let connection =
        UnbufferedClientConnection::new(client.config(), name).map_err(|error| Fault::of(&error))?;
    let mut tls = Box::new(Tls::new(stream, Engine::new(Side::Client(connection), &[])));
    poll_fn(|cx| tls.poll_handshake(cx)).await?;
    Ok(Stream::tls(tls))
}

fn configure(settings: ClientSettings) -> Result<ClientConfig, MaterialFault> {
    let provider = Arc::clone(provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| MaterialFault::NothingInCommon(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier(settings.authorities)?);
    let mut config = match settings.identity {
        None => builder.with_no_client_auth(),
        Some(Identity(identity)) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from((*identity).clone())))
        }
    };
    config.alpn_protocols = settings.alpn;
    config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
    Ok(config)
}

/// What judges the certificates of servers: by these authorities; without them it takes any, of a server that has its key.
///
/// # Errors
/// When the authorities are none.
pub fn verifier(authorities: Option<Authorities>) -> Result<Arc<dyn ServerCertVerifier>, MaterialFault> {
    let Some(authorities) = authorities else { return Ok(Arc::new(AnyCertificate)) };
    let provider = Arc::clone(provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(authorities.0, provider).build();
    Ok(verifier.map_err(|error| MaterialFault::BadCertificate(error.to_string()))?)
}

/// `verify = false`: any certificate that is one, of a server that has its key.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        ParsedCertificate::try_from(certificate).map(|_| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &provider().signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
