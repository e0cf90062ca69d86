//! Connections that are forwarded without being read: ends, faults, the choice of an endpoint.

use std::time::Duration;

use towpath_gateway::plan::RelaySettings;

use crate::gateway::{Gateway, check, check_torn};

fn tcp() -> Gateway {
    Gateway::new().tcp()
}

#[test]
fn bytes_go_both_ways_and_each_end_on_its_own() {
    check_torn(
        tcp,
        r#"
        client> hello
        origin< (connected)
        origin< hello
        client> (end)
        origin< (end)
        origin> world
        client< world
        origin> (end)
        client< (end)
        proxy: relays
        proxy< origin: 1 connections, 0 open, 7 up, 7 down, finished 1
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn the_endpoint_may_end_first() {
    check(
        tcp,
        r#"
        client> (connect)
        origin< (connected)
        origin> greeting
        client< greeting
        origin> (end)
        client< (end)
        client> bye
        origin< bye
        client> (end)
        origin< (end)
        proxy: relays
        proxy< origin: 1 connections, 0 open, 5 up, 10 down, finished 1
        "#,
    );
}

#[test]
fn a_connection_has_one_line_in_the_log_when_it_is_over() {
    check(
        || tcp().logged(),
        r#"
        client> hello
        origin< (connected)
        origin< hello
        client> (end)
        origin< (end)
        origin> hi
        client< hi
        wait 2s
        proxy: log
        origin> (end)
        client< (end)
        client2> x
        origin#2< (connected)
        origin#2< x
        origin#2> (reset)
        client2< (reset)
        wait 2s
        proxy: log
        proxy< proxy tcp - origin origin in=7 out=4 -
        proxy< proxy tcp - origin origin in=3 out=0 upstream_reset
        proxy: relays
        proxy< origin: 2 connections, 0 open, 10 up, 4 down, finished 1, upstream_reset 1
        "#,
    );
}

#[test]
fn a_reset_is_passed_on_whoever_made_it() {
    check(
        tcp,
        r#"
        client> hello
        origin< (connected)
        origin< hello
        client> (reset)
        origin< (reset)
        client2> hello
        origin#2< (connected)
        origin#2< hello
        origin#2> (reset)
        client2< (reset)
        proxy: relays
        proxy< origin: 2 connections, 0 open, 14 up, 0 down, client_reset 1, upstream_reset 1
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn an_endpoint_that_dies_in_the_middle_is_no_end() {
    check(
        tcp,
        r#"
        client> SELECT 1
        origin< (connected)
        origin< SELECT 1
        origin> half an ans\
        client< half an ans\
        origin> (reset)
        client< (reset)
        proxy: relays
        proxy< origin: 1 connections, 0 open, 10 up, 11 down, upstream_reset 1
        "#,
    );
}

#[test]
fn the_next_endpoint_is_tried_when_one_refuses() {
    check(
        || tcp().endpoints(&["a", "b"]),
        r#"
        a> (refuse)
        client> 1
        b< (connected)
        b< 1
        client2> 2
        b#2< (connected)
        b#2< 2
        proxy: gauges
        proxy< connections 2, tunnels 0, charges 2
        proxy< pool a: in use 0, idle 0, dialling 0, waiting 0
        proxy< pool b: in use 2, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_client_is_reset_when_every_endpoint_refuses() {
    check(
        || tcp().endpoints(&["a", "b"]).logged(),
        r#"
        a> (refuse)
        b> (refuse)
        client> hello
        client< (reset)
        wait 2s
        proxy: reasons
        proxy< connect_refused 1
        proxy: log
        proxy< proxy tcp - origin - in=0 out=0 connect_refused
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool a: in use 0, idle 0, dialling 0, waiting 0
        proxy< pool b: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn no_more_endpoints_are_tried_than_allowed() {
    let relay = || RelaySettings { connect_attempts: 1, ..RelaySettings::default() };
    check(
        || Gateway::new().endpoints(&["a", "b"]).relay(relay()),
        r#"
        a> (refuse)
        client> 1
        b< (connected)
        b< 1
        client2> 2
        client2< (reset)
        proxy: reasons
        proxy< connect_refused 1
        "#,
    );
}

#[test]
fn an_endpoint_that_failed_a_moment_ago_is_passed_over_and_costs_no_attempt() {
    check(
        || tcp().endpoints(&["a", "b"]),
        r#"
        a> (refuse)
        client> 1
        b< (connected)
        b< 1
        client2> 2
        b#2< (connected)
        b#2< 2
        client3> 3
        b#3< (connected)
        b#3< 3
        client4> 4
        b#4< (connected)
        b#4< 4
        client5> 5
        b#5< (connected)
        b#5< 5
        proxy: attempts
        proxy< origin: 6 attempts, 1 retries, 0 refused
        "#,
    );
}

#[test]
fn the_retry_budget_bounds_further_attempts() {
    let relay = || RelaySettings { connect_attempts: 6, ..RelaySettings::default() };
    check(
        || Gateway::new().endpoints(&["a", "b", "c", "d", "e", "f"]).relay(relay()),
        r#"
        a> (refuse)
        b> (refuse)
        c> (refuse)
        d> (refuse)
        e> (refuse)
        f> (refuse)
        client> hello
        client< (reset)
        proxy: attempts
        proxy< origin: 4 attempts, 3 retries, 1 refused
        "#,
    );
}

#[test]
fn a_black_hole_is_left_for_the_next_endpoint_after_the_connect_timeout() {
    check(
        || tcp().endpoints(&["a", "b"]),
        r#"
        a> (refuse)
        a> (black hole)
        client> 1
        b< (connected)
        b< 1
        client2> 2
        wait 5s
        b#2< (connected)
        b#2< 2
        "#,
    );
}

#[test]
fn an_endpoint_that_failed_a_moment_ago_costs_no_wait() {
    check(
        || tcp().endpoints(&["a", "b"]),
        r#"
        a> (refuse)
        a> (black hole)
        client> 1
        b< (connected)
        b< 1
        client2> 2
        wait 5s
        b#2< (connected)
        b#2< 2
        # Within the pause after the failure: nobody waits for another dial.
        client3> 3
        b#3< (connected)
        b#3< 3
        client4> 4
        b#4< (connected)
        b#4< 4
        "#,
    );
}

#[test]
fn a_client_that_resets_while_its_endpoint_is_dialled_is_gone() {
    check(
        tcp,
        r#"
        origin> (refuse)
        origin> (black hole)
        client> hello
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 1
        proxy< pool origin: in use 0, idle 0, dialling 1, waiting 0
        client> (reset)
        proxy: reasons
        proxy< client_gone 1
        wait 5s
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_client_that_has_sent_its_end_still_gets_its_answer() {
    check(
        || tcp().endpoints(&["a", "b"]),
        r#"
        a> (refuse)
        a> (black hole)
        client0> (connect)
        b< (connected)
        client> question
        client> (end)
        wait 5s
        b#2< (connected)
        b#2< question
        b#2< (end)
        b#2> answer
        client< answer
        b#2> (end)
        client< (end)
        "#,
    );
}

#[test]
fn unhealthy_endpoints_get_no_connections_and_without_others_clients_are_reset() {
    check(
        || tcp().endpoints(&["a", "b"]),
        r#"
        proxy: unhealthy a
        client> 1
        b< (connected)
        b< 1
        client2> 2
        b#2< (connected)
        b#2< 2
        proxy: unhealthy b
        client3> 3
        client3< (reset)
        proxy: reasons
        proxy< no_healthy_endpoint 1
        "#,
    );
}

#[test]
fn a_silent_relay_ends_after_its_idle_time_and_a_busy_one_does_not() {
    let relay = || RelaySettings { idle_timeout: Duration::from_secs(60), ..RelaySettings::default() };
    check(
        || Gateway::new().relay(relay()),
        r#"
        client> a
        origin< (connected)
        origin< a
        client2> a
        origin#2< (connected)
        origin#2< a
        wait 40s
        client> b
        origin< b
        wait 40s
        client2< (end)
        origin#2< (end)
        origin> c
        client< c
        wait 61s
        client< (end)
        origin< (end)
        proxy: relays
        proxy< origin: 2 connections, 0 open, 9 up, 3 down, idle 2
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn the_accept_deadline_ends_with_the_beginning() {
    check(
        tcp,
        r#"
        client> (connect)
        origin< (connected)
        wait 600s
        client> still here
        origin< still here
        origin> so am I
        client< so am I
        "#,
    );
}

#[test]
fn relays_take_slots_of_the_pool_and_wait_for_them_in_order() {
    check(
        || tcp().pool(|pool| pool.max_connections = Some(1)),
        r#"
        client> 1
        origin< (connected)
        origin< 1
        client2> 2
        client3> 3
        proxy: gauges
        proxy< connections 3, tunnels 0, charges 3
        proxy< pool origin: in use 1, idle 0, dialling 0, waiting 2
        client> (end)
        origin< (end)
        origin> (end)
        client< (end)
        origin#2< (connected)
        origin#2< 2
        client2> (reset)
        origin#2< (reset)
        origin#3< (connected)
        origin#3< 3
        wait 30s
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 1
        proxy< pool origin: in use 1, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn who_waits_too_long_for_a_slot_is_reset() {
    check(
        || tcp().pool(|pool| (pool.max_connections, pool.max_waiters) = (Some(1), Some(1))),
        r#"
        client> 1
        origin< (connected)
        origin< 1
        client2> 2
        client3> 3
        client3< (reset)
        proxy: reasons
        proxy< pool_queue_full 1
        wait 30s
        client2< (reset)
        proxy: reasons
        proxy< pool_timeout 1
        proxy< pool_queue_full 1
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 1
        proxy< pool origin: in use 1, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_drain_lets_relays_go_on_and_its_end_cuts_them() {
    check(
        || tcp().logged(),
        r#"
        client> before
        origin< (connected)
        origin< before
        proxy: drain
        client2> (connect)
        client2< (refused)
        client> during
        origin< during
        origin> answer
        client< answer
        proxy: stop
        client< (reset)
        origin< (reset)
        proxy: log
        proxy< proxy tcp - origin origin in=16 out=8 drain_cut
        proxy: relays
        proxy< origin: 1 connections, 0 open, 16 up, 8 down, drain 1
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn relays_outlive_reloads_that_change_their_listener_or_upstream() {
    check(
        || {
            let elsewhere = tcp().endpoints(&["new"]);
            let http = Gateway::new();
            tcp().then("elsewhere", elsewhere).then("http", http)
        },
        r#"
        client> 1
        origin< (connected)
        origin< 1
        proxy: apply elsewhere
        client> 2
        origin< 2
        origin> answer
        client< answer
        client2> other
        new< (connected)
        new< other
        proxy: apply http
        client> 3
        origin< 3
        client2> 4
        new< 4
        client3> 5
        client> (end)
        origin< (end)
        origin> (end)
        client< (end)
        "#,
    );
}

#[test]
fn a_slow_reader_stops_the_other_side_and_loses_nothing() {
    check(
        tcp,
        r#"
        client> (stop reading)
        origin< (connected)
        origin> (x * 400000)
        client> (read)
        client< (x * 400000)
        origin> (end)
        client< (end)
        client> (end)
        origin< (end)
        "#,
    );
}
