#!/bin/sh
# A process that was made in the name of its parent's parent reads a key
# kind: K2
# finds: behaviour.read

learn() {
    echo k >/srv/one.key
    echo x >/srv/note
    control
}

control() {
    /act/act brother /srv/note
}

evade() {
    /act/act brother /srv/one.key
}

"$@"
