//! `--watch`: a program that holds its own sockets, or none, is started anew.

use std::fs;
use std::path::Path;

use crate::common::{Towpath, eventually};
use crate::place::Place;

/// A program that says a word and its process id, and stays.
fn says(word: &str) -> String {
    format!(
        "fn main() {{ println!(\"says {word} {{}}\", std::process::id()); loop {{ std::thread::park() }} }}\n"
    )
}

fn watch(place: &Place, name: &str) -> Towpath {
    Towpath::start(place.command(&["run", "--watch", "--debug-build", name]), &[])
}

/// The process that said the word.
fn process(running: &Towpath, word: &str) -> String {
    let start = format!("says {word} ");
    let said = running.wait_for_stdout(&start);
    said.rsplit(&start).next().unwrap().lines().next().unwrap().to_owned()
}

fn ends(process: &str) {
    let folder = Path::new("/proc").join(process);
    eventually("the end of the process", || (!folder.exists()).then_some(()));
}

#[test]
fn an_edit_brings_the_next_generation_and_sigterm_ends_all_s02() {
    let place = Place::new();
    place.write("a.rs", &says("one"));
    let running = watch(&place, "a.rs");
    let first = process(&running, "one");
    place.write("a.rs", &says("two"));
    let second = process(&running, "two");
    ends(&first);
    running.stop();
    ends(&second);
}

#[test]
fn a_broken_file_leaves_the_former_program_and_is_told_once_s02() {
    let place = Place::new();
    place.write("a.rs", &says("one"));
    let running = watch(&place, "a.rs");
    let first = process(&running, "one");
    place.write("a.rs", "fn main() { nothing() }\n");
    running.wait_for_stderr_times("generation 1 serves on", 1);
    // Other files of the folder and a write of the same content change nothing.
    place.write("other.txt", "x");
    place.write("a.rs", "fn main() { nothing() }\n");
    place.write("a.rs", "---\nfn main() {}\n");
    let told = running.wait_for_stderr_times("generation 1 serves on", 2);
    assert_eq!(told.matches("cannot find function").count(), 1, "{told}");
    assert_eq!(told.matches("a.rs:1:1: the head is not closed").count(), 1, "{told}");
    fs::remove_file(place.folder().join("a.rs")).unwrap();
    let told = running.wait_for_stderr_times("generation 1 serves on", 3);
    assert!(told.contains("a.rs: no such file"), "{told}");
    fs::create_dir(place.folder().join("a.rs")).unwrap();
    place.write("a.rs/x", "");
    fs::remove_dir_all(place.folder().join("a.rs")).unwrap();
    place.write("a.rs", &says("one"));
    running.wait_for_stderr("back to what runs");
    assert!(Path::new("/proc").join(&first).exists());
    place.write("a.rs", &says("two"));
    process(&running, "two");
    running.stop();
}

#[test]
fn modules_are_watched_and_one_that_was_missing_is_taken_when_it_comes() {
    let place = Place::new();
    place.write(
        "a.rs",
        &format!(
            "mod x;\n{}",
            says("x").replace("x {}", "{} {}").replace("std::process", "x::X, std::process")
        ),
    );
    let running = watch(&place, "a.rs");
    running.wait_for_stderr("nothing runs; waiting for a change");
    place.write("x.rs", "pub const X: &str = \"one\";\n");
    process(&running, "one");
    place.write("x.rs", "pub const X: &str = \"two\";\n");
    process(&running, "two");
    running.stop();
}

#[test]
fn a_program_that_ends_waits_for_a_change() {
    let place = Place::new();
    place.write("a.rs", "fn main() { println!(\"done\") }\n");
    let running = watch(&place, "a.rs");
    running.wait_for_stderr("generation 1 has ended; waiting for a change");
    place.write("a.rs", "fn main() { std::process::exit(3) }\n");
    running.wait_for_stderr("generation 2 ended before it was ready: exit code 3; waiting for a change");
    place.write("a.rs", &says("one"));
    process(&running, "one");
    running.stop();
}

#[test]
fn an_edit_during_a_build_begins_another_and_a_hangup_looks_again() {
    let place = Place::new();
    place.write("a.rs", &says("one"));
    let log = place.path("log");
    // The build of the first content never ends by itself.
    let script = format!(
        "if grep -q 'says one' a.rs; then sleep 1000 & echo $! > '{}'; wait; fi\nexec \"$CARGO\" \"$@\"",
        log.display()
    );
    let mut command = place.command(&["run", "--watch", "--debug-build", "a.rs"]);
    command.env("PATH", place.path_with_cargo(&script));
    let running = Towpath::start(command, &[]);
    let sleeper =
        eventually("the build", || fs::read_to_string(&log).ok().filter(|text| text.ends_with('\n')));
    place.write("a.rs", &says("two"));
    let second = process(&running, "two");
    assert!(!running.stdout().contains("says one"));
    let stat = Path::new("/proc").join(sleeper.trim()).join("stat");
    eventually("the end of the first build", || {
        fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z ")).then_some(())
    });
    running.signal("HUP");
    place.write("a.rs", &says("three"));
    process(&running, "three");
    ends(&second);
    running.stop();
}

#[test]
fn standard_input_cannot_be_watched() {
    let place = Place::new();
    let (code, _, stderr) = place.outcome(&["run", "--watch", "--kind", "rs", "-"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("cannot be watched"), "{stderr}");
}

#[test]
fn the_environment_and_certificates_beside_a_program_are_watched() {
    let place = Place::new();
    place.write(".env", "one");
    place.write("site.pem", "first");
    let program = "fn main() {
        let read = |name| std::fs::read_to_string(name).unwrap();
        println!(\"says {}-{} {}\", read(\".env\"), read(\"site.pem\"), std::process::id());
        std::fs::write(\"made.key\", std::process::id().to_string()).unwrap();
        loop { std::thread::park() }
    }\n";
    place.write("a.rs", program);
    let running = watch(&place, "a.rs");
    let first = process(&running, "one-first");
    place.write(".env", "two");
    process(&running, "two-first");
    ends(&first);
    place.write("site.pem", "second");
    process(&running, "two-second");
    running.stop();
}

#[test]
fn dev_watches_and_says_what_is_not_in_this_release() {
    let place = Place::new();
    place.write("a.rs", &says("one"));
    let running = Towpath::start(place.command(&["dev", "--debug-build", "a.rs"]), &[]);
    running.wait_for_stderr("profiles are not in this release");
    process(&running, "one");
    place.write("a.rs", &says("two"));
    process(&running, "two");
    running.stop();
}
