//! Files of Sigma's rules: what comes first says that they are such.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    ethogram_fuzz::use_rules(&format!("title: T\n{text}"));
});
