//! Other plans, and the end.

use towpath_gateway::plan::UdpSettings;
use towpath_net::UdpBinding;
use towpath_telemetry::metrics::{DatagramDrop, SessionEnd};

use crate::stage::{Gateway, Origin, run, until};

#[test]
fn a_reload_keeps_sessions_whose_endpoint_stays() {
    run(async {
        let origin = Origin::start().await;
        let gateway = Gateway::start(&[origin.address()], UdpSettings::default());
        let client = gateway.client().await;
        client.send(b"before").await;
        let (_, session) = origin.receive().await;
        let more = Origin::start().await;
        gateway.apply(&[more.address(), origin.address()], UdpSettings::default());
        until("the plan is served", || gateway.engine.is_current()).await;
        client.send(b"after").await;
        assert_eq!(origin.receive().await, (b"after".to_vec(), session));
    });
}

#[test]
fn a_reload_ends_sessions_whose_endpoint_has_left() {
    run(async {
        let (old, new) = (Origin::start().await, Origin::start().await);
        let gateway = Gateway::start(&[old.address()], UdpSettings::default());
        let client = gateway.client().await;
        client.send(b"before").await;
        old.receive().await;
        gateway.apply(&[new.address()], UdpSettings::default());
        until("the session ends", || gateway.ended(SessionEnd::Reload) == 1).await;
        client.send(b"after").await;
        assert_eq!(new.receive().await.0, b"after");
    });
}

#[test]
fn a_listener_of_another_name_has_the_socket_but_not_the_sessions() {
    run(async {
        let origin = Origin::start().await;
        let gateway = Gateway::start(&[origin.address()], UdpSettings::default());
        let client = gateway.client().await;
        client.send(b"before").await;
        let (_, session) = origin.receive().await;
        gateway.rename("names");
        gateway.apply(&[origin.address()], UdpSettings::default());
        until("the plan is served", || gateway.engine.is_current()).await;
        assert_eq!(gateway.engine.open_count(), 0);
        client.send(b"after").await;
        assert_ne!(origin.receive().await.1, session);
        assert_eq!(gateway.open(), 1);
    });
}

#[test]
fn a_lower_cap_after_a_reload_holds_for_the_next_session() {
    run(async {
        let origin = Origin::answering(|datagram| datagram.to_vec()).await;
        let gateway = Gateway::start(&[origin], UdpSettings::default());
        let clients = [gateway.client().await, gateway.client().await, gateway.client().await];
        for client in &clients {
            client.ask(b"hello").await;
        }
        gateway.apply(&[origin], UdpSettings { sessions_max: 1, ..UdpSettings::default() });
        until("the plan is served", || gateway.engine.is_current()).await;
        assert_eq!(gateway.open(), 3);
        gateway.client().await.ask(b"hello").await;
        assert_eq!((gateway.open(), gateway.ended(SessionEnd::EvictedByAll)), (1, 3));
    });
}

#[test]
fn a_drain_waits_for_answers_and_begins_nothing_new() {
    run(async {
        let origin = Origin::start().await;
        let gateway = Gateway::start(&[origin.address()], UdpSettings::default());
        let client = gateway.client().await;
        client.send(b"question").await;
        let (_, session) = origin.receive().await;
        gateway.engine.drain();
        let late = gateway.client().await;
        late.send(b"too late").await;
        until("the new client is refused", || gateway.dropped(DatagramDrop::Draining) == 1).await;
        assert_eq!(gateway.open(), 1);
        origin.send(b"answer", session).await;
        assert_eq!(client.receive().await, b"answer");
        until("the session ends", || gateway.ended(SessionEnd::Drain) == 1).await;
        // The last session gone, so is the socket.
        until("the port is free", || UdpBinding::bind(gateway.address(), 1).is_ok()).await;
    });
}
