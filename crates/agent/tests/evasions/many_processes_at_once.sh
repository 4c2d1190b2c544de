#!/bin/sh
# A key is read while five hundred processes of the container sleep
# kind: K3
# finds: behaviour.read

learn() {
    echo k >/srv/one.key
    echo x >/srv/note
    control
}

control() {
    /act/act read /srv/note
}

evade() {
    for _ in $(seq 500); do sleep 8 & done
    /act/act read /srv/one.key
}

"$@"
