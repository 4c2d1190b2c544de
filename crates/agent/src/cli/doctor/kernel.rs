//! The kernel: what it is, how it was built, and what it does not allow.

use std::{collections::BTreeMap, fs, path::Path};

use rustix::process::{Resource, getrlimit};
use serde::Serialize;

use crate::files;

/// How the kernel may be built, where that decides what programs it takes.
const OPTIONS: [&str; 9] = [
    "CONFIG_DEBUG_INFO_BTF",
    "CONFIG_BPF_JIT",
    "CONFIG_BPF_LSM",
    "CONFIG_FUNCTION_TRACER",
    "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS",
    "CONFIG_FPROBE",
    "CONFIG_KPROBES",
    "CONFIG_FTRACE_SYSCALLS",
    "CONFIG_IO_URING",
];
/// What may be switched while it runs.
const SETTINGS: [(&str, &str); 4] = [
    ("perf_event_paranoid", "/proc/sys/kernel/perf_event_paranoid"),
    ("unprivileged_bpf_disabled", "/proc/sys/kernel/unprivileged_bpf_disabled"),
    ("bpf_jit_enable", "/proc/sys/net/core/bpf_jit_enable"),
    ("io_uring_disabled", "/proc/sys/kernel/io_uring_disabled"),
];
const SECURITY: &str = "/sys/kernel/security";
const CONFIG_BYTES: u64 = 4 << 20;

/// The kernel.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Kernel {
    pub(super) release: String,
    pub(super) architecture: &'static str,
    /// Whether it describes its types.
    pub(super) btf: bool,
    /// How it was built, where that can be read.
    pub(super) config: Option<BuildConfig>,
    /// What may be switched while it runs.
    pub(super) settings: BTreeMap<&'static str, String>,
    pub(super) security_modules: SecurityModules,
    /// `none`, `integrity` or `confidentiality`, where it can be read.
    pub(super) lockdown: Option<String>,
    /// Bytes that may be locked in memory, where BPF maps count there and there is a limit.
    pub(super) locked_memory: Option<u64>,
}

/// How a kernel was built.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct BuildConfig {
    /// The file that says so.
    pub(super) source: String,
    /// `y`, `m`, `n` by option.
    pub(super) options: BTreeMap<&'static str, String>,
    /// The security modules that it was built to start.
    #[serde(skip)]
    pub(super) modules: Option<String>,
}

/// The security modules.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct SecurityModules {
    /// Their names, where known.
    pub(super) names: Option<Vec<String>>,
    /// Whether programs can attach to their hooks.
    pub(super) bpf: Option<bool>,
    /// Whether they are known to be active, and not only from how the kernel was built and started.
    pub(super) active: bool,
}

impl Kernel {
    pub(super) fn inspect() -> Self {
        let release = line("/proc/sys/kernel/osrelease").unwrap_or_default();
        let config = BuildConfig::read(&release);
        let maps_are_locked_memory = version(&release).is_some_and(|v| v < (5, 11));
        Self {
            architecture: std::env::consts::ARCH,
            btf: Path::new("/sys/kernel/btf/vmlinux").exists(),
            settings: SETTINGS.iter().filter_map(|(name, path)| Some((*name, line(path)?))).collect(),
            security_modules: SecurityModules::find(
                line(&format!("{SECURITY}/lsm")),
                &line("/proc/cmdline").unwrap_or_default(),
                config.as_ref(),
            ),
            lockdown: line(&format!("{SECURITY}/lockdown")).and_then(|l| chosen(&l)),
            locked_memory: if maps_are_locked_memory { getrlimit(Resource::Memlock).maximum } else { None },
            release,
            config,
        }
    }

    /// Whether the kernel was built without this.
    pub(super) fn lacks(&self, option: &str) -> bool {
        self.config.as_ref().and_then(|c| c.options.get(option)).is_some_and(|v| v == "n")
    }
}

impl BuildConfig {
    /// Reads it from where distributions put it.
    fn read(release: &str) -> Option<Self> {
        let packed = fs::File::open("/proc/config.gz").ok().and_then(|file| {
            let text = files::read_from(flate2::read::GzDecoder::new(file), CONFIG_BYTES).and_then(files::text).ok()?;
            Some(Self::parse("/proc/config.gz", &text))
        });
        packed.or_else(|| {
            let path = format!("/boot/config-{release}");
            fs::read_to_string(&path).ok().map(|text| Self::parse(&path, &text))
        })
    }

    fn parse(source: &str, text: &str) -> Self {
        let set: BTreeMap<_, _> = text.lines().filter_map(|l| l.split_once('=')).collect();
        let value = |option: &'static str| (option, set.get(option).map_or("n", |v| v.trim()).to_owned());
        let modules = set.get("CONFIG_LSM").map(|v| v.trim().trim_matches('"').to_owned());
        Self { source: source.to_owned(), options: OPTIONS.map(value).into(), modules }
    }
}

impl SecurityModules {
    /// From what the kernel says; else from how it was started; else from how it was built.
    fn find(active: Option<String>, command_line: &str, config: Option<&BuildConfig>) -> Self {
        let asked = || command_line.split_whitespace().rev().find_map(|w| w.strip_prefix("lsm=")).map(str::to_owned);
        let (names, active) = match active {
            Some(names) => (Some(names), true),
            None => (asked().or_else(|| config?.modules.clone()), false),
        };
        let names: Option<Vec<_>> = names.map(|n| n.split(',').map(|n| n.trim().to_owned()).collect());
        let bpf = match &names {
            _ if config.is_some_and(|c| c.options.get("CONFIG_BPF_LSM").is_some_and(|v| v == "n")) => Some(false),
            names => names.as_ref().map(|n| n.iter().any(|n| n == "bpf")),
        };
        Self { names, bpf, active }
    }
}

/// The word in brackets: `[none] integrity confidentiality`.
fn chosen(line: &str) -> Option<String> {
    line.split_whitespace().find_map(|w| w.strip_prefix('[')?.strip_suffix(']')).map(str::to_owned)
}

fn line(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|t| t.trim().to_owned())
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const CONFIG: &str = "CONFIG_BPF_LSM=y\nCONFIG_LSM=\"landlock,lockdown,bpf\"\n# CONFIG_KPROBES is not set\n";

    #[test]
    fn an_option_that_is_not_set_is_off() {
        let config = BuildConfig::parse("/boot/config-1", CONFIG);
        let value = |option| config.options.get(option).map(String::as_str);
        assert_eq!((value("CONFIG_BPF_LSM"), value("CONFIG_KPROBES")), (Some("y"), Some("n")));
        let kernel = Kernel { config: Some(config), ..Kernel::default() };
        assert!(kernel.lacks("CONFIG_FPROBE") && !kernel.lacks("CONFIG_BPF_LSM"));
        assert!(!Kernel::default().lacks("CONFIG_FPROBE"), "what is not known is not said");
    }

    #[test]
    fn what_is_active_counts_more_than_what_was_asked_for() {
        let config = BuildConfig::parse("x", CONFIG);
        let find = |active: Option<&str>, line| SecurityModules::find(active.map(str::to_owned), line, Some(&config));
        let modules = find(Some("capability,yama"), "lsm=bpf");
        assert_eq!((modules.bpf, modules.active), (Some(false), true));
        assert_eq!(find(None, "quiet lsm=yama lsm=bpf,yama").names.unwrap(), ["bpf", "yama"]);
        assert_eq!(find(None, "quiet").names.unwrap(), ["landlock", "lockdown", "bpf"]);
        assert_eq!(SecurityModules::find(None, "", None), SecurityModules::default());
        let without = BuildConfig::parse("x", "");
        assert_eq!(SecurityModules::find(None, "lsm=bpf", Some(&without)).bpf, Some(false));
    }

    #[test]
    fn the_lockdown_in_force_is_the_one_in_brackets() {
        assert_eq!(chosen("none [integrity] confidentiality").as_deref(), Some("integrity"));
        assert_eq!(chosen("none"), None);
    }
}
