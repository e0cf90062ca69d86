//! Full disks, too many clients, renamed logs: it says so and keeps serving what it can.

mod common;

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use common::{Client, Scratch, TOWPATH, Towpath, eventually, fixed, get};

fn logged(path: &str) -> String {
    format!("[access_log]\npath = \"{path}\"\n{}", fixed("x"))
}

#[test]
fn sigusr1_reopens_the_access_log() {
    let scratch = Scratch::new();
    let running = Towpath::run(&scratch.write("a.toml", &logged("access.log")), &["web"]);
    let web = running.address("web");
    let lines = |name: &str| fs::read_to_string(scratch.path(name)).unwrap_or_default().lines().count();
    assert_eq!(get(web, "/before").status, 200);
    eventually("the first line", || (lines("access.log") == 1).then_some(()));
    fs::rename(scratch.path("access.log"), scratch.path("access.log.1")).unwrap();
    running.signal("USR1");
    eventually("the new file", || scratch.path("access.log").exists().then_some(()));
    assert_eq!(get(web, "/after").status, 200);
    running.stop();
    assert_eq!((lines("access.log.1"), lines("access.log")), (1, 1));
    let line = fs::read_to_string(scratch.path("access.log")).unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert!(line.to_string().contains("/after"), "{line}");
}

#[test]
fn every_request_has_its_line_when_the_process_has_ended() {
    let scratch = Scratch::new();
    let running = Towpath::run(&scratch.write("a.toml", &logged("access.log")), &["web"]);
    let mut client = Client::connect(running.address("web"));
    for _ in 0..100 {
        assert_eq!(client.get("/").status, 200);
    }
    drop(client);
    running.stop();
    let log = fs::read_to_string(scratch.path("access.log")).unwrap();
    assert_eq!(log.lines().count(), 100);
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

#[test]
fn the_access_log_can_go_to_stdout() {
    let scratch = Scratch::new();
    let running = Towpath::run(&scratch.write("a.toml", &logged("stdout")), &["web"]);
    assert_eq!(get(running.address("web"), "/on-stdout").status, 200);
    running.wait_for_stdout("/on-stdout");
    running.stop();
}

#[test]
fn a_full_disk_costs_log_lines_and_nothing_else() {
    let scratch = Scratch::new();
    let running = Towpath::run(&scratch.write("a.toml", &logged("/dev/full")), &["web", "admin"]);
    let mut client = Client::connect(running.address("web"));
    for _ in 0..50 {
        assert_eq!(client.get("/").status, 200);
    }
    running.wait_for_stderr("No space left on device");
    for _ in 0..50 {
        assert_eq!(client.get("/").status, 200);
    }
    eventually("the count of lost lines", || {
        let metrics = get(running.address("admin"), "/metrics").body;
        let lost =
            metrics.lines().find_map(|line| line.strip_prefix("towpath_accesslog_lines_lost_total "))?;
        (lost == "100").then_some(())
    });
    assert_eq!(running.stderr().matches("No space left on device").count(), 1, "said once");
    running.stop();
}

#[test]
fn an_access_log_that_cannot_be_opened_is_told_before_anything_starts() {
    let scratch = Scratch::new();
    let file = scratch.write("a.toml", &logged("no/such/folder/access.log"));
    let (code, stdout, stderr) = common::outcome(&["run", file.to_str().unwrap()]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("no/such/folder/access.log"), "{stderr}");
}

/// Ticks of processor time a process has used, of 1/100 s.
fn processor_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    // proc_pid_stat(5): utime and stime are fields 14 and 15; the name in field 2 may hold blanks and brackets.
    let (_, rest) = stat.rsplit_once(')').expect("the name is in brackets");
    let ticks = rest.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().expect("a number"));
    ticks.sum()
}

#[test]
fn at_the_file_limit_it_serves_whom_it_can_and_does_not_spin() {
    let scratch = Scratch::new();
    let file = scratch.write("a.toml", &fixed("x"));
    // The clients are ours, and the usual soft limit is 1,024.
    let own = std::process::id().to_string();
    let raised = Command::new("prlimit").args(["--pid", &own, "--nofile=4096:"]).status();
    assert!(raised.is_ok_and(|status| status.success()), "prlimit is in util-linux");

    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 64; exec \"$0\" run \"$1\"", TOWPATH]).arg(&file);
    let running = Towpath::start(command, &["web", "admin"]);
    running.wait_for_stderr("at most 64 files");
    let web = running.address("web");
    let mut clients: Vec<Client> = (0..1000).map(|_| Client::connect(web)).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.read().status, 200, "every client is served, as those before it make room");
    }
    drop(clients);

    let silent: Vec<TcpStream> = (0..1000).map(|_| TcpStream::connect(web).unwrap()).collect();
    assert_eq!(get(running.address("admin"), "/healthz").status, 200, "operators still get in");
    let before = processor_ticks(running.pid());
    // Not a wait for something to happen: this is the time in which nothing should.
    std::thread::sleep(Duration::from_secs(1));
    let ticks = processor_ticks(running.pid()) - before;
    assert!(ticks < 30, "{ticks} % of a processor while nothing can be accepted");
    drop(silent);
    assert_eq!(get(web, "/").status, 200, "once there is room the next client is served");
    running.stop();
}
