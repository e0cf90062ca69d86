//! The reference page, from the same definitions that read the file.

use std::fmt::Write as _;

use crate::options::Options;
use crate::shape::{KeyInfo, Shape, TableInfo, paragraph};
use crate::value::Table as _;

const INTRODUCTION: &str = "\
# Configuration reference

Every key that the file may hold, with its default. Keys that a later release will serve are known already, so that they
can be told from mistakes: `towpath check` refuses each with the words \"is not in this release\".
";

/// Every table and key of the file as a Markdown page.
#[must_use]
pub fn reference_markdown() -> String {
    let mut page = String::from(INTRODUCTION);
    section(&mut page, "", Options::INFO);
    page
}

/// One table, then the tables within it.
fn section(page: &mut String, path: &str, table: &'static TableInfo) {
    let title = if path.is_empty() { "The file".to_owned() } else { format!("`[{path}]`") };
    let _ = write!(page, "\n## {title}\n\n{}\n\n", paragraph(table.doc));
    page.push_str("| Key | Value | Meaning |\n|---|---|---|\n");
    for key in table.keys {
        let (value, meaning) = (cell(&(key.shape)().describe()), cell(&paragraph(key.doc)));
        let _ = writeln!(page, "| `{}` | {value} | {meaning}{} |", key.name, words(key));
    }
    for key in table.keys {
        let shape = (key.shape)();
        if let Some(inner) = shape.table() {
            section(page, &inner_path(path, key.name, &shape), inner);
        }
    }
}

fn inner_path(path: &str, key: &str, shape: &Shape) -> String {
    let name = if matches!(shape, Shape::Map(_)) { ".NAME" } else { "" };
    let dot = if path.is_empty() { "" } else { "." };
    format!("{path}{dot}{key}{name}")
}

/// What each word of a key means.
fn words(key: &KeyInfo) -> String {
    let Shape::Words(words) = (key.shape)() else { return String::new() };
    words.iter().map(|word| format!("<br>`\"{}\"`: {}", word.word, cell(&paragraph(word.doc)))).collect()
}

/// Text that does not end its table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
