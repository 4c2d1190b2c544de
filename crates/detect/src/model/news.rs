//! Judges what a profile does not hold: it is learnt, raised, or neither.

use std::sync::Arc;

use ethogram_model::{Event, Finding, ObjectKind, Severity};

use super::{Model, habits::Usual, sessions::Session};
use crate::{
    Candidate, Profile,
    channels::behaviour::{
        Behaviour, BehaviourChannel, Dedup, Fit, Raise, Reader,
        assessment::Assessment,
        bulk,
        finding::{self, Known, USUAL},
        peers, places, purpose,
        score::Scored,
    },
    learning::Seen,
    subject::{
        program::{OUTSIDE, label},
        system_program,
    },
    uid,
    update::OTHERS,
};

/// A new behaviour, and all that it is judged by.
struct News<'b, 'e> {
    behaviour: &'b Behaviour<'e>,
    event: &'b Event,
    assessment: Assessment,
    scored: Scored,
    /// By which user, and below which program.
    by: String,
    /// What it is part of, where people or scripts started it in the container.
    session: Option<Session>,
    /// Its process has an open alert.
    is_suspect: bool,
    /// It is one new peer after another.
    is_sweep: bool,
    /// It is one more file of a folder in which its program keeps files of its own.
    is_own_data: bool,
    /// It says how much is new of normal behaviour.
    is_tested: bool,
    /// The profile learns what is new.
    learns: bool,
    /// It is learnt as an earlier version of the agent did not look at such code: it is not new to the workload.
    is_overlooked: bool,
}

/// What becomes of it.
enum Judgement {
    /// It was raised before, and goes on.
    Repeated,
    /// It is learnt.
    Learnt,
    /// It would be learnt, if its process had no open alert.
    Withheld,
    /// A person has said that it is normal.
    Accepted,
    /// It surprises too little for an alert.
    Unsurprising,
    /// It is part of a session of which this was raised.
    PartOf(Usual),
    /// It is raised.
    Raised,
}

impl News<'_, '_> {
    fn is_severe(&self) -> bool {
        self.assessment.severity >= Severity::High
    }

    /// The session, where a person types into it: what comes of it is one alert.
    fn interactive(&self) -> Option<&Session> {
        self.session.as_ref().filter(|session| session.is_interactive)
    }
}

impl Model {
    /// A behaviour that the profile does not hold.
    pub(super) fn judge_new(
        &mut self,
        uid: &Arc<str>,
        behaviour: &Behaviour<'_>,
        event: &Event,
        accepted: &mut impl FnMut(&Candidate<'_>) -> bool,
    ) -> Option<Finding> {
        let news = self.weigh(uid, behaviour, event)?;
        self.count_new(uid, &news);
        let judgement = self.decide_new(uid, &news, accepted)?;
        self.settle_new(uid, news, judgement, accepted)
    }

    /// How severe it is, how surprising, and whether it is the time to learn it.
    fn weigh<'b, 'e>(&self, uid: &Arc<str>, behaviour: &'b Behaviour<'e>, event: &'b Event) -> Option<News<'b, 'e>> {
        let profile = &self.profiles.get(uid)?.profile;
        let channel = &profile.channels.behaviour;
        let session = self.session_of(event);
        let mut assessment = Assessment::of(behaviour, event);
        // What starts the container runs programs and sets things up; that it did not until now says that no start was seen.
        let is_of_start = profile.lifecycle.is_starting() && session.is_none() && self.is_below_init(event);
        let is_run_by_start = is_of_start && behaviour.kind == ObjectKind::Executable;
        if session.is_some() && sets_up(behaviour, event) {
            assessment = assessment.of_setup_from_outside();
        }
        if purpose::reads_another_of_its_keys(channel, behaviour, event) {
            assessment = assessment.of_another_key();
        }
        if channel.is_of_main_alone(behaviour) {
            assessment = assessment.of_forked_reader();
        }
        let excuse = bulk::excuse(channel, behaviour, event, session.is_some());
        if let Some(because) = excuse {
            assessment = assessment.of_excused_bulk(because);
        }
        let first = match behaviour.bulk {
            Some(_) => bulk::first(channel, behaviour).filter(|_| excuse.is_none()),
            None => channel.first_of_kind(behaviour),
        };
        let first = first.filter(|_| session.is_none() && !is_run_by_start);
        if let Some(what) = first {
            assessment = assessment.raise_severity(what);
        }
        let is_sweep = channel.is_sweep(behaviour, event.time_ns);
        if is_sweep {
            assessment = assessment.raise_severity("it connects to one new peer after another");
        }
        // What comes with the first start says nothing of ordinary life.
        let is_tested =
            profile.lifecycle.is_tested(self.settings.learning_period_ns) && !profile.lifecycle.is_starting();
        // A score that is not used is not worth it.
        let others = if is_tested { self.ask_others(uid, behaviour) } else { (0, 0) };
        let scored = Scored::of(behaviour, channel, others, assessment.severity);
        let is_setup = places::is_setup(&behaviour.object, behaviour.sensitivity, behaviour.program())
            || purpose::reads_its_key(behaviour, event);
        let is_severe = assessment.severity >= Severity::High && !(is_of_start && is_setup);
        let is_odd = first.is_some() || is_sweep || is_severe;
        let learns = profile.lifecycle.learns(
            behaviour.is_start,
            is_odd,
            may_come_with_start(behaviour),
            self.settings.is_locked,
        );
        let is_overlooked = !learns
            && profile.lifecycle.learns_code(self.settings.is_locked)
            && was_overlooked(channel, behaviour, event);
        let is_suspect = self.quarantine.holds(event);
        let by = by(behaviour, event);
        let is_own_data = channel.is_own_data(behaviour);
        Some(News {
            behaviour,
            event,
            assessment,
            scored,
            by,
            session,
            is_suspect,
            is_sweep,
            is_own_data,
            is_tested: is_tested && !is_overlooked,
            learns: learns || is_overlooked,
            is_overlooked,
        })
    }

    /// It counts as seen, and as new where that says something of the workload.
    fn count_new(&mut self, uid: &Arc<str>, news: &News<'_, '_>) {
        let Some(held) = self.profiles.get_mut(uid) else { return };
        held.is_dirty = true;
        let lifecycle = &mut held.profile.lifecycle;
        lifecycle.count_seen(1);
        if !news.is_overlooked && (lifecycle.is_judged || news.learns && !news.is_suspect) {
            lifecycle.count_new();
        }
    }

    /// The first of these that is so.
    fn decide_new(
        &self,
        uid: &Arc<str>,
        news: &News<'_, '_>,
        accepted: &mut impl FnMut(&Candidate<'_>) -> bool,
    ) -> Option<Judgement> {
        let held = self.profiles.get(uid)?;
        let Profile { workload, lifecycle, channels, .. } = &held.profile;
        let behaviour = news.behaviour;
        let analytic = format!("behaviour.{}", behaviour.operation);
        let mut is_accepted = || {
            accepted(&Candidate {
                analytic: &analytic,
                workload: &workload.name,
                executable: behaviour.program(),
                object: &behaviour.object,
                severity: news.assessment.severity,
            })
        };
        let goes_on = channels.behaviour.goes_on(behaviour, news.event.time_ns, &news.by);
        if let Some(goes_on) = goes_on.filter(|_| lifecycle.is_judged) {
            return Some(match () {
                () if is_accepted() => Judgement::Accepted,
                () if goes_on => Judgement::Repeated,
                () => Judgement::Raised,
            });
        }
        if news.learns {
            let is_withheld = news.is_suspect && !behaviour.is_start;
            return Some(if is_withheld { Judgement::Withheld } else { Judgement::Learnt });
        }
        if is_accepted() {
            return Some(Judgement::Accepted);
        }
        let is_strict = self.settings.is_locked || lifecycle.is_approved();
        let is_unsurprising = news.is_own_data || news.scored.bits() < held.threshold;
        if !news.is_severe() && !is_strict && is_unsurprising {
            return Some(Judgement::Unsurprising);
        }
        let session = news.interactive().filter(|_| !news.is_severe());
        let first = session.and_then(|session| self.sessions.first_of(session));
        if let Some(first) = first.filter(|first| channels.behaviour.was_raised(&first.behaviour())) {
            return Some(Judgement::PartOf(first.clone()));
        }
        Some(Judgement::Raised)
    }

    fn settle_new(
        &mut self,
        uid: &Arc<str>,
        news: News<'_, '_>,
        judgement: Judgement,
        accepted: &mut impl FnMut(&Candidate<'_>) -> bool,
    ) -> Option<Finding> {
        match judgement {
            Judgement::Repeated => self.repeat(uid, news.behaviour, news.event),
            Judgement::PartOf(first) => self.repeat(uid, &first.behaviour(), news.event),
            Judgement::Accepted => {}
            Judgement::Withheld => self.counters.withheld += 1,
            Judgement::Learnt => return self.learn(uid, &news, news.is_tested && !news.behaviour.is_start, accepted),
            Judgement::Unsurprising => {
                self.counters.unsurprising += 1;
                if !news.is_suspect {
                    return self.learn(uid, &news, true, accepted);
                }
                self.counters.withheld += 1;
            }
            Judgement::Raised => return self.raise(uid, news),
        }
        None
    }

    /// It is part of the profile from now on; where it `calibrates`, its surprise is an ordinary one. That there is more than a profile
    /// holds is raised once.
    fn learn(
        &mut self,
        uid: &Arc<str>,
        news: &News<'_, '_>,
        calibrates: bool,
        accepted: &mut impl FnMut(&Candidate<'_>) -> bool,
    ) -> Option<Finding> {
        let held = self.profiles.get_mut(uid)?;
        let threshold = held.threshold;
        let Profile { workload, lifecycle, channels, .. } = &mut held.profile;
        // What is severe is raised whatever the threshold: it says nothing of how high that is to be.
        if calibrates && !news.is_severe() {
            lifecycle.calibration.note(news.scored.bits());
        }
        if calibrates && !news.is_severe() && news.scored.bits() >= threshold {
            let known = Known { workload: uid, image: &workload.image, learnt_ns: 0, usual: Vec::new() };
            let score = news.scored.to_score(threshold);
            let of = uid::of([&**uid, news.behaviour.operation, &news.behaviour.executable, &news.behaviour.object]);
            let (assessment, object) = (news.assessment.clone(), news.behaviour.object.to_string());
            let ordinary = finding::make(news.behaviour, assessment, score, news.event, known, of, object);
            self.ordinary.push((Arc::clone(uid), ordinary));
        }
        let container = news.event.context.container.as_ref().map_or(0, |c| c.cgroup_id);
        let seen = Seen::shown(news.event.time_ns, container);
        let fit = channels.behaviour.learn(news.behaviour, seen, lifecycle.window(), &self.settings);
        self.counters.learnt += u64::from(fit == Fit::Held);
        self.counters.overflowed += u64::from(fit != Fit::Held);
        if fit != (Fit::Sketched { is_first: true }) {
            return None;
        }
        let operation = news.behaviour.operation;
        let known = Known {
            workload: &workload.name,
            image: &workload.image,
            learnt_ns: lifecycle.all_learnt_ns(),
            usual: Vec::new(),
        };
        let finding =
            finding::too_restless(operation, news.event, known, uid::of([&*workload.uid, "restless", operation]));
        let found = Candidate {
            analytic: &finding.analytic,
            workload: &finding.workload,
            executable: &finding.executable,
            object: &finding.object,
            severity: finding.severity,
        };
        (!accepted(&found)).then(|| {
            self.counters.findings += 1;
            finding
        })
    }

    /// What was raised goes on.
    fn repeat(&mut self, uid: &Arc<str>, behaviour: &Behaviour<'_>, event: &Event) {
        let channel = self.profiles.get_mut(uid).map(|held| &mut held.profile.channels.behaviour);
        if let Some(again) = channel.and_then(|channel| channel.raise_again(behaviour, event.time_ns)) {
            self.go_on(again, event);
        }
    }

    fn raise(&mut self, uid: &Arc<str>, news: News<'_, '_>) -> Option<Finding> {
        let is_severe = news.is_severe();
        let held = self.profiles.get_mut(uid)?;
        let threshold = held.threshold;
        let Profile { workload, lifecycle, channels, .. } = &mut held.profile;
        let channel: &mut BehaviourChannel = &mut channels.behaviour;
        // One alert for all that a sweep finds.
        let many = Behaviour { object: OTHERS.into(), ..news.behaviour.clone() };
        let behaviour = if news.is_sweep { &many } else { news.behaviour };
        let raise = Raise { workload: &workload.uid, time_ns: news.event.time_ns, is_severe, by: &news.by };
        let dedup = channel.raise(behaviour, raise, &self.settings);
        let Dedup::New { uid: finding, executable, object } = dedup else {
            self.counters.untold += 1;
            self.go_on(dedup, news.event);
            return None;
        };
        let behaviour = &Behaviour { executable: executable.into(), ..behaviour.clone() };
        self.counters.findings += 1;
        if let Some(session) = news.interactive() {
            self.sessions.raise(session.clone(), Usual::of(behaviour.clone()));
        }
        let known = Known {
            workload: &workload.name,
            image: &workload.image,
            learnt_ns: lifecycle.all_learnt_ns(),
            usual: channel.usual(behaviour, USUAL),
        };
        let score = news.scored.to_score(threshold);
        Some(finding::make(behaviour, news.assessment, score, news.event, known, finding, object))
    }

    /// Whether a program of the image is, or runs below, what the container was started with.
    fn is_below_init(&self, event: &Event) -> bool {
        let (Some(process), Some(container)) = (&event.context.process, &event.context.container) else { return false };
        let exec = &process.exec;
        let is_brought = exec.in_writable_layer || exec.in_memory || exec.is_unlinked || exec.is_on_writable_mount;
        let init = self.inits.get(&container.cgroup_id).copied();
        let mut chain = process.replaced.iter().chain([exec]).chain(&process.ancestors);
        !is_brought && chain.any(|by| by.is_entrypoint || init == Some(by.pid))
    }

    /// The session that an event belongs to.
    fn session_of(&self, event: &Event) -> Option<Session> {
        let container = event.context.container.as_ref()?;
        Session::of(event, container, self.inits.get(&container.cgroup_id).copied())
    }

    /// In how many of how many other workloads that are known the same is done to the same object.
    fn ask_others(&self, uid: &Arc<str>, behaviour: &Behaviour<'_>) -> (u64, u64) {
        let asked = self.asked.iter().filter(|other| *other != uid).filter_map(|other| self.profiles.get(other));
        asked.fold((0, 0), |(shown_by, others), held| {
            (shown_by + u64::from(held.profile.channels.behaviour.shows(behaviour)), others + 1)
        })
    }
}

/// Whether it is what people do to a container from outside by its own programs: they configure its service, make users, install
/// packages.
fn sets_up(behaviour: &Behaviour<'_>, event: &Event) -> bool {
    let Some(process) = event.context.process.as_deref() else { return false };
    let is_setup = places::is_setup(&behaviour.object, behaviour.sensitivity, behaviour.program());
    behaviour.kind != ObjectKind::SensitivePath
        && system_program::name(&process.exec).is_some()
        && (is_setup || purpose::installs(&process.exec))
}

/// Whether it is code that earlier versions of the agent did not look at: beside names that were given up, or moved there.
fn was_overlooked(channel: &BehaviourChannel, behaviour: &Behaviour<'_>, event: &Event) -> bool {
    let is_ordinary = behaviour.is_code() && behaviour.sensitivity.is_none();
    is_ordinary && (purpose::gives_another_name(event) || channel.was_known_among_others(behaviour))
}

/// By which user something was done, below which program, and by which of its own processes, in few characters.
fn by(behaviour: &Behaviour<'_>, event: &Event) -> String {
    let process = event.context.process.as_deref();
    let user = process.map(|process| process.user_id.to_string()).unwrap_or_default();
    let parent = process.and_then(|process| process.ancestors.first()).map(|exec| label(exec)).unwrap_or_default();
    let mut by = match behaviour.reader {
        Reader::Forked => uid::of([&*user, &*parent, "forked"]),
        Reader::Any | Reader::Main => uid::of([&*user, &*parent]),
    };
    by.truncate(16);
    by
}

/// Whether it can be part of what a start brings: what comes from outside, or goes beyond the own network, is not.
fn may_come_with_start(behaviour: &Behaviour<'_>) -> bool {
    let goes_out = behaviour.kind == ObjectKind::Peer && peers::is_public(&behaviour.object);
    behaviour.executable != OUTSIDE && !goes_out
}
