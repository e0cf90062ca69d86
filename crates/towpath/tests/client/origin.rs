//! An origin in memory that answers by a script.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::spawn_local;
use towpath::Ctx;
use towpath::http::{Client, ClientSettings, Error, Response};
use towpath_net::memory;

/// What an origin has heard, one text for each request.
pub(crate) type Heard = Rc<RefCell<Vec<String>>>;

/// Ends the connection, after what was answered.
pub(crate) const CLOSE: &str = "\u{1}close";

/// Listens on `name` and answers the requests of each connection in turn. After the last answer of a connection it stays open.
pub(crate) fn origin(name: &str, connections: &[&[&str]]) -> Heard {
    let mut listener = memory::listen(name).unwrap();
    let heard = Heard::default();
    let mut scripts: Vec<Vec<String>> = connections.iter().rev().map(|answers| strings(answers)).collect();
    let told = Rc::clone(&heard);
    spawn_local(async move {
        loop {
            let end = listener.accept().await;
            let script = scripts.pop().unwrap_or_default();
            spawn_local(converse(end, script, Rc::clone(&told)));
        }
    });
    heard
}

fn strings(answers: &[&str]) -> Vec<String> {
    answers.iter().map(|answer| (*answer).to_owned()).collect()
}

async fn converse(end: memory::End, script: Vec<String>, heard: Heard) {
    let mut input = Vec::new();
    for answer in script {
        if answer == CLOSE {
            return;
        }
        let Some(request) = read_request(&end, &mut input).await else { return };
        heard.borrow_mut().push(request);
        if !write(&end, answer.as_bytes()).await {
            return;
        }
    }
    // Open until the client ends it.
    while read(&end, &mut input).await > 0 {}
}

/// A head, and the body that it announces.
async fn read_request(end: &memory::End, input: &mut Vec<u8>) -> Option<String> {
    loop {
        let text = String::from_utf8_lossy(input).into_owned();
        if let Some((head, rest)) = text.split_once("\r\n\r\n") {
            let lower = head.to_ascii_lowercase();
            let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let whole = match length {
                Some(length) => (rest.len() >= length).then_some(length),
                None if lower.contains("transfer-encoding: chunked") => {
                    rest.find("0\r\n\r\n").map(|at| at + 5)
                }
                None => Some(0),
            };
            // Who waits to be told gets his answer before the body.
            let whole = if lower.contains("expect: 100-continue") { whole.or(Some(0)) } else { whole };
            if let Some(body) = whole {
                input.drain(..head.len() + 4 + body);
                return Some(text[..head.len() + 4 + body].to_owned());
            }
        }
        if read(end, input).await == 0 {
            return None;
        }
    }
}

async fn read(end: &memory::End, input: &mut Vec<u8>) -> usize {
    let mut room = [0; 16 * 1024];
    let count = poll_fn(|cx| end.poll_read(cx, &mut room)).await.unwrap_or(0);
    input.extend_from_slice(&room[..count]);
    count
}

async fn write(end: &memory::End, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match poll_fn(|cx| end.poll_write(cx, bytes)).await {
            Ok(count) => bytes = &bytes[count..],
            Err(_) => return false,
        }
    }
    true
}

/// A client for whom the hosts `a` and `b` are the origins of these names.
pub(crate) fn client(change: impl FnOnce(ClientSettings) -> ClientSettings) -> Client {
    let connect_to = ["a", "b"].map(|host| (format!("{host}:80"), format!("memory:{host}"))).to_vec();
    let settings = ClientSettings { connect_to, environment_proxy: false, ..ClientSettings::default() };
    Client::new(change(settings))
}

pub(crate) fn ctx() -> Ctx {
    Ctx::background().with_timeout(Duration::from_secs(600))
}

/// Runs `scene` in a runtime of one thread whose clock stands still.
pub(crate) fn run<F: Future>(scene: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).build_local(Default::default()).unwrap().block_on(scene)
}

/// `200 text`, or what went wrong and which of the questions say so.
pub(crate) async fn told(outcome: Result<Response, Error>) -> String {
    let error = match outcome {
        Ok(response) => {
            let status = response.status().as_u16();
            match response.text().await {
                Ok(text) => return format!("{status} {text}"),
                Err(error) => error,
            }
        }
        Err(error) => error,
    };
    let questions = [
        (error.is_limit(), "limit"),
        (error.is_disconnected(), "disconnected"),
        (error.is_timeout(), "timeout"),
        (error.is_protocol(), "protocol"),
        (error.is_connect(), "connect"),
        (error.is_malformed(), "malformed"),
        (error.is_canceled(), "canceled"),
    ];
    let words: Vec<&str> = questions.iter().filter(|(is_so, _)| *is_so).map(|(_, word)| *word).collect();
    format!("{}: {error}", words.join("+"))
}
