//! Texts (§8.1, RFC 3629).

use crate::*;

const REFUSED: &str = "1007 ws_bad_text: Utf8";

/// In one frame, and cut into two frames and into frames of a byte.
#[track_caller]
fn check_text(text: &[u8], expected: &str) {
    check(&[(TEXT, text)], expected);
    for cut in 0..=text.len() {
        let (before, behind) = text.split_at(cut);
        let found = transcript(&[(TEXT_FIRST, before), (LAST, behind)]);
        assert_eq!(found, expected, "cut at {cut}: {}", text.escape_ascii());
    }
    let mut frames: Vec<(u8, &[u8])> = vec![(TEXT_FIRST, b"")];
    frames.extend(text.chunks(1).map(|byte| (MIDDLE, byte)));
    frames.push((LAST, b""));
    assert_eq!(transcript(&frames), expected, "a byte a frame: {}", text.escape_ascii());
}

fn transcript(frames: &[(u8, &[u8])]) -> String {
    let wire: Vec<u8> = frames.iter().flat_map(|(first, payload)| frame(*first, payload)).collect();
    Reader::new(Role::Client, WsLimits::default(), None).read(&[&wire])
}

#[track_caller]
fn check_good(text: &[u8]) {
    check_text(text, &format!("text {} end", shown(text)));
}

#[track_caller]
fn check_bad(text: &[u8]) {
    check_text(text, &format!("text {REFUSED}"));
    // Whatever stands around it.
    check_text(&[b"before \xC3\xA9", text, b"\xE2\x82\xAC behind"].concat(), &format!("text {REFUSED}"));
}

#[test]
fn the_first_and_last_character_of_each_length_are_text_rfc3629_3() {
    for number in [
        0, 1, 0x7F, 0x80, 0x7FF, 0x800, 0xFFF, 0x1000, 0xD7FF, 0xE000, 0xFFFD, 0xFFFF, 0x1_0000, 0xF_FFFF,
        0x10_FFFF,
    ] {
        let character = char::from_u32(number).expect("a character");
        check_good(character.to_string().as_bytes());
        check_good(format!("a{character}{character}b").as_bytes());
    }
    // Characters without a meaning are characters.
    check_good("\u{FFFE}\u{1FFFE}\u{10FFFE}\u{FDD0}".as_bytes());
    check_good("\u{3ba}\u{1f79}\u{3c3}\u{3bc}\u{3b5}".as_bytes());
}

#[test]
fn a_byte_that_continues_nothing_is_refused_rfc3629_3() {
    for byte in 0x80..=0xBF {
        check_bad(&[byte]);
    }
    check_bad(&[0x80, 0xBF, 0x80]);
    check_bad(b"\xC3\xA9\xA9");
}

#[test]
fn bytes_that_never_occur_are_refused_rfc3629_3() {
    for byte in [0xC0, 0xC1].into_iter().chain(0xF5..=0xFF) {
        check_bad(&[byte]);
        check_bad(&[byte, 0x80, 0x80, 0x80, 0x80, 0x80]);
    }
}

#[test]
fn a_character_that_is_cut_short_is_refused_rfc3629_3() {
    for cut in [
        &b"\xC2"[..],
        b"\xDF",
        b"\xE0",
        b"\xE0\xA0",
        b"\xEF\xBF",
        b"\xF0",
        b"\xF0\x90",
        b"\xF0\x90\x80",
        b"\xF4\x8F\xBF",
    ] {
        check_bad(cut);
        for next in [&b" "[..], b"\xC3\xA9", b"\xF0\x90\x80\x80"] {
            check_bad(&[cut, next].concat());
        }
    }
}

#[test]
fn overlong_forms_are_refused_rfc3629_3() {
    for form in [
        &b"\xC0\x80"[..],
        b"\xC0\xAF",
        b"\xC1\xBF",
        b"\xE0\x80\x80",
        b"\xE0\x80\xAF",
        b"\xE0\x9F\xBF",
        b"\xF0\x80\x80\x80",
        b"\xF0\x80\x80\xAF",
        b"\xF0\x8F\xBF\xBF",
        b"\xF8\x80\x80\x80\xAF",
        b"\xFC\x80\x80\x80\x80\xAF",
    ] {
        check_bad(form);
    }
}

#[test]
fn surrogates_are_no_characters_rfc3629_3() {
    for half in [
        &b"\xED\xA0\x80"[..],
        b"\xED\xAD\xBF",
        b"\xED\xAE\x80",
        b"\xED\xAF\xBF",
        b"\xED\xB0\x80",
        b"\xED\xBE\x80",
        b"\xED\xBF\xBF",
    ] {
        check_bad(half);
        check_bad(&[half, b"\xED\xB0\x80"].concat());
    }
}

#[test]
fn numbers_above_10ffff_are_no_characters_rfc3629_3() {
    for number in [
        &b"\xF4\x90\x80\x80"[..],
        b"\xF4\xBF\xBF\xBF",
        b"\xF7\xBF\xBF\xBF",
        b"\xF8\x88\x80\x80\x80",
        b"\xFC\x84\x80\x80\x80\x80",
    ] {
        check_bad(number);
    }
}

#[test]
fn every_pair_and_many_triples_are_judged_as_the_standard_library_does() {
    let judge = |text: &[u8]| match std::str::from_utf8(text) {
        Ok(_) => format!("text {} end", shown(text)),
        Err(_) => format!("text {REFUSED}"),
    };
    for first in 0x7F..=0xFF {
        for second in 0x7F..=0xFF {
            let pair = [first, second];
            assert_eq!(
                transcript(&[(TEXT_FIRST, &pair[..1]), (LAST, &pair[1..])]),
                judge(&pair),
                "{pair:x?}"
            );
            for third in [0x7F, 0x80, 0xBF, 0xC2] {
                let triple = [first, second, third];
                let frames = [(TEXT_FIRST, &triple[..1]), (MIDDLE, &triple[1..2]), (LAST, &triple[2..])];
                assert_eq!(transcript(&frames), judge(&triple), "{triple:x?}");
            }
        }
    }
}

#[test]
fn a_text_is_refused_at_its_first_wrong_byte_8_1() {
    // The message would be 100 bytes long; the verdict needs two of them, or none of what follows.
    for (start, good) in [(&b"\xF4\x90"[..], 1), (b"a\xFF", 1), (b"\xED\xA0", 1), (b"\xE0\x80", 1)] {
        let mut wire = frame(TEXT, &[b'x'; 100])[..2].to_vec();
        wire.extend_from_slice(&start[..good]);
        let mut reader = Reader::new(Role::Client, WsLimits::default(), None);
        assert!(!reader.read(&[&wire]).contains("1007"), "{start:x?}");
        assert!(reader.read(&[&start[good..]]).contains(REFUSED), "{start:x?}");
    }
}

#[test]
fn the_next_text_begins_anew_and_binary_is_not_judged_8_1() {
    check(&[(BINARY, b"\xFF\xC0"), (TEXT, b"a")], "binary <\\xff\\xc0> end text <a> end");
    check(&[(TEXT, b"a"), (TEXT, b"\xE2\x82"), (TEXT, b"\xAC")], &format!("text <a> end text {REFUSED}"));
    check(
        &[(TEXT_FIRST, b"\xE2\x82"), (PING, b"\xFF"), (LAST, b"\xAC")],
        "text <\\xe2\\x82> ping(\\xff) <\\xac> end",
    );
}
