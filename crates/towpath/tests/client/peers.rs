//! Real servers, real sockets, real threads.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use towpath::Ctx;
use towpath::http::{Client, ClientSettings, Request, Router, Server};
use towpath::net::{Conn, Error, tls};
use towpath::tcp;

fn ctx() -> Ctx {
    Ctx::background().with_timeout(Duration::from_secs(60))
}

/// A child that ends with its test.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn client() -> Client {
    Client::new(ClientSettings { environment_proxy: false, ..ClientSettings::default() })
}

/// Python's server speaks HTTP/1.0 and ends each connection.
#[test]
fn pythons_server_is_understood_s13() {
    let script = "import http.server, os; os.chdir('/'); \
                  s = http.server.HTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler); \
                  print(s.server_address[1], flush=True); s.serve_forever()";
    let mut command = Command::new("python3");
    let mut child =
        command.args(["-c", script]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let _peer = Peer(child);
    let url = format!("http://127.0.0.1:{}/etc/hostname", line.trim());
    let expected = std::fs::read_to_string("/etc/hostname").unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let text = runtime.block_on(async {
        let client = client();
        let first = client.get(&ctx(), &url).await.unwrap().text().await.unwrap();
        let second = client.get(&ctx(), &url).await.unwrap();
        assert_eq!(second.text().await.unwrap(), first);
        first
    });
    assert_eq!(text, expected);
}

/// Our own server in a thread of its own; its address.
fn served() -> (SocketAddr, towpath::ctx::Canceler, std::thread::JoinHandle<()>) {
    let (told, address) = mpsc::channel();
    let (ctx, guard) = Ctx::background().with_cancel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let router =
            Router::new().get("/", async |_: &Ctx, request: Request| request.peer().address.to_string());
        let server = Server::new(router).listen("127.0.0.1:0").workers(2);
        let server = server.on_listen(move |listening| told.send(listening.address()).unwrap());
        runtime.block_on(server.serve(&ctx)).unwrap();
    });
    (address.recv().unwrap(), guard.disarm(), thread)
}

#[test]
fn one_client_serves_every_runtime_and_its_connections_move_p03() {
    let (address, stop, server) = served();
    let url = format!("http://{address}/");
    let client = client();
    let get = async |client: &Client| client.get(&ctx(), &url).await.unwrap().text().await.unwrap();
    let many = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let first = many.block_on(get(&client));
    let one =
        tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default()).unwrap();
    let second = one.block_on(get(&client));
    // The runtime that the connection was made in may end: it has moved.
    drop(many);
    let third = one.block_on(get(&client));
    assert_eq!((&first, &first), (&second, &third), "one connection for all");
    // From tasks of several threads at once.
    let many = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    many.block_on(async {
        let tasks: Vec<_> = (0..200)
            .map(|_| {
                let (client, url) = (client.clone(), url.clone());
                tokio::spawn(async move { client.get(&ctx(), &url).await.unwrap().text().await.unwrap() })
            })
            .collect();
        let mut peers = std::collections::HashSet::new();
        for task in tasks {
            peers.insert(task.await.unwrap());
        }
        assert!(peers.len() <= 50, "{} connections", peers.len());
    });
    client.close_idle();
    stop.cancel("over");
    server.join().unwrap();
}

#[test]
fn a_dead_idle_connection_is_closed_at_once_p13() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let serve = async {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
            stream.shutdown().await.unwrap();
            // The end comes when the client has closed its side: not in 50 s, when it would be too old.
            assert_eq!(stream.read(&mut [0; 1024]).await.unwrap(), 0);
        };
        let client = client();
        let ctx = ctx();
        let (response, ()) = tokio::join!(client.get(&ctx, &url), serve);
        assert_eq!(response.unwrap().text().await.unwrap(), "ok");
    });
}

/// nginx keeps connections, and codes what it sends.
#[test]
fn nginx_keeps_one_connection_for_a_thousand_requests_s38() {
    let folder = Command::new("mktemp").args(["-d"]).output().unwrap();
    let folder = String::from_utf8(folder.stdout).unwrap().trim().to_owned();
    let text = "something that can be made shorter, ".repeat(100);
    std::fs::write(format!("{folder}/text.txt"), &text).unwrap();
    let config = format!(
        "daemon off; master_process off; pid {folder}/pid; error_log stderr notice; events {{}} http {{ \
         client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3; \
         uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5; access_log off; keepalive_requests 100000; \
         gzip on; gzip_min_length 1; gzip_types *; server {{ listen unix:{folder}/socket; root {folder}; \
         location /connection {{ return 200 $connection; }} location /moved {{ return 301 /text.txt; }} }} }}"
    );
    let file = format!("{folder}/conf");
    std::fs::write(&file, config).unwrap();
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
    let mut command = Command::new("nginx");
    command.env("PATH", path).args(["-c", &file, "-e", "stderr"]).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    // This is said behind the sockets that it opens.
    assert!(lines.by_ref().any(|line| line.unwrap().contains("OS:")), "nginx has not started");
    std::thread::spawn(|| lines.for_each(drop));
    let _peer = Peer(child);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let connect_to = vec![("nginx:80".to_owned(), format!("unix:{folder}/socket"))];
        let client =
            Client::new(ClientSettings { connect_to, environment_proxy: false, ..ClientSettings::default() });
        let get = async |path: &str| {
            client.get(&ctx(), &format!("http://nginx{path}")).await.unwrap().text().await.unwrap()
        };
        assert_eq!(get("/moved").await, text);
        let first = get("/connection").await;
        for _ in 0..1_000 {
            assert_eq!(get("/connection").await, first);
        }
    });
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Node ends idle connections after a while that is its own, and says so.
#[test]
fn a_server_that_ends_idle_connections_loses_nobody_a_request_pa5() {
    let script = "const s = require('http').createServer((q, r) => r.end(q.url)); \
                  s.keepAliveTimeout = 1; s.keepAliveTimeoutBuffer = 0; \
                  s.listen(0, '127.0.0.1', () => console.log(s.address().port));";
    let mut child = Command::new("node").args(["-e", script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let _peer = Peer(child);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = client();
        for number in 0..300 {
            let url = format!("http://127.0.0.1:{}/{number}", line.trim());
            let text = client.get(&ctx(), &url).await.unwrap().text().await.unwrap();
            assert_eq!(text, format!("/{number}"));
            // Some of the time the server is about to end the connection in this very moment.
            tokio::time::sleep(Duration::from_micros(number * 37 % 3_000)).await;
        }
    });
}

/// One certificate for `localhost`, and a server that has it.
fn secrets() -> (tls::Authorities, tls::Server) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let der = params.self_signed(&key).unwrap().der().to_vec();
    let identity = tls::Identity::new(vec![der.clone()], key.serialize_pem().as_bytes(), None).unwrap();
    let settings = tls::ServerSettings {
        identities: vec![tls::NamedIdentity { identity, names: vec!["localhost".into()] }],
        client_auth: tls::ClientAuth::None,
        versions: tls::Versions::default(),
        suites: tls::Suites::default(),
        alpn: vec![tls::ALPN_HTTP1.to_vec()],
        policy: [0; 32],
    };
    (tls::Authorities::new(vec![der]).unwrap(), tls::Server::new(settings, &tls::TicketKeys::new()).unwrap())
}

/// Answers every request of a connection with how many there were.
async fn count(ctx: &Ctx, mut conn: Conn) -> Result<(), Error> {
    let mut requests = 0;
    loop {
        match conn.lines(1024).next(ctx).await? {
            None => return Ok(()),
            Some(line) if !line.is_empty() => continue,
            Some(_) => requests += 1,
        }
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{requests}");
        conn.write_all(ctx, answer.as_bytes()).await?;
    }
}

#[test]
fn https_is_for_the_name_that_was_asked_for_t33() {
    let (authorities, server) = secrets();
    let (told, address) = mpsc::channel();
    let (serving, guard) = Ctx::background().with_cancel();
    let thread = std::thread::spawn(move || {
        let server = tcp::Server::new(count).listen("127.0.0.1:0").tls(std::sync::Arc::new(server));
        let server = server.on_listen(move |listening| told.send(listening.address()).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(server.serve(&serving)).unwrap();
    });
    let address = address.recv().unwrap().to_string();
    let connect_to = ["localhost", "other"].map(|host| (format!("{host}:443"), address.clone())).to_vec();
    let settings = ClientSettings { connect_to, environment_proxy: false, ..ClientSettings::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let trusts = Client::new(ClientSettings { authorities: Some(authorities), ..settings.clone() });
        for expected in ["1", "2", "3"] {
            let response = trusts.get(&ctx(), "https://localhost/").await.unwrap();
            assert_eq!(response.text().await.unwrap(), expected, "one connection, one handshake");
        }
        let error = trusts.get(&ctx(), "https://other/").await.unwrap_err();
        assert!(error.is_connect() && !error.is_retryable(), "{error:?}");
        // The system does not know who has signed it.
        let error = Client::new(settings).get(&ctx(), "https://localhost/").await.unwrap_err();
        assert!(error.is_connect() && !error.is_retryable(), "{error:?}");
    });
    drop(guard);
    thread.join().unwrap();
}
