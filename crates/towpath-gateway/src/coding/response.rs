//! The response: compressed or not.

use towpath_proto::coding::{Accepted, Coding, Encoder};
use towpath_proto::field;
use towpath_proto::grpc_web::Format;
use towpath_proto::message::{Framing, Known, Method, ResponseHead};

use super::{DIGESTS, is_one_of};
use crate::http::grpc_web;
use crate::http::heads::FieldSink;
use crate::plan::{Compress, HeaderEdits, is_compressed};

/// A response that is judged.
pub(crate) struct Answer<'a> {
    pub(crate) rules: &'a Compress,
    pub(crate) method: Method,
    pub(crate) accepted: Accepted,
    pub(crate) head: &'a ResponseHead,
    /// What the spans of `head` refer to.
    pub(crate) block: &'a [u8],
}

/// What happens to a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// Nothing.
    #[default]
    AsIs,
    /// It is not coded for this client, and for others it is.
    Plain,
    /// It tells that what was coded is still good.
    NotModified,
    /// It is coded, or would be if it had a body.
    Coded(Coding),
    /// It is an answer of gRPC that becomes one of gRPC-Web, with its trailers in the body.
    GrpcWeb(Format),
}

impl Treatment {
    pub(crate) fn of(answer: &Answer<'_>) -> Self {
        if !answer.may_be_coded() {
            return Self::AsIs;
        }
        match answer.accepted.best(&answer.rules.codings) {
            None => Self::Plain,
            Some(_) if answer.head.status == 304 => Self::NotModified,
            Some(coding) => Self::Coded(coding),
        }
    }

    /// What happens to the answer to a call of gRPC-Web.
    pub(crate) fn of_web(format: Format, head: &ResponseHead, block: &[u8]) -> Self {
        if grpc_web::from_grpc(format, head, block).is_some() { Self::GrpcWeb(format) } else { Self::AsIs }
    }

    /// The framing to go on with instead of the origin's: the length of what is coded is not known before its end.
    pub(crate) fn framing(self, origin: Framing) -> Framing {
        match (self, origin) {
            (Self::Coded(_), Framing::Length(_)) => Framing::Chunked,
            // A body of none is the answer whose trailers stand in its head.
            (Self::GrpcWeb(_), Framing::Length(1..)) => Framing::Chunked,
            _ => origin,
        }
    }

    /// Whether a field of the origin's stays, a trailer included. The others are gone, or are written by
    /// [`Treatment::encode_fields`].
    pub(crate) fn passes(self, name: &[u8]) -> bool {
        match self {
            Self::AsIs | Self::Plain => true,
            Self::GrpcWeb(_) => !name.eq_ignore_ascii_case(b"content-type"),
            Self::NotModified => !name.eq_ignore_ascii_case(b"etag"),
            // Ranges would be of bytes that are never the same twice; a sum that came behind the body was of others.
            Self::Coded(_) => {
                !is_one_of(name, &[b"etag", b"content-length", b"accept-ranges"]) && !is_one_of(name, DIGESTS)
            }
        }
    }

    /// Writes what the treatment adds, but nothing that the route itself sets or removes.
    pub(crate) fn encode_fields(
        self,
        head: &ResponseHead,
        block: &[u8],
        edits: &HeaderEdits,
        out: &mut impl FieldSink,
    ) {
        if let Self::Coded(coding) = self {
            out.field(b"content-encoding", coding.token().as_bytes());
        }
        if let Self::GrpcWeb(format) = self {
            let media_type = grpc_web::from_grpc(format, head, block);
            let media_type = media_type.filter(|_| !edits.removes(b"content-type"));
            media_type.into_iter().for_each(|value| out.field(b"content-type", &value));
            return;
        }
        if self != Self::AsIs && !edits.removes(b"vary") && !varies_already(head, block) {
            out.field(b"vary", b"accept-encoding");
        }
        if matches!(self, Self::Coded(_) | Self::NotModified)
            && !edits.removes(b"etag")
            && let Some(etag) = head.fields.find_name(b"etag", block)
        {
            encode_weak(etag, out);
        }
    }

    /// What codes the body. `origin` is the framing of the response as it came.
    pub(crate) fn coder(self, rules: &Compress, origin: Framing) -> Option<Coder> {
        match (self, origin) {
            (Self::Coded(coding), Framing::Length(_) | Framing::Chunked | Framing::Close) => Some(Coder {
                encoder: Encoder::new(coding, rules.effort),
                is_prompt: !matches!(origin, Framing::Length(_)),
            }),
            _ => None,
        }
    }
}

/// The same content in another coding is another sequence of bytes, so only a weak tag can stand for both
/// (RFC 9110 §8.8.1).
fn encode_weak(etag: &[u8], out: &mut impl FieldSink) {
    let mark: &[u8] = if etag.starts_with(b"W/") { b"" } else { b"W/" };
    out.field(b"etag", &[mark, etag].concat());
}

fn varies_already(head: &ResponseHead, block: &[u8]) -> bool {
    head.fields.elements(b"vary", block).any(|name| is_one_of(name, &[b"*", b"accept-encoding"]))
}

impl Answer<'_> {
    /// Whether a client that accepts it would get this coded.
    fn may_be_coded(&self) -> bool {
        // Behind the answer to CONNECT is no content.
        self.method != Method::Connect
            && self.has_status()
            && !self.has_any(&[b"content-encoding", b"content-range"])
            && !self.has_any(DIGESTS)
            && !self.head.fields.forbid_transformation(self.block)
            && self.has_type()
            && self.is_long_enough()
    }

    /// Interim responses, and those without content or with a part of one, are not coded. A 304 speaks of what was.
    fn has_status(&self) -> bool {
        self.head.status >= 200 && !matches!(self.head.status, 204..=206)
    }

    fn has_any(&self, names: &[&[u8]]) -> bool {
        self.head.fields.iter().any(|field| is_one_of(field.name.of(self.block), names))
    }

    /// A 304 need not repeat the type.
    fn has_type(&self) -> bool {
        let Some(value) = self.head.fields.find(Known::ContentType, self.block) else {
            return self.head.status == 304;
        };
        let essence = value.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        let media_type = String::from_utf8_lossy(essence).to_ascii_lowercase();
        !is_compressed(&media_type) && self.rules.types.iter().any(|pattern| pattern.matches(&media_type))
    }

    /// The answer to HEAD tells the length of what GET would bring.
    fn is_long_enough(&self) -> bool {
        let length = match self.head.framing {
            Framing::Length(length) => Some(length),
            Framing::Chunked | Framing::Close => None,
            Framing::None => {
                self.head.fields.find(Known::ContentLength, self.block).and_then(field::parse_decimal)
            }
        };
        let is_judged = self.head.status != 304;
        length.is_none_or(|length| !is_judged || length >= self.rules.body_bytes_min.max(1))
    }
}

/// What codes the body of a response.
#[derive(Debug)]
pub(crate) struct Coder {
    encoder: Encoder,
    /// Nobody knows how long it will be: it may be events, or an answer that was waited for.
    is_prompt: bool,
}

impl Coder {
    /// Takes a piece of the body and appends what is ready.
    pub(crate) fn push(&mut self, data: &[u8], out: &mut Vec<u8>) {
        self.encoder.push(data, out);
    }

    /// The origin has nothing more for now: of a body without a length, nothing is held back. One with a length is soon
    /// over, and smaller if it is coded in one piece.
    pub(crate) fn pause(&mut self, out: &mut Vec<u8>) {
        if self.is_prompt {
            self.encoder.flush(out);
        }
    }

    /// Appends the rest.
    pub(crate) fn finish(self, out: &mut Vec<u8>) {
        self.encoder.finish(out);
    }
}
