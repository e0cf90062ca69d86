//! Certificates, private keys and authorities, from PEM.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, RootCertStore, SignatureAlgorithm};

use super::provider::provider;

/// Why a file is no certificate, key or list of authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MaterialFault {
    /// No certificate in PEM.
    NoCertificate,
    /// A certificate that cannot be read.
    BadCertificate(String),
    /// No private key in PEM, or an encrypted one.
    NoKey,
    /// A private key that cannot be read or is of a kind that is not used.
    BadKey(String),
    /// The key is not that of the certificate.
    KeyMismatch,
    /// The versions and suites leave nothing to agree on.
    NothingInCommon(String),
}

impl fmt::Display for MaterialFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => f.write_str("it holds no certificate in PEM"),
            Self::BadCertificate(why) => write!(f, "it holds a certificate that cannot be read: {why}"),
            Self::NoKey => f.write_str("it holds no private key in PEM, or an encrypted one"),
            Self::BadKey(why) => write!(f, "it holds a private key that cannot be used: {why}"),
            Self::KeyMismatch => f.write_str("it is not the private key of the certificate"),
            Self::NothingInCommon(why) => write!(f, "nothing could be agreed on with these settings: {why}"),
        }
    }
}

impl std::error::Error for MaterialFault {}

/// The certificates of a PEM file, in DER and in order.
///
/// # Errors
/// When there is none, or one is not PEM.
pub fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, MaterialFault> {
    let read = CertificateDer::pem_slice_iter(pem).map(|one| one.map(|der| der.to_vec()));
    let chain: Vec<_> =
        read.collect::<Result<_, _>>().map_err(|error| MaterialFault::BadCertificate(error.to_string()))?;
    if chain.is_empty() { Err(MaterialFault::NoCertificate) } else { Ok(chain) }
}

/// A certificate chain and the key to it.
#[derive(Clone, Debug)]
pub struct Identity(pub(super) Arc<CertifiedKey>);

impl Identity {
    /// Joins a chain in DER, leaf first, with a key in PEM, and with the OCSP response in DER that is stapled to it
    /// (RFC 6066 §8).
    ///
    /// # Errors
    /// When the key cannot be read or is another's.
    pub fn new(chain: Vec<Vec<u8>>, key: &[u8], ocsp: Option<Vec<u8>>) -> Result<Self, MaterialFault> {
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| MaterialFault::NoKey)?;
        let chain = chain.into_iter().map(CertificateDer::from).collect();
        let mut joined = CertifiedKey::from_der(chain, key, provider()).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => MaterialFault::KeyMismatch,
            Error::InvalidCertificate(why) => MaterialFault::BadCertificate(why.to_string()),
            error => MaterialFault::BadKey(error.to_string()),
        })?;
        joined.ocsp = ocsp;
        Ok(Self(Arc::new(joined)))
    }

    /// Whether its key is for ECDSA, which costs a server a thirtieth of what RSA costs.
    /// Whether a signature takes so long that it should not be made on a worker's thread.
    pub(super) fn is_slow(&self) -> bool {
        self.0.key.algorithm() == SignatureAlgorithm::RSA
    }

    pub(super) fn is_ecdsa(&self) -> bool {
        self.0.key.algorithm() == SignatureAlgorithm::ECDSA
    }
}

/// Where systems keep the authorities that they trust: Debian and Alpine, Fedora, openSUSE, FreeBSD and macOS with
/// Homebrew.
const SYSTEM_FILES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What OpenSSL and curl let one set instead.
const SYSTEM_VARIABLE: &str = "SSL_CERT_FILE";

/// The file with the authorities that this system trusts, in PEM. The first place that is usual when there is none.
#[must_use]
pub fn system_authorities() -> PathBuf {
    let named = std::env::var_os(SYSTEM_VARIABLE).map(PathBuf::from);
    let mut usual = SYSTEM_FILES.iter().map(PathBuf::from);
    let found = || usual.clone().find(|file| file.is_file());
    named.or_else(found).or_else(|| usual.next()).unwrap_or_default()
}

/// Certificate authorities.
#[derive(Clone, Debug)]
pub struct Authorities(pub(super) Arc<RootCertStore>);

impl Authorities {
    /// These authorities, in DER.
    ///
    /// # Errors
    /// When one cannot be read: a list with a hole is not what was meant (T33).
    pub fn new(certificates: Vec<Vec<u8>>) -> Result<Self, MaterialFault> {
        let mut store = RootCertStore::empty();
        for der in certificates {
            store
                .add(CertificateDer::from(der))
                .map_err(|error| MaterialFault::BadCertificate(error.to_string()))?;
        }
        if store.is_empty() { Err(MaterialFault::NoCertificate) } else { Ok(Self(Arc::new(store))) }
    }

    /// Those of these authorities that can be read, for a list that is not ours, such as that of the system.
    ///
    /// # Errors
    /// When none can.
    pub fn lenient(certificates: Vec<Vec<u8>>) -> Result<Self, MaterialFault> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(certificates.into_iter().map(CertificateDer::from));
        if store.is_empty() { Err(MaterialFault::NoCertificate) } else { Ok(Self(Arc::new(store))) }
    }
}
