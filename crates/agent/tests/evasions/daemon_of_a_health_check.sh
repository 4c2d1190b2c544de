#!/bin/sh
# What a health check leaves behind reads a key
# kind: K2
# finds: behaviour.read

learn() {
    echo k >/srv/one.key
    echo x >/srv/note
    control
}

control() {
    ( sleep 1; /act/act read /srv/note ) >/dev/null 2>&1 &
    sleep 2
}

evade() {
    ( sleep 1; /act/act read /srv/one.key ) >/dev/null 2>&1 &
    sleep 2
}

"$@"
