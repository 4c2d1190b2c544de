//! What the running kernel names of itself: `/proc/kallsyms`, read once.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    sync::OnceLock,
};

/// The prefixes of the functions behind system calls: of native ones, and of those of 32-bit programs.
#[cfg(target_arch = "x86_64")]
pub(super) const FUNCTIONS: (&str, [&str; 2]) = ("__x64_sys_", ["__ia32_sys_", "__ia32_compat_sys_"]);
#[cfg(target_arch = "aarch64")]
pub(super) const FUNCTIONS: (&str, [&str; 2]) = ("__arm64_sys_", ["__arm64_compat_sys_", "__arm64_sys_"]);

/// What is wanted of the kernel's symbols. All of it is empty where the kernel hides them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Symbols {
    /// The functions behind system calls, and where they are; 0 where the kernel hides that.
    pub(crate) system_calls: BTreeMap<String, u64>,
    /// Where the lock of renames is; 0 where that is not known.
    pub(crate) rename_lock: u64,
}

impl Symbols {
    /// Those of the running kernel.
    pub(crate) fn of_kernel() -> &'static Self {
        static FOUND: OnceLock<Symbols> = OnceLock::new();
        FOUND.get_or_init(|| match fs::File::open("/proc/kallsyms") {
            Ok(file) => Self::read(BufReader::with_capacity(1 << 16, file)),
            Err(_) => Self::default(),
        })
    }

    fn read(lines: impl BufRead) -> Self {
        let mut symbols = Self::default();
        for line in lines.lines().map_while(Result::ok) {
            let mut words = line.split_ascii_whitespace();
            let (Some(address), Some(name)) = (words.next(), words.nth(1)) else { continue };
            let address = || u64::from_str_radix(address, 16).unwrap_or(0);
            if is_system_call(name) {
                symbols.system_calls.insert(name.to_owned(), address());
            } else if name == "rename_lock" {
                symbols.rename_lock = address();
            }
        }
        symbols
    }
}

/// Whether a function of the kernel is called as those behind system calls are.
fn is_system_call(name: &str) -> bool {
    name.starts_with(FUNCTIONS.0) || FUNCTIONS.1.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_and_odd_lines_give_nothing() {
        let text = "ffffffff81000000 T do_filp_open\nffffffff82f0a040 D rename_lock\n\nffffffff83000000\n";
        let symbols = Symbols::read(text.as_bytes());
        assert_eq!(symbols, Symbols { rename_lock: 0xffff_ffff_82f0_a040, ..Symbols::default() });
        assert_eq!(Symbols::read("0000000000000000 D rename_lock\n".as_bytes()), Symbols::default());
        assert_eq!(Symbols::read("(none) D rename_lock\n".as_bytes()), Symbols::default());
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn functions_behind_system_calls_are_found_and_no_others() {
        let text = "ffffffff81000000 T __x64_sys_openat\nffffffff81000010 t vfs_open\n";
        assert_eq!(
            Symbols::read(text.as_bytes()).system_calls,
            BTreeMap::from([("__x64_sys_openat".to_owned(), 0xffff_ffff_8100_0000)])
        );
    }
}
