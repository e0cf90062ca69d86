//! A certificate in a few lines.

use std::net::IpAddr;

use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::Oid;
use x509_parser::parse_x509_certificate;
use x509_parser::prelude::{ASN1Time, SubjectPublicKeyInfo, X509Certificate};
use x509_parser::public_key::PublicKey;

/// Most names that are told; some certificates of large sites have hundreds.
const NAMES_SHOWN_MAX: usize = 20;

/// Curves and keys by their object identifiers (RFC 5480 §2.1.1.1, RFC 8410 §3).
const KEYS: &[(&str, &str)] = &[
    ("1.2.840.10045.3.1.7", "ECDSA P-256"),
    ("1.3.132.0.34", "ECDSA P-384"),
    ("1.3.132.0.35", "ECDSA P-521"),
    ("1.3.101.112", "Ed25519"),
    ("1.3.101.113", "Ed448"),
];

/// What people look for in a certificate: key and value of each line.
pub(super) fn describe(der: &[u8]) -> Vec<(&'static str, String)> {
    match parse_x509_certificate(der) {
        Ok((_, certificate)) => lines(&certificate),
        Err(fault) => vec![("unreadable", fault.to_string())],
    }
}

fn lines(certificate: &X509Certificate<'_>) -> Vec<(&'static str, String)> {
    let validity = certificate.validity();
    let mut lines = vec![
        ("subject", certificate.subject().to_string()),
        ("issuer", certificate.issuer().to_string()),
        ("valid", format!("{} to {}", date(validity.not_before), date(validity.not_after))),
        ("key", key(certificate.public_key())),
    ];
    if let Some(names) = names(certificate) {
        lines.push(("names", names));
    }
    lines
}

fn date(time: ASN1Time) -> String {
    let date = time.to_datetime();
    let (hour, minute) = (date.hour(), date.minute());
    format!("{}-{:02}-{:02} {hour:02}:{minute:02}Z", date.year(), u8::from(date.month()), date.day())
}

fn key(key: &SubjectPublicKeyInfo<'_>) -> String {
    let parameters = key.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
    let of =
        |oid: &Oid<'_>| KEYS.iter().find(|(number, _)| *number == oid.to_id_string()).map(|(_, name)| *name);
    let known = parameters.as_ref().and_then(of).or_else(|| of(&key.algorithm.algorithm));
    match (known, key.parsed()) {
        (Some(name), _) => name.to_owned(),
        (None, Ok(PublicKey::RSA(rsa))) => format!("RSA {}", rsa.key_size()),
        (None, _) => format!("of kind {}", key.algorithm.algorithm),
    }
}

fn names(certificate: &X509Certificate<'_>) -> Option<String> {
    let names = &certificate.subject_alternative_name().ok()??.value.general_names;
    let mut shown: Vec<String> = names.iter().take(NAMES_SHOWN_MAX).map(name).collect();
    if names.len() > NAMES_SHOWN_MAX {
        shown.push(format!("and {} more", names.len() - NAMES_SHOWN_MAX));
    }
    Some(shown.join(", "))
}

fn name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(text) | GeneralName::URI(text) | GeneralName::RFC822Name(text) => {
            (*text).to_owned()
        }
        GeneralName::IPAddress(bytes) => {
            address(bytes).map_or_else(|| "a bad address".to_owned(), |ip| ip.to_string())
        }
        other => other.to_string(),
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    four.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from))
}
