//! An incident's graph as a picture: programs as a tree from left to right, what they did it to at its right edge.

use std::fmt::Write;

use ethogram_model::{IncidentEdge, IncidentGraph, IncidentNode, NodeKind, Severity, render};

/// Places in points.
const ROW: usize = 34;
const INDENT: usize = 36;
const TEXT: usize = 7;
const OBJECTS_AT: usize = 560;
const WIDTH: usize = 1_060;
/// Characters of a name that are shown.
const PROGRAM: usize = 62;
const OBJECT: usize = 58;

/// In the language of Graphviz.
pub(super) fn dot(graph: &IncidentGraph) -> String {
    let mut out = String::from("digraph incident {\n  rankdir=LR;\n  node [fontname=\"sans-serif\", fontsize=11];\n");
    for (at, node) in graph.nodes.iter().enumerate() {
        let shape = match node.kind {
            NodeKind::Program => "box",
            NodeKind::Service => "box3d",
            NodeKind::File => "note",
            NodeKind::Peer => "ellipse",
            NodeKind::Object => "plaintext",
        };
        _ = writeln!(out, "  n{at} [label=\"{}\", shape={shape}];", quoted(&label(node, OBJECT)));
    }
    for edge in &graph.edges {
        let color = edge.severity.map_or("gray", color);
        _ = writeln!(
            out,
            "  n{} -> n{} [label=\"{}\", color=\"{color}\", tooltip=\"{}\"];",
            edge.from,
            edge.to,
            quoted(&shortened(&edge.what, OBJECT)),
            quoted(&edge.why)
        );
    }
    out + "}\n"
}

/// As SVG, without a script, a style sheet or anything from elsewhere.
pub(super) fn svg(graph: &IncidentGraph) -> String {
    let programs = graph.nodes.iter().filter(|node| is_program(node)).count();
    let objects = graph.nodes.len() - programs;
    let height = (programs.max(objects) + 1) * ROW;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    let places = places(graph, programs);
    for edge in joined(graph) {
        let (Some(from), Some(to)) = (places.get(edge.from), places.get(edge.to)) else { continue };
        let color = edge.severity.map_or("#8a8a8a", color);
        let (x1, y1) = if edge.to < programs { (from.0 + 8, from.1 + 10) } else { (from.0 + from.2, from.1) };
        let bend = (to.0.saturating_sub(x1)) / 2;
        _ = writeln!(
            out,
            "<path d=\"M{x1} {y1} C{} {y1} {} {} {} {}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.4\"><title>{}</title></path>",
            x1 + if edge.to < programs { 0 } else { bend },
            to.0.saturating_sub(if edge.to < programs { 14 } else { bend }),
            to.1,
            to.0.saturating_sub(4),
            to.1,
            escaped(&format!("{}. {}", edge.what, edge.why))
        );
    }
    // One text for all that was done to an object: those of several programs would lie on each other.
    for (at, (x, y, _)) in places.iter().enumerate().skip(programs) {
        let to_it = || graph.edges.iter().filter(|edge| edge.to == at);
        let color = to_it().filter_map(|edge| edge.severity).max().map_or("#8a8a8a", color);
        _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" fill=\"{color}\" text-anchor=\"end\" font-size=\"11\">{}</text>",
            x - 8,
            y - 4,
            escaped(&shortened(&distinct(to_it().map(|edge| &*edge.what)), 36))
        );
    }
    for (at, (node, (x, y, width))) in graph.nodes.iter().zip(&places).enumerate() {
        let worst = graph.edges.iter().filter(|edge| edge.to == at).filter_map(|edge| edge.severity).max();
        let color = worst.map_or("#4a4a4a", color);
        let text = label(node, if is_program(node) { PROGRAM } else { OBJECT });
        let corner = if matches!(node.kind, NodeKind::Peer) { 10 } else { 3 };
        let fill = if matches!(node.kind, NodeKind::Service) { "#eef1f6" } else { "#ffffff" };
        _ = writeln!(
            out,
            "<g><title>{}</title><rect x=\"{x}\" y=\"{}\" width=\"{width}\" height=\"20\" rx=\"{corner}\" fill=\"{fill}\" stroke=\"{color}\"/>\
             <text x=\"{}\" y=\"{}\" fill=\"#1c1c1c\">{}</text></g>",
            escaped(&format!("{} {}", node.name, node.args)),
            y - 10,
            x + 6,
            y + 4,
            escaped(&text)
        );
    }
    out + "</svg>\n"
}

/// The edges, those between the same two nodes as one; none from a program to itself.
fn joined(graph: &IncidentGraph) -> Vec<IncidentEdge> {
    let mut all: Vec<IncidentEdge> = Vec::new();
    for edge in graph.edges.iter().filter(|edge| edge.from != edge.to) {
        match all.iter_mut().find(|known| (known.from, known.to) == (edge.from, edge.to)) {
            Some(known) => {
                known.what = distinct([&*known.what, &*edge.what].into_iter());
                known.severity = known.severity.max(edge.severity);
            }
            None => all.push(edge.clone()),
        }
    }
    all
}

/// Texts behind each other, each once.
fn distinct<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let mut all: Vec<&str> = Vec::new();
    for text in texts.flat_map(|text| text.split(", ")) {
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all.join(", ")
}

/// Left edge, middle and width of each node.
fn places(graph: &IncidentGraph, programs: usize) -> Vec<(usize, usize, usize)> {
    let mut depths: Vec<usize> = Vec::new();
    let mut rows = order(graph, programs);
    for at in 0..programs {
        let parent = graph.edges.iter().find(|edge| edge.to == at && edge.from < at).map(|edge| edge.from);
        depths.push(parent.and_then(|parent| depths.get(parent)).map_or(0, |depth| depth + 1));
    }
    let objects = graph.nodes.len() - programs;
    rows.extend(0..objects);
    let width = |node: &IncidentNode, most| label(node, most).chars().count() * TEXT + 12;
    let at = |(place, node): (usize, &IncidentNode)| {
        let y = rows.get(place).copied().unwrap_or(0) * ROW + ROW;
        if place < programs {
            let x = 12 + depths.get(place).copied().unwrap_or(0).min(8) * INDENT;
            return (x, y, width(node, PROGRAM).min(OBJECTS_AT.saturating_sub(x + 90)));
        }
        (OBJECTS_AT + 80, y, width(node, OBJECT).min(WIDTH - OBJECTS_AT - 90))
    };
    graph.nodes.iter().enumerate().map(at).collect()
}

/// The row of each program: each below the one that started it, and before what comes after that.
fn order(graph: &IncidentGraph, programs: usize) -> Vec<usize> {
    let parent = |at: usize| graph.edges.iter().find(|edge| edge.to == at && edge.from < at).map(|edge| edge.from);
    let mut rows = vec![0; programs];
    let mut open: Vec<usize> = (0..programs).filter(|at| parent(*at).is_none()).rev().collect();
    let mut next = 0;
    while let Some(at) = open.pop() {
        if let Some(row) = rows.get_mut(at) {
            *row = next;
        }
        next += 1;
        open.extend((0..programs).rev().filter(|child| parent(*child) == Some(at)));
    }
    rows
}

fn is_program(node: &IncidentNode) -> bool {
    matches!(node.kind, NodeKind::Program | NodeKind::Service)
}

fn label(node: &IncidentNode, most: usize) -> String {
    let name = render::escape(&node.name);
    let text = match (node.pid, &node.container) {
        (Some(pid), Some(container)) => format!("{name} [{pid}] in {}", render::escape(container)),
        _ => name.into_owned(),
    };
    shortened(&text, most)
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// Dark enough to be read on white.
fn color(severity: Severity) -> &'static str {
    match severity {
        Severity::Informational | Severity::Low => "#4f6d8f",
        Severity::Medium => "#8a5a00",
        Severity::High => "#b3361f",
        Severity::Critical => "#8c0d4f",
    }
}

fn quoted(text: &str) -> String {
    render::escape(text).replace('\\', "\\\\").replace('"', "\\\"")
}

fn escaped(text: &str) -> String {
    render::escape(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::incidents::story::tests::incident;

    #[test]
    fn names_are_no_markup() {
        let mut hostile = incident();
        for step in &mut hostile.steps {
            step.program = "</text><script>alert(1)</script>\"]; n0 -> n9 [x=\"".into();
        }
        for part in &mut hostile.parts {
            part.object = "/tmp/\"&<b>\u{1b}[31m\u{202e}x".into();
            part.operation = "read".into();
        }
        let graph = IncidentGraph::of(&hostile);
        let (svg, dot) = (svg(&graph), dot(&graph));
        assert!(
            !svg.contains("<script>") && !svg.contains("<b>") && !svg.contains('\u{1b}') && !svg.contains('\u{202e}')
        );
        let tags = svg.matches('<').count();
        assert_eq!(tags, svg.matches('>').count(), "{svg}");
        assert!(dot.lines().all(|line| !line.trim_start().starts_with("n9")), "{dot}");
    }

    #[test]
    fn what_is_done_to_one_object_is_one_text_and_what_to_another_is_another() {
        let mut several = incident();
        let first = several.parts.last().unwrap().clone();
        for operation in ["write", "read", "write"] {
            several.parts.push(ethogram_model::Part { operation: operation.into(), ..first.clone() });
        }
        let drawn = svg(&IncidentGraph::of(&several));
        let texts: Vec<&str> = drawn.lines().filter(|line| line.contains("text-anchor=\"end\"")).collect();
        let objects: std::collections::BTreeSet<&str> = several.parts.iter().map(|part| &*part.object).collect();
        assert_eq!(texts.len(), objects.len(), "{drawn}");
        assert!(texts.iter().any(|text| text.contains(">read, write<")), "{texts:?}");
    }

    #[test]
    fn each_program_is_below_the_one_that_started_it() {
        let graph = IncidentGraph::of(&incident());
        let programs = graph.nodes.iter().filter(|node| is_program(node)).count();
        let places = places(&graph, programs);
        for edge in graph.edges.iter().filter(|edge| edge.to < programs && edge.what == "started") {
            assert!(places[edge.from].0 < places[edge.to].0 && places[edge.from].1 < places[edge.to].1, "{edge:?}");
        }
        let mut rows: Vec<_> = places.iter().take(programs).map(|place| place.1).collect();
        rows.sort_unstable();
        rows.dedup();
        assert_eq!(rows.len(), programs, "no two share a row");
    }
}
