//! What keeps connections off: per process, listener, client and time.

use std::time::Duration;

use towpath_gateway::plan::AcceptRate;

use crate::gateway::{Gateway, check};

fn tcp() -> Gateway {
    Gateway::new().tcp()
}

#[test]
fn as_many_connections_of_a_client_as_allowed_are_open() {
    check(
        || tcp().listener(|settings| settings.connections_per_address_max = Some(2)),
        r#"
        client> 1
        origin< (connected)
        origin< 1
        client2> 2
        origin#2< (connected)
        origin#2< 2
        client3> 3
        client3< (reset)
        proxy: limits
        proxy< open 2
        proxy< address 1
        proxy: reasons
        proxy< address_limit 1
        client> (end)
        origin< (end)
        origin> (end)
        client< (end)
        client4> 4
        origin#3< (connected)
        origin#3< 4
        "#,
    );
}

#[test]
fn connections_beyond_a_listeners_limit_wait() {
    check(
        || tcp().listener(|settings| settings.connections_max = Some(2)),
        r#"
        client> 1
        origin< (connected)
        origin< 1
        client2> 2
        origin#2< (connected)
        origin#2< 2
        client3> 3
        wait 1s
        proxy: limits
        proxy< open 2
        proxy< listener 1
        client> (end)
        origin< (end)
        origin> (end)
        client< (end)
        wait 1s
        origin#3< (connected)
        origin#3< 3
        proxy: limits
        proxy< open 2
        proxy< listener 2
        "#,
    );
}

#[test]
fn the_process_has_a_limit_over_all_listeners() {
    check(
        || tcp().listeners(&["proxy", "other"]).connections_max(1),
        r#"
        client> 1
        origin< (connected)
        origin< 1
        client2> (connect other)
        client2> 2
        wait 1s
        proxy: limits
        proxy< open 1
        proxy< process 1
        client> (reset)
        origin< (reset)
        wait 1s
        origin#2< (connected)
        origin#2< 2
        "#,
    );
}

#[test]
fn one_listener_at_its_limit_leaves_others_alone() {
    check(
        || tcp().listeners(&["proxy", "other"]).listener(|settings| settings.connections_max = Some(1)),
        r#"
        client> 1
        origin< (connected)
        origin< 1
        client2> 2
        client3> (connect other)
        origin#2< (connected)
        client3> 3
        origin#2< 3
        "#,
    );
}

#[test]
fn connections_are_accepted_at_the_rate() {
    let rate = AcceptRate { count: 1, per: Duration::from_secs(10), burst: 2 };
    check(
        || tcp().listener(|settings| settings.accept_rate = Some(rate)),
        r#"
        client> 1
        origin< (connected)
        origin< 1
        client2> 2
        origin#2< (connected)
        origin#2< 2
        client3> 3
        proxy: limits
        proxy< open 2
        proxy< rate 1
        wait 9s
        wait 2s
        origin#3< (connected)
        origin#3< 3
        client4> 4
        wait 5s
        wait 5s
        origin#4< (connected)
        origin#4< 4
        proxy: limits
        proxy< open 4
        proxy< rate 3
        "#,
    );
}

#[test]
fn a_listener_that_waits_for_its_rate_can_be_drained() {
    let rate = AcceptRate { count: 1, per: Duration::from_secs(3600), burst: 1 };
    check(
        || tcp().listener(|settings| settings.accept_rate = Some(rate)),
        r#"
        client> 1
        origin< (connected)
        origin< 1
        client2> 2
        proxy: drain
        origin#2< (connected)
        origin#2< 2
        client3> (connect)
        client3< (refused)
        "#,
    );
}

#[test]
fn a_reload_changes_the_limits_and_keeps_the_counts() {
    let limited = |max| tcp().listener(move |settings| settings.connections_max = Some(max));
    check(
        || limited(2).then("less", limited(1)).then("more", limited(3)),
        r#"
        client> 1
        origin< (connected)
        origin< 1
        client2> 2
        origin#2< (connected)
        origin#2< 2
        client3> 3
        proxy: apply less
        client> (reset)
        origin< (reset)
        wait 1s
        proxy: apply more
        wait 1s
        origin#3< (connected)
        origin#3< 3
        client4> 4
        origin#4< (connected)
        origin#4< 4
        "#,
    );
}
