//! What a program sees and does when it is run.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::common::text;
use crate::place::Place;

#[test]
fn a_program_takes_the_place_of_towpath_s01() {
    let place = Place::new();
    place.write(
        "a.rs",
        "use std::io::Read;\nfn main() {\n    let mut input = String::new();\n    std::io::stdin().read_to_string(&mut \
         input).unwrap();\n    let words: Vec<String> = std::env::args().collect();\n    println!(\"{} {words:?} {input}\", \
         std::process::id());\n    std::process::exit(7);\n}\n",
    );
    let mut command = place.command(&["run", "a.rs", "--", "one", "--two"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id();
    child.stdin.take().unwrap().write_all(b"fed").unwrap();
    let (code, stdout, stderr) = text(&child.wait_with_output().unwrap());
    assert_eq!((code, stderr.as_str()), (7, ""));
    assert_eq!(stdout, format!("{id} [\"a\", \"one\", \"--two\"] fed\n"));
}

/// The programs that a traced command has started.
fn started(place: &Place, arguments: &[&str]) -> Vec<String> {
    let log = place.path("strace");
    let mut command = Command::new("strace");
    command.args(["-f", "-e", "trace=execve", "-o"]).arg(&log).arg(crate::common::TOWPATH).args(arguments);
    place.prepare(&mut command);
    let (code, _, stderr) = text(&command.output().unwrap());
    assert_eq!(code, 0, "{stderr}");
    let text = fs::read_to_string(&log).unwrap();
    let calls = text.lines().filter(|line| line.ends_with("= 0")).filter_map(|line| line.split('"').nth(1));
    calls.map(|path| path.rsplit('/').next().unwrap().to_owned()).collect()
}

#[test]
fn an_unchanged_program_starts_neither_cargo_nor_a_compiler_s01() {
    let place = Place::new();
    place.write("a.rs", "fn main() {}\n");
    let first = started(&place, &["run", "--debug-build", "a.rs"]);
    assert!(first.contains(&"cargo".to_owned()) && first.contains(&"rustc".to_owned()), "{first:?}");
    assert_eq!(started(&place, &["run", "--debug-build", "a.rs"]), ["towpath", "a"]);
    // Neither place nor name matter.
    place.write("other/b.rs", "fn main() {}\n");
    assert_eq!(started(&place, &["run", "--debug-build", "other/b.rs"]), ["towpath", "a"]);
    assert_eq!(place.programs(), 1);
}

#[test]
fn modules_and_included_files_are_found_from_the_file_and_followed() {
    let place = Place::new();
    place.write("a.rs", "mod x;\nmod deep;\nfn main() { print!(\"{}{}\", x::TEXT, deep::y::Y); }\n");
    place.write("x.rs", "pub const TEXT: &str = include_str!(\"../far.txt\");\n");
    place.write("deep/mod.rs", "pub mod y;\n");
    place.write("deep/y.rs", "pub const Y: &str = \"y\";\n");
    fs::write(place.path("far.txt"), "far ").unwrap();
    let run = ["run", "--debug-build", "a.rs"];
    assert_eq!(place.stdout(&run), "far y");
    fs::write(place.path("far.txt"), "further ").unwrap();
    assert_eq!(place.stdout(&run), "further y");
    place.write("deep/y.rs", "pub const Y: &str = \"z\";\n");
    assert_eq!(place.stdout(&run), "further z");
    place.write("deep/y.rs", "pub const Y: &str = \"y\";\n");
    assert_eq!(started(&place, &run), ["towpath", "a"], "the former content is still there");
}

#[test]
fn a_variable_that_the_compiler_read_is_part_of_the_program() {
    let place = Place::new();
    place.write("a.rs", "fn main() { print!(\"{:?}\", option_env!(\"TOWPATH_TEST_WORD\")); }\n");
    let run = |word: &str| {
        let mut command = place.command(&["run", "--debug-build", "a.rs"]);
        text(&command.env("TOWPATH_TEST_WORD", word).output().unwrap()).1
    };
    assert_eq!(
        (run("one"), run("two"), run("one")),
        ("Some(\"one\")".into(), "Some(\"two\")".into(), "Some(\"one\")".into())
    );
}

#[test]
fn nothing_is_written_beside_the_program_s01() {
    let place = Place::new();
    place.write("a.rs", "mod x;\nfn main() {}\n");
    place.write("x.rs", "");
    place.write("folder/Cargo.toml", "[package]\nname = \"f\"\nedition = \"2024\"\n[workspace]\n");
    place.write("folder/src/main.rs", "fn main() { print!(\"folder\"); }\n");
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(place.folder()).output().unwrap();
        text(&output).1
    };
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    let before = git(&["status", "--porcelain"]);
    for name in ["a.rs", "folder"] {
        for command in ["run", "check", "test"] {
            place.stdout(&[command, "--debug-build", name]);
        }
    }
    assert_eq!(git(&["status", "--porcelain", "--ignored"]), before);
}

#[test]
fn a_folder_with_a_manifest_runs() {
    let place = Place::new();
    let manifest = "[package]\nname = \"f\"\nedition = \"2024\"\ndefault-run = \"one\"\n[workspace]\n";
    place.write("f/Cargo.toml", manifest);
    place.write("f/src/bin/one.rs", "fn main() { print!(\"one\"); }\n");
    place.write("f/src/bin/two.rs", "fn main() { print!(\"two\"); }\n");
    let run = ["run", "--debug-build", "f"];
    assert_eq!(place.stdout(&run), "one");
    assert_eq!(started(&place, &run), ["towpath", "f"]);
    place.write("f/src/bin/one.rs", "fn main() { print!(\"1\"); }\n");
    assert_eq!(place.stdout(&run), "1");
    place.write("f/Cargo.toml", &manifest.replace("default-run = \"one\"\n", ""));
    let (code, _, stderr) = place.outcome(&run);
    assert_eq!(code, 2);
    assert!(stderr.contains("one, two") && stderr.contains("default-run"), "{stderr}");
}

#[test]
fn a_head_says_what_the_program_needs() {
    let place = Place::new();
    place.write("dep/Cargo.toml", "[package]\nname = \"dep\"\nversion = \"1.0.0\"\nedition = \"2021\"\n");
    place.write("dep/src/lib.rs", "pub const WORD: &str = \"dep\";\n");
    let head = "\u{feff}#!/usr/bin/env -S towpath run\r\n---cargo\r\n[dependencies]\r\ndep = { path = \"dep\" }\r\n---\r\n";
    place.write("a.rs", &format!("{head}fn main() {{ print!(\"{{}} {{}}\", dep::WORD, line!()); }}"));
    assert_eq!(place.stdout(&["run", "--debug-build", "a.rs"]), "dep 6");
    place.write("dep/src/lib.rs", "pub const WORD: &str = \"other\";\n");
    assert_eq!(place.stdout(&["run", "--debug-build", "a.rs"]), "other 6");
}

#[test]
fn standard_input_is_a_program_too() {
    let place = Place::new();
    place.write("x.rs", "pub const X: u8 = 5;\n");
    let source = place.write("source", "mod x;\nfn main() { print!(\"{} {}\", x::X, file!()); }\n");
    let mut command = place.command(&["run", "-", "--kind", "rs", "--debug-build"]);
    let (code, stdout, stderr) = text(&command.stdin(fs::File::open(source).unwrap()).output().unwrap());
    assert_eq!((code, stdout.as_str()), (0, "5 <stdin>"), "{stderr}");
}

#[test]
fn a_debug_build_is_another_program() {
    let place = Place::new();
    place.write("a.rs", "fn main() { print!(\"{}\", cfg!(debug_assertions)); }\n");
    assert_eq!(place.stdout(&["run", "a.rs"]), "false");
    assert_eq!(place.stdout(&["run", "--debug-build", "a.rs"]), "true");
    assert_eq!(place.stdout(&["run", "a.rs"]), "false");
    assert_eq!(place.programs(), 2);
}

#[test]
fn check_tells_what_the_compiler_says_and_runs_nothing() {
    let place = Place::new();
    place.write("a.rs", "fn main() { panic!() }\n");
    assert_eq!(place.outcome(&["check", "a.rs"]), (0, String::new(), String::new()));
    place.write("a.rs", "fn main() { nothing() }\n");
    let (code, _, stderr) = place.outcome(&["check", "a.rs"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("a.rs:1:13"), "{stderr}");
}

#[test]
fn tests_run_and_a_failed_one_ends_with_1_s02() {
    let place = Place::new();
    let body = "fn main() {}\n#[test]\nfn good() {}\n#[test]\nfn bad() { assert_eq!(1, 2) }\n";
    place.write("a.rs", body);
    let (code, stdout, stderr) = place.outcome(&["test", "a.rs"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stdout.contains("1 passed; 1 failed"), "{stdout}");
    let (code, stdout, _) = place.outcome(&["test", "a.rs", "--", "good"]);
    assert_eq!(code, 0);
    assert!(stdout.contains("1 passed"), "{stdout}");
    place.write("f/Cargo.toml", "[package]\nname = \"f\"\nedition = \"2024\"\n[workspace]\n");
    place.write("f/src/main.rs", body);
    assert_eq!(place.outcome(&["test", "f"]).0, 1);
    assert_eq!(place.outcome(&["test", "f", "--", "good"]).0, 0);
}
