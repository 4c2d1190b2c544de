#!/bin/sh
# The hashes of passwords are read by a path from somewhere else
# kind: K5
# finds: Password Hashes Read, behaviour.read

learn() {
    control
}

control() {
    /act/act read /etc/passwd
}

evade() {
    cd /srv
    /act/act read .././etc//shadow
}

"$@"
