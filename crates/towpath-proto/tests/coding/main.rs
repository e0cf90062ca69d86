//! The content codings: there and back, against the tools that people have, and against those who mean harm.

mod limits;
mod tools;

use towpath_proto::coding::{Coding, DecodeError, DecodeLimits, Decoder, Effort, Encoder};
use towpath_proto::limits::DECODED_STEP_BYTES;

const CODINGS: [Coding; 3] = [Coding::Gzip, Coding::Brotli, Coding::Zstd];
const EFFORTS: [Effort; 3] = [Effort::Fast, Effort::Balanced, Effort::Small];

/// `data` coded in pieces of `piece_bytes`.
fn encode(coding: Coding, effort: Effort, data: &[u8], piece_bytes: usize) -> Vec<u8> {
    let (mut encoder, mut out) = (Encoder::new(coding, effort), Vec::new());
    data.chunks(piece_bytes).for_each(|piece| encoder.push(piece, &mut out));
    encoder.finish(&mut out);
    out
}

/// What comes of `pieces`, and how it ended.
fn decode(coding: Coding, limits: DecodeLimits, pieces: &[&[u8]]) -> (Vec<u8>, Result<(), DecodeError>) {
    let (mut decoder, mut out) = (Decoder::new(coding, limits), Vec::new());
    for piece in pieces {
        if let Err(error) = feed(&mut decoder, piece, &mut out) {
            return (out, Err(error));
        }
    }
    (out, decoder.finish())
}

/// Gives `piece` to the decoder, in as many steps as it wants.
fn feed(decoder: &mut Decoder, mut piece: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    loop {
        let before = out.len();
        let step = decoder.handle_input(piece, out)?;
        assert!(out.len() - before <= DECODED_STEP_BYTES, "a bounded piece of work");
        piece = &piece[step.consumed..];
        if !step.is_cut {
            assert!(piece.is_empty(), "all of the input was taken");
            return Ok(());
        }
    }
}

#[track_caller]
fn check_decoded(coding: Coding, coded: &[u8], plain: &[u8]) {
    let (found, end) = decode(coding, DecodeLimits::default(), &[coded]);
    assert_eq!(end, Ok(()), "{coding:?}");
    assert!(found == plain, "{coding:?}: {} bytes became {}", plain.len(), found.len());
}

#[track_caller]
fn check_refused(coding: Coding, coded: &[u8], expected: DecodeError) {
    let (_, end) = decode(coding, DecodeLimits::default(), &[coded]);
    assert_eq!(end, Err(expected), "{coding:?}");
    let bytes: Vec<&[u8]> = coded.chunks(1).collect();
    let (_, end) = decode(coding, DecodeLimits::default(), &bytes);
    assert_eq!(end, Err(expected), "{coding:?}, byte by byte");
}

/// Text that says something new now and then.
fn prose(bytes: usize) -> Vec<u8> {
    let words = ["the boat ", "a lock ", "is drawn ", "by horses ", "along ", "the towpath, ", "slowly.\n"];
    let mut state = 1u32;
    let mut text = Vec::new();
    while text.len() < bytes {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.extend_from_slice(words[(state >> 24) as usize % words.len()].as_bytes());
        text.extend_from_slice((state >> 28).to_string().as_bytes());
    }
    text.truncate(bytes);
    text
}

/// Bytes that no coding makes smaller.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 7u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

#[test]
fn what_is_coded_is_decoded_again() {
    for coding in CODINGS {
        for effort in EFFORTS {
            for data in [prose(1), prose(100), prose(200_000), noise(100_000)] {
                for piece_bytes in [7, 16 * 1024, 1 << 20] {
                    check_decoded(coding, &encode(coding, effort, &data, piece_bytes), &data);
                }
            }
        }
    }
}

#[test]
fn text_becomes_a_fraction_of_itself() {
    let data = prose(100_000);
    for coding in CODINGS {
        let sizes = EFFORTS.map(|effort| encode(coding, effort, &data, 16 * 1024).len());
        assert!(sizes[0] < data.len() / 3 && sizes[2] <= sizes[0], "{coding:?}: {sizes:?}");
        let larger = encode(coding, Effort::Fast, &noise(100_000), 16 * 1024).len();
        assert!(larger < 110_000, "{coding:?}: noise grows by {larger}");
    }
}

#[test]
fn a_body_without_a_byte_is_one() {
    for coding in CODINGS {
        let (mut out, encoder) = (b"before".to_vec(), Encoder::new(coding, Effort::Balanced));
        encoder.finish(&mut out);
        check_decoded(coding, out.strip_prefix(b"before").unwrap(), b"");
        assert_eq!(decode(coding, DecodeLimits::default(), &[]), (Vec::new(), Ok(())));
    }
}

#[test]
fn what_is_flushed_can_be_read() {
    for coding in CODINGS {
        let (mut encoder, mut decoder) =
            (Encoder::new(coding, Effort::Balanced), Decoder::new(coding, DecodeLimits::default()));
        for event in ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"] {
            let (mut wire, mut read) = (Vec::new(), Vec::new());
            encoder.push(event.as_bytes(), &mut wire);
            encoder.flush(&mut wire);
            feed(&mut decoder, &wire, &mut read).unwrap();
            assert_eq!(read, event.as_bytes(), "{coding:?}");
            wire.clear();
            encoder.flush(&mut wire);
            assert_eq!(wire, b"", "{coding:?}: a flush without anything new says nothing");
        }
        let mut wire = Vec::new();
        encoder.finish(&mut wire);
        assert_eq!(feed(&mut decoder, &wire, &mut Vec::new()), Ok(()));
        assert_eq!(decoder.finish(), Ok(()));
    }
}

#[test]
fn coded_bytes_stand_behind_those_that_are_there() {
    for coding in CODINGS {
        let (mut encoder, mut out) = (Encoder::new(coding, Effort::Fast), b"head".to_vec());
        for piece in prose(50_000).chunks(1_000) {
            encoder.push(piece, &mut out);
        }
        encoder.flush(&mut out);
        encoder.finish(&mut out);
        check_decoded(coding, out.strip_prefix(b"head").unwrap(), &prose(50_000));
    }
}

#[test]
fn byte_by_byte_it_is_the_same() {
    for coding in CODINGS {
        for data in [prose(60_000), noise(20_000)] {
            let coded = encode(coding, Effort::Balanced, &data, 1_000);
            let bytes: Vec<&[u8]> = coded.chunks(1).collect();
            let (found, end) = decode(coding, DecodeLimits::default(), &bytes);
            assert_eq!((found == data, end), (true, Ok(())), "{coding:?}");
        }
    }
}

#[test]
fn a_truncated_body_is_not_taken_for_a_whole_one() {
    for coding in CODINGS {
        let coded = encode(coding, Effort::Balanced, &prose(3_000), 1_000);
        for length in 1..coded.len() {
            let (_, end) = decode(coding, DecodeLimits::default(), &[&coded[..length]]);
            assert_eq!(end, Err(DecodeError::Truncated), "{coding:?}: {length} of {}", coded.len());
        }
    }
}

#[test]
fn what_follows_the_end_is_refused() {
    for coding in CODINGS {
        let mut coded = encode(coding, Effort::Balanced, b"plain", 5);
        coded.extend_from_slice(b"<script>");
        check_refused(coding, &coded, DecodeError::Malformed);
    }
}

/// RFC 1952 §2.2, RFC 8878 §3.
#[test]
fn members_and_frames_may_follow_each_other() {
    for coding in [Coding::Gzip, Coding::Zstd] {
        let one = encode(coding, Effort::Balanced, b"one ", 4);
        let two = encode(coding, Effort::Balanced, b"two", 3);
        let both = [one, two].concat();
        check_decoded(coding, &both, b"one two");
        let bytes: Vec<&[u8]> = both.chunks(1).collect();
        assert_eq!(decode(coding, DecodeLimits::default(), &bytes), (b"one two".to_vec(), Ok(())));
        check_refused(coding, &both[..both.len() - 1], DecodeError::Truncated);
    }
    // A frame to be skipped (RFC 8878 §3.1.2).
    let skipped =
        [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3][..], &encode(Coding::Zstd, Effort::Fast, b"x", 1)];
    check_decoded(Coding::Zstd, &skipped.concat(), b"x");
}

#[test]
fn what_is_not_of_the_coding_is_refused() {
    for coding in CODINGS {
        for other in CODINGS.into_iter().filter(|other| *other != coding) {
            let coded = encode(other, Effort::Balanced, &prose(1_000), 1_000);
            let (_, end) = decode(coding, DecodeLimits::default(), &[&coded]);
            assert!(end.is_err(), "{other:?} for {coding:?}");
        }
    }
    check_refused(Coding::Gzip, b"plain text", DecodeError::Malformed);
    check_refused(Coding::Zstd, b"plain text", DecodeError::Malformed);
}

#[test]
fn a_flipped_bit_never_panics_and_is_found_where_there_is_a_sum() {
    for coding in CODINGS {
        let data = prose(2_000);
        let coded = encode(coding, Effort::Balanced, &data, 1_000);
        for place in 0..coded.len() {
            let mut flipped = coded.clone();
            flipped[place] ^= 0x10;
            let (found, end) = decode(coding, DecodeLimits::default(), &[&flipped]);
            // The head of a gzip member holds bytes that mean nothing to the body.
            let is_seen = end.is_err() || found == data;
            assert!(is_seen || coding != Coding::Gzip, "byte {place}");
        }
    }
}

#[test]
fn names_are_found_in_any_case_rfc9110_8_4_1() {
    for coding in CODINGS {
        assert_eq!(Coding::of(coding.token().to_ascii_uppercase().as_bytes()), Some(coding));
    }
    assert_eq!(Coding::of(b"X-Gzip"), Some(Coding::Gzip));
    assert_eq!(Coding::of(b"deflate"), None);
}
