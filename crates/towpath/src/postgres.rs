//! PostgreSQL: sessions of [`tokio_postgres`]'s in a pool, and queries that end with their context.
//!
//! ```text
//!   handler ── query(&ctx, …) ──> Pools ──> a session ── ctx done? ──> cancel, on a connection of its own
//! ```
//!
//! ```no_run
//! use towpath::Ctx;
//! use towpath::http::{self, Failure, Request, Router};
//! use towpath::postgres::Database;
//!
//! fn main() -> std::process::ExitCode {
//!     towpath::run(async |ctx| {
//!         let database = Database::new("postgres://app@127.0.0.1/app")?;
//!         let count = async move |ctx: &Ctx, _: Request| -> Result<String, Failure> {
//!             let row = database.query_opt(ctx, "select count(*) from users", &[]).await?;
//!             Ok(row.map_or(0, |row| row.get::<_, i64>(0)).to_string())
//!         };
//!         Ok(http::serve(&ctx, "127.0.0.1:3000", Router::new().get("/", count)).await?)
//!     })
//! }
//! ```
//!
//! PostgreSQL does not notice that nobody waits for a query any more. So one that is given up, because its client has gone,
//! its deadline has passed or its future was dropped, is canceled at the server (R31). In a handler `?` makes a 503 of a
//! database that cannot be reached and of a pool where nothing became free, and a 500 of every other error.
//!
//! [`Database::transaction`] makes one of several statements. Whether a session speaks TLS the URL says by `sslmode`, as it
//! does for libpq; see [`Database::new`].

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::{CancelToken, Client, Config};

pub use tokio_postgres::Row;
pub use tokio_postgres::types::{FromSql, ToSql};

mod secure;
mod transaction;

use self::secure::Secure;
pub use self::transaction::Transaction;

use crate::Ctx;
use crate::ctx::{Cause, TaskError};
use crate::http::StatusCode;
use crate::net::Dialer;
use crate::pool::{Connection, GetError, Loan, Manager, PoolConfig, Pools, Stats};

/// The port of a URL that names none.
const PORT: u16 = 5432;

/// A database and its pool. A clone is the same pool.
#[derive(Clone)]
pub struct Database {
    sessions: Sessions,
    pools: Pools<(), Sessions>,
}

impl Database {
    /// A database by its URL, `postgres://USER:PASSWORD@HOST:PORT/NAME`, or by words, `host=/run/postgresql user=app`. The
    /// pool has the default settings, and connects when it is asked first.
    ///
    /// `sslmode` means what it means to libpq: `disable` is clear text; `prefer`, the default, is TLS where the server has it;
    /// `require` is TLS, or no session. Both take any certificate, and help against who only listens. `verify-full` demands
    /// one for the host of the URL, signed by an authority of the PEM file `sslrootcert`, else of the system. There is no
    /// `allow` and no `verify-ca`; a handshake that fails never leads back to clear text (T33); a Unix socket has no TLS.
    ///
    /// # Errors
    /// The URL cannot be read, or names no host or several, or the file of authorities cannot be read.
    ///
    /// ```
    /// use towpath::postgres::Database;
    ///
    /// assert!(Database::new("postgres://app@127.0.0.1/app").is_ok());
    /// assert!(Database::new("user=app").is_err());
    /// ```
    pub fn new(url: &str) -> Result<Self, Error> {
        Self::with_pool(url, PoolConfig::default())
    }

    /// The same with settings for the pool.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_pool(url: &str, pool: PoolConfig) -> Result<Self, Error> {
        let (url, wish) = secure::take(url)?;
        let mut config = Config::from_str(&url).map_err(Kind::Query)?;
        let port = config.get_ports().first().copied().unwrap_or(PORT);
        let (address, name) = match config.get_hosts() {
            [Host::Tcp(host)] if host.contains(':') => (format!("[{host}]:{port}"), host.clone()),
            [Host::Tcp(host)] => (format!("{host}:{port}"), host.clone()),
            [Host::Unix(folder)] => (format!("unix:{}/.s.PGSQL.{port}", folder.display()), String::new()),
            _ => return Err(Kind::Host.into()),
        };
        if name.is_empty() {
            config.ssl_mode(SslMode::Disable);
        }
        let sessions =
            Sessions { config: Arc::new(config), address: address.into(), secure: Secure::new(name, wish)? };
        let pools = Pools::new(pool, {
            let sessions = sessions.clone();
            move |()| sessions.clone()
        });
        Ok(Self { sessions, pools })
    }

    /// The rows that a statement gives; `$1` in it stands for the first of `params`. *Discard-on-cancel*: the query is
    /// canceled at the server, which may have done its work before.
    ///
    /// # Errors
    /// There is no session, the server refuses the statement, or `ctx` was done first.
    pub async fn query(
        &self,
        ctx: &Ctx,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        let mut session = self.session(ctx).await?;
        let outcome = self.on(&session).query(ctx, sql, params).await;
        kept(&mut session, outcome)
    }

    /// The first row that a statement gives, if it gives one. *Discard-on-cancel*, as [`query`](Self::query).
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub async fn query_opt(
        &self,
        ctx: &Ctx,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, Error> {
        Ok(self.query(ctx, sql, params).await?.into_iter().next())
    }

    /// How many rows a statement has changed. *Discard-on-cancel*, as [`query`](Self::query).
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub async fn execute(&self, ctx: &Ctx, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<u64, Error> {
        let mut session = self.session(ctx).await?;
        let outcome = self.on(&session).execute(ctx, sql, params).await;
        kept(&mut session, outcome)
    }

    /// What the pool has done; `None` before its first use.
    pub fn stats(&self) -> Option<Stats> {
        self.pools.stats(&())
    }

    async fn session(&self, ctx: &Ctx) -> Result<Loan<Sessions>, Error> {
        let session = self.pools.get(ctx, &()).await;
        session.map_err(|error| ctx.err().map_or(Kind::Get(error), Kind::Done).into())
    }

    fn on<'a>(&'a self, session: &'a Loan<Sessions>) -> Statements<'a> {
        Statements { sessions: &self.sessions, client: &session.client }
    }
}

/// Gives a session back that can be used again: what the server refuses leaves it as it was, and that it has ended the pool
/// sees by itself. A statement that was given up may still be running.
fn kept<T>(session: &mut Loan<Sessions>, outcome: Result<T, Error>) -> Result<T, Error> {
    if !matches!(outcome, Err(Error(Kind::Done(_)))) {
        session.mark_clean(Instant::now());
    }
    outcome
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The rest may hold a password.
        f.debug_struct("Database").field("address", &self.sessions.address).finish_non_exhaustive()
    }
}

/// What runs statements in a session, and has the server cancel what is given up.
#[derive(Clone, Copy)]
struct Statements<'a> {
    sessions: &'a Sessions,
    client: &'a Client,
}

impl Statements<'_> {
    async fn query(self, ctx: &Ctx, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        self.run(ctx, self.client.query(sql, params)).await
    }

    async fn execute(self, ctx: &Ctx, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<u64, Error> {
        self.run(ctx, self.client.execute(sql, params)).await
    }

    async fn run<T>(
        self,
        ctx: &Ctx,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Error> {
        let token = Some(self.client.cancel_token());
        let mut running = Running { ctx, sessions: self.sessions, token };
        let outcome = ctx.run(statement).await.map_err(Kind::Done)?;
        running.token = None;
        outcome.map_err(|error| Kind::Query(error).into())
    }
}

/// A statement under way.
struct Running<'a> {
    ctx: &'a Ctx,
    sessions: &'a Sessions,
    /// `None` once it has ended.
    token: Option<CancelToken>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let Some(token) = self.token.take() else { return };
        let sessions = self.sessions.clone();
        drop(self.ctx.shield(async move {
            if let Ok(conn) = Dialer::default().dial(&Ctx::background(), &sessions.address).await {
                // There is nobody to be told.
                let _ = token.cancel_query_raw(conn, sessions.secure).await;
            }
        }));
    }
}

/// Opens sessions.
#[derive(Clone)]
struct Sessions {
    config: Arc<Config>,
    /// `host:port`, or `unix:` and the path of the socket.
    address: Arc<str>,
    secure: Secure,
}

/// A session; the task that moves its bytes stays with the runtime that made it.
struct Session {
    client: Client,
}

impl Manager for Sessions {
    type Conn = Session;
    type Error = String;

    async fn connect(&self) -> Result<Session, String> {
        let conn = Dialer::default().dial(&Ctx::background(), &self.address).await;
        let conn = conn.map_err(|error| error.to_string())?;
        let (client, connection) =
            self.config.connect_raw(conn, self.secure.clone()).await.map_err(|error| told(&error))?;
        tokio::spawn(async {
            // How it ends, the client sees by itself.
            let _ = connection.await;
        });
        Ok(Session { client })
    }
}

impl Connection for Session {
    fn poll_idle(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        // The library tells nobody; the pool looks again before it hands the session out.
        if self.client.is_closed() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn is_dead(&mut self) -> bool {
        self.client.is_closed()
    }

    fn rehome(self) -> io::Result<Self> {
        Ok(self)
    }

    fn keep_alive_hint(&self) -> Option<Duration> {
        None
    }
}

/// The library's errors say what happened in their source.
fn told(error: &tokio_postgres::Error) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

/// Why there are no rows.
#[derive(Debug)]
pub struct Error(Kind);

#[derive(Debug)]
enum Kind {
    Host,
    /// What is wrong with the wish for TLS.
    Tls(String),
    /// Nobody knows whether the server has committed.
    Commit(TaskError),
    Get(GetError<String>),
    Query(tokio_postgres::Error),
    Done(Cause),
}

impl Error {
    /// Whether a row with this key is there already (SQLSTATE 23505).
    pub fn is_unique_violation(&self) -> bool {
        self.sql_state() == Some(SqlState::UNIQUE_VIOLATION.code())
    }

    /// Whether there was no session to ask: the database cannot be reached, or has too much to do.
    pub fn is_unavailable(&self) -> bool {
        match &self.0 {
            Kind::Get(_) => true,
            Kind::Query(error) => error.is_closed(),
            Kind::Host | Kind::Tls(_) | Kind::Commit(_) | Kind::Done(_) => false,
        }
    }

    /// The five characters by which the server names an error (PostgreSQL, Appendix A).
    pub fn sql_state(&self) -> Option<&str> {
        match &self.0 {
            Kind::Query(error) => error.code().map(SqlState::code),
            _ => None,
        }
    }

    /// What a server answers when a request failed so, if that is not 500.
    fn status(&self) -> Option<StatusCode> {
        match &self.0 {
            _ if self.is_unavailable() => Some(StatusCode::SERVICE_UNAVAILABLE),
            Kind::Done(cause) => StatusCode::from_u16(cause.http_status()?).ok(),
            _ => None,
        }
    }
}

/// The status of `error`, where it is one of ours.
pub(crate) fn status_of(error: &(dyn std::error::Error + 'static)) -> Option<StatusCode> {
    error.downcast_ref::<Error>().and_then(Error::status)
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Self {
        Self(kind)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Host => f.write_str("the URL of a database names one host"),
            Kind::Tls(fault) => f.write_str(fault),
            Kind::Commit(error) => write!(f, "whether it is committed is not known: {error}"),
            Kind::Get(error) => write!(f, "no session: {error}"),
            Kind::Query(error) => f.write_str(&told(error)),
            Kind::Done(cause) => write!(f, "given up: {cause}"),
        }
    }
}

impl std::error::Error for Error {}
