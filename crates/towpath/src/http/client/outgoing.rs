//! A request, as it goes from one origin to the next.

use ::http::{Method, StatusCode};
use bytes::Bytes;

use super::exchange::Repeat;
use super::url::Url;
use crate::http::body::Body;
use crate::http::error::{Error, Kind};
use crate::http::headers::Headers;
use crate::http::response::Response;

/// A request that is sent, perhaps several times.
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: Headers,
    pub(super) body: Body,
    /// The body, if it is all here: then it can be sent again.
    pub(super) whole: Option<Bytes>,
    pub(super) expects_continue: bool,
}

impl Outgoing {
    pub(super) fn take_body(&mut self) -> Body {
        match &self.whole {
            Some(whole) => whole.clone().into(),
            None => std::mem::take(&mut self.body),
        }
    }

    /// Whether it may be sent again, and can be (P14).
    pub(super) fn may_repeat(&self, repeat: Repeat) -> bool {
        let may = match repeat {
            Repeat::No => false,
            // RFC 9110 §9.2.2.
            Repeat::IfIdempotent => self.method.is_idempotent(),
            Repeat::Yes => true,
        };
        may && self.whole.is_some()
    }

    /// What a redirect asks for next (RFC 9110 §15.4), if it is one that can be followed.
    pub(super) fn redirected(&self, response: &Response) -> Result<Option<(Url, bool)>, Error> {
        let becomes_get = match response.status() {
            // What clients have always done, and §15.4.2 allows.
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            StatusCode::SEE_OTHER => !matches!(self.method, Method::GET | Method::HEAD),
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => false,
            _ => return Ok(None),
        };
        let Some(location) = response.header("Location") else { return Ok(None) };
        if !becomes_get && self.whole.is_none() {
            // The body has gone and cannot be sent again; the caller sees where to.
            return Ok(None);
        }
        let next = self.url.join(location).map_err(|fault| {
            Error::with(Kind::Protocol(format!("the redirect to {location:?} cannot be followed")), fault)
        })?;
        Ok(Some((next, becomes_get)))
    }

    pub(super) fn follow(&mut self, next: Url, becomes_get: bool) {
        if becomes_get {
            self.method = Method::GET;
            self.whole = Some(Bytes::new());
            for name in ["Content-Type", "Content-Encoding", "Content-Language", "Content-Location"] {
                self.headers.remove(name);
            }
        }
        if !self.url.is_same_origin(&next) {
            // What is meant for one origin is not told to another, and the name of one host is not that of another.
            for name in ["Authorization", "Cookie", "Host"] {
                self.headers.remove(name);
            }
        }
        self.url = next;
    }
}
