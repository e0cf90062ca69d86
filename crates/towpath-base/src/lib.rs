//! What std lacks and two crates need. Pure: no clock, no sockets, no threads of its own.
//!
//! - [`wheel`]: a hashed timer wheel that counts ticks it is told about.
//! - [`slab`]: slots that are reused, with a guard against a key of a former owner.
//! - [`counting`]: an allocator for tests that counts.
//! - [`random`]: a small seeded generator, so that a failing seed replays exactly.

pub mod counting;
pub mod random;
pub mod slab;
pub mod wheel;
