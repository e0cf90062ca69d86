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
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> get 1 /a?b=c | accept-encoding gzip | cookie a=1 | cookie b=2
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin< (connected)
        origin< GET /a?b=c HTTP/1.1
        origin< host: h
        origin< accept-encoding: gzip
        origin< cookie: a=1; b=2
        origin<
        "#,
    );
}

#[test]
fn a_body_of_declared_length_and_one_without_are_framed_anew() {
    check(
        begun,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> post 1 /length | content-length 5
        client-h2> data 1 hel
        client-h2> data 1 lo end
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin< (connected)
        origin< POST /length HTTP/1.1
        origin< host: h
        origin< Content-Length: 5
        origin<
        origin< hello\
        origin> HTTP/1.1 200 OK
        origin> content-length: 2
        origin>
        origin> ok\
        client-h2< HEADERS 1 | :status 200 | date (now) | content-length 2
        client-h2< DATA 1 END ok
        client-h2> post 3 /chunked
        client-h2> data 3 hel
        client-h2> data 3 lo
        client-h2> headers 3 end | x-checksum 1
        origin< POST /chunked HTTP/1.1
        origin< host: h
        origin< Transfer-Encoding: chunked
        origin<
        origin< 3
        origin< hel
        origin< 2
        origin< lo
        origin< 0
        origin< x-checksum: 1
        origin<
        origin> HTTP/1.1 200 OK
        origin> transfer-encoding: chunked
        origin> trailer: x-sum
        origin>
        origin> 3
        origin> abc
        origin> 0
        origin> x-sum: 7
        origin>
        client-h2< HEADERS 3 | :status 200 | date (now)
        client-h2< DATA 3 abc
        client-h2< HEADERS 3 END | x-sum 7
        "#,
    );
}

#[test]
fn streams_do_not_wait_for_each_other() {
    check(
        begun,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> get 1 /slow
        client-h2> get 3 /fast
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin< (connected)
        origin#2< (connected)
        origin< GET /slow HTTP/1.1
        origin< host: h
        origin<
        origin#2< GET /fast HTTP/1.1
        origin#2< host: h
        origin#2<
        origin#2> HTTP/1.1 200 OK
        origin#2> content-length: 4
        origin#2>
        origin#2> fast\
        client-h2< HEADERS 3 | :status 200 | date (now) | content-length 4
        client-h2< DATA 3 END fast
        origin> HTTP/1.1 200 OK
        origin> content-length: 4
        origin>
        origin> slow\
        client-h2< HEADERS 1 | :status 200 | date (now) | content-length 4
        client-h2< DATA 1 END slow
        "#,
    );
}

#[test]
fn head_204_304_and_interim_answers_have_no_body() {
    check(
        begun,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> headers 1 end | :method HEAD | :scheme http | :authority h | :path /
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin< (connected)
        origin< HEAD / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-length: 9
        origin>
        client-h2< HEADERS 1 END | :status 200 | content-length 9 | date (now)
        client-h2> get 3 /
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 103 Early Hints
        origin> link: </a>
        origin>
        origin> HTTP/1.1 204 No Content
        origin>
        client-h2< HEADERS 3 | :status 103 | link </a>
        client-h2< HEADERS 3 END | :status 204 | date (now)
        client-h2> get 5 /
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 304 Not Modified
        origin> content-length: 9
        origin>
        client-h2< HEADERS 5 END | :status 304 | content-length 9 | date (now)
        "#,
    );
}

#[test]
fn an_answer_of_the_gateways_own_is_one_frame_or_two() {
    check(
        || begun().without_default().path("/hello", |_| respond(200, "hello")),
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> get 1 /hello
        client-h2> get 3 /nowhere
        client-h2> headers 5 end | :method HEAD | :scheme http | :authority h | :path /hello
        client-h2> headers 7 | :method CONNECT | :authority h:80
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 1 | :status 200 | server towpath | date (now) | content-length 5
        client-h2< DATA 1 END hello
        client-h2< HEADERS 3 | :status 404 | server towpath | date (now) | content-type text/plain; charset=utf-8 | proxy-status towpath; error=destination_not_found; details=\"no_route\" | content-length 24
        client-h2< DATA 3 END 404 Not Found: no_route\n
        client-h2< HEADERS 5 END | :status 200 | server towpath | date (now) | content-length 5
        client-h2< HEADERS 7 | :status 405 | server towpath | date (now) | content-type text/plain; charset=utf-8 | proxy-status towpath; error=http_request_denied; details=\"connect_not_offered\" | content-length 44
        client-h2< DATA 7 END *44
        client-h2< RST_STREAM 7 NoError
        "#,
    );
}

#[test]
fn what_http1_says_about_a_connection_stays_there() {
    check(
        begun,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> get 1 / | te trailers
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> connection: x-hop, close
        origin> x-hop: 1
        origin> keep-alive: timeout=5
        origin> upgrade: h2c
        origin> Content-Length: 0
        origin> X-Case: Kept
        origin>
        origin< (end)
        client-h2< HEADERS 1 END | :status 200 | x-case Kept | date (now) | content-length 0
        "#,
    );
}

#[test]
fn a_response_waits_for_the_clients_windows_t15() {
    check(
        begun,
        r#"
        client-h2> preface
        client-h2> settings 4=5
        client-h2> get 1 /
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-length: 12
        origin>
        origin> hello, world\
        client-h2< HEADERS 1 | :status 200 | date (now) | content-length 12
        client-h2< DATA 1 hello
        client-h2> wu 1 2
        client-h2> wu 1 100
        client-h2< DATA 1 END , world
        "#,
    );
}

#[test]
fn a_client_that_takes_nothing_is_given_up_t15() {
    check(
        begun,
        r#"
        client-h2> preface
        client-h2> settings 4=0
        client-h2> ack
        client-h2> get 1 /
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-length: 2
        origin>
        origin> ok\
        client-h2< HEADERS 1 | :status 200 | date (now) | content-length 2
        wait 29s
        wait 2s
        client-h2< RST_STREAM 1 Cancel
        proxy: reasons
        proxy< client_write_timeout 1
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 1, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_request_that_its_client_resets_is_dropped_t45() {
    check(
        begun,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> get 1 /
        client-h2> rst 1 8
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin< (connected)
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 1, dialling 0, waiting 0
        client-h2> post 3 /
        client-h2> data 3 abc
        client-h2> rst 3 8
        origin< POST / HTTP/1.1
        origin< host: h
        origin< Transfer-Encoding: chunked
        origin<
        origin< 3
        origin< abc
        origin< (end)
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        client-h2> get 5 /
        origin#2< (connected)
        origin#2< GET / HTTP/1.1
        origin#2< host: h
        origin#2<
        client-h2> (close)
        origin#2< (end)
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        proxy: closes
        proxy< client 1
        "#,
    );
}

#[test]
fn an_answer_that_breaks_off_resets_its_stream_and_no_other() {
    check(
        begun,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> get 1 /
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-length: 9
        origin>
        origin> half\
        client-h2< HEADERS 1 | :status 200 | date (now) | content-length 9
        client-h2< DATA 1 half
        origin> (close)
        client-h2< RST_STREAM 1 InternalError
        client-h2> get 3 /
        origin#2< (connected)
        origin#2< GET / HTTP/1.1
        origin#2< host: h
        origin#2<
        origin#2> HTTP/1.1 200 OK
        origin#2> content-length: 2
        origin#2>
        origin#2> ok\
        client-h2< HEADERS 3 | :status 200 | date (now) | content-length 2
        client-h2< DATA 3 END ok
        proxy: reasons
        proxy< upstream_reset_mid_body 1
        "#,
    );
}

#[test]
fn an_answer_before_the_end_of_its_request_ends_the_request() {
    check(
        begun,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> post 1 /
        client-h2> data 1 abc
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin< (connected)
        origin< POST / HTTP/1.1
        origin< host: h
        origin< Transfer-Encoding: chunked
        origin<
        origin< 3
        origin< abc
        origin> HTTP/1.1 413 Content Too Large
        origin> content-length: 3
        origin>
        origin> no!\
        origin< (end)
        client-h2< HEADERS 1 | :status 413 | date (now) | content-length 3
        client-h2< DATA 1 END no!
        client-h2< RST_STREAM 1 NoError
        client-h2> data 1 more
        client-h2> get 3 /
        origin#2< (connected)
        origin#2< GET / HTTP/1.1
        origin#2< host: h
        origin#2<
        "#,
    );
}

#[test]
fn http1_is_served_on_the_same_port() {
    check(
        || begun().without_default().path("/hello", |_| respond(200, "hello")),
        r#"
        client> P\
        client> OST /hello HTTP/1.1
        client> host: h
        client> content-length: 0
        client>
        client< HTTP/1.1 200 OK
        client< server: towpath
        client< date: (now)
        client< Content-Length: 5
        client<
        client< hello\
        client2> PRI * HTTP/1.1
        client2>
        client2< HTTP/1.1 400 Bad Request
        client2< server: towpath
        client2< date: (now)
        client2< content-type: text/plain; charset=utf-8
        client2< proxy-status: towpath; error=http_request_error; details="bad_request_target"
        client2< Content-Length: 36
        client2< connection: close
        client2<
        client2< 400 Bad Request: bad_request_target\n\
        client2< (end)
        "#,
    );
}

#[test]
fn a_drain_lets_requests_end_and_takes_those_on_their_way() {
    check(
        begun,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> get 1 /
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        proxy: drain
        client-h2< GOAWAY 2147483647 NoError
        client-h2< PING 103
        client-h2> get 3 /late
        client-h2> drained
        client-h2> get 5 /too-late
        client-h2< GOAWAY 3 NoError
        origin#2< (connected)
        origin#2< GET /late HTTP/1.1
        origin#2< host: h
        origin#2<
        origin> HTTP/1.1 200 OK
        origin> content-length: 0
        origin>
        client-h2< HEADERS 1 END | :status 200 | date (now) | content-length 0
        origin#2> HTTP/1.1 200 OK
        origin#2> content-length: 0
        origin#2>
        client-h2< HEADERS 3 END | :status 200 | date (now) | content-length 0
        client-h2< (end)
        client-h2> (close)
        proxy: closes
        proxy< drain 1
        "#,
    );
}

#[test]
fn a_request_on_an_idle_connection_during_a_drain_is_answered_and_its_client_told() {
    check(
        begun,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> get 1 /
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-length: 0
        origin>
        client-h2< HEADERS 1 END | :status 200 | date (now) | content-length 0
        proxy: drain
        client-h2> get 3 /
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        client-h2< GOAWAY 2147483647 NoError
        client-h2< PING 103
        origin> HTTP/1.1 200 OK
        origin> content-length: 0
        origin>
        client-h2< HEADERS 3 END | :status 200 | date (now) | content-length 0
        client-h2> drained
        client-h2< GOAWAY 3 NoError
        client-h2< (end)
        client-h2> (close)
        proxy: closes
        proxy< drain 1
        "#,
    );
}

#[test]
fn an_idle_connection_is_told_before_it_is_closed() {
    check(
        begun,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> get 1 /
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-length: 0
        origin>
        client-h2< HEADERS 1 END | :status 200 | date (now) | content-length 0
        wait 59s
        wait 2s
        client-h2< GOAWAY 1 NoError
        client-h2< (end)
        client-h2> (close)
        proxy: closes
        proxy< idle 1
        "#,
    );
}

#[test]
fn a_fast_upload_gets_a_larger_window() {
    check(
        begun,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> post 1 /
        client-h2> data 1 *16384
        client-h2> data 1 *16384
        client-h2> data 1 *16384
        client-h2> data 1 *16383
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin< (connected)
        origin< POST / HTTP/1.1
        origin< host: h
        origin< Transfer-Encoding: chunked
        origin<
        origin< 4000
        origin< (x * 16384)
        origin< 3f8a
        origin< (x * 16266)
        origin< b
        origin< xxxxxxxxxxx
        origin< 6b
        origin< (x * 107)
        origin< 4000
        origin< (x * 16384)
        origin< 3f43
        origin< (x * 16195)
        origin< 80
        origin< (x * 86)\
        client-h2< WINDOW_UPDATE 1 65535
        origin< xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
        origin< 3c
        origin< (x * 60)
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 1
        proxy< pool origin: in use 1, idle 0, dialling 0, waiting 0
        client-h2> data 1 *16384
        client-h2> data 1 *16384
        client-h2> data 1 *16384
        client-h2> data 1 *16383
        origin< 4000
        origin< (x * 16384)
        origin< 3fae
        origin< (x * 16302)
        origin< 52
        origin< (x * 82)
        origin< 4000
        origin< (x * 16384)
        origin< 3f5c
        origin< (x * 16220)
        origin< 12
        origin< xxxxxxxxxxxxxxxxxx
        origin< 6e
        origin< (x * 98)\
        client-h2< WINDOW_UPDATE 1 65432
        client-h2< WINDOW_UPDATE 1 65535
        origin< xxxxxxxxxxxx
        origin< 23
        origin< xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
        "#,
    );
}

#[test]
fn streams_take_turns_at_the_window_of_their_connection() {
    check(
        || Gateway::new().h2c().without_default().path("/", |_| respond(200, &"x".repeat(90_000))),
        r#"
        client-h2> preface
        client-h2> settings 4=1000000
        client-h2> ack
        client-h2> get 1 /
        client-h2> get 3 /
        client-h2> get 5 /
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 1 | :status 200 | server towpath | date (now) | content-length 90000
        client-h2< DATA 1 *16384
        client-h2< DATA 1 *16384
        client-h2< DATA 1 *16384
        client-h2< DATA 1 *16383
        client-h2< HEADERS 3 | :status 200 | server towpath | date (now) | content-length 90000
        client-h2< HEADERS 5 | :status 200 | server towpath | date (now) | content-length 90000
        wait 0s
        client-h2> wu 1 1000
        client-h2> wu 0 1000
        client-h2< DATA 1 *1000
        wait 0s
        client-h2> wu 1 1000
        client-h2> wu 0 1000
        client-h2< DATA 3 *1000
        wait 0s
        client-h2> wu 1 1000
        client-h2> wu 0 1000
        client-h2< DATA 5 *1000
        wait 0s
        client-h2> wu 1 1000
        client-h2> wu 0 1000
        client-h2< DATA 1 *1000
        "#,
    );
}

#[test]
fn uploads_open_windows_as_the_origin_takes_them() {
    check(
        begun,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> post 1 / | content-length 49152
        client-h2> data 1 *16384
        client-h2> data 1 *16384
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin< (connected)
        origin< POST / HTTP/1.1
        origin< host: h
        origin< Content-Length: 49152
        origin<
        origin< (x * 32768)\
        client-h2< WINDOW_UPDATE 1 32768
        origin> (read)
        client-h2> data 1 *16384 end
        origin< (x * 16384)\
        "#,
    );
}
