//! R8, R16 and R17: work that outlives its caller is counted, bounded and told apart.

use std::future::pending;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};
use towpath::ctx::{Cause, Ctx, TaskError, Tracker};

use crate::{Alive, secs};

#[tokio::test(start_paused = true)]
async fn a_shield_outlives_its_caller_and_the_drain_waits_for_it_r16() {
    let tracker = Tracker::new();
    let (ctx, guard) = tracker.root().with_cancel();
    let (committed, is_committed) = oneshot::channel();
    let handler = async {
        let commit = ctx.shield(async {
            sleep(secs(1)).await;
            committed.send(()).unwrap();
        });
        commit.await.unwrap();
        unreachable!("the handler is dropped before");
    };
    let (result, ()) = tokio::join!(ctx.run(handler), async {
        yield_now().await;
        guard.cancel(Cause::ClientGone);
    });
    let result: Result<(), Cause> = result;
    assert!(matches!(result, Err(Cause::ClientGone)));
    assert_eq!(tracker.tasks()[0].name(), "shield");
    tracker.idle().await;
    is_committed.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_shield_has_thirty_seconds_r16() {
    let start = Instant::now();
    let error = Ctx::background().shield(pending::<()>()).await.unwrap_err();
    assert!(matches!(error, TaskError::Canceled { cause: Cause::DeadlineExceeded { .. }, .. }), "{error}");
    assert_eq!(start.elapsed().as_secs(), 30, "by the paused clock");
}

#[tokio::test(start_paused = true)]
async fn detached_work_has_a_life_of_its_own_and_an_end_r17() {
    for (span, expected) in [(None, 60), (Some(secs(600)), 600)] {
        let (tracker, alive) = (Tracker::new(), Alive::new());
        let (request, guard) = tracker.root().with_timeout(secs(1)).with_cancel();
        let held = alive.hold();
        let work = move |ctx: Ctx| async move {
            let _held = held;
            assert_eq!(ctx.remaining().unwrap().as_secs(), expected);
            pending::<()>().await
        };
        let start = Instant::now();
        match span {
            None => request.detach("work", work),
            Some(span) => request.detach_for(span, "work", work),
        }
        .unwrap();
        guard.cancel(Cause::ClientGone);
        sleep(secs(30)).await;
        assert_eq!((alive.held(), tracker.tasks().len()), (1, 1));
        tracker.idle().await;
        assert_eq!((alive.held(), start.elapsed().as_secs()), (0, expected), "by the paused clock");
    }
}

#[tokio::test(start_paused = true)]
async fn a_scope_does_not_wait_for_detached_work_r17() {
    let tracker = Tracker::new();
    let root = tracker.root();
    let scope =
        root.scope(|ctx| async move { ctx.detach("on", |ctx| async move { drop(ctx.done().await) }) });
    scope.await.unwrap();
    assert_eq!(tracker.tasks().len(), 1);
    tracker.idle().await;
}

#[tokio::test(start_paused = true)]
async fn on_done_runs_once_or_is_prevented_and_says_which_r08() {
    let tracker = Tracker::new();
    let (ctx, guard) = tracker.root().with_cancel();
    let (told, is_told) = oneshot::channel();
    let runs = ctx.on_done(async {
        told.send(()).unwrap();
        sleep(secs(1)).await;
    });
    let prevented = ctx.on_done(async { unreachable!("it is stopped before") });
    yield_now().await;
    assert!(tracker.tasks().is_empty(), "a drain does not wait for what has not begun");
    assert!(prevented.stop() && !prevented.stop());
    guard.cancel("now");
    is_told.await.unwrap();
    assert!(!runs.stop(), "it has begun");
    assert_eq!(tracker.tasks()[0].name(), "on_done");
    tracker.idle().await;
}

#[tokio::test(start_paused = true)]
async fn on_done_of_a_context_that_is_done_runs_at_once_r08() {
    let (told, is_told) = oneshot::channel();
    Ctx::background().with_timeout(Duration::ZERO).on_done(async { told.send(()).unwrap() });
    is_told.await.unwrap();
}
