#!/bin/sh
# A process reads a key after its parent was killed
# kind: K2
# finds: behaviour.read

learn() {
    echo k >/srv/one.key
    echo x >/srv/note
    control
}

control() {
    sh -c '(sleep 1; /act/act read /srv/note) >/dev/null 2>&1 & kill -9 $$' || :
    sleep 2
}

evade() {
    sh -c '(sleep 1; /act/act read /srv/one.key) >/dev/null 2>&1 & kill -9 $$' || :
    sleep 2
}

"$@"
