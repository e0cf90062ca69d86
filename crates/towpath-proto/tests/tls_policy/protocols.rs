//! Lists of protocols.

use towpath_proto::tls_policy::{Version, parse_protocols};

use crate::fault_text;

#[track_caller]
fn check(words: &[&str], expected: &str) {
    let found = match parse_protocols(words.iter().copied()) {
        Ok(versions) => versions.iter().map(|version| version.name()).collect::<Vec<_>>().join(" "),
        Err(fault) => fault_text(&fault),
    };
    assert_eq!(found, expected, "{words:?}");
}

#[test]
fn versions_come_out_in_order_and_once_however_they_are_written_s36() {
    check(&["TLSv1.2", "TLSv1.3"], "TLSv1.2 TLSv1.3");
    check(&["TLSv1.3", "TLSv1.2", "TLSv1.3"], "TLSv1.2 TLSv1.3");
    check(&["TLSv1.2 TLSv1.3"], "TLSv1.2 TLSv1.3");
    check(&["tlsv1.3"], "TLSv1.3");
    assert_eq!((Version::Tls12.number(), Version::Tls13.number()), (0x0303, 0x0304));
}

#[test]
fn an_old_version_is_refused_beside_good_ones_too_and_the_right_ones_are_named_s36() {
    for old in ["SSLv2", "SSLv3", "TLSv1", "TLSv1.0", "TLSv1.1"] {
        let right = "is broken and withdrawn; TLSv1.2 and TLSv1.3 are what there is";
        check(&[old], &format!("fault: {old} {right}"));
        check(&["TLSv1.3", old], &format!("fault: {old} {right}"));
    }
}

#[test]
fn what_is_no_version_or_nothing_is_refused_s36() {
    check(&["TLS1.3"], "fault: \"TLS1.3\" is no version of TLS; TLSv1.2 and TLSv1.3 are what there is");
    check(&["", " "], "fault: no version of TLS is named; TLSv1.2 and TLSv1.3 are what there is");
    check(&[], "fault: no version of TLS is named; TLSv1.2 and TLSv1.3 are what there is");
}
