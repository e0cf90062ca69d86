//! Cipher strings.

use towpath_proto::tls_policy::{
    CIPHERS_BYTES_MAX, CipherList, CiphersError, NoSuite, Suite, TlsPolicy, Version, Weakness, known_words,
};

use crate::{names, outcome};

const ALL13: &str = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";
const ALL12: &str = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:\
    ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256";

fn parsed(text: &str) -> CipherList {
    CipherList::parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

#[track_caller]
fn check_fault(text: &str, expected: &str) {
    let found = outcome(text);
    assert!(found.starts_with("fault: ") && found.contains(expected), "{text}: {found}");
}

#[test]
fn the_usual_string_admits_every_safe_suite_and_what_else_is_named_c3() {
    let list = parsed("HIGH:!aNULL:!MD5");
    assert_eq!((names(list.tls13()).as_str(), names(list.tls12()).as_str()), (ALL13, ALL12));
    let count = |weakness| list.dropped().iter().filter(|suite| suite.weakness() == Some(weakness)).count();
    assert_eq!(
        (count(Weakness::NoEncryption), count(Weakness::Anonymous), count(Weakness::BrokenCipher)),
        (0, 0, 0)
    );
    assert!(count(Weakness::Cbc) > 20 && count(Weakness::NoForwardSecrecy) > 20, "{:?}", list.dropped());
    for name in ["ECDHE-RSA-AES256-SHA384", "AES128-SHA", "DHE-RSA-AES128-GCM-SHA256", "AES256-GCM-SHA384"] {
        assert!(names(list.dropped()).split(':').any(|other| other == name), "{name} is admitted by OpenSSL");
    }
}

#[test]
fn order_is_what_the_string_says_s36() {
    let expect = |text: &str, expected: &str| assert_eq!(names(parsed(text).tls12()), expected, "{text}");
    expect(
        "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384",
    );
    expect("CHACHA20+aRSA:AES256+aECDSA", "ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384");
    expect(
        "EECDH+AESGCM,+AES256",
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
         ECDHE-RSA-AES256-GCM-SHA384",
    );
    // What was taken away by a minus comes back in its place before all others; what a `!` forbade does not.
    expect(
        "AESGCM:-aRSA:ECDHE+AESGCM",
        "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:\
        ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256",
    );
    expect("!AES128 ECDHE+AESGCM", "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384");
    expect(
        "AES128+EECDH+AESGCM:CHACHA20@STRENGTH",
        "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256:\
         ECDHE-RSA-AES128-GCM-SHA256",
    );
    expect("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256");
}

#[test]
fn the_string_chooses_suites_of_tls_1_3_only_by_their_names() {
    let expect = |text: &str, expected: &str| assert_eq!(names(parsed(text).tls13()), expected, "{text}");
    expect("ECDHE+AES128+AESGCM", ALL13);
    expect("TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384");
    expect("HIGH:TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256");
    expect("HIGH:!TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
    expect(
        "HIGH:+TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384",
    );
    expect(
        "!TLS_AES_128_GCM_SHA256:HIGH:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384",
        "TLS_AES_256_GCM_SHA384",
    );
    let list = parsed("TLS_AES_128_CCM_SHA256:TLS_AES_128_GCM_SHA256");
    assert_eq!(
        (names(list.tls13()), names(list.dropped())),
        ("TLS_AES_128_GCM_SHA256".into(), "TLS_AES_128_CCM_SHA256".into())
    );
}

#[test]
fn a_security_level_only_ever_asks_for_more() {
    let names_at = |text: &str| (names(parsed(text).tls13()), names(parsed(text).tls12()));
    assert_eq!(names_at("HIGH@SECLEVEL=0"), (ALL13.into(), ALL12.into()));
    assert_eq!(names_at("HIGH:@SECLEVEL=3"), (ALL13.into(), ALL12.into()));
    let (tls13, tls12) = names_at("@SECLEVEL=5:HIGH");
    assert!(!tls13.contains("128_GCM") && !tls12.contains("AES128"), "{tls13} {tls12}");
    assert_eq!(parsed("HIGH@SECLEVEL=4").security_level(), Some(4));
    assert_eq!(parsed("HIGH").security_level(), None);
}

#[test]
fn what_openssl_would_ignore_in_silence_is_a_fault_s36() {
    check_fault("HIGH:!aNUL:!MD5", "\"aNUL\" is neither a suite nor a keyword of OpenSSL");
    check_fault("high", "\"high\" is neither");
    check_fault("ECDHE+AESGMC", "\"AESGMC\" is neither");
    check_fault("ECDHE++AESGCM", "\"\" is neither");
    check_fault("HIGH:!", "nothing stands behind '!'");
    check_fault("HIGH:@STRENGHT", "\"@STRENGHT\" is no command");
    check_fault("HIGH:@SECLEVEL=6", "\"@SECLEVEL=6\" is no command");
    check_fault("HIGH:@", "\"@\" is no command");
    check_fault("HIGH:DEFAULT", "DEFAULT works only at the start");
    check_fault("!DEFAULT", "DEFAULT works only at the start");
    check_fault("SUITEB128", "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384");
    check_fault("HIGH:é", "\"é\" is neither");
    check_fault(&"A:".repeat(CIPHERS_BYTES_MAX), "4096 bytes at most");
}

#[test]
fn a_string_that_leaves_nothing_safe_says_what_it_admits_s36() {
    check_fault("", "no suite is left; HIGH:!aNULL:!MD5");
    check_fault(":::", "no suite is left");
    check_fault("HIGH:!ALL", "no suite is left");
    check_fault("AES128-SHA", "what the string admits is AES128-SHA (no forward secrecy); ");
    check_fault("ECDHE+SHA1+AES", "ECDHE-ECDSA-AES256-SHA (CBC) and 3 more;");
    check_fault("aNULL", "(no certificate)");
    check_fault("eNULL", "(no encryption)");
    for text in ["RC4", "3DES", "MEDIUM"] {
        check_fault(text, "(a broken cipher)");
    }
    check_fault("DHE+AESGCM", "what the string admits");
    check_fault("DHE-RSA-AES128-GCM-SHA256", "(finite-field Diffie-Hellman)");
    check_fault("EXPORT:LOW", "no suite is left");
}

#[test]
fn words_of_the_past_are_known_and_told_unless_they_are_forbidden() {
    let list =
        parsed("EECDH+AESGCM:!EXPORT:!DES:!LOW:!KRB5-DES-CBC3-SHA:!aECDH:!EDH-RSA-DES-CBC3-SHA:!SSLv2");
    assert!(list.obsolete().is_empty() && list.tls12().len() == 4);
    assert_eq!(parsed("HIGH:EXPORT:ECDH-RSA-AES128-SHA").obsolete(), ["EXPORT", "ECDH-RSA-AES128-SHA"]);
}

#[test]
fn a_version_without_a_suite_is_refused_s36() {
    let policy = |versions: &[Version], text: &str| TlsPolicy::new(versions, &parsed(text));
    assert_eq!(policy(&[Version::Tls12], "TLS_AES_128_GCM_SHA256"), Err(NoSuite(Version::Tls12)));
    let without13 = "HIGH:!TLS_AES_128_GCM_SHA256:!TLS_AES_256_GCM_SHA384:!TLS_CHACHA20_POLY1305_SHA256";
    assert_eq!(policy(&Version::ALL, without13), Err(NoSuite(Version::Tls13)));
    let both = policy(&Version::ALL, "ECDHE-RSA-AES128-GCM-SHA256").unwrap();
    assert_eq!(names(both.suites()), format!("{ALL13}:ECDHE-RSA-AES128-GCM-SHA256"));
    assert_eq!(names(policy(&[Version::Tls12], without13).unwrap().suites()), ALL12);
    let message = NoSuite(Version::Tls12).to_string();
    assert!(message.contains("TLSv1.2"), "{message}");
}

#[test]
fn numbers_and_names_belong_to_one_suite_each() {
    assert_eq!(Suite::from_iana(0xc02f).map(Suite::name), Some("ECDHE-RSA-AES128-GCM-SHA256"));
    assert_eq!(Suite::from_iana(0x1301).map(Suite::version), Some(Version::Tls13));
    assert_eq!(Suite::from_iana(0xffff), None);
    let mut words: Vec<&str> = known_words().collect();
    let count = words.len();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), count, "no word twice");
    for word in words {
        let fault = CipherList::parse(word).err();
        assert!(!matches!(fault, Some(CiphersError::UnknownWord(_))), "{word}");
    }
}
