//! Reloads by signal, by the admin API and by watching: all or nothing.

mod common;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};

use common::{Client, Origin, Scratch, Towpath, eventually, fixed, get, post, proxied};

fn start(scratch: &Scratch, arguments: &[&str]) -> Towpath {
    Towpath::run_with(&scratch.write("a.toml", &fixed("one")), arguments, &["web", "admin"])
}

#[test]
fn sighup_brings_the_new_file_and_keeps_the_open_connection_p01() {
    let scratch = Scratch::new();
    let running = start(&scratch, &[]);
    let mut client = Client::connect(running.address("web"));
    assert_eq!(client.get("/").body, "one");
    scratch.write("a.toml", &fixed("two"));
    running.signal("HUP");
    running.wait_for_stderr("plan 2 serves");
    eventually("the new plan on the old connection", || (client.get("/").body == "two").then_some(()));
    assert_eq!(running.stdout().matches("listening web").count(), 1, "the listener stayed");
    running.stop();
}

#[test]
fn what_only_a_start_can_change_is_named_and_the_rest_is_done() {
    let scratch = Scratch::new();
    let running = start(&scratch, &[]);
    let other = fixed("two").replace("count = 2", "count = 3\npin = false")
        + "\n[log]\nlevel = \"warn\"\nformat = \"json\"\n";
    scratch.write("a.toml", &other);
    assert_eq!(post(running.address("admin"), "/reload", "").status, 200);
    let stderr = running.wait_for_stderr("plan 2 serves");
    for key in ["[workers] count", "[workers] pin", "[log] level", "[log] format"] {
        let told = format!("{key} is different; it takes effect at the next start");
        assert_eq!(stderr.matches(&told).count(), 1, "{stderr}");
    }
    eventually("the new plan", || (get(running.address("web"), "/").body == "two").then_some(()));
    running.stop();
}

#[test]
fn an_equal_file_changes_nothing_p01() {
    let scratch = Scratch::new();
    let running = start(&scratch, &[]);
    let admin = running.address("admin");
    let reply = post(admin, "/reload", "");
    assert_eq!((reply.status, &reply.json()["changed"]), (200, &serde_json::json!(false)));
    // The same meaning in other words.
    scratch.write("a.toml", &format!("# a comment\n\n{}", fixed("one").replace(" = ", "  =  ")));
    let reply = post(admin, "/reload", "");
    assert_eq!((reply.status, &reply.json()["changed"]), (200, &serde_json::json!(false)), "{}", reply.body);
    assert_eq!(get(admin, "/plan").json()["version"], 1);
    running.stop();
}

#[test]
fn a_bad_file_leaves_the_old_plan_and_tells_the_faults_p10() {
    let scratch = Scratch::new();
    let running = start(&scratch, &[]);
    let admin = running.address("admin");
    scratch.write("a.toml", &fixed("two").replace("status = 200", "stauts = 200"));
    let reply = post(admin, "/reload", "");
    assert_eq!(reply.status, 422);
    let fault = &reply.json()["faults"][0];
    assert_eq!(fault["place"]["line"], 12, "{fault}");
    assert!(fault["message"].as_str().unwrap().contains("stauts"), "{fault}");
    running.signal("HUP");
    running.wait_for_stderr("the old plan serves on");
    assert_eq!(get(running.address("web"), "/").body, "one");
    assert_eq!(get(admin, "/plan").json()["version"], 1);
    // The line is written before it is counted.
    eventually("both are counted", || {
        let count = "towpath_config_reloads_total{result=\"failed\"} 2";
        get(admin, "/metrics").body.contains(count).then_some(())
    });

    scratch.write("a.toml", &fixed("three"));
    let reply = post(admin, "/reload", "");
    assert_eq!((reply.status, &reply.json()["changed"]), (200, &serde_json::json!(true)));
    assert!(reply.body.contains("all"), "{}", reply.body);
    eventually("the new plan", || (get(running.address("web"), "/").body == "three").then_some(()));
    running.stop();
}

#[test]
fn listeners_come_and_go_and_the_others_stay() {
    let scratch = Scratch::new();
    let running = start(&scratch, &[]);
    let (web, admin) = (running.address("web"), running.address("admin"));
    scratch.write("a.toml", &format!("{}[listener.more]\nbind = \"127.0.0.1:0\"\n", fixed("one")));
    assert_eq!(post(admin, "/reload", "").status, 200);
    let more = running.address("more");
    assert_eq!(get(more, "/").body, "one");
    assert_eq!(running.address("web"), web);

    scratch.write("a.toml", &fixed("one"));
    assert_eq!(post(admin, "/reload", "").status, 200);
    eventually("the listener's end", || TcpStream::connect(more).is_err().then_some(()));
    assert_eq!(get(web, "/").body, "one");
    running.stop();
}

#[test]
fn an_address_that_is_taken_refuses_the_whole_reload() {
    let scratch = Scratch::new();
    let running = start(&scratch, &[]);
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    scratch.write("a.toml", &format!("{}[listener.more]\nbind = \"{taken}\"\n", fixed("two")));
    let reply = post(running.address("admin"), "/reload", "");
    assert_eq!(reply.status, 422);
    assert!(reply.body.contains("listener more") && reply.body.contains("in use"), "{}", reply.body);
    assert_eq!(get(running.address("web"), "/").body, "one");
    running.stop();
}

#[test]
fn the_admin_listener_can_move_and_change_its_token() {
    let scratch = Scratch::new();
    let running = start(&scratch, &[]);
    let before = running.address("admin");
    let with_token = fixed("one").replace("[workers]", "token = \"secret\"\n\n[workers]");
    scratch.write("a.toml", &with_token);
    assert_eq!(post(before, "/reload", "").status, 200);
    assert_eq!(get(before, "/healthz").status, 401);

    scratch
        .write("a.toml", &fixed("one").replace("listen = \"127.0.0.1:0\"", "listen = \"unix:admin.sock\""));
    running.signal("HUP");
    running.wait_for_stdout("listening admin unix:");
    let mut client = Client::connect_unix(&scratch.path("admin.sock")).unwrap();
    assert_eq!(client.get("/healthz").status, 200);
    eventually("the old listener's end", || TcpStream::connect(before).is_err().then_some(()));
    running.stop();
}

#[test]
fn an_unchanged_upstream_keeps_its_connections_p01() {
    let scratch = Scratch::new();
    let origin = Origin::start(|_| (200, "x".into()));
    let text = proxied(origin.address, "");
    let running = Towpath::run(&scratch.write("a.toml", &text), &["web", "admin"]);
    let admin = running.address("admin");
    let mut client = Client::connect(running.address("web"));
    assert_eq!(client.get("/").body, "x");
    let opened = || get(admin, "/upstreams").json()["upstreams"][0]["endpoints"][0]["pool"]["opened"].clone();
    assert_eq!(opened(), 1);
    for number in 0..5 {
        scratch.write(
            "a.toml",
            &format!("{text}[route.r{number}]\nmatch = {{ path = \"/r\" }}\nredirect = {{ to = \"/\" }}\n"),
        );
        assert_eq!(post(admin, "/reload", "").status, 200);
        assert_eq!(client.get("/").body, "x");
    }
    assert_eq!(opened(), 1, "the pool is the same object in all six plans");
    running.stop();
}

#[test]
fn watch_follows_every_way_of_saving() {
    let scratch = Scratch::new();
    let running = start(&scratch, &["--watch"]);
    let web = running.address("web");
    let expect = |body: &str| eventually(body, || (get(web, "/").body == body).then_some(()));

    scratch.write("a.toml", &fixed("written"));
    expect("written");

    scratch.write("a.toml~", &fixed("renamed"));
    fs::rename(scratch.path("a.toml~"), scratch.path("a.toml")).unwrap();
    expect("renamed");

    fs::create_dir(scratch.path("v1")).unwrap();
    scratch.write("v1/a.toml", &fixed("linked"));
    symlink("v1/a.toml", scratch.path("link")).unwrap();
    fs::rename(scratch.path("link"), scratch.path("a.toml")).unwrap();
    expect("linked");

    scratch.write("v1/a.toml", &fixed("behind the link"));
    expect("behind the link");
    running.stop();
}

#[test]
fn watch_tells_a_fault_once_and_goes_on() {
    let scratch = Scratch::new();
    let running = start(&scratch, &["--watch"]);
    let wrong = fixed("two").replace("status", "stauts");
    scratch.write("a.toml", &wrong);
    running.wait_for_stderr("the old plan serves on");
    // Touching the folder makes the watch look again at the same content; the next fault shows that it did.
    scratch.write("other", "x");
    scratch.write("a.toml", &wrong);
    scratch.write("a.toml", &wrong.replace("stauts", "statsu"));
    running.wait_for_stderr("statsu");
    assert_eq!(running.stderr().matches("unknown key \"stauts\"").count(), 1, "{}", running.stderr());
    assert_eq!(get(running.address("web"), "/").body, "one");
    scratch.write("a.toml", &fixed("three"));
    running.wait_for_stderr("plan 2 serves");
    running.stop();
}

#[test]
fn a_file_that_is_away_or_unreadable_is_waited_for() {
    let scratch = Scratch::new();
    let running = start(&scratch, &["--watch"]);
    let web = running.address("web");
    fs::remove_file(scratch.path("a.toml")).unwrap();
    running.wait_for_stderr("no such file");
    assert_eq!(get(web, "/").body, "one");
    scratch.write("a.toml", &fixed("back"));
    running.wait_for_stderr("plan 2 serves");

    fs::remove_file(scratch.path("a.toml")).unwrap();
    fs::create_dir(scratch.path("a.toml")).unwrap();
    running.wait_for_stderr("is a folder");
    assert_eq!(get(web, "/").body, "back");
    fs::remove_dir(scratch.path("a.toml")).unwrap();
    scratch.write("a.toml", &fixed("again"));
    running.wait_for_stderr("plan 3 serves");
    assert_eq!(get(web, "/").body, "again");

    let unreadable = scratch.write("new", &fixed("never"));
    fs::set_permissions(&unreadable, fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser may read everything.
    let is_superuser = fs::read(&unreadable).is_ok();
    fs::rename(unreadable, scratch.path("a.toml")).unwrap();
    running.wait_for_stderr(if is_superuser { "plan 4 serves" } else { "may not be read" });
    running.stop();
}

#[test]
fn what_the_file_includes_is_watched_too() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("parts")).unwrap();
    let part = |body: &str| {
        format!(
            "[route.part]\nmatch = {{ path = \"/part\" }}\nrespond = {{ status = 200, body = \"{body}\" }}\n"
        )
    };
    scratch.write("parts/one.toml", &part("first"));
    let text = format!("include = [\"parts/*.toml\"]\n{}", fixed("one"));
    let running = Towpath::run_with(&scratch.write("a.toml", &text), &["--watch"], &["web"]);
    let web = running.address("web");
    assert_eq!(get(web, "/part").body, "first");
    scratch.write("parts/one.toml", &part("second"));
    eventually("the included file", || (get(web, "/part").body == "second").then_some(()));
    running.stop();
}
