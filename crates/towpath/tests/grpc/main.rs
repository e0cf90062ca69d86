//! gRPC services of tonic's behind our server, called by curl and by grpcio.

#![expect(clippy::unwrap_used, reason = "in a test a failed step is a failed test, in helpers too")]

#[path = "../peers/serving.rs"]
mod serving;

mod service;

use std::fs;
use std::path::{Path, PathBuf};

use towpath::Ctx;
use towpath::grpc::{self, Grpc, Routes};
use towpath::http::{Request, Router, Server};

use self::service::Echo;
use self::serving::{Serving, output_of};

fn serving(echo: Echo) -> Serving {
    Serving::start(move || {
        let (health, health_service) = grpc::health_reporter();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(health.set_service_status("test.Echo", grpc::ServingStatus::Serving));
        let reflection = grpc::ReflectionBuilder::configure()
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()
            .unwrap();
        let services = Routes::new(echo).add_service(health_service).add_service(reflection);
        let router = Router::new().get("/", async |_: &Ctx, _: Request| "REST\n");
        Server::new(Grpc::new(services).beside(router)).h2c(true)
    })
}

/// Calls a method with one message by curl. What is written are the fields and then the messages.
fn call(serving: &Serving, path: &str, message: &[u8], words: &[&str]) -> Option<String> {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!(
        "call-{}{}",
        std::process::id(),
        path.replace('/', "-")
    ));
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    fs::write(&file, [&[0][..], &length, message].concat()).unwrap();
    let (data, url) = (format!("@{}", file.display()), format!("http://{}{path}", serving.address));
    let usual = [
        "-s",
        "-m",
        "10",
        "--http2-prior-knowledge",
        "-D",
        "-",
        "--data-binary",
        &data,
        "-H",
        "content-type: application/grpc",
        "-H",
        "te: trailers",
    ];
    let text = output_of("curl", &[&usual[..], words, &[url.as_str()]].concat());
    fs::remove_file(&file).unwrap();
    text
}

#[test]
fn calls_and_rest_share_a_port_s64() {
    let serving = serving(Echo::default());
    let Some(text) = call(&serving, "/test.Echo/Unary", b"hello", &["-H", "x-word: w"]) else { return };
    assert!(text.contains("HTTP/2 200") && text.contains("\0\0\0\0\u{5}hello"), "{text}");
    assert!(text.contains("grpc-status: 0") && text.contains("x-word: w"), "{text}");
    let url = format!("http://{}/", serving.address);
    assert_eq!(output_of("curl", &["-s", "-m", "10", &url]).unwrap(), "REST\n");
}

#[test]
fn what_cannot_be_called_has_its_status_s64() {
    let serving = serving(Echo::default());
    for (path, words, status) in [
        ("/test.Echo/None", &[][..], "12"),
        ("/none.None/None", &[], "12"),
        ("/test.Echo/Fail", &[], "9"),
        ("/test.Echo/Unary", &["-H", "grpc-timeout: soon"], "3"),
        ("/test.Echo/Slow", &["-H", "grpc-timeout: 100m"], "4"),
        ("/test.Echo/SlowStream", &["-H", "grpc-timeout: 100m"], "4"),
        ("/test.Echo/Panic", &[], "13"),
        ("/test.Echo/PanicStream", &[], "13"),
    ] {
        let Some(text) = call(&serving, path, b"", words) else { return };
        assert!(
            text.contains("HTTP/2 200")
                && text.contains(&format!("grpc-status: {status}"))
                && !text.contains("disco"),
            "{path}: {text}"
        );
    }
}

/// Debian's interpreter, which has grpcio wherever `PATH` leads.
const PYTHON: &str = "/usr/bin/python3";

#[test]
fn grpcio_calls_in_every_way_s64() {
    let echo = Echo::default();
    let serving = serving(echo.clone());
    let script: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/grpc/calls.py");
    let text = output_of(PYTHON, &[script.to_str().unwrap(), &serving.address.to_string()]).unwrap();
    let faults: Vec<&str> = text.lines().filter(|line| !line.ends_with(": ok")).collect();
    assert!(faults.is_empty() && text.lines().count() >= 12, "{text}");
    assert!(echo.causes().iter().any(|cause| cause == "client_gone"), "{:?}", echo.causes());
}
