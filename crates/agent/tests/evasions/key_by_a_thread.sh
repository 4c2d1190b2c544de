#!/bin/sh
# A thread that is not the first reads a key
# kind: K2
# finds: behaviour.read

learn() {
    echo k >/srv/one.key
    echo x >/srv/note
    control
}

control() {
    /act/act thread /srv/note
}

evade() {
    /act/act thread /srv/one.key
}

"$@"
