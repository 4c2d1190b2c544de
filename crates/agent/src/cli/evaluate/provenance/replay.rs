//! Replays foreign telemetry through the ranker.

use std::collections::BTreeMap;

use serde::Serialize;

use ethogram_detect::provenance::{Act, Config, Event, Ranker, Report};

use super::table::{Kind, Nodes, Row};

/// The types of events that are understood.
const KNOWN_TYPES: [&str; 8] =
    ["procstart", "procend", "filemod", "regmod", "moduleload", "crossproc", "netconn", "scriptload"];
/// Unknown types that are told apart.
const TYPES: usize = 64;

/// What the rows came to.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Counts {
    /// Rows read.
    pub(super) events: u64,
    /// Rows before the end of training.
    pub(super) trained: u64,
    /// Rows after it.
    pub(super) judged: u64,
    /// Rows that name a node which is not listed.
    pub(super) unknown_nodes: u64,
    /// Rows whose time lies before the one before them; judged at the greatest time so far.
    pub(super) backwards: u64,
    /// Rows whose nodes do not fit the event (a file that starts a process).
    pub(super) misfits: u64,
    /// Rows of types that are not known, by type (at most 64 types).
    pub(super) unknown_types: BTreeMap<String, u64>,
}

/// One process of the result.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ProcessOut {
    /// The node's identifier.
    pub(super) id: String,
    /// Bits, greater is more anomalous.
    pub(super) score: f64,
}

/// One incident of the result.
#[derive(Clone, Debug, Serialize)]
pub(super) struct IncidentOut {
    /// Bits.
    pub(super) score: f64,
    /// Identifiers of its processes, most anomalous first.
    pub(super) processes: Vec<String>,
    /// The strongest reasons, in words.
    pub(super) reasons: Vec<String>,
}

/// The whole result.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Output {
    /// All processes seen since training ended, most anomalous first.
    pub(super) processes: Vec<ProcessOut>,
    /// Incidents, most anomalous first.
    pub(super) incidents: Vec<IncidentOut>,
    /// What was read.
    pub(super) counts: Counts,
    /// Processes that left the graph for want of room.
    pub(super) evicted: u64,
    /// What a reader of the result should know.
    pub(super) notes: Vec<String>,
}

/// Feeds rows to a ranker.
pub(super) struct Replay<'a> {
    nodes: &'a Nodes,
    ranker: Ranker,
    train_until: u64,
    judging: bool,
    now: u64,
    counts: Counts,
}

impl<'a> Replay<'a> {
    /// A replay that learns from what happens before `train_until` (microseconds).
    pub(super) fn new(nodes: &'a Nodes, train_until: u64, config: Config) -> Self {
        Replay { nodes, ranker: Ranker::new(config), train_until, judging: false, now: 0, counts: Counts::default() }
    }

    /// Takes one row.
    pub(super) fn row(&mut self, row: &Row) {
        self.counts.events += 1;
        if row.time < self.now {
            self.counts.backwards += 1;
        }
        self.now = self.now.max(row.time);
        if self.now >= self.train_until {
            if !self.judging {
                self.judging = true;
                self.ranker.begin_judging();
            }
            self.counts.judged += 1;
        } else {
            self.counts.trained += 1;
        }
        if !KNOWN_TYPES.contains(&row.kind.as_str()) {
            let types = &mut self.counts.unknown_types;
            let kind: String = row.kind.chars().take(64).collect();
            if types.len() < TYPES || types.contains_key(&kind) {
                *types.entry(kind).or_default() += 1;
            }
            return;
        }
        let (Some(source), Some(destination)) = (self.nodes.number(&row.source), self.nodes.number(&row.destination))
        else {
            self.counts.unknown_nodes += 1;
            return;
        };
        if !self.act(row, source, destination) {
            self.counts.misfits += 1;
        }
    }

    /// The event in the ranker's terms. False where the nodes do not fit.
    fn act(&mut self, row: &Row, source: u32, destination: u32) -> bool {
        let (Some(s), Some(d)) = (self.nodes.get(source), self.nodes.get(destination)) else {
            return false;
        };
        // The process that acted, and the other side: by the sensor's identifier of the actor,
        // or else whichever side is a process, the source first.
        let by_source =
            s.kind == Kind::Process && (*s.uuid == *row.actor || d.kind != Kind::Process || *d.uuid != *row.actor);
        let (actor, other, object) = if by_source { (s.same, d.same, d) } else { (d.same, s.same, s) };
        if !(by_source || d.kind == Kind::Process) {
            return false;
        }
        let both = s.kind == Kind::Process && d.kind == Kind::Process;
        match row.kind.as_str() {
            "procstart" | "procend" if both => {
                self.seen(s.same);
                self.seen(d.same);
                self.send(d.same, Act::ChildOf(s.same));
                if row.kind == "procend" {
                    self.send(d.same, Act::Ended);
                } else if !by_source {
                    // The row tells of the parent of the one that started a process.
                    self.send(d.same, Act::StartedChild);
                }
            }
            "crossproc" if both => {
                self.seen(other);
                self.seen(actor);
                self.send(actor, Act::Opened(other));
            }
            "filemod" if object.kind == Kind::File && by_source => self.about(actor, Act::Wrote(&object.name)),
            "filemod" if object.kind == Kind::File => self.about(actor, Act::Read(&object.name)),
            "moduleload" if object.kind == Kind::File => self.about(actor, Act::Loaded(&object.name)),
            "scriptload" if object.kind == Kind::File => self.about(actor, Act::Script(&object.name)),
            "regmod" if object.kind == Kind::Key => self.about(actor, Act::Key(&object.name)),
            "netconn" if object.kind == Kind::Socket => self.about(actor, Act::Peer(&object.name)),
            _ => return false,
        }
        true
    }

    fn about(&mut self, actor: u32, act: Act<'_>) {
        self.seen(actor);
        self.send(actor, act);
    }

    fn send(&mut self, actor: u32, act: Act<'_>) {
        self.ranker.event(&Event { time: self.now, actor, act });
    }

    /// Declares a process that is not known yet.
    fn seen(&mut self, process: u32) {
        if !self.ranker.knows(process)
            && let Some(node) = self.nodes.get(process)
        {
            self.ranker.declare(process, &node.name, node.started(self.now), self.now);
        }
    }

    /// The result so far.
    pub(super) fn finish(&self) -> Output {
        let report = self.ranker.report();
        let mut ids: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
        for (_, node) in self.nodes.iter().filter(|(_, n)| n.kind == Kind::Process) {
            ids.entry(node.same).or_default().push(&node.id);
        }
        let all = |p: u32| ids.get(&p).into_iter().flatten().map(|s| (*s).to_string());
        Output {
            processes: report
                .processes
                .iter()
                .flat_map(|r| all(r.process).map(|id| ProcessOut { id, score: rounded(r.score) }))
                .collect(),
            incidents: report
                .incidents
                .iter()
                .map(|i| IncidentOut {
                    score: rounded(i.score),
                    processes: i.processes.iter().flat_map(|&p| all(p)).collect(),
                    reasons: i.processes.iter().take(3).filter_map(|&p| self.reason(p)).collect(),
                })
                .collect(),
            counts: self.counts.clone(),
            evicted: report.evicted,
            notes: self.notes(&report),
        }
    }

    /// What speaks against a process, in one line.
    pub(super) fn reason(&self, process: u32) -> Option<String> {
        let image = self.ranker.image(process)?;
        let parts: Vec<String> = self
            .ranker
            .reasons(process)
            .iter()
            .take(4)
            .map(|r| format!("{} ({:.1} bits): {}", r.op.text(), r.bits, r.text))
            .collect();
        Some(format!("{image}: {}", if parts.is_empty() { "by its lineage".to_string() } else { parts.join("; ") }))
    }

    /// All groups, above the threshold and below, with their scores and processes, greatest first.
    pub(super) fn groups(&self) -> Vec<(f64, Vec<u32>)> {
        let report = self.ranker.report();
        let mut all: Vec<_> =
            report.incidents.into_iter().chain(report.below).map(|i| (i.score, i.processes)).collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        all
    }

    fn notes(&self, report: &Report) -> Vec<String> {
        let c = &self.counts;
        let mut notes = Vec::new();
        let mut say = |condition: bool, text: String| {
            if condition {
                notes.push(text);
            }
        };
        say(c.events == 0, "there are no events".into());
        say(
            c.events > 0 && c.trained == 0,
            "--train-until lies before all events: nothing was learned, so everything is new".into(),
        );
        say(c.events > 0 && c.judged == 0, "--train-until lies behind all events: nothing was judged".into());
        say(c.unknown_nodes > 0, format!("{} events name nodes that are not listed; skipped", c.unknown_nodes));
        say(
            c.backwards > 0,
            format!("{} events lie before the one before them; taken at the latest time so far", c.backwards),
        );
        say(c.misfits > 0, format!("{} events have nodes that do not fit their type; skipped", c.misfits));
        for (kind, n) in &c.unknown_types {
            say(true, format!("{n} events of unknown type {kind:?}; skipped"));
        }
        say(report.evicted > 0, format!("{} processes left the graph for want of room", report.evicted));
        say(report.model.1 > 0, format!("{} names found no room in the model", report.model.1));
        notes
    }
}

fn rounded(score: f64) -> f64 {
    (score * 1000.0).round() / 1000.0
}
