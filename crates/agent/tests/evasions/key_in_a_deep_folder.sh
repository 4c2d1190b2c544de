#!/bin/sh
# A key lies sixty folders deep
# kind: K6
# finds: behaviour.read

learn() {
    d=/srv
    for _ in $(seq 60); do d=$d/a; done
    mkdir -p "$d"
    echo k >"$d/one.key"
    echo x >"$d/note"
    ln -s "$d" /srv/deep
    control
}

control() {
    /act/act read /srv/deep/note
}

evade() {
    /act/act read /srv/deep/one.key
}

"$@"
