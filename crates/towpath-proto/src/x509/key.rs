//! Public keys, as far as people want to know of them.

use std::fmt;

use super::der::{Reader, tag, write_object};

/// The public key of a certificate (RFC 5280 §4.1.2.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey<'a> {
    /// The encoded object identifier of its kind: that of its curve, where it has one.
    kind: &'a [u8],
    /// The key itself, in the form that its kind has for it.
    pub bytes: &'a [u8],
}

/// Kinds by their encoded object identifiers (RFC 5480 §2.1.1.1, RFC 8410 §3).
const KINDS: &[(&[u8], &str)] = &[
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07], "ECDSA P-256"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x22], "ECDSA P-384"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x23], "ECDSA P-521"),
    (&[0x2b, 0x65, 0x70], "Ed25519"),
    (&[0x2b, 0x65, 0x71], "Ed448"),
];

/// `rsaEncryption` (RFC 8017 §A.1).
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

impl<'a> PublicKey<'a> {
    pub(super) fn read(info: &'a [u8]) -> Option<Self> {
        let mut info = Reader::new(info);
        let mut algorithm = Reader::new(info.take(tag::SEQUENCE)?);
        let kind = algorithm.take(tag::OBJECT)?;
        let curve = algorithm.take(tag::OBJECT);
        // The first byte counts the bits at the end that are none; a key is whole bytes.
        let (_, bytes) = info.take(tag::BITS)?.split_first()?;
        Some(Self { kind: curve.unwrap_or(kind), bytes })
    }

    /// Bits of the modulus of an RSA key.
    fn rsa_bits(&self) -> Option<u32> {
        let modulus = Reader::new(Reader::new(self.bytes).take(tag::SEQUENCE)?).take(tag::INTEGER)?;
        let zeros = modulus.iter().take_while(|&&byte| byte == 0).count();
        let digits = modulus.get(zeros..)?;
        let bits = u32::try_from(digits.len()).ok()?.checked_mul(u8::BITS)?;
        Some(bits - digits.first()?.leading_zeros())
    }
}

/// `ECDSA P-256`, `RSA 2048`.
impl fmt::Display for PublicKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((_, name)) = KINDS.iter().find(|(kind, _)| *kind == self.kind) {
            return f.write_str(name);
        }
        match self.rsa_bits().filter(|_| self.kind == RSA) {
            Some(bits) => write!(f, "RSA {bits}"),
            None => {
                f.write_str("of kind ")?;
                write_object(self.kind, f)
            }
        }
    }
}
