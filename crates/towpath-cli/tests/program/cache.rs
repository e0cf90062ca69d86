//! What is kept, for how long, and who may put something there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::common::{TOWPATH, Towpath, eventually, text};
use crate::place::Place;

const WORD: &str = "fn main() { print!(\"word\"); }\n";

#[test]
fn two_runs_at_once_build_once_and_the_second_says_for_whom_it_waits() {
    let place = Place::new();
    place.write("a.rs", WORD);
    assert!(Command::new("mkfifo").arg(place.path("gate")).status().unwrap().success());
    let log = place.path("log");
    let script = format!(
        "echo built >> '{}'\nread line < '{}'\nexec \"$CARGO\" \"$@\"",
        log.display(),
        place.path("gate").display()
    );
    let path = place.path_with_cargo(&script);
    let start = || {
        let mut command = place.command(&["run", "--debug-build", "a.rs"]);
        command.env("PATH", &path);
        Towpath::start(command, &[])
    };
    let mut first = start();
    eventually("the first to build", || log.exists().then_some(()));
    let mut second = start();
    second.wait_for_stderr(&format!("waiting for a (pid {}), which builds", first.pid()));
    fs::write(place.path("gate"), "go\n").unwrap();
    assert!(first.wait().success() && second.wait().success(), "{}{}", first.stderr(), second.stderr());
    assert_eq!(fs::read_to_string(log).unwrap(), "built\n");
}

#[test]
fn an_interrupted_build_ends_cargo_and_leaves_nothing() {
    let place = Place::new();
    place.write("a.rs", WORD);
    let log = place.path("log");
    let path = place.path_with_cargo(&format!("sleep 1000 & echo $! > '{}'\nwait", log.display()));
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut command = place.command(&["run", "--debug-build", "a.rs"]);
        command.env("PATH", &path);
        let mut running = Towpath::start(command, &[]);
        let sleeper =
            eventually("the build", || fs::read_to_string(&log).ok().filter(|text| text.ends_with('\n')));
        running.signal(signal);
        assert_eq!(running.wait().code(), Some(code));
        let process = Path::new("/proc").join(sleeper.trim());
        eventually("the end of what cargo had started", || is_gone(&process).then_some(()));
        assert_eq!(place.programs(), 0);
        fs::remove_file(&log).unwrap();
    }
}

/// Gone, or dead and not collected by whoever adopts orphans here.
fn is_gone(process: &Path) -> bool {
    fs::read_to_string(process.join("stat")).map_or(true, |stat| stat.contains(") Z "))
}

#[test]
fn what_was_not_started_for_longest_goes_first() {
    let place = Place::new();
    for name in ["a", "b", "c"] {
        place.write(&format!("{name}.rs"), &format!("fn main() {{ print!(\"{name}\"); }}\n"));
    }
    for name in ["a.rs", "b.rs", "a.rs"] {
        place.stdout(&["run", "--debug-build", name]);
    }
    let listed = |place: &Place| -> Vec<String> {
        let list = place.stdout(&["cache", "ls"]);
        list.lines().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect()
    };
    assert_eq!(listed(&place), ["a.rs", "b.rs"]);
    let bytes: u64 = fs::read_dir(place.path("cache/towpath/run/programs"))
        .unwrap()
        .map(|entry| {
            fs::read_dir(entry.unwrap().path())
                .unwrap()
                .map(|file| file.unwrap().metadata().unwrap().len())
                .max()
        })
        .map(Option::unwrap)
        .sum();
    // Room for two programs and some small files, and for no target folder.
    let limit = (bytes + 400_000).to_string();
    let mut command = place.command(&["run", "--debug-build", "c.rs"]);
    assert_eq!(text(&command.env("TOWPATH_CACHE_MAX", limit).output().unwrap()).1, "c");
    assert_eq!(listed(&place), ["c.rs", "a.rs"]);
    assert!(!place.path("cache/towpath/run/target").exists());
    assert_eq!(place.stdout(&["run", "--debug-build", "b.rs"]), "b", "what went is built again");
}

#[test]
fn a_clean_cache_is_empty_but_for_what_runs() {
    let place = Place::new();
    assert_eq!(place.stdout(&["cache", "path"]), format!("{}\n", place.path("cache/towpath/run").display()));
    assert_eq!(place.stdout(&["cache", "clean"]) + &place.stdout(&["cache", "ls"]), "", "there is none yet");
    place.write("a.rs", WORD);
    place.write(
        "b.rs",
        "fn main() { println!(\"on\"); std::io::stdin().read_line(&mut String::new()).unwrap(); }\n",
    );
    place.stdout(&["run", "--debug-build", "a.rs"]);
    let mut command = place.command(&["run", "--debug-build", "b.rs"]);
    command.stdin(std::process::Stdio::piped());
    let mut running = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(running.stdout.take().unwrap()), &mut line)
        .unwrap();
    assert!(place.stdout(&["cache", "clean"]).ends_with(" MB freed\n"));
    assert!(place.stdout(&["cache", "ls"]).ends_with(" b.rs\n"));
    drop(running.stdin.take());
    assert!(running.wait().unwrap().success());
    place.stdout(&["cache", "clean"]);
    assert_eq!(place.programs(), 0);
}

#[test]
fn a_cache_that_others_can_write_or_nobody_can_is_not_used() {
    let place = Place::new();
    place.write("a.rs", WORD);
    place.stdout(&["run", "--debug-build", "a.rs"]);
    let cache = place.path("cache/towpath/run");
    let temporary = place.path("tmp");
    fs::create_dir(&temporary).unwrap();
    let run = |base: &Path| {
        let mut command = place.command(&["run", "--debug-build", "a.rs"]);
        command.env("XDG_CACHE_HOME", base).env("TMPDIR", &temporary);
        let (code, stdout, stderr) = text(&command.output().unwrap());
        assert_eq!((code, stdout.as_str()), (0, "word"), "{stderr}");
        stderr
    };
    assert_eq!(run(&place.path("cache")), "");
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
    let told = run(&place.path("cache"));
    assert!(told.contains("others can write") && told.lines().count() == 1, "{told}");
    let told = run(Path::new("/proc"));
    assert!(told.contains("/proc/towpath") && told.lines().count() == 1, "{told}");
    let left = fs::read_dir(&temporary).unwrap().flatten().map(|entry| entry.path());
    for folder in left {
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(!folder.join("target").exists(), "only the program stays");
    }
}

#[test]
fn a_cache_that_is_full_is_not_used() {
    let place = Place::new();
    place.write("a.rs", WORD);
    fs::create_dir(place.path("cache")).unwrap();
    let script = "mount -t tmpfs -o size=64k,mode=700 full \"$XDG_CACHE_HOME\" && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh", TOWPATH, "run", "--debug-build", "a.rs"]);
    place.prepare(&mut command);
    let (code, stdout, stderr) = text(&command.output().unwrap());
    assert_eq!((code, stdout.as_str()), (0, "word"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn another_compiler_or_other_flags_are_another_program() {
    let place = Place::new();
    place.write("a.rs", "fn main() { print!(\"{}\", cfg!(towpath_test)); }\n");
    assert_eq!(place.stdout(&["run", "--debug-build", "a.rs"]), "false");
    let mut command = place.command(&["run", "--debug-build", "a.rs"]);
    command.env("RUSTFLAGS", "--cfg towpath_test -Aunexpected_cfgs");
    assert_eq!(text(&command.output().unwrap()).1, "true");
    assert_eq!(place.programs(), 2);
}
