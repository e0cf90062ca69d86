//! P4, P5 and P6 as a small model, of which every interleaving is visited.
//!
//! A step is what one lock makes indivisible: a look into a tier, a turn under the core's lock. All communication goes
//! through locks and sequentially consistent atomics, so interleavings are all there is. Each rule is also broken on
//! purpose, to show that the model would notice.

use std::collections::HashSet;

const THREADS: usize = 3;
/// How often a thread gets a connection and returns it.
const ROUNDS: u8 = 2;

/// A deliberate mistake.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// The waiter looks into the tiers before it publishes itself.
    LooksFirst,
    /// The releaser reads the number of waiters before it locks the tier, and parks by that.
    ReadsEarly,
    /// A caller that leaves forgets what was assigned to it.
    ForgetsAssigned,
}

/// What a thread does next. It gets a connection and returns it, a few times over.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Next {
    TryTier(usize),
    LockToJoin,
    Publish,
    LookInto(usize),
    Wait,
    Return,
    /// With the number of waiters read too early.
    ReturnBlindly(usize),
    LockToSettle,
    Settle,
    Park,
    Leave,
    HandOn,
    Done,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    core_is_locked: bool,
    idle: [usize; 2],
    waiting: usize,
    queue: Vec<usize>,
    assigned: [bool; THREADS],
    threads: [Next; THREADS],
    rounds: [u8; THREADS],
}

impl State {
    /// `held` threads begin with a connection, the others want one.
    fn new(held: usize) -> Self {
        Self {
            core_is_locked: false,
            idle: [0; 2],
            waiting: 0,
            queue: Vec::new(),
            assigned: [false; THREADS],
            threads: std::array::from_fn(
                |thread| if thread < held { Next::Return } else { Next::TryTier(0) },
            ),
            rounds: [ROUNDS; THREADS],
        }
    }

    fn assign_to_oldest(&mut self) -> bool {
        if self.queue.is_empty() {
            return false;
        }
        let oldest = self.queue.remove(0);
        self.waiting = self.queue.len();
        self.assigned[oldest] = true;
        true
    }

    /// What may come of `thread`'s next step: nothing if it has to wait, two states if it may also leave.
    fn steps(&self, thread: usize, fault: Fault) -> Vec<State> {
        let mut state = self.clone();
        let own = thread % 2;
        let next = match self.threads[thread] {
            Next::TryTier(look) => {
                let tier = (own + look) % 2;
                if state.waiting == 0 && state.idle[tier] > 0 {
                    state.idle[tier] -= 1;
                    Next::Return
                } else if look == 0 {
                    Next::TryTier(1)
                } else {
                    Next::LockToJoin
                }
            }
            Next::LockToJoin | Next::LockToSettle if state.core_is_locked => return Vec::new(),
            Next::LockToJoin => {
                state.core_is_locked = true;
                if fault == Fault::LooksFirst { Next::LookInto(0) } else { Next::Publish }
            }
            Next::Publish => {
                state.queue.push(thread);
                state.waiting = state.queue.len();
                if fault == Fault::LooksFirst {
                    state.core_is_locked = false;
                    Next::Wait
                } else {
                    Next::LookInto(0)
                }
            }
            Next::LookInto(2) if fault == Fault::LooksFirst => Next::Publish,
            Next::LookInto(2) => {
                state.core_is_locked = false;
                Next::Wait
            }
            Next::LookInto(tier) if state.idle[tier] > 0 && state.assign_to_oldest() => {
                state.idle[tier] -= 1;
                Next::LookInto(tier)
            }
            Next::LookInto(tier) => Next::LookInto(tier + 1),
            Next::Wait if state.assigned[thread] => {
                state.assigned[thread] = false;
                Next::Return
            }
            Next::Wait | Next::Done => return Vec::new(),
            Next::Return if fault == Fault::ReadsEarly => Next::ReturnBlindly(state.waiting),
            Next::Return if state.waiting > 0 => Next::LockToSettle,
            Next::ReturnBlindly(1..) => Next::LockToSettle,
            Next::Return | Next::ReturnBlindly(_) => {
                state.idle[own] += 1;
                Next::Done
            }
            Next::LockToSettle => {
                state.core_is_locked = true;
                Next::Settle
            }
            Next::Settle if state.assign_to_oldest() => {
                state.core_is_locked = false;
                Next::Done
            }
            Next::Settle => Next::Park,
            Next::Park => {
                state.idle[own] += 1;
                state.core_is_locked = false;
                Next::Done
            }
            Next::Leave if state.core_is_locked => return Vec::new(),
            Next::Leave => {
                state.queue.retain(|waiter| *waiter != thread);
                state.waiting = state.queue.len();
                Next::HandOn
            }
            Next::HandOn if state.assigned[thread] => {
                state.assigned[thread] = false;
                if fault == Fault::ForgetsAssigned { Next::Done } else { Next::LockToSettle }
            }
            Next::HandOn => Next::Done,
        };
        state.threads[thread] = next;
        if next == Next::Done && !matches!(self.threads[thread], Next::HandOn) {
            state.rounds[thread] -= 1;
            if state.rounds[thread] > 0 {
                state.threads[thread] = Next::TryTier(0);
            }
        }
        vec![state]
    }

    /// The last thread may lose patience at any moment.
    fn leaving(&self) -> Option<State> {
        let mut state = self.clone();
        (self.threads[THREADS - 1] == Next::Wait).then(|| {
            state.threads[THREADS - 1] = Next::Leave;
            state
        })
    }

    fn verdict(&self, connections: usize) -> Result<(), String> {
        if let Some(stuck) = self.threads.iter().position(|next| *next != Next::Done) {
            return Err(format!("thread {stuck} waits for ever, idle: {:?}", self.idle));
        }
        if self.idle.iter().sum::<usize>() != connections {
            return Err("a connection is lost".to_owned());
        }
        Ok(())
    }
}

/// Visits every state that `connections` held by the first threads can lead to.
fn explore(connections: usize, fault: Fault) -> Result<usize, String> {
    let mut seen = HashSet::new();
    let mut open = vec![State::new(connections)];
    while let Some(state) = open.pop() {
        if !seen.insert(state.clone()) {
            continue;
        }
        let steps: Vec<State> = (0..THREADS).flat_map(|thread| state.steps(thread, fault)).collect();
        if steps.is_empty() {
            // Nobody is forced to leave, so an end must be good without that.
            state.verdict(connections)?;
        }
        open.extend(steps);
        open.extend(state.leaving());
    }
    Ok(seen.len())
}

#[test]
fn p05_in_no_interleaving_is_a_wake_up_or_a_connection_lost() {
    for connections in [1, 2] {
        let states = explore(connections, Fault::None).expect("no bad end");
        assert!(states > 1000, "only {states} states were visited");
    }
}

#[test]
fn p05_the_model_notices_when_a_rule_is_broken() {
    let found = [Fault::LooksFirst, Fault::ReadsEarly, Fault::ForgetsAssigned].map(|fault| explore(1, fault));
    let text: Vec<String> = found.into_iter().map(|found| found.expect_err("a bad end")).collect();
    assert!(text[0].contains("waits for ever") && text[1].contains("waits for ever"), "{text:?}");
    assert!(text[2].contains("lost") || text[2].contains("waits for ever"), "{text:?}");
}
