//! The kernel's types, thinned to those that trackers read.
//!
//! To load an object, libbpf looks every type that its programs read up by name among all of the kernel's, and does so
//! for each object anew: with all trackers, half of what starting takes. So the agent gives it BTF that holds the wanted
//! types only, and ends behind the last of them. What is left out is a nameless pointer there, because a type's number
//! has to stay what it is in the kernel: programs pass it to the kernel.
//!
//! The format: <https://docs.kernel.org/bpf/btf.html>.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io::Write,
    os::fd::AsRawFd,
    path::PathBuf,
};

use rustix::fs::MemfdFlags;

const MAGIC: u16 = 0xeb9f;
const HEADER: usize = 24;
/// Bytes of each type before what its kind adds.
const HEAD: usize = 12;

const INT: u32 = 1;
const POINTER: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const FORWARD: u32 = 7;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const RESTRICT: u32 = 11;
const FUNCTION: u32 = 12;
const PROTOTYPE: u32 = 13;
const VARIABLE: u32 = 14;
const SECTION: u32 = 15;
const FLOAT: u32 = 16;
const DECLARATION_TAG: u32 = 17;
const TYPE_TAG: u32 = 18;
const ENUM64: u32 = 19;

/// A file in memory with the types of some names.
#[derive(Debug)]
pub(crate) struct KernelTypes {
    file: File,
    names: HashSet<String>,
    tracepoints: HashSet<String>,
}

impl KernelTypes {
    /// The running kernel's types of these names, and what they consist of. None where that cannot be had: everything
    /// works without, only slower.
    pub(crate) fn of(names: HashSet<String>) -> Option<Self> {
        let (thin, tracepoints) = thin(&fs::read("/sys/kernel/btf/vmlinux").ok()?, &names)?;
        let mut file = File::from(rustix::fs::memfd_create("ethogram-types", MemfdFlags::CLOEXEC).ok()?);
        file.write_all(&thin).ok()?;
        Some(Self { file, names, tracepoints })
    }

    /// Whether all types of these names are here, as far as the kernel has them.
    pub(crate) fn cover(&self, names: &[String]) -> bool {
        names.iter().all(|name| self.names.contains(name))
    }

    /// Whether the kernel has a tracepoint of that name.
    pub(crate) fn has_tracepoint(&self, name: &str) -> bool {
        self.tracepoints.contains(name)
    }

    /// A name by which the file can be opened as long as this lives.
    pub(crate) fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.file.as_raw_fd()).into()
    }
}

/// A type's name without what distinguishes several forms of it: `task_struct` of `task_struct___old`.
pub(crate) fn essential(name: &str) -> &str {
    name.split_once("___").map_or(name, |(essential, _)| essential)
}

/// One type, as its bytes from its head on.
#[derive(Clone, Copy)]
struct Type<'b>(&'b [u8]);

impl<'b> Type<'b> {
    /// The first one of `bytes`, and the bytes behind it. None for a kind that is not known.
    fn first(bytes: &'b [u8]) -> Option<(Self, &'b [u8])> {
        let head = Self(bytes.get(..HEAD)?);
        let more = match head.kind() {
            POINTER | FORWARD | TYPEDEF..=FUNCTION | FLOAT | TYPE_TAG => 0,
            INT | VARIABLE | DECLARATION_TAG => 4,
            ARRAY => 12,
            ENUM | PROTOTYPE => 8 * head.len(),
            STRUCT | UNION | SECTION | ENUM64 => 12 * head.len(),
            _ => return None,
        };
        let (ours, rest) = bytes.split_at_checked(HEAD + more)?;
        Some((Self(ours), rest))
    }

    fn word(self, index: usize) -> u32 {
        word(self.0, 4 * index).unwrap_or_default()
    }

    fn kind(self) -> u32 {
        self.word(1) >> 24 & 0x1f
    }

    /// How many members or values.
    fn len(self) -> usize {
        self.word(1) as usize & 0xffff
    }

    /// Where the names of members or values stand: the words' indices.
    fn names(self) -> impl Iterator<Item = usize> {
        let each = match self.kind() {
            ENUM => 2,
            STRUCT | UNION | ENUM64 => 3,
            _ => 0,
        };
        let members = if each == 0 { 0 } else { self.len() };
        (0..members).map(move |i| HEAD / 4 + each * i)
    }

    /// The types that this one consists of.
    fn parts(self) -> Vec<u32> {
        match self.kind() {
            TYPEDEF | VOLATILE..=RESTRICT | TYPE_TAG => vec![self.word(2)],
            ARRAY => vec![self.word(3), self.word(4)],
            STRUCT | UNION => self.names().map(|name| self.word(name + 1)).collect(),
            _ => Vec::new(),
        }
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// See above, and the names of the kernel's tracepoints, each of which has a type. None where `btf` is not BTF of this machine's byte order, or has kinds that are not known.
fn thin(btf: &[u8], names: &HashSet<String>) -> Option<(Vec<u8>, HashSet<String>)> {
    if btf.get(..2)? != MAGIC.to_ne_bytes() {
        return None;
    }
    let section = |start: usize| {
        let from = word(btf, 4)?.checked_add(word(btf, start)?)? as usize;
        btf.get(from..from.checked_add(word(btf, start + 4)? as usize)?)
    };
    let (mut rest, strings) = (section(8)?, section(16)?);
    let name_at = |offset: u32| strings.get(offset as usize..)?.split(|b| *b == 0).next();

    // A type's number is its place, counted from 1.
    let mut types = Vec::new();
    let mut open = Vec::new();
    let mut tracepoints = HashSet::new();
    while !rest.is_empty() {
        let (of, behind) = Type::first(rest)?;
        types.push(of);
        rest = behind;
        if matches!(of.kind(), STRUCT | UNION | ENUM | ENUM64 | TYPEDEF)
            && of.word(0) != 0
            && std::str::from_utf8(name_at(of.word(0))?).is_ok_and(|name| names.contains(essential(name)))
        {
            open.push(types.len() as u32);
        } else if of.kind() == TYPEDEF
            && let Some(name) = name_at(of.word(0))?.strip_prefix(b"btf_trace_")
        {
            tracepoints.insert(String::from_utf8_lossy(name).into_owned());
        }
    }
    let mut kept = vec![false; types.len() + 1];
    while let Some(number) = open.pop() {
        if number != 0 && !std::mem::replace(kept.get_mut(number as usize)?, true) {
            open.extend(types[number as usize - 1].parts());
        }
    }

    let mut out = Output { types: Vec::new(), strings: vec![0], known: HashMap::from([(0, 0)]) };
    let last = kept.iter().rposition(|kept| *kept)?;
    for (of, kept) in types.iter().zip(&kept[1..=last]) {
        if *kept && of.kind() != PROTOTYPE {
            out.keep(*of, name_at)?;
        } else {
            [0, POINTER << 24, 0].iter().for_each(|word: &u32| out.types.extend(word.to_ne_bytes()));
        }
    }
    Some((out.finish(*btf.get(2)?), tracepoints))
}

struct Output {
    types: Vec<u8>,
    strings: Vec<u8>,
    /// Where names of the input stand here.
    known: HashMap<u32, u32>,
}

impl Output {
    fn keep<'b>(&mut self, of: Type<'_>, name_at: impl Fn(u32) -> Option<&'b [u8]>) -> Option<()> {
        let start = self.types.len();
        self.types.extend(of.0);
        let mut set = |index: usize, value: u32| {
            self.types[start + 4 * index..][..4].copy_from_slice(&value.to_ne_bytes());
        };
        // What a pointer points to is looked up by its own name, if at all.
        if of.kind() == POINTER {
            set(2, 0);
        }
        for index in std::iter::once(0).chain(of.names()) {
            let offset = of.word(index);
            let here = match self.known.get(&offset) {
                Some(here) => *here,
                None => {
                    let here = self.strings.len() as u32;
                    self.strings.extend(name_at(offset)?);
                    self.strings.push(0);
                    self.known.insert(offset, here);
                    here
                }
            };
            set(index, here);
        }
        Some(())
    }

    fn finish(self, version: u8) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER + self.types.len() + self.strings.len());
        out.extend(MAGIC.to_ne_bytes());
        out.extend([version, 0]);
        let types = self.types.len() as u32;
        for word in [HEADER as u32, 0, types, types, self.strings.len() as u32] {
            out.extend(word.to_ne_bytes());
        }
        out.extend(self.types);
        out.extend(self.strings);
        out
    }
}

#[cfg(test)]
mod tests {
    use libbpf_rs::btf::{Btf, types::Struct};
    use proptest::prelude::*;

    use super::*;

    fn names(names: &[&str]) -> HashSet<String> {
        names.iter().map(|n| n.to_string()).collect()
    }

    fn kernel() -> Vec<u8> {
        fs::read("/sys/kernel/btf/vmlinux").unwrap()
    }

    #[test]
    fn wanted_types_keep_their_numbers_and_members_and_others_are_gone() {
        let thin = KernelTypes::of(names(&["task_struct", "path"])).unwrap();
        assert!(fs::metadata(thin.path()).unwrap().len() < kernel().len() as u64 / 4);
        let (all, thin) = (Btf::from_path("/sys/kernel/btf/vmlinux").unwrap(), Btf::from_path(thin.path()).unwrap());
        for name in ["task_struct", "path", "list_head"] {
            let members = |btf: &Btf<'_>| {
                let of = btf.type_by_name::<Struct<'_>>(name)?;
                let members = of.iter().map(|m| (m.name.map(|n| n.to_owned()), m.ty, format!("{:?}", m.attr)));
                Some((of.type_id(), members.collect::<Vec<_>>()))
            };
            assert_eq!(members(&thin), members(&all), "{name}");
            assert!(members(&thin).is_some());
        }
        assert!(thin.type_by_name::<Struct<'_>>("super_block").is_none());
    }

    #[test]
    fn forms_of_a_type_are_known_by_its_name() {
        assert_eq!(essential("task_struct___old"), "task_struct");
        assert_eq!(essential("task_struct"), "task_struct");
    }

    #[test]
    fn names_that_are_missing_are_noticed() {
        let thin = KernelTypes::of(names(&["path"])).unwrap();
        assert!(thin.cover(&["path".into()]) && !thin.cover(&["path".into(), "file".into()]));
        assert!(thin.cover(&[]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_borne(mut bytes in prop::collection::vec(any::<u8>(), 0..200), valid in any::<bool>()) {
            if valid && bytes.len() >= 24 {
                let mut header = MAGIC.to_ne_bytes().to_vec();
                header.extend([1, 0, 24, 0, 0, 0, 0, 0, 0, 0]);
                bytes[..header.len()].copy_from_slice(&header);
            }
            thin(&bytes, &names(&["", "a"]));
        }
    }

    #[test]
    fn what_is_cut_anywhere_is_refused_or_valid() {
        let whole = kernel();
        for cut in [0, 2, 23, 24, 100, 10_000, whole.len() - 1] {
            thin(&whole[..cut], &names(&["task_struct"]));
        }
    }
}
