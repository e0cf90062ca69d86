//! Pure decisions about traffic: which route, which endpoint, whether to try again, who is healthy, how often.
//!
//! Nothing here reads a clock, opens a socket, starts a thread or holds a global. The current time is always an
//! argument named `now_us` or `now_ns` (of any monotonic clock), and whatever is random grows from a seed that the
//! caller hands over. The same inputs therefore give the same answers, which is what lets `explain` be the data
//! path instead of a copy of it.
//!
//! ```text
//!   Head --> route::RouteTable --> policies --> balance::Split --> balance::Balancer --> endpoint
//!                  |                             (which upstream)    (which endpoint)       |
//!               explain                                                                     | failed
//!                                       retry::decide + retry::Budget  <--------------------+
//!                                       health::Health  <-- probe results (control)
//! ```
//!
//! Not here: wire formats (`towpath-proto`), connections (`towpath-net` and the pool of the kit), and the carrying
//! out of any of these decisions (`towpath-gateway`).

pub mod balance;
pub mod health;
pub mod rate;
pub mod retry;
pub mod route;
