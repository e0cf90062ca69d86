//! Configuration cases as files: `cases/NAME.toml` in, `cases/NAME.txt` out. `UPDATE=1` writes the second anew.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the answer")]

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use towpath_config::load;
use towpath_control::compile::{CompileEnv, Compiled, Resolve, compile_parsed};
use towpath_control::plan_json;
use towpath_gateway::engine::registry;

const MANIFEST: &str = env!("CARGO_MANIFEST_DIR");

/// Every name is at one documentation address, except those that never resolve (RFC 6761 §6.4).
struct Names;

impl Resolve for Names {
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if host.ends_with(".invalid") {
            return Err(io::Error::other("no such name"));
        }
        Ok(vec![SocketAddr::from(([192, 0, 2, 7], port))])
    }
}

#[track_caller]
fn check(name: &str) {
    let file = format!("tests/cases/{name}.toml");
    let expected = Path::new("tests/cases").join(format!("{name}.txt"));
    let found = compiled(Path::new(&file));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&expected, found).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&expected).unwrap_or_default();
    assert_eq!(found, expected, "{file}: run again with UPDATE=1 and read the difference");
}

fn compiled(file: &Path) -> String {
    let parsed = load(file, &|_| None);
    let registry = registry(1);
    let env = CompileEnv {
        workers: 1,
        resolver: &Names,
        registry: &registry,
        seed: 1,
        connections_total: None,
        ticket_keys: towpath_net::tls::TicketKeys::new(),
    };
    match compile_parsed(&parsed, None, &env) {
        // Without the cut that a terminal gets.
        Err(faults) => faults.iter().map(|fault| fault.render(&parsed.sources)).collect(),
        Ok(compiled) => {
            let warnings: String =
                compiled.warnings.iter().map(|fault| fault.render(&parsed.sources)).collect();
            warnings + &summary(compiled)
        }
    }
}

fn summary(compiled: Compiled) -> String {
    let wanted: String = compiled
        .wanted
        .iter()
        .map(|wanted| format!("binds {} for {}\n", wanted.address, wanted.listener).replace(MANIFEST, "…"))
        .collect();
    let plan = serde_json::to_string_pretty(&plan_json::plan(&compiled.unbound())).unwrap();
    // Where this checkout lies is nobody's business.
    wanted + &plan.replace(MANIFEST, "…") + "\n"
}

macro_rules! cases {
    ($($(#[doc = $doc:literal])* $test:ident = $file:literal;)+) => {
        $($(#[doc = $doc])* #[test] fn $test() { check($file); })+

        #[test]
        fn every_file_is_a_case() {
            let known = [$($file),+];
            for entry in std::fs::read_dir("tests/cases").unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_stem().unwrap().to_str().unwrap();
                assert!(!path.is_file() || known.contains(&name), "{name} is not in the list of cases");
            }
        }
    };
}

cases! {
    a_small_file_gets_every_default = "smallest";
    every_key_reaches_the_plan = "everything";
    unknown_names_are_told_with_the_nearest_one = "unknown_names";
    layer4_listeners_reach_the_plan = "layer4";
    layer4_targets_that_cannot_work_are_refused = "layer4_faults";
    a_grpc_check_needs_http2_and_a_name_that_is_one = "health_faults";
    what_later_releases_bring_is_refused_one_by_one = "later_releases";
    a_route_has_exactly_one_action_that_can_work = "actions";
    ties_name_both_routes_and_both_places = "ties";
    an_address_is_listened_at_once = "addresses";
    headers_that_the_gateway_owns_cannot_be_edited_t43 = "headers";
    paths_that_could_never_match_are_refused_t40 = "paths";
    demands_on_websockets_reach_the_plan_t54 = "websocket";
    demands_on_websockets_that_mean_nothing_are_refused_t54 = "websocket_faults";
    pool_settings_that_contradict_are_refused_pa12 = "pools";
    endpoints_must_exist_and_resolve = "endpoints";
    folders_must_exist = "files";
    grpc_web_needs_upstreams_that_speak_http2 = "grpc_web_faults";
    types_that_could_never_be_compressed_are_told = "compression";
    the_process_as_a_whole_is_checked_t55 = "process";
    an_empty_file_serves_nothing = "nothing";
    habits_from_elsewhere_are_told_what_to_write = "mistakes";
    a_listener_that_could_not_be_read_is_not_called_absent = "hidden_listener";
}
