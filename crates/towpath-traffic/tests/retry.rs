//! Retries: the decision table, the budget, and health.

#[path = "common/words.rs"]
mod common;

use towpath_traffic::health::{self, Health, State};
use towpath_traffic::retry::{
    Attempt, BUDGET_RATIO_PERCENT, BUDGET_RETRIES_PER_SECOND_MIN, Body, Budget, Conditions, Failure, Rules,
    Stop, Verdict, decide, is_idempotent,
};

const SECOND_US: u64 = 1_000_000;

/// A GET without body that was written to a fresh connection.
const GET: Attempt = Attempt {
    idempotent: true,
    body: Body::Empty,
    reused: false,
    request_bytes: 100,
    response_bytes: 0,
    unprocessed: false,
    response_forwarded: false,
    attempts: 1,
    stale_retry_used: false,
};

/// The same on a connection that had served before.
const STALE: Attempt = Attempt { reused: true, ..GET };

fn rules(attempts: u32, on: &[&str]) -> Rules {
    let mut conditions = Conditions::default();
    assert!(on.iter().all(|word| conditions.add(word)));
    Rules { attempts, on: conditions }
}

fn check(attempt: Attempt, failure: Failure, rules: Option<&Rules>, expected: Verdict) {
    assert_eq!(decide(&attempt, failure, rules), expected, "{attempt:?} {failure:?}");
}

#[test]
fn stale_reused_connection_is_retried_exactly_once_p14() {
    check(STALE, Failure::Closed, None, Verdict::RetryStale);
    check(Attempt { stale_retry_used: true, ..STALE }, Failure::Closed, None, Verdict::Stop(Stop::NotListed));
    let body = Attempt { body: Body::Buffered, ..STALE };
    check(body, Failure::Closed, None, Verdict::RetryStale);
}

#[test]
fn nothing_but_a_stale_reused_connection_is_retried_unasked_p14() {
    check(GET, Failure::Closed, None, Verdict::Stop(Stop::NotListed));
    check(STALE, Failure::Timeout, None, Verdict::Stop(Stop::NotListed));
    check(STALE, Failure::Connect, None, Verdict::Stop(Stop::NotListed));
    check(STALE, Failure::Status(503), None, Verdict::Stop(Stop::NotListed));
    check(
        Attempt { response_bytes: 1, ..STALE },
        Failure::Closed,
        None,
        Verdict::Stop(Stop::ResponseStarted),
    );
    check(Attempt { body: Body::Streamed, ..STALE }, Failure::Closed, None, Verdict::Stop(Stop::BodyGone));
    check(Attempt { idempotent: false, ..STALE }, Failure::Closed, None, Verdict::Stop(Stop::NotIdempotent));
    check(
        Attempt { response_forwarded: true, ..STALE },
        Failure::Closed,
        None,
        Verdict::Stop(Stop::ResponseForwarded),
    );
}

#[test]
fn post_is_retried_only_if_the_origin_cannot_have_seen_it_p14() {
    let post = Attempt { idempotent: false, body: Body::Buffered, ..STALE };
    check(Attempt { request_bytes: 0, ..post }, Failure::Closed, None, Verdict::RetryStale);
    check(Attempt { unprocessed: true, ..post }, Failure::Closed, None, Verdict::RetryStale);
    check(
        post,
        Failure::Closed,
        Some(&rules(5, &["reset", "5xx", "timeout"])),
        Verdict::Stop(Stop::NotIdempotent),
    );
    check(post, Failure::Status(503), Some(&rules(5, &["503"])), Verdict::Stop(Stop::NotIdempotent));
    let refused = Attempt { request_bytes: 0, reused: false, body: Body::Untouched, ..post };
    check(refused, Failure::Connect, Some(&rules(2, &["connect-failure"])), Verdict::Retry);
}

#[test]
fn the_free_retry_uses_no_attempt() {
    let rules = rules(2, &["reset"]);
    check(STALE, Failure::Closed, Some(&rules), Verdict::RetryStale);
    check(Attempt { stale_retry_used: true, ..GET }, Failure::Closed, Some(&rules), Verdict::Retry);
    let used = Attempt { stale_retry_used: true, attempts: 2, ..GET };
    check(used, Failure::Closed, Some(&rules), Verdict::Stop(Stop::AttemptsUsed));
}

#[test]
fn configured_retries_are_those_listed_until_attempts_are_used() {
    let cases = [
        (Failure::Connect, "connect-failure"),
        (Failure::Closed, "reset"),
        (Failure::Timeout, "timeout"),
        (Failure::Status(502), "5xx"),
        (Failure::Status(503), "503"),
        (Failure::Status(429), "429"),
    ];
    for (failure, word) in cases {
        let attempt = match failure {
            Failure::Connect => Attempt { request_bytes: 0, ..GET },
            Failure::Status(_) => Attempt { response_bytes: 80, ..GET },
            _ => GET,
        };
        check(attempt, failure, Some(&rules(3, &[word])), Verdict::Retry);
        check(Attempt { attempts: 2, ..attempt }, failure, Some(&rules(3, &[word])), Verdict::Retry);
        let last = Attempt { attempts: 3, ..attempt };
        check(last, failure, Some(&rules(3, &[word])), Verdict::Stop(Stop::AttemptsUsed));
        check(attempt, failure, Some(&rules(1, &[word])), Verdict::Stop(Stop::AttemptsUsed));
        for (_, other) in
            cases.iter().filter(|(_, other)| *other != word && !(*other == "5xx" && word == "503"))
        {
            check(attempt, failure, Some(&rules(3, &[other])), Verdict::Stop(Stop::NotListed));
        }
    }
}

#[test]
fn what_the_origin_says_it_did_not_look_at_is_sent_again_once_rfc9113_8_7() {
    let post = Attempt { idempotent: false, unprocessed: true, ..GET };
    check(post, Failure::Closed, None, Verdict::RetryStale);
    let again = Attempt { stale_retry_used: true, ..post };
    check(again, Failure::Closed, None, Verdict::Stop(Stop::NotListed));
}

#[test]
fn no_verdict_ever_repeats_what_must_not_be_repeated() {
    let everything = rules(u32::MAX, &["connect-failure", "reset", "timeout", "5xx"]);
    for bits in 0..256_u32 {
        let bit = |n: u32| bits >> n & 1 == 1;
        for body in [Body::Empty, Body::Buffered, Body::Untouched, Body::Streamed] {
            for failure in [Failure::Connect, Failure::Closed, Failure::Timeout, Failure::Status(503)] {
                let attempt = Attempt {
                    idempotent: bit(0),
                    body,
                    reused: bit(1),
                    request_bytes: u64::from(bit(2)),
                    response_bytes: u64::from(bit(3)),
                    unprocessed: bit(4),
                    response_forwarded: bit(5),
                    attempts: 1,
                    stale_retry_used: bit(6),
                };
                let verdict = decide(&attempt, failure, bit(7).then_some(&everything));
                let repeats = !matches!(verdict, Verdict::Stop(_));
                let may_have_acted = attempt.request_bytes > 0 && !attempt.unprocessed;
                assert!(!(repeats && may_have_acted && !attempt.idempotent), "{attempt:?}");
                assert!(!(repeats && (attempt.response_forwarded || body == Body::Streamed)), "{attempt:?}");
                let is_as_dead = attempt.reused || attempt.unprocessed;
                let stale = is_as_dead && !attempt.stale_retry_used && failure == Failure::Closed;
                assert!(
                    verdict != Verdict::RetryStale || (stale && attempt.response_bytes == 0),
                    "{attempt:?}"
                );
                assert!(bit(7) || verdict != Verdict::Retry, "{attempt:?}");
            }
        }
    }
}

#[test]
fn idempotent_methods_are_those_of_the_rfc() {
    let idempotent = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"];
    assert!(idempotent.iter().all(|method| is_idempotent(method.as_bytes())));
    assert!(
        !["POST", "PATCH", "CONNECT", "get", "", "PURGE"]
            .iter()
            .any(|method| is_idempotent(method.as_bytes()))
    );
}

#[test]
fn words_of_on_are_checked() {
    let mut on = Conditions::default();
    for bad in ["", "503x", "0503", "200", "600", "+503", "connect_failure"] {
        assert!(!on.add(bad), "{bad}");
    }
    assert!(!on.lists_status());
    assert!(on.add("503") && on.lists_status());
}

/// Requests evenly over `seconds`, each wanting a retry; how many retries the budget gave.
fn storm(per_second: u64, seconds: u64) -> u64 {
    let mut budget = Budget::new();
    for i in 0..per_second * seconds {
        let now_us = i * SECOND_US / per_second;
        budget.on_request(now_us);
        let _ = budget.try_retry(now_us);
    }
    assert_eq!(budget.retries_total() + budget.refused_total(), per_second * seconds);
    budget.retries_total()
}

#[test]
fn a_storm_of_failures_adds_at_most_the_budget() {
    let allowed = storm(1_000, 60);
    let (share, floor) = (60_000 * BUDGET_RATIO_PERCENT / 100, 60 * BUDGET_RETRIES_PER_SECOND_MIN);
    assert!(allowed <= share + floor, "{allowed}");
    assert!(allowed >= share * 95 / 100, "{allowed}");
}

#[test]
fn a_quiet_upstream_keeps_its_minimum() {
    assert_eq!(storm(1, 60), 60);
    assert_eq!(storm(3, 60), 180);
    let mut budget = Budget::new();
    let allowed = (0..100).filter(|_| budget.try_retry(5 * SECOND_US)).count() as u64;
    assert_eq!(allowed, BUDGET_RETRIES_PER_SECOND_MIN);
}

#[test]
fn a_busy_minute_does_not_pay_for_a_later_storm() {
    let mut budget = Budget::new();
    (0..60_000).for_each(|i| budget.on_request(i * 1_000));
    let later = 120 * SECOND_US;
    let allowed = (0..100).filter(|_| budget.try_retry(later)).count() as u64;
    assert_eq!(allowed, BUDGET_RETRIES_PER_SECOND_MIN);
}

const HEALTH: health::Rules = health::Rules { interval_us: 5 * SECOND_US, healthy: 2, unhealthy: 3 };

/// Feeds results (`+` passed, `-` failed) and shows the state after each (`H`, `U`).
fn check_health(results: &str, expected: &str) {
    let mut health = Health::new(HEALTH, 0, 1);
    let mut shown = String::new();
    for (step, result) in results.chars().enumerate() {
        let (now_us, before) = (step as u64 * 10 * SECOND_US, health.state());
        assert!(health.wants_probe(now_us));
        health.begin_probe(now_us);
        let change =
            if result == '+' { health.probe_passed(now_us) } else { health.probe_failed(now_us, "refused") };
        assert_eq!(change.is_some(), before != health.state());
        shown.push(if health.state() == State::Healthy { 'H' } else { 'U' });
    }
    assert_eq!(shown, expected, "{results}");
}

#[test]
fn thresholds_count_results_in_a_row() {
    check_health("+++", "HHH");
    check_health("---", "HHU");
    check_health("--+--+---", "HHHHHHHHU");
    check_health("---+-+-++-", "HHUUUUUUHH");
}

#[test]
fn health_remembers_why_and_since_when() {
    let mut health = Health::new(HealthRulesOf::one(), 7, 1);
    health.begin_probe(10);
    assert_eq!(health.probe_failed(11, "status 503"), Some(State::Unhealthy));
    assert_eq!(
        (health.since_us(), health.last_failure(), health.is_healthy()),
        (11, Some("status 503"), false)
    );
    health.begin_probe(20);
    assert_eq!(health.probe_passed(21), Some(State::Healthy));
    assert_eq!((health.since_us(), health.last_failure()), (21, Some("status 503")));
}

struct HealthRulesOf;

impl HealthRulesOf {
    fn one() -> health::Rules {
        health::Rules { interval_us: 0, healthy: 0, unhealthy: 0 }
    }
}

#[test]
fn probes_do_not_overlap_and_are_spread_around_the_interval() {
    let mut gaps = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let mut health = Health::new(HEALTH, 0, seed);
        assert!(health.wants_probe(0), "the first probe is due at once");
        health.begin_probe(0);
        assert!(!health.wants_probe(u64::MAX) && health.next_probe_us().is_none());
        let _ = health.probe_passed(1);
        let next = health.next_probe_us().expect("a next probe");
        assert!((4_500_000..5_500_000).contains(&next), "{next}");
        assert!(!health.wants_probe(next - 1) && health.wants_probe(next));
        gaps.insert(next);
    }
    assert!(gaps.len() > 40);
}
