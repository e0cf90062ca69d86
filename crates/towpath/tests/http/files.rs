//! A folder of files, over TCP, where the kernel sends them, and without a network.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use towpath::http::{Folder, Method, Request, Router, Server};

/// Larger than what is read at a time anywhere, and no multiple of it.
const LARGE_BYTES: usize = (1 << 20) + 17;

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("towpath-kit-files-{}-{name}", std::process::id()));
        fs::create_dir_all(folder.join("public")).expect("the folder is the test's own");
        fs::write(folder.join("secret"), "secret").expect("the folder is the test's own");
        fs::write(folder.join("public/hello.txt"), "hello, file\n").expect("the folder is the test's own");
        let large: Vec<u8> = (0..LARGE_BYTES).map(|place| (place % 251) as u8).collect();
        fs::write(folder.join("public/large.bin"), large).expect("the folder is the test's own");
        Self(folder)
    }

    fn router(&self) -> Router {
        let folder = Folder::new(self.0.join("public")).strip_prefix("/static").cache_control("max-age=60");
        Router::new().get("/static/{path...}", folder)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("the folder is the test's own");
    }
}

#[tokio::test(flavor = "local")]
async fn names_conditions_and_ranges_are_judged_s15() {
    let scratch = Scratch::new("judged");
    let router = scratch.router();
    for (target, fields, status, body) in [
        ("/static/hello.txt", &[][..], 200, "hello, file\n"),
        ("/static/hello.txt", &[("Range", "bytes=7-10")], 206, "file"),
        ("/static/hello.txt", &[("Range", "bytes=99-")], 416, "416 range_not_satisfiable\n"),
        ("/static/none", &[], 404, "404 file_not_found\n"),
        ("/static/%2e%2e/secret", &[], 400, "400 bad_path\n"),
        ("/static/", &[], 403, "403 file_forbidden\n"),
    ] {
        let mut request = Request::new(Method::GET, target);
        for (name, value) in fields {
            request.headers_mut().set(name, value).unwrap();
        }
        let response = towpath::test::respond(&router, request).await;
        assert_eq!(response.status().as_u16(), status, "{target}");
        let text = response.text().await.unwrap();
        assert!(text == body || status == 404, "{target}: {text}");
    }
    let response = towpath::test::respond(&router, Request::new(Method::GET, "/static/hello.txt")).await;
    let tag = response.header("etag").unwrap().to_owned();
    assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(response.header("cache-control"), Some("max-age=60"));
    let again = Request::new(Method::GET, "/static/hello.txt").with_header("If-None-Match", tag).unwrap();
    assert_eq!(towpath::test::respond(&router, again).await.status().as_u16(), 304);
}

#[test]
fn the_kernel_sends_them_whole_and_the_connection_goes_on_s55() {
    let scratch = Scratch::new("sent");
    let router = scratch.router();
    let server = towpath::test::serve(move || Server::new(router)).unwrap();
    let mut client = TcpStream::connect(server.address()).unwrap();
    let request = |connection: &str| {
        format!("GET /static/large.bin HTTP/1.1\r\nHost: h\r\nConnection: {connection}\r\n\r\n")
    };
    client.write_all((request("keep-alive") + &request("close")).as_bytes()).unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    let large = fs::read(scratch.0.join("public/large.bin")).unwrap();
    let bodies = answer.windows(large.len()).filter(|window| *window == large).count();
    assert_eq!(bodies, 2);
}
