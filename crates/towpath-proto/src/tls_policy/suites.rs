//! The suites that OpenSSL knows by name, and what its keywords ask about each (RFC 5246 §A.5 and those after it;
//! the numbers are IANA's).

use Cipher::{
    Aes128, Aes128Ccm, Aes128Ccm8, Aes128Gcm, Aes256, Aes256Ccm, Aes256Ccm8, Aes256Gcm, Aria128, Aria256,
    Camellia128, Camellia256, ChaCha20, Idea, Null, Rc4, Seed, TripleDes,
};
use Mac::{Aead, Md5, Sha1, Sha256, Sha384};
use Oldest::{Ssl3, Tls10, Tls12};

/// A suite of TLS 1.2 or older, as a row of the table.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) iana: u16,
    /// The oldest protocol it may be used with, which is what the keywords `SSLv3` and `TLSv1.2` mean.
    pub(super) oldest: Oldest,
    pub(super) exchange: Exchange,
    pub(super) identity: Identity,
    pub(super) cipher: Cipher,
    pub(super) mac: Mac,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Oldest {
    Ssl3,
    Tls10,
    Tls12,
}

/// How the two sides come to a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exchange {
    Ecdhe,
    Dhe,
    Rsa,
    Psk,
    RsaPsk,
    DhePsk,
    EcdhePsk,
    Srp,
}

/// How the server shows who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    Ecdsa,
    Rsa,
    Dss,
    Psk,
    Srp,
    Nobody,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cipher {
    Aes128,
    Aes256,
    Aes128Gcm,
    Aes256Gcm,
    Aes128Ccm,
    Aes256Ccm,
    Aes128Ccm8,
    Aes256Ccm8,
    ChaCha20,
    Camellia128,
    Camellia256,
    Aria128,
    Aria256,
    TripleDes,
    Idea,
    Seed,
    Rc4,
    Null,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mac {
    Aead,
    Sha1,
    Sha256,
    Sha384,
    Md5,
}

/// A suite of TLS 1.3 (RFC 8446 §B.4), which names a cipher and a hash and nothing else.
#[derive(Debug)]
pub(super) struct Row13 {
    pub(super) name: &'static str,
    pub(super) iana: u16,
    pub(super) bits: u16,
}

impl Row {
    pub(super) fn is_anonymous(&self) -> bool {
        self.identity == Identity::Nobody
    }

    pub(super) fn has_psk(&self) -> bool {
        matches!(self.exchange, Exchange::Psk | Exchange::RsaPsk | Exchange::DhePsk | Exchange::EcdhePsk)
    }

    pub(super) fn is_null(&self) -> bool {
        self.cipher == Null
    }

    /// OpenSSL's `HIGH` and `MEDIUM` cover everything that encrypts at all.
    pub(super) fn is_high(&self) -> bool {
        !self.is_medium() && !self.is_null()
    }

    pub(super) fn is_medium(&self) -> bool {
        matches!(self.cipher, TripleDes | Idea | Seed | Rc4)
    }

    /// AES in block chaining; together with a mode's name `AES` means all of them.
    pub(super) fn is_aes128(&self) -> bool {
        matches!(self.cipher, Aes128 | Aes128Gcm | Aes128Ccm | Aes128Ccm8)
    }

    pub(super) fn is_aes256(&self) -> bool {
        matches!(self.cipher, Aes256 | Aes256Gcm | Aes256Ccm | Aes256Ccm8)
    }

    pub(super) fn is_ccm8(&self) -> bool {
        matches!(self.cipher, Aes128Ccm8 | Aes256Ccm8)
    }

    pub(super) fn is_ccm(&self) -> bool {
        matches!(self.cipher, Aes128Ccm | Aes256Ccm) || self.is_ccm8()
    }

    pub(super) fn is_cbc(&self) -> bool {
        let blocks = [Aes128, Aes256, Camellia128, Camellia256, TripleDes, Idea, Seed];
        blocks.contains(&self.cipher)
    }

    /// What only `ALL` admits: `COMPLEMENTOFDEFAULT`.
    pub(super) fn is_beyond_default(&self) -> bool {
        let unusual = [Camellia128, Camellia256, Aria128, Aria256];
        let is_unusual = unusual.contains(&self.cipher)
            || self.is_ccm()
            || self.is_medium()
            || self.is_anonymous()
            || self.identity == Identity::Dss;
        is_unusual && !self.is_null()
    }

    /// Bits of strength, by which `@STRENGTH` sorts.
    pub(super) fn bits(&self) -> u16 {
        match self.cipher {
            Null => 0,
            Rc4 => 80,
            TripleDes => 112,
            Aes256 | Aes256Gcm | Aes256Ccm | Aes256Ccm8 | ChaCha20 | Camellia256 | Aria256 => 256,
            _ => 128,
        }
    }

    /// A fresh elliptic-curve key and a cipher that authenticates what it encrypts: what rustls has of TLS 1.2.
    pub(super) fn is_safe(&self) -> bool {
        self.exchange == Exchange::Ecdhe
            && matches!(self.identity, Identity::Ecdsa | Identity::Rsa)
            && matches!(self.cipher, Aes128Gcm | Aes256Gcm | ChaCha20)
    }
}

/// Of a suite that is safe, IANA's name.
pub(super) const STANDARD_NAMES: &[(&str, u16)] = &[
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", 0xc02c),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", 0xc030),
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", 0xcca9),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", 0xcca8),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", 0xc02b),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", 0xc02f),
];

/// Suites that OpenSSL 1.1 removed with all their code. Their names still stand in files, mostly behind a `!`.
pub(super) const REMOVED: &[&str] = &[
    "DES-CBC-SHA",
    "DES-CBC-MD5",
    "DES-CBC3-MD5",
    "EDH-RSA-DES-CBC-SHA",
    "EDH-DSS-DES-CBC-SHA",
    "DHE-RSA-DES-CBC-SHA",
    "DHE-DSS-DES-CBC-SHA",
    "ADH-DES-CBC-SHA",
    "EXP-DES-CBC-SHA",
    "EXP-RC4-MD5",
    "EXP-RC2-CBC-MD5",
    "EXP-EDH-RSA-DES-CBC-SHA",
    "EXP-EDH-DSS-DES-CBC-SHA",
    "EXP-ADH-DES-CBC-SHA",
    "EXP-ADH-RC4-MD5",
    "RC2-CBC-MD5",
    "IDEA-CBC-MD5",
    "KRB5-DES-CBC-SHA",
    "KRB5-DES-CBC3-SHA",
    "KRB5-RC4-SHA",
    "ECDH-RSA-AES256-GCM-SHA384",
    "ECDH-ECDSA-AES256-GCM-SHA384",
    "ECDH-RSA-AES128-GCM-SHA256",
    "ECDH-ECDSA-AES128-GCM-SHA256",
    "ECDH-RSA-AES256-SHA384",
    "ECDH-ECDSA-AES256-SHA384",
    "ECDH-RSA-AES128-SHA256",
    "ECDH-ECDSA-AES128-SHA256",
    "ECDH-RSA-AES256-SHA",
    "ECDH-ECDSA-AES256-SHA",
    "ECDH-RSA-AES128-SHA",
    "ECDH-ECDSA-AES128-SHA",
    "ECDH-RSA-DES-CBC3-SHA",
    "ECDH-ECDSA-DES-CBC3-SHA",
    "ECDH-RSA-RC4-SHA",
    "ECDH-ECDSA-RC4-SHA",
    "DH-RSA-AES256-SHA",
    "DH-DSS-AES256-SHA",
    "DH-RSA-AES128-SHA",
    "DH-DSS-AES128-SHA",
];

/// The suites of TLS 1.3, in OpenSSL's order of preference; the last two it leaves out unless they are named.
pub(super) static SUITES13: &[Row13] = &[
    Row13 { name: "TLS_AES_256_GCM_SHA384", iana: 0x1302, bits: 256 },
    Row13 { name: "TLS_CHACHA20_POLY1305_SHA256", iana: 0x1303, bits: 256 },
    Row13 { name: "TLS_AES_128_GCM_SHA256", iana: 0x1301, bits: 128 },
    Row13 { name: "TLS_AES_128_CCM_SHA256", iana: 0x1304, bits: 128 },
    Row13 { name: "TLS_AES_128_CCM_8_SHA256", iana: 0x1305, bits: 128 },
];

impl Row13 {
    pub(super) fn is_safe(&self) -> bool {
        matches!(self.iana, 0x1301..=0x1303)
    }
}

const fn row(
    name: &'static str,
    iana: u16,
    oldest: Oldest,
    exchange: Exchange,
    identity: Identity,
    cipher: Cipher,
    mac: Mac,
) -> Row {
    Row { name, iana, oldest, exchange, identity, cipher, mac }
}

/// In the order in which OpenSSL starts, before a string rearranges it: fresh keys before lasting ones, authenticating
/// ciphers before others, TLS 1.2 before what is older, strong before weak. The suites with triple DES, IDEA, SEED
/// and RC4 at the end are in no OpenSSL that was built with its defaults since 1.1, but `RC4` still means them.
pub(super) static SUITES: &[Row] = &[
    row("ECDHE-ECDSA-AES256-GCM-SHA384", 0xc02c, Tls12, Exchange::Ecdhe, Identity::Ecdsa, Aes256Gcm, Aead),
    row("ECDHE-RSA-AES256-GCM-SHA384", 0xc030, Tls12, Exchange::Ecdhe, Identity::Rsa, Aes256Gcm, Aead),
    row("DHE-DSS-AES256-GCM-SHA384", 0x00a3, Tls12, Exchange::Dhe, Identity::Dss, Aes256Gcm, Aead),
    row("DHE-RSA-AES256-GCM-SHA384", 0x009f, Tls12, Exchange::Dhe, Identity::Rsa, Aes256Gcm, Aead),
    row("ECDHE-ECDSA-CHACHA20-POLY1305", 0xcca9, Tls12, Exchange::Ecdhe, Identity::Ecdsa, ChaCha20, Aead),
    row("ECDHE-RSA-CHACHA20-POLY1305", 0xcca8, Tls12, Exchange::Ecdhe, Identity::Rsa, ChaCha20, Aead),
    row("DHE-RSA-CHACHA20-POLY1305", 0xccaa, Tls12, Exchange::Dhe, Identity::Rsa, ChaCha20, Aead),
    row("ECDHE-ECDSA-AES256-CCM8", 0xc0af, Tls12, Exchange::Ecdhe, Identity::Ecdsa, Aes256Ccm8, Aead),
    row("ECDHE-ECDSA-AES256-CCM", 0xc0ad, Tls12, Exchange::Ecdhe, Identity::Ecdsa, Aes256Ccm, Aead),
    row("DHE-RSA-AES256-CCM8", 0xc0a3, Tls12, Exchange::Dhe, Identity::Rsa, Aes256Ccm8, Aead),
    row("DHE-RSA-AES256-CCM", 0xc09f, Tls12, Exchange::Dhe, Identity::Rsa, Aes256Ccm, Aead),
    row("ECDHE-ECDSA-ARIA256-GCM-SHA384", 0xc05d, Tls12, Exchange::Ecdhe, Identity::Ecdsa, Aria256, Aead),
    row("ECDHE-ARIA256-GCM-SHA384", 0xc061, Tls12, Exchange::Ecdhe, Identity::Rsa, Aria256, Aead),
    row("DHE-DSS-ARIA256-GCM-SHA384", 0xc057, Tls12, Exchange::Dhe, Identity::Dss, Aria256, Aead),
    row("DHE-RSA-ARIA256-GCM-SHA384", 0xc053, Tls12, Exchange::Dhe, Identity::Rsa, Aria256, Aead),
    row("ADH-AES256-GCM-SHA384", 0x00a7, Tls12, Exchange::Dhe, Identity::Nobody, Aes256Gcm, Aead),
    row("ECDHE-ECDSA-AES128-GCM-SHA256", 0xc02b, Tls12, Exchange::Ecdhe, Identity::Ecdsa, Aes128Gcm, Aead),
    row("ECDHE-RSA-AES128-GCM-SHA256", 0xc02f, Tls12, Exchange::Ecdhe, Identity::Rsa, Aes128Gcm, Aead),
    row("DHE-DSS-AES128-GCM-SHA256", 0x00a2, Tls12, Exchange::Dhe, Identity::Dss, Aes128Gcm, Aead),
    row("DHE-RSA-AES128-GCM-SHA256", 0x009e, Tls12, Exchange::Dhe, Identity::Rsa, Aes128Gcm, Aead),
    row("ECDHE-ECDSA-AES128-CCM8", 0xc0ae, Tls12, Exchange::Ecdhe, Identity::Ecdsa, Aes128Ccm8, Aead),
    row("ECDHE-ECDSA-AES128-CCM", 0xc0ac, Tls12, Exchange::Ecdhe, Identity::Ecdsa, Aes128Ccm, Aead),
    row("DHE-RSA-AES128-CCM8", 0xc0a2, Tls12, Exchange::Dhe, Identity::Rsa, Aes128Ccm8, Aead),
    row("DHE-RSA-AES128-CCM", 0xc09e, Tls12, Exchange::Dhe, Identity::Rsa, Aes128Ccm, Aead),
    row("ECDHE-ECDSA-ARIA128-GCM-SHA256", 0xc05c, Tls12, Exchange::Ecdhe, Identity::Ecdsa, Aria128, Aead),
    row("ECDHE-ARIA128-GCM-SHA256", 0xc060, Tls12, Exchange::Ecdhe, Identity::Rsa, Aria128, Aead),
    row("DHE-DSS-ARIA128-GCM-SHA256", 0xc056, Tls12, Exchange::Dhe, Identity::Dss, Aria128, Aead),
    row("DHE-RSA-ARIA128-GCM-SHA256", 0xc052, Tls12, Exchange::Dhe, Identity::Rsa, Aria128, Aead),
    row("ADH-AES128-GCM-SHA256", 0x00a6, Tls12, Exchange::Dhe, Identity::Nobody, Aes128Gcm, Aead),
    row("ECDHE-ECDSA-AES256-SHA384", 0xc024, Tls12, Exchange::Ecdhe, Identity::Ecdsa, Aes256, Sha384),
    row("ECDHE-RSA-AES256-SHA384", 0xc028, Tls12, Exchange::Ecdhe, Identity::Rsa, Aes256, Sha384),
    row("DHE-RSA-AES256-SHA256", 0x006b, Tls12, Exchange::Dhe, Identity::Rsa, Aes256, Sha256),
    row("DHE-DSS-AES256-SHA256", 0x006a, Tls12, Exchange::Dhe, Identity::Dss, Aes256, Sha256),
    row(
        "ECDHE-ECDSA-CAMELLIA256-SHA384",
        0xc073,
        Tls12,
        Exchange::Ecdhe,
        Identity::Ecdsa,
        Camellia256,
        Sha384,
    ),
    row("ECDHE-RSA-CAMELLIA256-SHA384", 0xc077, Tls12, Exchange::Ecdhe, Identity::Rsa, Camellia256, Sha384),
    row("DHE-RSA-CAMELLIA256-SHA256", 0x00c4, Tls12, Exchange::Dhe, Identity::Rsa, Camellia256, Sha256),
    row("DHE-DSS-CAMELLIA256-SHA256", 0x00c3, Tls12, Exchange::Dhe, Identity::Dss, Camellia256, Sha256),
    row("ADH-AES256-SHA256", 0x006d, Tls12, Exchange::Dhe, Identity::Nobody, Aes256, Sha256),
    row("ADH-CAMELLIA256-SHA256", 0x00c5, Tls12, Exchange::Dhe, Identity::Nobody, Camellia256, Sha256),
    row("ECDHE-ECDSA-AES128-SHA256", 0xc023, Tls12, Exchange::Ecdhe, Identity::Ecdsa, Aes128, Sha256),
    row("ECDHE-RSA-AES128-SHA256", 0xc027, Tls12, Exchange::Ecdhe, Identity::Rsa, Aes128, Sha256),
    row("DHE-RSA-AES128-SHA256", 0x0067, Tls12, Exchange::Dhe, Identity::Rsa, Aes128, Sha256),
    row("DHE-DSS-AES128-SHA256", 0x0040, Tls12, Exchange::Dhe, Identity::Dss, Aes128, Sha256),
    row(
        "ECDHE-ECDSA-CAMELLIA128-SHA256",
        0xc072,
        Tls12,
        Exchange::Ecdhe,
        Identity::Ecdsa,
        Camellia128,
        Sha256,
    ),
    row("ECDHE-RSA-CAMELLIA128-SHA256", 0xc076, Tls12, Exchange::Ecdhe, Identity::Rsa, Camellia128, Sha256),
    row("DHE-RSA-CAMELLIA128-SHA256", 0x00be, Tls12, Exchange::Dhe, Identity::Rsa, Camellia128, Sha256),
    row("DHE-DSS-CAMELLIA128-SHA256", 0x00bd, Tls12, Exchange::Dhe, Identity::Dss, Camellia128, Sha256),
    row("ADH-AES128-SHA256", 0x006c, Tls12, Exchange::Dhe, Identity::Nobody, Aes128, Sha256),
    row("ADH-CAMELLIA128-SHA256", 0x00bf, Tls12, Exchange::Dhe, Identity::Nobody, Camellia128, Sha256),
    row("ECDHE-ECDSA-AES256-SHA", 0xc00a, Tls10, Exchange::Ecdhe, Identity::Ecdsa, Aes256, Sha1),
    row("ECDHE-RSA-AES256-SHA", 0xc014, Tls10, Exchange::Ecdhe, Identity::Rsa, Aes256, Sha1),
    row("DHE-RSA-AES256-SHA", 0x0039, Ssl3, Exchange::Dhe, Identity::Rsa, Aes256, Sha1),
    row("DHE-DSS-AES256-SHA", 0x0038, Ssl3, Exchange::Dhe, Identity::Dss, Aes256, Sha1),
    row("DHE-RSA-CAMELLIA256-SHA", 0x0088, Ssl3, Exchange::Dhe, Identity::Rsa, Camellia256, Sha1),
    row("DHE-DSS-CAMELLIA256-SHA", 0x0087, Ssl3, Exchange::Dhe, Identity::Dss, Camellia256, Sha1),
    row("AECDH-AES256-SHA", 0xc019, Tls10, Exchange::Ecdhe, Identity::Nobody, Aes256, Sha1),
    row("ADH-AES256-SHA", 0x003a, Ssl3, Exchange::Dhe, Identity::Nobody, Aes256, Sha1),
    row("ADH-CAMELLIA256-SHA", 0x0089, Ssl3, Exchange::Dhe, Identity::Nobody, Camellia256, Sha1),
    row("ECDHE-ECDSA-AES128-SHA", 0xc009, Tls10, Exchange::Ecdhe, Identity::Ecdsa, Aes128, Sha1),
    row("ECDHE-RSA-AES128-SHA", 0xc013, Tls10, Exchange::Ecdhe, Identity::Rsa, Aes128, Sha1),
    row("DHE-RSA-AES128-SHA", 0x0033, Ssl3, Exchange::Dhe, Identity::Rsa, Aes128, Sha1),
    row("DHE-DSS-AES128-SHA", 0x0032, Ssl3, Exchange::Dhe, Identity::Dss, Aes128, Sha1),
    row("DHE-RSA-CAMELLIA128-SHA", 0x0045, Ssl3, Exchange::Dhe, Identity::Rsa, Camellia128, Sha1),
    row("DHE-DSS-CAMELLIA128-SHA", 0x0044, Ssl3, Exchange::Dhe, Identity::Dss, Camellia128, Sha1),
    row("AECDH-AES128-SHA", 0xc018, Tls10, Exchange::Ecdhe, Identity::Nobody, Aes128, Sha1),
    row("ADH-AES128-SHA", 0x0034, Ssl3, Exchange::Dhe, Identity::Nobody, Aes128, Sha1),
    row("ADH-CAMELLIA128-SHA", 0x0046, Ssl3, Exchange::Dhe, Identity::Nobody, Camellia128, Sha1),
    row("ECDHE-ECDSA-NULL-SHA", 0xc006, Tls10, Exchange::Ecdhe, Identity::Ecdsa, Null, Sha1),
    row("ECDHE-RSA-NULL-SHA", 0xc010, Tls10, Exchange::Ecdhe, Identity::Rsa, Null, Sha1),
    row("AECDH-NULL-SHA", 0xc015, Tls10, Exchange::Ecdhe, Identity::Nobody, Null, Sha1),
    row("RSA-PSK-AES256-GCM-SHA384", 0x00ad, Tls12, Exchange::RsaPsk, Identity::Rsa, Aes256Gcm, Aead),
    row("DHE-PSK-AES256-GCM-SHA384", 0x00ab, Tls12, Exchange::DhePsk, Identity::Psk, Aes256Gcm, Aead),
    row("RSA-PSK-CHACHA20-POLY1305", 0xccae, Tls12, Exchange::RsaPsk, Identity::Rsa, ChaCha20, Aead),
    row("DHE-PSK-CHACHA20-POLY1305", 0xccad, Tls12, Exchange::DhePsk, Identity::Psk, ChaCha20, Aead),
    row("ECDHE-PSK-CHACHA20-POLY1305", 0xccac, Tls12, Exchange::EcdhePsk, Identity::Psk, ChaCha20, Aead),
    row("DHE-PSK-AES256-CCM8", 0xc0ab, Tls12, Exchange::DhePsk, Identity::Psk, Aes256Ccm8, Aead),
    row("DHE-PSK-AES256-CCM", 0xc0a7, Tls12, Exchange::DhePsk, Identity::Psk, Aes256Ccm, Aead),
    row("RSA-PSK-ARIA256-GCM-SHA384", 0xc06f, Tls12, Exchange::RsaPsk, Identity::Rsa, Aria256, Aead),
    row("DHE-PSK-ARIA256-GCM-SHA384", 0xc06d, Tls12, Exchange::DhePsk, Identity::Psk, Aria256, Aead),
    row("AES256-GCM-SHA384", 0x009d, Tls12, Exchange::Rsa, Identity::Rsa, Aes256Gcm, Aead),
    row("AES256-CCM8", 0xc0a1, Tls12, Exchange::Rsa, Identity::Rsa, Aes256Ccm8, Aead),
    row("AES256-CCM", 0xc09d, Tls12, Exchange::Rsa, Identity::Rsa, Aes256Ccm, Aead),
    row("ARIA256-GCM-SHA384", 0xc051, Tls12, Exchange::Rsa, Identity::Rsa, Aria256, Aead),
    row("PSK-AES256-GCM-SHA384", 0x00a9, Tls12, Exchange::Psk, Identity::Psk, Aes256Gcm, Aead),
    row("PSK-CHACHA20-POLY1305", 0xccab, Tls12, Exchange::Psk, Identity::Psk, ChaCha20, Aead),
    row("PSK-AES256-CCM8", 0xc0a9, Tls12, Exchange::Psk, Identity::Psk, Aes256Ccm8, Aead),
    row("PSK-AES256-CCM", 0xc0a5, Tls12, Exchange::Psk, Identity::Psk, Aes256Ccm, Aead),
    row("PSK-ARIA256-GCM-SHA384", 0xc06b, Tls12, Exchange::Psk, Identity::Psk, Aria256, Aead),
    row("RSA-PSK-AES128-GCM-SHA256", 0x00ac, Tls12, Exchange::RsaPsk, Identity::Rsa, Aes128Gcm, Aead),
    row("DHE-PSK-AES128-GCM-SHA256", 0x00aa, Tls12, Exchange::DhePsk, Identity::Psk, Aes128Gcm, Aead),
    row("DHE-PSK-AES128-CCM8", 0xc0aa, Tls12, Exchange::DhePsk, Identity::Psk, Aes128Ccm8, Aead),
    row("DHE-PSK-AES128-CCM", 0xc0a6, Tls12, Exchange::DhePsk, Identity::Psk, Aes128Ccm, Aead),
    row("RSA-PSK-ARIA128-GCM-SHA256", 0xc06e, Tls12, Exchange::RsaPsk, Identity::Rsa, Aria128, Aead),
    row("DHE-PSK-ARIA128-GCM-SHA256", 0xc06c, Tls12, Exchange::DhePsk, Identity::Psk, Aria128, Aead),
    row("AES128-GCM-SHA256", 0x009c, Tls12, Exchange::Rsa, Identity::Rsa, Aes128Gcm, Aead),
    row("AES128-CCM8", 0xc0a0, Tls12, Exchange::Rsa, Identity::Rsa, Aes128Ccm8, Aead),
    row("AES128-CCM", 0xc09c, Tls12, Exchange::Rsa, Identity::Rsa, Aes128Ccm, Aead),
    row("ARIA128-GCM-SHA256", 0xc050, Tls12, Exchange::Rsa, Identity::Rsa, Aria128, Aead),
    row("PSK-AES128-GCM-SHA256", 0x00a8, Tls12, Exchange::Psk, Identity::Psk, Aes128Gcm, Aead),
    row("PSK-AES128-CCM8", 0xc0a8, Tls12, Exchange::Psk, Identity::Psk, Aes128Ccm8, Aead),
    row("PSK-AES128-CCM", 0xc0a4, Tls12, Exchange::Psk, Identity::Psk, Aes128Ccm, Aead),
    row("PSK-ARIA128-GCM-SHA256", 0xc06a, Tls12, Exchange::Psk, Identity::Psk, Aria128, Aead),
    row("AES256-SHA256", 0x003d, Tls12, Exchange::Rsa, Identity::Rsa, Aes256, Sha256),
    row("CAMELLIA256-SHA256", 0x00c0, Tls12, Exchange::Rsa, Identity::Rsa, Camellia256, Sha256),
    row("AES128-SHA256", 0x003c, Tls12, Exchange::Rsa, Identity::Rsa, Aes128, Sha256),
    row("CAMELLIA128-SHA256", 0x00ba, Tls12, Exchange::Rsa, Identity::Rsa, Camellia128, Sha256),
    row("NULL-SHA256", 0x003b, Tls12, Exchange::Rsa, Identity::Rsa, Null, Sha256),
    row("ECDHE-PSK-AES256-CBC-SHA384", 0xc038, Tls10, Exchange::EcdhePsk, Identity::Psk, Aes256, Sha384),
    row("ECDHE-PSK-AES256-CBC-SHA", 0xc036, Tls10, Exchange::EcdhePsk, Identity::Psk, Aes256, Sha1),
    row("SRP-DSS-AES-256-CBC-SHA", 0xc022, Ssl3, Exchange::Srp, Identity::Dss, Aes256, Sha1),
    row("SRP-RSA-AES-256-CBC-SHA", 0xc021, Ssl3, Exchange::Srp, Identity::Rsa, Aes256, Sha1),
    row("SRP-AES-256-CBC-SHA", 0xc020, Ssl3, Exchange::Srp, Identity::Srp, Aes256, Sha1),
    row("RSA-PSK-AES256-CBC-SHA384", 0x00b7, Tls10, Exchange::RsaPsk, Identity::Rsa, Aes256, Sha384),
    row("DHE-PSK-AES256-CBC-SHA384", 0x00b3, Tls10, Exchange::DhePsk, Identity::Psk, Aes256, Sha384),
    row("RSA-PSK-AES256-CBC-SHA", 0x0095, Ssl3, Exchange::RsaPsk, Identity::Rsa, Aes256, Sha1),
    row("DHE-PSK-AES256-CBC-SHA", 0x0091, Ssl3, Exchange::DhePsk, Identity::Psk, Aes256, Sha1),
    row(
        "ECDHE-PSK-CAMELLIA256-SHA384",
        0xc09b,
        Tls10,
        Exchange::EcdhePsk,
        Identity::Psk,
        Camellia256,
        Sha384,
    ),
    row("RSA-PSK-CAMELLIA256-SHA384", 0xc099, Tls10, Exchange::RsaPsk, Identity::Rsa, Camellia256, Sha384),
    row("DHE-PSK-CAMELLIA256-SHA384", 0xc097, Tls10, Exchange::DhePsk, Identity::Psk, Camellia256, Sha384),
    row("AES256-SHA", 0x0035, Ssl3, Exchange::Rsa, Identity::Rsa, Aes256, Sha1),
    row("CAMELLIA256-SHA", 0x0084, Ssl3, Exchange::Rsa, Identity::Rsa, Camellia256, Sha1),
    row("PSK-AES256-CBC-SHA384", 0x00af, Tls10, Exchange::Psk, Identity::Psk, Aes256, Sha384),
    row("PSK-AES256-CBC-SHA", 0x008d, Ssl3, Exchange::Psk, Identity::Psk, Aes256, Sha1),
    row("PSK-CAMELLIA256-SHA384", 0xc095, Tls10, Exchange::Psk, Identity::Psk, Camellia256, Sha384),
    row("ECDHE-PSK-AES128-CBC-SHA256", 0xc037, Tls10, Exchange::EcdhePsk, Identity::Psk, Aes128, Sha256),
    row("ECDHE-PSK-AES128-CBC-SHA", 0xc035, Tls10, Exchange::EcdhePsk, Identity::Psk, Aes128, Sha1),
    row("SRP-DSS-AES-128-CBC-SHA", 0xc01f, Ssl3, Exchange::Srp, Identity::Dss, Aes128, Sha1),
    row("SRP-RSA-AES-128-CBC-SHA", 0xc01e, Ssl3, Exchange::Srp, Identity::Rsa, Aes128, Sha1),
    row("SRP-AES-128-CBC-SHA", 0xc01d, Ssl3, Exchange::Srp, Identity::Srp, Aes128, Sha1),
    row("RSA-PSK-AES128-CBC-SHA256", 0x00b6, Tls10, Exchange::RsaPsk, Identity::Rsa, Aes128, Sha256),
    row("DHE-PSK-AES128-CBC-SHA256", 0x00b2, Tls10, Exchange::DhePsk, Identity::Psk, Aes128, Sha256),
    row("RSA-PSK-AES128-CBC-SHA", 0x0094, Ssl3, Exchange::RsaPsk, Identity::Rsa, Aes128, Sha1),
    row("DHE-PSK-AES128-CBC-SHA", 0x0090, Ssl3, Exchange::DhePsk, Identity::Psk, Aes128, Sha1),
    row(
        "ECDHE-PSK-CAMELLIA128-SHA256",
        0xc09a,
        Tls10,
        Exchange::EcdhePsk,
        Identity::Psk,
        Camellia128,
        Sha256,
    ),
    row("RSA-PSK-CAMELLIA128-SHA256", 0xc098, Tls10, Exchange::RsaPsk, Identity::Rsa, Camellia128, Sha256),
    row("DHE-PSK-CAMELLIA128-SHA256", 0xc096, Tls10, Exchange::DhePsk, Identity::Psk, Camellia128, Sha256),
    row("AES128-SHA", 0x002f, Ssl3, Exchange::Rsa, Identity::Rsa, Aes128, Sha1),
    row("CAMELLIA128-SHA", 0x0041, Ssl3, Exchange::Rsa, Identity::Rsa, Camellia128, Sha1),
    row("PSK-AES128-CBC-SHA256", 0x00ae, Tls10, Exchange::Psk, Identity::Psk, Aes128, Sha256),
    row("PSK-AES128-CBC-SHA", 0x008c, Ssl3, Exchange::Psk, Identity::Psk, Aes128, Sha1),
    row("PSK-CAMELLIA128-SHA256", 0xc094, Tls10, Exchange::Psk, Identity::Psk, Camellia128, Sha256),
    row("ECDHE-PSK-NULL-SHA384", 0xc03b, Tls10, Exchange::EcdhePsk, Identity::Psk, Null, Sha384),
    row("ECDHE-PSK-NULL-SHA256", 0xc03a, Tls10, Exchange::EcdhePsk, Identity::Psk, Null, Sha256),
    row("ECDHE-PSK-NULL-SHA", 0xc039, Tls10, Exchange::EcdhePsk, Identity::Psk, Null, Sha1),
    row("RSA-PSK-NULL-SHA384", 0x00b9, Tls10, Exchange::RsaPsk, Identity::Rsa, Null, Sha384),
    row("RSA-PSK-NULL-SHA256", 0x00b8, Tls10, Exchange::RsaPsk, Identity::Rsa, Null, Sha256),
    row("DHE-PSK-NULL-SHA384", 0x00b5, Tls10, Exchange::DhePsk, Identity::Psk, Null, Sha384),
    row("DHE-PSK-NULL-SHA256", 0x00b4, Tls10, Exchange::DhePsk, Identity::Psk, Null, Sha256),
    row("RSA-PSK-NULL-SHA", 0x002e, Ssl3, Exchange::RsaPsk, Identity::Rsa, Null, Sha1),
    row("DHE-PSK-NULL-SHA", 0x002d, Ssl3, Exchange::DhePsk, Identity::Psk, Null, Sha1),
    row("NULL-SHA", 0x0002, Ssl3, Exchange::Rsa, Identity::Rsa, Null, Sha1),
    row("NULL-MD5", 0x0001, Ssl3, Exchange::Rsa, Identity::Rsa, Null, Md5),
    row("PSK-NULL-SHA384", 0x00b1, Tls10, Exchange::Psk, Identity::Psk, Null, Sha384),
    row("PSK-NULL-SHA256", 0x00b0, Tls10, Exchange::Psk, Identity::Psk, Null, Sha256),
    row("PSK-NULL-SHA", 0x002c, Ssl3, Exchange::Psk, Identity::Psk, Null, Sha1),
    row("DES-CBC3-SHA", 0x000a, Ssl3, Exchange::Rsa, Identity::Rsa, TripleDes, Sha1),
    row("DHE-RSA-DES-CBC3-SHA", 0x0016, Ssl3, Exchange::Dhe, Identity::Rsa, TripleDes, Sha1),
    row("DHE-DSS-DES-CBC3-SHA", 0x0013, Ssl3, Exchange::Dhe, Identity::Dss, TripleDes, Sha1),
    row("ADH-DES-CBC3-SHA", 0x001b, Ssl3, Exchange::Dhe, Identity::Nobody, TripleDes, Sha1),
    row("ECDHE-ECDSA-DES-CBC3-SHA", 0xc008, Tls10, Exchange::Ecdhe, Identity::Ecdsa, TripleDes, Sha1),
    row("ECDHE-RSA-DES-CBC3-SHA", 0xc012, Tls10, Exchange::Ecdhe, Identity::Rsa, TripleDes, Sha1),
    row("AECDH-DES-CBC3-SHA", 0xc017, Tls10, Exchange::Ecdhe, Identity::Nobody, TripleDes, Sha1),
    row("PSK-3DES-EDE-CBC-SHA", 0x008b, Ssl3, Exchange::Psk, Identity::Psk, TripleDes, Sha1),
    row("DHE-PSK-3DES-EDE-CBC-SHA", 0x008f, Ssl3, Exchange::DhePsk, Identity::Psk, TripleDes, Sha1),
    row("RSA-PSK-3DES-EDE-CBC-SHA", 0x0093, Ssl3, Exchange::RsaPsk, Identity::Rsa, TripleDes, Sha1),
    row("ECDHE-PSK-3DES-EDE-CBC-SHA", 0xc034, Tls10, Exchange::EcdhePsk, Identity::Psk, TripleDes, Sha1),
    row("SRP-3DES-EDE-CBC-SHA", 0xc01a, Ssl3, Exchange::Srp, Identity::Srp, TripleDes, Sha1),
    row("SRP-RSA-3DES-EDE-CBC-SHA", 0xc01b, Ssl3, Exchange::Srp, Identity::Rsa, TripleDes, Sha1),
    row("SRP-DSS-3DES-EDE-CBC-SHA", 0xc01c, Ssl3, Exchange::Srp, Identity::Dss, TripleDes, Sha1),
    row("IDEA-CBC-SHA", 0x0007, Ssl3, Exchange::Rsa, Identity::Rsa, Idea, Sha1),
    row("SEED-SHA", 0x0096, Ssl3, Exchange::Rsa, Identity::Rsa, Seed, Sha1),
    row("DHE-RSA-SEED-SHA", 0x009a, Ssl3, Exchange::Dhe, Identity::Rsa, Seed, Sha1),
    row("DHE-DSS-SEED-SHA", 0x0099, Ssl3, Exchange::Dhe, Identity::Dss, Seed, Sha1),
    row("ADH-SEED-SHA", 0x009b, Ssl3, Exchange::Dhe, Identity::Nobody, Seed, Sha1),
    row("ECDHE-ECDSA-RC4-SHA", 0xc007, Tls10, Exchange::Ecdhe, Identity::Ecdsa, Rc4, Sha1),
    row("ECDHE-RSA-RC4-SHA", 0xc011, Tls10, Exchange::Ecdhe, Identity::Rsa, Rc4, Sha1),
    row("AECDH-RC4-SHA", 0xc016, Tls10, Exchange::Ecdhe, Identity::Nobody, Rc4, Sha1),
    row("ADH-RC4-MD5", 0x0018, Ssl3, Exchange::Dhe, Identity::Nobody, Rc4, Md5),
    row("PSK-RC4-SHA", 0x008a, Ssl3, Exchange::Psk, Identity::Psk, Rc4, Sha1),
    row("DHE-PSK-RC4-SHA", 0x008e, Ssl3, Exchange::DhePsk, Identity::Psk, Rc4, Sha1),
    row("RSA-PSK-RC4-SHA", 0x0092, Ssl3, Exchange::RsaPsk, Identity::Rsa, Rc4, Sha1),
    row("ECDHE-PSK-RC4-SHA", 0xc033, Tls10, Exchange::EcdhePsk, Identity::Psk, Rc4, Sha1),
    row("RC4-SHA", 0x0005, Ssl3, Exchange::Rsa, Identity::Rsa, Rc4, Sha1),
    row("RC4-MD5", 0x0004, Ssl3, Exchange::Rsa, Identity::Rsa, Rc4, Md5),
];
