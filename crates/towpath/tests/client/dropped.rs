//! A caller that is dropped after any number of polls leaves nothing behind: its connection goes back, or is closed and
//! gives its place to the next (P6, P9).

use std::time::Duration;

use tokio::time::sleep;
use towpath::http::{Client, ClientSettings, Error, Method};
use towpath::pool::PoolConfig;
use towpath_testkit::polls::{after_every_poll, polled};

use crate::origin::{client, ctx, origin, run, told};

const OK: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";

/// One connection at a time: whoever keeps it keeps all others waiting.
fn alone() -> Client {
    let pool = PoolConfig { max_connections: Some(1), ..PoolConfig::default() };
    client(|settings| ClientSettings { pool, ..settings })
}

/// Drops what `call` makes after each number of polls, on a fresh connection and on a kept one, and asks again then.
fn may_be_dropped<F: Future<Output = Result<String, Error>>>(call: impl Fn(Client) -> F) {
    for is_kept in [false, true] {
        after_every_poll(|polls| {
            run(async {
                let answers = [OK; 4];
                origin("a", &[&answers, &answers, &answers]);
                let client = alone();
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

#[test]
fn p06_a_request_may_be_dropped_after_every_poll() {
    may_be_dropped(async |client| client.get(&ctx(), "http://a/").await?.text().await);
}

#[test]
fn p06_an_upload_may_be_dropped_after_every_poll() {
    may_be_dropped(async |client: Client| {
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
    });
}
