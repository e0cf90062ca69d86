//! Cross-origin requests (the Fetch standard, §3.2).

use std::time::Duration;

use ::http::{Method, StatusCode};

use super::handler::{Layer, Next};
use super::request::Request;
use super::response::Response;
use crate::Ctx;

/// Lets pages of other origins read what a router answers. A layer for [`Router::with`](super::Router::with).
///
/// Nothing is allowed unless it is named. `Origin: null`, which any sandboxed page sends, has to be named too.
///
/// ```
/// use towpath::Ctx;
/// use towpath::http::{Cors, Router};
///
/// let router = Router::new()
///     .get("/", async |_: &Ctx, _| "hello")
///     .with(Cors::new(["https://app.example.com"]).methods(["GET", "POST"]).headers(["Content-Type"]));
/// ```
#[derive(Clone, Debug)]
pub struct Cors {
    origins: Vec<String>,
    methods: String,
    headers: String,
    max_age: Duration,
    credentials: bool,
}

/// What makes every origin welcome.
const ANY: &str = "*";

impl Cors {
    /// Welcomes these origins, such as `https://app.example.com`; `*` for all.
    pub fn new(origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            origins: origins.into_iter().map(Into::into).collect(),
            methods: "GET, HEAD, POST".to_owned(),
            headers: String::new(),
            max_age: Duration::from_secs(600),
            credentials: false,
        }
    }

    /// The methods that pages may use. Default `GET, HEAD, POST`.
    #[must_use]
    pub fn methods<'m>(mut self, methods: impl IntoIterator<Item = &'m str>) -> Self {
        self.methods = methods.into_iter().collect::<Vec<_>>().join(", ");
        self
    }

    /// The header fields that pages may set, beyond those that are always allowed. Default none.
    #[must_use]
    pub fn headers<'h>(mut self, headers: impl IntoIterator<Item = &'h str>) -> Self {
        self.headers = headers.into_iter().collect::<Vec<_>>().join(", ");
        self
    }

    /// How long a browser may remember the answer to a preflight. Default 10 minutes.
    #[must_use]
    pub fn max_age(mut self, span: Duration) -> Self {
        self.max_age = span;
        self
    }

    /// Pages may send cookies. Every origin is then named to the browser, and `*` welcomes nobody: whoever means all
    /// origins with credentials has to name them.
    #[must_use]
    pub fn credentials(mut self) -> Self {
        self.credentials = true;
        self
    }

    /// What the browser is told of this origin; `None` for one that is not welcome.
    fn welcome(&self, origin: &str) -> Option<String> {
        let is_named = self.origins.iter().any(|known| known.eq_ignore_ascii_case(origin));
        let is_any = self.origins.iter().any(|known| known == ANY) && origin != "null";
        match (is_named, is_any, self.credentials) {
            (true, ..) => Some(origin.to_owned()),
            (false, true, false) => Some(ANY.to_owned()),
            _ => None,
        }
    }
}

impl Layer for Cors {
    async fn call<'a>(&'a self, ctx: &'a Ctx, request: Request, next: Next<'a>) -> Response {
        let welcome = request.header("origin").and_then(|origin| self.welcome(origin));
        let is_preflight =
            *request.method() == Method::OPTIONS && request.header("access-control-request-method").is_some();
        let response = match is_preflight {
            true if welcome.is_some() => self.preflight(),
            true => Response::new(StatusCode::FORBIDDEN),
            false => next.run(ctx, request).await,
        };
        // A cache must not give one origin the answer for another.
        let mut response = response;
        let _ = response.headers_mut().add("Vary", "Origin");
        let Some(origin) = welcome else { return response };
        let response = response.with_header("Access-Control-Allow-Origin", origin);
        match self.credentials {
            true => response.with_header("Access-Control-Allow-Credentials", "true"),
            false => response,
        }
    }
}

impl Cors {
    fn preflight(&self) -> Response {
        let response = Response::new(StatusCode::NO_CONTENT)
            .with_header("Access-Control-Allow-Methods", &self.methods)
            .with_header("Access-Control-Max-Age", self.max_age.as_secs().to_string());
        match self.headers.is_empty() {
            true => response,
            false => response.with_header("Access-Control-Allow-Headers", &self.headers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Handler, Router};

    #[track_caller]
    fn check(cors: &Cors, method: &str, origin: &str, expected: (u16, Option<&str>)) {
        let router = Router::new().get("/", async |_: &Ctx, _| "x").with(cors.clone());
        let mut request = Request::new(Method::from_bytes(method.as_bytes()).unwrap(), "/");
        request.headers_mut().set("Origin", origin).unwrap();
        if method == "OPTIONS" {
            request.headers_mut().set("Access-Control-Request-Method", "POST").unwrap();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build_local(Default::default()).unwrap();
        let response = runtime.block_on(router.call(&Ctx::background(), request));
        let told = response.header("access-control-allow-origin");
        assert_eq!((response.status().as_u16(), told), expected, "{method} {origin}");
    }

    #[test]
    fn only_origins_that_are_named_are_welcome_s14() {
        let named = Cors::new(["https://a.example"]).credentials();
        check(&named, "GET", "https://a.example", (200, Some("https://a.example")));
        check(&named, "GET", "https://b.example", (200, None));
        check(&named, "OPTIONS", "https://a.example", (204, Some("https://a.example")));
        check(&named, "OPTIONS", "https://b.example", (403, None));
        let any = Cors::new(["*"]);
        check(&any, "GET", "https://b.example", (200, Some("*")));
        check(&any, "GET", "null", (200, None));
        check(&any.credentials(), "GET", "https://b.example", (200, None));
    }
}
