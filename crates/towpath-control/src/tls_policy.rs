//! What a file or a person says about versions and suites of TLS, and `towpath tls ciphers`, which shows what comes of it.

use std::collections::BTreeMap;
use std::fmt::Write;

use towpath_config::nearest;
use towpath_proto::tls_policy::{
    CipherList, CiphersError, ProtocolsError, Suite, Version, Weakness, known_words, parse_protocols,
};

use crate::{Console, Exit};

/// Where a list of names is broken.
const COLUMNS: usize = 100;

/// The versions that `words` name.
///
/// # Errors
/// What was found and what would be right.
pub fn read_protocols<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Vec<Version>, String> {
    parse_protocols(words).map_err(|fault| match &fault {
        ProtocolsError::Unknown(word) => {
            with_nearest(&fault, word, Version::ALL.into_iter().map(Version::name))
        }
        _ => fault.to_string(),
    })
}

/// The suites that a cipher string of OpenSSL admits.
///
/// # Errors
/// What was found and what would be right.
pub fn read_ciphers(text: &str) -> Result<CipherList, String> {
    CipherList::parse(text).map_err(|fault| match &fault {
        CiphersError::UnknownWord(word) => with_nearest(&fault, word, known_words()),
        _ => fault.to_string(),
    })
}

fn with_nearest(
    fault: &dyn std::error::Error,
    word: &str,
    words: impl Iterator<Item = &'static str>,
) -> String {
    match nearest(word, words) {
        Some(right) => format!("{fault}; did you mean {right:?}?"),
        None => fault.to_string(),
    }
}

/// Tells what a cipher string admits, what of it is offered, and why the rest is not.
#[must_use]
pub fn explain_ciphers(text: &str) -> Exit {
    match read_ciphers(text) {
        Ok(list) => {
            Console::default().say(&told(&list));
            Exit::Clean
        }
        Err(message) => {
            Console::default().error("bad_ciphers", &message);
            Exit::BadConfiguration
        }
    }
}

fn told(list: &CipherList) -> String {
    let mut text = String::new();
    rows(&mut text, Version::Tls13.name(), list.tls13().iter().map(|suite| suite.name()));
    rows(&mut text, Version::Tls12.name(), list.tls12().iter().map(|suite| suite.name()));
    for (weakness, suites) in by_weakness(list.dropped()) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\ndropped, {weakness}: {}", suites.len());
        rows(&mut text, "", suites.into_iter().map(Suite::name));
    }
    if !list.obsolete().is_empty() {
        text.push_str("\nwithout meaning since OpenSSL 1.1\n");
        rows(&mut text, "", list.obsolete().iter().copied());
    }
    text
}

fn by_weakness(dropped: &[Suite]) -> BTreeMap<Weakness, Vec<Suite>> {
    let mut groups: BTreeMap<Weakness, Vec<Suite>> = BTreeMap::new();
    for suite in dropped {
        if let Some(weakness) = suite.weakness() {
            groups.entry(weakness).or_default().push(*suite);
        }
    }
    groups
}

/// Names behind their key, in as few lines as they fit.
fn rows(text: &mut String, key: &str, names: impl Iterator<Item = &'static str>) {
    let (mut key, mut row) = (key, String::new());
    for name in names {
        if row.len() + name.len() >= COLUMNS {
            let _ = writeln!(text, "{key:8} {row}");
            (key, row) = ("", String::new());
        }
        row.push_str(if row.is_empty() { "" } else { " " });
        row.push_str(name);
    }
    if !row.is_empty() {
        let _ = writeln!(text, "{key:8} {row}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_word_is_told_with_the_nearest_known_one_s36() {
        for (text, right) in [
            ("HIGH:!aNUL:!MD5", "did you mean \"aNULL\"?"),
            ("high", "did you mean \"HIGH\"?"),
            ("ECDHE-RSA-AES128-GCM-SHA255", "did you mean \"ECDHE-RSA-AES128-GCM-SHA256\"?"),
            ("TLS_AES_128_GCM_SHA265", "did you mean \"TLS_AES_128_GCM_SHA256\"?"),
        ] {
            let why = read_ciphers(text).unwrap_err();
            assert!(why.contains(right), "{why}");
        }
        assert!(read_protocols(["TLSv1.4"]).unwrap_err().contains("did you mean \"TLSv1."));
        assert!(read_protocols(["TLSv1.1"]).unwrap_err().contains("TLSv1.2 and TLSv1.3"));
    }

    #[test]
    fn every_suite_is_told_once_with_what_became_of_it_c3() {
        let list = read_ciphers("HIGH:!aNULL:!MD5").unwrap();
        let text = told(&list);
        let told: Vec<&str> = text.split_whitespace().collect();
        for suite in [list.tls12(), list.tls13(), list.dropped()].concat() {
            assert_eq!(told.iter().filter(|word| **word == suite.name()).count(), 1, "{suite} in {text}");
        }
        assert!(text.lines().all(|line| line.len() <= COLUMNS + 9), "{text}");
    }
}
