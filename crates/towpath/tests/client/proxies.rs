//! Through a proxy: the whole URL in clear text, a tunnel for TLS.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread::JoinHandle;

use crate::http2_peers::{Secrets, served};

/// A program of its own, as the environment of a test is that of all tests: the example that prints a URL.
fn fetch(environment: &[(&str, String)], url: &str) -> (bool, String) {
    let test = std::env::current_exe().unwrap();
    let example = test.parent().unwrap().parent().unwrap().join("examples/http_get");
    assert!(
        example.exists(),
        "cargo test builds examples too; where one test is named, --examples has to be"
    );
    let mut command = Command::new(example);
    for name in ["http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"]
    {
        command.env_remove(name);
    }
    let output =
        command.envs(environment.iter().map(|(name, value)| (name, value))).arg(url).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// A proxy for one connection, which says this; what it has heard.
fn proxy(answer: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://user:pass@{}", listener.local_addr().unwrap());
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut heard = String::new();
        while !heard.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut heard).unwrap() > 0);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let _ = reader.read_to_end(&mut Vec::new());
        heard
    });
    (address, heard)
}

#[test]
fn a_proxy_is_told_the_whole_url_rfc9112_3_2_2() {
    let (address, heard) = proxy("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nproxy");
    assert_eq!(fetch(&[("http_proxy", address)], "http://far.example:8080/p?q"), (true, "proxy".to_owned()));
    let heard = heard.join().unwrap();
    assert!(
        heard.starts_with("GET http://far.example:8080/p?q HTTP/1.1\r\nHost: far.example:8080\r\n"),
        "{heard}"
    );
    assert!(heard.contains("\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n"), "{heard}");
}

/// A proxy for one tunnel; what it was asked for, and whom the far end takes for its client.
fn tunnel() -> (String, JoinHandle<(String, SocketAddr)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let (mut near, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            near.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let line = head.lines().next().unwrap().to_owned();
        let far = TcpStream::connect(line.split(' ').nth(1).unwrap()).unwrap();
        near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let (from_near, to_far) = (near.try_clone().unwrap(), far.try_clone().unwrap());
        let up = std::thread::spawn(move || relay(from_near, to_far));
        let client = far.local_addr().unwrap();
        relay(far, near);
        up.join().unwrap();
        (line, client)
    });
    (address, asked)
}

fn relay(mut from: TcpStream, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

#[test]
fn the_origin_behind_a_tunnel_chooses_http2_as_it_does_without_one_rfc9113_3_2() {
    let secrets = Secrets::new("tunnel");
    let (origin, guard, thread) = served(&secrets);
    let (address, asked) = tunnel();
    let environment = [("https_proxy", address), ("SSL_CERT_FILE", secrets.certificate())];
    let (is_fine, text) = fetch(&environment, &format!("https://localhost:{}/", origin.port()));
    let (line, client) = asked.join().unwrap();
    assert!(is_fine, "{text}");
    assert_eq!(line, format!("CONNECT localhost:{} HTTP/1.1", origin.port()));
    assert_eq!(text, format!("HTTP/2.0 {client}"));
    guard.cancel("over");
    thread.join().unwrap();
}

#[test]
fn a_tunnel_that_is_refused_is_no_answer_of_the_origin() {
    let (address, heard) = proxy("HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nevil");
    let (is_fine, text) = fetch(&[("HTTPS_PROXY", address)], "https://far.example/");
    assert!(!is_fine && text.contains("no connection to https://far.example"), "{text}");
    assert!(text.contains("the proxy answered 403 when asked for a tunnel"), "{text}");
    let heard = heard.join().unwrap();
    assert!(
        heard.starts_with("CONNECT far.example:443 HTTP/1.1\r\nHost: far.example:443\r\nProxy-Auth"),
        "{heard}"
    );
}
