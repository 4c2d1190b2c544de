//! `ethogram replay`: a recording through the same engine again, or as another format.

use std::{collections::BTreeMap, fs::File, io::BufReader, path::Path, sync::Arc, time::Instant};

use ethogram_detect::{
    Decision, Detector, HabitChange, HabitCount, Model,
    rules::{RuleSet, Rules},
};
use ethogram_model::{Event, TrackerSchema, nearest::suggestion, ocsf, render};

use super::{ReplayArgs, ReplayFormat, args::Judge};
use crate::{
    config::Config,
    container::table::Lookup,
    failure::Usage,
    output::{Format, Lines, Output, OutputError},
    pipeline::{Consumer, Selection},
    record::{OpenError, Played, Player},
    rules::Origin,
    server,
};

type Recording = Player<BufReader<File>>;

pub(super) fn replay(args: &ReplayArgs, config: Option<&Path>) -> anyhow::Result<()> {
    let recording = open(&args.file)?;
    match args.output {
        ReplayFormat::Alerts => judge(args, config, recording),
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
    let selection = recording.conditions.selection.clone();
    let played = recording.play(Collecting { selection, most, events: Vec::new() }, |c| c.events.len() < most);
    Ok(played.consumer.events)
}

/// Keeps events.
struct Collecting {
    selection: Selection,
    most: usize,
    events: Vec<Event>,
}

impl Consumer for Collecting {
    fn wants(&mut self, lookup: &Lookup) -> Option<bool> {
        self.selection.wants(lookup)
    }

    fn take(&mut self, event: &Event) {
        if self.events.len() < self.most {
            self.events.push(event.clone());
        }
    }

    fn tick(&mut self, _: u64) {}
}

/// Learns and judges it.
fn judge(args: &ReplayArgs, config: Option<&Path>, recording: Recording) -> anyhow::Result<()> {
    if !args.tracker.is_empty() || !args.container.is_empty() {
        let why = "--tracker and --container choose events: add -o json, csv or parquet";
        return Err(Usage(why.into()).into());
    }
    let selection = recording.conditions.selection.clone();
    let config = config.map(|path| Config::load(Some(path))).transpose()?;
    let settings = match &config {
        Some(config) => config.behaviour.settings(),
        None => recording.conditions.settings(),
    };
    let model = server::model(settings, recording.profiles.iter().map(|(uid, json)| (&**uid, &**json)));
    let files = match &config {
        _ if args.only == Some(Judge::Behaviour) => Vec::new(),
        Some(config) => Origin::configured(&config.rules).read()?.files,
        None => recording.rules.clone(),
    };
    let loaded = RuleSet::load_what_is_right(&files, &recording.schemas());
    let mut detector = Detector { model, rules: Rules::new(Arc::new(loaded.set)), ..Detector::default() };
    recording.stories.iter().cloned().for_each(|(uid, count)| detector.rules.restore(uid, count));
    recording.alerts.iter().for_each(|alert| detector.model.restore_alert(alert));
    recording.accepted.iter().cloned().for_each(|acceptance| detector.accepted.restore(acceptance));
    let mut recording = recording;
    recording.follows_rules = config.is_none() && args.only != Some(Judge::Behaviour);
    let out = Lines::new(args.output_file.as_deref())?;
    let begun = Instant::now();
    let played = recording
        .play(Judging { selection, detector, only: args.only, out, alerts: 0, failed: None }, |c| c.failed.is_none());
    let judging = &played.consumer;
    tell(&played, begun, &format!(", {} alerts", judging.alerts));
    let damage = damage(args, &played);
    let Judging { mut detector, mut out, failed, .. } = played.consumer;
    failed.map_or_else(|| out.flush(), Err)?;
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
        (ReplayFormat::Json | ReplayFormat::Alerts, _) => Output::new(Format::Json, &columns, file)?,
    };
    let selection = recording.conditions.selection.clone();
    let (trackers, containers) = (args.tracker.clone(), args.container.clone());
    let begun = Instant::now();
    let converting = Converting { selection, trackers, containers, output, written: 0, failed: None };
    let played = recording.play(converting, |c| c.failed.is_none());
    tell(&played, begun, &format!(", {} of them written", played.consumer.written));
    let damage = damage(args, &played);
    let Converting { output, failed, .. } = played.consumer;
    failed.map_or_else(|| output.close(), Err)?;
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
fn tell<C>(played: &Played<C>, begun: Instant, result: &str) {
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

/// Prints what is new.
struct Judging {
    selection: Selection,
    detector: Detector,
    only: Option<Judge>,
    out: Lines,
    alerts: u64,
    failed: Option<OutputError>,
}

impl Consumer for Judging {
    fn wants(&mut self, lookup: &Lookup) -> Option<bool> {
        self.selection.wants(lookup)
    }

    fn take(&mut self, event: &Event) {
        let Detector { rules, accepted, .. } = &mut self.detector;
        let findings = match self.only {
            // Without a model there is nothing that weighs what rules find, either.
            Some(Judge::Rules) => rules.judge(event, accepted),
            _ => self.detector.judge(event),
        };
        for finding in findings {
            self.alerts += 1;
            let written = self.out.write(&ocsf::from_finding(&finding));
            self.failed = self.failed.take().or(written.err());
        }
    }

    fn count_habits(&mut self, counts: &[HabitCount]) {
        self.detector.count_habits(counts);
    }

    fn note_loss(&mut self) {
        self.detector.model.note_loss();
    }

    fn take_habit_changes(&mut self) -> Vec<HabitChange> {
        self.detector.take_habit_changes()
    }

    fn decide(&mut self, decision: Decision) {
        self.detector.decide(decision);
    }

    fn tick(&mut self, now_ns: u64) {
        self.detector.advance(now_ns);
        // Whoever asks for them goes on with alerts; here each is told once.
        drop(self.detector.take_updates());
    }
}

/// Prints the events themselves.
struct Converting {
    selection: Selection,
    /// Names of trackers, names or ids of containers; none means all.
    trackers: Vec<String>,
    containers: Vec<String>,
    output: Output,
    written: u64,
    failed: Option<OutputError>,
}

impl Consumer for Converting {
    fn wants(&mut self, lookup: &Lookup) -> Option<bool> {
        self.selection.wants(lookup)
    }

    fn take(&mut self, event: &Event) {
        let of_tracker = || self.trackers.iter().any(|t| **t == *event.schema.tracker);
        let of_container =
            || event.context.container.as_ref().is_some_and(|c| self.containers.iter().any(|w| c.answers_to(w)));
        if (self.trackers.is_empty() || of_tracker()) && (self.containers.is_empty() || of_container()) {
            self.written += 1;
            let written = self.output.write(event);
            self.failed = self.failed.take().or(written.err());
        }
    }

    fn tick(&mut self, _: u64) {}
}
