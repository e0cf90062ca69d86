//! Who a certificate is for.

use std::net::IpAddr;

use rcgen::{DistinguishedName, DnType, SanType};

/// X.520's bound on a common name. Longer names stand in the alternatives alone, where clients look anyway.
const COMMON_NAME_CHARS_MAX: usize = 64;

/// RFC 1035 §2.3.4.
const DNS_NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// SPIFFE-ID §2.3.
const SPIFFE_BYTES_MAX: usize = 2_048;

/// The name of a file holds 255 bytes on every usual file system, its ending included.
const STEM_CHARS_MAX: usize = 200;

/// A name that a server can be asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// In lower case; the first label may be `*`.
    Dns(String),
    Address(IpAddr),
    /// A SPIFFE id.
    Workload(String),
}

/// A client. What has the form of a name is an alternative name too; anything else is a common name alone.
#[derive(Debug)]
pub(super) struct Client {
    text: String,
    name: Option<Name>,
}

impl Name {
    /// Reads a name, or says what would have been right.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.trim_matches(['[', ']']).parse() {
            return Ok(Self::Address(address));
        }
        if text.contains("://") {
            return is_spiffe(text).then(|| Self::Workload(text.to_owned())).ok_or_else(|| {
                format!("{text:?}: of URIs only SPIFFE ids can be names: spiffe://trust.domain/a/path")
            });
        }
        let name = text.to_ascii_lowercase();
        let host = name.strip_prefix("*.").unwrap_or(&name);
        match is_host(host) {
            true => Ok(Self::Dns(name)),
            false => Err(format!(
                "{text:?}: write a host name, *.host.name, an address or a spiffe:// URI, without port"
            )),
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Dns(name) | Self::Workload(name) => name.clone(),
            Self::Address(address) => address.to_string(),
        }
    }

    pub(super) fn is_workload(&self) -> bool {
        matches!(self, Self::Workload(_))
    }

    /// As it stands in the certificate.
    pub(super) fn alternative(&self) -> Result<SanType, rcgen::Error> {
        Ok(match self {
            Self::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
            Self::Address(address) => SanType::IpAddress(*address),
            Self::Workload(id) => SanType::URI(id.as_str().try_into()?),
        })
    }

    /// The name of its files without their ending.
    pub(super) fn stem(&self) -> String {
        match self {
            Self::Dns(name) => stem(&name.replacen('*', "_wildcard", 1)),
            Self::Address(address) => stem(&address.to_string()),
            Self::Workload(id) => stem(id.trim_start_matches("spiffe://")),
        }
    }

    /// A host of a URL that the certificate is good for, as far as one can be told.
    pub(super) fn host(&self) -> String {
        match self {
            Self::Dns(name) => name.replacen('*', "www", 1),
            Self::Address(IpAddr::V6(address)) => format!("[{address}]"),
            Self::Address(address) => address.to_string(),
            Self::Workload(_) => "localhost".to_owned(),
        }
    }
}

impl Client {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            return Err(format!("{text:?}: write a name without control characters"));
        }
        // What looks like a URI must be one; any other text is a name for people.
        let name = Name::parse(text);
        match name {
            Err(why) if text.contains("://") => Err(why),
            Err(_) if text.chars().count() > COMMON_NAME_CHARS_MAX => {
                Err(format!("{text:?}: a common name has {COMMON_NAME_CHARS_MAX} characters at most"))
            }
            name => Ok(Self { text: text.to_owned(), name: name.ok() }),
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn alternative(&self) -> Result<Option<SanType>, rcgen::Error> {
        self.name.as_ref().map(Name::alternative).transpose()
    }

    pub(super) fn stem(&self) -> String {
        self.name.as_ref().map_or_else(|| stem(&self.text), Name::stem)
    }
}

/// A subject for people to read; no client decides by it.
pub(super) fn subject(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    let fits = !name.is_empty() && name.chars().count() <= COMMON_NAME_CHARS_MAX;
    subject.push(DnType::CommonName, if fits { name } else { "Towpath development" });
    subject
}

/// An alternative name as a person writes it.
pub(super) fn shown(name: &SanType) -> String {
    match name {
        SanType::DnsName(name) | SanType::URI(name) => name.as_str().to_owned(),
        SanType::IpAddress(address) => address.to_string(),
        other => format!("{other:?}"),
    }
}

fn stem(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let stem: String = text.chars().take(STEM_CHARS_MAX).map(plain).collect();
    // Neither hidden nor another folder.
    if stem.starts_with('.') { format!("_{stem}") } else { stem }
}

fn is_host(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // What ends in a number is an address that somebody mistyped, and clients read it as one (WHATWG URL §3.5).
    let is_number =
        host.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    host.len() <= DNS_NAME_BYTES_MAX && !is_number && host.split('.').all(is_label)
}

/// SPIFFE-ID §2.
fn is_spiffe(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("spiffe://").filter(|_| text.len() <= SPIFFE_BYTES_MAX) else {
        return false;
    };
    let mut parts = rest.split('/');
    let is_domain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    let is_segment = |part: &str| {
        let is_plain = part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        is_plain && !matches!(part, "" | "." | "..")
    };
    let domain = parts.next().unwrap_or_default();
    !domain.is_empty() && domain.chars().all(is_domain) && parts.all(is_segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stem_of(text: &str) -> String {
        Name::parse(text).map_or_else(|why| why, |name| name.stem())
    }

    #[test]
    fn every_kind_of_name_has_a_file_of_its_own_inside_the_folder() {
        assert_eq!(stem_of("App.Example.Test"), "app.example.test");
        assert_eq!(stem_of("*.example.test"), "_wildcard.example.test");
        assert_eq!(stem_of("127.0.0.1"), "127.0.0.1");
        assert_eq!(stem_of("[::1]"), "__1");
        assert_eq!(stem_of("spiffe://example.org/shop/web"), "example.org_shop_web");
        assert_eq!(stem("../../etc/passwd"), "_.._.._etc_passwd");
        assert_eq!(stem(&"a".repeat(300)).len(), STEM_CHARS_MAX);
    }

    #[test]
    fn what_no_client_could_ask_for_is_refused_with_what_would_be_right() {
        let long = format!("{}.test", "a".repeat(64));
        for text in [
            "",
            ".",
            "a b",
            "host:8443",
            "-a.test",
            "a..test",
            "*",
            "*.*.test",
            "a.*.test",
            "1.2.3",
            "ä.test",
            &long,
        ] {
            let why = Name::parse(text).unwrap_err();
            assert!(why.contains("write a host name"), "{text}: {why}");
        }
        for text in
            ["https://a.test", "spiffe://", "spiffe://A/x", "spiffe://a/", "spiffe://a//b", "spiffe://a/../b"]
        {
            let why = Name::parse(text).unwrap_err();
            assert!(why.contains("spiffe://trust.domain/a/path"), "{text}: {why}");
        }
    }

    #[test]
    fn a_client_is_any_name_for_people() {
        assert_eq!(Client::parse("Alice Liddell").unwrap().stem(), "Alice_Liddell");
        assert_eq!(Client::parse("Alice Liddell").unwrap().alternative(), Ok(None));
        assert!(Client::parse("spiffe://a.test/web").unwrap().alternative().unwrap().is_some());
        for text in ["", " ", "a\nb", "https://a.test", &"a b".repeat(30)] {
            assert!(Client::parse(text).is_err(), "{text:?}");
        }
    }
}
