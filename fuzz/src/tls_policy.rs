//! Invariants of cipher strings and protocol lists.

use towpath_proto::tls_policy::{
    CipherList, CiphersError, Suite, TlsPolicy, Version, known_words, parse_protocols,
};

/// Takes `input` as a string, and then as a list of known words, so that most of it means something.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    check_text(&text);
    check_text(&known(input));
    if let Ok(versions) = parse_protocols(text.split(',')) {
        assert!(versions.is_sorted() && (1..=2).contains(&versions.len()));
    }
}

/// Two bytes choose a sign and a word.
fn known(input: &[u8]) -> String {
    let words: Vec<&str> = known_words().collect();
    let signs = ["", "!", "-", "+", "@STRENGTH:", "@SECLEVEL=2:"];
    let joins = [":", "+", ","];
    let part = |pair: &[u8]| {
        let (first, second) = (usize::from(pair[0]), usize::from(pair[pair.len() - 1]));
        let word = words[(first * 256 + second) % words.len()];
        format!("{}{word}{}", signs[first % signs.len()], joins[second % joins.len()])
    };
    let text: String = input.chunks(2).map(part).collect();
    text.trim_end_matches([':', '+', ',']).to_owned()
}

fn check_text(text: &str) {
    let list = match CipherList::parse(text) {
        Ok(list) => list,
        Err(CiphersError::NothingLeft(dropped)) => return check_dropped(&dropped),
        Err(fault) => return assert!(!fault.to_string().is_empty()),
    };
    let safe = [list.tls13(), list.tls12()].concat();
    assert!(!safe.is_empty() && safe.iter().all(|suite| suite.is_safe()), "{text}");
    check_distinct(&safe);
    check_dropped(list.dropped());
    for versions in [&Version::ALL[..], &Version::ALL[..1], &Version::ALL[1..]] {
        if let Ok(policy) = TlsPolicy::new(versions, &list) {
            assert!(policy.suites().iter().all(|suite| versions.contains(&suite.version())));
        }
    }
}

fn check_dropped(dropped: &[Suite]) {
    assert!(dropped.iter().all(|suite| suite.weakness().is_some()));
    check_distinct(dropped);
}

fn check_distinct(suites: &[Suite]) {
    let mut numbers: Vec<u16> = suites.iter().map(|suite| suite.iana()).collect();
    numbers.sort_unstable();
    assert!(numbers.windows(2).all(|pair| pair[0] != pair[1]), "no suite twice");
}
