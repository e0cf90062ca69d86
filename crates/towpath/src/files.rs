//! Static files: what a request asks of a folder becomes a head and ranges of one open file.
//!
//! ```text
//! FileRequest -> FileQuery        owned and Send, so that the system calls may happen on another thread
//!                   |
//!                 [name]          canonical path -> decoded name below the root, or refused
//!                 [open]          the kernel resolves it beneath the root; regular files and folders only
//!                 Accepted        a compressed sibling, if the client prefers one
//!                 [condition]     If-Match ... If-Range, in the order of RFC 9110 §13.2.2
//!                 [range]         whole, one slice, several slices, or 416
//!                   v
//!               FileAnswer        status, header lines, and which bytes of which file follow
//! ```
//!
//! What it does not do: no listing of folders (403), no guess of a type from content, no compression while sending,
//! and no `X-Content-Type-Options`, which other servers do not send unasked either; a route adds it with
//! `response_headers`. A sibling counts if it is a regular file beside an original that exists; times are not
//! compared, because copies and checkouts give them in any order.

mod condition;
mod media_type;
mod name;
mod open;
mod range;
mod refusal;
mod respond;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use towpath_proto::coding::{Accepted, Coding};
use towpath_proto::message::{Field, Fields, Method};

use self::condition::{Conditions, Validators, Verdict};
use self::name::Name;
use self::open::{Entry, Opened, Patience, Root};
use self::range::Ranges;
pub use self::refusal::Refusal;
use self::respond::Representation;

/// A folder served as files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The folder, absolute.
    pub root: PathBuf,
    /// Names tried, in order, when the path names a folder. Default `index.html`.
    pub index: Vec<String>,
    /// Codings whose sibling files (`.br`, `.gz`, `.zst`) are offered, in order of preference. Default none.
    pub precompressed: Vec<Coding>,
    /// Whether symbolic links are followed as long as they stay below the root. Default false.
    pub follow_symlinks: bool,
    /// Value of `Cache-Control`, if any.
    pub cache_control: Option<Box<[u8]>>,
    /// The part of the path that is not part of the file's name, for a route such as `/static/*`. Empty for none.
    pub strip_prefix: Box<[u8]>,
}

/// A request for a file, as whoever has read it holds it.
pub struct FileRequest<'a> {
    /// The method.
    pub method: Method,
    /// The header fields; their spans resolve in `block`.
    pub fields: &'a Fields,
    /// The bytes the head was read from.
    pub block: &'a [u8],
    /// The canonical path, still percent-encoded and with `strip_prefix`, as the client knows it: a redirect to a
    /// folder's name repeats it.
    pub path: &'a [u8],
    /// The query without `?`.
    pub query: Option<&'a [u8]>,
    /// The time of the response's `Date`.
    pub now: SystemTime,
}

/// The part of a request that decides about a file, owned so that it can be answered on another thread.
#[derive(Clone, Debug)]
pub struct FileQuery {
    verb: Verb,
    path: Vec<u8>,
    query: Option<Vec<u8>>,
    accepted: Accepted,
    range: Option<Vec<u8>>,
    conditions: Conditions,
    now: SystemTime,
}

/// What a method means to a folder of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Get,
    Head,
    Options,
    Other,
}

/// What to send.
#[derive(Debug)]
pub struct FileAnswer {
    /// The status code.
    pub status: u16,
    /// Why the request was refused; `None` for 200, 204, 206, 301, 304 and 412.
    pub refusal: Option<Refusal>,
    /// Complete header lines, `content-length` included where one belongs, without `date`, `server`, `connection`.
    pub head: Vec<u8>,
    /// What follows the head. [`FileBody::None`] in the answer to HEAD, whatever `content-length` says.
    pub body: FileBody,
}

/// The body of an answer.
#[derive(Debug)]
pub enum FileBody {
    /// No byte.
    None,
    /// These bytes: a small file, or the text of a refusal.
    Bytes(Vec<u8>),
    /// A slice of a file.
    File {
        /// The open file.
        file: Arc<File>,
        /// Where the slice starts.
        offset: u64,
        /// How many bytes it has. If the file shrank since, the head promised more than there is, and only closing
        /// the connection can tell the client (RFC 9112 §8).
        len: u64,
    },
    /// A `multipart/byteranges` body (RFC 9110 §14.6).
    Parts(Vec<Part>),
}

/// A piece of a [`FileBody::Parts`].
#[derive(Debug)]
pub enum Part {
    /// A delimiter and the head of a part.
    Bytes(Vec<u8>),
    /// A slice of a file.
    File {
        /// The open file.
        file: Arc<File>,
        /// Where the slice starts.
        offset: u64,
        /// How many bytes it has.
        len: u64,
    },
}

impl FileQuery {
    /// Reduces a request to what [`answer`] reads. Copies a handful of short values.
    pub fn from_request(request: &FileRequest<'_>) -> Self {
        let value = |name: &str| joined_values(request.fields, request.block, name);
        Self {
            verb: Verb::of(request.method),
            path: request.path.to_vec(),
            query: request.query.map(<[u8]>::to_vec),
            accepted: Accepted::of(request.fields, request.block),
            range: value("range"),
            conditions: Conditions {
                if_match: value("if-match"),
                if_unmodified_since: value("if-unmodified-since"),
                if_none_match: value("if-none-match"),
                if_modified_since: value("if-modified-since"),
                if_range: value("if-range"),
            },
            now: request.now,
        }
    }
}

impl Verb {
    fn of(method: Method) -> Self {
        match method {
            Method::Get => Self::Get,
            Method::Head => Self::Head,
            Method::Options => Self::Options,
            _ => Self::Other,
        }
    }
}

impl FileBody {
    /// How many bytes the body has; what was sent is compared with it.
    #[expect(clippy::len_without_is_empty, reason = "an empty one is an answer like any other")]
    pub fn len(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
            Self::Parts(parts) => parts.iter().map(Part::len).sum(),
        }
    }
}

impl Part {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }
}

/// Answers a query. May wait for a disk: call it where waiting is allowed.
pub fn answer(files: &Files, query: &FileQuery) -> FileAnswer {
    try_answer(files, query, Patience::Waits).unwrap_or_else(|refusal| respond::refused(refusal, query.verb))
}

/// Answers a query from what the kernel has in memory, or not at all: `None` means [`answer`] must do it on a thread
/// that may wait. Saves the way to that thread for every file in use (Linux 5.12, openat2 with `RESOLVE_CACHED`).
pub fn answer_cached(files: &Files, query: &FileQuery) -> Option<FileAnswer> {
    match try_answer(files, query, Patience::Never) {
        Ok(answer) => Some(answer),
        Err(Refusal::Busy) => None,
        Err(refusal) => Some(respond::refused(refusal, query.verb)),
    }
}

fn try_answer(files: &Files, query: &FileQuery, patience: Patience) -> Result<FileAnswer, Refusal> {
    match query.verb {
        // RFC 9110 §9.3.7: also `OPTIONS *`, which names no file.
        Verb::Options => return Ok(respond::options()),
        Verb::Other => return Err(Refusal::MethodNotAllowed),
        Verb::Get | Verb::Head => {}
    }
    let name = name::parse_name(&query.path, &files.strip_prefix)?;
    let root = Root::open(&files.root, files.follow_symlinks, patience)?;
    match find_file(&root, &name, &files.index)? {
        Found::File(name, entry) => serve(files, query, &root, &name, entry),
        Found::FolderWithoutSlash => Ok(respond::folder_redirect(&query.path, query.query.as_deref())),
    }
}

/// Where a name led.
enum Found {
    /// To a regular file, with the name that opened it.
    File(Vec<u8>, Entry),
    /// To a folder, but the path does not end with a slash, so relative links in its index would miss.
    FolderWithoutSlash,
}

fn find_file(root: &Root, name: &Name, index: &[String]) -> Result<Found, Refusal> {
    if name.is_folder {
        return find_index(root, name, index);
    }
    match root.open_entry(&name.bytes)? {
        Opened::File(entry) => Ok(Found::File(name.bytes.clone(), entry)),
        Opened::Folder => Ok(Found::FolderWithoutSlash),
    }
}

fn find_index(root: &Root, folder: &Name, index: &[String]) -> Result<Found, Refusal> {
    for candidate in index {
        let name = folder.join(candidate.as_bytes());
        match root.open_entry(&name) {
            Ok(Opened::File(entry)) => return Ok(Found::File(name, entry)),
            Ok(Opened::Folder) | Err(Refusal::NotFound) => {}
            Err(refusal) => return Err(refusal),
        }
    }
    // A folder that exists and has no index is not listed: 403; what is no folder is not found.
    match root.open_entry(&folder.bytes)? {
        Opened::Folder => Err(Refusal::Forbidden),
        Opened::File(_) => Err(Refusal::NotFound),
    }
}

fn serve(
    files: &Files,
    query: &FileQuery,
    root: &Root,
    name: &[u8],
    original: Entry,
) -> Result<FileAnswer, Refusal> {
    let (entry, coding) = choose_coding(files, query, root, name, original)?;
    let validators = Validators::of(&entry, coding, query.now);
    let representation = Representation {
        media_type: media_type::of_name(name),
        coding,
        validators: &validators,
        cache_control: files.cache_control.as_deref(),
        varies: !files.precompressed.is_empty(),
    };
    match query.conditions.judge(&validators) {
        Verdict::Proceed => {}
        Verdict::NotModified => return Ok(representation.not_modified()),
        Verdict::Failed => return Ok(respond::precondition_failed()),
    }
    match wanted_ranges(query, &validators, entry.len) {
        Ranges::Whole => Ok(representation.whole(query.verb, entry, root.patience())),
        Ranges::One(slice) => Ok(representation.slice(slice, entry, root.patience())),
        Ranges::Several(slices) => Ok(representation.parts(&slices, entry, &respond::new_boundary())),
        Ranges::Unsatisfiable => Err(Refusal::RangeNotSatisfiable { len: entry.len }),
    }
}

/// RFC 9110 §14.2: `Range` means something for GET alone, and only after the conditions held.
fn wanted_ranges(query: &FileQuery, validators: &Validators, len: u64) -> Ranges {
    match &query.range {
        Some(range) if query.verb == Verb::Get && query.conditions.allows_range(validators) => {
            range::resolve(range, len)
        }
        _ => Ranges::Whole,
    }
}

/// The first sibling that the client accepts and that is a regular file, else the original.
fn choose_coding(
    files: &Files,
    query: &FileQuery,
    root: &Root,
    name: &[u8],
    original: Entry,
) -> Result<(Entry, Option<Coding>), Refusal> {
    for coding in query.accepted.best_first(&files.precompressed) {
        let sibling = [name, suffix(coding)].concat();
        match root.open_entry(&sibling) {
            Ok(Opened::File(entry)) => return Ok((entry, Some(coding))),
            // Must not be mistaken for "there is none": the answer would change with the state of a cache.
            Err(Refusal::Busy) => return Err(Refusal::Busy),
            // A link, a folder or an unreadable sibling takes nothing from the original.
            Ok(Opened::Folder) | Err(_) => {}
        }
    }
    Ok((original, None))
}

/// What is added to a file's name.
fn suffix(coding: Coding) -> &'static [u8] {
    match coding {
        Coding::Brotli => b".br",
        Coding::Gzip => b".gz",
        Coding::Zstd => b".zst",
    }
}

/// All values of a field as one list (RFC 9110 §5.3). A field that may stand once and stands twice becomes a value
/// that its parser refuses.
fn joined_values(fields: &Fields, block: &[u8], name: &str) -> Option<Vec<u8>> {
    let is_it = |field: &&Field| field.name.of(block).eq_ignore_ascii_case(name.as_bytes());
    let mut values = fields.iter().filter(is_it).map(|field| field.value.of(block));
    let mut joined = values.next()?.to_vec();
    for value in values {
        joined.extend_from_slice(b", ");
        joined.extend_from_slice(value);
    }
    Some(joined)
}
