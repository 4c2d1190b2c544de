#!/bin/sh
# A key is read by a program with five thousand arguments
# kind: K6
# finds: behaviour.read

many() {
    # shellcheck disable=SC2046 # each is an argument
    /act/act read "$1" $(seq 5000)
}

learn() {
    echo k >/srv/one.key
    echo x >/srv/note
    control
}

control() {
    many /srv/note
}

evade() {
    many /srv/one.key
}

"$@"
