//! Contexts by themselves: who is done, why, and what stays behind. Work in them is tested in `tests/ctx`.

use super::*;
use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn text(ctx: &Ctx) -> String {
    ctx.err().map_or("none".to_owned(), |cause| match cause {
        Cause::DeadlineExceeded { .. } => "deadline".to_owned(),
        cause => cause.to_string(),
    })
}

fn is_pending<F: Future>(future: &mut Pin<&mut F>) -> bool {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

#[tokio::test(start_paused = true)]
async fn a_done_parent_ends_its_children_and_never_the_other_way_r02() {
    let (parent, outer) = Ctx::background().with_cancel();
    let (child, inner) = parent.with_cancel();
    let grandchild = child.with_timeout(secs(60));
    let sibling = parent.with_timeout(secs(60));
    inner.cancel("inner");
    assert_eq!(
        [&parent, &child, &grandchild, &sibling].map(text),
        ["none", "canceled: inner", "canceled: inner", "none"]
    );
    outer.cancel("outer");
    assert_eq!(text(&sibling), "canceled: outer");
    assert_eq!(text(&grandchild), "canceled: inner", "the first cause stays");
}

#[tokio::test(start_paused = true)]
async fn deadlines_are_the_earlier_of_parent_and_own_s19() {
    let now = Instant::now();
    let parent = Ctx::background().with_deadline(now + secs(10));
    assert_eq!(parent.with_timeout(secs(20)).deadline(), Some(now + secs(10)));
    assert_eq!(parent.with_timeout(secs(5)).deadline(), Some(now + secs(5)));
    assert_eq!(parent.with_cancel().0.deadline(), Some(now + secs(10)));
    tokio::time::advance(secs(4)).await;
    assert_eq!(parent.remaining(), Some(secs(6)));
}

#[tokio::test(start_paused = true)]
async fn zero_and_the_past_are_done_at_once_and_a_thousand_years_are_a_hundred_r03() {
    let root = Ctx::background();
    assert_eq!(text(&root.with_timeout(Duration::ZERO)), "deadline");
    let before = Instant::now();
    tokio::time::advance(secs(1)).await;
    assert_eq!(text(&root.with_deadline(before)), "deadline");
    for span in [TIMEOUT_MAX * 10, Duration::MAX] {
        let ctx = root.with_timeout(span);
        assert!(ctx.remaining().is_some_and(|left| left <= TIMEOUT_MAX && left > TIMEOUT_MAX / 2));
        assert_eq!(text(&ctx), "none");
    }
}

#[tokio::test(start_paused = true)]
async fn the_cause_says_which_line_set_the_deadline_r04() {
    let ctx = Ctx::background().with_timeout(secs(1));
    let line = line!() - 1;
    let (below, _guard) = ctx.with_timeout(secs(9)).with_cancel();
    tokio::time::advance(secs(2)).await;
    let Some(Cause::DeadlineExceeded { at, set_by }) = below.err() else { panic!("{:?}", below.err()) };
    assert_eq!((Some(at), set_by.line()), (ctx.deadline(), line));
    assert!(set_by.file().ends_with("tests.rs"));
}

#[tokio::test(start_paused = true)]
async fn which_deadline_is_the_cause_does_not_depend_on_when_someone_looks_r04() {
    for looks_at in [4, 8] {
        let now = Instant::now();
        let outer = Ctx::background().with_deadline(now + secs(5));
        let (between, _guard) = outer.with_cancel();
        let inner = between.with_deadline(now + secs(3));
        tokio::time::advance(secs(looks_at)).await;
        let Some(Cause::DeadlineExceeded { at, .. }) = inner.err() else { panic!("{:?}", inner.err()) };
        assert_eq!(at, now + secs(3), "looked at after {looks_at} s");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_seen_once_stays_for_every_observer_r04() {
    let (parent, guard) = Ctx::background().with_cancel();
    let ctx = parent.with_timeout(secs(1));
    let (seen_early, _guard) = ctx.with_cancel();
    tokio::time::advance(secs(2)).await;
    assert_eq!(text(&seen_early), "deadline");
    guard.cancel("later");
    assert_eq!([&ctx, &seen_early, &ctx.clone()].map(text), ["deadline"; 3]);
    assert_eq!(text(&parent), "canceled: later");
}

#[tokio::test(start_paused = true)]
async fn a_cancel_before_anyone_looks_wins_over_the_deadline_that_passed_r04() {
    let (parent, guard) = Ctx::background().with_cancel();
    let ctx = parent.with_timeout(secs(1));
    tokio::time::advance(secs(2)).await;
    guard.cancel(Cause::Shutdown);
    assert!(matches!(ctx.err(), Some(Cause::Shutdown)), "R4 asks the parent first");
}

#[test]
fn a_second_cancel_changes_nothing_s17() {
    let (ctx, guard) = Ctx::background().with_cancel();
    guard.cancel("first");
    guard.cancel(Cause::ClientGone);
    drop(guard);
    assert_eq!(text(&ctx), "canceled: first");
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_guard_leaves_the_deadline_r06() {
    let (ctx, guard) = Ctx::background().with_timeout(secs(1)).with_cancel();
    std::mem::forget(guard);
    assert_eq!(text(&ctx), "none");
    tokio::time::advance(secs(1)).await;
    assert_eq!(text(&ctx), "deadline");
}

#[test]
fn a_disarmed_guard_leaves_the_decision_to_its_canceler_r06() {
    let (ctx, guard) = Ctx::background().with_cancel();
    let canceler = guard.disarm();
    drop(canceler.clone());
    assert_eq!(text(&ctx), "none");
    canceler.cancel(Cause::Overload);
    assert!(matches!(ctx.err(), Some(Cause::Overload)));
}

#[derive(Debug, PartialEq)]
struct Name(&'static str);

impl CtxValue for Name {
    const PROPAGATE: Propagate = Propagate::Inherit;
}

struct Secret;

impl CtxValue for Secret {
    const PROPAGATE: Propagate = Propagate::Local;
}

#[test]
fn an_inner_value_shadows_and_the_outer_returns_with_its_context_r22() {
    let outer = Ctx::background().with(Name("outer")).with_timeout(secs(60));
    let inner = outer.with(Secret).with(Name("inner"));
    assert_eq!(inner.with_cancel().0.get::<Name>(), Some(&Name("inner")));
    assert_eq!(outer.get::<Name>(), Some(&Name("outer")));
    assert!(inner.get::<Secret>().is_some() && outer.get::<Secret>().is_none());
}

#[test]
fn a_loop_of_values_does_not_grow_a_chain() {
    let mut ctx = Ctx::background().with_timeout(secs(60));
    for _ in 0..1_000_000 {
        ctx = ctx.with(Name("again")).with_timeout(secs(3_600));
    }
    assert_eq!(std::iter::successors(Some(&ctx.0), |node| node.parent.as_ref()).count(), 3);
    assert_eq!(text(&ctx), "none");
}

#[tokio::test(start_paused = true)]
async fn without_cancel_keeps_values_only_r07() {
    let (ctx, guard) = Ctx::background().with(Name("kept")).with_timeout(secs(1)).with_cancel();
    let free = ctx.without_cancel();
    guard.cancel("gone");
    tokio::time::advance(secs(2)).await;
    assert_eq!((text(&free).as_str(), free.deadline()), ("none", None));
    assert_eq!(free.get::<Name>(), Some(&Name("kept")));
}

#[tokio::test(start_paused = true)]
async fn a_merge_ends_with_either_side_and_reads_the_first_side_first_r07_s26() {
    let now = Instant::now();
    for side in 0..2 {
        let (a, cancel_a) = Ctx::background().with(Name("a")).with_deadline(now + secs(9)).with_cancel();
        let (b, cancel_b) = Ctx::background().with(Name("b")).with(Secret).with_cancel();
        let both = Ctx::merge(&a, &b.with_deadline(now + secs(7)));
        assert_eq!((both.deadline(), both.get::<Name>()), (Some(now + secs(7)), Some(&Name("a"))));
        assert!(both.get::<Secret>().is_some());
        let mut done = pin!(both.done());
        assert!(is_pending(&mut done));
        [&cancel_a, &cancel_b][side].cancel("side");
        assert_eq!(text(&both), "canceled: side");
        assert!(!is_pending(&mut done));
        assert_eq!([&a, &b].map(text)[1 - side], "none");
    }
}

#[tokio::test(start_paused = true)]
async fn run_begins_nothing_when_the_context_is_done_r10() {
    let (ctx, guard) = Ctx::background().with_cancel();
    guard.cancel(Cause::ClientGone);
    let mut is_polled = false;
    let result = ctx.run(async { is_polled = true }).await;
    assert!(matches!(result, Err(Cause::ClientGone)) && !is_polled);
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_ready_wins_over_a_cancel_of_the_same_instant_r10() {
    let (ctx, guard) = Ctx::background().with_cancel();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let mut run = pin!(ctx.run(receiver));
    assert!(is_pending(&mut run));
    guard.cancel("now");
    sender.send(7).unwrap();
    assert_eq!(run.await.unwrap(), Ok(7));
}

#[tokio::test(start_paused = true)]
async fn run_ends_at_the_deadline_and_has_dropped_the_future_s18() {
    struct Dropped<'a>(&'a std::cell::Cell<bool>);
    impl Drop for Dropped<'_> {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let is_dropped = std::cell::Cell::new(false);
    let (ctx, start) = (Ctx::background().with_timeout(secs(2)), Instant::now());
    let held = Dropped(&is_dropped);
    let job = async {
        let _held = held;
        tokio::time::sleep(secs(3)).await;
        panic!("the text of S18 is never printed");
    };
    let result: Result<(), Cause> = ctx.run(job).await;
    assert!(matches!(result, Err(Cause::DeadlineExceeded { .. })) && is_dropped.get());
    assert!(Instant::now() < start + secs(3), "by the paused clock, which only timers move");
}

#[tokio::test(start_paused = true)]
async fn every_waiter_is_told_from_however_far_above_r05() {
    let (server, shutdown) = Ctx::background().with_cancel();
    let connections: Vec<_> = (0..10).map(|_| server.with_cancel()).collect();
    let tasks: Vec<_> = (0..1_000)
        .map(|request| {
            let (ctx, guard) = connections[request % 10].0.with_cancel();
            tokio::spawn(async move {
                let _guard = guard;
                ctx.with_timeout(secs(60)).done().await
            })
        })
        .collect();
    tokio::task::yield_now().await;
    assert_eq!(server.0.cell.waiting(), 10, "one place for each connection");
    shutdown.cancel(Cause::Shutdown);
    for task in tasks {
        assert!(matches!(task.await, Ok(Cause::Shutdown)));
    }
    drop(connections);
    assert_eq!(server.0.cell.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn waits_that_are_dropped_leave_nothing_behind_r05() {
    let (server, _shutdown) = Ctx::background().with_cancel();
    let (ctx, _guard) = server.with_cancel();
    for polls in 0..3 {
        let mut run = Box::pin(ctx.run(pending::<()>()));
        for _ in 0..polls {
            assert!(is_pending(&mut run.as_mut()));
        }
        drop(run);
        assert_eq!(ctx.0.cell.waiting(), 0, "after {polls} polls");
    }
    assert_eq!(server.0.cell.waiting(), 1, "the tie stays for as long as the context");
    drop((ctx, _guard));
    assert_eq!(server.0.cell.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_clone_of_done_waits_for_itself() {
    let (ctx, guard) = Ctx::background().with_cancel();
    let mut first = pin!(ctx.done());
    assert!(is_pending(&mut first));
    let mut second = pin!(first.clone());
    assert!(is_pending(&mut second));
    assert_eq!(ctx.0.cell.waiting(), 2);
    guard.cancel("both");
    assert!(!is_pending(&mut first) && !is_pending(&mut second));
}

#[tokio::test(start_paused = true)]
async fn a_wait_follows_its_task_to_another_waker() {
    let (ctx, guard) = Ctx::background().with_cancel();
    let mut done = Box::pin(ctx.done());
    assert!(is_pending(&mut done.as_mut()));
    let task = tokio::spawn(done);
    tokio::task::yield_now().await;
    guard.cancel(Cause::ClientGone);
    assert!(matches!(task.await, Ok(Cause::ClientGone)));
}

#[tokio::test(start_paused = true)]
async fn no_timer_is_armed_for_a_future_that_does_not_wait_r11() {
    // Without a driver for timers, arming one would panic.
    let result = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let ctx = Ctx::background().with_timeout(secs(60));
        runtime.block_on(ctx.run(async { 7 }))
    });
    assert!(matches!(result.join(), Ok(Ok(7))));
}

#[tokio::test(start_paused = true)]
async fn a_future_may_be_dropped_by_a_cancel_at_each_of_its_waits() {
    for waits in 0..5 {
        let (ctx, guard) = Ctx::background().with_cancel();
        let alive = Arc::new(());
        let mut left = waits;
        let held = Arc::clone(&alive);
        let job = async move {
            let _held = held;
            poll_fn(|_| {
                if left == 0 {
                    Poll::Ready(())
                } else {
                    left -= 1;
                    Poll::Pending
                }
            })
            .await;
        };
        let mut run = Box::pin(ctx.run(job));
        for _ in 0..waits {
            assert!(is_pending(&mut run.as_mut()));
        }
        guard.cancel("stop");
        assert!(!is_pending(&mut run.as_mut()));
        assert_eq!(Arc::strong_count(&alive), 1, "dropped after {waits} waits");
    }
}

#[test]
fn contexts_go_where_tasks_go() {
    fn is_send_and_sync<T: Send + Sync>() {}
    fn is_send<T: Send>(_: T) {}
    is_send_and_sync::<Ctx>();
    is_send_and_sync::<CancelGuard>();
    is_send_and_sync::<Done>();
    is_send_and_sync::<Task<u8>>();
    let ctx = Ctx::background();
    is_send(ctx.run(pending::<()>()));
    is_send(ctx.scope(|_| pending::<Result<(), Cause>>()));
}

#[tokio::test(start_paused = true)]
async fn a_root_where_a_context_is_at_hand_is_told_of_once_for_its_line_r22() {
    assert!(!task::has_current());
    let inside = Ctx::background().spawn("work", async |_ctx| Ok::<_, std::io::Error>(task::has_current()));
    assert!(inside.await.unwrap());
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(tracker::warn_once(Location::caller(), "is a test"));
    }
    assert_eq!(told, [true, false, false]);
}
