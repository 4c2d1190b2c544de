//! What came again, and what is alike: in the line of the first.

use std::collections::BTreeMap;

use ethogram_model::{Incident, Recurrences, Severity, render};

use crate::cli::profile::moment;

/// Uids that are shown of incidents that became part of one.
const MAX_MERGED: usize = 4;

/// Those that have a line of their own, and how many have none. An incident is folded into an earlier one that is shown and no less
/// severe, where it is that one again or is like it.
pub(super) fn fold<T>(all: Vec<(Incident, T)>, keeps_all: bool) -> (Vec<(Incident, T)>, usize) {
    let severities: BTreeMap<String, Severity> =
        all.iter().map(|(incident, _)| (incident.uid.clone(), incident.severity)).collect();
    let before = all.len();
    let is_folded = |incident: &Incident| {
        let again = incident.recurrence_of.as_ref().map(|recurrence| &recurrence.of);
        let alike = incident.cluster.as_ref().map(|cluster| &cluster.of);
        let mut firsts = again.into_iter().chain(alike).filter(|of| **of != incident.uid);
        firsts.any(|of| severities.get(of).is_some_and(|severity| *severity >= incident.severity))
    };
    let shown: Vec<_> = all.into_iter().filter(|(incident, _)| keeps_all || !is_folded(incident)).collect();
    let folded = before - shown.len();
    (shown, folded)
}

/// The title, with how often it came again and where it is alike.
pub(super) fn title(incident: &Incident) -> String {
    let mut title = render::escape(&incident.title).into_owned();
    if let Some(Recurrences { count, last_seen_ns, .. }) = &incident.recurrences {
        title += &format!(" (again {count} times, last {})", moment(&render::rfc3339(*last_seen_ns)));
    }
    if let Some(cluster) = incident.cluster.as_ref().filter(|cluster| cluster.of == incident.uid) {
        title += &format!(" (the same on {} containers)", cluster.containers);
    }
    title
}

/// The same for the story, a line each.
pub(super) fn of(incident: &Incident) -> Vec<String> {
    let mut lines = Vec::new();
    if !incident.merged.is_empty() {
        let shown: Vec<String> = incident.merged.iter().map(|uid| id(uid)).take(MAX_MERGED).collect();
        let more = if incident.merged.len() > MAX_MERGED { ", ..." } else { "" };
        lines.push(format!("what was incident {}{more} before is part of it", shown.join(", ")));
    }
    if let Some(recurrence) = &incident.recurrence_of {
        lines.push(format!("again what incident {} was", id(&recurrence.of)));
    }
    if let Some(Recurrences { count, first_seen_ns, last_seen_ns, places, unlisted }) = &incident.recurrences {
        let more = if *unlisted > 0 { format!(", and {unlisted} times elsewhere") } else { String::new() };
        let times = if *count == 1 { "once" } else { &*format!("{count} times") };
        lines.push(format!(
            "again {times}, from {} to {} UTC, in {}{more}",
            moment(&render::rfc3339(*first_seen_ns)),
            moment(&render::rfc3339(*last_seen_ns)),
            render::escape(&places.join(", "))
        ));
    }
    if let Some(cluster) = &incident.cluster {
        lines.push(format!(
            "alike: {} incidents in {} containers, the first is {}",
            cluster.incidents,
            cluster.containers,
            id(&cluster.of)
        ));
    }
    lines
}

fn id(uid: &str) -> String {
    render::escape(uid.get(..8).unwrap_or(uid)).into_owned()
}

#[cfg(test)]
mod tests {
    use ethogram_model::{Cluster, Recurrence};

    use super::*;
    use crate::cli::incidents::story::tests::incident;

    fn first() -> Incident {
        let recurrences = Recurrences {
            count: 3,
            first_seen_ns: 1_780_000_000_000_000_000,
            last_seen_ns: 1_780_003_600_000_000_000,
            places: vec!["web".into(), "sh\u{1b}op".into()],
            unlisted: 0,
        };
        let cluster = Cluster { of: incident().uid, incidents: 14, containers: 14 };
        Incident { recurrences: Some(recurrences), cluster: Some(cluster), ..incident() }
    }

    #[test]
    fn the_first_says_how_often_and_where() {
        let first = first();
        let title = title(&first);
        assert!(title.ends_with("(again 3 times, last 2026-05-28 21:26:40) (the same on 14 containers)"), "{title}");
        insta::assert_snapshot!(of(&first).join("\n"), @r"
        again 3 times, from 2026-05-28 20:26:40 to 2026-05-28 21:26:40 UTC, in web, sh\u{1b}op
        alike: 14 incidents in 14 containers, the first is 3f1c7227
        ");
    }

    #[test]
    fn it_says_what_became_part_of_it() {
        let of = |merged: usize| {
            let merged = (0..merged).map(|n| format!("{n}a4b22f0cc")).collect();
            of(&Incident { merged, ..incident() }).pop()
        };
        assert_eq!(of(0), None);
        assert_eq!(of(1).unwrap(), "what was incident 0a4b22f0 before is part of it");
        assert!(of(9).unwrap().ends_with(", 3a4b22f0, ... before is part of it"), "{:?}", of(9));
    }

    #[test]
    fn what_is_again_or_alike_has_no_line_unless_it_is_worse() {
        let of = |uid: &str, severity| {
            let recurrence_of = Some(Recurrence { of: incident().uid, is_news: false });
            Incident { uid: uid.into(), severity, recurrence_of, ..incident() }
        };
        let alike = Incident { uid: "c".into(), cluster: first().cluster, ..incident() };
        let elsewhere =
            Incident { recurrence_of: Some(Recurrence { of: "gone".into(), is_news: false }), ..alike.clone() };
        let elsewhere = Incident { uid: "d".into(), cluster: None, ..elsewhere };
        let all = [first(), of("a", Severity::High), of("b", Severity::Critical), alike, elsewhere];
        let all = all.map(|incident| (incident, ())).to_vec();
        let uids = |all: &[(Incident, ())]| all.iter().map(|(i, ())| i.uid.clone()).collect::<Vec<_>>();
        let (shown, folded) = fold(all.clone(), false);
        assert_eq!((uids(&shown), folded), (vec![first().uid, "b".into(), "d".into()], 2));
        assert_eq!(fold(all, true).0.len(), 5);
    }
}
