//! The service kit: what the gateway is built from.

pub mod chan;
pub mod ctx;
pub mod pool;
pub mod supervise;
