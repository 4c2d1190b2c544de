//! Notices what impairs the agent: events that were lost, tables that are full, runtimes that do not answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use ethogram_detect::{Fault, Impairment};
use ethogram_engine::{Consumer, Engine, Input, share::Share};
use ethogram_model::schema::Role;
use ethogram_probe::{Collector, TrackerStatus};

use super::{Control, apply::Outlet, live::now_ns, periodic};
use crate::container::{hierarchy::Hierarchy, runtime::Runtimes};

/// How often it is looked for.
const EVERY: Duration = Duration::from_secs(5);
/// Every how many rounds it is also asked how often no program ran.
const MISSED: u64 = 6;
/// Rounds in a row in which a runtime has to be away. One that is restarted is back sooner.
const AWAY_ROUNDS: u32 = 3;

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

fn loss((tracker, stage, reason): (String, String, String), count: u64, span: (u64, u64)) -> Impairment {
    let what = match (&*stage, &*reason) {
        ("hook", "missed") => format!("missed calls that {tracker} would have seen: its programs could not run"),
        _ => format!("lost events of {tracker} ({stage}: {reason})"),
    };
    Impairment {
        fault: Fault::Overwhelmed,
        cause: format!("{tracker}: {stage} {reason}"),
        what,
        unjudged: format!("what {tracker} would have reported, in any container"),
        loses_events: true,
        count,
        from_ns: span.0,
        until_ns: span.1,
    }
}

/// What the engine could not take up, as it counts it.
fn refused(counter: &str, count: u64, span: (u64, u64)) -> Option<Impairment> {
    let (fault, what, unjudged) = match counter {
        "processes_refused" => (Fault::Overwhelmed, "had no room for processes", "who started what they do"),
        "events_nameless" => (
            Fault::Blinded,
            "judged events of containers that no runtime had named in time",
            "whether their workload usually does it: they were judged by rules alone",
        ),
        _ => return None,
    };
    let (from_ns, until_ns) = span;
    let (what, unjudged) = (what.to_owned(), unjudged.to_owned());
    Some(Impairment { fault, cause: counter.into(), what, unjudged, loses_events: false, count, from_ns, until_ns })
}

/// Who had more cgroups than there is room for.
fn crowded(share: &Share, count: u64, span: (u64, u64)) -> Impairment {
    Impairment {
        fault: Fault::Overwhelmed,
        cause: format!("cgroups of {share}"),
        what: format!("had no room for cgroups: {share} has the most"),
        unjudged: format!(
            "of {share}, what runs in the last ones: by rules alone, as in unknown containers, and who else comes after"
        ),
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

fn away(runtime: &str, span: (u64, u64)) -> Impairment {
    Impairment {
        fault: Fault::Blinded,
        cause: format!("runtime {runtime}"),
        what: format!("cannot reach {runtime}"),
        unjudged: "what containers do that it has started since: they have no names and images".into(),
        loses_events: false,
        count: 0,
        from_ns: span.0,
        until_ns: span.1,
    }
}

fn written_by_another(table: &str, count: u64, span: (u64, u64)) -> Impairment {
    Impairment {
        fault: Fault::Tampered,
        cause: format!("table {table}"),
        what: format!(
            "found entries of its table {table} in the kernel changed by another program, and wrote them back"
        ),
        unjudged: "what the kernel side left out meanwhile, in any container".into(),
        loses_events: true,
        count,
        from_ns: span.0,
        until_ns: span.1,
    }
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
        let asked = control.ask(|engine: &mut Engine<C>| (engine.identity.counters(), engine.identity.take_crowded()));
        let Ok((counters, shares)) = asked.await else { return };
        let span = (from_ns, now_ns());
        from_ns = span.1;
        let mut found: Vec<_> = changed.iter().map(|(table, n)| written_by_another(table, *n, span)).collect();
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
            found.extend(new.into_iter().map(|(key, n)| loss(key, n, span)));
        }
        let now: Counts<&'static str> = counters.into_iter().collect();
        found.extend(grown(&counted, &now).into_iter().filter_map(|(counter, n)| refused(counter, n, span)));
        counted = now;
        found.extend(shares.iter().map(|(share, n)| crowded(share, *n, span)));
        if runtimes.are_failing() {
            // Where no container begins, it would not be asked again, and not be found back.
            _ = runtimes.list().await;
        }
        found.extend(runtimes_away.round(&runtimes.answering()).iter().map(|runtime| away(runtime, span)));
        if control.feed_all(found.into_iter().map(Input::Impaired)).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
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
        let found = crowded(&Share::User(1000), 7, (1, 2));
        assert!(found.what.contains("the user 1000") && found.cause.contains("1000"), "{found:?}");
        let found = crowded(&Share::Below("/t\u{1b}".into()), 7, (1, 2));
        assert!(found.what.contains("/t") && !found.what.contains('\u{1b}'), "{found:?}");
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
