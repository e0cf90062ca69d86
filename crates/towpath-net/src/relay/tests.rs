use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream as Peer};
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::thread::{self, JoinHandle};

use socket2::SockRef;
use tokio::net::TcpStream;
use towpath_base::random::Random;

use super::*;
use crate::memory;
use crate::timer::Timers;

/// A relay that stands still fails its test by this.
const STUCK: Duration = Duration::from_secs(30);

fn limits(pipes_max: usize) -> Limits {
    Limits { pipes_max, ..Limits::default() }
}

/// A stream of this runtime and the peer at its other end.
fn tcp() -> (Stream, Peer) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = Peer::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    join(ours, peer)
}

/// The same over a Unix socket: `std`'s stream types differ in their addresses only.
fn unix() -> (Stream, Peer) {
    let (ours, peer) = std::os::unix::net::UnixStream::pair().unwrap();
    join(OwnedFd::from(ours).into(), OwnedFd::from(peer).into())
}

fn join(ours: Peer, peer: Peer) -> (Stream, Peer) {
    peer.set_read_timeout(Some(STUCK)).unwrap();
    peer.set_write_timeout(Some(STUCK)).unwrap();
    ours.set_nonblocking(true).unwrap();
    let _ = ours.set_nodelay(true);
    let _ = peer.set_nodelay(true);
    (Stream::Socket(TcpStream::from_std(ours).unwrap()), peer)
}

fn reset(peer: Peer) {
    SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
}

/// Runs the relay together with its timers, closes it at its end as its owners do, and polls `meanwhile` to its end.
async fn run(timers: &Timers, relay: Relay, meanwhile: impl Future<Output = ()>) -> Closed {
    let (mut drive, mut both) = (pin!(timers.drive()), pin!(async { tokio::join!(relay, meanwhile).0 }));
    poll_fn(|cx| {
        let _ = drive.as_mut().poll(cx);
        both.as_mut().poll(cx)
    })
    .await
}

async fn run_alone(relay: Relay) -> Closed {
    run(&Timers::default(), relay, async {}).await
}

/// The thread's result, without stopping the event loop.
async fn joined<T: Send + 'static>(thread: JoinHandle<T>) -> T {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    thread::spawn(move || sender.send(thread.join()));
    receiver.await.unwrap().unwrap()
}

/// Bytes whose place in the stream shows: a prime period, so that a loss of any usual size is seen.
fn pattern() -> Vec<u8> {
    let mut random = Random::new(7);
    (0..1_000_003).map(|_| random.next_u64() as u8).collect()
}

fn send_pattern(peer: &mut Peer, pattern: &[u8], len: usize, seed: u64, pauses: bool) {
    let (mut random, mut at) = (Random::new(seed), 0);
    while at < len {
        let offset = at % pattern.len();
        let most = [9, 700, 5_000, 70_000, 600_000][random.next_u64() as usize % 5];
        let piece = (1 + random.next_u64() as usize % most).min(len - at).min(pattern.len() - offset);
        peer.write_all(&pattern[offset..offset + piece]).unwrap();
        at += piece;
        if pauses && random.next_u64() % 64 == 0 {
            thread::sleep(Duration::from_micros(random.next_u64() % 2_000));
        }
    }
    peer.shutdown(Shutdown::Write).unwrap();
}

/// Reads to the end, and returns how many bytes were as they should be.
fn expect_pattern(peer: &mut Peer, pattern: &[u8], seed: u64, pauses: bool) -> usize {
    let (mut random, mut at, mut buffer) = (Random::new(seed), 0, vec![0; 300_000]);
    loop {
        let most = 1 + random.next_u64() as usize % buffer.len();
        let count = peer.read(&mut buffer[..most]).unwrap();
        if count == 0 {
            return at;
        }
        for piece in buffer[..count].iter() {
            assert_eq!(*piece, pattern[at % pattern.len()], "byte {at}");
            at += 1;
        }
        if pauses && random.next_u64() % 64 == 0 {
            thread::sleep(Duration::from_micros(random.next_u64() % 2_000));
        }
    }
}

/// Both directions at once, of different length, so that each end is passed on while the other direction goes on.
async fn check_bulk(
    pair: fn() -> (Stream, Peer),
    pipes_max: usize,
    lengths: [usize; 2],
    pauses: bool,
) -> Counts {
    let ((downstream, client), (upstream, server)) = (pair(), pair());
    let reserve = Reserve::new(limits(pipes_max));
    let timers = Timers::default();
    let relay = Relay::new(downstream, upstream, &reserve, timers.register()).idle_after(STUCK);
    let threads = [(client, lengths[0], 1), (server, lengths[1], 2)].map(|(mut peer, len, seed)| {
        let mut writer = peer.try_clone().unwrap();
        let sending = thread::spawn(move || send_pattern(&mut writer, &pattern(), len, seed, pauses));
        let reading = thread::spawn(move || expect_pattern(&mut peer, &pattern(), seed + 10, pauses));
        (sending, reading)
    });
    let received = RefCell::new(Vec::new());
    let closed = run(&timers, relay, async {
        for (sending, reading) in threads {
            joined(sending).await;
            let count = joined(reading).await;
            received.borrow_mut().push(count);
        }
    })
    .await;
    let bytes = Bytes { from_downstream: lengths[0] as u64, from_upstream: lengths[1] as u64 };
    assert_eq!(closed, Closed { reason: Reason::Finished, bytes });
    assert_eq!(received.into_inner(), [lengths[1], lengths[0]], "client, server");
    let counts = reserve.counts();
    assert_eq!((counts.pipes_lent, counts.buffer_bytes_lent), (0, 0), "all was given back");
    assert_eq!(counts.spliced_bytes + counts.copied_bytes, bytes.from_downstream + bytes.from_upstream);
    counts
}

const MIB: usize = 1 << 20;

#[tokio::test]
async fn sixty_four_mebibytes_arrive_spliced() {
    let counts = check_bulk(tcp, 8, [64 * MIB, 37 * MIB + 5], true).await;
    assert!(counts.spliced_bytes > counts.copied_bytes, "{counts:?}");
}

#[tokio::test]
async fn sixty_four_mebibytes_arrive_copied() {
    let counts = check_bulk(tcp, 0, [64 * MIB, 37 * MIB + 5], true).await;
    assert_eq!(counts.spliced_bytes, 0);
}

#[tokio::test]
async fn one_pipe_for_two_directions_serves_one_and_the_other_is_copied() {
    let counts = check_bulk(tcp, 1, [24 * MIB, 24 * MIB], false).await;
    assert!(counts.spliced_bytes > 0 && counts.copied_bytes > 0, "{counts:?}");
}

#[tokio::test]
async fn unix_sockets_are_spliced_too() {
    let counts = check_bulk(unix, 8, [16 * MIB, 9 * MIB], true).await;
    assert!(counts.spliced_bytes > 0, "{counts:?}");
}

/// Edge-triggered: an edge missed at any size is a message that is never answered.
#[tokio::test]
async fn messages_of_every_size_class_pass_in_lockstep() {
    for pipes_max in [0, 4] {
        let ((downstream, mut client), (upstream, mut server)) = (tcp(), tcp());
        let reserve = Reserve::new(limits(pipes_max));
        let relay = Relay::new(downstream, upstream, &reserve, Timers::default().register());
        let echo = thread::spawn(move || {
            let mut buffer = vec![0; 150_000];
            while let Ok(count @ 1..) = server.read(&mut buffer) {
                server.write_all(&buffer[..count]).unwrap();
            }
        });
        let asking = thread::spawn(move || {
            let mut random = Random::new(3);
            for round in 0..600 {
                let around = [1, 4096, 16384, 65536, 262_144, 1_048_576][random.next_u64() as usize % 6];
                let len = (around - 1 + random.next_u64() as usize % 3).max(1);
                let message = vec![round as u8; len];
                let mut writer = client.try_clone().unwrap();
                let sending = thread::spawn(move || writer.write_all(&message).unwrap());
                let mut answer = vec![0; len];
                client
                    .read_exact(&mut answer)
                    .unwrap_or_else(|error| panic!("{round}, {len} bytes: {error}"));
                assert!(answer.iter().all(|&byte| byte == round as u8), "{round}");
                sending.join().unwrap();
            }
        });
        assert_eq!(run_alone(relay).await.reason, Reason::Finished);
        asking.join().unwrap();
        echo.join().unwrap();
    }
}

/// A segment takes a slot of the pipe however small it is, so the pipe is full long before its capacity is reached;
/// splice(2) then answers EAGAIN although the socket holds more.
#[tokio::test]
async fn a_pipe_full_of_small_segments_loses_no_edge() {
    let ((downstream, mut client), (upstream, mut server)) = (tcp(), tcp());
    let reserve = Reserve::new(Limits { pipes_max: 2, pipe_bytes: 64 * 1024, ..Limits::default() });
    let relay = Relay::new(downstream, upstream, &reserve, Timers::default().register());
    let sending = thread::spawn(move || {
        client.write_all(&vec![1; 4 * MIB]).unwrap();
        (0..5_000).for_each(|_| client.write_all(&[2; 3]).unwrap());
        client.shutdown(Shutdown::Write).unwrap();
        client
    });
    let reading = thread::spawn(move || {
        // Long enough for the relay to be stopped by this reader while it splices.
        thread::sleep(Duration::from_millis(50));
        let mut all = Vec::new();
        server.read_to_end(&mut all).unwrap();
        all.len()
    });
    let closed = run_alone(relay).await;
    assert_eq!(closed.bytes.from_downstream as usize, 4 * MIB + 15_000);
    assert_eq!(reading.join().unwrap(), 4 * MIB + 15_000);
    drop(sending.join().unwrap());
    assert!(reserve.counts().spliced_bytes > 0);
}

/// splice(2) does not pass the mark of urgent data (RFC 9293 §3.8.5), and reports an empty socket, or its end.
#[tokio::test]
async fn urgent_data_does_not_stop_a_spliced_flow() {
    let ((downstream, mut client), (upstream, mut server)) = (tcp(), tcp());
    let reserve = Reserve::new(limits(2));
    let relay = Relay::new(downstream, upstream, &reserve, Timers::default().register());
    let sending = thread::spawn(move || {
        client.write_all(&vec![1; MIB]).unwrap();
        SockRef::from(&client).send_out_of_band(b"!").unwrap();
        client.write_all(&vec![1; MIB]).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        client
    });
    let reading = thread::spawn(move || {
        let mut all = Vec::new();
        server.read_to_end(&mut all).unwrap();
        all.len()
    });
    assert_eq!(run_alone(relay).await.reason, Reason::Finished);
    assert_eq!(reading.join().unwrap(), 2 * MIB, "the urgent byte is out of band");
    drop(sending.join().unwrap());
}

#[tokio::test]
async fn a_slow_reader_holds_a_bounded_number_of_bytes() {
    for pipes_max in [0, 1] {
        let ((downstream, mut client), (upstream, mut server)) = (tcp(), tcp());
        SockRef::from(&client).set_send_buffer_size(64 * 1024).unwrap();
        let reserve = Reserve::new(limits(pipes_max));
        let timers = Timers::default();
        let relay = Relay::new(downstream, upstream, &reserve, timers.register());
        client.set_nonblocking(true).unwrap();
        let sent = RefCell::new(0);
        let sending = async {
            // Until a whole turn of the event loop moves nothing any more.
            let mut still = 0;
            while still < 50 {
                match client.write(&[5; 50_000]) {
                    Ok(count) => (still, *sent.borrow_mut()) = (0, sent.take() + count),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => still += 1,
                    Err(error) => panic!("{error}"),
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let counts = reserve.counts();
            assert!(counts.buffer_bytes_lent <= 256 * 1024, "{counts:?}");
            assert!(counts.pipes_lent <= 1, "{counts:?}");
            client.shutdown(Shutdown::Write).unwrap();
            let reading = thread::spawn(move || {
                let mut all = Vec::new();
                server.read_to_end(&mut all).unwrap();
                all.len()
            });
            assert_eq!(joined(reading).await, *sent.borrow());
        };
        let closed = run(&timers, relay, sending).await;
        assert_eq!(closed.reason, Reason::Finished);
    }
}

#[tokio::test]
async fn an_idle_relay_holds_neither_buffer_nor_pipe() {
    let ((downstream, client), (upstream, mut server)) = (tcp(), tcp());
    let reserve = Reserve::new(limits(2));
    let timers = Timers::default();
    let relay = Relay::new(downstream, upstream, &reserve, timers.register());
    let closed = run(&timers, relay, async {
        let burst = thread::spawn(move || {
            let mut writer = client.try_clone().unwrap();
            let sending = thread::spawn(move || writer.write_all(&vec![1; 8 * MIB]).unwrap());
            server.read_exact(&mut vec![0; 8 * MIB]).unwrap();
            sending.join().unwrap();
            (client, server)
        });
        let peers = joined(burst).await;
        let counts = reserve.counts();
        assert_eq!((counts.pipes_lent, counts.buffer_bytes_lent), (0, 0), "{counts:?}");
        assert!(counts.spliced_bytes > 0);
        drop(peers);
    })
    .await;
    assert_eq!(closed.reason, Reason::Finished);
}

/// What each side does, in order; then why the relay was over, and what each side found when it read on.
#[derive(Clone, Copy, PartialEq)]
enum Act {
    Says(Side, &'static str),
    Hears(Side, &'static str),
    Ends(Side),
    Resets(Side),
}

use Act::{Ends as EndsItself, Hears, Resets, Says};
use Side::{Downstream, Upstream};

async fn check_reason(name: &str, acts: &'static [Act], expected: Reason, last_words: [&str; 2]) {
    let ((downstream, client), (upstream, server)) = (tcp(), tcp());
    let reserve = Reserve::new(limits(2));
    let relay = Relay::new(downstream, upstream, &reserve, Timers::default().register());
    let peers = thread::spawn(move || {
        let mut peers = [Some(client), Some(server)];
        for act in acts {
            let (Says(side, _) | Hears(side, _) | EndsItself(side) | Resets(side)) = *act;
            let slot = &mut peers[side as usize];
            match *act {
                Says(_, text) => slot.as_mut().unwrap().write_all(text.as_bytes()).unwrap(),
                Hears(_, text) => {
                    let mut heard = vec![0; text.len()];
                    slot.as_mut().unwrap().read_exact(&mut heard).unwrap();
                    assert_eq!(heard, text.as_bytes());
                }
                EndsItself(_) => slot.as_mut().unwrap().shutdown(Shutdown::Write).unwrap(),
                Resets(_) => reset(slot.take().unwrap()),
            }
        }
        peers.map(|peer| {
            let mut found = Vec::new();
            match peer.map(|mut peer| peer.read_to_end(&mut found)) {
                None => "gone".to_owned(),
                Some(Ok(_)) => format!("{}, end", String::from_utf8_lossy(&found)),
                Some(Err(error)) => format!("{}, {}", String::from_utf8_lossy(&found), error.kind()),
            }
        })
    });
    let closed = run_alone(relay).await;
    assert_eq!(closed.reason, expected, "{name}");
    assert_eq!(peers.join().unwrap(), last_words, "{name}");
}

#[tokio::test]
async fn a_reset_in_each_state_is_told_to_the_other_side() {
    const RESET: &str = ", connection reset";
    let client_resets = Reason::Reset(Downstream);
    let server_resets = Reason::Reset(Upstream);
    check_reason("before a byte", &[Resets(Downstream)], client_resets, ["gone", RESET]).await;
    check_reason("before a byte", &[Resets(Upstream)], server_resets, [RESET, "gone"]).await;
    check_reason(
        "in mid stream",
        &[Says(Downstream, "a"), Hears(Upstream, "a"), Resets(Downstream)],
        client_resets,
        ["gone", RESET],
    )
    .await;
    check_reason(
        "in mid stream",
        &[Says(Upstream, "a"), Hears(Downstream, "a"), Resets(Upstream)],
        server_resets,
        [RESET, "gone"],
    )
    .await;
    check_reason(
        "after its peer's end",
        &[
            EndsItself(Downstream),
            Hears(Upstream, ""),
            Says(Upstream, "b"),
            Hears(Downstream, "b"),
            Resets(Upstream),
        ],
        server_resets,
        [RESET, "gone"],
    )
    .await;
    check_reason(
        "after its own end",
        &[
            Says(Upstream, "c"),
            EndsItself(Upstream),
            Hears(Downstream, "c"),
            Resets(Upstream),
            Says(Downstream, "d"),
        ],
        server_resets,
        [", end", "gone"],
    )
    .await;
}

#[tokio::test]
async fn an_answer_sent_before_a_reset_is_delivered() {
    let ((downstream, mut client), (upstream, mut server)) = (tcp(), tcp());
    let reserve = Reserve::new(limits(2));
    let relay = Relay::new(downstream, upstream, &reserve, Timers::default().register());
    let serving = thread::spawn(move || {
        server.read_exact(&mut [0; 1000]).unwrap();
        server.write_all(b"too large").unwrap();
        // What it has not read makes the close a reset.
    });
    let asking = thread::spawn(move || {
        let mut writer = client.try_clone().unwrap();
        let sending = thread::spawn(move || while writer.write_all(&[1; 100_000]).is_ok() {});
        let mut answer = [0; 9];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"too large");
        sending.join().unwrap();
    });
    assert_eq!(run_alone(relay).await.reason, Reason::Reset(Upstream));
    asking.join().unwrap();
    serving.join().unwrap();
}

/// The endpoint answers and closes; what its client says then, the endpoint's system answers with a reset. Before the
/// proxy has it the answer may be lost, as without a proxy; afterwards not.
#[tokio::test]
async fn what_an_endpoint_sent_before_it_closed_arrives_although_the_client_talks_on() {
    let ((downstream, mut client), (upstream, mut server)) = (tcp(), tcp());
    let reserve = Reserve::new(limits(2));
    let relay = Relay::new(downstream, upstream, &reserve, Timers::default().register());
    let talking = thread::spawn(move || {
        server.write_all(&vec![1; MIB]).unwrap();
        // Waits until the relay's system has everything.
        SockRef::from(&server).set_linger(Some(STUCK)).unwrap();
        drop(server);
        client.write_all(b"more").unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        client.write_all(b"and more").unwrap();
        answer.len()
    });
    let closed = run_alone(relay).await;
    // The reason depends on which of the two ends before the other's answer to it.
    assert_eq!(closed.bytes.from_upstream as usize, MIB);
    assert_eq!(talking.join().unwrap(), MIB);
}

fn memory_relay(timers: &Timers, reserve: &Rc<Reserve>) -> (Relay, memory::End, memory::End) {
    let ((client, downstream), (server, upstream)) = (memory::pipe(), memory::pipe());
    let relay = Relay::new(Stream::memory(downstream), Stream::memory(upstream), reserve, timers.register());
    (relay, client, server)
}

async fn read(end: &memory::End, len: usize) -> io::Result<String> {
    let mut found = Vec::new();
    while found.len() < len {
        let mut buffer = vec![0; len - found.len()];
        match poll_fn(|cx| end.poll_read(cx, &mut buffer)).await? {
            0 => break,
            count => found.extend(&buffer[..count]),
        }
    }
    Ok(String::from_utf8(found).unwrap())
}

async fn write(end: &memory::End, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let count = poll_fn(|cx| end.poll_write(cx, bytes)).await.unwrap();
        bytes = &bytes[count..];
    }
}

#[tokio::test(start_paused = true)]
async fn a_memory_relay_sends_first_what_it_is_given_and_passes_ends_on() {
    let (timers, reserve) = (Timers::default(), Reserve::new(Limits::default()));
    let (relay, client, server) = memory_relay(&timers, &reserve);
    let relay = relay.send_first(Downstream, b"PROXY ".to_vec()).send_first(Upstream, b"hello ".to_vec());
    let large = "x".repeat(3 * memory::PIPE_BYTES);
    let closed = run(&timers, relay, async {
        write(&client, b"request").await;
        client.shutdown();
        assert_eq!(read(&server, 100).await.unwrap(), "PROXY request");
        let reader =
            async { assert_eq!(read(&client, usize::MAX >> 40).await.unwrap(), format!("hello {large}")) };
        let writer = async {
            write(&server, large.as_bytes()).await;
            server.shutdown();
        };
        tokio::join!(reader, writer);
    })
    .await;
    let bytes = Bytes { from_downstream: 13, from_upstream: 6 + large.len() as u64 };
    assert_eq!(closed, Closed { reason: Reason::Finished, bytes });
}

#[tokio::test(start_paused = true)]
async fn a_memory_reset_is_passed_on() {
    let (timers, reserve) = (Timers::default(), Reserve::new(Limits::default()));
    let (relay, client, server) = memory_relay(&timers, &reserve);
    let closed = run(&timers, relay, async { server.reset() }).await;
    assert_eq!(closed.reason, Reason::Reset(Upstream));
    assert_eq!(read(&client, 1).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_relay_and_bytes_put_it_off() {
    let (timers, reserve) = (Timers::default(), Reserve::new(Limits::default()));
    let (relay, client, server) = memory_relay(&timers, &reserve);
    let relay = relay.idle_after(Duration::from_secs(10));
    let started = Instant::now();
    let closed = run(&timers, relay, async {
        tokio::time::sleep(Duration::from_secs(8)).await;
        write(&client, b"x").await;
        assert_eq!(read(&server, 1).await.unwrap(), "x");
    })
    .await;
    assert_eq!((closed.reason, started.elapsed().as_secs()), (Reason::Idle, 18));
    assert_eq!(read(&server, 1).await.unwrap(), "", "nothing was in flight, so this is an end");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stops_for_too_long_is_reset() {
    let (timers, reserve) = (Timers::default(), Reserve::new(Limits::default()));
    let (relay, client, server) = memory_relay(&timers, &reserve);
    let relay = relay.idle_after(Duration::from_secs(10));
    let closed = run(&timers, relay, async {
        while poll_fn(|cx| Poll::Ready(client.poll_write(cx, &[0; 9000]).is_ready())).await {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(closed.reason, Reason::Idle);
    assert_eq!(read(&server, 1).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(reserve.counts().buffer_bytes_lent, 0);
}

/// Without a descriptor left for a pipe the flow is copied, and the connection does not notice.
#[test]
fn at_the_descriptor_limit_bytes_are_copied() {
    use std::process::Command;
    const CHILD: &str = "TOWPATH_TEST_DESCRIPTOR_LIMIT";
    const NAME: &str = "relay::tests::at_the_descriptor_limit_bytes_are_copied";
    if std::env::var_os(CHILD).is_some() {
        return at_the_limit();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("copied at the limit"));
}

fn at_the_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let ((downstream, mut client), (upstream, mut server)) = (tcp(), tcp());
        let reserve = Reserve::new(limits(8));
        let relay = Relay::new(downstream, upstream, &reserve, Timers::default().register());
        let old = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(3), maximum: old.maximum }).unwrap();
        let sending = thread::spawn(move || {
            client.write_all(&vec![1; 8 * MIB]).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            client
        });
        let reading = thread::spawn(move || {
            let mut all = Vec::new();
            server.read_to_end(&mut all).unwrap();
            all.len()
        });
        let closed = run_alone(relay).await;
        assert_eq!((reading.join().unwrap(), closed.reason), (8 * MIB, Reason::Finished));
        let counts = reserve.counts();
        assert_eq!((counts.spliced_bytes, counts.copied_bytes), (0, 8 * MIB as u64));
        println!("copied at the limit");
        drop(sending.join().unwrap());
    });
}

/// Paid by every idle relay, beside 256 bytes of tokio for each of its streams.
#[test]
fn an_idle_relay_is_small() {
    const RELAY_BYTES_MAX: usize = 224;
    assert!(size_of::<Relay>() <= RELAY_BYTES_MAX, "{}", size_of::<Relay>());
    // 32 where only the single-threaded runtime is built in, 40 with the other.
    assert!(size_of::<Stream>() <= 40, "{}", size_of::<Stream>());
}
