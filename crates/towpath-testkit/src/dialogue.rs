//! A wire test as a text.
//!
//! ```text
//! client> GET /a HTTP/1.1            a party sends: the line and CR LF
//! client> host: h
//! client>
//! origin< (connected)                what the parties saw then; the test compares these
//! origin< GET /a HTTP/1.1
//! origin< host: h
//! origin<
//!
//! wait 9s                            time passes
//! # the origin gives up              a remark
//! origin> (reset)
//! client< HTTP/1.1 502 Bad Gateway
//! ```
//!
//! A party's lines that follow each other are one send; after each of them, and after each other step, everybody comes
//! to rest. `proxy: order` is for the proxy under test. Lines are those of [`crate::wire`], for a party whose label ends
//! in `h2` those of [`crate::frames`], and these:
//!
//! | line | meaning |
//! |---|---|
//! | `> (end)`, `> (close)`, `> (reset)` | ends the sending direction; both; with a reset |
//! | `> (stop reading)`, `> (read)` | leaves what comes unread; takes it again |
//! | `> (listen)`, `> (refuse)`, `> (black hole)` | for an origin by its name: how it takes new connections |
//! | `> (connect other)` | for a client: connects to the listener of that name |
//! | `< (connected)`, `< (end)`, `< (reset)`, `< (refused)` | the other side's doing |

use std::borrow::Cow;
use std::collections::HashMap;
use std::panic::Location;
use std::time::Duration;

use tokio::time::sleep;

use crate::frames::Frames;
use crate::snapshot;
use crate::stage::{Seen, Stage, run};
use crate::wire;

/// How often [`check_torn`] tears what is sent into other pieces.
const TORN_COUNT: u64 = 6;

/// The proxy under test.
pub trait Proxy {
    /// Does what a line `proxy: order` says. What it returns is written below that line.
    ///
    /// # Panics
    /// When there is no such order: the test is wrong.
    fn order(&mut self, order: &str) -> String;
}

/// Plays `dialogue`, which is a raw string literal in the caller's source, with the proxy that `start` brings up.
///
/// # Panics
/// When a party sees anything else than what is written.
#[track_caller]
pub fn check<P: Proxy>(start: impl Fn(&Stage) -> P, dialogue: &str) {
    let found = run(play(Stage::default(), start, dialogue));
    snapshot::compare(dialogue, &found, "the dialogue went otherwise", Location::caller());
}

/// What becomes of `dialogue`, for tests whose text would be too long to write down.
pub fn transcript<P: Proxy>(start: impl Fn(&Stage) -> P, dialogue: &str) -> String {
    run(play(Stage::default(), start, dialogue))
}

/// Like [`check`], and once more for each of some seeds with everything that is sent torn into pieces: nobody may see a
/// difference.
///
/// # Panics
/// When a party sees anything else than what is written; the seed is told.
#[track_caller]
pub fn check_torn<P: Proxy>(start: impl Fn(&Stage) -> P, dialogue: &str) {
    let whole = run(play(Stage::default(), &start, dialogue));
    snapshot::compare(dialogue, &whole, "the dialogue went otherwise", Location::caller());
    for seed in 0..TORN_COUNT {
        let torn = run(play(Stage::torn(seed), &start, dialogue));
        let context = format!("in pieces the dialogue went otherwise, seed {seed}");
        snapshot::compare_again(&whole, &torn, &context, Location::caller());
    }
}

/// Plays the steps of `dialogue` and writes them down with what was seen after each.
async fn play<P: Proxy>(stage: Stage, start: impl FnOnce(&Stage) -> P, dialogue: &str) -> String {
    let mut proxy = start(&stage);
    stage.settle().await;
    let mut transcript = String::new();
    let mut tongues = Tongues::default();
    let dialogue = snapshot::dedent(dialogue);
    let mut steps = dialogue.lines().filter(|line| Said::of(line) != Said::Seen).peekable();
    while let Some(line) = steps.next() {
        push(&mut transcript, line);
        match Said::of(line) {
            Said::Nothing => continue,
            Said::Sends { label, text } => {
                let mut bytes = tongues.bytes_of(label, text);
                while let Some(next) = steps.next_if(|next| Said::of(next).is_more_of(label)) {
                    push(&mut transcript, next);
                    bytes.extend(tongues.bytes_of(label, Said::of(next).text()));
                }
                stage.send(label, &bytes).await;
            }
            Said::Acts { label, act } => acts(&stage, label, act).await,
            Said::Waits(time) => sleep(time).await,
            Said::Orders(order) => {
                let answer = proxy.order(order);
                stage.settle().await;
                answer.lines().for_each(|line| push(&mut transcript, &format!("proxy< {line}")));
            }
            Said::Seen => {}
        }
        stage.settle().await;
        write_seen(&stage, &mut tongues, &mut transcript);
    }
    transcript
}

async fn acts(stage: &Stage, label: &str, act: &str) {
    match act {
        "end" => stage.end(label).await,
        "close" => stage.close(label),
        "reset" => stage.reset(label),
        "stop reading" => stage.read(label, false).await,
        "read" => stage.read(label, true).await,
        "listen" => stage.listen(label),
        "refuse" => stage.refuse(label).await,
        "black hole" => stage.black_hole(label),
        _ => match act.strip_prefix("connect") {
            Some("") => stage.connect(label, crate::stage::PROXY).await,
            Some(listener) => stage.connect(label, listener.trim()).await,
            None => panic!("{label} cannot {act}"),
        },
    }
}

/// What the parties speak, by label: HTTP/2 has a state.
#[derive(Default)]
struct Tongues(HashMap<String, (Frames, Vec<u8>)>);

impl Tongues {
    fn frames(&mut self, label: &str) -> Option<&mut (Frames, Vec<u8>)> {
        let is_h2 = label.split('#').next().is_some_and(|name| name.ends_with("h2"));
        is_h2.then(|| self.0.entry(label.to_owned()).or_default())
    }

    fn bytes_of(&mut self, label: &str, line: &str) -> Vec<u8> {
        match self.frames(label) {
            Some((frames, _)) => frames.bytes_of(line),
            None => wire::line_bytes(line),
        }
    }

    fn lines(&mut self, label: &str, bytes: &[u8]) -> Vec<String> {
        let Some((frames, unread)) = self.frames(label) else { return wire::lines(bytes) };
        unread.extend_from_slice(bytes);
        frames.take_lines(unread)
    }
}

fn write_seen(stage: &Stage, tongues: &mut Tongues, transcript: &mut String) {
    for (label, seen) in stage.seen() {
        let lines = match seen {
            Seen::Connected => vec!["(connected)".to_owned()],
            Seen::Refused => vec!["(refused)".to_owned()],
            Seen::End => vec!["(end)".to_owned()],
            Seen::Reset => vec!["(reset)".to_owned()],
            Seen::Bytes(bytes) => tongues.lines(&label, &bytes),
        };
        for line in lines {
            push(transcript, format!("{label}< {}", stable(&line)).trim_end());
        }
    }
}

fn push(transcript: &mut String, line: &str) {
    transcript.push_str(line);
    transcript.push('\n');
}

/// The line without what differs from run to run: the date of an answer (RFC 9110 §5.6.7 has one length for it).
fn stable(line: &str) -> Cow<'_, str> {
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    let Some(start) =
        ["date: ", "Date: ", " | date "].iter().find_map(|name| Some(line.find(name)? + name.len()))
    else {
        return line.into();
    };
    match line.get(start..start + DATE.len()) {
        Some(date) if date.ends_with(" GMT") => line.replace(date, "(now)").into(),
        _ => line.into(),
    }
}

/// What one line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said<'d> {
    /// An empty line or a remark.
    Nothing,
    Sends {
        label: &'d str,
        text: &'d str,
    },
    Acts {
        label: &'d str,
        act: &'d str,
    },
    Waits(Duration),
    Orders(&'d str),
    /// Not a step: what somebody is expected to see.
    Seen,
}

impl<'d> Said<'d> {
    fn of(line: &'d str) -> Self {
        if line.is_empty() || line.starts_with('#') {
            return Self::Nothing;
        }
        if let Some(order) = line.strip_prefix("proxy:") {
            return Self::Orders(order.trim());
        }
        if let Some(time) = line.strip_prefix("wait ") {
            return Self::Waits(duration(time.trim()));
        }
        let end = line.find(['<', '>']).unwrap_or_else(|| panic!("nobody says this: {line}"));
        let (label, said) = line.split_at(end);
        let text = said[1..].strip_prefix(' ').unwrap_or_default();
        let act = text.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
        match act.filter(|act| !act.contains(" * ")) {
            _ if said.starts_with('<') => Self::Seen,
            Some(act) => Self::Acts { label, act },
            None => Self::Sends { label, text },
        }
    }

    fn is_more_of(self, sender: &str) -> bool {
        matches!(self, Self::Sends { label, .. } if label == sender)
    }

    fn text(self) -> &'d str {
        if let Self::Sends { text, .. } = self { text } else { "" }
    }
}

fn duration(text: &str) -> Duration {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = number.parse().unwrap_or_else(|_| panic!("no time: {text}"));
    match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(60 * number),
        _ => panic!("no unit of time: {text}"),
    }
}
