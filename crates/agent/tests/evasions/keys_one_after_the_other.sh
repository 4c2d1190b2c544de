#!/bin/sh
# Each of twenty keys that a program reads for the first time is one
# kind: K7
# finds: behaviour.read
# times: 3

learn() {
    for n in a b c d e; do echo k >"/srv/$n.key"; done
    echo x >/srv/note
    control
}

control() {
    /act/act read /srv/note
}

evade() {
    for n in a b c d e; do /act/act read "/srv/$n.key"; done
}

"$@"
