//! Content codings as a route wants them.

use towpath_proto::coding::{Coding, Effort};
use towpath_proto::field::is_token_byte;

/// Which responses of origins are compressed, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compress {
    /// What is offered, in order of preference. Default zstd, brotli, gzip: by what a byte saved costs.
    pub codings: Vec<Coding>,
    /// The media types. Default [`COMPRESS_TYPES`].
    pub types: Vec<MediaPattern>,
    /// The smallest body, where its length is known. Default 1 KiB: what fits into one packet either way gains nothing.
    pub body_bytes_min: u64,
    /// How much work is put in. Default balanced.
    pub effort: Effort,
}

/// What is compressed unless the route says otherwise: text, and what is text or plain tables under another name.
pub const COMPRESS_TYPES: &[&str] = &[
    "text/*",
    "application/json",
    "application/*+json",
    "application/javascript",
    "application/xml",
    "application/*+xml",
    "application/x-ndjson",
    "application/wasm",
    "font/otf",
    "font/ttf",
    "image/svg+xml",
];

/// The default of [`Compress::body_bytes_min`].
pub const COMPRESS_BODY_BYTES_MIN: u64 = 1024;

impl Default for Compress {
    fn default() -> Self {
        Self {
            codings: vec![Coding::Zstd, Coding::Brotli, Coding::Gzip],
            types: COMPRESS_TYPES.iter().filter_map(|text| MediaPattern::parse(text)).collect(),
            body_bytes_min: COMPRESS_BODY_BYTES_MIN,
            effort: Effort::default(),
        }
    }
}

/// Media types: one (`text/html`), those of a kind (`text/*`), those of a suffix (`application/*+json`) or all (`*/*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaPattern {
    /// What stands before the `*`, or the whole; in lower case.
    before: Box<str>,
    /// What stands behind the `*`.
    after: Option<Box<str>>,
}

impl MediaPattern {
    /// Reads a pattern. `None` when it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "*/*" {
            return Some(Self { before: "".into(), after: Some("".into()) });
        }
        let text = text.to_ascii_lowercase();
        let (kind, rest) = text.split_once('/')?;
        let is_kind = !kind.is_empty() && !kind.contains('*');
        if !is_kind || rest.is_empty() || !(kind.bytes().chain(rest.bytes())).all(is_token_byte) {
            return None;
        }
        match text.split_once('*') {
            None => Some(Self { before: text.into(), after: None }),
            Some((_, after)) if after.contains('*') => None,
            Some((before, after)) => Some(Self { before: before.into(), after: Some(after.into()) }),
        }
    }

    /// Whether `media_type`, in lower case and without parameters, is one of these.
    #[must_use]
    pub fn matches(&self, media_type: &str) -> bool {
        match &self.after {
            None => *media_type == *self.before,
            Some(after) => {
                media_type.strip_prefix(&*self.before).is_some_and(|rest| rest.ends_with(&**after))
            }
        }
    }

    /// Whether only a type stands here that is compressed already, so that the pattern has no effect.
    #[must_use]
    pub fn is_void(&self) -> bool {
        self.after.is_none() && is_compressed(&self.before)
    }

    /// As it is written.
    #[must_use]
    pub fn text(&self) -> String {
        match &self.after {
            None => self.before.to_string(),
            Some(_) if self.before.is_empty() => "*/*".to_owned(),
            Some(after) => format!("{}*{after}", self.before),
        }
    }
}

/// Images and other media that are plain tables of numbers.
const PLAIN_MEDIA: &[&str] = &["image/svg+xml", "image/bmp", "image/x-icon", "image/vnd.microsoft.icon"];

/// Archives and formats that are archives.
const ARCHIVES: &[&str] = &[
    "application/gzip",
    "application/java-archive",
    "application/pdf",
    "application/vnd.rar",
    "application/x-7z-compressed",
    "application/x-bzip2",
    "application/x-gzip",
    "application/x-rar-compressed",
    "application/x-xz",
    "application/zip",
    "application/zstd",
    "font/woff",
    "font/woff2",
];

/// Whether `media_type`, in lower case and without parameters, is of a kind that no coding makes smaller; or of gRPC, whose
/// messages have a compression of their own and whose clients know no other. Never compressed, whatever a route lists.
pub(crate) fn is_compressed(media_type: &str) -> bool {
    let is_medium = ["image/", "audio/", "video/"].iter().any(|kind| media_type.starts_with(kind));
    (is_medium && !PLAIN_MEDIA.contains(&media_type))
        || ARCHIVES.contains(&media_type)
        || media_type.ends_with("+zip")
        || media_type.starts_with("application/vnd.openxmlformats-")
        || media_type.starts_with("application/grpc")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Action, Respond, Route};

    #[test]
    fn a_pattern_matches_what_it_says() {
        let matches = |pattern: &str, media_type| MediaPattern::parse(pattern).unwrap().matches(media_type);
        assert!(matches("text/HTML", "text/html"));
        assert!(!matches("text/html", "text/html5"));
        assert!(matches("text/*", "text/plain"));
        assert!(!matches("text/*", "texture/plain"));
        assert!(matches("application/*+json", "application/problem+json"));
        assert!(!matches("application/*+json", "application/json"));
        assert!(matches("*/*", "x/y"));
    }

    #[test]
    fn what_is_no_pattern_is_none() {
        for text in
            ["", "text", "*", "text/", "/html", "*/html", "text/*/*", "a/**", "text/html; q=1", "te xt/a"]
        {
            assert_eq!(MediaPattern::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_pattern_is_shown_as_it_is_written() {
        for text in COMPRESS_TYPES.iter().chain(&["*/*"]) {
            assert_eq!(MediaPattern::parse(text).unwrap().text(), **text);
        }
    }

    #[test]
    fn nothing_is_compressed_unless_a_route_says_so_t50() {
        let respond = Respond { status: 200, headers: Vec::new(), body: [].into() };
        let route = Route::new("a", Action::Respond(respond));
        assert_eq!((route.compress, route.decompress_request), (None, None));
    }

    #[test]
    fn nothing_of_the_default_is_void() {
        assert_eq!(Compress::default().types.len(), COMPRESS_TYPES.len());
        assert!(Compress::default().types.iter().all(|pattern| !pattern.is_void()));
        assert!(MediaPattern::parse("image/png").unwrap().is_void());
        assert!(!MediaPattern::parse("image/*").unwrap().is_void());
    }
}
