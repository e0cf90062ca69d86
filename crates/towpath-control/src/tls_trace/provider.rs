//! The cryptography of every client of ours, with a witness beside every cipher.
//!
//! rustls takes its ciphers as objects behind a trait, so one can stand around another: it hands everything on and notes
//! the plain side. Keys pass through and are not kept.

use rustls::crypto::CipherSuiteCommon;
use rustls::crypto::CryptoProvider;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, KeyBlockShape, MessageDecrypter,
    MessageEncrypter, OutboundOpaqueMessage, OutboundPlainMessage, Tls12AeadAlgorithm, Tls13AeadAlgorithm,
    UnsupportedOperationError,
};
use rustls::{ConnectionTrafficSecrets, Error, SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite};
use towpath_net::tls;

use super::log::{Direction, Plain, SharedLog};

/// The provider whose ciphers tell `log` what they open and seal.
///
/// rustls wants suites that live for ever. These do: a trace is the whole life of its process, and there are nine.
pub(super) fn watched(log: &SharedLog) -> CryptoProvider {
    let mut provider = CryptoProvider::clone(tls::provider());
    for suite in &mut provider.cipher_suites {
        *suite = match suite {
            SupportedCipherSuite::Tls12(inner) => SupportedCipherSuite::Tls12(watched12(inner, log)),
            SupportedCipherSuite::Tls13(inner) => SupportedCipherSuite::Tls13(watched13(inner, log)),
        };
    }
    provider
}

fn watched12(inner: &'static Tls12CipherSuite, log: &SharedLog) -> &'static Tls12CipherSuite {
    let watched = Box::leak(Box::new(Watched { inner: inner.aead_alg, log: log.clone() }));
    Box::leak(Box::new(Tls12CipherSuite {
        common: common(&inner.common),
        prf_provider: inner.prf_provider,
        kx: inner.kx,
        sign: inner.sign,
        aead_alg: watched,
    }))
}

fn watched13(inner: &'static Tls13CipherSuite, log: &SharedLog) -> &'static Tls13CipherSuite {
    let watched = Box::leak(Box::new(Watched { inner: inner.aead_alg, log: log.clone() }));
    Box::leak(Box::new(Tls13CipherSuite {
        common: common(&inner.common),
        hkdf_provider: inner.hkdf_provider,
        aead_alg: watched,
        quic: None,
    }))
}

fn common(common: &CipherSuiteCommon) -> CipherSuiteCommon {
    CipherSuiteCommon {
        suite: common.suite,
        hash_provider: common.hash_provider,
        confidentiality_limit: common.confidentiality_limit,
    }
}

/// Something of rustls, and the log that it tells.
struct Watched<T> {
    inner: T,
    log: SharedLog,
}

impl<T> Watched<T> {
    fn encrypter(&self, inner: Box<dyn MessageEncrypter>) -> Box<dyn MessageEncrypter> {
        Box::new(Watched { inner, log: self.log.clone() })
    }

    fn decrypter(&self, inner: Box<dyn MessageDecrypter>) -> Box<dyn MessageDecrypter> {
        Box::new(Watched { inner, log: self.log.clone() })
    }
}

impl Tls12AeadAlgorithm for Watched<&'static dyn Tls12AeadAlgorithm> {
    fn encrypter(&self, key: AeadKey, iv: &[u8], extra: &[u8]) -> Box<dyn MessageEncrypter> {
        self.encrypter(self.inner.encrypter(key, iv, extra))
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        self.decrypter(self.inner.decrypter(key, iv))
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        self.inner.key_block_shape()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: &[u8],
        explicit: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.inner.extract_keys(key, iv, explicit)
    }
}

impl Tls13AeadAlgorithm for Watched<&'static dyn Tls13AeadAlgorithm> {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        self.encrypter(self.inner.encrypter(key, iv))
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        self.decrypter(self.inner.decrypter(key, iv))
    }

    fn key_len(&self) -> usize {
        self.inner.key_len()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.inner.extract_keys(key, iv)
    }
}

impl MessageEncrypter for Watched<Box<dyn MessageEncrypter>> {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        number: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let (kind, content) = (message.typ.into(), message.payload.to_vec());
        let sealed = self.inner.encrypt(message, number)?;
        let sealed_bytes = sealed.payload.as_ref().len();
        self.log.note_plain(Plain { direction: Direction::Out, kind, content, sealed_bytes });
        Ok(sealed)
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        self.inner.encrypted_payload_len(payload_len)
    }
}

impl MessageDecrypter for Watched<Box<dyn MessageDecrypter>> {
    fn decrypt<'a>(
        &mut self,
        message: InboundOpaqueMessage<'a>,
        number: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let sealed_bytes = message.payload.len();
        let plain = self.inner.decrypt(message, number)?;
        let (kind, content) = (plain.typ.into(), plain.payload.to_vec());
        self.log.note_plain(Plain { direction: Direction::In, kind, content, sealed_bytes });
        Ok(plain)
    }
}
