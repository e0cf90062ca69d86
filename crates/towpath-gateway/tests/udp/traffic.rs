//! What passes, and how.

use towpath_gateway::plan::UdpSettings;
use towpath_net::udp::{DATAGRAM_BYTES_MAX, Run};

use crate::stage::{Gateway, Origin, run};

fn echo(datagram: &[u8]) -> Vec<u8> {
    datagram.to_vec()
}

#[test]
fn each_of_32_clients_gets_its_own_answers() {
    run(async {
        let gateway = Gateway::start(&[Origin::answering(echo).await], UdpSettings::default());
        let mut clients = Vec::new();
        for _ in 0..32 {
            clients.push(gateway.client().await);
        }
        for round in 0..3 {
            for (number, client) in clients.iter().enumerate() {
                client.send(format!("{number} {round}").as_bytes()).await;
            }
            for (number, client) in clients.iter().enumerate() {
                assert_eq!(client.receive().await, format!("{number} {round}").as_bytes());
            }
        }
        assert_eq!((gateway.open(), gateway.count(|c| c.sessions.value())), (32, 32));
        assert_eq!(gateway.count(|c| c.datagrams_up.value()), 96);
        assert_eq!(gateway.count(|c| c.datagrams_down.value()), 96);
    });
}

#[test]
fn clients_are_spread_over_workers_and_stay_there() {
    run(async {
        let origin = Origin::answering(echo).await;
        let gateway = Gateway::start_threads(2, &[origin], UdpSettings::default());
        let mut clients = Vec::new();
        for _ in 0..32 {
            clients.push(gateway.client().await);
        }
        for round in 0..3 {
            for client in &clients {
                client.send(&[round]).await;
            }
            for client in &clients {
                assert_eq!(client.receive().await, [round]);
            }
        }
        // One session each: no worker saw a client of the other. Datagrams that came before the workers had their
        // plan wait in the sockets.
        assert_eq!((gateway.open(), gateway.count(|c| c.sessions.value())), (32, 32));
        gateway.engine.stop();
    });
}

#[test]
fn datagrams_of_every_size_pass_both_ways() {
    run(async {
        let gateway = Gateway::start(&[Origin::answering(echo).await], UdpSettings::default());
        let client = gateway.client().await;
        for size in [0, 1, 1472, 1473, 9000, DATAGRAM_BYTES_MAX, 0] {
            let datagram: Vec<u8> = (0..size).map(|position| position as u8).collect();
            assert!(client.ask(&datagram).await == datagram, "{size} bytes");
        }
    });
}

#[test]
fn a_run_arrives_as_the_datagrams_it_consists_of() {
    run(async {
        let origin = Origin::start().await;
        let gateway = Gateway::start(&[origin.address()], UdpSettings::default());
        let client = towpath_net::UdpSocket::connect(gateway.address()).unwrap();
        let bytes: Vec<u8> = (0..10_000u32).map(|position| position as u8).collect();
        let sent = client.try_send(Run::new(&bytes, 1200));
        assert_eq!((sent.datagrams, sent.fault), (9, None));
        for expected in bytes.chunks(1200) {
            assert_eq!(origin.receive().await.0, expected);
        }
        assert_eq!(gateway.count(|c| c.bytes_up.value()), 10_000);
    });
}

#[test]
fn answers_leave_from_the_address_that_was_asked() {
    run(async {
        let origin = Origin::answering(echo).await;
        let gateway = Gateway::start_at("0.0.0.0:0", &[origin], UdpSettings::default());
        let port = gateway.address().port();
        // A connected client hears nobody else.
        for ip in ["127.0.0.1", "127.0.0.2", "127.0.0.3"] {
            let client = gateway.client_at("127.0.0.1:0", format!("{ip}:{port}").parse().unwrap()).await;
            assert_eq!(client.ask(ip.as_bytes()).await, ip.as_bytes());
        }
    });
}

#[test]
fn a_client_has_a_session_for_each_address_it_asks() {
    run(async {
        let origin = Origin::start().await;
        let gateway = Gateway::start_at("0.0.0.0:0", &[origin.address()], UdpSettings::default());
        let client = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let ask = async |ip: &str| {
            client.send_to(b"hello", (ip, gateway.address().port())).await.unwrap();
            origin.receive().await.1
        };
        let first = ask("127.0.0.2").await;
        assert_ne!(ask("127.0.0.3").await, first);
        assert_eq!(ask("127.0.0.2").await, first);
    });
}

#[test]
fn clients_of_both_families_are_served_on_one_socket() {
    run(async {
        let origin = Origin::answering(echo).await;
        let gateway = Gateway::start_at("[::]:0", &[origin], UdpSettings::default());
        let port = gateway.address().port();
        for (local, ip) in [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "[::1]")] {
            let client = gateway.client_at(local, format!("{ip}:{port}").parse().unwrap()).await;
            assert_eq!(client.ask(b"hello").await, b"hello");
        }
    });
}

#[test]
fn a_client_comes_to_the_same_endpoint_after_its_session_has_ended() {
    run(async {
        let origins = [
            Origin::answering(|_| b"a".to_vec()).await,
            Origin::answering(|_| b"b".to_vec()).await,
            Origin::answering(|_| b"c".to_vec()).await,
        ];
        let settings = UdpSettings { sessions_max: 1, ..UdpSettings::default() };
        let gateway = Gateway::start(&origins, settings);
        let clients = [gateway.client().await, gateway.client().await, gateway.client().await];
        let mut first = Vec::new();
        for client in &clients {
            first.push(client.ask(b"hello").await);
        }
        for (client, first) in clients.iter().zip(first) {
            assert_eq!(client.ask(b"hello").await, first);
        }
        assert_eq!(gateway.count(|c| c.sessions.value()), 6);
    });
}

#[test]
fn a_stranger_cannot_answer_in_the_endpoints_place() {
    run(async {
        let (origin, stranger) = (Origin::start().await, Origin::start().await);
        let gateway = Gateway::start(&[origin.address()], UdpSettings::default());
        let client = gateway.client().await;
        client.send(b"question").await;
        let (_, session) = origin.receive().await;
        stranger.send(b"forged", session).await;
        origin.send(b"true", session).await;
        assert_eq!(client.receive().await, b"true");
    });
}
