//! Peers as `address:port`, in which many of a network become the network, and many of a port the port.

use std::{borrow::Cow, collections::BTreeMap, net::IpAddr};

use crate::learning::Seen;

/// The first port of those that the kernel hands out for a moment.
pub(crate) const FIRST_EPHEMERAL: u16 = 32_768;
/// How ports from [`FIRST_EPHEMERAL`] are written where they are treated as one.
pub(crate) const EPHEMERAL: &str = "ephemeral";

/// Different addresses of one private network, with one port, from which the network is meant.
const MANY_IN_PRIVATE: usize = 4;
/// The same for a public network.
const MANY_IN_PUBLIC: usize = 8;
/// Different ephemeral ports of one address from which any is meant.
const MANY_PORTS: usize = 8;
/// Different addresses with one port from which any is meant.
const MANY_ANYWHERE: usize = 32;

/// The object of a behaviour towards a peer.
pub(crate) fn name(address: IpAddr, port: u16) -> String {
    match address {
        IpAddr::V4(a) => format!("{a}:{port}"),
        IpAddr::V6(a) => format!("[{a}]:{port}"),
    }
}

/// The same where the address has a name. Who answers a query can say anything: a name that had stood for one of the own
/// network's addresses does not stand for another.
pub(crate) fn named(name: &str, address: IpAddr, port: u16) -> String {
    let whose = if is_private(address) { " (private)" } else { "" };
    format!("{name}:{port}{whose}")
}

/// Whether it is how a port is written.
pub(crate) fn is_port(text: &str) -> bool {
    text == EPHEMERAL || text.parse::<u16>().is_ok()
}

/// The address and port of a name; nothing of one that stands for many.
pub(crate) fn parse(name: &str) -> Option<(IpAddr, u16)> {
    let peer: std::net::SocketAddr = name.parse().ok()?;
    Some((peer.ip(), peer.port()))
}

/// What stands for many peers like one, from narrow to wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wider {
    /// Any ephemeral port of the address.
    Ports,
    /// The network, with the port.
    Network,
    /// Any address with the port.
    Anywhere,
}

impl Wider {
    /// Those that can stand for peers with this port.
    fn all(port: u16) -> impl Iterator<Item = Self> {
        let ports = (port >= FIRST_EPHEMERAL).then_some(Self::Ports);
        ports.into_iter().chain([Self::Network, Self::Anywhere])
    }

    /// As what the peer is kept then.
    fn pattern(self, address: IpAddr, port: u16) -> String {
        match (self, address) {
            (Self::Ports, _) => format!("{}{EPHEMERAL}", self.beginning(address)),
            (Self::Network, IpAddr::V4(a)) => {
                let [a, b, c, _] = a.octets();
                format!("{a}.{b}.{c}.0/24:{port}")
            }
            (Self::Network, IpAddr::V6(a)) => {
                format!("[{}/64]:{port}", std::net::Ipv6Addr::from_bits(a.to_bits() >> 64 << 64))
            }
            (Self::Anywhere, _) => format!("*:{port}"),
        }
    }

    /// How many it takes.
    fn many(self, address: IpAddr) -> usize {
        match self {
            Self::Ports => MANY_PORTS,
            Self::Network if is_private(address) => MANY_IN_PRIVATE,
            Self::Network => MANY_IN_PUBLIC,
            Self::Anywhere => MANY_ANYWHERE,
        }
    }

    /// How the names of all begin that it stands for. Names are in order, so only those are looked at.
    fn beginning(self, address: IpAddr) -> String {
        match (self, address) {
            (Self::Ports, IpAddr::V4(a)) => format!("{a}:"),
            (Self::Ports, IpAddr::V6(a)) => format!("[{a}]:"),
            (Self::Network, IpAddr::V4(a)) => {
                let [a, b, c, _] = a.octets();
                format!("{a}.{b}.{c}.")
            }
            // How the names of a network begin depends on which zeros are left out.
            (Self::Network, IpAddr::V6(a)) => match a.segments() {
                [0, ..] => "[".to_owned(),
                [first, ..] => format!("[{first:x}:"),
            },
            (Self::Anywhere, _) => String::new(),
        }
    }

    /// How they end.
    fn ending(self, address: IpAddr, port: u16) -> String {
        match (self, address) {
            (Self::Ports, _) => String::new(),
            (Self::Network, IpAddr::V6(_)) => format!("]:{port}"),
            _ => format!(":{port}"),
        }
    }

    /// Which of these it stands for, where it stands for a peer like this one.
    fn covers(self, address: IpAddr, port: u16, peers: &BTreeMap<String, Seen>) -> Vec<&String> {
        let (beginning, ending) = (self.beginning(address), self.ending(address, port));
        let pattern = self.pattern(address, port);
        let named = peers.range(beginning.clone()..).map(|(name, _)| name);
        let named = named.take_while(|name| name.starts_with(&beginning)).filter(|name| name.ends_with(&ending));
        let is_like = |held: &str| {
            parse(held).is_some_and(|(address, port)| {
                Self::all(port).any(|wider| wider == self) && self.pattern(address, port) == pattern
            })
        };
        named.filter(|held| is_like(held)).collect()
    }
}

/// As what a peer is kept: itself, or what stands for many like it.
pub(crate) fn known_as<'a>(peers: &BTreeMap<String, Seen>, peer: &'a str) -> Cow<'a, str> {
    if peers.contains_key(peer) {
        return Cow::Borrowed(peer);
    }
    let Some((address, port)) = parse(peer) else { return Cow::Borrowed(peer) };
    let mut patterns = Wider::all(port).map(|wider| wider.pattern(address, port));
    patterns.find(|pattern| peers.contains_key(pattern)).map_or(Cow::Borrowed(peer), Cow::Owned)
}

/// Adds a peer, and replaces it and its like by what stands for them where they have become many.
pub(crate) fn insert(peers: &mut BTreeMap<String, Seen>, peer: &str, seen: Seen) {
    peers.entry(peer.to_owned()).or_default().add(seen);
    let Some((address, port)) = parse(peer) else { return };
    for wider in Wider::all(port) {
        let covered: Vec<String> = wider.covers(address, port, peers).into_iter().cloned().collect();
        if covered.len() > wider.many(address) {
            let mut all = Seen::default();
            covered.iter().filter_map(|held| peers.remove(held)).for_each(|s| all.add(s));
            peers.entry(wider.pattern(address, port)).or_default().add(all);
            return;
        }
    }
}

/// Whether the address is of a network that is not routed, or of this machine.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => a.is_private() || a.is_loopback() || a.is_link_local(),
        IpAddr::V6(a) => a.is_loopback() || a.is_unique_local() || a.is_unicast_link_local(),
    }
}

/// Whether a peer, or one of those that a pattern stands for, may be beyond the own network.
pub(crate) fn is_public(peer: &str) -> bool {
    if let Some((address, _)) = parse(peer) {
        return !is_private(address);
    }
    let end = |c: char| "/]".contains(c);
    let network = match peer.strip_prefix('[') {
        Some(inside) => inside.split(end).next(),
        None => peer.split(|c: char| "/:".contains(c)).next(),
    };
    let network: Option<IpAddr> = network.and_then(|network| network.parse().ok());
    network.map_or(!peer.ends_with(" (private)"), |network| !is_private(network))
}

/// Whether a peer's name is of this machine.
pub(crate) fn is_loopback(peer: &str) -> bool {
    parse(peer).is_some_and(|(address, _)| address.is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn learnt(names: impl IntoIterator<Item = String>) -> BTreeMap<String, Seen> {
        let mut peers = BTreeMap::new();
        for name in names {
            let known = known_as(&peers, &name).into_owned();
            match peers.get_mut(&known) {
                Some(seen) => seen.add(Seen::at(1)),
                None => insert(&mut peers, &name, Seen::at(1)),
            }
        }
        peers
    }

    #[test]
    fn few_stay_and_many_become_one() {
        let few = learnt((1..=4).map(|i| format!("10.0.0.{i}:5432")));
        assert_eq!(few.len(), 4);
        let many = learnt((1..=5).map(|i| format!("10.0.0.{i}:5432")));
        assert_eq!(many.keys().collect::<Vec<_>>(), ["10.0.0.0/24:5432"]);
        assert!(many.contains_key(&*known_as(&many, "10.0.0.99:5432")));
        assert!(!many.contains_key(&*known_as(&many, "10.0.0.99:22")));
        assert!(!many.contains_key(&*known_as(&many, "10.0.1.1:5432")));
    }

    #[test]
    fn a_client_of_everyone_is_known_by_its_port() {
        let peers = learnt((1..=40).map(|i| format!("203.{i}.113.7:443")));
        assert_eq!(peers.keys().collect::<Vec<_>>(), ["*:443"]);
        assert!(peers.contains_key(&*known_as(&peers, "[2001:db8::1]:443")));
        assert!(!peers.contains_key(&*known_as(&peers, "203.0.113.7:4444")));
    }

    #[test]
    fn passing_ports_of_one_address_are_one() {
        let peers = learnt((0..9).map(|i| format!("[fd00::1]:{}", 40_000 + i)));
        assert_eq!(peers.keys().collect::<Vec<_>>(), ["[fd00::1]:ephemeral"]);
        assert!(peers.contains_key(&*known_as(&peers, "[fd00::1]:50000")));
        assert!(!peers.contains_key(&*known_as(&peers, "[fd00::1]:22")));
    }

    #[test]
    fn what_is_beyond_the_own_network_is_found() {
        for (peer, public) in [
            ("10.0.0.1:80", false),
            ("10.0.0.0/24:80", false),
            ("203.0.113.0/24:80", true),
            ("203.0.113.7:443", true),
            ("[fd00::/64]:80", false),
            ("[2001:db8::/64]:80", true),
            ("*:443", true),
            ("db.shop:5432 (private)", false),
            ("example.org:443", true),
            ("10.0.0.1:ephemeral", false),
        ] {
            assert_eq!(is_public(peer), public, "{peer}");
        }
    }

    #[test]
    fn a_scan_of_ports_costs_little_for_each() {
        // Beyond the first, each port is looked for among all peers by its ending alone.
        let peers = learnt((1..=4_096).map(|port| format!("10.0.0.5:{port}")));
        assert_eq!(peers.len(), 4_096);
        let (address, port) = ("10.0.0.5".parse().unwrap(), 4_096);
        let covered: Vec<_> = Wider::all(port).map(|wider| wider.covers(address, port, &peers).len()).collect();
        assert_eq!(covered, [1, 1]);
    }

    #[test]
    fn networks_of_ipv6_are_64_bits() {
        let peers = learnt((1..=5).map(|i| format!("[fd00::{i}]:80")));
        assert_eq!(peers.keys().collect::<Vec<_>>(), ["[fd00::/64]:80"]);
    }
}
