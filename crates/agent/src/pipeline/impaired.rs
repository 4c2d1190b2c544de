//! Notices what impairs the agent: events that were lost, tables that are full, runtimes that do not answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use ethogram_detect::{Fault, Impairment};
use ethogram_engine::{
    Consumer, Engine, Input,
    concerned::{Concerned, Named},
    share::Share,
};
use ethogram_model::schema::Role;
use ethogram_probe::{ChangedTable, Collector, TrackerStatus};

use super::{Control, apply::Outlet, live::now_ns, periodic};
use crate::container::{hierarchy::Hierarchy, runtime::Runtimes};

/// How often it is looked for.
const EVERY: Duration = Duration::from_secs(5);
/// How long after a loss it is asked whose it was: what came through may lie in the rings still, as after a stop of the agent.
const READ_BY_THEN: Duration = Duration::from_secs(2);
/// Every how many rounds it is also asked how often no program ran.
const MISSED: u64 = 6;
/// Rounds in a row in which a runtime has to be away. One that is restarted is back sooner.
const AWAY_ROUNDS: u32 = 3;
/// Containers that one finding names.
const MAX_NAMED: usize = 8;

/// Counts by what they are of.
type Counts<K> = BTreeMap<K, u64>;

/// What was counted since the time before, where it is something.
fn grown<K: Ord + Clone>(before: &Counts<K>, now: &Counts<K>) -> Vec<(K, u64)> {
    let since = |(key, n): (&K, &u64)| Some((key.clone(), n.checked_sub(before.get(key).copied().unwrap_or(0))?));
    now.iter().filter_map(since).filter(|(_, n)| *n > 0).collect()
}

/// Why events of a tracker were lost, as it counts them: tracker, stage, reason.
fn losses(status: &[TrackerStatus]) -> Counts<(String, String, String)> {
    let of = |s: &TrackerStatus| {
        let name = s.schema.name.to_string();
        let lost = s.counters.dropped.clone();
        lost.into_iter().map(move |((stage, reason), n)| ((name.clone(), stage, reason), n))
    };
    status.iter().flat_map(of).collect()
}

/// Whether processes are known by what this tracker reports.
fn keeps_lineages(status: &[TrackerStatus], tracker: &str) -> bool {
    status.iter().any(|s| *s.schema.name == *tracker && s.schema.role == Some(Role::Lineage))
}

/// The names, most first.
fn names(mut named: Named) -> Vec<String> {
    named.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
    named.into_iter().map(|(name, _)| name).take(MAX_NAMED).collect()
}

/// Which events the kernel side had to drop is not known, but of whom most of those were that came through.
fn loss(
    (tracker, stage, reason): (String, String, String),
    count: u64,
    senders: &Named,
    span: (u64, u64),
) -> Impairment {
    let of = |(name, percent): &(String, u64)| format!("{percent} % of what came through was of {name}");
    let most: Vec<String> = senders.iter().map(of).collect();
    let most = if most.is_empty() { String::new() } else { format!("; {}", most.join(", ")) };
    let what = match (&*stage, &*reason) {
        ("hook", "missed") => format!("missed calls that {tracker} would have seen: its programs could not run"),
        _ => format!("lost events of {tracker} ({stage}: {reason})"),
    };
    Impairment {
        fault: Fault::Overwhelmed,
        cause: format!("{tracker}: {stage} {reason}"),
        what,
        unjudged: format!("what {tracker} would have reported, in any container{most}"),
        concerned: senders.iter().map(|(name, _)| name.clone()).collect(),
        loses_events: true,
        count,
        from_ns: span.0,
        until_ns: span.1,
    }
}

/// What the engine could not take up, as it counts it.
fn refused(counter: &str, count: u64, of: &Concerned, span: (u64, u64)) -> Option<Impairment> {
    let (fault, what, unjudged, concerned) = match counter {
        "processes_refused" => {
            (Fault::Overwhelmed, "had no room for processes", "who started what they do", &of.processes)
        }
        "events_nameless" => (
            Fault::Blinded,
            "judged events of containers that no runtime had named in time",
            "whether their workload usually does it: they were judged by rules alone",
            &of.nameless,
        ),
        _ => return None,
    };
    let (from_ns, until_ns) = span;
    Some(Impairment {
        fault,
        cause: counter.into(),
        what: what.into(),
        unjudged: unjudged.into(),
        concerned: names(concerned.clone()),
        loses_events: false,
        count,
        from_ns,
        until_ns,
    })
}

/// Who had more cgroups than there is room for.
fn crowded(share: &Share, name: &str, count: u64, span: (u64, u64)) -> Impairment {
    Impairment {
        fault: Fault::Overwhelmed,
        cause: format!("cgroups of {share}"),
        what: format!("had no room for cgroups: {name} has the most"),
        unjudged: format!(
            "of {name}, what runs in the last ones: by rules alone, as in unknown containers, and who else comes after"
        ),
        concerned: vec![name.into()],
        loses_events: false,
        count,
        from_ns: span.0,
        until_ns: span.1,
    }
}

/// Runtimes that were there and are not, with for how many rounds.
#[derive(Default)]
struct Away {
    known: BTreeSet<String>,
    rounds: BTreeMap<String, u32>,
}

impl Away {
    /// Those that are away for long enough, given those that are there and answer.
    fn round(&mut self, answering: &BTreeSet<String>) -> Vec<String> {
        self.known.extend(answering.iter().cloned());
        self.rounds.retain(|runtime, _| !answering.contains(runtime));
        let missing: Vec<_> = self.known.difference(answering).cloned().collect();
        for runtime in &missing {
            *self.rounds.entry(runtime.clone()).or_default() += 1;
        }
        missing.into_iter().filter(|runtime| self.rounds.get(runtime).is_some_and(|n| *n >= AWAY_ROUNDS)).collect()
    }
}

fn away(runtime: &str, nameless: Vec<String>, span: (u64, u64)) -> Impairment {
    Impairment {
        fault: Fault::Blinded,
        cause: format!("runtime {runtime}"),
        what: format!("cannot reach {runtime}"),
        unjudged: "what containers do that it has started since: they have no names and images".into(),
        concerned: nameless,
        loses_events: false,
        count: 0,
        from_ns: span.0,
        until_ns: span.1,
    }
}

fn written_by_another(
    changed: &ChangedTable,
    (containers, is_all): (BTreeSet<String>, bool),
    span: (u64, u64),
) -> Impairment {
    let table = changed.name;
    let unjudged = match (containers.len(), is_all) {
        (0, _) => "what the kernel side left out meanwhile, in any container",
        (1..=MAX_NAMED, true) => "what the kernel side left out of them meanwhile",
        _ => "what the kernel side left out meanwhile, of them and of others",
    };
    Impairment {
        fault: Fault::Tampered,
        cause: format!("table {table}"),
        what: format!(
            "found entries of its table {table} in the kernel changed by another program, and wrote them back"
        ),
        unjudged: unjudged.into(),
        concerned: containers.into_iter().take(MAX_NAMED).collect(),
        loses_events: true,
        count: changed.entries,
        from_ns: span.0,
        until_ns: span.1,
    }
}

/// The containers whose events a table that was changed is about, and whether it is about nothing else.
fn whose<C: Consumer>(engine: &Engine<C>, changed: &ChangedTable) -> (BTreeSet<String>, bool) {
    let names = || changed.cgroups.iter().map(|cgroup| engine.identity.container_name(*cgroup));
    (names().flatten().collect(), names().all(|name| name.is_some()))
}

/// Containers that no runtime has named: the runtime, and what else they are called.
fn nameless<C: Consumer>(engine: &Engine<C>) -> BTreeSet<(String, String)> {
    let nameless = engine.containers().filter(|container| !container.is_resolved());
    nameless.map(|c| (c.runtime.clone(), c.short_id().to_owned())).collect()
}

/// Looks for impairments from time to time, for as long as the engine takes them.
pub(super) async fn watch<C: Consumer, O: Outlet>(
    collector: Arc<Collector>,
    runtimes: Arc<Runtimes>,
    hierarchy: Hierarchy,
    control: Control<C, O>,
) {
    let (mut lost, mut counted) = (Counts::new(), Counts::new());
    let mut dropped = 0;
    let mut runtimes_away = Away::default();
    let mut from_ns = now_ns();
    for round in 0_u64.. {
        tokio::time::sleep(EVERY).await;
        let asked = Arc::clone(&collector);
        let dropped_before = dropped;
        let read = tokio::task::spawn_blocking(move || {
            let dropped = asked.dropped(|_| true);
            // To ask for all costs a system call a program.
            let is_due = dropped != dropped_before || round % MISSED == 0;
            (dropped, is_due.then(|| asked.status()), asked.restore_tables().unwrap_or_default())
        });
        let Ok((dropped_now, status, changed)) = read.await else { return };
        dropped = dropped_now;
        if dropped != dropped_before {
            tokio::time::sleep(READ_BY_THEN).await;
        }
        let asked = control.ask(move |engine: &mut Engine<C>| {
            let all = changed.into_iter().map(|table| (whose(engine, &table), table)).collect::<Vec<_>>();
            (engine.identity.counters(), engine.take_concerned(), all)
        });
        let Ok((counters, concerned, changed)) = asked.await else { return };
        let span = (from_ns, now_ns());
        from_ns = span.1;
        let mut found: Vec<_> =
            changed.into_iter().map(|(whose, table)| written_by_another(&table, whose, span)).collect();
        if let Some(status) = status {
            let now = losses(&status);
            let new = grown(&lost, &now);
            lost = now;
            if new.iter().any(|((tracker, ..), _)| keeps_lineages(&status, tracker)) {
                // Processes whose forks were lost are those of procfs that are not known.
                let hierarchy = hierarchy.clone();
                let walked = tokio::task::spawn_blocking(move || periodic::found(&hierarchy)).await;
                let processes = Input::rows(walked.unwrap_or_default(), Input::Processes);
                if control.feed_all(processes).await.is_err() {
                    return;
                }
            }
            let none = Named::new();
            let of = |tracker: &str| concerned.senders.get(tracker).unwrap_or(&none);
            found.extend(new.into_iter().map(|(key, n)| {
                let senders = of(&key.0);
                loss(key, n, senders, span)
            }));
        }
        let now: Counts<&'static str> = counters.into_iter().collect();
        found
            .extend(grown(&counted, &now).into_iter().filter_map(|(counter, n)| refused(counter, n, &concerned, span)));
        counted = now;
        found.extend(concerned.cgroups.iter().map(|(share, (name, n))| crowded(share, name, *n, span)));
        if runtimes.are_failing() {
            // Where no container begins, it would not be asked again, and not be found back.
            _ = runtimes.list().await;
        }
        let missing = runtimes_away.round(&runtimes.answering());
        if !missing.is_empty() {
            let Ok(nameless) = control.ask(|engine: &mut Engine<C>| nameless(engine)).await else { return };
            found.extend(missing.iter().map(|runtime| {
                let of_it = nameless.iter().filter(|(of, _)| of == runtime).map(|(_, name)| name.clone());
                away(runtime, of_it.take(MAX_NAMED).collect(), span)
            }));
        }
        if control.feed_all(found.into_iter().map(Input::Impaired)).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ethogram_engine::{Forwarded, identity::Identity};

    use super::*;

    #[test]
    fn only_what_was_counted_since_is_new() {
        let before = Counts::from([("a", 3), ("b", 1)]);
        assert_eq!(grown(&before, &before), []);
        assert_eq!(grown(&before, &Counts::from([("a", 5), ("b", 1), ("c", 2)])), [("a", 2), ("c", 2)]);
        assert_eq!(grown(&before, &Counts::from([("a", 0)])), [], "one that was started anew");
    }

    #[test]
    fn who_has_too_many_cgroups_is_named() {
        let engine = Engine::new(Identity::new([]), Forwarded::default(), None);
        let found = |share: Share| crowded(&share, &engine.identity.name(&share), 7, (1, 2));
        let user = found(Share::User(1000));
        assert!(user.what.contains("the user 1000") && user.cause.contains("1000"), "{user:?}");
        assert_eq!(user.concerned, ["the user 1000"]);
        let below = found(Share::Below("/t\u{1b}".into()));
        assert!(below.what.contains("/t") && !below.what.contains('\u{1b}'), "{below:?}");
    }

    #[test]
    fn a_loss_says_of_whom_most_was_that_came_through_where_that_is_known() {
        let key = || ("open".to_owned(), "ring".to_owned(), "full".to_owned());
        let found = loss(key(), 7, &vec![("web (nginx:1)".into(), 93)], (1, 2));
        assert_eq!(found.concerned, ["web (nginx:1)"]);
        assert!(
            found.unjudged.ends_with("in any container; 93 % of what came through was of web (nginx:1)"),
            "{found:?}"
        );
        let of_many = loss(key(), 7, &Vec::new(), (1, 2));
        assert!(of_many.concerned.is_empty() && of_many.unjudged.ends_with("in any container"), "{of_many:?}");
        assert_eq!(found.cause, of_many.cause);
    }

    #[test]
    fn what_was_refused_names_whose_it_was() {
        let many = (0..100).map(|n| (format!("c{n}"), n)).collect();
        let of =
            Concerned { processes: vec![("a".into(), 1), ("b".into(), 5)], nameless: many, ..Concerned::default() };
        assert_eq!(refused("processes_refused", 6, &of, (1, 2)).unwrap().concerned, ["b", "a"]);
        let nameless = refused("events_nameless", 6, &of, (1, 2)).unwrap().concerned;
        assert_eq!((nameless.len(), &*nameless[0]), (MAX_NAMED, "c99"), "those with most");
        assert!(refused("containers_seen", 6, &of, (1, 2)).is_none());
    }

    #[test]
    fn a_table_that_another_wrote_names_the_containers_that_it_is_about() {
        let mut engine = Engine::new(Identity::new([]), Forwarded::default(), None);
        let id = "0123456789abcdef".repeat(4);
        engine.step(Input::Cgroups(vec![
            (42, format!("/docker/{id}")),
            (43, format!("/docker/{id}/a")),
            (7, "/b".into()),
        ]));
        engine.step(Input::Walk { cut: false, started_ns: 1, now_ns: 1 });
        let found = |cgroups: &[u64]| {
            let changed = ChangedTable { name: "container_filter", entries: 2, cgroups: cgroups.into() };
            written_by_another(&changed, whose(&engine, &changed), (1, 2))
        };
        let of_one = found(&[42, 43]);
        assert_eq!((&of_one.concerned[..], of_one.count), (&["0123456789ab".to_owned()][..], 2));
        assert!(of_one.unjudged.ends_with("of them meanwhile"), "{of_one:?}");
        let of_others = found(&[42, 7]);
        assert!(of_others.concerned.len() == 1 && of_others.unjudged.ends_with("and of others"), "{of_others:?}");
        for of_none in [found(&[7]), found(&[])] {
            assert!(of_none.concerned.is_empty() && of_none.unjudged.ends_with("in any container"), "{of_none:?}");
        }
    }

    #[test]
    fn a_runtime_is_away_where_it_was_there_before_and_not_for_a_moment_only() {
        let mut away = Away::default();
        let (none, docker) = (BTreeSet::new(), BTreeSet::from(["docker".to_owned()]));
        assert_eq!((0..9).flat_map(|_| away.round(&none)).count(), 0, "it never was there");
        away.round(&docker);
        assert_eq!((0..AWAY_ROUNDS - 1).flat_map(|_| away.round(&none)).count(), 0);
        away.round(&docker);
        let all: Vec<_> = (0..AWAY_ROUNDS).flat_map(|_| away.round(&none)).collect();
        assert_eq!(all, ["docker"]);
    }
}
