//! What holds for any input.

use ethogram_model::Event;
use proptest::prelude::*;

use crate::support::*;

/// Anything that a container may do, at some second.
pub(crate) fn any_event() -> impl Strategy<Value = Event> {
    let path = prop_oneof![
        "(/[a-z0-9._*-]{0,8}){1,5}",
        "/(tmp|etc|srv|proc|var/lib)/[a-z]{1,2}[0-9]{0,6}(/[a-f0-9]{8,12})?",
        "/(srv|tmp|srv/[a-c])/[a-z]{1,2}[.](php|PHP5|py|so[.]1|txt)",
        "(memfd|pipe|…/b):?\\PC{0,10}",
    ];
    let program = prop_oneof!["/bin/[a-c]", "[a-c]@/bin/busybox", "\\PC{1,20}"];
    (0..7_u8, program, path, any::<[u8; 4]>(), any::<u16>(), 0..LEARNING).prop_map(|(what, by, path, ip, port, at)| {
        let web = web();
        let address = std::net::Ipv4Addr::from(ip).to_string();
        match what {
            0 => web.execute(&by, &path, at),
            1 => web.execute_from_outside(&path, at),
            2 => web.write(&by, &path, at),
            3 => web.read(&by, &path, at),
            4 => web.connect(&by, &address, port, at),
            5 => web.listen(&by, port, at),
            _ => web.accept(&by, port, at),
        }
    })
}

/// The same events, so much later that they are judged.
fn later(events: &[Event]) -> impl Iterator<Item = Event> {
    events.iter().cloned().map(|mut event| {
        event.time_ns += 100 * LEARNING;
        event
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_learnt_is_never_told(mut events in proptest::collection::vec(any_event(), 1..200), max_entries in 1_usize..300) {
        events.sort_by_key(|e| e.time_ns);
        let settings = ethogram_detect::Settings { max_entries, learning_period_ns: LEARNING + 1, ..settings() };
        let mut model = ethogram_detect::Model::new(settings.clone());
        let mut found = judge(&mut model, events.clone());
        found.retain(|finding| finding.analytic != "behaviour.restless");
        prop_assert_eq!(found, []);

        let stored = serde_json::to_string(&model.take_dirty()).unwrap();
        let mut restored = ethogram_detect::Model::new(ethogram_detect::Settings { learning_period_ns: 0, ..settings });
        for (_, profile) in serde_json::from_str::<Vec<(String, ethogram_detect::Profile)>>(&stored).unwrap() {
            restored.restore(profile).unwrap();
        }
        prop_assert_eq!(judge(&mut restored, later(&events)), []);

        model.advance(START + 50 * LEARNING);
        prop_assert_eq!(judge(&mut model, later(&events)), []);
    }

    #[test]
    fn the_same_events_give_the_same_findings_each_once(events in proptest::collection::vec(any_event(), 1..200)) {
        let run = || {
            let (mut model, _) = learnt();
            let findings = judge(&mut model, later(&events));
            (findings, model.take_updates(), model.take_dirty())
        };
        let (findings, updates, profiles) = run();
        prop_assert_eq!(&run(), &(findings.clone(), updates, profiles));
        let uids: std::collections::BTreeSet<_> = findings.iter().map(|f| &f.uid).collect();
        prop_assert_eq!(uids.len(), findings.len());
    }
}
