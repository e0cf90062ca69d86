//! Walks the TOML tree of one file and gathers every fault on the way.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use toml::Spanned as TomlSpanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::diagnostic::Diagnostic;
use crate::expand::{Reference, Unresolved, expand};
use crate::nearest::nearest;
use crate::shape::{Shape, TableInfo};
use crate::source::Span;
use crate::value::{Field, Reject, Text};

/// A secret is a token or a key; a larger file was named by mistake.
const SECRET_BYTES_MAX: u64 = 1 << 20;

/// Characters of a found value that a message repeats.
const FOUND_CHARS_MAX: usize = 40;

/// Looks up a variable of the environment.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A value in the tree, with its key.
#[derive(Clone, Copy)]
pub(crate) struct Node<'n> {
    pub(crate) key: &'n str,
    pub(crate) key_span: Span,
    pub(crate) value: &'n DeValue<'n>,
    pub(crate) span: Span,
}

/// Reads one file.
pub(crate) struct Reader<'a> {
    file: usize,
    text: &'a str,
    folder: &'a Path,
    environment: Environment<'a>,
    /// Names of the tables around the current place.
    tables: Vec<String>,
    /// What is known of those of them that have known keys, each with its depth.
    infos: Vec<(usize, &'static TableInfo)>,
    faults: Vec<Diagnostic>,
    secret_files: Vec<PathBuf>,
}

impl Node<'_> {
    /// A bare number as written.
    pub(crate) fn number(&self) -> Option<String> {
        match self.value {
            DeValue::Integer(integer) => Some(integer.to_string()),
            DeValue::Float(float) => Some(float.to_string()),
            _ => None,
        }
    }

    /// Whether the value came out of a `${…}`, which makes a string of any value.
    pub(crate) fn is_substituted(&self) -> bool {
        self.value.as_str().is_some_and(|text| text.contains("${"))
    }
}

impl<'a> Reader<'a> {
    /// Reads file number `file`. Relative paths start at `folder`.
    pub(crate) fn new(file: usize, text: &'a str, folder: &'a Path, environment: Environment<'a>) -> Self {
        Self {
            file,
            text,
            folder,
            environment,
            tables: Vec::new(),
            infos: Vec::new(),
            faults: Vec::new(),
            secret_files: Vec::new(),
        }
    }

    /// The faults found and the secret files read.
    pub(crate) fn finish(self) -> (Vec<Diagnostic>, Vec<PathBuf>) {
        (self.faults, self.secret_files)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder
    }

    pub(crate) fn faults_count(&self) -> usize {
        self.faults.len()
    }

    /// The value of `name`, with the place of both.
    pub(crate) fn node<'n>(
        &self,
        name: &'n TomlSpanned<DeString<'n>>,
        value: &'n TomlSpanned<DeValue<'n>>,
    ) -> Node<'n> {
        let key_span = Span::new(self.file, name.span());
        // A table that exists only because of one below it, `[a.b]` without `[a]`, has no place but its name's.
        let span = if value.span().is_empty() { key_span } else { Span::new(self.file, value.span()) };
        Node { key: name.get_ref(), key_span, value: value.get_ref(), span }
    }

    /// An item of the list at `list`.
    pub(crate) fn item<'n>(&self, list: Node<'n>, item: &'n TomlSpanned<DeValue<'n>>) -> Node<'n> {
        Node { value: item.get_ref(), span: Span::new(self.file, item.span()), ..list }
    }

    /// Does `read` with `name` among the tables around.
    pub(crate) fn within<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let is_root = name.is_empty() && self.tables.is_empty();
        if !is_root {
            self.tables.push(bare_or_quoted(name));
        }
        let value = read(self);
        if !is_root {
            self.tables.pop();
        }
        value
    }

    /// Reads a table of known keys; each unknown one is a fault.
    pub(crate) fn table<T>(
        &mut self,
        node: Node<'_>,
        info: &'static TableInfo,
        read: impl FnOnce(&mut Self, &DeTable<'_>) -> T,
    ) -> Option<T> {
        let DeValue::Table(table) = node.value else {
            self.wrong_type(node, &Shape::Table(info));
            return None;
        };
        Some(self.within(node.key, |reader| {
            reader.infos.push((reader.tables.len(), info));
            for (key, _) in table.iter().filter(|(key, _)| !info.knows(key.get_ref())) {
                reader.unknown_key(key.get_ref(), Span::new(reader.file, key.span()), info);
            }
            let value = read(reader, table);
            reader.infos.pop();
            value
        }))
    }

    /// Reads the value of `key`, or the absence of it.
    pub(crate) fn field<F: Field>(&mut self, table: &DeTable<'_>, key: &str) -> F {
        match table.get_key_value(key) {
            Some((name, value)) => F::read(self.node(name, value), self),
            None => F::default(),
        }
    }

    /// A string with its `${…}` resolved.
    pub(crate) fn text(&mut self, node: Node<'_>, expected: impl FnOnce() -> Shape) -> Option<String> {
        let Some(text) = node.value.as_str() else {
            self.wrong_type(node, &expected());
            return None;
        };
        if !text.contains("${") {
            return Some(text.to_owned());
        }
        let (environment, folder) = (self.environment, self.folder);
        let secret_files = &mut self.secret_files;
        let expanded = expand(text, |reference| match reference {
            Reference::Variable { name, default } => variable(environment, name, default),
            Reference::File { path } => {
                let path = folder.join(path);
                let secret = read_secret(&path);
                secret_files.push(path);
                secret
            }
        });
        expanded.map_err(|unresolved| unresolved.into_iter().for_each(|one| self.unresolved(node, one))).ok()
    }

    /// The value is of another kind than the key takes.
    pub(crate) fn wrong_type(&mut self, node: Node<'_>, expected: &Shape) {
        let message = format!("{} must be {}, found {}", node.key, expected.describe(), found(node.value));
        let fault = Diagnostic::error(node.span, message);
        self.push(match self.name_hint(node, expected).or_else(|| type_hint(node, expected)) {
            Some(hint) => fault.hint(hint),
            None => fault,
        });
    }

    /// A number stands where a unit, or a text, belongs.
    pub(crate) fn bare_number<T: Text>(&mut self, node: Node<'_>, hint: String) {
        let message = if T::NEEDS_UNIT {
            let example = hint.split('"').nth(1).unwrap_or(T::EXAMPLE);
            format!("{} = {} needs a unit, for example \"{example}\"", node.key, shown(node.value))
        } else {
            format!("{} must be {}, found {}", node.key, T::WHAT, found(node.value))
        };
        self.push(Diagnostic::error(node.span, message).hint(hint));
    }

    /// The string does not have the form the key takes.
    pub(crate) fn reject<T: Text>(&mut self, node: Node<'_>, text: &str, reject: Reject) {
        // What a reference stood for may be a secret, and is not repeated.
        let text = if node.is_substituted() { node.value.as_str().unwrap_or_default() } else { text };
        let message = match reject.message {
            Some(message) => format!("{} {message}", node.key),
            None => format!("{}: \"{}\" is not {}", node.key, shorten(text), T::WHAT),
        };
        let hint = reject.hint.unwrap_or_else(|| format!("for example \"{}\"", T::EXAMPLE));
        self.push(Diagnostic::error(node.span, message).hint(hint));
    }

    /// The number is too small or too large.
    pub(crate) fn out_of_range(&mut self, node: Node<'_>, bound: &str) {
        let message = format!("{} must be {bound}, found {}", node.key, shown(node.value));
        self.push(Diagnostic::error(node.span, message).hint(format!("write a number of {bound}")));
    }

    /// A table lacks a key it cannot do without.
    pub(crate) fn missing(&mut self, node: Node<'_>, key: &str, hint: &str) {
        let message = format!("{} lacks the key \"{key}\"", node.key);
        self.push(Diagnostic::error(node.span, message).hint(hint));
    }

    /// The last fault might as well have been one of these words.
    pub(crate) fn add_to_last_hint(&mut self, words: &str) {
        if let Some(fault) = self.faults.last_mut() {
            fault.hint = Some(match fault.hint.take() {
                Some(hint) => format!("{hint}, or {words}"),
                None => format!("write a number, or {words}"),
            });
        }
    }

    /// `[listener]` with the keys of a listener right below it: what is missing is the name.
    fn name_hint(&self, node: Node<'_>, expected: &Shape) -> Option<String> {
        let Shape::Table(info) = expected else { return None };
        let kind = self.tables.last()?;
        info.knows(node.key)
            .then(|| format!("each {kind} has a name: begin with [{kind}.NAME], not [{kind}]"))
    }

    fn unknown_key(&mut self, key: &str, span: Span, info: &'static TableInfo) {
        let message = if self.tables.is_empty() {
            format!("unknown table or key \"{}\"", shorten(key))
        } else {
            format!("unknown key \"{}\" in [{}]", shorten(key), self.tables.join("."))
        };
        let hint = self.unknown_key_hint(key, info);
        self.push(Diagnostic::error(span, message).hint(hint));
    }

    /// The nearest key of this table, else the table around or within where the key is at home, else all keys.
    fn unknown_key_hint(&self, key: &str, info: &'static TableInfo) -> String {
        if let Some(near) = nearest(key, info.keys.iter().map(|known| known.name)) {
            return format!("did you mean \"{near}\"?");
        }
        let around = self.infos.iter().rev().skip(1).find(|(depth, info)| *depth > 0 && info.knows(key));
        if let Some((depth, _)) = around {
            return format!("\"{key}\" belongs in [{}]", self.tables[..*depth].join("."));
        }
        let below = info
            .keys
            .iter()
            .filter(|_| !self.tables.is_empty())
            .find(|known| matches!((known.shape)(), Shape::Table(table) if table.knows(key)));
        if let Some(below) = below {
            return format!("\"{key}\" belongs in [{}.{}]", self.tables.join("."), below.name);
        }
        if let Some(names) = info.keys.first().filter(|_| info.holds_only_names()) {
            return format!("write {} = {{ {key} = … }}", names.name);
        }
        let keys: Vec<_> = info.keys.iter().map(|known| known.name).collect();
        format!("known here: {}", keys.join(", "))
    }

    /// Points at the reference itself where the source shows it, else at the whole string.
    fn unresolved(&mut self, node: Node<'_>, one: Unresolved) {
        let range = node.span.range();
        let place = self.text.get(range.clone()).and_then(|source| source.find(&one.reference));
        let span = place.map_or(node.span, |at| {
            let start = range.start + at;
            Span::new(self.file, start..start + one.reference.len())
        });
        self.push(Diagnostic::error(span, format!("{}: {}", node.key, one.message)).hint(one.hint));
    }

    fn push(&mut self, fault: Diagnostic) {
        self.faults.push(fault.within(self.tables.join(".")));
    }
}

/// A variable that is empty counts as missing: an empty address or token is never what was meant.
fn variable(
    environment: Environment<'_>,
    name: &str,
    default: Option<&str>,
) -> Result<String, (String, String)> {
    match (environment(name).filter(|value| !value.is_empty()), default) {
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err((
            format!("the environment has no {name}"),
            format!("set {name}, or give a default: ${{{name}:-default}}"),
        )),
    }
}

/// The text of a secret file without its last line end.
fn read_secret(path: &Path) -> Result<String, (String, String)> {
    let hint = || "the file must be readable, not empty, and UTF-8".to_owned();
    let told = |why: &str| (format!("{}: {why}", path.display()), hint());
    // Asked before opening: to open a FIFO is to wait for its writer.
    let metadata = std::fs::metadata(path).map_err(|error| told(&error.to_string()))?;
    if !metadata.is_file() {
        return Err(told("not a regular file"));
    }
    let mut text = String::new();
    let mut file = File::open(path).map_err(|error| told(&error.to_string()))?.take(SECRET_BYTES_MAX + 1);
    file.read_to_string(&mut text).map_err(|error| told(&error.to_string()))?;
    if text.len() as u64 > SECRET_BYTES_MAX {
        return Err(told("larger than 1 MiB"));
    }
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    if secret.is_empty() { Err(told("the file is empty")) } else { Ok(secret.to_owned()) }
}

/// A name as it stands in a table header.
pub(crate) fn bare_or_quoted(name: &str) -> String {
    let is_bare =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if is_bare { name.to_owned() } else { format!("\"{}\"", shorten(name)) }
}

/// What was found, in words.
fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(_) => format!("the string {}", shown(value)),
        DeValue::Integer(_) | DeValue::Float(_) => format!("the number {}", shown(value)),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// A plain value as written.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{}\"", shorten(text)),
        DeValue::Integer(integer) => shorten(&integer.to_string()),
        DeValue::Float(float) => shorten(&float.to_string()),
        other => found(other),
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(FOUND_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The value as it was likely meant.
fn type_hint(node: Node<'_>, expected: &Shape) -> Option<String> {
    match (node.value, expected) {
        (DeValue::String(text), Shape::Integer { .. }) if text.parse::<i64>().is_ok() => {
            Some(format!("write {text} without quotes"))
        }
        (DeValue::String(_), Shape::Integer { .. }) if !node.is_substituted() => {
            Some("write a number without quotes".to_owned())
        }
        (DeValue::String(text), Shape::Boolean) => match &**text {
            "true" | "false" => Some(format!("write {text} without quotes")),
            "yes" | "on" => Some("write true".to_owned()),
            "no" | "off" => Some("write false".to_owned()),
            _ => None,
        },
        (DeValue::String(text), Shape::Table(info)) => {
            let key = info.key_for(text)?;
            Some(format!("write {} = {{ {key} = {} }}", node.key, shown(node.value)))
        }
        (DeValue::String(_) | DeValue::Integer(_), Shape::List(of)) if of.takes_text() => {
            Some(format!("write [{}]", shown(node.value)))
        }
        (DeValue::Array(_), Shape::Map(of)) if matches!(**of, Shape::Table(_)) => {
            Some(format!("give each one a name: [{}.NAME]", node.key))
        }
        (_, Shape::Text { example, .. }) if !example.is_empty() => Some(format!("for example \"{example}\"")),
        _ => None,
    }
}
