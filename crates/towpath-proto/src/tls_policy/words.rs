//! The words of a cipher string: names of suites, and keywords for what suites have in common (openssl-ciphers(1)).

use super::suites::{
    Cipher, Exchange, Identity, Mac, Oldest, REMOVED, Row, Row13, STANDARD_NAMES, SUITES, SUITES13,
};

/// What a keyword says of a suite.
type Holds = fn(&Row) -> bool;

/// What a word stands for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Word {
    /// Every suite of TLS 1.2 that it is true of.
    Keyword(Holds),
    /// One suite of TLS 1.2.
    Suite(&'static Row),
    /// One suite of TLS 1.3.
    Suite13(&'static Row13),
    /// Something that no OpenSSL has had since 1.1.
    Removed(&'static str),
}

/// What `word` stands for, exactly as written: OpenSSL too tells `aNULL` from `ANULL`.
pub(super) fn find(word: &str) -> Option<Word> {
    keyword(word).or_else(|| suite(word)).or_else(|| suite13(word)).or_else(|| removed(word))
}

/// Every word, to look for the one that somebody meant.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    let keywords = KEYWORDS.iter().map(|(name, _)| *name).chain(["DEFAULT"]);
    let suites = SUITES.iter().map(|row| row.name).chain(SUITES13.iter().map(|row| row.name));
    keywords.chain(suites).chain(STANDARD_NAMES.iter().map(|(name, _)| *name))
}

fn keyword(word: &str) -> Option<Word> {
    KEYWORDS.iter().find(|(name, _)| *name == word).map(|(_, holds)| Word::Keyword(*holds))
}

fn suite(word: &str) -> Option<Word> {
    let name = ALIASES.iter().find(|(alias, _)| *alias == word).map_or(word, |(_, name)| name);
    let standard = STANDARD_NAMES.iter().find(|(standard, _)| *standard == word).map(|(_, iana)| *iana);
    SUITES.iter().find(|row| row.name == name || Some(row.iana) == standard).map(Word::Suite)
}

fn suite13(word: &str) -> Option<Word> {
    SUITES13.iter().find(|row| row.name == word).map(Word::Suite13)
}

fn removed(word: &str) -> Option<Word> {
    REMOVED.iter().chain(REMOVED_KEYWORDS).find(|name| **name == word).map(|name| Word::Removed(name))
}

/// OpenSSL's older names.
const ALIASES: &[(&str, &str)] =
    &[("EDH-RSA-DES-CBC3-SHA", "DHE-RSA-DES-CBC3-SHA"), ("EDH-DSS-DES-CBC3-SHA", "DHE-DSS-DES-CBC3-SHA")];

/// Keywords whose last suite is gone.
const REMOVED_KEYWORDS: &[&str] = &[
    "LOW",
    "EXP",
    "EXPORT",
    "EXPORT40",
    "EXPORT56",
    "DES",
    "RC2",
    "SSLv2",
    "KRB5",
    "kKRB5",
    "aKRB5",
    "kDHr",
    "kDHd",
    "aDH",
    "kECDHr",
    "kECDHe",
    "aECDH",
    "FZA",
    "eFZA",
    "kGOST",
    "aGOST",
    "aGOST01",
    "aGOST94",
    "aGOST12",
    "GOST89",
    "GOST89MAC",
    "GOST94",
    "GOST12",
    "kGOST18",
];

const KEYWORDS: &[(&str, Holds)] = &[
    ("ALL", |row| !row.is_null()),
    ("COMPLEMENTOFALL", Row::is_null),
    ("COMPLEMENTOFDEFAULT", Row::is_beyond_default),
    ("HIGH", Row::is_high),
    ("MEDIUM", Row::is_medium),
    ("FIPS", is_fips),
    // How a secret is made.
    ("kRSA", |row| row.exchange == Exchange::Rsa),
    ("kDHE", is_dhe),
    ("kEDH", is_dhe),
    ("DH", is_dhe),
    ("DHE", |row| is_dhe(row) && !row.is_anonymous()),
    ("EDH", |row| is_dhe(row) && !row.is_anonymous()),
    ("ADH", |row| is_dhe(row) && row.is_anonymous()),
    ("kECDHE", is_ecdhe),
    ("kEECDH", is_ecdhe),
    ("ECDH", is_ecdhe),
    ("ECDHE", |row| is_ecdhe(row) && !row.is_anonymous()),
    ("EECDH", |row| is_ecdhe(row) && !row.is_anonymous()),
    ("AECDH", |row| is_ecdhe(row) && row.is_anonymous()),
    ("PSK", Row::has_psk),
    ("kPSK", |row| row.exchange == Exchange::Psk),
    ("kRSAPSK", |row| row.exchange == Exchange::RsaPsk),
    ("kDHEPSK", |row| row.exchange == Exchange::DhePsk),
    ("kECDHEPSK", |row| row.exchange == Exchange::EcdhePsk),
    ("SRP", |row| row.exchange == Exchange::Srp),
    ("kSRP", |row| row.exchange == Exchange::Srp),
    // Who signs.
    ("RSA", |row| row.exchange == Exchange::Rsa && row.identity == Identity::Rsa),
    ("aRSA", |row| row.identity == Identity::Rsa),
    ("aECDSA", |row| row.identity == Identity::Ecdsa),
    ("ECDSA", |row| row.identity == Identity::Ecdsa),
    ("aDSS", |row| row.identity == Identity::Dss),
    ("DSS", |row| row.identity == Identity::Dss),
    ("aPSK", |row| row.identity == Identity::Psk),
    ("aSRP", |row| row.identity == Identity::Srp),
    ("aNULL", Row::is_anonymous),
    // How it is encrypted.
    ("eNULL", Row::is_null),
    ("NULL", Row::is_null),
    ("AES", |row| row.is_aes128() || row.is_aes256()),
    ("AES128", Row::is_aes128),
    ("AES256", Row::is_aes256),
    ("AESGCM", |row| matches!(row.cipher, Cipher::Aes128Gcm | Cipher::Aes256Gcm)),
    ("AESCCM", Row::is_ccm),
    ("AESCCM8", Row::is_ccm8),
    ("CHACHA20", |row| row.cipher == Cipher::ChaCha20),
    ("CAMELLIA", |row| matches!(row.cipher, Cipher::Camellia128 | Cipher::Camellia256)),
    ("CAMELLIA128", |row| row.cipher == Cipher::Camellia128),
    ("CAMELLIA256", |row| row.cipher == Cipher::Camellia256),
    ("ARIA", is_aria),
    ("ARIAGCM", is_aria),
    ("ARIA128", |row| row.cipher == Cipher::Aria128),
    ("ARIA256", |row| row.cipher == Cipher::Aria256),
    ("CBC", Row::is_cbc),
    ("3DES", |row| row.cipher == Cipher::TripleDes),
    ("RC4", |row| row.cipher == Cipher::Rc4),
    ("IDEA", |row| row.cipher == Cipher::Idea),
    ("SEED", |row| row.cipher == Cipher::Seed),
    // How it is authenticated. A GCM suite's hash is not its MAC, so `SHA256` does not mean it.
    ("MD5", |row| row.mac == Mac::Md5),
    ("SHA", |row| row.mac == Mac::Sha1),
    ("SHA1", |row| row.mac == Mac::Sha1),
    ("SHA256", |row| row.mac == Mac::Sha256),
    ("SHA384", |row| row.mac == Mac::Sha384),
    // Since when it exists.
    ("SSLv3", |row| row.oldest == Oldest::Ssl3),
    ("TLSv1", |row| row.oldest == Oldest::Tls10),
    ("TLSv1.0", |row| row.oldest == Oldest::Tls10),
    ("TLSv1.2", |row| row.oldest == Oldest::Tls12),
];

fn is_dhe(row: &Row) -> bool {
    row.exchange == Exchange::Dhe
}

fn is_ecdhe(row: &Row) -> bool {
    row.exchange == Exchange::Ecdhe
}

fn is_aria(row: &Row) -> bool {
    matches!(row.cipher, Cipher::Aria128 | Cipher::Aria256)
}

/// What NIST's standard had when the keyword was last revised: AES without CCM, and triple DES.
fn is_fips(row: &Row) -> bool {
    let is_cipher = (row.is_aes128() || row.is_aes256()) && !row.is_ccm() || row.cipher == Cipher::TripleDes;
    is_cipher && row.exchange != Exchange::Srp
}
