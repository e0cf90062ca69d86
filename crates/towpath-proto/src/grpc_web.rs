//! gRPC-Web: a gRPC call as browsers can make it, by the gRPC project's document "PROTOCOL-WEB".
//!
//! Messages are framed as in gRPC. What differs is the media type, that the trailers are the last frame of the body, and
//! that all of the body may be base64: in pieces of which each may end in padding.

use crate::base64;

/// How the body of a gRPC-Web message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As it is.
    Binary,
    /// In base64.
    Text,
}

impl Format {
    /// The media type, behind which `+proto` and the like may follow.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Binary => "application/grpc-web",
            Self::Text => "application/grpc-web-text",
        }
    }
}

/// The format that a media type stands for, and what follows it (`+proto`, parameters). `None` when it is none of
/// gRPC-Web.
#[must_use]
pub fn read_media_type(value: &[u8]) -> Option<(Format, &[u8])> {
    [Format::Text, Format::Binary].into_iter().find_map(|format| {
        let (name, rest) = value.split_at_checked(format.media_type().len())?;
        let is_whole = matches!(rest.first(), None | Some(b'+' | b';' | b' '));
        (is_whole && name.eq_ignore_ascii_case(format.media_type().as_bytes())).then_some((format, rest))
    })
}

/// The first byte of the frame that holds the trailers.
pub const TRAILERS_FLAG: u8 = 0x80;

/// Appends the frame that ends a response. `lines` are `name: value`, each with CR LF behind it.
pub fn encode_trailers(lines: &[u8], out: &mut Vec<u8>) {
    out.push(TRAILERS_FLAG);
    out.extend_from_slice(&(lines.len() as u32).to_be_bytes());
    out.extend_from_slice(lines);
}

/// Appends `data` as a piece of a body in base64, with padding.
pub fn encode_text(data: &[u8], out: &mut Vec<u8>) {
    out.reserve(text_len(data.len()));
    data.chunks(3).for_each(|group| out.extend_from_slice(&base64::encode_group(group)));
}

/// How long a piece of so many bytes is in base64.
#[must_use]
pub const fn text_len(data_len: usize) -> usize {
    data_len.div_ceil(3) * 4
}

/// A body in base64 that is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadText;

impl std::fmt::Display for BadText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a body in base64 has a byte that is no digit, or ends inside of four digits")
    }
}

impl std::error::Error for BadText {}

/// Reads a body in base64 that comes in any pieces. It may be padded wherever four digits end.
#[derive(Clone, Copy, Debug, Default)]
pub struct TextDecoder {
    digits: [u8; 4],
    held: usize,
}

impl TextDecoder {
    /// Appends the bytes of `text` to `out`, but for those whose digits have not all come.
    ///
    /// # Errors
    /// The text is no base64.
    pub fn handle_input(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<(), BadText> {
        for &digit in text {
            self.digits[self.held] = digit;
            self.held = (self.held + 1) % 4;
            if self.held == 0 {
                let (bits, count) = base64::decode_group(self.digits).ok_or(BadText)?;
                out.extend_from_slice(&bits.to_be_bytes()[1..=count]);
            }
        }
        Ok(())
    }

    /// The text has ended.
    ///
    /// # Errors
    /// It ended inside of four digits.
    pub fn finish(self) -> Result<(), BadText> {
        if self.held == 0 { Ok(()) } else { Err(BadText) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(pieces: &[&[u8]]) -> Result<Vec<u8>, BadText> {
        let (mut decoder, mut out) = (TextDecoder::default(), Vec::new());
        pieces.iter().try_for_each(|piece| decoder.handle_input(piece, &mut out))?;
        decoder.finish().map(|()| out)
    }

    #[test]
    fn a_media_type_tells_the_format() {
        for (value, expected) in [
            ("application/grpc-web", Some((Format::Binary, ""))),
            ("application/grpc-web+proto", Some((Format::Binary, "+proto"))),
            ("Application/gRPC-Web; x=y", Some((Format::Binary, "; x=y"))),
            ("application/grpc-web-text", Some((Format::Text, ""))),
            ("application/grpc-web-text+proto", Some((Format::Text, "+proto"))),
            ("application/grpc", None),
            ("application/grpc-website", None),
            ("application/grpc-web-texts", None),
            ("", None),
        ] {
            let expected = expected.map(|(format, rest)| (format, rest.as_bytes()));
            assert_eq!(read_media_type(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn text_is_what_rfc4648_10_says() {
        for (plain, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            let mut out = Vec::new();
            encode_text(plain.as_bytes(), &mut out);
            assert_eq!((out.as_slice(), out.len()), (text.as_bytes(), text_len(plain.len())));
            assert_eq!(decoded(&[text.as_bytes()]).unwrap(), plain.as_bytes());
        }
    }

    #[test]
    fn every_byte_comes_back_however_it_is_cut() {
        let plain: Vec<u8> = (0..=255).chain(0..=251).collect();
        let mut text = Vec::new();
        plain.chunks(7).for_each(|piece| encode_text(piece, &mut text));
        for at in 0..text.len() {
            let (before, after) = text.split_at(at);
            assert_eq!(decoded(&[before, after]).unwrap(), plain);
        }
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for text in
            ["Z", "Zg", "Zg=", "Z===", "====", "Zg=a", "Z=g=", "Zm9v\r\n==", "Zm9-", "Zm9_", "Zh==", "Zm9="]
        {
            assert_eq!(decoded(&[text.as_bytes()]), Err(BadText), "{text}");
        }
    }

    #[test]
    fn trailers_are_a_frame() {
        let mut out = Vec::new();
        encode_trailers(b"grpc-status: 0\r\n", &mut out);
        assert_eq!(out, b"\x80\0\0\0\x10grpc-status: 0\r\n");
    }
}
