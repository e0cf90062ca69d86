//! The examples that need more than the kit, started as their readers start them, each in a network of its own and with
//! clients that are not ours. Those that need nothing else are examples of the kit's for cargo, too, and tested there.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{Scratch, TOWPATH};
use crate::kit::cache;

/// The project's folder.
fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Runs `script` in a network namespace where only it and its children are. `example` there is a function that runs an
/// example, and returns when that listens; `stop` ends it. `tests` is the folder of this file.
#[track_caller]
fn check(script: &str, expected: &str) {
    let scratch = Scratch::new();
    let frame = format!(
        r#"set -eu
ip link set lo up
cp -r '{project}/examples' .
tests='{project}/crates/towpath-cli/tests/program'
example() {{
    mkfifo said
    '{TOWPATH}' run --debug-build --offline examples/$1.rs > said &
    pid=$!
    exec 3< said
    head -n 1 <&3 > first
}}
stop() {{ kill -TERM $pid; cat <&3; wait $pid; }}
trap 'kill $(jobs -p) || true' EXIT
{script}
trap - EXIT
"#,
        project = project().display(),
    );
    // Away from the checkout, whose settings for cargo would make the kit another one than that of the other tests. The first
    // run builds what the example needs.
    let mut command = Command::new("unshare");
    command.args(["--net", "timeout", "900", "sh", "-c", &frame]).current_dir(scratch.folder());
    let output = command.env("XDG_CACHE_HOME", cache()).env_remove("TOWPATH_KIT").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}{errors}", output.status);
    assert_eq!(said, expected, "{errors}");
}

#[test]
fn users_over_grpc_s46_s64() {
    check(
        "example grpc_users; /usr/bin/python3 $tests/users.py 127.0.0.1:50051; stop",
        "['User', 'UserName', 'WatchUsers']\n\
         True True\n\
         ALREADY_EXISTS Ada\n\
         NOT_FOUND Bob\n\
         Ada\n\
         Bob\n\
         DEADLINE_EXCEEDED Deadline Exceeded\n\
         True\n",
    );
}

#[test]
fn a_json_api_over_postgresql_s23() {
    check(
        r#"postgres="setpriv --reuid=postgres --regid=postgres --init-groups --"
programs=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
chown postgres .
$postgres $programs/initdb --username=postgres --auth=trust --no-sync -D data > initdb.log 2>&1
$postgres $programs/postgres -D data -k $PWD -c listen_addresses=127.0.0.1 -c fsync=off > log 2>&1 &
until $programs/pg_isready -q -h 127.0.0.1; do :; done
naps() { psql -U postgres -h 127.0.0.1 -Atc "select count(*) from pg_stat_activity where query = 'select pg_sleep(30)' and state = 'active'"; }
users=127.0.0.1:3000/users
example json_api
curl -s $users -d '{"name": "Ada", "age": 36}' -w ' %{http_code}\n'
curl -s $users -d '{"name": "Ada", "age": 1}' -w ' %{http_code}\n'
curl -s $users -d '{"name": "Bob"}' -o /dev/null -w '%{http_code}\n'
curl -s $users -d '{"name": "Bob", "age": 7}' -o /dev/null
curl -s $users/Bob -w ' %{http_code}\n'
curl -s $users/Eve -o /dev/null -w '%{http_code}\n'
curl -s $users; echo
curl -s --max-time 1 127.0.0.1:3000/sleep > /dev/null &
until test $(naps) = 1; do :; done
wait $! || echo gone
until test $(naps) = 0; do :; done
kill -INT $(head -n 1 data/postmaster.pid)
while test -e data/postmaster.pid; do :; done
curl -s $users -o /dev/null -w '%{http_code}\n'
stop"#,
        "{\"name\":\"Ada\",\"age\":36} 201\n\
         the name is taken\n 409\n\
         400\n\
         {\"name\":\"Bob\",\"age\":7} 200\n\
         404\n\
         [{\"name\":\"Ada\",\"age\":36},{\"name\":\"Bob\",\"age\":7}]\n\
         gone\n\
         503\n",
    );
}

#[test]
fn a_server_that_is_told_to_stop_waits_for_a_hundred_requests_and_their_detached_work_a14() {
    check(
        r#"example drain
curl -sZ --parallel-immediate --parallel-max 100 'http://127.0.0.1:3000/?[1-100]' > answers 2> progress &
client=$!
while kill -0 $client && test $(ss -tnH state established '( sport = :3000 )' | wc -l) != 100; do :; done
stop
wait $client
sort answers | uniq -c"#,
        "everything is done\n    100 done\n",
    );
}

#[test]
fn a_second_signal_waits_for_nobody_s01() {
    check(
        r#"example drain
curl -s 127.0.0.1:3000/ > answer &
client=$!
until ss -tnH state established '( sport = :3000 )' | grep -q 3000; do :; done
kill -TERM $pid
while ss -ltnH | grep -q :3000; do :; done
kill -INT $pid
wait $pid || echo $?
wait $client || echo gone"#,
        "130\ngone\n",
    );
}

#[test]
fn two_seconds_for_a_job_of_three_s18() {
    check("example timeout; cat first; wait $pid", "deadline\n");
}

#[test]
fn a_channel_brings_42_s30() {
    check("example channel; cat first; wait $pid", "42\n");
}
