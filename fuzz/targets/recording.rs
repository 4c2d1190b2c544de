//! Recordings, which people hand on. The bytes are a file, or entries of which a file is made, as no checksum is right by chance.
#![no_main]

use ethogram_detect::{Detector, Model};
use ethogram_engine::{
    Judged,
    judged::Judges,
    recording::{Header, Player, frame::Framer},
};

libfuzzer_sys::fuzz_target!(|data: &[u8]| ethogram_fuzz::bounded(|| {
    let Some((how, rest)) = data.split_first() else { return };
    match how {
        b'2' => play(&file(2, rest)),
        b'3' => play(&file(Header::VERSION, rest)),
        _ => play(rest),
    }
}));

/// A file of entries. An entry ends with the byte 0xff, which no JSON has, and begins with its kind: `f` ends a frame, and
/// `r` has bytes that are put as they are.
fn file(version: u32, entries: &[u8]) -> Vec<u8> {
    let header = Header { format: Header::FORMAT.into(), version, ..Header::default() };
    let mut file = serde_json::to_vec(&header).expect("it is written");
    file.push(b'\n');
    let mut framer = Framer::new().expect("zstd is there");
    let mut raw = Vec::new();
    for entry in entries.split(|byte| *byte == 0xff) {
        match entry.split_first() {
            None | Some((b'f', _)) => {
                file.extend(framer.frame(&raw).expect("it is not too long"));
                raw.clear();
            }
            Some((b'r', bytes)) => raw.extend(bytes),
            Some((kind, body)) => {
                raw.push(*kind);
                raw.extend((body.len() as u32).to_le_bytes());
                raw.extend(body);
            }
        }
    }
    file.extend(framer.frame(&raw).expect("it is not too long"));
    file
}

/// Plays it as `ethogram replay` does.
fn play(file: &[u8]) {
    let Ok(recording) = Player::open(file) else { return };
    let (conditions, model) = (recording.conditions.clone(), Model::new(recording.conditions.settings()));
    let mut detector = Detector { model, ..Detector::default() };
    recording.groups.iter().cloned().for_each(|(uid, count)| detector.rules.restore(uid, count));
    recording.alerts.iter().for_each(|alert| detector.restore_alert(alert));
    recording.accepted.iter().cloned().for_each(|acceptance| detector.restore_acceptance(acceptance));
    let judged = Judged::new(conditions.container_filter, detector, Judges::All);
    let played = recording.play(judged, |_| true);
    if let Some(damage) = played.damage {
        assert!(damage.offset <= file.len() as u64, "{damage}");
    }
}
