//! Names and dates of certificates.

#![allow(clippy::unwrap_used, reason = "a helper of tests fails the test")]

use std::net::IpAddr;

use rcgen::{CertificateParams, DnType, KeyPair, SanType, date_time_ymd};
use towpath_proto::x509::{Certificate, Name};

fn certificate(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.not_before = date_time_ymd(2020, 2, 29);
    params.not_after = date_time_ymd(2055, 3, 1);
    change(&mut params);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

fn shown(certificate: &Certificate<'_>) -> String {
    format!("{} {} {}", certificate.subject, certificate.issuer, certificate.key)
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

#[test]
fn names_and_dates_are_read() {
    let ip: IpAddr = "2001:db8::1".parse().unwrap();
    let der = certificate(|params| {
        params.distinguished_name.push(DnType::CommonName, "the name");
        params.subject_alt_names = vec![dns("A.example.com"), uri("spiffe://td/app"), SanType::IpAddress(ip)];
    });
    let read = Certificate::parse(&der).unwrap();
    assert_eq!((read.not_before, read.not_after), (1_582_934_400, 2_687_472_000));
    assert_eq!(read.common_name, Some("the name"));
    let names = [Name::Dns("A.example.com"), Name::Uri("spiffe://td/app"), Name::Ip(ip)];
    assert_eq!(read.names, names);
    assert_eq!(read.dns_names(), ["a.example.com"]);
    assert!(read.is_current(1_582_934_400) && !read.is_current(1_582_934_399));
}

#[test]
fn what_people_ask_of_a_certificate_is_told() {
    let der = certificate(|params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CountryName, "NL");
        params.distinguished_name.push(DnType::OrganizationName, "Towpath");
        params.distinguished_name.push(DnType::CustomDnType(vec![1, 2, 840, 99]), "x");
        params.distinguished_name.push(DnType::CommonName, "caf\u{e9}");
        params.subject_alt_names = vec![SanType::Rfc822Name("a@b.example".try_into().unwrap())];
    });
    let read = Certificate::parse(&der).unwrap();
    assert_eq!(read.subject.to_string(), "C=NL, O=Towpath, 1.2.840.99=x, CN=caf\u{e9}");
    assert_eq!(read.issuer, read.subject);
    assert_eq!(read.key.to_string(), "ECDSA P-256");
    assert_eq!(read.names, [Name::Email("a@b.example")]);
    assert!(!read.is_authority);
}

#[test]
fn only_an_authority_is_one_rfc5280_4_2_1_9() {
    use rcgen::{BasicConstraints, IsCa};
    for (is_ca, expected) in [
        (IsCa::NoCa, false),
        (IsCa::ExplicitNoCa, false),
        (IsCa::Ca(BasicConstraints::Unconstrained), true),
        (IsCa::Ca(BasicConstraints::Constrained(0)), true),
    ] {
        let der = certificate(|params| params.is_ca = is_ca);
        assert_eq!(Certificate::parse(&der).unwrap().is_authority, expected, "{is_ca:?}");
    }
}

#[test]
fn keys_are_told_by_kind_and_size() {
    let told = |algorithm| {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let der = CertificateParams::default().self_signed(&key).unwrap().der().to_vec();
        let read = Certificate::parse(&der).unwrap();
        assert_eq!(read.key.bytes, rcgen::PublicKeyData::der_bytes(&key));
        read.key.to_string()
    };
    assert_eq!(told(&rcgen::PKCS_ECDSA_P384_SHA384), "ECDSA P-384");
    assert_eq!(told(&rcgen::PKCS_ED25519), "Ed25519");
}

#[test]
fn the_identity_is_a_uri_before_a_dns_name_before_the_common_name() {
    let identity = |names: Vec<SanType>| {
        let der = certificate(|params| {
            params.distinguished_name.push(DnType::CommonName, "common");
            params.subject_alt_names = names;
        });
        Certificate::parse(&der).unwrap().identity().map(str::to_owned)
    };
    assert_eq!(identity(vec![dns("a"), uri("spiffe://td/b")]).as_deref(), Some("spiffe://td/b"));
    assert_eq!(identity(vec![dns("a")]).as_deref(), Some("a"));
    assert_eq!(identity(Vec::new()).as_deref(), Some("common"));
}

#[test]
fn an_identity_that_could_forge_a_field_is_none_t42() {
    for name in ["a\r\nx-client-identity: root", "caf\u{e9}", " a", ""] {
        let der = certificate(|params| params.distinguished_name.push(DnType::CommonName, name));
        assert_eq!(Certificate::parse(&der).unwrap().identity(), None, "{name:?}");
    }
}

#[test]
fn what_is_cut_or_changed_never_panics() {
    let der =
        certificate(|params| params.subject_alt_names = vec![dns("a.example.com"), uri("spiffe://td/b")]);
    for end in 0..der.len() {
        assert_eq!(Certificate::parse(&der[..end]), None, "{end}");
    }
    for position in 0..der.len() {
        for byte in [0, 0x30, 0x7f, 0x80, 0x84, 0xff] {
            let mut changed = der.clone();
            changed[position] = byte;
            let _ = Certificate::parse(&changed).map(|read| (read.dns_names(), shown(&read)));
        }
    }
}
