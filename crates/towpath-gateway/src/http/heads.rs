//! The heads that Towpath writes: the request as the origin sees it, the response as the client sees it.
//!
//! Framing and everything that belongs to one connection is written anew from what the codec understood, never copied
//! (T01). Fields are copied in their order and spelling unless a rule here takes them out.

use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

use towpath::ctx::wire::write_grpc_timeout;
use towpath_proto::connection;
use towpath_proto::h1::encode;
use towpath_proto::h2::FieldWriter;
use towpath_proto::message::{Field, Framing, Known, Method, RequestHead, ResponseHead, Version};

use super::grpc_web::{self, WebCall};
use crate::coding::{Intake, Treatment};
use crate::plan::{Forwarded, HeaderEdits, HostHeader, Route};

/// How Towpath names itself in `Via`, `Server` and `Proxy-Status`.
pub(crate) const PSEUDONYM: &[u8] = b"towpath";

/// The fields that a client may not speak for itself unless it is a trusted proxy (T42).
const IDENTITY: &[Known] = &[
    Known::Forwarded,
    Known::XForwardedFor,
    Known::XForwardedHost,
    Known::XForwardedPort,
    Known::XForwardedProto,
    Known::XRealIp,
];

/// RFC 6455 §11.3.1 and §11.3.3; HTTP/2 has neither (RFC 8441 §5).
pub(crate) const WEBSOCKET_KEY: &[u8] = b"sec-websocket-key";
pub(crate) const WEBSOCKET_ACCEPT: &[u8] = b"sec-websocket-accept";

/// A request on its way to an endpoint.
pub(crate) struct Outgoing<'a> {
    pub(crate) head: &'a RequestHead,
    /// What the spans of `head` refer to.
    pub(crate) block: &'a [u8],
    /// Canonical and rewritten.
    pub(crate) path: &'a [u8],
    pub(crate) route: &'a Route,
    pub(crate) endpoint: &'a [u8],
    /// Whose connection the request came by.
    pub(crate) peer: IpAddr,
    /// Whether the peer's forwarding headers are believed.
    pub(crate) is_trusted: bool,
    pub(crate) forwarded: Forwarded,
    pub(crate) underscores: bool,
    /// The upgrade token to forward, if the client asks for one and the route lists it.
    pub(crate) upgrade: Option<&'a [u8]>,
    /// The key of a WebSocket that is opened in another version than the client asked in (RFC 8441 §5): ours, to an
    /// origin that speaks HTTP/1.1, or none to one that does not.
    pub(crate) websocket_key: Option<&'a [u8]>,
    /// Whether the client speaks TLS to us.
    pub(crate) is_secure: bool,
    /// Headers that only the gateway may send, in lower case.
    pub(crate) identity_headers: &'a [Box<[u8]>],
    /// The one of them that says who the client is, by its certificate.
    pub(crate) identity: Option<(&'a [u8], &'a [u8])>,
    /// How long the origin has for a gRPC call; takes the place of what the client said.
    pub(crate) grpc_timeout: Option<Duration>,
    /// What becomes of its body.
    pub(crate) intake: Intake,
    /// The call of gRPC-Web that it makes.
    pub(crate) web: Option<&'a WebCall>,
}

/// Takes the fields of a head: as text of HTTP/1, or into a block of HTTP/2, which leaves out by itself what it has no
/// place for.
pub(crate) trait FieldSink {
    /// A field of our own.
    fn field(&mut self, name: &[u8], value: &[u8]);

    /// A field of the peer's, copied.
    fn copied(&mut self, field: &Field, block: &[u8]);

    /// A field whose value is written in pieces.
    fn pieces(&mut self, name: &[u8], write: impl FnOnce(&mut Vec<u8>));
}

impl FieldSink for Vec<u8> {
    fn field(&mut self, name: &[u8], value: &[u8]) {
        encode::field(self, name, value);
    }

    fn copied(&mut self, field: &Field, block: &[u8]) {
        encode::field(self, field.name.of(block), field.value.of(block));
    }

    fn pieces(&mut self, name: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        self.extend_from_slice(name);
        self.extend_from_slice(b": ");
        write(self);
        self.extend_from_slice(b"\r\n");
    }
}

impl FieldSink for FieldWriter<'_> {
    fn field(&mut self, name: &[u8], value: &[u8]) {
        FieldWriter::field(self, name, value);
    }

    fn copied(&mut self, field: &Field, block: &[u8]) {
        FieldWriter::copied(self, field, block);
    }

    fn pieces(&mut self, name: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        let mut value = Vec::new();
        write(&mut value);
        self.field(name, &value);
    }
}

/// Either of the two, for heads that are not worth code of their own for each.
pub(crate) enum EitherSink<'a, 'w> {
    Text(&'a mut Vec<u8>),
    Block(&'a mut FieldWriter<'w>),
}

impl FieldSink for EitherSink<'_, '_> {
    fn field(&mut self, name: &[u8], value: &[u8]) {
        match self {
            Self::Text(out) => out.field(name, value),
            Self::Block(out) => out.field(name, value),
        }
    }

    fn copied(&mut self, field: &Field, block: &[u8]) {
        match self {
            Self::Text(out) => out.copied(field, block),
            Self::Block(out) => out.copied(field, block),
        }
    }

    fn pieces(&mut self, name: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        match self {
            Self::Text(out) => out.pieces(name, write),
            Self::Block(out) => out.pieces(name, write),
        }
    }
}

/// Writes the request head as text. Returns how many fields were dropped because of a `_` in their name.
pub(crate) fn encode_request(request: &Outgoing<'_>, out: &mut Vec<u8>) -> u64 {
    let (head, block) = (request.head, request.block);
    encode::request_line(
        out,
        head.method.of_block(block),
        request.path,
        head.query.map(|span| span.of(block)),
    );
    encode::field(out, b"host", request.host());
    let dropped = encode_request_fields(request, out);
    out.extend_from_slice(b"\r\n");
    dropped
}

/// Writes the fields of a request but for `Host`. Returns how many were dropped because of a `_` in their name.
pub(crate) fn encode_request_fields(request: &Outgoing<'_>, out: &mut impl FieldSink) -> u64 {
    let (head, block, route) = (request.head, request.block, request.route);
    let mut dropped = 0;
    for field in &head.fields {
        let name = field.name.of(block);
        let is_odd = field.known == Known::Other && name.contains(&b'_');
        if is_odd && (!request.underscores || is_alias(name) || request.is_identity(name)) {
            dropped += 1;
        } else if request.passes(field, name) {
            match request.translated(field) {
                Some(value) => out.field(name, &value),
                None => out.copied(field, block),
            }
        }
    }
    encode_identity(request, out);
    if let Some((name, value)) = request.identity {
        out.field(name, value);
    }
    encode_edits(&route.request_headers, out);
    if let Some(timeout) = request.grpc_timeout {
        out.field(b"grpc-timeout", write_grpc_timeout(timeout).as_bytes());
    }
    if route.via {
        encode_via(head.version, out);
    }
    encode_framing(request.framing(), out);
    if let Some(token) = request.upgrade {
        out.field(b"connection", b"upgrade");
        out.field(b"upgrade", token);
    }
    if let Some(key) = request.websocket_key.filter(|key| !key.is_empty()) {
        out.field(WEBSOCKET_KEY, key);
    }
    dropped
}

impl Outgoing<'_> {
    fn passes(&self, field: &Field, name: &[u8]) -> bool {
        match field.known {
            _ if !self.intake.passes(name) => false,
            Known::Host | Known::ContentLength => false,
            Known::GrpcTimeout => self.grpc_timeout.is_none(),
            known if connection::is_hop_by_hop(known) => false,
            Known::XForwardedFor | Known::Forwarded | Known::XForwardedProto | Known::XForwardedHost => {
                self.is_trusted && !self.rewrites(field.known)
            }
            _ if self.is_identity(name) => false,
            Known::Other if self.websocket_key.is_some() && name.eq_ignore_ascii_case(WEBSOCKET_KEY) => false,
            known if IDENTITY.contains(&known) => self.is_trusted,
            Known::Other if self.head.connection_nominates && is_nominated(self.head, self.block, name) => {
                false
            }
            _ => !self.route.request_headers.removes(name),
        }
    }

    /// The value that stands in the place of the client's.
    fn translated(&self, field: &Field) -> Option<Vec<u8>> {
        let is_media_type = self.web.is_some() && field.known == Known::ContentType;
        is_media_type.then(|| grpc_web::to_grpc(field.value.of(self.block))).flatten()
    }

    /// The framing to go on with instead of the client's.
    fn framing(&self) -> Framing {
        match self.intake.framing(self.head.framing) {
            // What is left without its base64 is known at the end.
            Framing::Length(_) if self.web.is_some_and(WebCall::is_text) => Framing::Chunked,
            framing => framing,
        }
    }

    /// Whether only the gateway may send a header of this name. An origin may read `_` as `-` (T42).
    fn is_identity(&self, name: &[u8]) -> bool {
        let is_same = |own: &[u8]| {
            let plain = name.iter().map(|&byte| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() });
            own.len() == name.len()
                && plain.eq(own.iter().map(|&byte| if byte == b'_' { b'-' } else { byte }))
        };
        self.identity_headers.iter().any(|own| is_same(own))
    }

    /// The scheme by which the client came.
    fn scheme(&self) -> &'static [u8] {
        if self.is_secure { b"https" } else { b"http" }
    }

    /// Whether this identity field is written by [`encode_identity`], from the old value where there is one.
    fn rewrites(&self, known: Known) -> bool {
        let (x, rfc) = (self.forwarded.is_x_forwarded(), self.forwarded.is_rfc7239());
        match known {
            Known::XForwardedFor => x,
            Known::Forwarded => rfc,
            // A trusted proxy was nearer to the client: what it says stays.
            Known::XForwardedProto | Known::XForwardedHost => x && !self.has(known),
            _ => false,
        }
    }

    fn has(&self, known: Known) -> bool {
        self.is_trusted && self.head.fields.find(known, self.block).is_some()
    }

    fn authority(&self) -> Option<&[u8]> {
        self.head.authority.map(|span| span.of(self.block))
    }

    /// Whether the client takes trailers (RFC 9110 §10.1.4), which HTTP/2 alone passes on: gRPC does not work without.
    pub(crate) fn wants_trailers(&self) -> bool {
        if self.web.is_some() {
            return true;
        }
        let mut values = self.head.fields.iter().filter(|field| field.known == Known::Te);
        values.any(|field| field.value.of(self.block).eq_ignore_ascii_case(b"trailers"))
    }

    /// The host that the origin sees.
    pub(crate) fn host(&self) -> &[u8] {
        match &self.route.host {
            HostHeader::Preserve => self.authority().unwrap_or(self.endpoint),
            HostHeader::Upstream => self.endpoint,
            HostHeader::Literal(host) => host,
        }
    }
}

/// Whether an origin that reads `_` as `-`, as CGI made usual, would take this for a field that Towpath vouches for or
/// frames with. No setting lets those pass (T42).
fn is_alias(name: &[u8]) -> bool {
    let mut plain = [0; ALIAS_BYTES_MAX];
    let Some(plain) = plain.get_mut(..name.len()) else { return false };
    for (plain, &byte) in plain.iter_mut().zip(name) {
        *plain = if byte == b'_' { b'-' } else { byte };
    }
    Known::of(plain) != Known::Other
}

/// No known name is longer than `proxy-authorization`.
const ALIAS_BYTES_MAX: usize = 32;

/// Only fields that mean nothing to Towpath can be nominated away; the others are protected (T09).
fn is_nominated(head: &RequestHead, block: &[u8], name: &[u8]) -> bool {
    head.fields
        .iter()
        .filter(|field| field.known == Known::Connection)
        .any(|field| connection::nominates(field.value.of(block), name))
}

fn encode_identity(request: &Outgoing<'_>, out: &mut impl FieldSink) {
    if request.forwarded.is_x_forwarded() {
        out.pieces(b"x-forwarded-for", |value| {
            encode_earlier(request, Known::XForwardedFor, value);
            encode_ip(request.peer, value);
        });
        if !request.has(Known::XForwardedProto) {
            out.field(b"x-forwarded-proto", request.scheme());
        }
        if let Some(host) = request.authority().filter(|_| !request.has(Known::XForwardedHost)) {
            out.field(b"x-forwarded-host", host);
        }
    }
    if request.forwarded.is_rfc7239() {
        out.pieces(b"forwarded", |value| {
            encode_earlier(request, Known::Forwarded, value);
            encode_forwarded_element(request, value);
        });
    }
}

/// Writes what a trusted proxy said before, which our own element follows.
fn encode_earlier(request: &Outgoing<'_>, known: Known, out: &mut Vec<u8>) {
    if !request.is_trusted {
        return;
    }
    for field in request.head.fields.iter().filter(|field| field.known == known) {
        out.extend_from_slice(field.value.of(request.block));
        out.extend_from_slice(b", ");
    }
}

/// RFC 7239 §4: an IPv6 address stands in brackets and quotes, as does a host with a port.
fn encode_forwarded_element(request: &Outgoing<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"for=");
    let is_v6 = request.peer.to_canonical().is_ipv6();
    out.extend_from_slice(if is_v6 { b"\"[" } else { b"" });
    encode_ip(request.peer, out);
    out.extend_from_slice(if is_v6 { b"]\"" } else { b"" });
    // An authority holds neither quotes nor backslashes, so it needs no escapes inside the quoted string.
    if let Some(host) = request.authority() {
        out.extend_from_slice(b";host=\"");
        out.extend_from_slice(host);
        out.push(b'"');
    }
    out.extend_from_slice(b";proto=");
    out.extend_from_slice(request.scheme());
}

/// `255.255.255.255` and a dot behind it.
const IPV4_TEXT_BYTES_MAX: usize = 16;

/// Writes an address as text; an IPv4 one that arrived mapped into IPv6 as IPv4.
fn encode_ip(ip: IpAddr, out: &mut Vec<u8>) {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let mut text = [0; IPV4_TEXT_BYTES_MAX];
            let mut end = 0;
            for octet in ip.octets() {
                for (digit, is_shown) in
                    [(octet / 100, octet > 99), (octet / 10 % 10, octet > 9), (octet % 10, true)]
                {
                    text[end] = b'0' + digit;
                    end += usize::from(is_shown);
                }
                text[end] = b'.';
                end += 1;
            }
            out.extend_from_slice(&text[..end - 1]);
        }
        // Writing to a vector cannot fail.
        IpAddr::V6(ip) => drop(write!(out, "{ip}")),
    }
}

pub(crate) fn encode_edits(edits: &HeaderEdits, out: &mut impl FieldSink) {
    for (name, value) in edits.set.iter().chain(&edits.add) {
        out.field(name, value);
    }
}

fn encode_via(received: Version, out: &mut impl FieldSink) {
    let value: &[u8] = match received {
        Version::Http10 => b"1.0 towpath",
        Version::Http11 => b"1.1 towpath",
        Version::Http2 => b"2 towpath",
    };
    out.field(b"via", value);
}

fn encode_framing(framing: Framing, out: &mut impl FieldSink) {
    match framing {
        Framing::None | Framing::Close => {}
        Framing::Length(length) => encode_length(length, out),
        Framing::Chunked => out.field(b"Transfer-Encoding", b"chunked"),
    }
}

/// Writes `Content-Length` (RFC 9110 §8.6).
pub(crate) fn encode_length(length: u64, out: &mut impl FieldSink) {
    out.pieces(b"Content-Length", |value| encode::decimal(value, length));
}

/// A response on its way to the client.
pub(crate) struct Returning<'a> {
    pub(crate) head: &'a ResponseHead,
    /// What the spans of `head` refer to.
    pub(crate) block: &'a [u8],
    pub(crate) route: &'a Route,
    pub(crate) method: Method,
    /// The framing towards the client, which may differ from the origin's.
    pub(crate) framing: Framing,
    /// What becomes of its body.
    pub(crate) treatment: Treatment,
    /// The version the client spoke.
    pub(crate) client_version: Version,
    /// Whether another request may follow on the client's connection.
    pub(crate) keep_alive: bool,
    /// The value for `Date` if the origin sent none (RFC 9110 §6.6.1).
    pub(crate) date: &'a [u8],
}

/// The framing of a response towards a client, given the origin's (RFC 9112 §6.3).
pub(crate) fn framing_to_client(origin: Framing, client: Version) -> Framing {
    match (origin, client) {
        (Framing::None | Framing::Length(_), _) => origin,
        (Framing::Chunked | Framing::Close, Version::Http11 | Version::Http2) => Framing::Chunked,
        (Framing::Chunked | Framing::Close, Version::Http10) => Framing::Close,
    }
}

/// Writes the response head as text, an interim one included.
pub(crate) fn encode_response(response: &Returning<'_>, out: &mut Vec<u8>) {
    let head = response.head;
    // RFC 9113 §8.3.2: HTTP/2 has no reason phrase.
    let reason = match head.version {
        Version::Http2 => encode::reason_phrase(head.status).as_bytes(),
        _ => head.reason.of(response.block),
    };
    encode::status_line_for(out, Version::Http11, head.status, reason);
    encode_response_fields(response, out);
    out.extend_from_slice(b"\r\n");
}

/// Writes the fields of a response, an interim one included.
pub(crate) fn encode_response_fields(response: &Returning<'_>, out: &mut impl FieldSink) {
    let (head, block, route) = (response.head, response.block, response.route);
    let is_interim = head.status < 200;
    let mut has_date = is_interim;
    for field in &head.fields {
        has_date |= field.known == Known::Date;
        let name = field.name.of(block);
        if response.passes(field, name) {
            out.copied(field, block);
        }
    }
    if !has_date {
        out.field(b"date", response.date);
    }
    if !is_interim {
        response.treatment.encode_fields(head, block, &route.response_headers, out);
        encode_edits(&route.response_headers, out);
        if route.via {
            encode_via(head.version, out);
        }
        if !response.ends_with_its_head() {
            encode_framing(response.framing, out);
        }
        encode_persistence(response.keep_alive, response.client_version, out);
    }
}

impl Returning<'_> {
    /// Whether a head of HTTP/2 was all that the origin sent, and can be so again: the trailers of a gRPC call that has
    /// failed stand in one, for example.
    fn ends_with_its_head(&self) -> bool {
        self.framing == Framing::Length(0)
            && self.client_version == Version::Http2
            && self.head.fields.find(Known::ContentLength, self.block).is_none()
    }

    fn passes(&self, field: &Field, name: &[u8]) -> bool {
        match field.known {
            _ if !self.treatment.passes(name) => false,
            // A response to HEAD, and a 304, tell the length of the body they do not have (RFC 9110 §8.6).
            Known::ContentLength => {
                self.framing == Framing::None && (self.method == Method::Head || self.head.status == 304)
            }
            known if connection::is_hop_by_hop(known) => false,
            Known::Other if self.head.connection_nominates && self.nominates(name) => false,
            _ => !self.route.response_headers.removes(name),
        }
    }

    fn nominates(&self, name: &[u8]) -> bool {
        self.head
            .fields
            .iter()
            .filter(|field| field.known == Known::Connection)
            .any(|field| connection::nominates(field.value.of(self.block), name))
    }
}

/// Writes `Connection` where the version's default is not what will happen (RFC 9112 §9.3).
pub(crate) fn encode_persistence(keep_alive: bool, version: Version, out: &mut impl FieldSink) {
    match (keep_alive, version) {
        // RFC 9113 §8.2.2: HTTP/2 has no such field.
        (true, Version::Http11) | (_, Version::Http2) => {}
        (true, Version::Http10) => out.field(b"connection", b"keep-alive"),
        (false, Version::Http10 | Version::Http11) => out.field(b"connection", b"close"),
    }
}

/// Writes the head of a 101 (RFC 9110 §15.2.2): `Connection` and `Upgrade` are part of the switch, so both are there, in
/// our own words. `accept` takes the place of what the origin said.
pub(crate) fn encode_switch(
    head: &ResponseHead,
    block: &[u8],
    route: &Route,
    token: &[u8],
    accept: Option<&[u8]>,
    out: &mut Vec<u8>,
) {
    encode::status_line(out, 101);
    out.field(b"connection", b"upgrade");
    out.field(b"upgrade", token);
    encode_switch_fields(head, block, route, accept.is_some(), out);
    if let Some(accept) = accept {
        out.field(WEBSOCKET_ACCEPT, accept);
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes the fields of a response that switches but for what is about the switch itself.
pub(crate) fn encode_switch_fields(
    head: &ResponseHead,
    block: &[u8],
    route: &Route,
    drops_accept: bool,
    out: &mut impl FieldSink,
) {
    for field in &head.fields {
        let name = field.name.of(block);
        let belongs_to_hop = field.known == Known::ContentLength || connection::is_hop_by_hop(field.known);
        let is_accept = drops_accept && name.eq_ignore_ascii_case(WEBSOCKET_ACCEPT);
        if !belongs_to_hop && !is_accept && !route.response_headers.removes(name) {
            out.copied(field, block);
        }
    }
    encode_edits(&route.response_headers, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_the_standard_library_writes_it() {
        for text in ["0.0.0.0", "1.20.255.100", "10.0.9.99", "255.255.255.255", "::1", "2001:db8::9"] {
            let mut out = Vec::new();
            encode_ip(text.parse().unwrap(), &mut out);
            assert_eq!(out, text.as_bytes());
        }
        let mut out = Vec::new();
        encode_ip("::ffff:192.0.2.7".parse().unwrap(), &mut out);
        assert_eq!(out, b"192.0.2.7");
    }
}
