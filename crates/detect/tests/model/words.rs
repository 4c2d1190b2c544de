//! How what was found is put in words.

use ethogram_detect::render_profile;
use ethogram_model::BehaviourWords;

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
}
