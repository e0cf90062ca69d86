//! Texts that stand in a test's source and are compared with what was found.
//!
//! Set [`UPDATE_VARIABLE`] to have them written anew after a deliberate change, and read the diff.

use std::panic::Location;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// With this variable set, a text that differs is replaced in the source instead of failing the test.
pub const UPDATE_VARIABLE: &str = "TOWPATH_UPDATE_SNAPSHOTS";

/// Compares `found` with `written`, the content of a raw string literal in the source of `caller`. Indentation and empty
/// lines at both ends do not count.
///
/// # Panics
/// When they differ, with both texts line by line. `context` is told as well, a seed for example.
pub fn compare(written: &str, found: &str, context: &str, caller: &Location<'_>) {
    let wanted = dedent(written);
    let found = found.trim_matches('\n');
    if wanted == found {
        return;
    }
    if std::env::var_os(UPDATE_VARIABLE).is_some() {
        return update(written, found, caller);
    }
    refuse(&wanted, found, context, caller);
}

/// Compares `found` with `wanted`, which was found before and is not written anywhere.
///
/// # Panics
/// As [`compare`].
pub fn compare_again(wanted: &str, found: &str, context: &str, caller: &Location<'_>) {
    if wanted != found {
        refuse(wanted, found, context, caller);
    }
}

fn refuse(wanted: &str, found: &str, context: &str, caller: &Location<'_>) -> ! {
    panic!(
        "{caller}: {context}\n{}\nset {UPDATE_VARIABLE}=1 to record a deliberate change",
        diff(wanted, found)
    );
}

/// `text` without the indentation that all its lines share, and without empty lines at both ends.
pub fn dedent(text: &str) -> String {
    let indent = indent(text);
    let lines: Vec<&str> =
        text.lines().map(|line| line.get(indent..).unwrap_or_default().trim_end()).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

fn indent(text: &str) -> usize {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0)
}

/// Both texts, their common lines once. Lines are few, so the longest common part is found in the plain way.
fn diff(wanted: &str, found: &str) -> String {
    let (wanted, found): (Vec<&str>, Vec<&str>) = (wanted.lines().collect(), found.lines().collect());
    let mut common = vec![vec![0; found.len() + 1]; wanted.len() + 1];
    for i in (0..wanted.len()).rev() {
        for j in (0..found.len()).rev() {
            common[i][j] = if wanted[i] == found[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    while i < wanted.len() || j < found.len() {
        if i < wanted.len() && j < found.len() && wanted[i] == found[j] {
            out.push(format!("    {}", wanted[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == found.len() || (i < wanted.len() && common[i + 1][j] >= common[i][j + 1]) {
            out.push(format!("  - {}", wanted[i]));
            i += 1;
        } else {
            out.push(format!("  + {}", found[j]));
            j += 1;
        }
    }
    format!("  - is expected, + was found\n{}", out.join("\n"))
}

/// Tests run in parallel and may share a source file.
static UPDATING: Mutex<()> = Mutex::new(());

fn update(written: &str, found: &str, caller: &Location<'_>) {
    let _guard = UPDATING.lock().unwrap_or_else(PoisonError::into_inner);
    let path = source(caller);
    let source = std::fs::read_to_string(&path).expect("the source of the test can be read");
    let before = format!("r#\"{written}\"#");
    assert!(source.contains(&before), "{caller}: the text is no literal of the form r#\"…\"# in this file");
    let indent = " ".repeat(indent(written));
    let lines =
        found.lines().map(|line| if line.is_empty() { String::new() } else { format!("{indent}{line}") });
    let closing = written.rsplit('\n').next().filter(|last| last.trim().is_empty()).unwrap_or_default();
    let after = format!("r#\"\n{}\n{closing}\"#", lines.collect::<Vec<_>>().join("\n"));
    std::fs::write(&path, source.replacen(&before, &after, 1))
        .expect("the source of the test can be written");
}

/// Compilers name sources from the root of the workspace, tests run in the folder of their crate.
fn source(caller: &Location<'_>) -> PathBuf {
    let here = std::env::current_dir().expect("a test has a folder");
    let mut folders = here.ancestors().map(|folder| folder.join(caller.file()));
    folders.find(|path| path.exists()).expect("the source of the test is there")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indentation_does_not_count() {
        assert_eq!(dedent("\n        a\n          b\n\n        c\n    "), "a\n  b\n\nc");
        assert_eq!(dedent(""), "");
    }

    #[test]
    fn a_difference_shows_both_sides() {
        let shown = diff("a\nb\nc", "a\nx\nc");
        assert_eq!(shown, "  - is expected, + was found\n    a\n  - b\n  + x\n    c");
    }
}
