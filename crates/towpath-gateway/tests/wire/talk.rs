//! A dialogue of frames: what a client and an origin say to each other over a WebSocket that is open already.
//!
//! ```text
//! client> text hello                 a party sends a frame; `more`, `last`: the next and last piece of a message that
//! origin< text hello                 `first` began; `binary`, `ping`, `pong`, `close 1000 reason`; `bytes \x81`
//! origin> answer                     a pong for what the gateway asked
//! proxy: drain                       an order, as in other dialogues
//! wait 10s
//! client< close 1001 draining
//! client> (end)                      the sending direction ends; `(close)`, `(reset)`, `(stop reading)`, `(read)`
//! origin< part hel                   a message of which more has to come; what comes then is `rest`
//! ```
//!
//! Payloads are written as the testkit writes bytes. What is no frame is seen as `bytes`, and all behind it.

use std::collections::HashMap;
use std::panic::Location;
use std::time::Duration;

use tokio::time::sleep;
use towpath_proto::limits::WsLimits;
use towpath_proto::ws::{CloseCode, Decoder, Deflate, DeflatePolicy, Encoder, Event, Kind, MaskKey, Role};
use towpath_testkit::snapshot::{compare, dedent};
use towpath_testkit::{Proxy, Seen, Stage, run, wire};

use crate::gateway::{Gateway, Running};

const KEY: MaskKey = [0x37, 0xFA, 0x21, 0x3D];

/// Plays `dialogue` over a WebSocket through this gateway.
#[track_caller]
pub(crate) fn talk(gateway: impl FnOnce() -> Gateway, dialogue: &str) {
    talk_with(gateway, "", dialogue);
}

/// The same where the origin's answer has one more line.
#[track_caller]
pub(crate) fn talk_with(gateway: impl FnOnce() -> Gateway, answer: &str, dialogue: &str) {
    let found = run(play(gateway, answer, dialogue));
    compare(dialogue, &found, "the dialogue went otherwise", Location::caller());
}

async fn play(gateway: impl FnOnce() -> Gateway, answer: &str, dialogue: &str) -> String {
    let stage = Stage::default();
    let mut talk =
        Talk { running: gateway().start(&stage), stage, ends: HashMap::new(), transcript: Vec::new() };
    talk.open(answer).await;
    for line in dedent(dialogue).lines().filter(|line| !is_seen(line)) {
        talk.transcript.push(line.to_owned());
        talk.step(line).await;
        talk.stage.settle().await;
        talk.write_seen();
    }
    talk.transcript.join("\n")
}

fn is_seen(line: &str) -> bool {
    line.split_once(['<', '>', ':', '#']).is_some_and(|(label, _)| line[label.len()..].starts_with('<'))
}

struct Talk {
    running: Running,
    stage: Stage,
    ends: HashMap<&'static str, End>,
    transcript: Vec<String>,
}

/// One party's frames, written and read.
struct End {
    encoder: Encoder,
    decoder: Option<Decoder>,
    input: Vec<u8>,
    inflated: Vec<u8>,
    /// What the gateway asked last.
    question: Vec<u8>,
    /// The message that comes, and whether a part of it has been told.
    message: Option<(Kind, Vec<u8>, bool)>,
}

impl End {
    fn new(role: Role, deflate: Option<&Deflate>) -> Self {
        Self {
            encoder: Encoder::new(role, None),
            decoder: Some(Decoder::new(role, WsLimits::default(), deflate)),
            input: Vec::new(),
            inflated: Vec::new(),
            question: Vec::new(),
            message: None,
        }
    }

    fn frame(&mut self, verb: &str, rest: &str) -> Vec<u8> {
        let (mut out, payload) = (Vec::new(), wire::bytes(rest));
        let encoder = &mut self.encoder;
        match verb {
            "text" => encoder.message(&mut out, Kind::Text, &payload, KEY),
            "binary" => encoder.message(&mut out, Kind::Binary, &payload, KEY),
            "first" | "more" => encoder.fragment(&mut out, Kind::Text, &payload, false, KEY),
            "last" => encoder.fragment(&mut out, Kind::Text, &payload, true, KEY),
            "ping" => encoder.ping(&mut out, &payload, KEY).expect("a short payload"),
            "answer" => encoder.pong(&mut out, &self.question, KEY).expect("a short payload"),
            "pong" => encoder.pong(&mut out, &payload, KEY).expect("a short payload"),
            "close" => {
                let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
                let code = code.parse().ok().and_then(CloseCode::new);
                encoder.close(&mut out, code, reason, KEY);
            }
            "bytes" => out = payload,
            _ => panic!("no such frame: {verb}"),
        }
        out
    }

    /// What `bytes` say.
    fn read(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut said = Vec::new();
        self.input.extend_from_slice(bytes);
        while let Some(decoder) = &mut self.decoder {
            let before = self.input.clone();
            match decoder.handle_input(&mut self.input, &mut self.inflated) {
                Ok(step) => {
                    let is_over = step.event.is_none();
                    said.extend(step.event.and_then(|event| self.note(event)));
                    self.input.drain(..step.consumed);
                    if is_over {
                        break;
                    }
                }
                Err(_) => (self.decoder, self.input) = (None, before),
            }
        }
        match &mut self.message {
            Some((_, data, is_told)) if !data.is_empty() => {
                said.push(format!("part {}", wire::text(data)));
                (*is_told, *data) = (true, Vec::new());
            }
            _ => {}
        }
        if self.decoder.is_none() && !self.input.is_empty() {
            said.push(format!("bytes {}", wire::text(&std::mem::take(&mut self.input))));
        }
        said
    }

    fn note(&mut self, event: Event) -> Option<String> {
        match event {
            Event::MessageStart { kind, .. } => self.message = Some((kind, Vec::new(), false)),
            Event::Data(range) => {
                if let Some((_, data, _)) = &mut self.message {
                    data.extend_from_slice(&self.input[range]);
                }
            }
            Event::MessageEnd => {
                let (kind, data, is_told) = self.message.take()?;
                let word = match kind {
                    _ if is_told => "rest",
                    Kind::Text => "text",
                    Kind::Binary => "binary",
                };
                return Some(format!("{word} {}", wire::text(&data)));
            }
            // What the gateway asks is drawn by chance.
            Event::Ping(control) if control.as_bytes().len() == 8 => {
                self.question = control.as_bytes().to_vec();
                return Some("ping (ours)".to_owned());
            }
            Event::Ping(control) => return Some(format!("ping {}", wire::text(control.as_bytes()))),
            Event::Pong(control) => return Some(format!("pong {}", wire::text(control.as_bytes()))),
            Event::Close(close) => {
                let code = close.code().map_or(String::new(), |code| code.number().to_string());
                return Some(format!("close {code} {}", close.reason()));
            }
            Event::Inflated(_) => {
                if let Some((_, data, _)) = &mut self.message {
                    data.append(&mut self.inflated);
                }
            }
        }
        None
    }
}

impl Talk {
    /// Brings the WebSocket up; what is seen of that is not told.
    async fn open(&mut self, answer: &str) {
        let offer = answer.strip_prefix("sec-websocket-extensions: ");
        let policy = DeflatePolicy::default();
        let deflate = offer.and_then(|offer| policy.accept([offer.trim().as_bytes()]).expect("a list"));
        for (label, role) in [("client", Role::Client), ("origin", Role::Server)] {
            self.ends.insert(label, End::new(role, deflate.as_ref()));
        }
        let request = "GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
        self.stage.send("client", request.as_bytes()).await;
        self.stage.settle().await;
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n{answer}\r\n"
        );
        self.stage.send("origin", answer.as_bytes()).await;
        self.stage.settle().await;
        self.stage.seen();
    }

    async fn step(&mut self, line: &str) {
        if line.is_empty() || line.starts_with('#') {
            return;
        }
        if let Some(order) = line.strip_prefix("proxy: ") {
            let answer = self.running.order(order);
            self.transcript.extend(answer.lines().map(|line| format!("proxy< {line}")));
            return;
        }
        if let Some(time) = line.strip_prefix("wait ") {
            let seconds = time.strip_suffix('s').and_then(|count| count.parse().ok());
            return sleep(Duration::from_secs(seconds.expect("a number of seconds"))).await;
        }
        let (label, said) = line.split_once("> ").expect("somebody says something");
        match said {
            "(end)" => self.stage.end(label).await,
            "(close)" => self.stage.close(label),
            "(reset)" => self.stage.reset(label),
            "(stop reading)" => self.stage.read(label, false).await,
            "(read)" => self.stage.read(label, true).await,
            said => {
                let (verb, rest) = said.split_once(' ').unwrap_or((said, ""));
                let frame = self.ends.get_mut(label).expect("a party").frame(verb, rest);
                self.stage.send(label, &frame).await;
            }
        }
    }

    fn write_seen(&mut self) {
        for (label, seen) in self.stage.seen() {
            let said = match (seen, self.ends.get_mut(&*label)) {
                (Seen::Bytes(bytes), Some(end)) => end.read(&bytes),
                (Seen::End, _) => vec!["(end)".to_owned()],
                (Seen::Reset, _) => vec!["(reset)".to_owned()],
                (seen, _) => vec![format!("{seen:?}")],
            };
            self.transcript.extend(said.iter().map(|said| format!("{label}< {said}").trim_end().to_owned()));
        }
    }
}
