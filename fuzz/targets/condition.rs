//! Conditions.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let condition = serde_json::Value::from(text);
    let macros = "- list: l\n  items: [cat, bash]\n- macro: m\n  condition: proc.name in (l)\n";
    let rule =
        format!("{macros}- rule: r\n  desc: d\n  output: o %proc.name\n  priority: INFO\n  condition: {condition}\n");
    ethogram_fuzz::use_rules(&rule);
});
