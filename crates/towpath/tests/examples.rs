//! Every example that needs no more than the kit, each in a network of its own, with a client that is not ours. The others
//! are in towpath-cli's tests, as `towpath run` builds them; how long all of them are is counted here.

use std::path::PathBuf;
use std::process::Command;

/// Where cargo puts the examples that it builds for the tests.
fn folder() -> PathBuf {
    let program = std::env::current_exe().expect("a test is a program");
    program.ancestors().nth(2).expect("target/PROFILE/deps/TEST").join("examples")
}

/// Runs `script` in a network namespace where only it and its children are. `example` there is a function that starts an
/// example, within `limit` open files if that is set and by the command `under`, and returns when it listens; `stop` ends it.
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
    (ulimit -n ${{limit:-1024}}; exec ${{under:-}} '{folder}'/"$@" > said 2>&1) &
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

/// The tracer is a process of its own, so that the program's number is its.
const TRACED: &str = "under='strace -D -f -qq -o calls -e trace=accept4";

#[test]
fn no_free_descriptor_is_waited_for_s03() {
    // A worker looks again after 5 ms, 10 ms and so on up to 1 s; in a loop it would look a hundred thousand times a second.
    let clients = r#"
import socket, time
clients = [socket.create_connection(("127.0.0.1", 8080)) for _ in range(1000)]
def refused():
    return open("calls").read().count("EMFILE")
while refused() < 3:
    time.sleep(0.01)
time.sleep(1)
print(refused() < 300)
for client in clients:
    client.close()
late = socket.create_connection(("127.0.0.1", 8080))
late.sendall(b"late")
late.recv(1)
"#;
    check(
        &format!(
            "{TRACED}'\nlimit=64\nexample read_128\n/usr/bin/python3 -c '{clients}'\n\
             until test -z \"$(ss -tnH state established state close-wait '( sport = :8080 )')\"; do :; done\n\
             stop | grep -v 'Received: $'"
        ),
        "True\nReceived: late\n",
    );
}

#[test]
fn a_connection_that_ends_before_it_is_taken_is_not_the_servers_end_s05() {
    let script = "example tcp_hello\nfor client in 1 2 3 4 5 6 7 8 9; do socat - TCP:127.0.0.1:8080 < /dev/null; done\nstop\n\
                  grep -q ECONNABORTED calls && echo aborted";
    check(
        &format!("{TRACED} -e inject=accept4:error=ECONNABORTED:when=3+2'\n{script}"),
        &format!("{}aborted\n", "Hello from server!\n".repeat(9)),
    );
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
fn exit_codes_say_what_was_wrong_s01() {
    let script = "example http_hello
$folder/http_hello 2> error || echo $?
grep -o 'Address already in use' error
stop
$folder/tls_server 2> error || echo $?";
    let script = script.replace("$folder", &folder().display().to_string());
    check(&script, "98\nAddress already in use\n1\n");
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
    assert!(compared >= 12, "{compared}");
}
