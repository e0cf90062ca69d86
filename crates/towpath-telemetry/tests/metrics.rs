//! Counters, histograms and their text, read back by a parser written here from the format's description.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

use towpath_telemetry::histogram::{BUCKETS, Histogram, MICROS_MAX, Snapshot};
use towpath_telemetry::label::{Capped, LABEL_VALUES_MAX};
use towpath_telemetry::metrics::{
    Build, CLOSE_REASONS, CloseReason, LIMITS, Limit, RELAY_CLOSES, Registry, RelayClose, status_class,
};
use towpath_telemetry::prometheus::{Encoder, Kind};

// --- reading back -------------------------------------------------------------------------------------------------

/// What a scrape says: for each family its type, for each series its value.
#[derive(Debug, Default)]
struct Scrape {
    types: BTreeMap<String, String>,
    samples: BTreeMap<(String, BTreeMap<String, String>), f64>,
}

impl Scrape {
    /// Panics at whatever the format forbids: a family twice or interleaved, a sample without a type, a series twice.
    fn parse(text: &[u8]) -> Self {
        let text = std::str::from_utf8(text).expect("UTF-8");
        assert!(text.is_empty() || text.ends_with('\n'), "the last line ends too");
        let mut scrape = Self::default();
        let (mut current, mut helped) = (String::new(), BTreeSet::new());
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let name = help.split(' ').next().expect("a name");
                assert!(helped.insert(name.to_owned()), "HELP twice: {name}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("name and type");
                assert!(matches!(kind, "counter" | "gauge" | "histogram"), "{line}");
                assert!(
                    scrape.types.insert(name.to_owned(), kind.to_owned()).is_none(),
                    "TYPE twice: {name}"
                );
                current = name.to_owned();
            } else {
                scrape.add_sample(line, &current);
            }
        }
        scrape
    }

    fn add_sample(&mut self, line: &str, family: &str) {
        let name_end = line.find(['{', ' ']).expect("a value");
        let (name, rest) = line.split_at(name_end);
        let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("{line} stands outside its family"));
        match &*self.types[family] {
            "histogram" => assert!(matches!(suffix, "_bucket" | "_sum" | "_count"), "{line}"),
            "counter" => assert!(suffix.is_empty() && name.ends_with("_total"), "{line}"),
            _ => assert!(suffix.is_empty() && !name.ends_with("_total"), "{line}"),
        }
        let (labels, value) = parse_labels(rest);
        let value = value.trim().parse().unwrap_or_else(|_| panic!("{line}: no number"));
        assert!(self.samples.insert((name.to_owned(), labels), value).is_none(), "{line} stands twice");
    }

    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let found = self.samples.get(&(name.to_owned(), labels));
        *found.unwrap_or_else(|| panic!("no {name} with these labels"))
    }

    /// Series of `name`.
    fn count(&self, name: &str) -> usize {
        self.samples.keys().filter(|(known, _)| known == name).count()
    }
}

fn parse_labels(text: &str) -> (BTreeMap<String, String>, &str) {
    let mut labels = BTreeMap::new();
    let Some(mut rest) = text.strip_prefix('{') else { return (labels, text) };
    loop {
        let (name, after) = rest.split_once("=\"").expect("a label");
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{name}");
        let (mut value, mut chars) = (String::new(), after.char_indices());
        let end = loop {
            match chars.next().expect("a closing quote") {
                (end, '"') => break end,
                (_, '\\') => value.push(match chars.next().expect("an escape").1 {
                    'n' => '\n',
                    c @ ('\\' | '"') => c,
                    other => panic!("unknown escape {other}"),
                }),
                (_, c) => value.push(c),
            }
        };
        assert!(labels.insert(name.to_owned(), value).is_none(), "label {name} twice");
        rest = &after[end + 1..];
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return (labels, rest.strip_prefix("} ").expect("a closing brace")),
        }
    }
}

fn scrape(registry: &Registry) -> Scrape {
    let mut encoder = Encoder::new();
    registry.encode(&mut encoder);
    Scrape::parse(&encoder.finish())
}

fn registry(workers: usize) -> Registry {
    let build = Build { version: "0.1.0".into(), revision: String::new(), rustc: "1.95".into() };
    Registry::new(build, &["no_route", "connect_refused"], workers)
}

// --- registry -----------------------------------------------------------------------------------------------------

#[test]
fn blocks_of_all_workers_are_added_up() {
    let registry = registry(3);
    let users = registry.route("web", "users");
    users.worker(0).record(200, 150, 10, 1_000);
    users.worker(1).record(204, 90, 20, 0);
    users.worker(2).record(503, 3_000_000, 30, 5);
    users.worker(2).record(0, 7, 0, 0);
    let found = scrape(&registry);
    let count = |class| {
        found.value("towpath_requests_total", &[("listener", "web"), ("route", "users"), ("status", class)])
    };
    assert_eq!(["1xx", "2xx", "3xx", "4xx", "5xx", "none"].map(count), [0.0, 2.0, 0.0, 0.0, 1.0, 1.0]);
    let labels = [("listener", "web"), ("route", "users")];
    assert_eq!(found.value("towpath_request_received_bytes_total", &labels), 60.0);
    assert_eq!(found.value("towpath_response_sent_bytes_total", &labels), 1_005.0);
    assert_eq!(found.value("towpath_request_duration_seconds_count", &labels), 4.0);
    assert_eq!(found.value("towpath_request_duration_seconds_sum", &labels), 3.000_247);
    let bucket = |le| {
        found.value(
            "towpath_request_duration_seconds_bucket",
            &[("listener", "web"), ("route", "users"), ("le", le)],
        )
    };
    assert_eq!(
        ["0.000064", "0.000128", "0.000256", "4.194304", "+Inf"].map(bucket),
        [1.0, 2.0, 3.0, 4.0, 4.0]
    );
}

#[test]
fn every_family_a_gateway_needs_is_there() {
    let registry = registry(2);
    let worker = registry.workers().worker(0);
    worker.connection_opened();
    worker.connection_opened();
    worker.connection_closed(CloseReason::Idle);
    worker.refuse(1);
    worker.refuse(200);
    worker.underscore_headers.add(2);
    worker.log_lines_dropped.increment();
    registry.reloads().succeeded.increment();
    registry.reloads().plan_version.set(7);
    let upstream = registry.upstream("users").worker(1);
    upstream.retries.add(3);
    upstream.requests_active.increment();
    let listener = registry.listener("db").worker(1);
    listener.accepted.add(4);
    listener.open.increment();
    listener.limited[Limit::Rate as usize].increment();
    let relay = registry.relay("db", "pg").worker(0);
    relay.opened();
    relay.opened();
    relay.moved(5, 7);
    relay.closed(RelayClose::UpstreamReset);
    let found = scrape(&registry);
    for (name, labels, value) in [
        ("towpath_downstream_connections_accepted_total", &[("worker", "0")][..], 2.0),
        ("towpath_downstream_connections_open", &[("worker", "0")], 1.0),
        ("towpath_downstream_connections_closed_total", &[("reason", "idle")], 1.0),
        ("towpath_gateway_refusals_total", &[("reason", "no_route")], 0.0),
        ("towpath_gateway_refusals_total", &[("reason", "connect_refused")], 1.0),
        ("towpath_gateway_refusals_total", &[("reason", "other")], 1.0),
        ("towpath_request_underscore_headers_dropped_total", &[], 2.0),
        ("towpath_accesslog_lines_dropped_total", &[], 1.0),
        ("towpath_config_reloads_total", &[("result", "ok")], 1.0),
        ("towpath_config_reloads_total", &[("result", "failed")], 0.0),
        ("towpath_plan_version", &[], 7.0),
        ("towpath_workers_count", &[], 2.0),
        ("towpath_build_info", &[("version", "0.1.0"), ("revision", ""), ("rustc", "1.95")], 1.0),
        ("towpath_upstream_retries_total", &[("upstream", "users")], 3.0),
        ("towpath_upstream_requests_active", &[("upstream", "users")], 1.0),
        ("towpath_upstream_latency_seconds_count", &[("upstream", "users")], 0.0),
        ("towpath_listener_connections_accepted_total", &[("listener", "db")], 4.0),
        ("towpath_listener_connections_open", &[("listener", "db")], 1.0),
        ("towpath_listener_limited_total", &[("listener", "db"), ("limit", "rate")], 1.0),
        ("towpath_listener_limited_total", &[("listener", "db"), ("limit", "address")], 0.0),
        ("towpath_relay_connections_total", &[("listener", "db"), ("upstream", "pg")], 2.0),
        ("towpath_relay_connections_open", &[("listener", "db"), ("upstream", "pg")], 1.0),
        ("towpath_relay_received_bytes_total", &[("listener", "db"), ("upstream", "pg")], 5.0),
        ("towpath_relay_sent_bytes_total", &[("listener", "db"), ("upstream", "pg")], 7.0),
        (
            "towpath_relay_closed_total",
            &[("listener", "db"), ("upstream", "pg"), ("reason", "upstream_reset")],
            1.0,
        ),
    ] {
        assert_eq!(found.value(name, labels), value, "{name} {labels:?}");
    }
    assert!(found.types.keys().all(|name| name.starts_with("towpath_")));
}

#[test]
fn numbers_go_on_over_a_reload() {
    let registry = registry(1);
    registry.route("web", "a").worker(0).record(200, 1, 1, 1);
    registry.route("web", "a").worker(0).record(200, 1, 1, 1);
    assert_eq!(registry.route_totals("web", "a").map(|totals| totals.requests_total()), Some(2));
    assert!(registry.route_totals("web", "b").is_none());
    registry.upstream("u").worker(0).retries.add(3);
    assert_eq!(registry.upstream_totals("u").map(|totals| totals.retries), Some(3));
}

#[test]
fn ten_thousand_label_values_stay_bounded_t59() {
    let registry = registry(1);
    let held: Vec<_> = (0..10_000).map(|i| registry.route("web", &format!("r{i}"))).collect();
    held.iter().for_each(|blocks| blocks.worker(0).record(200, 1, 1, 1));
    let ups: Vec<_> = (0..10_000).map(|i| registry.upstream(&format!("u{i}"))).collect();
    ups.iter().for_each(|blocks| blocks.worker(0).retries.increment());
    let found = scrape(&registry);
    assert_eq!(found.count("towpath_request_received_bytes_total"), LABEL_VALUES_MAX + 1);
    assert_eq!(found.count("towpath_upstream_retries_total"), LABEL_VALUES_MAX + 1);
    let rest = (10_000 - LABEL_VALUES_MAX) as f64;
    assert_eq!(
        found.value("towpath_request_received_bytes_total", &[("listener", "other"), ("route", "other")]),
        rest
    );
    assert_eq!(found.value("towpath_upstream_retries_total", &[("upstream", "other")]), rest);
}

#[test]
fn labels_that_no_plan_holds_make_room() {
    let registry = registry(1);
    let kept = registry.route("web", "kept");
    kept.worker(0).record(200, 1, 1, 1);
    for i in 0..10 * LABEL_VALUES_MAX {
        // As by a reload that renames every route each time.
        drop(registry.route("web", &format!("r{i}")));
    }
    let last = registry.route("web", "last");
    last.worker(0).record(200, 1, 1, 1);
    let again = registry.route("web", "kept");
    again.worker(0).record(200, 1, 1, 1);
    assert_eq!(registry.route_totals("web", "kept").map(|totals| totals.requests_total()), Some(2));
    assert_eq!(registry.route_totals("web", "last").map(|totals| totals.requests_total()), Some(1));
    assert!(scrape(&registry).count("towpath_request_received_bytes_total") <= LABEL_VALUES_MAX + 1);
}

#[test]
fn a_route_called_other_does_not_make_a_series_twice_t59() {
    let registry = registry(1);
    let held: Vec<_> = (0..LABEL_VALUES_MAX + 5).map(|i| registry.upstream(&format!("u{i}"))).collect();
    let other = registry.upstream("other");
    other.worker(0).retries.add(2);
    held[LABEL_VALUES_MAX].worker(0).retries.add(3);
    assert_eq!(scrape(&registry).value("towpath_upstream_retries_total", &[("upstream", "other")]), 5.0);

    let first = Registry::new(Build::default(), &[], 1);
    let named = first.upstream("other");
    let held: Vec<_> = (0..LABEL_VALUES_MAX + 5).map(|i| first.upstream(&format!("u{i}"))).collect();
    named.worker(0).retries.add(2);
    held[LABEL_VALUES_MAX].worker(0).retries.add(3);
    assert_eq!(scrape(&first).value("towpath_upstream_retries_total", &[("upstream", "other")]), 5.0);
}

#[test]
fn capped_labels_share_one_thing_beyond_the_bound_t59() {
    let mut hosts: Capped<String, u64> = Capped::new(3);
    for i in 0..10_000 {
        *hosts.get_or_insert_with(&format!("h{}", i % 100), || 0) += 1;
    }
    let seen: Vec<_> = hosts.iter().map(|(label, count)| (label.cloned(), *count)).collect();
    let label = |name: &str| Some(name.to_owned());
    assert_eq!(seen, [(label("h0"), 100), (label("h1"), 100), (label("h2"), 100), (None, 9_700)]);
    hosts.retain(|label, _| label != "h1");
    *hosts.get_or_insert_with(&"new".to_owned(), || 0) += 1;
    *hosts.get_or_insert_with(&"more".to_owned(), || 0) += 1;
    let seen: Vec<_> = hosts.iter().map(|(label, count)| (label.cloned(), *count)).collect();
    assert_eq!(seen, [(label("h0"), 100), (label("h2"), 100), (None, 9_701), (label("new"), 1)]);
}

#[test]
fn hostile_names_stay_inside_their_label_t59() {
    let registry = registry(1);
    let names = [
        "a\"} 1\ntowpath_fake_total{x=\"",
        "back\\slash\\",
        "line\nend",
        "cr\rtab\t\0",
        "ünï\u{2028}",
        "",
        "{}",
    ];
    let held: Vec<_> = names.iter().map(|name| registry.upstream(name)).collect();
    held.iter().for_each(|blocks| blocks.worker(0).retries.increment());
    let found = scrape(&registry);
    for name in names {
        let shown: String =
            name.chars().map(|c| if c.is_ascii_control() && c != '\n' { ' ' } else { c }).collect();
        assert_eq!(found.value("towpath_upstream_retries_total", &[("upstream", &shown)]), 1.0, "{name:?}");
    }
    assert!(!found.types.contains_key("towpath_fake_total"));
}

#[test]
fn numbers_and_help_are_written_as_the_format_wants() {
    let mut encoder = Encoder::new();
    encoder
        .family("a", Kind::Gauge, "two\nlines \\ \"quoted\"")
        .sample_f64(&[("k", "1")], 0.25)
        .sample_f64(&[("k", "2")], f64::NAN)
        .sample_f64(&[("k", "3")], f64::INFINITY)
        .sample_f64(&[("k", "4")], f64::NEG_INFINITY)
        .sample(&[], u64::MAX);
    let text = String::from_utf8(encoder.finish()).expect("UTF-8");
    assert_eq!(
        text,
        "# HELP a two\\nlines \\\\ \"quoted\"\n# TYPE a gauge\na{k=\"1\"} 0.25\na{k=\"2\"} NaN\na{k=\"3\"} +Inf\n\
         a{k=\"4\"} -Inf\na 18446744073709551615\n"
    );
}

#[test]
fn promtool_finds_nothing_wrong() {
    let registry = registry(2);
    registry.route("web", "a\"b").worker(1).record(200, 1_234, 5, 6);
    registry.upstream("u").worker(0).latency.record(9);
    let mut encoder = Encoder::new();
    registry.encode(&mut encoder);
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        println!("skipped: promtool is not installed (Debian package: prometheus)");
        return;
    };
    promtool.stdin.take().expect("a pipe").write_all(&encoder.finish()).expect("promtool reads");
    let output = promtool.wait_with_output().expect("promtool ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn statuses_fall_into_their_class() {
    for (status, class) in
        [(100, 0), (200, 1), (299, 1), (308, 2), (404, 3), (599, 4), (0, 5), (600, 5), (99, 5), (65_535, 5)]
    {
        assert_eq!(status_class(status), class, "{status}");
    }
}

#[test]
fn every_close_reason_has_its_name() {
    use CloseReason::*;
    let all = [Client, Finished, Idle, Timeout, Protocol, Reset, Drain, Limit, Error];
    let names: Vec<_> = all.iter().map(|reason| format!("{reason:?}").to_lowercase()).collect();
    assert_eq!(names, CLOSE_REASONS);
    assert!(all.iter().enumerate().all(|(i, reason)| *reason as usize == i));
}

#[test]
fn every_limit_and_every_end_of_a_relay_has_its_name() {
    let snake = |name: String| {
        let words = name.char_indices().map(|(at, c)| {
            let gap = if at > 0 && c.is_uppercase() { "_" } else { "" };
            format!("{gap}{}", c.to_lowercase())
        });
        words.collect::<String>()
    };
    let limits = [Limit::Process, Limit::Listener, Limit::Rate, Limit::System, Limit::Address];
    assert_eq!(limits.map(|limit| snake(format!("{limit:?}"))), LIMITS);
    use RelayClose::*;
    let ends = [Finished, Idle, ClientReset, UpstreamReset, ClientFailed, UpstreamFailed, Drain];
    assert_eq!(ends.map(|end| snake(format!("{end:?}"))), RELAY_CLOSES);
    assert!(ends.iter().enumerate().all(|(index, end)| *end as usize == index));
}

// --- histogram ----------------------------------------------------------------------------------------------------

fn recorded(values: impl IntoIterator<Item = u64>) -> Snapshot {
    let histogram = Histogram::default();
    values.into_iter().for_each(|value| histogram.record(value));
    histogram.snapshot()
}

#[test]
fn each_value_falls_at_or_below_its_upper_bound_within_a_quarter() {
    let powers = (0..27).map(|power| 1_u64 << power);
    let values = (0..5_000).chain(powers.flat_map(|power| [power - 1, power, power + 1, power + power / 3]));
    for value in values {
        let bound = recorded([value]).quantile_us(0.5);
        assert!(bound >= value && bound <= (value + value / 4).max(1), "{value} is counted as {bound}");
    }
}

#[test]
fn values_beyond_the_last_bucket_are_counted_in_it() {
    for value in [MICROS_MAX, MICROS_MAX + 1, u64::MAX / 2, u64::MAX] {
        let one = recorded([value]);
        assert_eq!((one.count(), one.quantile_us(1.0)), (1, MICROS_MAX), "{value}");
    }
    const { assert!(BUCKETS < 128, "a histogram is a kilobyte") };
}

#[test]
fn exported_bounds_include_their_own_value_and_rise() {
    let bounds: Vec<u64> = recorded([]).cumulative().map(|(bound, _)| bound).collect();
    assert_eq!((bounds.first(), bounds.last(), bounds.len()), (Some(&64), Some(&67_108_864), 21));
    for &bound in &bounds {
        let at_or_below =
            |value| recorded([value]).cumulative().find(|(b, _)| *b == bound).map(|(_, count)| count);
        assert_eq!((at_or_below(bound), at_or_below(bound + 1)), (Some(1), Some(0)), "{bound}");
    }
    let mixed = recorded((0..3_000).map(|i| i * i * 40));
    let counts: Vec<u64> = mixed.cumulative().map(|(_, count)| count).collect();
    assert!(counts.is_sorted() && counts.last().is_some_and(|&count| count < mixed.count()));
}

#[test]
fn merging_is_the_same_as_recording_together() {
    let (a, b) = ([3, 500, 70_000], [9, 500, 12_345_678]);
    let mut merged = recorded(a);
    merged.merge(&recorded(b));
    assert_eq!(merged, recorded(a.into_iter().chain(b)));
    assert_eq!(merged.sum_us(), 3 + 500 + 70_000 + 9 + 500 + 12_345_678);
}

#[test]
fn quantiles_follow_rank() {
    let even = recorded(1..=1_000);
    assert_eq!(recorded([]).quantile_us(0.99), 0);
    for (share, exact) in [(0.0, 1), (0.5, 500), (0.9, 900), (0.99, 990), (1.0, 1_000)] {
        let found = even.quantile_us(share);
        assert!((exact..=exact + exact / 4).contains(&found), "{share}: {found}");
    }
}
