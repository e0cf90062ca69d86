//! Pools by key, and who holds what (P1, P13, P18, PA15).

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use towpath::pool::{Budget, GetError, PoolConfig, Pools};
use towpath::{Ctx, CtxValue};
use towpath_base::random::Random;

use crate::fake::{Answer, Dialler, Peer, capped, ms, pass, run, secs, settle};

#[derive(CtxValue)]
#[ctx(propagate = "inherit")]
struct Fact;

type Keyed = Pools<u32, Dialler>;

fn pools(config: PoolConfig) -> (Keyed, Arc<Peer>) {
    let peer = Peer::new();
    let dialled = peer.clone();
    (Pools::new(config, move |_key: &u32| Dialler(dialled.clone())), peer)
}

async fn exchange(pools: &Keyed, ctx: &Ctx, key: u32) -> usize {
    let mut loan = pools.get(ctx, &key).await.unwrap();
    loan.mark_clean(tokio::time::Instant::now());
    loan.id
}

#[test]
fn p01_a_connection_of_one_key_is_never_that_of_another() {
    run(async {
        let (pools, _peer) = pools(PoolConfig::default());
        let ctx = &Ctx::background();
        let (one, two) = (exchange(&pools, ctx, 1).await, exchange(&pools, ctx, 2).await);
        assert_ne!(one, two);
        assert_eq!((exchange(&pools, ctx, 1).await, exchange(&pools, ctx, 2).await), (one, two));
        assert_eq!(pools.stats(&1).unwrap().shared_hits, 1);
        assert!(pools.stats(&3).is_none());
    });
}

#[test]
fn p02_all_keys_have_one_bound_together() {
    run(async {
        let (pools, peer) = pools(PoolConfig { max_total: Some(Budget::new(2)), ..capped(2) });
        let ctx = &Ctx::background();
        for key in 0..100 {
            exchange(&pools, ctx, key).await;
        }
        assert_eq!(peer.peak.load(SeqCst), 2);
    });
}

#[test]
fn p10_a_pool_that_is_not_needed_goes_and_its_task_too() {
    run(async {
        let (pools, peer) = pools(PoolConfig { idle_timeout: secs(5), ..PoolConfig::default() });
        let ctx = &Ctx::background();
        for key in 0..1_000 {
            exchange(&pools, ctx, key).await;
        }
        assert_eq!((pools.len(), peer.live()), (1_000, 1_000));
        pass(secs(3)).await;
        exchange(&pools, ctx, 7).await;
        for _ in 0..3 {
            pass(secs(1)).await;
        }
        assert_eq!((pools.len(), peer.live()), (1, 1));
        for _ in 0..6 {
            pass(secs(1)).await;
        }
        assert_eq!((pools.len(), peer.live()), (0, 0));
        exchange(&pools, ctx, 7).await;
        assert_eq!(pools.len(), 1);
    });
}

#[test]
fn p13_a_foreign_thread_s_idle_connection_is_watched() {
    run(async {
        let (pools, peer) = pools(PoolConfig::default());
        let id = exchange(&pools, &Ctx::background(), 1).await;
        settle().await;
        peer.kills(id);
        settle().await;
        assert_eq!((peer.live(), pools.stats(&1).unwrap().closed.dead), (0, 1));
    });
}

#[test]
fn p18_who_waits_for_himself_is_counted() {
    run(async {
        let (pools, _peer) = pools(capped(1));
        let (request, _guard) = Ctx::background().with_cancel();
        let held = pools.get(&request, &1).await.unwrap();
        let below = request.with_timeout(secs(1));
        assert!(matches!(
            pools.get(&below, &1).await.unwrap_err(),
            GetError::Timeout { .. } | GetError::Canceled
        ));
        assert_eq!(pools.stats(&1).unwrap().nested, 1);
        // Another request that has to wait is none of its affair, nor is another pool.
        let (other, _guard) = Ctx::background().with_cancel();
        assert!(pools.get(&other.with_timeout(secs(1)), &1).await.is_err());
        drop(pools.get(&below.without_cancel(), &2).await.unwrap());
        assert_eq!(pools.stats(&1).unwrap().nested, 1);
        drop(held);
        assert_eq!(pools.stats(&1).unwrap().in_use, 0);
    });
}

#[test]
fn p18_whatever_was_derived_between_the_two_is_looked_through() {
    run(async {
        let (pools, _peer) = pools(capped(1));
        let (request, _guard) = Ctx::background().with_cancel();
        let held = pools.get(&request.with(Fact), &1).await.unwrap();
        let nested = async |ctx: &Ctx| {
            assert!(pools.get(&ctx.with_timeout(secs(1)), &1).await.is_err());
            pools.stats(&1).unwrap().nested
        };
        let (step, _guard) = request.with_cancel();
        assert_eq!(nested(&step).await, 1);
        assert_eq!(nested(&request.with(Fact)).await, 2, "another value is no other request");
        // A task that the holder waits for, and with it for himself.
        let in_scope = request.scope(|ctx| {
            let pools = pools.clone();
            async move {
                let get = async move |ctx: Ctx| {
                    let got = pools.get(&ctx.with_timeout(secs(1)), &1).await.is_err();
                    Ok::<_, Infallible>(got)
                };
                Ok::<_, Infallible>(ctx.spawn("get", get).await.unwrap())
            }
        });
        assert!(in_scope.await.unwrap());
        assert_eq!(pools.stats(&1).unwrap().nested, 3);
        drop(held);
    });
}

#[test]
fn p18_tasks_side_by_side_do_not_wait_for_themselves() {
    run(async {
        let (pools, _peer) = pools(capped(1));
        let (request, _guard) = Ctx::background().with_cancel();
        let all = request.scope(|ctx| {
            let pools = pools.clone();
            async move {
                // One that has it, and as many waiters as there may be.
                for number in 0..5 {
                    let pools = pools.clone();
                    ctx.spawn("get", async move |ctx: Ctx| {
                        let ctx = if number % 2 == 0 { ctx } else { ctx.with_timeout(secs(60)) };
                        let mut loan = pools.get(&ctx, &1).await.unwrap();
                        tokio::time::sleep(ms(10)).await;
                        loan.mark_clean(tokio::time::Instant::now());
                        Ok::<_, Infallible>(())
                    });
                }
                Ok::<_, Infallible>(())
            }
        });
        all.await.unwrap();
        let stats = pools.stats(&1).unwrap();
        assert_eq!((stats.nested, stats.in_use, stats.dials), (0, 0, 1));
    });
}

#[test]
fn p18_what_a_task_beside_the_holder_has_begun_is_none_of_the_holders() {
    run(async {
        let (pools, _peer) = pools(capped(1));
        let (request, _guard) = Ctx::background().with_cancel();
        let all = request.scope(|ctx| {
            let pools = pools.clone();
            async move {
                let (held, is_held) = tokio::sync::oneshot::channel();
                let (holder, waiter) = (pools.clone(), pools);
                ctx.spawn("hold", async move |ctx: Ctx| {
                    let mut loan = holder.get(&ctx, &1).await.unwrap();
                    held.send(()).unwrap();
                    tokio::time::sleep(ms(10)).await;
                    loan.mark_clean(tokio::time::Instant::now());
                    Ok::<_, Infallible>(())
                });
                ctx.spawn("open", async move |ctx: Ctx| {
                    is_held.await.unwrap();
                    let inner = ctx.scope(|ctx| async move {
                        let get = async move |ctx: Ctx| {
                            drop(waiter.get(&ctx, &1).await.unwrap());
                            Ok::<_, Infallible>(())
                        };
                        ctx.spawn("get", get).await.unwrap();
                        Ok::<_, Infallible>(())
                    });
                    inner.await.unwrap();
                    Ok::<_, Infallible>(())
                });
                Ok::<_, Infallible>(())
            }
        });
        all.await.unwrap();
        let stats = pools.stats(&1).unwrap();
        assert_eq!((stats.nested, stats.in_use), (0, 0), "{stats:?}");
    });
}

#[test]
fn p06_a_context_that_ends_gives_its_place_back() {
    run(async {
        let (pools, peer) = pools(capped(1));
        let (ctx, guard) = Ctx::background().with_cancel();
        guard.cancel("before");
        assert_eq!(pools.get(&ctx, &1).await.unwrap_err(), GetError::Canceled);
        assert_eq!(peer.dials.load(SeqCst), 0, "nothing is dialled for who has gone");
        let held = pools.get(&Ctx::background(), &1).await.unwrap();
        let (ctx, guard) = Ctx::background().with_cancel();
        let waiting = {
            let pools = pools.clone();
            tokio::task::spawn_local(async move { pools.get(&ctx, &1).await.map(drop) })
        };
        settle().await;
        assert_eq!(pools.stats(&1).unwrap().waiters, 1);
        guard.cancel("meanwhile");
        assert_eq!(waiting.await.unwrap(), Err(GetError::Canceled));
        assert_eq!(pools.stats(&1).unwrap().waiters, 0);
        drop(held);
    });
}

/// PA7 by key: callers that are dropped or canceled at random lose nothing.
#[test]
fn p06_a_hundred_thousand_cancels_lose_nothing_pa7() {
    run(async {
        let random = &mut Random::new(11);
        let (pools, peer) = pools(capped(3));
        peer.answers(Answer::AcceptAfter(ms(2)));
        for _ in 0..100_000 {
            let key = random.below(4) as u32;
            let (ctx, guard) = Ctx::background().with_cancel();
            let mut get = Box::pin(pools.get(&ctx, &key));
            for _ in 0..random.below(3) {
                let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(get.as_mut().poll(cx))).await;
                if let std::task::Poll::Ready(outcome) = polled {
                    if let (Ok(mut loan), true) = (outcome, random.below(2) == 0) {
                        loan.mark_clean(tokio::time::Instant::now());
                    }
                    break;
                }
                match random.below(10) {
                    0 => guard.cancel("at random"),
                    1 => pass(ms(1)).await,
                    _ => {}
                }
            }
        }
        // A dial that has just begun takes its time.
        for _ in 0..3 {
            pass(secs(1)).await;
        }
        for key in 0..4 {
            let stats = pools.stats(&key).unwrap();
            assert_eq!((stats.in_use, stats.waiters, stats.dialling), (0, 0, 0), "{stats:?}");
            assert!(stats.is_consistent() && stats.open <= 3, "{stats:?}");
        }
    });
}
