//! Paths made from captures: the target of a redirect or a rewrite.

use std::fmt;

use super::path::{Captures, PathRule};

/// A text with `{name}` in it, such as `/new/{id}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    Capture(Box<str>),
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TemplateFault {
    /// A `{` without `}` or a `}` without `{`.
    Brace,
    /// A control character, which may stand in no header value (RFC 9110 §5.5).
    Control,
    /// A name that the route's path does not capture; holds it.
    Unknown(String),
}

impl Template {
    /// Reads a template whose names must be captures of `path`.
    ///
    /// # Errors
    /// [`TemplateFault`], the first one found.
    pub fn parse(text: &str, path: &PathRule) -> Result<Self, TemplateFault> {
        if text.chars().any(char::is_control) {
            return Err(TemplateFault::Control);
        }
        let mut parts = Vec::new();
        let mut left = text;
        while let Some((literal, after)) = left.split_once('{') {
            push_literal(&mut parts, literal)?;
            let (name, rest) = after.split_once('}').ok_or(TemplateFault::Brace)?;
            if !path.capture_names().any(|known| known == name) {
                return Err(TemplateFault::Unknown(name.to_owned()));
            }
            parts.push(Part::Capture(name.into()));
            left = rest;
        }
        push_literal(&mut parts, left)?;
        Ok(Self { parts })
    }

    /// Whether the template is the same for every request.
    pub fn is_constant(&self) -> bool {
        !self.parts.iter().any(|part| matches!(part, Part::Capture(_)))
    }

    /// Appends the template to `out` with each name replaced. Captures come from a canonical path and keep their
    /// escapes; a byte that could end a header line or be read as another part of a URL is escaped all the same
    /// (T43). A result that begins with `//` because of a capture is cut to one slash: it would name another host.
    pub fn expand(&self, captures: &Captures<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Part::Capture(name) => {
                    captures.named(name).unwrap_or_default().iter().for_each(|&b| push_byte(out, b))
                }
            }
        }
        let slashes = out[start..].iter().take_while(|&&b| b == b'/').count();
        if slashes > 1 && !self.names_host() {
            out.drain(start..start + slashes - 1);
        }
    }
}

impl Template {
    /// Whether the author wrote `//host/…` (RFC 3986 §4.2) and means it.
    fn names_host(&self) -> bool {
        matches!(self.parts.first(), Some(Part::Literal(text)) if text.starts_with("//"))
    }
}

fn push_literal(parts: &mut Vec<Part>, text: &str) -> Result<(), TemplateFault> {
    if text.contains('}') {
        return Err(TemplateFault::Brace);
    }
    if !text.is_empty() {
        parts.push(Part::Literal(text.into()));
    }
    Ok(())
}

/// RFC 3986 §3.3: a path holds unreserved characters, sub-delimiters, `:`, `@`, `/` and escapes.
fn push_byte(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%".contains(&byte) {
        out.push(byte);
    } else {
        out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

impl fmt::Display for TemplateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Brace => f.write_str("braces come in pairs around a name, as in \"/new/{id}\""),
            Self::Control => f.write_str("a control character cannot stand here"),
            Self::Unknown(name) => write!(f, "the route's path has no `{{{name}}}`"),
        }
    }
}

impl std::error::Error for TemplateFault {}
