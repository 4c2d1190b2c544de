//! To what something is done, as the kernel's policies can say it.

use std::net::IpAddr;

use super::super::test::{Network, Test};

/// To what something is done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// To anything.
    Any,
    /// To this path.
    Path(String),
    /// To all that lies below this directory, which has no slash at its end.
    Below(String),
    /// To this peer.
    Peer {
        /// Its address, or that of its network; of all, the unspecified one of IPv6.
        address: IpAddr,
        /// How many bits of it count.
        bits: u8,
        /// Its port; none stands for all.
        port: Option<u16>,
    },
}

impl Target {
    /// What is both; none where nothing is.
    pub(super) fn and(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Any, one) | (one, Self::Any) => Some(one.clone()),
            (Self::Path(a), Self::Path(b)) => (a == b).then(|| self.clone()),
            (Self::Path(path), Self::Below(_)) => is_below(path, other).then(|| self.clone()),
            (Self::Below(_), Self::Path(path)) => is_below(path, self).then(|| other.clone()),
            (Self::Below(a), Self::Below(b)) if a == b || is_below(a, other) => Some(self.clone()),
            (Self::Below(_), Self::Below(b)) => is_below(b, self).then(|| other.clone()),
            (
                Self::Peer { address: a, bits: a_bits, port: a_port },
                Self::Peer { address: b, bits: b_bits, port: b_port },
            ) => {
                let ((address, bits), wide) = if narrowness(*a, *a_bits) >= narrowness(*b, *b_bits) {
                    ((*a, *a_bits), (*b, *b_bits))
                } else {
                    ((*b, *b_bits), (*a, *a_bits))
                };
                if !is_anybody(wide) && !Network::new(wide.0, wide.1).holds(address) {
                    return None;
                }
                let port = match (a_port, b_port) {
                    (None, port) | (port, None) => *port,
                    (a, b) if a == b => *a,
                    _ => return None,
                };
                Some(Self::Peer { address, bits, port })
            }
            _ => None,
        }
    }
}

/// How narrow a network is: that of all peers is wider than all of IPv4.
fn narrowness(address: IpAddr, bits: u8) -> u16 {
    if address.is_ipv4() { u16::from(bits) + 96 } else { u16::from(bits) }
}

fn is_anybody((address, bits): (IpAddr, u8)) -> bool {
    bits == 0 && address.is_ipv6()
}

fn is_below(path: &str, directory: &Target) -> bool {
    let Target::Below(directory) = directory else { return false };
    path.strip_prefix(directory.as_str()).is_some_and(|rest| rest.starts_with('/'))
}

/// A port, of whatever address; none where it is no port.
pub(super) fn port(number: i64) -> Option<Target> {
    let port = u16::try_from(number).ok().filter(|port| *port != 0)?;
    Some(Target::Peer { address: std::net::Ipv6Addr::UNSPECIFIED.into(), bits: 0, port: Some(port) })
}

/// The paths that pass a test. None where they are more than single ones and all below a directory. One that no file
/// can have, as the kernel reports paths, is left out.
pub(super) fn paths(test: &Test) -> Option<Vec<Target>> {
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
    let path = |bytes: &[u8]| text(bytes).filter(|path| is_path(path)).map(Target::Path);
    let below = |bytes: &[u8]| text(bytes).filter(|path| path.is_empty() || is_path(path)).map(Target::Below);
    match test {
        Test::OneOf(all) => Some(all.iter().filter_map(|one| path(one)).collect()),
        Test::Starts(start) => Some(below(start.strip_suffix(b"/")?).into_iter().collect()),
        // Sub-folders included, as a star stands for slashes, too; what has no name below the folder is no file.
        Test::Wild(pattern, true) if !pattern.contains(&b'?') => {
            let start = pattern.strip_suffix(b"/*")?;
            (!start.contains(&b'*')).then(|| below(start).into_iter().collect())
        }
        Test::Below(all) => Some(
            all.iter()
                .flat_map(|one| if &**one == b"/" { vec![below(b"")] } else { vec![path(one), below(one)] })
                .flatten()
                .collect(),
        ),
        _ => None,
    }
}

/// Whether the kernel could report such a path.
fn is_path(path: &str) -> bool {
    let mut names = path.split('/');
    names.next() == Some("")
        && names.all(|name| !matches!(name, "" | "." | "..") && name.len() < 256 && !name.contains(['\0', '\u{fffd}']))
}
