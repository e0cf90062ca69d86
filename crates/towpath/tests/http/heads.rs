//! Heads that are answered, and heads that are refused.

use towpath_testkit::{check, check_torn};

use crate::server::Kit;

#[test]
fn a_greeting_and_what_fits_no_route_s12() {
    check_torn(
        Kit::new,
        r#"
        client> GET / HTTP/1.1
        client> Host: h
        client>
        client> GET /hello/ada%20l HTTP/1.1
        client> Host: h
        client>
        client> HEAD / HTTP/1.1
        client> Host: h
        client>
        client> GET /nothing HTTP/1.1
        client> Host: h
        client>
        client> POST / HTTP/1.1
        client> Host: h
        client>
        client< HTTP/1.1 200 OK
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 5
        client<
        client< helloHTTP/1.1 200 OK
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 11
        client<
        client< hello ada lHTTP/1.1 200 OK
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 5
        client<
        client< HTTP/1.1 404 Not Found
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 10
        client<
        client< Not Found\nHTTP/1.1 405 Method Not Allowed
        client< Content-Type: text/plain; charset=utf-8
        client< Allow: GET, HEAD
        client< Date: (now)
        client< Content-Length: 19
        client<
        client< Method Not Allowed\n\
        "#,
    );
}

#[test]
fn requests_that_two_readers_could_take_for_two_things_are_refused_t01() {
    for head in [
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n",
        "GET / HTTP/1.1\nHost: h\n\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nA: \0\r\n\r\n",
        "GET /%2e%2e/%00 HTTP/1.1\r\nHost: h\r\n\r\n",
    ] {
        let lines = head.escape_debug().to_string().replace("\\r\\n", "\r\n").replace("\\n", "\n");
        let said = towpath_testkit::wire::lines(head.as_bytes());
        let dialogue = said.iter().map(|line| format!("client> {line}\n")).collect::<String>();
        let found = towpath_testkit::dialogue::transcript(Kit::new, &dialogue);
        assert!(
            found.contains("client< HTTP/1.1 400 Bad Request") && found.ends_with("client< (end)\n"),
            "{lines}\n{found}"
        );
    }
}

#[test]
fn limits_of_heads_have_their_statuses_t13() {
    check(
        Kit::new,
        r#"
        client> GET / HTTP/1.1
        client> Host: h
        client> A: (x * 9000)
        client< HTTP/1.1 431 Request Header Fields Too Large
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 36
        client< Connection: close
        client<
        client< a field line exceeds the line limit\n\
        client< (end)
        client2> GET / HTTP/1.1
        client2> Host: h
        client2> Expect: the-unexpected
        client2>
        client2< HTTP/1.1 417 Expectation Failed
        client2< Content-Type: text/plain; charset=utf-8
        client2< Date: (now)
        client2< Content-Length: 46
        client2< Connection: close
        client2<
        client2< Expect holds something besides `100-continue`\n\
        client2< (end)
        client3> GET / HTTP/3.0
        client3> Host: h
        client3>
        client3< HTTP/1.1 505 HTTP Version Not Supported
        client3< Content-Type: text/plain; charset=utf-8
        client3< Date: (now)
        client3< Content-Length: 41
        client3< Connection: close
        client3<
        client3< version is neither HTTP/1.1 nor HTTP/1.0\n\
        client3< (end)
        client4> (T * 9000)
        client4< HTTP/1.1 414 URI Too Long
        client4< Content-Type: text/plain; charset=utf-8
        client4< Date: (now)
        client4< Content-Length: 64
        client4< Connection: close
        client4<
        client4< request line exceeds the line limit; a shorter target is needed\n\
        client4< (end)
        "#,
    );
}

#[test]
fn a_response_that_may_not_be_sent_is_a_500_t43() {
    check(
        Kit::new,
        r#"
        client> GET /split HTTP/1.1
        client> Host: h
        client>
        client< HTTP/1.1 500 Internal Server Error
        client< Date: (now)
        client< Content-Length: 0
        client<
        "#,
    );
}
