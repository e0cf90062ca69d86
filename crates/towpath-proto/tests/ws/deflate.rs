//! Compressed messages (RFC 7692). Sections without a document are of that one.

use flate2::{Compress, Compression, FlushCompress};
use towpath_proto::limits::{
    WS_INFLATE_FREE_BYTES, WS_INFLATE_RATIO_MAX, WS_INFLATE_STEP_BYTES, WS_INFLATE_STREAMS_COUNT_MAX,
    WS_MESSAGE_BYTES_MAX,
};
use towpath_proto::ws::Encoder;

use crate::*;

const RATIO: &str = "1009 ws_inflate_ratio: InflateRatio";
const TOO_LARGE: &str = "1009 ws_message_too_large: MessageTooLarge";
const INFLATE: &str = "1007 ws_bad_deflate: Inflate";

fn kept() -> Deflate {
    agreement(false, false, 15, 15)
}

fn dropped() -> Deflate {
    agreement(true, true, 15, 15)
}

#[track_caller]
fn check_hex(deflate: &Deflate, messages: &[&str], expected: &str) {
    let payloads: Vec<Vec<u8>> = messages.iter().map(|hex| bytes(hex)).collect();
    let frames: Vec<(u8, &[u8])> = payloads.iter().map(|payload| (TEXT | COMPRESSED, &payload[..])).collect();
    check_with(Some(deflate), &frames, expected);
}

#[test]
fn the_examples_of_the_rfc_are_inflated_7_2_3() {
    let hello = "text~ <Hello> end";
    for deflate in [kept(), dropped()] {
        check_hex(&deflate, &["f2 48 cd c9 c9 07 00"], hello);
        // A block without compression, a last block, and two blocks.
        check_hex(&deflate, &["00 05 00 fa ff 48 65 6c 6c 6f 00"], hello);
        check_hex(&deflate, &["f3 48 cd c9 c9 07 00 00"], hello);
        check_hex(&deflate, &["f2 48 05 00 00 00 ff ff ca c9 c9 07 00"], hello);
        // §7.2.3.6: an empty message.
        check_hex(&deflate, &["00"], "text~ end");
        let frames = [(TEXT_FIRST | COMPRESSED, &bytes("f2 48 cd")[..]), (LAST, &bytes("c9 c9 07 00"))];
        check_with(Some(&deflate), &frames, hello);
    }
}

#[test]
fn a_kept_window_is_referred_to_and_a_dropped_one_is_not_7_2_3_2() {
    let messages = ["f2 48 cd c9 c9 07 00", "f2 00 11 00 00"];
    check_hex(&kept(), &messages, "text~ <Hello> end text~ <Hello> end");
    check_hex(&dropped(), &messages, &format!("text~ <Hello> end text~ {INFLATE}"));
}

#[test]
fn streams_may_end_inside_a_message_7_2_3_4() {
    for deflate in [kept(), dropped()] {
        let hello = "f3 48 cd c9 c9 07 00";
        check_hex(&deflate, &[&format!("{hello}{hello} 00")], "text~ <HelloHello> end");
        // One that ends where the message does has nothing to be given back.
        check_hex(&deflate, &[hello, "f2 48 cd c9 c9 07 00"], "text~ <Hello> end text~ <Hello> end");
    }
}

#[test]
fn many_streams_in_a_message_are_refused_t46() {
    let streams = |count: u32| [bytes("03 00").repeat(count as usize), vec![0]].concat();
    let read = |payload: &[u8]| {
        let wire = frame(BINARY | COMPRESSED, payload);
        Reader::new(Role::Client, WsLimits::default(), Some(&kept())).read(&[&wire, &wire])
    };
    assert_eq!(read(&streams(WS_INFLATE_STREAMS_COUNT_MAX)), "binary~ end binary~ end");
    assert_eq!(read(&streams(WS_INFLATE_STREAMS_COUNT_MAX + 1)), format!("binary~ {INFLATE}"));
}

#[test]
fn compressed_and_plain_messages_take_turns_6() {
    let hello = bytes("f2 48 cd c9 c9 07 00");
    let again = bytes("f2 00 11 00 00");
    let frames = [
        (TEXT | COMPRESSED, &hello[..]),
        (BINARY, b"\xFF"),
        (PING, b"p"),
        (TEXT, b"plain"),
        (TEXT | COMPRESSED, &again),
    ];
    let expected = "text~ <Hello> end binary <\\xff> end ping(p) text <plain> end text~ <Hello> end";
    check_with(Some(&kept()), &frames, expected);
}

#[test]
fn control_frames_come_between_compressed_fragments_6() {
    let frames = [
        (TEXT_FIRST | COMPRESSED, &bytes("f2 48 cd c9 c9 07 00 00 00 ff ff")[..]),
        (PING, b"Hello"),
        (MIDDLE, b""),
        (LAST, &bytes("f2 48 cd c9 c9 07 00")),
    ];
    check_with(Some(&dropped()), &frames, "text~ <Hello> ping(Hello) <Hello> end");
}

#[test]
fn what_is_no_deflate_is_refused_t54() {
    for hex in ["ff", "ff ff ff", "07", "00 05 00 00 00 48", "f2 48 cd c9 c9 07 00 ff ff ff"] {
        check_hex(&dropped(), &[hex], &format!("text~ {INFLATE}"));
    }
}

#[test]
fn of_two_faults_the_first_is_named_however_the_input_is_cut_t54() {
    // A byte that is no text, and then a block that is no deflate; the fuzzer found it.
    check_hex(&dropped(), &["f2 c9 38 00 c1 85 c1"], "text~ 1007 ws_bad_text: Utf8");
}

#[test]
fn a_compressed_text_is_utf8_after_inflating_8_1_t54() {
    for (text, is_good) in [("caf\u{e9}".as_bytes(), true), (b"a\xFFb", false), (b"cut \xE2\x82", false)] {
        let payload = raw(text, 6);
        let expected = match is_good {
            true => format!("text~ {} end", shown(text)),
            false => "text~ 1007 ws_bad_text: Utf8".to_owned(),
        };
        check_with(Some(&dropped()), &[(TEXT | COMPRESSED, &payload)], &expected);
        let any = format!("binary~ {} end", shown(text));
        check_with(Some(&dropped()), &[(BINARY | COMPRESSED, &payload)], &any);
    }
}

/// Compressed without its tail, as a message is.
fn raw(data: &[u8], level: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + 1_000);
    let mut stream = Compress::new(Compression::new(level), false);
    stream.compress_vec(data, &mut out, FlushCompress::Sync).expect("compressed");
    assert_eq!(stream.total_in(), data.len() as u64);
    assert!(out.ends_with(&[0, 0, 0xFF, 0xFF]));
    out.truncate(out.len() - 4);
    out
}

/// Reads a message of these bytes, compressed; what it says, and the most that was held of it.
fn read_bomb(data: &[u8], limits: WsLimits) -> (String, usize) {
    let payload = raw(data, 9);
    let cut = payload.len() / 2;
    let wire = [frame(BINARY_FIRST | COMPRESSED, &payload[..cut]), frame(LAST, &payload[cut..])].concat();
    let mut reader = Reader::new(Role::Client, limits, Some(&dropped()));
    (reader.read(&[&wire]), reader.inflated_capacity_max)
}

#[test]
fn a_bomb_is_refused_with_a_step_in_memory_t46_t54() {
    for megabytes in [1, 8, 64] {
        let (said, held_max) = read_bomb(&vec![0; megabytes << 20], WsLimits::default());
        assert_eq!(said, format!("binary~ {RATIO}"));
        assert!(held_max <= WS_INFLATE_STEP_BYTES, "{held_max} bytes");
    }
}

#[test]
fn without_a_ratio_a_bomb_ends_at_the_message_limit_t46_t54() {
    let limits = WsLimits { inflate_ratio_max: u64::MAX, ..WsLimits::default() };
    let (said, held_max) = read_bomb(&vec![0; WS_MESSAGE_BYTES_MAX as usize], limits);
    assert_eq!(said, format!("binary~ {} end", shown(&vec![0; WS_MESSAGE_BYTES_MAX as usize])));
    assert!(held_max <= WS_INFLATE_STEP_BYTES, "{held_max} bytes");
    let (said, held_max) = read_bomb(&vec![0; WS_MESSAGE_BYTES_MAX as usize + 1], limits);
    assert_eq!(said, format!("binary~ {TOO_LARGE}"));
    assert!(held_max <= WS_INFLATE_STEP_BYTES, "{held_max} bytes");
}

#[test]
fn the_ratio_is_judged_beyond_two_windows_t46() {
    let free = vec![b'x'; WS_INFLATE_FREE_BYTES as usize];
    let (said, _) = read_bomb(&free, WsLimits::default());
    assert_eq!(said, format!("binary~ {} end", shown(&free)));
    let (said, _) = read_bomb(&[&free[..], b"x"].concat(), WsLimits::default());
    assert_eq!(said, format!("binary~ {RATIO}"));
    // 99 zeros for each byte of noise are less than a hundred times as much; 400 are more.
    let data = |zeros: usize| -> Vec<u8> {
        noise(5_000)
            .into_iter()
            .flat_map(|byte| std::iter::once(byte).chain(std::iter::repeat_n(0, zeros)))
            .collect()
    };
    let ratio = |data: &[u8]| (data.len() as u64) / (raw(data, 9).len() as u64);
    assert!(ratio(&data(60)) < WS_INFLATE_RATIO_MAX && ratio(&data(400)) > WS_INFLATE_RATIO_MAX);
    assert!(read_bomb(&data(60), WsLimits::default()).0.ends_with("end"));
    assert!(read_bomb(&data(400), WsLimits::default()).0.ends_with(RATIO));
}

#[test]
fn a_bomb_in_a_kept_window_is_charged_to_its_message_t46() {
    let mut encoder = Encoder::new(Role::Server, Some(&kept()));
    let mut wire = Vec::new();
    let block = noise(20_000);
    encoder.message(&mut wire, Kind::Binary, &block, KEY);
    encoder.message(&mut wire, Kind::Binary, &block, KEY);
    encoder.message(&mut wire, Kind::Binary, &vec![0; 1 << 20], KEY);
    let said = Reader::new(Role::Client, WsLimits::default(), Some(&kept())).read(&[&wire]);
    let good = format!("binary~ {} end", shown(&block));
    assert_eq!(said, format!("{good} {good} binary~ {RATIO}"));
}

#[test]
fn compressed_frames_are_bounded_on_the_wire_too_t54() {
    let deflate = kept();
    check_wire(
        Role::Client,
        Some(&deflate),
        &bytes("c2 7f 0000000000100001"),
        "1009 ws_frame_too_large: FrameTooLarge",
    );
    let mut wire = frame(BINARY_FIRST | COMPRESSED, b"");
    // Empty blocks without compression inflate to nothing.
    let block = bytes("00 00 00 ff ff").repeat(200_000);
    (0..5).for_each(|_| wire.extend(frame(MIDDLE, &block)));
    let said = Reader::new(Role::Client, WsLimits::default(), Some(&deflate)).read(&[&wire]);
    assert_eq!(said, format!("binary~ {TOO_LARGE}"));
}

/// Bytes without an order, the same in every run.
pub(crate) fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..count).map(|_| next()).collect()
}

/// What an application sends: words and numbers that come again in other places.
fn prose(count: usize) -> Vec<u8> {
    let noise = noise(count);
    let words = noise.iter().map(|byte| format!("{{\"id\":{byte},\"name\":\"boat {}\"}},", byte % 17));
    words.collect::<String>().into_bytes().into_iter().take(count).collect()
}

const SIZES: &[usize] =
    &[0, 1, 16, 64, 127, 128, 255, 256, 1_000, 1_024, 4_096, 8_192, 16_384, 32_768, 65_536, 131_072];

/// Every size, in one frame and in several, from one end to the other.
fn round_trip(sender: Role, deflate: &Deflate, make: fn(usize) -> Vec<u8>) {
    let receiver = if sender == Role::Server { Role::Client } else { Role::Server };
    let mut encoder = Encoder::new(sender, Some(deflate)).compress_from(0);
    let mut reader = Reader::new(receiver, WsLimits::default(), Some(deflate));
    for &size in SIZES {
        let data = make(size);
        for piece_bytes in [usize::MAX, size / 3 + 1, 1_000] {
            let mut wire = Vec::new();
            send(&mut encoder, &mut wire, &data, piece_bytes);
            let said = reader.read(&wire.chunks(1_500).collect::<Vec<_>>());
            let content = if data.is_empty() { String::new() } else { format!("{} ", shown(&data)) };
            let mark = if deflate.outbound_window(sender) == WindowBits::MIN { "" } else { "~" };
            assert_eq!(said, format!("binary{mark} {content}end"), "{size} bytes by {sender:?}, {deflate:?}");
        }
    }
}

fn send(encoder: &mut Encoder, wire: &mut Vec<u8>, data: &[u8], piece_bytes: usize) {
    let mut pieces = data.chunks(piece_bytes).peekable();
    while let Some(piece) = pieces.next() {
        // The end of a message may also be a frame without bytes.
        let is_last = pieces.peek().is_none() && piece_bytes != 1_000;
        encoder.fragment(wire, Kind::Binary, piece, is_last, KEY);
    }
    if data.is_empty() || piece_bytes == 1_000 {
        encoder.message(wire, Kind::Binary, b"", KEY);
    }
}

#[test]
fn every_combination_of_parameters_carries_every_size_7_1() {
    for server_drops in [false, true] {
        for client_drops in [false, true] {
            for bits in 8..=15 {
                let deflate = agreement(server_drops, client_drops, bits, 23 - bits);
                for sender in [Role::Server, Role::Client] {
                    round_trip(sender, &deflate, prose);
                    round_trip(sender, &deflate, noise);
                }
            }
        }
    }
}

#[test]
fn what_we_send_needs_no_larger_window_than_was_agreed_7_1_2() {
    for bits in 9..=15 {
        let deflate = agreement(false, false, bits, bits);
        let mut encoder = Encoder::new(Role::Server, Some(&deflate));
        let mut stream = flate2::Decompress::new_with_window_bits(false, bits);
        for data in [prose(100_000), noise(1 << (bits - 1)), noise(1 << (bits - 1)), prose(100_000)] {
            let mut wire = Vec::new();
            encoder.message(&mut wire, Kind::Binary, &data, KEY);
            let mut body = payload_of(&wire).to_vec();
            body.extend([0, 0, 0xFF, 0xFF]);
            let mut out = Vec::with_capacity(data.len() + 1_000);
            stream.decompress_vec(&body, &mut out, flate2::FlushDecompress::Sync).expect("within its window");
            assert_eq!(out, data);
        }
    }
}

/// The payload of the one frame in `wire`, which has no mask.
fn payload_of(wire: &[u8]) -> &[u8] {
    match wire[1] {
        126 => &wire[4..],
        127 => &wire[10..],
        _ => &wire[2..],
    }
}

#[test]
fn small_messages_are_sent_as_they_are() {
    let mut encoder = Encoder::new(Role::Server, Some(&kept()));
    let mut firsts = Vec::new();
    for size in [0, 1, 127, 128, 1_000] {
        let mut wire = Vec::new();
        encoder.message(&mut wire, Kind::Text, &prose(size), KEY);
        firsts.push(wire[0]);
    }
    assert_eq!(firsts, [0x81, 0x81, 0x81, 0xC1, 0xC1]);
}

#[test]
fn a_kept_window_makes_the_second_message_small_7_1_1() {
    let sizes = |deflate: &Deflate| {
        let mut encoder = Encoder::new(Role::Server, Some(deflate));
        [(); 2].map(|()| {
            let mut wire = Vec::new();
            encoder.message(&mut wire, Kind::Text, &noise(2_000), KEY);
            wire.len()
        })
    };
    let [first, second] = sizes(&kept());
    assert!(second < first / 10, "{first}, {second}");
    let [first, second] = sizes(&dropped());
    assert_eq!(first, second);
}
