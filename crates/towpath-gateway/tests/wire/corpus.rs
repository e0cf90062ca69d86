//! The 460 collected requests through a running gateway, each on its own connection: the origin behind it must find
//! nothing that it could read otherwise than the gateway did.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::gateway::Gateway;
use crate::verdict::{Outcome, final_outcome};

#[test]
fn no_corpus_request_brings_a_hazard_to_the_origin_t01() {
    let cases = cases();
    assert_eq!(cases.len(), 460);
    let mut verdicts: BTreeMap<String, usize> = BTreeMap::new();
    let mut hazards = Vec::new();
    for (name, bytes) in &cases {
        let outcome = final_outcome(Gateway::new(), bytes);
        *verdicts.entry(verdict(&outcome)).or_default() += 1;
        let found: Vec<_> =
            outcome.hazards().into_iter().filter(|&hazard| hazard != "partial-left").collect();
        if !found.is_empty() {
            hazards.push(format!("{name}: {found:?} in {outcome}: {}", bytes.escape_ascii()));
        }
        // Whatever came, the connection does not stay for ever.
        assert!(outcome.is_closed, "{name}: {outcome}");
    }
    let table: String = verdicts.iter().map(|(verdict, count)| format!("{count:4} {verdict}\n")).collect();
    assert!(hazards.is_empty(), "{}", hazards.join("\n"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/corpus_verdicts.txt");
    if std::env::var_os(towpath_testkit::snapshot::UPDATE_VARIABLE).is_some() {
        std::fs::write(&path, &table).expect("the table can be written");
    }
    assert_eq!(std::fs::read_to_string(&path).expect("the table is committed"), table);
}

/// `forwarded` when the origin answered every request, the answers otherwise, and what the clock had to end.
fn verdict(outcome: &Outcome) -> String {
    let answers = outcome.answers();
    let own: Vec<&str> = answers.iter().filter(|answer| *answer != "200").map(|answer| &**answer).collect();
    match (outcome.requests.len(), own.first()) {
        (0, None) => "closed without an answer".to_owned(),
        (0, Some(own)) => format!("refused: {own}"),
        (count, None) => format!("forwarded {count}"),
        (count, Some(own)) => format!("forwarded {count}, then refused: {own}"),
    }
}

fn cases() -> Vec<(String, Vec<u8>)> {
    let text = std::fs::read(corpus_path()).expect("the corpus is committed");
    let corpus: Value = serde_json::from_slice(&text).expect("the corpus is JSON");
    let cases = corpus.as_array().expect("the corpus is a list");
    cases
        .iter()
        .map(|case| {
            let text = |key: &str| case[key].as_str().expect("a text").to_owned();
            (text("name"), base64(&text("request_base64")))
        })
        .collect()
}

fn corpus_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/corpus/http1-requests.json")
}

/// RFC 4648 §4.
fn base64(text: &str) -> Vec<u8> {
    let (mut out, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for byte in text.bytes().filter(|&byte| byte != b'=') {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => panic!("no base64: {text}"),
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}
