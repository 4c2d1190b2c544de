#!/bin/sh
# A key has the longest name that there can be
# kind: K6
# finds: behaviour.read

learn() {
    name=$(head -c 251 /dev/zero | tr "\0" k)
    echo k >"/srv/$name.key"
    echo x >/srv/note
    control
}

control() {
    /act/act read /srv/note
}

evade() {
    name=$(head -c 251 /dev/zero | tr "\0" k)
    /act/act read "/srv/$name.key"
}

"$@"
