//! Bombs (T46).

use towpath_proto::limits::{
    DECODED_BODY_BYTES_MAX, DECODED_FREE_BYTES, DECODED_MEMBERS_COUNT_MAX, DECODED_ZSTD_WINDOW_BITS_MAX,
};
use zstd::stream::raw::CParameter;

use crate::*;

const NO_RATIO: DecodeLimits = DecodeLimits { bytes_max: DECODED_BODY_BYTES_MAX, ratio_max: u64::MAX };

/// A body of `bytes` zeros.
fn bomb(coding: Coding, bytes: u64) -> Vec<u8> {
    let (mut encoder, mut out) = (Encoder::new(coding, Effort::Fast), Vec::new());
    let zeros = vec![0; 1 << 16];
    for _ in 0..bytes / zeros.len() as u64 {
        encoder.push(&zeros, &mut out);
    }
    encoder.push(&zeros[..(bytes % zeros.len() as u64) as usize], &mut out);
    encoder.finish(&mut out);
    out
}

#[test]
fn a_bomb_ends_at_the_ratio_t46() {
    for coding in CODINGS {
        let coded = bomb(coding, 16 << 20);
        let (found, end) = decode(coding, DecodeLimits::default(), &[&coded]);
        assert_eq!(end, Err(DecodeError::RatioTooHigh), "{coding:?}: {} bytes", coded.len());
        let earned = (coded.len() as u64 * 100).max(DECODED_FREE_BYTES);
        assert!(found.len() as u64 <= earned, "{coding:?}: {} came out", found.len());
    }
}

#[test]
fn byte_by_byte_a_bomb_ends_as_well_t46() {
    for coding in CODINGS {
        let coded = bomb(coding, 4 << 20);
        let bytes: Vec<&[u8]> = coded.chunks(1).collect();
        let (found, end) = decode(coding, DecodeLimits::default(), &bytes);
        assert_eq!(end, Err(DecodeError::RatioTooHigh), "{coding:?}");
        assert!(found.len() as u64 <= (coded.len() as u64 * 100).max(DECODED_FREE_BYTES));
    }
}

#[test]
fn small_bodies_may_be_all_blanks_t46() {
    for coding in CODINGS {
        let (found, end) = decode(coding, DecodeLimits::default(), &[&bomb(coding, DECODED_FREE_BYTES)]);
        assert_eq!((found.len() as u64, end), (DECODED_FREE_BYTES, Ok(())), "{coding:?}");
    }
}

#[test]
fn a_large_body_ends_at_its_bound_t46() {
    for coding in CODINGS {
        let limits = DecodeLimits { bytes_max: 100_000, ratio_max: u64::MAX };
        for (bytes, expected) in [(100_000, Ok(())), (100_001, Err(DecodeError::TooLarge))] {
            let (found, end) = decode(coding, limits, &[&bomb(coding, bytes)]);
            assert_eq!(end, expected, "{coding:?}");
            assert!(found.len() <= 100_000, "what is over is never given out");
        }
    }
}

#[test]
fn what_is_over_a_limit_leaves_the_output_as_it_was_t46() {
    for coding in CODINGS {
        let limits = DecodeLimits { bytes_max: 10, ratio_max: 100 };
        let mut out = b"before".to_vec();
        let outcome = Decoder::new(coding, limits).handle_input(&bomb(coding, 11), &mut out);
        assert_eq!((outcome, &out[..]), (Err(DecodeError::TooLarge), &b"before"[..]), "{coding:?}");
    }
}

#[test]
fn empty_members_are_counted_t46() {
    let member = encode(Coding::Gzip, Effort::Fast, b"", 1);
    let most = member.repeat(DECODED_MEMBERS_COUNT_MAX as usize);
    check_decoded(Coding::Gzip, &most, b"");
    check_refused(Coding::Gzip, &[most, member].concat(), DecodeError::Malformed);
}

#[test]
fn empty_frames_make_no_work_t46() {
    let frames = encode(Coding::Zstd, Effort::Fast, b"", 1).repeat(10_000);
    check_decoded(Coding::Zstd, &frames, b"");
}

/// RFC 9659 §3.
#[test]
fn a_larger_window_is_refused_t46() {
    for (window_bits, is_taken) in
        [(DECODED_ZSTD_WINDOW_BITS_MAX, true), (DECODED_ZSTD_WINDOW_BITS_MAX + 1, false)]
    {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.set_parameter(CParameter::WindowLog(window_bits)).unwrap();
        // A frame with a size smaller than its window says the size instead.
        encoder.include_contentsize(false).unwrap();
        std::io::Write::write_all(&mut encoder, b"plain").unwrap();
        let (found, end) = decode(Coding::Zstd, NO_RATIO, &[&encoder.finish().unwrap()]);
        assert_eq!(end.is_ok(), is_taken, "{window_bits}");
        assert_eq!(found == b"plain", is_taken);
    }
}

/// Google's extension of brotli to windows of 1 GiB is no part of RFC 7932: its first byte means nothing there.
#[test]
fn a_large_brotli_window_is_refused_t46() {
    check_refused(Coding::Brotli, &[0x11, 30, 0, 0, 0], DecodeError::Malformed);
}

#[test]
fn every_error_names_its_limit() {
    let errors = [
        (DecodeError::Malformed, "bad_content_coding"),
        (DecodeError::Truncated, "bad_content_coding"),
        (DecodeError::TooLarge, "decoded_body_too_large"),
        (DecodeError::RatioTooHigh, "decoded_ratio_too_high"),
    ];
    for (error, code) in errors {
        assert_eq!(error.reason(), code);
    }
}
