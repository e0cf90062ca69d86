//! Getting a connection: order, waiting, dialling, failing (P3, P4, P7, P14).

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Wake};

use tokio::time::Instant;
use towpath::pool::{DialError, GetError, Overload, PoolConfig};

use crate::fake::{Answer, FakeError, FakeLease, Got, Scene, capped, ms, pass, returns, run, secs, settle};

#[test]
fn p03_own_tier_comes_first_and_the_newest_in_it() {
    run(async {
        let scene = Scene::new(capped(50));
        scene.idles(0, 3).await;
        scene.idles(1, 1).await;
        // Worker 1 stole connection 3 and returned it to its own tier.
        assert_eq!(scene.try_get(1).unwrap().id, 3);
        assert_eq!(scene.try_get(0).unwrap().id, 2);
        scene.check("1 idle");
    });
}

#[test]
fn p03_then_the_shared_tier_then_another_workers() {
    run(async {
        let scene = Scene::new(capped(50));
        // 16 fit into the tier of worker 1, the last two overflow into the shared one.
        scene.idles(1, 18).await;
        let order: Vec<usize> = (0..4)
            .map(|_| {
                let lease = scene.try_get(0).unwrap();
                let id = lease.id;
                lease.detach();
                id
            })
            .collect();
        assert_eq!(order, [18, 17, 16, 15]);
        let stats = scene.pool.stats();
        assert_eq!((stats.local_hits, stats.shared_hits, stats.steal_hits), (0, 2, 2));
        // Each came from another event loop: looked at with a system call, and moved.
        assert_eq!((scene.peer.looks.load(SeqCst), scene.peer.rehomes.load(SeqCst)), (4, 4));
    });
}

#[test]
fn p03_a_connection_that_cannot_move_is_closed_and_replaced() {
    run(async {
        let scene = Scene::new(capped(50));
        scene.idles(1, 1).await;
        scene.peer.lets_no_one_move();
        let lease = scene.get(0).await;
        assert_eq!((lease.id, scene.peer.closed()), (2, vec![1]));
        scene.check("1 in use");
        assert_eq!(scene.pool.stats().closed.dead, 1);
    });
}

#[test]
fn p03_a_returned_connection_serves_the_waiter_and_its_dial_becomes_idle() {
    run(async {
        let scene = Scene::new(capped(2));
        let held = scene.get(0).await;
        scene.peer.answers(Answer::AcceptAfter(secs(1)));
        let waiter = scene.starts(0).await;
        scene.check("1 in use, 1 dialling, 1 waiting");
        returns(held);
        let lease = waiter.await.unwrap().unwrap();
        assert_eq!(lease.id, 1);
        scene.check("1 in use, 1 dialling");
        pass(secs(1)).await;
        scene.check("1 idle, 1 in use");
    });
}

#[test]
fn p03_a_dial_nobody_claims_serves_the_next_so_timeouts_cause_no_storm_of_dials() {
    run(async {
        let scene = Scene::new(capped(50));
        scene.peer.answers(Answer::AcceptAfter(secs(1)));
        for _ in 0..20 {
            scene.starts(0).await.abort();
            settle().await;
        }
        scene.check("1 dialling");
        let waiter = scene.starts(1).await;
        pass(secs(1)).await;
        assert_eq!(waiter.await.unwrap().unwrap().id, 1);
        assert_eq!(scene.pool.stats().dials, 1);
    });
}

#[test]
fn p03_a_dial_ends_at_its_own_timeout() {
    run(async {
        let scene = Scene::new(PoolConfig { connect_timeout: secs(2), ..capped(50) });
        scene.peer.answers(Answer::Hang);
        let since = Instant::now();
        assert_eq!(scene.fails(0).await, GetError::Connect(DialError::TimedOut));
        assert_eq!(since.elapsed(), secs(2));
        scene.check("nothing");
        assert_eq!(scene.peer.live(), 0);
    });
}

#[test]
fn p04_waiters_are_served_first_come_first_served() {
    run(async {
        let scene = Scene::new(PoolConfig { max_waiters: Some(5), ..capped(1) });
        let mut held = scene.get(0).await;
        let mut waiters = Vec::new();
        for number in 0..5 {
            waiters.push(scene.starts(number % 2).await);
        }
        scene.check("1 in use, 5 waiting");
        for served in 0..5 {
            returns(held);
            settle().await;
            let done: Vec<bool> = waiters.iter().map(|waiter| waiter.is_finished()).collect();
            assert_eq!(done, (0..5 - served).map(|index| index == 0).collect::<Vec<_>>());
            held = waiters.remove(0).await.unwrap().unwrap();
        }
        scene.check("1 in use");
    });
}

#[test]
fn p04_a_newcomer_does_not_overtake() {
    run(async {
        let scene = Scene::new(capped(1));
        let held = scene.get(0).await;
        let waiter = scene.starts(1).await;
        returns(held);
        // The waiter has not run yet, and still nobody else can see its connection.
        assert!(scene.try_get(0).is_none());
        scene.check("1 in use");
        assert_eq!(waiter.await.unwrap().unwrap().id, 1);
    });
}

#[test]
fn p04_a_full_queue_refuses_at_once() {
    run(async {
        let scene = Scene::new(PoolConfig { max_waiters: Some(2), ..capped(1) });
        let _held = scene.get(0).await;
        let _waiters = [scene.starts(0).await, scene.starts(1).await];
        let since = Instant::now();
        assert_eq!(scene.fails(0).await, GetError::QueueFull);
        assert_eq!(since.elapsed(), ms(0));
        scene.check("1 in use, 2 waiting");
        assert_eq!(scene.pool.stats().queue_full, 1);
    });
}

#[test]
fn p04_who_waits_for_a_dial_of_its_own_does_not_count_as_queued() {
    run(async {
        let scene = Scene::new(PoolConfig { max_waiters: Some(0), ..capped(1) });
        let lease = scene.get(0).await;
        assert_eq!(scene.fails(0).await, GetError::QueueFull);
        returns(lease);
        assert_eq!(scene.get(0).await.id, 1);
    });
}

#[test]
fn p04_lifo_begins_when_the_queue_is_half_full() {
    run(async {
        let config = PoolConfig { max_waiters: Some(4), overload: Overload::Lifo, ..capped(1) };
        let scene = Scene::new(config);
        let mut held = scene.get(0).await;
        let mut waiters = Vec::new();
        for name in ["first", "second", "third"] {
            waiters.push((name, scene.starts(0).await));
        }
        let mut order = Vec::new();
        while !waiters.is_empty() {
            returns(held);
            settle().await;
            let next = waiters.iter().position(|(_, waiter)| waiter.is_finished()).unwrap();
            let (name, waiter) = waiters.remove(next);
            order.push(name);
            held = waiter.await.unwrap().unwrap();
        }
        assert_eq!(order, ["third", "second", "first"]);
    });
}

#[test]
fn p07_a_timeout_tells_why() {
    run(async {
        let scene = Scene::new(PoolConfig { acquire_timeout: secs(3), ..capped(2) });
        let _held = (scene.get(0).await, scene.get(1).await);
        let _other = scene.starts(1).await;
        let error = scene.fails(0).await;
        let expected = "no connection after 3s: 2 in use, 0 idle, 0 dialling, 2 waiting";
        assert!(matches!(error, GetError::Timeout { waited, .. } if waited >= secs(3)));
        assert_eq!(error.to_string().replace("3.001s", "3s"), expected);
    });
}

#[test]
fn p07_the_callers_deadline_counts_when_it_is_earlier() {
    run(async {
        let scene = Scene::new(capped(1));
        let _held = scene.get(0).await;
        let now = Instant::now();
        let error = scene.pool.get(0, now, Some(now + ms(200))).await.unwrap_err();
        assert!(matches!(error, GetError::Timeout { .. }));
        assert!(now.elapsed() < ms(300));
        scene.check("1 in use");
        assert_eq!(scene.pool.stats().timeouts, 1);
    });
}

const REFUSED: FakeError = GetError::Connect(DialError::Failed("refused"));

#[test]
fn p07_a_refused_dial_fails_all_waiters_when_nothing_is_alive() {
    run(async {
        let scene = Scene::new(capped(2));
        let held = [scene.get(0).await, scene.get(0).await];
        let waiters = [scene.starts(0).await, scene.starts(0).await, scene.starts(1).await];
        scene.peer.answers(Answer::Refuse);
        drop(held);
        for waiter in waiters {
            assert_eq!(waiter.await.unwrap().unwrap_err(), REFUSED);
        }
        scene.check("nothing");
    });
}

#[test]
fn p07_waiters_stay_when_a_connection_is_still_alive() {
    run(async {
        let scene = Scene::new(capped(2));
        let held = scene.get(0).await;
        scene.peer.answers(Answer::Refuse);
        let waiter = scene.starts(0).await;
        scene.check("1 in use, 1 waiting");
        returns(held);
        assert_eq!(waiter.await.unwrap().unwrap().id, 1);
    });
}

#[test]
fn p07_during_the_pause_a_get_fails_at_once_and_afterwards_one_probes() {
    run(async {
        let scene = Scene::new(capped(50));
        scene.peer.answers(Answer::Refuse);
        for _ in 0..10 {
            assert_eq!(scene.fails(0).await, REFUSED);
        }
        assert_eq!(scene.pool.stats().dials, 1);
        scene.peer.answers(Answer::AcceptAfter(ms(10)));
        pass(ms(50)).await;
        let waiters = [scene.starts(0).await, scene.starts(0).await, scene.starts(1).await];
        scene.check("1 dialling, 3 waiting");
        pass(ms(10)).await;
        scene.check("1 in use, 2 dialling, 2 waiting");
        pass(ms(10)).await;
        scene.check("3 in use");
        assert!(waiters.iter().all(|waiter| waiter.is_finished()));
        assert_eq!(scene.pool.stats().dials, 4);
    });
}

#[test]
fn p07_pauses_grow_from_50_ms_to_5_s() {
    run(async {
        let scene = Scene::new(PoolConfig { fail_fast: false, acquire_timeout: secs(60), ..capped(50) });
        scene.peer.answers(Answer::Refuse);
        let since = Instant::now();
        let waiter = scene.starts(0).await;
        let mut dials = Vec::new();
        while since.elapsed() < secs(30) {
            pass(ms(5)).await;
            if scene.pool.stats().dials as usize > dials.len() {
                dials.push(since.elapsed());
            }
        }
        let pauses: Vec<u128> = dials.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
        let full = [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000];
        for (pause, full) in pauses.iter().zip(full) {
            assert!((full * 3 / 4 - 5..=full + 5).contains(pause), "{pauses:?}");
        }
        assert!((9..=13).contains(&pauses.len()), "{pauses:?}");
        scene.peer.answers(Answer::Accept);
        pass(secs(5)).await;
        assert!(waiter.await.unwrap().is_ok());
    });
}

#[test]
fn p07_dials_that_fail_together_count_once() {
    run(async {
        let scene = Scene::new(capped(50));
        scene.peer.answers(Answer::RefuseAfter(ms(100)));
        let waiters =
            [scene.starts(0).await, scene.starts(0).await, scene.starts(0).await, scene.starts(0).await];
        pass(ms(100)).await;
        for waiter in waiters {
            assert_eq!(waiter.await.unwrap().unwrap_err(), REFUSED);
        }
        scene.peer.answers(Answer::Accept);
        pass(ms(50)).await;
        assert!(scene.get(0).await.id > 4);
    });
}

#[test]
fn p07_who_joins_during_a_pause_gets_the_next_probe() {
    run(async {
        let scene = Scene::new(capped(2));
        let _held = scene.get(0).await;
        scene.peer.answers(Answer::Refuse);
        scene.starts(0).await.abort();
        pass(ms(10)).await;
        scene.peer.answers(Answer::Accept);
        let waiter = scene.starts(1).await;
        scene.check("1 in use, 1 waiting");
        pass(ms(50)).await;
        assert!(waiter.await.unwrap().is_ok());
    });
}

#[test]
fn p07_a_panic_in_connect_frees_the_slot_and_is_reported() {
    run(async {
        let scene = Scene::new(capped(1));
        scene.peer.answers(Answer::Panic);
        assert_eq!(scene.fails(0).await, GetError::Connect(DialError::Panicked));
        scene.check("nothing");
        scene.peer.answers(Answer::Accept);
        pass(ms(50)).await;
        drop(scene.get(0).await);
    });
}

#[test]
fn p14_a_fresh_connection_was_never_idle() {
    run(async {
        let scene = Scene::new(capped(50));
        scene.idles(0, 2).await;
        let lease = scene.pool.get_fresh(0, Instant::now(), None).await.unwrap();
        assert_eq!((lease.id, lease.is_reused()), (3, false));
        scene.check("2 idle, 1 in use");
        assert!(scene.try_get(0).unwrap().is_reused());
    });
}

#[test]
fn p14_at_the_cap_a_fresh_connection_takes_the_place_of_the_coldest() {
    run(async {
        let scene = Scene::new(capped(3));
        scene.idles(0, 3).await;
        let lease = scene.pool.get_fresh(0, Instant::now(), None).await.unwrap();
        assert_eq!((lease.id, scene.peer.closed()), (4, vec![1]));
        assert_eq!(scene.peer.peak.load(SeqCst), 3);
        scene.check("2 idle, 1 in use");
    });
}

#[test]
fn p14_with_all_in_use_a_fresh_connection_waits_its_turn() {
    run(async {
        let scene = Scene::new(capped(1));
        let held = scene.get(0).await;
        let before = scene.starts(0).await;
        let fresh = scene.starts_fresh(0).await;
        returns(held);
        let lease = before.await.unwrap().unwrap();
        assert_eq!(lease.id, 1);
        returns(lease);
        let lease = fresh.await.unwrap().unwrap();
        assert_eq!((lease.id, scene.peer.peak.load(SeqCst)), (2, 1));
        scene.check("1 in use");
    });
}

#[test]
fn p14_who_wants_a_fresh_connection_does_not_hold_up_the_others() {
    run(async {
        let scene = Scene::new(capped(2));
        let held = scene.get(0).await;
        scene.peer.answers(Answer::AcceptAfter(secs(1)));
        let fresh = scene.starts_fresh(0).await;
        returns(held);
        // Not past the line, but through it at once.
        assert!(scene.try_get(0).is_none());
        assert_eq!(scene.get(0).await.id, 1);
        pass(secs(1)).await;
        assert_eq!(fresh.await.unwrap().unwrap().id, 2);
    });
}

#[test]
fn p14_a_refused_fresh_dial_is_reported_at_once() {
    run(async {
        let scene = Scene::new(capped(2));
        let _held = scene.get(0).await;
        scene.peer.answers(Answer::Refuse);
        assert_eq!(scene.starts_fresh(0).await.await.unwrap().unwrap_err(), REFUSED);
        scene.check("1 in use");
    });
}

#[test]
fn a_get_and_a_lease_stay_small() {
    run(async {
        let scene = Scene::new(capped(1));
        // Both are part of each request's task; what waiting needs is boxed.
        let get = scene.pool.get(0, Instant::now(), None);
        assert!(size_of_val(&get) <= 128, "{} bytes", size_of_val(&get));
        assert_eq!(size_of::<FakeLease>(), 24);
    });
}

/// A caller of worker 1 and how often it was woken.
struct Caller {
    get: Pin<Box<dyn Future<Output = Got>>>,
    wakes: Arc<Wakes>,
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Caller {
    fn new(scene: &Scene) -> Self {
        let pool = scene.pool.clone();
        let get = Box::pin(async move { pool.get(1, Instant::now(), None).await });
        let mut caller = Self { get, wakes: Arc::default() };
        assert!(!caller.is_served());
        caller
    }

    fn is_served(&mut self) -> bool {
        self.get.as_mut().poll(&mut Context::from_waker(&self.wakes.clone().into())).is_ready()
    }
}

#[test]
fn p05_of_those_whom_another_worker_serves_the_first_is_woken_and_wakes_the_others() {
    for leaves in [false, true] {
        run(async move {
            let scene = Scene::new(capped(4));
            let held = [scene.get(0).await, scene.get(0).await, scene.get(0).await, scene.get(0).await];
            let mut callers: Vec<Caller> = (0..4).map(|_| Caller::new(&scene)).collect();
            let [first, second, third, fourth] = held;
            let wakes: Vec<_> = callers.iter().map(|caller| caller.wakes.clone()).collect();
            let woken = || wakes.iter().map(|wakes| wakes.0.load(SeqCst)).collect::<Vec<_>>();
            [first, second, third].into_iter().for_each(returns);
            assert_eq!(woken(), [1, 0, 0, 0]);
            let mut caller = callers.remove(0);
            assert!(leaves || caller.is_served());
            drop(caller);
            assert_eq!(woken()[..3], [1, 1, 1]);
            // From now on somebody has to be woken from afar again; who leaves hands on what it was given.
            returns(fourth);
            assert_eq!(woken(), [1, 1, 1, 1]);
            assert!(callers.iter_mut().all(Caller::is_served));
        });
    }
}
