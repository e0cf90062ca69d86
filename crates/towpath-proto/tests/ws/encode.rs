//! What we send (§5, §6.1), byte by byte where the RFC gives bytes, and read back.

use towpath_proto::ws::{CloseCode, ControlTooLong, Encoder, Mask};

use crate::deflate::noise;
use crate::*;

#[track_caller]
fn check_bytes(role: Role, write: impl FnOnce(&mut Encoder, &mut Vec<u8>), expected: &str) {
    let mut out = b"before".to_vec();
    write(&mut Encoder::new(role, None), &mut out);
    assert_eq!(out[6..].escape_ascii().to_string(), bytes(expected).escape_ascii().to_string());
}

#[test]
fn frames_are_those_of_the_rfc_5_7() {
    let hello = |encoder: &mut Encoder, out: &mut Vec<u8>| encoder.message(out, Kind::Text, b"Hello", KEY);
    check_bytes(Role::Server, hello, "81 05 48 65 6c 6c 6f");
    check_bytes(Role::Client, hello, "81 85 37 fa 21 3d 7f 9f 4d 51 58");
    let fragments = |encoder: &mut Encoder, out: &mut Vec<u8>| {
        encoder.fragment(out, Kind::Text, b"Hel", false, KEY);
        encoder.ping(out, b"Hello", KEY).expect("short");
        encoder.fragment(out, Kind::Text, b"lo", true, KEY);
    };
    check_bytes(Role::Server, fragments, "01 03 48 65 6c  89 05 48 65 6c 6c 6f  80 02 6c 6f");
    let pong = |encoder: &mut Encoder, out: &mut Vec<u8>| encoder.pong(out, b"Hello", KEY).expect("short");
    check_bytes(Role::Client, pong, "8a 85 37 fa 21 3d 7f 9f 4d 51 58");
}

#[test]
fn lengths_take_the_fewest_bytes_5_2() {
    for (length, head) in [
        (0, "82 00"),
        (125, "82 7d"),
        (126, "82 7e 00 7e"),
        (65_535, "82 7e ff ff"),
        (65_536, "82 7f 00 00 00 00 00 01 00 00"),
    ] {
        let data = noise(length);
        let write = |encoder: &mut Encoder, out: &mut Vec<u8>| encoder.message(out, Kind::Binary, &data, KEY);
        let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
        check_bytes(Role::Server, write, &format!("{head}{hex}"));
    }
}

#[test]
fn both_roles_are_read_back() {
    for (sender, receiver) in [(Role::Server, Role::Client), (Role::Client, Role::Server)] {
        for length in [0, 1, 7, 8, 9, 125, 126, 1_000, 65_535, 65_536, 100_000] {
            let data = noise(length);
            let mut wire = Vec::new();
            Encoder::new(sender, None).message(&mut wire, Kind::Binary, &data, [9, 8, 7, 6]);
            let content = if data.is_empty() { String::new() } else { format!("{} ", shown(&data)) };
            check_wire(receiver, None, &wire, &format!("binary {content}end"));
        }
    }
}

#[test]
fn close_frames_say_what_fits_5_5_1() {
    let close = |code: Option<CloseCode>, reason: &'static str| {
        move |encoder: &mut Encoder, out: &mut Vec<u8>| encoder.close(out, code, reason, KEY)
    };
    check_bytes(Role::Server, close(None, ""), "88 00");
    check_bytes(Role::Server, close(None, "unsaid"), "88 00");
    check_bytes(Role::Server, close(Some(CloseCode::NORMAL), "bye"), "88 05 03 e8 62 79 65");
    check_bytes(Role::Client, close(Some(CloseCode::NORMAL), ""), "88 82 37 fa 21 3d 34 12");
    let long = "\u{20ac}".repeat(100);
    let mut wire = Vec::new();
    Encoder::new(Role::Server, None).close(&mut wire, CloseCode::new(4_000), &long, KEY);
    let kept = "\u{20ac}".repeat(41);
    check_wire(Role::Client, None, &wire, &format!("close(4000 {kept:?})"));
}

#[test]
fn control_frames_above_125_bytes_are_not_written_5_5() {
    let encoder = Encoder::new(Role::Server, None);
    let mut out = Vec::new();
    assert_eq!(encoder.ping(&mut out, &[0; 126], KEY), Err(ControlTooLong));
    assert_eq!(encoder.pong(&mut out, &[0; 126], KEY), Err(ControlTooLong));
    assert!(out.is_empty());
    assert_eq!(encoder.ping(&mut out, &[0; 125], KEY), Ok(()));
}

#[test]
fn a_head_and_the_bytes_behind_it_are_a_frame() {
    for (sender, receiver) in [(Role::Server, Role::Client), (Role::Client, Role::Server)] {
        let deflate = agreement(false, false, 15, 15);
        let mut encoder = Encoder::new(sender, Some(&deflate));
        let mut wire = Vec::new();
        for (piece, is_last) in [(&b"forwarded from "[..], false), (b"where it stands", true)] {
            let mut mask = encoder.head(&mut wire, Kind::Text, piece.len() as u64, is_last, KEY);
            // In two parts, as a buffer may hold them.
            let (mut first, mut second) = (piece[..5].to_vec(), piece[5..].to_vec());
            mask.apply(&mut first);
            mask.apply(&mut second);
            wire.extend([first, second].concat());
        }
        let said = "text <forwarded from where it stands> end";
        check_wire(receiver, Some(&deflate), &wire, said);
    }
}

#[test]
fn masking_twice_is_masking_not_at_all_5_3() {
    let data = noise(1_000);
    for cut in 0..20 {
        let mut masked = data.clone();
        let mut mask = Mask::new(KEY);
        let (first, second) = masked.split_at_mut(cut);
        mask.apply(first);
        mask.apply(second);
        let expected: Vec<u8> = data.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        assert_eq!(masked, expected, "cut at {cut}");
    }
}
