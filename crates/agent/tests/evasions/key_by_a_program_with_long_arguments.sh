#!/bin/sh
# A key is read by a program with a hundred thousand bytes of arguments
# kind: K6
# finds: behaviour.read

long() {
    text=$(head -c 100000 /dev/zero | tr "\0" x)
    /act/act read "$1" "$text"
}

learn() {
    echo k >/srv/one.key
    echo x >/srv/note
    control
}

control() {
    long /srv/note
}

evade() {
    long /srv/one.key
}

"$@"
