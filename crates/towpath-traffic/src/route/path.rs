//! The path part of a rule: exact, prefix, pattern, or everything.

use std::fmt;

/// Longest path a rule may hold, in bytes. Request paths have their own, larger limit in the codec.
pub const PATH_BYTES_MAX: usize = 4096;

/// Most segments a pattern may have. It bounds the depth of the search for a match.
pub const PATTERN_SEGMENTS_MAX: usize = 64;

/// Which paths a route answers for. Built by [`PathRule::parse`], so that a value is always canonical: what it holds
/// is spelled the way the codec spells the path of a request (T40: one reading).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct PathRule(pub(crate) PathKind);

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) enum PathKind {
    /// This path and no other.
    Exact(Box<str>),
    /// This path, without its `/*`, and everything below it.
    Prefix(Box<str>),
    /// Segment by segment, some of them named.
    Pattern(Pattern),
    /// Every path, also `*` (RFC 9112 §3.2.4) and none (CONNECT).
    #[default]
    Any,
}

/// A path of segments. `rest` names what follows them, which may be nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pattern {
    pub(crate) segments: Vec<Segment>,
    pub(crate) rest: Option<Box<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Segment {
    Literal(Box<str>),
    /// Any one segment that is not empty, under this name.
    Capture(Box<str>),
}

/// Why a text is not a path rule. The `Display` form is meant for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathFault {
    /// The text does not begin with `/`.
    NoSlash,
    /// Longer than [`PATH_BYTES_MAX`] bytes or [`PATTERN_SEGMENTS_MAX`] segments.
    TooLong,
    /// A `*` anywhere but as the whole last segment, or next to a `{name}`.
    Star,
    /// A `{` or `}` that is not around a whole segment; holds the segment.
    Brace(String),
    /// What stands between the braces is no name; holds it.
    Name(String),
    /// The same name twice; holds it.
    Twice(String),
    /// `{name...}` before the last segment; holds the name.
    RestNotLast(String),
    /// A `.` or `..` segment. Canonical paths have none, so the rule could never match.
    Dots,
    /// A character that a canonical path cannot hold, such as `?`, `#` or a control character.
    Character(char),
}

impl PathRule {
    /// The rule that accepts every path; the same as `"/*"`.
    pub const ANY: Self = Self(PathKind::Any);

    /// Reads `"/a"` (exactly that), `"/a/*"` (`/a` and all below it), `"/*"` (everything),
    /// `"/users/{id}/posts"` (each `{name}` is one segment that is not empty) and `"/files/{path...}"` (the rest of
    /// the path, which may be empty; `/files` itself matches too).
    ///
    /// # Errors
    /// [`PathFault`] when the text is none of these.
    pub fn parse(text: &str) -> Result<Self, PathFault> {
        if text.len() > PATH_BYTES_MAX {
            return Err(PathFault::TooLong);
        }
        if !text.starts_with('/') {
            return Err(PathFault::NoSlash);
        }
        if text == "/*" {
            return Ok(Self::ANY);
        }
        let path = canonical(text)?;
        if path.contains(['{', '}']) {
            return parse_pattern(&path).map(|pattern| Self(PathKind::Pattern(pattern)));
        }
        let (kept, is_prefix) = match path.strip_suffix("/*") {
            Some(prefix) => (prefix, true),
            None => (path.as_str(), false),
        };
        if kept.contains('*') {
            return Err(PathFault::Star);
        }
        Ok(Self(if is_prefix { PathKind::Prefix(kept.into()) } else { PathKind::Exact(kept.into()) }))
    }

    /// The names that [`Captures`] will yield for this rule, in order. A prefix has the one name `*`.
    pub fn capture_names(&self) -> impl Iterator<Item = &str> {
        let (segments, rest) = match &self.0 {
            PathKind::Pattern(pattern) => (pattern.segments.as_slice(), pattern.rest.as_deref()),
            PathKind::Prefix(_) | PathKind::Any => (&[][..], Some("*")),
            PathKind::Exact(_) => (&[][..], None),
        };
        let named = segments.iter().filter_map(|segment| match segment {
            Segment::Capture(name) => Some(&**name),
            Segment::Literal(_) => None,
        });
        named.chain(rest)
    }

    /// For a prefix rule, its path without the `/*`; the part that `strip_prefix` may remove.
    pub fn prefix(&self) -> Option<&str> {
        match &self.0 {
            PathKind::Prefix(prefix) => Some(prefix),
            _ => None,
        }
    }

    pub(crate) fn matches(&self, path: &[u8]) -> bool {
        match &self.0 {
            PathKind::Any => true,
            PathKind::Exact(exact) => path == exact.as_bytes(),
            PathKind::Prefix(prefix) => is_below(path, prefix.as_bytes()),
            PathKind::Pattern(pattern) => pattern.matches(path),
        }
    }

    /// Class and length; the greater pair is the more specific path.
    pub(crate) fn rank(&self) -> (u8, usize) {
        match &self.0 {
            PathKind::Exact(_) => (3, 0),
            PathKind::Prefix(prefix) => (2, prefix.len()),
            PathKind::Pattern(_) => (1, 0),
            PathKind::Any => (0, 0),
        }
    }

    /// What the names of this rule stand for in `path`. Empty when `path` does not match.
    pub(crate) fn captures<'t>(&'t self, path: &'t [u8]) -> Captures<'t> {
        match &self.0 {
            PathKind::Pattern(pattern) if pattern.matches(path) => Captures {
                segments: pattern.segments.iter(),
                rest: pattern.rest.as_deref(),
                path: Some(path),
            },
            PathKind::Prefix(prefix) if is_below(path, prefix.as_bytes()) => {
                Captures::only_rest(&path[prefix.len()..])
            }
            PathKind::Any => Captures::only_rest(path),
            _ => Captures::none(),
        }
    }
}

impl Pattern {
    fn matches(&self, path: &[u8]) -> bool {
        let mut left = Some(path);
        for segment in &self.segments {
            match next_segment(&mut left) {
                Some(found) if segment.accepts(found) => {}
                _ => return false,
            }
        }
        match left {
            None => true,
            Some(rest) => self.rest.is_some() && rest.first() == Some(&b'/'),
        }
    }

    /// Whether some path matches both.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let (a, b) = (&self.segments, &other.segments);
        let lengths_meet = match a.len().cmp(&b.len()) {
            std::cmp::Ordering::Less => self.rest.is_some(),
            std::cmp::Ordering::Equal => true,
            std::cmp::Ordering::Greater => other.rest.is_some(),
        };
        lengths_meet && a.iter().zip(b).all(|(a, b)| a.overlaps(b))
    }

    /// Whether every path that matches `other` matches this one too.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let (a, b) = (&self.segments, &other.segments);
        let lengths_fit =
            if self.rest.is_some() { a.len() <= b.len() } else { other.rest.is_none() && a.len() == b.len() };
        lengths_fit && a.iter().zip(b).all(|(a, b)| a.covers(b))
    }

    /// Whether everything that matches begins with `prefix` at a segment border.
    pub(crate) fn is_below(&self, prefix: &str) -> bool {
        let mut own = self.segments.iter();
        prefix
            .split('/')
            .skip(1)
            .all(|part| matches!(own.next(), Some(Segment::Literal(text)) if **text == *part))
    }
}

impl Segment {
    pub(crate) fn accepts(&self, found: &[u8]) -> bool {
        match self {
            Self::Literal(text) => text.as_bytes() == found,
            Self::Capture(_) => !found.is_empty(),
        }
    }

    fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(a), Self::Literal(b)) => a == b,
            (Self::Capture(_), Self::Literal(text)) | (Self::Literal(text), Self::Capture(_)) => {
                !text.is_empty()
            }
            (Self::Capture(_), Self::Capture(_)) => true,
        }
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(_), Self::Capture(_)) => false,
            _ => self.overlaps(other),
        }
    }
}

/// Takes the next segment off `left`, which is `None` at the end of the path. A path that does not begin with `/`
/// has no segments.
pub(crate) fn next_segment<'p>(left: &mut Option<&'p [u8]>) -> Option<&'p [u8]> {
    let after_slash = left.and_then(|path| path.strip_prefix(b"/"))?;
    match after_slash.iter().position(|&b| b == b'/') {
        Some(end) => {
            *left = Some(&after_slash[end..]);
            Some(&after_slash[..end])
        }
        None => {
            *left = None;
            Some(after_slash)
        }
    }
}

/// Whether `path` is `prefix`, or goes on after it at a segment border.
fn is_below(path: &[u8], prefix: &[u8]) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
}

/// The named parts of a path, as `(name, bytes)`. The bytes are a part of the canonical path, still percent-encoded.
#[derive(Clone, Debug)]
pub struct Captures<'t> {
    segments: std::slice::Iter<'t, Segment>,
    rest: Option<&'t str>,
    path: Option<&'t [u8]>,
}

impl<'t> Captures<'t> {
    pub(crate) fn none() -> Self {
        Self { segments: [].iter(), rest: None, path: None }
    }

    fn only_rest(rest: &'t [u8]) -> Self {
        Self { segments: [].iter(), rest: Some("*"), path: Some(rest) }
    }

    /// What `name` stands for.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&'t [u8]> {
        self.clone().find(|(known, _)| *known == name).map(|(_, bytes)| bytes)
    }
}

impl<'t> Iterator for Captures<'t> {
    type Item = (&'t str, &'t [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        for segment in self.segments.by_ref() {
            let found = next_segment(&mut self.path)?;
            if let Segment::Capture(name) = segment {
                return Some((name, found));
            }
        }
        let name = self.rest.take()?;
        let left = self.path.unwrap_or_default();
        Some((name, left.strip_prefix(b"/").unwrap_or(left)))
    }
}

fn parse_pattern(path: &str) -> Result<Pattern, PathFault> {
    let mut pattern = Pattern { segments: Vec::new(), rest: None };
    for text in path.split('/').skip(1) {
        if let Some(rest) = &pattern.rest {
            return Err(PathFault::RestNotLast(rest.to_string()));
        }
        let Some(name) = braced(text)? else {
            pattern.segments.push(Segment::Literal(text.into()));
            continue;
        };
        let (name, is_rest) = name.strip_suffix("...").map_or((name, false), |name| (name, true));
        check_name(name, &pattern)?;
        if is_rest {
            pattern.rest = Some(name.into());
        } else {
            pattern.segments.push(Segment::Capture(name.into()));
        }
    }
    if pattern.segments.len() > PATTERN_SEGMENTS_MAX { Err(PathFault::TooLong) } else { Ok(pattern) }
}

/// The text between braces when they enclose the whole segment, `None` for a segment without braces or star.
fn braced(segment: &str) -> Result<Option<&str>, PathFault> {
    let inner = segment.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    if inner.unwrap_or(segment).contains(['{', '}']) {
        return Err(PathFault::Brace(segment.to_owned()));
    }
    if segment.contains('*') {
        return Err(PathFault::Star);
    }
    Ok(inner)
}

fn check_name(name: &str, pattern: &Pattern) -> Result<(), PathFault> {
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if !is_name {
        return Err(PathFault::Name(name.to_owned()));
    }
    let taken =
        pattern.segments.iter().any(|segment| matches!(segment, Segment::Capture(known) if **known == *name));
    if taken { Err(PathFault::Twice(name.to_owned())) } else { Ok(()) }
}

/// Spells a path as requests are spelled: RFC 3986 §6.2.2 escapes in upper case, none around unreserved characters,
/// everything that is not ASCII escaped.
fn canonical(text: &str) -> Result<String, PathFault> {
    let mut path = String::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => push_escape(&mut path, &mut bytes)?,
            b'?' | b'#' | b'\\' | b' ' | b'"' | b'<' | b'>' | b'^' | b'`' | b'|' | 0..0x20 | 0x7F => {
                return Err(PathFault::Character(char::from(byte)));
            }
            0x80.. => path.push_str(&format!("%{byte:02X}")),
            _ => path.push(char::from(byte)),
        }
    }
    let has_dots = path.split('/').any(|segment| matches!(segment, "." | ".."));
    if has_dots { Err(PathFault::Dots) } else { Ok(path) }
}

fn push_escape(path: &mut String, bytes: &mut std::str::Bytes<'_>) -> Result<(), PathFault> {
    let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
    let (Some(high), Some(low)) = (digit(), digit()) else { return Err(PathFault::Character('%')) };
    let byte = (high * 16 + low) as u8;
    match char::from(byte) {
        // RFC 3986 §2.3
        c if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~') => path.push(c),
        _ => path.push_str(&format!("%{byte:02X}")),
    }
    Ok(())
}

impl fmt::Display for PathRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            PathKind::Exact(path) => f.write_str(path),
            PathKind::Prefix(prefix) => write!(f, "{prefix}/*"),
            PathKind::Any => f.write_str("/*"),
            PathKind::Pattern(pattern) => pattern.fmt(f),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::Capture(name) => write!(f, "/{{{name}}}")?,
            }
        }
        match &self.rest {
            Some(name) => write!(f, "/{{{name}...}}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSlash => f.write_str("a path begins with `/`"),
            Self::TooLong => {
                write!(f, "a path has at most {PATH_BYTES_MAX} bytes and {PATTERN_SEGMENTS_MAX} segments")
            }
            Self::Star => {
                f.write_str("`*` stands only as the whole last segment, as in \"/shop/*\", without `{name}`")
            }
            Self::Brace(segment) => {
                write!(f, "`{segment}`: braces enclose a whole segment, as in \"/users/{{id}}/posts\"")
            }
            Self::Name(name) => {
                write!(f, "`{name}` is no name; use letters, digits, `_` and `-`, a letter first")
            }
            Self::Twice(name) => write!(f, "`{{{name}}}` stands twice in one path"),
            Self::RestNotLast(name) => {
                write!(f, "`{{{name}...}}` takes the rest of the path, so it stands last")
            }
            Self::Dots => f.write_str("`.` and `..` never reach a route: paths are made canonical before"),
            Self::Character(c) => {
                write!(f, "{c:?} cannot stand in a path; write it as an escape such as %20")
            }
        }
    }
}

impl std::error::Error for PathFault {}
