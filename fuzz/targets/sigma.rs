//! Files of Sigma's rules: what comes first says that they are such.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let text = format!("title: T\n{text}");
    ethogram_fuzz::bounded(|| ethogram_fuzz::use_rules(&text));
});
