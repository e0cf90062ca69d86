//! HTTP/2 to origins, from clients of either version.

use crate::gateway::{Gateway, check};

fn both() -> Gateway {
    Gateway::new().h2c().http2().endpoints(&["origin-h2"])
}

#[test]
fn a_request_of_http1_goes_to_an_origin_that_speaks_http2() {
    check(
        both,
        r"
        client> POST /a?b HTTP/1.1
        client> host: h
        client> te: trailers
        client> content-length: 5
        client>
        client> hello\
        origin-h2> settings
        origin-h2> headers 1 | :status 200 | content-type text/plain
        origin-h2> data 1 hi
        origin-h2> headers 1 end | x-sum 1
        ",
    );
}

#[test]
fn requests_share_a_connection_and_answers_come_in_any_order() {
    check(
        both,
        r"
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        client2> GET /2 HTTP/1.1
        client2> host: h
        client2>
        origin-h2> settings
        origin-h2> headers 3 end | :status 204
        origin-h2> ok 1
        origin-h2> data 1 one end
        proxy: gauges
        ",
    );
}

#[test]
fn a_grpc_call_passes_with_its_trailers() {
    check(
        both,
        r"
        client-h2> preface
        client-h2> settings
        client-h2> post 1 /e.E/M | content-type application/grpc | te trailers
        client-h2> data 1 12345
        client-h2> data 1 6 end
        origin-h2> settings
        origin-h2> headers 1 | :status 200 | content-type application/grpc
        origin-h2> data 1 54321
        origin-h2> headers 1 end | grpc-status 0 | grpc-message fine
        client-h2> post 3 /e.E/M | content-type application/grpc | te trailers
        client-h2> data 3 7 end
        origin-h2> headers 3 end | :status 200 | content-type application/grpc | grpc-status 12
        ",
    );
}

#[test]
fn what_the_origin_did_not_look_at_is_sent_again() {
    check(
        both,
        r"
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin-h2> settings
        origin-h2> rst 1 7
        origin-h2> goaway 1 0
        origin-h2#2> settings
        origin-h2#2> headers 1 end | :status 204
        ",
    );
}

#[test]
fn an_origin_that_goes_away_in_the_middle_breaks_the_answer_off() {
    check(
        both,
        r"
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        client-h2> preface
        client-h2> settings
        client-h2> get 1 /2
        origin-h2> settings
        origin-h2> headers 1 | :status 200 | content-length 9
        origin-h2> data 1 half
        origin-h2> headers 3 | :status 200 | content-length 9
        origin-h2> data 3 half
        origin-h2> (close)
        proxy: reasons
        proxy: gauges
        ",
    );
}

#[test]
fn an_idle_connection_goes_after_its_time() {
    check(
        both,
        r"
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin-h2> settings
        origin-h2> ack
        origin-h2> headers 1 end | :status 204
        client> (close)
        wait 299s
        wait 2s
        proxy: gauges
        ",
    );
}

#[test]
fn an_upload_waits_for_the_origins_windows() {
    check(
        both,
        r"
        client> POST / HTTP/1.1
        client> host: h
        client> content-length: 12
        client>
        client> hello, world\
        origin-h2> settings 4=5
        origin-h2> wu 1 100
        origin-h2> headers 1 end | :status 204
        ",
    );
}
