//! The ranker: learns what is usual from a stream of events, then judges the rest of it.

use std::collections::BTreeMap;

use super::event::{Act, Event, Op};
use super::evidence::{Reason, Trust};
use super::graph::{Graph, Process};
use super::incident::{self, Incident};
use super::lineage::Starts;
use super::model::{Model, Name};
use super::name;
use super::stakes;

/// Bounds and thresholds.
#[derive(Clone, Debug)]
pub struct Config {
    /// Most segments of names the model holds (about 60 bytes each).
    pub model_segments: usize,
    /// Most processes the graph holds (about 1 KB each).
    pub processes: usize,
    /// Most scores kept of processes that left the graph (16 bytes each).
    pub retired: usize,
    /// Grouping of processes into incidents.
    pub grouping: incident::Grouping,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            model_segments: 1_000_000,
            processes: 32_768,
            retired: 1_000_000,
            grouping: incident::Grouping::default(),
        }
    }
}

/// Bits of surprise from which opening another process ties the two.
const TIE_BITS: f64 = 5.0;
/// Bits of identity from which a process's access to another counts against the other too.
const SUSPICIOUS: f64 = 6.0;
/// Bits for an unusual access to a process that keeps secrets.
const SECRETS_BITS: f64 = 4.0;
/// Bits for writing code to a folder that users can write to, where that is unusual.
const CODE_BITS: f64 = 2.0;

/// Sets what is known of a process by its image alone.
fn judge_image(model: &Model, process: &mut Process) {
    let e = &mut process.evidence;
    e.known = model.known(process.image_id) > 0;
    e.stakes = stakes::of_image(&process.image);
    e.trust = if e.stakes == 0.0 {
        Trust::System
    } else if stakes::of_tool(&process.image) == 0.0 && model.familiar(&process.image) {
        e.stakes = 0.0;
        Trust::Familiar
    } else {
        Trust::None
    };
}

/// A process with its score.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// The process's number.
    pub process: u32,
    /// Bits, greater is more anomalous.
    pub score: f64,
}

/// What a stream came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// All processes seen since judging began, most anomalous first.
    pub processes: Vec<Ranked>,
    /// Groups of connected processes, most anomalous first.
    pub incidents: Vec<Incident>,
    /// Incidents below the threshold, most anomalous first: for calibration.
    pub below: Vec<Incident>,
    /// Processes that left the graph for want of room.
    pub evicted: u64,
    /// Segments of names held, and those that found no room.
    pub model: (usize, u64),
}

/// Learns, then judges. Times only ever come from the events.
pub struct Ranker {
    config: Config,
    model: Model,
    graph: Graph,
    starts: Starts,
    judging: bool,
    retired: Vec<(u32, f64)>,
}

impl Ranker {
    /// A ranker that has learned nothing.
    pub fn new(config: Config) -> Self {
        Ranker {
            model: Model::new(config.model_segments),
            graph: Graph::new(config.processes),
            starts: Starts::default(),
            judging: false,
            retired: Vec::new(),
            config,
        }
    }

    /// Ends learning: what comes from here on is judged.
    pub fn begin_judging(&mut self) {
        self.judging = true;
        self.graph.forget_writers();
        let model = &self.model;
        self.graph.update(|p| {
            judge_image(model, p);
            // What was there before is judged by what it does, not by what it is.
            p.evidence.stakes = 0.0;
        });
    }

    /// Whether the process was declared and is still held.
    pub fn knows(&self, process: u32) -> bool {
        self.graph.get(process).is_some()
    }

    /// Declares a process before its first event. `started` is when it was started, in
    /// microseconds, where that is known.
    pub fn declare(&mut self, process: u32, image: &str, started: Option<u64>, now: u64) {
        let image = image.to_lowercase();
        let name = Name::of(Op::Image, &image);
        let id = name.id();
        let mut record = Process::new(&image, id, now);
        record.old = !self.judging;
        if self.judging {
            let bits = self.model.bits(Op::Image, 0, 0, &name);
            record.evidence.add(Op::Image, bits, id, &image);
            judge_image(&self.model, &mut record);
        } else {
            self.model.learn(Op::Image, 0, &name, process);
            self.model.learn_process(id, process);
        }
        self.graph.insert(process, record);
        let retired = self.graph.take_retired();
        let room = self.config.retired.saturating_sub(self.retired.len());
        self.retired.extend(retired.into_iter().take(room));
        if let Some(writer) = self.graph.writer(name::hash(&image)) {
            self.tie_file(writer, process);
        }
        if let Some(started) = started
            && let Some(parent) = self.starts.child(started, process)
        {
            self.parent_known(parent, process);
        }
    }

    /// Takes one event. Processes that were not declared are ignored.
    pub fn event(&mut self, event: &Event<'_>) {
        let Some(actor) = self.graph.get_mut(event.actor) else {
            return;
        };
        actor.last = event.time;
        if self.judging && !actor.judged {
            actor.first = event.time;
            actor.judged = true;
        }
        match event.act {
            Act::StartedChild => {
                actor.started = actor.started.saturating_add(1);
                if let Some(child) = self.starts.parent(event.time, event.actor) {
                    self.parent_known(event.actor, child);
                }
            }
            Act::ChildOf(parent) => {
                if actor.parent.is_none() {
                    self.starts.settled(event.actor);
                    self.parent_known(parent, event.actor);
                }
            }
            Act::Ended => {}
            Act::Loaded(path) => {
                self.ran(event.actor, path);
                self.observe(event.actor, Op::Load, path);
            }
            Act::Script(path) => {
                self.ran(event.actor, path);
                self.observe(event.actor, Op::Script, path);
            }
            Act::Wrote(path) => {
                if stakes::is_code(path) && !stakes::is_protected(path) || path.ends_with(".exe") {
                    self.graph.wrote(name::hash(path), event.actor);
                }
                self.observe(event.actor, Op::Write, path);
            }
            Act::Read(path) => {
                if stakes::is_code(path) && !stakes::is_protected(path) {
                    self.ran(event.actor, path);
                }
                self.observe(event.actor, Op::Read, path);
            }
            Act::Key(key) => {
                self.observe(event.actor, Op::Key, key);
            }
            Act::Peer(peer) => {
                self.observe(event.actor, Op::Peer, peer);
            }
            Act::Opened(other) => self.opened(event.actor, other),
        }
    }

    /// Learns or judges that a process did something with a name.
    fn observe(&mut self, actor: u32, op: Op, text: &str) -> f64 {
        let Some(process) = self.graph.get_mut(actor) else {
            return 0.0;
        };
        let open = !stakes::is_protected(text);
        let op = match op {
            Op::Write if open && stakes::is_code(text) => Op::Code,
            Op::Load if open => Op::UserModule,
            Op::Open if stakes::keeps_secrets(text) => Op::Secrets,
            other => other,
        };
        let name = Name::of(op, text);
        if !self.judging {
            self.model.learn(op, process.image_id, &name, actor);
            return 0.0;
        }
        let known = self.model.known(process.image_id);
        let mut bits = self.model.bits(op, process.image_id, known, &name);
        if bits > 2.0 {
            match op {
                Op::Code => bits += CODE_BITS,
                Op::Secrets => bits += SECRETS_BITS,
                _ => {}
            }
        }
        process.evidence.add(op, bits, name.id(), text);
        bits
    }

    /// The process ran, loaded or read code that another wrote.
    fn ran(&mut self, actor: u32, path: &str) {
        if self.judging
            && let Some(writer) = self.graph.writer(name::hash(path))
        {
            self.tie_file(writer, actor);
        }
    }

    fn tie_file(&mut self, writer: u32, reader: u32) {
        if self.judging && !self.is_hub(writer) {
            self.graph.tie(writer, reader);
        }
    }

    fn opened(&mut self, actor: u32, other: u32) {
        let image = |g: &Graph, p: u32| g.get(p).map(|q| q.image.clone());
        let (Some(a), Some(b)) = (image(&self.graph, actor), image(&self.graph, other)) else {
            return;
        };
        if self.judging
            && let Some(p) = self.graph.get_mut(other)
        {
            p.judged = true;
        }
        let bits = self.observe(actor, Op::Open, &b);
        let suspicious = self.graph.get(actor).map_or(0.0, |p| p.evidence.identity());
        if !self.judging || suspicious >= SUSPICIOUS {
            let back = self.observe(other, Op::Opened, &a);
            if bits + back >= 2.0 * TIE_BITS && !self.is_hub(actor) && !self.is_hub(other) {
                self.graph.tie(actor, other);
            }
        }
    }

    fn parent_known(&mut self, parent: u32, child: u32) {
        if !self.graph.adopt(parent, child) {
            return;
        }
        let (Some(p), Some(c)) = (self.graph.get(parent), self.graph.get(child)) else {
            return;
        };
        let (p_id, c_id, c_old) = (p.image_id, c.image_id, c.old);
        let (p_image, c_image) = (p.image.clone(), c.image.clone());
        let (as_child, as_parent) = (Name::of(Op::Child, &c_image), Name::of(Op::Parent, &p_image));
        if !self.judging {
            self.model.learn(Op::Child, p_id, &as_child, child);
            self.model.learn(Op::Parent, c_id, &as_parent, child);
            self.model.learn_child(p_id, c_id, child);
        } else if !c_old {
            let bits = self.model.bits(Op::Child, p_id, self.model.known(p_id), &as_child);
            let back = self.model.bits(Op::Parent, c_id, self.model.known(c_id), &as_parent);
            if let Some(c) = self.graph.get_mut(child) {
                c.evidence.add(Op::Child, bits, p_id, &p_image);
                c.evidence.add(Op::Parent, back, p_id, &p_image);
            }
        }
    }

    /// Whether a process is a long-lived or usual starter of many things, which ties its children
    /// no more than the host itself does.
    fn is_hub(&self, process: u32) -> bool {
        incident::is_hub(&self.graph, &self.model, process)
    }

    /// What speaks against a process, greatest first.
    pub fn reasons(&self, process: u32) -> Vec<Reason> {
        self.graph.get(process).map(|p| p.evidence.reasons()).unwrap_or_default()
    }

    /// The image of a process.
    pub fn image(&self, process: u32) -> Option<&str> {
        self.graph.get(process).map(|p| &*p.image)
    }

    /// Ranks and groups what was judged so far; may be asked again later.
    pub fn report(&self) -> Report {
        let groups = incident::group(&self.graph, &self.model, &self.config.grouping);
        // A process that left and came back has two scores: the greater counts.
        let mut best: BTreeMap<u32, f64> = BTreeMap::new();
        for &(process, score) in groups.scores.iter().chain(&self.retired) {
            let entry = best.entry(process).or_insert(score);
            *entry = entry.max(score);
        }
        let mut processes: Vec<Ranked> = best.into_iter().map(|(process, score)| Ranked { process, score }).collect();
        processes.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.process.cmp(&b.process)));
        Report {
            processes,
            incidents: groups.incidents,
            below: groups.below,
            evicted: self.graph.evicted,
            model: self.model.size(),
        }
    }
}
