//! A10: ten thousand tasks canceled at once and at random waits leave nothing behind.

use std::convert::Infallible;

use tokio::task::yield_now;
use tokio::time::sleep;
use towpath::ctx::{Cause, Ctx, Tracker};
use towpath_base::random::Random;

use crate::{Alive, secs};

const TASKS: usize = 10_000;

#[tokio::test(start_paused = true)]
async fn ten_thousand_tasks_leave_at_one_cancel_s25_a10() {
    let (tracker, alive) = (Tracker::new(), Alive::new());
    let (outer, guard) = tracker.root().with_cancel();
    let held = vec![alive.hold(); TASKS];
    let scope = outer.scope(|ctx| async move {
        for held in held {
            ctx.spawn("wait", |ctx| async move {
                ctx.done().await;
                drop(held);
                Ok::<_, Infallible>(())
            });
        }
        yield_now().await;
        guard.cancel(Cause::Shutdown);
        Ok::<_, Infallible>(())
    });
    scope.await.unwrap();
    assert_eq!((alive.held(), tracker.tasks().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn random_cancels_at_random_waits_leave_nothing_a10() {
    let mut random = Random::new(26);
    let (tracker, alive) = (Tracker::new(), Alive::new());
    for _ in 0..TASKS {
        let (ctx, guard) = tracker.root().with_timeout(secs(1 + random.below(4))).with_cancel();
        let (held, waits, tasks) = (alive.hold(), random.below(6), random.below(3));
        let request = async move {
            let body = |ctx: Ctx| async move {
                for _ in 0..tasks {
                    let held = std::sync::Arc::clone(&held);
                    ctx.spawn("part", |ctx| async move {
                        let _held = held;
                        ctx.run(sleep(secs(waits))).await
                    });
                }
                ctx.run(sleep(secs(waits / 2))).await
            };
            let _ = ctx.scope(body).await;
        };
        let mut request = tokio::spawn(request);
        match random.below(4) {
            0 => guard.cancel("random"),
            1 => request.abort(),
            2 => drop(guard.disarm()),
            _ => drop(tokio::time::timeout(secs(random.below(3)), &mut request).await),
        }
        if random.below(2) == 0 {
            yield_now().await;
        }
    }
    tracker.idle().await;
    sleep(secs(10)).await;
    assert_eq!((alive.held(), tracker.tasks().len(), tracker.leaked()), (0, 0, 0));
}
