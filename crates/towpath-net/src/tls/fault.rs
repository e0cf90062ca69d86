//! Why a TLS connection failed.

use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, Error};

/// Why a TLS connection failed, in a form that can be told apart and be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it was.
    pub kind: FaultKind,
    /// What exactly, for people; never bytes of the peer.
    pub detail: String,
}

/// What went wrong, as coarse as counters want it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// No version, cipher suite, group or protocol that both sides have.
    Incompatible,
    /// Bytes that are no TLS, or not at this point.
    Protocol,
    /// The other side showed no certificate although it had to.
    CertificateMissing,
    /// The certificate of the other side is expired, of an unknown issuer or otherwise not good.
    Certificate,
    /// The certificate of the other side is for other names.
    Name,
    /// The other side refused with an alert, for example because it does not trust our certificate.
    Alert,
    /// The other side ended the connection without the end that TLS has (RFC 8446 §6.1).
    Truncated,
    /// More handshakes wait for a signature than can be computed in time (T38).
    Overload,
    /// The system failed.
    Io,
}

impl Fault {
    /// What an error of the library says.
    pub(super) fn of(error: &Error) -> Self {
        Self { kind: kind_of(error), detail: error.to_string() }
    }

    /// The connection ended without a close_notify.
    pub(super) fn truncated() -> Self {
        Self { kind: FaultKind::Truncated, detail: "ended without close_notify".to_owned() }
    }

    /// What an error of the system says.
    pub(super) fn io(error: &io::Error) -> Self {
        Self { kind: FaultKind::Io, detail: error.to_string() }
    }
}

fn kind_of(error: &Error) -> FaultKind {
    match error {
        Error::PeerIncompatible(_) | Error::NoApplicationProtocol => FaultKind::Incompatible,
        Error::NoCertificatesPresented => FaultKind::CertificateMissing,
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => FaultKind::Name,
        Error::InvalidCertificate(_) | Error::InvalidCertRevocationList(_) => FaultKind::Certificate,
        // A client that has no version or suite of ours says so by these (RFC 8446 §6.2).
        Error::AlertReceived(AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity) => {
            FaultKind::Incompatible
        }
        Error::AlertReceived(_) => FaultKind::Alert,
        _ => FaultKind::Protocol,
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        let kind = match fault.kind {
            FaultKind::Truncated => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, fault)
    }
}
