//! Profiles as files, which people write and ship with their images: whatever is taken is written as it was read.
#![no_main]

use ethogram_detect::Profile;

libfuzzer_sys::fuzz_target!(|data: &[u8]| ethogram_fuzz::bounded(|| {
    let Ok(profile) = Profile::from_file(&String::from_utf8_lossy(data), 1) else { return };
    let written = profile.to_file();
    match Profile::from_file(&written, 1) {
        Ok(again) => assert_eq!(again.to_file(), written),
        Err(problems) => panic!("{problems}: {written}"),
    }
}));
