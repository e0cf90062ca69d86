//! Messages in several frames (§5.4).

use crate::*;

const UNEXPECTED: &str = "1002 ws_bad_fragment: ContinuationUnexpected";
const MISSING: &str = "1002 ws_bad_fragment: ContinuationMissing";

#[test]
fn fragments_make_one_message_5_4() {
    check(&[(TEXT_FIRST, b"a"), (LAST, b"b")], "text <ab> end");
    check(&[(BINARY_FIRST, b"a"), (MIDDLE, b"b"), (MIDDLE, b"c"), (LAST, b"d")], "binary <abcd> end");
    check(&[(TEXT_FIRST, b""), (MIDDLE, b""), (LAST, b"")], "text end");
    check(&[(TEXT_FIRST, b""), (MIDDLE, b"middle"), (LAST, b"")], "text <middle> end");
    check(
        &[(TEXT_FIRST, b"a"), (LAST, b"b"), (BINARY_FIRST, b"c"), (LAST, b"d")],
        "text <ab> end binary <cd> end",
    );
}

#[test]
fn a_continuation_needs_a_message_5_4_t54() {
    for first in [MIDDLE, LAST] {
        check(&[(first, b"lost")], UNEXPECTED);
        check(&[(first, b"")], UNEXPECTED);
        check(&[(TEXT, b"a"), (first, b"lost")], &format!("text <a> end {UNEXPECTED}"));
        check(&[(TEXT_FIRST, b"a"), (LAST, b"b"), (first, b"lost")], &format!("text <ab> end {UNEXPECTED}"));
        check(&[(PING, b""), (first, b"lost")], &format!("ping() {UNEXPECTED}"));
    }
}

#[test]
fn a_message_does_not_begin_inside_another_5_4_t54() {
    for second in [TEXT, BINARY, TEXT_FIRST, BINARY_FIRST] {
        check(&[(TEXT_FIRST, b""), (second, b"b")], &format!("text {MISSING}"));
        check(&[(TEXT_FIRST, b""), (PING, b""), (second, b"")], &format!("text ping() {MISSING}"));
        check(&[(BINARY_FIRST, b""), (MIDDLE, b""), (second, b"b")], &format!("binary {MISSING}"));
    }
}

#[test]
fn every_cut_of_a_text_into_frames_says_the_same_5_4() {
    let text = "caf\u{e9} \u{20ac} \u{1d11e}".as_bytes();
    let expected = format!("text {} end", shown(text));
    for cut in 0..=text.len() {
        let (before, behind) = text.split_at(cut);
        check(&[(TEXT_FIRST, before), (LAST, behind)], &expected);
    }
    let mut frames: Vec<(u8, &[u8])> = text.chunks(1).map(|byte| (MIDDLE, byte)).collect();
    frames[0].0 = TEXT_FIRST;
    frames.push((LAST, b""));
    check(&frames, &expected);
}
