//! Commands, arguments and exit codes.

mod common;

use std::net::TcpListener;
use std::process::{Command, Stdio};

use common::{Client, Origin, Scratch, TOWPATH, Towpath, eventually, fixed, get, outcome, text, towpath};

#[test]
fn version_and_help_end_with_0_and_bad_arguments_with_2() {
    for (arguments, code) in [
        (&["--version"][..], 0),
        (&["--help"], 0),
        (&["run", "--help"], 0),
        (&["run", "--no-such-flag"], 2),
        (&["no-such-command"], 2),
        (&["proxy", "--from", "127.0.0.1:0"], 2),
        (&["explain", "only-one"], 2),
        (&[], 2),
    ] {
        assert_eq!(outcome(arguments).0, code, "{arguments:?}");
    }
}

#[test]
fn check_is_silent_about_a_good_file() {
    let scratch = Scratch::new();
    let file = scratch.write("a.toml", &fixed("hello"));
    assert_eq!(outcome(&["check", file.to_str().unwrap()]), (0, String::new(), String::new()));
}

#[test]
fn check_and_run_tell_every_fault_with_its_place_and_end_with_2_p10() {
    let scratch = Scratch::new();
    let wrong = fixed("hello").replace("status = 200", "stauts = 200")
        + "\n[upstream.a]\nendpoints = [\"nowhere\"]\n";
    let file = scratch.write("a.toml", &wrong);
    for command in ["check", "run"] {
        let (code, stdout, stderr) = outcome(&[command, file.to_str().unwrap()]);
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        assert!(stderr.contains("a.toml:12:"), "{stderr}");
        assert!(stderr.contains("stauts") && stderr.contains("did you mean \"status\"?"), "{stderr}");
        assert!(stderr.contains("a.toml:17:"), "{stderr}");
    }
}

#[test]
fn what_is_no_configuration_ends_with_2_and_a_reason() {
    let scratch = Scratch::new();
    let fifo = scratch.path("fifo.toml");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    scratch.write("nul.toml", "a = \"\0\"");
    std::fs::write(scratch.path("latin1.toml"), b"a = \"\xe4\"").unwrap();
    std::fs::create_dir(scratch.path("folder.toml")).unwrap();
    for (name, reason) in [
        ("missing.toml", "no such file"),
        ("fifo.toml", "FIFO"),
        ("nul.toml", "NUL"),
        ("latin1.toml", "UTF-8"),
        ("folder.toml", "folder"),
        ("app.rs", "no such file"),
        ("app.js", "not in this release"),
        ("app.wasm", "not in this release"),
        ("app.conf", "nothing runs .conf files"),
        ("-", "--kind toml"),
    ] {
        let path = if name == "-" { name.into() } else { scratch.path(name) };
        let (code, _, stderr) = outcome(&["run", path.to_str().unwrap()]);
        assert_eq!(code, 2, "{name}: {stderr}");
        assert!(stderr.contains(reason), "{name}: {stderr}");
    }
}

#[test]
fn a_port_in_use_ends_with_98_and_names_listener_address_and_holder() {
    let scratch = Scratch::new();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let web = fixed("x").replace("bind = \"127.0.0.1:0\"", &format!("bind = \"{taken}\""));
    let admin = fixed("x").replace("listen = \"127.0.0.1:0\"", &format!("listen = \"{taken}\""));
    for (name, config, place) in [("web.toml", web, "listener web"), ("admin.toml", admin, "[admin]")] {
        let file = scratch.write(name, &config);
        let (code, stdout, stderr) = outcome(&["run", file.to_str().unwrap()]);
        assert_eq!((code, stdout.as_str()), (98, ""), "{stderr}");
        let pid = format!("pid {}", std::process::id());
        for part in [place, &taken, &pid] {
            assert!(stderr.contains(part), "{part} in {stderr}");
        }
    }
}

#[test]
fn a_second_gateway_on_the_same_port_is_refused() {
    let scratch = Scratch::new();
    let first = Towpath::run(&scratch.write("a.toml", &fixed("first")), &["web"]);
    let address = first.address("web");
    let second = fixed("second").replace("bind = \"127.0.0.1:0\"", &format!("bind = \"{address}\""));
    let (code, _, stderr) = outcome(&["run", scratch.write("b.toml", &second).to_str().unwrap()]);
    assert_eq!(code, 98, "{stderr}");
    assert!(stderr.contains(&format!("pid {}", first.pid())), "{stderr}");
    first.stop();
}

#[test]
fn the_schema_is_a_json_schema_and_the_reference_is_markdown() {
    let (code, schema, _) = outcome(&["schema"]);
    assert_eq!(code, 0);
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    assert!(schema["$schema"].is_string() && schema.to_string().contains("max_connections"));
    let (code, reference, _) = outcome(&["schema", "--markdown"]);
    assert_eq!(code, 0);
    assert!(reference.contains("max_connections"));
}

#[test]
fn start_prints_one_line_per_listener_and_quiet_prints_none() {
    let scratch = Scratch::new();
    let file = scratch.write("a.toml", &fixed("hello"));
    let loud = Towpath::run(&file, &["web", "admin"]);
    assert_eq!(loud.stdout().lines().count(), 2);
    assert_eq!(get(loud.address("web"), "/").body, "hello");
    loud.stop();

    let socket = scratch.path("admin.sock");
    let file = scratch
        .write("b.toml", &fixed("x").replace("127.0.0.1:0\"\n\n[workers", "unix:admin.sock\"\n\n[workers"));
    let silent = Towpath::run_with(&file, &["--quiet"], &[]);
    let mut admin = eventually("the admin socket", || Client::connect_unix(&socket).ok());
    assert_eq!(admin.get("/healthz").status, 200);
    assert_eq!(silent.stdout(), "");
    silent.stop();
    assert!(!socket.exists(), "the socket's file goes with the process");
}

/// A process that ends with its test, also when that fails.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_closed_stdout_is_no_reason_to_stop() {
    let scratch = Scratch::new();
    let socket = scratch.path("admin.sock");
    let file = scratch
        .write("a.toml", &fixed("x").replace("127.0.0.1:0\"\n\n[workers", "unix:admin.sock\"\n\n[workers"));
    let child = Command::new(TOWPATH)
        .arg("run")
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = Killed(child);
    drop(child.0.stdout.take());
    let mut admin = eventually("the admin socket", || Client::connect_unix(&socket).ok());
    assert_eq!(admin.get("/healthz").status, 200);
    drop(child);

    let mut child =
        Command::new(TOWPATH).arg("schema").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let (code, _, stderr) = text(&child.wait_with_output().unwrap());
    assert_eq!((code, stderr.as_str()), (0, ""));
}

#[test]
fn json_logs_are_json_on_every_line_t59() {
    let scratch = Scratch::new();
    let running = Towpath::run_with(&scratch.write("a.toml", &fixed("x")), &["--log", "json"], &["web"]);
    scratch.write("a.toml", "[listener.web]\nbidn = \"127.0.0.1:0\"\n");
    running.signal("HUP");
    running.wait_for_stderr("the old plan serves on");
    for line in running.stderr().lines() {
        let line: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|fault| panic!("{fault}: {line}"));
        assert!(
            line["event"].is_string() && line["message"].is_string() && line["time"].is_number(),
            "{line}"
        );
    }
    running.stop();
}

#[test]
fn proxy_needs_no_file() {
    let origin = Origin::start(|line| (200, format!("origin saw {line}")));
    let mut command = Command::new(TOWPATH);
    command.args(["proxy", "--from", "127.0.0.1:0", "--to", &origin.address.to_string()]);
    let proxy = Towpath::start(command, &["proxy"]);
    assert_eq!(get(proxy.address("proxy"), "/a?b=c").body, "origin saw GET /a?b=c HTTP/1.1");
    proxy.stop();
}

#[test]
fn serve_serves_a_folder_whatever_it_is_called() {
    let scratch = Scratch::new();
    let folder = scratch.path("a \"quoted\" ${HOME}");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("page.txt"), "a page").unwrap();
    let mut command = Command::new(TOWPATH);
    command.arg("serve").arg(&folder).args(["--bind", "127.0.0.1:0"]);
    let server = Towpath::start(command, &["files"]);
    assert_eq!(get(server.address("files"), "/page.txt").body, "a page");
    assert_eq!(get(server.address("files"), "/nothing.txt").status, 404);
    server.stop();
    assert_eq!(outcome(&["serve", scratch.path("nowhere").to_str().unwrap()]).0, 2);
}

#[test]
fn standard_input_and_other_endings_run_when_their_kind_is_said() {
    let scratch = Scratch::new();
    let file = scratch.write("a.conf", &fixed("by kind"));
    assert_eq!(outcome(&["check", "--kind", "toml", file.to_str().unwrap()]).0, 0);
    assert_eq!(outcome(&["check", "--kind", "yaml", file.to_str().unwrap()]).0, 2);

    let mut command = Command::new(TOWPATH);
    command.args(["check", "-", "--kind", "toml"]).stdin(std::fs::File::open(&file).unwrap());
    assert_eq!(text(&command.output().unwrap()), (0, String::new(), String::new()));
    scratch.write("b.toml", &fixed("x").replace("bind", "bnid"));
    command.stdin(std::fs::File::open(scratch.path("b.toml")).unwrap());
    let (code, _, stderr) = text(&command.output().unwrap());
    assert_eq!(code, 2);
    assert!(stderr.contains("<stdin>:8:1: unknown key \"bnid\""), "{stderr}");

    let mut command = Command::new(TOWPATH);
    command.args(["run", "-", "--kind", "toml"]);
    let running = Towpath::start_fed(command, std::fs::File::open(&file).unwrap(), &["web"]);
    assert_eq!(get(running.address("web"), "/").body, "by kind");
    running.stop();
}

/// The demo's ports are fixed, so another program may hold one; then the start must say so.
#[test]
fn the_demo_balances_over_three_replicas_or_names_the_taken_port() {
    let scratch = Scratch::new();
    let mut command = Command::new(TOWPATH);
    command.arg("run").current_dir(scratch.folder());
    if ["127.0.0.1:8080", "127.0.0.1:9900"].iter().any(|port| TcpListener::bind(port).is_err()) {
        let (code, _, stderr) = text(&command.output().unwrap());
        assert_eq!(code, 98, "{stderr}");
        assert!(stderr.contains("127.0.0.1:8080") || stderr.contains("127.0.0.1:9900"), "{stderr}");
        return;
    }
    let demo = Towpath::start(command, &["web", "admin"]);
    let mut seen: Vec<String> =
        (0..12).map(|_| get(demo.address("web"), "/").field("x-replica").unwrap().to_owned()).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen, ["replica-1", "replica-2", "replica-3"]);
    demo.stop();
}

#[test]
fn a_towpath_toml_in_the_current_folder_is_found() {
    let scratch = Scratch::new();
    scratch.write("towpath.toml", &fixed("from here"));
    let mut command = Command::new(TOWPATH);
    command.arg("run").current_dir(scratch.folder());
    let running = Towpath::start(command, &["web"]);
    assert_eq!(get(running.address("web"), "/").body, "from here");
    running.stop();
}

#[test]
fn the_environment_and_files_are_read_and_a_missing_variable_is_a_fault() {
    let scratch = Scratch::new();
    scratch.write("secret", "from a file");
    let file = scratch.write("a.toml", &fixed("${TOWPATH_TEST_NAME:-default} ${file:secret}"));
    let running = Towpath::run(&file, &["web"]);
    assert_eq!(get(running.address("web"), "/").body, "default from a file");
    running.stop();
    let file = scratch.write("b.toml", &fixed("${TOWPATH_TEST_MISSING}"));
    let output = towpath(&["check", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("TOWPATH_TEST_MISSING"));
}
