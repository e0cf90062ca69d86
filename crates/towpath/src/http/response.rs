//! A response, as a handler makes it and as a client reads it.

use std::fmt;

use ::http::{StatusCode, Version};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use towpath_proto::message::Known;

use super::body::Body;
use super::error::Error;
use super::headers::{HeaderFault, Headers};
use super::server::Switch;

/// A response: status, header fields and a body that is sent, or comes, piece by piece.
///
/// The server writes `Date` and everything about framing and the connection itself.
///
/// ```
/// use towpath::http::{Response, StatusCode};
///
/// let response = Response::new(StatusCode::CREATED).with_header("Location", "/items/7").with_body("made");
/// assert_eq!(response.header("location"), Some("/items/7"));
/// ```
pub struct Response {
    version: Version,
    status: StatusCode,
    headers: Headers,
    body: Body,
    /// A field that was set and may not be sent.
    fault: Option<HeaderFault>,
    switch: Option<Switch>,
    /// What [`Response::bytes`] and its kin take at the most.
    body_bytes_max: u64,
}

/// What a client takes if nothing else is said: 64 MiB, so that a server cannot fill its memory.
pub(crate) const BODY_BYTES_MAX: u64 = 64 << 20;

impl Response {
    /// A response without fields and body.
    pub fn new(status: StatusCode) -> Self {
        Self {
            version: Version::HTTP_11,
            status,
            headers: Headers::default(),
            body: Body::empty(),
            fault: None,
            switch: None,
            body_bytes_max: BODY_BYTES_MAX,
        }
    }

    /// 200 with a body of plain text.
    pub fn plain(text: impl Into<Body>) -> Self {
        Self::new(StatusCode::OK).with_header("Content-Type", "text/plain; charset=utf-8").with_body(text)
    }

    pub(crate) fn received(version: Version, status: StatusCode, headers: Headers, body: Body) -> Self {
        Self { version, headers, body, ..Self::new(status) }
    }

    /// The version of HTTP that it came by: 1.0, 1.1 or 2. Of one that is made here it says nothing, which is 1.1.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The header fields.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The header fields, to be changed.
    pub fn headers_mut(&mut self) -> &mut Headers {
        &mut self.headers
    }

    /// The value of the first header field of this name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The body.
    pub fn body(&mut self) -> &mut Body {
        &mut self.body
    }

    /// The body, and nothing else.
    pub fn into_body(self) -> Body {
        self.body
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same with this field in place of all of its name. A response with a field that may not be sent becomes a 500,
    /// and the server's report says why.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        if let Err(fault) = self.headers.set(name, value) {
            self.fault = Some(fault);
        }
        self
    }

    /// The same with this body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// The same with `change` made to its body.
    #[must_use]
    pub fn map_body(mut self, change: impl FnOnce(Body) -> Body) -> Self {
        self.body = change(self.body);
        self
    }

    /// All of the body, at most 64 MiB; see [`Body::bytes`] for another bound. *Discard-on-cancel*.
    ///
    /// # Errors
    /// It is longer, or did not come.
    pub async fn bytes(self) -> Result<Bytes, Error> {
        self.body.bytes(self.body_bytes_max).await
    }

    /// All of the body as text. *Discard-on-cancel*.
    ///
    /// # Errors
    /// Those of [`bytes`](Self::bytes), or it is not UTF-8.
    pub async fn text(self) -> Result<String, Error> {
        self.body.text(self.body_bytes_max).await
    }

    /// All of the body as a value in JSON. *Discard-on-cancel*.
    ///
    /// # Errors
    /// Those of [`bytes`](Self::bytes), or it is no such value.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        let bytes = self.bytes().await?;
        serde_json::from_slice(&bytes).map_err(|error| Error::malformed("the JSON that was expected", error))
    }

    /// How many bytes its body has, if that is known, or was said of one that is made piece by piece. Of one that is not
    /// sent, as its request was HEAD, it is what was said.
    pub(crate) fn length(&self, is_head: bool) -> Option<u64> {
        let said = || self.headers.find(Known::ContentLength).and_then(towpath_proto::field::parse_decimal);
        match self.body.length() {
            Some(0) if is_head => said().or(Some(0)),
            Some(length) => Some(length),
            None => said(),
        }
    }

    /// Whether it is known to have no body.
    pub(crate) fn is_empty(&self) -> bool {
        self.body.as_whole().is_some_and(Bytes::is_empty)
    }

    pub(crate) fn set_body_bytes_max(&mut self, bytes: u64) {
        self.body_bytes_max = bytes;
    }

    pub(crate) fn fault(&mut self) -> Option<HeaderFault> {
        self.fault.take()
    }

    pub(crate) fn set_switch(&mut self, switch: Switch) {
        self.switch = Some(switch);
    }

    pub(crate) fn take_switch(&mut self) -> Option<Switch> {
        self.switch.take()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("version", &self.version)
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}
