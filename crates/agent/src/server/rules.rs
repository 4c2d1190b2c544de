//! The rules in force: loaded at the start, and again whenever their files change or on request.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::Arc,
    time::Duration,
};

use ethogram_detect::{
    Decision,
    rules::{Cost, File, Level, Loaded, Problem, RuleInfo, RuleSet, RuleState},
};
use ethogram_engine::Input;
use ethogram_model::{TrackerSchema, render};
use ethogram_probe::{Collector, ProgramState, ProgramStatus, Start, Subscription, TrackerState};
use parking_lot::Mutex;
use tokio::signal::unix::{SignalKind, signal};

use super::{
    ServerControl,
    subscriptions::{self, Events, Subscriptions},
};
use crate::{
    api::{RuleProblem, RuleStatus, RulesStatus},
    config::Config,
    refusal::Refusal,
    response::Response,
    rules::{Mark, Origin, RuleFiles, tested},
};

/// How often rule files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// What is loaded.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) set: Arc<RuleSet>,
    pub(super) files: Arc<[File]>,
    /// What is wrong with the files as they are now.
    pub(super) problems: Vec<Problem>,
    /// Whether the files as they are now are not those in force, since one of them has an error.
    pub(super) is_outdated: bool,
    marks: Option<Vec<Mark>>,
}

/// Loads rules and puts them in force.
pub(super) struct RuleKeeper {
    pub(super) book: Mutex<Book>,
    origin: Origin,
    trackers: Vec<Arc<TrackerSchema>>,
    server: ServerParts,
    started: StartedByRules,
    /// One reload at a time.
    turn: tokio::sync::Mutex<()>,
}

/// The parts of the server that rules in force have to do with.
pub(super) struct ServerParts {
    pub(super) control: ServerControl,
    pub(super) collector: Arc<Collector>,
    pub(super) subscriptions: Arc<Subscriptions>,
    pub(super) response: Arc<Response>,
}

/// Which trackers may be started because rules wait for them, and how.
pub(super) struct StartedByRules {
    /// Those that the configuration names, where it names some: no others.
    only: Option<BTreeSet<String>>,
    filters_containers: bool,
}

impl StartedByRules {
    pub(super) fn configured(config: &Config) -> Self {
        let only = config.trackers.enabled.as_ref().map(|names| names.iter().cloned().collect());
        Self { only, filters_containers: !config.collection.host }
    }

    fn allows(&self, tracker: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(tracker))
    }
}

/// The rules that are configured, without the files that have an error.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn load(origin: &Origin, trackers: &[Arc<TrackerSchema>]) -> anyhow::Result<Book> {
    let RuleFiles { mut files, marks } = origin.read()?;
    let Loaded { set, problems, .. } = RuleSet::load_what_is_right(&files, trackers);
    let wrong: BTreeSet<_> = problems.iter().filter(|p| p.level == Level::Error).map(|p| Arc::clone(&p.file)).collect();
    files.retain(|f| !wrong.contains(&f.name));
    warn(&problems);
    for file in &wrong {
        tracing::error!("the rules in {} are not in force: see above", render::escape(file));
    }
    let is_outdated = !wrong.is_empty();
    Ok(Book { set: Arc::new(set), files: files.into(), problems, is_outdated, marks: Some(marks) })
}

fn warn(problems: &[Problem]) {
    for problem in problems.iter().filter(|p| p.level == Level::Error) {
        tracing::error!("{}", render::escape(&problem.to_string()));
    }
}

impl RuleKeeper {
    pub(super) fn new(
        book: Book,
        origin: Origin,
        trackers: Vec<Arc<TrackerSchema>>,
        server: ServerParts,
        started: StartedByRules,
    ) -> Arc<Self> {
        let turn = tokio::sync::Mutex::default();
        let book = Mutex::new(book);
        Arc::new(Self { book, origin, trackers, server, started, turn })
    }

    pub(super) fn with_book<T>(&self, look: impl FnOnce(&mut Book) -> T) -> T {
        look(&mut self.book.lock())
    }

    /// Reads, checks and compiles the files aside, and puts them in force at once. Where one has an error, those in force
    /// stay.
    ///
    /// # Errors
    /// What is wrong with the files.
    pub(super) async fn reload(self: &Arc<Self>) -> Result<(), Refusal> {
        let _turn = self.turn.lock().await;
        let this = Arc::clone(self);
        let loaded = tokio::task::spawn_blocking(move || this.load_aside()).await.map_err(|_| Refusal::Gone)??;
        let (set, files) = loaded;
        let this = Arc::clone(self);
        let wanted = set.wanted_events();
        // Whatever the new rules wait for is collected before they are in force, and what only the old ones did until then.
        let both = this.with_book(|book| union(book.set.wanted_events(), &wanted));
        let prepare = Arc::clone(self);
        tokio::task::spawn_blocking(move || prepare.want(&both)).await.map_err(|_| Refusal::Gone)?;
        let decision = Decision::Rules(Arc::clone(&set), Arc::clone(&files));
        self.server.control.feed(Input::Decision(decision)).await.map_err(|_| Refusal::Gone)?;
        self.with_book(|book| (book.set, book.files) = (Arc::clone(&set), files));
        let rules = Arc::clone(&set);
        let publish = move || {
            this.server.response.follow(&rules);
            this.server.subscriptions.set_rules(&wanted);
        };
        tokio::task::spawn_blocking(publish).await.map_err(|_| Refusal::Gone)?;
        tracing::info!("{} rules are in force", set.len());
        Ok(())
    }

    #[allow(clippy::type_complexity)]
    fn load_aside(&self) -> Result<(Arc<RuleSet>, Arc<[File]>), Refusal> {
        let RuleFiles { files, marks } = match self.origin.read() {
            Ok(read) => read,
            Err(error) => {
                self.with_book(|book| (book.is_outdated, book.marks) = (true, self.origin.marks()));
                tracing::error!("{error}; the rules in force stay");
                return Err(Refusal::Invalid(error.to_string()));
            }
        };
        let loaded = RuleSet::load(&files, &self.trackers);
        let has_errors = loaded.has_errors();
        self.with_book(|book| {
            (book.problems, book.is_outdated) = (loaded.problems.clone(), has_errors);
            book.marks = Some(marks);
        });
        if has_errors {
            warn(&loaded.problems);
            tracing::error!("the rules in force stay: a file has an error, see above");
            let errors = loaded.problems.iter().filter(|p| p.level == Level::Error);
            let listed: Vec<_> = errors.take(20).map(ToString::to_string).collect();
            return Err(Refusal::Invalid(format!("the rules in force stay: {}", listed.join("; "))));
        }
        Ok((Arc::new(loaded.set), files.into()))
    }

    /// Has the trackers running that rules wait for.
    fn want(&self, wanted: &BTreeMap<String, Events>) {
        let started: BTreeSet<String> = self
            .server
            .collector
            .status()
            .iter()
            .filter(|s| !matches!(s.state, TrackerState::Stopped))
            .map(|s| s.schema.name.to_string())
            .collect();
        for (name, events) in wanted.iter().filter(|(name, _)| !started.contains(*name)) {
            if !self.started.allows(name) {
                continue;
            }
            let params = self.server.collector.object(name).map(|o| o.server_params().clone()).unwrap_or_default();
            let subscription = Subscription::Only(events.clone());
            let start =
                Start { params, filters_containers: self.started.filters_containers, subscription, ..Start::default() };
            match self.server.collector.start(name, start) {
                Ok(_) => self.server.subscriptions.add(name),
                Err(error) => tracing::warn!("rules wait for the tracker '{name}': {error}"),
            }
        }
        self.server.subscriptions.set_rules(wanted);
    }

    /// Reloads whenever the files change, or SIGHUP comes.
    pub(super) async fn watch(self: Arc<Self>) {
        let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
        // A change counts once it has lasted from one look to the next: a file may be half written.
        let mut changed: Option<Option<Vec<Mark>>> = None;
        loop {
            tokio::select! {
                _ = hangup.recv() => {
                    // What is wrong was logged.
                    _ = self.reload().await;
                    continue;
                }
                () = tokio::time::sleep(LOOK) => {}
            }
            let this = Arc::clone(&self);
            let Ok(now) = tokio::task::spawn_blocking(move || this.origin.marks()).await else { return };
            if self.with_book(|book| book.marks == now) {
                changed = None;
            } else if changed.as_ref() == Some(&now) {
                changed = None;
                _ = self.reload().await;
            } else {
                changed = Some(now);
            }
        }
    }

    /// Why a rule that waits for these events cannot fire: none of their trackers runs here.
    fn why_silent(&self, events: &[String]) -> Option<String> {
        let status = self.server.collector.status();
        let mut reasons = BTreeSet::new();
        for event in events {
            let tracker = event.split('.').next().unwrap_or_default();
            let Some(status) = status.iter().find(|s| *s.schema.name == *tracker) else { continue };
            let attached = |p: &ProgramStatus| p.state == ProgramState::Attached;
            let withheld = status.programs.iter().find_map(|p| match &p.state {
                ProgramState::Withheld(reason) => Some(reason),
                _ => None,
            });
            match &status.state {
                TrackerState::Running | TrackerState::Idle
                    if withheld.is_some() && !status.programs.iter().any(attached) =>
                {
                    let cost = withheld.map_or("", String::as_str);
                    reasons.insert(format!(
                        "on this kernel {cost}: put the tracker '{tracker}' into `[trackers] high_overhead` to have it all the same"
                    ))
                }
                TrackerState::Running | TrackerState::Idle | TrackerState::Paused => return None,
                TrackerState::Stopped => reasons.insert(format!("the tracker '{tracker}' is not started")),
                TrackerState::Refused(why) => {
                    reasons.insert(format!("this kernel refuses the tracker '{tracker}': {why}"))
                }
            };
        }
        (!reasons.is_empty()).then(|| reasons.into_iter().collect::<Vec<_>>().join("; "))
    }

    /// All rules, whether they can fire here, and what they have cost.
    pub(super) fn status(&self, costs: Vec<Cost>) -> RulesStatus {
        let (set, outdated) = self.with_book(|book| (Arc::clone(&book.set), book.is_outdated));
        let mut costs: BTreeMap<Arc<str>, Cost> = costs.into_iter().map(|c| (Arc::clone(&c.rule), c)).collect();
        let to_api = |rule: RuleInfo| {
            let cost = costs.remove(&rule.name).unwrap_or_default();
            let (state, reason) = match rule.state {
                RuleState::Armed => match self.why_silent(&rule.events) {
                    Some(why) => ("cannot_fire", Some(why)),
                    None => ("armed", None),
                },
                RuleState::Disabled => ("disabled", None),
                RuleState::CannotFire(why) => ("cannot_fire", Some(why)),
            };
            RuleStatus {
                name: rule.name.to_string(),
                desc: rule.desc,
                priority: rule.priority.name().into(),
                tags: rule.tags,
                file: rule.file.to_string(),
                line: rule.line,
                state: state.into(),
                reason,
                events: rule.events,
                tested: cost.tested,
                matched: cost.matched,
                test_ns: cost.test_ns,
            }
        };
        let rules = set.rules().into_iter().map(to_api).collect();
        RulesStatus { rules, problems: self.problems(), outdated, tested: tested(&set) }
    }

    fn problems(&self) -> Vec<RuleProblem> {
        self.with_book(|book| book.problems.iter().map(RuleProblem::from).collect())
    }
}

fn union(mut all: BTreeMap<String, Events>, more: &BTreeMap<String, Events>) -> BTreeMap<String, Events> {
    for (tracker, events) in more {
        match all.entry(tracker.clone()) {
            Entry::Vacant(entry) => _ = entry.insert(events.clone()),
            Entry::Occupied(entry) => subscriptions::add(entry.into_mut(), events),
        }
    }
    all
}
