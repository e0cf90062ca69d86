//! Many requests, one line each: what came of it, and the bytes.
//!
//! ```text
//! 200 open, origin: GET /                            <- GET / HTTP/1.1\r\nhost: h\r\n\r\n
//! 400 bad_request_framing closed                     <- POST / HTTP/1.1\r\nhost: h\r\ncontent-length: +5\r\n\r\n
//! ```

use std::panic::Location;
use std::time::Duration;

use tokio::time::sleep;
use towpath_testkit::{Seen, Stage, run, snapshot, wire};

use crate::gateway::Gateway;
use crate::strict::{Request, take_request};

/// Tries each line's bytes on a connection of its own, whole and in pieces, and compares what came of them.
#[track_caller]
pub(crate) fn check(gateway: impl Fn() -> Gateway, table: &str) {
    let caller = Location::caller();
    let mut found = String::new();
    for line in snapshot::dedent(table).lines() {
        let Some((_, text)) = line.rsplit_once("<- ") else {
            found += &format!("{line}\n");
            continue;
        };
        let bytes = wire::bytes(text);
        let verdict = outcome(gateway(), &bytes, None).to_string();
        for seed in 0..3 {
            let torn = outcome(gateway(), &bytes, Some(seed)).to_string();
            assert_eq!(torn, verdict, "{caller}: in pieces, seed {seed}: {text}");
        }
        found += &format!("{verdict:48} <- {text}\n");
    }
    snapshot::compare(table, &found, "a request went otherwise", caller);
}

/// What came of some bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Everything the client got.
    pub(crate) received: Vec<u8>,
    /// Whether the gateway ended the client's connection.
    pub(crate) is_closed: bool,
    /// What the origin understood, over all its connections.
    pub(crate) requests: Vec<Request>,
    /// The connections they came on, in the same order.
    pub(crate) seen_by: Vec<String>,
    /// Bytes at the origin that are no whole request.
    pub(crate) left: usize,
}

/// Sends `bytes` on one connection. The origin answers each request that it understands with 200.
pub(crate) fn outcome(gateway: Gateway, bytes: &[u8], seed: Option<u64>) -> Outcome {
    run(async {
        let stage = seed.map_or_else(Stage::default, Stage::torn);
        let _gateway = gateway.start(&stage);
        stage.settle().await;
        exchange(&stage, bytes).await
    })
}

async fn exchange(stage: &Stage, bytes: &[u8]) -> Outcome {
    let mut outcome = Outcome::default();
    let mut inputs: Vec<(String, Vec<u8>)> = Vec::new();
    stage.send("client", bytes).await;
    // Each turn answers what the last one brought; a gateway that never came to rest would be a fault of its own.
    for _ in 0..1000 {
        stage.settle().await;
        let seen = stage.seen();
        if seen.is_empty() {
            break;
        }
        for (label, seen) in seen {
            match (&*label, seen) {
                ("client", Seen::Bytes(bytes)) => outcome.received.extend(bytes),
                ("client", Seen::End | Seen::Reset) => outcome.is_closed = true,
                (origin, Seen::Bytes(bytes)) => {
                    let position =
                        inputs.iter().position(|(known, _)| known == origin).unwrap_or_else(|| {
                            inputs.push((origin.to_owned(), Vec::new()));
                            inputs.len() - 1
                        });
                    inputs[position].1.extend(bytes);
                    while let Some(request) = take_request(&mut inputs[position].1) {
                        stage.send(origin, &answer(&request)).await;
                        outcome.requests.push(request);
                        outcome.seen_by.push(origin.to_owned());
                    }
                }
                _ => {}
            }
        }
    }
    outcome.left = inputs.iter().map(|(_, left)| left.len()).sum();
    outcome
}

fn answer(request: &Request) -> Vec<u8> {
    let body = if request.method == "HEAD" { "" } else { "ok" };
    format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{body}").into_bytes()
}

impl Outcome {
    /// The final answers: status, and the reason if the gateway gave one.
    pub(crate) fn answers(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.received);
        // Neither the origin nor a reason says this, so each is the begin of an answer.
        let answers = text.split("HTTP/1.1 ").skip(1);
        answers
            .filter_map(|answer| {
                let status = answer.get(..3).filter(|status| !status.starts_with('1'))?;
                let reason = answer.split_once("details=\"").and_then(|(_, rest)| rest.split_once('"'));
                Some(reason.map_or(status.to_owned(), |(reason, _)| format!("{status} {reason}")))
            })
            .collect()
    }

    /// Everything that another reader could read otherwise, or that somebody saw too much of.
    pub(crate) fn hazards(&self) -> Vec<&'static str> {
        let mut hazards: Vec<_> = self.requests.iter().flat_map(|request| request.hazards.clone()).collect();
        if self.requests.len() > self.answers().len() {
            hazards.push("origin-saw-more");
        }
        if self.left > 0 {
            hazards.push("partial-left");
        }
        hazards
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let answers = if self.answers().is_empty() { "waits".to_owned() } else { self.answers().join(", ") };
        write!(f, "{answers} {}", if self.is_closed { "closed" } else { "open" })?;
        let seen: Vec<String> =
            self.requests.iter().map(|seen| format!("{} {}", seen.method, seen.target)).collect();
        if !seen.is_empty() {
            write!(f, ", origin: {}", seen.join(", "))?;
        }
        // What is left of a request that was refused in its body hurts nobody: the connection is closed behind it.
        for hazard in self.hazards().into_iter().filter(|&hazard| hazard != "partial-left") {
            write!(f, " !{hazard}")?;
        }
        Ok(())
    }
}

/// How long a test waits so that every deadline has passed.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// As [`outcome`], but the client ends its side, or the clock runs on, until the gateway has decided.
pub(crate) fn final_outcome(gateway: Gateway, bytes: &[u8]) -> Outcome {
    run(async {
        let stage = Stage::default();
        let _gateway = gateway.start(&stage);
        stage.settle().await;
        let mut outcome = exchange(&stage, bytes).await;
        sleep(LONG).await;
        for (label, seen) in stage.seen() {
            match (&*label, seen) {
                ("client", Seen::Bytes(bytes)) => outcome.received.extend(bytes),
                ("client", Seen::End | Seen::Reset) => outcome.is_closed = true,
                (_, Seen::Bytes(bytes)) => outcome.left += bytes.len(),
                _ => {}
            }
        }
        outcome
    })
}
