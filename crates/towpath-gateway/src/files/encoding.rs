//! Choosing a compressed sibling (RFC 9110 §12.5.3).

use crate::plan::Precompressed;

/// A weight of 1, in thousandths: three decimals are all a weight may have (RFC 9110 §12.4.2).
const WEIGHT_MAX: u16 = 1000;

/// What is added to a file's name.
pub(super) fn suffix(encoding: Precompressed) -> &'static [u8] {
    match encoding {
        Precompressed::Brotli => b".br",
        Precompressed::Gzip => b".gz",
        Precompressed::Zstd => b".zst",
    }
}

/// The value of `Content-Encoding`.
pub(super) fn token(encoding: Precompressed) -> &'static str {
    match encoding {
        Precompressed::Brotli => "br",
        Precompressed::Gzip => "gzip",
        Precompressed::Zstd => "zstd",
    }
}

/// Which of the `offered` encodings `accept` allows, best first: by the client's weight, then by the plan's order.
///
/// One that the client values below the plain file is left out. If nothing is acceptable, not even the plain file, the
/// plain file is sent all the same, as §12.5.3 recommends.
pub(super) fn acceptable(accept: &[u8], offered: &[Precompressed]) -> Vec<Precompressed> {
    let identity = weight_of(accept, &["identity"]).unwrap_or(0);
    let mut chosen: Vec<(u16, Precompressed)> = Vec::with_capacity(offered.len());
    for &encoding in offered {
        let weight = weight_of(accept, names(encoding)).or_else(|| weight_of(accept, &["*"])).unwrap_or(0);
        if weight > 0 && weight >= identity {
            chosen.push((weight, encoding));
        }
    }
    // The sort is stable, so equal weights keep the plan's order.
    chosen.sort_by_key(|&(weight, _)| std::cmp::Reverse(weight));
    chosen.into_iter().map(|(_, encoding)| encoding).collect()
}

/// Every name of a coding. `x-gzip` is the same as `gzip` (RFC 9110 §8.4.1.3).
fn names(encoding: Precompressed) -> &'static [&'static str] {
    match encoding {
        Precompressed::Gzip => &["gzip", "x-gzip"],
        Precompressed::Brotli => &["br"],
        Precompressed::Zstd => &["zstd"],
    }
}

/// The weight of the first element that has one of these names.
fn weight_of(accept: &[u8], names: &[&str]) -> Option<u16> {
    accept.split(|&byte| byte == b',').find_map(|element| {
        let mut pieces = element.split(|&byte| byte == b';');
        let coding = pieces.next()?.trim_ascii();
        let is_named = names.iter().any(|name| coding.eq_ignore_ascii_case(name.as_bytes()));
        is_named.then(|| pieces.next().map_or(WEIGHT_MAX, parse_weight))
    })
}

/// `q=0.5` in thousandths (RFC 9110 §12.4.2). What is no weight counts as 0: the plain file is always understood.
fn parse_weight(parameter: &[u8]) -> u16 {
    match parameter.trim_ascii() {
        [b'q' | b'Q', b'=', b'1'] => WEIGHT_MAX,
        [b'q' | b'Q', b'=', b'1', b'.', zeros @ ..] if zeros.iter().all(|&digit| digit == b'0') => WEIGHT_MAX,
        [b'q' | b'Q', b'=', b'0', b'.', digits @ ..] if digits.len() <= 3 => parse_thousandths(digits),
        _ => 0,
    }
}

fn parse_thousandths(digits: &[u8]) -> u16 {
    if !digits.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    let padded = digits.iter().copied().chain(std::iter::repeat(b'0')).take(3);
    padded.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(accept: &str, expected: &str) {
        let offered = [Precompressed::Zstd, Precompressed::Brotli, Precompressed::Gzip];
        let chosen: Vec<&str> = acceptable(accept.as_bytes(), &offered).into_iter().map(token).collect();
        assert_eq!(chosen.join(" "), expected, "{accept:?}");
    }

    #[test]
    fn the_plan_orders_what_the_client_values_alike() {
        check("gzip, br, zstd", "zstd br gzip");
        check("gzip, deflate, br", "br gzip");
        check("*", "zstd br gzip");
        check("", "");
        check("deflate", "");
    }

    #[test]
    fn weights_come_first_rfc9110_12_4_2() {
        check("br;q=0.5, gzip;q=0.9, zstd;q=0.501", "gzip zstd br");
        check("gzip;q=1.000, br; q=0.999", "gzip br");
        check("*;q=0.1, gzip", "gzip zstd br");
        check("GZIP ;Q=0.3", "gzip");
        check("x-gzip", "gzip");
    }

    #[test]
    fn what_is_refused_is_not_sent_rfc9110_12_5_3() {
        check("br;q=0, gzip", "gzip");
        check("br;q=0.000, *", "zstd gzip");
        check("*;q=0", "");
        check("gzip;q=0, *;q=0", "");
        check("identity;q=0, gzip", "gzip");
        check("identity, gzip;q=0.5", "");
        check("identity;q=0.5, gzip;q=0.5", "gzip");
    }

    #[test]
    fn a_malformed_weight_is_none() {
        for accept in
            ["gzip;q=", "gzip;q=2", "gzip;q=0.1234", "gzip;q=.5", "gzip;q=-1", "gzip;level=9", "gzip;q=1.5"]
        {
            check(accept, "");
        }
    }
}
