//! What cannot be run, why, and with which code it ends.

use std::fs;
use std::process::Command;

use crate::common::text;
use crate::place::Place;

#[test]
fn a_fault_of_types_is_told_at_its_line_in_the_file_as_it_was_called_s01() {
    let place = Place::new();
    let source = "---\n[package]\nedition = \"2021\"\n---\nmod x;\nfn main() {\n    let a: u8 = \"x\";\n}\n";
    let file = place.write("sub/a.rs", source);
    place.write("sub/x.rs", "pub fn f() -> u8 { 'y' }\n");
    place.write("x.rs", "");
    for (folder, name, prefix) in [
        (place.folder(), "sub/a.rs", "sub/".to_owned()),
        (place.folder().join("sub"), "a.rs", String::new()),
        (place.path("kit"), file.to_str().unwrap(), format!("{}/", file.parent().unwrap().display())),
    ] {
        let mut command = place.command(&["run", "--debug-build", name]);
        let (code, stdout, stderr) = text(&command.current_dir(folder).output().unwrap());
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        for at in ["a.rs:7:17", "x.rs:1:20"] {
            assert!(stderr.contains(&format!("--> {prefix}{at}\n")), "{prefix}{at} in\n{stderr}");
        }
        assert!(!stderr.contains("cache"), "{stderr}");
    }
    let mut command = place.command(&["run", "-", "--kind", "rs", "--debug-build"]);
    let (code, _, stderr) = text(&command.stdin(fs::File::open(file).unwrap()).output().unwrap());
    assert_eq!(code, 2);
    assert!(stderr.contains("--> <stdin>:7:17\n"), "{stderr}");
}

#[test]
fn what_is_no_program_ends_with_2_and_a_reason_s01() {
    let place = Place::new();
    assert!(Command::new("mkfifo").arg(place.folder().join("fifo.rs")).status().unwrap().success());
    fs::create_dir(place.folder().join("folder.rs")).unwrap();
    fs::write(place.folder().join("latin1.rs"), b"fn main() {} // \xe4").unwrap();
    fs::File::create(place.folder().join("large.rs")).unwrap().set_len(50_000_001).unwrap();
    place.write("nul.rs", "fn main() {\0}");
    place.write("open.rs", "#!x\n---\n[package]\nfn main() {}");
    place.write("table.rs", "---\n[dependancies]\n---\n");
    place.write("toml.rs", "---\n[package\n---\n");
    place.write("workspace.rs", "---\n[workspace]\n---\n");
    place.write("version.rs", "---\n[dependencies]\nx = \"not a version\"\n---\nfn main() {}\n");
    for (name, reason) in [
        ("missing.rs", "missing.rs: no such file"),
        ("fifo.rs", "fifo.rs: is a FIFO"),
        ("/dev/null", "/dev/null: is a device"),
        ("folder.rs", "folder.rs: this is a folder"),
        ("latin1.rs", "latin1.rs:1:17: not UTF-8"),
        ("large.rs", "large.rs: is larger than 50 MB"),
        ("nul.rs", "nul.rs:1:12: NUL byte"),
        ("open.rs", "open.rs:2:1: the head is not closed"),
        ("table.rs", "did you mean \"dependencies\"?"),
        ("toml.rs", "toml.rs:2:"),
        ("workspace.rs", "workspace.rs:2:2: workspace may not stand"),
        ("version.rs", "not a version"),
    ] {
        for command in ["run", "check", "test"] {
            let (code, stdout, stderr) = place.outcome(&[command, "--offline", "--kind", "rs", name]);
            assert_eq!((code, stdout.as_str()), (2, ""), "{name}: {stderr}");
            assert!(stderr.contains(reason), "{reason} in\n{stderr}");
        }
    }
}

#[test]
fn without_cargo_it_ends_with_69_and_says_what_to_install_s01() {
    let place = Place::new();
    place.write("a.rs", "fn main() {}\n");
    for command in ["run", "check", "test"] {
        let mut command = place.command(&[command, "a.rs"]);
        let (code, _, stderr) = text(&command.env("PATH", place.path("nothing")).output().unwrap());
        assert_eq!(code, 69);
        assert!(
            stderr.contains("a.rs: cargo") && stderr.contains("rustup") && stderr.contains(".toml"),
            "{stderr}"
        );
    }
}

#[test]
fn what_cargo_cannot_get_ends_with_69() {
    let place = Place::new();
    place.write("a.rs", "---\n[dependencies]\ntowpath-no-such-crate = \"1\"\n---\nfn main() {}\n");
    let (code, _, stderr) = place.outcome(&["run", "--offline", "a.rs"]);
    assert_eq!(code, 69, "{stderr}");
    assert!(stderr.contains("towpath-no-such-crate"), "{stderr}");
}

#[test]
fn a_missing_linker_ends_with_69() {
    let place = Place::new();
    place.write("a.rs", "fn main() {}\n");
    let mut command = place.command(&["run", "a.rs"]);
    let (code, _, stderr) = text(&command.env("RUSTFLAGS", "-Clinker=no-such-linker").output().unwrap());
    assert_eq!(code, 69, "{stderr}");
    assert!(stderr.contains("no-such-linker"), "{stderr}");
}

#[test]
fn a_lock_file_that_is_wanted_must_be_there() {
    let place = Place::new();
    place.write("a.rs", "fn main() {}\n");
    assert_eq!(place.outcome(&["run", "--locked", "a.rs"]).0, 2);
    place.stdout(&["run", "a.rs"]);
    place.write("a.rs", "fn main() { print!(\"locked\") }\n");
    assert_eq!(place.stdout(&["run", "--locked", "a.rs"]), "locked");
}

#[test]
fn what_only_programs_take_is_refused_for_a_file_of_a_gateway() {
    let place = Place::new();
    place.write("a.toml", "");
    for words in
        [&["run", "a.toml", "--offline"][..], &["check", "a.toml", "--locked"], &["run", "a.toml", "--", "x"]]
    {
        let (code, _, stderr) = place.outcome(words);
        assert_eq!(code, 2);
        assert!(stderr.contains("is for .rs files"), "{stderr}");
    }
    assert_eq!(place.outcome(&["test", "a.toml"]).0, 2);
    place.write("a.rs", "");
    assert_eq!(place.outcome(&["explain", "a.rs", "GET", "http://x/"]).0, 2);
}

#[test]
fn settings_that_cannot_be_are_told() {
    let place = Place::new();
    place.write("a.rs", "fn main() {}\n");
    for (name, value) in [("TOWPATH_CACHE_MAX", "much"), ("TOWPATH_KIT", "/no/such/folder")] {
        let (code, _, stderr) = text(&place.command(&["run", "a.rs"]).env(name, value).output().unwrap());
        assert_eq!(code, 2);
        assert!(stderr.contains(name) && stderr.contains(value), "{stderr}");
    }
}
