//! How a record becomes a line.

use std::fmt;

use super::Record;
use super::escape::{push_json, push_text};
use super::field::{Field, Value};
use crate::number::push_u64;
use crate::time::push_rfc3339;

/// A compiled format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Template(Vec<Piece>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Box<str>),
    Field(Field),
}

/// Something wrong with a template. `at` counts bytes from its start.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormatFault {
    /// A `$` that no name follows; `$$` writes one `$`.
    Dollar {
        /// Where the `$` stands.
        at: usize,
    },
    /// `${` without `}`.
    Brace {
        /// Where the `$` stands.
        at: usize,
    },
    /// A variable that does not exist.
    Unknown {
        /// Where the `$` stands.
        at: usize,
        /// What was written.
        name: String,
        /// The nearest name that exists, if one is near.
        nearest: Option<&'static str>,
    },
    /// A control character other than tab; a line end inside would make two lines of one request.
    Control {
        /// Where it stands.
        at: usize,
    },
}

impl Format {
    /// One JSON object per line, with every [`Field`] that is not absent.
    pub const JSON: Self = Self(Kind::Json);

    /// Reads `"json"`, or a template such as `$remote_addr "$method $path" $status ${duration_us}us`. Every other
    /// character stands for itself; `$$` is one `$`.
    ///
    /// # Errors
    /// Every [`FormatFault`] of the template, in order.
    pub fn parse(text: &str) -> Result<Self, Vec<FormatFault>> {
        if text == "json" {
            return Ok(Self::JSON);
        }
        let controls = text.char_indices().filter(|(_, c)| c.is_control() && *c != '\t');
        let mut faults: Vec<FormatFault> = controls.map(|(at, _)| FormatFault::Control { at }).collect();
        let mut pieces = Vec::new();
        let mut at = 0;
        while let Some(found) = text[at..].find('$') {
            push_literal(&mut pieces, &text[at..at + found]);
            at += found;
            let (piece, length) = parse_variable(&text[at..], at);
            match piece {
                Ok(piece) => pieces.push(piece),
                Err(fault) => faults.push(fault),
            }
            at += length;
        }
        push_literal(&mut pieces, &text[at..]);
        if faults.is_empty() { Ok(Self(Kind::Template(pieces))) } else { Err(faults) }
    }

    /// Appends one line, with its line end. Allocates nothing besides room in `out`.
    pub fn write(&self, record: &Record<'_>, out: &mut Vec<u8>) {
        match &self.0 {
            Kind::Json => write_json(record, out),
            Kind::Template(pieces) => pieces.iter().for_each(|piece| write_piece(piece, record, out)),
        }
        out.push(b'\n');
    }
}

fn push_literal(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        pieces.push(Piece::Literal(text.into()));
    }
}

/// Reads what begins with a `$` at the start of `text`; also says how long it is. `at` is for faults only.
fn parse_variable(text: &str, at: usize) -> (Result<Piece, FormatFault>, usize) {
    let after = &text[1..];
    if after.starts_with('$') {
        return (Ok(Piece::Literal("$".into())), 2);
    }
    let (name, length) = if let Some(inner) = after.strip_prefix('{') {
        let Some(end) = inner.find('}') else { return (Err(FormatFault::Brace { at }), 2) };
        (&inner[..end], end + 3)
    } else {
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
        (&after[..end], end + 1)
    };
    if name.is_empty() {
        return (Err(FormatFault::Dollar { at }), length);
    }
    let unknown = || FormatFault::Unknown { at, name: name.to_owned(), nearest: Field::nearest(name) };
    (Field::parse(name).map(Piece::Field).ok_or_else(unknown), length)
}

fn write_json(record: &Record<'_>, out: &mut Vec<u8>) {
    let mut before = b'{';
    for field in Field::ALL {
        let value = field.value(record);
        if matches!(value, Value::Absent) {
            continue;
        }
        out.extend_from_slice(&[before, b'"']);
        before = b',';
        out.extend_from_slice(field.name().as_bytes());
        out.extend_from_slice(b"\":");
        write_json_value(&value, out);
    }
    out.push(b'}');
}

fn write_json_value(value: &Value<'_>, out: &mut Vec<u8>) {
    if let Value::Number(number) = value {
        return push_u64(out, *number);
    }
    out.push(b'"');
    match value {
        Value::Time(unix_ms) => push_rfc3339(out, *unix_ms),
        Value::Bytes(bytes) => push_json(out, bytes),
        Value::Number(_) | Value::Absent => {}
    }
    out.push(b'"');
}

fn write_piece(piece: &Piece, record: &Record<'_>, out: &mut Vec<u8>) {
    match piece {
        Piece::Literal(text) => out.extend_from_slice(text.as_bytes()),
        Piece::Field(field) => match field.value(record) {
            Value::Time(unix_ms) => push_rfc3339(out, unix_ms),
            Value::Number(number) => push_u64(out, number),
            Value::Bytes(bytes) => push_text(out, bytes),
            Value::Absent => out.push(b'-'),
        },
    }
}

impl fmt::Display for FormatFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dollar { .. } => f.write_str("`$` begins a variable such as $status; write $$ for one `$`"),
            Self::Brace { .. } => f.write_str("`${` has no `}`"),
            Self::Unknown { name, nearest: Some(nearest), .. } => {
                write!(f, "there is no variable `${name}`; did you mean `${nearest}`?")
            }
            Self::Unknown { name, nearest: None, .. } => write!(f, "there is no variable `${name}`"),
            Self::Control { .. } => f.write_str("a control character cannot stand in a log format"),
        }
    }
}

impl std::error::Error for FormatFault {}
