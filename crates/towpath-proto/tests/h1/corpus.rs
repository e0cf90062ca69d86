//! The 460 collected requests through the decoder: one verdict each, and no hazard in what is accepted.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;
use towpath_proto::field::{is_name, is_value};
use towpath_proto::h1::{Event, HeadLimits, RequestDecoder};
use towpath_proto::message::{Known, RequestHead, Version};

use crate::transcript::{requests, verdict};

/// One request of the corpus.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    /// Some peer let a hazard through to its origin.
    pub(crate) is_known_hazard: bool,
}

/// Set this variable to write the verdicts down anew after a deliberate change, and read the diff.
const UPDATE_VARIABLE: &str = "UPDATE";

#[test]
fn every_corpus_request_has_its_recorded_verdict() {
    let mut found = String::new();
    let mut summary = BTreeMap::new();
    for (number, case) in cases().iter().enumerate() {
        let transcript = requests(&case.bytes);
        let heads_count = transcript.lines().filter(|line| line.starts_with("Head ")).count();
        let verdict = verdict(&transcript);
        *summary.entry((verdict.to_owned(), heads_count)).or_insert(0) += 1;
        writeln!(found, "{number:03} {heads_count} accepted, then {verdict} | {}", case.name)
            .expect("a String");
    }
    writeln!(found, "\nverdicts:").expect("a String");
    for ((verdict, heads_count), count) in summary {
        writeln!(found, "{count:4} x {heads_count} accepted, then {verdict}").expect("a String");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/h1/corpus_verdicts.txt");
    if std::env::var_os(UPDATE_VARIABLE).is_some() {
        std::fs::write(&path, &found).expect("the snapshot can be written");
    }
    let recorded = std::fs::read_to_string(&path).expect("the snapshot is committed");
    for (found, recorded) in found.lines().zip(recorded.lines()) {
        assert_eq!(found, recorded, "set {UPDATE_VARIABLE}=1 to record a deliberate change");
    }
    assert_eq!(found.lines().count(), recorded.lines().count());
}

#[test]
fn no_accepted_corpus_request_carries_a_hazard_t01() {
    let mut known_hazards_count = 0;
    for case in cases() {
        known_hazards_count += usize::from(case.is_known_hazard);
        for_each_head(&case.bytes, |head, block| {
            let hazards = hazards_of(head, block);
            assert!(hazards.is_empty(), "{}: {hazards:?} in {}", case.name, block.escape_ascii());
        });
    }
    assert_eq!(known_hazards_count, 28, "the corpus names 28 cases that led a peer astray");
}

#[test]
fn of_the_known_hazards_only_whole_requests_are_accepted_t01() {
    for case in cases().iter().filter(|case| case.is_known_hazard) {
        let mut is_last_refused = false;
        let transcript = requests(&case.bytes);
        for line in transcript.lines() {
            assert!(!is_last_refused, "{}: something follows a refusal", case.name);
            is_last_refused = line.starts_with('4') || line.starts_with('5');
        }
    }
}

/// All requests of the corpus, in order.
pub(crate) fn cases() -> Vec<Case> {
    let text = std::fs::read(corpus_path()).expect("the corpus is committed");
    let corpus: Value = serde_json::from_slice(&text).expect("the corpus is JSON");
    let cases: Vec<Case> = corpus.as_array().expect("an array").iter().map(case_of).collect();
    assert_eq!(cases.len(), 460);
    cases
}

fn corpus_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/corpus/http1-requests.json")
}

fn case_of(case: &Value) -> Case {
    let text = |key: &str| case[key].as_str().expect("a string").to_owned();
    let hazards = case["peers"].as_object().expect("an object").values().flat_map(|peer| {
        peer["hazards"].as_array().expect("an array").iter().filter(|&hazard| hazard != "partial-left")
    });
    Case {
        name: format!("{}: {}", text("source"), text("name")),
        bytes: decode_base64(&text("request_base64")),
        is_known_hazard: hazards.count() > 0,
    }
}

fn decode_base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut bits_count) = (0u32, 0);
    for digit in text.bytes().filter(|&digit| digit != b'=') {
        let value = DIGITS.iter().position(|&known| known == digit).expect("a base64 digit");
        bits = bits << 6 | value as u32;
        bits_count += 6;
        if bits_count >= 8 {
            bits_count -= 8;
            bytes.push((bits >> bits_count) as u8);
        }
    }
    bytes
}

fn for_each_head(input: &[u8], mut check: impl FnMut(&RequestHead, &[u8])) {
    let mut decoder = RequestDecoder::new(HeadLimits::default());
    let mut unread = input;
    while let Ok(step) = decoder.handle_input(unread) {
        if step.event == Some(Event::Head) {
            check(decoder.head(), &unread[..step.consumed]);
        }
        unread = &unread[step.consumed..];
        if step.event.is_none() {
            break;
        }
    }
}

/// What an origin might read differently, in the words of the corpus.
fn hazards_of(head: &RequestHead, block: &[u8]) -> Vec<String> {
    let mut hazards = Vec::new();
    let count = |known| head.fields.iter().filter(|field| field.known == known).count();
    let (hosts, lengths, codings) =
        (count(Known::Host), count(Known::ContentLength), count(Known::TransferEncoding));
    if hosts > 1 || (hosts == 0 && head.version == Version::Http11) {
        hazards.push("host!=1".to_owned());
    }
    if lengths + codings > 1 {
        hazards.push("CL+TE or 2xCL".to_owned());
    }
    for field in &head.fields {
        let (name, value) = (field.name.of(block), field.value.of(block));
        if !is_name(name) || !is_value(value) {
            hazards.push(format!("bad field {}: {}", name.escape_ascii(), value.escape_ascii()));
        }
        let letters: Vec<u8> = name.iter().filter(|byte| byte.is_ascii_alphabetic()).copied().collect();
        // The gateway drops every name with `_` (T42), so that these never reach an origin.
        let is_lookalike = field.known == Known::Other && letters.eq_ignore_ascii_case(b"transferencoding");
        if is_lookalike && !name.contains(&b'_') {
            hazards.push(format!("te-lookalike {}", name.escape_ascii()));
        }
    }
    hazards
}
