//! A caller that is dropped after any number of polls leaves nothing behind: its connection goes back, or is closed and
//! gives its place to the next (P6, P9); one of HTTP/2 goes on with the requests of others (R32).

use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::sleep;
use towpath::http::{Client, ClientSettings, Error, Method};
use towpath::pool::PoolConfig;
use towpath_proto::h2::StreamId;
use towpath_testkit::polls::{after_every_poll, polled};

use crate::origin::{client, ctx, origin, run, told};
use crate::peer::{self, Heard, Peer};

const OK: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";

/// One connection at a time: whoever keeps it keeps all others waiting.
fn alone(settings: ClientSettings) -> ClientSettings {
    ClientSettings { pool: PoolConfig { max_connections: Some(1), ..PoolConfig::default() }, ..settings }
}

/// Drops what `call` makes after each number of polls, on a fresh connection and on a kept one, and asks again then.
fn may_be_dropped<F: Future<Output = Result<String, Error>>>(call: impl Fn(Client) -> F) {
    for is_kept in [false, true] {
        after_every_poll(|polls| {
            run(async {
                let answers = [OK; 4];
                origin("a", &[&answers, &answers, &answers]);
                let client = client(alone);
                if is_kept {
                    assert_eq!(told(client.get(&ctx(), "http://a/").await).await, "200 ok");
                }
                let outcome = polled(call(client.clone()), polls).await;
                let next =
                    tokio::time::timeout(Duration::from_secs(5), client.get(&ctx(), "http://a/")).await;
                assert_eq!(told(next.expect("the place is free")).await, "200 ok", "after {polls} polls");
                outcome.map(|outcome| assert_eq!(outcome.unwrap(), "ok")).is_some()
            })
        });
    }
}

/// Answers `/held` when somebody asks for `/go`, and all others with `ok` in two parts, uploads once they are complete. To
/// the end of the connection; how many streams are left then.
async fn serve(mut peer: Peer) -> usize {
    let (mut held, mut upload): (Vec<StreamId>, Option<StreamId>) = Default::default();
    loop {
        let answered = match peer.next().await {
            Heard::Request(stream, text) if text.starts_with("GET /held") => {
                held.push(stream);
                continue;
            }
            Heard::Request(stream, text) if text.starts_with("GET /go") => {
                for stream in held.drain(..) {
                    peer.answer(stream, "held").await;
                }
                stream
            }
            Heard::Request(stream, text) if text.starts_with("PUT") => {
                upload = Some(stream);
                continue;
            }
            Heard::Request(stream, _) => stream,
            Heard::Data(_, _, true) | Heard::End => match upload.take() {
                Some(stream) => stream,
                None => continue,
            },
            Heard::Reset(stream, _) => {
                upload.take_if(|upload| *upload == stream);
                peer.codec.finish(stream);
                continue;
            }
            Heard::Gone => return peer.codec.streams_count(),
            _ => continue,
        };
        peer.head(answered, 200, &[], false);
        peer.data(answered, b"o", false);
        peer.flush().await;
        peer.data(answered, b"k", true);
        peer.codec.finish(answered);
        peer.flush().await;
    }
}

/// The same over HTTP/2, with a request of somebody else's under way on the connection.
fn may_be_dropped_over_http2<F: Future<Output = Result<String, Error>>>(call: impl Fn(Client) -> F) {
    for is_kept in [false, true] {
        after_every_poll(|polls| {
            run(async {
                let mut listener = peer::listen("a");
                let served = spawn_local(async move {
                    let left = serve(Peer::accept(&mut listener).await).await;
                    (left, listener)
                });
                let client = peer::client(alone);
                let get = async |path: &'static str| {
                    let (client, ctx) = (client.clone(), ctx().with_timeout(Duration::from_secs(5)));
                    told(client.get(&ctx, &format!("http://a/{path}")).await).await
                };
                let held = {
                    let client = client.clone();
                    async move { told(client.get(&ctx(), "http://a/held").await).await }
                };
                // The other request has made the connection, or finds it half made.
                let (outcome, held) = if is_kept {
                    let held = spawn_local(held);
                    assert_eq!(get("").await, "200 ok");
                    (polled(call(client.clone()), polls).await, held)
                } else {
                    (polled(call(client.clone()), polls).await, spawn_local(held))
                };
                sleep(Duration::from_millis(10)).await;
                assert_eq!(get("go").await, "200 ok", "after {polls} polls");
                assert_eq!(held.await.unwrap(), "200 held", "after {polls} polls");
                client.close_idle();
                let (left, mut listener) = served.await.unwrap();
                assert_eq!(left, 0, "after {polls} polls");
                assert!(listener.accept_queued().is_none(), "there was another connection");
                outcome.map(|outcome| assert_eq!(outcome.unwrap(), "ok")).is_some()
            })
        });
    }
}

async fn request(client: Client) -> Result<String, Error> {
    client.get(&ctx(), "http://a/").await?.text().await
}

async fn upload(client: Client) -> Result<String, Error> {
    let (sender, body) = towpath::http::Body::channel(1);
    let upload = async {
        let request = client.request(Method::PUT, "http://a/").body(body);
        request.send(&ctx()).await?.text().await
    };
    let feed = async {
        for piece in ["a", "b", "c"] {
            sleep(Duration::from_millis(1)).await;
            // The origin may have answered.
            let _ = sender.send(piece).await;
        }
        drop(sender);
    };
    tokio::join!(upload, feed).0
}

#[test]
fn p06_a_request_may_be_dropped_after_every_poll() {
    may_be_dropped(request);
}

#[test]
fn p06_an_upload_may_be_dropped_after_every_poll() {
    may_be_dropped(upload);
}

#[test]
fn p06_a_request_of_http2_may_be_dropped_after_every_poll_r32() {
    may_be_dropped_over_http2(request);
}

#[test]
fn p06_an_upload_of_http2_may_be_dropped_after_every_poll_r32() {
    may_be_dropped_over_http2(upload);
}
