//! A container's `passwd` and `group`, which its image brings, and maps of ids.
#![no_main]

use ethogram_model::Users;

libfuzzer_sys::fuzz_target!(|data: &[u8]| ethogram_fuzz::bounded(|| {
    let (map, file) = ethogram_fuzz::parts(data);
    let names = ethogram_agent::fuzzing::users(file, &String::from_utf8_lossy(map));
    assert!(names.len() <= Users::MAX);
    assert!(names.values().all(|name| (1..=64).contains(&name.len())));
}));
