//! Events as evidence of a finding: as they are printed, with an end to their size.

use serde_json::{Map, Value as Json, json};

use crate::{Event, render};

/// Bytes that one event may take.
pub const MAX_BYTES: usize = 8 << 10;
/// What stays of texts and lists where it would take more.
const MAX_TEXT: usize = 512;
const MAX_ITEMS: usize = 32;

/// An event as `run -o json` prints it. Where that is longer than [`MAX_BYTES`], long texts and lists are cut, and it says so.
pub fn of(event: &Event) -> Json {
    bounded(render::to_json(event))
}

/// The same of one that was printed before.
pub fn bounded(event: Json) -> Json {
    if size(&event) <= MAX_BYTES {
        return event;
    }
    let (mut texts, mut items) = (MAX_TEXT, MAX_ITEMS);
    // Each time less stays, so this ends; what never fits has more names than an event has.
    for _ in 0..4 {
        let mut shorter = cut(&event, texts, items);
        if let Json::Object(members) = &mut shorter {
            members.insert("cut".into(), true.into());
        }
        if size(&shorter) <= MAX_BYTES {
            return shorter;
        }
        (texts, items) = (texts / 4, items / 4);
    }
    json!({ "cut": true })
}

fn cut(value: &Json, texts: usize, items: usize) -> Json {
    match value {
        Json::String(text) if text.len() > texts => {
            let end = (0..=texts).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            Json::String(format!("{}…", &text[..end]))
        }
        Json::Array(all) => all.iter().take(items).map(|item| cut(item, texts, items)).collect(),
        Json::Object(members) => {
            let members = members.iter().map(|(name, member)| (name.clone(), cut(member, texts, items)));
            Json::Object(members.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

/// Bytes of something as JSON, without writing it.
pub fn size(value: &impl serde::Serialize) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting does not fail, and what cannot be JSON is not stored either.
    _ = serde_json::to_writer(&mut count, value);
    count.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_stays_and_what_is_long_is_cut() {
        let short = json!({ "event": "exec", "process": { "args": ["sh", "-c", "id"] } });
        assert_eq!(bounded(short.clone()), short);
        let args: Vec<String> = (0..100).map(|n| format!("{n}-{}", "ä".repeat(2_000))).collect();
        let long = bounded(json!({ "event": "exec", "process": { "args": args, "pid": 7 } }));
        assert!(size(&long) <= MAX_BYTES, "{}", size(&long));
        assert_eq!((&long["event"], &long["cut"], &long["process"]["pid"]), (&json!("exec"), &json!(true), &json!(7)));
        assert!(long["process"]["args"][0].as_str().is_some_and(|arg| arg.starts_with("0-ä") && arg.ends_with('…')));
    }

    #[test]
    fn whatever_comes_has_an_end() {
        let many: Map<String, Json> = (0..5_000).map(|n| (format!("field{n}"), json!(n))).collect();
        assert_eq!(bounded(Json::Object(many)), json!({ "cut": true }));
        let mut deep = json!("x".repeat(20_000));
        for _ in 0..20 {
            deep = json!([deep.clone(), deep.clone()][..1].to_vec());
        }
        assert!(size(&bounded(deep)) <= MAX_BYTES);
    }
}
