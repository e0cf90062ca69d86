//! HTTP/2 in clear text between curl, nghttp, h2load and Node.

use std::fs;
use std::path::Path;

use towpath::Ctx;
use towpath::http::{Body, Headers, Request, Response, Router, Server, StatusCode};

use crate::serving::{Serving, output_of};

fn serving() -> Serving {
    Serving::start(|| {
        let router = Router::new()
            .get("/", async |_: &Ctx, _: Request| "Hello, HTTP Server!")
            .get("/large", async |_: &Ctx, _: Request| {
                let (sender, body) = Body::channel(4);
                tokio::task::spawn_local(async move {
                    for _ in 0..100 {
                        if sender.send(vec![b'x'; 100_000]).await.is_err() {
                            break;
                        }
                    }
                });
                body
            })
            .post("/echo", async |_: &Ctx, request: Request| {
                let mut trailers = Headers::default();
                trailers.set("X-End", "yes").unwrap();
                Response::new(StatusCode::OK).with_body(request.into_body().with_trailers(trailers))
            });
        Server::new(router).h2c(true)
    })
}

#[test]
fn curl_begins_with_http2_and_another_with_http1_s12() {
    let serving = serving();
    let url = format!("http://{}/", serving.address);
    for (option, version) in [("--http2-prior-knowledge", "2"), ("--http1.1", "1.1")] {
        let Some(text) = output_of(
            "curl",
            &["-s", "-m", "10", option, "-w", " %{http_code} %{http_version} %{content_type}", &url],
        ) else {
            return;
        };
        assert_eq!(text, format!("Hello, HTTP Server! 200 {version} text/plain; charset=utf-8"));
    }
}

#[test]
fn curl_uploads_and_gets_it_back_with_trailers() {
    let serving = serving();
    let url = format!("http://{}/echo", serving.address);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("upload-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (sent, got) = (folder.join("sent"), folder.join("got"));
    fs::write(&sent, (0..1_500_000_u32).map(|number| number as u8).collect::<Vec<u8>>()).unwrap();
    let (data, got_name) = (format!("@{}", sent.display()), got.display().to_string());
    let words =
        ["-s", "-m", "20", "--http2-prior-knowledge", "-o", &got_name, "-D", "-", "--data-binary", &data];
    let Some(head) = output_of("curl", &[&words[..], &[url.as_str()]].concat()) else { return };
    assert_eq!(fs::read(&sent).unwrap(), fs::read(&got).unwrap(), "{head}");
    assert!(head.contains("x-end: yes"), "{head}");
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn nghttp_has_a_hundred_streams_and_a_large_body() {
    let serving = serving();
    let url = format!("http://{}/", serving.address);
    let Some(text) = output_of("nghttp", &["-n", "-s", "-m", "100", "-t", "10", &url]) else { return };
    assert_eq!(text.matches(" 200 ").count(), 100, "{text}");
    let text = output_of("nghttp", &["-n", "-s", "-t", "20", &format!("{url}large")]).unwrap();
    assert!(text.contains(" 200 ") && text.contains(" 9M "), "{text}");
}

#[test]
fn h2load_loses_no_request() {
    let serving = serving();
    let url = format!("http://{}/", serving.address);
    let Some(text) = output_of("h2load", &["-n", "2000", "-c", "4", "-m", "32", &url]) else { return };
    assert!(text.contains("2000 succeeded, 0 failed, 0 errored, 0 timeout"), "{text}");
}

#[test]
fn node_aborts_a_stream_and_goes_on() {
    const SCRIPT: &str = r#"
        const http2 = require('http2');
        const client = http2.connect(process.argv[1]);
        const get = (path, then) => {
            const request = client.request({ ':path': path });
            let text = '';
            request.setEncoding('utf8');
            request.on('response', (headers) => {
                if (path === '/large') { request.close(http2.constants.NGHTTP2_CANCEL); }
                else { request.status = headers[':status']; }
            });
            request.on('data', (piece) => { text += piece; });
            request.on('close', () => then(request.status, text));
        };
        get('/large', () => get('/', (status, text) => {
            console.log(status, text);
            client.close();
        }));
    "#;
    let serving = serving();
    let url = format!("http://{}", serving.address);
    let Some(text) = output_of("node", &["-e", SCRIPT, &url]) else { return };
    assert_eq!(text, "200 Hello, HTTP Server!\n");
}
