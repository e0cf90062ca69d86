//! The testkit tried on the smallest proxy there is: one that carries bytes to `origin` and back.

use std::rc::Rc;
use std::task::Poll;

use tokio::task::spawn_local;
use towpath_net::memory;
use towpath_testkit::{Proxy, Stage, check, check_torn};

struct Relay;

impl Proxy for Relay {
    fn order(&mut self, order: &str) -> String {
        format!("understood: {order}")
    }
}

fn start(stage: &Stage) -> Relay {
    stage.listen("origin");
    let mut listener = memory::listen("proxy").expect("the name is free");
    spawn_local(async move {
        loop {
            let client = Rc::new(listener.accept().await);
            let Ok(origin) = memory::connect("origin").await else { continue };
            let origin = Rc::new(origin);
            spawn_local(carry(Rc::clone(&client), Rc::clone(&origin)));
            spawn_local(carry(origin, client));
        }
    });
    Relay
}

/// Carries single bytes, which a small test can afford.
async fn carry(from: Rc<memory::End>, to: Rc<memory::End>) {
    let mut byte = [0];
    loop {
        match std::future::poll_fn(|cx| from.poll_read(cx, &mut byte)).await {
            Ok(0) => return to.shutdown(),
            Ok(_) => {
                let sent = std::future::poll_fn(|cx| match to.poll_write(cx, &byte) {
                    Poll::Ready(sent) => Poll::Ready(sent),
                    Poll::Pending => Poll::Pending,
                });
                if sent.await.is_err() {
                    return;
                }
            }
            Err(_) => return to.reset(),
        }
    }
}

#[test]
fn parties_see_what_others_send() {
    check_torn(
        start,
        r#"
        # Two lines, and a rest without an end of line.
        client> hello
        client> (x * 100) and \t\0\
        origin< (connected)
        origin< hello
        origin< (x * 100) and \t\0\

        client2> (connect)
        origin#2< (connected)

        origin#2> welcome
        client2< welcome

        origin> (end)
        client< (end)
        client> (reset)
        origin< (reset)
        wait 90s
        proxy: stop
        proxy< understood: stop
        "#,
    );
}

#[test]
fn an_origin_that_stops_listening_refuses() {
    check(
        start,
        r#"
        origin> (refuse)
        client> hello
        client< (end)
        client2> (connect nobody)
        client2< (refused)

        origin> (listen)
        client3> hello
        origin< (connected)
        origin< hello
        "#,
    );
}

#[test]
#[should_panic(expected = "  - origin< good bye\n  + origin< hello")]
fn a_dialogue_that_goes_otherwise_fails() {
    if std::env::var_os(towpath_testkit::snapshot::UPDATE_VARIABLE).is_some() {
        panic!("  - origin< good bye\n  + origin< hello: not to be recorded");
    }
    check(
        start,
        r#"
        client> hello
        origin< (connected)
        origin< good bye
        "#,
    );
}
