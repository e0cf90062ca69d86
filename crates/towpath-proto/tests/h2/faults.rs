//! What a peer does wrong, and who pays for it (T12, T20).

use std::fmt::Write as _;

use towpath_proto::h2::{Config, ConnectionError, Role};

use crate::script::{Cut, Dialogue, check};

/// Every way to make us reset a stream is counted like a reset of the peer's. `{}` stands for the stream.
#[test]
fn each_error_of_a_stream_is_counted_t12() {
    let faults = [
        // Malformed heads: RFC 9113 §8.1.1, §8.2, §8.3.
        "headers {} end | a b",
        "headers {} end | :method GET | :scheme https | :path / | :authority h | A b",
        "get {} | connection close",
        "get {} | te gzip",
        "get {} | a b^",
        "get {} | content-length 5",
        "post {} | content-length x",
        // Bodies that are not as long as was said: §8.1.1.
        "post {} | content-length 5\ndata {} hello!",
        "post {} | content-length 5\ndata {} hell end",
        // Trailers: §8.1.
        "post {}\nheaders {} | a b",
        "post {}\nheaders {} end | :path /",
        "post {}\nheaders {} end | content-length 1",
        // A tunnel with fields: §8.5.
        "headers {} | :method CONNECT | :authority h:1\nheaders {} end | a b",
        // Frames behind the end of the stream: §5.1.
        "get {}\ndata {} late",
        "get {}\nheaders {} end | late 1",
        // Windows: §6.9, §6.9.1.
        "get {}\nwu {} 0",
        "get {}\nwu {} 2147483647",
        "post {}\nx4 data {} *16384",
    ];
    for fault in faults {
        let mut dialogue = Dialogue::begun(Role::Server, Config::default());
        for at in 0..=100 {
            assert_eq!(dialogue.lost, None, "{fault} for stream number {at}");
            let stream = (2 * at + 1).to_string();
            dialogue.play(&fault.replace("{}", &stream), Cut::Whole);
            if dialogue.text.contains(&format!("Head {stream} ")) {
                dialogue.play(&format!("! finish {stream}"), Cut::Whole);
            }
        }
        assert_eq!(dialogue.lost, Some(ConnectionError::Resets), "{fault}");
    }
}

#[test]
fn resets_of_both_sides_are_one_count_t12() {
    let mut dialogue = Dialogue::begun(Role::Server, Config::default());
    for at in 0..50 {
        let (first, second) = (4 * at + 1, 4 * at + 3);
        dialogue.play(&format!("get {first}\nrst {first} 8\n! finish {first}"), Cut::Whole);
        dialogue.play(&format!("get {second}\nwu {second} 0\n! finish {second}"), Cut::Whole);
    }
    assert_eq!(dialogue.lost, None);
    dialogue.play("headers 1001 end | a b", Cut::Whole);
    assert_eq!(dialogue.lost, Some(ConnectionError::Resets));
}

#[test]
fn resets_of_the_callers_own_are_not_the_peers_fault() {
    let mut dialogue = Dialogue::begun(Role::Server, Config::default());
    for stream in (1..2000).step_by(2) {
        dialogue.play(&format!("post {stream}\n! finish {stream}\ndata {stream} late end"), Cut::Whole);
    }
    assert_eq!(dialogue.lost, None);
}

#[test]
fn frames_are_as_long_as_their_type_says_rfc9113_4_2() {
    for (frame, code) in [
        ("raw 2 0 1 00000000", "FrameSizeError h2_bad_frame_size"),
        ("raw 3 0 1 000000", "FrameSizeError h2_bad_frame_size"),
        ("raw 4 0 0 0003", "FrameSizeError h2_bad_frame_size"),
        ("raw 4 1 0 000300000001", "FrameSizeError h2_bad_frame_size"),
        ("raw 6 0 0 00", "FrameSizeError h2_bad_frame_size"),
        ("raw 7 0 0 00000000", "FrameSizeError h2_bad_frame_size"),
        ("raw 8 0 0 000001", "FrameSizeError h2_bad_frame_size"),
        ("raw 0 8 1", "FrameSizeError h2_bad_frame_size"),
        ("raw 1 40 1 0000", "FrameSizeError h2_bad_frame_size"),
        ("raw 0 8 1 01", "ProtocolError h2_bad_frame_size"),
        ("raw 1 12 1 0200", "ProtocolError h2_bad_frame_size"),
        // Stream zero, and not.
        ("raw 0 0 0 00", "ProtocolError h2_bad_stream"),
        ("raw 1 5 0 82", "ProtocolError h2_bad_stream"),
        ("raw 2 0 0 0000000000", "ProtocolError h2_bad_stream"),
        ("raw 3 0 0 00000000", "ProtocolError h2_bad_stream"),
        ("raw 4 0 1", "ProtocolError h2_bad_stream"),
        ("raw 6 0 1 0000000000000000", "ProtocolError h2_bad_stream"),
        ("raw 7 0 1 0000000000000000", "ProtocolError h2_bad_stream"),
        // Settings out of range.
        ("settings 2=2", "ProtocolError h2_bad_settings"),
        ("settings 5=16383", "ProtocolError h2_bad_settings"),
        ("settings 5=16777216", "ProtocolError h2_bad_settings"),
        ("settings 8=2", "ProtocolError h2_bad_settings"),
        ("settings 9=2", "ProtocolError h2_bad_settings"),
        ("ack", "ProtocolError h2_bad_settings"),
        ("push 1 2", "ProtocolError h2_push"),
        ("bytes ~~~~~~~~~", "FrameSizeError h2_bad_frame_size"),
    ] {
        let word = code.split(' ').next().expect("a code");
        check(frame, &format!("lost {code}\n> GOAWAY 0 {word}"));
    }
}

#[test]
fn a_block_that_cannot_be_decoded_ends_the_connection_rfc9113_4_3() {
    check(
        "raw 1 5 1 80",
        "lost CompressionError h2_bad_compression
         > GOAWAY 1 CompressionError",
    );
}

#[test]
fn streams_are_opened_in_order_and_by_clients_rfc9113_5_1_1() {
    for (script, expected) in [
        ("get 2", "lost ProtocolError h2_bad_stream\n> GOAWAY 0 ProtocolError"),
        (
            "get 5\nget 3",
            "Head 5 GET / @h None end\nlost ProtocolError h2_bad_stream\n> GOAWAY 5 ProtocolError",
        ),
        (
            "get 1\n! respond 1 200 end\n! finish 1\nget 1",
            "Head 1 GET / @h None end\n> HEADERS 1 END | :status 200\nlost StreamClosed h2_stream_closed\n> GOAWAY 1 StreamClosed",
        ),
    ] {
        check(script, expected);
    }
}

/// The types of frames, each on stream 1 where it has one.
const FRAMES: [(&str, &str); 11] = [
    ("DATA", "data 1 x"),
    ("HEADERS", "headers 1 end | a b"),
    ("PRIORITY", "priority 1"),
    ("RST_STREAM", "rst 1 8"),
    ("SETTINGS", "settings"),
    ("PUSH_PROMISE", "push 1 2"),
    ("PING", "ping 1"),
    ("GOAWAY", "goaway 0 0"),
    ("WINDOW_UPDATE", "wu 1 1000"),
    ("CONTINUATION", "raw 9 4 1 01610162"),
    ("unknown", "raw 99 0 1 00"),
];

/// The answer to every frame in each of these states. The codec is a fresh one each time.
fn answers(role: Role, states: &[(&str, &str)]) -> String {
    let mut found = String::new();
    for (state, script) in states {
        writeln!(found, "{state}").expect("a String takes every write");
        for (frame, line) in FRAMES {
            let mut dialogue = Dialogue::begun(role, Config::default());
            dialogue.play(script, Cut::Whole);
            dialogue.text.clear();
            dialogue.play(line, Cut::Whole);
            let answer: Vec<&str> = dialogue.text.lines().filter(|line| !line.starts_with("  ")).collect();
            let answer = if answer.is_empty() { "ignored".to_owned() } else { answer.join("; ") };
            writeln!(found, "  {frame}: {answer}").expect("likewise");
        }
    }
    found
}

#[test]
fn every_frame_has_an_answer_in_every_state_of_a_server_t20() {
    let states = [
        ("idle", ""),
        ("open", "post 1"),
        ("half-closed", "get 1"),
        ("answered", "post 1\n! respond 1 200 end"),
        ("closed", "get 1\n! respond 1 200 end"),
        ("reset by peer", "post 1\nrst 1 8"),
        ("reset by us", "post 1\n! reset 1 8"),
        ("finished", "get 1\n! respond 1 200 end\n! finish 1"),
        ("finished open", "post 1\n! finish 1"),
        ("refused", "get 1 | expect x"),
        ("refused open", "post 1 | expect x"),
        ("tunnel", "headers 1 | :method CONNECT | :authority h:1\n! respond 1 200"),
        ("passed over", "get 3"),
        ("behind a drain", "! drain\n! drained"),
        ("in a block", "post 1\nraw 1 1 1 00"),
    ];
    let found = answers(Role::Server, &states);
    assert!(found == include_str!("states_server.txt"), "tests/h2/states_server.txt would be:\n{found}");
}

#[test]
fn every_frame_has_an_answer_in_every_state_of_a_client_t20() {
    let states = [
        ("idle", ""),
        ("asking", "! request"),
        ("asked", "! request end"),
        ("interim", "! request end\nheaders 1 | :status 103"),
        ("answered", "! request end\nok 1"),
        ("answered early", "! request\nok 1 end"),
        ("closed", "! request end\nok 1 end"),
        ("without a body", "! request end | :method HEAD\nok 1"),
        ("tunnel", "! request | :method CONNECT | :authority h:1\nok 1"),
        ("reset by peer", "! request\nrst 1 8"),
        ("reset by us", "! request\n! reset 1 8"),
        ("finished", "! request end\nok 1 end\n! finish 1"),
        ("finished open", "! request end\nok 1\n! finish 1"),
        ("in a block", "! request end\nok 1\nraw 1 1 1 00"),
    ];
    let found = answers(Role::Client, &states);
    assert!(found == include_str!("states_client.txt"), "tests/h2/states_client.txt would be:\n{found}");
}
