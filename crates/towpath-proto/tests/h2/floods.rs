//! Peers that send much and mean little (T11 to T16).

use towpath_proto::h2::{Config, Connection, ConnectionError, Event, HeadLimits, PREFACE, Role};

use crate::frames::frame;
use crate::script::{Cut, Dialogue, begun};

/// The script is endured, or ends the connection for that reason.
#[track_caller]
fn check(script: &str, expected: Option<&str>) {
    check_with(Role::Server, Config::default(), script, expected);
}

#[track_caller]
fn check_with(role: Role, config: Config, script: &str, expected: Option<&str>) {
    let transcript = begun(role, config, script, Cut::Whole);
    let lost = transcript.lines().find_map(|line| line.strip_prefix("lost "));
    assert_eq!(lost, expected, "{}", &transcript[transcript.len().saturating_sub(500)..]);
}

const CALM_RESETS: Option<&str> = Some("EnhanceYourCalm h2_too_many_resets");
const CALM_FRAMES: Option<&str> = Some("EnhanceYourCalm h2_too_many_frames");

/// `get` and `rst` on so many streams, each finished at once as if its work had been nothing.
fn rapid(count: u32, is_finished: bool) -> String {
    let line = |at: u32| {
        let stream = 2 * at + 1;
        let finish = if is_finished { format!("! finish {stream}\n") } else { String::new() };
        format!("get {stream}\nrst {stream} 8\n{finish}")
    };
    (0..count).map(line).collect()
}

#[test]
fn rapid_resets_end_the_connection_t11() {
    check(&rapid(100, true), None);
    check(&rapid(101, true), CALM_RESETS);
    check(&format!("{}! now 10000\nget 201\nrst 201 8", rapid(100, true)), None);
    check(&format!("{}! now 9999\nget 201\nrst 201 8", rapid(100, true)), CALM_RESETS);
}

#[test]
fn a_reset_stream_keeps_its_place_until_its_work_has_ended_t11() {
    let config = Config { streams_count_max: 3, ..Config::default() };
    let script = format!("{}get 7\n! finish 1\nget 9\nget 11", rapid(3, false));
    let transcript = begun(Role::Server, config, &script, Cut::Whole);
    assert_eq!(
        transcript.lines().skip(6).collect::<Vec<_>>(),
        [
            "Reset 7 RefusedStream h2_too_many_streams",
            "> RST_STREAM 7 RefusedStream",
            "Head 9 GET / @h None end",
            "Reset 11 RefusedStream h2_too_many_streams",
            "> RST_STREAM 11 RefusedStream",
        ]
    );
    // Whatever the peer does, no more streams are at work than were promised.
    let mut dialogue = Dialogue::begun(Role::Server, Config::default());
    dialogue.play(&rapid(300, false), Cut::Whole);
    assert_eq!(dialogue.connection.streams_count(), 100);
    assert_eq!(dialogue.lost, Some(ConnectionError::Resets));
}

#[test]
fn a_server_that_ends_each_exchange_with_no_error_is_no_attacker_t11() {
    let exchange = |stream: u32| format!("! request\nok {stream} end\nrst {stream} 0\n! finish {stream}\n");
    let script: String = (0..200).map(|at| exchange(2 * at + 1)).collect();
    check_with(Role::Client, Config::default(), &script, None);
    let exchange = |stream: u32| format!("! request\nok {stream}\nrst {stream} 0\n! finish {stream}\n");
    let script: String = (0..101).map(|at| exchange(2 * at + 1)).collect();
    check_with(Role::Client, Config::default(), &script, CALM_RESETS);
}

#[test]
fn an_endless_header_block_ends_the_connection_t13() {
    const TOO_LARGE: Option<&str> = Some("EnhanceYourCalm h2_header_block_too_large");
    check("headers 1 end pieces=16 | a *100 | :method GET", None);
    check("headers 1 end pieces=17 | a *100 | :method GET", TOO_LARGE);
    check("raw 1 0 1 00\nx15 raw 9 0 1", None);
    check("raw 1 0 1 00\nx16 raw 9 0 1", TOO_LARGE);
    let full = "00".repeat(16384);
    check(&format!("raw 1 0 1 {full}\nx3 raw 9 0 1 {full}"), None);
    check(&format!("raw 1 0 1 {full}\nx3 raw 9 0 1 {full}\nraw 9 0 1 00"), TOO_LARGE);
}

/// A block that names one large entry of the table again and again.
fn bomb(value_bytes: usize, copies_count: usize) -> Vec<u8> {
    let mut block = vec![0x82, 0x87, 0x84, 0x41, 0x01, b'h', 0x40, 0x01, b'a', 0x7f];
    let mut rest = value_bytes - 127;
    while rest >= 0x80 {
        block.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    block.push(rest as u8);
    block.extend(std::iter::repeat_n(b'x', value_bytes));
    block.extend(std::iter::repeat_n(0xbe, copies_count));
    block
}

#[test]
fn a_bomb_of_indexed_fields_holds_no_more_than_a_head_may_t14() {
    let mut dialogue = Dialogue::begun(Role::Server, Config::default());
    let block = bomb(4000, 12_000);
    dialogue.receive(&frame(1, 5, 1, &block), Cut::Whole);
    assert!(dialogue.text.starts_with("Refused 1 431 header_too_large"), "{}", dialogue.text);
    assert!(dialogue.connection.block().len() <= 64 * 1024, "{}", dialogue.connection.block().len());
    // The same with fields of nothing, which the count stops.
    let mut dialogue = Dialogue::begun(Role::Server, Config::default());
    let block = [&[0x82, 0x87, 0x84, 0x41, 0x01, b'h', 0x40, 0x01, b'a', 0x00][..], &[0xbe; 16_000]].concat();
    dialogue.receive(&frame(1, 5, 1, &block), Cut::Whole);
    assert!(dialogue.text.starts_with("Refused 1 431 too_many_headers"), "{}", dialogue.text);
}

#[test]
fn crumbs_and_hosts_and_trailers_are_charged_like_other_fields_t14() {
    let fields = |field: &str, count: usize| format!(" | {field}").repeat(count);
    let refused = |script: &str, expected: &str| {
        let transcript = begun(Role::Server, Config::default(), script, Cut::Whole);
        assert!(transcript.contains(expected), "{script}: {transcript}");
    };
    refused(&format!("get 1{}", fields("cookie a", 97)), "Refused 1 431 too_many_headers");
    refused(&format!("get 1{}", fields("host h", 97)), "Refused 1 431 too_many_headers");
    let usual = ":method GET | :scheme https | :path / | :authority h";
    let large = format!("headers 1 end pieces=8 | {usual}{}", fields("cookie *1000", 66));
    refused(&large, "Refused 1 431 header_too_large");
    let trailers = format!("post 1\nheaders 1 end{}", fields("cookie a", 101));
    refused(&trailers, "Reset 1 EnhanceYourCalm too_many_headers");
    let kept =
        begun(Role::Server, Config::default(), &format!("get 1{}", fields("cookie a", 96)), Cut::Whole);
    assert!(kept.starts_with("Head 1"), "{kept}");
}

#[test]
fn heads_of_all_streams_together_are_bounded_t14() {
    let config = Config { heads_bytes_max: 1000, ..Config::default() };
    let script = "get 1 | a *300\nget 3 | a *300\nget 5 | a *300\n! finish 1\nget 7 | a *300";
    let transcript = begun(Role::Server, config, script, Cut::Whole);
    let verdicts: Vec<&str> = transcript.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(
        verdicts,
        [
            "Head 1 GET / @h None end",
            "Head 3 GET / @h None end",
            "Reset 5 EnhanceYourCalm h2_heads_too_large",
            "> RST_STREAM 5 EnhanceYourCalm",
            "> RST_STREAM 1 Cancel",
            "Head 7 GET / @h None end",
        ]
    );
}

#[test]
fn heads_that_are_too_large_count_like_resets_t14() {
    let head = HeadLimits { fields_count_max: 3, ..HeadLimits::default() };
    let mut dialogue = Dialogue::begun(Role::Server, Config { head, ..Config::default() });
    for stream in (1..201).step_by(2) {
        dialogue.play(&format!("get {stream}\n! respond {stream} 431 end\n! finish {stream}"), Cut::Whole);
    }
    assert_eq!(dialogue.lost, None);
    dialogue.play("get 201", Cut::Whole);
    assert_eq!(dialogue.lost, Some(ConnectionError::Resets));
}

#[test]
fn frames_without_work_are_counted_by_the_second_t16() {
    for line in [
        "priority 1",
        "raw 200 0 0 00",
        "raw 10 0 1 0000",
        "settings",
        "settings 1=0",
        "pong 1",
        "goaway 0 0",
        "wu 0 1",
        "wu 0 1000",
    ] {
        check(&format!("x200 {line}"), None);
        check(&format!("x201 {line}"), CALM_FRAMES);
        check(&format!("x200 {line}\n! now 1000\nx200 {line}"), None);
        check(&format!("x200 {line}\n! now 999\n{line}"), CALM_FRAMES);
    }
    check("x199 ping 1\n! ping 1", None);
    check("x201 ping 1", CALM_FRAMES);
    check("post 1\nx200 data 1", None);
    check("post 1\nx201 data 1", CALM_FRAMES);
    check("post 1\nx201 data 1 pad=9", CALM_FRAMES);
    check("post 1\nx250 wu 1 1", CALM_FRAMES);
    check("post 1\n! reset 1 8\nx205 rst 1 8", CALM_FRAMES);
    check("post 1\n! reset 1 8\nx201 headers 1 | a b", CALM_FRAMES);
}

#[test]
fn a_mix_of_frames_without_work_is_one_flood_t16() {
    check("x40 ping 1\nx40 settings\nx40 priority 1\nx40 wu 0 1\nx40 raw 99 0 0", None);
    check("x40 ping 1\nx40 settings\nx40 priority 1\nx40 wu 0 1\nx41 raw 99 0 0", CALM_FRAMES);
}

#[test]
fn a_busy_peer_may_ping_and_open_windows_t16() {
    check("post 1\nx300 data 1 x\nx400 ping 1", None);
    check("get 1\n! respond 1 200\nx300 ! data 1 x\nx600 wu 1 1", None);
    // One who opens both windows for every 4 KiB.
    let download = "x16 ! data 1 *16384\nx64 wu 1 4096\nx64 wu 0 4096\n".repeat(20);
    check(&format!("settings 4=1000000\nwu 0 1000000\nget 1\n! respond 1 200\n{download}"), None);
    // What traffic pays for is bounded.
    check("post 1\nx1000 data 1 x\nx1204 ping 1", None);
    check("post 1\nx1000 data 1 x\nx1205 ping 1", CALM_FRAMES);
}

#[test]
fn data_are_not_asked_for_byte_by_byte_t16() {
    let dribble = |count| {
        let step = "wu 1 1\n! data 1 x\n".repeat(count);
        format!("settings 4=0\nget 1\n! respond 1 200\n{step}")
    };
    check(&dribble(199), None);
    check(&dribble(200), CALM_FRAMES);
}

/// A peer that asks and does not read: nothing is taken out of the queue.
#[test]
fn answers_that_nobody_reads_are_bounded_t16() {
    for (kind, payload) in [(6u8, vec![0; 8]), (4, Vec::new())] {
        let mut connection = Connection::new(Role::Server, Config::default());
        let mut input = [&PREFACE[..], &frame(4, 0, 0, &[])].concat();
        (0..200).for_each(|_| input.extend_from_slice(&frame(kind, 0, 0, &payload)));
        let mut at = 0;
        let error = loop {
            match connection.handle_input(0, &input[at..]) {
                Ok(step) => at += step.consumed,
                Err(error) => break error,
            }
        };
        assert_eq!(error, ConnectionError::Replies);
        let mut owed = Vec::new();
        connection.poll_output(&mut owed);
        assert!(owed.len() < 4096, "{} bytes are owed", owed.len());
    }
}

#[test]
fn a_setting_repeated_in_one_frame_moves_windows_once_t16() {
    let mut connection = Connection::new(Role::Server, Config::default());
    let settings: Vec<u8> = (0..2700u32).flat_map(|at| [0, 4, 0, 0, 0, (at % 2) as u8]).collect();
    let input = [&PREFACE[..], &frame(4, 0, 0, &settings)].concat();
    let step = connection.handle_input(0, &input).expect("a lawful frame");
    assert_eq!((step.consumed, step.event), (input.len(), Some(Event::Settings)));
    assert_eq!(connection.peer_settings().stream_window_bytes, 1);
}

#[test]
fn a_window_held_shut_costs_no_memory_here_t15() {
    let mut dialogue = Dialogue::begun(Role::Server, Config::default());
    dialogue.play("settings 4=0\nx50 ping 1", Cut::Whole);
    dialogue.text.clear();
    let script: String =
        (0..100).map(|at| format!("get {0}\n! respond {0} 200\n! fits {0}\n", 2 * at + 1)).collect();
    dialogue.play(&script, Cut::Whole);
    assert_eq!(dialogue.text.matches("fits 0").count(), 100);
    assert!(!dialogue.connection.wants_write());
    // The caller's deadline ends the streams, which frees their places.
    let script: String = (0..100).map(|at| format!("! reset {0} 8\n! finish {0}\n", 2 * at + 1)).collect();
    dialogue.play(&script, Cut::Whole);
    assert_eq!((dialogue.connection.streams_count(), dialogue.lost), (0, None));
}
