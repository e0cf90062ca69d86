//! Origins that say nothing are asked whether they are there (RFC 9113 §6.7), as dialogues under a paused clock.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::spawn_local;
use towpath::http::{Client, ClientSettings, Method};
use towpath_testkit::{Proxy, check};

use crate::origin::{ctx, told};
use crate::peer::client;

/// A client in the place of a proxy, which asks `origin-h2` when it is told to.
struct Asking {
    client: Client,
    answers: Rc<RefCell<Vec<String>>>,
}

impl Proxy for Asking {
    fn order(&mut self, order: &str) -> String {
        let (word, path) = order.split_once(' ').unwrap_or((order, ""));
        let method = match word {
            "get" => Method::GET,
            "post" => Method::POST,
            "answers" => return std::mem::take(&mut *self.answers.borrow_mut()).join("\n"),
            other => panic!("no such order: {other}"),
        };
        let (client, answers) = (self.client.clone(), Rc::clone(&self.answers));
        let url = format!("http://h{path}");
        spawn_local(async move {
            let answer = told(client.request(method, &url).send(&ctx()).await).await;
            answers.borrow_mut().push(answer.trim_end().to_owned());
        });
        String::new()
    }
}

#[track_caller]
fn holds(change: fn(ClientSettings) -> ClientSettings, dialogue: &str) {
    let start = |_: &_| {
        let connect_to = vec![("h:80".to_owned(), "memory:origin-h2".to_owned())];
        let client = client(|settings| {
            let plain = ClientSettings { connect_to, user_agent: "t".to_owned(), decode: false, ..settings };
            change(plain)
        });
        Asking { client, answers: Rc::default() }
    };
    check(start, dialogue);
}

#[test]
fn an_idle_connection_is_asked_and_goes_on_while_it_answers_p12() {
    holds(
        |settings| settings,
        r#"
        origin-h2> (listen)
        proxy: get /
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 16711681
        origin-h2< HEADERS 1 END | :method GET | :scheme http | :path / | :authority h | user-agent t | accept */*
        origin-h2> settings
        origin-h2> ack
        origin-h2> ok 1 end
        origin-h2< SETTINGS ACK
        wait 14s
        wait 1s
        origin-h2< PING 63
        origin-h2> pong 0
        wait 15s
        origin-h2< PING 63
        origin-h2> pong 0
        proxy: get /again
        origin-h2< HEADERS 3 END | :method GET | :scheme http | :path /again | :authority h | user-agent t | accept */*
        origin-h2> ok 3 end
        proxy: answers
        proxy< 200
        proxy< 200
        wait 15s
        origin-h2< PING 63
        origin-h2> pong 0
        wait 15s
        origin-h2< PING 63
        origin-h2> pong 0
        wait 15s
        origin-h2< PING 63
        origin-h2> pong 0
        wait 4s
        wait 1s
        origin-h2< GOAWAY 0 NoError
        origin-h2< (end)
        "#,
    );
}

#[test]
fn an_idle_connection_that_does_not_answer_is_not_used_again_p12_pa6() {
    holds(
        |settings| settings,
        r#"
        origin-h2> (listen)
        proxy: get /
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 16711681
        origin-h2< HEADERS 1 END | :method GET | :scheme http | :path / | :authority h | user-agent t | accept */*
        origin-h2> settings
        origin-h2> ack
        origin-h2> ok 1 end
        origin-h2< SETTINGS ACK
        wait 15s
        origin-h2< PING 63
        wait 10s
        origin-h2< (reset)
        proxy: get /again
        origin-h2#2< (connected)
        origin-h2#2< preface
        origin-h2#2< SETTINGS 4=65535 6=65536 2=0
        origin-h2#2< WINDOW_UPDATE 0 16711681
        origin-h2#2< HEADERS 1 END | :method GET | :scheme http | :path /again | :authority h | user-agent t | accept */*
        origin-h2#2> settings
        origin-h2#2> ack
        origin-h2#2> ok 1 end
        origin-h2#2< SETTINGS ACK
        proxy: answers
        proxy< 200
        proxy< 200
        "#,
    );
}

#[test]
fn a_request_that_waits_on_a_dead_connection_goes_out_on_another_p14() {
    holds(
        |settings| settings,
        r#"
        origin-h2> (listen)
        proxy: get /
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 16711681
        origin-h2< HEADERS 1 END | :method GET | :scheme http | :path / | :authority h | user-agent t | accept */*
        origin-h2> settings
        origin-h2> ack
        origin-h2> ok 1 end
        origin-h2< SETTINGS ACK
        proxy: get /a
        origin-h2< HEADERS 3 END | :method GET | :scheme http | :path /a | :authority h | user-agent t | accept */*
        proxy: post /b
        origin-h2< HEADERS 5 END | :method POST | :scheme http | :path /b | :authority h | user-agent t | accept */* | content-length 0
        wait 15s
        origin-h2< PING 63
        wait 10s
        origin-h2< (reset)
        origin-h2#2< (connected)
        origin-h2#2< preface
        origin-h2#2< SETTINGS 4=65535 6=65536 2=0
        origin-h2#2< WINDOW_UPDATE 0 16711681
        origin-h2#2< HEADERS 1 END | :method GET | :scheme http | :path /a | :authority h | user-agent t | accept */*
        origin-h2#2> settings
        origin-h2#2> ack
        origin-h2#2> ok 1 end
        origin-h2#2< SETTINGS ACK
        proxy: answers
        proxy< 200
        proxy< timeout: the peer took too long over a PING
        proxy< 200
        "#,
    );
}

#[test]
fn whatever_comes_is_a_sign_of_life() {
    holds(
        |settings| ClientSettings { idle_timeout: Duration::from_secs(120), ..settings },
        r#"
        origin-h2> (listen)
        proxy: get /
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 16711681
        origin-h2< HEADERS 1 END | :method GET | :scheme http | :path / | :authority h | user-agent t | accept */*
        origin-h2> settings
        origin-h2> ack
        origin-h2< SETTINGS ACK
        wait 14s
        origin-h2> ok 1
        wait 14s
        wait 1s
        origin-h2< PING 63
        origin-h2> data 1 a
        wait 15s
        origin-h2< PING 63
        wait 9s
        origin-h2> ping 1
        origin-h2< PING ACK 1
        wait 15s
        origin-h2< PING 63
        origin-h2> data 1 b end
        proxy: answers
        proxy< 200 ab
        "#,
    );
}

#[test]
fn who_does_not_want_to_asks_nobody() {
    holds(
        |settings| ClientSettings {
            idle_timeout: Duration::from_secs(120),
            http2_ping_interval: None,
            ..settings
        },
        r#"
        origin-h2> (listen)
        proxy: get /
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 16711681
        origin-h2< HEADERS 1 END | :method GET | :scheme http | :path / | :authority h | user-agent t | accept */*
        origin-h2> settings
        origin-h2> ack
        origin-h2< SETTINGS ACK
        wait 100s
        origin-h2> ok 1 end
        proxy: answers
        proxy< 200
        "#,
    );
}
