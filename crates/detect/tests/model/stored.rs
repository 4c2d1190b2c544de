//! Profiles that earlier agents have stored stay what they were.

use ethogram_detect::{LearningState, Profile};

use crate::support::*;

/// What agents stored before a profile had parts, and the same as a file.
const STORED: &str = include_str!("stored/version-2.json");
const EXPORTED: &str = include_str!("stored/version-2.toml");

#[test]
fn what_an_earlier_agent_stored_is_read_and_written_as_it_was() {
    let profiles: Vec<Profile> = serde_json::from_str(STORED).unwrap();
    assert_eq!(serde_json::to_value(&profiles).unwrap(), serde_json::from_str::<serde_json::Value>(STORED).unwrap());
    assert_eq!(profiles.iter().map(Profile::to_file).collect::<String>(), EXPORTED);
    let again: Vec<Profile> = serde_json::from_slice(&serde_json::to_vec(&profiles).unwrap()).unwrap();
    assert_eq!(again, profiles);
}

#[test]
fn what_an_earlier_agent_learnt_is_judged_by() {
    let profiles: Vec<Profile> = serde_json::from_str(STORED).unwrap();
    let mut model = model();
    for profile in profiles {
        assert_eq!((profile.state(), profile.alerts() > 0), (LearningState::Partial, true));
        model.restore(profile).unwrap();
    }
    let web = web();
    assert_eq!(judge(&mut model, [web.connect("/bin/sh", "203.0.113.1", 4444, 600 * SECOND)]), [], "raised before");
    assert_eq!(judge(&mut model, [web.connect("/bin/sh", "203.0.113.9", 4444, 601 * SECOND)]).len(), 1);
}
