//! A handler has the connection, and the server has its end (S03, S05, S08).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;

use towpath::Ctx;
use towpath::net::{Conn, Error};
use towpath::tcp::{Limits, Server};

use crate::Running;

fn server<H: towpath::tcp::Handler>(handler: H, change: fn(Server<H>) -> Server<H>) -> Running {
    Running::new(move |ctx, told| async move {
        let server = Server::new(handler).listen("127.0.0.1:0").workers(2);
        change(server).on_listen(move |listening| told.send(listening.address()).unwrap()).serve(&ctx).await
    })
}

fn connect(server: &Running) -> TcpStream {
    let stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

fn all_of(server: &Running) -> String {
    let mut text = String::new();
    connect(server).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_client_gets_the_line_and_the_end_s03() {
    async fn hello(ctx: &Ctx, mut conn: Conn) -> Result<(), Error> {
        conn.write_all(ctx, b"Hello from server!\n").await?;
        conn.close(ctx).await
    }
    let server = server(hello, |server| server);
    for _ in 0..100 {
        assert_eq!(all_of(&server), "Hello from server!\n");
    }
    // Bytes that nobody reads do not turn the end into a reset.
    let mut client = connect(&server);
    client.write_all(&[0; 10_000]).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    assert_eq!(text, "Hello from server!\n");
    server.stop();
}

#[test]
fn a_handler_that_fails_or_panics_ends_its_connection_alone_s03() {
    let server = server(
        async |ctx: &Ctx, mut conn: Conn| match conn.lines(100).next(ctx).await?.as_deref() {
            Some(b"fail") => Err(towpath::Failure::msg("on purpose")),
            Some(b"panic") => panic!("on purpose"),
            _ => Ok(conn.write_all(ctx, b"fine").await?),
        },
        |server| server,
    );
    for (word, expected) in [("fail", ""), ("panic", ""), ("live", "fine")] {
        let mut client = connect(&server);
        writeln!(client, "{word}").unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, expected);
    }
    server.stop();
}

#[test]
fn a_drain_waits_for_handlers_and_takes_nobody_new_s03() {
    let server = server(
        async |ctx: &Ctx, mut conn: Conn| {
            conn.write_all(ctx, b"begun\n").await?;
            let mut word = [0; 4];
            conn.read_exact(ctx, &mut word).await?;
            conn.write_all(ctx, &word).await
        },
        |server| server,
    );
    let mut client = BufReader::new(connect(&server));
    client.read_line(&mut String::new()).unwrap();
    let address = server.address;
    server.stop.cancel("stop");
    // The listener is closed as soon as the drain has begun, which has to be waited for.
    while TcpStream::connect(address).is_ok() {
        std::thread::yield_now();
    }
    client.get_mut().write_all(b"word").unwrap();
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "word");
    server.thread.join().unwrap().unwrap();
}

#[test]
fn the_grace_ends_what_does_not_end_by_itself_s03() {
    let (ended, end) = mpsc::channel();
    let server = Running::new(move |ctx, told| async move {
        let handler = async move |ctx: &Ctx, mut conn: Conn| {
            conn.write_all(ctx, b"begun\n").await?;
            let outcome = conn.read_some(ctx, &mut [0]).await;
            ended.send(outcome.as_ref().is_err_and(Error::is_canceled)).unwrap();
            outcome.map(drop)
        };
        Server::new(handler)
            .listen("127.0.0.1:0")
            .grace(Duration::from_millis(50))
            .on_listen(move |listening| told.send(listening.address()).unwrap())
            .serve(&ctx)
            .await
    });
    let mut client = BufReader::new(connect(&server));
    client.read_line(&mut String::new()).unwrap();
    server.stop();
    assert!(end.recv().unwrap(), "the context said why");
}

#[test]
fn one_address_has_its_share_and_others_wait_for_a_place_s05() {
    let server = server(
        async |ctx: &Ctx, mut conn: Conn| {
            conn.write_all(ctx, b"in\n").await?;
            conn.read_some(ctx, &mut [0]).await.map(drop)
        },
        |server| server.limits(Limits { connections_per_address: 2, ..Limits::default() }),
    );
    let hears = |client: &mut BufReader<TcpStream>| {
        let mut line = String::new();
        client.read_line(&mut line).unwrap();
        line
    };
    let mut clients: Vec<_> = (0..2).map(|_| BufReader::new(connect(&server))).collect();
    assert!(clients.iter_mut().all(|client| hears(client) == "in\n"));
    assert_eq!(all_of(&server), "");
    clients.pop();
    // The place is free once the server has seen the end.
    while all_of_one_line(&server) != "in\n" {
        std::thread::yield_now();
    }
    clients.clear();
    server.stop();
}

fn all_of_one_line(server: &Running) -> String {
    let mut line = String::new();
    BufReader::new(connect(server)).read_line(&mut line).unwrap_or_default();
    line
}
