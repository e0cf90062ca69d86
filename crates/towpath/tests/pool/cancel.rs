//! PA7: callers that leave at any moment lose nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Waker};

use tokio::time::Instant;
use towpath::pool::{Pool, PoolConfig};
use towpath_base::random::Random;

use crate::fake::{Answer, Dialler, FakeLease, Got, Scene, capped, ms, pass, returns, run, secs};

/// A caller: away, in a `get`, or holding a lease.
enum Caller {
    Away,
    Getting(Pin<Box<dyn Future<Output = Got>>>),
    Holding(FakeLease),
}

impl Caller {
    /// Takes a random step, each of which may be the last before it is dropped.
    fn steps(self, pool: &Arc<Pool<Dialler>>, random: &mut Random) -> Self {
        let choice = random.below(100);
        match self {
            Self::Away => {
                let (pool, worker) = (pool.clone(), random.below(3) as usize);
                Self::Getting(match choice {
                    0..10 => Box::pin(async move { pool.get_fresh(worker, Instant::now(), None).await }),
                    _ => Box::pin(async move { pool.get(worker, Instant::now(), None).await }),
                })
            }
            Self::Getting(_) if choice < 30 => Self::Away,
            Self::Getting(mut get) => match get.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                std::task::Poll::Pending => Self::Getting(get),
                std::task::Poll::Ready(Ok(lease)) => Self::Holding(lease),
                std::task::Poll::Ready(Err(_)) => Self::Away,
            },
            Self::Holding(lease) => {
                match choice {
                    0..10 => drop(lease),
                    10..15 => lease.discard(),
                    15..18 => drop(lease.detach()),
                    18..60 => returns(lease),
                    _ => return Self::Holding(lease),
                }
                Self::Away
            }
        }
    }
}

/// 40 callers, 5 connections, a peer that is slow, refuses and kills, a clock that moves now and then.
fn random_cancels(seed: u64, steps: usize) {
    const CAP: usize = 5;
    run(async {
        let random = &mut Random::new(seed);
        let scene = Scene::new(PoolConfig {
            idle_timeout: secs(20),
            min_idle: 1,
            max_waiters: Some(100),
            ..capped(CAP)
        });
        let mut callers: Vec<Caller> = (0..40).map(|_| Caller::Away).collect();
        for step in 0..steps {
            let index = random.below(40) as usize;
            let caller = std::mem::replace(&mut callers[index], Caller::Away);
            callers[index] = caller.steps(&scene.pool, random);
            match random.below(400) {
                0..40 => tokio::task::yield_now().await,
                40 => pass(ms(random.below(100))).await,
                41 => scene.peer.answers(Answer::AcceptAfter(ms(random.below(20)))),
                42 => scene.peer.answers(Answer::Accept),
                43 if random.below(5) == 0 => scene.peer.answers(Answer::Refuse),
                44 => scene.ticks().await,
                45 if scene.peer.live() > 0 => scene.peer.kills_one(random),
                _ => {}
            }
            if step % 64 == 0 {
                let stats = scene.pool.stats();
                assert!(stats.is_consistent() && stats.open <= CAP, "seed {seed}, step {step}: {stats:?}");
            }
        }
        drop(callers);
        scene.peer.answers(Answer::Accept);
        for _ in 0..10 {
            pass(secs(1)).await;
        }
        let stats = scene.pool.stats();
        assert_eq!((stats.in_use, stats.waiters, stats.dialling), (0, 0, 0), "seed {seed}: {stats:?}");
        assert_eq!(stats.idle, scene.peer.live(), "seed {seed}: nothing is open that the pool does not know");
        assert!(stats.is_consistent(), "seed {seed}: {stats:?}");
        assert!(scene.peer.peak.load(SeqCst) <= CAP, "seed {seed}: the peer saw more than the cap");
        assert!(scene.get(0).await.id > 0, "seed {seed}: it still works");
    });
}

#[test]
fn p06_random_cancels_lose_nothing_pa7() {
    for seed in 0..8 {
        random_cancels(seed, 125_000);
    }
}

/// Polls a `get` so many times and drops it then, whatever it is about to do. Whether it was over by then.
async fn is_over_after(scene: &Scene, polls: usize, is_fresh: bool) -> bool {
    let now = Instant::now();
    let mut get: Pin<Box<dyn Future<Output = Got>>> = match is_fresh {
        true => Box::pin(scene.pool.get_fresh(0, now, None)),
        false => Box::pin(scene.pool.get(0, now, None)),
    };
    for _ in 0..polls {
        let poll = std::future::poll_fn(|cx| std::task::Poll::Ready(get.as_mut().poll(cx))).await;
        if let std::task::Poll::Ready(outcome) = poll {
            returns(outcome.unwrap());
            return true;
        }
        pass(ms(1)).await;
    }
    false
}

#[test]
fn p06_a_get_may_be_dropped_after_every_poll() {
    for (is_taken, is_fresh) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut polls = 0;
        loop {
            let is_over = run(async {
                let scene = Scene::new(capped(1));
                scene.peer.answers(Answer::AcceptAfter(ms(3)));
                let held = match is_taken {
                    true => Some(scene.get(0).await),
                    false => None,
                };
                let release = async {
                    pass(ms(2)).await;
                    held.into_iter().for_each(returns);
                };
                let (is_over, ()) = tokio::join!(is_over_after(&scene, polls, is_fresh), release);
                for _ in 0..3 {
                    pass(secs(1)).await;
                }
                let stats = scene.pool.stats();
                let none = (stats.in_use, stats.waiters, stats.dialling);
                assert_eq!(none, (0, 0, 0), "after {polls} polls: {stats:?}");
                assert!(stats.is_consistent() && stats.open <= 1, "after {polls} polls: {stats:?}");
                returns(scene.get(0).await);
                is_over
            });
            if is_over {
                break;
            }
            polls += 1;
            assert!(polls < 1000, "it does not end");
        }
        assert!(polls > 1, "it waits for nothing");
    }
}
