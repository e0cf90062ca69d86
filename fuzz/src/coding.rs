//! Invariants of the content codings that hold for any bytes.

use towpath_proto::coding::{Coding, DecodeError, DecodeLimits, Decoder, Effort, Encoder};
use towpath_proto::limits::{DECODED_FREE_BYTES, DECODED_STEP_BYTES};

/// Small, so that the fuzzer reaches it.
const BYTES_MAX: u64 = 300_000;

/// The first byte chooses the coding and the size of pieces; the others are what a peer sends, and what a peer is sent.
pub fn check(input: &[u8]) {
    let Some((&choice, data)) = input.split_first() else { return };
    let coding = [Coding::Gzip, Coding::Brotli, Coding::Zstd][usize::from(choice % 3)];
    let piece_bytes = usize::from(choice / 3) + 1;
    check_pieces(coding, data, piece_bytes);
    check_ratio(coding, data);
    check_round_trip(coding, data, piece_bytes);
}

/// However it arrives, it becomes the same or is refused.
fn check_pieces(coding: Coding, data: &[u8], piece_bytes: usize) {
    let limits = DecodeLimits { bytes_max: BYTES_MAX, ratio_max: u64::MAX };
    let (whole, end) = decode(coding, limits, [data].into_iter());
    let (pieces, pieces_end) = decode(coding, limits, data.chunks(piece_bytes));
    // libzstd compares the size that a frame declares with what came out of it; not so if the frame arrives in pieces and
    // its last block is empty.
    let is_lenient = coding == Coding::Zstd && end == Err(DecodeError::Malformed);
    assert!(end.is_ok() == pieces_end.is_ok() || is_lenient, "{end:?} at once, {pieces_end:?} in pieces");
    assert!(pieces.starts_with(&whole) || whole.starts_with(&pieces));
    assert!(end.is_err() || whole == pieces);
    assert!(whole.len() as u64 <= BYTES_MAX && pieces.len() as u64 <= BYTES_MAX);
}

fn check_ratio(coding: Coding, data: &[u8]) {
    let limits = DecodeLimits { bytes_max: BYTES_MAX, ratio_max: 10 };
    let (plain, _) = decode(coding, limits, [data].into_iter());
    assert!(plain.len() as u64 <= (data.len() as u64 * 10).max(DECODED_FREE_BYTES));
}

fn decode<'a>(
    coding: Coding,
    limits: DecodeLimits,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (Vec<u8>, Result<(), DecodeError>) {
    let (mut decoder, mut out) = (Decoder::new(coding, limits), Vec::new());
    for mut piece in pieces {
        loop {
            let before = out.len();
            let step = match decoder.handle_input(piece, &mut out) {
                Ok(step) => step,
                Err(error) => {
                    assert!(out.len() == before && !error.reason().is_empty());
                    return (out, Err(error));
                }
            };
            assert!(out.len() - before <= DECODED_STEP_BYTES);
            assert!(step.is_cut || step.consumed == piece.len());
            piece = &piece[step.consumed..];
            if !step.is_cut {
                break;
            }
        }
    }
    (out, decoder.finish())
}

/// `data` coded in pieces, each of which can be read as soon as it is sent.
fn check_round_trip(coding: Coding, data: &[u8], piece_bytes: usize) {
    let data = &data[..data.len().min(500)];
    let (mut encoder, mut decoder) =
        (Encoder::new(coding, Effort::Fast), Decoder::new(coding, DecodeLimits::default()));
    let (mut wire, mut plain) = (Vec::new(), Vec::new());
    for piece in data.chunks(piece_bytes) {
        wire.clear();
        encoder.push(piece, &mut wire);
        encoder.flush(&mut wire);
        let step = decoder.handle_input(&wire, &mut plain).expect("what we wrote");
        assert!(!step.is_cut && data.starts_with(&plain) && plain.ends_with(piece));
    }
    wire.clear();
    encoder.finish(&mut wire);
    decoder.handle_input(&wire, &mut plain).expect("what we wrote");
    assert_eq!((&plain[..], decoder.finish()), (data, Ok(())));
}
