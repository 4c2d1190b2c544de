//! What of an object is to be loaded and where it attaches: requirements, each with alternatives from the cheapest to the dearest.

use std::{collections::BTreeMap, sync::Arc};

use libbpf_rs::{
    OpenObject,
    btf::{
        BtfKind, ReferencesType,
        types::{Enum, Ptr, Var},
    },
};

use super::schema;
use crate::{
    Error, Manifest, ProgramState, ProgramStatus,
    kernel::{abilities, syscalls::SystemCalls, types::KernelTypes},
};

/// A program of a tracker's object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its name in C, or that of its list of system calls.
    pub name: String,
    /// Where it attaches: `tp_btf/sched_process_exec`.
    pub attach: String,
    /// Its overhead for unrelated work, if it is attached only for a subscription to all events.
    pub high_overhead: Option<Arc<str>>,
}

/// A program and where it attaches.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    /// Its name in the object.
    pub(crate) program: String,
    /// What people call it: its name, or that of its list of system calls.
    pub(crate) name: String,
    /// Where it attaches: `fexit/vfs_read`, `kretprobe.multi/unlink,unlinkat`.
    pub(crate) attach: String,
    pub(crate) how: How,
    /// The events that it is for; none where those are all.
    pub(crate) serves: Option<Vec<String>>,
    /// Its overhead for unrelated work, if it is attached only for a subscription to all events.
    pub(crate) high_overhead: Option<Arc<str>>,
}

impl Hook {
    /// Whether the program runs over what is there already, and not when something happens.
    pub(crate) fn is_walk(&self) -> bool {
        self.attach.starts_with("iter")
    }
}

/// How a program attaches.
#[derive(Debug, Clone)]
pub(crate) enum How {
    /// As its section says.
    Section,
    /// To the root of the cgroup v2 hierarchy, and so to every process.
    Cgroup,
    /// To the return of the system calls' functions, all at once.
    Returns(Arc<SystemCalls>),
    /// The same, one after another, on kernels that cannot all at once.
    EachReturn(Arc<SystemCalls>),
    /// Through the dispatcher on the return of every system call.
    Dispatched(Arc<SystemCalls>),
}

/// Something that the tracker needs, and the alternatives to it. Each alternative is a list of programs that are needed together.
#[derive(Debug, Clone)]
struct Requirement {
    alternatives: Vec<Vec<Hook>>,
}

/// All that an object's programs are for.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    requirements: Vec<Requirement>,
    /// Why a program cannot be used as said, by its name in the object and where it attaches.
    refused: BTreeMap<(String, String), String>,
    tracker: String,
}

impl Plan {
    /// Of an object and its manifest.
    pub(crate) fn new(open: &OpenObject, tracker: &str, manifest: &Manifest) -> Result<Self, Error> {
        let lists = syscall_lists(open);
        let text = |t: &std::ffi::OsStr| t.to_string_lossy().into_owned();
        let sections: Vec<_> = open.progs().map(|p| (text(p.name()), text(p.section()))).collect();
        let is_of_list = |name: &str| {
            lists.iter().any(|(list, _)| {
                name.strip_prefix(list.as_str()).is_some_and(|n| matches!(n, "_dispatched" | "_returned"))
            })
        };
        // What each name that a manifest can use stands for: a program, or the three alternatives of a list of system calls.
        let mut known: BTreeMap<String, Vec<Vec<Hook>>> = BTreeMap::new();
        let mut order = Vec::new();
        for (name, section) in sections.iter().filter(|(name, _)| !is_of_list(name)) {
            let how = if section.starts_with("cgroup") { How::Cgroup } else { How::Section };
            let serves = manifest.serves.get(name).cloned();
            let (program, attach) = (name.clone(), section.clone());
            let hook = Hook { program, name: name.clone(), attach, how, serves, high_overhead: None };
            known.insert(name.clone(), vec![vec![hook]]);
            order.push(name.clone());
        }
        for (list, wanted) in &lists {
            known.insert(list.clone(), alternatives_of(list, wanted, manifest.serves.get(list)));
            order.push(list.clone());
        }
        let high_overhead = manifest.high_overhead.iter().flat_map(|t| &t.programs);
        let named = (manifest.repeat.iter().map(|name| ("repeat", name)))
            .chain(manifest.serves.keys().map(|name| ("serves", name)))
            .chain(high_overhead.map(|name| ("high_overhead", name)));
        for (key, name) in named {
            if !known.contains_key(name) {
                let problem = format!("'{key}' names '{name}', which is neither a program nor a list of system calls");
                return Err(Error::BadManifest { tracker: tracker.into(), problem });
            }
        }
        let mut requirements = Vec::new();
        for name in order.iter().filter(|n| !manifest.choice.iter().any(|c| c.of.iter().any(|w| w.names().contains(n))))
        {
            requirements.push(Requirement { alternatives: known.get(name).cloned().unwrap_or_default() });
        }
        for choice in &manifest.choice {
            let mut alternatives = Vec::new();
            for alternative in &choice.of {
                let parts: Result<Vec<_>, Error> = alternative
                    .names()
                    .iter()
                    .map(|name| {
                        known.get(name).ok_or_else(|| Error::BadManifest {
                            tracker: tracker.into(),
                            problem: format!(
                                "a choice names '{name}', which is neither a program nor a list of system calls"
                            ),
                        })
                    })
                    .collect();
                alternatives.extend(combine(&parts?));
            }
            requirements.push(Requirement { alternatives });
        }
        if let Some(high_overhead) = &manifest.high_overhead {
            let reason: Arc<str> = high_overhead.reason.as_str().into();
            let has_high_overhead =
                |alternative: &&mut Vec<Hook>| alternative.iter().any(|h| high_overhead.programs.contains(&h.name));
            for alternative in
                requirements.iter_mut().flat_map(|requirement| &mut requirement.alternatives).filter(has_high_overhead)
            {
                alternative.iter_mut().for_each(|hook| hook.high_overhead = Some(Arc::clone(&reason)));
            }
        }
        Ok(Self { requirements, refused: BTreeMap::new(), tracker: tracker.into() })
    }

    /// What there is to choose from.
    pub(crate) fn requirements(&self) -> Vec<Vec<Vec<Program>>> {
        let program = |h: &Hook| Program {
            name: h.name.clone(),
            attach: h.attach.clone(),
            high_overhead: h.high_overhead.clone(),
        };
        let alternative = |alternative: &Vec<Hook>| alternative.iter().map(program).collect();
        self.requirements.iter().map(|requirement| requirement.alternatives.iter().map(alternative).collect()).collect()
    }

    /// Remembers why a program cannot be used.
    pub(crate) fn refuse(&mut self, hook: &Hook, reason: String) {
        self.refused.insert((hook.program.clone(), hook.attach.clone()), reason);
    }

    /// The programs to use: of each requirement the first alternative of which none was refused.
    pub(crate) fn choose(&self) -> Result<Vec<Hook>, Error> {
        let mut chosen = Vec::new();
        for requirement in &self.requirements {
            match requirement.alternatives.iter().find(|alternative| self.is_open(alternative)) {
                Some(alternative) => chosen.extend(alternative.iter().cloned()),
                None => {
                    let reasons: Vec<_> = requirement
                        .alternatives
                        .iter()
                        .flatten()
                        .filter_map(|h| self.reason(h).map(|r| format!("{} ({}): {r}", h.name, h.attach)))
                        .collect();
                    return Err(Error::Unsupported(format!(
                        "tracker '{}' cannot run here: {}",
                        self.tracker,
                        reasons.join("; ")
                    )));
                }
            }
        }
        Ok(chosen)
    }

    /// The state of each program while the chosen ones are attached.
    pub(crate) fn status(&self) -> Vec<ProgramStatus> {
        let mut all = Vec::new();
        for requirement in &self.requirements {
            let used = requirement.alternatives.iter().position(|alternative| self.is_open(alternative));
            for (index, hook) in requirement
                .alternatives
                .iter()
                .enumerate()
                .flat_map(|(i, alternative)| alternative.iter().map(move |h| (i, h)))
            {
                let state = match self.reason(hook) {
                    Some(reason) => ProgramState::Refused(reason.clone()),
                    None if used == Some(index) => ProgramState::Attached,
                    None => ProgramState::Unneeded,
                };
                all.push(ProgramStatus { name: hook.name.clone(), attach: hook.attach.clone(), state });
            }
        }
        all
    }

    fn is_open(&self, alternative: &[Hook]) -> bool {
        alternative.iter().all(|hook| self.reason(hook).is_none())
    }

    fn reason(&self, hook: &Hook) -> Option<&String> {
        self.refused.get(&(hook.program.clone(), hook.attach.clone()))
    }

    /// Spares the kernel what it refuses anyway, and the user what they do not want: kinds of attach points, or single
    /// ones.
    pub(crate) fn refuse_kinds(&mut self, avoid: &[String]) {
        let hooks: Vec<_> = self.requirements.iter().flat_map(|u| u.alternatives.iter().flatten()).cloned().collect();
        for hook in hooks {
            let kind = hook.attach.split('/').next().unwrap_or_default();
            let unwanted = avoid.iter().find(|a| a.as_str() == kind || a.as_str() == hook.attach);
            if let Some(unwanted) = unwanted {
                self.refuse(&hook, format!("left out, as '{unwanted}' is to be avoided"));
            } else if let Some(reason) = abilities::refusal(kind) {
                self.refuse(&hook, reason.into());
            } else if let How::Returns(wanted) | How::EachReturn(wanted) = &hook.how
                && wanted.functions().is_empty()
            {
                self.refuse(&hook, "the kernel does not name the functions behind these system calls".into());
            }
        }
    }
}

impl Plan {
    /// Spares the kernel attempts at tracepoints that it does not have.
    pub(crate) fn refuse_tracepoints(&mut self, types: Option<&KernelTypes>) {
        let hooks: Vec<_> = self.requirements.iter().flat_map(|u| u.alternatives.iter().flatten()).cloned().collect();
        for hook in hooks.iter().filter(|hook| matches!(hook.how, How::Section)) {
            if let Some(name) = hook.attach.strip_prefix("tp_btf/")
                && types.is_some_and(|types| !types.has_tracepoint(name))
            {
                self.refuse(hook, "this kernel has no such tracepoint".into());
            }
        }
    }
}

/// The three alternatives to the return of system calls.
fn alternatives_of(list: &str, wanted: &Arc<SystemCalls>, serves: Option<&Vec<String>>) -> Vec<Vec<Hook>> {
    let calls = wanted.names.join(",");
    let hook = |suffix: &str, kind: &str, how| {
        let (program, attach) = (format!("{list}_{suffix}"), format!("{kind}/{calls}"));
        vec![Hook { program, name: list.into(), attach, how, serves: serves.cloned(), high_overhead: None }]
    };
    vec![
        hook("returned", "kretprobe.multi", How::Returns(Arc::clone(wanted))),
        hook("returned", "kretprobe", How::EachReturn(Arc::clone(wanted))),
        hook("dispatched", "sys_exit", How::Dispatched(Arc::clone(wanted))),
    ]
}

/// All alternatives to have all parts.
fn combine(parts: &[&Vec<Vec<Hook>>]) -> Vec<Vec<Hook>> {
    parts.iter().fold(vec![Vec::new()], |alternatives, part| {
        alternatives
            .iter()
            .flat_map(|alternative| part.iter().map(|more| alternative.iter().chain(more).cloned().collect()))
            .collect()
    })
}

/// The lists of system calls that an object declares with SYSCALLS.
fn syscall_lists(open: &OpenObject) -> Vec<(String, Arc<SystemCalls>)> {
    let Some(btf) = schema::btf_of(open) else { return Vec::new() };
    let text = |t: Option<&std::ffi::OsStr>| t.map(|t| t.to_string_lossy().into_owned()).unwrap_or_default();
    let mut lists = Vec::new();
    for var in btf.type_by_kind::<Var<'_>>() {
        let name = text(var.name());
        let Some(list) = name.strip_prefix("__syscalls_") else { continue };
        let Ok(pointer) = Ptr::try_from(var.referenced_type().skip_mods_and_typedefs()) else { continue };
        let pointee = pointer.referenced_type().skip_mods_and_typedefs();
        if pointee.kind() != BtfKind::Enum {
            continue;
        }
        let Ok(names) = Enum::try_from(pointee) else { continue };
        let calls = names.iter().filter_map(|m| {
            let name = text(m.name);
            Some((name.strip_prefix("SYS_")?.to_owned(), u8::try_from(m.value).ok()?))
        });
        lists.push((list.to_owned(), Arc::new(SystemCalls::new(calls))));
    }
    lists
}
