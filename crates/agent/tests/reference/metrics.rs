//! The metrics, from a page of them as Prometheus reads it.

use std::collections::BTreeMap;

use ethogram_agent::metrics::{
    Counters, EngineMetrics, Format, MetricsSnapshot, OutletMetrics, ProcessMetrics, SinkMetrics, TrackerState,
    TriageMetrics,
};

use crate::page::{code, sentence, table, titled};

pub(crate) fn page() -> String {
    let text =
        sample().encode(Some(&ProcessMetrics { max_fds: Some(1), ..ProcessMetrics::default() }), Format::OpenMetrics);
    let mut rows: Vec<[String; 4]> = Vec::new();
    let mut labels: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<_> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "HELP", name, help] => match rows.iter_mut().find(|r| r[0] == name) {
                Some(row) => row[3] = sentence(help),
                None => rows.push([name.into(), String::new(), String::new(), sentence(help)]),
            },
            ["#", "TYPE", name, kind] => match rows.iter_mut().find(|r| r[0] == name) {
                Some(row) => row[1] = kind.into(),
                None => rows.push([name.into(), kind.into(), String::new(), String::new()]),
            },
            ["#", ..] => {}
            _ => {
                let (name, rest) = line.split_once(['{', ' ']).unwrap();
                let pairs = if line.contains('{') { rest.split('}').next().unwrap() } else { "" };
                let names = pairs.split(',').filter_map(|p| p.split_once('=')).map(|(l, _)| code(l)).collect();
                labels.insert(name.into(), names);
            }
        }
    }
    for row in &mut rows {
        // A counter's values end in `_total`, which its family's name does not.
        if let Some((name, labels)) =
            [row[0].clone(), format!("{}_total", row[0])].iter().find_map(|n| labels.get_key_value(n))
        {
            row[0].clone_from(name);
            row[2] = labels.join(", ");
        }
        row[0] = code(&row[0]);
    }
    titled("Metrics")
        + "\nAt `http://127.0.0.1:8528/metrics`, see `[metrics]` in the [configuration](configuration.md#metrics), in \
           the OpenMetrics or the older Prometheus text format, as the reader prefers. Counters only ever grow. No \
           label holds a process, a path or a container.\n"
        + &table(["metric", "type", "labels", "meaning"], rows)
}

/// Something of everything, so that every family shows its labels.
fn sample() -> MetricsSnapshot {
    let one = || BTreeMap::from([("x".to_owned(), 1)]);
    let counters = Counters { filtered: one(), dropped: BTreeMap::from([("x".into(), one())]), ..Counters::default() };
    MetricsSnapshot {
        trackers: vec![("x".into(), TrackerState::Running, counters)],
        engine: EngineMetrics {
            profiles: one(),
            identity: BTreeMap::from([("x", 1)]),
            behaviours: BTreeMap::from([("x", 1)]),
            incidents: BTreeMap::from([("x", 1)]),
            incidents_open: BTreeMap::from([("x", 1)]),
            incident_graph_bytes: 1,
            ..EngineMetrics::default()
        },
        outlet: OutletMetrics {
            alerts: BTreeMap::from([(("x".into(), "x".into()), 1)]),
            sinks: BTreeMap::from([(
                "x".into(),
                SinkMetrics { dropped: BTreeMap::from([("x", 1)]), ..SinkMetrics::default() },
            )]),
            ..OutletMetrics::default()
        },
        responses: BTreeMap::from([(("x", "x"), 1)]),
        triage: Some(TriageMetrics { requests: BTreeMap::from([("x", 1)]), seconds: 1.0 }),
        ..MetricsSnapshot::default()
    }
}

#[test]
fn every_metric_has_its_type_and_meaning() {
    let page = page();
    assert!(page.contains("| `ethogram_events_dropped_total` | counter | `tracker`, `stage`, `reason` |"), "{page}");
    assert!(page.contains("| `ethogram_containers` | gauge |  |"));
    assert!(page.contains("| `process_cpu_seconds_total` | counter |"));
}
