//! A certificate in a few lines.

use towpath_proto::x509::{Certificate, Name};

use crate::date::to_the_minute;

/// Most names that are told; some certificates of large sites have hundreds.
const NAMES_SHOWN_MAX: usize = 20;

/// What people look for in a certificate: key and value of each line.
pub(super) fn describe(der: &[u8]) -> Vec<(&'static str, String)> {
    match Certificate::parse(der) {
        Some(certificate) => lines(&certificate),
        None => vec![("unreadable", "this is no certificate".to_owned())],
    }
}

fn lines(certificate: &Certificate<'_>) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("subject", certificate.subject.to_string()),
        ("issuer", certificate.issuer.to_string()),
        (
            "valid",
            format!("{} to {}", to_the_minute(certificate.not_before), to_the_minute(certificate.not_after)),
        ),
        ("key", certificate.key.to_string()),
    ];
    if !certificate.names.is_empty() {
        lines.push(("names", names(&certificate.names)));
    }
    lines
}

fn names(names: &[Name<'_>]) -> String {
    let mut shown: Vec<String> = names.iter().take(NAMES_SHOWN_MAX).map(name).collect();
    if names.len() > NAMES_SHOWN_MAX {
        shown.push(format!("and {} more", names.len() - NAMES_SHOWN_MAX));
    }
    shown.join(", ")
}

fn name(name: &Name<'_>) -> String {
    match name {
        Name::Dns(text) | Name::Uri(text) | Name::Email(text) => (*text).to_owned(),
        Name::Ip(address) => address.to_string(),
    }
}
