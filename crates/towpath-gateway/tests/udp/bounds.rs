//! Caps, the reply ratio and the idle time.

use std::time::Duration;

use tokio::time::sleep;
use towpath_gateway::plan::UdpSettings;
use towpath_telemetry::metrics::{DatagramDrop, SessionEnd};

use crate::stage::{Gateway, Origin, run, run_paused, until};

#[test]
fn a_reflected_flood_is_no_larger_than_three_times_the_asked_t30() {
    const REQUESTS: u64 = 40;
    run(async {
        // 20 answers of 40 bytes for each question of 4.
        let origin = Origin::start().await;
        let gateway = Gateway::start(&[origin.address()], UdpSettings::default());
        let victim = gateway.client().await;
        for _ in 0..REQUESTS {
            victim.send(b"ANY?").await;
        }
        let mut session = None;
        for _ in 0..REQUESTS {
            session = Some(origin.receive().await.1);
        }
        for _ in 0..20 * REQUESTS {
            origin.send(&[0; 40], session.unwrap()).await;
            // The next turn of the event loop, so that no buffer of the system is what limits the flood.
            tokio::task::yield_now().await;
        }
        let passed = || gateway.count(|c| c.datagrams_down.value());
        let all = || passed() + gateway.dropped(DatagramDrop::ReplyRatio);
        until("every answer is dealt with", || all() == 20 * REQUESTS).await;
        let with_headers = |bytes: u64| bytes + 28;
        assert_eq!(passed(), 3 * REQUESTS * with_headers(4) / with_headers(40));
    });
}

#[test]
fn a_client_that_goes_on_after_an_answer_gets_all_it_is_sent() {
    run(async {
        let origin = Origin::start().await;
        let gateway = Gateway::start(&[origin.address()], UdpSettings::default());
        let client = gateway.client().await;
        client.send(b"hello").await;
        let (_, session) = origin.receive().await;
        origin.send(b"hello", session).await;
        client.receive().await;
        client.send(b"more").await;
        origin.receive().await;
        for _ in 0..20 {
            origin.send(&[7; 1400], session).await;
            assert_eq!(client.receive().await, [7; 1400]);
        }
        assert_eq!(gateway.dropped(DatagramDrop::ReplyRatio), 0);
    });
}

#[test]
fn a_source_has_no_more_sessions_than_it_may_have_t30() {
    run(async {
        let origin = Origin::answering(|datagram| datagram.to_vec()).await;
        let settings = UdpSettings { sessions_per_source_max: 2, ..UdpSettings::default() };
        let gateway = Gateway::start(&[origin], settings);
        let other = gateway.client_at("127.0.0.9:0", gateway.address()).await;
        other.ask(b"hello").await;
        let clients = [gateway.client().await, gateway.client().await, gateway.client().await];
        for client in &clients {
            client.ask(b"hello").await;
        }
        assert_eq!((gateway.open(), gateway.ended(SessionEnd::EvictedBySource)), (3, 1));
        // Whoever lost a session is served all the same, in a new one.
        assert_eq!(clients[0].ask(b"again").await, b"again");
        assert_eq!(gateway.ended(SessionEnd::EvictedBySource), 2);
    });
}

#[test]
fn a_flood_of_sources_ends_no_session_that_is_in_use_t30() {
    run(async {
        let origin = Origin::answering(|datagram| datagram.to_vec()).await;
        let settings = UdpSettings { sessions_max: 8, ..UdpSettings::default() };
        let gateway = Gateway::start(&[origin], settings);
        let client = gateway.client().await;
        client.ask(b"one").await;
        client.ask(b"two").await;
        for last in 2..50 {
            let local = format!("127.0.1.{last}:0");
            gateway.client_at(&local, gateway.address()).await.ask(b"flood").await;
        }
        assert_eq!((gateway.open(), gateway.ended(SessionEnd::EvictedByAll)), (8, 41));
        client.ask(b"three").await;
        assert_eq!(gateway.count(|c| c.sessions.value()), 49);
    });
}

#[test]
fn a_session_ends_when_its_client_was_silent_for_the_idle_time() {
    run_paused(async {
        let origin = Origin::start().await;
        let gateway = Gateway::start(&[origin.address()], UdpSettings::default());
        let client = gateway.client().await;
        client.send(b"hello").await;
        let (_, first) = origin.receive().await;
        sleep(Duration::from_secs(60)).await;
        assert_eq!((gateway.open(), gateway.ended(SessionEnd::Idle)), (0, 1));
        assert_eq!(gateway.log(), "dns udp origins 127.0.0.1 in=5 out=0 idle\n");
        client.send(b"hello").await;
        assert_ne!(origin.receive().await.1, first);
    });
}

#[test]
fn answers_alone_keep_no_session_alive_t30() {
    run_paused(async {
        let origin = Origin::start().await;
        let gateway = Gateway::start(&[origin.address()], UdpSettings::default());
        let client = gateway.client().await;
        client.send(&[0; 1000]).await;
        let (_, session) = origin.receive().await;
        for _ in 0..60 {
            sleep(Duration::from_secs(1)).await;
            let _ = origin.socket.send_to(b"still here", session).await;
        }
        assert_eq!((gateway.open(), gateway.ended(SessionEnd::Idle)), (0, 1));
        assert!(gateway.count(|c| c.datagrams_down.value()) < 60);
    });
}
