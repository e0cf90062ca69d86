//! WebSockets: who may open one, what its frames may be, and how a drain says goodbye.

use std::time::Duration;

use towpath_gateway::plan::{MessageRate, Origins, Ping, WebSocketSettings};

use crate::gateway::{Gateway, check, check_torn};
use crate::talk::{talk, talk_with};

/// A gateway whose route demands something.
fn demanding(change: impl Fn(&mut WebSocketSettings) + 'static) -> Gateway {
    Gateway::new().route(move |route| change(&mut route.websocket))
}

/// Messages of 10 bytes at the most.
fn bounded() -> Gateway {
    demanding(|websocket| websocket.message_bytes_max = Some(10))
}

fn pinging() -> Gateway {
    let ping = Ping { idle: Duration::from_secs(30), timeout: Duration::from_secs(10) };
    demanding(move |websocket| websocket.ping = Some(ping))
}

fn with_origins() -> Gateway {
    demanding(|websocket| {
        websocket.origins = Some(Origins::parse(["https://*.example.com"], true).expect("a good list"));
    })
}

#[test]
fn a_foreign_page_is_refused_before_the_origin_hears_of_it_t54() {
    check(
        with_origins,
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client> connection: upgrade
        client> upgrade: websocket
        client> origin: https://example.com.evil.net
        client>
        client< HTTP/1.1 403 Forbidden
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_request_denied; details="ws_origin_refused"
        client< Content-Length: 33
        client<
        client< 403 Forbidden: ws_origin_refused\n\
        # The connection is as good as before.
        client> GET / HTTP/1.1
        client> host: h
        client> connection: upgrade
        client> upgrade: websocket
        client> origin: https://a.example.com
        client> origin: https://a.example.com
        client>
        client< HTTP/1.1 403 Forbidden
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_request_denied; details="ws_origin_refused"
        client< Content-Length: 33
        client<
        client< 403 Forbidden: ws_origin_refused\n\
        # A request that asks for no WebSocket is not asked where it comes from.
        client> GET / HTTP/1.1
        client> host: h
        client> origin: https://evil.net
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin< origin: https://evil.net
        origin<
        proxy: reasons
        proxy< ws_origin_refused 2
        "#,
    );
}

#[test]
fn a_listed_page_and_a_program_may_open_a_websocket_t54() {
    check(
        with_origins,
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client> connection: upgrade
        client> upgrade: websocket
        client> origin: https://a.example.com
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin< origin: https://a.example.com
        origin< connection: upgrade
        origin< upgrade: websocket
        origin<
        client2> GET / HTTP/1.1
        client2> host: h
        client2> connection: upgrade
        client2> upgrade: websocket
        client2>
        origin#2< (connected)
        origin#2< GET / HTTP/1.1
        origin#2< host: h
        origin#2< connection: upgrade
        origin#2< upgrade: websocket
        origin#2<
        "#,
    );
}

#[test]
fn frames_pass_both_ways_and_the_closing_handshake_ends_the_connection_rfc6455_7_1_1() {
    for gateway in [Gateway::new, bounded] {
        talk(
            gateway,
            r#"
            client> text hello
            origin< text hello
            origin> binary \x00\xff
            client< binary \0\xff
            client> first he
            origin< part he
            client> ping inside
            origin< ping inside
            client> last llo
            origin< rest llo
            origin> pong inside
            client< pong inside
            client> close 1000 done
            origin< close 1000 done
            origin> close 1000 done
            client< close 1000 done
            origin> (end)
            client< (end)
            client> (end)
            origin< (end)
            proxy: closes
            proxy< finished 1
            proxy: gauges
            proxy< connections 0, tunnels 0, charges 0
            proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
            "#,
        );
    }
}

#[test]
fn frames_in_any_pieces_arrive_as_they_were_sent() {
    check_torn(
        bounded,
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client> connection: upgrade
        client> upgrade: websocket
        client>
        client> \x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin< connection: upgrade
        origin< upgrade: websocket
        origin<
        origin> HTTP/1.1 101 Switching Protocols
        origin> connection: upgrade
        origin> upgrade: websocket
        origin>
        client< HTTP/1.1 101 Switching Protocols
        client< connection: upgrade
        client< upgrade: websocket
        client<
        origin< \x81\x857\xfa!=\x7f\x9fMQX\

        origin> \x01\x03Hel\x89\x02hi\x80\x02lo\
        client< \x01\x03Hel\x89\x02hi\x80\x02lo\
        client> \x8a\x82\x01\x02\x03\x04ik\x88\x82\x01\x02\x03\x04\x02\xea\
        origin< \x8a\x82\x01\x02\x03\x04ik\x88\x82\x01\x02\x03\x04\x02\xea\
        origin> \x88\x02\x03\xe8\
        client< \x88\x02\x03\xe8\
        origin> (end)
        client< (end)
        client> (end)
        origin< (end)
        proxy: closes
        proxy< finished 1
        "#,
    );
}

#[test]
fn each_side_may_end_or_reset_as_in_a_relay() {
    talk(
        Gateway::new,
        r#"
        client> bytes \x81
        client> (end)
        origin< (end)
        origin> text late
        client< text late
        origin> (reset)
        client< (reset)
        proxy: closes
        proxy< error 1
        "#,
    );
}

#[test]
fn a_side_that_leaves_is_heard_to_its_end() {
    talk(
        Gateway::new,
        r#"
        origin> (stop reading)
        client> text last words
        client> (close)
        origin> text nobody hears this
        origin> (read)
        origin< text last words
        origin< (end)
        origin> (end)
        proxy: closes
        proxy< reset 1
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn what_are_no_frames_is_passed_on_where_nothing_is_demanded() {
    talk(
        Gateway::new,
        r#"
        client> bytes this is no frame
        origin< bytes this is no frame
        origin> text a frame
        client< text a frame
        origin> bytes \xff\xff
        client< bytes \xff\xff
        proxy: drain
        wait 29s
        client> bytes more of it
        origin< bytes more of it
        proxy: stop
        client< (reset)
        origin< (reset)
        proxy: closes
        proxy< drain 1
        proxy: reasons
        "#,
    );
}

#[test]
fn a_message_over_its_limit_is_answered_with_1009_t54() {
    talk(
        || bounded().logged(),
        r#"
        client> text 0123456789
        origin< text 0123456789
        client> text 0123456789a
        origin< close 1001 ws_message_too_large
        client< close 1009 ws_message_too_large
        client< (end)
        origin> close 1001
        origin> (end)
        client> close 1009
        client> (end)
        origin< (end)
        wait 1s
        proxy: reasons
        proxy< ws_message_too_large 1
        proxy: closes
        proxy< limit 1
        proxy: log
        proxy< proxy HTTP/1.1 h origin origin in=0 out=0 -
        proxy< proxy websocket - - - in=0 out=0 ws_message_too_large
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn fragments_are_counted_together_and_an_origin_is_bounded_as_well_t54() {
    talk(
        bounded,
        r#"
        origin> first 01234
        client< part 01234
        origin> more 56789
        client< part 56789
        origin> last 0
        origin< close 1009 upstream_ws_error
        client< close 1014 upstream_ws_error
        client> close 1014
        client< (end)
        client> (end)
        origin< (end)
        origin> (end)
        proxy: reasons
        proxy< upstream_ws_error 1
        proxy: closes
        proxy< error 1
        "#,
    );
}

#[test]
fn unmasked_frames_reserved_bits_and_lengths_of_2_63_are_refused_t54() {
    for (bytes, code) in [
        (r"\x81\x01a", "ws_bad_mask"),
        (r"\x91\x81\0\0\0\0a", "ws_bad_frame"),
        (r"\x83\x81\0\0\0\0a", "ws_bad_frame"),
        (r"\xc1\x81\0\0\0\0a", "ws_bad_frame"),
        (r"\x82\xff\x80\0\0\0\0\0\0\0", "ws_bad_length"),
        (r"\x09\x80\0\0\0\0", "ws_bad_control"),
        (r"\x80\x80\0\0\0\0", "ws_bad_fragment"),
        (r"\x88\x82\0\0\0\0\x03\xed", "ws_bad_close"),
    ] {
        talk(
            bounded,
            &format!(
                "
                client> bytes {bytes}
                origin< close 1001 {code}
                client< close 1002 {code}
                client< (end)
                client> (end)
                origin< (end)
                origin> (end)
                proxy: closes
                proxy< protocol 1
                "
            ),
        );
    }
}

#[test]
fn no_byte_of_what_is_refused_reaches_the_other_side_and_all_before_it_does_t54() {
    talk(
        bounded,
        r#"
        client> bytes \x81\x81\0\0\0\0a\x81\x81\0\0\0\0b\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0secret
        origin< text a
        origin< text b
        origin< close 1001 ws_message_too_large
        client< close 1009 ws_message_too_large
        client< (end)
        client> bytes more secrets
        wait 6s
        origin< (end)
        proxy: closes
        proxy< limit 1
        "#,
    );
}

#[test]
fn a_close_waits_for_the_end_of_the_frame_under_way_rfc6455_5_5() {
    talk(
        bounded,
        r#"
        origin> bytes \x82\x08half
        client< part half
        client> bytes \xff
        origin< close 1001 ws_bad_frame
        origin> bytes done\x81\x01x
        client< rest done
        client< close 1002 ws_bad_frame
        client< (end)
        origin> (end)
        client> (end)
        origin< (end)
        proxy: reasons
        proxy< ws_bad_frame 1
        "#,
    );
}

#[test]
fn who_does_not_answer_a_close_is_not_waited_for_long_t54() {
    talk(
        bounded,
        r#"
        origin> bytes \x82\x08half
        client< part half
        client> bytes \xff
        origin< close 1001 ws_bad_frame
        wait 4s
        wait 2s
        client< (reset)
        origin< (end)
        proxy: closes
        proxy< protocol 1
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn compressed_messages_are_as_large_as_on_the_wire_and_pass_as_they_came_rfc7692_6() {
    talk_with(
        bounded,
        "sec-websocket-extensions: permessage-deflate; client_no_context_takeover\r\n",
        r#"
        # The first is the example of RFC 7692 section 7.2.3.1, the second 100 letters in 6 bytes.
        client> bytes \xc1\x87\0\0\0\0\xf2H\xcd\xc9\xc9\x07\0
        origin< text Hello
        client> bytes \xc1\x86\0\0\0\0JL\xa4=\0\0
        origin< text (a * 100)
        client> bytes \xc1\x8b\0\0\0\0
        origin< close 1001 ws_message_too_large
        client< close 1009 ws_message_too_large
        client< (end)
        proxy: reasons
        proxy< ws_message_too_large 1
        "#,
    );
}

#[test]
fn an_extension_that_hides_frames_from_the_limits_is_refused_t54() {
    check(
        bounded,
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client> connection: upgrade
        client> upgrade: websocket
        client> sec-websocket-extensions: x-own
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin< sec-websocket-extensions: x-own
        origin< connection: upgrade
        origin< upgrade: websocket
        origin<
        origin> HTTP/1.1 101 Switching Protocols
        origin> connection: upgrade
        origin> upgrade: websocket
        origin> sec-websocket-extensions: x-own
        origin>
        origin< (end)
        client< HTTP/1.1 502 Bad Gateway
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_upgrade_failed; details="upstream_bad_upgrade"
        client< Content-Length: 38
        client<
        client< 502 Bad Gateway: upstream_bad_upgrade\n\
        "#,
    );
}

#[test]
fn a_client_sends_no_more_messages_than_it_may_t54() {
    talk(
        || {
            let rate = MessageRate { count: 2, per: Duration::from_secs(1) };
            demanding(move |websocket| websocket.message_rate = Some(rate))
        },
        r#"
        client> text 1
        origin< text 1
        client> first 2
        origin< part 2
        client> more 2
        origin< part 2
        client> last 2
        origin< rest 2
        wait 1s
        client> text 3
        origin< text 3
        # The origin may say what it likes.
        origin> text a
        client< text a
        origin> text b
        client< text b
        origin> text c
        client< text c
        client> text 4
        origin< text 4
        client> text 5
        origin< close 1001 ws_message_rate
        client< close 1008 ws_message_rate
        client< (end)
        origin> close 1001
        origin> (end)
        proxy: reasons
        proxy< ws_message_rate 1
        "#,
    );
}

#[test]
fn a_flood_of_control_frames_is_refused_t54() {
    let pings = r"\x89\x80\0\0\0\0".repeat(101);
    talk(
        bounded,
        &format!(
            "
            client> bytes {pings}
            {}
            origin< close 1001 ws_control_flood
            client< close 1008 ws_control_flood
            client< (end)
            ",
            ["origin< ping"; 100].join("\n            ")
        ),
    );
}

#[test]
fn a_side_that_says_nothing_is_asked_and_whoever_answers_stays() {
    talk(
        pinging,
        r#"
        wait 20s
        client> text alive
        origin< text alive
        wait 11s
        origin< ping (ours)
        # Nobody but us hears the answer to our own question.
        origin> answer
        wait 20s
        client< ping (ours)
        client> answer
        wait 11s
        origin< ping (ours)
        # Anything is a sign of life.
        origin> text alive
        client< text alive
        # Pings of the two are their own.
        client> ping mine
        origin< ping mine
        origin> pong mine
        client< pong mine
        wait 30s
        proxy: gauges
        proxy< connections 1, tunnels 1, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_side_that_gives_no_sign_of_life_is_given_up() {
    talk(
        pinging,
        r#"
        wait 31s
        origin< ping (ours)
        client< ping (ours)
        origin> text I am here
        client< text I am here
        wait 8s
        wait 2s
        origin< close 1001 ws_ping_timeout
        client< close 1001 ws_ping_timeout
        origin> close 1001
        origin> (end)
        client< (end)
        wait 5s
        origin< (end)
        proxy: reasons
        proxy< ws_ping_timeout 1
        proxy: closes
        proxy< timeout 1
        "#,
    );
}

#[test]
fn an_origin_that_gives_no_sign_of_life_is_given_up() {
    talk(
        pinging,
        r#"
        wait 31s
        origin< ping (ours)
        client< ping (ours)
        client> text I am here
        origin< text I am here
        wait 10s
        origin< close 1001 upstream_ping_timeout
        client< close 1014 upstream_ping_timeout
        client> close 1014
        client< (end)
        client> (end)
        origin< (end)
        wait 5s
        proxy: reasons
        proxy< upstream_ping_timeout 1
        proxy: closes
        proxy< timeout 1
        "#,
    );
}

#[test]
fn a_drain_says_goodbye_and_waits_for_the_answer_rfc6455_7_4_1() {
    for gateway in [Gateway::new, bounded] {
        talk(
            gateway,
            r#"
            client> text before
            origin< text before
            proxy: drain
            wait 6s
            client< close 1001 draining
            # What is on its way to the origin still goes there.
            client> text after
            origin< text after
            origin> text nobody takes this
            client> close 1001 draining
            origin< close 1001 draining
            client< (end)
            origin> close 1001
            origin> (end)
            client> (end)
            origin< (end)
            proxy: closes
            proxy< drain 1
            proxy: gauges
            proxy< connections 0, tunnels 0, charges 0
            proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
            "#,
        );
    }
}

#[test]
fn a_drain_waits_for_the_end_of_a_frame_and_cuts_at_the_end_of_the_grace() {
    talk(
        Gateway::new,
        r#"
        origin> bytes \x82\x08half
        client< part half
        proxy: drain
        wait 6s
        origin> bytes done
        client< rest done
        client< close 1001 draining
        wait 23s
        client> text still here
        origin< text still here
        wait 8s
        client< (reset)
        origin< (reset)
        proxy: closes
        proxy< drain 1
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_drain_leaves_a_websocket_alone_that_is_closing_already() {
    talk(
        Gateway::new,
        r#"
        origin> close 1000
        client< close 1000
        proxy: drain
        wait 6s
        client> close 1000
        origin< close 1000
        client> (end)
        origin< (end)
        origin> (end)
        client< (end)
        proxy: closes
        proxy< finished 1
        "#,
    );
}

#[test]
fn a_listener_that_leaves_the_plan_says_goodbye_to_its_websockets() {
    talk(
        || Gateway::new().then("other", Gateway::new().listeners(&["second"])),
        r#"
        proxy: apply other
        wait 6s
        client< close 1001 draining
        client> close 1001
        origin< close 1001
        client< (end)
        origin> (end)
        client> (end)
        origin< (end)
        proxy: closes
        proxy< drain 1
        "#,
    );
}

#[test]
fn a_route_that_is_removed_closes_its_websockets_where_it_says_so_z5() {
    let gateway = |closes: bool| {
        let gateway = Gateway::new().route(move |route| route.websocket.closes_when_removed = closes);
        let other = Gateway::new().route(move |route| {
            route.websocket.closes_when_removed = closes;
            route.timeout = Some(Duration::from_secs(1));
        });
        gateway.then("edited", other).then("removed", Gateway::new().without_default())
    };
    talk(
        || gateway(true),
        r#"
        proxy: apply edited
        wait 6s
        client> text here
        origin< text here
        proxy: apply removed
        wait 6s
        client< close 1012 draining
        client> close 1012
        origin< close 1012
        client< (end)
        origin> (end)
        client> (end)
        origin< (end)
        proxy: closes
        proxy< drain 1
        "#,
    );
    talk(
        || gateway(false),
        r#"
        proxy: apply removed
        wait 6s
        client> text here
        origin< text here
        "#,
    );
}

#[test]
fn a_websocket_that_is_quiet_for_too_long_ends_without_a_word() {
    talk(
        || Gateway::new().route(|route| route.tunnel_idle_timeout = Duration::from_secs(60)),
        r#"
        client> text a
        origin< text a
        wait 59s
        wait 2s
        client< (end)
        origin< (end)
        proxy: closes
        proxy< idle 1
        "#,
    );
}

#[test]
fn large_messages_pass_a_slow_reader_whole() {
    talk(
        bounded_loosely,
        r#"
        client> (stop reading)
        origin> binary (x * 900000)
        wait 2s
        client> (read)
        client< binary (x * 900000)
        "#,
    );
}

fn bounded_loosely() -> Gateway {
    demanding(|websocket| websocket.message_bytes_max = Some(1 << 20))
}
