//! An origin in memory that speaks HTTP/2 by the frame, built on the codec's other role.

use std::future::poll_fn;

use towpath::http::{Client, ClientSettings, HttpVersion};
use towpath_net::Stream;
use towpath_net::memory::{self, Listener};
use towpath_proto::h2::{Config, Connection, ErrorCode, Event, Role, StreamId};

use crate::origin;

/// What an origin hears.
#[derive(Debug)]
pub(crate) enum Heard {
    /// Method, path and fields.
    Request(StreamId, String),
    Data(StreamId, Vec<u8>, bool),
    Trailers(String),
    End,
    Reset(StreamId, ErrorCode),
    GoAway,
    Settings,
    /// The end of the connection.
    Gone,
}

/// One connection of an origin.
pub(crate) struct Peer {
    stream: Stream,
    pub(crate) codec: Connection,
    pub(crate) out: Vec<u8>,
    input: Vec<u8>,
}

/// A client that begins with HTTP/2 in clear text.
pub(crate) fn client(change: impl FnOnce(ClientSettings) -> ClientSettings) -> Client {
    origin::client(|settings| {
        change(ClientSettings { version: HttpVersion::Http2PriorKnowledge, ..settings })
    })
}

pub(crate) fn listen(name: &str) -> Listener {
    memory::listen(name).unwrap()
}

impl Peer {
    pub(crate) async fn accept(listener: &mut Listener) -> Self {
        Self::accept_with(listener, Config::default()).await
    }

    pub(crate) async fn accept_with(listener: &mut Listener, config: Config) -> Self {
        Self::over(Stream::memory(listener.accept().await), config)
    }

    pub(crate) fn over(stream: Stream, config: Config) -> Self {
        Self { stream, codec: Connection::new(Role::Server, config), out: Vec::new(), input: Vec::new() }
    }

    /// The next thing that the client says. What is owed is written first, and data are done with at once.
    pub(crate) async fn next(&mut self) -> Heard {
        loop {
            let step = self.codec.handle_input(0, &self.input).unwrap();
            let event = step.event.and_then(|event| self.heard(event));
            self.input.drain(..step.consumed);
            if let Some(heard) = event {
                return heard;
            }
            if step.consumed > 0 {
                continue;
            }
            self.flush().await;
            let mut room = vec![0; 64 * 1024];
            match poll_fn(|cx| self.stream.split().0.poll_read(cx, &mut room)).await {
                Ok(count @ 1..) => self.input.extend_from_slice(&room[..count]),
                _ => return Heard::Gone,
            }
        }
    }

    fn heard(&mut self, event: Event) -> Option<Heard> {
        Some(match event {
            Event::Head { stream, .. } => {
                let (head, block) = (self.codec.request(), self.codec.block());
                let mut text = format!(
                    "{} {}",
                    String::from_utf8_lossy(head.method.of_block(block)),
                    String::from_utf8_lossy(head.path.of(block))
                );
                for field in &head.fields {
                    let (name, value) = (field.name.of(block), field.value.of(block));
                    text +=
                        &format!("\n{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value));
                }
                Heard::Request(stream, text)
            }
            Event::Data { stream, range, end } => {
                let data = self.input[range].to_vec();
                self.codec.release(stream, data.len());
                Heard::Data(stream, data, end)
            }
            Event::Trailers { .. } => {
                let block = self.codec.block();
                let fields = self.codec.trailers().iter().map(|field| {
                    format!(
                        "{}: {}",
                        String::from_utf8_lossy(field.name.of(block)),
                        String::from_utf8_lossy(field.value.of(block))
                    )
                });
                Heard::Trailers(fields.collect())
            }
            Event::End { .. } => Heard::End,
            Event::Reset { stream, code, .. } => Heard::Reset(stream, code),
            Event::GoAway { .. } => Heard::GoAway,
            Event::Settings => Heard::Settings,
            _ => return None,
        })
    }

    /// The next request, whatever is said before it.
    pub(crate) async fn request(&mut self) -> (StreamId, String) {
        loop {
            match self.next().await {
                Heard::Request(stream, text) => return (stream, text),
                Heard::Gone => panic!("the connection has ended"),
                _ => {}
            }
        }
    }

    /// Whatever is said until something of this kind.
    pub(crate) async fn until(&mut self, is_it: impl Fn(&Heard) -> bool) -> Heard {
        loop {
            let heard = self.next().await;
            if is_it(&heard) {
                return heard;
            }
            assert!(!matches!(heard, Heard::Gone), "the connection has ended");
        }
    }

    /// 200 with this text.
    pub(crate) async fn answer(&mut self, stream: StreamId, text: &str) {
        self.head(stream, 200, &[], false);
        self.codec.encode_data(stream, text.as_bytes(), true, &mut self.out).unwrap();
        self.codec.finish(stream);
        self.flush().await;
    }

    pub(crate) fn head(&mut self, stream: StreamId, status: u16, fields: &[(&str, &str)], end: bool) {
        let write = |writer: &mut towpath_proto::h2::FieldWriter<'_>| {
            fields.iter().for_each(|(name, value)| writer.field(name.as_bytes(), value.as_bytes()));
        };
        self.codec.encode_response(stream, status, end, &mut self.out, write).unwrap();
    }

    pub(crate) fn data(&mut self, stream: StreamId, data: &[u8], end: bool) {
        self.codec.encode_data(stream, data, end, &mut self.out).unwrap();
    }

    pub(crate) async fn flush(&mut self) {
        self.codec.poll_output(&mut self.out);
        let out = std::mem::take(&mut self.out);
        let mut rest = out.as_slice();
        while !rest.is_empty() {
            match poll_fn(|cx| self.stream.split().1.poll_write(cx, rest)).await {
                Ok(count) => rest = &rest[count..],
                Err(_) => return,
            }
        }
    }

    /// Frames that the codec would not send.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        self.flush().await;
    }

    /// Answers everything with its path, until the client goes; how many there were.
    pub(crate) async fn serve(mut self) -> usize {
        let mut count = 0;
        loop {
            match self.next().await {
                Heard::Request(stream, text) => {
                    count += 1;
                    let path = text.lines().next().unwrap().split(' ').nth(1).unwrap().to_owned();
                    self.answer(stream, &path).await;
                }
                Heard::Gone => return count,
                _ => {}
            }
        }
    }
}

/// A frame by its type, flags, stream and payload.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// GOAWAY with the last stream that was looked at.
pub(crate) fn go_away(last: u32, code: u32) -> Vec<u8> {
    frame(7, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat())
}
