//! The same strings given to the real OpenSSL.

use std::collections::BTreeSet;
use std::process::Command;

use towpath_proto::tls_policy::{CipherList, CiphersError, Suite};

/// Strings of real files, of every kind of step, and of every keyword that both sides have.
const STRINGS: &[&str] = &[
    "HIGH:!aNULL:!MD5",
    "ALL",
    "DEFAULT",
    "DEFAULT:!CAMELLIA",
    "DEFAULT@STRENGTH",
    "COMPLEMENTOFDEFAULT:ECDHE",
    "COMPLEMENTOFALL:ECDHE",
    "HIGH:!aNULL:!MD5:!3DES:!CAMELLIA:!AES128",
    "EECDH+AESGCM:EDH+AESGCM",
    "EECDH+AESGCM:EDH+AESGCM:AES256+EECDH:AES256+EDH",
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
     ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:\
     DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305",
    "ECDH+AESGCM:ECDH+CHACHA20:DH+AESGCM:DH+AES256:RSA+AESGCM:!aNULL:!MD5:!DSS",
    "kEECDH+ECDSA:kEECDH:kEDH:HIGH:!SHA:!MD5:!aNULL:!eNULL:!RC4",
    "ALL:!aNULL:!ADH:!eNULL:!LOW:!EXP:RC4+RSA:+HIGH:+MEDIUM",
    "ALL:-aRSA:ECDHE:+AES256:@STRENGTH",
    "AES128:AES256:CHACHA20@STRENGTH",
    "AESGCM:-aRSA:ECDHE+AESGCM",
    "HIGH:-AES:AES128:+aECDSA",
    "CHACHA20:AESGCM:!AES256:-CHACHA20:CHACHA20",
    "HIGH:+AESGCM:+kECDHE:-aRSA:AES",
    "ECDHE+AESGCM:!ECDHE-RSA-AES128-GCM-SHA256",
    "HIGH:!kRSA:!kDHE:!PSK:!SRP",
    "PSK:ECDHE",
    "SRP:kRSAPSK:kDHEPSK:kECDHEPSK:kPSK:aPSK:aSRP:ECDHE",
    "ADH:AECDH:DSS:aDSS:ECDHE",
    "SHA1:SHA256:SHA384:MD5:SHA:ECDHE",
    "SSLv3:TLSv1:TLSv1.0:TLSv1.2",
    "TLSv1.2:!SHA256:!SHA384",
    "AESCCM:AESCCM8:ARIA:ARIA128:ARIA256:ARIAGCM:CAMELLIA128:CAMELLIA256:ECDHE+AESGCM",
    "CBC:ECDHE",
    "FIPS",
    "MEDIUM:LOW:HIGH",
    "eNULL:NULL:EECDH",
    "kRSA:aRSA:@STRENGTH:aECDSA",
    "ECDHE AESGCM;!AES256,!aECDSA",
    "ALL:!ECDHE",
    "AES128-SHA:AES256-SHA",
];

/// Whose level takes suites away, which `-s` shows.
const LEVELS: &[&str] =
    &["HIGH:@SECLEVEL=0", "HIGH:@SECLEVEL=3", "HIGH:!aNULL@SECLEVEL=4", "ALL:@SECLEVEL=5:!aNULL"];

/// What OpenSSL admits, in its order. `None` if nothing, and if there is no OpenSSL here.
fn ciphers(arguments: &[&str]) -> Option<Vec<String>> {
    let output = Command::new("openssl").arg("ciphers").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().split(':').map(str::to_owned).collect())
}

/// Our own answer: safe in order, and everything.
fn ours(text: &str) -> (Vec<String>, BTreeSet<String>) {
    let (safe, dropped) = match CipherList::parse(text) {
        Ok(list) => ([list.tls13(), list.tls12()].concat(), list.dropped().to_vec()),
        Err(CiphersError::NothingLeft(dropped)) => (Vec::new(), dropped),
        Err(fault) => panic!("{text}: {fault}"),
    };
    let names = |suites: &[Suite]| suites.iter().map(|suite| suite.name().to_owned()).collect::<Vec<_>>();
    let all = names(&safe).into_iter().chain(names(&dropped)).collect();
    (names(&safe), all)
}

fn is_safe(name: &str) -> bool {
    let safe = ours("ALL").0;
    safe.iter().any(|other| other == name)
}

#[test]
fn the_safe_suites_are_openssls_in_openssls_order_s36() {
    if ciphers(&["ALL"]).is_none() {
        return;
    }
    for (text, arguments) in STRINGS
        .iter()
        .map(|text| (*text, vec![*text]))
        .chain(LEVELS.iter().map(|text| (*text, vec!["-s", text])))
    {
        let mut expected = ciphers(&arguments).unwrap_or_default();
        expected.retain(|name| is_safe(name));
        // A string without a safe suite of TLS 1.2 is refused, whatever OpenSSL would still do with TLS 1.3.
        if !expected.iter().any(|name| name.starts_with("ECDHE")) {
            expected.clear();
        }
        assert_eq!(ours(text).0, expected, "{text}");
    }
}

#[test]
fn what_is_dropped_is_what_openssl_admits_c3() {
    let Some(known) = ciphers(&["ALL:COMPLEMENTOFALL"]) else {
        return;
    };
    let everything = ours("ALL:COMPLEMENTOFALL").1;
    for text in STRINGS {
        let theirs = ciphers(&[text]).unwrap_or_default().into_iter();
        let is_no_13 = |name: &String| !name.starts_with("TLS_");
        let theirs: BTreeSet<String> =
            theirs.filter(|name| everything.contains(name)).filter(is_no_13).collect();
        // Suites that this OpenSSL was built without cannot be compared.
        let own: BTreeSet<String> =
            ours(text).1.into_iter().filter(|name| known.contains(name)).filter(is_no_13).collect();
        assert_eq!(own, theirs, "{text}");
    }
}

#[test]
fn every_suite_of_this_openssl_is_in_the_table_c3() {
    let known = ciphers(&["ALL:COMPLEMENTOFALL"]).unwrap_or_default();
    let everything = ours("ALL:COMPLEMENTOFALL").1;
    let missing: Vec<&String> = known.iter().filter(|name| !everything.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
