//! Ending a lease (P8, P9) and leaving a `get` (P6).

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Waker};

use tokio::time::Instant;
use towpath::pool::{DialError, GetError, PoolConfig};

use crate::fake::{Answer, Scene, capped, ms, pass, returns, run, secs, settle};

/// Takes a future to its first wait.
#[track_caller]
fn begins<F: Future>(future: Pin<&mut F>) {
    assert!(future.poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

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
        let now = Instant::now;
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
fn p08_a_dial_of_ones_own_is_given_up_with_its_caller_and_nobody_waits_for_it() {
    run(async {
        let scene = Scene::new(capped(2));
        scene.peer.answers(Answer::Hang);
        let mut own = Box::pin(scene.pool.dial(0, Instant::now(), None));
        begins(own.as_mut());
        scene.check("1 dialling");
        // What is on its way is not for others, so they dial.
        scene.peer.answers(Answer::Accept);
        returns(scene.get(1).await);
        scene.check("1 idle, 1 dialling");
        drop(own);
        scene.check("1 idle");
        assert_eq!((scene.peer.live(), scene.pool.stats().dials), (1, 2));
        // Its slot goes to whoever waits for one.
        scene.peer.answers(Answer::Hang);
        let mut own = Box::pin(scene.pool.dial(0, Instant::now(), None));
        begins(own.as_mut());
        let lease = scene.get(1).await;
        let waiter = scene.starts(1).await;
        scene.check("1 in use, 1 dialling, 1 waiting");
        scene.peer.answers(Answer::Accept);
        drop(own);
        assert!(waiter.await.unwrap().is_ok());
        drop(lease);
    });
}

#[test]
fn p07_a_dial_of_ones_own_ends_as_others_do() {
    run(async {
        let scene = Scene::new(PoolConfig { connect_timeout: secs(2), ..capped(2) });
        let dial = |deadline| scene.pool.dial(0, Instant::now(), deadline);
        scene.peer.answers(Answer::Hang);
        // Out of time of its caller's, which says nothing of the peer.
        let late = dial(Some(Instant::now() + secs(1))).await.map(drop);
        assert!(matches!(late, Err(GetError::Timeout { .. })), "{late:?}");
        assert!(!scene.pool.is_pausing(Instant::now()));
        assert_eq!((scene.pool.stats().timeouts, scene.pool.stats().dial_failures), (1, 0));
        let late = dial(None).await.map(drop);
        assert_eq!(late, Err(GetError::Connect(DialError::TimedOut)));
        assert!(scene.pool.is_pausing(Instant::now()));
        tokio::time::sleep(ms(100)).await;
        scene.peer.answers(Answer::Accept);
        assert!(dial(None).await.is_ok());
        scene.peer.answers(Answer::Panic);
        assert_eq!(dial(None).await.map(drop), Err(GetError::Connect(DialError::Panicked)));
        scene.check("nothing");
    });
}

#[test]
fn p19_a_pool_that_is_closed_gives_no_connection_that_comes_later() {
    run(async {
        let scene = Scene::new(capped(2));
        scene.peer.answers(Answer::AcceptAfter(secs(1)));
        let mut own = Box::pin(scene.pool.dial(0, Instant::now(), None));
        begins(own.as_mut());
        scene.pool.shut_down();
        assert_eq!(own.await.map(drop), Err(GetError::Closed));
        scene.check("nothing");
        assert_eq!((scene.peer.closed(), scene.pool.stats().closed.shutdown), (vec![1], 1));
        assert_eq!(scene.pool.dial(0, Instant::now(), None).await.map(drop), Err(GetError::Closed));
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
        lease.mark_clean(Instant::now());
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
