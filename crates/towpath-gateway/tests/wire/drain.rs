//! The end of a process and the change of a plan, seen from connections that are open.

use crate::gateway::{Gateway, check, respond};

#[test]
fn a_drain_ends_busy_connections_after_their_answer_and_idle_ones_by_and_by() {
    check(
        Gateway::new,
        r#"
        client> GET /busy HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET /busy HTTP/1.1
        origin< host: h
        origin<
        client2> GET /idle HTTP/1.1
        client2> host: h
        client2>
        origin#2< (connected)
        origin#2< GET /idle HTTP/1.1
        origin#2< host: h
        origin#2<
        origin#2> HTTP/1.1 200 OK
        origin#2> content-length: 0
        origin#2>
        client2< HTTP/1.1 200 OK
        client2< date: (now)
        client2< Content-Length: 0
        client2<

        proxy: drain
        client3> (connect)
        client3< (refused)
        origin> HTTP/1.1 200 OK
        origin> content-length: 2
        origin>
        origin> hi\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 2
        client< connection: close
        client<
        client< hi\
        client< (end)
        # No later than the spread, also for one that was in use just before.
        wait 10s
        client2< (end)
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 2, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_request_on_an_idle_connection_during_a_drain_is_answered_and_told_to_close() {
    check(
        || Gateway::new().path("/own", |_| respond(200, "own")),
        r#"
        client> GET /own HTTP/1.1
        client> host: h
        client>
        client< HTTP/1.1 200 OK
        client< server: towpath
        client< date: (now)
        client< Content-Length: 3
        client<
        client< own\
        proxy: drain
        client> GET /own HTTP/1.1
        client> host: h
        client>
        client< HTTP/1.1 200 OK
        client< server: towpath
        client< date: (now)
        client< Content-Length: 3
        client< connection: close
        client<
        client< own\
        client< (end)
        "#,
    );
}

#[test]
fn a_tunnel_goes_on_through_a_drain_and_a_new_plan() {
    check(
        || Gateway::new().then("other", Gateway::new().without_default()),
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client> connection: upgrade
        client> upgrade: websocket
        client>
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
        proxy: apply other
        client> up\
        origin< up\
        proxy: drain
        wait 20s
        origin> down\
        client< down\
        proxy: gauges
        proxy< connections 1, tunnels 1, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn the_end_of_a_drain_cuts_a_tunnel_as_it_cuts_a_relay() {
    check(
        || Gateway::new().logged(),
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client> connection: upgrade
        client> upgrade: websocket
        client>
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
        proxy: drain
        client> during
        origin< during
        proxy: stop
        client< (reset)
        origin< (reset)
        # Its line was written when the request was over.
        proxy: log
        proxy< proxy HTTP/1.1 h origin origin in=0 out=0 -
        proxy: closes
        proxy< drain 1
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn the_next_request_on_an_open_connection_takes_the_new_plans_routes() {
    check(
        || Gateway::new().then("other", Gateway::new().path("/1", |_| respond(200, "new"))),
        r#"
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET /1 HTTP/1.1
        origin< host: h
        origin<
        proxy: apply other
        # The request under way keeps the plan it began with.
        origin> HTTP/1.1 200 OK
        origin> content-length: 3
        origin>
        origin> old\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 3
        client<
        client< old\
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        client< HTTP/1.1 200 OK
        client< server: towpath
        client< date: (now)
        client< Content-Length: 3
        client<
        client< new\
        # What is the same in both plans goes on, pools among it.
        client> GET /2 HTTP/1.1
        client> host: h
        client>
        origin< GET /2 HTTP/1.1
        origin< host: h
        origin<
        "#,
    );
}

#[test]
fn an_idle_connection_takes_the_new_plan_as_well() {
    check(
        || Gateway::new().then("other", Gateway::new().path("/1", |_| respond(200, "new"))),
        r#"
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET /1 HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-length: 0
        origin>
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 0
        client<
        wait 30s
        proxy: apply other
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        client< HTTP/1.1 200 OK
        client< server: towpath
        client< date: (now)
        client< Content-Length: 3
        client<
        client< new\
        "#,
    );
}

#[test]
fn a_listener_that_leaves_accepts_no_more_and_another_comes() {
    check(
        || {
            Gateway::new()
                .path("/own", |_| respond(200, "own"))
                .then("other", Gateway::new().listeners(&["second"]).path("/own", |_| respond(200, "second")))
        },
        r#"
        client> GET /own HTTP/1.1
        client> host: h
        client>
        client< HTTP/1.1 200 OK
        client< server: towpath
        client< date: (now)
        client< Content-Length: 3
        client<
        client< own\
        proxy: apply other
        client2> (connect)
        client2< (refused)
        client3> (connect second)
        client3> GET /own HTTP/1.1
        client3> host: h
        client3>
        client3< HTTP/1.1 200 OK
        client3< server: towpath
        client3< date: (now)
        client3< Content-Length: 6
        client3<
        client3< second\
        # The connection of the listener that left is served with what it had.
        client> GET /own HTTP/1.1
        client> host: h
        client>
        client< HTTP/1.1 200 OK
        client< server: towpath
        client< date: (now)
        client< Content-Length: 3
        client<
        client< own\
        "#,
    );
}

#[test]
fn an_upstream_that_leaves_the_plan_serves_the_requests_it_has() {
    check(
        || Gateway::new().then("other", Gateway::new().endpoints(&["b"])),
        r#"
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET /1 HTTP/1.1
        origin< host: h
        origin<
        proxy: apply other
        origin> HTTP/1.1 200 OK
        origin> content-length: 3
        origin>
        origin> old\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 3
        client<
        client< old\
        client> GET /2 HTTP/1.1
        client> host: h
        client>
        b< (connected)
        b< GET /2 HTTP/1.1
        b< host: h
        b<
        "#,
    );
}
