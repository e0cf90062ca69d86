//! `towpath tls trace` against OpenSSL's server, and against what is no server at all.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the answer")]

#[path = "../common/mod.rs"]
mod common;

mod failing;
mod server;
mod versions;

use std::path::Path;

use common::{Scratch, outcome};

/// A folder with a CA and a certificate for `localhost`.
fn certificates() -> Scratch {
    let scratch = Scratch::new();
    generate(scratch.folder(), &[]);
    scratch
}

fn generate(folder: &Path, arguments: &[&str]) {
    let mut all = vec!["cert", "gen", "--dir", folder.to_str().unwrap()];
    all.extend(arguments);
    let (code, _, stderr) = outcome(&all);
    assert_eq!(code, 0, "{stderr}");
}

/// `towpath tls trace TARGET …`.
fn trace(target: &str, arguments: &[&str]) -> (i32, String, String) {
    let mut all = vec!["tls", "trace", target];
    all.extend(arguments);
    outcome(&all)
}

/// The messages in order, without their sizes: `-> ClientHello`, `<- Finished encrypted`.
fn messages(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.starts_with("-> ") || line.starts_with("<- "));
    let without_size = |line: &str| {
        let words =
            line.split_whitespace().filter(|word| word.parse::<u32>().is_err() && !word.starts_with("byte"));
        words.collect::<Vec<_>>().join(" ")
    };
    lines.map(without_size).collect()
}

/// The value of a key in the summary, which is the last part.
fn summary(text: &str, key: &str) -> String {
    let last = text.split("\n\n").last().unwrap_or_default();
    let line = last.lines().find_map(|line| line.trim_start().strip_prefix(key).map(str::trim));
    line.unwrap_or_else(|| panic!("no {key} in {last}")).to_owned()
}

#[track_caller]
fn check_has(text: &str, parts: &[&str]) {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in parts {
        assert!(plain(text).contains(part), "{part} in:\n{text}");
    }
}
