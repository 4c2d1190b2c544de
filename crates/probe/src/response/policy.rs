//! What the kernel is to refuse or to kill for, and how that is written into its tables.

use std::net::IpAddr;

use ethogram_model::schema::PolicyOperation;

use crate::tables::shared::{HASH_PRIME, HASH_SEED, PathKey, Peer, operation};

/// Something that the kernel decides as it happens. For which containers it holds, [`Enforcer::assign`] says.
///
/// [`Enforcer::assign`]: crate::Enforcer::assign
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What a process does.
    pub operation: PolicyOperation,
    /// To what: any of these. Of peers there is one.
    pub matchers: Vec<Matcher>,
    /// What becomes of it.
    pub ruling: Ruling,
    /// Whether it stands for a rule: it holds for nothing that the rule's events would not report, and where that cannot be known,
    /// not at all.
    pub exact: bool,
}

/// To what it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matcher {
    /// To anything.
    Any,
    /// To this absolute path, as it is from the root of the container.
    Path(String),
    /// To all that lies below this directory.
    Below(String),
    /// To this peer.
    Peer {
        /// Its address, or that of its network.
        address: IpAddr,
        /// How many bits of the address count.
        bits: u8,
        /// Its port; none stands for all.
        port: Option<u16>,
    },
}

/// What becomes of who does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// The operation is refused.
    Deny,
    /// The process is killed, and the operation refused where that can be.
    Kill,
}

// The tables have a place for each.
const _: () = assert!(PolicyOperation::ALL.len() == operation::OPERATIONS as usize);

/// An operation's place in the tables.
pub(super) fn place(of: PolicyOperation) -> u32 {
    match of {
        PolicyOperation::Exec => operation::OP_EXEC,
        PolicyOperation::Write => operation::OP_WRITE,
        PolicyOperation::Connect => operation::OP_CONNECT,
        PolicyOperation::Mount => operation::OP_MOUNT,
        PolicyOperation::Ptrace => operation::OP_PTRACE,
        PolicyOperation::Module => operation::OP_MODULE,
        PolicyOperation::Bpf => operation::OP_BPF,
    }
}

/// The programs that decide an operation, all of which are needed.
pub(super) fn programs(operation: PolicyOperation) -> &'static [&'static str] {
    match operation {
        PolicyOperation::Exec => &["deny_exec"],
        PolicyOperation::Write => &["deny_open", "deny_create", "deny_truncate"],
        PolicyOperation::Connect => &["deny_connect", "deny_send"],
        PolicyOperation::Mount => &["deny_mount", "deny_move_mount"],
        PolicyOperation::Ptrace => &["deny_ptrace", "deny_traceme"],
        PolicyOperation::Module => &["deny_module_file", "deny_module", "deny_module_request"],
        PolicyOperation::Bpf => &["deny_bpf"],
    }
}

impl Policy {
    /// The programs that kill once it was done, where there are some.
    pub(super) fn after(&self) -> Option<&'static [&'static str]> {
        match (self.ruling, self.operation) {
            (Ruling::Kill, PolicyOperation::Exec) => Some(KILL_EXEC),
            (Ruling::Kill, PolicyOperation::Connect) => Some(KILL_CONNECT),
            _ => None,
        }
    }

    /// How many paths it has.
    pub fn paths(&self) -> usize {
        self.matchers.iter().filter(|m| matches!(m, Matcher::Path(_) | Matcher::Below(_))).count()
    }
}

/// The program that kills for an exec where the one that refuses is not taken, and where a rule asks for it.
pub(super) const KILL_EXEC: &[&str] = &["kill_exec"];
/// The program that kills for a connection where a rule asks for it.
pub(super) const KILL_CONNECT: &[&str] = &["kill_connect"];

pub(super) fn path_key(path: &str, below: bool) -> PathKey {
    PathKey { hash: hash_path(path), below: below.into(), ..PathKey::default() }
}

pub(super) fn peer(address: IpAddr, bits: u8, port: Option<u16>) -> Peer {
    let (address, bits) = match address {
        IpAddr::V4(v4) => (v4.to_ipv6_mapped(), 96 + u32::from(bits.min(32))),
        IpAddr::V6(v6) => (v6, u32::from(bits.min(128))),
    };
    let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
    Peer {
        address: words(u128::from(address) & mask),
        mask: words(mask),
        port: port.unwrap_or(0).into(),
        ..Peer::default()
    }
}

/// An address as it lies in the kernel's memory, in two words.
fn words(address: u128) -> [u64; 2] {
    [(address >> 64) as u64, address as u64].map(u64::to_be)
}

/// The hash that `match_path` makes of the names on the way down to a path.
fn hash_path(path: &str) -> u64 {
    path.split('/').filter(|name| !name.is_empty()).fold(HASH_SEED, |hash, name| mix(hash, hash_name(name.as_bytes())))
}

fn hash_name(name: &[u8]) -> u64 {
    let word = |part: &[u8]| {
        let mut bytes = [0; 8];
        bytes[..part.len()].copy_from_slice(part);
        u64::from_ne_bytes(bytes)
    };
    let hash = name.chunks(8).fold(HASH_SEED, |hash, part| mix(hash, word(part)));
    mix(hash, name.len() as u64)
}

fn mix(hash: u64, word: u64) -> u64 {
    let hash = (hash ^ word).wrapping_mul(HASH_PRIME);
    hash ^ hash >> 32
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_its_names_in_their_order() {
        assert_eq!(hash_path("/usr/bin/nc"), hash_path("//usr/bin/nc/"));
        for other in ["/bin/usr/nc", "/usr/bin", "/usr/bin/nc.", "/usr/binnc", "/", "/usr/bin/ncn\0"] {
            assert_ne!(hash_path("/usr/bin/nc"), hash_path(other), "{other}");
        }
        assert_ne!(path_key("/tmp", true), path_key("/tmp", false));
    }

    #[test]
    fn networks_are_masked_and_ipv4_is_mapped() {
        let net = peer("10.1.2.3".parse().unwrap(), 8, Some(80)).to_bytes();
        assert_eq!(net[..16], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 0]);
        assert_eq!(net[16..32], [&[255; 13][..], &[0; 3]].concat()[..]);
        assert_eq!(net[32..36], 80u32.to_ne_bytes());
        assert_eq!(peer("::".parse().unwrap(), 0, None), Peer::default());
        assert_eq!(peer("::1".parse().unwrap(), 128, None).mask, [u64::MAX; 2]);
    }
}
