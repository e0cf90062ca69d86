//! Balancers: shares, and what is never picked. All seeds are fixed, so every count is exact and repeatable.

#[path = "common/words.rs"]
mod common;

use common::Dice;
use towpath_traffic::balance::{Balancer, Kind, Split};

const SECOND_US: u64 = 1_000_000;

/// How often each endpoint is picked in `picks` requests that end before the next begins.
fn shares(kind: Kind, weights: &[u32], seed: u64, picks: usize) -> Vec<usize> {
    let mut balancer = Balancer::new(kind, weights, seed);
    let mut counts = vec![0; weights.len()];
    for now_us in 0..picks as u64 {
        let i = balancer.pick(now_us, |_| true, None).expect("an endpoint");
        counts[i] += 1;
        let ticket = balancer.begin(i);
        balancer.end(ticket, now_us, 1_000, true);
    }
    counts
}

/// Pearson's chi-square of counts against weights.
fn chi_square(counts: &[usize], weights: &[u32]) -> f64 {
    let (picks, total) = (counts.iter().sum::<usize>() as f64, weights.iter().sum::<u32>() as f64);
    let terms = counts.iter().zip(weights).filter(|(_, weight)| **weight > 0).map(|(&count, &weight)| {
        let expected = picks * f64::from(weight) / total;
        (count as f64 - expected).powi(2) / expected
    });
    terms.sum()
}

#[test]
fn names_are_those_of_the_configuration() {
    for name in ["round-robin", "random", "least-requests", "p2c-ewma"] {
        assert_eq!(Kind::parse(name).map(Kind::name), Some(name));
    }
    assert_eq!(Kind::parse("roundrobin"), None);
}

#[test]
fn round_robin_is_exact_over_a_cycle_from_every_start() {
    for seed in 0..20 {
        assert_eq!(shares(Kind::RoundRobin, &[5, 1, 0, 4], seed, 1_000), [500, 100, 0, 400], "seed {seed}");
        assert_eq!(shares(Kind::RoundRobin, &[1, 1, 1], seed, 300), [100, 100, 100], "seed {seed}");
    }
}

#[test]
fn round_robin_spreads_the_turns_of_a_heavy_endpoint() {
    let mut split = Split::new(&[5, 1, 1], 0);
    // The seed 0 starts at the beginning of the cycle.
    let turns: Vec<usize> = (0..7).filter_map(|_| split.pick()).collect();
    assert_eq!(turns, [0, 0, 1, 0, 2, 0, 0]);
}

#[test]
fn workers_with_different_seeds_start_at_different_endpoints() {
    let first = |seed| Balancer::new(Kind::RoundRobin, &[1; 8], seed).pick(0, |_| true, None);
    let starts: std::collections::BTreeSet<_> = (0..16).map(first).collect();
    assert!(starts.len() >= 4, "{starts:?}");
}

#[test]
fn random_shares_follow_weights() {
    let weights = [1, 2, 3, 4];
    let counts = shares(Kind::Random, &weights, 7, 100_000);
    // 3 degrees of freedom: 16.3 is passed by chance once in a thousand seeds.
    assert!(chi_square(&counts, &weights) < 16.3, "{counts:?}");
}

#[test]
fn random_shares_follow_weights_when_most_endpoints_are_down() {
    let mut balancer = Balancer::new(Kind::Random, &[1; 200], 3);
    let mut counts = [0; 2];
    for _ in 0..20_000 {
        let i = balancer.pick(0, |i| i == 17 || i == 180, None).expect("an endpoint");
        counts[usize::from(i == 180)] += 1;
    }
    assert!(chi_square(&counts, &[1, 1]) < 10.8, "{counts:?}");
}

#[test]
fn least_requests_follows_weights_when_idle() {
    assert_eq!(shares(Kind::LeastRequests, &[3, 1, 0], 1, 400), [300, 100, 0]);
}

#[test]
fn least_requests_fills_in_proportion_to_weights() {
    let mut balancer = Balancer::new(Kind::LeastRequests, &[3, 1, 2], 5);
    for _ in 0..600 {
        let i = balancer.pick(0, |_| true, None).expect("an endpoint");
        let _ = balancer.begin(i);
    }
    assert_eq!([0, 1, 2].map(|i| balancer.in_flight(i)), [300, 100, 200]);
}

#[test]
fn least_requests_goes_to_the_one_that_finished() {
    let mut balancer = Balancer::new(Kind::LeastRequests, &[1; 4], 5);
    let tickets: Vec<_> = (0..4).map(|i| balancer.begin(i)).collect();
    balancer.end(tickets[2], 0, 1, true);
    assert_eq!(balancer.pick(0, |_| true, None), Some(2));
}

#[test]
fn p2c_ewma_treats_equals_by_weight() {
    let weights = [1, 1, 1, 1];
    let counts = shares(Kind::P2cEwma, &weights, 11, 40_000);
    assert!(counts.iter().all(|count| (9_000..11_000).contains(count)), "{counts:?}");
    let counts = shares(Kind::P2cEwma, &[3, 1, 0], 11, 40_000);
    assert!((28_000..32_000).contains(&counts[0]) && counts[2] == 0, "{counts:?}");
}

/// Runs `requests` one after the other, each taking what `latency_us` says of its endpoint.
fn drive(
    balancer: &mut Balancer,
    start_us: u64,
    requests: usize,
    latency_us: impl Fn(usize) -> u64,
) -> Vec<usize> {
    let mut counts = vec![0; balancer.len()];
    let mut now_us = start_us;
    for _ in 0..requests {
        let i = balancer.pick(now_us, |_| true, None).expect("an endpoint");
        counts[i] += 1;
        let ticket = balancer.begin(i);
        now_us += 100;
        balancer.end(ticket, now_us, latency_us(i), true);
    }
    counts
}

#[test]
fn p2c_ewma_turns_away_from_a_slow_endpoint_and_comes_back() {
    let mut balancer = Balancer::new(Kind::P2cEwma, &[1; 3], 9);
    drive(&mut balancer, 0, 3_000, |_| 1_000);
    let slow = drive(&mut balancer, SECOND_US, 9_000, |i| if i == 0 { 50_000 } else { 1_000 });
    assert!(slow[0] < 90, "a slow endpoint keeps at most a percent: {slow:?}");
    // A minute without news: the estimate of the slow one has faded, and it is tried and found well.
    let healed = drive(&mut balancer, 60 * SECOND_US, 9_000, |_| 1_000);
    assert!(healed[0] > 1_000, "{healed:?}");
}

#[test]
fn p2c_ewma_soon_tries_every_endpoint_whatever_the_speed_of_the_first() {
    for latency_us in [10, 1_000, 100_000] {
        for seed in 0..20 {
            let mut balancer = Balancer::new(Kind::P2cEwma, &[1; 2], seed);
            let counts = drive(&mut balancer, 0, 50, |_| latency_us);
            assert!(counts.iter().all(|&count| count > 5), "{latency_us} us, seed {seed}: {counts:?}");
        }
    }
}

#[test]
fn p2c_ewma_counts_requests_in_flight() {
    let mut balancer = Balancer::new(Kind::P2cEwma, &[1; 2], 9);
    drive(&mut balancer, 0, 100, |_| 1_000);
    for _ in 0..50 {
        let _ = balancer.begin(0);
    }
    for now_us in 10_000..10_100 {
        assert_eq!(balancer.pick(now_us, |_| true, None), Some(1));
    }
}

#[test]
fn an_endpoint_that_fails_quickly_does_not_look_fast() {
    let mut balancer = Balancer::new(Kind::P2cEwma, &[1; 2], 9);
    drive(&mut balancer, 0, 200, |_| 10_000);
    let ticket = balancer.begin(0);
    balancer.end(ticket, 20_100, 5, false);
    let after = drive(&mut balancer, 20_200, 100, |_| 10_000);
    assert_eq!(after[0], 0, "{after:?}");
}

#[test]
fn a_new_endpoint_is_neither_flooded_nor_shunned() {
    let mut balancer = Balancer::new(Kind::P2cEwma, &[1; 3], 9);
    drive(&mut balancer, 0, 3_000, |_| 20_000);
    balancer.resize(&[1; 4], |i| (i < 3).then_some(i));
    let counts = drive(&mut balancer, SECOND_US, 4_000, |_| 20_000);
    assert!((500..1_600).contains(&counts[3]), "{counts:?}");
}

#[test]
fn what_is_unusable_or_avoided_is_not_picked_and_in_flight_never_goes_below_zero() {
    for kind in Kind::ALL {
        for seed in 0..60 {
            check_random_life(kind, seed);
        }
    }
}

/// A random life: picks, ends, cancels, resizes, with endpoints going up and down.
fn check_random_life(kind: Kind, seed: u64) {
    let mut dice = Dice::new(seed);
    let mut weights: Vec<u32> = (0..dice.below(12)).map(|_| dice.below(5) as u32).collect();
    let mut balancer = Balancer::new(kind, &weights, seed);
    let mut open = Vec::new();
    for now_us in (0..3_000_u64).map(|step| step * 700) {
        let up: Vec<bool> = weights.iter().map(|_| dice.chance(60)).collect();
        let avoid = dice.chance(30).then(|| dice.below(12));
        let picked = balancer.pick(now_us, |i| up[i], avoid);
        let candidates: Vec<usize> = (0..weights.len()).filter(|&i| up[i] && weights[i] > 0).collect();
        let others = candidates.iter().any(|&i| Some(i) != avoid);
        let context = format!("{kind:?} seed {seed} at {now_us}");
        match picked {
            None => assert!(candidates.is_empty(), "{context}: something was usable"),
            Some(i) => {
                assert!(candidates.contains(&i), "{context}: {i} is not usable");
                assert!(!others || Some(i) != avoid, "{context}: {i} was to be avoided");
                open.push(balancer.begin(i));
            }
        }
        if !open.is_empty() && dice.chance(60) {
            let ticket = open.swap_remove(dice.below(open.len()));
            if dice.chance(10) {
                balancer.cancel(ticket);
            } else {
                balancer.end(ticket, now_us, dice.below(100_000) as u64, dice.chance(80));
            }
        }
        if dice.chance(1) {
            let gone = dice.below(weights.len() + 1);
            weights = (0..dice.below(12)).map(|_| dice.below(5) as u32).collect();
            balancer.resize(&weights, |i| (i != gone).then_some(i));
        }
        let in_flight: u32 = (0..weights.len()).map(|i| balancer.in_flight(i)).sum();
        assert!(in_flight as usize <= open.len(), "{context}");
    }
    open.into_iter().for_each(|ticket| balancer.end(ticket, 0, 1, true));
    assert!((0..weights.len()).all(|i| balancer.in_flight(i) == 0), "{kind:?} seed {seed}");
}

#[test]
fn a_ticket_finds_its_endpoint_after_a_resize() {
    let mut balancer = Balancer::new(Kind::P2cEwma, &[1; 3], 0);
    let (stays, leaves) = (balancer.begin(2), balancer.begin(0));
    balancer.resize(&[1; 2], |i| [Some(2), Some(1)][i]);
    assert_eq!([0, 1].map(|i| balancer.in_flight(i)), [1, 0]);
    balancer.end(leaves, 0, 1, true);
    balancer.end(stays, 0, 1, true);
    assert_eq!([0, 1].map(|i| balancer.in_flight(i)), [0, 0]);
    assert_eq!(balancer.latency_us(0, 0), Some(1));
    assert_eq!(balancer.latency_us(1, 0), None);
}

#[test]
fn the_avoided_endpoint_is_the_last_resort() {
    for kind in Kind::ALL {
        let mut balancer = Balancer::new(kind, &[1, 1], 0);
        assert_eq!(balancer.pick(0, |_| true, Some(0)), Some(1));
        assert_eq!(balancer.pick(0, |i| i == 0, Some(0)), Some(0));
        assert_eq!(balancer.pick(0, |_| false, Some(0)), None);
        assert_eq!(Balancer::new(kind, &[], 0).pick(0, |_| true, None), None);
        assert_eq!(Balancer::new(kind, &[0, 0], 0).pick(0, |_| true, Some(1)), None);
    }
}

#[test]
fn split_is_exact_over_every_cycle() {
    for seed in 0..50 {
        let mut split = Split::new(&[90, 10], seed);
        for cycle in 0..5 {
            let canary = (0..100).filter(|_| split.pick() == Some(1)).count();
            assert_eq!(canary, 10, "seed {seed} cycle {cycle}");
        }
    }
    assert_eq!(Split::new(&[0], 1).pick(), None);
    assert_eq!(Split::new(&[1, 1], 1).pick_usable(|i| i == 1), Some(1));
}
