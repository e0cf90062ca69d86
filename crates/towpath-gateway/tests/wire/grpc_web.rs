//! gRPC-Web from browsers, translated for origins of gRPC.

use std::time::Duration;

use crate::gateway::{Gateway, check};

fn translating() -> Gateway {
    Gateway::new().h2c().http2().endpoints(&["origin-h2"]).route(|route| route.grpc_web = true)
}

#[test]
fn a_call_of_http1_becomes_one_of_grpc_and_its_trailers_the_last_frame() {
    check(
        translating,
        r#"
        client> POST /e.E/M HTTP/1.1
        client> host: h
        client> content-type: application/grpc-web+proto
        client> accept: application/grpc-web+proto
        client> x-grpc-web: 1
        client> content-length: 7
        client>
        client> \x00\x00\x00\x00\x02hi\
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        origin-h2< HEADERS 1 | :method POST | :scheme http | :path /e.E/M | :authority h | content-type application/grpc+proto | accept application/grpc-web+proto | x-grpc-web 1 | content-length 7 | te trailers
        origin-h2< DATA 1 END \x00\x00\x00\x00\x02hi
        origin-h2> settings
        origin-h2> headers 1 | :status 200 | content-type application/grpc+proto | x-a b
        origin-h2> data 1 answer
        origin-h2> headers 1 end | grpc-status 0 | grpc-message fine
        origin-h2< SETTINGS ACK
        client< HTTP/1.1 200 OK
        client< x-a: b
        client< date: (now)
        client< content-type: application/grpc-web+proto
        client< Transfer-Encoding: chunked
        client<
        client< 6
        client< answer
        client< 29
        client< \x80\0\0\0$grpc-status: 0
        client< grpc-message: fine
        client<
        client< 0
        client<
        client> POST /e.E/M HTTP/1.1
        client> host: h
        client> content-type: application/grpc-web
        client> transfer-encoding: chunked
        client>
        client> 7
        client> \x00\x00\x00\x00\x02hi
        client> 0
        client>
        origin-h2< HEADERS 3 | :method POST | :scheme http | :path /e.E/M | :authority h | content-type application/grpc | te trailers
        origin-h2< DATA 3 END \x00\x00\x00\x00\x02hi
        origin-h2> headers 3 | :status 200 | content-type application/grpc
        origin-h2> headers 3 end | grpc-status 5
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< content-type: application/grpc-web
        client< Transfer-Encoding: chunked
        client<
        client< 15
        client< \x80\0\0\0\x10grpc-status: 5
        client<
        client< 0
        client<
        "#,
    );
}

#[test]
fn a_call_in_base64_is_answered_in_base64() {
    check(
        translating,
        r#"
        client> POST /e.E/M HTTP/1.1
        client> host: h
        client> content-type: application/grpc-web-text
        client> accept: application/grpc-web-text
        client> content-length: 12
        client>
        client> AAAAA\
        client> AJoaQ==\
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        origin-h2< HEADERS 1 | :method POST | :scheme http | :path /e.E/M | :authority h | content-type application/grpc | accept application/grpc-web-text | te trailers
        origin-h2< DATA 1 END \x00\x00\x00\x00\x02hi
        origin-h2> settings
        origin-h2> headers 1 | :status 200 | content-type application/grpc
        origin-h2> data 1 ans
        origin-h2> data 1 wer!
        origin-h2> headers 1 end | grpc-status 0
        origin-h2< SETTINGS ACK
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< content-type: application/grpc-web-text
        client< Transfer-Encoding: chunked
        client<
        client< 4
        client< YW5z
        client< 8
        client< d2VyIQ==
        client< 1c
        client< gAAAABBncnBjLXN0YXR1czogMA0K
        client< 0
        client<
        "#,
    );
}

#[test]
fn the_answer_is_written_as_the_client_accepts_it() {
    check(
        translating,
        r#"
        client> POST /e.E/M HTTP/1.1
        client> host: h
        client> content-type: application/grpc-web+proto
        client> accept: application/grpc-web-text, */*
        client> content-length: 5
        client>
        client> hello\
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        origin-h2< HEADERS 1 | :method POST | :scheme http | :path /e.E/M | :authority h | content-type application/grpc+proto | accept application/grpc-web-text, */* | content-length 5 | te trailers
        origin-h2< DATA 1 END hello
        origin-h2> settings
        origin-h2> headers 1 | :status 200 | content-type application/grpc+proto
        origin-h2> data 1 answer
        origin-h2> headers 1 end | grpc-status 0
        origin-h2< SETTINGS ACK
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< content-type: application/grpc-web-text+proto
        client< Transfer-Encoding: chunked
        client<
        client< 8
        client< YW5zd2Vy
        client< 1c
        client< gAAAABBncnBjLXN0YXR1czogMA0K
        client< 0
        client<
        client-h2> preface
        client-h2> settings
        client-h2> post 1 /e.E/M | content-type application/grpc-web-text+proto | accept application/grpc-web+proto
        client-h2> data 1 aGVsbG8=aGVsbG8= end
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin-h2< HEADERS 3 | :method POST | :scheme http | :path /e.E/M | :authority h | content-type application/grpc+proto | accept application/grpc-web+proto | te trailers
        origin-h2< DATA 3 END hellohello
        origin-h2> headers 3 | :status 200 | content-type application/grpc+proto
        origin-h2> data 3 answer
        origin-h2> headers 3 end | grpc-status 0
        client-h2< HEADERS 1 | :status 200 | date (now) | content-type application/grpc-web+proto
        client-h2< DATA 1 END answer\x80\x00\x00\x00\x10grpc-status: 0\r\n
        "#,
    );
}

#[test]
fn an_answer_of_trailers_alone_has_them_in_its_head() {
    check(
        translating,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> post 1 /e.E/M | content-type application/grpc-web-text
        client-h2> data 1 AAAAAAA= end
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        origin-h2< HEADERS 1 | :method POST | :scheme http | :path /e.E/M | :authority h | content-type application/grpc | te trailers
        origin-h2< DATA 1 END \x00\x00\x00\x00\x00
        origin-h2> settings
        origin-h2> headers 1 end | :status 200 | content-type application/grpc | grpc-status 12 | grpc-message no
        origin-h2< SETTINGS ACK
        client-h2< HEADERS 1 END | :status 200 | grpc-status 12 | grpc-message no | date (now) | content-type application/grpc-web-text
        client> POST /e.E/M HTTP/1.1
        client> host: h
        client> content-type: application/grpc-web
        client> content-length: 5
        client>
        client> \x00\x00\x00\x00\x00\
        origin-h2< HEADERS 3 | :method POST | :scheme http | :path /e.E/M | :authority h | content-type application/grpc | content-length 5 | te trailers
        origin-h2< DATA 3 END \x00\x00\x00\x00\x00
        origin-h2> headers 3 end | :status 200 | content-type application/grpc | grpc-status 12 | grpc-message no
        client< HTTP/1.1 200 OK
        client< grpc-status: 12
        client< grpc-message: no
        client< date: (now)
        client< content-type: application/grpc-web
        client< Content-Length: 0
        client<
        "#,
    );
}

#[test]
fn what_is_no_call_and_what_is_no_answer_pass_as_they_are() {
    check(
        translating,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> post 1 /e.E/M | content-type application/grpc | te trailers
        client-h2> data 1 hello end
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        origin-h2< HEADERS 1 | :method POST | :scheme http | :path /e.E/M | :authority h | content-type application/grpc | te trailers
        origin-h2< DATA 1 END hello
        origin-h2> settings
        origin-h2> headers 1 | :status 200 | content-type application/grpc
        origin-h2> data 1 hello
        origin-h2> headers 1 end | grpc-status 0
        origin-h2< SETTINGS ACK
        client-h2< HEADERS 1 | :status 200 | content-type application/grpc | date (now)
        client-h2< DATA 1 hello
        client-h2< HEADERS 1 END | grpc-status 0
        client-h2> get 3 /e.E/M | content-type application/grpc-web
        origin-h2< HEADERS 3 END | :method GET | :scheme http | :path /e.E/M | :authority h | content-type application/grpc-web
        origin-h2> headers 3 end | :status 204
        client-h2< HEADERS 3 END | :status 204 | date (now)
        client-h2> post 5 /e.E/M | content-type application/grpc-web
        client-h2> data 5 hello end
        origin-h2< HEADERS 5 | :method POST | :scheme http | :path /e.E/M | :authority h | content-type application/grpc | te trailers
        origin-h2< DATA 5 END hello
        origin-h2> headers 5 | :status 503 | content-type text/html
        origin-h2> data 5 <h1>down</h1> end
        client-h2< HEADERS 5 | :status 503 | content-type text/html | date (now)
        client-h2< DATA 5 END <h1>down</h1>
        "#,
    );
}

#[test]
fn nothing_is_translated_unless_the_route_says_so() {
    check(
        || Gateway::new().http2().endpoints(&["origin-h2"]),
        r#"
        client> POST /e.E/M HTTP/1.1
        client> host: h
        client> content-type: application/grpc-web-text
        client> content-length: 8
        client>
        client> AAAAAAA=\
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        origin-h2< HEADERS 1 | :method POST | :scheme http | :path /e.E/M | :authority h | content-type application/grpc-web-text | content-length 8
        origin-h2< DATA 1 END AAAAAAA=
        origin-h2> settings
        origin-h2> headers 1 | :status 200 | content-type application/grpc-web-text
        origin-h2> data 1 AAAAAAA= end
        origin-h2< SETTINGS ACK
        client< HTTP/1.1 200 OK
        client< content-type: application/grpc-web-text
        client< date: (now)
        client< Transfer-Encoding: chunked
        client<
        client< 8
        client< AAAAAAA=
        client< 0
        client<
        "#,
    );
}

#[test]
fn to_an_origin_that_speaks_http1_nothing_is_translated() {
    check(
        || Gateway::new().route(|route| route.grpc_web = true),
        r#"
        client> POST /e.E/M HTTP/1.1
        client> host: h
        client> content-type: application/grpc-web
        client> content-length: 5
        client>
        client> \x00\x00\x00\x00\x00\
        origin< (connected)
        origin< POST /e.E/M HTTP/1.1
        origin< host: h
        origin< content-type: application/grpc-web
        origin< Content-Length: 5
        origin<
        origin< \0\0\0\0\0\
        "#,
    );
}

#[test]
fn a_call_that_fails_here_is_told_in_its_own_words() {
    check(
        translating,
        r#"
        origin-h2> (refuse)
        client> POST /e.E/M HTTP/1.1
        client> host: h
        client> content-type: application/grpc-web+proto
        client> content-length: 5
        client>
        client> \x00\x00\x00\x00\x00\
        client< HTTP/1.1 200 OK
        client< server: towpath
        client< date: (now)
        client< content-type: application/grpc-web
        client< proxy-status: towpath; error=connection_refused; details="connect_refused"
        client< grpc-status: 14
        client< grpc-message: connect_refused
        client< Content-Length: 0
        client<
        client-h2> preface
        client-h2> settings
        client-h2> post 1 /e.E/M | content-type application/grpc-web-text
        client-h2> data 1 AAAAAAA= end
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 1 END | :status 200 | server towpath | date (now) | content-type application/grpc-web-text | proxy-status towpath; error=connection_refused; details=\"connect_refused\" | grpc-status 14 | grpc-message connect_refused | content-length 0
        proxy: reasons
        proxy< connect_refused 2
        "#,
    );
}

#[test]
fn a_call_that_no_route_takes_is_told_so_in_its_own_words() {
    check(
        || Gateway::new().without_default(),
        r#"
        client> POST /e.E/M HTTP/1.1
        client> host: h
        client> content-type: application/grpc-web-text
        client> content-length: 8
        client>
        client> AAAAAAA=\
        client< HTTP/1.1 200 OK
        client< server: towpath
        client< date: (now)
        client< content-type: application/grpc-web-text
        client< proxy-status: towpath; error=destination_not_found; details="no_route"
        client< grpc-status: 12
        client< grpc-message: no_route
        client< Content-Length: 0
        client< connection: close
        client<
        client< (end)
        "#,
    );
}

#[test]
fn a_body_that_is_no_base64_is_refused() {
    check(
        translating,
        r#"
        client> POST /e.E/M HTTP/1.1
        client> host: h
        client> content-type: application/grpc-web-text
        client> content-length: 8
        client>
        client> AAAAAAA*\
        client< HTTP/1.1 200 OK
        client< server: towpath
        client< date: (now)
        client< content-type: application/grpc-web-text
        client< proxy-status: towpath; error=http_request_error; details="bad_grpc_web_text"
        client< grpc-status: 13
        client< grpc-message: bad_grpc_web_text
        client< Content-Length: 0
        client< connection: close
        client<
        client< (end)
        client-h2> preface
        client-h2> settings
        client-h2> post 1 /e.E/M | content-type application/grpc-web-text
        client-h2> data 1 AAAAAAA end
        client-h2> post 3 /e.E/M | content-type application/grpc-web-text
        client-h2> data 3 AAAA
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        origin-h2< HEADERS 1 | :method POST | :scheme http | :path /e.E/M | :authority h | content-type application/grpc | te trailers
        origin-h2< RST_STREAM 1 Cancel
        origin-h2< HEADERS 3 | :method POST | :scheme http | :path /e.E/M | :authority h | content-type application/grpc | te trailers
        origin-h2< DATA 3 \x00\x00\x00
        client-h2< HEADERS 1 END | :status 200 | server towpath | date (now) | content-type application/grpc-web-text | proxy-status towpath; error=http_request_error; details=\"bad_grpc_web_text\" | grpc-status 13 | grpc-message bad_grpc_web_text | content-length 0
        origin-h2> settings
        origin-h2< SETTINGS ACK
        client-h2> data 3 A end
        client-h2< HEADERS 3 END | :status 200 | server towpath | date (now) | content-type application/grpc-web-text | proxy-status towpath; error=http_request_error; details=\"bad_grpc_web_text\" | grpc-status 13 | grpc-message bad_grpc_web_text | content-length 0
        origin-h2< RST_STREAM 3 Cancel
        proxy: reasons
        proxy< bad_grpc_web_text 3
        "#,
    );
}

#[test]
fn a_call_has_the_time_its_client_gives_it() {
    check(
        translating,
        r#"
        client> POST /e.E/M HTTP/1.1
        client> host: h
        client> content-type: application/grpc-web
        client> grpc-timeout: 2S
        client> content-length: 5
        client>
        client> \x00\x00\x00\x00\x00\
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        origin-h2< HEADERS 1 | :method POST | :scheme http | :path /e.E/M | :authority h | content-type application/grpc | grpc-timeout 2000000u | content-length 5 | te trailers
        origin-h2< DATA 1 END \x00\x00\x00\x00\x00
        origin-h2> settings
        origin-h2< SETTINGS ACK
        wait 3s
        client< HTTP/1.1 200 OK
        client< server: towpath
        client< date: (now)
        client< content-type: application/grpc-web
        client< proxy-status: towpath; error=http_response_timeout; details="request_timeout"
        client< grpc-status: 4
        client< grpc-message: request_timeout
        client< Content-Length: 0
        client<
        origin-h2< RST_STREAM 1 Cancel
        "#,
    );
}

#[test]
fn an_answer_that_breaks_off_is_not_whole_for_its_client() {
    check(
        || {
            translating().route(|route| {
                route.grpc_web = true;
                route.timeout = Some(Duration::from_secs(5));
            })
        },
        r#"
        client> POST /e.E/M HTTP/1.1
        client> host: h
        client> content-type: application/grpc-web
        client> content-length: 5
        client>
        client> \x00\x00\x00\x00\x00\
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        origin-h2< HEADERS 1 | :method POST | :scheme http | :path /e.E/M | :authority h | content-type application/grpc | grpc-timeout 5000000u | content-length 5 | te trailers
        origin-h2< DATA 1 END \x00\x00\x00\x00\x00
        client-h2> preface
        client-h2> settings
        client-h2> post 1 /e.E/M | content-type application/grpc-web-text
        client-h2> data 1 AAAAAAA= end
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin-h2< HEADERS 3 | :method POST | :scheme http | :path /e.E/M | :authority h | content-type application/grpc | grpc-timeout 5000000u | te trailers
        origin-h2< DATA 3 END \x00\x00\x00\x00\x00
        origin-h2> settings
        origin-h2> headers 1 | :status 200 | content-type application/grpc
        origin-h2> data 1 half
        origin-h2> headers 3 | :status 200 | content-type application/grpc
        origin-h2> data 3 half
        origin-h2< SETTINGS ACK
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< content-type: application/grpc-web
        client< Transfer-Encoding: chunked
        client<
        client< 4
        client< half
        client-h2< HEADERS 1 | :status 200 | date (now) | content-type application/grpc-web-text
        client-h2< DATA 1 aGFsZg==
        wait 6s
        client< (end)
        origin-h2< RST_STREAM 1 Cancel
        origin-h2< RST_STREAM 3 Cancel
        client-h2< RST_STREAM 1 InternalError
        "#,
    );
}

#[test]
fn the_content_coding_comes_off_before_the_base64() {
    check(
        || {
            translating().route(|route| {
                route.grpc_web = true;
                route.decompress_request = Some(towpath_proto::coding::DecodeLimits::default());
            })
        },
        r#"
        client> POST /e.E/M HTTP/1.1
        client> host: h
        client> content-type: application/grpc-web-text
        client> content-encoding: gzip
        client> content-length: 24
        client>
        client> \x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x73\x74\x04\x03\x5b\x00\x1d\x21\x04\x20\x08\x00\x00\x00\
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        origin-h2< HEADERS 1 | :method POST | :scheme http | :path /e.E/M | :authority h | content-type application/grpc | te trailers
        origin-h2< DATA 1 END \x00\x00\x00\x00\x00
        "#,
    );
}
