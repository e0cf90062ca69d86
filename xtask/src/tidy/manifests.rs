//! What holds for every manifest of the workspace.

use super::Source;

/// Folders that are no members, so that nothing of the project pays for what they depend on.
const OWN_WORKSPACES: &[&str] = &["fuzz", "bench/servers"];

pub(super) fn check(source: &Source) -> Vec<String> {
    let Some(folder) = source.path.strip_suffix("/Cargo.toml") else { return Vec::new() };
    if OWN_WORKSPACES.iter().any(|own| folder.starts_with(own)) {
        return Vec::new();
    }
    let mut faults = Vec::new();
    if !section(&source.text, "lints").contains(&"workspace = true") {
        faults.push(format!("{}: `[lints] workspace = true` is missing", source.path));
    }
    let name = section(&source.text, "package").iter().find_map(|line| line.strip_prefix("name = "));
    let name = name.unwrap_or_default().trim_matches('"');
    if folder.strip_prefix("crates/").is_some_and(|folder| folder != name) {
        faults.push(format!("{}: the folder and the crate {name:?} have different names", source.path));
    }
    for line in dependency_lines(&source.text) {
        if line.contains("path =") || line.contains("version =") || version_alone(line) {
            faults.push(format!(
                "{}: `{line}`: versions and paths stand in the workspace's manifest",
                source.path
            ));
        }
    }
    faults
}

fn section<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let header = format!("[{name}]");
    let lines = text.lines().map(str::trim).skip_while(|line| *line != header).skip(1);
    lines.take_while(|line| !line.starts_with('[')).collect()
}

fn dependency_lines(text: &str) -> impl Iterator<Item = &str> {
    let sections = ["dependencies", "dev-dependencies", "build-dependencies"];
    sections
        .into_iter()
        .flat_map(|name| section(text, name))
        .filter(|line| line.contains('=') && !line.starts_with('#'))
}

/// `name = "1.2"`, the short form.
fn version_alone(line: &str) -> bool {
    line.split_once('=').is_some_and(|(_, value)| value.trim().starts_with('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\nname = \"towpath-x\"\n\n[lints]\nworkspace = true\n\n[dependencies]\n\
                        # Why.\nmemchr.workspace = true\ntokio = { workspace = true, features = [\"rt\"] }\n";

    fn faults(path: &str, text: &str) -> usize {
        check(&Source { path: path.to_owned(), text: text.to_owned() }).len()
    }

    #[test]
    fn a_manifest_in_order_passes() {
        assert_eq!(faults("crates/towpath-x/Cargo.toml", GOOD), 0);
        assert_eq!(faults("Cargo.toml", "[workspace]\n"), 0);
    }

    #[test]
    fn missing_lints_another_folder_and_a_version_of_its_own_are_found() {
        assert_eq!(
            faults("crates/towpath-x/Cargo.toml", &GOOD.replace("workspace = true\n\n[dep", "\n[dep")),
            1
        );
        assert_eq!(faults("crates/towpath-y/Cargo.toml", GOOD), 1);
        assert_eq!(
            faults("crates/towpath-x/Cargo.toml", &GOOD.replace("memchr.workspace = true", "memchr = \"2\"")),
            1
        );
        assert_eq!(
            faults(
                "crates/towpath-x/Cargo.toml",
                &GOOD.replace("memchr.workspace", "memchr.path = \"..\"\na.workspace")
            ),
            1
        );
    }
}
