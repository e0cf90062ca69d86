use std::future::poll_fn;
use std::net::UdpSocket as Peer;
use std::time::Duration;

use tokio::time::timeout;

use super::*;

/// What does not arrive within this is lost.
const LOST: Duration = Duration::from_secs(20);

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn peer(at: &str) -> Peer {
    let peer = Peer::bind(at).unwrap();
    peer.set_read_timeout(Some(LOST)).unwrap();
    peer
}

fn worker(at: &str) -> UdpSocket {
    UdpBinding::bind(address(at), 1).unwrap().take(0).unwrap().unwrap()
}

async fn receive(socket: &UdpSocket, batch: &mut Batch) -> Result<(), Fault> {
    timeout(LOST, poll_fn(|cx| socket.poll_receive(cx, batch))).await.expect("nothing came")
}

/// Receives until `count` datagrams came, and returns their lengths.
async fn lengths(socket: &UdpSocket, count: usize) -> Vec<usize> {
    let (mut batch, mut found) = (Batch::default(), Vec::new());
    while found.len() < count {
        receive(socket, &mut batch).await.unwrap();
        found.extend(batch.received().flat_map(|received| received.run.datagrams()).map(<[u8]>::len));
    }
    found
}

fn all(datagrams: usize) -> Sent {
    Sent { datagrams, fault: None }
}

#[tokio::test]
async fn datagrams_of_every_size_pass_both_ways() {
    let server = worker("127.0.0.1:0");
    let client = UdpSocket::connect(server.local_addr()).unwrap();
    let content = vec![7; DATAGRAM_BYTES_MAX];
    let mut batch = Batch::default();
    for len in [0, 1, 64, 1472, 1473, 9000, DATAGRAM_BYTES_MAX] {
        assert_eq!(client.try_send(Run::one(&content[..len])), all(1), "{len}");
        receive(&server, &mut batch).await.unwrap();
        let received = batch.received().next().unwrap();
        assert_eq!((received.from, received.run.bytes()), (client.local_addr(), &content[..len]));
        assert_eq!(server.try_send_to(received.run, received.from, received.to), all(1));
        assert_eq!(lengths(&client, 1).await, [len]);
    }
}

#[tokio::test]
async fn what_no_datagram_holds_is_too_large() {
    let server = worker("127.0.0.1:0");
    let client = UdpSocket::connect(server.local_addr()).unwrap();
    let sent = client.try_send(Run::one(&[0; DATAGRAM_BYTES_MAX + 1]));
    assert_eq!(sent, Sent { datagrams: 0, fault: Some(Fault::TooLarge) });
}

#[tokio::test]
async fn a_batch_of_small_datagrams_comes_in_one_call() {
    let server = worker("127.0.0.1:0");
    let clients: Vec<_> = (0..BATCH).map(|_| peer("127.0.0.1:0")).collect();
    for (at, client) in clients.iter().enumerate() {
        client.send_to(&[at as u8], server.local_addr()).unwrap();
    }
    let mut batch = Batch::default();
    receive(&server, &mut batch).await.unwrap();
    let found: Vec<_> = batch.received().map(|received| (received.from, received.run.bytes()[0])).collect();
    let expected: Vec<_> =
        clients.iter().enumerate().map(|(at, client)| (client.local_addr().unwrap(), at as u8)).collect();
    assert_eq!(found, expected);
}

/// Exactly a full batch may leave more behind, of which no new edge tells.
#[tokio::test]
async fn more_than_a_batch_is_received_in_full() {
    let server = worker("127.0.0.1:0");
    let client = peer("127.0.0.1:0");
    for count in [BATCH - 1, BATCH, BATCH + 1, 3 * BATCH] {
        for at in 0..count {
            client.send_to(&[0; 100][..at % 100], server.local_addr()).unwrap();
        }
        let expected: Vec<_> = (0..count).map(|at| at % 100).collect();
        assert_eq!(lengths(&server, count).await, expected);
    }
}

#[tokio::test]
async fn a_run_goes_out_by_segmentation_and_comes_in_as_one() {
    let server = worker("127.0.0.1:0");
    let client = UdpSocket::connect(server.local_addr()).unwrap();
    let content: Vec<_> = (0..100 * 1200 + 5).map(|at| (at / 1200) as u8).collect();
    assert_eq!(client.try_send(Run::new(&content, 1200)), all(101));
    let (mut batch, mut found, mut runs) = (Batch::default(), Vec::new(), 0);
    while found.len() < content.len() {
        receive(&server, &mut batch).await.unwrap();
        for received in batch.received() {
            runs += 1;
            received.run.datagrams().for_each(|datagram| found.extend_from_slice(datagram));
        }
    }
    assert_eq!(found, content);
    if client.segments_max() > 1 {
        assert!(runs < 101, "{runs} runs for 101 datagrams");
    }
    // One that does no such thing gets them one by one.
    let plain = peer("127.0.0.1:0");
    let run = Run::new(&content[..10 * 1200], 1200);
    assert_eq!(server.try_send_to(run, plain.local_addr().unwrap(), None), all(10));
    for _ in 0..10 {
        assert_eq!(plain.recv(&mut [0; 2000]).unwrap(), 1200);
    }
}

#[tokio::test]
async fn an_endpoint_where_nobody_is_is_unreachable() {
    let gone = peer("127.0.0.1:0").local_addr().unwrap();
    let session = UdpSocket::connect(gone).unwrap();
    assert_eq!(session.try_send(Run::one(b"?")), all(1));
    let mut batch = Batch::default();
    assert_eq!(receive(&session, &mut batch).await, Err(Fault::Unreachable));
    assert_eq!(session.try_send(Run::one(b"?")), all(1));
    assert_eq!(session.try_send(Run::one(b"?")), Sent { datagrams: 0, fault: Some(Fault::Unreachable) });
}

/// Also while the task waits: an ICMP message makes no socket readable.
#[tokio::test]
async fn who_waits_hears_of_an_unreachable_endpoint() {
    let gone = peer("127.0.0.1:0").local_addr().unwrap();
    let session = UdpSocket::connect(gone).unwrap();
    let mut batch = Batch::default();
    let waiting = async { receive(&session, &mut batch).await };
    let sending = async {
        tokio::task::yield_now().await;
        assert_eq!(session.try_send(Run::one(b"?")), all(1));
    };
    assert_eq!(tokio::join!(waiting, sending).0, Err(Fault::Unreachable));
}

#[tokio::test]
async fn a_session_keeps_strangers_out() {
    let server = peer("127.0.0.1:0");
    let session = UdpSocket::connect(server.local_addr().unwrap()).unwrap();
    peer("127.0.0.1:0").send_to(b"stranger", session.local_addr()).unwrap();
    server.send_to(b"server", session.local_addr()).unwrap();
    let mut batch = Batch::default();
    receive(&session, &mut batch).await.unwrap();
    let found: Vec<_> = batch.received().map(|received| received.run.bytes()).collect();
    assert_eq!(found, [b"server"]);
}

/// A host of several addresses; every address of 127/8 is one of this host's.
#[tokio::test]
async fn an_answer_leaves_from_the_address_that_was_asked() {
    for (wildcard, asked) in [("0.0.0.0:0", "127.0.0.2"), ("[::]:0", "127.0.0.3"), ("[::]:0", "::1")] {
        let server = worker(wildcard);
        let asked: IpAddr = asked.parse().unwrap();
        let client = peer(if asked.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" });
        let target = SocketAddr::new(asked, server.local_addr().port());
        client.send_to(b"who are you", target).unwrap();
        let mut batch = Batch::default();
        receive(&server, &mut batch).await.unwrap();
        let received = batch.received().next().unwrap();
        assert_eq!((received.to, received.from), (Some(asked), client.local_addr().unwrap()));
        assert_eq!(server.try_send_to(received.run, received.from, received.to), all(1));
        assert_eq!(client.recv_from(&mut [0; 32]).unwrap().1, target);
    }
}

#[tokio::test]
async fn port_0_is_refused_and_costs_no_segmentation() {
    let server = worker("127.0.0.1:0");
    let segments = server.segments_max();
    let sent = server.try_send_to(Run::one(b"?"), address("127.0.0.1:0"), None);
    assert_eq!(sent.fault, Some(Fault::Other(io::ErrorKind::InvalidInput)));
    assert_eq!(server.segments_max(), segments);
}

#[tokio::test]
async fn workers_share_a_port_and_strangers_do_not() {
    let binding = UdpBinding::bind(address("127.0.0.1:0"), 2).unwrap();
    let error = UdpBinding::bind(binding.address(), 1).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(binding.take(0).unwrap().is_some());
    assert!(binding.take(0).unwrap().is_none());
    assert!(binding.take(1).unwrap().is_some());
}

/// Paid by every session, beside 256 bytes of tokio.
#[test]
fn a_session_socket_is_small() {
    assert!(size_of::<UdpSocket>() <= 168, "{}", size_of::<UdpSocket>());
}
