//! A server's answer: its head, and its body at once, in chunks, or as lines without end.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ethogram_fuzz::bounded(|| {
    let Some((how, answer)) = data.split_first() else { return };
    // Not so many that handing them over is what takes the time.
    let piece = [1, 7, 64, 4096][usize::from(how & 3)].max(answer.len() / 1024);
    let most = usize::from(how >> 2) * 64;
    let read = ethogram_agent::fuzzing::http(answer, piece, most);
    assert!(read.body.is_none_or(|body| body.len() <= most));
    assert!(read.lines.iter().all(|line| line.len() < answer.len() && !line.contains(&b'\n')));
}));
