//! Endpoints that are not there.

use std::cell::Cell;

use tokio::net::UdpSocket;
use towpath_gateway::plan::UdpSettings;
use towpath_telemetry::metrics::{DatagramDrop, SessionEnd};

use crate::stage::{Gateway, Origin, nobody, run, until};

#[test]
fn clients_of_a_dead_endpoint_go_to_another() {
    run(async {
        let alive = Origin::answering(|datagram| datagram.to_vec()).await;
        let gateway = Gateway::start(&[nobody().await, alive], UdpSettings::default());
        // The hash of its port decides; of 20 clients some belong to the dead one.
        let mut unreachable = 0;
        for _ in 0..20 {
            let client = gateway.client().await;
            client.send(b"lost?").await;
            let answered = || gateway.count(|c| c.datagrams_down.value()) as usize;
            let before = answered();
            let told = || gateway.ended(SessionEnd::Unreachable);
            until("an answer, or the word that there is none", || {
                answered() > before || told() > unreachable
            })
            .await;
            if told() > unreachable {
                unreachable = told();
                assert_eq!(client.ask(b"again").await, b"again");
            }
        }
        // The first of them showed that nobody is there; nobody was sent there after that.
        assert_eq!(unreachable, 1);
    });
}

#[test]
fn an_endpoint_that_comes_back_is_served_again() {
    run(async {
        let address = nobody().await;
        let gateway = Gateway::start(&[address], UdpSettings::default());
        let client = gateway.client().await;
        client.send(b"lost").await;
        until("the session ends", || gateway.ended(SessionEnd::Unreachable) == 1).await;
        assert_eq!(gateway.open(), 0);
        let origin = Origin { socket: UdpSocket::bind(address).await.unwrap() };
        client.send(b"hello").await;
        let (datagram, session) = origin.receive().await;
        assert_eq!(datagram, b"hello");
        origin.send(b"there", session).await;
        assert_eq!(client.receive().await, b"there");
    });
}

#[test]
fn an_endpoint_that_dies_takes_no_session_with_it_for_long() {
    run(async {
        let origins = [Origin::start().await, Origin::start().await];
        let gateway = Gateway::start(&[origins[0].address(), origins[1].address()], UdpSettings::default());
        let client = gateway.client().await;
        client.send(b"hello").await;
        let chosen = Cell::new(None);
        let look = || {
            let has_it = |origin: &Origin| origin.socket.try_recv(&mut [0; 16]).is_ok();
            chosen.set(origins.iter().position(has_it));
            chosen.get().is_some()
        };
        until("one of them has it", look).await;
        let mut origins = Vec::from(origins);
        drop(origins.remove(chosen.get().unwrap()));
        let alive = &origins[0];
        client.send(b"lost").await;
        until("the session ends", || gateway.ended(SessionEnd::Unreachable) == 1).await;
        client.send(b"found").await;
        assert_eq!(alive.receive().await.0, b"found");
    });
}

#[test]
fn without_an_endpoint_datagrams_are_counted() {
    run(async {
        let gateway = Gateway::start(&[], UdpSettings::default());
        let client = gateway.client().await;
        client.send(b"hello").await;
        until("the datagram is dropped", || gateway.dropped(DatagramDrop::NoEndpoint) == 1).await;
        assert_eq!(gateway.open(), 0);
    });
}

#[test]
fn sessions_leave_an_unhealthy_endpoint_for_a_healthy_one() {
    run(async {
        let origins =
            [Origin::answering(|_| b"a".to_vec()).await, Origin::answering(|_| b"b".to_vec()).await];
        let gateway = Gateway::start(&origins, UdpSettings::default());
        let client = gateway.client().await;
        let (chosen, other, expected) = match client.ask(b"hello").await.as_slice() {
            b"a" => (origins[0], origins[1], b"b"),
            _ => (origins[1], origins[0], b"a"),
        };
        gateway.set_healthy(chosen, false);
        assert_eq!(client.ask(b"hello").await, expected);
        assert_eq!(gateway.ended(SessionEnd::Unhealthy), 1);
        // With nowhere to go, a session stays where it is: the prober may be wrong.
        gateway.set_healthy(other, false);
        assert_eq!(client.ask(b"hello").await, expected);
    });
}
