//! `ethogram doctor`: what works on this machine, and why the rest does not. Found out by trying.

use std::{fs, path::Path, sync::Arc};

use ethogram_model::render::escape;
use ethogram_probe::{Collector, ProgramState, Settings, Start, State, TrackerStatus, builtin, check_kernel};
use serde::Serialize;

use super::{DoctorArgs, ListFormat};
use crate::{
    config::Config,
    container::{hierarchy::Hierarchy, runtime::Runtimes},
    failure::Unable,
    output::{self, Column},
};

/// What was found.
#[derive(Serialize)]
struct Report {
    kernel: String,
    architecture: &'static str,
    btf: bool,
    cgroups: Result<String, String>,
    security_modules: String,
    capabilities_missing: Vec<String>,
    runtimes: Vec<Runtime>,
    /// Why no tracker can run here at all.
    unable: Option<String>,
    trackers: Vec<Tracker>,
}

#[derive(Serialize)]
struct Runtime {
    name: String,
    at: String,
}

#[derive(Serialize)]
struct Tracker {
    name: String,
    works: bool,
    reason: Option<String>,
    programs: Vec<Program>,
}

#[derive(Serialize)]
struct Program {
    name: String,
    attach: String,
    state: &'static str,
    reason: Option<String>,
}

pub(super) fn examine(args: &DoctorArgs, config: &Config) -> anyhow::Result<()> {
    let report = Report::make(config)?;
    output::print(&match args.output {
        ListFormat::Json => format!("{:#}\n", serde_json::to_value(&report)?),
        ListFormat::Table => report.text(output::width()),
    })?;
    if let Some(reason) = report.unable {
        return Err(Unable(reason).into());
    }
    match report.trackers.iter().find(|t| !t.works) {
        Some(tracker) => Err(Unable(format!("tracker '{}' does not work here, see above", tracker.name)).into()),
        None => Ok(()),
    }
}

impl Report {
    fn make(config: &Config) -> anyhow::Result<Self> {
        let tasks = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let _inside = tasks.enter();
        let runtimes = Runtimes::new(&config.runtimes.settings());
        let line = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let unable = check_kernel().err().map(|e| e.to_string());
        let hierarchy = Hierarchy::detect();
        Ok(Self {
            kernel: line("/proc/sys/kernel/osrelease"),
            architecture: std::env::consts::ARCH,
            btf: Path::new("/sys/kernel/btf/vmlinux").exists(),
            cgroups: hierarchy
                .as_ref()
                .map(|h| match &h.controller {
                    None => format!("{} at {}", h.mode, h.root.display()),
                    Some(c) => format!("{}, containers told apart by {c} at {}", h.mode, h.root.display()),
                })
                .map_err(ToString::to_string),
            security_modules: line("/sys/kernel/security/lsm"),
            capabilities_missing: missing_capabilities(),
            runtimes: runtimes
                .present()
                .map(|(r, at)| Runtime { name: r.to_string(), at: at.display().to_string() })
                .collect(),
            trackers: if unable.is_none() { try_trackers()? } else { Vec::new() },
            unable,
        })
    }

    fn text(&self, width: usize) -> String {
        let (good, bad) = ("ok", "MISSING");
        let runtimes: Vec<_> = self.runtimes.iter().map(|r| format!("{} ({})", r.name, r.at)).collect();
        let fact = |name: &str, state: &str, what: &str| {
            vec![name.to_owned().into(), state.to_owned().into(), escape(what).into_owned().into()]
        };
        let (cgroups, cgroup_state) = match &self.cgroups {
            Ok(text) => (text, good),
            Err(text) => (text, bad),
        };
        let none_if_empty = |text: &str, none: &str| if text.is_empty() { none.to_owned() } else { text.to_owned() };
        let facts = [
            fact("kernel", good, &format!("{} {}", self.kernel, self.architecture)),
            fact("BTF", if self.btf { good } else { bad }, "/sys/kernel/btf/vmlinux"),
            fact(
                "privileges",
                if self.unable.is_none() { good } else { bad },
                &none_if_empty(&self.capabilities_missing.join(" "), "all capabilities"),
            ),
            fact("cgroups", cgroup_state, cgroups),
            fact("LSMs", "-", &none_if_empty(&self.security_modules, "not shown by this kernel")),
            fact("runtimes", "-", &none_if_empty(&runtimes.join(", "), "none found: containers have ids but no names")),
        ];
        let columns = [Column::left("WHAT", 10, 12), Column::left("STATE", 7, 8), Column::left("FOUND", 0, 400)];
        let mut out = output::columns(&columns, &facts, width);
        if self.trackers.is_empty() {
            return out;
        }
        let columns = [
            Column::left("TRACKER", 8, 16),
            Column::left("PROGRAM", 18, 28),
            Column::left("ATTACHED TO", 20, 40),
            Column::left("STATE", 8, 10),
            Column::left("WHY", 0, 400),
        ];
        let mut rows = Vec::new();
        for tracker in &self.trackers {
            if let Some(reason) = &tracker.reason {
                rows.push(
                    [tracker.name.as_str(), "", "", "refused", reason].map(|t| escape(t).into_owned().into()).into(),
                );
            }
            for p in &tracker.programs {
                let why = p.reason.as_deref().unwrap_or_default();
                rows.push(
                    [tracker.name.as_str(), &p.name, &p.attach, p.state, why]
                        .map(|t| escape(t).into_owned().into())
                        .into(),
                );
            }
        }
        out.push('\n');
        out += &output::columns(&columns, &rows, width);
        out
    }
}

/// Loads and attaches every tracker, and takes it out again.
fn try_trackers() -> anyhow::Result<Vec<Tracker>> {
    let (output, events) = crossbeam_channel::bounded(16);
    let drain = std::thread::spawn(move || events.into_iter().for_each(drop));
    let settings = Settings { ring_bytes: 1 << 16, controller: 0, hierarchy: 0, avoid: Vec::new() };
    let collector = Collector::new(settings, builtin()?, output)?;
    let names: Vec<Arc<str>> = collector.status().into_iter().map(|s| Arc::clone(&s.schema.name)).collect();
    let tried = names.iter().map(|name| {
        let started = collector.start(name, Start::default());
        let tracker = match started {
            Ok(status) => told(status),
            Err(error) => {
                Tracker { name: name.to_string(), works: false, reason: Some(error.to_string()), programs: Vec::new() }
            }
        };
        // One that did not start needs no stopping.
        _ = collector.stop(name);
        tracker
    });
    let tried = tried.collect();
    drop(collector);
    _ = drain.join();
    Ok(tried)
}

fn told(status: TrackerStatus) -> Tracker {
    let program = |p: ethogram_probe::ProgramStatus| {
        let (state, reason) = match p.state {
            ProgramState::Attached => ("attached", None),
            ProgramState::Unneeded => ("skipped", Some("a better one does the same".to_owned())),
            ProgramState::Refused(reason) => ("refused", Some(reason)),
        };
        Program { name: p.name, attach: p.attach, state, reason }
    };
    Tracker {
        name: status.schema.name.to_string(),
        works: status.state == State::Running,
        reason: None,
        programs: status.programs.into_iter().map(program).collect(),
    }
}

fn missing_capabilities() -> Vec<String> {
    use rustix::thread::{CapabilitySet, capabilities};
    let held = capabilities(None).map(|c| c.effective).unwrap_or(CapabilitySet::empty());
    let wanted = [
        (CapabilitySet::SYS_ADMIN, "CAP_SYS_ADMIN"),
        (CapabilitySet::BPF, "CAP_BPF"),
        (CapabilitySet::PERFMON, "CAP_PERFMON"),
        (CapabilitySet::SYS_PTRACE, "CAP_SYS_PTRACE"),
        (CapabilitySet::DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"),
        (CapabilitySet::SYS_RESOURCE, "CAP_SYS_RESOURCE"),
    ];
    wanted.into_iter().filter(|(c, _)| !held.contains(*c)).map(|(_, name)| format!("without {name}")).collect()
}
