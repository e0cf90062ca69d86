//! One file in, its exact messages out. `UPDATE=1 cargo test -p towpath-config` writes the texts anew; read the
//! difference before keeping it.

use std::path::{Path, PathBuf};

use towpath_config::{Parsed, load, parse};

/// The environment of every case.
fn environment(name: &str) -> Option<String> {
    match name {
        "PORT" => Some("9001".to_owned()),
        "CONNECTIONS" => Some("20".to_owned()),
        "ON" => Some("true".to_owned()),
        "SPAN" => Some("7s".to_owned()),
        "PASSWORD" => Some("hunter2".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

/// The messages, and of a file that is taken also what was understood.
fn shown(parsed: &Parsed) -> String {
    let mut text = parsed.render();
    if !parsed.has_errors() {
        let json =
            serde_json::to_string_pretty(&parsed.options.to_json()).expect("JSON of strings and numbers");
        text.push_str(&json);
        text.push('\n');
    }
    // Only messages about secret files name an absolute path.
    text.replace(env!("CARGO_MANIFEST_DIR"), "")
}

fn check(input: &Path, parsed: &Parsed) {
    let expected_path = input.with_extension("txt");
    let actual = shown(parsed);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&expected_path, &actual).expect("the case folder can be written");
    }
    let expected = std::fs::read_to_string(&expected_path).unwrap_or_default();
    assert_eq!(actual, expected, "{}", input.display());
}

#[test]
fn every_fault_is_told_in_full() {
    let mut inputs: Vec<_> = std::fs::read_dir(folder())
        .expect("the case folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    inputs.sort();
    assert!(inputs.len() > 10, "cases were found");
    for input in inputs {
        let text = std::fs::read_to_string(&input).expect("a case is text");
        let name = input.file_name().expect("a case has a name");
        let path = Path::new("tests/cases").join(name);
        // Named relative to the crate, where tests run, so that messages are the same on every machine.
        let parsed = if text.contains("include") {
            load(&path, &environment)
        } else {
            parse(&text, Path::new(name), &environment)
        };
        check(&input, &parsed);
    }
}
