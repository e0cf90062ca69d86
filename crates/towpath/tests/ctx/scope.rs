//! R12 to R15 and R25: a scope has no child when it returns, or says which.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};
use towpath::ctx::{Cause, Ctx, CtxValue, ScopeError, TaskError, Tracker};

use crate::{Alive, secs};

type Never = Result<(), Infallible>;

#[tokio::test(start_paused = true)]
async fn a_scope_returns_after_its_slowest_child_r12() {
    let alive = Alive::new();
    let start = Instant::now();
    let root = Ctx::background();
    let result = root.scope(|ctx| {
        let held = [3, 1, 2].map(|seconds| (seconds, alive.hold()));
        async move {
            for (seconds, held) in held {
                ctx.spawn("sleep", move |_| async move {
                    sleep(secs(seconds)).await;
                    drop(held);
                    Ok::<_, Infallible>(())
                });
            }
            Ok::<_, Infallible>("body")
        }
    });
    assert_eq!(result.await.unwrap(), "body");
    assert_eq!((alive.held(), start.elapsed().as_secs()), (0, 3), "by the paused clock");
}

#[tokio::test(start_paused = true)]
async fn a_child_of_a_child_is_waited_for_r12() {
    let has_ended = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&has_ended);
    let root = Ctx::background();
    let result = root.scope(|ctx| async move {
        ctx.spawn("outer", |ctx| async move {
            ctx.spawn("inner", |_| async move {
                sleep(secs(1)).await;
                seen.store(true, SeqCst);
                Ok::<_, Infallible>(())
            });
            Ok::<_, Infallible>(())
        });
        Ok::<_, Infallible>(())
    });
    result.await.unwrap();
    assert!(has_ended.load(SeqCst));
}

#[tokio::test(start_paused = true)]
async fn the_first_error_ends_the_siblings_and_later_ones_are_attached_r13() {
    let alive = Alive::new();
    let held = alive.hold();
    let result: Result<(), _> = Ctx::background()
        .scope(|ctx| async move {
            ctx.spawn("polite", |ctx| async move {
                let cause = ctx.done().await;
                drop(held);
                Err::<(), _>(cause)
            });
            ctx.spawn("broken", |_| async {
                sleep(secs(1)).await;
                "x".parse::<u8>()
            });
            ctx.done().await;
            Ok::<_, Infallible>(())
        })
        .await;
    let Err(ScopeError::Task { error, later, body: None }) = result else { panic!("{result:?}") };
    assert_eq!(error.to_string(), "task \"broken\" failed: invalid digit found in string");
    assert_eq!(later.iter().map(TaskError::task).collect::<Vec<_>>(), ["polite"]);
    assert!(later[0].to_string().ends_with("a task of the scope failed"));
    assert_eq!(alive.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_body_ends_the_tasks_r13() {
    let result: Result<(), _> = Ctx::background()
        .scope(|ctx| async move {
            ctx.spawn("polite", |ctx| async move { Err::<(), _>(ctx.done().await) });
            yield_now().await;
            Err("body")
        })
        .await;
    let Err(ScopeError::Body { error: "body", later }) = result else { panic!("{result:?}") };
    assert_eq!(later.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_raised_again_after_the_others_have_ended_r13() {
    for panics_in_body in [false, true] {
        let alive = Alive::new();
        let held = alive.hold();
        let scope = tokio::spawn(async move {
            let result: Result<(), ScopeError<Infallible>> = Ctx::background()
                .scope(|ctx| async move {
                    ctx.spawn("sibling", |ctx| async move {
                        ctx.done().await;
                        sleep(secs(1)).await;
                        drop(held);
                        Ok::<_, Infallible>(())
                    });
                    yield_now().await;
                    if panics_in_body {
                        panic!("at the disco");
                    }
                    ctx.spawn("panic", |_| async {
                        if true { panic!("at the disco") } else { Ok::<(), Infallible>(()) }
                    });
                    Ok(())
                })
                .await;
            result
        });
        let panic = scope.await.unwrap_err().into_panic();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"at the disco"));
        assert_eq!(alive.held(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_ignores_the_signal_is_dropped_after_the_grace_r12() {
    let (outer, guard) = Tracker::with_grace(secs(5)).root().with_cancel();
    let alive = Alive::new();
    let held = [alive.hold(), alive.hold()];
    let scope = outer.scope(|ctx| async move {
        let [of_task, of_body] = held;
        ctx.spawn("deaf", |_| async move {
            let _held = of_task;
            pending::<Never>().await
        });
        let _held = of_body;
        pending::<Never>().await
    });
    let start = Instant::now();
    let (result, ()) = tokio::join!(scope, async {
        yield_now().await;
        guard.cancel(Cause::ClientGone);
    });
    assert!(matches!(result, Err(ScopeError::Canceled { cause: Cause::ClientGone, .. })), "{result:?}");
    assert_eq!((alive.held(), start.elapsed().as_secs()), (0, 5), "by the paused clock");
}

#[tokio::test(start_paused = true)]
async fn the_grace_is_never_past_the_deadline_r12() {
    let (start, ctx) = (Instant::now(), Ctx::background().with_timeout(secs(2)));
    let result = ctx.scope(|ctx| async move {
        ctx.spawn("deaf", |_| pending::<Never>());
        Ok::<_, Infallible>(())
    });
    let error = result.await.unwrap_err();
    assert!(matches!(error.cause(), Some(Cause::DeadlineExceeded { .. })), "{error:?}");
    assert_eq!(start.elapsed().as_secs(), 2, "by the paused clock");
}

#[tokio::test(start_paused = true)]
async fn what_ends_well_within_the_grace_is_a_result_r12() {
    let (outer, guard) = Ctx::background().with_cancel();
    let scope = outer.scope(|ctx| async move {
        let cause = ctx.done().await;
        sleep(secs(1)).await;
        Ok::<_, Infallible>(cause)
    });
    let (result, ()) = tokio::join!(scope, async {
        yield_now().await;
        guard.cancel(Cause::Shutdown);
    });
    assert!(matches!(result, Ok(Cause::Shutdown)), "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn a_done_context_starts_no_body_r10() {
    let ctx = Ctx::background().with_timeout(Duration::ZERO);
    let result: Result<(), ScopeError<Infallible>> =
        ctx.scope(|_| async { unreachable!("done before") }).await;
    assert!(matches!(result, Err(ScopeError::Canceled { cause: Cause::DeadlineExceeded { .. }, .. })));
}

/// A1 of R12's exception, A11: on threads and the real clock, because it is about what cannot be dropped.
#[test]
fn a_blocking_job_is_named_as_leaked_and_the_drain_waits_for_it_a11() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let tracker = Tracker::with_grace(Duration::from_millis(1));
    runtime.block_on(async {
        let (outer, guard) = tracker.root().with_cancel();
        let scope = outer.scope(|ctx| async move {
            let (begun, has_begun) = oneshot::channel();
            ctx.spawn_blocking("stuck", move |_| {
                begun.send(()).unwrap();
                blocked.recv().or(Ok::<_, Infallible>(()))
            });
            // One that has not begun is dropped like any other task.
            has_begun.await.unwrap();
            guard.cancel("enough");
            Ok::<_, Infallible>(())
        });
        let error = scope.await.unwrap_err();
        let ScopeError::Leaked { tasks, first } = &error else { panic!("{error:?}") };
        assert_eq!(tasks.iter().map(|task| task.name()).collect::<Vec<_>>(), ["stuck"]);
        assert!(tasks[0].site().file().ends_with("scope.rs"));
        assert!(matches!(first.as_deref(), Some(ScopeError::Canceled { .. })), "{first:?}");
        assert!(error.to_string().contains("\"stuck\", started at"));
        assert_eq!((tracker.leaked(), tracker.tasks().len()), (1, 1));
        release.send(()).unwrap();
        tracker.idle().await;
        assert!(tracker.tasks().is_empty());
    });
}

#[test]
fn a_task_that_never_yields_is_named_as_leaked_a11() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let is_released = Arc::new(AtomicBool::new(false));
    let tracker = Tracker::with_grace(Duration::from_millis(1));
    runtime.block_on(async {
        let (outer, guard) = tracker.root().with_cancel();
        let until = Arc::clone(&is_released);
        let scope = outer.scope(|ctx| async move {
            let (begun, has_begun) = oneshot::channel();
            ctx.spawn("spin", async move |_ctx| {
                begun.send(()).unwrap();
                while !until.load(SeqCst) {
                    std::hint::spin_loop();
                }
                Ok::<_, Infallible>(())
            });
            has_begun.await.unwrap();
            guard.cancel("enough");
            Ok::<_, Infallible>(())
        });
        let error = scope.await.unwrap_err();
        let ScopeError::Leaked { tasks, .. } = &error else { panic!("{error:?}") };
        assert_eq!(tasks.iter().map(|task| task.name()).collect::<Vec<_>>(), ["spin"]);
        assert!(error.to_string().contains("\"spin\", started at"), "{error}");
        assert_eq!((tracker.leaked(), tracker.tasks().len()), (1, 1));
        is_released.store(true, SeqCst);
        tracker.idle().await;
    });
}

#[tokio::test(start_paused = true)]
async fn a_blocking_job_that_asks_stops_by_itself_r25() {
    let (outer, guard) = Ctx::background().with_cancel();
    let (begun, has_begun) = oneshot::channel();
    let scope = outer.scope(|ctx| async move {
        ctx.spawn_blocking("polite", move |ctx| {
            begun.send(()).unwrap();
            loop {
                ctx.check()?;
                std::thread::yield_now();
            }
            #[expect(unreachable_code, reason = "names the type")]
            Ok::<(), Cause>(())
        });
        has_begun.await.unwrap();
        guard.cancel(Cause::ClientGone);
        Ok::<_, Infallible>(())
    });
    let error = scope.await.unwrap_err();
    // The job, in a thread of its own, may say it before the scope has looked.
    let is_jobs = matches!(&error, ScopeError::Task { error, .. } if error.to_string().contains("client"));
    assert!(is_jobs || matches!(error.cause(), Some(Cause::ClientGone)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_scope_drops_its_tasks_and_the_tracker_waits_r14() {
    for polls in 1..4 {
        let (tracker, alive) = (Tracker::new(), Alive::new());
        let (held, root) = (alive.hold(), tracker.root());
        let mut scope = Box::pin(root.scope(|ctx| async move {
            for held in vec![held; 3] {
                ctx.spawn("task", |_| async move {
                    let _held = held;
                    pending::<Never>().await
                });
            }
            pending::<Never>().await
        }));
        for _ in 0..polls {
            assert!(matches!(futures_poll(&mut scope), std::task::Poll::Pending));
            yield_now().await;
        }
        assert_eq!(tracker.tasks().len(), 3);
        drop(scope);
        tracker.idle().await;
        assert_eq!((alive.held(), tracker.tasks().len()), (0, 0), "dropped after {polls} polls");
    }
}

fn futures_poll<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    std::pin::Pin::new(future).poll(&mut cx)
}

#[tokio::test(start_paused = true)]
async fn a_context_that_escapes_starts_nothing_in_a_scope_that_has_returned_r12() {
    let escaped = Ctx::background().scope(|ctx| async move { Ok::<_, Infallible>(ctx) }).await.unwrap();
    assert!(escaped.check().is_err());
    let error = escaped.spawn("late", |_| async { Ok::<_, Infallible>(()) }).await.unwrap_err();
    assert!(matches!(error, TaskError::Closed { task: "late" }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_limit_run_at_once_r15() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let root = Ctx::background();
    let result = root.scope(|ctx| async move {
        for _ in 0..50 {
            let (now, most) = (Arc::clone(&now), Arc::clone(&seen));
            let start = move |_| async move {
                most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                sleep(secs(1)).await;
                now.fetch_sub(1, SeqCst);
                Ok::<_, Infallible>(())
            };
            ctx.spawn_limit(4, "limited", start).await;
        }
        Ok::<_, Infallible>(())
    });
    result.await.unwrap();
    assert_eq!(most.load(SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_room_ends_with_the_context_r15() {
    let (outer, guard) = Ctx::background().with_cancel();
    let result = outer.scope(|ctx| async move {
        ctx.spawn("only", |ctx| async move { Err::<(), _>(ctx.done().await) });
        guard.cancel("stop");
        let refused = ctx.spawn_limit(1, "second", |_| async { Ok::<_, Infallible>(()) }).await;
        Ok::<_, Infallible>(refused.await)
    });
    let Err(ScopeError::Canceled { later, .. }) = result.await else { panic!("canceled") };
    assert_eq!(later.len(), 1);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn tasks_of_a_worker_need_not_be_send_r14() {
    let shared = std::rc::Rc::new(std::cell::Cell::new(0));
    let counted = std::rc::Rc::clone(&shared);
    let root = Ctx::background();
    let result = root.scope(|ctx| async move {
        for _ in 0..3 {
            let counted = std::rc::Rc::clone(&counted);
            ctx.spawn_local("count", |_| async move {
                yield_now().await;
                counted.set(counted.get() + 1);
                Ok::<_, Infallible>(())
            });
        }
        Ok::<_, Infallible>(())
    });
    result.await.unwrap();
    assert_eq!((shared.get(), std::rc::Rc::strong_count(&shared)), (3, 1));
}

#[derive(CtxValue)]
#[ctx(propagate = "local")]
struct Local;

#[derive(CtxValue)]
#[ctx(propagate = "inherit")]
struct Followed;

#[tokio::test(start_paused = true)]
async fn tasks_see_the_values_that_follow_and_log_lines_the_task_r21_r18() {
    let ctx = Ctx::background().with(Local).with(Followed);
    let sees = |ctx: &Ctx| (ctx.get::<Local>().is_some(), ctx.get::<Followed>().is_some());
    assert_eq!(sees(&ctx), (true, true));
    let (seen, current) = ctx
        .spawn("look", move |ctx| async move {
            Ok::<_, Infallible>((sees(&ctx), Ctx::current().as_ref().map(sees)))
        })
        .await
        .unwrap();
    assert_eq!((seen, current), ((false, true), Some((false, true))));
}

#[tokio::test(start_paused = true)]
async fn outside_of_a_scope_a_task_is_dropped_with_its_context() {
    let (ctx, guard) = Ctx::background().with_cancel();
    let (alive, (begun, mut has_begun)) = (Alive::new(), mpsc::channel(1));
    let held = alive.hold();
    let task = ctx.spawn("work", |_| async move {
        let _held = held;
        begun.send(()).await.unwrap();
        pending::<Never>().await
    });
    has_begun.recv().await.unwrap();
    guard.cancel(Cause::ClientGone);
    let error = task.await.unwrap_err();
    assert!(matches!(error, TaskError::Canceled { task: "work", cause: Cause::ClientGone }), "{error}");
    assert_eq!(alive.held(), 0);
    let late = ctx.spawn("late", |_| async { unreachable!("its context is done") as Never });
    assert!(matches!(late.await, Err(TaskError::Canceled { .. })));
}
