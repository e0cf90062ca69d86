//! Connections of PostgreSQL's in a pool, and a query that ends with its request.
//!
//! ```text
//! cargo run -p towpath --example postgres -- 127.0.0.1:5432 postgres
//! curl --max-time 1 http://127.0.0.1:3000/sleep     # the query ends with curl
//! ```

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::{CancelToken, Client, Config, NoTls};
use towpath::ctx::Ctx;
use towpath::http::{self, Failure, Request, Router};
use towpath::net::Dialer;
use towpath::pool::{Connection, Loan, Manager, PoolConfig, Pools};

/// Opens sessions of one database.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Database {
    /// `host:port`, or `unix:` and the path of the socket.
    pub(crate) address: String,
    /// Who asks.
    pub(crate) user: String,
}

/// A session; the task that moves its bytes stays with the runtime that made it.
pub(crate) struct Session {
    client: Client,
}

impl Manager for Database {
    type Conn = Session;
    type Error = String;

    async fn connect(&self) -> Result<Session, String> {
        let conn = Dialer::default().dial(&Ctx::background(), &self.address).await;
        let conn = conn.map_err(|error| error.to_string())?;
        let mut config = Config::new();
        config.user(&self.user).dbname("postgres");
        let (client, connection) =
            config.connect_raw(conn, NoTls).await.map_err(|error| error.to_string())?;
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

/// Runs a query that has no parameters, and says how many rows it gave.
///
/// # Errors
/// The database refuses it, or `ctx` was done first: then the query is canceled at the database.
pub(crate) async fn count_rows(
    ctx: &Ctx,
    session: &mut Loan<Database>,
    database: &Database,
    sql: &str,
) -> Result<usize, Failure> {
    let running = Running { ctx, database, token: Some(session.client.cancel_token()) };
    let rows = ctx.run(session.client.simple_query(sql)).await?;
    running.has_ended();
    let count =
        rows?.iter().filter(|message| matches!(message, tokio_postgres::SimpleQueryMessage::Row(_))).count();
    session.mark_clean(Instant::now());
    Ok(count)
}

/// A query under way. The database does not notice that nobody waits for it, so it is told, on a connection of its own, by a
/// step that goes on when its caller is dropped (R31).
struct Running<'a> {
    ctx: &'a Ctx,
    database: &'a Database,
    token: Option<CancelToken>,
}

impl Running<'_> {
    fn has_ended(mut self) {
        self.token = None;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let Some(token) = self.token.take() else { return };
        let address = self.database.address.clone();
        drop(self.ctx.shield(async move {
            if let Ok(conn) = Dialer::default().dial(&Ctx::background(), &address).await {
                // There is nobody to be told.
                let _ = token.cancel_query_raw(conn, NoTls).await;
            }
        }));
    }
}

/// `GET /sleep` asks for a nap of half a minute, `GET /one` for nothing much.
pub(crate) fn router(database: Database) -> Router {
    let pools = Pools::new(PoolConfig::default(), Database::clone);
    let ask = move |sql: &'static str| {
        let (pools, database) = (pools.clone(), database.clone());
        async move |ctx: &Ctx, _: Request| {
            let mut session = pools.get(ctx, &database).await?;
            let count = count_rows(ctx, &mut session, &database, sql).await?;
            Ok::<_, Failure>(format!("{count}\n"))
        }
    };
    Router::new().get("/sleep", ask("select pg_sleep(30)")).get("/one", ask("select 1"))
}

fn main() -> std::process::ExitCode {
    towpath::run(async |ctx| {
        let mut arguments = std::env::args().skip(1);
        let address = arguments.next().unwrap_or_else(|| "127.0.0.1:5432".to_owned());
        let user = arguments.next().unwrap_or_else(|| "postgres".to_owned());
        Ok(http::serve(&ctx, "127.0.0.1:3000", router(Database { address, user })).await?)
    })
}
