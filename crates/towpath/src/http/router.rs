//! Which handler answers which request, by patterns as Go has them since 1.22.

mod pattern;
mod tree;
mod watch;

use std::fmt;
use std::sync::{Arc, OnceLock};

use ::http::{Method, StatusCode};

use self::pattern::Pattern;
pub use self::pattern::PatternFault;
use self::tree::{Found, Tree};

use super::error::BoxError;
use super::handler::{BoxHandler, Handler, Layer, LocalFuture};
use super::request::Request;
use super::respond::IntoResponse;
use super::response::Response;
use crate::Ctx;

/// Handlers by pattern. It is a handler itself.
///
/// A pattern is `[METHOD ][HOST]/PATH`. In the path `{name}` stands for one segment, `{name...}` at the end for all that is
/// left, and `{$}` at the end for nothing more. A path that ends with `/` stands for everything below it. `GET` answers
/// `HEAD` too. Where several patterns fit, the one that fits fewer requests is taken, in whatever order they were added;
/// two of which neither is such a one are a fault, which [`Server::serve`](super::Server::serve) returns.
///
/// What fits no pattern is 404, 405 with `Allow` where only the method does not fit, and a redirection where only the
/// last `/` is missing.
///
/// ```
/// use towpath::http::{Request, Router};
/// use towpath::Ctx;
///
/// async fn item(_ctx: &Ctx, request: Request) -> String {
///     format!("item {}", request.param("id").unwrap_or_default())
/// }
///
/// let router = Router::new()
///     .get("/{$}", async |_: &Ctx, _| "the home page, and nothing below it")
///     .get("/items/{id}", item)
///     .route("POST example.com/items", async |_: &Ctx, _| ())
///     .get("/static/{path...}", async |_: &Ctx, request: Request| request.path().to_owned());
/// ```
#[derive(Clone, Default)]
pub struct Router {
    routes: Vec<(Pattern, BoxHandler)>,
    layers: Vec<Arc<dyn Fn(BoxHandler) -> BoxHandler + Send + Sync>>,
    fallback: Option<BoxHandler>,
    faults: Vec<PatternFault>,
    tree: OnceLock<Arc<Tree>>,
}

impl Router {
    /// A router that answers 404.
    pub fn new() -> Self {
        Self::default()
    }

    /// Has `handler` answer what fits `pattern`.
    #[must_use]
    pub fn route(mut self, pattern: &str, handler: impl Handler) -> Self {
        match Pattern::parse(pattern) {
            Ok(pattern) => self.routes.push((pattern, BoxHandler::new(handler))),
            Err(fault) => self.faults.push(fault),
        }
        self
    }

    /// [`route`](Self::route) for GET, and so for HEAD.
    #[must_use]
    pub fn get(self, path: &str, handler: impl Handler) -> Self {
        self.route(&format!("GET {path}"), handler)
    }

    /// [`route`](Self::route) for POST.
    #[must_use]
    pub fn post(self, path: &str, handler: impl Handler) -> Self {
        self.route(&format!("POST {path}"), handler)
    }

    /// [`route`](Self::route) for PUT.
    #[must_use]
    pub fn put(self, path: &str, handler: impl Handler) -> Self {
        self.route(&format!("PUT {path}"), handler)
    }

    /// [`route`](Self::route) for DELETE.
    #[must_use]
    pub fn delete(self, path: &str, handler: impl Handler) -> Self {
        self.route(&format!("DELETE {path}"), handler)
    }

    /// The routes of `other` below `prefix`, a path such as `/api`, with what stands before them there. Of a request that
    /// none of them fits, this router's fallback is asked.
    #[must_use]
    pub fn nest(mut self, prefix: &str, other: Self) -> Self {
        self.faults.extend(other.faults.iter().cloned());
        for (pattern, handler) in &other.routes {
            match pattern.below(prefix) {
                Ok(pattern) => self.routes.push((pattern, other.behind_layers(handler.clone()))),
                Err(fault) => self.faults.push(fault),
            }
        }
        self
    }

    /// Puts `layer` before everything that this router answers, 404 included, in whatever order they were added. Of
    /// several the last is asked first.
    ///
    /// ```
    /// use towpath::http::{Next, Request, Response, Router, StatusCode};
    /// use towpath::Ctx;
    ///
    /// async fn known(ctx: &Ctx, request: Request, next: Next<'_>) -> Response {
    ///     match request.header("authorization") {
    ///         Some("Bearer sesame") => next.run(ctx, request).await,
    ///         _ => Response::new(StatusCode::UNAUTHORIZED).with_header("WWW-Authenticate", "Bearer"),
    ///     }
    /// }
    ///
    /// let router = Router::new().get("/", async |_: &Ctx, _| "secret").with(known);
    /// ```
    #[must_use]
    pub fn with(mut self, layer: impl Layer) -> Self {
        let layer = Arc::new(layer);
        self.layers.push(Arc::new(move |handler| handler.behind(Arc::clone(&layer))));
        self
    }

    /// Has `handler` answer what fits no pattern, in place of 404 and 405.
    #[must_use]
    pub fn fallback(mut self, handler: impl Handler) -> Self {
        self.fallback = Some(BoxHandler::new(handler));
        self
    }

    /// The pattern that fits, and the answer of its handler.
    fn begin<'a>(&'a self, ctx: &'a Ctx, mut request: Request) -> (Option<&'a str>, LocalFuture<'a>) {
        let refusal = match self.tree().find(&request) {
            Found::Handler(leaf, params) => {
                request.set_params(params);
                return (Some(&leaf.pattern), leaf.handler.start(ctx, request));
            }
            Found::Slash => Refusal::Slash,
            Found::Methods(methods) => Refusal::Methods(methods),
            Found::Nothing => Refusal::Nothing,
        };
        (None, Box::pin(self.refuse(refusal, ctx, request)))
    }

    async fn refuse(&self, refusal: Refusal, ctx: &Ctx, request: Request) -> Response {
        let handler = match &self.fallback {
            Some(fallback) if !matches!(refusal, Refusal::Slash) => fallback.clone(),
            _ => BoxHandler::new(async move |_: &Ctx, request: Request| refusal.answer(&request)),
        };
        self.behind_layers(handler).start(ctx, request).await
    }

    fn behind_layers(&self, handler: BoxHandler) -> BoxHandler {
        self.layers.iter().fold(handler, |handler, layer| layer(handler))
    }

    /// What requests are looked up in, made at the first of them.
    fn tree(&self) -> &Tree {
        self.tree.get_or_init(|| {
            let mut tree = Tree::default();
            for (pattern, handler) in &self.routes {
                tree.add(pattern, self.behind_layers(handler.clone()));
            }
            Arc::new(tree)
        })
    }

    /// Everything that is wrong with its patterns.
    fn all_faults(&self) -> Vec<PatternFault> {
        let conflicts = self.routes.iter().enumerate().flat_map(|(place, (pattern, _))| {
            let earlier = self.routes.get(..place).unwrap_or_default();
            earlier.iter().filter_map(move |(earlier, _)| earlier.conflict(pattern))
        });
        self.faults.iter().cloned().chain(conflicts).collect()
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.routes.iter().map(|(pattern, _)| pattern.text())).finish()
    }
}

impl Handler for Router {
    fn call<'a>(&'a self, ctx: &'a Ctx, request: Request) -> impl Future<Output = Response> + 'a {
        // Looked up before there is a future, which then holds that of the handler and not the request.
        let (pattern, answer) = self.begin(ctx, request);
        async move {
            match pattern {
                Some(pattern) => watch::named(pattern, answer).await,
                None => answer.await,
            }
        }
    }

    fn check(&self) -> Result<(), BoxError> {
        let faults = self.all_faults();
        match faults.is_empty() {
            true => Ok(()),
            false => Err(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ").into()),
        }
    }
}

/// Why no handler was found.
enum Refusal {
    Slash,
    Methods(Vec<Method>),
    Nothing,
}

impl Refusal {
    fn answer(&self, request: &Request) -> Response {
        match self {
            Self::Slash => redirect(request),
            Self::Methods(methods) => refuse_method(methods),
            Self::Nothing => (StatusCode::NOT_FOUND, "Not Found\n").into_response(),
        }
    }
}

/// 405 with what would be right (RFC 9110 §15.5.6).
fn refuse_method(allowed: &[Method]) -> Response {
    let allowed = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    (StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n").into_response().with_header("Allow", allowed)
}

/// Adds the last `/` for the client. A method with a body has to be kept (RFC 9110 §15.4.9).
fn redirect(request: &Request) -> Response {
    let status = match *request.method() {
        Method::GET | Method::HEAD => StatusCode::MOVED_PERMANENTLY,
        _ => StatusCode::PERMANENT_REDIRECT,
    };
    let query = request.query_text().map_or_else(String::new, |query| format!("?{query}"));
    Response::new(status).with_header("Location", format!("{}/{query}", request.path()))
}

#[cfg(test)]
mod tests;
