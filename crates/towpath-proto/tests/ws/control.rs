//! Pings, pongs, and how many (§5.5).

use towpath_proto::limits::{WS_CONTROL_COUNT_MAX, WS_CONTROL_INTERVAL_MS};
use towpath_proto::ws::{ControlMeter, Role};

use crate::*;

#[test]
fn pings_and_pongs_carry_up_to_125_bytes_5_5() {
    let longest = "\\xfe".repeat(125);
    for (first, name) in [(PING, "ping"), (PONG, "pong")] {
        check(&[(first, b"")], &format!("{name}()"));
        check(&[(first, b"\x00\xff\xfe\xfd")], &format!("{name}(\\x00\\xff\\xfe\\xfd)"));
        check(&[(first, &[0xFE; 125])], &format!("{name}({longest})"));
    }
}

#[test]
fn control_frames_above_125_bytes_are_refused_at_their_head_5_5_t54() {
    for first in [PING, PONG, CLOSE] {
        for hex in ["7e", "7e 00 7e", "7f", "7f 0000000000010000"] {
            let wire = [&[first][..], &bytes(hex)].concat();
            check_wire(Role::Client, None, &wire, "1002 ws_bad_control: ControlTooLong");
        }
    }
}

#[test]
fn control_frames_are_not_fragmented_5_5_t54() {
    for first in [PING, PONG, CLOSE] {
        check(&[(first & 0x7F, b"a"), (LAST, b"b")], "1002 ws_bad_control: ControlFragmented");
        check_wire(Role::Server, None, &[first & 0x7F], "1002 ws_bad_control: ControlFragmented");
    }
}

#[test]
fn many_pings_are_each_reported_in_order_5_5_2() {
    let frames: Vec<(u8, &[u8])> = vec![(PING, b"x"); 10];
    check(&frames, &["ping(x)"; 10].join(" "));
    check(&[(PONG, b"unasked"), (PING, b"1"), (PING, b"2")], "pong(unasked) ping(1) ping(2)");
}

#[test]
fn control_frames_come_between_fragments_5_4() {
    check(
        &[(TEXT_FIRST, b"Hel"), (PING, b"p"), (MIDDLE, b"l"), (PONG, b""), (LAST, b"o")],
        "text <Hel> ping(p) <l> pong() <o> end",
    );
}

#[test]
fn a_flood_of_control_frames_is_counted_t54() {
    let mut meter = ControlMeter::default();
    let charge = |meter: &mut ControlMeter, now_ms| match meter.charge(now_ms) {
        Ok(()) => "ok".to_owned(),
        Err(error) => word_of(error),
    };
    for _ in 0..WS_CONTROL_COUNT_MAX {
        assert_eq!(charge(&mut meter, 5_000_000), "ok");
    }
    let refused = "1008 ws_control_flood: ControlFlood";
    assert_eq!(charge(&mut meter, 5_000_000), refused);
    assert_eq!(charge(&mut meter, 5_000_000 + WS_CONTROL_INTERVAL_MS - 1), refused);
    assert_eq!(charge(&mut meter, 5_000_000 + WS_CONTROL_INTERVAL_MS), "ok");
    // A clock that goes back opens no new interval.
    assert_eq!(charge(&mut meter, 0), "ok");
    let mut strict = ControlMeter::new(0, 1);
    assert_eq!(charge(&mut strict, 0), refused);
}
