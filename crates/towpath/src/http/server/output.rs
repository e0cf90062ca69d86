//! Responses as they are written.

use ::http::StatusCode;
use towpath_proto::h1::encode;
use towpath_proto::h2::SendError;
use towpath_proto::message::{Known, Version};

use super::has_no_content;
use crate::http::headers::Headers;
use crate::http::response::Response;
use crate::http2::Lane;

/// What the request says about its response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) version: Version,
    pub(super) is_head: bool,
    pub(super) keep_alive: bool,
}

/// How a response whose head is encoded goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoded {
    /// A body follows.
    pub(super) has_body: bool,
    /// How many bytes, if that was said.
    pub(super) length: Option<u64>,
    is_chunked: bool,
    /// Its end is the end of the connection: a client of HTTP/1.0 knows no other for a body of unknown length.
    pub(super) ends_by_close: bool,
}

/// Fields of a response that its program does not write: framing and connection are the server's.
fn is_ours(known: Known, is_switch: bool) -> bool {
    match known {
        Known::ContentLength | Known::TransferEncoding | Known::KeepAlive => true,
        Known::Connection | Known::Upgrade => !is_switch,
        _ => false,
    }
}

/// Ends the body of a response in HTTP/2.
pub(super) fn end_lane(lane: &Lane, trailers: Option<&Headers>) -> Result<(), SendError> {
    let mut lines = Vec::new();
    trailers
        .into_iter()
        .flat_map(Headers::raw)
        .for_each(|(name, value)| encode::field(&mut lines, name, value));
    lane.end(&lines)
}

impl Encoded {
    /// Sends the head of `response` in HTTP/2.
    pub(super) fn respond(
        lane: &Lane,
        response: &Response,
        facts: &Facts,
        date: &[u8],
        is_switch: bool,
    ) -> Result<Self, SendError> {
        let (status, length) = (response.status(), response.length(facts.is_head));
        let may_have_content = !is_switch && !has_no_content(status);
        let has_body = may_have_content && !facts.is_head && !response.is_empty();
        lane.respond(status.as_u16(), !has_body && !is_switch, |fields| {
            let mut has_date = false;
            for (known, name, value) in response.headers().known() {
                if is_ours(known, false) {
                    continue;
                }
                has_date |= known == Known::Date;
                fields.field(name, value);
            }
            if !has_date {
                fields.field(b"date", date);
            }
            if let (true, Some(length)) = (may_have_content, length) {
                let mut digits = Vec::new();
                encode::decimal(&mut digits, length);
                fields.field(b"content-length", &digits);
            }
        })?;
        Ok(Self { has_body, length, is_chunked: false, ends_by_close: false })
    }

    /// Writes the head of `response`.
    pub(super) fn head(
        out: &mut Vec<u8>,
        response: &Response,
        facts: &Facts,
        date: &[u8],
        is_switch: bool,
    ) -> Self {
        let status = response.status();
        // RFC 9110 §15.5.22: a 426 says which protocol is asked for.
        let names_protocols = is_switch || status == StatusCode::UPGRADE_REQUIRED;
        encode::status_line(out, status.as_u16());
        let mut has_date = false;
        for (known, name, value) in response.headers().known() {
            if is_ours(known, names_protocols) {
                continue;
            }
            has_date |= known == Known::Date;
            encode::field(out, name, value);
        }
        if !has_date {
            encode::field(out, b"Date", date);
        }
        let length = response.length(facts.is_head);
        let may_have_content = !is_switch && !has_no_content(status);
        let is_chunked = may_have_content && length.is_none() && facts.version == Version::Http11;
        let ends_by_close = may_have_content && length.is_none() && !is_chunked && !facts.is_head;
        if may_have_content {
            match length {
                Some(length) => encode::content_length(out, length),
                None if is_chunked => encode::transfer_encoding_chunked(out),
                None => {}
            }
        }
        if !is_switch {
            match facts.version {
                _ if !facts.keep_alive || ends_by_close => encode::field(out, b"Connection", b"close"),
                Version::Http10 => encode::field(out, b"Connection", b"keep-alive"),
                _ => {}
            }
        }
        encode::end_of_head(out);
        Self { has_body: may_have_content && !facts.is_head, length, is_chunked, ends_by_close }
    }

    /// What stands before a piece of this many bytes.
    pub(super) fn begin_piece(&self, out: &mut Vec<u8>, bytes: usize) {
        if self.is_chunked {
            out.extend_from_slice(encode::chunk_head(bytes).as_bytes());
        }
    }

    /// What stands behind a piece.
    pub(super) fn end_piece(&self, out: &mut Vec<u8>) {
        if self.is_chunked {
            out.extend_from_slice(encode::CHUNK_END);
        }
    }

    /// What stands behind the last piece.
    pub(super) fn end(&self, out: &mut Vec<u8>, trailers: Option<&Headers>) {
        if self.is_chunked {
            encode::last_chunk(out, trailers.into_iter().flat_map(Headers::raw));
        }
    }
}
