//! The manifest of the package that a single file becomes.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// The name of every package whose file does not choose one. The same for all, so that equal content is equal whatever
/// its file is called.
const PACKAGE: &str = "app";

/// The crate that every program may use without naming it.
const KIT: &str = "towpath";

/// What says where a dependency comes from. A kit that has none of them is wanted with other features, from the usual place.
const PLACES: [&str; 4] = ["path", "version", "git", "registry"];

/// Where the kit comes from when the file does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kit {
    /// A folder with its sources.
    Folder(PathBuf),
    /// The registry, in this version.
    Version(String),
}

/// The text of the manifest: what the head says, and what it leaves out.
///
/// `folder` is where the file stands, from where relative paths of dependencies start; `main` is the copy of the file,
/// relative to the manifest.
pub(crate) fn manifest(head: &Table, folder: &Path, main: &str, kit: &Kit) -> String {
    let mut manifest = head.clone();
    let package = table(&mut manifest, "package");
    for (key, value) in [("name", PACKAGE), ("edition", "2024"), ("version", "0.0.0")] {
        set_default(package, key, value);
    }
    for key in ["autolib", "autobins", "autoexamples", "autotests", "autobenches", "publish"] {
        set_default(package, key, false);
    }
    let name = package.get("name").cloned().unwrap_or_else(|| PACKAGE.into());
    let main = Table::from_iter([("name".to_owned(), name), ("path".to_owned(), main.into())]);
    manifest.insert("bin".to_owned(), Value::Array(vec![main.into()]));
    dependencies(table(&mut manifest, "dependencies"), folder, kit);
    profiles(table(&mut manifest, "profile"));
    // Without it cargo would look for a workspace in the folders above.
    manifest.insert("workspace".to_owned(), Table::new().into());
    manifest.to_string()
}

fn dependencies(dependencies: &mut Table, folder: &Path, kit: &Kit) {
    for (_, dependency) in dependencies.iter_mut() {
        let path = dependency.get_mut("path");
        if let Some(Value::String(path)) = path {
            // An absolute path stays what it is.
            *path = folder.join(&path).display().to_string();
        }
    }
    let is_kit = |(name, entry): &(&String, &mut Value)| match entry.get("package") {
        Some(package) => package.as_str() == Some(KIT),
        None => *name == KIT,
    };
    let (key, place) = match kit {
        Kit::Folder(folder) => ("path", folder.display().to_string()),
        Kit::Version(version) => ("version", format!("={version}")),
    };
    match dependencies.iter_mut().find(is_kit) {
        Some((_, Value::Table(entry))) if !PLACES.iter().any(|place| entry.contains_key(*place)) => {
            set_default(entry, key, place);
        }
        Some(_) => {}
        None => {
            let entry = Table::from_iter([(key.to_owned(), place.into())]);
            dependencies.insert(KIT.to_owned(), entry.into());
        }
    }
}

/// What the file says about a profile goes before these. Sixteen units and no optimisation across crates let an edit
/// be built in seconds; what was compiled before an edit is used again.
fn profiles(profiles: &mut Table) {
    let release = table(profiles, "release");
    set_default(release, "incremental", true);
    set_default(release, "codegen-units", 16);
    for name in ["release", "dev"] {
        // Profilers and panics name lines; more would make programs ten times as large.
        set_default(table(profiles, name), "debug", "line-tables-only");
    }
}

/// The table of this name, which the check of the head has found to be one.
fn table<'a>(within: &'a mut Table, name: &str) -> &'a mut Table {
    let entry = within.entry(name).or_insert_with(|| Table::new().into());
    if !entry.is_table() {
        *entry = Table::new().into();
    }
    entry.as_table_mut().expect("it was made a table in the line before")
}

fn set_default(table: &mut Table, key: &str, value: impl Into<Value>) {
    table.entry(key).or_insert_with(|| value.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &str, kit: &Kit) -> String {
        manifest(&head.parse().unwrap(), Path::new("/home/u"), "at/home/u/a.rs", kit)
    }

    fn version() -> Kit {
        Kit::Version("1.2.3".to_owned())
    }

    #[test]
    fn a_file_that_says_nothing_gets_edition_kit_and_profiles() {
        assert_eq!(
            check("", &version()),
            r#"[[bin]]
name = "app"
path = "at/home/u/a.rs"

[dependencies.towpath]
version = "=1.2.3"

[package]
autobenches = false
autobins = false
autoexamples = false
autolib = false
autotests = false
edition = "2024"
name = "app"
publish = false
version = "0.0.0"

[profile.dev]
debug = "line-tables-only"

[profile.release]
codegen-units = 16
debug = "line-tables-only"
incremental = true

[workspace]
"#
        );
    }

    #[test]
    fn what_the_file_says_stays() {
        let head = "[package]\nname = \"hello\"\nedition = \"2021\"\n[profile.release]\nopt-level = 1\ndebug = true\n\
                    [lints.rust]\nunused = \"deny\"\n[features]\ndefault = []\n";
        let text = check(head, &version());
        for line in
            ["edition = \"2021\"", "opt-level = 1", "debug = true", "unused = \"deny\"", "default = []"]
        {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        assert_eq!(text.matches("name = \"hello\"").count(), 2, "{text}");
    }

    #[test]
    fn paths_start_at_the_file_and_a_kit_that_is_named_is_the_one() {
        let text = check("[dependencies]\na.path = \"../a\"\nb.path = \"/b\"\n", &Kit::Folder("/kit".into()));
        for line in ["path = \"/home/u/../a\"", "path = \"/b\"", "path = \"/kit\""] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        let text = check("[dependencies]\ntowpath.features = [\"grpc\"]\n", &version());
        assert!(
            text.contains("[dependencies.towpath]\nfeatures = [\"grpc\"]\nversion = \"=1.2.3\"\n"),
            "{text}"
        );
        for own in ["towpath = \"9\"", "kit = { package = \"towpath\", version = \"9\" }"] {
            let text = check(&format!("[dependencies]\n{own}\n"), &version());
            assert!(!text.contains("1.2.3"), "{text}");
        }
    }
}
