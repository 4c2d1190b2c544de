//! `ethogram replay`: a recording through the same engine again, or as another format.

use std::{collections::BTreeMap, fs::File, io::BufReader, path::Path, sync::Arc, time::Instant};

use ethogram_detect::{
    Detector, Model,
    rules::{RuleSet, Rules},
};
use ethogram_engine::{
    EventFilter, Forwarded, Judged,
    judged::Judges,
    recording::{OpenError, Played, Player},
};
use ethogram_model::{Event, Incident, TrackerSchema, nearest::suggestion, ocsf, render};

use super::{ReplayArgs, ReplayFormat, args::Judge};
use crate::{
    config::Config,
    failure::Usage,
    output::{Format, Lines, Output},
    rules::Origin,
    server,
};

type Recording = Player<BufReader<File>>;

pub(super) fn replay(args: &ReplayArgs, config: Option<&Path>) -> anyhow::Result<()> {
    let recording = open(&args.file)?;
    match args.output {
        ReplayFormat::Alerts | ReplayFormat::Incidents => judge(args, config, recording),
        format => convert(args, format, recording),
    }
}

fn open(path: &Path) -> anyhow::Result<Recording> {
    let of_it = |error: OpenError| {
        let text = format!("{} {error}", path.display());
        match error {
            OpenError::Read(_) => anyhow::Error::msg(text),
            OpenError::Foreign | OpenError::Later { .. } => Usage(text).into(),
        }
    };
    let file = File::open(path).map_err(|e| of_it(e.into()))?;
    let player = Player::open(BufReader::with_capacity(1 << 20, file)).map_err(of_it)?;
    let header = player.header();
    tracing::debug!(begun = header.begun, kernel = header.kernel, boot = header.boot_id, "recorded");
    Ok(player)
}

/// The first events of a recording that were wanted, with their context.
pub(super) fn events(path: &Path, most: usize) -> anyhow::Result<Vec<Event>> {
    let recording = open(path)?;
    let container_filter = recording.conditions.container_filter.clone();
    let mut events = Vec::new();
    recording.play(Forwarded { container_filter, filter: Some(EventFilter::default()), rules: None }, |effects| {
        events.extend(effects.events.into_iter().take(most - events.len()));
        events.len() < most
    });
    Ok(events)
}

/// Learns and judges it.
fn judge(args: &ReplayArgs, config: Option<&Path>, recording: Recording) -> anyhow::Result<()> {
    if !args.tracker.is_empty() || !args.container.is_empty() {
        let why = "--tracker and --container choose events: add -o json, csv or parquet";
        return Err(Usage(why.into()).into());
    }
    let container_filter = recording.conditions.container_filter.clone();
    let config = config.map(|path| Config::load(Some(path))).transpose()?;
    let settings = match &config {
        Some(config) => config.model_settings(),
        None => recording.conditions.settings(),
    };
    let model = server::model(settings, recording.profiles.iter().map(|(uid, json)| (&**uid, &**json)));
    let files = match &config {
        _ if args.only == Some(Judge::Behaviour) => Vec::new(),
        Some(config) => Origin::configured(&config.rules).read()?.files,
        None => recording.rules.clone(),
    };
    let loaded = RuleSet::load_what_is_right(&files, &recording.schemas());
    let mut detector = Detector::new(model, Rules::new(Arc::new(loaded.set)));
    recording.groups.iter().cloned().for_each(|(uid, count)| detector.rules.restore(uid, count));
    recording.alerts.iter().for_each(|alert| detector.restore_alert(alert));
    for incident in &recording.incidents {
        detector.restore_incident(incident, recording.trails.get(&incident.uid));
    }
    recording.accepted.iter().cloned().for_each(|acceptance| detector.restore_acceptance(acceptance));
    let mut recording = recording;
    recording.follows_rules = config.is_none() && args.only != Some(Judge::Behaviour);
    let judges = if args.only == Some(Judge::Rules) { Judges::Rules } else { Judges::All };
    let mut out = Lines::new(args.output_file.as_deref())?;
    let begun = Instant::now();
    let (mut alerts, mut incidents, mut written) = (0_u64, BTreeMap::<String, Arc<Incident>>::new(), Ok(()));
    // How alerts went on is not printed: each is one line, as it was raised.
    let played = recording.play(Judged::new(container_filter, detector, judges), |effects| {
        alerts += effects.reports.len() as u64;
        let mut changed = effects.incidents;
        incidents.extend(changed.iter().map(|incident| (incident.uid.clone(), Arc::clone(incident))));
        for update in effects.incident_updates {
            if let Some(incident) = incidents.get_mut(&update.uid) {
                Arc::make_mut(incident).update(update);
                changed.push(Arc::clone(incident));
            }
        }
        written = match args.output {
            ReplayFormat::Incidents => {
                changed.iter().try_for_each(|incident| out.write(&ocsf::from_incident(incident)))
            }
            _ => effects.reports.iter().try_for_each(|report| out.write(&ocsf::from_report(report))),
        };
        written.is_ok()
    });
    summarize(&played, begun, &format!(", {alerts} alerts, {} incidents", incidents.len()));
    let damage = damage(args, &played);
    written.and_then(|()| out.flush())?;
    let mut detector = played.consumer.detector;
    if let Some(path) = &args.profiles {
        write_profiles(path, &mut detector.model)?;
    }
    damage
}

/// One profile a line, as the API has it.
fn write_profiles(path: &Path, model: &mut Model) -> anyhow::Result<()> {
    let mut lines = Lines::new(Some(path))?;
    for brief in model.profiles() {
        if let Some(tree) = model.describe(&brief.uid) {
            lines.write(&serde_json::to_value(tree)?)?;
        }
    }
    Ok(lines.flush()?)
}

/// Writes its events in another format.
fn convert(args: &ReplayArgs, format: ReplayFormat, recording: Recording) -> anyhow::Result<()> {
    if args.profiles.is_some() || args.only.is_some() {
        return Err(Usage("--profiles and --only need a judgement: leave out -o".into()).into());
    }
    for name in &args.tracker {
        if !recording.trackers.iter().any(|t| *t.name == **name) {
            let names = recording.trackers.iter().map(|t| &t.name);
            let near = suggestion(name, names.map(ToString::to_string));
            return Err(Usage(format!("the recording has no tracker '{name}'{near}")).into());
        }
    }
    let columns = columns(&recording.trackers, &args.tracker);
    let file = args.output_file.as_deref();
    let output = match (format, file) {
        (ReplayFormat::Parquet, Some(path)) => Output::parquet(&columns, path)?,
        (ReplayFormat::Parquet, None) => {
            return Err(Usage("-o parquet needs --output-file FILE: it is no text".into()).into());
        }
        (ReplayFormat::Csv, _) => Output::new(Format::Csv, &columns, file)?,
        (ReplayFormat::Json | ReplayFormat::Alerts | ReplayFormat::Incidents, _) => {
            Output::new(Format::Json, &columns, file)?
        }
    };
    let container_filter = recording.conditions.container_filter.clone();
    let filter = EventFilter { trackers: args.tracker.clone(), containers: args.container.clone() };
    let begun = Instant::now();
    let (mut output, mut number, mut written) = (output, 0_u64, Ok(()));
    let played = recording.play(Forwarded { container_filter, filter: Some(filter), rules: None }, |effects| {
        number += effects.events.len() as u64;
        written = effects.events.iter().try_for_each(|event| output.write(event));
        written.is_ok()
    });
    summarize(&played, begun, &format!(", {number} of them written"));
    let damage = damage(args, &played);
    written.and_then(|()| output.close())?;
    damage
}

/// All chosen trackers as one, for the columns that their events have together.
fn columns(trackers: &[TrackerSchema], chosen: &[String]) -> TrackerSchema {
    let chosen = trackers.iter().filter(|t| chosen.is_empty() || chosen.iter().any(|c| **c == *t.name));
    TrackerSchema {
        name: "".into(),
        summary: String::new(),
        default: false,
        role: None,
        events: chosen.flat_map(|t| t.events.iter().cloned()).collect(),
        params: Vec::new(),
    }
}

/// What became of it, and whether anything is missing.
fn summarize<C>(played: &Played<C>, begun: Instant, result: &str) {
    let recorded = played.span_ns.1.saturating_sub(played.span_ns.0) as f64 / 1e9;
    let took = begun.elapsed().as_secs_f64();
    eprintln!("replayed {} events of {recorded:.1} s in {took:.1} s{result}", played.events);
    if played.missing != (0, 0) {
        let (events, notes) = played.missing;
        eprintln!("missing: {events} events and {notes} notes that the recorder's disk was too slow for");
    }
    let lost: BTreeMap<&str, u64> = played
        .account
        .iter()
        .map(|a| (&*a.tracker, a.dropped.values().flat_map(BTreeMap::values).sum()))
        .filter(|(_, n)| *n > 0)
        .collect();
    for (tracker, n) in lost {
        eprintln!("missing: {n} events of {} that were lost before they could be recorded", render::escape(tracker));
    }
}

fn damage<C>(args: &ReplayArgs, played: &Played<C>) -> anyhow::Result<()> {
    match &played.damage {
        None => Ok(()),
        Some(damage) => Err(anyhow::anyhow!("{} is {damage}", args.file.display())),
    }
}
