//! Making connections.

use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;
use towpath_net::address::DialOptions;
use towpath_net::time::{Sleep, sleep_until, timeout};
use towpath_net::{Address, Stream, memory, tls, unix};
use towpath_proto::authority::Authority;

use super::conn::Conn;
use super::error::{Error, Kind};
use super::resolver::Resolver;
use crate::Ctx;

/// How long one attempt is alone before the next address is tried too: the recommended value of RFC 8305 §5.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Addresses of one name that are tried. More would be attempts of a minute at peers that are all dead.
const ADDRESSES_MAX: usize = 16;

/// How connections are made.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use towpath::Ctx;
/// use towpath::net::{Dialer, Listener};
///
/// let ctx = &Ctx::background();
/// let mut listener = Listener::bind("127.0.0.1:0")?;
/// let dialer = Dialer { timeout: Duration::from_secs(1), ..Dialer::default() };
/// let mut client = dialer.dial(ctx, &listener.address().to_string()).await?;
/// let mut server = listener.accept(ctx).await?;
/// client.write_all(ctx, b"hello").await?;
/// let mut buf = [0; 5];
/// server.read_exact(ctx, &mut buf).await?;
/// assert_eq!(&buf, b"hello");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Dialer {
    /// The longest a dial may take, the name, every attempt and TLS included. Default 10 s; the context's deadline counts if it
    /// is earlier.
    pub timeout: Duration,
    /// How long a connection is silent before the kernel asks whether its peer is still there, and how often it asks then; nine
    /// questions without an answer end it. `None` for never. Default 15 s.
    pub keepalive: Option<Duration>,
    /// The local address that connections come from. Default: the system chooses.
    pub local_addr: Option<IpAddr>,
    /// Where names are looked up. Default [`Resolver::system`].
    pub resolver: Resolver,
}

impl Default for Dialer {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            keepalive: Some(Duration::from_secs(15)),
            local_addr: None,
            resolver: Resolver::default(),
        }
    }
}

impl Dialer {
    /// Connects to `host:port`, `[::1]:port` or `unix:/path`.
    ///
    /// A name with several addresses is tried at all of them, IPv6 and IPv4 in turn, each 250 ms after the last one or when that
    /// has failed; the first that answers wins (RFC 8305). `TCP_NODELAY` is set. *Cancel-safe*: nothing stays open.
    ///
    /// # Errors
    /// The last failure when no address answers; the name has none; it took too long; or `ctx` was done first.
    pub async fn dial(&self, ctx: &Ctx, address: &str) -> Result<Conn, Error> {
        self.within(ctx, self.connect(address)).await
    }

    /// [`dial`](Self::dial), then TLS with the server of that name. *Cancel-safe*: nothing stays open.
    ///
    /// # Errors
    /// Those of [`dial`](Self::dial), or why there is no TLS.
    pub async fn dial_tls(&self, ctx: &Ctx, address: &str, client: &tls::Client) -> Result<Conn, Error> {
        let dial = async {
            let conn = self.connect(address).await?;
            let (host, _) = split(address)?;
            let peer = conn.peer();
            Ok(Conn::new(tls::connect(conn.into_stream(), client, host).await?, peer))
        };
        self.within(ctx, dial).await
    }

    async fn within<T>(&self, ctx: &Ctx, dial: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        match ctx.run(timeout(self.timeout, dial)).await? {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(Error::new(Kind::TimedOut)),
        }
    }

    /// Connects, without a limit of time.
    pub(crate) async fn connect(&self, address: &str) -> Result<Conn, Error> {
        if let Some(path) = address.strip_prefix("unix:") {
            let path = std::path::Path::new(path);
            return Ok(Conn::new(unix::connect(path).await?, unix::ADDRESS));
        }
        if let Some(name) = address.strip_prefix("memory:") {
            return Ok(Conn::new(Stream::memory(memory::connect(name).await?), memory::ADDRESS));
        }
        let (host, port) = split(address)?;
        let addresses = self.resolver.look_up(host).await?;
        let addresses = in_turn(addresses).into_iter().map(|ip| SocketAddr::new(ip, port));
        let options = DialOptions { local: self.local_addr, keepalive: self.keepalive };
        let attempts = addresses.take(ADDRESSES_MAX).map(|address| -> Attempt {
            Box::pin(async move {
                let stream = Address::Tcp(address).connect_with(&options).await?;
                Ok(Conn::new(stream, address))
            })
        });
        first(attempts.collect()).await
    }
}

/// Host and port of an address that is no path.
fn split(address: &str) -> Result<(&str, u16), Error> {
    let wrong = || Error::new(Kind::Address(address.to_owned()));
    let parsed = Authority::parse(address.as_bytes()).ok_or_else(wrong)?;
    let host = std::str::from_utf8(parsed.host).map_err(|_| wrong())?;
    Ok((host, parsed.port.ok_or_else(wrong)?))
}

/// The families in turn, beginning with that of the first address, each in its order (RFC 8305 §4).
fn in_turn(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let first_is_v6 = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut all = Vec::new();
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            return all;
        }
        all.extend(pair.into_iter().flatten());
    }
}

type Attempt = Pin<Box<dyn Future<Output = Result<Conn, Error>> + Send>>;

/// The first connection that is made. Attempts begin one after the other (RFC 8305 §5).
async fn first(attempts: Vec<Attempt>) -> Result<Conn, Error> {
    let mut waiting = attempts.into_iter();
    let mut running: Vec<Attempt> = waiting.next().into_iter().collect();
    let mut pause = pin!(next_attempt());
    poll_fn(|cx| {
        loop {
            let mut failure = None;
            let mut index = 0;
            while let Some(attempt) = running.get_mut(index) {
                match attempt.as_mut().poll(cx) {
                    Poll::Ready(Ok(conn)) => return Poll::Ready(Ok(conn)),
                    Poll::Ready(Err(error)) => {
                        drop(running.swap_remove(index));
                        failure = Some(error);
                    }
                    Poll::Pending => index += 1,
                }
            }
            // The next one begins when one has failed, or was alone for long enough.
            let is_due = failure.is_some() || (waiting.len() > 0 && pause.as_mut().poll(cx).is_ready());
            if !is_due {
                return Poll::Pending;
            }
            match (waiting.next(), failure) {
                (Some(next), _) => {
                    running.push(next);
                    pause.set(next_attempt());
                }
                (None, Some(error)) if running.is_empty() => return Poll::Ready(Err(error)),
                (None, _) => return Poll::Pending,
            }
        }
    })
    .await
}

fn next_attempt() -> Sleep {
    sleep_until(Instant::now() + ATTEMPT_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(after_ms: u64, error: Option<&'static str>) -> Attempt {
        Box::pin(async move {
            towpath_net::time::sleep(Duration::from_millis(after_ms)).await;
            match error {
                None => Ok(Conn::pipe().0),
                Some(text) => Err(std::io::Error::other(text).into()),
            }
        })
    }

    /// Milliseconds until the outcome, and the outcome.
    async fn check(attempts: Vec<Attempt>, expected: &str) {
        let start = Instant::now();
        let outcome = first(attempts).await.map_or_else(|error| error.to_string(), |_| "made".to_owned());
        assert_eq!(format!("{} {outcome}", start.elapsed().as_millis()), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_address_costs_a_quarter_second_rfc8305_5() {
        let never = 1_000_000;
        check(vec![attempt(10, None)], "10 made").await;
        check(vec![attempt(never, None), attempt(10, None)], "260 made").await;
        check(vec![attempt(never, None), attempt(never, None), attempt(10, None)], "510 made").await;
        check(vec![attempt(300, None), attempt(100, None)], "300 made").await;
        // One that fails makes room at once.
        check(vec![attempt(5, Some("one")), attempt(10, None)], "15 made").await;
        check(vec![attempt(5, Some("one")), attempt(10, Some("two"))], "15 two").await;
        check(vec![attempt(400, Some("one")), attempt(10, Some("two"))], "400 one").await;
    }

    #[test]
    fn families_take_turns_rfc8305_4() {
        #[track_caller]
        fn check(addresses: &str, expected: &str) {
            let parsed = addresses.split(' ').map(|address| address.parse().unwrap()).collect();
            let turns: Vec<String> = in_turn(parsed).iter().map(ToString::to_string).collect();
            assert_eq!(turns.join(" "), expected);
        }
        check("::1 ::2 1.1.1.1 2.2.2.2", "::1 1.1.1.1 ::2 2.2.2.2");
        check("1.1.1.1 ::1 ::2 ::3", "1.1.1.1 ::1 ::2 ::3");
        check("1.1.1.1", "1.1.1.1");
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_dial_ends_with_its_limit_or_its_context_s11() {
        let _hole = memory::black_hole("hole").unwrap();
        let dialer = Dialer { timeout: Duration::from_secs(3), ..Dialer::default() };
        let start = Instant::now();
        let error = dialer.dial(&Ctx::background(), "memory:hole").await.unwrap_err();
        assert!(error.is_timeout() && !error.is_canceled() && start.elapsed() == dialer.timeout);
        let ctx = Ctx::background().with_timeout(Duration::from_secs(1));
        assert!(dialer.dial(&ctx, "memory:hole").await.unwrap_err().is_canceled());
        assert!(dialer.dial(&Ctx::background(), "memory:none").await.unwrap_err().is_refused());
    }

    #[tokio::test]
    async fn what_is_no_address_is_said_s11() {
        for text in ["", "host", "host:", "host:0", "ho st:1", "user@host:1", ":80"] {
            let error = Dialer::default().dial(&Ctx::background(), text).await.unwrap_err();
            assert!(error.to_string().starts_with(&format!("{text:?} is no address")), "{error}");
        }
        let resolver = Resolver::fixed([("empty", Vec::new())]);
        let dialer = Dialer { resolver, ..Dialer::default() };
        for name in ["empty:1", "unknown:1"] {
            assert!(dialer.dial(&Ctx::background(), name).await.unwrap_err().is_not_found(), "{name}");
        }
    }
}
