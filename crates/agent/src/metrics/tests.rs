use super::*;

fn snapshot() -> MetricsSnapshot {
    let counters = Counters {
        seen: 15,
        delivered: 4,
        aggregated: 5,
        filtered: [("container".to_owned(), 3)].into(),
        dropped: [("ring".to_owned(), [("full".to_owned(), 3)].into())].into(),
    };
    let sink =
        SinkMetrics { delivered: 5, dropped: [("refused", 1)].into(), retries: 2, waiting: 3, spool_bytes: 4096 };
    MetricsSnapshot {
        trackers: vec![("open".into(), TrackerState::Running, counters)],
        engine: EngineMetrics {
            containers: 3,
            profiles: [("learning".to_owned(), 1)].into(),
            habits: 3,
            identity: [("cgroups_unknown", 2)].into(),
            behaviours: [("known", 7)].into(),
            incidents: [("begun", 2)].into(),
            incidents_open: [("high", 1)].into(),
            incident_graph_bytes: 960,
        },
        outlet: OutletMetrics {
            alerts: [(("high".to_owned(), "odd \"rule\"\\\n".to_owned()), 2)].into(),
            sinks: [("file".to_owned(), sink)].into(),
            stream_dropped: 4,
        },
        responses: [(("kill", "done"), 2)].into(),
        recording: [("events", 9)].into(),
        triage: Some(TriageMetrics { requests: [("ok", 2)].into(), seconds: 1.5 }),
    }
}

#[test]
fn the_older_format_is_as_promised() {
    insta::assert_snapshot!(snapshot().encode(None, Format::Prometheus), @r#"
    # HELP ethogram_events_seen_total Events that happened: the sum of what was delivered, aggregated, filtered and dropped.
    # TYPE ethogram_events_seen_total counter
    ethogram_events_seen_total{tracker="open"} 15
    # HELP ethogram_events_delivered_total Events that reached the agent.
    # TYPE ethogram_events_delivered_total counter
    ethogram_events_delivered_total{tracker="open"} 4
    # HELP ethogram_events_aggregated_total Events that were counted in the kernel and went no further.
    # TYPE ethogram_events_aggregated_total counter
    ethogram_events_aggregated_total{tracker="open"} 5
    # HELP ethogram_events_filtered_total Events that were left out on purpose, by reason.
    # TYPE ethogram_events_filtered_total counter
    ethogram_events_filtered_total{tracker="open",reason="container"} 3
    # HELP ethogram_events_dropped_total Events that were lost, by stage and reason.
    # TYPE ethogram_events_dropped_total counter
    ethogram_events_dropped_total{tracker="open",stage="ring",reason="full"} 3
    # HELP ethogram_tracker_state 1 for the state a tracker is in, 0 for the others.
    # TYPE ethogram_tracker_state gauge
    ethogram_tracker_state{tracker="open",state="running"} 1
    ethogram_tracker_state{tracker="open",state="idle"} 0
    ethogram_tracker_state{tracker="open",state="paused"} 0
    ethogram_tracker_state{tracker="open",state="stopped"} 0
    ethogram_tracker_state{tracker="open",state="refused"} 0
    # HELP ethogram_alerts_total Alerts raised, by severity and the rule that raised them.
    # TYPE ethogram_alerts_total counter
    ethogram_alerts_total{severity="high",rule="odd \"rule\"\\\n"} 2
    # HELP ethogram_alerts_delivered_total Alerts that a sink has taken.
    # TYPE ethogram_alerts_delivered_total counter
    ethogram_alerts_delivered_total{sink="file"} 5
    # HELP ethogram_alert_retries_total Attempts to deliver an alert that failed, and were repeated.
    # TYPE ethogram_alert_retries_total counter
    ethogram_alert_retries_total{sink="file"} 2
    # HELP ethogram_alerts_waiting Alerts on their way to a sink, in its queue and its spool.
    # TYPE ethogram_alerts_waiting gauge
    ethogram_alerts_waiting{sink="file"} 3
    # HELP ethogram_alert_spool_bytes Bytes on disk of a sink's spool.
    # TYPE ethogram_alert_spool_bytes gauge
    ethogram_alert_spool_bytes{sink="file"} 4096
    # HELP ethogram_alerts_dropped_total Alerts that a sink did not get, by reason.
    # TYPE ethogram_alerts_dropped_total counter
    ethogram_alerts_dropped_total{sink="file",reason="refused"} 1
    # HELP ethogram_responses_total What was done about findings, by action and outcome.
    # TYPE ethogram_responses_total counter
    ethogram_responses_total{action="kill",outcome="done"} 2
    # HELP ethogram_stream_dropped_total Events and alerts dropped because the client of a stream was too slow.
    # TYPE ethogram_stream_dropped_total counter
    ethogram_stream_dropped_total 4
    # HELP ethogram_identity_total Containers and processes identified, and what could not be, by what.
    # TYPE ethogram_identity_total counter
    ethogram_identity_total{what="cgroups_unknown"} 2
    # HELP ethogram_behaviours_total Behaviours seen, by what the model made of them.
    # TYPE ethogram_behaviours_total counter
    ethogram_behaviours_total{outcome="known"} 7
    # HELP ethogram_incidents_total Incidents, by what became of them.
    # TYPE ethogram_incidents_total counter
    ethogram_incidents_total{what="begun"} 2
    # HELP ethogram_recording_total What was recorded, and what the disk was too slow for, by what.
    # TYPE ethogram_recording_total counter
    ethogram_recording_total{what="events"} 9
    # HELP ethogram_triage_requests_total Incidents that a language model was to annotate, by what became of them.
    # TYPE ethogram_triage_requests_total counter
    ethogram_triage_requests_total{result="ok"} 2
    # HELP ethogram_triage_seconds_total Seconds that requests to it took, all together.
    # TYPE ethogram_triage_seconds_total counter
    ethogram_triage_seconds_total 1.5
    # HELP ethogram_containers Containers running now.
    # TYPE ethogram_containers gauge
    ethogram_containers 3
    # HELP ethogram_profiles Behaviour profiles, by state.
    # TYPE ethogram_profiles gauge
    ethogram_profiles{state="learning"} 1
    # HELP ethogram_habits Habits: what workloads do all day, counted in the kernel and not sent.
    # TYPE ethogram_habits gauge
    ethogram_habits 3
    # HELP ethogram_incidents_open Incidents that are open, by severity.
    # TYPE ethogram_incidents_open gauge
    ethogram_incidents_open{severity="high"} 1
    # HELP ethogram_incident_graph_bytes Memory for what connects incidents, roughly.
    # TYPE ethogram_incident_graph_bytes gauge
    ethogram_incident_graph_bytes 960
    # HELP ethogram_build_info Always 1; the version is in the label.
    # TYPE ethogram_build_info gauge
    ethogram_build_info{version="0.1.0"} 1
    "#);
}

#[test]
fn the_newer_format_names_families_and_ends() {
    let text = snapshot().encode(Some(&ProcessMetrics::default()), Format::OpenMetrics);
    assert!(text.contains("# TYPE ethogram_events_seen counter\nethogram_events_seen_total{tracker=\"open\"} 15\n"));
    assert!(text.contains("# TYPE process_cpu_seconds counter\nprocess_cpu_seconds_total 0\n"));
    assert!(text.ends_with("\n# EOF\n"));
}

#[test]
fn each_metric_has_help_and_type_once_and_counters_end_in_total() {
    let text = snapshot().encode(Some(&ProcessMetrics::read().unwrap()), Format::Prometheus);
    let mut families = std::collections::HashSet::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            current = rest.split(' ').next().unwrap().to_owned();
            assert!(families.insert(current.clone()), "{current} comes twice");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert_eq!(rest.ends_with(" counter"), current.ends_with("_total"), "{rest}");
        } else {
            let name = line.split(['{', ' ']).next().unwrap();
            assert_eq!(name, current);
            assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
        }
    }
}

#[test]
fn the_accept_header_decides() {
    for (accept, format) in [
        ("", Format::Prometheus),
        ("*/*", Format::Prometheus),
        ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Prometheus),
        ("application/openmetrics-text; version=1.0.0", Format::OpenMetrics),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3", Format::OpenMetrics),
        ("text/plain;q=0.9, application/openmetrics-text;q=0.1", Format::Prometheus),
        ("application/openmetrics-text;q=0", Format::Prometheus),
        ("application/openmetrics-text;q=x", Format::Prometheus),
    ] {
        assert_eq!(Format::asked_for(accept), format, "{accept}");
    }
}

#[test]
fn the_process_knows_itself() {
    let now = ProcessMetrics::read().unwrap();
    assert!(now.resident_bytes > 100_000 && now.virtual_bytes >= now.resident_bytes);
    assert!(now.open_fds >= 3 && now.threads >= 1);
    let age = jiff::Timestamp::now().as_second() as f64 - now.start_seconds;
    assert!((-2.0..3600.0).contains(&age), "{age}");
}
