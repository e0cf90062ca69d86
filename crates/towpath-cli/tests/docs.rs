//! What the documents say about the command line and the file, tried on the binary.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the answer")]

mod common;

use std::path::{Path, PathBuf};

use common::{Scratch, outcome};

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()))
}

/// A folder with everything that the documents' files name.
fn surroundings() -> Scratch {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path("public")).unwrap();
    scratch.write("api.key", "secret\n");
    for (name, kind) in [("site", Kind::Ecdsa), ("site-rsa", Kind::Rsa)] {
        make_certificate(&scratch, name, kind);
    }
    for authorities in ["clients.pem", "internal.pem"] {
        std::fs::copy(scratch.path("site.crt"), scratch.path(authorities)).unwrap();
    }
    scratch
}

/// The kind of a key.
#[derive(Clone, Copy)]
enum Kind {
    Ecdsa,
    Rsa,
}

/// A certificate that lasts long enough not to be warned of.
fn make_certificate(scratch: &Scratch, name: &str, kind: Kind) {
    let kind: &[&str] = match kind {
        Kind::Rsa => &["-newkey", "rsa:2048"],
        Kind::Ecdsa => &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    };
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "60", "-subj", "/CN=example.com"])
        .args(kind)
        .arg("-keyout")
        .arg(scratch.path(&format!("{name}.key")))
        .arg("-out")
        .arg(scratch.path(&format!("{name}.crt")))
        .output();
    assert!(made.unwrap().status.success(), "openssl is needed (Debian: openssl)");
}

fn toml_blocks(text: &str) -> Vec<&str> {
    text.split("```toml\n").skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

/// The least file, to which a block that shows one table is added.
const BASE: &str = "[listener.base]\nbind = \"127.0.0.1:8080\"\n[route.base]\nrespond = { body = \"x\" }\n";

fn check_blocks(name: &str, count: usize) {
    let scratch = surroundings();
    let text = document(name);
    let blocks = toml_blocks(&text);
    assert_eq!(blocks.len(), count, "{name}: blocks of TOML");
    for block in blocks {
        let whole = if block.contains("[listener.") { block.to_owned() } else { format!("{BASE}{block}\n") };
        let file = scratch.write("towpath.toml", &whole);
        let told = outcome(&["check", file.to_str().unwrap()]);
        assert_eq!(told, (0, String::new(), String::new()), "{name}:\n{block}");
    }
}

#[test]
fn every_file_in_the_readme_and_the_guide_is_without_faults() {
    check_blocks("README.md", 1);
    check_blocks("docs/guide.md", 7);
}

#[test]
fn every_command_in_the_readme_exists_with_its_flags() {
    let text = document("README.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `towpath "));
    let mut seen = Vec::new();
    for row in rows {
        // A command may have two words; what is not in small letters stands for something.
        let words = row.split(['`']).next().unwrap().split(' ');
        let mut words: Vec<&str> =
            words.take_while(|word| word.chars().all(|c| c.is_ascii_lowercase())).collect();
        let command = words[0];
        words.push("--help");
        let (code, help, stderr) = outcome(&words);
        assert_eq!(code, 0, "{row}: {stderr}");
        let flags = row.split([' ', '`', ';']).filter(|word| word.starts_with("--"));
        for flag in flags {
            assert!(help.contains(flag), "{command} has no {flag}:\n{help}");
        }
        seen.push(command);
    }
    let (_, help, _) = outcome(&["--help"]);
    let commands = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    for command in commands.lines().filter_map(|line| line.split_whitespace().next()) {
        assert!(seen.contains(&command), "the README does not tell of {command}");
    }
}

#[test]
fn the_contracts_example_has_only_faults_of_later_releases() {
    let scratch = surroundings();
    let example = document("crates/towpath-config/tests/cases/contract.toml");
    let file = scratch.write("contract.toml", &example);
    let (code, _, stderr) = outcome(&["check", file.to_str().unwrap()]);
    assert_eq!(code, 2);
    let place = format!("{}:", file.display());
    let told = stderr.lines().filter_map(|line| line.strip_prefix(&place));
    // That its cipher string admits what is not safe is a warning.
    let faults: Vec<&str> = told.filter(|fault| !fault.contains(": warning: ")).collect();
    assert!(faults.len() >= 5, "{stderr}");
    for fault in faults {
        assert!(fault.ends_with(" is not in this release"), "{fault}");
    }
}

#[test]
fn no_case_is_told_the_same_fault_twice() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = ["towpath-config/tests/cases", "towpath-control/tests/cases"];
    let mut files: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(crates.join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    files.sort();
    assert!(files.len() > 30, "{}", files.len());
    for file in files {
        let (_, _, stderr) = outcome(&["check", file.to_str().unwrap()]);
        let mut places: Vec<&str> = stderr.lines().filter(|line| line.contains(".toml:")).collect();
        // The place of a former fault may be shown again as the neighbour of another.
        places.retain(|line| !line.ends_with(" here") && !line.contains(": the other one"));
        let told = places.len();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), told, "{}:\n{stderr}", file.display());
    }
}

#[test]
fn the_committed_pages_are_what_the_binary_prints() {
    for (file, arguments) in [
        ("docs/reference/config.schema.json", &["schema"][..]),
        ("docs/reference/config.md", &["schema", "--markdown"]),
        ("docs/reasons.md", &["schema", "--reasons"]),
    ] {
        let (code, printed, stderr) = outcome(arguments);
        assert_eq!((code, stderr.as_str()), (0, ""));
        assert!(document(file) == printed, "{file} is stale: cargo xtask generate");
    }
}
