//! What a message may cost (T54).

use towpath_proto::limits::{
    WS_FRAGMENT_BYTES_MEAN_MIN, WS_FRAGMENTS_FREE_COUNT, WS_FRAME_BYTES_MAX, WS_MESSAGE_BYTES_MAX,
};

use crate::*;

const FRAME: &str = "1009 ws_frame_too_large: FrameTooLarge";
const MESSAGE: &str = "1009 ws_message_too_large: MessageTooLarge";
const FRAGMENTS: &str = "1008 ws_too_many_fragments: FragmentsTooMany";

#[test]
fn a_frame_of_1_mib_is_taken_and_a_byte_more_is_not_t54() {
    let data = vec![b'x'; WS_FRAME_BYTES_MAX as usize];
    check(&[(TEXT, &data)], &format!("text {} end", shown(&data)));
    check(&[(BINARY, &[&data[..], b"x"].concat())], FRAME);
}

#[test]
fn a_frame_is_refused_by_its_head_before_any_payload_t54() {
    check_wire(Role::Client, None, &bytes("82 7f 0000000000100001"), FRAME);
    check_wire(Role::Server, None, &bytes("82 ff 0000000000100001 01020304"), FRAME);
}

#[test]
fn a_message_of_4_mib_is_taken_and_a_byte_more_is_not_t54() {
    let data = vec![0xAB; WS_FRAME_BYTES_MAX as usize];
    let all = vec![0xAB; WS_MESSAGE_BYTES_MAX as usize];
    let mut frames =
        vec![(BINARY_FIRST, &data[..]), (MIDDLE, &data), (MIDDLE, &data), (MIDDLE, &data), (LAST, b"")];
    check(&frames, &format!("binary {} end", shown(&all)));
    frames[4].1 = b"x";
    check(&frames, &format!("binary {MESSAGE}"));
}

#[test]
fn limits_are_the_callers_to_choose() {
    let limits = WsLimits { frame_bytes_max: 4, message_bytes_max: 6, ..WsLimits::default() };
    let read = |wire: &[u8]| Reader::new(Role::Client, limits, None).read(&[wire]);
    assert_eq!(read(&frame(TEXT, b"four")), "text <four> end");
    assert_eq!(read(&frame(TEXT, b"fiver")), FRAME);
    assert_eq!(read(&[frame(TEXT_FIRST, b"four"), frame(LAST, b"to")].concat()), "text <fourto> end");
    assert_eq!(read(&[frame(TEXT_FIRST, b"four"), frame(LAST, b"and")].concat()), format!("text {MESSAGE}"));
    // Control frames are no data; each message begins anew.
    let twice = [frame(TEXT, b"four"), frame(PING, &[b'p'; 9]), frame(TEXT, b"four")].concat();
    assert_eq!(read(&twice), "text <four> end ping(ppppppppp) text <four> end");
}

#[test]
fn a_message_in_pieces_of_64_bytes_is_taken_t54() {
    let piece = [b'*'; WS_FRAGMENT_BYTES_MEAN_MIN as usize];
    let count = WS_MESSAGE_BYTES_MAX as usize / piece.len();
    let mut wire = frame(TEXT_FIRST, &piece);
    (2..count).for_each(|_| wire.extend(frame(MIDDLE, &piece)));
    wire.extend(frame(LAST, &piece));
    let mut decoder = Decoder::new(Role::Client, WsLimits::default(), None);
    assert_eq!(outcome(&mut decoder, &mut wire), "4194304 bytes, ended");
}

#[test]
fn a_flood_of_small_fragments_is_refused_t54() {
    for payload in [&b""[..], b"a", &[b'a'; 63]] {
        let mut wire = frame(TEXT_FIRST, payload);
        (1..WS_FRAGMENTS_FREE_COUNT).for_each(|_| wire.extend(frame(MIDDLE, payload)));
        let read = |wire: &[u8]| Reader::new(Role::Client, WsLimits::default(), None).read(&[wire]);
        assert!(!read(&wire).contains("1008"), "the free ones");
        // Each piece of 63 bytes lacks one, and the free ones had brought 63 each.
        (0..WS_FRAGMENTS_FREE_COUNT * 64 + 1).for_each(|_| wire.extend(frame(MIDDLE, payload)));
        assert_eq!(outcome_of(&wire), FRAGMENTS, "{} bytes each", payload.len());
    }
}

#[test]
fn fragments_are_counted_for_each_message_t54() {
    let one: Vec<u8> = (0..WS_FRAGMENTS_FREE_COUNT)
        .flat_map(|at| match at {
            0 => frame(TEXT_FIRST, b"a"),
            at if at + 1 == WS_FRAGMENTS_FREE_COUNT => frame(LAST, b"a"),
            _ => frame(MIDDLE, b"a"),
        })
        .collect();
    assert_eq!(outcome_of(&one.repeat(10)), format!("{} bytes, ended", 10 * WS_FRAGMENTS_FREE_COUNT));
}

fn outcome_of(wire: &[u8]) -> String {
    let mut decoder = Decoder::new(Role::Client, WsLimits::default(), None);
    outcome(&mut decoder, &mut wire.to_vec())
}

/// For many frames: how many bytes they bring, without a copy of what is left after each.
fn outcome(decoder: &mut Decoder, mut wire: &mut [u8]) -> String {
    let mut count = 0;
    loop {
        match decoder.handle_input(wire, &mut Vec::new()) {
            Err(error) => return word_of(error),
            Ok(step) => {
                match step.event {
                    Some(Event::Data(range)) => count += range.len(),
                    Some(_) => {}
                    None => {
                        let end = if decoder.is_between_messages() { "ended" } else { "open" };
                        return format!("{count} bytes, {end}");
                    }
                }
                wire = wire.split_at_mut(step.consumed).1;
            }
        }
    }
}
