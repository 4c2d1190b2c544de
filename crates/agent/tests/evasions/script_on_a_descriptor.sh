#!/bin/sh
# A shell reads its script from a descriptor, and the script reads a key
# kind: K5
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
    echo "cat /srv/one.key" | sh
}

"$@"
