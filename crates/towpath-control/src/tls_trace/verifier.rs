//! The usual verification, which remembers its verdict.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use towpath_net::tls::{self, Authorities};

use super::Fault;

/// Verifies as every client of ours does. If told to it goes on after a chain that it would refuse; a signature that
/// does not fit the key is the end in any case.
#[derive(Debug)]
pub(super) struct Verifier {
    inner: Arc<dyn ServerCertVerifier>,
    /// There is nobody to trust, so that every issuer is unknown.
    trusts_nobody: bool,
    is_insecure: bool,
    verdict: Mutex<Option<Result<(), Error>>>,
}

impl Verifier {
    pub(super) fn new(roots: Option<Authorities>, is_insecure: bool) -> Result<Self, Fault> {
        let trusts_nobody = roots.is_none();
        let inner = tls::verifier(roots).map_err(|fault| Fault::Failed(fault.to_string()))?;
        Ok(Self { inner, trusts_nobody, is_insecure, verdict: Mutex::new(None) })
    }

    /// What became of the chain; `None` if none came.
    pub(super) fn verdict(&self) -> Option<Result<(), Error>> {
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = match self.trusts_nobody {
            true => Err(CertificateError::UnknownIssuer.into()),
            false => self.inner.verify_server_cert(end_entity, intermediates, name, ocsp_response, now),
        };
        let verdict = verified.as_ref().map(|_| ()).map_err(Clone::clone);
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
        if self.is_insecure { Ok(ServerCertVerified::assertion()) } else { verified }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
