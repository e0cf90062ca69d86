use super::*;

const IDLE_US: u64 = 64_000;
const LIMITS: Limits =
    Limits { idle_us: IDLE_US, sessions_max: 100, sessions_per_source_max: 100, reply_ratio: Some(3) };

/// A table driven by words, one a step:
///
/// - `a1`: the client of source `a` with port 1 sends, and has a session opened if it has none;
/// - `a1<`: it is answered with what it sent;
/// - `+9`: 9 ms pass, and who is idle leaves.
///
/// The text is who left, in order: `a1:source`, `a1:table` or `a1:idle`.
fn check(limits: Limits, script: &str, expected: &str) -> Table<()> {
    let (mut table, mut now_us, mut left) = (Table::new(limits), 0, Vec::new());
    for step in script.split(' ') {
        if let Some(span) = step.strip_prefix('+') {
            now_us += span.parse::<u64>().unwrap() * 1000;
            while let Some(key) = table.expired(now_us) {
                left.push(format!("{}:idle", name(&table.close(key).unwrap().flow)));
            }
            continue;
        }
        let flow = flow(step.trim_end_matches('<'));
        if step.ends_with('<') {
            let key = table.find(&flow).unwrap();
            assert_eq!(table.allows(key, Run::one(b"hello")), 1, "{script}: {step}");
            table.get_mut(key).unwrap().account.on_answer(Traffic { datagrams: 1, bytes: 5 });
            continue;
        }
        let key = table.find(&flow).unwrap_or_else(|| {
            while let Some((victim, full)) = table.victim(flow.client.ip()) {
                let gone = name(&table.close(victim).unwrap().flow);
                left.push(format!("{gone}:{}", if full == Full::Source { "source" } else { "table" }));
            }
            table.open(flow, now_us, ())
        });
        table.on_request(key, now_us, Run::one(b"hello"));
        assert_is_sound(&table);
    }
    assert_eq!(left.join(" "), expected, "{script}");
    assert_is_sound(&table);
    table
}

/// The four views of a table name the same sessions.
fn assert_is_sound(table: &Table<()>) {
    let of_sources: usize = table.by_source.values().map(Order::len).sum();
    assert_eq!(table.len(), table.sessions.len());
    assert_eq!(table.len(), of_sources);
    assert_eq!(table.len(), table.newcomers.len() + table.validated.len());
    assert!(table.by_source.values().all(|order| order.len() > 0));
    assert!(table.len() <= table.limits.sessions_max);
}

/// `b7` is 10.0.0.98, port 7.
fn flow(name: &str) -> Flow {
    let (source, port) = name.split_at(1);
    let client = SocketAddr::from(([10, 0, 0, source.as_bytes()[0]], port.parse().unwrap()));
    Flow { client, local: None }
}

fn name(flow: &Flow) -> String {
    let IpAddr::V4(ip) = flow.client.ip() else { panic!("the tests' clients are IPv4") };
    format!("{}{}", char::from(ip.octets()[3]), flow.client.port())
}

#[test]
fn a_session_ends_when_its_client_is_silent() {
    check(LIMITS, "a1 +63 +1", "a1:idle");
    check(LIMITS, "a1 +40 a1 +40 +24", "a1:idle");
    check(LIMITS, "a1 +10 b1 +60 b1 +64", "a1:idle b1:idle");
    assert_eq!(check(LIMITS, "a1 +40 a1 +40", "").len(), 1);
}

#[test]
fn answers_alone_keep_no_session_alive_t30() {
    check(LIMITS, "a1 +60 a1< +4", "a1:idle");
}

#[test]
fn validated_sessions_end_by_time_as_newcomers_do() {
    check(LIMITS, "a1 a1< a1 +1 b1 +63 +1", "a1:idle b1:idle");
    check(LIMITS, "b1 +1 a1 a1< a1 +63 +1", "b1:idle a1:idle");
}

#[test]
fn a_source_over_its_cap_loses_its_own_oldest_session_t30() {
    let limits = Limits { sessions_per_source_max: 2, ..LIMITS };
    check(limits, "b1 a1 a2 a3 a4", "a1:source a2:source");
    check(limits, "b1 a1 a2 +2 a1 a3", "a2:source");
}

#[test]
fn a_full_table_loses_the_session_not_used_for_longest_t30() {
    let limits = Limits { sessions_max: 3, ..LIMITS };
    check(limits, "a1 b1 c1 d1", "a1:table");
    check(limits, "a1 b1 c1 +2 a1 d1", "b1:table");
}

#[test]
fn a_flood_of_newcomers_leaves_validated_sessions_alone_t30() {
    let limits = Limits { sessions_max: 4, ..LIMITS };
    check(limits, "a1 a1< a1 +2 b1 c1 d1 e1 f1 g1", "b1:table c1:table d1:table");
    // But sessions that are validated cannot keep everyone else out.
    check(limits, "a1 a1< a1 b1 b1< b1 c1 c1< c1 d1 d1< d1 +2 e1", "a1:table");
}

#[test]
fn lower_limits_after_a_reload_hold_from_the_next_session_on() {
    let mut table = check(LIMITS, "a1 b1 c1 d1", "");
    table.set_limits(Limits { sessions_max: 2, ..LIMITS });
    let mut evicted = 0;
    while let Some((key, full)) = table.victim(flow("e1").client.ip()) {
        assert_eq!(full, Full::Table);
        table.close(key);
        evicted += 1;
    }
    assert_eq!((evicted, table.len()), (3, 1));
}

#[test]
fn a_whole_ipv6_network_counts_as_one_source_t30() {
    let mut table = Table::new(Limits { sessions_per_source_max: 2, ..LIMITS });
    let mut open = |ip: &str| {
        let flow = Flow { client: SocketAddr::new(ip.parse().unwrap(), 9), local: None };
        let victim = table.victim(flow.client.ip());
        table.open(flow, 0, ());
        victim.map(|(_, full)| full)
    };
    assert_eq!([open("2001:db8::1"), open("2001:db8::2")], [None, None]);
    assert_eq!(open("2001:db8:0:1::1"), None);
    assert_eq!(open("2001:db8::ffff:0:0:3"), Some(Full::Source));
}

#[test]
fn a_client_has_a_session_for_each_local_address_it_asks() {
    let mut table = Table::new(LIMITS);
    let mut flows = ["192.0.2.1", "192.0.2.2"].map(|ip| Flow { local: ip.parse().ok(), ..flow("a1") });
    let keys = flows.map(|flow| table.open(flow, 0, ()));
    assert_ne!(keys[0], keys[1]);
    flows.reverse();
    assert_eq!(flows.map(|flow| table.find(&flow)), [Some(keys[1]), Some(keys[0])]);
}

#[test]
fn a_key_of_a_closed_session_does_nothing() {
    let mut table = Table::new(LIMITS);
    let old = table.open(flow("a1"), 0, ());
    table.close(old);
    let new = table.open(flow("b1"), 0, ());
    table.on_request(old, 0, Run::one(b"hello"));
    assert!(table.close(old).is_none());
    assert_eq!(table.get(new).unwrap().account.requests.datagrams, 0);
    assert_eq!(table.allows(old, Run::one(b"")), 0);
}
