//! System calls by name: their numbers, also those of 32-bit programs, and the kernel's functions behind them.

use std::collections::{BTreeMap, BTreeSet};

use super::symbols::{FUNCTIONS, Symbols};
use crate::tables::shared::SYSCALL_NUMBERS;

#[cfg(target_arch = "aarch64")]
use syscalls::{aarch64::Sysno as Native, arm::Sysno as Compat};
#[cfg(target_arch = "x86_64")]
use syscalls::{x86::Sysno as Compat, x86_64::Sysno as Native};

/// Numbers of an architecture, and places in each of `syscall.bpf.h`'s tables; those of 32-bit programs follow.
const NUMBERS: u32 = SYSCALL_NUMBERS as u32;

/// The system calls that a tracker's program hooks, by slot in the tables of `syscall.bpf.h`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SystemCalls {
    /// Slot to the enumerator that the program knows the call by.
    pub(crate) slots: BTreeMap<u32, u8>,
    /// Their names in the kernel's own spelling.
    pub(crate) names: Vec<String>,
}

impl SystemCalls {
    /// Of names and enumerators. Names that this architecture lacks are left out.
    pub(crate) fn new(calls: impl IntoIterator<Item = (String, u8)>) -> Self {
        let mut wanted = Self::default();
        for (name, which) in calls {
            let native = name.parse::<Native>().ok().map(|n| n.id() as u32);
            let compat = compat_names(&name).filter_map(|n| n.parse::<Compat>().ok()).map(|n| n.id() as u32 + NUMBERS);
            let slots: Vec<_> = native.into_iter().filter(|n| *n < NUMBERS).chain(compat).collect();
            wanted.slots.extend(slots.iter().map(|slot| (*slot, which)));
            if !slots.is_empty() {
                wanted.names.push(name);
            }
        }
        wanted
    }

    /// The functions of this kernel that do them.
    pub(crate) fn functions(&self) -> Vec<String> {
        let known = &Symbols::of_kernel().system_calls;
        let mut functions = BTreeSet::new();
        for name in &self.names {
            functions.insert(format!("{}{name}", FUNCTIONS.0));
            functions.insert(format!("{}{name}64", FUNCTIONS.0)); // sendfile is that
            for prefix in FUNCTIONS.1 {
                functions.extend(compat_names(name).map(|n| format!("{prefix}{n}")));
                functions.insert(format!("{prefix}{name}16"));
            }
            if name == "umount2" {
                functions.insert(format!("{}umount", FUNCTIONS.0));
                functions.extend(FUNCTIONS.1.iter().map(|prefix| format!("{prefix}umount")));
            }
            if name == "mmap" {
                functions.insert(format!("{}mmap_pgoff", FUNCTIONS.1[0]));
            }
        }
        functions.into_iter().filter(|f| known.contains_key(f)).collect()
    }
}

/// What each slot's system call is called. Those of 32-bit programs say so.
pub(crate) fn names() -> Vec<(u64, String)> {
    let native = Native::iter().map(|n| (n.id() as u64, n.name().to_owned()));
    let compat = Compat::iter().map(|n| (n.id() as u64 + u64::from(NUMBERS), format!("{} (32-bit)", n.name())));
    native
        .filter(|(slot, _)| *slot < u64::from(NUMBERS))
        .chain(compat)
        .filter(|(slot, _)| *slot < 2 * u64::from(NUMBERS))
        .collect()
}

/// How 32-bit architectures call what has a single name on 64-bit ones.
fn compat_names(name: &str) -> impl Iterator<Item = String> {
    let plain = (name != "mmap").then(|| name.to_owned()); // the old one takes a struct
    let second = (name == "mmap").then(|| "mmap2".to_owned());
    plain.into_iter().chain(second).chain([format!("{name}32"), format!("{name}64"), format!("{name}_time64")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_stands_for_its_native_and_its_32_bit_numbers() {
        let wanted = SystemCalls::new([("openat".into(), 1), ("setuid".into(), 2), ("no_such_call".into(), 3)]);
        assert_eq!(wanted.names, ["openat", "setuid"]);
        #[cfg(target_arch = "x86_64")]
        assert_eq!(wanted.slots, BTreeMap::from([(257, 1), (512 + 295, 1), (105, 2), (512 + 23, 2), (512 + 213, 2)]));
    }

    #[test]
    fn each_slot_has_a_name() {
        let names = names();
        let name = |slot: u32| names.iter().find(|(s, _)| *s == u64::from(slot)).map(|(_, name)| name.as_str());
        #[cfg(target_arch = "x86_64")]
        assert_eq!([name(0), name(257), name(512 + 295)], [Some("read"), Some("openat"), Some("openat (32-bit)")]);
        assert_eq!((name(511), name(1023)), (None, None));
    }

    #[test]
    fn a_call_with_another_layout_in_32_bit_programs_is_not_mistaken() {
        let wanted = SystemCalls::new([("mmap".into(), 1)]);
        #[cfg(target_arch = "x86_64")]
        assert_eq!(wanted.slots.into_keys().collect::<Vec<_>>(), [9, 512 + 192]);
    }
}
