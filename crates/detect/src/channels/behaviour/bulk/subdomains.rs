//! Names that are asked for below one domain, and how much data these can carry.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;

use super::{Sum, files::hash_of};
use crate::subject::normalise::random::information;

/// What belongs together happens within such a time, nanoseconds.
const WINDOW_NS: u64 = 600_000_000_000;
/// So many bits in that time are a small secret, such as a private key, and more than a service's hashed names are.
const MANY_BITS: usize = 8 * 256;
/// Fewer names are too long to be overlooked.
const MANY_NAMES: usize = 4;
/// Names of one domain told apart within that time: even those that carry a byte each are many by then. Further ones are not counted.
const MAX_NAMES: usize = 256;
/// Domains at one time. Beyond, the one with the least gives way.
const MAX_DOMAINS: usize = 32;

/// Domains that a workload asks for names below of.
#[derive(Debug, Default)]
pub(super) struct Subdomains {
    domains: BTreeMap<String, Domain>,
}

#[derive(Debug, Default)]
struct Domain {
    since_ns: u64,
    names: FxHashSet<u64>,
    bits: usize,
    /// Of which it was said last.
    said_bits: usize,
}

/// What lies below a domain that somebody may have registered, and that domain: the last two labels, three below the registries of
/// countries, as `co.uk`.
fn split(name: &str) -> (&str, &str) {
    let mut dots = name.rmatch_indices('.').map(|(at, _)| at);
    let (Some(last), second) = (dots.next(), dots.next()) else { return (name, ".") };
    let Some(second) = second else { return (&name[..last], &name[last + 1..]) };
    let is_of_country = name.len() - last == 3 && last - second <= 4;
    let at = if is_of_country { dots.next().unwrap_or(second) } else { second };
    (&name[..at], &name[at + 1..])
}

impl Subdomains {
    /// Lets go of what is over.
    pub(super) fn forget(&mut self, now_ns: u64) {
        self.domains.retain(|_, asked| now_ns.saturating_sub(asked.since_ns) < WINDOW_NS);
    }

    /// A name is asked for. What it completes.
    pub(super) fn ask(&mut self, name: &str, now_ns: u64) -> Option<Sum> {
        let (below, domain) = split(name.trim_end_matches('.'));
        let bits: usize = below.split('.').map(information).sum();
        // Addresses are asked for by the names of this domain, and nobody's data is.
        if bits == 0 || domain.eq_ignore_ascii_case("ip6.arpa") || domain.eq_ignore_ascii_case("in-addr.arpa") {
            return None;
        }
        let domain = domain.to_ascii_lowercase();
        if !self.domains.contains_key(&domain) {
            self.make_room(now_ns);
        }
        let asked = self.domains.entry(domain.clone()).or_default();
        if now_ns.saturating_sub(asked.since_ns) >= WINDOW_NS {
            *asked = Domain { since_ns: now_ns, ..Domain::default() };
        }
        if asked.names.len() >= MAX_NAMES || !asked.names.insert(hash_of(below.to_ascii_lowercase())) {
            return None;
        }
        asked.bits += bits;
        let is_many = asked.names.len() >= MANY_NAMES && asked.bits >= MANY_BITS.max(2 * asked.said_bits);
        is_many.then(|| {
            asked.said_bits = asked.bits;
            let (names, bytes) = (asked.names.len(), asked.bits / 8);
            Sum { object: domain, many: format!("{names} names within ten minutes, which can carry {bytes} bytes") }
        })
    }

    /// Forgets what is over, and else the domain with the least.
    fn make_room(&mut self, now_ns: u64) {
        if self.domains.len() < MAX_DOMAINS {
            return;
        }
        self.forget(now_ns);
        if self.domains.len() >= MAX_DOMAINS {
            let least = self.domains.iter().min_by_key(|(_, asked)| asked.bits).map(|(name, _)| name.clone());
            least.and_then(|name| self.domains.remove(&name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_what_can_be_registered() {
        for (name, below, domain) in [
            ("a.b.evil.example", "a.b", "evil.example"),
            ("evil.example", "evil", "example"),
            ("data.evil.co.uk", "data", "evil.co.uk"),
            ("www.bund.de", "www", "bund.de"),
            ("data.lan", "data", "lan"),
            ("data", "data", "."),
        ] {
            assert_eq!(split(name), (below, domain), "{name}");
        }
    }

    #[test]
    fn endless_names_and_domains_are_bounded_and_the_one_with_most_stays() {
        let mut asked = Subdomains::default();
        let mut found = Vec::new();
        for n in 0..20_000_u64 {
            let now_ns = 1 + n;
            assert!(asked.ask(&format!("c0505736f89390ec.d{n}.example"), now_ns).is_none());
            found.extend(
                asked.ask(
                    &format!("{:016x}c0505736f89390ec.evil.example", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                    now_ns,
                ),
            );
            assert!(asked.domains.len() <= MAX_DOMAINS);
            assert!(asked.domains.values().all(|domain| domain.names.len() <= MAX_NAMES));
        }
        assert!(found.len() >= 2 && found.iter().all(|sum| sum.object == "evil.example"));
        asked.forget(WINDOW_NS + 20_001);
        assert!(asked.domains.is_empty());
    }
}
