//! gRPC-Web: a call that a browser makes, which its origin hears as one of gRPC.
//!
//! ```text
//!  application/grpc-web[-text] ──> application/grpc, `te: trailers`      the body as it is, or out of its base64
//!  application/grpc            ──> application/grpc-web[-text]           … and into it; trailers as the last frame
//! ```
//!
//! An answer that is no message of gRPC, such as a page about an error, passes as it is. One that breaks off behind its
//! head ends in a reset or a close: where a frame of gRPC ends is not known here, so that no other can be put behind it.

use towpath_proto::field;
use towpath_proto::grpc_web::{Format, TextDecoder, encode_text, encode_trailers, read_media_type, text_len};
use towpath_proto::h1::encode;
use towpath_proto::message::{Known, Method, RequestHead, ResponseHead};

use super::grpc;
use super::upload::encode_data;
use crate::error::Reason;

/// How the client wants to be answered, if it makes a call.
pub(super) fn answer_of(head: &RequestHead, block: &[u8]) -> Option<Format> {
    if head.method != Method::Post {
        return None;
    }
    let (asked, _) = read_media_type(head.fields.find(Known::ContentType, block)?)?;
    let accepted = head.fields.find_name(b"accept", block).unwrap_or_default();
    let wanted = field::list_elements(accepted).find_map(read_media_type);
    Some(wanted.map_or(asked, |(format, _)| format))
}

/// A call that is translated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WebCall {
    /// Takes the base64 off the body.
    text: Option<TextDecoder>,
    /// How the client wants to be answered.
    answer: Format,
}

impl WebCall {
    /// The call that a request makes whose client wants to be answered so.
    pub(super) fn new(head: &RequestHead, block: &[u8], answer: Format) -> Self {
        let asked = head.fields.find(Known::ContentType, block).and_then(read_media_type);
        let is_text = matches!(asked, Some((Format::Text, _)));
        Self { text: is_text.then(TextDecoder::default), answer }
    }

    /// Whether the body comes in base64.
    pub(super) fn is_text(&self) -> bool {
        self.text.is_some()
    }

    /// How the client wants to be answered.
    pub(super) fn answer(&self) -> Format {
        self.answer
    }

    /// Writes a piece of the body behind `out`.
    pub(super) fn take(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
        match &mut self.text {
            Some(decoder) => decoder.handle_input(data, out).map_err(|_| Reason::BadGrpcWebText),
            None => {
                out.extend_from_slice(data);
                Ok(())
            }
        }
    }

    /// The body has ended.
    pub(super) fn finish(&self) -> Result<(), Reason> {
        self.text.map_or(Ok(()), TextDecoder::finish).map_err(|_| Reason::BadGrpcWebText)
    }
}

/// The media type of the same call in gRPC: where it comes from, and what of it stays.
pub(super) fn to_grpc(media_type: &[u8]) -> Option<Vec<u8>> {
    let (_, rest) = read_media_type(media_type)?;
    Some([grpc::MEDIA_TYPE, rest].concat())
}

/// The media type of the same answer in gRPC-Web. `None` for an answer that is none of gRPC.
pub(crate) fn from_grpc(format: Format, head: &ResponseHead, block: &[u8]) -> Option<Vec<u8>> {
    let rest = grpc::rest_of(head.fields.find(Known::ContentType, block)?)?;
    Some([format.media_type().as_bytes(), rest].concat())
}

/// Writes a piece of the answer, in a chunk or not. Returns how many bytes of body that was.
pub(super) fn encode_piece(format: Format, is_chunked: bool, data: &[u8], out: &mut Vec<u8>) -> u64 {
    if format == Format::Binary {
        encode_data(is_chunked, data, out);
        return data.len() as u64;
    }
    let length = text_len(data.len());
    if is_chunked {
        out.extend_from_slice(encode::chunk_head(length).as_bytes());
    }
    encode_text(data, out);
    if is_chunked {
        out.extend_from_slice(b"\r\n");
    }
    length as u64
}

/// Writes the trailers of the answer as its last frame. Returns how many bytes of body that was.
pub(super) fn encode_last<'f>(
    format: Format,
    is_chunked: bool,
    trailers: impl Iterator<Item = (&'f [u8], &'f [u8])>,
    out: &mut Vec<u8>,
) -> u64 {
    let (mut lines, mut frame) = (Vec::new(), Vec::new());
    trailers.for_each(|(name, value)| encode::field(&mut lines, name, value));
    encode_trailers(&lines, &mut frame);
    let count = encode_piece(format, is_chunked, &frame, out);
    if is_chunked {
        out.extend_from_slice(encode::LAST_CHUNK);
    }
    count
}
