//! Who may depend on whom, exactly as ARCHITECTURE.md draws it.

/// Every crate of the product and what it may name. What a row does not list is forbidden.
const ALLOWED: &[(&str, &[&str])] = &[
    ("towpath-base", &[]),
    ("towpath-proto", &["towpath-base"]),
    ("towpath-net", &["towpath-base"]),
    ("towpath-telemetry", &["towpath-base"]),
    ("towpath-traffic", &["towpath-base", "towpath-proto"]),
    ("towpath-derive", &[]),
    // A compiler's plug-in: it runs in programs' builds and is in no program.
    ("towpath-macros", &[]),
    (
        "towpath",
        &[
            "towpath-base",
            "towpath-derive",
            "towpath-macros",
            "towpath-proto",
            "towpath-net",
            "towpath-telemetry",
            "towpath-traffic",
        ],
    ),
    (
        "towpath-gateway",
        &["towpath-base", "towpath-proto", "towpath-net", "towpath-telemetry", "towpath-traffic", "towpath"],
    ),
    ("towpath-config", &["towpath-base"]),
    (
        "towpath-control",
        &[
            "towpath-base",
            "towpath-proto",
            "towpath-net",
            "towpath-telemetry",
            "towpath-traffic",
            "towpath",
            "towpath-gateway",
            "towpath-config",
        ],
    ),
    // What it builds is a process of its own, so that of the data path it knows the sockets alone.
    ("towpath-run", &["towpath-config", "towpath-control", "towpath-net"]),
    (
        "towpath-cli",
        &[
            "towpath-base",
            "towpath-proto",
            "towpath-net",
            "towpath-telemetry",
            "towpath-traffic",
            "towpath",
            "towpath-gateway",
            "towpath-config",
            "towpath-control",
            "towpath-run",
        ],
    ),
    (
        "towpath-testkit",
        &["towpath-base", "towpath-proto", "towpath-net", "towpath-telemetry", "towpath-traffic", "towpath"],
    ),
    ("xtask", &[]),
    // It measures the finished product from outside; only the kit has no outside, being a library.
    ("towpath-bench", &["towpath"]),
];

/// May be a development dependency of anyone, and nothing else.
const TESTKIT: &str = "towpath-testkit";

/// Crates whose inputs are arguments: no clock, no socket, no runtime, no chance, at any depth.
pub(crate) const PURE: &[&str] = &["towpath-proto", "towpath-traffic"];

/// What would make a pure crate impure, by the start of its name.
const IMPURE: &[&str] = &[
    "tokio",
    "mio",
    "socket2",
    "rustix",
    "rand",
    "getrandom",
    "fastrand",
    "async-",
    "futures",
    "hyper",
    "libc",
];

/// Crates that may not be named directly, with the reason.
const FORBIDDEN_DIRECT: &[(&str, &str, &str)] = &[
    ("towpath-gateway", "toml", "a plan is built by control; the gateway reads no file"),
    ("towpath-gateway", "serde", "a plan is built by control; the gateway reads no file"),
    ("towpath-gateway", "clap", "arguments are read by the command line"),
    ("towpath-telemetry", "tokio", "telemetry opens and starts nothing"),
    ("towpath-config", "tokio", "options have no behaviour"),
    ("towpath-net", "httparse", "net knows no HTTP"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Dependencies and build dependencies: what is shipped.
    Normal,
    /// Development dependencies.
    Dev,
}

/// Judges the output of `cargo tree --prefix depth --depth 1`: a crate at depth 0, what it names at depth 1.
pub(crate) fn check(tree: &str, kind: Kind) -> Vec<String> {
    let mut faults = Vec::new();
    let mut from = "";
    for line in tree.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("0"), Some(name)) => {
                from = name;
                faults.extend(check_member(name));
            }
            (Some(_), Some(to)) => faults.extend(check_edge(from, to, kind)),
            _ => {}
        }
    }
    faults
}

fn check_member(name: &str) -> Option<String> {
    match allowed(name) {
        Some(_) => None,
        None => Some(format!(
            "{name}: not in the drawing; add its edges to ARCHITECTURE.md and xtask/src/tidy/edges.rs"
        )),
    }
}

fn check_edge(from: &str, to: &str, kind: Kind) -> Option<String> {
    let reason = match (kind, to) {
        (Kind::Dev, TESTKIT) => return None,
        (Kind::Normal, TESTKIT) => "the testkit is a development dependency only",
        _ => forbidden_direct(from, to, kind).or_else(|| forbidden_edge(from, to))?,
    };
    let section = if kind == Kind::Dev { "dev-dependency " } else { "" };
    Some(format!("{from} -> {to}: forbidden {section}edge, {reason}"))
}

fn forbidden_edge(from: &str, to: &str) -> Option<&'static str> {
    // Its own name appears when a crate's tests name the testkit, which names the crate.
    let is_foreign = allowed(to).is_none() || from == to;
    let is_allowed = allowed(from).is_some_and(|edges| edges.contains(&to));
    (!is_foreign && !is_allowed).then_some("see \"Who may depend on whom\" in ARCHITECTURE.md")
}

fn forbidden_direct(from: &str, to: &str, kind: Kind) -> Option<&'static str> {
    let row = FORBIDDEN_DIRECT.iter().find(|(crate_, name, _)| *crate_ == from && *name == to);
    row.filter(|_| kind == Kind::Normal).map(|(_, _, reason)| *reason)
}

fn allowed(name: &str) -> Option<&'static [&'static str]> {
    ALLOWED.iter().find(|(crate_, _)| *crate_ == name).map(|(_, edges)| *edges)
}

/// Judges everything a pure crate stands on, at any depth.
pub(crate) fn check_pure(name: &str, tree: &str) -> Vec<String> {
    let packages = tree.lines().filter_map(|line| line.split_whitespace().next());
    let mut impure: Vec<&str> =
        packages.filter(|package| IMPURE.iter().any(|start| package.starts_with(start))).collect();
    impure.sort_unstable();
    impure.dedup();
    impure
        .iter()
        .map(|package| format!("{name}: stands on {package}, but it is pure: time and chance are arguments"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree of one edge.
    fn edge(from: &str, to: &str, kind: Kind) -> String {
        check(&format!("0 {from} v0.1.0\n1 {to} v0.1.0\n"), kind).join("\n")
    }

    #[test]
    fn planted_forbidden_edges_are_found() {
        let planted = [
            ("towpath-proto", "towpath-net"),
            ("towpath-traffic", "towpath-net"),
            ("towpath-net", "towpath-proto"),
            ("towpath-net", "towpath-traffic"),
            ("towpath-net", "towpath-telemetry"),
            ("towpath-telemetry", "towpath-net"),
            ("towpath", "towpath-gateway"),
            ("towpath-gateway", "towpath-config"),
            ("towpath-config", "towpath-proto"),
            ("towpath-control", "towpath-cli"),
            ("towpath-base", "towpath-proto"),
            ("towpath-gateway", "toml"),
        ];
        for (from, to) in planted {
            let faults = edge(from, to, Kind::Normal);
            assert!(
                faults.starts_with(&format!("{from} -> {to}: forbidden edge")),
                "{from} -> {to}: {faults:?}"
            );
        }
    }

    #[test]
    fn the_edges_of_the_drawing_pass() {
        for (from, to) in ALLOWED.iter().flat_map(|(from, edges)| edges.iter().map(move |to| (from, to))) {
            assert_eq!(edge(from, to, Kind::Normal), "");
        }
        assert_eq!(edge("towpath-proto", "httparse", Kind::Normal), "");
    }

    #[test]
    fn the_testkit_is_a_development_dependency_only() {
        assert_eq!(edge("towpath-gateway", "towpath-testkit", Kind::Dev), "");
        assert!(
            edge("towpath-gateway", "towpath-testkit", Kind::Normal).contains("development dependency only")
        );
        assert!(
            edge("towpath-gateway", "towpath-config", Kind::Dev).contains("forbidden dev-dependency edge")
        );
    }

    #[test]
    fn a_crate_nobody_drew_is_found() {
        assert!(check("0 towpath-extra v0.1.0\n", Kind::Normal)[0].contains("not in the drawing"));
    }

    #[test]
    fn a_pure_crate_may_not_stand_on_a_runtime_at_any_depth() {
        let tree = "towpath-proto v0.1.0\nmemchr v2.8.0\nsome-helper v1.0.0\ntokio v1.53.3\ntokio v1.53.3\n";
        assert_eq!(check_pure("towpath-proto", tree).len(), 1);
        assert!(check_pure("towpath-proto", "towpath-proto v0.1.0\nmemchr v2.8.0\n").is_empty());
    }
}
