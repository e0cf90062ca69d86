//! Which versions and suites of TLS a file asks for, in the words of nginx and OpenSSL, and what of it is safe.
//!
//! Files say `protocols = ["TLSv1.2", "TLSv1.3"]` and `ciphers = "HIGH:!aNULL:!MD5"`. The second is a little language
//! whose meaning is a list that OpenSSL builds, and most of what common strings admit should not be offered any
//! more. So the whole string is obeyed, in OpenSSL's order, and then cut down to what is safe; what fell out is named.
//!
//! ```text
//!   words --parse_protocols--> versions ----------------------+
//!                                                             +--> TlsPolicy: the suites of each version
//!   string --CipherList::parse--> TLS 1.2, TLS 1.3, dropped --+
//! ```
//!
//! **Safe** are the suites with a fresh elliptic-curve key and a cipher that authenticates what it encrypts: six of
//! TLS 1.2 and three of TLS 1.3, the ones that rustls has.
//!
//! **The string and TLS 1.3.** To OpenSSL the string speaks of TLS 1.2 and older only; the three suites of TLS 1.3 are
//! there whatever it says. So they are here, unless the string names suites of TLS 1.3 itself, which OpenSSL would
//! not understand: those it adds are then all there are, in its order.
//!
//! **`@STRENGTH`** sorts what has been admitted so far by key bits, the largest first, and leaves equals in their
//! order; what is added later follows. **`@SECLEVEL=n`** is obeyed where it asks for more than is safe anyway: 4 wants
//! 192 bits of a suite and 5 wants 256, in TLS 1.3 too. Lower levels change nothing: they cannot make unsafe suites
//! safe, and key sizes in certificates are not the string's business here.

use std::fmt;

pub use ciphers::CiphersError;
pub use protocols::{ProtocolsError, parse_protocols};

use suites::{Cipher, Exchange, Mac, Row, Row13};

mod ciphers;
mod list;
mod protocols;
mod suites;
mod words;

/// Longest cipher string. The longest that generators write has 1 KiB; parsing takes words times suites.
pub const CIPHERS_BYTES_MAX: usize = 4 * 1024;

/// A version that may be spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// A suite that OpenSSL knows by a name.
#[derive(Clone, Copy)]
pub struct Suite(Kind);

#[derive(Clone, Copy)]
enum Kind {
    Tls12(&'static Row),
    Tls13(&'static Row13),
}

/// Why a suite is not offered: the first reason that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Weakness {
    /// Everyone on the way reads along.
    NoEncryption,
    /// The server does not say who it is, so anyone may be it.
    Anonymous,
    /// RC4, triple DES, IDEA, SEED or MD5.
    BrokenCipher,
    /// Who gets the server's key later reads what was recorded before.
    NoForwardSecrecy,
    /// Block chaining with a MAC before it, from Lucky Thirteen on attacked again and again.
    Cbc,
    /// Finite-field Diffie-Hellman: the server chooses the group, and the client cannot judge it (RFC 9325 §4.1).
    FiniteField,
    /// Shared keys and passwords, or DSS, ARIA and CCM: nothing is wrong with some of them, and nobody has them.
    Uncommon,
}

/// A cipher string, obeyed and cut down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CipherList {
    tls12: Vec<Suite>,
    tls13: Vec<Suite>,
    dropped: Vec<Suite>,
    obsolete: Vec<&'static str>,
    security_level: Option<u8>,
}

/// What may be spoken: at least one suite for every version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsPolicy {
    versions: Vec<Version>,
    suites: Vec<Suite>,
}

/// A version that is to be spoken has no suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuite(pub Version);

impl TlsPolicy {
    /// The suites of `ciphers` that `versions` can use.
    ///
    /// # Errors
    /// One of the versions has none.
    pub fn new(versions: &[Version], ciphers: &CipherList) -> Result<Self, NoSuite> {
        let of = |version: &Version| match version {
            Version::Tls12 => ciphers.tls12(),
            Version::Tls13 => ciphers.tls13(),
        };
        match versions.iter().find(|version| of(version).is_empty()) {
            Some(version) => Err(NoSuite(*version)),
            // The newest version first: its suites are preferred whatever their order (RFC 8446 §4.2.1).
            None => Ok(Self {
                versions: versions.to_vec(),
                suites: versions.iter().rev().flat_map(of).copied().collect(),
            }),
        }
    }

    /// The versions, the oldest first.
    pub fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// The suites, the favourite first, those of TLS 1.3 before those of TLS 1.2.
    pub fn suites(&self) -> &[Suite] {
        &self.suites
    }
}

impl CipherList {
    /// Obeys a cipher string, whose parts stand between `:`, `,`, `;` or spaces.
    ///
    /// # Errors
    /// A part that OpenSSL does not know, which it would ignore, and a string that admits no safe suite.
    pub fn parse(text: &str) -> Result<Self, CiphersError> {
        ciphers::parse(text)
    }

    /// The safe suites of TLS 1.2 it admits, the favourite first. Empty only if it names suites of TLS 1.3.
    pub fn tls12(&self) -> &[Suite] {
        &self.tls12
    }

    /// The safe suites of TLS 1.3, the favourite first: all three unless the string says otherwise.
    pub fn tls13(&self) -> &[Suite] {
        &self.tls13
    }

    /// What an OpenSSL that was built with everything would have admitted too, and is not safe.
    pub fn dropped(&self) -> &[Suite] {
        &self.dropped
    }

    /// Words it adds that have had no meaning since OpenSSL 1.1, such as `EXPORT`.
    pub fn obsolete(&self) -> &[&'static str] {
        &self.obsolete
    }

    /// What `@SECLEVEL` says, 0 to 5.
    pub fn security_level(&self) -> Option<u8> {
        self.security_level
    }
}

/// Every word a cipher string may hold, to find the one nearest to a word that is not among them.
pub fn known_words() -> impl Iterator<Item = &'static str> {
    words::all()
}

impl Version {
    /// Both, the oldest first.
    pub const ALL: [Self; 2] = [Self::Tls12, Self::Tls13];

    /// nginx's spelling.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }

    /// The number on the wire (RFC 8446 §4.2.1).
    pub fn number(self) -> u16 {
        match self {
            Self::Tls12 => 0x0303,
            Self::Tls13 => 0x0304,
        }
    }
}

impl Suite {
    fn tls12(row: &'static Row) -> Self {
        Self(Kind::Tls12(row))
    }

    fn tls13(row: &'static Row13) -> Self {
        Self(Kind::Tls13(row))
    }

    /// The newest version that uses it; none older than TLS 1.2 is spoken here.
    pub fn version(self) -> Version {
        match self.0 {
            Kind::Tls12(_) => Version::Tls12,
            Kind::Tls13(_) => Version::Tls13,
        }
    }

    /// The suite with this number of IANA's, if OpenSSL has a name for it.
    pub fn from_iana(number: u16) -> Option<Self> {
        let tls13 = suites::SUITES13.iter().find(|row| row.iana == number).map(Self::tls13);
        tls13.or_else(|| suites::SUITES.iter().find(|row| row.iana == number).map(Self::tls12))
    }

    /// OpenSSL's name.
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Tls12(row) => row.name,
            Kind::Tls13(row) => row.name,
        }
    }

    /// IANA's number.
    pub fn iana(self) -> u16 {
        match self.0 {
            Kind::Tls12(row) => row.iana,
            Kind::Tls13(row) => row.iana,
        }
    }

    /// Bits of strength.
    pub fn bits(self) -> u16 {
        match self.0 {
            Kind::Tls12(row) => row.bits(),
            Kind::Tls13(row) => row.bits,
        }
    }

    /// Whether it may be offered.
    pub fn is_safe(self) -> bool {
        self.weakness().is_none()
    }

    /// Why it may not.
    pub fn weakness(self) -> Option<Weakness> {
        match self.0 {
            Kind::Tls12(row) if row.is_safe() => None,
            Kind::Tls12(row) => Some(weakness(row)),
            Kind::Tls13(row) => (!row.is_safe()).then_some(Weakness::Uncommon),
        }
    }

    fn weakness_text(self) -> &'static str {
        self.weakness().map_or("safe", Weakness::text)
    }
}

fn weakness(row: &Row) -> Weakness {
    match row.exchange {
        _ if row.is_null() => Weakness::NoEncryption,
        _ if row.is_anonymous() => Weakness::Anonymous,
        _ if row.is_medium() || row.mac == Mac::Md5 => Weakness::BrokenCipher,
        Exchange::Rsa | Exchange::RsaPsk | Exchange::Psk => Weakness::NoForwardSecrecy,
        _ if row.is_cbc() => Weakness::Cbc,
        Exchange::Dhe if !is_uncommon(row) => Weakness::FiniteField,
        _ => Weakness::Uncommon,
    }
}

fn is_uncommon(row: &Row) -> bool {
    row.identity == suites::Identity::Dss
        || row.is_ccm()
        || matches!(row.cipher, Cipher::Aria128 | Cipher::Aria256)
}

impl Weakness {
    /// In a few words.
    pub fn text(self) -> &'static str {
        match self {
            Self::NoEncryption => "no encryption",
            Self::Anonymous => "no certificate",
            Self::BrokenCipher => "a broken cipher",
            Self::NoForwardSecrecy => "no forward secrecy",
            Self::Cbc => "CBC",
            Self::FiniteField => "finite-field Diffie-Hellman",
            Self::Uncommon => "uncommon",
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PartialEq for Suite {
    fn eq(&self, other: &Self) -> bool {
        self.iana() == other.iana()
    }
}

impl Eq for Suite {}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Display for NoSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the cipher string leaves no safe suite for {}; add one, or take {} out of the protocols",
            self.0, self.0
        )
    }
}

impl std::error::Error for NoSuite {}
