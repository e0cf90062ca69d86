//! The message vocabulary that every HTTP version shares: heads made of [`Span`]s into a block of bytes.
//!
//! A codec never copies what a peer sent. It reports ranges of the *block* it was given: for HTTP/1 the block
//! is the receive buffer, for HTTP/2 the decoded field section. Whoever holds the block
//! turns a span into bytes with [`Span::of`].

use std::ops::Range;

/// A range of the caller's block of bytes. Eight bytes, so that a hundred fields stay in a few cache lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset behind the last byte.
    pub end: u32,
}

impl Span {
    /// A span from `start` up to, not including, `end`.
    pub const fn new(start: u32, end: u32) -> Self {
        Self { start, end }
    }

    /// The bytes this span names; empty when the block is shorter than the one the span was made for.
    pub fn of(self, block: &[u8]) -> &[u8] {
        block.get(self.range()).unwrap_or_default()
    }

    /// The span as a range of `usize`.
    pub const fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Length in bytes.
    pub const fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether the span names no byte.
    pub const fn is_empty(self) -> bool {
        self.end == self.start
    }
}

/// The version a message was sent in. HTTP/3 joins when its codec exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0 (RFC 1945): no `Host` required, closes by default, no chunked coding.
    Http10,
    /// HTTP/1.1 (RFC 9112).
    #[default]
    Http11,
    /// HTTP/2 (RFC 9113).
    Http2,
}

/// A request method (RFC 9110 §9, RFC 5789). Methods are case-sensitive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the methods")]
pub enum Method {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
    /// Any other token; its bytes are in the block.
    Extension(Span),
}

impl Method {
    /// The method that `token` spells; `span` is where the token stands, for a method that has no name here.
    pub fn of(token: &[u8], span: Span) -> Self {
        match token {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"CONNECT" => Self::Connect,
            b"OPTIONS" => Self::Options,
            b"TRACE" => Self::Trace,
            b"PATCH" => Self::Patch,
            _ => Self::Extension(span),
        }
    }

    /// The bytes of the method. The block matters only for an extension method.
    pub fn of_block(self, block: &[u8]) -> &[u8] {
        match self {
            Self::Get => b"GET",
            Self::Head => b"HEAD",
            Self::Post => b"POST",
            Self::Put => b"PUT",
            Self::Delete => b"DELETE",
            Self::Connect => b"CONNECT",
            Self::Options => b"OPTIONS",
            Self::Trace => b"TRACE",
            Self::Patch => b"PATCH",
            Self::Extension(span) => span.of(block),
        }
    }

    /// Whether the method asks for no change at the origin (RFC 9110 §9.2.1).
    pub const fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options | Self::Trace)
    }

    /// Whether sending the request twice has the effect of sending it once (RFC 9110 §9.2.2), so that it may
    /// be retried when its fate is unknown. An extension method never is: nothing is known about it.
    pub const fn is_idempotent(self) -> bool {
        self.is_safe() || matches!(self, Self::Put | Self::Delete)
    }
}

/// How the end of a body is known (RFC 9112 §6.3), written anew on the other side and never copied through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// No body: a request without one, or a response to HEAD, 1xx, 204, 304.
    #[default]
    None,
    /// Exactly this many bytes.
    Length(u64),
    /// Chunked transfer coding, trailers possible.
    Chunked,
    /// The response body ends when the connection closes. Never for a request.
    Close,
}

/// One header or trailer field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Field {
    /// The name as it was spelt.
    pub name: Span,
    /// The value without surrounding white space.
    pub value: Span,
    /// Which field it is, if it is one the data path asks about.
    pub known: Known,
    /// The sender wants it in no compression table, here or further on (RFC 7541 §6.2.3). Never from HTTP/1.
    pub never_index: bool,
}

/// The fields of a head or of trailers, in the order they came.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    list: Vec<Field>,
}

impl Fields {
    /// Forgets every field and keeps the memory.
    pub fn clear(&mut self) {
        self.list.clear();
    }

    /// Forgets every field and gives back the memory beyond `kept_count` of them.
    pub fn release(&mut self, kept_count: usize) {
        self.list.clear();
        self.list.shrink_to(kept_count);
    }

    /// Adds a field. The codec has already charged it against its limits.
    pub fn push(&mut self, field: Field) {
        self.list.push(field);
    }

    /// Keeps the fields that `is_kept` says so of, in order.
    pub fn retain(&mut self, is_kept: impl FnMut(&Field) -> bool) {
        self.list.retain(is_kept);
    }

    /// The fields in order, to be changed.
    pub(crate) fn iter_mut(&mut self) -> std::slice::IterMut<'_, Field> {
        self.list.iter_mut()
    }

    /// The fields in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Field> {
        self.list.iter()
    }

    /// The number of fields.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The value of the first field that is `known`, if there is one.
    pub fn find<'a>(&self, known: Known, block: &'a [u8]) -> Option<&'a [u8]> {
        self.list.iter().find(|field| field.known == known).map(|field| field.value.of(block))
    }

    /// The elements of all fields of this name, as one list (RFC 9110 §5.3); see [`crate::field::list_elements`].
    pub fn elements<'a>(&'a self, name: &'a [u8], block: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let named = self.list.iter().filter(move |field| field.name.of(block).eq_ignore_ascii_case(name));
        named.flat_map(move |field| crate::field::list_elements(field.value.of(block)))
    }

    /// Whether `Cache-Control: no-transform` is among them, in a request or a response (RFC 9111 §5.2.1.6).
    pub fn forbid_transformation(&self, block: &[u8]) -> bool {
        self.elements(b"cache-control", block).any(|element| element.eq_ignore_ascii_case(b"no-transform"))
    }

    /// The value of the first field of this name, compared without case.
    pub fn find_name<'a>(&self, name: &[u8], block: &'a [u8]) -> Option<&'a [u8]> {
        self.list
            .iter()
            .find(|field| field.name.of(block).eq_ignore_ascii_case(name))
            .map(|field| field.value.of(block))
    }
}

impl<'a> IntoIterator for &'a Fields {
    type Item = &'a Field;
    type IntoIter = std::slice::Iter<'a, Field>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

/// The head of a request, already judged: framing is unambiguous, the authority is the only one there is.
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The version of the message.
    pub version: Version,
    /// Host and optional port: from an absolute or authority-form target, else from `Host`. `None` only for
    /// HTTP/1.0 without `Host`. When both were present they were equal (RFC 9112 §3.2.2, T10).
    pub authority: Option<Span>,
    /// The path as sent, starting with `/`; `*` for `OPTIONS *`; empty for CONNECT.
    pub path: Span,
    /// What follows the first `?`, without it.
    pub query: Option<Span>,
    /// Whether the path is already in canonical form (see [`crate::path`]), as nearly every path is.
    pub path_is_canonical: bool,
    /// All header fields in order, `Host` included. In HTTP/2 pseudo-header fields are none, and the pieces that a
    /// `Cookie` came in are one field.
    pub fields: Fields,
    /// How the body ends; never [`Framing::Close`]. HTTP/2 has no coding: [`Framing::Chunked`] stands for a body of
    /// which no length was declared, and [`Framing::None`] also for CONNECT, whose data are the tunnel's.
    pub framing: Framing,
    /// Whether the client allows another request on this connection (RFC 9112 §9.3).
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body (RFC 9110 §10.1.1).
    pub expect_continue: bool,
    /// The value of `Upgrade` when `Connection` nominates it and the version is HTTP/1.1.
    pub upgrade: Option<Span>,
    /// The value of `:protocol`, which makes a CONNECT an extended one with scheme and path (RFC 8441 §4).
    pub protocol: Option<Span>,
    /// Whether `Connection` nominated any field besides `close`, `keep-alive` and `upgrade`, so that the
    /// forwarding side need not look otherwise.
    pub connection_nominates: bool,
}

/// The head of a response, already judged.
#[derive(Clone, Debug, Default)]
pub struct ResponseHead {
    /// Status code, 100 to 999.
    pub status: u16,
    /// The version of the message.
    pub version: Version,
    /// The reason phrase as sent, possibly empty.
    pub reason: Span,
    /// All header fields in order.
    pub fields: Fields,
    /// How the body ends.
    pub framing: Framing,
    /// Whether the origin allows another request on this connection.
    pub keep_alive: bool,
    /// Whether `Connection` nominated any field besides `close`, `keep-alive` and `upgrade`.
    pub connection_nominates: bool,
}

macro_rules! known {
    ($($variant:ident = $name:literal),+ $(,)?) => {
        /// Fields that the data path asks about by identity instead of by comparing names.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum Known {
            /// Any other field.
            #[default]
            Other,
            $(#[doc = concat!("`", $name, "`")] $variant,)+
        }

        impl Known {
            /// Every known field with its lower-case name.
            pub const ALL: &[(Self, &'static str)] = &[$((Self::$variant, $name),)+];
        }
    };
}

known! {
    AcceptEncoding = "accept-encoding",
    Connection = "connection",
    ContentLength = "content-length",
    ContentType = "content-type",
    Date = "date",
    Expect = "expect",
    Forwarded = "forwarded",
    GrpcTimeout = "grpc-timeout",
    Host = "host",
    KeepAlive = "keep-alive",
    ProxyAuthenticate = "proxy-authenticate",
    ProxyAuthorization = "proxy-authorization",
    ProxyConnection = "proxy-connection",
    ProxyStatus = "proxy-status",
    Referer = "referer",
    Server = "server",
    Te = "te",
    Trailer = "trailer",
    TransferEncoding = "transfer-encoding",
    Upgrade = "upgrade",
    UserAgent = "user-agent",
    Via = "via",
    XForwardedFor = "x-forwarded-for",
    XForwardedHost = "x-forwarded-host",
    XForwardedProto = "x-forwarded-proto",
    XForwardedPort = "x-forwarded-port",
    XRealIp = "x-real-ip",
    XRequestId = "x-request-id",
}
