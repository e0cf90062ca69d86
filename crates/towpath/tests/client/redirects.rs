//! Redirects (RFC 9110 §15.4) and cookies (RFC 6265).

use towpath::http::{Body, ClientSettings, Method};

use crate::origin::{client, ctx, origin, run, told};

fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 5\r\n\r\nmoved")
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The first line and the body of what follows a redirect of a request with a body.
#[track_caller]
fn check(method: Method, status: u16, expected: &str) {
    run(async {
        let moved = redirect(status, "/next");
        let heard = origin("a", &[&[&moved, OK]]);
        let client = client(|settings| settings);
        let call =
            client.request(method.clone(), "http://a/first").header("Content-Type", "text/x").body("body");
        assert_eq!(told(call.send(&ctx()).await).await, "200 ok");
        let heard = heard.take();
        assert_eq!(heard.len(), 2, "one connection for both");
        let line = heard[1].lines().next().unwrap().trim_end_matches(" HTTP/1.1");
        let body = heard[1].split_once("\r\n\r\n").unwrap().1;
        let kind = if heard[1].contains("text/x") { " with its type" } else { "" };
        assert_eq!(format!("{line} {body}{kind}"), expected, "{method} {status}");
    });
}

#[test]
fn methods_follow_the_rules_rfc9110_15_4() {
    for status in [301, 302, 303] {
        check(Method::POST, status, "GET /next ");
    }
    check(Method::PUT, 303, "GET /next ");
    for status in [307, 308] {
        check(Method::POST, status, "POST /next body with its type");
    }
    check(Method::PUT, 301, "PUT /next body with its type");
}

#[test]
fn a_body_that_has_gone_is_not_sent_again() {
    run(async {
        let heard = origin("a", &[&[&redirect(307, "/next")]]);
        let client = client(|settings| settings);
        let (sender, body) = Body::channel(1);
        sender.send("x").await.unwrap();
        drop(sender);
        let response = client.request(Method::POST, "http://a/").body(body).send(&ctx()).await.unwrap();
        assert_eq!((response.status().as_u16(), response.header("location")), (307, Some("/next")));
        assert_eq!(heard.borrow().len(), 1);
    });
}

#[test]
fn credentials_stay_with_their_origin() {
    run(async {
        let first = origin("a", &[&[&redirect(302, "/same"), &redirect(302, "http://b/other")]]);
        let second = origin("b", &[&[OK]]);
        let client = client(|settings| settings);
        let call = client
            .request(Method::GET, "http://a/")
            .header("Authorization", "secret")
            .header("Cookie", "k=v");
        call.header("X-Other", "told").send(&ctx()).await.unwrap();
        assert!(first.borrow().iter().all(|request| request.contains("secret") && request.contains("k=v")));
        let other = second.take().remove(0);
        assert!(!other.contains("secret") && !other.contains("k=v"), "{other}");
        assert!(other.contains("X-Other: told") && other.contains("Host: b\r\n"), "{other}");
    });
}

#[test]
fn an_endless_redirect_ends_s13() {
    run(async {
        let moved = redirect(302, "/again");
        let answers = vec![moved.as_str(); 100];
        let heard = origin("a", &[&answers]);
        let client = client(|settings| settings);
        let found = told(client.get(&ctx(), "http://a/").await).await;
        assert_eq!(found, "limit: more than 10 redirects in a row");
        assert_eq!(heard.borrow().len(), 11);
    });
}

#[test]
fn a_redirect_is_given_out_to_who_wants_none_and_refused_where_it_leads_nowhere() {
    run(async {
        let moved = ["/x", "ftp://a/", "http://u:p@a/"].map(|location| redirect(302, location));
        origin("a", &[&[&moved[0]], &[&moved[1]], &[&moved[2]]]);
        let gives = client(|settings| ClientSettings { redirects_max: 0, ..settings });
        assert_eq!(told(gives.get(&ctx(), "http://a/").await).await, "302 moved");
        for location in ["ftp://a/", "http://u:p@a/"] {
            let follows = client(|settings| settings);
            let found = told(follows.get(&ctx(), "http://a/").await).await;
            let text = format!("the message is not HTTP: the redirect to {location:?} cannot be followed");
            assert_eq!(found, format!("protocol: {text}"));
        }
    });
}

#[test]
fn a_jar_keeps_what_servers_set_and_nobody_has_one_unasked_rfc6265() {
    run(async {
        let set = "HTTP/1.1 302 Found\r\nSet-Cookie: id=7; Path=/\r\nSet-Cookie: gone=1; Max-Age=0\r\n\
                   Location: /x\r\nContent-Length: 0\r\n\r\n";
        let heard = origin("a", &[&[set, OK, OK], &[set, OK]]);
        let keeps = client(|settings| ClientSettings { cookies: true, ..settings });
        keeps.get(&ctx(), "http://a/").await.unwrap();
        keeps.get(&ctx(), "http://a/y").await.unwrap();
        let forgets = client(|settings| settings);
        forgets.get(&ctx(), "http://a/").await.unwrap();
        let sent: Vec<bool> =
            heard.borrow().iter().map(|request| request.contains("\r\nCookie: id=7\r\n")).collect();
        assert_eq!(sent, [false, true, true, false, false]);
    });
}
