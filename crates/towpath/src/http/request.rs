//! A request, as a handler sees it and as a client sends it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use ::http::Method;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use towpath_proto::message::{self, Fields, Framing, RequestHead, Span};

use super::body::Body;
use super::error::Error;
use super::headers::{HeaderFault, Headers};
use super::server::Upgrade;

/// A request: a head that was judged, and a body that comes as it is read.
///
/// ```
/// use towpath::http::{Method, Request};
///
/// let request = Request::new(Method::POST, "/items/7?full=1").with_body("x");
/// assert_eq!((request.path(), request.query_text()), ("/items/7", Some("full=1")));
/// ```
pub struct Request {
    method: Method,
    /// Spans into the block of `headers`. Its own fields have moved there.
    head: RequestHead,
    headers: Headers,
    /// In its canonical form, where what was sent is another.
    path: Option<Box<str>>,
    body: Body,
    /// What [`Request::bytes`] and its kin take at the most.
    body_bytes_max: u64,
    params: Params,
    peer: Arc<Peer>,
    upgrade: Option<Upgrade>,
}

/// Who sent a request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Peer {
    /// The address of the connection's other side. Behind a proxy that is the proxy's.
    pub address: SocketAddr,
    /// Whether the connection speaks TLS.
    pub is_tls: bool,
    /// The certificate that the client has proved to own, in DER, where one is asked for.
    pub certificate: Option<Vec<u8>>,
}

impl Default for Peer {
    fn default() -> Self {
        Self { address: towpath_net::memory::ADDRESS, is_tls: false, certificate: None }
    }
}

/// What the names of a pattern stand for in a path, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(Arc<str>, String)>);

impl Params {
    pub(crate) fn push(&mut self, name: &Arc<str>, value: String) {
        self.0.push((Arc::clone(name), value));
    }

    /// What this name stands for.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| **known == *name).map(|(_, value)| value.as_str())
    }

    /// All of them in the order of the path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, value.as_str()))
    }
}

/// What a body may have if its server says nothing else: 2 MiB, more than forms and documents need and little enough to
/// be held by each of a thousand requests.
pub(crate) const BODY_BYTES_MAX: u64 = 2 << 20;

impl Request {
    /// A request for a path with an optional query, to be sent, or to be given to a handler by a test. What is no path is
    /// taken as `/`; [`Client::request`](super::Client::request) judges whole URLs.
    pub fn new(method: Method, target: &str) -> Self {
        let is_target =
            target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        let target = if is_target && u32::try_from(target.len()).is_ok() { target } else { "/" };
        let end = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        let path = target.find('?').unwrap_or(target.len());
        let head = RequestHead {
            method: message::Method::of(method.as_str().as_bytes(), Span::default()),
            path: Span::new(0, end(path)),
            query: (path < target.len()).then(|| Span::new(end(path) + 1, end(target.len()))),
            path_is_canonical: true,
            ..RequestHead::default()
        };
        let headers = Headers::received(Fields::default(), target.as_bytes().to_vec());
        Self {
            method,
            head,
            headers,
            path: None,
            body: Body::empty(),
            body_bytes_max: BODY_BYTES_MAX,
            params: Params::default(),
            peer: Arc::default(),
            upgrade: None,
        }
    }

    /// A request that a server has read.
    pub(crate) fn received(
        mut head: RequestHead,
        block: Vec<u8>,
        path: Option<Box<str>>,
        body: Body,
        body_bytes_max: u64,
        peer: Arc<Peer>,
    ) -> Self {
        let method = method_of(head.method, &block);
        let headers = Headers::received(std::mem::take(&mut head.fields), block);
        Self {
            method,
            head,
            headers,
            path,
            body,
            body_bytes_max,
            params: Params::default(),
            peer,
            upgrade: None,
        }
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path in its canonical form: no `.` or `..`, no empty segment, nothing encoded that need not be.
    pub fn path(&self) -> &str {
        self.path.as_deref().unwrap_or_else(|| self.text_of(self.head.path))
    }

    /// What follows the `?`, as it was sent.
    pub fn query_text(&self) -> Option<&str> {
        self.head.query.map(|span| self.text_of(span))
    }

    /// The query as a value, as forms encode it: `?name=a&age=3`.
    ///
    /// ```
    /// use towpath::http::{Method, Request};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Page {
    ///     from: u32,
    /// }
    ///
    /// let page: Page = Request::new(Method::GET, "/?from=20").query()?;
    /// assert_eq!(page.from, 20);
    /// # Ok::<(), towpath::http::Error>(())
    /// ```
    ///
    /// # Errors
    /// It is no such value; the client is told 400 when a handler passes that on.
    pub fn query<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_urlencoded::from_str(self.query_text().unwrap_or_default())
            .map_err(|error| Error::malformed("the query that was expected", error))
    }

    /// The host that was asked for, with its port if one was given. There is one at the most, wherever it was said.
    pub fn host(&self) -> Option<&str> {
        self.head.authority.map(|span| self.text_of(span))
    }

    /// The version it came in: `HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`.
    pub fn version(&self) -> ::http::Version {
        version_of(self.head.version)
    }

    /// The header fields.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The header fields, to be changed by what stands before a handler.
    pub fn headers_mut(&mut self) -> &mut Headers {
        &mut self.headers
    }

    /// The value of the first header field of this name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// What a name of the route's pattern stands for.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name)
    }

    /// What the names of the route's pattern stand for.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Who sent it.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The body.
    pub fn body(&mut self) -> &mut Body {
        &mut self.body
    }

    /// The body, and nothing else of the request.
    pub fn into_body(self) -> Body {
        self.body
    }

    /// All of the body, at most what the server's [`Limits`](super::Limits) say. *Discard-on-cancel*.
    ///
    /// # Errors
    /// It is longer, or did not come; the client is told which when a handler passes that on.
    pub async fn bytes(&mut self) -> Result<Bytes, Error> {
        std::mem::take(&mut self.body).bytes(self.body_bytes_max).await
    }

    /// All of the body as text. *Discard-on-cancel*.
    ///
    /// # Errors
    /// Those of [`bytes`](Self::bytes), or it is not UTF-8.
    pub async fn text(&mut self) -> Result<String, Error> {
        std::mem::take(&mut self.body).text(self.body_bytes_max).await
    }

    /// All of the body as a value in JSON. The `Content-Type` is not looked at. *Discard-on-cancel*.
    ///
    /// ```
    /// # #[tokio::main(flavor = "local")]
    /// # async fn main() -> Result<(), towpath::http::Error> {
    /// use towpath::http::{Method, Request};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct User {
    ///     name: String,
    /// }
    ///
    /// let mut request = Request::new(Method::POST, "/users").with_body(r#"{"name": "Ada"}"#);
    /// let user: User = request.json().await?;
    /// assert_eq!(user.name, "Ada");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`bytes`](Self::bytes), or it is no such value: line and column are said.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        let bytes = self.bytes().await?;
        serde_json::from_slice(&bytes).map_err(|error| Error::malformed("the JSON that was expected", error))
    }

    /// All of the body as a value, as forms encode it. *Discard-on-cancel*.
    ///
    /// # Errors
    /// Those of [`bytes`](Self::bytes), or it is no such value.
    pub async fn form<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        let bytes = self.bytes().await?;
        serde_urlencoded::from_bytes(&bytes)
            .map_err(|error| Error::malformed("the form that was expected", error))
    }

    /// The same with this body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// The same with this header field in place of all of its name.
    ///
    /// # Errors
    /// It may not be sent.
    pub fn with_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, HeaderFault> {
        self.headers.set(name, value)?;
        Ok(self)
    }

    pub(crate) fn set_params(&mut self, params: Params) {
        self.params = params;
    }

    pub(crate) fn set_upgrade(&mut self, upgrade: Upgrade) {
        self.upgrade = Some(upgrade);
    }

    /// Whether the connection that it came over can be taken over.
    pub(crate) fn can_upgrade(&self) -> bool {
        self.upgrade.is_some()
    }

    /// Has the body come as slowly and be as long as it likes: who reads it bounds its parts, as gRPC bounds messages.
    #[cfg(feature = "grpc")]
    pub(crate) fn lift_body_limits(&mut self) {
        self.body.lift_limits();
    }

    /// Whether it is known to have no body.
    pub(crate) fn is_empty(&self) -> bool {
        self.body.length() == Some(0)
    }

    pub(crate) fn head(&self) -> &RequestHead {
        &self.head
    }

    /// Bytes of a judged head. They are visible ASCII, or the codec would have refused them.
    fn text_of(&self, span: Span) -> &str {
        std::str::from_utf8(span.of(self.headers.block())).unwrap_or_default()
    }
}

/// The method by its name. One that the codec has taken is a token.
fn method_of(method: message::Method, block: &[u8]) -> Method {
    match method {
        message::Method::Get => Method::GET,
        message::Method::Head => Method::HEAD,
        message::Method::Post => Method::POST,
        message::Method::Put => Method::PUT,
        message::Method::Delete => Method::DELETE,
        message::Method::Connect => Method::CONNECT,
        message::Method::Options => Method::OPTIONS,
        message::Method::Trace => Method::TRACE,
        message::Method::Patch => Method::PATCH,
        message::Method::Extension(span) => Method::from_bytes(span.of(block)).unwrap_or(Method::GET),
    }
}

/// The version, as users of the crate `http` know it.
pub(crate) fn version_of(version: message::Version) -> ::http::Version {
    match version {
        message::Version::Http10 => ::http::Version::HTTP_10,
        message::Version::Http11 => ::http::Version::HTTP_11,
        message::Version::Http2 => ::http::Version::HTTP_2,
    }
}

/// How the body of a head that was read ends, as far as a reader wants to know beforehand.
pub(crate) fn declared_length(framing: Framing) -> Option<u64> {
    match framing {
        Framing::None => Some(0),
        Framing::Length(length) => Some(length),
        Framing::Chunked | Framing::Close => None,
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path())
            .field("query", &self.query_text())
            .field("headers", &self.headers)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}
