//! HTTP/2 to origins, from clients of either version.

use std::time::Duration;

use crate::gateway::{Gateway, check};

fn both() -> Gateway {
    Gateway::new().h2c().http2().endpoints(&["origin-h2"])
}

#[test]
fn a_request_of_http1_goes_to_an_origin_that_speaks_http2() {
    check(
        both,
        r#"
        client> POST /a?b HTTP/1.1
        client> host: h
        client> te: trailers
        client> content-length: 5
        client>
        client> hello\
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        origin-h2< HEADERS 1 | :method POST | :scheme http | :path /a?b | :authority h | content-length 5 | te trailers
        origin-h2< DATA 1 END hello
        origin-h2> settings
        origin-h2> headers 1 | :status 200 | content-type text/plain
        origin-h2> data 1 hi
        origin-h2> headers 1 end | x-sum 1
        origin-h2< SETTINGS ACK
        client< HTTP/1.1 200 OK
        client< content-type: text/plain
        client< date: (now)
        client< Transfer-Encoding: chunked
        client<
        client< 2
        client< hi
        client< 0
        client< x-sum: 1
        client<
        "#,
    );
}

#[test]
fn requests_share_a_connection_and_answers_come_in_any_order() {
    check(
        both,
        r#"
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        origin-h2< HEADERS 1 END | :method GET | :scheme http | :path /1 | :authority h
        client2> GET /2 HTTP/1.1
        client2> host: h
        client2>
        origin-h2< HEADERS 3 END | :method GET | :scheme http | :path /2 | :authority h
        origin-h2> settings
        origin-h2> headers 3 end | :status 204
        origin-h2> ok 1
        origin-h2> data 1 one end
        origin-h2< SETTINGS ACK
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Transfer-Encoding: chunked
        client<
        client< 3
        client< one
        client< 0
        client<
        client2< HTTP/1.1 204 No Content
        client2< date: (now)
        client2<
        proxy: gauges
        proxy< connections 2, tunnels 0, charges 0
        proxy< pool origin-h2: in use 1, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_grpc_call_passes_with_its_trailers() {
    check(
        both,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> post 1 /e.E/M | content-type application/grpc | te trailers
        client-h2> data 1 12345
        client-h2> data 1 6 end
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        origin-h2< HEADERS 1 | :method POST | :scheme http | :path /e.E/M | :authority h | content-type application/grpc | te trailers
        origin-h2< DATA 1 END 123456
        origin-h2> settings
        origin-h2> headers 1 | :status 200 | content-type application/grpc
        origin-h2> data 1 54321
        origin-h2> headers 1 end | grpc-status 0 | grpc-message fine
        origin-h2< SETTINGS ACK
        client-h2< HEADERS 1 | :status 200 | content-type application/grpc | date (now)
        client-h2< DATA 1 54321
        client-h2< HEADERS 1 END | grpc-status 0 | grpc-message fine
        client-h2> post 3 /e.E/M | content-type application/grpc | te trailers
        client-h2> data 3 7 end
        origin-h2< HEADERS 3 | :method POST | :scheme http | :path /e.E/M | :authority h | content-type application/grpc | te trailers
        origin-h2< DATA 3 END 7
        origin-h2> headers 3 end | :status 200 | content-type application/grpc | grpc-status 12
        client-h2< HEADERS 3 END | :status 200 | content-type application/grpc | grpc-status 12 | date (now)
        "#,
    );
}

#[test]
fn trailers_pass_behind_a_declared_length_too() {
    check(
        both,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> post 1 / | content-length 4
        client-h2> data 1 ping
        client-h2> headers 1 end | x-sum 7
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        origin-h2< HEADERS 1 | :method POST | :scheme http | :path / | :authority h | content-length 4
        origin-h2< DATA 1 ping
        origin-h2< HEADERS 1 END | x-sum 7
        origin-h2> settings
        origin-h2> headers 1 | :status 200 | content-length 4
        origin-h2> data 1 pong
        origin-h2> headers 1 end | x-sum 8
        origin-h2< SETTINGS ACK
        client-h2< HEADERS 1 | :status 200 | date (now) | content-length 4
        client-h2< DATA 1 pong
        client-h2< HEADERS 1 END | x-sum 8
        client> POST / HTTP/1.1
        client> host: h
        client> content-length: 4
        client>
        client> ping\
        origin-h2< HEADERS 3 | :method POST | :scheme http | :path / | :authority h | content-length 4
        origin-h2< DATA 3 END ping
        origin-h2> headers 3 | :status 200 | content-length 4
        origin-h2> data 3 pong
        origin-h2> headers 3 end | x-sum 8
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 4
        client<
        client< pong\
        "#,
    );
}

#[test]
fn a_grpc_call_has_the_time_its_client_gives_it() {
    check(
        || both().route(|route| route.timeout = Some(Duration::from_secs(5))),
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> post 1 /e.E/M | content-type application/grpc+proto | te trailers | grpc-timeout 2S
        client-h2> data 1 6 end
        client-h2> post 3 /e.E/M | content-type application/grpc | te trailers | grpc-timeout 1M
        client-h2> data 3 6 end
        client-h2> post 5 /e.E/M | content-type text/plain | grpc-timeout 1n
        client-h2> data 5 6 end
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        origin-h2< HEADERS 1 | :method POST | :scheme http | :path /e.E/M | :authority h | content-type application/grpc+proto | grpc-timeout 2000000u | te trailers
        origin-h2< DATA 1 END 6
        origin-h2< HEADERS 3 | :method POST | :scheme http | :path /e.E/M | :authority h | content-type application/grpc | grpc-timeout 5000000u | te trailers
        origin-h2< DATA 3 END 6
        origin-h2< HEADERS 5 | :method POST | :scheme http | :path /e.E/M | :authority h | content-type text/plain | grpc-timeout 1n
        origin-h2< DATA 5 END 6
        origin-h2> settings
        origin-h2< SETTINGS ACK
        wait 3s
        origin-h2< RST_STREAM 1 Cancel
        client-h2< HEADERS 1 END | :status 200 | server towpath | date (now) | content-type application/grpc | proxy-status towpath; error=http_response_timeout; details=\"request_timeout\" | grpc-status 4 | grpc-message request_timeout | content-length 0
        wait 3s
        origin-h2< RST_STREAM 3 Cancel
        origin-h2< RST_STREAM 5 Cancel
        client-h2< HEADERS 3 END | :status 200 | server towpath | date (now) | content-type application/grpc | proxy-status towpath; error=http_response_timeout; details=\"request_timeout\" | grpc-status 4 | grpc-message request_timeout | content-length 0
        client-h2< HEADERS 5 | :status 504 | server towpath | date (now) | content-type text/plain; charset=utf-8 | proxy-status towpath; error=http_response_timeout; details=\"request_timeout\" | content-length 37
        client-h2< DATA 5 END 504 Gateway Timeout: request_timeout\n
        proxy: reasons
        proxy< request_timeout 3
        "#,
    );
}

#[test]
fn nobody_is_dialled_for_a_grpc_call_that_is_over_before_it_could_arrive() {
    check(
        both,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> post 1 /e.E/M | content-type application/grpc | te trailers | grpc-timeout 1999u
        client-h2> data 1 6 end
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 1 END | :status 200 | server towpath | date (now) | content-type application/grpc | proxy-status towpath; error=http_response_timeout; details=\"request_timeout\" | grpc-status 4 | grpc-message request_timeout | content-length 0
        "#,
    );
}

#[test]
fn a_grpc_call_that_fails_here_is_told_in_its_own_words() {
    check(
        both,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin-h2> (refuse)
        client-h2> post 1 /e.E/M | content-type application/grpc | te trailers
        client-h2> data 1 6 end
        client-h2< HEADERS 1 END | :status 200 | server towpath | date (now) | content-type application/grpc | proxy-status towpath; error=connection_refused; details=\"connect_refused\" | grpc-status 14 | grpc-message connect_refused | content-length 0
        origin-h2> (listen)
        wait 5s
        client-h2> post 3 /e.E/M | content-type application/grpc | te trailers
        client-h2> data 3 6 end
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        origin-h2< HEADERS 1 | :method POST | :scheme http | :path /e.E/M | :authority h | content-type application/grpc | te trailers
        origin-h2< DATA 1 END 6
        origin-h2> settings
        origin-h2> headers 1 | :status 200 | content-type application/grpc
        origin-h2> data 1 half
        origin-h2< SETTINGS ACK
        client-h2< HEADERS 3 | :status 200 | content-type application/grpc | date (now)
        client-h2< DATA 3 half
        origin-h2> (reset)
        client-h2< HEADERS 3 END | grpc-status 14 | grpc-message upstream_reset_mid_body
        proxy: reasons
        proxy< connect_refused 1
        proxy< upstream_reset_mid_body 1
        "#,
    );
}

#[test]
fn what_the_origin_did_not_look_at_is_sent_again() {
    check(
        both,
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        origin-h2< HEADERS 1 END | :method GET | :scheme http | :path / | :authority h
        origin-h2> settings
        origin-h2> rst 1 7
        origin-h2> goaway 1 0
        origin-h2< SETTINGS ACK
        origin-h2#2< (connected)
        origin-h2< GOAWAY 0 NoError
        origin-h2< (end)
        origin-h2#2< preface
        origin-h2#2< SETTINGS 4=65535 6=65536 2=0
        origin-h2#2< WINDOW_UPDATE 0 983041
        origin-h2#2< HEADERS 1 END | :method GET | :scheme http | :path / | :authority h
        origin-h2#2> settings
        origin-h2#2> headers 1 end | :status 204
        origin-h2#2< SETTINGS ACK
        client< HTTP/1.1 204 No Content
        client< date: (now)
        client<
        "#,
    );
}

#[test]
fn a_request_that_may_not_be_made_twice_is_not_when_its_fate_is_unknown() {
    check(
        both,
        r#"
        client> POST / HTTP/1.1
        client> host: h
        client> content-length: 2
        client>
        client> hi\
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        origin-h2< HEADERS 1 | :method POST | :scheme http | :path / | :authority h | content-length 2
        origin-h2< DATA 1 END hi
        origin-h2> settings
        origin-h2< SETTINGS ACK
        origin-h2> (close)
        client< HTTP/1.1 502 Bad Gateway
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=connection_terminated; details="upstream_reset_before_response"
        client< Content-Length: 48
        client<
        client< 502 Bad Gateway: upstream_reset_before_response\n\
        "#,
    );
}

#[test]
fn an_origin_that_goes_away_in_the_middle_breaks_the_answer_off() {
    check(
        both,
        r#"
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        origin-h2< HEADERS 1 END | :method GET | :scheme http | :path /1 | :authority h
        client-h2> preface
        client-h2> settings
        client-h2> get 1 /2
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin-h2< HEADERS 3 END | :method GET | :scheme http | :path /2 | :authority h
        origin-h2> settings
        origin-h2> headers 1 | :status 200 | content-length 9
        origin-h2> data 1 half
        origin-h2> headers 3 | :status 200 | content-length 9
        origin-h2> data 3 half
        origin-h2< SETTINGS ACK
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 9
        client<
        client< half\
        client-h2< HEADERS 1 | :status 200 | date (now) | content-length 9
        client-h2< DATA 1 half
        origin-h2> (close)
        client< (end)
        client-h2< RST_STREAM 1 InternalError
        proxy: reasons
        proxy< upstream_reset_mid_body 2
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 0
        proxy< pool origin-h2: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn an_idle_connection_goes_after_its_time() {
    check(
        both,
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        origin-h2< HEADERS 1 END | :method GET | :scheme http | :path / | :authority h
        origin-h2> settings
        origin-h2> ack
        origin-h2> headers 1 end | :status 204
        origin-h2< SETTINGS ACK
        client< HTTP/1.1 204 No Content
        client< date: (now)
        client<
        client> (close)
        wait 299s
        wait 2s
        origin-h2< GOAWAY 0 NoError
        origin-h2< (end)
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin-h2: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn an_upload_waits_for_the_origins_windows() {
    check(
        both,
        r#"
        client> POST / HTTP/1.1
        client> host: h
        client> content-length: 12
        client>
        client> hello, world\
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        origin-h2< HEADERS 1 | :method POST | :scheme http | :path / | :authority h | content-length 12
        origin-h2< DATA 1 END hello, world
        origin-h2> settings 4=5
        origin-h2> wu 1 100
        origin-h2> headers 1 end | :status 204
        origin-h2< SETTINGS ACK
        client< HTTP/1.1 204 No Content
        client< date: (now)
        client<
        "#,
    );
}
