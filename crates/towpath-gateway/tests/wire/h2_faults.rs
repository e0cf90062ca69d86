//! What clients of HTTP/2 do wrong: each is answered as threats.md says, and counted.

use crate::gateway::{Gateway, check, respond};

fn hello() -> Gateway {
    Gateway::new().h2c().without_default().path("/", |_| respond(200, "hello"))
}

#[test]
fn a_client_that_never_speaks_or_stops_within_its_first_words_is_closed_t31() {
    check(
        hello,
        r"
        client-h2> (connect)
        wait 9s
        wait 2s
        client-h2> (connect)
        client-h2> bytes PRI *
        wait 11s
        client-h2> (connect)
        client-h2> preface
        wait 11s
        proxy: closes
        proxy: reasons
        ",
    );
}

#[test]
fn a_head_that_does_not_end_is_not_waited_for_t39() {
    check(
        hello,
        r"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> get 1 /
        client-h2> raw 1 1 3 | 828784
        wait 9s
        wait 2s
        proxy: reasons
        ",
    );
}

#[test]
fn settings_that_are_not_acknowledged_end_the_connection_t15() {
    check(
        hello,
        r"
        client-h2> preface
        client-h2> settings
        client-h2> get 1 /
        wait 11s
        proxy: reasons
        ",
    );
}

#[test]
fn a_rapid_reset_ends_the_connection_t11() {
    check(
        || Gateway::new().h2c(),
        &format!(
            "client-h2> preface\nclient-h2> settings\nclient-h2> ack\n{}proxy: reasons\nproxy: gauges\n",
            (0..101)
                .map(|at| format!("client-h2> get {0} /\nclient-h2> rst {0} 8\n", 2 * at + 1))
                .collect::<String>()
        ),
    );
}
