//! An open incident: its story so far, and how warm it still is.

use std::sync::Arc;

use ethogram_model::{Exec, Finding, Incident, Link, Origin, Part, Place, Step, render};

use super::{
    known::Shape,
    lineage::Lineage,
    score::{self, Flow},
};
use crate::{subject::program::label, uid};

/// After so long without a new part an incident is closed. Nanoseconds.
pub(super) const CLOSE_NS: u64 = 30 * 60 * 1_000_000_000;
/// How an incident cools down: its bits count less by this factor for each window in which nothing comes to it. NodLink, section V:
/// a window of 10 s, and 0.8.
const COOLING: f64 = 0.8;
const WINDOW_NS: u64 = 10_000_000_000;
/// With so many bits left, what a service does itself still belongs to it.
const WARM_BITS: f64 = 4.0;
/// Parts of a summary, and bytes of texts that they keep each.
const SUMMARY_PARTS: usize = 8;
const SUMMARY_TEXT: usize = 80;
/// Bytes of texts that a part keeps each.
const MAX_TEXT: usize = 400;

#[derive(Debug)]
pub(super) struct Deed {
    pub(super) incident: Incident,
    /// What it connects, which counts for its score.
    pub(super) flows: Vec<Flow>,
    /// What each of its findings is, without what differs from one time to the next.
    pub(super) shape: Shape,
    /// What it takes, roughly, bytes.
    pub(super) bytes: usize,
    /// Whether it changed since it was last reported.
    pub(super) is_dirty: bool,
    /// Whether it was ever reported.
    pub(super) was_reported: bool,
}

impl Deed {
    pub(super) fn new(finding: &Finding, lineage: Option<&Lineage<'_>>, medium_bits: f64) -> Self {
        let origin = match lineage {
            Some(lineage) if !lineage.chain().is_empty() => lineage.origin,
            _ if finding.analytic.starts_with("agent.") => Origin::Agent,
            _ => Origin::Unknown,
        };
        let uid = uid::of(["incident", &finding.uid, &finding.first_seen_ns.to_string()]);
        let begun = Incident::begun(uid, origin, finding.first_seen_ns);
        let incident = Incident { medium_bits, began_in: place(finding), ..begun };
        Self { incident, flows: Vec::new(), shape: Shape::default(), bytes: 0, is_dirty: true, was_reported: false }
    }

    /// One that goes on after a restart of the agent.
    pub(super) fn restored(incident: &Incident, shape: Shape) -> Self {
        let mut flows: Vec<Flow> = incident.links.iter().filter_map(|link| Flow::of(link.kind)).collect();
        flows.sort_unstable();
        flows.dedup();
        // What else is known of it is added where it is reported.
        let incident = Incident { recurrence_of: None, recurrences: None, cluster: None, ..incident.clone() };
        let bytes = bytes(&incident);
        Self { incident, flows, shape, bytes, is_dirty: false, was_reported: true }
    }

    /// Whether what a service does itself still belongs to it.
    pub(super) fn is_warm(&self, now_ns: u64) -> bool {
        self.energy(now_ns) >= WARM_BITS
    }

    /// Whether it is of this very moment.
    pub(super) fn is_recent(&self, now_ns: u64) -> bool {
        now_ns.saturating_sub(self.incident.last_seen_ns) <= WINDOW_NS
    }

    /// What is left of its bits.
    pub(super) fn energy(&self, now_ns: u64) -> f64 {
        let windows = now_ns.saturating_sub(self.incident.last_seen_ns) / WINDOW_NS;
        self.incident.bits * COOLING.powi(i32::try_from(windows).unwrap_or(i32::MAX))
    }

    /// Whether a program that runs is the step at that place.
    pub(super) fn has_step(&self, place: usize, exec: &Exec) -> bool {
        self.incident.steps.get(place).is_some_and(|step| step.pid == exec.pid)
    }

    /// The place of a program among the steps, which it is added to where there is room; of the last one, where there is none.
    pub(super) fn step(&mut self, exec: &Arc<Exec>, container: &str, parent: Option<usize>, is_service: bool) -> usize {
        let steps = &mut self.incident.steps;
        let program = label(exec);
        let known = steps
            .iter()
            .position(|step| step.pid == exec.pid && step.started_ns == exec.called_ns && step.program == program);
        if let Some(known) = known {
            return known;
        }
        if steps.len() >= Incident::MAX_STEPS {
            return steps.len() - 1;
        }
        steps.push(Step {
            parent,
            container: container.to_owned(),
            pid: exec.pid,
            program: program.into_owned(),
            args: cut(&exec.args.join(" "), Step::MAX_ARGS),
            is_service,
            started_ns: exec.called_ns,
        });
        steps.len() - 1
    }

    /// A finding is part of it.
    pub(super) fn add(&mut self, finding: &Finding, step: Option<usize>) {
        let incident = &mut self.incident;
        incident.findings += 1;
        incident.first_seen_ns = incident.first_seen_ns.min(finding.first_seen_ns);
        incident.last_seen_ns = incident.last_seen_ns.max(finding.last_seen_ns);
        let place = finding.place();
        if !incident.containers.iter().any(|known| known == place) && incident.containers.len() < Incident::MAX_STEPS {
            incident.containers.push(place.to_owned());
        }
        if !incident.workloads.contains(&finding.workload) && incident.workloads.len() < Incident::MAX_STEPS {
            incident.workloads.push(finding.workload.clone());
        }
        for technique in &finding.techniques {
            if !incident.techniques.contains(technique) && incident.techniques.len() < Incident::MAX_PARTS {
                incident.techniques.push(technique.clone());
            }
        }
        self.shape.add(&finding.analytic, &finding.operation, &finding.executable, &finding.object);
        self.add_part(finding, step);
        self.is_dirty = true;
        self.rate();
    }

    fn add_part(&mut self, finding: &Finding, step: Option<usize>) {
        let incident = &mut self.incident;
        if let Some(alike) = incident.parts.iter_mut().find(|part| is_alike(part, finding)) {
            fold(alike, finding);
            return;
        }
        if incident.parts.len() >= Incident::MAX_PARTS {
            // The worst stay.
            let mildest = incident.parts.iter_mut().min_by_key(|part| part.severity);
            let gives_way = mildest.filter(|part| part.severity < finding.severity);
            incident.unlisted += gives_way.as_ref().map_or(1, |part| part.findings.len() as u64);
            if let Some(part) = gives_way {
                *part = part_of(finding, step);
            }
            return;
        }
        incident.parts.push(part_of(finding, step));
    }

    /// Takes in another that turned out to be the same deed. Its steps follow the own ones.
    pub(super) fn merge(&mut self, other: Self) {
        let Self { incident, flows, shape, was_reported, .. } = other;
        self.shape.extend(shape);
        let before = self.incident.steps.len();
        let moved = |place: usize| place + before;
        let own = &mut self.incident;
        own.steps.extend(incident.steps.into_iter().map(|step| Step { parent: step.parent.map(moved), ..step }));
        own.parts.extend(incident.parts.into_iter().map(|part| Part { step: part.step.map(moved), ..part }));
        own.links.extend(incident.links.into_iter().map(|link| Link {
            from: moved(link.from),
            to: moved(link.to),
            ..link
        }));
        own.steps.truncate(Incident::MAX_STEPS);
        let last = own.steps.len().saturating_sub(1);
        own.parts.iter_mut().for_each(|part| part.step = part.step.map(|step| step.min(last)));
        own.parts.sort_by_key(|part| part.first_seen_ns);
        own.links.retain(|link| link.from <= last && link.to <= last);
        let beyond = own.parts.split_off(own.parts.len().min(Incident::MAX_PARTS));
        own.unlisted += incident.unlisted + beyond.iter().map(|part| part.findings.len() as u64).sum::<u64>();
        own.findings += incident.findings;
        for (names, more) in [(&mut own.containers, incident.containers), (&mut own.workloads, incident.workloads)] {
            more.into_iter().for_each(|name| {
                if !names.contains(&name) {
                    names.push(name);
                }
            });
        }
        own.techniques.extend(incident.techniques);
        own.techniques.sort_unstable();
        own.techniques.dedup();
        // Nobody knows of one that was not reported.
        own.merged.extend(was_reported.then_some(incident.uid).into_iter().chain(incident.merged));
        own.merged.truncate(Incident::MAX_MERGED);
        own.first_seen_ns = own.first_seen_ns.min(incident.first_seen_ns);
        own.last_seen_ns = own.last_seen_ns.max(incident.last_seen_ns);
        self.flows.extend(flows);
        self.flows.sort_unstable();
        self.flows.dedup();
        self.is_dirty = true;
        self.rate();
    }

    /// Something connects two of its steps.
    pub(super) fn link(&mut self, link: Link, flow: Option<Flow>) {
        if let Some(flow) = flow.filter(|flow| !self.flows.contains(flow)) {
            self.flows.push(flow);
        }
        if self.incident.links.len() < Incident::MAX_LINKS && !self.incident.links.contains(&link) {
            self.incident.links.push(link);
        }
        self.is_dirty = true;
        self.rate();
    }

    /// Whether there is nothing to be cut.
    pub(super) fn is_summary(&self) -> bool {
        self.incident.parts.len() <= SUMMARY_PARTS
    }

    /// Cuts it down to its worst parts and their programs' names, to make room: the rest is counted.
    pub(super) fn summarize(&mut self) {
        let incident = &mut self.incident;
        let mut severities: Vec<_> = incident.parts.iter().map(|part| part.severity).collect();
        severities.sort_unstable_by(|a, b| b.cmp(a));
        let least = severities.get(SUMMARY_PARTS - 1).copied();
        let mut left = SUMMARY_PARTS;
        incident.parts.retain(|part| {
            let stays = left > 0 && least.is_none_or(|least| part.severity >= least);
            left -= usize::from(stays);
            incident.unlisted += if stays { 0 } else { part.findings.len() as u64 };
            stays
        });
        incident.parts.iter_mut().for_each(|part| part.why = cut(&part.why, SUMMARY_TEXT));
        incident.steps.iter_mut().for_each(|step| step.args = cut(&step.args, SUMMARY_TEXT));
        self.is_dirty = true;
        self.rate();
    }

    fn rate(&mut self) {
        self.bytes = bytes(&self.incident);
        score::rate(&mut self.incident, &self.flows);
        self.incident.title = title(&self.incident);
    }
}

/// What an incident takes in memory, roughly.
fn bytes(incident: &Incident) -> usize {
    let part = |part: &Part| {
        let texts = [&part.what, &part.why, &part.analytic, &part.operation, &part.executable, &part.object];
        let findings: usize = part.findings.iter().map(|uid| uid.len() + 24).sum();
        size_of::<Part>() + texts.iter().map(|text| text.len()).sum::<usize>() + findings
    };
    let step = |step: &Step| size_of::<Step>() + step.container.len() + step.program.len() + step.args.len();
    let names =
        incident.containers.iter().chain(&incident.workloads).chain(&incident.techniques).chain(&incident.merged);
    size_of::<Incident>()
        + incident.title.len()
        + names.map(|name| name.len() + 24).sum::<usize>()
        + incident.parts.iter().map(part).sum::<usize>()
        + incident.steps.iter().map(step).sum::<usize>()
}

/// Whether a finding is one more of a part: the same program did the same to another object in the same place.
fn is_alike(part: &Part, finding: &Finding) -> bool {
    part.analytic == finding.analytic
        && part.executable == finding.executable
        && part.operation == finding.operation
        && is_of_kind(&part.object, &finding.object, part.objects)
}

fn is_of_kind(pattern: &str, object: &str, objects: u64) -> bool {
    if pattern == object {
        return true;
    }
    if !(pattern.starts_with('/') && object.starts_with('/')) {
        return pattern.parse::<std::net::SocketAddr>().is_ok() && object.parse::<std::net::SocketAddr>().is_ok();
    }
    let folder = pattern.strip_suffix("/*").filter(|_| objects > 1).unwrap_or_else(|| folder(pattern));
    // One of the root folder's has nothing in common with another.
    !folder.is_empty() && object.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn fold(part: &mut Part, finding: &Finding) {
    if part.object != finding.object {
        let is_path = part.object.starts_with('/');
        part.objects += 1;
        if part.objects == 2 {
            let all = if is_path { format!("{}/*", folder(&part.object)) } else { "several peers".to_owned() };
            part.what = part.what.replacen(&*render::escape(&part.object), &render::escape(&all), 1);
            if is_path {
                part.object = all;
            }
        }
    }
    if finding.severity > part.severity {
        (part.severity, part.why) = (finding.severity, cut(&finding.reason, MAX_TEXT));
    }
    for technique in &finding.techniques {
        if !part.techniques.contains(technique) && part.techniques.len() < Part::MAX_TECHNIQUES {
            part.techniques.push(technique.clone());
        }
    }
    part.confidence = part.confidence.max(finding.confidence);
    part.surprise = part.surprise.max(surprise(finding));
    part.first_seen_ns = part.first_seen_ns.min(finding.first_seen_ns);
    part.last_seen_ns = part.last_seen_ns.max(finding.last_seen_ns);
    if part.findings.len() < Part::MAX_FINDINGS && !part.findings.contains(&finding.uid) {
        part.findings.push(finding.uid.clone());
    }
}

/// The container that a finding is of.
fn place(finding: &Finding) -> Option<Place> {
    let container = finding.container.as_deref()?;
    let pod = container.pod.as_ref();
    Some(Place {
        container: cut(container.display_name(), MAX_TEXT),
        image: cut(container.image.as_ref().map_or("", |image| &image.name), MAX_TEXT),
        namespace: cut(pod.map_or("", |pod| &pod.namespace), MAX_TEXT),
        pod: cut(pod.map_or("", |pod| &pod.name), MAX_TEXT),
    })
}

fn part_of(finding: &Finding, step: Option<usize>) -> Part {
    let place = format!("{}: ", render::escape(finding.place()));
    let what = finding.title.strip_prefix(&*place).unwrap_or(&finding.title);
    Part {
        step,
        what: cut(what, MAX_TEXT),
        why: cut(&finding.reason, MAX_TEXT),
        analytic: finding.analytic.clone(),
        severity: finding.severity,
        confidence: finding.confidence,
        operation: finding.operation.clone(),
        executable: cut(&finding.executable, MAX_TEXT),
        object: cut(&finding.object, MAX_TEXT),
        objects: 1,
        surprise: surprise(finding),
        techniques: finding.techniques.iter().take(Part::MAX_TECHNIQUES).cloned().collect(),
        findings: vec![finding.uid.clone()],
        first_seen_ns: finding.first_seen_ns,
        last_seen_ns: finding.last_seen_ns,
    }
}

/// What a profile says of how new it is, without how severe it is.
fn surprise(finding: &Finding) -> f64 {
    let Some(score) = &finding.score else { return 0.0 };
    let parts = score.parts.iter().take(score.parts.len().saturating_sub(1));
    parts.map(|part| part.bits).sum::<f64>().max(0.0)
}

/// Where it was, who began it, and the worst that was done.
fn title(incident: &Incident) -> String {
    let place = incident.containers.first().map_or("host", String::as_str);
    let worst = incident.parts.iter().rev().max_by_key(|part| part.severity);
    let what = worst.map_or("", |part| part.what.as_str());
    let others = incident.parts.len().saturating_sub(1) as u64 + incident.unlisted;
    let more = match (others, incident.containers.len()) {
        (0, _) => String::new(),
        (n, 0 | 1) => format!(", and {n} more"),
        (n, containers) => format!(", and {n} more, in {containers} containers"),
    };
    let by = match (incident.origin, incident.steps.first()) {
        (origin, Some(first)) if origin == Origin::Entered || origin.is_by_a_service() => {
            format!("{} {}: ", render::escape(&first.program), incident.origin.sentence())
        }
        _ => String::new(),
    };
    format!("{}: {by}{what}{more}", render::escape(place))
}

fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default())
}
