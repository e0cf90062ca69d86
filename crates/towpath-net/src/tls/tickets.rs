//! Session tickets: sealed by keys that all workers share, and good for the policy alone that made them (RFC 5077 §4).

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};
use aws_lc_rs::rand;
use rustls::server::ProducesTickets;

/// How long a key seals tickets. It opens them for as long again, so that every ticket is good for this long at least.
pub const TICKET_KEY_LIFETIME: Duration = Duration::from_secs(6 * 3600);

/// Bytes of an AES-256 key.
const KEY_BYTES: usize = 32;

/// Bytes that tell the key of a ticket: without them each stale ticket would cost two failed decryptions.
const KEY_NAME_BYTES: usize = 8;

/// A ticket of a client can be no longer, as each costs a copy and a decryption. A client's certificate is in it.
const TICKET_BYTES_MAX: usize = 16 * 1024;

/// A SHA-256 over `parts`, each with its length, so that no two lists of parts are one.
pub fn fingerprint(parts: &[&[u8]]) -> [u8; SHA256_OUTPUT_LEN] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut sum = [0; SHA256_OUTPUT_LEN];
    sum.copy_from_slice(context.finish().as_ref());
    sum
}

/// The keys of all tickets of the process: one object for all workers, as a client comes back to any of them. The keys
/// are drawn anew, never written anywhere, and change as a set (T34).
#[derive(Debug, Default)]
pub struct TicketKeys {
    keys: OnceLock<Mutex<Keys>>,
}

#[derive(Debug)]
struct Keys {
    current: Key,
    previous: Option<Key>,
    since: Instant,
}

#[derive(Debug)]
struct Key {
    name: [u8; KEY_NAME_BYTES],
    seal: RandomizedNonceKey,
}

impl Key {
    /// `None` when the system gives no randomness.
    fn draw() -> Option<Self> {
        let (mut name, mut secret) = ([0; KEY_NAME_BYTES], [0; KEY_BYTES]);
        rand::fill(&mut name).ok()?;
        rand::fill(&mut secret).ok()?;
        Some(Self { name, seal: RandomizedNonceKey::new(&AES_256_GCM, &secret).ok()? })
    }
}

impl TicketKeys {
    /// Fresh keys, drawn for the first [`Server`](super::Server) that has them: the library gathers randomness of its own
    /// before it gives any, which takes tens of milliseconds, and who speaks no TLS does not wait for it.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Draws the keys unless they were.
    ///
    /// # Panics
    /// When the system gives no randomness, without which there is no TLS at all.
    pub(super) fn prepare(&self) {
        drop(self.lock());
    }

    /// Takes the next key into use. Tickets of the one before the current are no longer opened.
    pub fn rotate(&self) {
        self.rotate_at(Instant::now());
    }

    fn rotate_at(&self, now: Instant) {
        let mut keys = self.lock();
        let Some(next) = Key::draw() else { return };
        keys.previous = Some(std::mem::replace(&mut keys.current, next));
        keys.since = now;
    }

    fn rotate_if_due(&self, now: Instant) {
        let age = now.saturating_duration_since(self.lock().since);
        if age < TICKET_KEY_LIFETIME {
            return;
        }
        self.rotate_at(now);
        if age >= 2 * TICKET_KEY_LIFETIME {
            // Nobody came for so long that the key which was current has had its time as well.
            self.lock().previous = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Keys> {
        let draw = || {
            let current = Key::draw().expect("the system has randomness, else no handshake would succeed");
            Mutex::new(Keys { current, previous: None, since: Instant::now() })
        };
        self.keys.get_or_init(draw).lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seal(&self, policy: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        self.rotate_if_due(Instant::now());
        let keys = self.lock();
        let mut sealed = plain.to_vec();
        let nonce = keys.current.seal.seal_in_place_append_tag(Aad::from(policy), &mut sealed).ok()?;
        Some([&keys.current.name[..], nonce.as_ref(), &sealed].concat())
    }

    fn open(&self, policy: &[u8], ticket: &[u8]) -> Option<Vec<u8>> {
        self.rotate_if_due(Instant::now());
        if ticket.len() > TICKET_BYTES_MAX {
            return None;
        }
        let (name, rest) = ticket.split_at_checked(KEY_NAME_BYTES)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        let keys = self.lock();
        let key = [Some(&keys.current), keys.previous.as_ref()]
            .into_iter()
            .flatten()
            .find(|key| key.name.as_slice() == name)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut plain = sealed.to_vec();
        let length = key.seal.open_in_place(nonce, Aad::from(policy), &mut plain).ok()?.len();
        plain.truncate(length);
        Some(plain)
    }
}

/// The tickets of one policy. Those of another are as good as forged here: what a client has proved to one it has not
/// proved to the other (CVE-2025-23419).
#[derive(Debug)]
pub(super) struct PolicyTickets {
    pub(super) keys: Arc<TicketKeys>,
    pub(super) policy: [u8; SHA256_OUTPUT_LEN],
}

impl ProducesTickets for PolicyTickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(TICKET_KEY_LIFETIME.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.keys.seal(&self.policy, plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.keys.open(&self.policy, cipher)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_opened_by_its_own_policy_alone_t34() {
        let keys = TicketKeys::new();
        let ticket = keys.seal(b"one", b"state").unwrap();
        assert_eq!(keys.open(b"one", &ticket).unwrap(), b"state");
        assert_eq!(keys.open(b"two", &ticket), None);
    }

    #[test]
    fn a_ticket_outlives_one_rotation_and_no_more_t34() {
        let keys = TicketKeys::new();
        let ticket = keys.seal(b"", b"state").unwrap();
        keys.rotate();
        assert_eq!(keys.open(b"", &ticket).unwrap(), b"state");
        keys.rotate();
        assert_eq!(keys.open(b"", &ticket), None);
    }

    #[test]
    fn keys_rotate_when_their_time_is_over_t34() {
        let keys = TicketKeys::new();
        let start = keys.lock().since;
        let name = keys.lock().current.name;
        keys.rotate_if_due(start + TICKET_KEY_LIFETIME - Duration::from_secs(1));
        assert_eq!(keys.lock().current.name, name);
        keys.rotate_if_due(start + TICKET_KEY_LIFETIME);
        assert_eq!(keys.lock().previous.as_ref().unwrap().name, name);
        keys.rotate_if_due(start + 4 * TICKET_KEY_LIFETIME);
        assert!(keys.lock().previous.is_none());
    }

    #[test]
    fn a_forged_ticket_is_none_at_every_byte_t34() {
        let keys = TicketKeys::new();
        let ticket = keys.seal(b"", b"state").unwrap();
        for position in 0..ticket.len() {
            let mut forged = ticket.clone();
            forged[position] ^= 1;
            assert_eq!(keys.open(b"", &forged), None, "{position}");
            assert_eq!(keys.open(b"", &ticket[..position]), None, "{position}");
        }
    }

    #[test]
    fn parts_are_told_apart_by_their_lengths() {
        assert_ne!(fingerprint(&[b"ab", b"c"]), fingerprint(&[b"a", b"bc"]));
    }
}
