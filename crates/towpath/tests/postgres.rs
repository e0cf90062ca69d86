//! The kit's PostgreSQL against a server that this test starts: who goes takes the query along (R31, A6).

#![expect(clippy::unwrap_used, reason = "in a test a failed step is a failed test, in helpers too")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use towpath::Ctx;
use towpath::http::{Failure, Request, Router, Server, StatusCode};
use towpath::postgres::Database;

/// PostgreSQL on a socket in a folder of its own; both go with the value.
struct Postgres {
    server: Child,
    folder: PathBuf,
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
        let folder = succeeds(Command::new("mktemp").args(["-d"]));
        let folder = PathBuf::from(folder.trim());
        if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
            succeeds(Command::new("chown").arg("postgres").arg(&folder));
        }
        let data = folder.join("data");
        let init = ["--username=postgres", "--auth=trust", "--no-sync", "--no-locale", "--encoding=UTF8"];
        succeeds(command("initdb").args(init).arg("-D").arg(&data).current_dir("/"));
        let mut server = command("postgres")
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(&folder)
            .args(["-c", "listen_addresses=", "-c", "fsync=off"])
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
        Self { server, folder }
    }

    fn database(&self) -> Database {
        let words = format!("host={} user=postgres dbname=postgres", self.folder.display());
        Database::new(&words).unwrap()
    }

    /// How many sessions there are that do what `condition` says.
    fn sessions(&self, condition: &str) -> usize {
        let sql = format!("select count(*) from pg_stat_activity where {condition}");
        let mut psql = Command::new("psql");
        psql.args(["-U", "postgres", "-d", "postgres", "-At", "-c", &sql, "-h"]).arg(&self.folder);
        succeeds(&mut psql).trim().parse().unwrap()
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
