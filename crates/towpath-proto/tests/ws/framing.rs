//! Frames: lengths, masks, reserved bits, opcodes (§5.1, §5.2).

use towpath_proto::ws::Role;

use crate::*;

#[test]
fn the_examples_of_the_rfc_are_read_5_7() {
    let client = |hex: &str, expected: &str| check_wire(Role::Client, None, &bytes(hex), expected);
    let server = |hex: &str, expected: &str| check_wire(Role::Server, None, &bytes(hex), expected);
    client("81 05 48 65 6c 6c 6f", "text <Hello> end");
    server("81 85 37 fa 21 3d 7f 9f 4d 51 58", "text <Hello> end");
    client("01 03 48 65 6c  80 02 6c 6f", "text <Hello> end");
    client("89 05 48 65 6c 6c 6f", "ping(Hello)");
    server("8a 85 37 fa 21 3d 7f 9f 4d 51 58", "pong(Hello)");
}

#[test]
fn payloads_of_every_form_of_length_are_read_5_2() {
    for length in [0, 1, 2, 7, 8, 9, 124, 125, 126, 127, 128, 1_000, 65_534, 65_535, 65_536, 65_537] {
        let data: Vec<u8> = (0..length).map(|at: u32| (at % 251) as u8 & 0x7F).collect();
        let content = if data.is_empty() { String::new() } else { format!("{} ", shown(&data)) };
        check(&[(TEXT, &data)], &format!("text {content}end"));
        check(&[(BINARY, &data)], &format!("binary {content}end"));
    }
}

#[test]
fn messages_follow_each_other_without_a_gap() {
    check(
        &[(TEXT, b"a"), (BINARY, b"\xFF\0"), (TEXT, b""), (PING, b"p"), (BINARY, b"")],
        "text <a> end binary <\\xff\\x00> end text end ping(p) binary end",
    );
}

#[test]
fn a_frame_in_the_making_says_nothing_yet() {
    for hex in ["", "81", "81 7e", "81 7e 01", "81 7f 00 00 00 00 00 01 00"] {
        check_wire(Role::Client, None, &bytes(hex), "");
    }
    check_wire(Role::Server, None, &bytes("81 85 37 fa 21"), "");
    check_wire(Role::Client, None, &bytes("81 05 48"), "text <H>");
}

#[test]
fn reserved_bits_are_refused_on_every_opcode_5_2_t54() {
    for bits in 1..8 {
        for opcode in [0, 1, 2, 8, 9, 10] {
            let refused = "1002 ws_bad_frame: ReservedBit";
            check(&[(0x80 | bits << 4 | opcode, b"")], refused);
            check(&[(0x80 | bits << 4 | opcode, b"xy")], refused);
        }
    }
    check(&[(TEXT, b"a"), (TEXT | 0x20, b"b")], "text <a> end 1002 ws_bad_frame: ReservedBit");
}

#[test]
fn with_permessage_deflate_one_bit_has_a_meaning_on_first_frames_rfc7692_6() {
    let deflate = agreement(true, true, 15, 15);
    let refused = "1002 ws_bad_frame: ReservedBit";
    for bits in [0x20, 0x10, 0x60, 0x50, 0x70] {
        check_with(Some(&deflate), &[(TEXT | bits, b"")], refused);
    }
    for opcode in [CLOSE, PING, PONG] {
        check_with(Some(&deflate), &[(opcode | COMPRESSED, b"")], refused);
    }
    let later = [(TEXT_FIRST, &b"a"[..]), (LAST | COMPRESSED, b"b")];
    check_with(Some(&deflate), &later, &format!("text {refused}"));
}

#[test]
fn reserved_opcodes_are_refused_at_their_first_byte_5_2_t54() {
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        for first in [opcode, 0x80 | opcode] {
            let refused = "1002 ws_bad_frame: ReservedOpcode";
            check(&[(first, b"")], refused);
            check(&[(first, b"payload")], refused);
            check_wire(Role::Server, None, &[first], refused);
        }
    }
    check(&[(TEXT, b"a"), (0x83, b""), (PING, b"")], "text <a> end 1002 ws_bad_frame: ReservedOpcode");
}

#[test]
fn a_client_masks_and_a_server_does_not_5_1_t54() {
    for first in [TEXT, BINARY, PING, PONG, CLOSE] {
        check_wire(Role::Server, None, &frame(first, b""), "1002 ws_bad_mask: MaskMissing");
        check_wire(Role::Client, None, &framed(first, b"", Some(KEY)), "1002 ws_bad_mask: MaskForbidden");
    }
    // A key of zeros is a key.
    check_wire(Role::Server, None, &framed(TEXT, b"abcdefghi", Some([0; 4])), "text <abcdefghi> end");
}

#[test]
fn every_alignment_of_a_mask_is_undone_5_3() {
    for length in 0..40 {
        let data: Vec<u8> = (0..length).collect();
        for key in [[1, 2, 3, 4], [0, 0, 0, 1], [0xFF; 4]] {
            let content = if data.is_empty() { String::new() } else { format!("{} ", shown(&data)) };
            check_wire(
                Role::Server,
                None,
                &framed(BINARY, &data, Some(key)),
                &format!("binary {content}end"),
            );
        }
    }
}

#[test]
fn a_length_takes_the_fewest_bytes_5_2_t54() {
    let refused = "1002 ws_bad_length: LengthNotMinimal";
    for hex in [
        "82 7e 00 00",
        "82 7e 00 7d",
        "82 7f 0000000000000000",
        "82 7f 000000000000ffff",
        "82 7f 000000000000007d",
    ] {
        check_wire(Role::Client, None, &bytes(hex), refused);
    }
}

#[test]
fn a_length_has_63_bits_5_2_t54() {
    let refused = "1002 ws_bad_length: LengthTooLarge";
    check_wire(Role::Client, None, &bytes("82 7f 8000000000000000"), refused);
    check_wire(Role::Client, None, &bytes("82 7f ffffffffffffffff"), refused);
    let largest = "1009 ws_frame_too_large: FrameTooLarge";
    check_wire(Role::Client, None, &bytes("82 7f 7fffffffffffffff"), largest);
}
