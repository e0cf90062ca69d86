//! Writing the heads of answers, and laying out what follows them.

use std::fmt::Display;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{IoSliceMut, Write as _};
use std::sync::Arc;

use rustix::io::{Errno, ReadWriteFlags, preadv2};
use towpath_proto::coding::Coding;

use super::condition::Validators;
use super::open::{Entry, Patience};
use super::range::Slice;
use super::refusal::Refusal;
use super::{FileAnswer, FileBody, Part, Verb};

/// A slice up to this size is read at once, so that head and body leave in one write and the file is closed before the
/// client can be slow. It is the size of a receive buffer; above it, sendfile costs less than the copy.
const SMALL_BYTES_MAX: u64 = 16 * 1024;

/// RFC 9110 §10.2.1: what a file can be asked.
const ALLOW: &str = "GET, HEAD, OPTIONS";

/// A file in one coding, with what its head says of it.
pub(super) struct Representation<'a> {
    /// `Content-Type` of the file as it is after decoding.
    pub media_type: &'static str,
    /// `Content-Encoding`, if it is a sibling.
    pub coding: Option<Coding>,
    /// `ETag` and `Last-Modified`.
    pub validators: &'a Validators,
    /// `Cache-Control`
    pub cache_control: Option<&'a [u8]>,
    /// Whether the plan offers codings, so that another request might get another representation.
    pub varies: bool,
}

/// Header lines being written.
struct Lines(Vec<u8>);

impl Representation<'_> {
    /// 200 (RFC 9110 §15.3.1). The answer to HEAD has the same head (§9.3.2).
    pub(super) fn whole(&self, verb: Verb, entry: Entry, patience: Patience) -> FileAnswer {
        let mut head = Lines::new();
        head.push("content-type", self.media_type);
        head.push("content-length", entry.len);
        self.push_metadata(&mut head);
        let all = Slice { start: 0, len: entry.len };
        let body = if verb == Verb::Head { FileBody::None } else { body_of(all, entry, patience) };
        head.into_answer(200, body)
    }

    /// 206 with one range (RFC 9110 §15.3.7.1).
    pub(super) fn slice(&self, slice: Slice, entry: Entry, patience: Patience) -> FileAnswer {
        let mut head = Lines::new();
        head.push("content-type", self.media_type);
        head.push("content-length", slice.len);
        head.push("content-range", format_args!("bytes {}", slice.of_total(entry.len)));
        self.push_metadata(&mut head);
        head.into_answer(206, body_of(slice, entry, patience))
    }

    /// 206 with several ranges (RFC 9110 §15.3.7.2); their `Content-Range` stands in the parts alone.
    pub(super) fn parts(&self, slices: &[Slice], entry: Entry, boundary: &str) -> FileAnswer {
        let body = FileBody::Parts(self.lay_out(slices, entry, boundary));
        let mut head = Lines::new();
        head.push("content-type", format_args!("multipart/byteranges; boundary={boundary}"));
        head.push("content-length", body.len());
        self.push_metadata(&mut head);
        head.into_answer(206, body)
    }

    /// RFC 9110 §14.6: each slice behind a delimiter with the fields it would have had alone.
    fn lay_out(&self, slices: &[Slice], entry: Entry, boundary: &str) -> Vec<Part> {
        let file = Arc::new(entry.file);
        let mut parts = Vec::with_capacity(slices.len() * 2 + 1);
        let mut line_end = "";
        for slice in slices {
            let mut head = Lines(format!("{line_end}--{boundary}\r\n").into_bytes());
            head.push("content-type", self.media_type);
            head.push("content-range", format_args!("bytes {}", slice.of_total(entry.len)));
            head.0.extend_from_slice(b"\r\n");
            parts.push(Part::Bytes(head.0));
            parts.push(Part::File { file: Arc::clone(&file), offset: slice.start, len: slice.len });
            line_end = "\r\n";
        }
        parts.push(Part::Bytes(format!("\r\n--{boundary}--\r\n").into_bytes()));
        parts
    }

    /// 304 (RFC 9110 §15.4.5): what a cache needs to keep its copy, nothing else of the representation.
    pub(super) fn not_modified(&self) -> FileAnswer {
        let mut head = Lines::new();
        head.push("etag", &self.validators.etag);
        self.push_caching(&mut head);
        head.into_answer(304, FileBody::None)
    }

    fn push_metadata(&self, head: &mut Lines) {
        if let Some(coding) = self.coding {
            head.push("content-encoding", coding.token());
        }
        head.push("last-modified", self.validators.last_modified());
        head.push("etag", &self.validators.etag);
        head.push("accept-ranges", "bytes");
        self.push_caching(head);
    }

    fn push_caching(&self, head: &mut Lines) {
        if let Some(value) = self.cache_control {
            head.push_bytes("cache-control", value);
        }
        // RFC 9110 §12.5.5: also where no sibling was found, because another client might have got one.
        if self.varies {
            head.push("vary", "accept-encoding");
        }
    }
}

/// 204 with what may be asked (RFC 9110 §9.3.7); it has no length (§8.6).
pub(super) fn options() -> FileAnswer {
    let mut head = Lines::new();
    head.push("allow", ALLOW);
    head.into_answer(204, FileBody::None)
}

/// 412 (RFC 9110 §15.5.13). Not a refusal of the file, but the answer the client asked for.
pub(super) fn precondition_failed() -> FileAnswer {
    let mut head = Lines::new();
    head.push("content-length", 0);
    head.into_answer(412, FileBody::None)
}

/// 301 to the same path with a slash (RFC 9110 §15.4.2), without scheme and host, which only the client knows.
pub(super) fn folder_redirect(path: &[u8], query: Option<&[u8]>) -> FileAnswer {
    let mut head = Lines::new();
    head.push_bytes("location", &with_slash(path, query));
    head.push("content-length", 0);
    head.into_answer(301, FileBody::None)
}

/// The answer to what is refused: the reason as a line of text, and the fields its status asks for.
pub(super) fn refused(refusal: Refusal, verb: Verb) -> FileAnswer {
    let text = format!("{} {}\n", refusal.status(), refusal.code());
    let mut head = Lines::new();
    head.push("content-type", "text/plain; charset=utf-8");
    head.push("content-length", text.len());
    match refusal {
        // RFC 9110 §15.5.6: 405 must say what is allowed.
        Refusal::MethodNotAllowed => head.push("allow", ALLOW),
        // RFC 9110 §15.5.17: 416 says how long the representation is.
        Refusal::RangeNotSatisfiable { len } => head.push("content-range", format_args!("bytes */{len}")),
        _ => {}
    }
    let body = if verb == Verb::Head { FileBody::None } else { FileBody::Bytes(text.into_bytes()) };
    FileAnswer { refusal: Some(refusal), ..head.into_answer(refusal.status(), body) }
}

/// A delimiter that no file can contain on purpose: 128 bits nobody can know before the answer is written.
pub(super) fn new_boundary() -> String {
    let random = RandomState::new();
    format!("{:016x}{:016x}", random.hash_one(0), random.hash_one(1))
}

/// The path with a slash and the query behind it. Bytes that a URI cannot have are escaped, and so is the backslash,
/// which browsers read as a slash: `/\host` would leave this site. A second slash cannot follow the first, because a
/// path with an empty segment names nothing.
fn with_slash(path: &[u8], query: Option<&[u8]>) -> Vec<u8> {
    let mut location = Vec::with_capacity(path.len() + query.map_or(0, <[u8]>::len) + 2);
    push_escaped(&mut location, path);
    location.push(b'/');
    if let Some(query) = query {
        location.push(b'?');
        push_escaped(&mut location, query);
    }
    location
}

fn push_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    for &byte in bytes {
        if byte.is_ascii_graphic() && byte != b'\\' {
            out.push(byte);
        } else {
            // Writing to a Vec cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// The bytes themselves when they are few and at hand, else the place where they are.
fn body_of(slice: Slice, entry: Entry, patience: Patience) -> FileBody {
    if slice.len == 0 {
        return FileBody::None;
    }
    if slice.len <= SMALL_BYTES_MAX
        && let Some(bytes) = read_small(&entry.file, slice, patience)
    {
        return FileBody::Bytes(bytes);
    }
    FileBody::File { file: Arc::new(entry.file), offset: slice.start, len: slice.len }
}

/// `None` when not all of it came in one read: not in memory, or the file has shrunk. Sending then finds out.
fn read_small(file: &File, slice: Slice, patience: Patience) -> Option<Vec<u8>> {
    let flags = match patience {
        Patience::Waits => ReadWriteFlags::empty(),
        Patience::Never => ReadWriteFlags::NOWAIT,
    };
    let mut bytes = vec![0; usize::try_from(slice.len).ok()?];
    let read = loop {
        match preadv2(file, &mut [IoSliceMut::new(&mut bytes)], slice.start, flags) {
            Err(Errno::INTR) => {}
            other => break other.ok()?,
        }
    };
    (read == bytes.len()).then_some(bytes)
}

impl Lines {
    fn new() -> Self {
        // The head of a file has some 300 bytes.
        Self(Vec::with_capacity(384))
    }

    fn push(&mut self, name: &str, value: impl Display) {
        // Writing to a Vec cannot fail.
        let _ = write!(self.0, "{name}: {value}\r\n");
    }

    fn push_bytes(&mut self, name: &str, value: &[u8]) {
        for piece in [name.as_bytes(), b": ", value, b"\r\n"] {
            self.0.extend_from_slice(piece);
        }
    }

    fn into_answer(self, status: u16, body: FileBody) -> FileAnswer {
        FileAnswer { status, refusal: None, head: self.0, body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_stays_on_this_site_t40() {
        for (path, query, expected) in [
            ("/a", None, "/a/"),
            ("/a%20b", Some("x=1&y=%20"), "/a%20b/?x=1&y=%20"),
            ("/a", Some(""), "/a/?"),
            ("/\\host", None, "/%5Chost/"),
            ("/a\r\nset-cookie: b", Some("\r\n\u{fc}"), "/a%0D%0Aset-cookie:%20b/?%0D%0A%C3%BC"),
        ] {
            let location = with_slash(path.as_bytes(), query.map(str::as_bytes));
            assert_eq!(String::from_utf8_lossy(&location), expected);
        }
    }

    #[test]
    fn boundaries_differ() {
        assert_ne!(new_boundary(), new_boundary());
        assert_eq!(new_boundary().len(), 32);
    }
}
