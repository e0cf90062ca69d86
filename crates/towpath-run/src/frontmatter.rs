//! The head of a single-file program in the form of cargo-script (RFC 3502, 3503): an optional `#!` line, a line of
//! three or more dashes, TOML, and a line of the same dashes.
//!
//! The compiler does not read it yet, so that the program is built from a copy in which each of its lines is empty:
//! what stands behind it keeps its line number.

use std::ops::Range;

use toml::de::{DeString, DeTable, DeValue};
use toml::{Spanned, Table};
use towpath_config::{Diagnostic, Span, nearest, sort, syntax_faults};

/// The tables that may be written, and what a missing one means is cargo's to say.
const TABLES: [&str; 5] = ["package", "dependencies", "features", "profile", "lints"];

/// What `[package]` may say; the rest is made.
const PACKAGE_KEYS: [&str; 3] = ["name", "edition", "rust-version"];

/// The editions of the language that the compiler knows.
const EDITIONS: [&str; 4] = ["2015", "2018", "2021", "2024"];

/// The fewest dashes of a fence.
const DASHES_MIN: usize = 3;

/// A program and what it says about itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Script {
    /// The source with the head blanked, line for line.
    pub(crate) code: String,
    /// What the head says; empty without one.
    pub(crate) manifest: Table,
}

/// Takes the head off `text`, which is file number `file`.
///
/// # Errors
/// Every fault of the head.
pub(crate) fn parse(file: usize, text: &str) -> Result<Script, Vec<Diagnostic>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Some(head) = find(file, text).map_err(|fault| vec![*fault])? else {
        return Ok(Script { code: text.to_owned(), manifest: Table::new() });
    };
    let padded = blanked(text, 0..head.toml.start, ' ') + &text[head.toml.clone()];
    let mut faults = faults(file, &padded);
    sort(&mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    let manifest = text[head.toml].parse().map_err(|fault: toml::de::Error| {
        vec![Diagnostic::error(Span::whole(file), fault.message().to_owned())]
    })?;
    Ok(Script {
        code: text[..head.whole.start].to_owned()
            + &emptied(&text[head.whole.clone()])
            + &text[head.whole.end..],
        manifest,
    })
}

/// Where the head stands.
struct Head {
    /// With both fences and the end of the last line.
    whole: Range<usize>,
    /// What is between them.
    toml: Range<usize>,
}

fn find(file: usize, text: &str) -> Result<Option<Head>, Box<Diagnostic>> {
    let mut lines = Lines { text, at: 0 };
    if text.starts_with("#!") && !text[2..].trim_start().starts_with('[') {
        lines.next();
    }
    let Some((start, open)) = lines.find(|(_, line)| !line.trim().is_empty()) else { return Ok(None) };
    let dashes = open.bytes().take_while(|byte| *byte == b'-').count();
    if dashes < DASHES_MIN {
        return Ok(None);
    }
    let word = open[dashes..].trim();
    if !word.is_empty() && word != "cargo" {
        let at = start + dashes + (open[dashes..].len() - open[dashes..].trim_start().len());
        let fault =
            Diagnostic::error(Span::new(file, at..at + word.len()), format!("no head of kind {word:?}"));
        return Err(Box::new(fault.hint(format!("write {} cargo, or the dashes alone", &open[..dashes]))));
    }
    let toml_start = lines.at;
    let fence = &open[..dashes];
    while let Some((at, line)) = lines.next() {
        if line.strip_prefix(fence).is_some_and(|rest| rest.trim().is_empty()) {
            return Ok(Some(Head { whole: start..lines.at, toml: toml_start..at }));
        }
        if line.starts_with("---") && line.trim().bytes().all(|byte| byte == b'-') {
            let span = Span::new(file, at..at + line.trim_end().len());
            let fault = Diagnostic::error(span, "this line does not close the head");
            return Err(Box::new(
                fault
                    .also(Span::new(file, start..start + dashes), "it was opened here")
                    .hint(format!("write {fence}")),
            ));
        }
    }
    let fault = Diagnostic::error(Span::new(file, start..start + dashes), "the head is not closed");
    Err(Box::new(fault.hint(format!("write {fence} on a line of its own behind the last key"))))
}

/// Lines without their ends, and where each begins.
struct Lines<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = (usize, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.at;
        let line = self.text[start..].split_inclusive('\n').next()?;
        self.at += line.len();
        Some((start, line.trim_end_matches('\n').trim_end_matches('\r')))
    }
}

/// The ends of the lines alone.
fn emptied(text: &str) -> String {
    text.chars().filter(|c| matches!(c, '\r' | '\n')).collect()
}

/// As many bytes as before, so that places in what follows are places in the file.
fn blanked(text: &str, range: Range<usize>, with: char) -> String {
    text[range].bytes().map(|byte| if byte == b'\n' { '\n' } else { with }).collect()
}

/// Everything that is wrong with the TOML.
fn faults(file: usize, padded: &str) -> Vec<Diagnostic> {
    let (tree, errors) = DeTable::parse_recoverable(padded);
    let (mut faults, _) = syntax_faults(file, padded, &errors);
    if !faults.is_empty() {
        return faults;
    }
    for (key, value) in tree.get_ref() {
        let span = Span::new(file, key.span());
        let name = key.get_ref().as_ref();
        match (name, value.get_ref()) {
            ("package", DeValue::Table(table)) => faults.extend(package_faults(file, table)),
            ("dependencies", DeValue::Table(table)) => faults.extend(dependency_faults(file, table)),
            (name, DeValue::Table(_)) if TABLES.contains(&name) => {}
            (name, _) if TABLES.contains(&name) => {
                faults.push(
                    Diagnostic::error(span, format!("{name} is a table")).hint(format!("write [{name}]")),
                );
            }
            (name, _) => faults.push(unknown(span, name, "in the head of a file", &TABLES, foreign(name))),
        }
    }
    faults
}

/// What the tables are for that only a whole package may have.
fn foreign(name: &str) -> Option<&'static str> {
    match name {
        "workspace" | "patch" | "replace" | "build-dependencies" | "dev-dependencies" | "target" | "bin"
        | "lib" | "test" | "bench" | "example" | "build" => {
            Some("a folder with a Cargo.toml may have one, and runs too: towpath run FOLDER")
        }
        _ => None,
    }
}

fn unknown(span: Span, name: &str, place: &str, known: &[&'static str], hint: Option<&str>) -> Diagnostic {
    match (hint, nearest(name, known.iter().copied())) {
        (Some(hint), _) => Diagnostic::error(span, format!("{name} may not stand {place}")).hint(hint),
        (None, Some(meant)) => Diagnostic::error(span, format!("unknown key \"{name}\" {place}"))
            .hint(format!("did you mean \"{meant}\"?")),
        (None, None) => Diagnostic::error(span, format!("unknown key \"{name}\" {place}"))
            .hint(format!("known are {}", known.join(", "))),
    }
}

fn package_faults(file: usize, package: &DeTable<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for (key, value) in package {
        let name = key.get_ref().as_ref();
        if !PACKAGE_KEYS.contains(&name) {
            let hint = foreign(name);
            faults.push(unknown(
                Span::new(file, key.span()),
                name,
                "in [package] of a file",
                &PACKAGE_KEYS,
                hint,
            ));
            continue;
        }
        let span = Span::new(file, value.span());
        match (name, value.get_ref()) {
            ("edition", DeValue::String(edition)) if !EDITIONS.contains(&edition.as_ref()) => {
                let fault = Diagnostic::error(span, format!("no edition \"{edition}\""));
                faults.push(fault.hint(format!("there are {}", EDITIONS.join(", "))));
            }
            ("name", DeValue::String(name)) if !is_package_name(name) => {
                let fault = Diagnostic::error(span, format!("\"{name}\" cannot be the name of a package"));
                faults.push(fault.hint("a name has letters, digits, - and _, and begins with a letter"));
            }
            (_, DeValue::String(_)) => {}
            _ => faults.push(Diagnostic::error(span, format!("{name} is a string")).hint("put it in quotes")),
        }
    }
    faults
}

fn is_package_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

fn dependency_faults(file: usize, dependencies: &DeTable<'_>) -> Vec<Diagnostic> {
    let wrong = |(key, value): (&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| {
        let hint = match value.get_ref() {
            DeValue::String(_) => return None,
            DeValue::Table(table) if !table.contains_key("workspace") => return None,
            DeValue::Table(_) => "a file belongs to no workspace; write the version",
            _ => "write a version in quotes, or a table",
        };
        let fault = Diagnostic::error(
            Span::new(file, value.span()),
            format!("this is no dependency on {}", key.get_ref()),
        );
        Some(fault.hint(hint))
    };
    dependencies.iter().filter_map(wrong).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use towpath_config::{Sources, render};

    use super::*;

    fn check(text: &str) -> String {
        let mut sources = Sources::default();
        let file = sources.add(Path::new("a.rs"), text.into());
        match parse(file, text) {
            Ok(script) => format!("{}\n=====\n{}", script.manifest, script.code),
            Err(faults) => render(&faults, &sources),
        }
    }

    #[test]
    fn a_file_without_a_head_is_all_code() {
        for text in [
            "fn main() {}\n",
            "",
            "#!/usr/bin/env towpath\nfn main() {}",
            "#![allow(x)]\n--x",
            "\n\n// ---\n",
        ] {
            assert_eq!(check(text), format!("\n=====\n{text}"));
        }
    }

    #[test]
    fn a_head_is_blanked_line_for_line() {
        let text = "#!/usr/bin/env -S towpath run\n\n---cargo\n[dependencies]\nx = \"1\"\n---\nfn main() {}";
        assert_eq!(
            check(text),
            "[dependencies]\nx = \"1\"\n\n=====\n#!/usr/bin/env -S towpath run\n\n\n\n\n\nfn main() {}"
        );
    }

    #[test]
    fn a_mark_at_the_start_and_foreign_line_ends_are_taken() {
        assert_eq!(
            check("\u{feff}---\r\n[package]\r\nedition = \"2021\"\r\n---  \r\nfn main() {}\r\n"),
            "[package]\nedition = \"2021\"\n\n=====\n\r\n\r\n\r\n\r\nfn main() {}\r\n"
        );
        assert_eq!(check("---\n---"), "\n=====\n\n");
    }

    #[test]
    fn more_dashes_hide_fewer() {
        assert_eq!(check("----\n# ---\n----\nx"), "\n=====\n\n\n\nx");
    }

    #[test]
    fn a_fence_that_is_not_closed_is_told_where_it_stands() {
        assert_eq!(
            check("#!x\n---\n[package]\nfn main() {}\n"),
            "a.rs:2:1: the head is not closed\n    ---\n    ^^^\n\
             hint: write --- on a line of its own behind the last key\n"
        );
        assert_eq!(
            check("----\n---\n"),
            "a.rs:2:1: this line does not close the head\n    ---\n    ^^^\na.rs:1:1: it was opened here\n    ----\n    \
             ^^^^\nhint: write ----\n"
        );
        assert_eq!(
            check("--- toml\n---\n"),
            "a.rs:1:5: no head of kind \"toml\"\n    --- toml\n        ^^^^\nhint: write --- cargo, or the dashes alone\n"
        );
    }

    #[test]
    fn every_fault_of_the_tables_is_told_at_its_place_in_the_file() {
        assert_eq!(
            check(
                "---\n[pakage]\nname = \"x\"\n[workspace]\n[package]\nedition = \"2022\"\nname = 5\nversion = \"1\"\n\
                 [dependencies]\nx = 1\ny.workspace = true\n---\n"
            ),
            "a.rs:2:2: unknown key \"pakage\" in the head of a file\n    [pakage]\n     ^^^^^^\n\
             hint: did you mean \"package\"?\n\
             a.rs:4:2: workspace may not stand in the head of a file\n    [workspace]\n     ^^^^^^^^^\n\
             hint: a folder with a Cargo.toml may have one, and runs too: towpath run FOLDER\n\
             a.rs:6:11: no edition \"2022\"\n    edition = \"2022\"\n              ^^^^^^\n\
             hint: there are 2015, 2018, 2021, 2024\n\
             a.rs:7:8: name is a string\n    name = 5\n           ^\nhint: put it in quotes\n\
             a.rs:8:1: unknown key \"version\" in [package] of a file\n    version = \"1\"\n    ^^^^^^^\n\
             hint: known are name, edition, rust-version\n\
             a.rs:10:5: this is no dependency on x\n    x = 1\n        ^\n\
             hint: write a version in quotes, or a table\n\
             a.rs:11:1: this is no dependency on y\n    y.workspace = true\n    ^\n\
             hint: a file belongs to no workspace; write the version\n"
        );
    }

    #[test]
    fn toml_that_is_broken_is_told_at_its_place_in_the_file() {
        assert_eq!(
            check("#!x\n---\nname = \n---\n"),
            "a.rs:3:8: a value is missing here\n    name = \n           ^\n"
        );
    }
}
