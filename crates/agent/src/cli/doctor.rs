//! `ethogram doctor`: what works on this machine, and why the rest does not. Found out by trying.

mod advice;
mod brief;
mod denial;
mod kernel;
mod privileges;
mod programs;
mod text;

use std::path::PathBuf;

use clap::Args;
use ethogram_probe::{builtin, check_kernel};
use serde::Serialize;

use self::{denial::Denial, kernel::Kernel, privileges::Privileges, programs::Tracker};
use super::args::ListFormat;
use crate::{
    config::Config,
    container::{hierarchy::Hierarchy, runtime::Runtimes},
    failure::Unable,
    output,
};

/// What works here.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Show every fact that was found, and where each tracker is attached
    #[arg(long)]
    pub all: bool,
    /// How it is printed; JSON always has everything
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    pub output: ListFormat,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
struct Report {
    kernel: Kernel,
    privileges: Privileges,
    cgroups: Cgroups,
    runtimes: Vec<Runtime>,
    /// Empty where none can run.
    trackers: Vec<Tracker>,
    /// Whether the kernel can refuse operations, for `[[response.policy]]`; none where nothing was tried.
    denial: Option<Denial>,
    /// What this kernel makes dearer than it need be, each with what would help.
    costs: Vec<String>,
    /// What is wrong, each with what to do.
    problems: Vec<String>,
    /// Why the server cannot do here what it is configured to do.
    unable: Option<String>,
}

/// How containers are identified.
#[derive(Debug, Default, Serialize)]
struct Cgroups {
    mode: Option<String>,
    /// The hierarchy's mount point.
    root: Option<PathBuf>,
    /// The controller of cgroup v1 whose hierarchy it is.
    controller: Option<String>,
    /// Why they cannot be identified.
    problem: Option<String>,
}

/// A container runtime.
#[derive(Debug, Serialize)]
struct Runtime {
    name: String,
    at: String,
}

pub(super) fn examine(args: &DoctorArgs, config: &Config) -> anyhow::Result<()> {
    let report = Report::make(config)?;
    output::print(&match args.output {
        ListFormat::Json => format!("{:#}\n", serde_json::to_value(&report)?),
        ListFormat::Table if args.all => report.text(output::width()),
        ListFormat::Table => report.brief(output::width()),
    })?;
    report.unable.map_or(Ok(()), |reason| Err(Unable(reason).into()))
}

impl Report {
    fn make(config: &Config) -> anyhow::Result<Self> {
        let kernel = Kernel::inspect();
        let unable = check_kernel().err().map(|e| e.to_string());
        let trackers = if unable.is_none() { programs::examine(&builtin()?, config) } else { Vec::new() };
        let denial = unable.is_none().then(|| Denial::inspect(config, &kernel));
        let mut report = Self {
            privileges: Privileges::inspect(kernel.locked_memory.is_some()),
            kernel,
            cgroups: Cgroups::inspect(),
            runtimes: runtimes(config)?,
            trackers,
            denial,
            unable,
            ..Self::default()
        };
        report.costs = report.find_costs();
        report.problems = report.find_problems();
        report.unable = report.verdict();
        Ok(report)
    }

    /// Why the server cannot do here what it is configured to do.
    fn verdict(&self) -> Option<String> {
        let refused = |t: &&Tracker| t.wanted && !t.works;
        let tracker = || self.trackers.iter().find(refused).and_then(|t| t.reason.clone());
        self.unable.clone().or_else(|| self.cgroups.problem.clone()).or_else(tracker)
    }
}

impl Cgroups {
    fn inspect() -> Self {
        match Hierarchy::detect() {
            Ok(Hierarchy { root, controller, mode, .. }) => {
                let controller = controller.map(|c| c.name().to_owned());
                Self { mode: Some(mode.to_string()), root: Some(root), controller, problem: None }
            }
            Err(error) => Self { problem: Some(error.to_string()), ..Self::default() },
        }
    }
}

fn runtimes(config: &Config) -> anyhow::Result<Vec<Runtime>> {
    let tasks = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _inside = tasks.enter();
    let runtimes = Runtimes::new(&config.runtimes);
    let found = runtimes.present().map(|(r, at)| Runtime { name: r.to_string(), at: at.display().to_string() });
    Ok(found.collect())
}
