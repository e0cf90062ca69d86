//! What clients of HTTP/2 do wrong: each is answered as threats.md says, and counted.

use crate::gateway::{Gateway, check, respond};

fn hello() -> Gateway {
    Gateway::new().h2c().without_default().path("/", |_| respond(200, "hello"))
}

#[test]
fn a_client_that_never_speaks_or_stops_within_its_first_words_is_closed_t31() {
    check(
        hello,
        r#"
        client-h2> (connect)
        wait 9s
        wait 2s
        client-h2< (end)
        client-h2> (connect)
        client-h2> bytes PRI *
        wait 11s
        client-h2< (end)
        client-h2> (connect)
        client-h2> preface
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        wait 11s
        client-h2< (end)
        proxy: closes
        proxy< timeout 3
        proxy: reasons
        proxy< header_timeout 1
        "#,
    );
}

#[test]
fn a_head_that_does_not_end_is_not_waited_for_t39() {
    check(
        hello,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> get 1 /
        client-h2> raw 1 1 3 | 828784
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 1 | :status 200 | server towpath | date (now) | content-length 5
        client-h2< DATA 1 END hello
        wait 9s
        wait 2s
        client-h2< GOAWAY 1 EnhanceYourCalm
        client-h2< (end)
        proxy: reasons
        proxy< header_timeout 1
        "#,
    );
}

#[test]
fn settings_that_are_not_acknowledged_end_the_connection_t15() {
    check(
        hello,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> get 1 /
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 1 | :status 200 | server towpath | date (now) | content-length 5
        client-h2< DATA 1 END hello
        wait 11s
        client-h2< GOAWAY 1 SettingsTimeout
        client-h2< (end)
        proxy: reasons
        proxy< h2_settings_timeout 1
        "#,
    );
}

#[test]
fn a_head_over_its_limit_is_answered_counted_and_logged_t14() {
    check(
        || hello().listener(|settings| settings.head.head_bytes_max = 300).logged(),
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> get 1 / | x-large *400
        client-h2> get 3 / | expect something
        client-h2> get 5 /
        client-h2< SETTINGS 4=65535 6=300 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 1 | :status 431 | server towpath | date (now) | content-type text/plain; charset=utf-8 | proxy-status towpath; error=http_request_error; details=\"header_too_large\" | content-length 54
        client-h2< DATA 1 END *54
        client-h2< HEADERS 3 | :status 417 | server towpath | date (now) | content-type text/plain; charset=utf-8 | proxy-status towpath; error=http_request_error; details=\"bad_expectation\" | content-length 40
        client-h2< DATA 3 END 417 Expectation Failed: bad_expectation\n
        client-h2< HEADERS 5 | :status 200 | server towpath | date (now) | content-length 5
        client-h2< DATA 5 END hello
        proxy: reasons
        proxy< bad_expectation 1
        proxy< header_too_large 1
        wait 2s
        proxy: log
        proxy< proxy - - - - in=0 out=54 header_too_large
        proxy< proxy - - - - in=0 out=40 bad_expectation
        proxy< proxy HTTP/2.0 h - - in=0 out=5 -
        "#,
    );
}

#[test]
fn a_body_of_another_length_than_declared_reaches_no_origin_whole_t17() {
    check(
        || Gateway::new().h2c(),
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> post 1 / | content-length 3
        client-h2> data 1 GET^/
        client-h2> post 3 / | content-length 9
        client-h2> data 3 short
        client-h2> headers 3 end | x-sum 1
        client-h2> post 5 / | content-length 9
        client-h2> data 5 short end
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< RST_STREAM 1 ProtocolError
        client-h2< RST_STREAM 3 ProtocolError
        client-h2< RST_STREAM 5 ProtocolError
        origin< (connected)
        proxy: reasons
        proxy< client_gone 3
        proxy< h2_bad_length 3
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 1, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_rapid_reset_ends_the_connection_t11() {
    let resets: String =
        (1..=101).map(|at| format!("client-h2> get {0} /\nclient-h2> rst {0} 8\n", 2 * at - 1)).collect();
    let transcript = towpath_testkit::dialogue::transcript(
        |stage| Gateway::new().h2c().start(stage),
        &format!(
            "client-h2> preface\nclient-h2> settings\nclient-h2> ack\n{resets}proxy: reasons\nproxy: gauges\n"
        ),
    );
    let seen: Vec<&str> = transcript.lines().filter(|line| line.contains("< ")).skip(3).collect();
    assert_eq!(
        seen,
        [
            "client-h2< GOAWAY 201 EnhanceYourCalm",
            "client-h2< (end)",
            "origin< (connected)",
            "proxy< client_gone 100",
            "proxy< h2_too_many_resets 1",
            "proxy< connections 1, tunnels 0, charges 0",
            "proxy< pool origin: in use 0, idle 1, dialling 0, waiting 0",
        ]
    );
}
