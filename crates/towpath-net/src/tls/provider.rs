//! The one cryptographic provider of the process: aws-lc, with the suites and groups that are still good.

use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::{ProtocolVersion, SupportedCipherSuite, SupportedProtocolVersion};

/// Every suite, best first. TLS 1.2 has forward secrecy and authenticated encryption or is not spoken (RFC 9325 §4.2).
const SUITES: &[SupportedCipherSuite] = &[
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

/// The cipher suites of a policy, in order of preference. The default has them all.
#[derive(Clone, Debug)]
pub struct Suites(Vec<SupportedCipherSuite>);

impl Default for Suites {
    fn default() -> Self {
        Self::of(SUITES)
    }
}

impl Suites {
    /// These suites.
    pub(super) fn of(suites: &[SupportedCipherSuite]) -> Self {
        Self(suites.to_vec())
    }

    /// The suites that have these IANA numbers (RFC 8446 §B.4, RFC 5289), in this order; numbers that we do not have are
    /// passed over. `None` when nothing is left, for a policy that could agree with nobody.
    #[must_use]
    pub fn select(numbers: &[u16]) -> Option<Self> {
        let known = |number: &u16| SUITES.iter().copied().find(|suite| u16::from(suite.suite()) == *number);
        let suites: Vec<_> = numbers.iter().filter_map(known).collect();
        (!suites.is_empty()).then_some(Self(suites))
    }

    /// Their IANA numbers.
    #[must_use]
    pub fn numbers(&self) -> Vec<u16> {
        self.0.iter().map(|suite| u16::from(suite.suite())).collect()
    }
}

/// The protocol versions of a policy. The default has both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// RFC 5246, with the extended master secret wherever the peer has it.
    pub tls12: bool,
    /// RFC 8446.
    pub tls13: bool,
}

impl Default for Versions {
    fn default() -> Self {
        Self { tls12: true, tls13: true }
    }
}

impl Versions {
    /// As the library wants them.
    pub(super) fn list(self) -> Vec<&'static SupportedProtocolVersion> {
        let known = [(self.tls13, &rustls::version::TLS13), (self.tls12, &rustls::version::TLS12)];
        known.into_iter().filter(|(is_on, _)| *is_on).map(|(_, version)| version).collect()
    }
}

/// The provider. There is one, and whoever needs one is given it.
pub fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        install();
        Arc::new(ours(SUITES))
    })
}

/// The provider with other suites.
pub(super) fn with(suites: &Suites) -> Arc<CryptoProvider> {
    Arc::new(ours(&suites.0))
}

/// Makes the provider the default of the process, so that no dependency picks one of its own. May be called again.
pub fn install() {
    // An error says that there is one already, which is this one.
    let _ = ours(SUITES).install_default();
}

fn ours(suites: &[SupportedCipherSuite]) -> CryptoProvider {
    CryptoProvider {
        cipher_suites: suites.to_vec(),
        kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1],
        ..default_provider()
    }
}

/// The version by the name that configuration files have for it.
pub(super) fn version_name(version: Option<ProtocolVersion>) -> &'static str {
    match version {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provider_is_the_default_of_the_process_as_well() {
        let own = provider();
        let default = CryptoProvider::get_default().expect("installed");
        let names = |provider: &CryptoProvider| {
            provider.cipher_suites.iter().map(|suite| suite.suite()).collect::<Vec<_>>()
        };
        assert_eq!(names(own), names(default));
        let groups: Vec<String> = own.kx_groups.iter().map(|group| format!("{:?}", group.name())).collect();
        assert_eq!(groups, ["X25519MLKEM768", "X25519", "secp256r1"]);
    }

    #[test]
    fn a_policy_without_a_known_suite_is_none() {
        assert!(Suites::select(&[0x000a, 0x0005]).is_none());
        assert_eq!(Suites::select(&[0xc02f, 0x000a, 0x1301]).unwrap().numbers(), [0xc02f, 0x1301]);
    }
}
