//! A log, told as a handshake.

use std::collections::VecDeque;
use std::fmt::Write;

use towpath_proto::tls_messages::{
    Hello, Message, MessageJoiner, Record, RecordKind, alert_name, extension_name, group_name, scheme_name,
    suite_name, version_name,
};

use super::chain;
use super::line;
use super::log::{Direction, Event, Log, Plain};

/// RFC 7301 §3.1.
const EXTENSION_ALPN: u16 = 16;

const TLS13: u16 = 0x0304;

/// Where a list of names is broken.
const COLUMNS: usize = 100;

/// What there is to tell.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// The messages, in order.
    pub(super) text: String,
    /// How often the client waited for an answer before it could have sent a request.
    pub(super) round_trips: usize,
    pub(super) sent: Traffic,
    pub(super) received: Traffic,
    /// What the server said if that was not TLS.
    pub(super) not_tls: Option<Vec<u8>>,
}

/// What went in one direction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

/// Reads events in order.
struct Teller {
    story: Story,
    client: Side,
    server: Side,
    /// What the server chose, once it has.
    version: Option<u16>,
}

/// One direction.
#[derive(Default)]
struct Side {
    /// The start of a record.
    bytes: Vec<u8>,
    joiner: MessageJoiner,
    plains: VecDeque<Plain>,
    /// TLS 1.2: a ChangeCipherSpec was here.
    is_sealed: bool,
}

/// Tells the whole log, which is empty afterwards.
pub(super) fn tell(log: &mut Log) -> Story {
    let (sent, received) =
        std::mem::take(&mut log.plains).into_iter().partition(|plain| plain.direction == Direction::Out);
    let mut teller = Teller {
        story: Story::default(),
        client: Side { plains: sent, ..Side::default() },
        server: Side { plains: received, ..Side::default() },
        version: None,
    };
    let (mut last, mut is_shaking) = (None, true);
    for event in std::mem::take(&mut log.events) {
        match event {
            Event::EndOfHandshake => is_shaking = false,
            Event::Bytes(direction, bytes) => {
                let is_answer = last == Some(Direction::Out) && direction == Direction::In;
                teller.story.round_trips += usize::from(is_answer && is_shaking);
                last = Some(direction);
                teller.handle_bytes(direction, &bytes);
            }
        }
    }
    teller.story
}

impl Teller {
    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Out => &mut self.client,
            Direction::In => &mut self.server,
        }
    }

    fn handle_bytes(&mut self, direction: Direction, bytes: &[u8]) {
        if self.story.not_tls.is_some() {
            return;
        }
        let side = self.side(direction);
        side.bytes.extend_from_slice(bytes);
        let held = std::mem::take(&mut side.bytes);
        let mut rest = held.as_slice();
        loop {
            match Record::parse(rest) {
                Ok(Some(record)) => {
                    self.handle_record(direction, record);
                    rest = rest.get(record.wire_bytes()..).unwrap_or_default();
                }
                Ok(None) => break,
                Err(_) => {
                    self.story.not_tls = Some(rest.to_vec());
                    return;
                }
            }
        }
        self.side(direction).bytes = rest.to_vec();
    }

    fn handle_record(&mut self, direction: Direction, record: Record<'_>) {
        let traffic = match direction {
            Direction::Out => &mut self.story.sent,
            Direction::In => &mut self.story.received,
        };
        traffic.records += 1;
        traffic.bytes += record.wire_bytes();
        let is_sealed = self.side(direction).is_sealed || record.kind == RecordKind::ApplicationData;
        match is_sealed {
            false => self.handle_plain(direction, record.kind, record.content, false),
            true => match self.open(direction, record.content.len()) {
                Some((kind, content)) => self.handle_plain(direction, kind, &content, true),
                None => self.head(direction, "a record that was not opened", record.content.len(), true),
            },
        }
    }

    /// What was inside a record of this size, if rustls opened it.
    fn open(&mut self, direction: Direction, sealed_bytes: usize) -> Option<(RecordKind, Vec<u8>)> {
        let plains = &mut self.side(direction).plains;
        let plain = plains.pop_front_if(|plain| plain.sealed_bytes == sealed_bytes)?;
        Some((RecordKind::from_number(plain.kind)?, plain.content))
    }

    fn handle_plain(&mut self, direction: Direction, kind: RecordKind, content: &[u8], is_sealed: bool) {
        match kind {
            RecordKind::ChangeCipherSpec => self.handle_change(direction, content),
            RecordKind::Alert => self.handle_alert(direction, content, is_sealed),
            RecordKind::ApplicationData => self.head(direction, "application data", content.len(), is_sealed),
            RecordKind::Handshake => {
                self.side(direction).joiner.handle_content(content);
                while let Some((kind, body)) = self.side(direction).joiner.poll_message() {
                    self.handle_message(direction, kind, &body, is_sealed);
                }
            }
        }
    }

    /// RFC 8446 §D.4: in TLS 1.3 both sides send one so that boxes on the way believe to see TLS 1.2.
    fn handle_change(&mut self, direction: Direction, content: &[u8]) {
        self.head(direction, "ChangeCipherSpec", content.len(), false);
        if self.version == Some(TLS13) {
            self.note("a dummy for middleboxes, it changes nothing");
        } else {
            self.note("what follows in this direction is encrypted");
            self.side(direction).is_sealed = true;
        }
    }

    fn handle_alert(&mut self, direction: Direction, content: &[u8], is_sealed: bool) {
        self.head(direction, "Alert", content.len(), is_sealed);
        if let [level, number] = content {
            let level = if *level == 2 { "fatal" } else { "warning" };
            let name = alert_name(*number).map_or_else(|| number.to_string(), str::to_owned);
            // RFC 8446 §6: the level means nothing, and close_notify is how every connection should end.
            let text = if *number == 0 { name } else { format!("{name}, {level}") };
            self.note(&text);
        }
    }

    fn handle_message(&mut self, direction: Direction, kind: u8, body: &[u8], is_sealed: bool) {
        match Message::parse(kind, body, self.version) {
            Ok(message) => {
                self.head(direction, message.name(), 4 + body.len(), is_sealed);
                self.tell_message(&message);
            }
            Err(_) => {
                self.head(
                    direction,
                    &format!("message {kind}, which is malformed"),
                    4 + body.len(),
                    is_sealed,
                );
            }
        }
    }

    fn tell_message(&mut self, message: &Message<'_>) {
        match message {
            Message::ClientHello(hello) => self.tell_offer(hello),
            Message::ServerHello(hello) | Message::HelloRetryRequest(hello) => {
                let is_retry = matches!(message, Message::HelloRetryRequest(_));
                self.tell_choice(hello, is_retry);
            }
            Message::EncryptedExtensions(extensions) => {
                let others = extensions.iter().filter(|(kind, _)| *kind != EXTENSION_ALPN);
                let others = others.map(|(kind, _)| named(extension_name(kind), kind)).collect();
                self.list("ALPN", extensions.alpn().map(shown).collect());
                self.list("extensions", others);
            }
            Message::Certificate(chain) => self.tell_chain(chain),
            Message::CertificateVerify(scheme) => {
                self.list("scheme", vec![named(scheme_name(*scheme), *scheme)])
            }
            Message::ServerKeyExchange { group, scheme } => {
                self.list("group", vec![named(group_name(*group), *group)]);
                self.list("scheme", vec![named(scheme_name(*scheme), *scheme)]);
            }
            Message::NewSessionTicket(seconds) => self.list("lifetime", vec![format!("{seconds} s")]),
            _ => {}
        }
    }

    fn tell_offer(&mut self, hello: &Hello<'_>) {
        let suites = hello.suites().map(|suite| named(suite_name(suite), suite));
        let groups = hello.groups().map(|group| named(group_name(group), group));
        let shares = hello.key_shares();
        let shares = shares
            .iter()
            .map(|share| format!("{} ({} bytes)", named(group_name(share.group), share.group), share.bytes));
        self.list("server name", hello.server_name().map(shown).into_iter().collect());
        self.list(
            "versions",
            hello.versions().into_iter().map(|version| named(version_name(version), version)).collect(),
        );
        self.list("ALPN", hello.extensions().alpn().map(shown).collect());
        self.list("suites", suites.collect());
        self.list("groups", groups.collect());
        self.list("key shares", shares.collect());
    }

    fn tell_choice(&mut self, hello: &Hello<'_>, is_retry: bool) {
        self.version = hello.versions().first().copied();
        let shares = hello.key_shares();
        let shares = shares.iter().map(|share| match is_retry {
            true => format!("wanted of {}", named(group_name(share.group), share.group)),
            false => format!("{} ({} bytes)", named(group_name(share.group), share.group), share.bytes),
        });
        self.list(
            "version",
            hello.versions().into_iter().map(|version| named(version_name(version), version)).collect(),
        );
        self.list("suite", hello.suites().map(|suite| named(suite_name(suite), suite)).collect());
        self.list("ALPN", hello.extensions().alpn().map(shown).collect());
        self.list("key share", shares.collect());
    }

    fn tell_chain(&mut self, chain: &[&[u8]]) {
        if chain.is_empty() {
            self.note("none: the sender has no certificate to show");
        }
        for (index, der) in chain.iter().enumerate() {
            for (at, (key, value)) in chain::describe(der).into_iter().enumerate() {
                let key = if at == 0 { format!("{}. {key}", index + 1) } else { format!("   {key}") };
                line(&mut self.story.text, &key, &plain(&value));
            }
        }
    }

    /// The line of a message.
    fn head(&mut self, direction: Direction, name: &str, bytes: usize, is_sealed: bool) {
        let arrow = match direction {
            Direction::Out => "->",
            Direction::In => "<-",
        };
        let unit = if bytes == 1 { "byte" } else { "bytes" };
        let sealed = if is_sealed { "encrypted" } else { "" };
        let row = format!("{arrow} {name:28} {bytes:>6} {unit:5}  {sealed}");
        self.story.text.push_str(row.trim_end());
        self.story.text.push('\n');
    }

    fn note(&mut self, text: &str) {
        let _ = writeln!(self.story.text, "     ({text})");
    }

    /// Words behind their key, broken into lines; nothing if there are none.
    fn list(&mut self, key: &str, words: Vec<String>) {
        let mut rows: Vec<String> = Vec::new();
        for word in words {
            match rows.last_mut().filter(|row| row.len() + word.len() < COLUMNS) {
                Some(row) => {
                    row.push_str(", ");
                    row.push_str(&word);
                }
                None => rows.push(word),
            }
        }
        for (index, row) in rows.iter().enumerate() {
            line(&mut self.story.text, if index == 0 { key } else { "" }, row);
        }
    }
}

fn named(name: Option<&'static str>, number: u16) -> String {
    name.map_or_else(|| format!("0x{number:04x}"), str::to_owned)
}

fn shown(bytes: &[u8]) -> String {
    plain(&String::from_utf8_lossy(bytes))
}

/// What a peer sent, without what a terminal would obey.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
