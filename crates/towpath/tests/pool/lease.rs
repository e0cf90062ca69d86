//! Ending a lease (P8, P9) and leaving a `get` (P6).

use std::sync::atomic::Ordering::SeqCst;

use crate::fake::{Answer, Scene, capped, ms, pass, returns, run, secs, settle};

#[test]
fn p06_a_waiter_that_leaves_is_skipped() {
    run(async {
        let scene = Scene::new(capped(1));
        let held = scene.get(0).await;
        let first = scene.starts(0).await;
        let second = scene.starts(1).await;
        first.abort();
        settle().await;
        scene.check("1 in use, 1 waiting");
        returns(held);
        assert_eq!(second.await.unwrap().unwrap().id, 1);
    });
}

#[test]
fn p06_a_connection_assigned_to_one_who_leaves_goes_to_the_next() {
    run(async {
        let scene = Scene::new(capped(1));
        let held = scene.get(0).await;
        let first = scene.starts(0).await;
        let second = scene.starts(1).await;
        returns(held);
        // Assigned, but the first has not run since.
        first.abort();
        assert_eq!(second.await.unwrap().unwrap().id, 1);
        scene.check("nothing");
        assert_eq!(scene.pool.stats().closed.busy, 1);
    });
}

#[test]
fn p06_a_connection_assigned_to_the_last_who_leaves_becomes_idle() {
    run(async {
        let scene = Scene::new(capped(1));
        let held = scene.get(0).await;
        let only = scene.starts(1).await;
        returns(held);
        only.abort();
        settle().await;
        scene.check("1 idle");
    });
}

#[test]
fn p06_a_dial_outlives_its_get() {
    run(async {
        let scene = Scene::new(capped(50));
        scene.peer.answers(Answer::AcceptAfter(secs(1)));
        scene.starts(0).await.abort();
        settle().await;
        scene.check("1 dialling");
        pass(secs(1)).await;
        scene.check("1 idle");
    });
}

#[test]
fn p06_a_slot_granted_to_one_who_leaves_goes_to_the_next() {
    run(async {
        let scene = Scene::new(capped(1));
        let held = scene.get(0).await;
        let first = scene.starts(0).await;
        let second = scene.starts(1).await;
        held.discard();
        // The slot is the first one's, but it leaves before it dials.
        scene.check("1 dialling, 2 waiting");
        first.abort();
        assert_eq!(second.await.unwrap().unwrap().id, 2);
        assert_eq!(scene.pool.stats().dials, 2);
    });
}

#[test]
fn p08_discard_closes() {
    run(async {
        let scene = Scene::new(capped(1));
        scene.get(0).await.discard();
        assert_eq!(scene.peer.closed(), [1]);
        scene.check("nothing");
        assert_eq!(scene.pool.stats().closed.discard, 1);
    });
}

#[test]
fn p08_detach_frees_the_slot_and_keeps_the_connection() {
    run(async {
        let scene = Scene::new(capped(1));
        let tunnel = scene.get(0).await.detach();
        scene.check("nothing");
        assert_eq!(scene.get(0).await.id, 2);
        assert!(!scene.peer.closed().contains(&tunnel.id));
        assert_eq!(scene.pool.stats().closed.detached, 1);
    });
}

#[test]
fn p08_a_held_slot_counts_until_it_is_given_back() {
    run(async {
        let scene = Scene::new(capped(1));
        let (tunnel, held) = scene.get(0).await.detach_held();
        scene.check("1 in use");
        let waiter = scene.starts(0).await;
        scene.check("1 in use, 1 waiting");
        drop(tunnel);
        drop(held);
        assert_eq!(waiter.await.unwrap().unwrap().id, 2);
        assert_eq!((scene.pool.stats().closed.detached, scene.peer.peak.load(SeqCst)), (1, 1));
        assert!(scene.pool.stats().is_consistent());
    });
}

#[test]
fn p08_a_dial_takes_no_idle_connection_and_no_pause() {
    run(async {
        let scene = Scene::new(capped(3));
        let now = tokio::time::Instant::now;
        returns(scene.get(0).await);
        let (tunnel, _held) = scene.pool.dial(0, now(), None).await.unwrap();
        assert_eq!(tunnel.id, 2);
        assert!(!scene.pool.is_pausing(now()));
        scene.peer.answers(Answer::Refuse);
        assert!(scene.pool.dial(0, now(), None).await.is_err());
        // In the pause a dial fails although others are alive, and nothing is dialled for it.
        let dials = scene.pool.stats().dials;
        assert!(scene.pool.is_pausing(now()));
        assert!(scene.pool.dial(0, now(), None).await.is_err());
        assert_eq!(scene.pool.stats().dials, dials);
        scene.peer.answers(Answer::Accept);
        tokio::time::sleep(ms(100)).await;
        assert!(!scene.pool.is_pausing(now()));
        assert!(scene.pool.dial(0, now(), None).await.is_ok());
    });
}

#[test]
fn p09_a_lease_dropped_busy_is_closed() {
    run(async {
        let scene = Scene::new(capped(1));
        drop(scene.get(0).await);
        assert_eq!((scene.peer.closed(), scene.pool.stats().closed.busy), (vec![1], 1));
        // Clean after the first exchange, busy again in the second.
        let mut lease = scene.get(0).await;
        lease.mark_clean(tokio::time::Instant::now());
        lease.mark_busy();
        drop(lease);
        assert_eq!((scene.peer.closed(), scene.pool.stats().closed.busy), (vec![1, 2], 2));
    });
}

#[test]
fn p09_a_closed_connection_makes_room_for_a_waiters_dial() {
    run(async {
        let scene = Scene::new(capped(1));
        let held = scene.get(0).await;
        let waiter = scene.starts(0).await;
        drop(held);
        assert_eq!(waiter.await.unwrap().unwrap().id, 2);
    });
}

#[test]
fn p09_a_byte_after_the_response_closes_the_connection_at_release_t07() {
    run(async {
        let scene = Scene::new(capped(1));
        let lease = scene.get(0).await;
        scene.peer.kills(1);
        returns(lease);
        assert_eq!(scene.peer.closed(), [1]);
        scene.check("nothing");
    });
}
