//! S29, S30 and R28: what is sent is received once or given back, whoever leaves and whenever.

#![expect(clippy::unwrap_used, reason = "in a test a failed step is a failed test, in helpers too")]

use std::collections::VecDeque;
use std::future::pending;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::task::yield_now;
use towpath::chan::{Closed, Missed, Refused, backlogs, bounded, broadcast, rendezvous, unbounded_named};
use towpath::ctx::{Cause, Ctx};
use towpath_base::random::Random;

fn poll<F: Future>(future: &mut Pin<&mut F>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test(start_paused = true)]
async fn a_sender_is_not_done_before_the_receive_s30() {
    let (sender, mut receiver) = rendezvous::<i32>();
    let mut send = pin!(sender.send(42));
    for _ in 0..3 {
        assert!(poll(&mut send).is_pending());
        yield_now().await;
    }
    let mut receive = pin!(receiver.recv());
    assert!(poll(&mut receive).is_pending(), "it has invited the sender");
    assert_eq!(poll(&mut send), Poll::Ready(Ok(())));
    assert_eq!(poll(&mut receive), Poll::Ready(Some(42)));
}

#[tokio::test(start_paused = true)]
async fn a_rendezvous_without_the_other_side_says_so_s30() {
    let (sender, mut receiver) = rendezvous::<i32>();
    let second = sender.clone();
    drop((sender, second));
    assert_eq!(receiver.recv().await, None);

    let (sender, receiver) = rendezvous::<i32>();
    let mut waits = pin!(sender.send(42));
    assert!(poll(&mut waits).is_pending());
    drop(receiver);
    assert_eq!(waits.await, Err(Closed(42)), "the value is handed back");
    assert_eq!(sender.send(43).await, Err(Closed(43)));
}

#[tokio::test(start_paused = true)]
async fn senders_of_a_rendezvous_meet_the_receiver_in_their_order_s30() {
    let (sender, mut receiver) = rendezvous::<usize>();
    for number in 0..5 {
        let sender = sender.clone();
        tokio::spawn(async move { sender.send(number).await });
        yield_now().await;
    }
    for number in 0..5 {
        assert_eq!(receiver.recv().await, Some(number));
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_receive_loses_no_value_r28() {
    let (sender, mut receiver) = rendezvous::<i32>();
    let mut send = pin!(sender.send(42));
    assert!(poll(&mut send).is_pending());
    {
        let mut receive = pin!(receiver.recv());
        assert!(poll(&mut receive).is_pending());
    }
    assert_eq!(send.await, Ok(()));
    assert_eq!(receiver.recv().await, Some(42));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_reservation_lets_the_next_come_r28() {
    let (sender, mut receiver) = rendezvous::<i32>();
    for leaves_after_the_invitation in [false, true] {
        let mut first = Box::pin(sender.reserve());
        assert!(poll(&mut first.as_mut()).is_pending());
        let mut second = pin!(sender.send(2));
        assert!(poll(&mut second).is_pending());
        let mut receive = pin!(receiver.recv());
        if leaves_after_the_invitation {
            assert!(poll(&mut receive).is_pending());
            drop(first.await.unwrap());
        } else {
            drop(first);
        }
        let (sent, received) = tokio::join!(second, receive);
        assert_eq!((sent, received), (Ok(()), Some(2)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_reservation_keeps_its_room_and_gives_it_back_s29() {
    let (sender, mut receiver) = bounded(1);
    let permit = sender.reserve().await.unwrap();
    assert_eq!(sender.try_send(1), Err(Refused::Full(1)));
    drop(permit);
    sender.reserve().await.unwrap().send(2);
    let mut third = pin!(sender.send(3));
    assert!(poll(&mut third).is_pending());
    assert_eq!(receiver.recv().await, Some(2));
    assert_eq!(third.await, Ok(()));
    receiver.close();
    assert_eq!((sender.send(4).await, receiver.recv().await), (Err(Closed(4)), Some(3)));
    assert_eq!(receiver.recv().await, None);
}

/// Senders and a receiver that drop their waits at random, against a queue that cannot lose anything.
fn random_drops(seed: u64, capacity: Option<usize>) {
    let random = &mut Random::new(seed);
    let (mut model, mut next, mut received) = (VecDeque::new(), 0u64, 0u64);
    // A capacity of none is a rendezvous.
    let (sender, mut receiver) = bounded::<u64>(capacity.unwrap_or(1));
    let (meeter, mut met) = rendezvous::<u64>();
    let mut reservation = None;
    for step in 0..20_000 {
        match (random.below(2), capacity) {
            (0, Some(_)) => {
                let mut reserve = pin!(sender.reserve());
                if let Poll::Ready(permit) = poll(&mut reserve) {
                    match random.below(4) {
                        0 => drop(permit),
                        _ => {
                            permit.unwrap().send(next);
                            model.push_back(next);
                            next += 1;
                        }
                    }
                }
            }
            (0, None) => {
                let mut reserve = reservation.take().unwrap_or_else(|| Box::pin(meeter.reserve()));
                match poll(&mut reserve.as_mut()) {
                    Poll::Pending if random.below(4) == 0 => drop(reserve),
                    Poll::Pending => reservation = Some(reserve),
                    Poll::Ready(invitation) if random.below(4) == 0 => drop(invitation),
                    Poll::Ready(invitation) => {
                        invitation.unwrap().send(next).unwrap();
                        model.push_back(next);
                        next += 1;
                    }
                }
            }
            _ => {
                let value = match capacity {
                    Some(_) => poll(&mut pin!(receiver.recv())),
                    None => poll(&mut pin!(met.recv())),
                };
                if let Poll::Ready(value) = value {
                    assert_eq!(value, model.pop_front(), "seed {seed}, step {step}");
                    received += 1;
                }
            }
        }
        assert!(model.len() <= capacity.unwrap_or(1), "seed {seed}, step {step}: {} are held", model.len());
    }
    assert!(received > 1_000, "seed {seed}: {received}");
}

#[test]
fn random_drops_lose_nothing_and_hold_no_more_than_the_bound_s29() {
    for seed in 0..16 {
        random_drops(seed, None);
        random_drops(seed, Some(1 + seed as usize % 5));
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_listener_is_told_what_it_missed_and_goes_on() {
    let news = broadcast(2);
    let (mut quick, mut slow) = (news.listen(), news.listen());
    for number in 0..5 {
        assert_eq!(news.send(number), Ok(2));
        assert_eq!(quick.recv().await, Ok(Some(number)));
    }
    assert_eq!(slow.recv().await, Err(Missed { count: 3 }));
    assert_eq!((slow.recv().await, slow.recv().await), (Ok(Some(3)), Ok(Some(4))));
    drop((news, quick));
    assert_eq!(slow.recv().await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn select_prefers_a_result_to_a_cancel_of_the_same_instant_r10() {
    for _ in 0..100 {
        let (ctx, guard) = Ctx::background().with_cancel();
        let (sender, mut receiver) = bounded(1);
        let selecting = async { towpath::select!(&ctx, value = receiver.recv() => value,) };
        let mut selecting = pin!(selecting);
        assert!(poll(&mut selecting).is_pending());
        guard.cancel("now");
        sender.try_send(7).unwrap();
        assert_eq!(selecting.await.unwrap(), Some(7));
    }
}

#[tokio::test(start_paused = true)]
async fn select_ends_with_its_context_and_starts_nothing_in_one_that_is_done_r10() {
    let (ctx, guard) = Ctx::background().with_cancel();
    let selecting = async { towpath::select!(&ctx, () = pending() => "never") };
    let (result, ()) = tokio::join!(selecting, async { guard.cancel(Cause::ClientGone) });
    assert!(matches!(result, Err(Cause::ClientGone)));
    let mut is_polled = false;
    let result = towpath::select!(&ctx, () = async { is_polled = true } => (),);
    assert!(result.is_err() && !is_polled);
}

#[tokio::test(start_paused = true)]
async fn no_arm_of_a_select_starves() {
    let ctx = Ctx::background();
    let (left, mut lefts) = bounded(1_000);
    let (right, mut rights) = bounded(1_000);
    (0..1_000).for_each(|number| (left.try_send(number).unwrap(), right.try_send(number).unwrap()).0);
    let mut taken = [0, 0];
    for _ in 0..1_000 {
        let arm = towpath::select!(&ctx,
            _ = lefts.recv() => 0,
            _ = rights.recv() => 1,
        );
        taken[arm.unwrap()] += 1;
    }
    assert!(taken.iter().all(|&count| count > 300), "{taken:?}");
}

#[tokio::test(start_paused = true)]
async fn an_arm_may_leave_the_function_around_it() {
    async fn sum(ctx: &Ctx) -> Result<u8, Box<dyn std::error::Error>> {
        let (sender, mut receiver) = bounded::<u8>(2);
        sender.send(7).await?;
        drop(sender);
        let mut sum = 0;
        loop {
            towpath::select!(ctx, value = receiver.recv() => match value {
                Some(value) => sum += value,
                None if sum > 0 => return Err(sum.to_string())?,
                None => break,
            },)?;
        }
        Ok(sum)
    }
    assert_eq!(sum(&Ctx::background()).await.unwrap_err().to_string(), "7");
}

/// How many values wait in channels of this name, and the most that ever did.
fn backlog(name: &str) -> (usize, usize, usize) {
    let backlog = backlogs().into_iter().find(|backlog| backlog.name == name).unwrap();
    (backlog.channels, backlog.waiting, backlog.waiting_max)
}

#[tokio::test(start_paused = true)]
async fn a_channel_without_a_bound_is_counted_by_its_name_s29() {
    let (sender, mut receiver) = unbounded_named("counted");
    let (other, other_receiver) = unbounded_named("counted");
    for number in 0..5 {
        sender.send(number).unwrap();
    }
    other.send(9).unwrap();
    assert_eq!(backlog("counted"), (2, 6, 6));
    assert_eq!((receiver.recv().await, receiver.try_recv(), receiver.len()), (Some(0), Some(1), 3));
    assert_eq!(backlog("counted"), (2, 4, 6));
    drop(receiver);
    assert_eq!(backlog("counted"), (1, 1, 6), "what nobody will receive does not wait");
    assert_eq!(sender.send(6), Err(Closed(6)));
    drop(other_receiver);
    assert_eq!(backlog("counted"), (0, 0, 6));
}

#[test]
fn a_channel_without_a_bound_is_a_queue_whoever_leaves_s29() {
    for seed in 0..200 {
        let random = &mut Random::new(seed);
        let (sender, mut receiver) = unbounded_named("model");
        let (mut senders, mut model, mut is_open) = (vec![sender], VecDeque::new(), true);
        for number in 0..200 {
            match random.below(10) {
                0..4 => {
                    if let Some(sender) = senders.last() {
                        let sent = sender.send(number);
                        assert_eq!(sent, if is_open { Ok(()) } else { Err(Closed(number)) }, "seed {seed}");
                        is_open.then(|| model.push_back(number));
                    }
                }
                4 => senders.extend(senders.last().cloned()),
                5 => drop((senders.len() > 1).then(|| senders.pop())),
                6 if random.below(40) == 0 => {
                    receiver.close();
                    is_open = false;
                }
                7 => assert_eq!(receiver.try_recv(), model.pop_front(), "seed {seed}"),
                _ => {
                    // To drop it half-way loses nothing.
                    let mut receive = pin!(receiver.recv());
                    match (poll(&mut receive), model.pop_front()) {
                        (Poll::Ready(received), expected) => assert_eq!(received, expected, "seed {seed}"),
                        (Poll::Pending, expected) => {
                            assert_eq!((expected, is_open), (None, true), "seed {seed}")
                        }
                    }
                }
            }
            assert_eq!((receiver.len(), receiver.is_empty()), (model.len(), model.is_empty()));
        }
        drop(receiver);
        assert_eq!(backlog("model").1, 0, "seed {seed}");
    }
}
