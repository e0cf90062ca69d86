//! Programs with the real kit: their generations accept from one socket.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::{PATIENCE, Towpath, eventually};
use crate::place::Place;

/// A program that answers every connection with a word.
const PROGRAM: &str = r#"---
[dependencies]
tokio = { version = "1", features = ["rt", "net", "macros", "signal"] }
---
use std::future::poll_fn;
use tokio::signal::unix::{SignalKind, signal};
use towpath::supervise;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let binding = supervise::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let mut acceptor = binding.take(0).unwrap().unwrap();
        let mut terminate = signal(SignalKind::terminate()).unwrap();
        /* before */
        println!("listening WORD tcp://{}", binding.address());
        supervise::ready();
        let why = loop {
            tokio::select! {
                Ok((mut stream, _)) = acceptor.accept() => {
                    /* each */
                    poll_fn(|cx| stream.split().1.poll_write(cx, b"WORD")).await.unwrap();
                }
                _ = terminate.recv() => break "terminated",
                () = supervise::told_to_leave() => break "alone",
            }
        };
        for (mut stream, _) in acceptor.leave() {
            poll_fn(|cx| stream.split().1.poll_write(cx, b"WORD")).await.unwrap();
        }
        println!("WORD {why}");
    })
}
"#;

fn answers(word: &str) -> String {
    PROGRAM.replace("WORD", word)
}

/// The cache of programs with the real kit. It and what it stands on are built once for all, beside what cargo has built for
/// these tests.
pub(crate) fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("program-kit")
}

/// Runs and watches `a.rs`.
fn watch(place: &Place) -> Towpath {
    let mut command = place.command(&["run", "--watch", "--debug-build", "--offline", "a.rs"]);
    command.env_remove("TOWPATH_KIT").env("XDG_CACHE_HOME", cache());
    Towpath::start(command, &[])
}

/// Where the program listens, once it does.
fn address(running: &Towpath, word: &str) -> SocketAddr {
    running.wait_for_stdout_of_build(&format!("listening {word} "));
    running.address(word)
}

fn ask(address: SocketAddr) -> String {
    let mut answer = String::new();
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.read_to_string(&mut answer).unwrap();
    answer
}

/// Ends the client's work with the test's, also when that fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn generations_hand_over_without_a_client_turned_away_s02() {
    let place = Place::new();
    place.write("a.rs", &answers("one"));
    let running = watch(&place);
    let at = address(&running, "one");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut heard = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                heard.push(ask(at));
            }
            heard.dedup();
            heard
        });
        let over = Over(&is_over);
        for (former, word) in [("one", "two"), ("two", "three")] {
            place.write("a.rs", &answers(word));
            assert_eq!(address(&running, word), at, "the socket is the same");
            running.wait_for_stdout(&format!("{former} terminated"));
            assert_eq!(ask(at), word);
        }
        place.write("a.rs", &answers("four").replace("/* before */", "panic!();"));
        running.wait_for_stderr("ended before it was ready: exit code 101");
        running.wait_for_stderr("generation 3 serves on");
        drop(over);
        // At a switch both may answer for a moment.
        let heard = client.join().unwrap();
        assert!(heard.iter().all(|word| ["one", "two", "three"].contains(&word.as_str())), "{heard:?}");
        assert_eq!((heard.first().unwrap().as_str(), heard.last().unwrap().as_str()), ("one", "three"));
    });
    running.stop();
}

#[test]
fn a_crash_is_followed_by_a_restart_and_the_third_by_the_former_program() {
    let place = Place::new();
    place.write("a.rs", &answers("good"));
    let running = watch(&place);
    let at = address(&running, "good");
    place.write("a.rs", &answers("bad").replace("/* each */", "panic!();"));
    address(&running, "bad");
    running.wait_for_stdout("good terminated");
    for (count, which) in
        [(1, "it starts again in 100ms"), (2, "it starts again in 200ms"), (3, "the former program starts")]
    {
        let _ = TcpStream::connect(at).unwrap().read(&mut [0]);
        running.wait_for_stderr_times("crashed: exit code 101", count);
        running.wait_for_stderr(which);
    }
    // Whoever comes between two generations waits in the socket.
    assert_eq!(ask(at), "good");
    running.stop();
}

#[test]
fn a_generation_that_never_gets_ready_is_given_up() {
    let place = Place::new();
    place.write("a.rs", &answers("one"));
    let running = watch(&place);
    let at = address(&running, "one");
    place.write("a.rs", &answers("two").replace("/* before */", "loop { std::thread::park() }"));
    running.wait_for_stderr("generation 2 was not ready after 10s");
    assert_eq!(ask(at), "one");
    running.stop();
}

#[test]
fn a_generation_drains_as_long_as_its_longest_server_says() {
    let place = Place::new();
    let asks = "for seconds in [45, 40] { supervise::drains_for(std::time::Duration::from_secs(seconds)) }";
    place.write("a.rs", &answers("one").replace("/* before */", asks));
    let running = watch(&place);
    address(&running, "one");
    place.write("a.rs", &answers("two"));
    address(&running, "two");
    // Five seconds are for what comes after the drain.
    running.wait_for_stderr("generation 1 has 50s to end");
    place.write("a.rs", &answers("three"));
    address(&running, "three");
    running.wait_for_stderr("generation 2 has 35s to end");
    running.stop();
}

#[test]
fn a_killed_supervisor_leaves_no_one_on_the_port() {
    let place = Place::new();
    place.write("a.rs", &answers("one"));
    let running = watch(&place);
    let at = address(&running, "one");
    running.signal("KILL");
    running.wait_for_stdout("one alone");
    eventually("a free port", || TcpListener::bind(at).ok());
}
