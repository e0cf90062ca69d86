//! Windows in both directions (RFC 9113 §5.2, §6.9).

use towpath_proto::h2::{Config, Role};

use crate::script::{check, check_client, check_with};

/// Both windows as small as they can be.
const SMALL: Config = Config {
    head: towpath_proto::h2::HeadLimits {
        head_bytes_max: 65536,
        fields_count_max: 100,
        line_bytes_max: 8192,
    },
    streams_count_max: 100,
    heads_bytes_max: 1 << 20,
    resets_count_max: 100,
    workless_count_max: 200,
    replies_count_max: 128,
    stream_window_bytes: 0,
    connection_window_bytes: 0,
    accepts_connect_protocol: false,
};

#[test]
fn windows_open_when_the_caller_has_released_half_of_them_t15() {
    check_with(
        Role::Server,
        SMALL,
        "post 1
         x4 data 1 *16000
         ! release 1 32000
         ! release 1 767
         ! release 1 32000
         ! release 1 999999",
        "Head 1 POST / @h Chunked
         Data 1 *16000
         Data 1 *16000
         Data 1 *16000
         Data 1 *16000
         > WINDOW_UPDATE 1 32767
         > WINDOW_UPDATE 0 32767",
    );
}

#[test]
fn more_than_a_window_is_an_error_t15() {
    check_with(
        Role::Server,
        SMALL,
        "post 1
         x4 data 1 *16000
         data 1 *1536",
        "Head 1 POST / @h Chunked
         Data 1 *16000
         Data 1 *16000
         Data 1 *16000
         Data 1 *16000
         lost FlowControlError h2_bad_window
         > GOAWAY 1 FlowControlError",
    );
    check(
        "post 1
         x4 data 1 *16000
         data 1 *1536
         data 1 *100
         post 3
         data 3 *16000",
        "Head 1 POST / @h Chunked
         Data 1 *16000
         Data 1 *16000
         Data 1 *16000
         Data 1 *16000
         Reset 1 FlowControlError h2_bad_window
         > RST_STREAM 1 FlowControlError
         Head 3 POST / @h Chunked
         Data 3 *16000",
    );
}

#[test]
fn padding_is_charged_and_given_back_at_once() {
    let padded = "post 1\n x180 data 1 pad=255";
    check_with(Role::Server, SMALL, padded, &{
        let mut expected = String::from("Head 1 POST / @h Chunked\n");
        for _ in 0..180 / 128 {
            expected.push_str("> WINDOW_UPDATE 1 32768\n> WINDOW_UPDATE 0 32768\n");
        }
        expected
    });
}

#[test]
fn what_is_dropped_or_left_behind_is_given_back_to_the_connection_t15() {
    check_with(
        Role::Server,
        SMALL,
        "post 1
         x2 data 1 *16384
         ! finish 1
         x2 data 1 *16384",
        "Head 1 POST / @h Chunked
         Data 1 *16384
         Data 1 *16384
         > RST_STREAM 1 Cancel
         > WINDOW_UPDATE 0 32768
         > WINDOW_UPDATE 0 32768",
    );
}

#[test]
fn the_caller_makes_windows_larger() {
    check(
        "post 1
         ! window 1 100000
         ! window 1 1000
         ! window 0 2000000
         data 1 x
         ! reset 1 8
         ! window 1 200000",
        "Head 1 POST / @h Chunked
         > WINDOW_UPDATE 1 34465
         > WINDOW_UPDATE 0 951424
         Data 1 x
         > RST_STREAM 1 Cancel",
    );
}

#[test]
fn sending_waits_for_the_stream_and_for_the_connection() {
    check(
        "settings 4=10
         get 1
         ! fits 1
         ! respond 1 200
         ! fits 1
         ! data 1 0123456789
         ! data 1 x
         ! fits 1
         wu 1 300
         ! fits 1
         wu 1 300
         settings 4=100000
         ! fits 1
         x3 ! data 1 *16384
         ! data 1 *16000
         ! fits 1
         ! data 1 *373
         ! fits 1
         wu 0 500
         ! fits 1
         wu 0 500
         ! data 1 *1001
         ! data 1 *1000 end",
        "Settings
         > SETTINGS ACK
         Head 1 GET / @h None end
         fits 0
         > HEADERS 1 | :status 200
         fits 10
         > DATA 1 0123456789
         cannot: the data exceed what the peer's windows and frame size allow
         fits 0
         WindowOpen 1
         fits 300
         Settings
         > SETTINGS ACK
         fits 16384
         > DATA 1 *16384
         > DATA 1 *16384
         > DATA 1 *16384
         > DATA 1 *16000
         fits 373
         > DATA 1 *373
         fits 0
         WindowOpen 0
         fits 500
         cannot: the data exceed what the peer's windows and frame size allow
         > DATA 1 END *1000",
    );
}

#[test]
fn a_setting_makes_windows_negative_rfc9113_6_9_2() {
    check(
        "get 1
         ! respond 1 200
         ! data 1 *16384
         settings 4=1000
         ! fits 1
         wu 1 15000
         ! fits 1
         wu 1 385
         ! fits 1
         settings 4=0
         ! fits 1
         settings 4=1001
         ! fits 1",
        "Head 1 GET / @h None end
         > HEADERS 1 | :status 200
         > DATA 1 *16384
         Settings
         > SETTINGS ACK
         fits 0
         fits 0
         WindowOpen 1
         fits 1
         Settings
         > SETTINGS ACK
         fits 0
         Settings
         > SETTINGS ACK
         fits 2",
    );
}

#[test]
fn windows_do_not_overflow_rfc9113_6_9_1() {
    let over = 2_147_483_647u32 - 65_535 + 1;
    check(&format!("wu 0 {over}"), "lost FlowControlError h2_bad_window\n> GOAWAY 0 FlowControlError");
    check(
        &format!("wu 0 {}\nget 1\nwu 1 {over}\nget 3", over - 1),
        "Head 1 GET / @h None end
         Reset 1 FlowControlError h2_bad_window
         > RST_STREAM 1 FlowControlError
         Head 3 GET / @h None end",
    );
    check(
        &format!("get 1\nwu 1 {}\nsettings 4=65536", over - 1),
        "Head 1 GET / @h None end
         lost FlowControlError h2_bad_window
         > GOAWAY 1 FlowControlError",
    );
    check("settings 4=2147483648", "lost FlowControlError h2_bad_window\n> GOAWAY 0 FlowControlError");
    check("wu 0 0", "lost ProtocolError h2_bad_window\n> GOAWAY 0 ProtocolError");
}

#[test]
fn frames_are_as_large_as_the_peer_takes_them() {
    check_client(
        "settings 5=20000 4=1000000
         wu 0 1000000
         ! request
         ! fits 1
         ! data 1 *20000
         ! data 1 end",
        "Settings
         > SETTINGS ACK
         > HEADERS 1 | :method GET | :scheme https | :path / | :authority origin
         fits 20000
         > DATA 1 *20000
         > DATA 1 END end",
    );
}
