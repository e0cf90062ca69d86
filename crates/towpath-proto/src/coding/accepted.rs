//! What a client accepts (RFC 9110 §12.5.3).

use super::Coding;
use crate::field::list_elements;
use crate::message::{Fields, Known};

/// A weight of 1, in thousandths: three decimals are all a weight may have (RFC 9110 §12.4.2).
const WEIGHT_MAX: u16 = 1000;

/// The codings that a client accepts, each with its weight in thousandths. The default is no coding at all, which is also
/// what a client without `Accept-Encoding` gets: it may take any, but not every such client can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    gzip: u16,
    brotli: u16,
    zstd: u16,
    identity: u16,
}

impl Accepted {
    /// Reads the values of all `Accept-Encoding` fields of a request, in order. The first element of a name counts.
    pub fn read<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut named = Named::default();
        values.into_iter().flat_map(list_elements).for_each(|element| named.note(element));
        let weight_of = |weight: Option<u16>| weight.or(named.any).unwrap_or(0);
        Self {
            gzip: weight_of(named.gzip),
            brotli: weight_of(named.brotli),
            zstd: weight_of(named.zstd),
            identity: named.identity.unwrap_or(0),
        }
    }

    /// What a client accepts that sent these fields; nothing when it wants no transformation.
    pub fn of(fields: &Fields, block: &[u8]) -> Self {
        if fields.forbid_transformation(block) {
            return Self::default();
        }
        let fields = fields.iter().filter(|field| field.known == Known::AcceptEncoding);
        Self::read(fields.map(|field| field.value.of(block)))
    }

    /// Which of the `offered` codings may be sent, best first: by the client's weight, then by the order of the offer.
    ///
    /// One that the client values below the plain content is left out. If nothing is acceptable, not even the plain
    /// content, that is sent all the same, as §12.5.3 recommends.
    pub fn best_first(self, offered: &[Coding]) -> Vec<Coding> {
        let mut chosen: Vec<Coding> =
            offered.iter().copied().filter(|coding| self.accepts(*coding)).collect();
        // The sort is stable, so equal weights keep the order of the offer.
        chosen.sort_by_key(|coding| std::cmp::Reverse(self.weight(*coding)));
        chosen
    }

    /// The first of [`Accepted::best_first`].
    pub fn best(self, offered: &[Coding]) -> Option<Coding> {
        // Of equals the last is taken, hence backwards.
        let acceptable = offered.iter().rev().copied().filter(|coding| self.accepts(*coding));
        acceptable.max_by_key(|coding| self.weight(*coding))
    }

    fn accepts(self, coding: Coding) -> bool {
        let weight = self.weight(coding);
        weight > 0 && weight >= self.identity
    }

    fn weight(self, coding: Coding) -> u16 {
        match coding {
            Coding::Gzip => self.gzip,
            Coding::Brotli => self.brotli,
            Coding::Zstd => self.zstd,
        }
    }
}

/// The weights as they were written.
#[derive(Debug, Default)]
struct Named {
    gzip: Option<u16>,
    brotli: Option<u16>,
    zstd: Option<u16>,
    identity: Option<u16>,
    /// `*`: every coding that is not named.
    any: Option<u16>,
}

impl Named {
    fn note(&mut self, element: &[u8]) {
        let mut pieces = element.split(|&byte| byte == b';');
        let name = pieces.next().unwrap_or_default().trim_ascii();
        if let Some(place) = self.place(name) {
            place.get_or_insert(pieces.next().map_or(WEIGHT_MAX, parse_weight));
        }
    }

    fn place(&mut self, name: &[u8]) -> Option<&mut Option<u16>> {
        match Coding::of(name) {
            Some(Coding::Gzip) => Some(&mut self.gzip),
            Some(Coding::Brotli) => Some(&mut self.brotli),
            Some(Coding::Zstd) => Some(&mut self.zstd),
            None if name == b"*" => Some(&mut self.any),
            None => name.eq_ignore_ascii_case(b"identity").then_some(&mut self.identity),
        }
    }
}

/// `q=0.5` in thousandths (RFC 9110 §12.4.2). What is no weight counts as 0: the plain content is always understood.
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

    const OFFERED: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

    #[track_caller]
    fn check_lines(lines: &[&str], expected: &str) {
        let accepted = Accepted::read(lines.iter().map(|line| line.as_bytes()));
        let chosen: Vec<&str> = accepted.best_first(&OFFERED).into_iter().map(Coding::token).collect();
        assert_eq!(chosen.join(" "), expected, "{lines:?}");
        assert_eq!(accepted.best(&OFFERED).map(Coding::token), chosen.first().copied(), "{lines:?}");
    }

    #[track_caller]
    fn check(line: &str, expected: &str) {
        check_lines(&[line], expected);
    }

    #[test]
    fn the_offer_orders_what_the_client_values_alike() {
        check("gzip, br, zstd", "zstd br gzip");
        check("gzip, deflate, br", "br gzip");
        check("*", "zstd br gzip");
        check("", "");
        check("deflate", "");
        check_lines(&[], "");
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
    fn several_fields_are_one_list_rfc9110_5_3() {
        check_lines(&["br;q=0", "gzip"], "gzip");
        check_lines(&["gzip", "gzip;q=0", "zstd;q=0.5"], "gzip zstd");
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
