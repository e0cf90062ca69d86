//! HTTP/2 with real servers over real sockets, in clear text and with TLS.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use towpath::Ctx;
use towpath::http::{Body, Client, ClientSettings, HttpVersion, Method, Request, Router, Server, ws};
use towpath::net::tls;
use towpath::tls::Tls;

use crate::origin::ctx;

/// A child that ends with its test.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A certificate for `localhost` and its key, as files; and who has signed it.
pub(crate) struct Secrets {
    folder: PathBuf,
    authorities: tls::Authorities,
}

impl Secrets {
    pub(crate) fn new(name: &str) -> Self {
        let folder =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
        let authorities = tls::Authorities::new(vec![certificate.der().to_vec()]).unwrap();
        Self { folder, authorities }
    }

    pub(crate) fn certificate(&self) -> String {
        self.folder.join("cert.pem").display().to_string()
    }

    fn key(&self) -> String {
        self.folder.join("key.pem").display().to_string()
    }
}

impl Drop for Secrets {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn settings(secrets: &Secrets) -> ClientSettings {
    ClientSettings {
        environment_proxy: false,
        authorities: Some(secrets.authorities.clone()),
        ..ClientSettings::default()
    }
}

/// Runs a scene on threads, so that streams of one connection are used from several.
fn run<T>(scene: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap().block_on(scene)
}

/// Sends and gets back 4 MiB, 32 times 64 KiB at a time, and cancels in between.
async fn exchange(client: &Client, url: &str) {
    let ctx = ctx();
    let large: Vec<u8> = (0..4_u32 << 20).map(|number| (number % 251) as u8).collect();
    let response = client.request(Method::POST, url).body(large.clone()).send(&ctx).await.unwrap();
    assert_eq!(format!("{:?}", response.version()), "HTTP/2.0");
    assert!(response.bytes().await.unwrap() == large, "4 MiB came back as they went");
    let tasks: Vec<_> = (0..32_u8)
        .map(|number| {
            let (client, url, ctx) = (client.clone(), url.to_owned(), ctx.clone());
            tokio::spawn(async move {
                let piece = vec![number; 64 << 10];
                let (sender, body) = Body::channel(1);
                let call = client.request(Method::POST, &url).body(body);
                let send = async {
                    for part in piece.chunks(10_000) {
                        sender.send(part.to_vec()).await.unwrap();
                    }
                    drop(sender);
                };
                let (response, ()) =
                    tokio::join!(async { call.send(&ctx).await.unwrap().bytes().await.unwrap() }, send);
                assert!(response == piece, "{number}");
            })
        })
        .collect();
    // Nobody reads this one, and the others go on.
    drop(client.request(Method::POST, url).body(large).send(&ctx).await.unwrap());
    for task in tasks {
        task.await.unwrap();
    }
}

const NODE: &str = r#"
    const http2 = require('http2'), fs = require('fs');
    const [certificate, key] = process.argv.slice(1);
    const secure = { cert: certificate && fs.readFileSync(certificate), key: key && fs.readFileSync(key), allowHTTP1: true };
    const server = certificate ? http2.createSecureServer(secure) : http2.createServer();
    const sessions = new Map();
    server.on('session', (session) => sessions.set(session, sessions.size));
    let resets = 0;
    server.on('request', (request, response) => {
        if (request.httpVersionMajor === 1) { return response.end('old'); }
        const stream = request.stream;
        stream.on('error', () => {});
        stream.on('aborted', () => { resets += 1; });
        if (request.url === '/session') { return response.end(`${sessions.get(stream.session)} ${resets}`); }
        if (request.url === '/never') { return; }
        if (request.url === '/hints') {
            response.writeEarlyHints({ link: '</x>; rel=preload' });
            response.setTrailer('x-end', 'yes');
            return response.end('hinted');
        }
        if (request.url === '/leave') {
            response.end(`bye ${sessions.get(stream.session)}`);
            // Not close(): under load, Node 20 dies of that ("corrupted size vs. prev_size").
            return stream.session.goaway();
        }
        stream.respond({ ':status': 200 });
        stream.pipe(stream);
    });
    server.listen(0, '127.0.0.1', () => console.log(server.address().port));
"#;

fn node(words: &[&str]) -> (Peer, String) {
    let mut command = Command::new("node");
    let mut child = command.args(["-e", NODE, "--"]).args(words).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Peer(child), line.trim().to_owned())
}

async fn check_node(client: &Client, root: &str) {
    let get = async |path: &str| {
        let response = client.get(&ctx(), &format!("{root}{path}")).await.unwrap();
        assert_eq!(format!("{:?}", response.version()), "HTTP/2.0");
        response.text().await.unwrap()
    };
    assert_eq!(get("/session").await, "0 0");
    exchange(client, &format!("{root}/echo")).await;
    assert_eq!(get("/hints").await, "hinted");
    // The peer sees that we give up, and the connection goes on.
    let before: u32 = get("/session").await.strip_prefix("0 ").unwrap().parse().unwrap();
    let short = ctx().with_timeout(std::time::Duration::from_millis(200));
    assert!(client.get(&short, &format!("{root}/never")).await.unwrap_err().is_timeout());
    while get("/session").await != format!("0 {}", before + 1) {}
    // It leaves under load, and nobody loses a request: what it refused goes to another connection.
    let tasks: Vec<_> = (0..200)
        .map(|number| {
            let path = if number == 20 { "/leave" } else { "/hints" };
            let (client, url) = (client.clone(), format!("{root}{path}"));
            tokio::spawn(async move { client.get(&ctx(), &url).await.unwrap().text().await.unwrap() })
        })
        .collect();
    // Two connections carry them, and which of them it left is its own word.
    let mut left = None;
    for task in tasks {
        let text = task.await.unwrap();
        match text.strip_prefix("bye ") {
            Some(session) => left = Some(format!("{session} ")),
            None => assert_eq!(text, "hinted"),
        }
    }
    let left = left.expect("one was told to leave");
    assert!(!get("/session").await.starts_with(&left), "nothing more goes over the connection that it left");
}

#[test]
fn node_in_clear_text_is_known_beforehand_a8() {
    let (_peer, port) = node(&[]);
    let settings = ClientSettings {
        version: HttpVersion::Http2PriorKnowledge,
        environment_proxy: false,
        ..ClientSettings::default()
    };
    run(check_node(&Client::new(settings), &format!("http://127.0.0.1:{port}")));
}

#[test]
fn node_chooses_http2_by_alpn_and_http1_where_nothing_else_is_offered() {
    let secrets = Secrets::new("node");
    let (_peer, port) = node(&[&secrets.certificate(), &secrets.key()]);
    let root = format!("https://localhost:{port}");
    run(async {
        check_node(&Client::new(settings(&secrets)), &root).await;
        let old = ClientSettings { version: HttpVersion::Http1Only, ..settings(&secrets) };
        let response = Client::new(old).get(&ctx(), &root).await.unwrap();
        assert_eq!(format!("{:?}", response.version()), "HTTP/1.1");
        assert_eq!(response.text().await.unwrap(), "old");
    });
}

/// A port that was free a moment ago, for a server that cannot say which one it has.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn nghttpd(secrets: Option<&Secrets>, folder: &str, port: u16) -> Peer {
    let mut command = Command::new("nghttpd");
    command.args(["-a", "127.0.0.1", "-d", folder, "-m", "10", "--echo-upload"]);
    match secrets {
        Some(secrets) => command.args([port.to_string(), secrets.key(), secrets.certificate()]),
        None => command.args(["--no-tls".to_owned(), port.to_string()]),
    };
    let peer = Peer(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    for _ in 0..1_000 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return peer;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("nghttpd does not listen");
}

#[test]
fn nghttpd_lets_ten_streams_at_a_time_p16() {
    let secrets = Secrets::new("nghttpd");
    let folder = secrets.folder.display().to_string();
    std::fs::write(secrets.folder.join("text"), "from a file").unwrap();
    run(async {
        for is_tls in [false, true] {
            let port = free_port();
            let _peer = nghttpd(is_tls.then_some(&secrets), &folder, port);
            let version = if is_tls { HttpVersion::Negotiated } else { HttpVersion::Http2PriorKnowledge };
            let client = Client::new(ClientSettings { version, ..settings(&secrets) });
            let root =
                if is_tls { format!("https://localhost:{port}") } else { format!("http://127.0.0.1:{port}") };
            exchange(&client, &format!("{root}/text")).await;
            let tasks: Vec<_> = (0..300)
                .map(|_| {
                    let (client, url) = (client.clone(), format!("{root}/text"));
                    tokio::spawn(async move { client.get(&ctx(), &url).await.unwrap().text().await.unwrap() })
                })
                .collect();
            for task in tasks {
                assert_eq!(task.await.unwrap(), "from a file");
            }
        }
    });
}

/// Where `cargo xtask test` puts an interpreter that has h2.
const PYTHON: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/../python-h2/bin/python3");

/// Python's h2: ten streams at a time, and fewer once it is asked for that; it leaves, and wants HTTP/1.1.
fn python(secrets: &Secrets) -> (Peer, String) {
    let mut command = Command::new(PYTHON);
    command.args(["-c", include_str!("http2_peer.py"), &secrets.certificate(), &secrets.key()]);
    let mut child =
        command.stdout(Stdio::piped()).spawn().expect("cargo xtask test installs h2 for this test");
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Peer(child), line.trim().to_owned())
}

#[test]
fn pythons_h2_lowers_its_limit_leaves_under_load_and_wants_http1_pa11() {
    let secrets = Secrets::new("python");
    let (_peer, port) = python(&secrets);
    let client = Client::new(settings(&secrets));
    let root = format!("https://localhost:{port}");
    let get = async |path: &str| {
        let response = client.get(&ctx(), &format!("{root}{path}")).await.unwrap();
        (format!("{:?}", response.version()), response.text().await.unwrap())
    };
    // Requests that may not be sent twice unless nobody has looked at them.
    let load = async |special: &'static str| {
        let tasks: Vec<_> = (0..200)
            .map(|number| {
                let path = if number == 20 { special } else { "/echo" };
                let (client, url) = (client.clone(), format!("{root}{path}"));
                tokio::spawn(async move {
                    let call = client.request(Method::POST, &url).body(number.to_string());
                    (number.to_string(), call.send(&ctx()).await.unwrap().text().await.unwrap())
                })
            })
            .collect();
        for task in tasks {
            let (sent, got) = task.await.unwrap();
            assert!(got == sent || got == special, "{sent}: {got}");
        }
    };
    run(async {
        exchange(&client, &format!("{root}/echo")).await;
        load("/lower").await;
        load("/leave").await;
        assert_eq!(get("/").await, ("HTTP/2.0".to_owned(), "/".to_owned()));
        assert_eq!(get("/old").await, ("HTTP/1.1".to_owned(), "/old".to_owned()));
        assert_eq!(get("/").await, ("HTTP/1.1".to_owned(), "/".to_owned()));
    });
}

/// Our own server with TLS in a thread of its own.
pub(crate) fn served(
    secrets: &Secrets,
) -> (SocketAddr, towpath::ctx::CancelGuard, std::thread::JoinHandle<()>) {
    let (told, address) = mpsc::channel();
    let (ctx, guard) = Ctx::background().with_cancel();
    let tls = Tls::from_files(secrets.certificate(), secrets.key()).unwrap();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let router = Router::new()
            .get("/", async |_: &Ctx, request: Request| {
                format!("{:?} {}", request.version(), request.peer().address)
            })
            .post("/echo", async |_: &Ctx, request: Request| request.into_body())
            .get("/socket", async |_: &Ctx, request: Request| {
                ws::accept(request, async |ctx: &Ctx, socket: &mut ws::Socket| {
                    while let Some(message) = socket.recv(ctx).await? {
                        socket.send(ctx, message).await?;
                    }
                    Ok::<_, ws::Error>(())
                })
            });
        let limits = towpath::http::Limits { body_bytes: 64 << 20, ..Default::default() };
        let server = Server::new(router).listen_tls("127.0.0.1:0", tls).workers(2).limits(limits);
        let server = server.on_listen(move |listening| told.send(listening.address()).unwrap());
        runtime.block_on(server.serve(&ctx)).unwrap();
    });
    (address.recv().unwrap(), guard, thread)
}

#[test]
fn our_own_server_chooses_http2_and_first_requests_share_its_connection() {
    let secrets = Secrets::new("own");
    let (address, guard, thread) = served(&secrets);
    let root = format!("https://localhost:{}", address.port());
    let client = Client::new(settings(&secrets));
    let fetch = async |client: &Client| client.get(&ctx(), &root).await.unwrap().text().await.unwrap();
    run(async {
        // Nobody knows yet what the origin chooses.
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let (client, root) = (client.clone(), root.clone());
                tokio::spawn(async move { client.get(&ctx(), &root).await.unwrap().text().await.unwrap() })
            })
            .collect();
        let mut peers = HashSet::new();
        for task in tasks {
            peers.insert(task.await.unwrap());
        }
        assert_eq!(peers.len(), 1, "one connection, one handshake: {peers:?}");
        assert!(peers.iter().all(|peer| peer.starts_with("HTTP/2.0 ")), "{peers:?}");
        exchange(&client, &format!("{root}/echo")).await;
        let old = ClientSettings { version: HttpVersion::Http1Only, ..settings(&secrets) };
        assert!(fetch(&Client::new(old)).await.starts_with("HTTP/1.1 "));
    });
    // The runtime that had the connection is gone. Another opens its own.
    assert!(run(fetch(&client)).starts_with("HTTP/2.0 "));
    guard.cancel("over");
    thread.join().unwrap();
}

#[test]
fn a_websocket_is_opened_over_tls_by_http1() {
    let secrets = Secrets::new("wss");
    let (address, guard, thread) = served(&secrets);
    let alpn = vec![tls::ALPN_HTTP1.to_vec()];
    let authorities = Some(secrets.authorities.clone());
    let tls = tls::Client::new(tls::ClientSettings { authorities, identity: None, alpn }).unwrap();
    run(async {
        let options = ws::Options { tls: Some(std::sync::Arc::new(tls)), ..ws::Options::default() };
        let url = format!("wss://localhost:{}/socket", address.port());
        let mut socket = options.connect(&ctx(), &url).await.unwrap();
        for text in ["one", "two"] {
            socket.send(&ctx(), text).await.unwrap();
            let message = socket.recv(&ctx()).await.unwrap().unwrap();
            assert_eq!(format!("{message:?}"), format!("{:?}", ws::Message::from(text)));
        }
        drop(socket);
        // Whom nobody has signed is nobody.
        let error = ws::connect(&ctx(), &url).await.unwrap_err();
        assert!(error.to_string().contains("localhost"), "{error}");
    });
    guard.cancel("over");
    thread.join().unwrap();
}
