#!/bin/sh
# A key is read by a program with a large environment
# kind: K6
# finds: behaviour.read

large() {
    TEXT=$(head -c 100000 /dev/zero | tr "\0" x) /act/act read "$1"
}

learn() {
    echo k >/srv/one.key
    echo x >/srv/note
    control
}

control() {
    large /srv/note
}

evade() {
    large /srv/one.key
}

"$@"
