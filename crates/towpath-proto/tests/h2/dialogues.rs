//! What honest peers say, in both roles.

use towpath_proto::h2::{Config, Role};

use crate::script::{check, check_bare, check_client, check_with};

#[test]
fn both_sides_begin_with_settings_rfc9113_3_4() {
    check_bare(
        Role::Server,
        "preface
         settings 3=10 4=100",
        "> SETTINGS 4=65535 6=65536 3=100 9=1
         > WINDOW_UPDATE 0 983041
         Settings
         > SETTINGS ACK",
    );
    check_bare(
        Role::Client,
        "settings 8=1
         ack",
        "> preface
         > SETTINGS 4=65535 6=65536 2=0
         > WINDOW_UPDATE 0 983041
         Settings
         > SETTINGS ACK",
    );
}

#[test]
fn what_is_not_http2_is_seen_at_its_first_wrong_byte() {
    check_bare(
        Role::Server,
        "bytes GET / HTTP/1.1",
        "> SETTINGS 4=65535 6=65536 3=100 9=1
         > WINDOW_UPDATE 0 983041
         lost ProtocolError h2_bad_preface
         > GOAWAY 0 ProtocolError",
    );
    check_bare(
        Role::Server,
        "preface
         ping 1",
        "> SETTINGS 4=65535 6=65536 3=100 9=1
         > WINDOW_UPDATE 0 983041
         lost ProtocolError h2_bad_preface
         > GOAWAY 0 ProtocolError",
    );
    check_bare(
        Role::Client,
        "bytes HTTP/1.1 400 Bad Request",
        "> preface
         > SETTINGS 4=65535 6=65536 2=0
         > WINDOW_UPDATE 0 983041
         lost ProtocolError h2_bad_preface
         > GOAWAY 0 ProtocolError",
    );
}

#[test]
fn a_request_is_answered() {
    check(
        "get 1 /a?b=c | accept */*
         ! respond 1 200 | Content-Type text/plain | content-length 5
         ! data 1 hello end
         ! finish 1",
        "Head 1 GET /a?b=c @h None end
           accept: */*
         > HEADERS 1 | :status 200 | content-type text/plain | content-length 5
         > DATA 1 END hello",
    );
    check(
        "get 1
         ! respond 1 404 end
         ! finish 1",
        "Head 1 GET / @h None end
         > HEADERS 1 END | :status 404",
    );
}

#[test]
fn a_body_comes_in_data_frames() {
    check(
        "post 1 | content-length 10
         data 1 hello
         data 1 world end
         post 3
         data 3 hello
         data 3 end
         post 5
         data 5 hello end pad=7",
        "Head 1 POST / @h Length(10)
           content-length: 10
         Data 1 hello
         Data 1 world
         End 1
         Head 3 POST / @h Chunked
         Data 3 hello
         End 3
         Head 5 POST / @h Chunked
         Data 5 hello
         End 5",
    );
}

#[test]
fn a_head_comes_in_any_number_of_frames_rfc9113_6_10() {
    for pieces in [1, 2, 3, 16] {
        check(
            &format!(
                "headers 1 end prio pieces={pieces} pad=9 | :method GET | :scheme http | :path / | :authority h | a b"
            ),
            "Head 1 GET / @h None end
               a: b",
        );
    }
}

#[test]
fn trailers_end_a_message_in_both_directions() {
    check(
        "post 1 | te trailers
         data 1 hello
         headers 1 end | checksum 1 | via nobody
         ! respond 1 200
         ! data 1 bye
         ! trailers 1 | Grpc-Status 0
         ! finish 1",
        "Head 1 POST / @h Chunked
           te: trailers
         Data 1 hello
         Trailers 1
           checksum: 1
         > HEADERS 1 | :status 200
         > DATA 1 bye
         > HEADERS 1 END | grpc-status 0",
    );
}

#[test]
fn a_client_asks_and_is_answered() {
    check_client(
        "! request | :method POST | :path /a | :query b=c | Host other | Accept */* | Cookie x
         ! data 1 hello
         headers 1 | :status 100
         ! trailers 1 | sum 1
         headers 1 | :status 103 | link </a>
         ok 1 | content-length 3
         data 1 abc end
         ! finish 1
         ! request end
         headers 3 end | :status 204
         ! finish 3",
        "> HEADERS 1 | :method POST | :scheme https | :path /a?b=c | :authority origin | accept */* | !cookie x
         > DATA 1 hello
         Interim 1 100 None
         > HEADERS 1 END | sum 1
         Interim 1 103 None
           link: </a>
         Head 1 200 Length(3)
           content-length: 3
         Data 1 abc
         End 1
         > HEADERS 3 END | :method GET | :scheme https | :path / | :authority origin
         Head 3 204 None end",
    );
}

#[test]
fn the_end_of_a_response_depends_on_its_request() {
    check_client(
        "! request end | :method HEAD
         ! request end
         ! request end
         ! request end
         ok 1 end | content-length 300
         ok 3 end
         headers 5 end | :status 304 | content-length 300
         ok 7
         data 7 abc
         headers 7 end | sum 1",
        "> HEADERS 1 END | :method HEAD | :scheme https | :path / | :authority origin
         > HEADERS 3 END | :method GET | :scheme https | :path / | :authority origin
         > HEADERS 5 END | :method GET | :scheme https | :path / | :authority origin
         > HEADERS 7 END | :method GET | :scheme https | :path / | :authority origin
         Head 1 200 None end
           content-length: 300
         Head 3 200 Length(0) end
         Head 5 304 None end
           content-length: 300
         Head 7 200 Chunked
         Data 7 abc
         Trailers 7
           sum: 1",
    );
}

#[test]
fn a_server_sends_interim_responses() {
    check(
        "post 1 | expect 100-continue
         ! respond 1 100
         ! respond 1 103 | link </a>
         data 1 x end
         ! respond 1 200 end
         ! respond 1 200 end
         ! finish 1
         post 3
         ! respond 3 101
         ! respond 3 100 end
         ! trailers 3",
        "Head 1 POST / @h Chunked continue
           expect: 100-continue
         > HEADERS 1 | :status 100
         > HEADERS 1 | :status 103 | link </a>
         Data 1 x
         End 1
         > HEADERS 1 END | :status 200
         cannot: the stream is not open for sending
         Head 3 POST / @h Chunked
         cannot: a head has to be sent once, and before its body
         cannot: a head has to be sent once, and before its body
         cannot: a head has to be sent once, and before its body",
    );
}

#[test]
fn connect_opens_a_tunnel_rfc9113_8_5() {
    check(
        "headers 1 | :method CONNECT | :authority h:443
         ! respond 1 200
         data 1 up
         ! data 1 down
         data 1 end
         ! data 1 bye end
         ! finish 1",
        "Head 1 CONNECT  @h:443 None
         > HEADERS 1 | :status 200
         Data 1 up
         > DATA 1 down
         End 1
         > DATA 1 END bye",
    );
    check_client(
        "! request | :method CONNECT | :authority h:443
         ok 1 | content-length 5
         ! data 1 up
         data 1 longer-than-five
         data 1 end",
        "> HEADERS 1 | :method CONNECT | :authority h:443
         Head 1 200 None
           content-length: 5
         > DATA 1 up
         Data 1 longer-than-five
         End 1",
    );
}

#[test]
fn extended_connect_names_a_protocol_rfc8441() {
    let config = Config { accepts_connect_protocol: true, ..Config::default() };
    check_with(
        Role::Server,
        config,
        "headers 1 | :method CONNECT | :protocol websocket | :scheme https | :authority h | :path /chat?a
         ! respond 1 200
         data 1 frames",
        "Head 1 CONNECT /chat?a @h None protocol=websocket
         > HEADERS 1 | :status 200
         Data 1 frames",
    );
    check_client(
        "! request | :method CONNECT | :protocol websocket
         settings 8=1
         ! request | :method CONNECT | :protocol websocket | :path /chat
         settings 8=0",
        "cannot: no stream may be opened on this connection now
         Settings
         > SETTINGS ACK
         > HEADERS 1 | :method CONNECT | :scheme https | :path /chat | :authority origin | :protocol websocket
         lost ProtocolError h2_bad_settings
         > GOAWAY 0 ProtocolError",
    );
}

#[test]
fn frames_nobody_needs_are_ignored_rfc9113_5_5() {
    check(
        "priority 1
         raw 10 0 0 0000
         raw 12 0 0 00
         raw 16 0 0 00000000
         raw 200 255 7 0011
         get 1
         priority 1
         goaway 0 0",
        "Head 1 GET / @h None end
         GoAway 0 NoError",
    );
}

#[test]
fn pings_are_answered_and_asked() {
    check(
        "ping 7
         pong 9
         ! ping 3
         pong 3",
        "> PING ACK 7
         Pong 9
         > PING 3
         Pong 3",
    );
}

#[test]
fn a_server_drains_in_two_steps_rfc9113_6_8() {
    check(
        "get 1
         ! drain
         ! drain
         get 3
         drained
         post 5
         data 5 ignored end
         rst 5 8
         data 7 ignored
         ! respond 1 200 end
         ! finish 1
         ! respond 3 200 end
         ! finish 3",
        "Head 1 GET / @h None end
         > GOAWAY 2147483647 NoError
         > PING 103
         Head 3 GET / @h None end
         > GOAWAY 3 NoError
         > HEADERS 1 END | :status 200
         > HEADERS 3 END | :status 200",
    );
    check(
        "! drain
         ! drained
         ! drained
         get 1",
        "> GOAWAY 2147483647 NoError
         > PING 103
         > GOAWAY 0 NoError",
    );
}

#[test]
fn a_client_hears_of_the_end_rfc9113_6_8() {
    check_client(
        "! request end
         ! request end
         goaway 2147483647 0
         ! request end
         goaway 1 0
         ok 1 end
         ! finish 1
         goaway 3 0",
        "> HEADERS 1 END | :method GET | :scheme https | :path / | :authority origin
         > HEADERS 3 END | :method GET | :scheme https | :path / | :authority origin
         GoAway 2147483647 NoError
         cannot: no stream may be opened on this connection now
         GoAway 1 NoError
         Head 1 200 Length(0) end
         lost ProtocolError h2_bad_goaway
         > GOAWAY 0 ProtocolError",
    );
    check_client(
        "! drain\n! request",
        "> GOAWAY 0 NoError\ncannot: no stream may be opened on this connection now",
    );
}

#[test]
fn a_client_keeps_to_the_limit_of_streams() {
    check_client(
        "settings 3=1
         ! request end
         ! request end
         ok 1 end
         ! request end
         ! finish 1
         ! request end",
        "Settings
         > SETTINGS ACK
         > HEADERS 1 END | :method GET | :scheme https | :path / | :authority origin
         cannot: no stream may be opened on this connection now
         Head 1 200 Length(0) end
         cannot: no stream may be opened on this connection now
         > HEADERS 3 END | :method GET | :scheme https | :path / | :authority origin",
    );
}

#[test]
fn a_stream_is_reset_or_finished_from_this_side() {
    check(
        "post 1
         ! reset 1 2
         ! reset 1 2
         data 1 late
         headers 1 end | late 1
         wu 1 1000
         ! respond 1 200
         ! finish 1
         data 1 later
         rst 1 8
         post 3
         ! respond 3 200 end
         ! finish 3
         data 3 late end
         post 5
         ! finish 5
         ! close 11",
        "Head 1 POST / @h Chunked
         > RST_STREAM 1 InternalError
         cannot: the stream is not open for sending
         Head 3 POST / @h Chunked
         > HEADERS 3 END | :status 200
         > RST_STREAM 3 NoError
         Head 5 POST / @h Chunked
         > RST_STREAM 5 Cancel
         > GOAWAY 5 EnhanceYourCalm",
    );
}

#[test]
fn the_end_of_the_connection_is_judged() {
    check("! eof", "eof");
    check("post 1\n! eof", "Head 1 POST / @h Chunked\neof h2_truncated");
    check("get 1\n! eof", "Head 1 GET / @h None end\neof");
    check("bytes xy\n! eof", "eof h2_truncated");
}

#[test]
fn a_long_head_is_cut_at_the_size_the_peer_takes() {
    check(
        "get 1
         ! respond 1 200 end | a *20000 | b *20000",
        "Head 1 GET / @h None end
         > HEADERS 1 END OPEN 16384
         > CONTINUATION 1 0 16384
         > CONTINUATION 1 4 2248",
    );
}

#[test]
fn heads_of_http1_become_heads_of_http2_t17() {
    check(
        "get 1
         ! respond 1 200 end | Connection close | Keep-Alive 5 | Transfer-Encoding chunked | Upgrade x | TE gzip | X 1
         get 3
         ! respond 3 200 end | a^b 1
         ! respond 3 200 end | a b\u{7f}
         ! respond 3 200 end | a ^b
         ! respond 3 200 end | :status 200
         ! respond 3 200 end | TE trailers",
        "Head 1 GET / @h None end
         > HEADERS 1 END | :status 200 | x 1
         Head 3 GET / @h None end
         cannot: a name or a value cannot be sent in HTTP/2
         cannot: a name or a value cannot be sent in HTTP/2
         cannot: a name or a value cannot be sent in HTTP/2
         cannot: a name or a value cannot be sent in HTTP/2
         > HEADERS 3 END | :status 200 | te trailers",
    );
    check_client(
        "! request | :method G^T
         ! request | :path a
         ! request | :path /a^b
         ! request | :query a^b
         ! request | :authority u@h
         ! request | :authority h^
         ! request | :protocol x
         ! request | :path * | :method GET
         ! request end | :path * | :method OPTIONS",
        "cannot: a name or a value cannot be sent in HTTP/2
         cannot: a name or a value cannot be sent in HTTP/2
         cannot: a name or a value cannot be sent in HTTP/2
         cannot: a name or a value cannot be sent in HTTP/2
         cannot: a name or a value cannot be sent in HTTP/2
         cannot: a name or a value cannot be sent in HTTP/2
         cannot: no stream may be opened on this connection now
         cannot: a name or a value cannot be sent in HTTP/2
         > HEADERS 1 END | :method OPTIONS | :scheme https | :path * | :authority origin",
    );
}

#[test]
fn a_field_that_wants_no_table_is_passed_on_so_rfc7541_6_2_3() {
    // `10` is a literal that is never indexed, with a new name.
    check(
        "raw 1 5 1 2082878441016810016101621001630164
         ! respond 1 200 end | Set-Cookie a",
        "Head 1 GET / @h None end
           !a: b
           !c: d
         > HEADERS 1 END | :status 200 | !set-cookie a",
    );
}
