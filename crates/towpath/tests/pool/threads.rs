//! What only real threads show: no lost wake-up, no starvation, the cap and the counts under contention (P2, P4, P5, P17).

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use tokio::time::Instant;
use towpath::pool::PoolConfig;

use crate::fake::{Scene, capped, ms, returns, run, secs};

/// `workers` threads with `tasks` callers each, all of which make `rounds` exchanges. A lost wake-up would leave a
/// caller waiting until `acquire_timeout`, which fails the test.
fn contend(config: PoolConfig, workers: usize, tasks: usize, rounds: usize) -> Scene {
    let cap = config.max_connections.unwrap();
    let scene = Scene::with_workers(
        workers,
        PoolConfig { acquire_timeout: secs(60), max_waiters: Some(workers * tasks), ..config },
    );
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let pool = &scene.pool;
            scope.spawn(move || work(pool.clone(), worker, tasks, rounds));
        }
    });
    let stats = scene.pool.stats();
    assert!(stats.is_consistent(), "{stats:?}");
    assert_eq!((stats.in_use, stats.waiters, stats.timeouts), (0, 0, 0), "{stats:?}");
    assert!(scene.peer.peak.load(SeqCst) <= cap, "the peer saw {:?} connections", scene.peer.peak);
    scene
}

/// One worker: a runtime with a real clock, and `tasks` callers on it.
fn work(
    pool: std::sync::Arc<towpath::pool::Pool<crate::fake::Dialler>>,
    worker: usize,
    tasks: usize,
    rounds: usize,
) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().build_local(Default::default()).unwrap();
    runtime.block_on(async {
        let exchange = |task: usize| {
            let pool = pool.clone();
            async move {
                for round in 0..rounds {
                    let now = Instant::now();
                    let mut lease = match (round * 5 + task) % 89 {
                        0 => pool.get_fresh(worker, now, None).await.unwrap(),
                        _ => pool.get(worker, now, None).await.unwrap(),
                    };
                    lease.exchange();
                    if (round + task).is_multiple_of(3) {
                        tokio::task::yield_now().await;
                    }
                    match (round * 7 + task) % 97 {
                        0 => lease.discard(),
                        1 => drop(lease),
                        _ => lease.mark_clean(Instant::now()),
                    }
                }
            }
        };
        let callers: Vec<_> = (0..tasks).map(|task| tokio::task::spawn_local(exchange(task))).collect();
        for caller in callers {
            caller.await.unwrap();
        }
    });
}

#[test]
fn p05_no_wake_up_is_lost_with_one_connection_for_all() {
    contend(capped(1), 3, 4, 4_000);
}

#[test]
fn p05_no_wake_up_is_lost_with_tiers_in_use() {
    let scene = contend(capped(6), 3, 5, 10_000);
    let stats = scene.pool.stats();
    assert!(stats.local_hits > 0 && stats.waits.count() > 0, "both paths were used: {stats:?}");
}

#[test]
fn p17_tiers_of_several_threads_lose_nothing() {
    contend(capped(40), 4, 8, 5_000);
}

/// PA9: the waits of callers in a full queue, on a clock that only moves when told.
fn longest_and_shortest_wait(callers: usize) -> (Duration, Duration) {
    run(async {
        let scene =
            Scene::new(PoolConfig { max_waiters: Some(1000), acquire_timeout: secs(600), ..capped(4) });
        let mut tasks = Vec::new();
        for caller in 0..callers {
            let pool = scene.pool.clone();
            tasks.push(tokio::task::spawn_local(async move {
                let mut waits = Vec::new();
                for round in 0..6 {
                    let since = Instant::now();
                    let lease = pool.get(caller % 2, since, None).await.unwrap();
                    // The first rounds fill the queue.
                    if (2..5).contains(&round) {
                        waits.push(since.elapsed());
                    }
                    tokio::time::sleep(ms(10)).await;
                    returns(lease);
                }
                waits
            }));
        }
        let mut waits = Vec::new();
        for task in tasks {
            waits.extend(task.await.unwrap());
        }
        (*waits.iter().max().unwrap(), *waits.iter().min().unwrap())
    })
}

#[test]
fn p04_waits_of_a_full_queue_are_even_pa9() {
    for callers in [12, 504] {
        let (longest, shortest) = longest_and_shortest_wait(callers);
        assert!(
            longest.as_millis() * 2 <= shortest.as_millis() * 3,
            "{callers} callers: {longest:?}, {shortest:?}"
        );
    }
}

#[test]
fn p04_a_hot_worker_does_not_starve_the_others_pa9() {
    run(async {
        let scene = Scene::new(capped(1));
        let patient = scene.starts(1).await;
        returns(patient.await.unwrap().unwrap());
        let hot = scene.get(0).await;
        let patient = scene.starts(1).await;
        returns(hot);
        // The hot worker comes back at once, before the other has run.
        let hot = scene.starts(0).await;
        assert!(patient.is_finished() && !hot.is_finished());
    });
}
