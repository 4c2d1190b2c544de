//! How what was found is put in words.

use ethogram_detect::{Profile, render_profile};
use ethogram_model::{BehaviourWords, Severity};

use crate::support::*;

const LATER: u64 = 60 * SECOND;

#[test]
fn a_trackers_manifest_says_how_its_behaviours_are_put_in_words() {
    let (mut model, web) = learnt();
    let mut event = web.generate("httpd@/bin/busybox", 2, LATER);
    let earlier = judge(&mut model, [event.clone()]).remove(0);
    assert!(earlier.title.ends_with("made code in memory (executable once it was written)"), "{}", earlier.title);

    let words = BehaviourWords {
        sentence: "bent {object} out of shape".into(),
        first: Some("it never bent anything before".into()),
        heading: Some("who bends what".into()),
        rank: Some(0),
        objects: [("made_executable".into(), "a {object}".into())].into(),
    };
    let mut schema = (*event.schema).clone();
    schema.behaviours[0].words = Some(words);
    event.schema = schema.into();
    let (mut model, web) = learnt();
    let finding = judge(&mut model, [event.clone()]).remove(0);
    assert!(finding.title.ends_with("bent a {object} out of shape"), "{}", finding.title);
    assert!(finding.reason.contains("it never bent anything before"), "{}", finding.reason);
    assert_eq!((&finding.uid, finding.severity), (&earlier.uid, earlier.severity));

    let mut model = ethogram_detect::Model::new(settings());
    judge(&mut model, [event]);
    let page = render_profile(model.profile(&model.profile_of(&web.container).unwrap()).unwrap());
    assert!(page.contains("generate  who bends what"), "{page}");

    let profile = model.profile(&model.profile_of(&web.container).unwrap()).unwrap();
    let stored: Profile = serde_json::from_str(&serde_json::to_string(profile).unwrap()).unwrap();
    assert_eq!(stored.channels.behaviour.operations["generate"].rank, Some(0));
}

#[test]
fn a_trackers_manifest_says_how_severe_its_behaviours_are() {
    let (mut model, web) = learnt();
    let mut event = web.generate("httpd@/bin/busybox", 2, LATER);
    let mut schema = (*event.schema).clone();
    schema.behaviours[0].severity = Some(Severity::Critical);
    event.schema = schema.into();
    assert_eq!(judge(&mut model, [event]).remove(0).severity, Severity::Critical);
}

#[test]
fn operations_on_ports_stand_for_one_another_whatever_they_are_called() {
    let (mut model, web) = learnt();
    let of_another = |port| {
        let mut event = web.accept("httpd@/bin/busybox", port, LATER);
        let mut schema = (*event.schema).clone();
        schema.behaviours[0].operation = "welcome".into();
        event.schema = schema.into();
        event
    };
    assert_eq!(judge(&mut model, [of_another(80)]), [], "the port is known");
    assert_eq!(judge(&mut model, [of_another(4444)]).len(), 1);
}
