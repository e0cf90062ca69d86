//! How many there are, of all and of each peer.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Places for connections or datagrams of a server, shared by its workers.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    max: usize,
    per_address_max: usize,
    taken: AtomicUsize,
    /// Told each time a place gets free.
    freed: Notify,
    /// Places by address, where that is limited. Holds no more than there are places taken.
    addresses: Mutex<HashMap<IpAddr, usize>>,
}

impl Places {
    pub(crate) fn new(max: usize, per_address_max: usize) -> Self {
        Self(Arc::new(Inner {
            max,
            per_address_max,
            taken: AtomicUsize::new(0),
            freed: Notify::new(),
            addresses: Mutex::default(),
        }))
    }

    /// A place, unless there is none, or this address has as many as it may have.
    pub(crate) fn take(&self, address: IpAddr) -> Option<Place> {
        let is_counted = self.0.per_address_max != usize::MAX;
        if is_counted {
            let mut addresses = self.0.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            let count = addresses.get(&address).copied().unwrap_or_default();
            if count >= self.0.per_address_max {
                return None;
            }
            addresses.insert(address, count + 1);
        }
        self.0.taken.fetch_add(1, Ordering::Relaxed);
        Some(Place { inner: Arc::clone(&self.0), address: is_counted.then_some(address) })
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0.taken.load(Ordering::Relaxed) >= self.0.max
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Acquire)
    }

    /// Ends when there is a place.
    pub(crate) async fn room(&self) {
        self.until(|taken| taken < self.0.max).await;
    }

    /// Ends when all places are free.
    pub(crate) async fn all_free(&self) {
        self.until(|taken| taken == 0).await;
    }

    async fn until(&self, is_so: impl Fn(usize) -> bool) {
        loop {
            let freed = self.0.freed.notified();
            if is_so(self.0.taken.load(Ordering::Acquire)) {
                return;
            }
            freed.await;
        }
    }
}

/// One place; dropping it frees it.
#[derive(Debug)]
pub(crate) struct Place {
    inner: Arc<Inner>,
    address: Option<IpAddr>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(address) = self.address {
            let mut addresses = self.inner.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = addresses.get_mut(&address) {
                *count -= 1;
                if *count == 0 {
                    addresses.remove(&address);
                }
            }
        }
        self.inner.taken.fetch_sub(1, Ordering::Release);
        self.inner.freed.notify_waiters();
    }
}
