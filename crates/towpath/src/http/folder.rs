//! A folder of files as a handler.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use ::http::StatusCode;
use towpath_proto::coding::Coding;

use super::body::Body;
use super::handler::Handler;
use super::request::Request;
use super::response::Response;
use crate::Ctx;
use crate::files::{self, FileAnswer, FileBody, FileQuery, FileRequest, Files, Part};

/// Serves the files below a folder: types by name, `ETag` and `Last-Modified`, conditions, ranges, compressed siblings
/// (`.br`, `.gz`, `.zst`) where a client takes them. Over TCP in clear text the kernel sends them by `sendfile(2)`.
///
/// Nothing outside of the folder is served, whatever a path or a link says; a folder has its `index.html` or is 403, as its
/// content is not listed. In a router it stands at a pattern with a name for the rest, whose beginning is no part of the
/// file's name:
///
/// ```
/// use towpath::http::{Folder, Router};
///
/// let router = Router::new().get("/static/{path...}", Folder::new("public").strip_prefix("/static"));
/// ```
#[derive(Clone, Debug)]
pub struct Folder(Arc<Files>);

impl Folder {
    /// The folder, relative to the working directory unless it is absolute.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Files {
            root: root.into(),
            index: vec!["index.html".to_owned()],
            precompressed: vec![Coding::Brotli, Coding::Zstd, Coding::Gzip],
            follow_symlinks: false,
            cache_control: None,
            strip_prefix: Box::default(),
        }))
    }

    /// The beginning of the path that is no part of a file's name. Default none.
    #[must_use]
    pub fn strip_prefix(self, prefix: &str) -> Self {
        self.with(|files| files.strip_prefix = prefix.as_bytes().into())
    }

    /// The value of `Cache-Control`. Default none.
    #[must_use]
    pub fn cache_control(self, value: &str) -> Self {
        self.with(|files| files.cache_control = Some(value.as_bytes().into()))
    }

    /// Follows symbolic links that stay below the folder. Default false.
    #[must_use]
    pub fn follow_symlinks(self) -> Self {
        self.with(|files| files.follow_symlinks = true)
    }

    fn with(mut self, change: impl FnOnce(&mut Files)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

impl Handler for Folder {
    async fn call<'a>(&'a self, _ctx: &'a Ctx, request: Request) -> Response {
        let asked = FileRequest {
            method: request.head().method,
            fields: request.headers().fields(),
            block: request.headers().block(),
            path: request.path().as_bytes(),
            query: request.query_text().map(str::as_bytes),
            now: SystemTime::now(),
        };
        let query = FileQuery::from_request(&asked);
        // What the page cache holds is answered here; only a wait for a disk leaves the worker.
        let answer = match files::answer_cached(&self.0, &query) {
            Some(answer) => answer,
            None => {
                let files = Arc::clone(&self.0);
                match tokio::task::spawn_blocking(move || files::answer(&files, &query)).await {
                    Ok(answer) => answer,
                    // The runtime is being shut down.
                    Err(_) => return Response::new(StatusCode::SERVICE_UNAVAILABLE),
                }
            }
        };
        respond(answer)
    }
}

fn respond(answer: FileAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let lines = crate::http2::lines_of(&answer.head);
    let response = lines.fold(Response::new(status), |response, (name, value)| {
        response.with_header(std::str::from_utf8(name).unwrap_or_default(), value)
    });
    match answer.body {
        FileBody::None => response,
        FileBody::Bytes(bytes) => response.with_body(bytes),
        FileBody::File { file, offset, len } => {
            response.with_body(Body::files(VecDeque::from([Part::File { file, offset, len }])))
        }
        FileBody::Parts(parts) => response.with_body(Body::files(parts.into())),
    }
}
