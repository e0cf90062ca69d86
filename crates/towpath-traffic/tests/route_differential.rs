//! The index, the plain scan, `explain` and a second reading of the rules, written here from the contract, must agree at
//! every size (T41).

#[path = "common/words.rs"]
mod common;

use common::{Dice, Request};
use towpath_traffic::route::{Fault, HostRule, PathRule, RouteRule, RouteTable, ValueRule, Verdict};

/// A rule as plain text, which the reference reads in its own way.
#[derive(Clone, Debug)]
struct Plain {
    host: String,
    path: String,
    methods: Vec<&'static str>,
    header: Option<(&'static str, &'static str)>,
    query: Option<(&'static str, &'static str)>,
    priority: i32,
}

/// How many different words the dice may use: few words make overlaps likely, many make large tables possible.
#[derive(Clone, Copy)]
struct Words(usize);

impl Words {
    fn word(self, dice: &mut Dice) -> String {
        format!("w{}", dice.below(self.0))
    }

    fn path(self, dice: &mut Dice) -> String {
        (0..=dice.below(4)).map(|_| format!("/{}", self.word(dice))).collect()
    }

    fn host(self, dice: &mut Dice) -> String {
        let labels: Vec<String> = (0..=dice.below(2)).map(|_| self.word(dice)).collect();
        format!("{}.com", labels.join("."))
    }
}

fn random_rule(dice: &mut Dice, words: Words) -> Plain {
    let host = match dice.below(4) {
        0 => "*".to_owned(),
        1 => format!("*.{}", words.host(dice)),
        2 => words.host(dice).to_uppercase(),
        _ => words.host(dice),
    };
    let path = match dice.below(6) {
        0 => "/*".to_owned(),
        1 => format!("{}/*", words.path(dice)),
        2 | 3 => random_pattern(dice, words),
        _ => words.path(dice),
    };
    let methods = if dice.chance(30) { vec![dice.one_of(&["GET", "POST"])] } else { Vec::new() };
    Plain {
        host,
        path,
        methods,
        header: dice.chance(30).then(|| (dice.one_of(&["x-a", "X-B"]), dice.one_of(&["*", "1", "2"]))),
        query: dice.chance(20).then(|| (dice.one_of(&["q", "r"]), dice.one_of(&["*", "1", "2"]))),
        priority: dice.below(3) as i32,
    }
}

fn random_pattern(dice: &mut Dice, words: Words) -> String {
    let mut path = String::new();
    for place in 0..=dice.below(3) {
        let word = words.word(dice);
        path += &if dice.chance(50) { format!("/{{n{place}}}") } else { format!("/{word}") };
    }
    if dice.chance(30) { path + "/{rest...}" } else { path + "/{last}" }
}

fn random_request(dice: &mut Dice, words: Words) -> Request {
    let mut host = words.host(dice);
    if dice.chance(30) {
        host = format!("{}.{host}", words.word(dice));
    }
    if dice.chance(20) {
        host = host.to_uppercase() + ":8080";
    }
    let mut path = words.path(dice);
    path += dice.one_of(&["", "", "", "/", "//", "/w0/w1"]);
    let headers = ["X-A", "x-b"].into_iter().filter(|_| dice.chance(50)).collect::<Vec<_>>();
    Request {
        method: dice.one_of(&["GET", "POST", "PUT"]).into(),
        host: host.into(),
        path: if dice.chance(3) { dice.one_of(&["*", "", "/"]).into() } else { path.into() },
        query: dice.one_of(&[None, Some("q=1"), Some("r=2&q=2"), Some("r&q=%31")]).map(Into::into),
        headers: headers
            .into_iter()
            .map(|name| (name.to_owned(), dice.one_of(&["1", "2", "3"]).to_owned()))
            .collect(),
    }
}

fn built(plain: &Plain, name: usize) -> RouteRule {
    let pair = |(name, value): (&str, &str)| (name.to_owned(), ValueRule::parse(value));
    RouteRule {
        name: format!("r{name}"),
        host: HostRule::parse(&plain.host).expect("a host"),
        path: PathRule::parse(&plain.path).expect("a path"),
        methods: plain.methods.iter().map(|&method| method.to_owned()).collect(),
        headers: plain.header.into_iter().map(pair).collect(),
        query: plain.query.into_iter().map(pair).collect(),
        priority: plain.priority,
    }
}

/// Builds what is left after removing every rule that clashes.
fn build(mut plain: Vec<Plain>) -> (Vec<Plain>, RouteTable) {
    loop {
        let rules = plain.iter().enumerate().map(|(name, rule)| built(rule, name)).collect();
        let faults = match RouteTable::build(rules) {
            Ok(table) => return (plain, table),
            Err(faults) => faults,
        };
        let mut bad: Vec<usize> = faults.iter().map(loser).collect();
        bad.sort_unstable();
        bad.dedup();
        bad.into_iter().rev().for_each(|place| drop(plain.remove(place)));
    }
}

fn loser(fault: &Fault) -> usize {
    match fault {
        Fault::Tie { second, .. } => second.0,
        Fault::Unreachable { route, .. } => route.0,
        other => panic!("the dice make no such fault: {other}"),
    }
}

// The reference: regular words for the contract, no shared code.

fn matches(rule: &Plain, request: &Request) -> bool {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("the dice write ASCII");
    let host = text(&request.host).to_lowercase();
    let host = host.strip_suffix(":8080").unwrap_or(&host);
    let rule_host = rule.host.to_lowercase();
    let host_fits = match rule_host.strip_prefix('*') {
        Some("") => true,
        Some(suffix) => host.ends_with(suffix) && host != suffix,
        None => host == rule_host,
    };
    let path: String = text(&request.path);
    host_fits
        && path_fits(&rule.path, &path)
        && (rule.methods.is_empty() || rule.methods.contains(&&*text(&request.method)))
        && rule.header.is_none_or(|(name, value)| {
            request.header(name.as_bytes()).is_some_and(|found| value == "*" || found == value.as_bytes())
        })
        && rule.query.is_none_or(|(name, value)| query_fits(request.query.as_deref(), name, value))
}

fn path_fits(rule: &str, path: &str) -> bool {
    if rule == "/*" {
        return true;
    }
    if let Some(prefix) = rule.strip_suffix("/*") {
        return path == prefix || path.starts_with(&format!("{prefix}/"));
    }
    if !rule.contains('{') || !path.starts_with('/') {
        return path == rule;
    }
    let (fixed, has_rest) = rule.strip_suffix("/{rest...}").map_or((rule, false), |fixed| (fixed, true));
    let (wanted, found): (Vec<&str>, Vec<&str>) = (fixed.split('/').collect(), path.split('/').collect());
    let lengths_fit = if has_rest { found.len() >= wanted.len() } else { found.len() == wanted.len() };
    let is_same = |(wanted, found): (&&str, &&str)| match wanted.starts_with('{') {
        true => !found.is_empty(),
        false => wanted == found,
    };
    lengths_fit && wanted.iter().zip(&found).all(is_same)
}

fn query_fits(query: Option<&[u8]>, name: &str, value: &str) -> bool {
    let query = String::from_utf8(query.unwrap_or_default().to_vec()).expect("ASCII").replace("%31", "1");
    let found = query.split('&').find(|pair| pair.split('=').next() == Some(name) && !pair.is_empty());
    found.is_some_and(|pair| value == "*" || pair.split_once('=').is_some_and(|(_, found)| found == value))
}

/// Larger is better: the contract's four steps.
fn rank(rule: &Plain) -> impl Ord + use<> {
    let host = match rule.host.strip_prefix('*') {
        Some("") => (0, 0),
        Some(suffix) => (1, suffix.len()),
        None => (2, 0),
    };
    let path = match &*rule.path {
        "/*" => (0, 0),
        path if path.contains('{') => (1, 0),
        path if path.ends_with("/*") => (2, path.len()),
        _ => (3, 0),
    };
    let matchers = usize::from(!rule.methods.is_empty())
        + usize::from(rule.header.is_some())
        + usize::from(rule.query.is_some());
    (host, path, matchers, rule.priority)
}

fn reference(rules: &[Plain], request: &Request) -> Option<usize> {
    let matching: Vec<usize> = (0..rules.len()).filter(|&i| matches(&rules[i], request)).collect();
    let best = matching.iter().copied().max_by_key(|&i| rank(&rules[i]))?;
    let equals = matching.iter().filter(|&&i| rank(&rules[i]) == rank(&rules[best])).count();
    assert_eq!(equals, 1, "the table let a tie pass for {request:?}");
    Some(best)
}

/// Compares all four answers for `requests` random requests against a table of about `size` random rules. Returns how
/// many of the requests found a route.
fn check(seed: u64, size: usize, words: Words, requests: usize) -> usize {
    let mut dice = Dice::new(seed);
    let (rules, table) = build((0..size).map(|_| random_rule(&mut dice, words)).collect());
    let mut hits = 0;
    for _ in 0..requests {
        let request = random_request(&mut dice, words);
        let expected = reference(&rules, &request);
        hits += usize::from(expected.is_some());
        request.with_view(|view| {
            let context = format!("seed {seed}, size {size}, {request:?}");
            assert_eq!(table.find(view), expected, "find: {context}");
            assert_eq!(table.find_slow(view), expected, "find_slow: {context}");
            let candidates = table.explain(view);
            let chosen: Vec<usize> =
                candidates.iter().filter(|c| c.verdict == Verdict::Chosen).map(|c| c.route).collect();
            assert_eq!(chosen, Vec::from_iter(expected), "explain: {context}");
            assert_eq!(candidates.len(), table.len());
        });
    }
    hits
}

#[test]
fn small_random_tables_agree_t41() {
    let hits: usize = (0..600).map(|seed| check(seed, 1 + seed as usize % 40, Words(3), 40)).sum();
    assert!(hits > 5_000, "the requests must meet rules, not miss them all: {hits}");
}

#[test]
fn random_tables_of_hundreds_agree_t41() {
    let hits: usize = (1_000..1_010).map(|seed| check(seed, 400, Words(8), 100)).sum();
    assert!(hits > 300, "{hits}");
}

#[test]
fn random_tables_of_ten_thousand_agree_t41() {
    let hits = check(5_000, 10_000, Words(40), 60) + check(5_001, 10_000, Words(12), 60);
    assert!(hits > 40, "{hits}");
}

/// Every request that can be made of the words of [`Words`]`(2)`, as far as rules can tell them apart.
fn universe() -> Vec<Request> {
    let hosts = [
        "w0.com",
        "w1.com",
        "w0.w0.com",
        "w1.w0.com",
        "w0.w1.com",
        "w1.w1.com",
        "z.w0.w0.com",
        "z.w1.w1.com",
        "z.org",
    ];
    let hosts = hosts.into_iter().chain(["z.w0.w1.com", "z.w1.w0.com", "z.w0.com"]);
    let mut paths = vec![String::new()];
    for depth in 0..4 {
        let start: Vec<String> =
            paths.iter().filter(|path| path.matches('/').count() == depth).cloned().collect();
        paths.extend(start.iter().flat_map(|path| ["/w0", "/w1", "/z"].map(|word| format!("{path}{word}"))));
    }
    let mut all = Vec::new();
    for host in hosts {
        for path in &paths {
            all.push(Request {
                method: b"GET".to_vec(),
                host: host.into(),
                path: path.clone().into_bytes(),
                query: None,
                headers: Vec::new(),
            });
        }
    }
    all
}

#[test]
fn every_fault_is_true() {
    let universe = universe();
    let mut seen = (0, 0);
    for seed in 0..600 {
        let mut dice = Dice::new(seed);
        let mut rules: Vec<Plain> = (0..12).map(|_| random_rule(&mut dice, Words(2))).collect();
        rules.iter_mut().for_each(|rule| (rule.methods, rule.header, rule.query) = (Vec::new(), None, None));
        let plain = rules.iter().enumerate().map(|(name, rule)| built(rule, name)).collect();
        let Err(faults) = RouteTable::build(plain) else { continue };
        for fault in faults {
            match fault {
                Fault::Tie { first, second } => {
                    seen.0 += 1;
                    let both = |r: &Request| matches(&rules[first.0], r) && matches(&rules[second.0], r);
                    assert!(universe.iter().any(both), "seed {seed}: {first:?} and {second:?} never meet");
                }
                Fault::Unreachable { route, by } => {
                    seen.1 += 1;
                    let escapes = |r: &Request| matches(&rules[route.0], r) && !matches(&rules[by.0], r);
                    assert!(!universe.iter().any(escapes), "seed {seed}: {route:?} is reachable past {by:?}");
                }
                other => panic!("{other}"),
            }
        }
    }
    assert!(seen.0 > 50 && seen.1 > 10, "too few faults to prove anything: {seen:?}");
}
