//! A small language for dialogues, and the transcript that one leaves.
//!
//! A line is a frame of the peer, or behind `!` something that the caller of the codec does; `x100` before it repeats
//! it. Frames: see [`crate::frames`]. Callers: see [`Dialogue::act`].

use std::fmt::Write as _;

use towpath_proto::h2::{
    Config, Connection, ConnectionError, ErrorCode, Event, Request, Role, Scheme, StreamId,
};
use towpath_proto::message::{Fields, Span};

use crate::frames::{Frames, body_of, short, split_fields};

/// How the peer's bytes are cut on their way.
#[derive(Clone, Copy)]
pub(crate) enum Cut {
    Whole,
    At(usize),
    Each(usize),
}

/// A dialogue of a server whose peer has begun well; what both sides say at first is left out.
#[track_caller]
pub(crate) fn check(script: &str, expected: &str) {
    check_with(Role::Server, Config::default(), script, expected);
}

/// The same for a client.
#[track_caller]
pub(crate) fn check_client(script: &str, expected: &str) {
    check_with(Role::Client, Config::default(), script, expected);
}

#[track_caller]
pub(crate) fn check_with(role: Role, config: Config, script: &str, expected: &str) {
    assert_same(&begun(role, config, script, Cut::Whole), expected, script);
}

/// A dialogue from the very first byte.
#[track_caller]
pub(crate) fn check_bare(role: Role, script: &str, expected: &str) {
    let mut dialogue = Dialogue::new(role, Config::default());
    dialogue.show_output();
    dialogue.play(script, Cut::Whole);
    assert_same(&dialogue.text, expected, script);
}

/// The transcript of a dialogue that has begun well.
pub(crate) fn begun(role: Role, config: Config, script: &str, cut: Cut) -> String {
    let mut dialogue = Dialogue::begun(role, config);
    dialogue.play(script, cut);
    dialogue.text
}

#[track_caller]
fn assert_same(found: &str, expected: &str, script: &str) {
    let trimmed = |text: &str| text.trim().lines().map(str::trim).collect::<Vec<_>>().join("\n");
    assert_eq!(trimmed(found), trimmed(expected), "for\n{script}");
}

/// One connection, its peer, and what has happened so far.
pub(crate) struct Dialogue {
    pub(crate) connection: Connection,
    role: Role,
    pub(crate) text: String,
    pub(crate) lost: Option<ConnectionError>,
    now_ms: u64,
    unread: Vec<u8>,
    /// The peer's.
    frames: Frames,
    /// Stream and bytes of data that have not been written out yet.
    data: Option<(u32, Vec<u8>)>,
    ids: Vec<StreamId>,
}

impl Dialogue {
    fn new(role: Role, config: Config) -> Self {
        Self {
            connection: Connection::new(role, config),
            role,
            text: String::new(),
            lost: None,
            now_ms: 0,
            unread: Vec::new(),
            frames: Frames::default(),
            data: None,
            ids: Vec::new(),
        }
    }

    pub(crate) fn begun(role: Role, config: Config) -> Self {
        let mut dialogue = Self::new(role, config);
        let start = if role == Role::Server { "preface\nsettings\nack" } else { "settings\nack" };
        dialogue.play(start, Cut::Whole);
        dialogue.text.clear();
        dialogue
    }

    /// The whole script, each line with its output behind it.
    pub(crate) fn play(&mut self, script: &str, cut: Cut) {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (count, line) = match line.strip_prefix('x').and_then(|rest| rest.split_once(' ')) {
                Some((count, rest)) if count.parse::<usize>().is_ok() => {
                    (count.parse().expect("a number"), rest)
                }
                _ => (1, line),
            };
            for _ in 0..count {
                self.play_line(line, cut);
            }
        }
    }

    fn play_line(&mut self, line: &str, cut: Cut) {
        match line.strip_prefix('!') {
            Some(action) => self.act(action.trim()),
            None => {
                let bytes = self.bytes_of(line);
                self.receive(&bytes, cut);
            }
        }
        self.flush_data();
        self.show_output();
    }

    /// Gives the bytes to the codec, and writes down what it makes of them.
    pub(crate) fn receive(&mut self, bytes: &[u8], cut: Cut) {
        let (first, size) = match cut {
            Cut::Whole => (bytes.len(), bytes.len().max(1)),
            Cut::At(at) => (at.min(bytes.len()), bytes.len().max(1)),
            Cut::Each(size) => (0, size),
        };
        let (first, rest) = bytes.split_at(first);
        for piece in std::iter::once(first).chain(rest.chunks(size)) {
            self.unread.extend_from_slice(piece);
            self.take_all();
        }
    }

    fn take_all(&mut self) {
        loop {
            let step = match self.connection.handle_input(self.now_ms, &self.unread) {
                Ok(step) => step,
                Err(error) => return self.lose(error),
            };
            assert!(step.consumed <= self.unread.len(), "consumed more than there was");
            let input: Vec<u8> = self.unread.drain(..step.consumed).collect();
            match step.event {
                Some(event) => self.show_event(&event, &input),
                None => return,
            }
        }
    }

    fn lose(&mut self, error: ConnectionError) {
        // A connection that is lost stays so, and says it once.
        if self.lost.replace(error).is_none() {
            self.line(&format!("lost {:?} {}", error.code(), error.reason()));
        }
        assert!(self.connection.wants_close());
        self.unread.clear();
    }

    fn show_event(&mut self, event: &Event, input: &[u8]) {
        if let Event::Data { stream, range, end } = event {
            assert!(range.start < range.end && range.end <= input.len(), "{range:?} of {}", input.len());
            self.add_data(stream.number(), &input[range.clone()]);
            if *end {
                self.line(&format!("End {}", stream.number()));
            }
            return;
        }
        let text = self.event_text(event);
        if let Event::Head { stream, .. } | Event::Refused { stream, .. } = event {
            self.ids.push(*stream);
        }
        self.line(&text);
    }

    fn event_text(&self, event: &Event) -> String {
        let end_text = |end: bool| if end { " end" } else { "" };
        match event {
            Event::Head { stream, end } if self.role == Role::Server => {
                format!("Head {}{}", stream.number(), self.request_text(end_text(*end)))
            }
            Event::Head { stream, end } => {
                format!("Head {}{}", stream.number(), self.response_text(end_text(*end)))
            }
            Event::Interim { stream } => format!("Interim {}{}", stream.number(), self.response_text("")),
            Event::Refused { stream, fault } => {
                format!("Refused {} {} {}", stream.number(), fault.status(), fault.reason())
            }
            Event::Trailers { stream } => {
                let fields = fields_text(self.connection.trailers(), self.connection.block());
                format!("Trailers {}{fields}", stream.number())
            }
            Event::End { stream } => format!("End {}", stream.number()),
            Event::Reset { stream, code, fault } => {
                let cause = fault.map_or("peer", |fault| fault.reason());
                format!("Reset {} {code:?} {cause}", stream.number())
            }
            Event::WindowOpen { stream } => {
                format!("WindowOpen {}", stream.map_or(0, StreamId::number))
            }
            Event::GoAway { last, code } => format!("GoAway {last} {code:?}"),
            Event::Settings => "Settings".to_owned(),
            Event::Pong(payload) => format!("Pong {}", payload[7]),
            Event::Data { .. } => unreachable!("data are written out elsewhere"),
        }
    }

    fn request_text(&self, end: &str) -> String {
        let (head, block) = (self.connection.request(), self.connection.block());
        let text_of = |span: Span| span.of(block).escape_ascii().to_string();
        let mut text = format!(" {} {}", head.method.of_block(block).escape_ascii(), text_of(head.path));
        if let Some(query) = head.query {
            write!(text, "?{}", text_of(query)).expect("a String takes every write");
        }
        let authority = head.authority.map_or("-".to_owned(), text_of);
        write!(text, " @{authority} {:?}", head.framing).expect("likewise");
        if let Some(protocol) = head.protocol {
            write!(text, " protocol={}", text_of(protocol)).expect("likewise");
        }
        for (is_set, word) in
            [(head.expect_continue, " continue"), (!head.path_is_canonical, " not-canonical")]
        {
            text.push_str(if is_set { word } else { "" });
        }
        assert!(head.keep_alive && head.upgrade.is_none() && !head.connection_nominates);
        text + end + &fields_text(&head.fields, block)
    }

    fn response_text(&self, end: &str) -> String {
        let (head, block) = (self.connection.response(), self.connection.block());
        format!(" {} {:?}{end}{}", head.status, head.framing, fields_text(&head.fields, block))
    }

    fn add_data(&mut self, stream: u32, bytes: &[u8]) {
        if self.data.as_ref().is_some_and(|(other, _)| *other != stream) {
            self.flush_data();
        }
        self.data.get_or_insert_with(|| (stream, Vec::new())).1.extend_from_slice(bytes);
    }

    fn flush_data(&mut self) {
        if let Some((stream, bytes)) = self.data.take() {
            writeln!(self.text, "Data {stream} {}", short(&bytes)).expect("a String takes every write");
        }
    }

    fn line(&mut self, line: &str) {
        self.flush_data();
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn show_frames(&mut self, mut out: Vec<u8>) {
        let lines = self.frames.take_lines(&mut out);
        assert!(out.is_empty(), "half a frame is owed");
        lines.iter().for_each(|line| self.line(&format!("> {line}")));
    }

    pub(crate) fn bytes_of(&mut self, line: &str) -> Vec<u8> {
        self.frames.bytes_of(line)
    }

    /// Writes down what is owed to the peer.
    fn show_output(&mut self) {
        let mut out = Vec::new();
        self.connection.poll_output(&mut out);
        self.show_frames(out);
    }

    /// `! respond 1 200 end | name value`, `! request end | :method GET | ...`, `! trailers 1 | name value`,
    /// `! data 1 hello end`, `! fits 1`, `! finish 1`, `! release 1 100`, `! reset 1 8`, `! window 1 100000`,
    /// `! drain`, `! drained`, `! close 2`, `! ping 7`, `! now 1000`, `! eof`.
    fn act(&mut self, action: &str) {
        let (words, fields) = split_fields(action);
        let numbers: Vec<u32> = words.iter().filter_map(|word| word.parse().ok()).collect();
        let end = words.contains(&"end");
        let id = numbers.first().copied().unwrap_or_default();
        let second = numbers.get(1).copied().unwrap_or_default();
        let mut out = Vec::new();
        let result = match (words[0], self.ids.iter().find(|stream| stream.number() == id).copied()) {
            ("now", _) => {
                self.now_ms = id.into();
                Ok(())
            }
            ("request", _) => self.request(&fields, end, &mut out),
            ("drain", _) => {
                self.connection.start_drain();
                Ok(())
            }
            ("drained", _) => {
                self.connection.finish_drain();
                Ok(())
            }
            ("close", _) => {
                self.connection.close(ErrorCode::of(id));
                Ok(())
            }
            ("ping", _) => {
                self.connection.ping([0, 0, 0, 0, 0, 0, 0, id as u8]);
                Ok(())
            }
            ("eof", _) => {
                let text = match self.connection.handle_eof() {
                    Ok(()) => "eof".to_owned(),
                    Err(error) => format!("eof {}", error.reason()),
                };
                self.line(&text);
                Ok(())
            }
            ("window", None) => {
                self.connection.set_connection_window(second);
                Ok(())
            }
            (word, Some(stream)) => self.act_on(word, stream, second, &words, &fields, &mut out),
            (word, None) => panic!("{word} on a stream that was not reported"),
        };
        if let Err(error) = result {
            self.line(&format!("cannot: {error}"));
            assert!(out.is_empty() || self.connection.wants_write(), "a failure leaves something behind");
        }
        self.show_frames(out);
    }

    fn act_on(
        &mut self,
        word: &str,
        stream: StreamId,
        second: u32,
        words: &[&str],
        fields: &[(String, String)],
        out: &mut Vec<u8>,
    ) -> Result<(), towpath_proto::h2::SendError> {
        let end = words.contains(&"end");
        match word {
            "respond" => self.connection.encode_response(stream, second as u16, end, out, |writer| {
                fields.iter().for_each(|(name, value)| writer.field(name.as_bytes(), value.as_bytes()));
            })?,
            "trailers" => self.connection.encode_trailers(stream, out, |writer| {
                fields.iter().for_each(|(name, value)| writer.field(name.as_bytes(), value.as_bytes()));
            })?,
            "data" => self.connection.encode_data(stream, &body_of(words.get(2).unwrap_or(&"")), end, out)?,
            "fits" => {
                let text = format!("fits {}", self.connection.send_data_len_max(stream));
                self.line(&text);
            }
            "finish" => self.connection.finish(stream),
            "release" => self.connection.release(stream, second as usize),
            "reset" => self.connection.reset(stream, ErrorCode::of(second)),
            "window" => self.connection.set_stream_window(stream, second),
            other => panic!("no such action: {other}"),
        }
        Ok(())
    }

    fn request(
        &mut self,
        fields: &[(String, String)],
        end: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), towpath_proto::h2::SendError> {
        let pseudo =
            |name: &str| fields.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_bytes());
        let request = Request {
            method: pseudo(":method").unwrap_or(b"GET"),
            scheme: if pseudo(":scheme") == Some(b"http") { Scheme::Http } else { Scheme::Https },
            authority: pseudo(":authority").unwrap_or(b"origin"),
            path: pseudo(":path").unwrap_or(b"/"),
            query: pseudo(":query"),
            protocol: pseudo(":protocol"),
        };
        let stream = self.connection.encode_request(&request, end, out, |writer| {
            let regular = fields.iter().filter(|(name, _)| !name.starts_with(':'));
            regular.for_each(|(name, value)| writer.field(name.as_bytes(), value.as_bytes()));
        })?;
        self.ids.push(stream);
        Ok(())
    }
}

fn fields_text(fields: &Fields, block: &[u8]) -> String {
    let lines = fields.iter().map(|field| {
        let never = if field.never_index { "!" } else { "" };
        let value = field.value.of(block);
        format!("\n  {never}{}: {}", field.name.of(block).escape_ascii(), short(value))
    });
    lines.collect()
}
