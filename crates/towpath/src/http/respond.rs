//! What handlers return.

use std::convert::Infallible;

use ::http::StatusCode;
use bytes::Bytes;
use serde::Serialize;

use super::body::Body;
use super::error::{Error, Failure};
use super::response::Response;
use crate::Ctx;
use crate::ctx::Cause;

/// What can be sent as a response.
///
/// ```
/// use towpath::http::{IntoResponse, Json, StatusCode};
///
/// assert_eq!("text".into_response().header("content-type"), Some("text/plain; charset=utf-8"));
/// assert_eq!((StatusCode::CREATED, Json([1, 2])).into_response().status(), StatusCode::CREATED);
/// ```
pub trait IntoResponse {
    /// The response.
    fn into_response(self) -> Response;
}

impl IntoResponse for Response {
    fn into_response(self) -> Response {
        self
    }
}

/// 204, as there is nothing to say.
impl IntoResponse for () {
    fn into_response(self) -> Response {
        Response::new(StatusCode::NO_CONTENT)
    }
}

impl IntoResponse for StatusCode {
    fn into_response(self) -> Response {
        Response::new(self)
    }
}

impl IntoResponse for &'static str {
    fn into_response(self) -> Response {
        Response::plain(self)
    }
}

impl IntoResponse for String {
    fn into_response(self) -> Response {
        Response::plain(self)
    }
}

impl IntoResponse for Bytes {
    fn into_response(self) -> Response {
        octets(self.into())
    }
}

impl IntoResponse for Vec<u8> {
    fn into_response(self) -> Response {
        octets(self.into())
    }
}

impl IntoResponse for Body {
    fn into_response(self) -> Response {
        octets(self)
    }
}

fn octets(body: Body) -> Response {
    Response::new(StatusCode::OK).with_header("Content-Type", "application/octet-stream").with_body(body)
}

impl IntoResponse for Infallible {
    fn into_response(self) -> Response {
        match self {}
    }
}

impl<R: IntoResponse> IntoResponse for (StatusCode, R) {
    fn into_response(self) -> Response {
        self.1.into_response().with_status(self.0)
    }
}

impl<R: IntoResponse, E: IntoResponse> IntoResponse for Result<R, E> {
    fn into_response(self) -> Response {
        match self {
            Ok(response) => response.into_response(),
            Err(error) => error.into_response(),
        }
    }
}

/// 404 for `None`.
impl<R: IntoResponse> IntoResponse for Option<R> {
    fn into_response(self) -> Response {
        match self {
            Some(response) => response.into_response(),
            None => (StatusCode::NOT_FOUND, "Not Found\n").into_response(),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Failure::from(self).into_response()
    }
}

impl IntoResponse for Cause {
    fn into_response(self) -> Response {
        let is_retryable = self.is_retryable();
        let response = Failure::from(self).into_response();
        if is_retryable { response.with_header("Retry-After", "1") } else { response }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        // What fails because its client has gone is not to blame, and the server counts it.
        let is_in_vain = || matches!(Ctx::current().and_then(|ctx| ctx.err()), Some(Cause::ClientGone));
        if self.is_report() && !is_in_vain() {
            super::server::report(&format!("a handler failed: {self}"));
        }
        (self.status(), self.public_text() + "\n").into_response()
    }
}

/// A value as JSON. One that cannot be written, such as a map with keys that are no text, is a 500.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(text) => {
                Response::new(StatusCode::OK).with_header("Content-Type", "application/json").with_body(text)
            }
            Err(error) => Failure::from(error).into_response(),
        }
    }
}

/// A value as forms encode it.
#[derive(Clone, Copy, Debug)]
pub struct Form<T>(pub T);

impl<T: Serialize> IntoResponse for Form<T> {
    fn into_response(self) -> Response {
        match serde_urlencoded::to_string(&self.0) {
            Ok(text) => Response::new(StatusCode::OK)
                .with_header("Content-Type", "application/x-www-form-urlencoded")
                .with_body(text),
            Err(error) => Failure::from(error).into_response(),
        }
    }
}

/// A page.
#[derive(Clone, Copy, Debug)]
pub struct Html<T>(pub T);

impl<T: Into<Body>> IntoResponse for Html<T> {
    fn into_response(self) -> Response {
        Response::new(StatusCode::OK)
            .with_header("Content-Type", "text/html; charset=utf-8")
            .with_body(self.0)
    }
}
