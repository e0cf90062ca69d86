//! The files and variables that a program was built from, beside its source: as the compiler tells them, and as they are
//! now.

use std::env;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::cargo::Built;
use crate::key::Key;
use crate::package::Package;

/// A file or variable whose content is part of a program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Input {
    /// Relative to the source's folder.
    Near(PathBuf),
    /// Elsewhere, absolute.
    Far(PathBuf),
    /// A variable of the environment, by `env!`.
    Variable(String),
}

impl Input {
    fn of(path: PathBuf, folder: &Path) -> Self {
        match path.strip_prefix(folder) {
            Ok(near) => Self::Near(near.to_owned()),
            Err(_) => Self::Far(path),
        }
    }

    /// The file, if it is one.
    pub(crate) fn path(&self, folder: &Path) -> Option<PathBuf> {
        match self {
            Self::Near(path) => Some(folder.join(path)),
            Self::Far(path) => Some(path.clone()),
            Self::Variable(_) => None,
        }
    }

    fn add_to(&self, key: &mut Key, folder: &Path) {
        match self {
            Self::Variable(name) => {
                let value = env::var_os(name).map(|value| value.as_bytes().to_vec());
                key.add(name, value.unwrap_or_else(|| b"unset".to_vec()));
            }
            Self::Near(path) => key.add_file(&path.to_string_lossy(), &folder.join(path)),
            Self::Far(path) => key.add_file(&path.to_string_lossy(), path),
        }
    }
}

/// The key of a program: its source's, and what its inputs hold now.
pub(crate) fn program_key(source: &str, inputs: &[Input], folder: &Path) -> String {
    let mut key = Key::new().with("source", source);
    for input in inputs {
        input.add_to(&mut key, folder);
    }
    key.finish()
}

/// Inputs as a file holds them, a line each.
pub(crate) fn to_text(inputs: &[Input]) -> String {
    let line = |input: &Input| match input {
        Input::Near(path) => format!("near {}\n", path.display()),
        Input::Far(path) => format!("far {}\n", path.display()),
        Input::Variable(name) => format!("variable {name}\n"),
    };
    inputs.iter().map(line).collect()
}

/// The reverse of [`to_text`].
pub(crate) fn parse(text: &str) -> Vec<Input> {
    let input = |line: &str| match line.split_once(' ')? {
        ("near", path) => Some(Input::Near(path.into())),
        ("far", path) => Some(Input::Far(path.into())),
        ("variable", name) => Some(Input::Variable(name.to_owned())),
        _ => None,
    };
    text.lines().filter_map(input).collect()
}

/// What the compiler has read for a build of `package`, whose original lies in `folder`. The content of a single file is
/// in the source's key already.
pub(crate) fn gather(built: &Built, package: &Package, target: &Path, folder: &Path) -> Vec<Input> {
    let source = package.source.as_deref();
    let mut paths = Vec::new();
    let mut variables = Vec::new();
    for (name, executable) in &built.executables {
        // Cargo's own account names the files of libraries in folders, too.
        let account = read_account(&executable.with_extension("d"));
        paths.extend(account.paths);
        variables.extend(account.variables);
        if let Some(source) = source {
            variables.extend(variables_of(executable, name, source));
        }
    }
    for (manifest, files) in &built.local {
        if !manifest.starts_with(&package.folder) || source.is_none() {
            let above = manifest.ancestors().skip(1);
            paths.extend(above.flat_map(|folder| ["Cargo.toml", "Cargo.lock"].map(|name| folder.join(name))));
        }
        for account in files.iter().filter_map(|file| account_of(file)).map(|file| read_account(&file)) {
            paths.extend(account.paths);
            variables.extend(account.variables);
        }
    }
    let made = |path: &PathBuf| path.starts_with(target);
    let own = source.map(|source| package.original(source));
    let paths = paths.into_iter().filter(|path| !made(path)).map(|path| package.original(&path));
    let paths = paths.filter(|path| path.is_file() && Some(path) != own.as_ref());
    let mut inputs: Vec<Input> = paths.map(|path| Input::of(path, folder)).collect();
    // What cargo sets itself follows from the manifest.
    let variables = variables.into_iter().filter(|name| !name.starts_with("CARGO") && name != "OUT_DIR");
    inputs.extend(variables.map(Input::Variable));
    inputs.sort();
    inputs.dedup();
    inputs
}

/// What a file that ends in `.d` says.
#[derive(Debug, Default, PartialEq)]
struct Account {
    paths: Vec<PathBuf>,
    variables: Vec<String>,
}

fn read_account(file: &Path) -> Account {
    parse_account(&fs::read_to_string(file).unwrap_or_default())
}

/// The compiler's account of a library, by the library's file.
fn account_of(file: &Path) -> Option<PathBuf> {
    let name = file.file_stem()?.to_str()?;
    let is_library =
        file.extension().is_some_and(|ending| ending == "rlib" || ending == "rmeta" || ending == "so");
    is_library.then(|| file.with_file_name(format!("{}.d", name.strip_prefix("lib").unwrap_or(name))))
}

/// The variables that any build of this source read; only the compiler's accounts tell them, and these are found by
/// the source they name.
fn variables_of(executable: &Path, name: &str, source: &Path) -> Vec<String> {
    let Some(folder) = executable.parent() else { return Vec::new() };
    let start = format!("{}-", name.replace('-', "_"));
    let source = source.display().to_string().replace(' ', "\\ ");
    let entries = fs::read_dir(folder.join("deps")).into_iter().flatten().flatten();
    let accounts = entries.filter(|entry| {
        let name = entry.file_name();
        name.to_str().is_some_and(|name| name.starts_with(&start) && name.ends_with(".d"))
    });
    let texts = accounts.filter_map(|entry| fs::read_to_string(entry.path()).ok());
    texts.filter(|text| text.contains(&source)).flat_map(|text| parse_account(&text).variables).collect()
}

/// Reads the form of a Makefile: `made: source source`, spaces escaped, and `# env-dep:NAME=value`.
fn parse_account(text: &str) -> Account {
    let mut account = Account::default();
    for line in text.lines() {
        if let Some(variable) = line.strip_prefix("# env-dep:") {
            account.variables.push(variable.split('=').next().unwrap_or_default().to_owned());
        } else if let Some((_, sources)) = line.split_once(": ") {
            account.paths.extend(split_escaped(sources));
        }
    }
    account.paths.sort();
    account.paths.dedup();
    account
}

fn split_escaped(sources: &str) -> Vec<PathBuf> {
    let mut paths = vec![String::new()];
    let mut letters = sources.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, letters.peek()) {
            ('\\', Some(' ')) => paths.iter_mut().last().into_iter().for_each(|path| path.push(' ')),
            (' ', _) => {
                paths.push(String::new());
                continue;
            }
            _ => {
                paths.iter_mut().last().into_iter().for_each(|path| path.push(letter));
                continue;
            }
        }
        letters.next();
    }
    paths.into_iter().filter(|path| !path.is_empty()).map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_of_the_compiler_are_read() {
        let text = "/t/app: at/a\\ b.rs /x/y.rs\n\nat/a\\ b.rs:\n/x/y.rs:\n\n# env-dep:HOME=/h=x\n# env-dep:NOT_SET\n";
        let account = parse_account(text);
        assert_eq!(account.paths, [PathBuf::from("/x/y.rs"), PathBuf::from("at/a b.rs")]);
        assert_eq!(account.variables, ["HOME", "NOT_SET"]);
    }

    #[test]
    fn inputs_are_read_as_they_were_written() {
        let inputs = [Input::Near("x y.rs".into()), Input::Far("/a".into()), Input::Variable("HOME".into())];
        assert_eq!(parse(&to_text(&inputs)), inputs);
    }

    #[test]
    fn a_key_changes_with_content_and_not_with_the_folder() {
        let key = |folder: &str, name: &str| program_key("s", &[Input::Near(name.into())], Path::new(folder));
        let here = env!("CARGO_MANIFEST_DIR");
        assert_ne!(key(here, "Cargo.toml"), key(here, "src/lib.rs"));
        assert_eq!(key("/no/such", "a"), key("/nor/this", "a"));
    }
}
