//! What a value may look like: one description behind the schema, the reference and the list of known keys.

/// The form of a value.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer { min: i64, max: i64 },
    /// A string in some notation.
    Text { what: &'static str, example: &'static str, pattern: &'static str },
    /// One of these words.
    Words(&'static [Word]),
    /// One fixed word.
    Word(&'static str),
    /// Values in a row.
    List(Box<Shape>),
    /// Values under names the user chooses.
    Map(Box<Shape>),
    /// A table with known keys.
    Table(&'static TableInfo),
    /// Any of these forms.
    Either(Vec<Shape>),
}

/// A word and what it means.
#[derive(Debug)]
pub(crate) struct Word {
    pub(crate) word: &'static str,
    pub(crate) doc: &'static [&'static str],
}

/// A table and its keys.
#[derive(Debug)]
pub(crate) struct TableInfo {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static [&'static str],
    pub(crate) keys: &'static [KeyInfo],
}

/// A key, what it means and what it takes.
#[derive(Debug)]
pub(crate) struct KeyInfo {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static [&'static str],
    pub(crate) shape: fn() -> Shape,
}

impl Shape {
    pub(crate) fn word(word: &'static str) -> Self {
        Self::Word(word)
    }

    /// Whether a text can stand here.
    pub(crate) fn takes_text(&self) -> bool {
        match self {
            Self::Text { .. } | Self::Words(_) => true,
            Self::Either(forms) => forms.iter().any(Self::takes_text),
            _ => false,
        }
    }

    /// The table in which nested keys live: that of a map of tables, or the table itself.
    pub(crate) fn table(&self) -> Option<&'static TableInfo> {
        match self {
            Self::Table(info) => Some(info),
            Self::Map(of) | Self::List(of) => of.table(),
            Self::Either(forms) => forms.iter().find_map(Self::table),
            _ => None,
        }
    }
}

impl TableInfo {
    pub(crate) fn knows(&self, key: &str) -> bool {
        self.keys.iter().any(|known| known.name == key)
    }

    /// The key a text most likely belongs under, when it stands where the whole table should.
    pub(crate) fn key_for(&self, text: &str) -> Option<&'static str> {
        if text.starts_with('/') && self.knows("path") {
            return Some("path");
        }
        self.keys.iter().find(|known| (known.shape)().takes_text()).map(|known| known.name)
    }

    /// Whether names of the user's own stand under each key, as in a table of header edits.
    pub(crate) fn holds_only_names(&self) -> bool {
        self.keys.iter().all(|known| matches!((known.shape)(), Shape::Map(_) | Shape::List(_)))
    }
}

/// Doc lines as one paragraph.
pub(crate) fn paragraph(doc: &[&str]) -> String {
    doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

impl Shape {
    /// In words, with an article: `a time span such as "30s"`.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Boolean => "true or false".to_owned(),
            Self::Integer { .. } => "a whole number".to_owned(),
            Self::Text { what, example: "", .. } => (*what).to_owned(),
            Self::Text { what, example, .. } => format!("{what} such as \"{example}\""),
            Self::Words(words) => {
                let words: Vec<_> = words.iter().map(|word| format!("\"{}\"", word.word)).collect();
                format!("one of {}", words.join(", "))
            }
            Self::Word(word) => format!("\"{word}\""),
            Self::List(of) => format!("a list, each item {}", of.describe()),
            Self::Map(of) if matches!(**of, Self::Table(_)) => "a table of named tables".to_owned(),
            Self::Map(of) => format!("a table of names, each with {}", of.describe()),
            Self::Table(_) => "a table".to_owned(),
            Self::Either(forms) => forms.iter().map(Self::describe).collect::<Vec<_>>().join(", or "),
        }
    }
}
