//! The admin listener: where operators and programs ask and command, in JSON unless the path says otherwise.
//!
//! ```text
//!   socket -> guard (Host, Origin, token) -> path -> method -> answer
//! ```
//!
//! It runs on the control runtime and never on a worker. Everything it says about traffic it reads from the plan and
//! from counters; the only order it gives is a reload.

mod guard;
mod listen;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

use crate::control::Control;
use crate::http::{self, Request, Response};
use guard::Guard;
use listen::{AdminStream, Listening, SocketFile};

pub(crate) use listen::{AdminAddress, AdminSocket};

/// Connections open at once. A dashboard needs three, a scraper one; each may hold a body of 1 MiB.
const CONNECTIONS_MAX: usize = 64;

/// `accept` fails at once at the file limit; this keeps that from becoming a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The listener's definition: a reload that changes it makes a new listener.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct AdminSettings {
    /// Where it listens.
    pub(crate) address: AdminAddress,
    /// What callers must send as `Authorization: Bearer …`, if anything.
    pub(crate) token: Option<String>,
}

impl std::fmt::Debug for AdminSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminSettings").field("address", &self.address).finish_non_exhaustive()
    }
}

/// A running listener; dropping it closes the socket and lets open connections finish their request.
#[derive(Debug)]
pub(crate) struct AdminListener {
    task: AbortHandle,
    guard: Arc<Mutex<Guard>>,
    /// Goes with the listener, also when the runtime ends before the task does.
    _file: Option<SocketFile>,
}

impl AdminListener {
    /// Asks for another token from the next request on.
    pub(crate) fn replace_token(&self, token: Option<String>) {
        *self.guard.lock().unwrap_or_else(PoisonError::into_inner) = Guard { token };
    }
}

impl Drop for AdminListener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Accepts on `socket` from now on.
pub(crate) fn start(socket: AdminSocket, token: Option<String>, control: &Arc<Control>) -> AdminListener {
    let guard = Arc::new(Mutex::new(Guard { token }));
    let desk = Arc::new(Desk { guard: Arc::clone(&guard), control: Arc::clone(control) });
    let AdminSocket { listening, file, .. } = socket;
    let task = control.runtime().spawn(accept(listening, desk)).abort_handle();
    AdminListener { task, guard, _file: file }
}

struct Desk {
    guard: Arc<Mutex<Guard>>,
    control: Arc<Control>,
}

async fn accept(socket: Listening, desk: Arc<Desk>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // Waiting for a slot leaves further callers in the kernel's queue, which is bounded as well.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        match socket.accept().await {
            Ok(stream) => drop(tokio::spawn(serve(stream, Arc::clone(&desk), slot))),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve(stream: AdminStream, desk: Arc<Desk>, _slot: OwnedSemaphorePermit) {
    let answer = |request, local| {
        let desk = Arc::clone(&desk);
        async move { desk.answer(&request, local).await }
    };
    match stream {
        AdminStream::Tcp(stream) => {
            let local = stream.local_addr().ok();
            http::serve(stream, local, answer).await;
        }
        AdminStream::Unix(stream) => http::serve(stream, None, answer).await,
    }
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Index,
    Health,
    Ready,
    Metrics,
    Config,
    Plan,
    Upstreams,
    Reload,
    Explain,
    Profiles,
}

impl Subject {
    fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/" => Self::Index,
            "/healthz" => Self::Health,
            "/readyz" => Self::Ready,
            "/metrics" => Self::Metrics,
            "/config" => Self::Config,
            "/plan" => Self::Plan,
            "/upstreams" => Self::Upstreams,
            "/reload" => Self::Reload,
            "/explain" => Self::Explain,
            _ if path == "/debug/pprof" || path.starts_with("/debug/pprof/") => Self::Profiles,
            _ => return None,
        })
    }

    /// RFC 9110 §10.2.1: what `Allow` says in a 405.
    fn methods(self) -> &'static str {
        match self {
            Self::Reload | Self::Explain => "POST",
            _ => "GET, HEAD",
        }
    }

    fn allows(self, method: &str) -> bool {
        self.methods().split(", ").any(|allowed| allowed == method)
    }
}

/// The index until there is a dashboard.
const INDEX: &str = "\
towpath admin

GET  /healthz    alive
GET  /readyz     every worker serves the current plan and no drain is on
GET  /metrics    Prometheus text
GET  /config     the file as written
GET  /plan       the plan as compiled
GET  /upstreams  endpoints, health and why, pool counters
POST /reload     read the file again: 200 with what changed, 422 with the faults
POST /explain    {\"method\": \"GET\", \"url\": \"http://host/path\", \"headers\": {}}
";

impl Desk {
    async fn answer(&self, request: &Request, local: Option<SocketAddr>) -> Response {
        let judged = self.guard.lock().unwrap_or_else(PoisonError::into_inner).judge(request, local);
        if let Err(refusal) = judged {
            return refusal;
        }
        let Some(subject) = Subject::of(&request.path) else {
            return Response::fault(404, "not_found", "no such path; GET / lists them");
        };
        if !subject.allows(&request.method) {
            let message = format!("this path takes {}", subject.methods());
            return Response::fault(405, "method_not_allowed", &message).with("allow", subject.methods());
        }
        match subject {
            Subject::Index => Response::text("text/plain; charset=utf-8", INDEX),
            Subject::Health => Response::json(200, &serde_json::json!({ "status": "alive" })),
            Subject::Ready => self.control.readiness(),
            Subject::Metrics => self.control.metrics(),
            Subject::Config => self.control.config(),
            Subject::Plan => self.control.plan_document(),
            Subject::Upstreams => self.control.upstreams(),
            Subject::Reload => self.reload().await,
            Subject::Explain => self.control.explain(&request.body),
            Subject::Profiles => Response::fault(501, "not_implemented", "profiles are not in this release"),
        }
    }

    /// Reading files and binding sockets may block, which the runtime's own threads must not.
    async fn reload(&self) -> Response {
        let control = Arc::clone(&self.control);
        match tokio::task::spawn_blocking(move || control.reload_for_admin()).await {
            Ok(response) => response,
            Err(_) => Response::fault(500, "internal", "the reload ended in a panic; the old plan serves on"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_takes_its_methods_and_no_others() {
        let check = |path: &str, method: &str| Subject::of(path).map(|subject| subject.allows(method));
        assert_eq!(check("/healthz", "GET"), Some(true));
        assert_eq!(check("/healthz", "HEAD"), Some(true));
        assert_eq!(check("/reload", "GET"), Some(false));
        assert_eq!(check("/reload", "POST"), Some(true));
        assert_eq!(check("/plan", "post"), Some(false));
        assert_eq!(check("/debug/pprof/heap", "GET"), Some(true));
        assert_eq!(check("/debug/pprofx", "GET"), None);
        assert_eq!(check("/reload/", "POST"), None);
    }
}
