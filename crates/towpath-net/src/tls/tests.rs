//! Both sides of TLS over the in-memory network, driven by hand where the order of bytes matters.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair, PKCS_RSA_SHA256};

use super::stream::Tls;
use super::*;
use crate::memory::{self, End};
use crate::stream::{Other, Stream};

/// A certificate authority and what it has signed.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn authorities(&self) -> Authorities {
        Authorities::new(vec![self.0.der().to_vec()]).unwrap()
    }

    fn identity(&self, name: &str) -> NamedIdentity {
        self.identity_with(name, KeyPair::generate().unwrap())
    }

    fn identity_with(&self, name: &str, key: KeyPair) -> NamedIdentity {
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let chain = vec![certificate.der().to_vec()];
        let identity = Identity::new(chain, key.serialize_pem().as_bytes(), None).unwrap();
        NamedIdentity { identity, names: vec![name.to_owned()] }
    }
}

fn settings(identities: Vec<NamedIdentity>) -> ServerSettings {
    ServerSettings {
        identities,
        client_auth: ClientAuth::None,
        versions: Versions::default(),
        suites: Suites::default(),
        alpn: vec![ALPN_HTTP1.to_vec()],
        policy: [0; 32],
    }
}

/// A server that is `localhost`, and a client that believes it.
struct Pair {
    authority: Authority,
    keys: Arc<TicketKeys>,
    server: Server,
    client: Client,
}

impl Pair {
    fn new() -> Self {
        Self::with(|_, _| {})
    }

    fn with(change: impl FnOnce(&Authority, &mut ServerSettings)) -> Self {
        let authority = Authority::new();
        let mut settings = settings(vec![authority.identity("localhost")]);
        change(&authority, &mut settings);
        let keys = TicketKeys::new();
        let server = Server::new(settings, &keys).unwrap();
        let client = client(Some(&authority), None);
        Self { authority, keys, server, client }
    }

    /// What both sides make of a handshake.
    async fn meet(&self) -> (Result<Stream, Fault>, Result<Stream, Fault>) {
        let (ours, theirs) = memory::pipe();
        tokio::join!(
            accept(Stream::memory(ours), &self.server, Alpn::Agreed, &[], Signing::Here),
            connect(Stream::memory(theirs), &self.client, "localhost")
        )
    }

    async fn streams(&self) -> (Stream, Stream) {
        let (server, client) = self.meet().await;
        (server.unwrap(), client.unwrap())
    }
}

fn client(authority: Option<&Authority>, identity: Option<Identity>) -> Client {
    let authorities = authority.map(Authority::authorities);
    Client::new(ClientSettings { authorities, identity, alpn: vec![ALPN_HTTP1.to_vec()] }).unwrap()
}

fn tls(stream: &Stream) -> &Tls {
    match stream {
        Stream::Other(Other::Tls(tls)) => tls,
        _ => panic!("no TLS"),
    }
}

async fn send(stream: &mut Stream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let count = poll_fn(|cx| stream.split().1.poll_write(cx, bytes)).await.unwrap();
        bytes = &bytes[count..];
    }
}

async fn receive(stream: &mut Stream, count: usize) -> Vec<u8> {
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 3000]);
    while bytes.len() < count {
        let read = poll_fn(|cx| stream.split().0.poll_read(cx, &mut piece)).await.unwrap();
        assert!(read > 0, "ended after {} of {count}", bytes.len());
        bytes.extend_from_slice(&piece[..read]);
    }
    bytes
}

/// Waits for what follows, which is no bytes.
async fn end_of(stream: &mut Stream) -> io::Result<usize> {
    poll_fn(|cx| stream.split().0.poll_read(cx, &mut [0; 16])).await
}

fn is_ready<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> bool {
    poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

fn noise(count: usize) -> Vec<u8> {
    (0..count as u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

#[tokio::test]
async fn bytes_go_both_ways_and_both_sides_know_what_they_speak() {
    let (mut server, mut client) = Pair::new().streams().await;
    let up = noise(300_000);
    tokio::join!(send(&mut client, &up), async { assert!(receive(&mut server, 300_000).await == up) });
    send(&mut server, b"answer").await;
    assert_eq!(receive(&mut client, 6).await, b"answer");
    let agreed = server.agreed().unwrap();
    assert_eq!((agreed.version, agreed.cipher), ("TLSv1.3", "TLS13_AES_128_GCM_SHA256"));
    assert!(!agreed.is_resumed && agreed.peer_certificate.is_none());
}

#[tokio::test]
async fn tls_1_2_is_spoken_where_it_is_all_there_is() {
    let pair = Pair::with(|_, settings| settings.versions = Versions { tls12: true, tls13: false });
    let (mut server, mut client) = pair.streams().await;
    send(&mut client, b"hello").await;
    assert_eq!(receive(&mut server, 5).await, b"hello");
    assert_eq!(server.agreed().unwrap().version, "TLSv1.2");
}

#[tokio::test]
async fn an_idle_stream_holds_no_buffer() {
    let (mut server, mut client) = Pair::new().streams().await;
    let bytes = noise(200_000);
    tokio::join!(send(&mut client, &bytes), receive(&mut server, bytes.len()));
    tokio::join!(send(&mut server, &bytes), receive(&mut client, bytes.len()));
    for stream in [&server, &client] {
        assert!(!is_ready(|cx| stream.poll_readable(cx)));
        assert_eq!(tls(stream).held(), 0);
    }
    // What is ours beside the library's state; the target is 1.2 KB.
    let library = size_of::<engine::Side>();
    let ours = size_of::<Tls>() - library;
    assert!(ours <= 320, "{ours} beside {library}");
}

#[tokio::test]
async fn a_stream_without_tls_does_not_pay_for_it() {
    assert_eq!(size_of::<Stream>(), size_of::<tokio::net::TcpStream>());
}

#[tokio::test]
async fn what_is_decrypted_is_readable_without_the_wire() {
    let (mut server, mut client) = Pair::new().streams().await;
    send(&mut client, b"0123456789").await;
    assert_eq!(poll_fn(|cx| server.split().0.poll_read(cx, &mut [0; 4])).await.unwrap(), 4);
    assert!(is_ready(|cx| server.poll_readable(cx)), "six bytes are left");
    assert_eq!(server.peek().unwrap(), Some(1));
    assert_eq!(receive(&mut server, 6).await, b"456789");
    assert!(!is_ready(|cx| server.poll_readable(cx)));
    assert_eq!(server.peek().unwrap(), None);
}

#[tokio::test]
async fn tickets_disturb_no_idle_connection_and_bytes_do() {
    let (mut server, client) = Pair::new().streams().await;
    // The tickets of TLS 1.3 have come behind the handshake and were not looked at yet.
    assert_eq!(client.peek().unwrap(), None);
    assert!(!is_ready(|cx| client.poll_disturbed(cx)));
    send(&mut server, b"stray").await;
    assert_eq!(client.peek().unwrap(), Some(1));
    assert!(is_ready(|cx| client.poll_disturbed(cx)));
}

#[tokio::test]
async fn a_dropped_stream_has_said_that_this_is_all() {
    let (mut server, client) = Pair::new().streams().await;
    drop(client);
    assert_eq!(end_of(&mut server).await.unwrap(), 0);
}

#[tokio::test]
async fn a_cut_is_not_taken_for_an_end() {
    let pair = Pair::new();
    let (ours, theirs) = memory::pipe();
    let (wire, mut forwarded) = memory::pipe();
    let forward = async {
        let mut theirs = theirs;
        pump(&mut theirs, &mut forwarded).await;
    };
    let handshake = async {
        let (server, client) = tokio::join!(
            accept(Stream::memory(wire), &pair.server, Alpn::Agreed, &[], Signing::Here),
            connect(Stream::memory(ours), &pair.client, "localhost")
        );
        (server.unwrap(), client.unwrap())
    };
    let (mut server, _client) = tokio::select! {
        streams = handshake => streams,
        () = forward => panic!("the wire has no end"),
    };
    // The wire ends, as if somebody on the way had ended it.
    drop(forwarded);
    assert_eq!(end_of(&mut server).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

/// Moves bytes between two ends for ever.
async fn pump(left: &mut End, right: &mut End) {
    poll_fn(|cx| {
        let mut piece = [0; 4096];
        for (from, to) in [(&*left, &*right), (&*right, &*left)] {
            while let Poll::Ready(Ok(count)) = from.poll_read(cx, &mut piece) {
                if count == 0 {
                    break;
                }
                let written = to.poll_write(cx, &piece[..count]);
                assert!(matches!(written, Poll::Ready(Ok(written)) if written == count));
            }
        }
        Poll::<()>::Pending
    })
    .await
}

#[tokio::test]
async fn each_direction_ends_by_itself() {
    let (mut server, mut client) = Pair::new().streams().await;
    poll_fn(|cx| client.split().1.poll_shutdown(cx)).await.unwrap();
    assert_eq!(end_of(&mut server).await.unwrap(), 0);
    send(&mut server, b"still").await;
    assert_eq!(receive(&mut client, 5).await, b"still");
}

#[tokio::test]
async fn a_write_is_done_when_the_wire_has_it() {
    let (mut server, mut client) = Pair::new().streams().await;
    let bytes = noise(500_000);
    let mut written = 0;
    // The pipe holds 64 KiB, so that a write has to wait at some time.
    while let Poll::Ready(count) =
        poll_once(|cx| server.split().1.poll_write(cx, &bytes[written..])).map(Result::unwrap)
    {
        written += count;
    }
    assert!(written < bytes.len());
    assert_eq!(server.try_write(&bytes[written..]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    let (_, received) = tokio::join!(send(&mut server, &bytes[written..]), receive(&mut client, bytes.len()));
    assert!(received == bytes);
}

fn poll_once<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn a_head_and_a_small_body_are_one_record() {
    let (mut server, mut client) = Pair::new().streams().await;
    let slices = [io::IoSlice::new(b"head "), io::IoSlice::new(b""), io::IoSlice::new(b"body")];
    let count = poll_fn(|cx| server.split().1.poll_write_vectored(cx, &slices)).await.unwrap();
    assert_eq!(count, 9);
    // A read takes no more than a record.
    assert_eq!(poll_fn(|cx| client.split().0.poll_read(cx, &mut [0; 100])).await.unwrap(), 9);
}

#[tokio::test]
async fn who_comes_back_resumes_at_any_worker_and_under_its_own_policy_alone_t34() {
    let pair = Pair::new();
    let visit = async |server: &Server| {
        let (ours, theirs) = memory::pipe();
        let (server, client) = tokio::join!(
            accept(Stream::memory(ours), server, Alpn::Agreed, &[], Signing::Here),
            connect(Stream::memory(theirs), &pair.client, "localhost")
        );
        let (mut server, mut client) = (server.unwrap(), client.unwrap());
        // The tickets are read with the first bytes.
        send(&mut server, b"x").await;
        receive(&mut client, 1).await;
        server.agreed().unwrap().is_resumed
    };
    assert!(!visit(&pair.server).await);
    assert!(visit(&pair.server).await);
    // Another server object with the same keys, as after a change of certificate.
    let identity = pair.authority.identity("localhost");
    let same = Server::new(settings(vec![identity.clone()]), &pair.keys).unwrap();
    assert!(visit(&same).await);
    pair.keys.rotate();
    assert!(visit(&same).await, "a ticket outlives a rotation");
    let other = ServerSettings { policy: [1; 32], ..settings(vec![identity]) };
    assert!(!visit(&Server::new(other, &pair.keys).unwrap()).await, "another policy");
}

#[tokio::test]
async fn a_client_without_a_good_certificate_is_refused_t33() {
    let pair = Pair::with(|authority, settings| {
        settings.client_auth = ClientAuth::Required(authority.authorities());
    });
    let stranger = Authority::new().identity("client").identity;
    let known = pair.authority.identity("client").identity;
    let meet = async |identity| {
        let client = client(Some(&pair.authority), identity);
        let (ours, theirs) = memory::pipe();
        let met = tokio::join!(
            accept(Stream::memory(ours), &pair.server, Alpn::Agreed, &[], Signing::Here),
            connect(Stream::memory(theirs), &client, "localhost")
        );
        met.0.map(|stream| stream.agreed().unwrap().peer_certificate.is_some()).map_err(|fault| fault.kind)
    };
    assert_eq!(meet(None).await, Err(FaultKind::CertificateMissing));
    assert_eq!(meet(Some(stranger)).await, Err(FaultKind::Certificate));
    assert_eq!(meet(Some(known)).await, Ok(true));
}

#[tokio::test]
async fn a_server_that_is_not_who_it_should_be_is_refused_t33() {
    let pair = Pair::new();
    let meet = async |client: &Client, name: &str| {
        let (ours, theirs) = memory::pipe();
        let met = tokio::join!(
            accept(Stream::memory(ours), &pair.server, Alpn::Agreed, &[], Signing::Here),
            connect(Stream::memory(theirs), client, name)
        );
        (met.0.err().map(|fault| fault.kind), met.1.err().map(|fault| fault.kind))
    };
    assert_eq!(meet(&pair.client, "localhost").await, (None, None));
    assert_eq!(meet(&pair.client, "example.com").await, (Some(FaultKind::Alert), Some(FaultKind::Name)));
    let distrustful = client(Some(&Authority::new()), None);
    let expected = (Some(FaultKind::Alert), Some(FaultKind::Certificate));
    assert_eq!(meet(&distrustful, "localhost").await, expected);
    assert_eq!(meet(&client(None, None), "example.com").await, (None, None), "told not to look");
}

#[tokio::test]
async fn the_name_and_what_the_client_can_check_choose_the_certificate() {
    let authority = Authority::new();
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let identities = vec![
        authority.identity_with("localhost", rsa),
        authority.identity("localhost"),
        authority.identity("*.example.com"),
    ];
    let leaf_of = |at: usize| identities[at].identity.0.cert[0].to_vec();
    let keys = TicketKeys::new();
    let server = Server::new(settings(identities.clone()), &keys).unwrap();
    let shown = async |name: &str| {
        let client = client(None, None);
        let (ours, theirs) = memory::pipe();
        let met = tokio::join!(
            accept(Stream::memory(ours), &server, Alpn::Agreed, &[], Signing::Here),
            connect(Stream::memory(theirs), &client, name)
        );
        met.1.unwrap().agreed().unwrap().peer_certificate.unwrap()
    };
    assert_eq!(shown("localhost").await, leaf_of(1), "ECDSA before RSA");
    assert_eq!(shown("A.example.com").await, leaf_of(2));
    assert_eq!(shown("a.b.example.com").await, leaf_of(1), "a wildcard is one label");
    assert_eq!(shown("unknown.test").await, leaf_of(1), "the default");
}

#[tokio::test]
async fn a_handshake_with_an_rsa_key_is_computed_apart_t38() {
    let authority = Authority::new();
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let rsa = authority.identity_with("localhost", rsa);
    let keys = TicketKeys::new();
    let server = |identities, versions| {
        Server::new(ServerSettings { versions, ..settings(identities) }, &keys).unwrap()
    };
    for tls13 in [true, false] {
        let server = server(vec![rsa.clone()], Versions { tls12: true, tls13 });
        assert_eq!(server.signing_unread(), Signing::Apart);
        let client = client(Some(&authority), None);
        let (ours, theirs) = memory::pipe();
        let met = tokio::join!(
            accept(Stream::memory(ours), &server, Alpn::Agreed, &[], server.signing_unread()),
            connect(Stream::memory(theirs), &client, "localhost")
        );
        let (mut ours, mut theirs) = (met.0.unwrap(), met.1.unwrap());
        send(&mut theirs, b"ping").await;
        assert_eq!(receive(&mut ours, 4).await, b"ping");
        send(&mut ours, b"pong").await;
        assert_eq!(receive(&mut theirs, 4).await, b"pong");
    }

    // Which key it will be is known from the hello: numbers of RFC 8446 §4.2.3 and §B.4, RFC 5289.
    let (ecdsa, rsa_pss) = (0x0403, 0x0804);
    let (any, of_ecdsa, of_rsa) = (0x1301, 0xc02b, 0xc02f);
    let both = server(vec![rsa, authority.identity("localhost")], Versions::default());
    let signing = |suites: &[u16], schemes: &[u16]| {
        both.signing(Some("localhost"), suites.iter().copied(), schemes.iter().copied())
    };
    assert_eq!(signing(&[any], &[rsa_pss, ecdsa]), Signing::Here);
    assert_eq!(signing(&[any], &[rsa_pss]), Signing::Apart);
    assert_eq!(signing(&[of_rsa], &[rsa_pss, ecdsa]), Signing::Apart);
    assert_eq!(signing(&[of_ecdsa, of_rsa], &[rsa_pss, ecdsa]), Signing::Here);
}

#[tokio::test]
async fn what_is_no_handshake_is_answered_when_it_is_computed_apart() {
    let pair = Pair::new();
    let (ours, theirs) = memory::pipe();
    let garbage = b"GET / HTTP/1.1\r\n\r\n";
    let fault = accept(Stream::memory(ours), &pair.server, Alpn::Agreed, garbage, Signing::Apart);
    assert_eq!(fault.await.unwrap_err().kind, FaultKind::Protocol);
    let mut alert = [0; 3];
    assert!(is_ready(|cx| theirs.poll_read(cx, &mut alert)));
    assert_eq!(alert[0], 21, "an alert");

    let (ours, theirs) = memory::pipe();
    drop(theirs);
    let fault = accept(Stream::memory(ours), &pair.server, Alpn::Agreed, &[], Signing::Apart);
    assert_eq!(fault.await.unwrap_err().kind, FaultKind::Truncated);
}

#[tokio::test]
async fn a_hello_may_come_in_pieces_at_every_byte_t32() {
    let pair = Pair::new();
    let hello = hello_of(&pair);
    for split in 1..hello.len() {
        let (ours, theirs) = memory::pipe();
        let mut server = std::pin::pin!(accept(
            Stream::memory(ours),
            &pair.server,
            Alpn::Agreed,
            &hello[..split],
            Signing::Here
        ));
        assert!(!is_ready(|cx| server.as_mut().poll(cx)));
        assert!(!is_ready(|cx| theirs.poll_read(cx, &mut [0; 1])), "{split}");
        assert!(matches!(poll_once(|cx| theirs.poll_write(cx, &hello[split..])), Poll::Ready(Ok(_))));
        assert!(!is_ready(|cx| server.as_mut().poll(cx)));
        let mut answer = [0; 3];
        assert!(is_ready(|cx| theirs.poll_read(cx, &mut answer)), "{split}");
        assert_eq!(answer, [22, 3, 3], "{split}");
    }
}

/// The first flight of a client.
fn hello_of(pair: &Pair) -> Vec<u8> {
    let (ours, theirs) = memory::pipe();
    let mut connecting = std::pin::pin!(connect(Stream::memory(theirs), &pair.client, "localhost"));
    assert!(!is_ready(|cx| connecting.as_mut().poll(cx)));
    let mut hello = vec![0; 8192];
    let Poll::Ready(Ok(count)) = poll_once(|cx| ours.poll_read(cx, &mut hello)) else { panic!("no hello") };
    hello.truncate(count);
    hello
}

#[tokio::test]
async fn what_is_no_tls_is_answered_by_an_alert() {
    let pair = Pair::new();
    let (ours, theirs) = memory::pipe();
    let fault =
        accept(Stream::memory(ours), &pair.server, Alpn::Agreed, b"GET / HTTP/1.1\r\n\r\n", Signing::Here)
            .await
            .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Protocol);
    let mut answer = [0; 7];
    assert!(is_ready(|cx| theirs.poll_read(cx, &mut answer)));
    assert_eq!(answer[..1], [21], "an alert");
}

#[tokio::test]
async fn garbage_after_the_handshake_ends_in_an_alert_and_no_loop_t36() {
    for at in 0..64 {
        let pair = Pair::new();
        let (mut server, client) = pair.streams().await;
        let wire = tls(&client).wire();
        let mut record = vec![23, 3, 3, 0, 40];
        record.extend(noise(40).iter().map(|byte| byte ^ at));
        assert!(is_ready(|cx| wire.poll_send(cx, &record)));
        assert_eq!(end_of(&mut server).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(end_of(&mut server).await.unwrap_err().kind(), io::ErrorKind::InvalidData, "and stays");
        assert!(is_ready(|cx| server.poll_readable(cx)));
        assert!(is_ready(|cx| server.poll_disturbed(cx)));
    }
}

#[tokio::test]
async fn an_end_at_every_point_of_the_handshake_is_told_from_silence_t36() {
    let pair = Pair::new();
    let hello = hello_of(&pair);
    for end in 0..hello.len() {
        let (ours, theirs) = memory::pipe();
        theirs.shutdown();
        let fault = accept(Stream::memory(ours), &pair.server, Alpn::Agreed, &hello[..end], Signing::Here)
            .await
            .unwrap_err();
        assert_eq!(fault.kind, FaultKind::Truncated, "{end}");
    }
}

#[tokio::test]
async fn a_changed_certificate_is_for_those_who_come_and_cuts_nobody() {
    let pair = Pair::new();
    let (mut server, mut client) = pair.streams().await;
    let renewed = pair.authority.identity("localhost");
    let leaf = renewed.identity.0.cert[0].to_vec();
    pair.server.replace(&Server::new(settings(vec![renewed]), &pair.keys).unwrap());
    send(&mut client, b"still here").await;
    assert_eq!(receive(&mut server, 10).await, b"still here");
    let fresh = client_of(&pair);
    let (ours, theirs) = memory::pipe();
    let (_, met) = tokio::join!(
        accept(Stream::memory(ours), &pair.server, Alpn::Agreed, &[], Signing::Here),
        connect(Stream::memory(theirs), &fresh, "localhost")
    );
    assert_eq!(met.unwrap().agreed().unwrap().peer_certificate, Some(leaf));
}

fn client_of(pair: &Pair) -> Client {
    client(Some(&pair.authority), None)
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let (one, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let certificate = CertificateParams::new(vec!["a".to_owned()]).unwrap().self_signed(&one).unwrap();
    let chain = || vec![certificate.der().to_vec()];
    let fault = |key: &str| Identity::new(chain(), key.as_bytes(), None).unwrap_err();
    assert_eq!(fault(&other.serialize_pem()), MaterialFault::KeyMismatch);
    assert_eq!(fault("nothing"), MaterialFault::NoKey);
    assert_eq!(certificates(b"nothing").unwrap_err(), MaterialFault::NoCertificate);
    assert!(Authorities::new(vec![vec![1, 2, 3]]).is_err());
}

#[tokio::test]
async fn a_protocol_is_agreed_on_only_where_it_is_known_what_is_carried() {
    let pair = Pair::new();
    let settings = ClientSettings { authorities: None, identity: None, alpn: vec![b"postgresql".to_vec()] };
    let client = Client::new(settings).unwrap();
    let meet = async |alpn| {
        let (ours, theirs) = memory::pipe();
        let met = tokio::join!(
            accept(Stream::memory(ours), &pair.server, alpn, &[], Signing::Here),
            connect(Stream::memory(theirs), &client, "localhost")
        );
        met.0.err().map(|fault| fault.kind)
    };
    assert_eq!(meet(Alpn::Agreed).await, Some(FaultKind::Incompatible));
    assert_eq!(meet(Alpn::Ignored).await, None);
}
