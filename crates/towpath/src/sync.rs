//! Locks: the other way to share, for state that several tasks change in short steps.
//!
//! A [`Mutex`] is held for a step without an `.await` in it: a count, an entry of a map. Its guard is not `Send`, so that a
//! task of [`Ctx::spawn`](crate::Ctx::spawn) which keeps one over an `.await` does not compile. Work that waits while it owns
//! something belongs to a task of its own, with a [channel](crate::chan) to ask it by: a lock that a future holds stays
//! locked for as long as nobody polls that future (R30).
//!
//! Whoever had to wait is counted by the line that waited: [`contentions`].

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::sync::{self, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// Waits by the line that waited; bounded by the lines of the program.
static WAITS: sync::Mutex<BTreeMap<&'static Location<'static>, (u64, Duration)>> =
    sync::Mutex::new(BTreeMap::new());

/// A value that one thread at a time changes.
///
/// **A panic while it is held** leaves the value as it is at that moment, and whoever locks next goes on with it: a server
/// answers a handler's panic with 500 and serves on, and one panic must not be the end of every later request. Keep steps
/// so that a value is right between any two of their lines; where that is not possible, ask
/// [`is_poisoned`](Self::is_poisoned) and repair it.
///
/// ```
/// use towpath::sync::Mutex;
///
/// static HITS: Mutex<u64> = Mutex::new(0);
/// *HITS.lock() += 1;
/// assert_eq!(*HITS.lock(), 1);
/// ```
///
/// ```compile_fail
/// # use std::sync::Arc;
/// # async fn refused(ctx: towpath::Ctx, hits: Arc<towpath::sync::Mutex<u64>>) {
/// ctx.spawn("wait", async move |ctx| {
///     let hits = hits.lock();
///     ctx.done().await; // everybody else waits for this task now
///     Ok::<_, std::io::Error>(*hits)
/// });
/// # }
/// ```
#[derive(Default)]
pub struct Mutex<T: ?Sized>(sync::Mutex<T>);

impl<T> Mutex<T> {
    /// A value that nobody holds.
    ///
    /// ```
    /// assert_eq!(*towpath::sync::Mutex::new(7).lock(), 7);
    /// ```
    pub const fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    /// The value.
    ///
    /// ```
    /// assert_eq!(towpath::sync::Mutex::new(7).into_inner(), 7);
    /// ```
    pub fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Holds the value until the guard is dropped. While another thread does so this one waits, and its event loop with it,
    /// so hold it for microseconds. The same thread must not lock twice: it would wait for itself.
    ///
    /// ```
    /// let names = towpath::sync::Mutex::new(vec!["ada"]);
    /// names.lock().push("grace");
    /// assert_eq!(names.lock().len(), 2);
    /// ```
    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        match self.try_lock() {
            Some(guard) => guard,
            None => self.wait(Location::caller()),
        }
    }

    /// Holds the value if nobody else does.
    ///
    /// ```
    /// let value = towpath::sync::Mutex::new(7);
    /// let held = value.lock();
    /// assert!(value.try_lock().is_none());
    /// drop(held);
    /// assert!(value.try_lock().is_some());
    /// ```
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(MutexGuard(guard)),
            Err(TryLockError::Poisoned(poisoned)) => Some(MutexGuard(poisoned.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The value, of which there is no other reference.
    ///
    /// ```
    /// let mut value = towpath::sync::Mutex::new(7);
    /// *value.get_mut() = 8;
    /// assert_eq!(value.into_inner(), 8);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody panicked who held it, since [`clear_poison`](Self::clear_poison).
    ///
    /// ```
    /// let value = towpath::sync::Mutex::new(7);
    /// let step = std::panic::AssertUnwindSafe(|| {
    ///     let _held = value.lock();
    ///     panic!("half-way");
    /// });
    /// assert!(std::panic::catch_unwind(step).is_err());
    /// assert!(value.is_poisoned() && *value.lock() == 7);
    /// ```
    pub fn is_poisoned(&self) -> bool {
        self.0.is_poisoned()
    }

    /// Says that the value is right again.
    ///
    /// ```
    /// let value = towpath::sync::Mutex::new(7);
    /// value.clear_poison();
    /// assert!(!value.is_poisoned());
    /// ```
    pub fn clear_poison(&self) {
        self.0.clear_poison();
    }

    /// The slow half of `lock`. Only here is a clock read.
    #[cold]
    fn wait(&self, site: &'static Location<'static>) -> MutexGuard<'_, T> {
        let count = |waited: Duration, count: u64| {
            let mut waits = WAITS.lock().unwrap_or_else(PoisonError::into_inner);
            let (counts, sum) = waits.entry(site).or_default();
            *counts += count;
            *sum = sum.saturating_add(waited);
        };
        // Before it waits, so that who is stuck is seen, too.
        count(Duration::ZERO, 1);
        let since = Instant::now();
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        count(since.elapsed(), 0);
        MutexGuard(guard)
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is in it may be a secret, and to look would be to lock.
        f.debug_struct("Mutex").field("is_poisoned", &self.is_poisoned()).finish_non_exhaustive()
    }
}

/// The value of a [`Mutex`], held until this is dropped.
///
/// ```
/// let value = towpath::sync::Mutex::new(7);
/// let mut held: towpath::sync::MutexGuard<'_, u8> = value.lock();
/// *held += 1;
/// # drop(held);
/// # assert_eq!(value.into_inner(), 8);
/// ```
#[must_use = "the value is free again when it is dropped"]
pub struct MutexGuard<'a, T: ?Sized>(sync::MutexGuard<'a, T>);

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: fmt::Debug + ?Sized> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How often, and how long in all, one line of the program has waited for a [`Mutex`]. Who still waits is counted, and his
/// time is not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contention {
    /// The line that called [`Mutex::lock`].
    pub site: &'static Location<'static>,
    /// How many of its calls had to wait.
    pub count: u64,
    /// How long they waited, added up.
    pub waited: Duration,
}

/// Who has waited for locks since the program began, the longest sum first: what a profile of locks is made of. A line that
/// never had to wait is not there.
///
/// ```
/// for contention in towpath::sync::contentions() {
///     println!("{} waited {} times, {:?}", contention.site, contention.count, contention.waited);
/// }
/// ```
pub fn contentions() -> Vec<Contention> {
    let waits = WAITS.lock().unwrap_or_else(PoisonError::into_inner);
    let contention = |(site, &(count, waited)): (&&'static Location<'static>, &(u64, Duration))| Contention {
        site,
        count,
        waited,
    };
    let mut contentions: Vec<Contention> = waits.iter().map(contention).collect();
    contentions.sort_by_key(|contention| std::cmp::Reverse(contention.waited));
    contentions
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// What was counted in this file. One test alone may wait in it.
    fn own() -> Vec<Contention> {
        contentions().into_iter().filter(|contention| contention.site.file() == file!()).collect()
    }

    #[test]
    fn who_waits_is_counted_by_his_line_and_who_does_not_is_not_s31() {
        let value = Mutex::new(0);
        let held = value.lock();
        let line = thread::scope(|threads| {
            let waiter = threads.spawn(|| {
                *value.lock() += 1;
                line!() - 1
            });
            while own().is_empty() {
                thread::yield_now();
            }
            assert_eq!(*held, 0, "it waits");
            drop(held);
            waiter.join().unwrap()
        });
        assert_eq!(*value.lock(), 1);
        let own = own();
        assert_eq!((own.len(), own[0].site.line(), own[0].count), (1, line, 1));
    }
}
