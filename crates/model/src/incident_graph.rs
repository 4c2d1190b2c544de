//! An incident as a graph: programs, what they did it to, and what connects them.

use serde::{Deserialize, Serialize};

use crate::{Incident, LinkKind, Part, Severity};

/// Nodes and what connects them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IncidentGraph {
    /// Programs first, each after the one that started it; then objects, in the order in which something was done to them.
    pub nodes: Vec<Node>,
    /// From who does it to what it is done to.
    pub edges: Vec<Edge>,
}

/// A program, or an object of what programs did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// What it is called.
    pub name: String,
    /// The container, or `host`; none of an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The pid of a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// A program's arguments.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub args: String,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// A program that was started for it.
    Program,
    /// A service, which also does other things.
    Service,
    /// A file, or several of one folder.
    File,
    /// An address and a port.
    Peer,
    /// Anything else that something was done to.
    Object,
}

/// What connects two nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Edge {
    /// The place of the node that it comes from.
    pub from: usize,
    /// The place of the node that it leads to.
    pub to: usize,
    /// `started`, an operation such as `read`, or what connects programs that did not start each other.
    pub what: String,
    /// How severe it is; none of what was not found by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Why it is unusual, and what had been usual.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

impl IncidentGraph {
    /// That of an incident.
    pub fn of(incident: &Incident) -> Self {
        let mut graph = Self::default();
        for step in &incident.steps {
            graph.nodes.push(Node {
                kind: if step.is_service { NodeKind::Service } else { NodeKind::Program },
                name: step.program.clone(),
                container: Some(step.container.clone()),
                pid: Some(step.pid),
                args: step.args.clone(),
            });
        }
        for (to, step) in incident.steps.iter().enumerate() {
            if let Some(from) = step.parent.filter(|parent| *parent < to) {
                graph.edges.push(Edge { from, to, what: "started".into(), severity: None, why: String::new() });
            }
        }
        incident.parts.iter().for_each(|part| graph.add(part, incident.steps.len()));
        for link in incident.links.iter().filter(|link| link.from.max(link.to) < incident.steps.len()) {
            let what = match link.kind {
                LinkKind::File => format!("wrote what this runs: {}", link.by),
                LinkKind::Connection => format!("connected to {}", link.by),
                LinkKind::Time => "at the same moment".to_owned(),
            };
            graph.edges.push(Edge { from: link.from, to: link.to, what, severity: None, why: String::new() });
        }
        graph
    }

    fn add(&mut self, part: &Part, steps: usize) {
        let Some(step) = part.step.filter(|step| *step < steps) else { return };
        let edge = |from, to| Edge {
            from,
            to,
            what: part.operation.clone(),
            severity: Some(part.severity),
            why: part.why.clone(),
        };
        // What is executed is a program of its own, and that it was is what is unusual about it.
        if part.operation == "execute" {
            match self.edges.iter_mut().find(|edge| edge.to == step) {
                Some(started) => {
                    started.severity = Some(started.severity.map_or(part.severity, |s| s.max(part.severity)));
                    started.why.clone_from(&part.why);
                }
                None => self.edges.push(edge(step, step)),
            }
            return;
        }
        let kind = match &part.object {
            path if path.starts_with('/') => NodeKind::File,
            peer if peer.parse::<std::net::SocketAddr>().is_ok() => NodeKind::Peer,
            _ => NodeKind::Object,
        };
        let is_same = |node: &Node| node.kind == kind && node.name == part.object;
        let known = self.nodes.iter().skip(steps).position(is_same).map(|place| place + steps);
        let to = known.unwrap_or_else(|| {
            let name = part.object.clone();
            self.nodes.push(Node { kind, name, container: None, pid: None, args: String::new() });
            self.nodes.len() - 1
        });
        self.edges.push(edge(step, to));
    }
}
