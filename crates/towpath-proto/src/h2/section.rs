//! From a decoded field section to a judged head (RFC 9113 §8).
//!
//! Everything that HTTP/1.1 could read in a second way is refused here, once, so that whoever writes the head for
//! another version has nothing left to check (T17).

use super::hpack::{BlockDecoder, FieldLine, HpackError};
use super::stream::Answers;
use super::{PseudoFault, StreamFault};
use crate::authority::{self, Authority};
use crate::field;
use crate::h1::fields::{Collected, Meter, Single, TrailerVerdict, judge_trailer};
use crate::h1::{FieldFault, FramingFault, HostFault, TargetFault, framing, request, target};
use crate::limits::{FIELDS_KEPT_COUNT, HeadLimits};
use crate::message::{Field, Fields, Framing, Known, Method, RequestHead, ResponseHead, Span, Version};

/// The section decoded last: a block of bytes, and what its spans mean. Every decoding clears the former one and
/// reuses its memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Section {
    pub(super) block: Vec<u8>,
    pub(super) request: RequestHead,
    pub(super) response: ResponseHead,
    pub(super) trailers: Fields,
}

/// A block is lost for the connection, or its section for one stream.
pub(super) type Verdict = Result<Result<(), StreamFault>, HpackError>;

impl Section {
    /// Decodes and judges the head of a request.
    pub(super) fn decode_request(
        &mut self,
        decoder: BlockDecoder<'_>,
        limits: &HeadLimits,
        is_end: bool,
    ) -> Verdict {
        let Self { block, request, .. } = self;
        let mut reader = Reader::new(limits, Place::RequestHead);
        if let Err(fault) = reader.read(decoder, block, &mut request.fields)? {
            return Ok(Err(fault));
        }
        Ok(judge_request(&reader, is_end, request, block))
    }

    /// Decodes and judges the head of a response, interim or final, to such a request.
    pub(super) fn decode_response(
        &mut self,
        decoder: BlockDecoder<'_>,
        limits: &HeadLimits,
        answers: Answers,
        is_end: bool,
    ) -> Verdict {
        let Self { block, response, .. } = self;
        let mut reader = Reader::new(limits, Place::ResponseHead);
        if let Err(fault) = reader.read(decoder, block, &mut response.fields)? {
            return Ok(Err(fault));
        }
        Ok(judge_response(&reader, answers, is_end, response, block))
    }

    /// Decodes and judges trailers.
    pub(super) fn decode_trailers(&mut self, decoder: BlockDecoder<'_>, limits: &HeadLimits) -> Verdict {
        let Self { block, trailers, .. } = self;
        Reader::new(limits, Place::Trailers).read(decoder, block, trailers)
    }

    /// Decodes a section for the sake of the table only.
    pub(super) fn skip(&mut self, mut decoder: BlockDecoder<'_>) -> Result<(), HpackError> {
        self.block.clear();
        while decoder.skip_field(&mut self.block)? {}
        Ok(())
    }

    /// Gives back memory that an idle connection does not need.
    pub(super) fn release_excess(&mut self) {
        self.block = Vec::new();
        self.request.fields.release(FIELDS_KEPT_COUNT);
        self.response.fields.release(FIELDS_KEPT_COUNT);
        self.trailers.release(0);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    RequestHead,
    ResponseHead,
    Trailers,
}

/// The pseudo-header fields of a head.
#[derive(Default)]
struct Pseudo {
    method: Option<Span>,
    scheme: Option<Span>,
    authority: Option<Span>,
    path: Option<Span>,
    protocol: Option<Span>,
    status: Option<Span>,
}

/// Takes the fields of a section one by one.
struct Reader<'a> {
    limits: &'a HeadLimits,
    place: Place,
    meter: Meter,
    fields_count: usize,
    pseudo: Pseudo,
    collected: Collected,
    has_regular: bool,
    crumbs_count: usize,
}

impl<'a> Reader<'a> {
    fn new(limits: &'a HeadLimits, place: Place) -> Self {
        Self {
            limits,
            place,
            meter: Meter::default(),
            fields_count: 0,
            pseudo: Pseudo::default(),
            collected: Collected::default(),
            has_regular: false,
            crumbs_count: 0,
        }
    }

    /// Takes all fields. After the first fault the rest is decoded for its effect on the table and not stored (T14).
    fn read(&mut self, mut decoder: BlockDecoder<'_>, block: &mut Vec<u8>, fields: &mut Fields) -> Verdict {
        block.clear();
        fields.clear();
        while let Some(line) = decoder.poll_field(block)? {
            if let Err(fault) = self.take(line, block, fields) {
                block.truncate(line.name.start as usize);
                while decoder.skip_field(block)? {}
                return Ok(Err(fault));
            }
        }
        if self.crumbs_count > 1 {
            join_crumbs(block, fields);
        }
        Ok(Ok(()))
    }

    fn take(&mut self, line: FieldLine, block: &[u8], fields: &mut Fields) -> Result<(), StreamFault> {
        let (name, value) = (line.name.of(block), line.value.of(block));
        let field = Field {
            name: line.name,
            value: line.value,
            known: Known::of(name),
            never_index: line.never_index,
        };
        self.charge(&field)?;
        if !field::is_value(value) {
            return Err(FieldFault::Value.into());
        }
        if name.first() == Some(&b':') {
            return self.take_pseudo(name, line.value);
        }
        self.has_regular = true;
        if !is_lower_name(name) {
            return Err(FieldFault::Name.into());
        }
        judge_connection(field.known, value)?;
        self.keep(field, name, value, fields)
    }

    /// Every field counts, also one that is dropped or joined to others later (T14).
    fn charge(&mut self, field: &Field) -> Result<(), FieldFault> {
        self.fields_count += 1;
        if self.fields_count > self.limits.fields_count() {
            return Err(FieldFault::TooMany);
        }
        self.meter.charge(field, self.limits)
    }

    /// RFC 9113 §8.3: defined for this kind of message, once, and before all other fields.
    fn take_pseudo(&mut self, name: &[u8], value: Span) -> Result<(), StreamFault> {
        let pseudo = &mut self.pseudo;
        let slot = match (self.place, name) {
            (Place::RequestHead, b":method") => &mut pseudo.method,
            (Place::RequestHead, b":scheme") => &mut pseudo.scheme,
            (Place::RequestHead, b":authority") => &mut pseudo.authority,
            (Place::RequestHead, b":path") => &mut pseudo.path,
            (Place::RequestHead, b":protocol") => &mut pseudo.protocol,
            (Place::ResponseHead, b":status") => &mut pseudo.status,
            _ => return Err(PseudoFault::Unknown.into()),
        };
        match slot {
            _ if self.has_regular => Err(PseudoFault::Late.into()),
            Some(_) => Err(PseudoFault::Repeated.into()),
            None => {
                *slot = Some(value);
                Ok(())
            }
        }
    }

    fn keep(
        &mut self,
        field: Field,
        name: &[u8],
        value: &[u8],
        fields: &mut Fields,
    ) -> Result<(), StreamFault> {
        if self.place == Place::Trailers {
            match judge_trailer(field.known, name) {
                TrailerVerdict::Keep => {}
                TrailerVerdict::Drop => return Ok(()),
                TrailerVerdict::Refuse => return Err(FieldFault::ForbiddenTrailer.into()),
            }
        }
        self.collected.add(&field, value);
        self.crumbs_count += usize::from(self.place == Place::RequestHead && name == COOKIE);
        fields.push(field);
        Ok(())
    }
}

/// RFC 9113 §8.2.1: a token without capitals. Stricter than the RFC, which leaves out only what splits a line.
fn is_lower_name(name: &[u8]) -> bool {
    field::is_name(name) && !name.iter().any(u8::is_ascii_uppercase)
}

/// RFC 9113 §8.2.2: what speaks about a connection of HTTP/1.1 makes a message malformed, and `TE` may say `trailers`
/// only.
fn judge_connection(known: Known, value: &[u8]) -> Result<(), StreamFault> {
    match known {
        Known::Connection
        | Known::KeepAlive
        | Known::ProxyConnection
        | Known::TransferEncoding
        | Known::Upgrade => Err(StreamFault::ConnectionField),
        Known::Te if !value.eq_ignore_ascii_case(b"trailers") => Err(StreamFault::ConnectionField),
        _ => Ok(()),
    }
}

const COOKIE: &[u8] = b"cookie";

/// RFC 9113 §8.2.3: the pieces of a cookie are one field for every other version. The first field gets all of them;
/// what this appends to the block was charged as overhead of the pieces.
fn join_crumbs(block: &mut Vec<u8>, fields: &mut Fields) {
    const SEPARATOR: &[u8] = b"; ";
    let (start, mut never_index) = (block.len(), false);
    for field in fields.iter() {
        // An empty piece would leave white space at the end of the value.
        if field.name.of(block) == COOKIE && !field.value.is_empty() {
            block.extend_from_slice(if block.len() > start { SEPARATOR } else { b"" });
            block.extend_from_within(field.value.range());
            never_index |= field.never_index;
        }
    }
    let value = Span::new(start as u32, block.len() as u32);
    let mut is_first = true;
    fields.retain(|field| field.name.of(block) != COOKIE || std::mem::take(&mut is_first));
    if let Some(cookie) = fields.iter_mut().find(|field| field.name.of(block) == COOKIE) {
        (cookie.value, cookie.never_index) = (value, never_index);
    }
}

/// RFC 9113 §8.3.1, §8.5 and RFC 8441 §4.
fn judge_request(
    reader: &Reader<'_>,
    is_end: bool,
    head: &mut RequestHead,
    block: &[u8],
) -> Result<(), StreamFault> {
    let pseudo = &reader.pseudo;
    let method = pseudo.method.ok_or(PseudoFault::Missing)?;
    if !field::is_token(method.of(block)) {
        return Err(PseudoFault::Value.into());
    }
    head.version = Version::Http2;
    head.keep_alive = true;
    // The memory may have held a head of HTTP/1.1.
    head.upgrade = None;
    head.connection_nominates = false;
    head.method = Method::of(method.of(block), method);
    head.protocol = pseudo.protocol;
    judge_target(pseudo, &reader.collected, head, block)?;
    let declared = framing::declared(&reader.collected, Version::Http2, block)?;
    head.framing = request_framing(head.method, declared, is_end)?;
    let has_content = !matches!(head.framing, Framing::None | Framing::Length(0));
    let expects_continue =
        request::expects_continue(&reader.collected, block).map_err(|_| StreamFault::Expectation)?;
    head.expect_continue = expects_continue && has_content;
    Ok(())
}

/// Where the request goes: scheme, authority and path.
fn judge_target(
    pseudo: &Pseudo,
    collected: &Collected,
    head: &mut RequestHead,
    block: &[u8],
) -> Result<(), StreamFault> {
    if head.method == Method::Connect && head.protocol.is_none() {
        // RFC 9113 §8.5: no scheme and no path.
        if pseudo.scheme.is_some() || pseudo.path.is_some() {
            return Err(PseudoFault::Superfluous.into());
        }
        return take_authority(pseudo, collected, None, head, block)
            .and_then(|()| take_connect_target(head, block));
    }
    judge_protocol(head, block)?;
    let default_port = match pseudo.scheme.ok_or(PseudoFault::Missing)?.of(block) {
        b"http" => 80,
        b"https" => 443,
        // A scheme of another kind has been a way to smuggle a target into a request line (T17).
        _ => return Err(PseudoFault::Value.into()),
    };
    take_authority(pseudo, collected, Some(default_port), head, block)?;
    take_path(pseudo.path.ok_or(PseudoFault::Missing)?, head, block)
}

/// RFC 8441 §4: `:protocol` goes with CONNECT only, and is the token of an upgrade.
fn judge_protocol(head: &RequestHead, block: &[u8]) -> Result<(), PseudoFault> {
    match head.protocol {
        Some(_) if head.method != Method::Connect => Err(PseudoFault::Superfluous),
        Some(protocol) if !field::is_token(protocol.of(block)) => Err(PseudoFault::Value),
        _ => Ok(()),
    }
}

/// RFC 9113 §8.5: host and port, as in the authority-form of HTTP/1.1.
fn take_connect_target(head: &mut RequestHead, block: &[u8]) -> Result<(), StreamFault> {
    let span = head.authority.unwrap_or_default();
    let target = target::parse(Method::Connect, span, block)?;
    head.path = target.path;
    head.query = None;
    head.path_is_canonical = target.path_is_canonical;
    Ok(())
}

/// The one authority of the request: `:authority`, else `Host`; if both are there they say the same (RFC 9113 §8.3.1,
/// T10).
fn take_authority(
    pseudo: &Pseudo,
    collected: &Collected,
    default_port: Option<u16>,
    head: &mut RequestHead,
    block: &[u8],
) -> Result<(), StreamFault> {
    let host = host_of(collected)?;
    let is_authority = |span: &Span| Authority::parse(span.of(block)).is_some();
    if !pseudo.authority.iter().chain(&host).all(is_authority) {
        return Err(HostFault::Syntax.into());
    }
    head.authority = match (pseudo.authority, host) {
        (Some(authority), Some(host)) => {
            if !authority::is_same(authority.of(block), host.of(block), default_port) {
                return Err(HostFault::Mismatch.into());
            }
            Some(authority)
        }
        (None, None) => return Err(HostFault::Missing.into()),
        // RFC 9113 §8.5: CONNECT says where to in `:authority`.
        (None, Some(_)) if default_port.is_none() => return Err(PseudoFault::Missing.into()),
        (authority, host) => authority.or(host),
    };
    Ok(())
}

fn host_of(collected: &Collected) -> Result<Option<Span>, HostFault> {
    match collected.host {
        Single::Absent => Ok(None),
        Single::Once(host) => Ok(Some(host)),
        // CVE-2026-73550 was about copies that nobody counted (T14).
        Single::Repeated => Err(HostFault::Repeated),
    }
}

/// RFC 9113 §8.3.1: a path that starts with `/`, or `*` for OPTIONS.
fn take_path(path: Span, head: &mut RequestHead, block: &[u8]) -> Result<(), StreamFault> {
    let method = match (head.method, path.of(block)) {
        (Method::Options, b"*") => Method::Options,
        // The method has a say in the form only, and that is origin-form here, for extended CONNECT too.
        (_, [b'/', ..]) => Method::Get,
        _ => return Err(TargetFault::Form.into()),
    };
    let target = target::parse(method, path, block)?;
    head.path = target.path;
    head.query = target.query;
    head.path_is_canonical = target.path_is_canonical;
    Ok(())
}

fn request_framing(method: Method, declared: Option<Framing>, is_end: bool) -> Result<Framing, StreamFault> {
    match (method, declared) {
        // RFC 9110 §9.3.6: what follows is the tunnel's.
        (Method::Connect, None | Some(Framing::Length(0))) => Ok(Framing::None),
        (Method::Connect, Some(_)) => Err(FramingFault::ContentForbidden.into()),
        (_, Some(Framing::Length(length))) if is_end && length > 0 => Err(StreamFault::LengthMismatch),
        (_, Some(framing)) => Ok(framing),
        (_, None) => Ok(if is_end { Framing::None } else { Framing::Chunked }),
    }
}

/// RFC 9113 §8.3.2.
fn judge_response(
    reader: &Reader<'_>,
    answers: Answers,
    is_end: bool,
    head: &mut ResponseHead,
    block: &[u8],
) -> Result<(), StreamFault> {
    let status = reader.pseudo.status.ok_or(PseudoFault::Missing)?;
    head.status = parse_status(status.of(block)).ok_or(PseudoFault::Value)?;
    head.version = Version::Http2;
    head.keep_alive = true;
    head.reason = Span::default();
    head.connection_nominates = false;
    let declared = framing::declared(&reader.collected, Version::Http2, block)?;
    head.framing = response_framing(head.status, answers, declared, is_end)?;
    Ok(())
}

/// RFC 9110 §15: three digits, of which the first is not zero.
fn parse_status(text: &[u8]) -> Option<u16> {
    match text {
        [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9'] => field::parse_decimal(text)?.try_into().ok(),
        _ => None,
    }
}

/// As for HTTP/1.1 (RFC 9112 §6.3), except that the stream has an end of its own.
fn response_framing(
    status: u16,
    answers: Answers,
    declared: Option<Framing>,
    is_end: bool,
) -> Result<Framing, StreamFault> {
    match (status, answers) {
        (101, _) => Err(StreamFault::Interim),
        (100..200, _) if is_end => Err(StreamFault::Interim),
        (100..200 | 204, _) => match declared {
            None | Some(Framing::Length(0)) => Ok(Framing::None),
            Some(_) => Err(FramingFault::ContentForbidden.into()),
        },
        (304, _) | (_, Answers::Head) | (200..300, Answers::Connect) => Ok(Framing::None),
        _ => match declared {
            Some(Framing::Length(length)) if is_end && length > 0 => Err(StreamFault::LengthMismatch),
            Some(framing) => Ok(framing),
            // An empty body that has a place for content: HTTP/1.1 would wait for it if nothing were said.
            None => Ok(if is_end { Framing::Length(0) } else { Framing::Chunked }),
        },
    }
}
