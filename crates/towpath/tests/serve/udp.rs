//! A server of datagrams is no weapon (S06, T30).

use std::net::UdpSocket;
use std::sync::mpsc;
use std::time::Duration;

use towpath::Ctx;
use towpath::udp::{DATAGRAM_BYTES_MAX, Datagram, Limits, Server};

use crate::Running;

fn server<H: towpath::udp::Handler>(handler: H, limits: Limits) -> Running {
    Running::new(move |ctx, told| async move {
        Server::new(handler)
            .listen("127.0.0.1:0")
            .workers(2)
            .limits(limits)
            .on_listen(move |listening| told.send(listening.address()).unwrap())
            .serve(&ctx)
            .await
    })
}

fn client(server: &Running) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server.address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

fn hear(client: &UdpSocket) -> Vec<u8> {
    let mut buf = vec![0; 70_000];
    let count = client.recv(&mut buf).unwrap();
    buf.truncate(count);
    buf
}

#[test]
fn datagrams_of_every_size_come_whole_s06() {
    let echo = async |_: &Ctx, mut datagram: Datagram| {
        let bytes = datagram.bytes().clone();
        datagram.reply(&bytes).unwrap();
    };
    let server = server(echo, Limits::default());
    let client = client(&server);
    for size in [0, 1, 1_472, 1_473, DATAGRAM_BYTES_MAX] {
        let bytes: Vec<u8> = (0..size).map(|at| at as u8).collect();
        client.send(&bytes).unwrap();
        assert!(hear(&client) == bytes, "{size}");
    }
    server.stop();
}

#[test]
fn an_answer_is_no_more_than_its_share_of_the_question_t30() {
    let (told, outcomes) = mpsc::channel();
    let answer = async move |_: &Ctx, mut datagram: Datagram| {
        // With 28 bytes of headers on each side, 100 bytes have 3 x 128 to spend.
        let too_much = datagram.reply(&[0; 357]).unwrap_err();
        assert!(too_much.is_over_ratio());
        let half = datagram.reply(&[1; 164]);
        let rest = datagram.reply(&[2; 164]);
        let nothing = datagram.reply(&[]).unwrap_err();
        told.send((half.is_ok(), rest.is_ok(), nothing.is_over_ratio())).unwrap();
    };
    let server = server(answer, Limits::default());
    let client = client(&server);
    client.send(&[0; 100]).unwrap();
    assert_eq!((hear(&client), hear(&client)), (vec![1; 164], vec![2; 164]));
    assert_eq!(outcomes.recv().unwrap(), (true, true, true));
    server.stop();
}

#[test]
fn a_trusted_network_may_lift_the_share_t30() {
    let answer = async |_: &Ctx, mut datagram: Datagram| datagram.reply(&[9; 5_000]).unwrap();
    let server = server(answer, Limits { reply_ratio: None, ..Limits::default() });
    let client = client(&server);
    client.send(b"?").unwrap();
    assert_eq!(hear(&client).len(), 5_000);
    server.stop();
}

#[test]
fn one_sender_has_so_many_under_way_and_the_rest_is_dropped_t30() {
    let (told, began) = mpsc::channel();
    let (release, released) = tokio::sync::watch::channel(false);
    let wait = async move |_: &Ctx, datagram: Datagram| {
        told.send(datagram.bytes()[0]).unwrap();
        drop(released.clone().wait_for(|released| *released).await);
    };
    let limits = Limits { datagrams_per_address: 2, ..Limits::default() };
    let server = server(wait, limits);
    let client = client(&server);
    for number in 0..5 {
        client.send(&[number]).unwrap();
    }
    assert_eq!((began.recv().unwrap(), began.recv().unwrap()), (0, 1));
    release.send(true).unwrap();
    // The places are free when both have ended; until then whatever comes is dropped.
    loop {
        client.send(&[9]).unwrap();
        match began.recv_timeout(Duration::from_millis(20)) {
            Ok(number) => break assert_eq!(number, 9, "2, 3 and 4 were dropped"),
            Err(_) => continue,
        }
    }
    server.stop();
}
