//! The documentation tells the defaults and other crates own them; here both must agree.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the answer")]

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value as Json;
use towpath_config::{parse, schema};
use towpath_control::compile::{CompileEnv, SystemResolver, compile_parsed};
use towpath_control::plan_json;
use towpath_gateway::engine::registry;

/// Tables of the schema, the headers they have in the file, and how the description of a key begins that only some of
/// such tables have.
const TABLES: [(&str, &str, &str); 12] = [
    ("Limits", "limits", ""),
    ("Shutdown", "shutdown", ""),
    ("Listener", "listener.web", ""),
    ("ListenerTimeouts", "listener.web.timeouts", ""),
    ("Listener", "listener.pg", "For `tcp`"),
    ("Listener", "listener.dns", "For `udp`"),
    ("Route", "route.all", ""),
    ("RouteTimeouts", "route.all.timeouts", ""),
    ("Retry", "route.all.retry", ""),
    ("Upstream", "upstream.app", ""),
    ("Health", "upstream.app.health", ""),
    ("Pool", "upstream.app.pool", ""),
];

/// The test would be idle if the defaults were no longer found.
const SPELLED_OUT_MIN: usize = 30;

/// What must be written in each table.
const NEEDED: [(&str, &str); 5] = [
    ("listener.pg", "bind = \"127.0.0.1:1\"\nprotocol = \"tcp\"\nupstream = \"app\"\n"),
    ("listener.dns", "bind = \"127.0.0.1:1\"\nprotocol = \"udp\"\nupstream = \"app\"\n"),
    ("listener.web", "bind = \"127.0.0.1:8080\"\n"),
    ("route.all", "upstream = \"app\"\n"),
    ("upstream.app", "endpoints = [\"127.0.0.1:9001\"]\n"),
];

/// The value in "Default `VALUE`" or "Default 50", as TOML.
fn default_of(description: &str) -> Option<String> {
    let told = description.split("Default ").nth(1)?;
    match told.strip_prefix('`') {
        Some(quoted) => quoted.split('`').next().map(str::to_owned),
        None => {
            let number: String = told.chars().take_while(char::is_ascii_digit).collect();
            (!number.is_empty()).then_some(number)
        }
    }
}

fn defaults(table: &str, begin: &str) -> Vec<(String, String)> {
    let schema = schema();
    let keys = schema["$defs"][table]["properties"].as_object().unwrap();
    let told = keys.iter().filter_map(|(key, property)| {
        let description = property["description"].as_str().unwrap_or_default();
        let is_own =
            if begin.is_empty() { !description.starts_with("For `") } else { description.starts_with(begin) };
        default_of(description).filter(|_| is_own).map(|value| (key.clone(), value))
    });
    told.collect()
}

fn file(is_spelled_out: bool) -> (String, usize) {
    let (mut text, mut count) = (String::new(), 0);
    for (table, header, begin) in TABLES {
        let _ = writeln!(text, "[{header}]");
        text += NEEDED.iter().find(|(name, _)| *name == header).map_or("", |(_, needed)| needed);
        for (key, value) in defaults(table, begin).into_iter().filter(|_| is_spelled_out) {
            let _ = writeln!(text, "{key} = {value}");
            count += 1;
        }
    }
    (text, count)
}

fn plan(text: &str) -> Json {
    let parsed = parse(text, Path::new("towpath.toml"), &|_| None);
    let registry = registry(1);
    let env = CompileEnv {
        workers: 1,
        resolver: &SystemResolver,
        registry: &registry,
        seed: 1,
        connections_total: None,
        ticket_keys: towpath_net::tls::TicketKeys::new(),
    };
    match compile_parsed(&parsed, None, &env) {
        Ok(compiled) => plan_json::plan(&compiled.unbound()),
        Err(faults) => panic!("{}\n{text}", towpath_config::render(&faults, &parsed.sources)),
    }
}

#[test]
fn a_file_that_spells_out_every_documented_default_is_the_file_without_them() {
    let (written, count) = file(true);
    assert!(count >= SPELLED_OUT_MIN, "{count} defaults were found in the documentation:\n{written}");
    assert!(
        ["balance = \"round-robin\"", "tunnel_idle = \"1h\"", "connect_attempts = 3", "max_sessions = 16384"]
            .iter()
            .all(|line| written.contains(line)),
        "{written}"
    );
    assert_eq!(plan(&written), plan(&file(false).0), "{written}");
}

#[test]
fn without_a_retry_table_a_failed_connect_is_tried_once_more() {
    let without = file(false).0.replace("[route.all.retry]\n", "");
    assert_eq!(plan(&without), plan(&file(false).0));
}
