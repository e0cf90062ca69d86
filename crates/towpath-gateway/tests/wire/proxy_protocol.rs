//! PROXY headers, from those who must send them and to those who want them (T56).

use towpath_gateway::plan::{Forwarded, Network, ProxyVersion};

use crate::gateway::{Gateway, check, check_torn};

fn tcp() -> Gateway {
    Gateway::new().tcp()
}

/// A gateway that tells its origin the client's address.
fn http() -> Gateway {
    Gateway::new().behind_proxy().listener(|settings| settings.forwarded = Forwarded::XForwarded)
}

#[test]
fn the_address_of_a_header_of_version_1_is_the_clients() {
    check_torn(
        http,
        r#"
        client> PROXY TCP4 192.0.2.7 198.51.100.1 40000 80
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin< x-forwarded-for: 192.0.2.7
        origin< x-forwarded-proto: http
        origin< x-forwarded-host: h
        origin<
        "#,
    );
}

#[test]
fn the_address_of_a_header_of_version_2_is_the_clients() {
    check_torn(
        http,
        r#"
        client> \r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\x00\x02\x07\xc6\x33\x64\x01\x9c\x40\x00\x50\
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin< x-forwarded-for: 192.0.2.7
        origin< x-forwarded-proto: http
        origin< x-forwarded-host: h
        origin<
        "#,
    );
}

#[test]
fn a_header_without_an_address_leaves_that_of_the_socket() {
    check(
        http,
        r#"
        client> PROXY UNKNOWN
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin< x-forwarded-for: 127.0.0.1
        origin< x-forwarded-proto: http
        origin< x-forwarded-host: h
        origin<
        client2> \r\n\r\n\0\r\nQUIT\n\x20\x00\0\0\
        client2> GET / HTTP/1.1
        client2> host: h
        client2>
        origin#2< (connected)
        origin#2< GET / HTTP/1.1
        origin#2< host: h
        origin#2< x-forwarded-for: 127.0.0.1
        origin#2< x-forwarded-proto: http
        origin#2< x-forwarded-host: h
        origin#2<
        "#,
    );
}

#[test]
fn only_the_first_request_of_a_connection_has_a_header_before_it() {
    check(
        http,
        r#"
        client> PROXY TCP4 192.0.2.7 198.51.100.1 40000 80
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET /1 HTTP/1.1
        origin< host: h
        origin< x-forwarded-for: 192.0.2.7
        origin< x-forwarded-proto: http
        origin< x-forwarded-host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-length: 0
        origin>
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 0
        client<
        client> PROXY TCP4 192.0.2.8 198.51.100.1 40000 80
        client> GET /2 HTTP/1.1
        client> host: h
        client>
        client< HTTP/1.1 400 Bad Request
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_request_error; details="bad_request_line"
        client< Content-Length: 34
        client< connection: close
        client<
        client< 400 Bad Request: bad_request_line\n\
        client< (end)
        "#,
    );
}

#[test]
fn from_listed_peers_a_header_is_required_t56() {
    check(
        || tcp().behind_proxy(),
        r#"
        client> GET / HTTP/1.1
        client< (reset)
        client2> (connect)
        client2> (end)
        client2< (end)
        client3> PROXY TCP4
        client3< (reset)
        client4> PROXY TCP\
        client4> (end)
        client4< (reset)
        client5> PROXY \
        wait 11s
        client5< (reset)
        proxy: reasons
        proxy< proxy_header_missing 1
        proxy< bad_proxy_header 1
        proxy< proxy_header_truncated 1
        proxy< proxy_header_timeout 1
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn from_others_a_header_is_what_the_client_says_t56() {
    let elsewhere = Network { address: [192, 0, 2, 0].into(), prefix: 24 };
    check(
        || tcp().listener(|settings| settings.proxy_protocol_from.push(elsewhere)),
        r#"
        client> PROXY TCP4 192.0.2.7 198.51.100.1 40000 80
        client> hello
        origin< (connected)
        origin< PROXY TCP4 192.0.2.7 198.51.100.1 40000 80
        origin< hello
        "#,
    );
    check(
        || Gateway::new().listener(|settings| settings.proxy_protocol_from.push(elsewhere)),
        r#"
        client> PROXY TCP4 192.0.2.7 198.51.100.1 40000 80
        client> GET / HTTP/1.1
        client> host: h
        client>
        client< HTTP/1.1 400 Bad Request
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_request_error; details="bad_request_line"
        client< Content-Length: 34
        client< connection: close
        client<
        client< 400 Bad Request: bad_request_line\n\
        client< (end)
        "#,
    );
}

#[test]
fn headers_that_are_none_end_the_connection_with_a_reason_t56() {
    check(
        || tcp().behind_proxy(),
        r#"
        # Too long, of either version.
        client> PROXY TCP4 (1 * 120)
        client< (reset)
        client2> \r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff\
        client2< (reset)
        # A family that does not exist.
        client3> PROXY TCP5 192.0.2.7 198.51.100.1 40000 80
        client3< (reset)
        client4> \r\n\r\n\0\r\nQUIT\n\x21\x41\0\0\
        client4< (reset)
        # An attribute beyond the end.
        client5> \r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10\xc0\x00\x02\x07\xc6\x33\x64\x01\x9c\x40\x00\x50\x02\x00\x09a\
        client5< (reset)
        # Too short for its addresses; a command and a version that do not exist; a wrong checksum.
        client6> \r\n\r\n\0\r\nQUIT\n\x21\x11\0\x04\xc0\x00\x02\x07\
        client6< (reset)
        client7> \r\n\r\n\0\r\nQUIT\n\x2f\x11\0\x0c\
        client7< (reset)
        client8> \r\n\r\n\0\r\nQUIT\n\x11\x11\0\x0c\
        client8< (reset)
        client9> \r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13\xc0\x00\x02\x07\xc6\x33\x64\x01\x9c\x40\x00\x50\x03\x00\x04abcd\
        client9< (reset)
        proxy: reasons
        proxy< proxy_header_too_large 2
        proxy< bad_proxy_version 2
        proxy< bad_proxy_family 2
        proxy< bad_proxy_length 1
        proxy< bad_proxy_tlv 1
        proxy< bad_proxy_checksum 1
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_header_is_read_before_bytes_are_forwarded() {
    check_torn(
        || tcp().behind_proxy(),
        r#"
        client> PROXY TCP6 2001:db8::1 2001:db8::2 40000 80
        client> hello
        origin< (connected)
        origin< hello
        client> (end)
        origin< (end)
        "#,
    );
}

#[test]
fn an_endpoint_gets_the_header_it_wants() {
    check(
        || tcp().proxy_out(ProxyVersion::V1),
        r#"
        client> hello
        origin< (connected)
        origin< PROXY TCP4 127.0.0.1 127.0.0.1 0 0
        origin< hello
        origin> world
        client< world
        "#,
    );
    check(
        || tcp().proxy_out(ProxyVersion::V2),
        r#"
        client> (connect)
        origin< (connected)
        origin<
        origin<
        origin< \0
        origin< QUIT\n!\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01\0\0\0\0\
        client> hello
        origin< hello
        "#,
    );
}

#[test]
fn what_a_header_told_is_passed_on() {
    check(
        || tcp().behind_proxy().proxy_out(ProxyVersion::V1).logged(),
        r#"
        client> PROXY TCP4 192.0.2.7 198.51.100.1 40000 80
        client> hello
        origin< (connected)
        origin< PROXY TCP4 192.0.2.7 198.51.100.1 40000 80
        origin< hello
        client2> PROXY UNKNOWN
        client2> hello
        origin#2< (connected)
        origin#2< PROXY UNKNOWN
        origin#2< hello
        client> (end)
        origin< (end)
        origin> (end)
        client< (end)
        wait 2s
        proxy: log
        proxy< proxy tcp - origin origin in=7 out=0 -
        "#,
    );
    check(
        || tcp().behind_proxy().proxy_out(ProxyVersion::V2),
        r#"
        # An IPv4 client with an authority and a protocol.
        client> \r\n\r\n\0\r\nQUIT\n\x21\x11\0\x17\xc0\x00\x02\x07\xc6\x33\x64\x01\x9c\x40\x00\x50\x01\x00\x02h2\x02\x00\x03a.bhello\
        origin< (connected)
        origin<
        origin<
        origin< \0
        origin< QUIT\n!\x11\0\x17\xc0\0\x02\x07\xc63d\x01\x9c@\0P\x02\0\x03a.b\x01\0\x02h2hello\
        # A health check of the proxy before us.
        client2> \r\n\r\n\0\r\nQUIT\n\x20\x00\0\0\
        origin#2< (connected)
        origin#2<
        origin#2<
        origin#2< \0
        origin#2< QUIT\n \0\0\0\
        "#,
    );
}

#[test]
fn a_limit_per_client_goes_by_the_header() {
    check(
        || tcp().behind_proxy().listener(|settings| settings.connections_per_address_max = Some(1)),
        r#"
        client> PROXY TCP4 192.0.2.7 198.51.100.1 40000 80
        origin< (connected)
        client2> PROXY TCP4 192.0.2.7 198.51.100.1 40001 80
        client2< (reset)
        client3> PROXY TCP4 192.0.2.8 198.51.100.1 40000 80
        origin#2< (connected)
        client4> PROXY TCP6 2001:db8::1 2001:db8::2 40000 80
        origin#3< (connected)
        client5> PROXY TCP6 2001:db8::ffff 2001:db8::2 40000 80
        client5< (reset)
        proxy: reasons
        proxy< address_limit 2
        proxy: limits
        proxy< open 3
        proxy< address 2
        client> (reset)
        origin< (reset)
        client6> PROXY TCP4 192.0.2.7 198.51.100.1 40001 80
        origin#4< (connected)
        "#,
    );
}
