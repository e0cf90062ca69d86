//! Requests and responses of every shape curl can make, through the gateway to nginx and Python.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::Scratch;
use crate::curl::curl;
use crate::nginx::Nginx;
use crate::process::find;
use crate::python::Python;
use crate::{Gateway, write_noise};

/// More than all buffers between the two ends together hold.
const LARGE: usize = 64 << 20;

fn sha256(file: &Path) -> String {
    let output = Command::new(find("sha256sum", "coreutils")).arg(file).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split(' ').next().filter(|digest| digest.len() == 64).unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[test]
fn pythons_file_server_answers_get_head_and_refuses_post() {
    let folder = Scratch::new();
    write_noise(&folder.path("noise"), 1_000_003);
    let python = Python::file_server(folder.folder());
    let gateway = Gateway::before(python.address);
    let seen = curl(&[&gateway.url("/noise")]);
    assert_eq!((seen.status, seen.body.len()), (200, 1_000_003));
    assert!(seen.body == fs::read(folder.path("noise")).unwrap());
    let seen = curl(&["--head", &gateway.url("/noise")]);
    assert_eq!((seen.status, seen.field("content-length")), (200, Some("1000003")));
    assert_eq!(seen.count("size_download"), 0);
    assert_eq!(curl(&[&gateway.url("/missing")]).status, 404);
    assert!(curl(&[&gateway.url("/")]).text().contains("noise"), "the listing of the folder");
    assert_eq!(curl(&["--data", "a=b", &gateway.url("/noise")]).status, 501);
    gateway.running.stop();
}

#[test]
fn nginx_answers_get_and_head_on_one_connection() {
    let nginx = Nginx::start("", "");
    fs::write(nginx.file("a.txt"), "from nginx\n").unwrap();
    let gateway = Gateway::before(nginx.address);
    let seen = curl(&[&gateway.url("/a.txt")]);
    assert_eq!((seen.status, seen.text().as_str()), (200, "from nginx\n"));
    assert_eq!(seen.field("via"), Some("1.1 towpath"), "{}", seen.heads);
    let (head, get) = (gateway.url("/a.txt"), gateway.url("/a.txt?again"));
    let seen = curl(&[
        "--head",
        &head,
        "--output",
        "/dev/null",
        "--next",
        "--silent",
        "--output",
        "/dev/null",
        &get,
    ]);
    assert_eq!(seen.status, 200, "a HEAD leaves the connection in step: {}", seen.heads);
    let log = nginx.log(3);
    assert!(log.iter().all(|line| line.connection == log[0].connection && line.status == 200), "{log:?}");
    gateway.running.stop();
}

#[test]
fn posts_arrive_whole_in_either_framing() {
    let origin = Python::origin();
    let gateway = Gateway::before(origin.address);
    let file = gateway.scratch.path("body");
    write_noise(&file, 3_000_017);
    let (body, digest) = (format!("@{}", file.display()), sha256(&file));
    let url = gateway.url("/echo");
    for framing in ["length", "chunked"] {
        let chunked = ["--header", "Transfer-Encoding: chunked"];
        let extra = if framing == "chunked" { &chunked[..] } else { &[] };
        let seen = curl(&[extra, &["--data-binary", &body, &url]].concat()).json();
        assert_eq!(
            (&seen["length"], &seen["sha256"]),
            (&3_000_017.into(), &digest.as_str().into()),
            "{seen}"
        );
        assert_eq!(seen["framing"], framing);
        let seen = curl(&[extra, &["--data", "small", &url]].concat()).json();
        assert_eq!((&seen["length"], &seen["framing"]), (&5.into(), &framing.into()));
        let seen = curl(&[extra, &["--request", "PUT", "--data", "", &url]].concat()).json();
        assert_eq!((&seen["length"], &seen["method"]), (&0.into(), &"PUT".into()));
    }
    gateway.running.stop();
}

/// RFC 9110 §10.1.1: the expectation goes to the origin, whose answer decides whether the body is sent.
#[test]
fn an_expectation_is_met_or_refused_by_the_origin() {
    let origin = Python::origin();
    let gateway = Gateway::before(origin.address);
    let file = gateway.scratch.path("body");
    write_noise(&file, 2 << 20);
    let body = format!("@{}", file.display());
    // Large enough that curl expects by itself, and waits a minute before it would send without an answer.
    let patient = ["--expect100-timeout", "60", "--data-binary", &body];
    let seen = curl(&[&patient[..], &[&gateway.url("/echo")]].concat());
    assert!(seen.heads.starts_with("HTTP/1.1 100 "), "{}", seen.heads);
    assert_eq!(seen.status, 200);
    assert_eq!((&seen.json()["length"], &seen.json()["expect"]), (&(2 << 20).into(), &"100-continue".into()));
    let seen = curl(&[&patient[..], &[&gateway.url("/refuse")]].concat());
    assert_eq!((seen.status, seen.count("size_upload")), (417, 0), "{}", seen.heads);
    let nginx = Nginx::start("", "client_max_body_size 1k;");
    let gateway = Gateway::before(nginx.address);
    let seen = curl(&[&patient[..], &[&gateway.url("/")]].concat());
    assert_eq!((seen.status, seen.count("size_upload")), (413, 0), "{}", seen.heads);
    gateway.running.stop();
}

#[test]
fn ranges_come_from_the_origin_and_from_files() {
    let nginx = Nginx::start("", "");
    let letters: String = (0..1000).map(|n| char::from(b'a' + (n % 26) as u8)).collect();
    fs::write(nginx.file("letters"), &letters).unwrap();
    let root = nginx.file("").display().to_string();
    let gateway = Gateway::start(&format!(
        "[route.files]\nmatch = {{ path = \"/files/*\" }}\n\
         files = {{ root = \"{root}\" }}\n\n[route.nginx]\nmatch = {{ path = \"/nginx/*\" }}\n\
         rewrite = {{ strip_prefix = \"/nginx\" }}\nupstream = \"nginx\"\n\n\
         [upstream.nginx]\nendpoints = [\"{}\"]\n",
        nginx.address
    ));
    for side in ["nginx", "files"] {
        let url = gateway.url(&format!("/{side}/letters"));
        let ranges = [
            ("100-199", 100..200, "100-199"),
            ("-10", 990..1000, "990-999"),
            ("990-2000", 990..1000, "990-999"),
        ];
        for (asked, expected, told) in ranges {
            let seen = curl(&["--range", asked, &url]);
            assert_eq!((seen.status, seen.text().as_str()), (206, &letters[expected]), "{side} {asked}");
            assert_eq!(seen.field("content-range"), Some(format!("bytes {told}/1000").as_str()));
        }
        let seen = curl(&["--range", "1000-", &url]);
        assert_eq!((seen.status, seen.field("content-range")), (416, Some("bytes */1000")), "{side}");
        // Several ranges may come as parts or be ignored (RFC 9110 §14.2); nothing else.
        let seen = curl(&["--range", "0-4,10-14", &url]);
        match seen.status {
            206 => assert!(seen.text().contains("abcde") && seen.text().contains("klmno"), "{side}"),
            status => assert_eq!((status, seen.text().as_str()), (200, letters.as_str()), "{side}"),
        }
    }
    gateway.running.stop();
}

#[test]
fn what_a_client_has_is_not_sent_again() {
    let nginx = Nginx::start("", "");
    fs::write(nginx.file("a.txt"), "unchanged").unwrap();
    let root = nginx.file("").display().to_string();
    let gateway = Gateway::start(&format!(
        "[route.nginx]\nupstream = \"nginx\"\n\n[route.files]\nmatch = {{ path = \"/f/*\" }}\n\
         files = {{ root = \"{root}\" }}\n\n\
         [upstream.nginx]\nendpoints = [\"{}\"]\n",
        nginx.address
    ));
    for url in [gateway.url("/a.txt"), gateway.url("/f/a.txt")] {
        let whole = curl(&[&url]);
        let (etag, date) = (whole.field("etag").unwrap(), whole.field("last-modified").unwrap());
        for condition in [format!("If-None-Match: {etag}"), format!("If-Modified-Since: {date}")] {
            // The second request shows that a 304 without a body leaves the connection in step.
            let seen = curl(&[
                "--header",
                &condition,
                &url,
                "--output",
                "/dev/null",
                "--next",
                "--silent",
                "--output",
                "/dev/null",
                "--dump-header",
                "-",
                "--write-out",
                "%{stderr}%{json}\\n",
                &url,
            ]);
            let statuses: Vec<_> = seen.heads.lines().filter(|line| line.starts_with("HTTP/")).collect();
            assert_eq!(statuses.len(), 2, "{}", seen.heads);
            assert!(statuses[0].contains("304") && statuses[1].contains("200"), "{statuses:?} {condition}");
            assert_eq!(seen.count("num_connects"), 0, "the same connection");
        }
        assert_eq!(curl(&["--header", "If-None-Match: \"other\"", &url]).text(), "unchanged");
    }
    gateway.running.stop();
}

#[test]
fn an_http10_client_gets_no_chunks_rfc9112_7_1() {
    let (origin, folder) = (Python::origin(), Scratch::new());
    folder.write("a.txt", "by length");
    let files = Python::file_server(folder.folder());
    let gateway = Gateway::before(origin.address);
    for (path, body) in [("/chunked", "piece by piece"), ("/close", "until the end"), ("/", "hello")] {
        for version in ["--http1.0", "--http1.1"] {
            let seen = curl(&[version, &gateway.url(path)]);
            assert_eq!((seen.status, seen.text().as_str()), (200, body), "{version} {path}");
            if version == "--http1.0" {
                assert_eq!(seen.field("transfer-encoding"), None, "{path}: {}", seen.heads);
            }
        }
    }
    let gateway = Gateway::before(files.address);
    assert_eq!(curl(&["--http1.0", &gateway.url("/a.txt")]).text(), "by length");
    assert_eq!(curl(&["--http1.0", "--head", &gateway.url("/a.txt")]).field("content-length"), Some("9"));
    gateway.running.stop();
}

#[test]
fn a_compressed_and_chunked_response_passes_unchanged() {
    let nginx = Nginx::start("gzip on; gzip_min_length 1; gzip_types text/plain; gzip_proxied any;", "");
    let text = "again and ".repeat(20_000);
    fs::write(nginx.file("a.txt"), &text).unwrap();
    let gateway = Gateway::before(nginx.address);
    let seen = curl(&["--compressed", &gateway.url("/a.txt")]);
    assert_eq!(seen.field("content-encoding"), Some("gzip"));
    assert_eq!(seen.field("transfer-encoding"), Some("chunked"));
    assert_eq!(seen.text(), text);
    gateway.running.stop();
}

#[test]
fn the_gateway_compresses_for_curl_in_every_coding_and_version() {
    let nginx = Nginx::start("", "");
    let text: String = (0..200_000).map(|number| format!("line {number}\n")).collect();
    fs::write(nginx.file("a.txt"), &text).unwrap();
    let gateway = Gateway::start(&format!(
        "h2c = true\n\n[route.all]\nupstream = \"origin\"\ncompress = true\n\n\
         [upstream.origin]\nendpoints = [\"{}\"]\n",
        nginx.address
    ));
    let url = gateway.url("/a.txt");
    for version in ["--http1.0", "--http1.1", "--http2-prior-knowledge"] {
        for coding in ["gzip", "br", "zstd"] {
            let accept = format!("Accept-Encoding: {coding}");
            let seen = curl(&[version, "--compressed", "--header", &accept, &url]);
            assert_eq!(seen.field("content-encoding"), Some(coding), "{version}: {}", seen.heads);
            assert_eq!(seen.field("content-length"), None, "{version}: {}", seen.heads);
            assert!(
                seen.count("size_download") < text.len() as u64 / 2,
                "{version} {coding}: {}",
                seen.facts
            );
            assert!(seen.text() == text, "{version} {coding}");
        }
        let seen = curl(&[version, &url]);
        assert_eq!((seen.field("content-encoding"), seen.body.len()), (None, text.len()), "{version}");
    }
    gateway.running.stop();
}

#[test]
fn the_gateway_decompresses_what_curl_uploads() {
    let origin = Python::origin();
    let gateway = Gateway::start(&format!(
        "h2c = true\n\n[route.all]\nupstream = \"origin\"\ndecompress_request = true\n\n\
         [upstream.origin]\nendpoints = [\"{}\"]\n",
        origin.address
    ));
    let text: String = (0..200_000).map(|number| format!("line {number}\n")).collect();
    gateway.scratch.write("a.txt", &text);
    let plain = gateway.scratch.path("a.txt");
    let packed = Command::new(find("gzip", "gzip")).arg("--keep").arg(&plain).status().unwrap();
    assert!(packed.success());
    let source = format!("@{}.gz", plain.display());
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let coded = ["--header", "Content-Encoding: gzip", "--data-binary", &source];
        let facts = curl(&[&[version][..], &coded, &[&gateway.url("/")]].concat()).json();
        assert_eq!(facts["length"], text.len(), "{version}: {facts}");
        assert_eq!(facts["sha256"], sha256(&plain), "{version}: {facts}");
        assert_eq!(facts["framing"], "chunked", "{version}");
    }
    gateway.running.stop();
}

#[test]
fn a_large_download_is_the_same_bytes_from_each_side() {
    let nginx = Nginx::start("", "");
    write_noise(&nginx.file("large"), LARGE);
    let python = Python::file_server(&nginx.file(""));
    let root = nginx.file("").display().to_string();
    let gateway = Gateway::start(&format!(
        "[route.files]\nmatch = {{ path = \"/files/*\" }}\n\
         files = {{ root = \"{root}\" }}\n\n\
         [route.nginx]\nmatch = {{ path = \"/nginx/*\" }}\nrewrite = {{ strip_prefix = \"/nginx\" }}\n\
         upstream = \"nginx\"\n\n[route.python]\nmatch = {{ path = \"/python/*\" }}\n\
         rewrite = {{ strip_prefix = \"/python\" }}\nupstream = \"python\"\n\n\
         [upstream.nginx]\nendpoints = [\"{}\"]\n\n[upstream.python]\nendpoints = [\"{}\"]\n",
        nginx.address, python.address
    ));
    let expected = sha256(&nginx.file("large"));
    let got = gateway.scratch.path("got");
    for side in ["nginx", "python", "files"] {
        let url = gateway.url(&format!("/{side}/large"));
        let seen = curl(&["--output", &got.display().to_string(), &url]);
        assert_eq!((seen.status, seen.count("size_download")), (200, LARGE as u64), "{side}");
        assert_eq!(sha256(&got), expected, "{side}");
    }
    gateway.running.stop();
}

#[test]
fn a_large_upload_is_the_same_bytes_in_either_framing() {
    let nginx = Nginx::start("", "dav_methods PUT; create_full_put_path on;");
    let gateway = Gateway::before(nginx.address);
    let file = gateway.scratch.path("large");
    write_noise(&file, LARGE);
    let (expected, source) = (sha256(&file), file.display().to_string());
    for framing in ["length", "chunked"] {
        let chunked = ["--header", "Transfer-Encoding: chunked"];
        let extra = if framing == "chunked" { &chunked[..] } else { &[] };
        let url = gateway.url(&format!("/{framing}/large"));
        let seen = curl(&[extra, &["--upload-file", &source, &url]].concat());
        assert_eq!(seen.status, 201, "{framing}: {}", seen.heads);
        assert_eq!(sha256(&nginx.file(framing).join("large")), expected, "{framing}");
    }
    gateway.running.stop();
}
