//! What the kernel is to refuse or to kill for, and how that is written into its tables.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
};

use ethogram_model::schema::PolicyOperation;
use libbpf_rs::{MapCore, MapFlags, MapHandle};

use crate::tables::{
    hash::HashKey,
    shared::{
        OperationPolicies, PathKey, Peer, operation,
        path_extent::{PATH_ABOVE, PATH_ALONE, PATH_BELOW},
    },
};

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
    /// Whether it holds also for what runs in a container that is not known. It is none that stands for a rule.
    pub fail_closed: bool,
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

/// Programs that are needed together, by name.
pub(super) type Group = &'static [&'static str];

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
fn place(of: PolicyOperation) -> u32 {
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
        PolicyOperation::Exec => {
            &["deny_exec", "deny_map", "deny_protect", "deny_link_of_program", "deny_rename_of_program"]
        }
        PolicyOperation::Write => &[
            "deny_open",
            "deny_create",
            "deny_truncate",
            "deny_rename_from",
            "deny_rename_to",
            "deny_link_from",
            "deny_link_to",
            "deny_symlink",
            "deny_mkdir",
            "deny_unlink",
            "deny_rmdir",
            "deny_chmod",
        ],
        PolicyOperation::Connect => &["deny_connect", "deny_send"],
        PolicyOperation::Mount => &["deny_mount", "deny_move_mount"],
        PolicyOperation::Ptrace => &["deny_ptrace", "deny_traceme"],
        PolicyOperation::Module => &["deny_module_file", "deny_module", "deny_module_request"],
        PolicyOperation::Bpf => &["deny_bpf"],
    }
}

/// The program that decides who owns a file, without which an operation is decided all the same.
pub(super) const CHOWN: &[&str] = &["deny_chown"];

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

/// The program that notes which containers have begun, which all need.
pub(super) const BEGIN: &[&str] = &["begin_container"];
/// The program that kills for an exec where the one that refuses is not taken, and where a rule asks for it.
pub(super) const KILL_EXEC: &[&str] = &["kill_exec"];
/// The program that kills for a connection where a rule asks for it.
pub(super) const KILL_CONNECT: &[&str] = &["kill_connect"];

impl Matcher {
    /// What the kernel is to know of it, where it is about paths: itself, and all directories that may not be another's in its
    /// place.
    fn path_keys(&self, key: &HashKey) -> Vec<PathKey> {
        let (path, below) = match self {
            Self::Path(path) => (path, PATH_ALONE),
            Self::Below(path) => (path, PATH_BELOW),
            Self::Any | Self::Peer { .. } => return Vec::new(),
        };
        let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
        let above = match self {
            Self::Below(_) => 1..=names.len(),
            _ => 1..=names.len().saturating_sub(1),
        };
        let above = above.map(|end| path_key(key, names.get(..end).unwrap_or_default(), PATH_ABOVE));
        above.chain([path_key(key, &names, below)]).collect()
    }
}

fn path_key(key: &HashKey, names: &[&str], below: u32) -> PathKey {
    PathKey { hash: hash_path(key, names), below, ..PathKey::default() }
}

fn peer(address: IpAddr, bits: u8, port: Option<u16>) -> Peer {
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
fn hash_path(key: &HashKey, names: &[&str]) -> u64 {
    names.iter().fold(key.salt, |hash, name| key.mixed(hash, hash_name(key, name.as_bytes())))
}

fn hash_name(key: &HashKey, name: &[u8]) -> u64 {
    let word = |part: &[u8]| {
        let mut bytes = [0; 8];
        bytes[..part.len()].copy_from_slice(part);
        u64::from_ne_bytes(bytes)
    };
    let hash = name.chunks(8).fold(key.salt, |hash, part| key.mixed(hash, word(part)));
    key.mixed(hash, name.len() as u64)
}

/// Fills the tables.
pub(super) fn write(
    policies: &[(usize, &Policy, Group)],
    hash_key: &HashKey,
    operations: &MapHandle,
    paths: &MapHandle,
    peers: &MapHandle,
) -> libbpf_rs::Result<()> {
    let mut of_paths = BTreeMap::<_, u64>::new();
    for operation in PolicyOperation::ALL {
        let mut of = OperationPolicies::default();
        for (index, policy, group) in policies.iter().filter(|(_, p, _)| p.operation == operation) {
            let bit = 1u64 << index;
            *(if policy.ruling == Ruling::Deny { &mut of.deny } else { &mut of.kill }) |= bit;
            of.exact |= if policy.exact { bit } else { 0 };
            of.after |= if policy.after() == Some(*group) { bit } else { 0 };
            of.closed |= if policy.fail_closed { bit } else { 0 };
            for matcher in &policy.matchers {
                match matcher {
                    Matcher::Any if operation == PolicyOperation::Connect => {
                        let any = peer(Ipv6Addr::UNSPECIFIED.into(), 0, None).to_bytes();
                        peers.update(&(*index as u32).to_ne_bytes(), &any, MapFlags::ANY)?;
                    }
                    Matcher::Any => of.anything |= bit,
                    Matcher::Path(_) | Matcher::Below(_) => {
                        for key in matcher.path_keys(hash_key) {
                            *of_paths.entry(key.to_bytes()).or_default() |= bit;
                        }
                    }
                    Matcher::Peer { address, bits, port } => {
                        let peer = peer(*address, *bits, *port).to_bytes();
                        peers.update(&(*index as u32).to_ne_bytes(), &peer, MapFlags::ANY)?;
                    }
                }
            }
        }
        operations.update(&place(operation).to_ne_bytes(), &of.to_bytes(), MapFlags::ANY)?;
    }
    of_paths.iter().try_for_each(|(key, bits)| paths.update(key, &bits.to_ne_bytes(), MapFlags::ANY))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_its_names_in_their_order() {
        let key = HashKey::random();
        let alone = |path: &str| Matcher::Path(path.into()).path_keys(&key).pop().unwrap();
        assert_eq!(alone("/usr/bin/nc"), alone("//usr/bin/nc/"));
        for other in ["/bin/usr/nc", "/usr/bin", "/usr/bin/nc.", "/usr/binnc", "/", "/usr/bin/ncn\0"] {
            assert_ne!(alone("/usr/bin/nc"), alone(other), "{other}");
        }
        assert_ne!(Matcher::Below("/tmp".into()).path_keys(&key).pop().unwrap(), alone("/tmp"));
    }

    #[test]
    fn what_is_above_a_path_is_known_too() {
        let key = HashKey::random();
        let above = |names: &[&str]| path_key(&key, names, PATH_ABOVE);
        let of = |matcher: Matcher| {
            let mut keys = matcher.path_keys(&key);
            keys.pop();
            keys
        };
        assert_eq!(of(Matcher::Path("/etc/cron.d/x".into())), [above(&["etc"]), above(&["etc", "cron.d"])]);
        assert_eq!(of(Matcher::Below("/etc/cron.d".into())), [above(&["etc"]), above(&["etc", "cron.d"])]);
        assert_eq!(
            [of(Matcher::Path("/x".into())), of(Matcher::Below("/".into())), of(Matcher::Any)],
            [vec![], vec![], vec![]]
        );
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
