//! Which endpoint a new session goes to. Pure.

use std::net::IpAddr;

use towpath_base::random::Random;

use super::table::Flow;

/// An endpoint as the choice sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// What tells it apart from others, the same in every process: see [`identity`].
    pub(crate) identity: u64,
    /// Share of the sessions. 0 takes none.
    pub(crate) weight: u32,
    /// It was found unreachable a moment ago, so that others come first.
    pub(crate) is_doubtful: bool,
}

/// Chooses by rendezvous (Thaler and Ravishankar 1998), by weight: the same client gets the same endpoint while that
/// one is there, on whatever worker and after whatever restart, and when one leaves only its own clients move.
///
/// Upstreams' balance kinds do not apply: what a client is remembered by lives at the endpoint, and in-flight counts
/// say nothing about datagrams that need no answer.
pub(crate) fn choose(flow: &Flow, candidates: impl Iterator<Item = Candidate>) -> Option<usize> {
    let client = client(flow);
    let scored = candidates.enumerate().filter(|(_, candidate)| candidate.weight > 0);
    let best = scored.map(|(index, candidate)| (!candidate.is_doubtful, score(client, candidate), index));
    let best = best.max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    best.map(|(_, _, index)| index)
}

/// The identity of an endpoint of this name.
pub(crate) fn identity(name: &str) -> u64 {
    hash(name.as_bytes())
}

/// `-weight / ln(uniform)`: the highest of several wins in proportion to weight (Schindelhauer and Schomaker 2005).
fn score(client: u64, candidate: Candidate) -> f64 {
    let mixed = mix(client ^ candidate.identity);
    // 53 bits, the middle of each step, so that neither 0 nor 1 is met.
    let uniform = ((mixed >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    -f64::from(candidate.weight) / uniform.ln()
}

fn client(flow: &Flow) -> u64 {
    let (ip, port) = (flow.client.ip(), flow.client.port());
    let ip = match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut bytes = [0; 18];
    bytes[..16].copy_from_slice(&ip.octets());
    bytes[16..].copy_from_slice(&port.to_be_bytes());
    hash(&bytes)
}

/// FNV-1a with a finish that spreads it. No key: a client that wants a certain endpoint finds a port for it, and an
/// endpoint that is asked too much is the business of its limits.
fn hash(bytes: &[u8]) -> u64 {
    let mixed = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mix(mixed)
}

/// The finish of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(number: u64) -> u64 {
    Random::new(number).next_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(port: u16) -> Flow {
        Flow { client: ([192, 0, 2, 7], port).into(), local: None }
    }

    /// How many of the clients with ports below 10,000 each of `endpoints` gets; `?` marks one as doubtful.
    fn shares(endpoints: &[(&str, u32)]) -> Vec<usize> {
        let mut shares = vec![0; endpoints.len()];
        for port in 0..10_000 {
            shares[pick(endpoints, port).unwrap()] += 1;
        }
        shares
    }

    fn pick(endpoints: &[(&str, u32)], port: u16) -> Option<usize> {
        let candidates = endpoints.iter().map(|(name, weight)| Candidate {
            identity: identity(name.trim_end_matches('?')),
            weight: *weight,
            is_doubtful: name.ends_with('?'),
        });
        choose(&flow(port), candidates)
    }

    #[test]
    fn sessions_are_shared_by_weight() {
        for (share, expected) in shares(&[("a:1", 1), ("b:1", 2), ("c:1", 1)]).iter().zip([2500, 5000, 2500])
        {
            assert!(share.abs_diff(expected) < 200, "{share} of {expected}");
        }
        assert_eq!(shares(&[("a:1", 0), ("b:1", 1)]), [0, 10_000]);
        assert_eq!(pick(&[("a:1", 0)], 1), None);
        assert_eq!(pick(&[], 1), None);
    }

    #[test]
    fn when_an_endpoint_leaves_only_its_own_clients_move() {
        let before = [("a:1", 1), ("b:1", 1), ("c:1", 1)];
        let after = [("c:1", 1), ("a:1", 1)];
        for port in 0..1000 {
            let (was, is) = (pick(&before, port).unwrap(), pick(&after, port).unwrap());
            assert!(before[was].0 == "b:1" || before[was].0 == after[is].0, "port {port}");
        }
    }

    #[test]
    fn a_doubtful_endpoint_is_the_last_resort() {
        assert_eq!(shares(&[("a:1?", 9), ("b:1", 1)]), [0, 10_000]);
        assert_eq!(shares(&[("a:1?", 1)]), [10_000]);
        // Its clients return to it afterwards.
        for port in 0..100 {
            assert_eq!(pick(&[("a:1?", 1), ("b:1?", 1)], port), pick(&[("a:1", 1), ("b:1", 1)], port));
        }
    }

    #[test]
    fn the_choice_is_the_same_in_every_process() {
        let endpoints = [("10.0.0.1:53", 1), ("10.0.0.2:53", 1), ("10.0.0.3:53", 1)];
        let picks: String = (0..16).map(|port| pick(&endpoints, port).unwrap().to_string()).collect();
        assert_eq!(picks, "2010211222102012");
    }
}
