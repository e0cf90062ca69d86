//! Bounds: per pool, over pools, per worker; and changing them (P2, P17, P19, P20).

use std::sync::atomic::Ordering::SeqCst;

use towpath::pool::{Budget, ConfigFault, GetError, Pool, PoolConfig};

use crate::fake::{Answer, Dialler, Peer, Scene, capped, ms, pass, returns, run, secs, settle};

#[test]
fn p02_the_cap_holds_with_dials_counted() {
    run(async {
        let scene = Scene::new(PoolConfig { max_waiters: Some(30), ..capped(3) });
        scene.peer.answers(Answer::AcceptAfter(ms(10)));
        let mut tasks = Vec::new();
        for number in 0..30 {
            let pool = scene.pool.clone();
            tasks.push(tokio::task::spawn_local(async move {
                let lease = pool.get(number % 2, tokio::time::Instant::now(), None).await.unwrap();
                tokio::time::sleep(ms(7)).await;
                match number % 3 {
                    0 => returns(lease),
                    1 => lease.discard(),
                    _ => drop(lease),
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(scene.peer.peak.load(SeqCst), 3);
        assert!(scene.pool.stats().is_consistent());
    });
}

#[test]
fn p02_unlimited_must_be_written_and_then_holds() {
    run(async {
        let scene = Scene::new(PoolConfig { max_connections: None, ..PoolConfig::default() });
        let mut leases = Vec::new();
        for _ in 0..200 {
            leases.push(scene.get(0).await);
        }
        scene.check("200 in use");
    });
}

#[test]
fn p02_contradictions_are_refused() {
    let default = PoolConfig::default;
    let budget = Budget::new(10);
    let cases = [
        (default(), Ok(())),
        (capped(0), Err(ConfigFault::NoConnections)),
        (PoolConfig { min_idle: 51, ..default() }, Err(ConfigFault::MinIdleAboveMax)),
        (PoolConfig { max_idle: Some(51), ..default() }, Err(ConfigFault::MaxIdleAboveMax)),
        (PoolConfig { max_lifetime: secs(1), ..default() }, Err(ConfigFault::IdleTimeoutAboveLifetime)),
        (PoolConfig { max_total: Some(budget), ..default() }, Err(ConfigFault::MaxConnectionsAboveTotal)),
    ];
    for (config, expected) in cases {
        assert_eq!(config.check(), expected, "{config:?}");
    }
}

/// Two pools that share a budget.
fn two_pools(max_total: usize) -> (Scene, Scene) {
    let budget = Budget::new(max_total);
    let config = || PoolConfig { max_total: Some(budget.clone()), ..capped(10) };
    let one = Scene::new(config());
    let pool = Pool::new(Dialler(one.peer.clone()), config(), 2, 8);
    let other = Scene { pool, peer: one.peer.clone() };
    (one, other)
}

#[test]
fn p02_max_total_evicts_the_coldest_of_all_pools() {
    run(async {
        let (one, other) = two_pools(3);
        one.idles(0, 1).await;
        pass(secs(1)).await;
        other.idles(0, 1).await;
        pass(secs(1)).await;
        let _second = (one.get(0).await, one.get(0).await);
        one.check("2 in use");
        other.check("1 idle");
        // All three are open and the only idle one is the other pool's.
        let _third = one.get(0).await;
        other.check("nothing");
        assert_eq!((one.peer.peak.load(SeqCst), one.peer.closed()), (3, vec![2]));
    });
}

#[test]
fn p02_max_total_used_up_makes_waiters_that_any_pool_can_serve() {
    run(async {
        let (one, other) = two_pools(2);
        let held = [one.get(0).await, one.get(0).await];
        let waiters = [other.starts(0).await, other.starts(1).await];
        other.check("2 waiting");
        let [returned, closed] = held;
        returns(returned);
        closed.discard();
        for waiter in waiters {
            assert!(waiter.await.unwrap().is_ok());
        }
        one.check("nothing");
        assert_eq!(one.peer.peak.load(SeqCst), 2);
    });
}

#[test]
fn p17_a_worker_keeps_16_and_shares_the_rest() {
    run(async {
        let scene = Scene::new(capped(50));
        scene.idles(0, 20).await;
        let taken: Vec<_> = (0..20).map(|_| scene.try_get(0).unwrap()).collect();
        let stats = scene.pool.stats();
        assert_eq!((stats.local_hits, stats.shared_hits, stats.steal_hits), (16, 4, 0));
        taken.into_iter().for_each(returns);
    });
}

#[test]
fn p17_few_connections_are_all_shared() {
    run(async {
        let scene = Scene::with_workers(4, capped(7));
        scene.idles(0, 3).await;
        scene.try_get(0).unwrap().discard();
        assert_eq!(scene.pool.stats().shared_hits, 1);
        let scene = Scene::with_workers(4, PoolConfig { worker_tiers: false, ..capped(50) });
        scene.idles(0, 3).await;
        scene.try_get(0).unwrap().discard();
        assert_eq!(scene.pool.stats().shared_hits, 1);
    });
}

#[test]
fn p17_a_foreign_thread_has_no_tier() {
    run(async {
        let scene = Scene::with_workers(2, capped(50));
        scene.idles(9, 2).await;
        let lease = scene.try_get(9).unwrap();
        // Nobody knows whether it is the same foreign thread, so it moves each time.
        assert_eq!((lease.id, scene.peer.rehomes.load(SeqCst)), (2, 2 + 1));
        assert_eq!(scene.pool.stats().shared_hits, 1);
    });
}

#[test]
fn p19_shrinking_closes_idle_ones_now_and_the_rest_on_release() {
    run(async {
        let scene = Scene::new(capped(50));
        let mut held = vec![scene.get(0).await, scene.get(0).await, scene.get(1).await];
        scene.idles(0, 3).await;
        scene.check("3 idle, 3 in use");
        scene.pool.resize(capped(2));
        scene.check("3 in use");
        let waiter = scene.starts(0).await;
        scene.check("3 in use, 1 waiting");
        returns(held.remove(0));
        scene.check("2 in use, 1 waiting");
        returns(held.remove(0));
        assert!(waiter.await.unwrap().is_ok());
        assert_eq!(scene.pool.stats().closed.resize, 4);
    });
}

#[test]
fn p19_after_a_shrink_releases_park_again() {
    run(async {
        let scene = Scene::new(capped(50));
        let held = [scene.get(0).await, scene.get(0).await, scene.get(0).await];
        scene.pool.resize(capped(2));
        held.into_iter().for_each(returns);
        scene.check("2 idle");
        scene.idles(0, 2).await;
        scene.check("2 idle");
    });
}

#[test]
fn p19_growing_lets_waiters_dial() {
    run(async {
        let scene = Scene::new(capped(1));
        let _held = scene.get(0).await;
        let waiters = [scene.starts(0).await, scene.starts(1).await, scene.starts(1).await];
        scene.pool.resize(capped(3));
        settle().await;
        scene.check("3 in use, 1 waiting");
        assert_eq!(waiters.iter().filter(|waiter| waiter.is_finished()).count(), 2);
    });
}

#[test]
fn p19_a_smaller_max_idle_acts_at_once_and_at_each_release() {
    run(async {
        let scene = Scene::new(capped(50));
        scene.idles(0, 5).await;
        scene.pool.resize(PoolConfig { max_idle: Some(2), ..capped(50) });
        assert_eq!(scene.peer.closed(), [1, 2, 3]);
        scene.idles(0, 4).await;
        scene.check("2 idle");
    });
}

#[test]
fn p19_a_closed_pool_lets_leases_finish() {
    run(async {
        let scene = Scene::new(capped(2));
        let held = [scene.get(0).await, scene.get(0).await];
        let waiter = scene.starts(0).await;
        let pool = scene.pool.clone();
        let close = tokio::task::spawn_local(async move { pool.close(secs(10)).await });
        settle().await;
        assert_eq!(waiter.await.unwrap().unwrap_err(), GetError::Closed);
        assert_eq!(scene.fails(0).await, GetError::Closed);
        assert!(!close.is_finished());
        held.into_iter().for_each(returns);
        assert_eq!(close.await.unwrap(), 0);
        assert_eq!(scene.pool.stats().closed.shutdown, 2);
    });
}

#[test]
fn p19_close_gives_up_after_its_grace() {
    run(async {
        let scene = Scene::new(capped(2));
        let _held = scene.get(0).await;
        assert_eq!(scene.pool.close(secs(10)).await, 1);
    });
}

#[test]
fn p19_a_dial_that_ends_after_the_close_is_closed() {
    run(async {
        let scene = Scene::new(capped(2));
        scene.peer.answers(Answer::AcceptAfter(secs(1)));
        let waiter = scene.starts(0).await;
        scene.pool.shut_down();
        assert_eq!(waiter.await.unwrap().unwrap_err(), GetError::Closed);
        pass(secs(1)).await;
        assert_eq!((scene.peer.live(), scene.pool.stats().closed.shutdown), (0, 1));
    });
}

#[test]
fn p19_dropping_the_pool_closes_what_is_idle() {
    run(async {
        let scene = Scene::new(capped(5));
        scene.idles(0, 2).await;
        let lease = scene.get(0).await;
        let Scene { pool, peer } = scene;
        drop(pool);
        assert_eq!(peer.live(), 1);
        returns(lease);
        assert_eq!(peer.live(), 0);
    });
}

#[test]
fn p20_each_end_is_counted_once() {
    run(async {
        let scene = Scene::new(capped(9));
        let held: Vec<_> =
            [scene.get(0).await, scene.get(0).await, scene.get(0).await, scene.get(0).await].into();
        let waiter = scene.starts(0).await;
        pass(ms(3)).await;
        let mut held = held.into_iter();
        held.next().unwrap().discard();
        drop(held.next());
        held.next().map(|lease| lease.detach());
        held.next().into_iter().for_each(returns);
        returns(waiter.await.unwrap().unwrap());
        let stats = scene.pool.stats();
        assert!(stats.is_consistent(), "{stats:?}");
        assert_eq!((stats.opened, stats.closed.total(), stats.dials), (5, 3, 5));
        assert_eq!(stats.waits.count(), 5);
    });
}

#[test]
fn p20_a_peer_is_gone_when_the_pool_says_so() {
    run(async {
        let peer = Peer::new();
        let scene = Scene { pool: Pool::new(Dialler(peer.clone()), capped(4), 2, 1), peer };
        scene.idles(0, 4).await;
        assert_eq!(scene.pool.close(secs(1)).await, scene.peer.live());
    });
}
