//! Asks endpoints whether they are well, and remembers why not.
//!
//! One task per endpoint with a `health` setting. What an answer means is decided by [`towpath_traffic::health`]; this
//! file carries the question. Workers see the outcome as one bit of the endpoint.

mod http2;

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use towpath_gateway::plan::{Endpoint, Health as Settings, Plan, Probe as What, ProxyOut, ProxyVersion};
use towpath_net::{Address, Stream, unix};
use towpath_proto::proxy_protocol::{self, Checksum, Peer};
use towpath_traffic::health::{Health, Rules, State};

use crate::console::Console;

/// Probes under way at once: enough for thousands of endpoints at the usual interval, and few files.
const PROBES_MAX: usize = 64;

/// Bytes read for a status line. Only the first line matters.
const STATUS_LINE_MAX: usize = 512;

/// What is known about an endpoint's health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// The last answer, for people: `status 200`, `connect: Connection refused`.
    pub(crate) last: String,
    /// Why the last failed probe failed, if any did.
    pub(crate) last_failure: Option<String>,
    /// For how long the endpoint has been in its state.
    pub(crate) since: Duration,
    /// Results in a row that speak against the state.
    pub(crate) against: u32,
}

/// The tasks that probe, one per endpoint.
#[derive(Debug)]
pub(crate) struct Prober {
    console: Console,
    runtime: Handle,
    slots: Arc<Semaphore>,
    started: Instant,
    probes: Mutex<HashMap<usize, Probe>>,
}

/// One endpoint's task. The key of the map is the endpoint's address in memory: an endpoint whose definition did not
/// change is the same object in the next plan, and the `Arc` here keeps that address from being used again.
#[derive(Debug)]
struct Probe {
    endpoint: Arc<Endpoint>,
    question: Question,
    known: Arc<Mutex<Known>>,
    task: AbortHandle,
}

/// What is asked, and how often.
#[derive(Clone, Debug, PartialEq)]
struct Question {
    settings: Settings,
    /// The header that the endpoint wants to see first.
    proxy_protocol: Option<ProxyOut>,
    /// It speaks HTTP/2.
    http2: bool,
}

#[derive(Debug)]
struct Known {
    health: Health,
    last: String,
}

impl Prober {
    pub(crate) fn new(console: Console, runtime: Handle) -> Self {
        let slots = Arc::new(Semaphore::new(PROBES_MAX));
        Self { console, runtime, slots, started: Instant::now(), probes: Mutex::new(HashMap::new()) }
    }

    /// Probes what `plan` names from now on, and nothing else. Tasks of unchanged endpoints go on undisturbed.
    pub(crate) fn follow(&self, plan: &Plan) {
        let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = HashMap::new();
        for upstream in &plan.upstreams {
            let Some(settings) = upstream.settings.health.clone() else { continue };
            let question = Question {
                settings,
                proxy_protocol: upstream.settings.proxy_protocol,
                http2: upstream.settings.http2,
            };
            for endpoint in &upstream.endpoints {
                let key = Arc::as_ptr(endpoint).addr();
                let probe = match probes.remove(&key) {
                    Some(probe) if probe.question == question => probe,
                    before => {
                        if let Some(before) = before {
                            before.task.abort();
                        }
                        self.start(&upstream.name, endpoint, &question)
                    }
                };
                kept.insert(key, probe);
            }
        }
        for probe in std::mem::replace(&mut *probes, kept).into_values() {
            probe.task.abort();
            // Nobody asks any more, so nobody may say it is ill: the object can be in the new plan without `health`.
            probe.endpoint.healthy.store(true, Ordering::Relaxed);
        }
    }

    /// What is known about `endpoint`; `None` when it is not probed.
    pub(crate) fn report(&self, endpoint: &Arc<Endpoint>) -> Option<Report> {
        let probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        let probe = probes.get(&Arc::as_ptr(endpoint).addr())?;
        let known = probe.known.lock().unwrap_or_else(PoisonError::into_inner);
        let since = Duration::from_micros(now_us(self.started).saturating_sub(known.health.since_us()));
        Some(Report {
            last: known.last.clone(),
            last_failure: known.health.last_failure().map(str::to_owned),
            since,
            against: known.health.against_count(),
        })
    }

    fn start(&self, upstream: &Arc<str>, endpoint: &Arc<Endpoint>, question: &Question) -> Probe {
        let settings = &question.settings;
        let rules = Rules {
            interval_us: u64::try_from(settings.interval.as_micros()).unwrap_or(u64::MAX),
            healthy: settings.healthy,
            unhealthy: settings.unhealthy,
        };
        // The seed only spreads the probes; any number that differs between endpoints will do.
        let seed = Arc::as_ptr(endpoint).addr() as u64;
        let health = Health::new(rules, now_us(self.started), seed);
        // An endpoint whose settings changed while it was ill starts anew, and that is healthy.
        endpoint.healthy.store(true, Ordering::Relaxed);
        let known = Arc::new(Mutex::new(Known { health, last: "not probed yet".into() }));
        let watcher = Watcher {
            upstream: Arc::clone(upstream),
            endpoint: Arc::clone(endpoint),
            question: question.clone(),
            known: Arc::clone(&known),
            slots: Arc::clone(&self.slots),
            console: self.console,
            started: self.started,
        };
        let task = self.runtime.spawn(watcher.run()).abort_handle();
        Probe { endpoint: Arc::clone(endpoint), question: question.clone(), known, task }
    }
}

/// What a probing task owns.
struct Watcher {
    upstream: Arc<str>,
    endpoint: Arc<Endpoint>,
    question: Question,
    known: Arc<Mutex<Known>>,
    slots: Arc<Semaphore>,
    console: Console,
    started: Instant,
}

impl Watcher {
    async fn run(self) {
        loop {
            let due = self.with(|known| known.health.next_probe_us()).unwrap_or_default();
            sleep(Duration::from_micros(due.saturating_sub(now_us(self.started)))).await;
            let Ok(_slot) = self.slots.acquire().await else { return };
            let now = now_us(self.started);
            self.with(|known| known.health.begin_probe(now));
            let time = self.question.settings.timeout;
            let outcome = match timeout(time, ask(&self.endpoint, &self.question)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(format!("no answer within {time:?}")),
            };
            self.settle(outcome);
        }
    }

    fn settle(&self, outcome: Result<String, String>) {
        let now = now_us(self.started);
        let changed = self.with(|known| match &outcome {
            Ok(answer) => {
                known.last.clone_from(answer);
                known.health.probe_passed(now)
            }
            Err(why) => {
                known.last.clone_from(why);
                known.health.probe_failed(now, why)
            }
        });
        let Some(state) = changed else { return };
        self.endpoint.healthy.store(state == State::Healthy, Ordering::Relaxed);
        let place = format!("upstream {}, endpoint {}", self.upstream, self.endpoint.name);
        match outcome {
            Ok(_) => self.console.info("endpoint_healthy", &format!("{place}: healthy again")),
            Err(why) => self.console.warn("endpoint_unhealthy", &format!("{place}: unhealthy: {why}")),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Known) -> T) -> T {
        act(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn now_us(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// What an endpoint that is well has answered; else why it is not. It is asked as requests are: by TLS where they are.
async fn ask(endpoint: &Endpoint, question: &Question) -> Result<String, String> {
    let stream = connect(&endpoint.address).await.map_err(|fault| format!("connect: {fault}"))?;
    let secured = endpoint.pool.manager().secure(stream).await;
    ask_over(secured.map_err(|fault| format!("tls: {fault}"))?, endpoint, question).await
}

/// Not [`Address::connect`], which waits by the clock of a worker.
async fn connect(address: &Address) -> io::Result<Stream> {
    match address {
        Address::Tcp(address) => Ok(Stream::Socket(TcpStream::connect(address).await?)),
        Address::Unix(path) => unix::register(UnixStream::connect(path).await?.into_std()?.into()),
        Address::Memory(_) => Err(io::Error::other("an address in memory cannot be probed")),
    }
}

async fn ask_over(mut stream: Stream, endpoint: &Endpoint, question: &Question) -> Result<String, String> {
    let what = match &question.settings.probe {
        What::Grpc(service) => Some(http2::Ask::Check(service)),
        What::Get(path) if question.http2 => Some(http2::Ask::Get(path)),
        What::Get(_) | What::Connect => None,
    };
    if let Some(what) = what {
        return http2::ask(stream, host(endpoint), &what).await;
    }
    let mut bytes = local_header(question.proxy_protocol);
    if let What::Get(path) = &question.settings.probe {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: towpath-health\r\nAccept: */*\r\nConnection: close\r\n\r\n",
            host(endpoint)
        );
        bytes.extend_from_slice(request.as_bytes());
    }
    write_all(&mut stream, &bytes).await.map_err(|fault| format!("write: {fault}"))?;
    match question.settings.probe {
        What::Connect | What::Grpc(_) => Ok("connected".into()),
        What::Get(_) => read_status(stream).await.map(|status| format!("status {status}")),
    }
}

/// RFC 9110 §7.2: a `Host` names a host, which a Unix socket has none of.
fn host(endpoint: &Endpoint) -> &str {
    match endpoint.address {
        Address::Unix(_) => "localhost",
        _ => &endpoint.name,
    }
}

/// Who expects a PROXY header takes nothing else; a probe says that it speaks for itself (proxy-protocol.txt §2.2).
fn local_header(out: Option<ProxyOut>) -> Vec<u8> {
    let mut bytes = Vec::new();
    match out.map(|out| out.version) {
        None => {}
        Some(ProxyVersion::V1) => proxy_protocol::encode_v1(&Peer::Local, &mut bytes),
        Some(ProxyVersion::V2) => {
            let written = proxy_protocol::encode_v2(&Peer::Local, &[], Checksum::Omit, &mut bytes);
            debug_assert!(written.is_ok(), "a header without values is never too long");
        }
    }
    bytes
}

async fn write_all(stream: &mut Stream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match poll_fn(|cx| stream.split().1.poll_write(cx, bytes)).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => bytes = bytes.get(count..).unwrap_or_default(),
        }
    }
    Ok(())
}

async fn read_status(mut stream: Stream) -> Result<u16, String> {
    let (mut line, mut piece) = (Vec::new(), [0; STATUS_LINE_MAX]);
    while !line.contains(&b'\n') {
        let read = poll_fn(|cx| stream.split().0.poll_read(cx, &mut piece)).await;
        match read.map_err(|fault| format!("read: {fault}"))? {
            0 => return Err("closed before it answered".into()),
            _ if line.len() > STATUS_LINE_MAX => return Err("its answer is not HTTP/1".into()),
            count => line.extend_from_slice(piece.get(..count).unwrap_or_default()),
        }
    }
    judge(&line)
}

/// RFC 9112 §4: `HTTP/1.x SP 3DIGIT`. 2xx and 3xx mean well.
fn judge(line: &[u8]) -> Result<u16, String> {
    let status = line
        .strip_prefix(b"HTTP/1.1 ")
        .or_else(|| line.strip_prefix(b"HTTP/1.0 "))
        .and_then(|rest| rest.get(..3))
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u16>().ok())
        .ok_or("its answer is not HTTP/1")?;
    match status {
        200..=399 => Ok(status),
        _ => Err(format!("status {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_and_redirection_are_well_and_nothing_else_is() {
        assert_eq!(judge(b"HTTP/1.1 204 No Content\r\n"), Ok(204));
        assert_eq!(judge(b"HTTP/1.0 302 Found\r\n"), Ok(302));
        assert_eq!(judge(b"HTTP/1.1 503 Nope\r\n"), Err("status 503".into()));
        for garbage in [b"SSH-2.0-x\r\n".as_slice(), b"HTTP/1.1 2", b"HTTP/1.1 abc\r\n", b"\n"] {
            assert_eq!(judge(garbage), Err("its answer is not HTTP/1".into()));
        }
    }
}
