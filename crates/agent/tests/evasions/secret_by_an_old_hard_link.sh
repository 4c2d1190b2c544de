#!/bin/sh
# The hashes of passwords are read by a name that they had before the profile was learnt
# kind: K5
# finds: Password Hashes Read, behaviour.read

learn() {
    ln /etc/shadow /srv/old
    ln /etc/passwd /srv/other
    control
}

control() {
    cat /srv/other
}

evade() {
    cat /srv/old
}

"$@"
