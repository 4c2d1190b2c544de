//! Rule files.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| ethogram_fuzz::use_rules(text));
