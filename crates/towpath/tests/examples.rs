//! Every example as a program, each in a network of its own, with a client that is not ours.

use std::path::PathBuf;
use std::process::Command;

/// Where cargo puts the examples that it builds for the tests.
fn folder() -> PathBuf {
    let program = std::env::current_exe().expect("a test is a program");
    program.ancestors().nth(2).expect("target/PROFILE/deps/TEST").join("examples")
}

/// Runs `script` in a network namespace where only it and its children are. `example` there is a function that starts an
/// example, and returns when that listens; it is stopped at the end.
#[track_caller]
fn check(script: &str, expected: &str) {
    let scratch =
        std::env::temp_dir().join(format!("towpath-example-{}-{}", std::process::id(), expected.len()));
    std::fs::create_dir_all(&scratch).expect("a folder for the test");
    let frame = format!(
        r#"set -eu
ip link set lo up
cd '{scratch}'
example() {{
    mkfifo said
    '{folder}'/"$@" > said 2>&1 &
    pid=$!
    exec 3< said
    head -n 1 <&3 > /dev/null
}}
stop() {{ kill -TERM $pid; cat <&3; wait $pid || true; }}
{script}
"#,
        scratch = scratch.display(),
        folder = folder().display(),
    );
    let words = ["--net", "timeout", "60", "sh", "-c", &frame];
    let output = Command::new("unshare").args(words).output().expect("util-linux is installed");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    std::fs::remove_dir_all(&scratch).expect("the folder is the test's own");
    assert!(output.status.success(), "{}: {said}{errors}", output.status);
    assert_eq!(said, expected, "{errors}");
}

#[test]
fn tcp_hello_s03() {
    check("example tcp_hello; socat - TCP:127.0.0.1:8080 < /dev/null; stop", "Hello from server!\n");
}

#[test]
fn one_read_of_128_bytes_s09() {
    check("example read_128; printf hi | socat - TCP:127.0.0.1:8080; stop", "Received: hi\n");
}

#[test]
fn udp_echo_s06() {
    check("example udp_echo; printf ping | socat -t 2 - UDP:127.0.0.1:9000; stop", "ping");
}

#[test]
fn http_hello_and_its_client_s12_s13() {
    let script =
        "example http_hello; curl -s http://127.0.0.1:3000/; $folder/http_get http://127.0.0.1:3000/; stop";
    let script = script.replace("$folder", &folder().display().to_string());
    check(&script, "Hello, HTTP Server!\nHello, HTTP Server!\n");
}

#[test]
fn two_seconds_for_a_job_of_three_s18() {
    let output = Command::new(folder().join("timeout")).output().expect("the example is built");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "deadline\n");
}

#[test]
fn a_channel_brings_42_s30() {
    let output = Command::new(folder().join("channel")).output().expect("the example is built");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "42\n");
}

#[test]
fn a_json_api() {
    check(
        r#"example json_api
curl -s 127.0.0.1:3000/users -d '{"name": "Ada", "age": 36}'; echo
curl -s 127.0.0.1:3000/users/0; echo
curl -s -o /dev/null -w '%{http_code}\n' 127.0.0.1:3000/users/1
curl -s -o /dev/null -w '%{http_code}\n' 127.0.0.1:3000/users -d '{"name": "Ada"}'
stop"#,
        "{\"name\":\"Ada\",\"age\":36}\n{\"name\":\"Ada\",\"age\":36}\n404\n400\n",
    );
}

#[test]
fn tls_by_curl_in_both_versions_s32() {
    check(
        r#"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem 2> openssl.log
example tls_server
curl -s --cacert cert.pem --tlsv1.2 --tls-max 1.2 --http1.1 https://localhost:8443/
curl -s --cacert cert.pem --tlsv1.3 https://localhost:8443/
stop"#,
        "Hello over HTTP/1.1!\nHello over HTTP/2.0!\n",
    );
}

#[test]
fn a_server_that_is_told_to_stop_answers_first() {
    check(
        r#"example drain
curl -s 127.0.0.1:3000/ > answer &
client=$!
until ss -tnH state established '( sport = :3000 )' | grep -q 3000; do :; done
stop
wait $client
cat answer"#,
        "everything is done\ndone\n",
    );
}

#[test]
fn a_hundred_requests_and_their_detached_work_are_waited_for_a14() {
    check(
        r#"example drain
curl -sZ --parallel-immediate --parallel-max 100 'http://127.0.0.1:3000/?[1-100]' > answers 2> progress &
client=$!
until [ $(ss -tnH state established '( sport = :3000 )' | wc -l) = 100 ]; do :; done
stop
wait $client
sort answers | uniq -c"#,
        "everything is done\n    100 done\n",
    );
}

#[test]
fn a_chat_between_two_clients_s69() {
    let clients = r#"
import asyncio, urllib.request, websockets
async def main():
    page = urllib.request.urlopen("http://127.0.0.1:8080/").read().decode()
    assert "new WebSocket" in page
    async with websockets.connect("ws://127.0.0.1:8080/chat") as one, websockets.connect("ws://127.0.0.1:8080/chat") as two:
        print(await one.recv(), await two.recv())
        await one.send("Hello everybody")
        print(await one.recv(), await two.recv())
asyncio.run(main())
"#;
    let script = format!("example chat\n/usr/bin/python3 - <<'PYTHON'\n{clients}PYTHON\nstop");
    check(&script, "Hello Server Hello Server\nHello everybody Hello everybody\n");
}

/// Lines of code, without blank ones and comments.
fn lines(path: &std::path::Path) -> usize {
    let text = std::fs::read_to_string(path).expect("the program is there");
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    text.lines().filter(is_code).count()
}

#[test]
fn no_example_is_longer_than_its_counterpart_s07() {
    let examples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let elsewhere = std::fs::read_dir(examples.join("elsewhere")).expect("the folder is there");
    let mut compared = 0;
    for counterpart in elsewhere.map(|entry| entry.expect("a file").path()) {
        let name = counterpart.file_stem().expect("a name").to_string_lossy().into_owned();
        let (ours, theirs) = (lines(&examples.join(format!("{name}.rs"))), lines(&counterpart));
        assert!(ours <= theirs, "{name}: {ours} lines of code, {theirs} elsewhere");
        compared += 1;
    }
    assert!(compared >= 11, "{compared}");
}
