//! A pattern as it is written, and which of two is the narrower one.

use std::fmt;
use std::sync::Arc;

use ::http::Method;

/// What a request has to be.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    text: Arc<str>,
    pub(super) method: Option<Method>,
    pub(super) host: Option<Box<str>>,
    pub(super) segments: Vec<Segment>,
    pub(super) rest: Rest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Literal(Box<str>),
    Name(Arc<str>),
}

/// What may follow the segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing.
    Nothing,
    /// A last `/` and nothing behind it.
    Slash,
    /// A `/` and anything.
    Anything(Option<Arc<str>>),
}

/// A pattern that is none, or that contradicts another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternFault {
    pattern: Arc<str>,
    what: String,
}

impl fmt::Display for PatternFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "route {:?}: {}", self.pattern, self.what)
    }
}

impl std::error::Error for PatternFault {}

/// How the requests of two patterns lie to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Equal,
    Narrower,
    Wider,
    Crossing,
    Apart,
}

impl Relation {
    /// Of two patterns whose parts lie so.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Apart, _) | (_, Self::Apart) => Self::Apart,
            (Self::Equal, relation) | (relation, Self::Equal) => relation,
            (one, two) if one == two => one,
            _ => Self::Crossing,
        }
    }
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, PatternFault> {
        let fault = |what: String| PatternFault { pattern: text.into(), what };
        let (method, place) = match text.split_once(' ') {
            Some((method, place)) => (Some(method), place.trim_start()),
            None => (None, text),
        };
        let method = match method.map(|method| Method::from_bytes(method.as_bytes())) {
            Some(Err(_)) => return Err(fault("what stands before the space is no method".to_owned())),
            method => method.transpose().unwrap_or_default(),
        };
        let slash = place.find('/').ok_or_else(|| fault("has no path; it begins with /".to_owned()))?;
        let (host, path) = place.split_at(slash);
        if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_[:]".contains(&byte)) {
            return Err(fault(format!("{host:?} is no host")));
        }
        let mut pattern = Self {
            text: text.into(),
            method,
            host: (!host.is_empty()).then(|| host.to_ascii_lowercase().into()),
            segments: Vec::new(),
            rest: Rest::Nothing,
        };
        pattern.parse_path(path).map_err(fault)?;
        Ok(pattern)
    }

    fn parse_path(&mut self, path: &str) -> Result<(), String> {
        let mut pieces = path.split('/').skip(1).peekable();
        while let Some(piece) = pieces.next() {
            let is_last = pieces.peek().is_none();
            match piece.strip_prefix('{').and_then(|piece| piece.strip_suffix('}')) {
                None if piece.contains(['{', '}']) => {
                    return Err(format!("{piece:?} is neither a name in braces nor without any"));
                }
                None if piece.is_empty() && is_last => self.rest = Rest::Anything(None),
                None if piece.is_empty() => {
                    return Err("two slashes; a path in its canonical form has none".to_owned());
                }
                None => self.segments.push(Segment::Literal(piece.into())),
                Some("$") if is_last => self.rest = Rest::Slash,
                Some(name) => match name.strip_suffix("...") {
                    Some(name) if is_last => self.rest = Rest::Anything(Some(self.name(name)?)),
                    Some(_) => {
                        return Err(format!("{piece} stands for all that is left, so nothing can follow it"));
                    }
                    None => {
                        let name = self.name(name)?;
                        self.segments.push(Segment::Name(name));
                    }
                },
            }
        }
        Ok(())
    }

    fn name(&self, name: &str) -> Result<Arc<str>, String> {
        let is_name = !name.is_empty()
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name {
            return Err(format!("{name:?} is no name: letters, digits and _ may be in one"));
        }
        if self.segments.iter().any(|segment| matches!(segment, Segment::Name(known) if **known == *name)) {
            return Err(format!("{name:?} stands for two segments"));
        }
        Ok(name.into())
    }

    pub(super) fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The same below `prefix`.
    pub(super) fn below(&self, prefix: &str) -> Result<Self, PatternFault> {
        let path_start = self.text.find('/').unwrap_or(self.text.len());
        let (before, path) = self.text.split_at(path_start);
        Self::parse(&format!("{before}{}{path}", prefix.trim_end_matches('/')))
    }

    /// What is wrong if both are there.
    pub(super) fn conflict(&self, other: &Self) -> Option<PatternFault> {
        let what = match self.relation(other) {
            Relation::Equal => format!("the same requests as {:?}", self.text),
            Relation::Crossing => {
                format!(
                    "some requests fit {:?} as well, and neither of the two is the narrower one",
                    self.text
                )
            }
            _ => return None,
        };
        Some(PatternFault { pattern: Arc::clone(&other.text), what })
    }

    fn relation(&self, other: &Self) -> Relation {
        // A pattern with a host is always before one without, whatever their paths are, as in Go.
        match (&self.host, &other.host) {
            (None, Some(_)) | (Some(_), None) => return Relation::Narrower,
            (Some(one), Some(two)) if one != two => return Relation::Apart,
            _ => {}
        }
        relation_of_methods(&self.method, &other.method).and(self.relation_of_paths(other))
    }

    fn relation_of_paths(&self, other: &Self) -> Relation {
        let shared = self.segments.len().min(other.segments.len());
        let relation = self.segments.iter().zip(&other.segments).map(|(one, two)| match (one, two) {
            (Segment::Literal(one), Segment::Literal(two)) if one != two => Relation::Apart,
            (Segment::Literal(_), Segment::Literal(_)) | (Segment::Name(_), Segment::Name(_)) => {
                Relation::Equal
            }
            (Segment::Literal(_), Segment::Name(_)) => Relation::Narrower,
            (Segment::Name(_), Segment::Literal(_)) => Relation::Wider,
        });
        let relation = relation.fold(Relation::Equal, Relation::and);
        let has_more = (self.segments.len() > shared, other.segments.len() > shared);
        relation.and(match (&self.rest, &other.rest, has_more) {
            (Rest::Anything(_), Rest::Anything(_), (false, false)) => Relation::Equal,
            (Rest::Anything(_), _, (false, true)) => Relation::Wider,
            (_, Rest::Anything(_), (true, false)) => Relation::Narrower,
            (_, _, (true, _) | (_, true)) => Relation::Apart,
            (Rest::Anything(_), Rest::Slash, _) => Relation::Wider,
            (Rest::Slash, Rest::Anything(_), _) => Relation::Narrower,
            (one, two, _) if one == two => Relation::Equal,
            _ => Relation::Apart,
        })
    }
}

fn relation_of_methods(one: &Option<Method>, two: &Option<Method>) -> Relation {
    match (one, two) {
        (None, None) => Relation::Equal,
        (Some(_), None) => Relation::Narrower,
        (None, Some(_)) => Relation::Wider,
        (Some(one), Some(two)) if one == two => Relation::Equal,
        // GET answers HEAD, and a pattern for HEAD alone is the narrower one.
        (Some(one), Some(two)) if *one == Method::HEAD && *two == Method::GET => Relation::Narrower,
        (Some(one), Some(two)) if *one == Method::GET && *two == Method::HEAD => Relation::Wider,
        _ => Relation::Apart,
    }
}
