//! R27: every public async method of the kit says what dropping it half-way does.

#![expect(clippy::unwrap_used, reason = "in a test a failed step is a failed test, in helpers too")]

use std::fs;
use std::path::{Path, PathBuf};

/// The two words. The first also as a sentence's beginning.
const WORDS: [&str; 3] = ["cancel-safe", "Cancel-safe", "iscard-on-cancel"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

/// Public methods that can be awaited and whose documentation has neither word.
fn silent(text: &str) -> Vec<String> {
    let (mut silent, mut doc) = (Vec::new(), String::new());
    for line in text.lines().map(str::trim) {
        match line {
            _ if line.starts_with("///") => doc.push_str(line),
            _ if line.starts_with("#[") => {}
            _ => {
                let can_wait = line.starts_with("pub async fn");
                if can_wait && !WORDS.iter().any(|word| doc.contains(word)) {
                    silent.push(line.to_owned());
                }
                doc.clear();
            }
        }
    }
    silent
}

#[test]
fn every_public_async_method_says_whether_it_is_cancel_safe_r27() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let mut count = 0;
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        count += text.matches("pub async fn").count();
        assert_eq!(silent(&text), Vec::<String>::new(), "{}", file.display());
    }
    assert!(count > 10, "the scan found {count} methods in {} files", files.len());
}

#[test]
fn a_silent_method_is_found() {
    assert_eq!(silent("/// Waits.\npub async fn wait() {}").len(), 1);
    assert_eq!(silent("/// Waits. *Cancel-safe*.\n#[inline]\npub async fn wait() {}").len(), 0);
    assert_eq!(silent("/// Cancel-safe.\nfn other() {}\npub async fn wait() {}").len(), 1);
}
