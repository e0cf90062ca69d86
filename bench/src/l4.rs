//! What the person who starts the TCP or UDP bench may choose beside what every comparison has.

use crate::Outcome;
use crate::args::Args;
use crate::compare;
use crate::peers::Service;

/// The choices.
#[derive(Debug)]
pub struct Options {
    /// What every comparison has.
    pub common: compare::Options,
    /// Messages per second of the scenarios with a rate.
    pub rate: u32,
    /// Connections or clients of the scenarios with small messages.
    pub connections: usize,
    /// Numbers of flows of the bulk scenarios.
    pub flows: Vec<usize>,
    /// TCP bulk: bytes of a turn, in MiB.
    pub mib: u64,
    /// UDP bulk: datagrams of a flow that may be under way.
    pub window: u64,
}

impl Options {
    /// Reads the arguments of this process.
    ///
    /// # Errors
    /// One is unknown or not what it should be.
    pub fn from_env(service: Service) -> Outcome<Options> {
        let mut args = Args::from_env()?;
        let is_udp = service == Service::Udp;
        let options = Options {
            common: compare::Options::take(&mut args)?,
            rate: args.take("rate")?.unwrap_or(10_000),
            connections: args.take("connections")?.unwrap_or(if is_udp { 128 } else { 64 }),
            flows: args.take_list("flows", if is_udp { &[1] } else { &[1, 8] })?,
            mib: args.take("mib")?.unwrap_or(1_024),
            window: args.take("window")?.unwrap_or(64),
        };
        args.finish()?;
        Ok(options)
    }
}
