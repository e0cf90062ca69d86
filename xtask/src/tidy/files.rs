//! What holds for every file: no leftovers, no path of the machine it was written on, a length one can read.

use std::path::Path;

use super::Source;

/// Words that mean "not finished". Written in two halves so that this file does not contain them.
const LEFTOVERS: &[&str] = &[
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("db", "g!("),
    concat!("FIX", "ME"),
    concat!("TO", "DO"),
    concat!("XX", "X"),
    concat!("#[ig", "nore"),
];

/// A longer file tells more than one story.
const LINES_MAX: usize = 900;

/// Folders that say nothing about a machine, although a checkout may lie in one of them.
const COMMON_FOLDERS: &[&str] = &[
    "/", "/builds", "/home", "/mnt", "/opt", "/root", "/src", "/srv", "/tmp", "/usr", "/usr/src", "/var",
    "/var/tmp",
];

/// The two commands of the README, in this order, and no third.
const SET_UP: [&str; 2] = ["cargo run --release -- run", "cargo xtask test"];

pub(super) fn check(source: &Source, root: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    if source.path.ends_with(".rs") {
        faults.extend(leftovers(source));
        faults.extend(length(source));
    }
    // Cargo would take `tests/common.rs` for a test program of its own, so `mod.rs` is right there.
    if source.path.ends_with("/mod.rs") && !source.path.contains("/tests/") {
        faults.push(format!("{}: a module is `name.rs` beside `name/`", source.path));
    }
    faults.extend(machine_paths(source, &machine_folders(root)));
    faults
}

fn leftovers(source: &Source) -> Vec<String> {
    let lines = source.text.lines().enumerate();
    let found = lines.filter_map(|(index, line)| {
        let word = LEFTOVERS.iter().find(|word| line.contains(*word))?;
        Some(format!("{}:{}: leftover `{word}`", source.path, index + 1))
    });
    found.collect()
}

fn length(source: &Source) -> Option<String> {
    let lines = source.text.lines().count();
    (lines > LINES_MAX).then(|| format!("{}: {lines} lines, more than {LINES_MAX}", source.path))
}

/// The checkout, the folder around it and the home folder, as far as they say something.
fn machine_folders(root: &Path) -> Vec<String> {
    let home = std::env::var("HOME").unwrap_or_default();
    let parent = root.parent().map(|parent| parent.display().to_string());
    let folders = [Some(root.display().to_string()), parent, Some(home.clone())].into_iter().flatten();
    let mut folders: Vec<String> = folders
        .filter(|folder| !folder.is_empty() && !COMMON_FOLDERS.contains(&folder.as_str()))
        .map(|folder| folder + "/")
        .collect();
    // A home such as /root says nothing, a cargo or configuration folder in it does.
    folders.push(home + "/.");
    folders
}

fn machine_paths(source: &Source, folders: &[String]) -> Vec<String> {
    let lines = source.text.lines().enumerate();
    let found = lines.filter_map(|(index, line)| {
        let folder = folders.iter().find(|folder| line.contains(folder.as_str()))?;
        Some(format!("{}:{}: names a folder of this machine, {folder}", source.path, index + 1))
    });
    found.collect()
}

/// The first block of shell commands in the README is the set-up, and it is exactly two commands.
pub(super) fn check_readme(text: &str) -> Vec<String> {
    let block = text.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap_or_default();
    let without_remark = |line: &str| line.split('#').next().unwrap_or_default().trim().to_owned();
    let commands: Vec<String> = block.lines().map(without_remark).filter(|line| !line.is_empty()).collect();
    match commands == SET_UP {
        true => Vec::new(),
        false => vec![format!("README.md: the first sh block must be {SET_UP:?}, found {commands:?}")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn every_leftover_is_found_in_code_and_not_in_prose() {
        for word in LEFTOVERS {
            let text = format!("fn f() {{\n    {word}\n}}\n");
            let faults = check(&source("a.rs", &text), Path::new("/checkout/x"));
            assert!(
                faults.first().is_some_and(|fault| fault.starts_with("a.rs:2: leftover")),
                "{word}: {faults:?}"
            );
            assert!(check(&source("a.md", &text), Path::new("/checkout/x")).is_empty());
        }
    }

    #[test]
    fn a_path_of_the_machine_is_found_in_any_file() {
        let planted = source("notes.md", "see /builder/project/main/notes\n");
        assert_eq!(check(&planted, Path::new("/builder/project/main")).len(), 1);
        assert_eq!(check(&planted, Path::new("/builder/project/other")).len(), 1);
        assert!(check(&planted, Path::new("/elsewhere/main")).is_empty());
        assert!(check(&source("a.md", "/tmp/x /usr/bin"), Path::new("/tmp/main")).is_empty());
    }

    #[test]
    fn a_file_of_901_lines_is_too_long_and_a_mod_rs_is_misnamed() {
        let faults =
            |lines: usize| check(&source("a.rs", &"x\n".repeat(lines)), Path::new("/checkout/x")).len();
        assert_eq!((faults(900), faults(901)), (0, 1));
        let misnamed = |path: &str| check(&source(path, ""), Path::new("/checkout/x")).len();
        assert_eq!((misnamed("a/src/b/mod.rs"), misnamed("a/tests/common/mod.rs")), (1, 0));
    }

    #[test]
    fn the_readme_has_exactly_two_set_up_commands() {
        let two = "# T\n```sh\ncargo run --release -- run   # demo\ncargo xtask test\n```\n";
        assert!(check_readme(two).is_empty());
        assert_eq!(check_readme("# T\n").len(), 1);
        assert_eq!(check_readme(&two.replace("xtask test\n", "xtask test\nmake\n")).len(), 1);
    }
}
