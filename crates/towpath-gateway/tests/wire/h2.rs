//! HTTP/2 from clients, to origins that speak HTTP/1.1.

use crate::gateway::{Gateway, check, respond};

/// What both sides say at first.
fn begun() -> Gateway {
    Gateway::new().h2c()
}

#[test]
fn a_request_goes_to_an_origin_that_speaks_http1_and_its_answer_comes_back() {
    check(
        begun,
        r"
        client-h2> preface
        client-h2> settings
        client-h2> get 1 /a?b=c | accept-encoding gzip | cookie a=1 | cookie b=2
        ",
    );
}

#[test]
fn a_body_of_declared_length_and_one_without_are_framed_anew() {
    check(
        begun,
        r"
        client-h2> preface
        client-h2> settings
        client-h2> post 1 /length | content-length 5
        client-h2> data 1 hel
        client-h2> data 1 lo end
        origin> HTTP/1.1 200 OK
        origin> content-length: 2
        origin>
        origin> ok\
        client-h2> post 3 /chunked
        client-h2> data 3 hel
        client-h2> data 3 lo
        client-h2> headers 3 end | x-checksum 1
        origin> HTTP/1.1 200 OK
        origin> transfer-encoding: chunked
        origin> trailer: x-sum
        origin>
        origin> 3
        origin> abc
        origin> 0
        origin> x-sum: 7
        origin>
        ",
    );
}

#[test]
fn streams_do_not_wait_for_each_other() {
    check(
        begun,
        r"
        client-h2> preface
        client-h2> settings
        client-h2> get 1 /slow
        client-h2> get 3 /fast
        origin#2> HTTP/1.1 200 OK
        origin#2> content-length: 4
        origin#2>
        origin#2> fast\
        origin> HTTP/1.1 200 OK
        origin> content-length: 4
        origin>
        origin> slow\
        ",
    );
}

#[test]
fn head_204_304_and_interim_answers_have_no_body() {
    check(
        begun,
        r"
        client-h2> preface
        client-h2> settings
        client-h2> headers 1 end | :method HEAD | :scheme http | :authority h | :path /
        origin> HTTP/1.1 200 OK
        origin> content-length: 9
        origin>
        client-h2> get 3 /
        origin> HTTP/1.1 103 Early Hints
        origin> link: </a>
        origin>
        origin> HTTP/1.1 204 No Content
        origin>
        client-h2> get 5 /
        origin> HTTP/1.1 304 Not Modified
        origin> content-length: 9
        origin>
        ",
    );
}

#[test]
fn an_answer_of_the_gateways_own_is_one_frame_or_two() {
    check(
        || begun().without_default().path("/hello", |_| respond(200, "hello")),
        r"
        client-h2> preface
        client-h2> settings
        client-h2> get 1 /hello
        client-h2> get 3 /nowhere
        client-h2> headers 5 end | :method HEAD | :scheme http | :authority h | :path /hello
        client-h2> headers 7 | :method CONNECT | :authority h
        ",
    );
}

#[test]
fn what_http1_says_about_a_connection_stays_there() {
    check(
        begun,
        r"
        client-h2> preface
        client-h2> settings
        client-h2> get 1 / | te trailers
        origin> HTTP/1.1 200 OK
        origin> connection: x-hop, close
        origin> x-hop: 1
        origin> keep-alive: timeout=5
        origin> upgrade: h2c
        origin> Content-Length: 0
        origin> X-Case: Kept
        origin>
        ",
    );
}

#[test]
fn a_response_waits_for_the_clients_windows_t15() {
    check(
        begun,
        r"
        client-h2> preface
        client-h2> settings 4=5
        client-h2> get 1 /
        origin> HTTP/1.1 200 OK
        origin> content-length: 12
        origin>
        origin> hello, world\
        client-h2> wu 1 2
        client-h2> wu 1 100
        ",
    );
}

#[test]
fn a_client_that_takes_nothing_is_given_up_t15() {
    check(
        begun,
        r"
        client-h2> preface
        client-h2> settings 4=0
        client-h2> ack
        client-h2> get 1 /
        origin> HTTP/1.1 200 OK
        origin> content-length: 2
        origin>
        origin> ok\
        wait 29s
        wait 2s
        proxy: reasons
        proxy: gauges
        ",
    );
}

#[test]
fn a_request_that_its_client_resets_is_dropped_t45() {
    check(
        begun,
        r"
        client-h2> preface
        client-h2> settings
        client-h2> get 1 /
        client-h2> rst 1 8
        proxy: gauges
        client-h2> post 3 /
        client-h2> data 3 abc
        client-h2> rst 3 8
        proxy: gauges
        client-h2> get 5 /
        client-h2> (close)
        proxy: gauges
        proxy: closes
        ",
    );
}

#[test]
fn an_answer_that_breaks_off_resets_its_stream_and_no_other() {
    check(
        begun,
        r"
        client-h2> preface
        client-h2> settings
        client-h2> get 1 /
        origin> HTTP/1.1 200 OK
        origin> content-length: 9
        origin>
        origin> half\
        origin> (close)
        client-h2> get 3 /
        origin#2> HTTP/1.1 200 OK
        origin#2> content-length: 2
        origin#2>
        origin#2> ok\
        proxy: reasons
        ",
    );
}

#[test]
fn an_answer_before_the_end_of_its_request_ends_the_request() {
    check(
        begun,
        r"
        client-h2> preface
        client-h2> settings
        client-h2> post 1 /
        client-h2> data 1 abc
        origin> HTTP/1.1 413 Content Too Large
        origin> content-length: 3
        origin>
        origin> no!\
        client-h2> data 1 more
        client-h2> get 3 /
        ",
    );
}

#[test]
fn http1_is_served_on_the_same_port() {
    check(
        || begun().without_default().path("/hello", |_| respond(200, "hello")),
        r"
        client> P\
        client> OST /hello HTTP/1.1
        client> host: h
        client> content-length: 0
        client>
        client2> PRI * HTTP/1.1
        client2>
        ",
    );
}

#[test]
fn a_drain_lets_requests_end_and_takes_those_on_their_way() {
    check(
        begun,
        r"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> get 1 /
        proxy: drain
        client-h2> get 3 /late
        client-h2> drained
        client-h2> get 5 /too-late
        origin> HTTP/1.1 200 OK
        origin> content-length: 0
        origin>
        origin#2> HTTP/1.1 200 OK
        origin#2> content-length: 0
        origin#2>
        proxy: closes
        ",
    );
}

#[test]
fn an_idle_connection_is_told_before_it_is_closed() {
    check(
        begun,
        r"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> get 1 /
        origin> HTTP/1.1 200 OK
        origin> content-length: 0
        origin>
        wait 59s
        wait 2s
        client-h2> (close)
        proxy: closes
        ",
    );
}

#[test]
fn uploads_open_windows_as_the_origin_takes_them() {
    check(
        begun,
        r"
        client-h2> preface
        client-h2> settings
        client-h2> post 1 / | content-length 49152
        client-h2> data 1 *16384
        client-h2> data 1 *16384
        client-h2> data 1 *16384 end
        ",
    );
}
