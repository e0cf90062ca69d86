//! Idle connections: ageing, dying, looking at them (P10 to P13, P15).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use tokio::time::Instant;
use towpath::pool::{PoolConfig, Validate};

use crate::fake::{Answer, Scene, capped, ms, pass, returns, run, secs};

#[test]
fn p10_idle_connections_close_oldest_first_down_to_min_idle() {
    run(async {
        let scene = Scene::new(PoolConfig { min_idle: 2, idle_timeout: secs(10), ..capped(50) });
        scene.idles(0, 4).await;
        pass(secs(9)).await;
        scene.ticks().await;
        scene.check("4 idle");
        pass(secs(2)).await;
        scene.ticks().await;
        assert_eq!(scene.peer.closed(), [1, 2]);
        // What min_idle keeps is there to be used.
        assert_eq!(scene.try_get(0).unwrap().id, 4);
    });
}

#[test]
fn p10_idle_time_counts_from_the_last_release() {
    run(async {
        let scene = Scene::new(PoolConfig { idle_timeout: secs(10), ..capped(50) });
        for _ in 0..5 {
            let lease = scene.get(0).await;
            returns(lease);
            pass(secs(9)).await;
            scene.ticks().await;
        }
        assert_eq!(scene.pool.stats().dials, 1);
    });
}

#[test]
fn p10_an_overdue_connection_is_not_handed_out_before_the_reaper_comes() {
    run(async {
        let scene = Scene::new(PoolConfig { idle_timeout: secs(10), ..capped(50) });
        scene.idles(0, 2).await;
        pass(secs(10)).await;
        assert!(scene.try_get(0).is_none());
        assert_eq!(scene.pool.stats().closed.idle, 2);
    });
}

#[test]
fn p10_zero_turns_reuse_off() {
    run(async {
        let scene = Scene::new(PoolConfig { idle_timeout: Duration::ZERO, ..capped(1) });
        scene.idles(0, 1).await;
        scene.check("nothing");
        let held = scene.get(0).await;
        let waiter = scene.starts(0).await;
        returns(held);
        assert_eq!(waiter.await.unwrap().unwrap().id, 3);
    });
}

#[test]
fn p11_lifetimes_differ_by_ten_percent_and_none_older_is_handed_out() {
    run(async {
        let scene =
            Scene::new(PoolConfig { max_lifetime: secs(3600), idle_timeout: Duration::MAX, ..capped(50) });
        scene.idles(0, 50).await;
        pass(secs(53 * 60)).await;
        scene.ticks().await;
        scene.check("50 idle");
        pass(secs(7 * 60)).await;
        scene.ticks().await;
        let left = scene.pool.stats().idle;
        assert!((10..40).contains(&left), "{left} of 50: about half are gone after an hour");
        pass(secs(6 * 60 + 1)).await;
        assert!(scene.try_get(0).is_none(), "none is handed out after 66 minutes");
    });
}

#[test]
fn p11_a_long_lease_outlives_its_lifetime_and_closes_at_release() {
    run(async {
        let scene = Scene::new(PoolConfig { max_lifetime: secs(60), idle_timeout: secs(60), ..capped(50) });
        let lease = scene.get(0).await;
        pass(secs(600)).await;
        scene.ticks().await;
        assert_eq!((lease.age(Instant::now()), scene.peer.live()), (secs(600), 1));
        returns(lease);
        assert_eq!((scene.peer.live(), scene.pool.stats().closed.lifetime), (0, 1));
    });
}

#[test]
fn p11_the_reaper_acts_below_min_idle_and_the_gap_is_filled() {
    run(async {
        let scene = Scene::new(PoolConfig { min_idle: 2, max_lifetime: secs(60), ..capped(50) });
        scene.ticks().await;
        scene.check("2 idle");
        pass(secs(67)).await;
        scene.ticks().await;
        scene.check("2 idle");
        assert_eq!((scene.pool.stats().closed.lifetime, scene.pool.stats().dials), (2, 4));
    });
}

/// How many system calls it costs to take a connection after `idle`, and how many readiness looks.
fn looks(validate: Validate, idle: Duration) -> (usize, usize) {
    run(async {
        let scene = Scene::new(PoolConfig { validate, ..capped(50) });
        scene.idles(0, 1).await;
        pass(idle).await;
        let polls = scene.peer.polls.load(SeqCst);
        let _lease = scene.try_get(0).unwrap();
        (scene.peer.looks.load(SeqCst), scene.peer.polls.load(SeqCst) - polls)
    })
}

#[test]
fn p12_each_mode_looks_as_hard_as_it_says() {
    assert_eq!(looks(Validate::None, secs(20)), (0, 1));
    assert_eq!(looks(Validate::Peek, secs(20)), (0, 1));
    assert_eq!(looks(Validate::IfIdleFor(secs(10)), secs(9)), (0, 1));
    assert_eq!(looks(Validate::IfIdleFor(secs(10)), secs(10)), (1, 0));
    assert_eq!(looks(Validate::Always, secs(0)), (1, 0));
}

#[test]
fn p12_a_dead_connection_is_not_handed_out_t07() {
    for validate in [Validate::None, Validate::Peek, Validate::Always] {
        run(async {
            let scene = Scene::new(PoolConfig { validate, ..capped(50) });
            scene.idles(0, 2).await;
            scene.peer.kills(2);
            assert_eq!(scene.try_get(0).unwrap().id, 1);
            assert_eq!((scene.pool.stats().validate_failures, scene.peer.closed()), (1, vec![2, 1]));
        });
    }
}

#[test]
fn p12_after_three_dead_ones_a_dial_is_made() {
    run(async {
        let scene = Scene::new(capped(50));
        scene.idles(0, 8).await;
        (1..=8).for_each(|id| scene.peer.kills(id));
        // Three by the fast look; then three given to it in line; then it insists.
        assert_eq!(scene.get(0).await.id, 9);
        assert_eq!(scene.pool.stats().validate_failures, 6);
        scene.check("2 idle");
    });
}

/// Counts how often it was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn p13_one_watcher_per_worker_removes_the_dead_at_once() {
    run(async {
        let scene = Scene::new(capped(50));
        let woken = [Arc::new(Woken::default()), Arc::new(Woken::default())];
        let wakers: Vec<Waker> = woken.iter().map(|woken| woken.clone().into()).collect();
        let watch = |worker: usize| scene.pool.watch(worker, &mut Context::from_waker(&wakers[worker]));
        let wakes = || (woken[0].0.load(SeqCst), woken[1].0.load(SeqCst));

        let ones = [scene.get(0).await, scene.get(0).await];
        let twos = [scene.get(1).await, scene.get(1).await];
        ones.into_iter().chain(twos).for_each(returns);
        assert_eq!((watch(0), watch(1)), (0, 0));

        scene.peer.kills(2);
        scene.peer.kills(1);
        assert_eq!(wakes(), (1, 0), "two deaths, one wake-up, of the worker that has them");
        assert_eq!((watch(1), watch(0)), (0, 2));
        scene.check("2 idle");
        assert_eq!(scene.pool.stats().closed.dead, 2);

        let polls = scene.peer.polls.load(SeqCst);
        assert_eq!((watch(0), watch(1)), (0, 0));
        assert_eq!(scene.peer.polls.load(SeqCst), polls, "a pool where nothing happened is not looked at");

        scene.peer.kills(4);
        assert_eq!((wakes(), watch(1)), ((1, 1), 1));
    });
}

#[test]
fn p13_the_shared_tier_is_watched_by_the_worker_that_has_the_socket() {
    run(async {
        let scene = Scene::with_workers(2, capped(3));
        let woken = Arc::new(Woken::default());
        let waker: Waker = woken.clone().into();
        let mut cx = Context::from_waker(&waker);
        scene.idles(1, 2).await;
        assert_eq!(scene.pool.watch(1, &mut cx), 0);
        scene.peer.kills(1);
        assert_eq!(woken.0.load(SeqCst), 1);
        assert_eq!((scene.pool.watch(0, &mut cx), scene.pool.watch(1, &mut cx)), (0, 1));
        assert_eq!(scene.peer.closed(), [1]);
    });
}

#[test]
fn p15_min_idle_is_made_at_the_first_tick_and_kept() {
    run(async {
        let scene = Scene::new(PoolConfig { min_idle: 3, ..capped(5) });
        scene.check("nothing");
        scene.ticks().await;
        scene.check("3 idle");
        let _held = [scene.get(0).await, scene.get(0).await, scene.get(0).await];
        pass(secs(1)).await;
        scene.ticks().await;
        // The cap leaves room for two only.
        scene.check("2 idle, 3 in use");
    });
}

#[test]
fn p15_a_failing_peer_is_reported_and_does_not_get_a_storm() {
    run(async {
        let scene = Scene::new(PoolConfig { min_idle: 3, ..capped(5) });
        scene.peer.answers(Answer::Refuse);
        for _ in 0..20 {
            scene.ticks().await;
            pass(secs(1)).await;
        }
        let stats = scene.pool.stats();
        assert_eq!(stats.dial_failures, stats.dials);
        assert!((6..15).contains(&stats.dials), "{stats:?}");
        scene.peer.answers(Answer::Accept);
        for _ in 0..7 {
            scene.ticks().await;
            pass(secs(1)).await;
        }
        scene.check("3 idle");
    });
}

#[test]
fn p15_of_several_ticking_workers_one_acts() {
    run(async {
        let scene = Scene::new(PoolConfig { min_idle: 1, ..capped(5) });
        scene.peer.answers(Answer::AcceptAfter(ms(100)));
        scene.pool.maintain(0, Instant::now());
        scene.pool.maintain(1, Instant::now());
        scene.check("1 dialling");
    });
}

#[test]
fn the_peers_keep_alive_lowers_the_idle_time_to_90_percent() {
    run(async {
        let scene = Scene::new(capped(50));
        scene.peer.says_keep_alive(secs(10));
        scene.idles(0, 1).await;
        pass(ms(8_999)).await;
        let lease = scene.try_get(0).unwrap();
        returns(lease);
        pass(secs(9)).await;
        assert!(scene.try_get(0).is_none());
        assert_eq!(scene.pool.stats().closed.idle, 1);
    });
}

#[test]
fn a_keep_alive_that_the_peer_lowers_later_counts_from_then_on() {
    run(async {
        let scene = Scene::new(capped(50));
        scene.idles(0, 1).await;
        let lease = scene.try_get(0).unwrap();
        scene.peer.says_keep_alive(secs(10));
        returns(lease);
        pass(secs(9)).await;
        assert!(scene.try_get(0).is_none());
        assert_eq!(scene.pool.stats().closed.idle, 1);
    });
}

#[test]
fn a_resize_rules_over_a_connection_that_was_idle_before_and_is_leased() {
    run(async {
        let scene = Scene::new(capped(50));
        scene.idles(0, 1).await;
        let lease = scene.try_get(0).unwrap();
        scene.pool.resize(PoolConfig { idle_timeout: secs(10), ..capped(50) });
        returns(lease);
        pass(secs(10)).await;
        assert!(scene.try_get(0).is_none());
        assert_eq!(scene.pool.stats().closed.idle, 1);
    });
}

#[test]
fn the_idle_age_at_which_the_peer_closed_is_learned_and_never_raised() {
    run(async {
        let scene = Scene::new(capped(50));
        scene.idles(0, 2).await;
        pass(secs(10)).await;
        scene.peer.kills(2);
        assert_eq!(scene.try_get(0).map(|lease| lease.id), None, "the second is as old as the first was");
        scene.idles(0, 1).await;
        pass(ms(8_999)).await;
        returns(scene.try_get(0).unwrap());
        pass(secs(9)).await;
        scene.ticks().await;
        scene.check("nothing");
    });
}

#[test]
fn a_resize_rules_over_connections_that_are_idle_already() {
    run(async {
        let scene = Scene::new(capped(50));
        scene.idles(0, 2).await;
        pass(secs(20)).await;
        scene.pool.resize(PoolConfig { idle_timeout: secs(10), ..capped(50) });
        assert!(scene.try_get(0).is_none());
    });
}

#[test]
fn never_is_a_valid_time() {
    run(async {
        let never = Duration::MAX;
        let config =
            PoolConfig { idle_timeout: never, max_lifetime: never, acquire_timeout: never, ..capped(1) };
        let scene = Scene::new(config);
        scene.idles(0, 1).await;
        pass(secs(1_000_000)).await;
        scene.ticks().await;
        assert_eq!(scene.get(0).await.id, 1);
    });
}

#[test]
fn a_restart_of_the_peer_teaches_nothing() {
    run(async {
        let scene = Scene::new(capped(50));
        scene.idles(0, 1).await;
        pass(ms(20)).await;
        scene.peer.kills(1);
        assert!(scene.try_get(0).is_none());
        scene.idles(0, 1).await;
        pass(secs(200)).await;
        assert!(scene.try_get(0).is_some());
    });
}
