//! The kit's PostgreSQL against a server that this test starts: who goes takes the query along (R31, A6), transactions happen
//! or not, and TLS is what the URL says.

#![expect(clippy::unwrap_used, reason = "in a test a failed step is a failed test, in helpers too")]

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use towpath::Ctx;
use towpath::http::{Failure, Request, Router, Server, StatusCode};
use towpath::postgres::{Database, Error, Transaction};

/// PostgreSQL on a socket in a folder of its own; both go with the value.
struct Postgres {
    server: Child,
    folder: PathBuf,
    port: u16,
}

/// The server's programs, in the folder of the newest version.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql");
    let versions = versions.expect("PostgreSQL is not installed; the package is called postgresql");
    versions.map(|version| version.unwrap().path()).max().unwrap().join("bin")
}

/// A command that does not run as root, as PostgreSQL refuses that.
fn command(program: &str) -> Command {
    let program = programs().join(program);
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]).arg(program);
    command
}

fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

impl Postgres {
    fn start() -> Self {
        Self::start_with(|_| Vec::new())
    }

    /// With settings that may name files of its folder.
    fn start_with(settings: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let folder = succeeds(Command::new("mktemp").args(["-d"]));
        let folder = PathBuf::from(folder.trim());
        let settings = settings(&folder);
        if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
            succeeds(Command::new("chown").args(["-R", "postgres"]).arg(&folder));
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let data = folder.join("data");
        let init = ["--username=postgres", "--auth=trust", "--no-sync", "--no-locale", "--encoding=UTF8"];
        succeeds(command("initdb").args(init).arg("-D").arg(&data).current_dir("/"));
        let mut server = command("postgres")
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(&folder)
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-p", &port.to_string()])
            .args(settings)
            .current_dir("/")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
        let ready =
            lines.by_ref().find(|line| line.as_ref().unwrap().contains("ready to accept connections"));
        assert!(ready.is_some(), "PostgreSQL has not started");
        // Its later words would stop it if nobody took them.
        std::thread::spawn(|| lines.for_each(drop));
        Self { server, folder, port }
    }

    fn database(&self) -> Database {
        let folder = self.folder.display();
        Database::new(&format!("host={folder} port={} user=postgres dbname=postgres", self.port)).unwrap()
    }

    /// By TCP, which alone knows TLS.
    fn database_by(&self, host: &str, parameters: &str) -> Result<Database, Error> {
        Database::new(&format!("postgres://postgres@{host}:{}/postgres?{parameters}", self.port))
    }

    /// How many sessions there are that do what `condition` says.
    fn sessions(&self, condition: &str) -> usize {
        let sql = format!("select count(*) from pg_stat_activity where {condition}");
        let mut psql = Command::new("psql");
        psql.args([
            "-U",
            "postgres",
            "-d",
            "postgres",
            "-p",
            &self.port.to_string(),
            "-At",
            "-c",
            &sql,
            "-h",
        ]);
        succeeds(psql.arg(&self.folder)).trim().parse().unwrap()
    }

    fn naps(&self) -> usize {
        self.sessions("state = 'active' and query = 'select pg_sleep(30)'")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A fast shutdown; it is our own child, and setpriv has become it.
        let _ = Command::new("kill").args(["-INT", &self.server.id().to_string()]).status();
        let _ = self.server.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Each path runs a statement, and answers how many rows it gave.
fn router(database: Database) -> Router {
    let ask = move |sql: &'static str| {
        let database = database.clone();
        async move |ctx: &Ctx, _: Request| -> Result<String, Failure> {
            match database.query(ctx, sql, &[]).await {
                Err(error) if error.is_unique_violation() => Err(Failure::new(StatusCode::CONFLICT, "taken")),
                rows => Ok(format!("{}\n", rows?.len())),
            }
        }
    };
    Router::new()
        .get("/sleep", ask("select pg_sleep(30)"))
        .get("/one", ask("select 1"))
        .get("/table", ask("create table if not exists names (name text unique)"))
        .get("/insert", ask("insert into names values ('Ada')"))
        .get("/wrong", ask("select nothing from nowhere"))
}

fn serve(database: Database) -> (SocketAddr, towpath::ctx::Canceler, std::thread::JoinHandle<()>) {
    let (told, address) = mpsc::channel();
    let (ctx, guard) = Ctx::background().with_cancel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let server = Server::new(router(database)).listen("127.0.0.1:0").workers(2);
        let server = server.on_listen(move |listening| told.send(listening.address()).unwrap());
        runtime.block_on(server.serve(&ctx)).unwrap();
    });
    (address.recv().unwrap(), guard.disarm(), thread)
}

fn curl(arguments: &[&str], url: &str) -> (Option<i32>, String) {
    let output =
        Command::new("curl").args(["-sS", "--noproxy", "*"]).args(arguments).arg(url).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Waits for what another process does; fails after a while that is long for it and short for the query.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(15), "{what}");
    }
}

#[test]
fn a_client_that_goes_takes_its_query_along_r31() {
    let postgres = Postgres::start();
    let (address, stop, server) = serve(postgres.database());
    assert!(Path::new(&postgres.folder).exists());
    let url = |path: &str| format!("http://{address}{path}");
    assert_eq!(curl(&[], &url("/one")), (Some(0), "1\n".to_owned()));
    assert_eq!(curl(&[], &url("/one")), (Some(0), "1\n".to_owned()));
    assert_eq!(
        postgres.sessions("backend_type = 'client backend' and pid <> pg_backend_pid()"),
        1,
        "it is used again"
    );
    let curling = std::thread::spawn({
        let url = url("/sleep");
        move || curl(&["--max-time", "1"], &url)
    });
    until("the query has not begun", || postgres.naps() == 1);
    // 28: the time was over.
    assert_eq!(curling.join().unwrap().0, Some(28));
    until("the query goes on without anybody", || postgres.naps() == 0);
    assert_eq!(curl(&[], &url("/one")), (Some(0), "1\n".to_owned()));
    stop.cancel("over");
    server.join().unwrap();
}

#[test]
fn what_goes_wrong_has_its_status() {
    let postgres = Postgres::start();
    let (address, stop, server) = serve(postgres.database());
    let status = |path: &str| {
        let url = format!("http://{address}{path}");
        curl(&["-o", "/dev/null", "-w", "%{http_code}"], &url).1
    };
    let found = ["/table", "/insert", "/insert", "/wrong", "/one"].map(status);
    assert_eq!(found, ["200", "200", "409", "500", "200"]);
    let other = postgres.sessions("backend_type = 'client backend' and pid <> pg_backend_pid()");
    assert_eq!(other, 1, "a statement that is refused costs no session");
    drop(postgres);
    until("a session was handed out that is dead", || status("/one") == "503");
    stop.cancel("over");
    server.join().unwrap();
}

fn on_a_runtime(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

/// As `until`, and lets the tasks of this runtime go on, which move the bytes of sessions.
async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(15), "{what}");
        tokio::task::yield_now().await;
    }
}

async fn names(db: &Database) -> i64 {
    let row = db.query_opt(&Ctx::background(), "select count(*) from names", &[]).await.unwrap();
    row.unwrap().get(0)
}

async fn add(ctx: &Ctx, tx: &Transaction<'_>, name: &str) -> Result<u64, Error> {
    tx.execute(ctx, "insert into names values ($1)", &[&name]).await
}

#[test]
fn a_transaction_happens_or_does_not() {
    let postgres = Postgres::start();
    on_a_runtime(async {
        let (db, ctx) = (postgres.database(), &Ctx::background());
        db.execute(ctx, "create table names (name text unique)", &[]).await.unwrap();
        let both = db.transaction(ctx, async |tx| {
            add(ctx, tx, "Ada").await?;
            add(ctx, tx, "Grace").await?;
            Ok::<_, Error>(
                tx.query_opt(ctx, "select count(*) from names", &[]).await?.unwrap().get::<_, i64>(0),
            )
        });
        assert_eq!((both.await.unwrap(), names(&db).await), (2, 2));

        let fails = db.transaction(ctx, async |tx| {
            add(ctx, tx, "Bob").await?;
            add(ctx, tx, "Ada").await
        });
        assert!(fails.await.unwrap_err().is_unique_violation());
        let swallows = db.transaction(ctx, async |tx| {
            add(ctx, tx, "Bob").await?;
            assert!(add(ctx, tx, "Ada").await.is_err());
            Ok::<_, Error>(())
        });
        // in_failed_sql_transaction
        assert_eq!(swallows.await.unwrap_err().sql_state(), Some("25P02"));
        assert_eq!(names(&db).await, 2);
    });
}

#[test]
fn a_transaction_that_is_given_up_is_rolled_back_r31() {
    let postgres = Postgres::start();
    on_a_runtime(async {
        let (db, root, postgres) = (postgres.database(), Ctx::background(), &postgres);
        db.execute(&root, "create table names (name text unique)", &[]).await.unwrap();
        let is_over = || {
            let condition = "state <> 'idle' and pid <> pg_backend_pid() and backend_type = 'client backend'";
            eventually("a transaction is left", move || postgres.sessions(condition) == 0)
        };

        // The context ends while the transaction waits for something else.
        let (ctx, guard) = root.with_cancel();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let waits = db.transaction(&ctx, async |tx| {
            add(&root, tx, "Ada").await?;
            begun.send(()).unwrap();
            std::future::pending::<Result<(), Error>>().await
        });
        let (outcome, ()) = tokio::join!(waits, async {
            has_begun.await.unwrap();
            guard.cancel("enough");
        });
        assert!(outcome.unwrap_err().to_string().starts_with("given up"));
        is_over().await;

        // It is dropped in the middle of a statement.
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let sleeps = db.transaction(&root, async |tx| {
            add(&root, tx, "Ada").await?;
            begun.send(()).unwrap();
            tx.query(&root, "select pg_sleep(30)", &[]).await
        });
        tokio::select! {
            _ = sleeps => unreachable!("it sleeps"),
            () = async {
                has_begun.await.unwrap();
                eventually("the query has not begun", || postgres.naps() == 1).await;
            } => {}
        }
        is_over().await;
        assert_eq!(names(&db).await, 0);
        assert_eq!(db.stats().unwrap().in_use, 0);
    });
}

#[test]
fn a_transaction_runs_in_tasks_of_other_threads() {
    fn is_send(_: &impl Send) {}
    let db = Database::new("postgres://app@127.0.0.1/app").unwrap();
    let future = async move {
        let ctx = &Ctx::background();
        db.transaction(ctx, async |tx| tx.execute(ctx, "select 1", &[]).await).await
    };
    is_send(&future);
}

/// A certificate for `localhost`, and the authority that has signed it.
fn settings_for_tls(folder: &Path) -> Vec<String> {
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority =
        rcgen::CertifiedIssuer::self_signed(authority, rcgen::KeyPair::generate().unwrap()).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let names = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = names.signed_by(&key, &authority).unwrap();
    std::fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        // It takes no key that others may read.
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let (certificate, key) = (write("site.crt", certificate.pem()), write("site.key", key.serialize_pem()));
    let settings =
        ["ssl=on".to_owned(), format!("ssl_cert_file={certificate}"), format!("ssl_key_file={key}")];
    settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]).collect()
}

/// Whether a session speaks TLS, or why there is none.
async fn is_secure(database: Result<Database, Error>) -> String {
    let sql = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    let row = match database {
        Ok(database) => database.query_opt(&Ctx::background(), sql, &[]).await,
        Err(error) => Err(error),
    };
    row.map_or_else(|error| error.to_string(), |row| row.unwrap().get::<_, bool>(0).to_string())
}

#[test]
fn sessions_speak_tls_as_the_url_says_t33() {
    let (secure, clear) = (Postgres::start_with(settings_for_tls), Postgres::start());
    let trusted = format!("sslmode=verify-full&sslrootcert={}/ca.pem", secure.folder.display());
    on_a_runtime(async {
        for (host, parameters, expected, of_clear) in [
            ("localhost", "", "true", "false"),
            ("localhost", "sslmode=disable", "false", "false"),
            ("localhost", "sslmode=prefer", "true", "false"),
            ("localhost", "sslmode=require", "true", "server does not support TLS"),
            ("127.0.0.1", "sslmode=require", "true", "server does not support TLS"),
            ("localhost", &*trusted, "true", "server does not support TLS"),
            ("127.0.0.1", &*trusted, "certificate", "server does not support TLS"),
            ("localhost", "sslmode=verify-full", "certificate", "server does not support TLS"),
        ] {
            let found = is_secure(secure.database_by(host, parameters)).await;
            assert!(found.contains(expected), "{host} {parameters}: {found}");
            let found = is_secure(clear.database_by(host, parameters)).await;
            assert!(found.contains(of_clear), "{host} {parameters}, clear: {found}");
        }
        assert_eq!(is_secure(Ok(secure.database())).await, "false", "a Unix socket");
        let missing =
            is_secure(secure.database_by("localhost", "sslmode=verify-full&sslrootcert=/none")).await;
        assert!(missing.contains("/none"), "{missing}");

        // A cancel has a connection of its own, which speaks TLS too.
        let db = secure.database_by("localhost", &trusted).unwrap();
        let (ctx, guard) = Ctx::background().with_cancel();
        let (outcome, ()) = tokio::join!(db.query(&ctx, "select pg_sleep(30)", &[]), async {
            eventually("the query has not begun", || secure.naps() == 1).await;
            guard.cancel("enough");
        });
        outcome.unwrap_err();
        eventually("the query goes on without anybody", || secure.naps() == 0).await;
    });
}
